//! A disk that lies or fails, one case each: the answer is an error, never other bytes.

use std::sync::{Arc, Mutex};

use ebb_volume::{EngineError, Io, IoError, OpId, Volume, VolumeId};

use super::Random;
use super::disk::{Loss, SimDisk};
use crate::layout::{BLOCK, Geometry, SLOTS};
use crate::planted::Planted;
use crate::pool::{Pool, Setup};
use crate::record::Change;
use crate::storage::Storage;
use crate::volume::Handle;

const VOLUME: VolumeId = VolumeId(1);
const BLOCKS: u64 = 16;

struct Lab {
    disk: SimDisk,
    pool: Arc<Pool<SimDisk>>,
    handle: Handle<SimDisk>,
}

fn open(disk: &SimDisk) -> Result<Pool<SimDisk>, EngineError> {
    let setup = Setup {
        pool_id: [1; 16],
        geometry: Geometry { segment_blocks: 64 },
        warm_segments: 2,
        max_bytes: None,
        reaper: None,
        planted: Planted::default(),
    };
    Pool::open(disk.clone(), setup)
}

impl Lab {
    /// A pool with one volume, all of it written and durable.
    fn new() -> Self {
        let disk = SimDisk::default();
        let pool = Arc::new(open(&disk).unwrap());
        let size_bytes = BLOCKS * BLOCK as u64;
        let volume = VOLUME;
        let change = Change::CreateVolume { volume, size_bytes };
        pool.change(OpId([1; 16]), change).unwrap();
        while pool.stock_step() {}
        let generation = pool.open_handle(volume).unwrap();
        let handle = Handle::new(&pool, volume, generation);
        let lab = Self { disk, pool, handle };
        for block in 0..BLOCKS {
            lab.write(block, 1).unwrap();
        }
        lab.ask(Io::Flush).unwrap();
        lab
    }

    fn ask(&self, io: Io) -> Result<Vec<u8>, IoError> {
        let answer = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&answer);
        self.handle.submit(io, Box::new(move |outcome| *slot.lock().unwrap() = Some(outcome)));
        for _ in 0..100 {
            if let Some(outcome) = answer.lock().unwrap().take() {
                return outcome.map(|bytes| bytes.to_vec());
            }
            self.pool.write_all();
            self.pool.sync_step();
            self.pool.stock_step();
        }
        panic!("a request was never answered");
    }

    fn write(&self, block: u64, stamp: u8) -> Result<Vec<u8>, IoError> {
        let (offset, fua) = (block * BLOCK as u64, false);
        let data = vec![stamp ^ block as u8; BLOCK].into();
        self.ask(Io::Write { offset, data, fua })
    }

    fn read(&self, block: u64) -> Result<Vec<u8>, IoError> {
        let (offset, length) = (block * BLOCK as u64, BLOCK as u32);
        self.ask(Io::Read { offset, length })
    }

    fn reopen(self) -> Result<Pool<SimDisk>, EngineError> {
        drop((self.pool, self.handle));
        self.disk.crash(&mut Random::new(1), Loss::All);
        open(&self.disk)
    }
}

fn stamped(block: u64, stamp: u8) -> Vec<u8> {
    vec![stamp ^ block as u8; BLOCK]
}

#[test]
fn a_lost_write_is_corrupt_and_never_old_bytes() {
    let lab = Lab::new();
    lab.disk.lose_next_write();
    lab.write(3, 9).unwrap();
    assert_eq!(lab.read(3), Err(IoError::Corrupt));
    assert_eq!(lab.read(4).unwrap(), stamped(4, 1));
    // The next record says after the sync that the lost one was durable.
    lab.ask(Io::Flush).unwrap();
    lab.write(5, 9).unwrap();
    lab.ask(Io::Flush).unwrap();
    let refused = lab.reopen().err();
    assert!(matches!(refused, Some(EngineError::Corrupt(_))), "{refused:?}");
}

#[test]
fn a_misdirected_write_is_corrupt_where_it_should_be_and_where_it_went() {
    let lab = Lab::new();
    // Two records back: over the header and the data of an older one.
    lab.disk.misdirect_next_write(-4 * BLOCK as i64);
    lab.write(0, 9).unwrap();
    assert_eq!(lab.read(0), Err(IoError::Corrupt));
    let older: Vec<_> = (1..BLOCKS).map(|block| lab.read(block)).collect();
    for (block, outcome) in (1..).zip(older) {
        match outcome {
            Ok(bytes) => assert_eq!(bytes, stamped(block, 1)),
            Err(error) => assert_eq!(error, IoError::Corrupt),
        }
    }
    lab.ask(Io::Flush).unwrap();
    lab.write(5, 9).unwrap();
    lab.ask(Io::Flush).unwrap();
    let refused = lab.reopen().err();
    assert!(matches!(refused, Some(EngineError::Corrupt(_))), "{refused:?}");
}

#[test]
fn a_bad_sector_fails_one_read_and_no_more() {
    let lab = Lab::new();
    lab.disk.fail_next_read();
    assert_eq!(lab.read(3), Err(IoError::Failed));
    assert_eq!(lab.read(3).unwrap(), stamped(3, 1));
    // A write in part needs to read; it fails and changes nothing.
    lab.disk.fail_next_read();
    let (offset, data, fua) = (5, b"x".as_slice().into(), false);
    let outcome = lab.ask(Io::Write { offset, data, fua });
    assert_eq!(outcome, Err(IoError::Failed));
    assert_eq!(lab.read(0).unwrap(), stamped(0, 1));
    lab.pool.health().unwrap();
}

#[test]
fn a_failed_write_or_sync_stops_the_pool_for_good() {
    for fail in [SimDisk::fail_next_write, SimDisk::fail_next_sync] {
        let lab = Lab::new();
        fail(&lab.disk);
        let written = lab.write(0, 9);
        let flushed = lab.ask(Io::Flush);
        assert!(written.is_err() || flushed.is_err());
        let syncs = lab.disk.counts().1;
        for _ in 0..3 {
            assert_eq!(lab.read(1), Err(IoError::Failed));
            assert_eq!(lab.write(1, 9), Err(IoError::Failed));
            assert_eq!(lab.ask(Io::Flush), Err(IoError::Failed));
        }
        assert_eq!(lab.disk.counts().1, syncs, "a sync is never retried");
        let health = lab.pool.health();
        assert!(matches!(health, Err(EngineError::Stopped(_))), "{health:?}");
        assert!(lab.reopen().is_ok());
    }
}

#[test]
fn a_full_disk_refuses_writes_and_still_changes_versions() {
    let lab = Lab::new();
    lab.disk.set_capacity(Some(lab.disk.len().unwrap()));
    let refused = (0..1000).find_map(|n| lab.write(n % BLOCKS, 2).err());
    assert_eq!(refused, Some(IoError::NoSpace));
    for block in 0..BLOCKS {
        let found = lab.read(block).unwrap();
        assert!(found == stamped(block, 1) || found == stamped(block, 2));
    }
    let (offset, length, fua) = (0, BLOCK as u64, false);
    lab.ask(Io::Discard { offset, length, fua }).unwrap();
    let pairs = vec![(VOLUME, ebb_volume::SnapshotId(1))];
    let change = Change::CreateSnapshots { pairs };
    lab.pool.change(OpId([2; 16]), change).unwrap();
    let snapshot = ebb_volume::SnapshotId(1);
    let change = Change::DeleteSnapshot { snapshot };
    lab.pool.change(OpId([3; 16]), change).unwrap();
    lab.disk.set_capacity(None);
    lab.pool.stock_step();
    lab.write(0, 3).unwrap();
    assert_eq!(lab.read(0).unwrap(), stamped(0, 3));
}

#[test]
fn one_damaged_superblock_is_survived_and_two_are_refused() {
    let lab = Lab::new();
    let disk = lab.disk.clone();
    disk.flip(SLOTS[1] + 30, 2);
    drop(lab.reopen().unwrap());
    disk.flip(SLOTS[0] + 30, 2);
    disk.flip(SLOTS[1] + 31, 2);
    let refused = open(&disk).err();
    assert!(matches!(refused, Some(EngineError::Corrupt(_))), "{refused:?}");
}
