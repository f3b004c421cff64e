//! A disk that lies or fails, one case each: the answer is an error, never other bytes.

use std::sync::{Arc, Mutex};

use ebb_volume::{EngineError, Io, IoError, OpId, Volume, VolumeId};

use super::Random;
use super::disk::{Loss, SimDisk};
use crate::layout::{BLOCK, Geometry, SLOTS, crc32c};
use crate::pool::{CheckpointStep, Pool, Setup, Stage, WriteStep};
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
    open_with_reserve(disk, 2)
}

fn open_with_reserve(
    disk: &SimDisk,
    reserve_segments: usize,
) -> Result<Pool<SimDisk>, EngineError> {
    let setup = Setup {
        warm_segments: 2 + reserve_segments,
        reserve_segments,
        cache_bytes: 0,
        ..Setup::by_hand(64)
    };
    Pool::open(disk.clone(), setup)
}

impl Lab {
    /// A pool with one volume, all of it written and durable.
    fn new() -> Self {
        Self::with_reserve(2)
    }

    fn with_reserve(reserve_segments: usize) -> Self {
        let disk = SimDisk::default();
        let pool = Arc::new(open_with_reserve(&disk, reserve_segments).unwrap());
        let size_bytes = BLOCKS * BLOCK as u64;
        let volume = VOLUME;
        let change = Change::CreateVolume { volume, size_bytes, key_check: None };
        pool.change(OpId([1; 16]), change).unwrap();
        while pool.stock_step() {}
        let opened = pool.open_handle(volume, None).unwrap();
        let handle = Handle::new(&pool, opened);
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
            let stuck = self.pool.write_step() == WriteStep::NeedsSegment;
            if !self.pool.stock_step() && stuck {
                self.pool.make_space();
            }
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

    /// A whole checkpoint, step by step; `before` is told what comes next.
    fn checkpoint(&self, before: impl Fn(Option<Stage>)) {
        loop {
            before(self.pool.checkpoint_stage());
            if self.pool.checkpoint_step() == CheckpointStep::Finished {
                return;
            }
        }
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
    lab.disk.fail_next_read(true);
    assert_eq!(lab.read(3), Err(IoError::Failed));
    assert_eq!(lab.read(3).unwrap(), stamped(3, 1));
    // A write in part needs to read; it fails and changes nothing.
    lab.disk.fail_next_read(true);
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
    lab.disk.set_capacity(Some(lab.disk.len().unwrap() + 64 * BLOCK as u64));
    // What is overwritten makes room for what is written.
    for n in 0..1000 {
        lab.write(n % BLOCKS, 2).unwrap();
    }
    let size_bytes = 1000 * BLOCK as u64;
    let change = Change::Grow { volume: VOLUME, size_bytes };
    lab.pool.change(OpId([9; 16]), change).unwrap();
    let refused = (0..1000).map(|block| lab.write(block, 2)).position(|outcome| outcome.is_err());
    let written = refused.unwrap() as u64;
    assert_eq!(lab.write(999, 2), Err(IoError::NoSpace));
    for block in 0..1000 {
        let expected = if block < written { stamped(block, 2) } else { vec![0; BLOCK] };
        assert_eq!(lab.read(block).unwrap(), expected, "{block} of {written}");
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

/// That guests' data is refused says nothing of a call that makes room: it waits for a checkpoint.
#[test]
fn engine_calls_on_a_full_disk_are_never_refused() {
    let lab = Lab::with_reserve(3);
    lab.disk.set_capacity(Some(lab.disk.len().unwrap() + 64 * BLOCK as u64));
    let size_bytes = 10_000 * BLOCK as u64;
    lab.pool.change(OpId([255; 16]), Change::Grow { volume: VOLUME, size_bytes }).unwrap();
    let mut next = 0;
    for call in 0..400_u64 {
        while lab.write(next, 2).is_ok() {
            next += 1;
        }
        let snapshot = ebb_volume::SnapshotId(call / 2);
        let change = match call % 2 {
            0 => Change::CreateSnapshots { pairs: vec![(VOLUME, snapshot)] },
            _ => Change::DeleteSnapshot { snapshot },
        };
        let op = OpId(u128::from(call + 2).to_le_bytes());
        lab.pool.change(op, change).unwrap_or_else(|error| panic!("call {call}: {error}"));
    }
}

/// No two extents that are half alive fit into one: what is packed has to fill extents to their
/// end, or it would go from one to another for ever.
#[test]
fn packing_on_a_full_disk_gains_what_is_dead_and_comes_to_an_end() {
    // With its header a write is a segment, and 35 blocks of it will be alive.
    const WRITE: u64 = 63;
    const DISCARD: u64 = 28;
    let lab = Lab::with_reserve(3);
    lab.disk.set_capacity(Some(lab.disk.len().unwrap() + 32 * 64 * BLOCK as u64));
    let size_bytes = 10_000 * BLOCK as u64;
    lab.pool.change(OpId([9; 16]), Change::Grow { volume: VOLUME, size_bytes }).unwrap();
    let write = |n: &u64| {
        let data = vec![2; WRITE as usize * BLOCK].into();
        lab.ask(Io::Write { offset: n * WRITE * BLOCK as u64, data, fua: false }).is_ok()
    };
    let end = (0..).find(|n| !write(n)).unwrap();
    assert!(end >= 16, "{end} segments were written");
    for n in 0..end {
        let (offset, length) = (n * WRITE * BLOCK as u64, DISCARD * BLOCK as u64);
        lab.ask(Io::Discard { offset, length, fua: false }).unwrap();
    }
    lab.checkpoint(|_| {});
    let more = (end..).find(|n| !write(n)).unwrap() - end;
    assert!(more * WRITE * 2 > end * DISCARD, "{more} segments more than {end}");
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

/// All blocks of the volume in a pool that was opened again.
fn read_all(pool: &Pool<SimDisk>) -> Result<Vec<u8>, IoError> {
    pool.volume_bytes(VOLUME, &[])
}

fn all_stamped(stamp: u8) -> Vec<u8> {
    (0..BLOCKS).flat_map(|block| stamped(block, stamp)).collect()
}

#[test]
fn a_start_reads_the_checkpoint_and_no_record_before_it() {
    let lab = Lab::new();
    lab.checkpoint(|_| {});
    lab.write(3, 9).unwrap();
    lab.ask(Io::Flush).unwrap();
    let disk = lab.disk.clone();
    // The first segment of the log: its records are not needed any more, its data is.
    let first = Geometry { segment_blocks: 64 }.offset(0, 0);
    disk.replace(first, &[0; BLOCK]);
    let pool = lab.reopen().unwrap();
    let mut expected = all_stamped(1);
    expected[3 * BLOCK..4 * BLOCK].copy_from_slice(&stamped(3, 9));
    assert_eq!(read_all(&pool).unwrap(), expected);
}

#[test]
fn a_lost_or_misdirected_page_is_corrupt_and_never_other_bytes() {
    let harm: [fn(&SimDisk); 3] = [
        |disk| disk.lose_next_write(),
        |disk| disk.misdirect_next_write(BLOCK as i64),
        // Over the tables of the checkpoint before, and then the pages are one block early.
        |disk| disk.misdirect_next_write(-(BLOCK as i64)),
    ];
    for harm in harm {
        let lab = Lab::new();
        lab.checkpoint(|_| {});
        // Other content at the same place of the tree: the old page must not pass for the new.
        for block in 0..BLOCKS {
            lab.write(block, 2).unwrap();
        }
        // The one version is merged in the first step, and its pages are written in the second.
        lab.checkpoint(|next| {
            if next == Some(Stage::Merge) {
                harm(&lab.disk);
            }
        });
        let pool = lab.reopen().unwrap();
        assert_eq!(read_all(&pool), Err(IoError::Corrupt));
    }
}

#[test]
fn a_lost_superblock_brings_the_checkpoint_before() {
    let lab = Lab::new();
    lab.checkpoint(|_| {});
    lab.write(3, 2).unwrap();
    lab.ask(Io::Flush).unwrap();
    lab.checkpoint(|next| {
        if next == Some(Stage::Superblock) {
            // The first slot keeps the older one; the second is written.
            lab.disk.lose_next_write();
        }
    });
    let disk = lab.disk.clone();
    disk.flip(SLOTS[1] + 30, 2);
    let pool = lab.reopen().unwrap();
    let mut expected = all_stamped(1);
    expected[3 * BLOCK..4 * BLOCK].copy_from_slice(&stamped(3, 2));
    assert_eq!(read_all(&pool).unwrap(), expected);
}

#[test]
fn a_damaged_page_fails_what_is_below_it_and_the_rest_goes_on() {
    let lab = Lab::new();
    let (healthy, size_bytes) = (VolumeId(2), BLOCKS * BLOCK as u64);
    let create = Change::CreateVolume { volume: healthy, size_bytes, key_check: None };
    lab.pool.change(OpId([4; 16]), create).unwrap();
    lab.checkpoint(|_| {});
    let disk = lab.disk.clone();
    let pool = lab.reopen().unwrap();
    // The pages are the only blocks with this magic; the leaf is the first of them.
    let geometry = Geometry { segment_blocks: 64 };
    let end = disk.len().unwrap() / geometry.segment_bytes();
    let places = (0..end).flat_map(|extent| (0..64).map(move |b| geometry.offset(extent, b)));
    let pages: Vec<u64> = places.filter(|at| disk.block(*at).starts_with(b"EBBTPAG")).collect();
    assert_eq!(pages.len(), 5, "a page at each level");
    disk.flip(pages[0] + 2000, 3);
    assert_eq!(read_all(&pool), Err(IoError::Corrupt));
    assert_eq!(pool.volume_bytes(healthy, &[]).unwrap(), vec![0; size_bytes as usize]);
    pool.health().unwrap();
    // What is written above it is read; what must be merged into it can not be.
    let pool = Arc::new(pool);
    let opened = pool.open_handle(VOLUME, None).unwrap();
    let lab = Lab { disk, handle: Handle::new(&pool, opened), pool };
    lab.write(3, 7).unwrap();
    assert_eq!(lab.read(3).unwrap(), stamped(3, 7));
    assert_eq!(lab.pool.checkpoint_step(), CheckpointStep::GaveUp);
    assert_eq!(lab.pool.checkpoint_step(), CheckpointStep::Idle);
    lab.ask(Io::Flush).unwrap();
    assert_eq!(lab.read(3).unwrap(), stamped(3, 7));
    let generation = lab.reopen().unwrap();
    assert_eq!(generation.volume_bytes(healthy, &[]).unwrap(), vec![0; size_bytes as usize]);
}

#[test]
fn damaged_tables_refuse_the_pool() {
    let lab = Lab::new();
    lab.checkpoint(|_| {});
    let disk = lab.disk.clone();
    drop(lab.reopen().unwrap());
    let geometry = Geometry { segment_blocks: 64 };
    let end = disk.len().unwrap() / geometry.segment_bytes();
    let places = (0..end).flat_map(|extent| (0..64).map(move |b| geometry.offset(extent, b)));
    let tables: Vec<u64> = places.filter(|at| disk.block(*at).starts_with(b"EBBTTAB")).collect();
    assert_eq!(tables.len(), 1);
    disk.flip(tables[0] + 100, 3);
    let refused = open(&disk).err();
    assert!(matches!(refused, Some(EngineError::Corrupt(_))), "{refused:?}");
}

#[test]
fn a_failed_read_only_delays_a_checkpoint() {
    let lab = Lab::new();
    lab.checkpoint(|_| {});
    let disk = lab.disk.clone();
    let pool = Arc::new(lab.reopen().unwrap());
    let opened = pool.open_handle(VOLUME, None).unwrap();
    let lab = Lab { disk, handle: Handle::new(&pool, opened), pool };
    lab.write(3, 7).unwrap();
    lab.disk.fail_next_read(true);
    assert_eq!(lab.pool.checkpoint_step(), CheckpointStep::Waits);
    lab.checkpoint(|_| {});
    let pool = lab.reopen().unwrap();
    assert_eq!(read_all(&pool).unwrap()[3 * BLOCK..4 * BLOCK], stamped(3, 7)[..]);
}

#[test]
fn a_checkpoint_on_a_full_disk_waits_for_space() {
    let lab = Lab::with_reserve(0);
    lab.disk.set_capacity(Some(lab.disk.len().unwrap()));
    let (offset, fua) = (0, false);
    while lab.pool.write_step() != WriteStep::NeedsSegment || lab.pool.stock_step() {
        let data = vec![2; BLOCK].into();
        lab.handle.submit(Io::Write { offset, data, fua }, Box::new(|_| {}));
    }
    let step = (0..10).map(|_| lab.pool.checkpoint_step()).find(|s| *s != CheckpointStep::More);
    assert_eq!(step, Some(CheckpointStep::Waits));
    assert_eq!(lab.read(0).unwrap(), stamped(0, 2));
    lab.disk.set_capacity(None);
    lab.pool.stock_step();
    lab.write(1, 3).unwrap();
    lab.checkpoint(|_| {});
    let pool = lab.reopen().unwrap();
    assert_eq!(read_all(&pool).unwrap()[..2 * BLOCK], [stamped(0, 2), stamped(1, 3)].concat());
}

/// Makes both superblocks those of another version of the format.
fn set_version(disk: &SimDisk, version: u8) {
    for slot in SLOTS {
        let mut block = disk.block(slot);
        block[7] = version;
        block[8..12].fill(0);
        let crc = crc32c(&block);
        block[8..12].copy_from_slice(&crc.to_le_bytes());
        disk.replace(slot, &block);
    }
}

#[test]
fn a_pool_of_a_newer_version_is_refused_and_not_touched() {
    let lab = Lab::new();
    let disk = lab.disk.clone();
    set_version(&disk, 5);
    let writes = disk.counts().0;
    match lab.reopen().err() {
        Some(EngineError::Stopped(why)) => assert!(why.contains("version 5"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(disk.counts().0, writes);
}
