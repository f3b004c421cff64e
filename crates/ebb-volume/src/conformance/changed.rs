//! What differs from a snapshot.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;
use crate::{BLOCK_BYTES, Difference, MAX_VOLUME_BYTES};

fn try_changed(
    volume: &dyn Volume,
    since: u64,
    offset: u64,
    length: u64,
    most: usize,
) -> Result<Vec<Difference>, IoError> {
    let most = NonZeroUsize::new(most).expect("at least one");
    volume.changed(SnapshotId(since), offset, length, most)
}

/// Asks until the whole range is told. The runs joined, and how many calls it took.
fn all_changed(volume: &dyn Volume, since: u64, length: u64, most: usize) -> (Vec<u64>, usize) {
    let mut lengths = vec![0];
    let (mut at, mut calls, mut last) = (0, 0, false);
    while at < length {
        let told = try_changed(volume, since, at, length - at, most).expect("differences");
        assert!((1..=most).contains(&told.len()), "{} of {most}", told.len());
        assert!(told.is_sorted_by(|a, b| a.changed != b.changed), "not joined: {told:?}");
        for Difference { length, changed } in told {
            assert!(length > 0);
            at += length;
            match changed == last {
                true => *lengths.last_mut().expect("there is a first") += length,
                false => lengths.push(length),
            }
            last = changed;
        }
        calls += 1;
    }
    assert_eq!(at, length, "past the end of what was asked for");
    (lengths, calls)
}

/// Lengths in turn of what is as in the snapshot and of what is not.
fn lengths(volume: &dyn Volume, since: u64) -> Vec<u64> {
    all_changed(volume, since, volume.size_bytes(), 100).0
}

/// What was written, zeroed or discarded since, whole blocks of it, and nothing else.
pub fn changes_are_exact_to_the_block(store: &dyn Store) {
    let bench = Bench::new(store);
    let volume = bench.create(1, MIB);
    write(&*volume, 0, &pattern(1, 64 * KIB));
    bench.snapshot(1, 10);
    assert_eq!(lengths(&*volume, 10), [MIB]);
    write(&*volume, 8192, &pattern(2, 4096));
    assert_eq!(lengths(&*volume, 10), [8192, 4096, MIB - 12_288]);
    write(&*volume, 20_000, b"x");
    assert_eq!(lengths(&*volume, 10), [8192, 4096, 4096, 4096, MIB - 20_480]);
    write(&*volume, MIB - 4096, &pattern(3, 4096));
    zero(&*volume, 32_768, 8192);
    let expected = [8192, 4096, 4096, 4096, 12_288, 8192, MIB - 45_056, 4096];
    assert_eq!(lengths(&*volume, 10), expected);
    // A hole that is discarded again stays one.
    discard(&*volume, 128 * KIB, 64 * KIB);
    assert_eq!(lengths(&*volume, 10), expected);
    bench.snapshot(1, 11);
    assert_eq!(lengths(&*volume, 11), [MIB]);
    assert_eq!(lengths(&*volume, 10), expected);
    let told = try_changed(&*volume, 10, 9000, 20_000, 2).expect("differences");
    let told: Vec<_> = told.iter().map(|run| (run.length, run.changed)).collect();
    assert_eq!(told, [(3288, true), (4096, false)]);
}

/// Versions that part, a reset to and fro, a fork, and one that has nothing in common.
pub fn changes_follow_versions(store: &dyn Store) {
    let bench = Bench::new(store);
    let volume = bench.create(1, 64 * KIB);
    write(&*volume, 0, &pattern(1, 32 * KIB));
    bench.snapshot(1, 10);
    write(&*volume, 4096, &pattern(2, 4096));
    bench.snapshot(1, 11);
    drop(volume);
    bench.reset(1, 10);
    let volume = bench.open(1);
    assert_eq!(lengths(&*volume, 10), [64 * KIB]);
    assert_eq!(lengths(&*volume, 11), [4096, 4096, 56 * KIB]);
    write(&*volume, 16_384, &pattern(3, 4096));
    assert_eq!(lengths(&*volume, 10), [16_384, 4096, 44 * KIB]);
    assert_eq!(lengths(&*volume, 11), [4096, 4096, 8192, 4096, 44 * KIB]);
    drop(volume);
    bench.engine.grow(new_op(), VolumeId(1), 128 * KIB).expect("a grow");
    let volume = bench.open(1);
    assert_eq!(lengths(&*volume, 10), [16_384, 4096, 108 * KIB], "behind its end it is zero");
    let size_bytes = 64 * KIB;
    bench.engine.fork(new_op(), SnapshotId(11), VolumeId(2), size_bytes).expect("a fork");
    let fork = bench.open(2);
    assert_eq!(lengths(&*fork, 11), [64 * KIB]);
    assert_eq!(lengths(&*fork, 10), [4096, 4096, 56 * KIB]);
    let other = bench.create(3, 64 * KIB);
    assert_eq!(lengths(&*other, 10), [0, 32 * KIB, 32 * KIB]);
    write(&*other, 0, &pattern(1, 4096));
    assert_eq!(lengths(&*other, 10), [0, 32 * KIB, 32 * KIB], "they have nothing in common");
    bench.engine.delete_snapshot(new_op(), SnapshotId(10)).expect("a deletion");
    let refused = try_changed(&*volume, 10, 0, 4096, 1);
    assert_eq!(refused, Err(IoError::NoSnapshot));
    assert_eq!(lengths(&*fork, 11), [64 * KIB]);
}

/// They are told of what a read would be answered.
pub fn changes_are_refused_as_reads_are(store: &dyn Store) {
    let bench = Bench::new(store);
    let volume = bench.create(1, MIB);
    bench.snapshot(1, 10);
    for (offset, length) in [(MIB, 1), (0, MIB + 1), (u64::MAX, 1), (4096, u64::MAX)] {
        let refused = Err(IoError::OutOfRange);
        assert_eq!(try_changed(&*volume, 10, offset, length, 1), refused, "{offset} + {length}");
    }
    assert_eq!(try_changed(&*volume, 11, 0, MIB, 1), Err(IoError::NoSnapshot));
    assert_eq!(try_changed(&*volume, 10, 5, 0, 1), Ok(vec![]));
    bench.engine.revoke(VolumeId(1)).expect("a revoke");
    assert_eq!(try_changed(&*volume, 10, 0, MIB, 1), Err(IoError::Stale));
    let second = bench.open(1);
    bench.engine.close().expect("a close");
    assert_eq!(try_changed(&*second, 10, 0, MIB, 1), Err(IoError::Failed));
}

/// What two versions have in common costs nothing, whatever the size.
pub fn the_largest_volume_tells_its_changes_at_once(store: &dyn Store) {
    let bench = Bench::new(store);
    let volume = bench.create(1, MAX_VOLUME_BYTES);
    for n in 0..2000 {
        write(&*volume, n * (MAX_VOLUME_BYTES / 2000) / 4096 * 4096, &pattern(n, 4096));
    }
    bench.snapshot(1, 10);
    let places = [4096, 3 << 40, MAX_VOLUME_BYTES - 4096];
    places.iter().for_each(|at| write(&*volume, *at, &pattern(*at, 4096)));
    let expected = [4096, 4096, (3 << 40) - 8192, 4096, (61 << 40) - 8192, 4096];
    let told = |volume: &dyn Volume| all_changed(volume, 10, MAX_VOLUME_BYTES, 1000);
    let (lengths, calls) = told(&*volume);
    assert_eq!(lengths, expected);
    assert!(calls < 10, "{calls} calls");
    bench.engine.close().expect("a close");
    drop((volume, bench));
    let bench = Bench::new(store);
    let (lengths, calls) = told(&*bench.open(1));
    assert_eq!(lengths, expected, "from what is on disk");
    assert!(calls < 10, "{calls} calls");
}

/// A megabyte and a half, worked on around the border between two leaves of a map.
const SIZE: u64 = MIB + 512 * KIB;

#[derive(Debug, Clone)]
enum Step {
    Write(u64, u64),
    Discard(u64, u64),
    Snapshot,
    Reset(usize),
    Delete(usize),
    /// Closed before, or dropped after a flush.
    Reopen(bool),
    Check(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let near = || (MIB - 60_000..MIB + 50_000, 1..9000_u64);
    let blocks = || (240..270_u64, 1..20_u64).prop_map(|(at, n)| (at * 4096, n * 4096));
    prop_oneof![
        6 => prop_oneof![near(), blocks()].prop_map(|(o, l)| Step::Write(o, l)),
        2 => prop_oneof![near(), blocks()].prop_map(|(o, l)| Step::Discard(o, l)),
        1 => (0..100 * KIB, Just(MIB)).prop_map(|(o, l)| Step::Discard(o, l)),
        3 => Just(Step::Snapshot),
        2 => any::<usize>().prop_map(Step::Reset),
        1 => any::<usize>().prop_map(Step::Delete),
        2 => any::<bool>().prop_map(Step::Reopen),
        4 => (1..5_usize).prop_map(Step::Check),
    ]
}

/// Bytes, and for each block the change that wrote it last. None: a hole.
#[derive(Clone)]
struct Model {
    bytes: Vec<u8>,
    written: Vec<Option<u64>>,
}

struct Subject<'a> {
    store: &'a dyn Store,
    bench: Bench,
    volume: u64,
    model: Model,
    snapshots: BTreeMap<u64, Model>,
    made: u64,
    stamp: u64,
}

impl Subject<'_> {
    fn picked(&self, n: usize) -> Option<u64> {
        let n = n.checked_rem(self.snapshots.len())?;
        self.snapshots.keys().nth(n).copied()
    }

    fn take(&mut self, step: Step) {
        let block = BLOCK_BYTES as usize;
        self.stamp += 1;
        match step {
            Step::Write(offset, length) => {
                let data = pattern(self.stamp, length);
                write(&*self.bench.open(self.volume), offset, &data);
                self.model.bytes[offset as usize..][..data.len()].copy_from_slice(&data);
                let touched = offset / BLOCK_BYTES..(offset + length).div_ceil(BLOCK_BYTES);
                touched.for_each(|n| self.model.written[n as usize] = Some(self.stamp));
            }
            Step::Discard(offset, length) => {
                discard(&*self.bench.open(self.volume), offset, length);
                let whole = offset.div_ceil(BLOCK_BYTES)..(offset + length) / BLOCK_BYTES;
                for n in whole {
                    self.model.written[n as usize] = None;
                    self.model.bytes[n as usize * block..][..block].fill(0);
                }
            }
            Step::Snapshot => {
                self.made += 1;
                let id = self.volume + self.made;
                self.bench.snapshot(self.volume, id);
                self.snapshots.insert(id, self.model.clone());
            }
            Step::Reset(n) => {
                let Some(id) = self.picked(n) else { return };
                self.bench.reset(self.volume, id);
                self.model = self.snapshots[&id].clone();
            }
            Step::Delete(n) => {
                let Some(id) = self.picked(n) else { return };
                let deleted = self.bench.engine.delete_snapshot(new_op(), SnapshotId(id));
                deleted.expect("a deletion");
                self.snapshots.remove(&id);
            }
            Step::Reopen(closed) => {
                run(&*self.bench.open(self.volume), Io::Flush).expect("a flush");
                if closed {
                    self.bench.engine.close().expect("a close");
                }
                self.bench = Bench { engine: Box::new(crate::MemoryEngine::new()) };
                self.bench = Bench::new(self.store);
            }
            Step::Check(most) => self.check(most),
        }
    }

    /// Against every snapshot there is.
    fn check(&self, most: usize) {
        let volume = self.bench.open(self.volume);
        let block = BLOCK_BYTES as usize;
        for (id, snapshot) in &self.snapshots {
            let (lengths, _) = all_changed(&*volume, *id, SIZE, most);
            let mut told = Vec::new();
            for (n, length) in lengths.into_iter().enumerate() {
                told.resize(told.len() + length as usize / block, n % 2 == 1);
            }
            for (n, told) in told.into_iter().enumerate() {
                let (now, then) = (self.model.written[n], snapshot.written[n]);
                assert_eq!(told, now != then, "block {n} since {id}: {now:?}, then {then:?}");
                let range = n * block..(n + 1) * block;
                assert!(told || self.model.bytes[range.clone()] == snapshot.bytes[range]);
            }
        }
    }
}

/// After any sequence of operations, what differs from any snapshot is what was changed.
pub fn random_changes_match_a_model(store: &dyn Store) {
    let round = AtomicU64::new(0);
    let config = Config { cases: 24, failure_persistence: None, ..Config::default() };
    let steps = prop::collection::vec(step(), 1..50);
    let outcome = TestRunner::new(config).run(&steps, |steps| {
        let volume = (round.fetch_add(1, Relaxed) + 1) << 16;
        let bench = Bench::new(store);
        drop(bench.create(volume, SIZE));
        let blocks = (SIZE / BLOCK_BYTES) as usize;
        let model = Model { bytes: vec![0; SIZE as usize], written: vec![None; blocks] };
        let (snapshots, made, stamp) = (BTreeMap::new(), 0, 0);
        let mut subject = Subject { store, bench, volume, model, snapshots, made, stamp };
        steps.into_iter().for_each(|step| subject.take(step));
        [1, 7, 1000].into_iter().for_each(|most| subject.check(most));
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}
