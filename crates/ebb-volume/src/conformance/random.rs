//! Random operations against vectors of bytes.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;

const BLOCKS: u64 = 16;
const SIZE: u64 = BLOCKS * 4096;

#[derive(Debug, Clone)]
enum Step {
    Write(u64, u64, u64),
    Zero(u64, u64),
    Discard(u64, u64),
    Flush,
    Snapshot,
    Reset(usize),
    Fork(usize),
    Grow,
    DeleteSnapshot(usize),
    Switch(usize),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let range = || (0..SIZE - 9000, 0..9000_u64);
    let blocks = || (0..BLOCKS - 2, 0..3_u64).prop_map(|(at, n)| (at * 4096, n * 4096));
    let either = || prop_oneof![range(), blocks()];
    prop_oneof![
        6 => (either(), any::<u64>()).prop_map(|((o, l), s)| Step::Write(o, l, s % 1000)),
        2 => either().prop_map(|(o, l)| Step::Zero(o, l)),
        2 => either().prop_map(|(o, l)| Step::Discard(o, l)),
        1 => Just(Step::Flush),
        2 => Just(Step::Snapshot),
        2 => any::<usize>().prop_map(Step::Reset),
        1 => any::<usize>().prop_map(Step::Fork),
        1 => Just(Step::Grow),
        1 => any::<usize>().prop_map(Step::DeleteSnapshot),
        2 => any::<usize>().prop_map(Step::Switch),
        1 => Just(Step::Reopen),
    ]
}

/// The volumes and snapshots as they should be, and the engine's.
struct Pair<'a> {
    store: &'a dyn Store,
    bench: Bench,
    volumes: BTreeMap<u64, Vec<u8>>,
    snapshots: BTreeMap<u64, Vec<u8>>,
    current: u64,
    last_id: u64,
}

impl<'a> Pair<'a> {
    /// A volume of its own on a store that others have used.
    fn new(store: &'a dyn Store, round: u64) -> Self {
        let bench = Bench::new(store);
        let first = round << 16;
        drop(bench.create(first, SIZE));
        Self {
            store,
            bench,
            volumes: BTreeMap::from([(first, vec![0; SIZE as usize])]),
            snapshots: BTreeMap::new(),
            current: first,
            last_id: first,
        }
    }

    fn pick(from: &BTreeMap<u64, Vec<u8>>, n: usize) -> Option<u64> {
        from.keys().copied().nth(n.checked_rem(from.len())?)
    }

    fn model(&mut self) -> &mut Vec<u8> {
        self.volumes.get_mut(&self.current).expect("it is there")
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Write(offset, length, stamp) => {
                let data = pattern(stamp, length);
                write(&*self.bench.open(self.current), offset, &data);
                self.model()[offset as usize..][..data.len()].copy_from_slice(&data);
            }
            Step::Zero(offset, length) => {
                zero(&*self.bench.open(self.current), offset, length);
                self.model()[offset as usize..][..length as usize].fill(0);
            }
            Step::Discard(offset, length) => {
                discard(&*self.bench.open(self.current), offset, length);
                let end = (offset + length) / 4096 * 4096;
                let begin = offset.next_multiple_of(4096).min(end);
                self.model()[begin as usize..end as usize].fill(0);
            }
            Step::Flush => {
                run(&*self.bench.open(self.current), Io::Flush).expect("a flush");
            }
            Step::Switch(n) => {
                self.current = Self::pick(&self.volumes, n).expect("a volume is there");
            }
            Step::Reopen => {
                run(&*self.bench.open(self.current), Io::Flush).expect("a flush");
                self.bench = Bench { engine: Box::new(crate::MemoryEngine::new()) };
                self.bench = Bench::new(self.store);
            }
            step => self.change_versions(step),
        }
    }

    fn change_versions(&mut self, step: Step) {
        self.last_id += 1;
        let (id, current) = (self.last_id, self.current);
        match step {
            Step::Snapshot => {
                self.bench.snapshot(current, id);
                let bytes = self.model().clone();
                self.snapshots.insert(id, bytes);
            }
            Step::Reset(n) => {
                let Some(target) = Self::pick(&self.snapshots, n) else {
                    return;
                };
                let mut bytes = self.snapshots[&target].clone();
                if bytes.len() <= self.model().len() {
                    self.bench.reset(current, target);
                    bytes.resize(self.model().len(), 0);
                    *self.model() = bytes;
                }
            }
            Step::Fork(n) => {
                let Some(source) = Self::pick(&self.snapshots, n) else {
                    return;
                };
                let bytes = self.snapshots[&source].clone();
                let size = bytes.len() as u64;
                self.bench
                    .engine
                    .fork(new_op(), SnapshotId(source), VolumeId(id), size)
                    .expect("a fork");
                self.volumes.insert(id, bytes);
            }
            Step::Grow => {
                let size = self.model().len() as u64 + 8192;
                self.bench.engine.grow(new_op(), VolumeId(current), size).expect("a grow");
                self.model().resize(size as usize, 0);
            }
            Step::DeleteSnapshot(n) => {
                if let Some(snapshot) = Self::pick(&self.snapshots, n) {
                    self.snapshots.remove(&snapshot);
                    self.bench
                        .engine
                        .delete_snapshot(new_op(), SnapshotId(snapshot))
                        .expect("a delete");
                }
            }
            _ => {}
        }
    }

    fn compare(&self) {
        for (id, bytes) in &self.volumes {
            let found = read(&*self.bench.open(*id), 0, bytes.len() as u64);
            assert_same(&found, bytes, &format!("volume {id}"));
        }
        for (id, bytes) in &self.snapshots {
            let found = self.bench.snapshot_bytes(*id, bytes.len() as u64);
            assert_same(&found, bytes, &format!("snapshot {id}"));
        }
    }
}

/// Any sequence of operations does what it does to vectors of bytes.
pub fn random_operations_match_a_model(store: &dyn Store) {
    let round = AtomicU64::new(0);
    let config = Config { cases: 16, failure_persistence: None, ..Config::default() };
    let steps = prop::collection::vec(step(), 1..60);
    let outcome = TestRunner::new(config).run(&steps, |steps| {
        let mut pair = Pair::new(store, round.fetch_add(1, Relaxed) + 1);
        for step in steps {
            pair.take(step);
        }
        pair.compare();
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}
