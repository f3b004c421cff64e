//! What is stored, and what is a hole.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;
use crate::{BLOCK_BYTES, Extent, MAX_VOLUME_BYTES};

fn try_extents(
    volume: &dyn Volume,
    offset: u64,
    length: u64,
    most: usize,
) -> Result<Vec<Extent>, IoError> {
    volume.extents(offset, length, NonZeroUsize::new(most).expect("at least one"))
}

/// Asks until the whole range is told. The extents joined, and how many calls it took.
fn all_extents(volume: &dyn Volume, offset: u64, length: u64, most: usize) -> (Vec<Extent>, usize) {
    let mut joined: Vec<Extent> = Vec::new();
    let (mut at, mut calls) = (offset, 0);
    while at < offset + length {
        let told = try_extents(volume, at, offset + length - at, most).expect("extents");
        assert!((1..=most).contains(&told.len()), "{} of {most}", told.len());
        assert!(told.iter().all(|extent| extent.length > 0), "{told:?}");
        assert!(told.is_sorted_by(|a, b| a.stored != b.stored), "not joined: {told:?}");
        for extent in told {
            at += extent.length;
            match joined.last_mut() {
                Some(last) if last.stored == extent.stored => last.length += extent.length,
                _ => joined.push(extent),
            }
        }
        calls += 1;
    }
    assert_eq!(at, offset + length, "past the end of what was asked for");
    (joined, calls)
}

/// Lengths in turn of holes and of what is stored, a hole first.
fn lengths(extents: &[Extent]) -> Vec<u64> {
    let first = extents.first().filter(|extent| extent.stored).map(|_| 0);
    first.into_iter().chain(extents.iter().map(|extent| extent.length)).collect()
}

/// A block that was written is stored, whatever part of it; one that was wholly zeroed or discarded
/// is a hole again.
pub fn extents_are_exact_to_the_block(store: &dyn Store) {
    let bench = Bench::new(store);
    let volume = bench.create(1, MIB);
    let found = |volume: &dyn Volume| lengths(&all_extents(volume, 0, MIB, 100).0);
    assert_eq!(found(&*volume), [MIB]);
    write(&*volume, 8192, &pattern(1, 4096));
    assert_eq!(found(&*volume), [8192, 4096, MIB - 12_288]);
    write(&*volume, 12_288 + 4095, &pattern(2, 2));
    assert_eq!(found(&*volume), [8192, 12_288, MIB - 20_480]);
    write(&*volume, MIB - 1, b"x");
    assert_eq!(found(&*volume), [8192, 12_288, MIB - 24_576, 4096]);
    zero(&*volume, 12_288, 4096);
    assert_eq!(found(&*volume), [8192, 4096, 4096, 4096, MIB - 24_576, 4096]);
    discard(&*volume, 8191, 4098);
    assert_eq!(found(&*volume), [16_384, 4096, MIB - 24_576, 4096]);
    discard(&*volume, 16_385, 4096);
    assert_eq!(found(&*volume), [16_384, 4096, MIB - 24_576, 4096], "nothing whole");
    write(&*volume, 0, &pattern(3, MIB));
    assert_eq!(found(&*volume), [0, MIB]);
    zero(&*volume, 0, MIB);
    assert_eq!(found(&*volume), [MIB]);
}

/// Any range, with no more extents than were asked for.
pub fn extents_are_told_from_the_offset_on(store: &dyn Store) {
    let bench = Bench::new(store);
    let volume = bench.create(1, MIB);
    for block in (1..200).step_by(2) {
        write(&*volume, block * 4096, &pattern(block, 4096));
    }
    for most in [1, 2, 3, 1000] {
        let (extents, calls) = all_extents(&*volume, 0, MIB, most);
        let mut expected = vec![4096; 200];
        expected.push(MIB - 200 * 4096);
        assert_eq!(lengths(&extents), expected);
        assert!(calls >= extents.len().div_ceil(most));
        assert_eq!(lengths(&all_extents(&*volume, 4097, 4096, most).0), [0, 4095, 1]);
        assert_eq!(lengths(&all_extents(&*volume, 8191, 1, most).0), [0, 1]);
        assert_eq!(lengths(&all_extents(&*volume, MIB - 1, 1, most).0), [1]);
    }
    let told = try_extents(&*volume, 5000, 100_000, 1).expect("extents");
    assert_eq!(told, [Extent { length: 3192, stored: true }]);
    for offset in [0, 5, MIB] {
        assert_eq!(try_extents(&*volume, offset, 0, 1), Ok(vec![]));
    }
}

/// They are told of what a read would be answered.
pub fn extents_are_refused_as_reads_are(store: &dyn Store) {
    let bench = Bench::new(store);
    let volume = bench.create(1, MIB);
    for (offset, length) in [(MIB, 1), (0, MIB + 1), (u64::MAX, 1), (4096, u64::MAX), (MIB + 1, 0)]
    {
        let refused = Err(IoError::OutOfRange);
        assert_eq!(try_extents(&*volume, offset, length, 1), refused, "{offset} + {length}");
    }
    bench.engine.revoke(VolumeId(1)).expect("a revoke");
    assert_eq!(try_extents(&*volume, 0, MIB, 1), Err(IoError::Stale));
    let second = bench.open(1);
    assert_eq!(lengths(&all_extents(&*second, 0, MIB, 1).0), [MIB]);
    bench.engine.close().expect("a close");
    assert_eq!(try_extents(&*second, 0, MIB, 1), Err(IoError::Failed));
}

/// A reset brings back what was stored; a fork has what its source had.
pub fn extents_follow_versions(store: &dyn Store) {
    let bench = Bench::new(store);
    let volume = bench.create(1, 64 * KIB);
    let found = |volume: &dyn Volume| {
        let size_bytes = volume.size_bytes();
        lengths(&all_extents(volume, 0, size_bytes, 10).0)
    };
    write(&*volume, 4096, &pattern(1, 4096));
    bench.snapshot(1, 10);
    zero(&*volume, 4096, 4096);
    write(&*volume, 16_384, &pattern(2, 4096));
    assert_eq!(found(&*volume), [16_384, 4096, 45_056]);
    drop(volume);
    let size_bytes = 128 * KIB;
    bench.engine.fork(new_op(), SnapshotId(10), VolumeId(2), size_bytes).expect("a fork");
    assert_eq!(found(&*bench.open(2)), [4096, 4096, 122_880]);
    bench.reset(1, 10);
    assert_eq!(found(&*bench.open(1)), [4096, 4096, 57_344]);
    bench.engine.grow(new_op(), VolumeId(1), 128 * KIB).expect("a grow");
    assert_eq!(found(&*bench.open(1)), [4096, 4096, 122_880]);
}

/// A hole costs the same whatever its length.
pub fn the_largest_volume_tells_its_extents_at_once(store: &dyn Store) {
    let bench = Bench::new(store);
    let volume = bench.create(1, MAX_VOLUME_BYTES);
    let scan = |volume: &dyn Volume| all_extents(volume, 0, MAX_VOLUME_BYTES, 1000);
    let (extents, calls) = scan(&*volume);
    assert_eq!((lengths(&extents), calls), (vec![MAX_VOLUME_BYTES], 1));
    let places = [4096, 3 << 40, MAX_VOLUME_BYTES - 4096];
    places.iter().for_each(|at| write(&*volume, *at, &pattern(*at, 4096)));
    let expected = [4096, 4096, (3 << 40) - 8192, 4096, (61 << 40) - 8192, 4096];
    let (extents, calls) = scan(&*volume);
    assert_eq!(lengths(&extents), expected);
    assert!(calls < 10, "{calls} calls");
    bench.engine.close().expect("a close");
    drop((volume, bench));
    let bench = Bench::new(store);
    let (extents, calls) = scan(&*bench.open(1));
    assert_eq!(lengths(&extents), expected);
    assert!(calls < 10, "{calls} calls");
}

/// Two megabytes, worked on around the border between them.
const SIZE: u64 = 2 * MIB;

#[derive(Debug, Clone)]
enum Step {
    Write(u64, u64),
    Zero(u64, u64),
    Discard(u64, u64),
    Snapshot,
    Reset(usize),
    /// Closed before, or dropped after a flush.
    Reopen(bool),
    Ask(u64, u64, usize),
}

fn step() -> impl Strategy<Value = Step> {
    let near = || (MIB - 60_000..MIB + 50_000, 1..9000_u64);
    let blocks = || (240..270_u64, 1..20_u64).prop_map(|(at, n)| (at * 4096, n * 4096));
    let far = || (0..SIZE - 1).prop_flat_map(|at| (Just(at), 1..=SIZE - at));
    let any_range = || prop_oneof![4 => near(), 4 => blocks(), 1 => far()];
    prop_oneof![
        6 => prop_oneof![near(), blocks()].prop_map(|(o, l)| Step::Write(o, l)),
        2 => any_range().prop_map(|(o, l)| Step::Zero(o, l)),
        2 => any_range().prop_map(|(o, l)| Step::Discard(o, l)),
        1 => Just(Step::Snapshot),
        1 => any::<usize>().prop_map(Step::Reset),
        2 => any::<bool>().prop_map(Step::Reopen),
        4 => (any_range(), 1..5_usize).prop_map(|((o, l), most)| Step::Ask(o, l, most)),
    ]
}

/// What is known of each block. Where part of a hole is zeroed, either answer is right.
#[derive(Clone)]
struct Model {
    bytes: Vec<u8>,
    may_be_stored: Vec<bool>,
}

impl Model {
    fn new() -> Self {
        let blocks = SIZE / BLOCK_BYTES;
        Self { bytes: vec![0; SIZE as usize], may_be_stored: vec![false; blocks as usize] }
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        self.bytes[offset as usize..][..data.len()].copy_from_slice(data);
        let end = (offset + data.len() as u64).div_ceil(BLOCK_BYTES);
        self.may_be_stored[(offset / BLOCK_BYTES) as usize..end as usize].fill(true);
    }

    fn zero(&mut self, offset: u64, length: u64) {
        self.write(offset, &vec![0; length as usize]);
        self.discard(offset, length);
    }

    fn discard(&mut self, offset: u64, length: u64) {
        let end = ((offset + length) / BLOCK_BYTES) as usize;
        let first = (offset.div_ceil(BLOCK_BYTES) as usize).min(end);
        self.may_be_stored[first..end].fill(false);
        let block = BLOCK_BYTES as usize;
        self.bytes[first * block..end * block].fill(0);
    }

    fn check(&self, volume: &dyn Volume, offset: u64, length: u64, most: usize) {
        let mut at = offset;
        for extent in all_extents(volume, offset, length, most).0 {
            let end = at + extent.length;
            for block in at / BLOCK_BYTES..end.div_ceil(BLOCK_BYTES) {
                let range = (block * BLOCK_BYTES) as usize..((block + 1) * BLOCK_BYTES) as usize;
                if extent.stored {
                    assert!(self.may_be_stored[block as usize], "block {block} is a hole");
                } else {
                    let zero = self.bytes[range].iter().all(|byte| *byte == 0);
                    assert!(zero, "block {block} is stored");
                }
            }
            at = end;
        }
    }
}

/// One volume, its snapshots, and what they should be.
struct Subject<'a> {
    store: &'a dyn Store,
    bench: Bench,
    volume: u64,
    model: Model,
    snapshots: BTreeMap<u64, Model>,
}

impl Subject<'_> {
    fn take(&mut self, step: Step) {
        let handle = self.bench.open(self.volume);
        match step {
            Step::Write(offset, length) => {
                let data = pattern(offset, length);
                write(&*handle, offset, &data);
                self.model.write(offset, &data);
            }
            Step::Zero(offset, length) => {
                zero(&*handle, offset, length);
                self.model.zero(offset, length);
            }
            Step::Discard(offset, length) => {
                discard(&*handle, offset, length);
                self.model.discard(offset, length);
            }
            Step::Ask(offset, length, most) => self.model.check(&*handle, offset, length, most),
            Step::Snapshot => {
                let id = self.volume + 1 + self.snapshots.len() as u64;
                self.bench.snapshot(self.volume, id);
                self.snapshots.insert(id, self.model.clone());
            }
            Step::Reset(n) => {
                let Some(n) = n.checked_rem(self.snapshots.len()) else { return };
                let (id, model) = self.snapshots.iter().nth(n).expect("one of them");
                drop(handle);
                self.bench.reset(self.volume, *id);
                self.model = model.clone();
            }
            Step::Reopen(closed) => {
                run(&*handle, Io::Flush).expect("a flush");
                drop(handle);
                if closed {
                    self.bench.engine.close().expect("a close");
                }
                self.bench = Bench { engine: Box::new(crate::MemoryEngine::new()) };
                self.bench = Bench::new(self.store);
            }
        }
    }
}

/// After any sequence of operations, what holds data is stored, and what may not be stored is a
/// hole.
pub fn random_extents_match_a_model(store: &dyn Store) {
    let round = AtomicU64::new(0);
    let config = Config { cases: 24, failure_persistence: None, ..Config::default() };
    let steps = prop::collection::vec(step(), 1..40);
    let outcome = TestRunner::new(config).run(&steps, |steps| {
        let volume = (round.fetch_add(1, Relaxed) + 1) << 16;
        let bench = Bench::new(store);
        drop(bench.create(volume, SIZE));
        let (model, snapshots) = (Model::new(), BTreeMap::new());
        let mut subject = Subject { store, bench, volume, model, snapshots };
        for step in steps {
            subject.take(step);
        }
        for most in [1, 7, 1000] {
            subject.model.check(&*subject.bench.open(volume), 0, SIZE, most);
        }
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}
