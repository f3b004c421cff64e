//! Requests submitted together, and a disk that crashes: what is left is always the log's first so
//! many blocks, with all in them that was answered as durable.
//!
//! Smaller than a world, which submits one request after the other: one volume, no versions, whole
//! blocks, so that a volume is told by the stamp of each.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use ebb_volume::{Completion, Io, IoError, OpId, Volume, VolumeId};

use super::Random;
use super::disk::{Loss, SimDisk};
use crate::layout::BLOCK;
use crate::planted::{Bug, Planted};
use crate::pool::{Pool, Setup};
use crate::record::Change;
use crate::volume::Handle;

const VOLUME: VolumeId = VolumeId(1);
const BLOCKS: u64 = 40;

/// Of each request that was answered, by number.
type Answers = Arc<Mutex<Vec<(usize, Result<Bytes, IoError>)>>>;

/// What a request promises once it is answered.
struct Promise {
    /// It is in the log so far, of the blocks written.
    end: usize,
    durable: bool,
}

struct Run {
    random: Random,
    planted: Planted,
    disk: SimDisk,
    segment_blocks: u32,
    /// Blocks in the order of the log, and what was written there.
    written: Vec<(u64, u8)>,
    promises: Vec<Promise>,
    answers: Answers,
    /// So many of the blocks were in answered requests, and in durable ones.
    completed: usize,
    durable: usize,
}

impl Run {
    fn new(seed: u64, planted: Planted) -> Self {
        let mut random = Random::new(seed);
        let disk = SimDisk::default();
        if random.one_in(3) {
            disk.set_short(Random::new(seed + 1));
        }
        let segment_blocks = 12 + random.below(50) as u32;
        let (written, promises, answers) = (Vec::new(), Vec::new(), Answers::default());
        let (completed, durable) = (0, 0);
        Self {
            random,
            planted,
            disk,
            segment_blocks,
            written,
            promises,
            answers,
            completed,
            durable,
        }
    }

    fn open(&self) -> Arc<Pool<SimDisk>> {
        let setup = Setup {
            reserve_segments: 1,
            planted: self.planted,
            ..Setup::by_hand(self.segment_blocks)
        };
        Arc::new(Pool::open(self.disk.clone(), setup).expect("the pool opens"))
    }

    /// Some requests, and their promises.
    fn requests(&mut self) -> Vec<(Io, Completion)> {
        let many = 1 + self.random.below(60);
        (0..many).map(|_| self.request()).collect()
    }

    fn request(&mut self) -> (Io, Completion) {
        let lba = self.random.below(BLOCKS);
        let len = 1 + self.random.below((BLOCKS - lba).min(3));
        let (offset, length) = (lba * BLOCK as u64, len * BLOCK as u64);
        let stamp = 1 + self.random.below(255) as u8;
        let fua = self.random.one_in(20);
        let io = match self.random.below(12) {
            0 => Io::Flush,
            1 => Io::Read { offset, length: length as u32 },
            2 => Io::Zero { offset, length, fua },
            3 => Io::Discard { offset, length, fua },
            _ => Io::Write { offset, data: vec![stamp; length as usize].into(), fua },
        };
        let stamp = match io {
            Io::Write { .. } => Some(stamp),
            Io::Zero { .. } | Io::Discard { .. } => Some(0),
            Io::Flush | Io::Read { .. } => None,
        };
        let changed = stamp.into_iter().flat_map(|stamp| (lba..lba + len).map(move |b| (b, stamp)));
        self.written.extend(changed);
        let flush = matches!(io, Io::Flush);
        // A flush covers what was answered before it was asked for.
        let end = if flush { self.completed } else { self.written.len() };
        let promise = match stamp {
            Some(_) => Promise { end, durable: fua },
            None => Promise { end: if flush { end } else { 0 }, durable: flush },
        };
        let (number, answers) = (self.promises.len(), Arc::clone(&self.answers));
        self.promises.push(promise);
        (io, Box::new(move |outcome| answers.lock().unwrap().push((number, outcome))))
    }

    fn take_answers(&mut self) {
        for (number, outcome) in std::mem::take(&mut *self.answers.lock().unwrap()) {
            let Promise { end, durable } = self.promises[number];
            if outcome.is_ok() {
                self.completed = self.completed.max(end);
                self.durable = if durable { self.durable.max(end) } else { self.durable };
            }
        }
    }

    /// Until the disk dies or all is asked for.
    fn ask(&mut self, pool: &Arc<Pool<SimDisk>>) {
        let opened = pool.open_handle(VOLUME, None).expect("the volume is there");
        let handle = Handle::new(pool, opened);
        self.disk.set_fuse(10 + self.random.below(60));
        for _ in 0..8 {
            let requests = self.requests();
            handle.submit_all(requests);
            for _ in 0..self.random.below(8) {
                match self.random.below(4) {
                    0 | 1 => drop(pool.write_step()),
                    2 => drop(pool.sync_step()),
                    _ => drop(pool.stock_step()),
                }
            }
            self.take_answers();
        }
    }

    /// What is left is the state after some of the blocks, all durable ones among them.
    fn check(&mut self, pool: &Arc<Pool<SimDisk>>) -> Result<(), String> {
        let opened = pool.open_handle(VOLUME, None).expect("the volume is there");
        let handle = Handle::new(pool, opened);
        let length = BLOCKS as u32 * BLOCK as u32;
        let bytes = ebb_volume::run(&handle, Io::Read { offset: 0, length });
        let bytes = bytes.map_err(|error| format!("the volume is read: {error}"))?;
        let found: Vec<u8> = bytes.chunks(BLOCK).map(|block| block[0]).collect();
        let mut image = vec![0; BLOCKS as usize];
        let mut kept = (found == image && self.durable == 0).then_some(0);
        for (n, (lba, stamp)) in self.written.iter().enumerate() {
            image[*lba as usize] = *stamp;
            if n + 1 >= self.durable && image == found {
                kept = Some(n + 1);
            }
        }
        let blocks = self.written.len();
        let kept =
            kept.ok_or(format!("no prefix of {blocks}, {} of them durable", self.durable))?;
        self.written.truncate(kept);
        // What recovery found is durable, and nothing of the process before is answered.
        (self.completed, self.durable) = (kept, kept);
        self.answers = Answers::default();
        self.promises.clear();
        Ok(())
    }

    fn live(mut self) -> Result<(), String> {
        let size_bytes = BLOCKS * BLOCK as u64;
        let create = Change::CreateVolume { volume: VOLUME, size_bytes, key_check: None };
        self.open().change(OpId([1; 16]), create).expect("a volume is made");
        for _ in 0..4 {
            let pool = self.open();
            self.ask(&pool);
            drop(pool);
            let loss = match self.random.below(4) {
                0 => Loss::All,
                1 => Loss::One,
                2 => Loss::Some,
                _ => Loss::None,
            };
            self.disk.crash(&mut self.random, loss);
            let pool = self.open();
            self.check(&pool)?;
        }
        Ok(())
    }
}

#[test]
fn requests_together_survive_crashes_as_a_prefix() {
    for seed in 0..24 {
        if let Err(what) = Run::new(seed, Planted::default()).live() {
            panic!("seed {seed}: {what}");
        }
    }
}

#[test]
fn a_promise_of_requests_together_that_is_broken_is_found() {
    for bug in [Bug::SkipFlushSync, Bug::FuaAnsweredEarly] {
        let planted = Planted { bug: Some(bug) };
        let found = (0..50).any(|seed| Run::new(seed, planted).live().is_err());
        assert!(found, "{bug:?} is not found");
    }
}
