//! What is stored for snapshots.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;
use crate::{BLOCK_BYTES, MAX_VOLUME_BYTES};

fn stored(bench: &Bench, snapshots: &[u64]) -> u64 {
    let ids: Vec<_> = snapshots.iter().copied().map(SnapshotId).collect();
    let bytes = bench.engine.stored_bytes(&ids).expect("stored bytes");
    assert_eq!(bytes % BLOCK_BYTES, 0, "whole blocks");
    bytes / BLOCK_BYTES
}

/// Across snapshots, a reset to and fro, a fork, and one that has nothing in common.
pub fn stored_bytes_count_each_block_once(store: &dyn Store) {
    let bench = Bench::new(store);
    let volume = bench.create(1, MIB);
    bench.snapshot(1, 10);
    write(&*volume, 0, &pattern(1, 64 * KIB));
    bench.snapshot(1, 11);
    bench.snapshot(1, 12);
    // A part of a block is a block; what is zeroed or discarded is none.
    write(&*volume, 4096, b"x");
    zero(&*volume, 8192, 4096);
    discard(&*volume, 32 * KIB, 32 * KIB);
    write(&*volume, MIB - 4096, &pattern(2, 4096));
    bench.snapshot(1, 13);
    assert_eq!(stored(&bench, &[]), 0);
    assert_eq!(stored(&bench, &[10]), 0);
    assert_eq!(stored(&bench, &[11]), 16);
    assert_eq!(stored(&bench, &[12, 10, 11, 11]), 16);
    assert_eq!(stored(&bench, &[13]), 8);
    assert_eq!(stored(&bench, &[11, 13]), 18);
    drop(volume);
    bench.reset(1, 11);
    let volume = bench.open(1);
    write(&*volume, 0, &pattern(3, 4096));
    bench.snapshot(1, 14);
    assert_eq!(stored(&bench, &[14]), 16);
    assert_eq!(stored(&bench, &[11, 14]), 17);
    assert_eq!(stored(&bench, &[10, 11, 12, 13, 14]), 19);
    bench.engine.fork(new_op(), SnapshotId(13), VolumeId(2), 2 * MIB).expect("a fork");
    let fork = bench.open(2);
    write(&*fork, MIB, &pattern(4, 8192));
    bench.snapshot(2, 20);
    assert_eq!(stored(&bench, &[20]), 10);
    assert_eq!(stored(&bench, &[20, 13]), 10);
    let other = bench.create(3, 64 * KIB);
    write(&*other, 0, &pattern(1, 64 * KIB));
    bench.snapshot(3, 30);
    assert_eq!(stored(&bench, &[30, 11]), 32, "the same bytes, written twice");
    // Others stay as they are when one goes.
    bench.engine.delete_snapshot(new_op(), SnapshotId(11)).expect("a deletion");
    assert_eq!(stored(&bench, &[10, 12, 13, 14]), 19);
}

/// Each has to be there.
pub fn stored_bytes_of_what_is_not_there(store: &dyn Store) {
    let bench = Bench::new(store);
    bench.create(1, MIB);
    bench.snapshot(1, 10);
    let of = |ids: &[u64]| {
        let ids: Vec<_> = ids.iter().copied().map(SnapshotId).collect();
        bench.engine.stored_bytes(&ids)
    };
    assert_eq!(of(&[10, 11]), Err(EngineError::NoSuchSnapshot(SnapshotId(11))));
    bench.engine.delete_snapshot(new_op(), SnapshotId(10)).expect("a deletion");
    assert_eq!(of(&[10]), Err(EngineError::NoSuchSnapshot(SnapshotId(10))));
}

/// What is not stored takes no time.
pub fn the_largest_volume_is_counted_at_once(store: &dyn Store) {
    let bench = Bench::new(store);
    let volume = bench.create(1, MAX_VOLUME_BYTES);
    let places: Vec<u64> =
        (0..46).map(|n| (1 << n) & !4095).chain([MAX_VOLUME_BYTES - 4096]).collect();
    for at in &places {
        write(&*volume, *at, b"x");
    }
    bench.snapshot(1, 10);
    let blocks: BTreeSet<u64> = places.into_iter().collect();
    assert_eq!(stored(&bench, &[10]), blocks.len() as u64);
}

#[derive(Debug, Clone)]
enum Step {
    Write(u64, u64),
    Discard(u64, u64),
    Snapshot,
    Reset(prop::sample::Index),
    Delete(prop::sample::Index),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let range = || (0..BLOCKS, 1..64_u64).prop_map(|(at, n)| (at, n.min(BLOCKS - at)));
    prop_oneof![
        4 => range().prop_map(|(at, n)| Step::Write(at, n)),
        1 => range().prop_map(|(at, n)| Step::Discard(at, n)),
        3 => Just(Step::Snapshot),
        1 => any::<prop::sample::Index>().prop_map(Step::Reset),
        1 => any::<prop::sample::Index>().prop_map(Step::Delete),
        1 => Just(Step::Reopen),
    ]
}

/// Beyond one leaf of a map.
const BLOCKS: u64 = 2000;

/// Each block, with the number of the write that it is from.
type Content = BTreeMap<u64, u64>;

/// A chain of snapshots, and what each of them has.
struct Chain<'a> {
    store: &'a dyn Store,
    bench: Bench,
    volume: u64,
    head: Content,
    snapshots: Vec<(u64, Content)>,
    made: u64,
}

impl Chain<'_> {
    fn take(&mut self, step: &Step) {
        match step {
            Step::Write(at, n) => {
                self.made += 1;
                let bytes = pattern(self.made, n * BLOCK_BYTES);
                write(&*self.bench.open(self.volume), at * BLOCK_BYTES, &bytes);
                self.head.extend((*at..at + n).map(|block| (block, self.made)));
            }
            Step::Discard(at, n) => {
                discard(&*self.bench.open(self.volume), at * BLOCK_BYTES, n * BLOCK_BYTES);
                self.head.retain(|block, _| !(*at..at + n).contains(block));
            }
            Step::Snapshot => {
                self.made += 1;
                let id = self.volume + self.made;
                self.bench.snapshot(self.volume, id);
                self.snapshots.push((id, self.head.clone()));
            }
            Step::Reset(which) if !self.snapshots.is_empty() => {
                let (target, content) = which.get(&self.snapshots);
                self.bench.reset(self.volume, *target);
                self.head.clone_from(content);
            }
            Step::Delete(which) if !self.snapshots.is_empty() => {
                let (gone, _) = self.snapshots.remove(which.index(self.snapshots.len()));
                let deleted = self.bench.engine.delete_snapshot(new_op(), SnapshotId(gone));
                deleted.expect("a deletion");
            }
            Step::Reset(_) | Step::Delete(_) => {}
            Step::Reopen => {
                self.bench.engine.close().expect("it closes");
                self.bench = Bench { engine: Box::new(crate::MemoryEngine::new()) };
                self.bench = Bench::new(self.store);
            }
        }
    }

    fn check(&self) {
        let ids: Vec<u64> = self.snapshots.iter().map(|(id, _)| *id).collect();
        let all: BTreeSet<_> = self.snapshots.iter().flat_map(|(_, content)| content).collect();
        assert_eq!(stored(&self.bench, &ids), all.len() as u64);
    }
}

/// A chain that grows, goes back and loses members, in any order.
pub fn random_stored_bytes_match_a_model(store: &dyn Store) {
    let round = AtomicU64::new(0);
    let config = Config { cases: 24, failure_persistence: None, ..Config::default() };
    let steps = prop::collection::vec(step(), 1..50);
    let outcome = TestRunner::new(config).run(&steps, |steps| {
        let volume = (round.fetch_add(1, Relaxed) + 1) << 16;
        let bench = Bench::new(store);
        drop(bench.create(volume, BLOCKS * BLOCK_BYTES));
        let (head, snapshots, made) = (Content::new(), Vec::new(), 0);
        let mut chain = Chain { store, bench, volume, head, snapshots, made };
        for step in &steps {
            chain.take(step);
            chain.check();
        }
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}
