//! Snapshots, resets, forks, sizes, ids.

use super::*;
use crate::{MAX_VOLUME_BYTES, SnapshotInfo, VolumeInfo};

const SIZE: u64 = 256 * KIB;

/// Fills a volume with a stamp's bytes.
fn fill(volume: &dyn Volume, stamp: u64) {
    write(volume, 0, &pattern(stamp, SIZE));
}

/// Writes, zeroes, discards, resets and grows after it do not reach a snapshot.
pub fn a_snapshot_never_changes(store: &dyn Store) {
    let bench = Bench::new(store);
    let volume = bench.create(1, SIZE);
    fill(&*volume, 1);
    bench.snapshot(1, 10);
    write(&*volume, 100, b"after");
    zero(&*volume, 10_000, 50_000);
    discard(&*volume, 64 * KIB, 64 * KIB);
    bench.snapshot(1, 11);
    let second = read(&*volume, 0, SIZE);
    fill(&*volume, 2);
    drop(volume);
    bench.reset(1, 10);
    fill(&*bench.open(1), 3);
    bench.engine.grow(new_op(), VolumeId(1), 2 * SIZE).expect("a grow");
    assert_same(&bench.snapshot_bytes(10, SIZE), &pattern(1, SIZE), "first");
    assert_same(&bench.snapshot_bytes(11, SIZE), &second, "second");
}

/// Snapshots of several volumes in one call show them at one instant.
pub fn a_group_of_snapshots_is_one_instant(store: &dyn Store) {
    let bench = Bench::new(store);
    let volumes = [1, 2, 3].map(|id| bench.create(id, SIZE));
    for (stamp, volume) in volumes.iter().enumerate() {
        fill(&**volume, stamp as u64);
    }
    let pairs: Vec<_> = (1..=3).map(|i| (VolumeId(i), SnapshotId(10 + i))).collect();
    bench.engine.create_snapshots(new_op(), &pairs).expect("a group");
    for (stamp, volume) in volumes.iter().enumerate() {
        write(&**volume, 0, b"later");
        let snapshot = 11 + stamp as u64;
        let expected = pattern(stamp as u64, SIZE);
        assert_same(&bench.snapshot_bytes(snapshot, SIZE), &expected, "one");
    }
    // A group fails as a whole.
    let pairs = [(VolumeId(1), SnapshotId(20)), (VolumeId(99), SnapshotId(21))];
    let outcome = bench.engine.create_snapshots(new_op(), &pairs);
    assert_eq!(outcome, Err(EngineError::NoSuchVolume(VolumeId(99))));
    let snapshots = bench.engine.inventory().expect("an inventory").snapshots;
    assert_eq!(snapshots.len(), 3);
    bench.engine.create_snapshots(new_op(), &[]).expect("a group of none");
    // A group of many is as good.
    let many: Vec<_> = (0..300).map(|i| (VolumeId(1), SnapshotId(100 + i))).collect();
    bench.engine.create_snapshots(new_op(), &many).expect("a large group");
    let expected = read(&*volumes[0], 0, SIZE);
    assert_same(&bench.snapshot_bytes(399, SIZE), &expected, "the last");
}

/// Reset goes back and forth between snapshots, older and newer, and loses none.
pub fn reset_restores_and_keeps_every_snapshot(store: &dyn Store) {
    let bench = Bench::new(store);
    drop(bench.create(1, SIZE));
    for stamp in 0..5 {
        let volume = bench.open(1);
        fill(&*volume, stamp);
        zero(&*volume, stamp * 4096, 4096);
        bench.snapshot(1, 10 + stamp);
    }
    let expected = |stamp: u64| {
        let mut bytes = pattern(stamp, SIZE);
        bytes[stamp as usize * 4096..][..4096].fill(0);
        bytes
    };
    for target in [2, 4, 0, 3, 3, 1] {
        bench.reset(1, 10 + target);
        let volume = bench.open(1);
        assert_same(&read(&*volume, 0, SIZE), &expected(target), "after reset");
        assert_eq!(volume.size_bytes(), SIZE);
        fill(&*volume, 77);
        assert_same(&read(&*volume, 0, SIZE), &pattern(77, SIZE), "written");
        for stamp in 0..5 {
            let found = bench.snapshot_bytes(10 + stamp, SIZE);
            assert_same(&found, &expected(stamp), "a snapshot");
        }
    }
}

/// A volume can become what another was.
pub fn reset_to_a_snapshot_of_another_volume(store: &dyn Store) {
    let bench = Bench::new(store);
    fill(&*bench.create(1, SIZE), 1);
    bench.snapshot(1, 10);
    let other = bench.create(2, 2 * SIZE);
    write(&*other, 0, &pattern(2, 2 * SIZE));
    drop(other);
    bench.reset(2, 10);
    let mut expected = pattern(1, SIZE);
    expected.resize(2 * SIZE as usize, 0);
    assert_same(&read(&*bench.open(2), 0, 2 * SIZE), &expected, "it");
    fill(&*bench.open(2), 3);
    assert_same(&read(&*bench.open(1), 0, SIZE), &pattern(1, SIZE), "other");
    assert_same(&bench.snapshot_bytes(10, SIZE), &pattern(1, SIZE), "target");
}

/// A volume that has grown keeps its size, and reads zero where the snapshot ends.
pub fn reset_of_a_grown_volume_reads_zero_behind_the_snapshot(store: &dyn Store) {
    let bench = Bench::new(store);
    let volume = bench.create(1, SIZE);
    fill(&*volume, 1);
    bench.snapshot(1, 10);
    bench.engine.grow(new_op(), VolumeId(1), 2 * SIZE).expect("a grow");
    write(&*volume, SIZE, &pattern(2, SIZE));
    bench.snapshot(1, 11);
    drop(volume);
    bench.reset(1, 10);
    let volume = bench.open(1);
    assert_eq!(volume.size_bytes(), 2 * SIZE);
    assert_same(&read(&*volume, 0, SIZE), &pattern(1, SIZE), "the front");
    let behind = read(&*volume, SIZE, SIZE);
    assert_same(&behind, &vec![0; SIZE as usize], "behind");
    drop(volume);
    bench.reset(1, 11);
    let behind = read(&*bench.open(1), SIZE, SIZE);
    assert_same(&behind, &pattern(2, SIZE), "behind, in the newer one");
}

/// A snapshot larger than the volume does not fit.
pub fn reset_refuses_a_larger_snapshot(store: &dyn Store) {
    let bench = Bench::new(store);
    drop(bench.create(1, 2 * SIZE));
    bench.snapshot(1, 10);
    fill(&*bench.create(2, SIZE), 2);
    let outcome = bench.engine.reset(new_op(), VolumeId(2), SnapshotId(10));
    assert_eq!(outcome, Err(EngineError::BadSize(2 * SIZE)));
    assert_same(&read(&*bench.open(2), 0, SIZE), &pattern(2, SIZE), "it");
}

/// Fork, source and the volume of the source do not see each other's writes.
pub fn a_fork_stands_on_its_own(store: &dyn Store) {
    let bench = Bench::new(store);
    let volume = bench.create(1, SIZE);
    fill(&*volume, 1);
    bench.snapshot(1, 10);
    bench.engine.fork(new_op(), SnapshotId(10), VolumeId(2), 2 * SIZE).expect("a fork");
    let fork = bench.open(2);
    let mut expected = pattern(1, SIZE);
    expected.resize(2 * SIZE as usize, 0);
    assert_same(&read(&*fork, 0, 2 * SIZE), &expected, "a new fork");
    write(&*fork, 0, &pattern(2, 2 * SIZE));
    fill(&*volume, 3);
    assert_same(&read(&*fork, 0, 2 * SIZE), &pattern(2, 2 * SIZE), "fork");
    assert_same(&read(&*volume, 0, SIZE), &pattern(3, SIZE), "volume");
    assert_same(&bench.snapshot_bytes(10, SIZE), &pattern(1, SIZE), "source");
    bench.snapshot(2, 11);
    assert_same(
        &bench.snapshot_bytes(11, 2 * SIZE),
        &pattern(2, 2 * SIZE),
        "the fork's own snapshot",
    );
}

/// Growing keeps what is there; open handles see the new size at once.
pub fn grow_keeps_bytes_and_reads_zero_behind(store: &dyn Store) {
    let bench = Bench::new(store);
    let volume = bench.create(1, SIZE);
    fill(&*volume, 1);
    let grow = |size| bench.engine.grow(new_op(), VolumeId(1), size);
    grow(2 * SIZE).expect("a grow");
    assert_eq!(volume.size_bytes(), 2 * SIZE);
    assert_same(&read(&*volume, 0, SIZE), &pattern(1, SIZE), "the front");
    assert_same(&read(&*volume, SIZE, SIZE), &vec![0; SIZE as usize], "new");
    write(&*volume, 2 * SIZE - 4, b"last");
    grow(2 * SIZE).expect("a grow to the same size");
    assert_eq!(grow(SIZE), Err(EngineError::BadSize(SIZE)));
    assert_eq!(volume.size_bytes(), 2 * SIZE);
}

/// Whatever goes first, what stays reads as before.
pub fn deletes_in_any_order_keep_the_others(store: &dyn Store) {
    let bench = Bench::new(store);
    // Orders of four: two snapshots of a volume, the volume, and a fork of the first snapshot.
    for (round, order) in permutations(4).into_iter().enumerate() {
        let base = 100 * (round as u64 + 1);
        let (volume, fork) = (base + 1, base + 2);
        let handle = bench.create(volume, SIZE);
        fill(&*handle, base);
        bench.snapshot(volume, base + 10);
        write(&*handle, 0, &pattern(base + 1, SIZE / 2));
        bench.snapshot(volume, base + 11);
        fill(&*handle, base + 2);
        bench.engine.fork(new_op(), SnapshotId(base + 10), VolumeId(fork), SIZE).expect("a fork");
        let mut second = pattern(base, SIZE);
        second[..SIZE as usize / 2].copy_from_slice(&pattern(base + 1, SIZE / 2));
        drop(handle);
        let mut left = vec![0, 1, 2, 3];
        for gone in order {
            left.retain(|kind| *kind != gone);
            match gone {
                0 | 1 => bench.engine.delete_snapshot(new_op(), SnapshotId(base + 10 + gone)),
                2 => bench.engine.delete_volume(new_op(), VolumeId(volume)),
                _ => bench.engine.delete_volume(new_op(), VolumeId(fork)),
            }
            .expect("a delete");
            for kind in &left {
                let (found, expected) = match kind {
                    0 => (bench.snapshot_bytes(base + 10, SIZE), pattern(base, SIZE)),
                    1 => (bench.snapshot_bytes(base + 11, SIZE), second.clone()),
                    2 => (read(&*bench.open(volume), 0, SIZE), pattern(base + 2, SIZE)),
                    _ => (read(&*bench.open(fork), 0, SIZE), pattern(base, SIZE)),
                };
                assert_same(&found, &expected, &format!("{kind} without {gone}"));
            }
        }
    }
    let inventory = bench.engine.inventory().expect("an inventory");
    assert!(inventory.volumes.is_empty() && inventory.snapshots.is_empty());
}

fn permutations(n: u64) -> Vec<Vec<u64>> {
    if n == 0 {
        return vec![Vec::new()];
    }
    let insert = |rest: Vec<u64>| {
        (0..=rest.len()).map(move |at| {
            let mut order = rest.clone();
            order.insert(at, n - 1);
            order
        })
    };
    permutations(n - 1).into_iter().flat_map(insert).collect()
}

/// Only positive multiples of 4 KiB up to 64 TiB are sizes.
pub fn sizes_are_checked(store: &dyn Store) {
    let bench = Bench::new(store);
    drop(bench.create(1, SIZE));
    bench.snapshot(1, 10);
    let bad = [0, 1, 4095, 4097, MAX_VOLUME_BYTES + 4096, u64::MAX];
    for size in bad {
        let refused = Err(EngineError::BadSize(size));
        let (new, engine) = (VolumeId(2), &bench.engine);
        assert_eq!(engine.create_volume(new_op(), new, size, None), refused);
        assert_eq!(engine.fork(new_op(), SnapshotId(10), new, size), refused);
        assert_eq!(engine.grow(new_op(), VolumeId(1), size), refused);
    }
    let small = SIZE - 4096;
    let outcome = bench.engine.fork(new_op(), SnapshotId(10), VolumeId(2), small);
    assert_eq!(outcome, Err(EngineError::BadSize(small)));
    drop(bench.create(3, 4096));
    assert_eq!(bench.engine.inventory().expect("it").volumes.len(), 2);
}

/// What is missing is named in the error; deleting it is no error.
pub fn what_is_not_there_is_named(store: &dyn Store) {
    let bench = Bench::new(store);
    drop(bench.create(1, SIZE));
    let (engine, volume, snapshot) = (&bench.engine, VolumeId(8), SnapshotId(9));
    let no_volume = Err(EngineError::NoSuchVolume(volume));
    let no_snapshot = Err(EngineError::NoSuchSnapshot(snapshot));
    assert_eq!(engine.grow(new_op(), volume, SIZE), no_volume);
    assert_eq!(engine.revoke(volume), no_volume);
    assert_eq!(engine.open(volume, None).map(|_| ()), no_volume);
    let pairs = [(volume, SnapshotId(1))];
    assert_eq!(engine.create_snapshots(new_op(), &pairs), no_volume);
    assert_eq!(engine.fork(new_op(), snapshot, volume, SIZE), no_snapshot);
    assert_eq!(engine.reset(new_op(), VolumeId(1), snapshot), no_snapshot);
    bench.snapshot(1, 10);
    assert_eq!(engine.reset(new_op(), volume, SnapshotId(10)), no_volume);
    assert_eq!(engine.delete_volume(new_op(), volume), Ok(()));
    assert_eq!(engine.delete_snapshot(new_op(), snapshot), Ok(()));
}

/// An id in use is not given to another.
pub fn ids_are_taken_once(store: &dyn Store) {
    let bench = Bench::new(store);
    let volume = bench.create(1, SIZE);
    fill(&*volume, 1);
    bench.snapshot(1, 10);
    let engine = &bench.engine;
    let taken = Err(EngineError::IdTaken);
    assert_eq!(engine.create_volume(new_op(), VolumeId(1), SIZE, None), taken);
    let fork = engine.fork(new_op(), SnapshotId(10), VolumeId(1), SIZE);
    assert_eq!(fork, taken);
    let pair = |snapshot| (VolumeId(1), SnapshotId(snapshot));
    for pairs in [&[pair(10)][..], &[pair(11), pair(10)], &[pair(12), pair(12)]] {
        assert_eq!(engine.create_snapshots(new_op(), pairs), taken);
    }
    assert_eq!(engine.inventory().expect("it").snapshots.len(), 1);
    assert_same(&read(&*volume, 0, SIZE), &pattern(1, SIZE), "the volume");
}

/// The same operation a second time succeeds and does nothing, whatever happened in between.
pub fn a_repeated_operation_changes_nothing(store: &dyn Store) {
    let bench = Bench::new(store);
    let engine = &bench.engine;
    let ops = [(); 7].map(|()| new_op());
    let create = || engine.create_volume(ops[0], VolumeId(1), SIZE, None);
    let snapshot = || engine.create_snapshots(ops[1], &[(VolumeId(1), SnapshotId(10))]);
    let fork = || engine.fork(ops[2], SnapshotId(10), VolumeId(2), SIZE);
    let grow = || engine.grow(ops[3], VolumeId(1), 2 * SIZE);
    let reset = || engine.reset(ops[4], VolumeId(1), SnapshotId(10));
    create().expect("it");
    fill(&*bench.open(1), 1);
    create().expect("again");
    assert_same(&read(&*bench.open(1), 0, SIZE), &pattern(1, SIZE), "create");
    snapshot().expect("it");
    fill(&*bench.open(1), 2);
    snapshot().expect("again");
    assert_same(&bench.snapshot_bytes(10, SIZE), &pattern(1, SIZE), "snapshot");
    fork().expect("it");
    fill(&*bench.open(2), 3);
    fork().expect("again");
    assert_same(&read(&*bench.open(2), 0, SIZE), &pattern(3, SIZE), "fork");
    grow().expect("it");
    engine.grow(new_op(), VolumeId(1), 3 * SIZE).expect("another");
    grow().expect("again");
    assert_eq!(bench.open(1).size_bytes(), 3 * SIZE);
    reset().expect("it");
    fill(&*bench.open(1), 4);
    bench.reset(2, 10);
    reset().expect("again");
    assert_same(&read(&*bench.open(1), 0, SIZE), &pattern(4, SIZE), "reset");
    let handle = bench.open(1);
    reset().expect("again, in use");
    drop(handle);
    let delete = || engine.delete_snapshot(ops[5], SnapshotId(10));
    delete().expect("it");
    delete().expect("again");
    let delete = || engine.delete_volume(ops[6], VolumeId(2));
    delete().expect("it");
    delete().expect("again");
    fork().expect("again, after its deletion");
    let inventory = engine.inventory().expect("an inventory");
    assert_eq!((inventory.volumes.len(), inventory.snapshots.len()), (1, 0));
}

/// A refusal is not remembered: asked again when it can be done, it is done.
pub fn a_failed_operation_may_be_repeated(store: &dyn Store) {
    let bench = Bench::new(store);
    let volume = bench.create(1, SIZE);
    let op = new_op();
    let reset = || bench.engine.reset(op, VolumeId(1), SnapshotId(10));
    let missing = Err(EngineError::NoSuchSnapshot(SnapshotId(10)));
    assert_eq!(reset(), missing);
    fill(&*volume, 1);
    bench.snapshot(1, 10);
    fill(&*volume, 2);
    assert_eq!(reset(), Err(EngineError::InUse(VolumeId(1))));
    drop(volume);
    reset().expect("now");
    assert_same(&read(&*bench.open(1), 0, SIZE), &pattern(1, SIZE), "it");
}

/// Every volume and snapshot is listed with its size.
pub fn the_inventory_lists_what_there_is(store: &dyn Store) {
    let bench = Bench::new(store);
    drop(bench.create(1, SIZE));
    drop(bench.create(2, 2 * SIZE));
    bench.snapshot(1, 10);
    let grown = 4 * SIZE;
    bench.engine.grow(new_op(), VolumeId(1), grown).expect("a grow");
    bench.snapshot(1, 11);
    let mut inventory = bench.engine.inventory().expect("an inventory");
    inventory.volumes.sort_by_key(|info| info.id);
    inventory.snapshots.sort_by_key(|info| info.id);
    let encrypted = false;
    let volume = |id, size_bytes| VolumeInfo { id: VolumeId(id), size_bytes, encrypted };
    let snapshot = |id, size_bytes| SnapshotInfo { id: SnapshotId(id), size_bytes, encrypted };
    assert_eq!(inventory.volumes, [volume(1, grown), volume(2, 2 * SIZE)]);
    assert_eq!(inventory.snapshots, [snapshot(10, SIZE), snapshot(11, grown)]);
}
