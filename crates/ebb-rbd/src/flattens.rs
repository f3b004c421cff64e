//! Flattening, the bound of parents, the learned rate and forgotten operations, on a real cluster.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::env;
use std::process::id;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use ebb_volume::{Difference, Engine, Io, OpId, SnapshotId, Volume, VolumeId, run};

use crate::engine::lock;
use crate::flatten::MAX_DEPTH;
use crate::map::OBJECT_BYTES;
use crate::records::{
    FlattenRow, ImageRow, OpRow, ReapRow, VolumeRow, flatten_key, image_key, op_key, volume_key,
};
use crate::{Options, RbdEngine, ResetMode};

const OBJECTS: u64 = 64;
const SIZE: u64 = OBJECTS * OBJECT_BYTES;
const BLOCK: u64 = 4096;
const VOLUME: VolumeId = VolumeId(1);

fn options(name: &str, reset: ResetMode, flatten_rate: u32) -> Options {
    let conf = env::var_os("EBB_TEST_CEPH_CONF")
        .expect("there is no Ceph cluster: these tests are run by `cargo xtask ceph`");
    let namespace = format!("flatten-{}-{name}", id());
    let (pool, user) = ("rbd".into(), "admin".into());
    Options { conf: conf.into(), pool, namespace, user, reset, flatten_rate }
}

fn op(n: u64) -> OpId {
    OpId(u128::from(n).to_be_bytes())
}

fn write(handle: &dyn Volume, offset: u64, byte: u8) {
    let data = vec![byte; BLOCK as usize].into();
    run(handle, Io::Write { offset, data, fua: true }).unwrap();
}

fn read(handle: &dyn Volume, offset: u64) -> u8 {
    let bytes = run(handle, Io::Read { offset, length: BLOCK as u32 }).unwrap();
    assert!(bytes.iter().all(|byte| *byte == bytes[0]), "a torn block at {offset}");
    bytes[0]
}

/// The first block of each of the first `objects`.
fn fill(engine: &RbdEngine, volume: VolumeId, objects: u64, byte: u8) {
    let handle = engine.open(volume, None).unwrap();
    (0..objects).for_each(|object| write(&*handle, object * OBJECT_BYTES, byte));
}

fn image_of(engine: &RbdEngine, volume: VolumeId) -> (String, ImageRow) {
    let records = engine.shared.records();
    let row: VolumeRow = records.row(&volume_key(volume)).unwrap().unwrap();
    let image = records.image(&row.image).unwrap();
    (row.image, image)
}

fn wait_until(what: &str, is: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is() {
        assert!(Instant::now() < deadline, "{what} did not come");
        thread::sleep(Duration::from_millis(20));
    }
}

fn is_flat(engine: &RbdEngine, volume: VolumeId) -> bool {
    image_of(engine, volume).1.parent.is_none()
}

/// A volume with 1 everywhere, snapshot 10 of that, and then a clone of it by a reset.
fn cloned(options: &Options) -> RbdEngine {
    let engine = RbdEngine::open(options).unwrap();
    engine.create_volume(op(100), VOLUME, SIZE, None).unwrap();
    fill(&engine, VOLUME, OBJECTS, 1);
    engine.create_snapshots(op(101), &[(VOLUME, SnapshotId(10))]).unwrap();
    fill(&engine, VOLUME, 4, 2);
    engine.reset(op(102), VOLUME, SnapshotId(10)).unwrap();
    assert!(!is_flat(&engine, VOLUME));
    engine
}

/// Writes until it is told to stop; each writer has blocks of its own, in all objects. What was
/// answered for each, and how many writes that were.
fn writer(handle: &dyn Volume, first: u64, stop: &AtomicBool) -> (Vec<Option<u8>>, usize) {
    let (mut written, mut count) = (vec![None; OBJECTS as usize], 0_u64);
    while !stop.load(SeqCst) {
        // Objects in an order that is not the flattening's.
        let object = count * 37 % OBJECTS;
        let byte = 2 + (count % 250) as u8;
        write(handle, object * OBJECT_BYTES + first * BLOCK, byte);
        written[object as usize] = Some(byte);
        count += 1;
    }
    (written, count as usize)
}

#[test]
#[ignore = "needs a Ceph cluster: cargo xtask ceph"]
fn a_client_that_writes_meanwhile_loses_nothing() {
    let options = options("writers", ResetMode::Clone, 24);
    let engine = cloned(&options);
    let parent = image_of(&engine, VOLUME).1.parent.unwrap().0;
    let handle = engine.open(VOLUME, None).unwrap();
    // It is written to, which is what it is flattened for.
    write(&*handle, SIZE - BLOCK, 7);
    let (stop, handle_of_all) = (AtomicBool::new(false), &*handle);
    let (written, took) = thread::scope(|scope| {
        let stop = &stop;
        let spawn = |first| scope.spawn(move || writer(handle_of_all, first, stop));
        let writers: Vec<_> = (0..4).map(spawn).collect();
        let begun = Instant::now();
        engine.flattener.wake();
        wait_until("the end of the flattening", || is_flat(&engine, VOLUME));
        let took = begun.elapsed();
        stop.store(true, SeqCst);
        let written: Vec<_> = writers.into_iter().map(|one| one.join().unwrap()).collect();
        (written, took)
    });
    let writes: usize = written.iter().map(|(_, count)| count).sum();
    let copied = engine.stats().objects_copied;
    println!("{writes} writes while {copied} objects were copied in {took:?}");
    // When nobody hangs on the image that was left, it goes, and what is read is the volume's own.
    engine.delete_snapshot(op(103), SnapshotId(10)).unwrap();
    let records = engine.shared.records();
    wait_until("the end of the parent", || {
        records.row::<ImageRow>(&image_key(&parent)).unwrap().is_none()
    });
    for (first, (blocks, _)) in (0..).zip(&written) {
        for (object, byte) in (0..).zip(blocks) {
            let before = if first == 0 { 1 } else { 0 };
            let found = read(&*handle, object * OBJECT_BYTES + first * BLOCK);
            assert_eq!(found, byte.unwrap_or(before), "block {first} of object {object}");
        }
    }
    assert_eq!(read(&*handle, SIZE - BLOCK), 7);
}

/// Where there are changes, and how long each is.
fn changed(differences: &[Difference]) -> Vec<(u64, u64)> {
    let mut at = 0;
    let mut found = Vec::new();
    for Difference { length, changed } in differences {
        if *changed {
            found.push((at, *length));
        }
        at += length;
    }
    found
}

/// Whether Ceph has an image of this name.
fn is_there(engine: &RbdEngine, image: &str) -> bool {
    crate::ffi::Image::open_to_look(&engine.shared.records().pool, image).is_ok()
}

#[test]
#[ignore = "needs a Ceph cluster: cargo xtask ceph"]
fn what_hung_on_a_deleted_snapshot_is_flattened_and_its_parent_goes() {
    let options = options("deleted", ResetMode::Clone, 1000);
    let engine = cloned(&options);
    let parent = image_of(&engine, VOLUME).1.parent.unwrap().0;
    fill(&engine, VOLUME, 2, 3);
    engine.create_snapshots(op(103), &[(VOLUME, SnapshotId(11))]).unwrap();
    // After the snapshot: what only the snapshot sees in the parent is copied for it too.
    let handle = engine.open(VOLUME, None).unwrap();
    let zeroes = Io::Discard { offset: 8 * OBJECT_BYTES, length: 2 * OBJECT_BYTES, fua: true };
    run(&*handle, zeroes).unwrap();
    let before = handle.changed(SnapshotId(11), 0, SIZE, 1000.try_into().unwrap()).unwrap();
    engine.delete_snapshot(op(104), SnapshotId(10)).unwrap();
    wait_until("the end of the flattening", || is_flat(&engine, VOLUME));
    wait_until("the end of the parent", || !is_there(&engine, &parent));
    let after = handle.changed(SnapshotId(11), 0, SIZE, 1000.try_into().unwrap()).unwrap();
    assert_eq!(changed(&before), changed(&after));
    let expected = |object| match object {
        0 | 1 => 3,
        8 | 9 => 0,
        _ => 1,
    };
    for object in 0..OBJECTS {
        assert_eq!(read(&*handle, object * OBJECT_BYTES), expected(object), "object {object}");
    }
    drop(handle);
    engine.fork(op(105), SnapshotId(11), VolumeId(2), SIZE).unwrap();
    let fork = engine.open(VolumeId(2), None).unwrap();
    assert_eq!(read(&*fork, 8 * OBJECT_BYTES), 1);
    assert_eq!(read(&*fork, 0), 3);
    let records = engine.shared.records();
    assert_eq!(records.all::<FlattenRow>("f/").unwrap(), []);
    assert_eq!(engine.stats().flattened, 1);
}

/// A crash before the row is changed, and one before the parent is given up: an engine died, and
/// its claim is there still.
#[test]
#[ignore = "needs a Ceph cluster: cargo xtask ceph"]
fn a_flattening_that_is_broken_off_is_finished() {
    for step in ["copied", "independent"] {
        let options = options(step, ResetMode::Clone, 0);
        drop(cloned(&options));
        let options = Options { flatten_rate: 1000, ..options };
        let engine = RbdEngine::open(&options).unwrap();
        *lock(&engine.shared.crash_at) = Some(step);
        let (image, row) = image_of(&engine, VOLUME);
        let parent = row.parent.unwrap().0;
        // The thread panics at the step, which is what a crash leaves.
        engine.delete_snapshot(op(103), SnapshotId(10)).unwrap();
        wait_until("the end of the copying", || engine.stats().objects_copied == OBJECTS);
        drop(engine);
        let engine = RbdEngine::open(&options).unwrap();
        let records = engine.shared.records();
        let claim = || records.row::<FlattenRow>(&flatten_key(&image)).unwrap();
        assert!(claim().is_some());
        assert_eq!(is_flat(&engine, VOLUME), step == "independent");
        assert!(is_there(&engine, &parent));
        // The claim is taken over when it has not changed for long.
        wait_until("the end of the flattening", || {
            engine.flattener.wake();
            claim().is_none() && !is_there(&engine, &parent)
        });
        assert!(is_flat(&engine, VOLUME));
        let handle = engine.open(VOLUME, None).unwrap();
        assert!((0..OBJECTS).all(|object| read(&*handle, object * OBJECT_BYTES) == 1));
    }
}

/// A fork of an image that is being flattened sees all of it, and keeps it from losing its parent.
#[test]
#[ignore = "needs a Ceph cluster: cargo xtask ceph"]
fn what_others_hang_on_is_not_flattened() {
    let options = options("forked", ResetMode::Clone, 24);
    let engine = cloned(&options);
    let parent = image_of(&engine, VOLUME).1.parent.unwrap().0;
    engine.create_snapshots(op(103), &[(VOLUME, SnapshotId(11))]).unwrap();
    engine.delete_snapshot(op(104), SnapshotId(10)).unwrap();
    wait_until("the beginning", || engine.stats().objects_copied > 0);
    engine.fork(op(105), SnapshotId(11), VolumeId(2), SIZE).unwrap();
    let fork = engine.open(VolumeId(2), None).unwrap();
    // The fork has two parents, and the first of them was deleted for a user, so it is flattened;
    // then its own parent may be. All the time, what it reads is there.
    wait_until("the end of the parent", || {
        (0..OBJECTS).for_each(|object| assert_eq!(read(&*fork, object * OBJECT_BYTES), 1));
        if engine.stats().flattened == 0 && !is_flat(&engine, VolumeId(2)) {
            assert!(!is_flat(&engine, VOLUME), "it lost its parent with a clone on it");
            engine.delete_snapshot(op(106), SnapshotId(11)).unwrap();
        }
        !is_there(&engine, &parent)
    });
    assert!(is_flat(&engine, VOLUME) && is_flat(&engine, VolumeId(2)));
}

#[test]
#[ignore = "needs a Ceph cluster: cargo xtask ceph"]
fn of_several_engines_one_flattens() {
    let options = options("several", ResetMode::Clone, 0);
    let first = cloned(&options);
    let handle = first.open(VOLUME, None).unwrap();
    write(&*handle, 0, 9);
    let options = Options { flatten_rate: 1000, ..options };
    let second = RbdEngine::open(&options).unwrap();
    // It is open at the first, which flattens nothing.
    second.delete_snapshot(op(103), SnapshotId(10)).unwrap();
    thread::sleep(Duration::from_secs(2));
    assert!(!is_flat(&second, VOLUME));
    assert_eq!(read(&*handle, 0), 9);
    drop(handle);
    drop(first);
    let third = RbdEngine::open(&options).unwrap();
    third.flattener.wake();
    second.flattener.wake();
    wait_until("the end of the flattening", || is_flat(&second, VOLUME));
    let flattened = || second.stats().flattened + third.stats().flattened;
    wait_until("its being counted", || flattened() > 0);
    assert_eq!(flattened(), 1);
    let handle = third.open(VOLUME, None).unwrap();
    assert_eq!(read(&*handle, 0), 9);
}

#[test]
#[ignore = "needs a Ceph cluster: cargo xtask ceph"]
fn twenty_resets_or_forks_in_a_row_have_few_parents() {
    let options = options("deep", ResetMode::Clone, 0);
    let engine = RbdEngine::open(&options).unwrap();
    let size = 4 * OBJECT_BYTES;
    engine.create_volume(op(1), VOLUME, size, None).unwrap();
    engine.create_volume(op(2), VolumeId(100), size, None).unwrap();
    fill(&engine, VolumeId(100), 1, 100);
    let depth = |volume| engine.shared.depth(&image_of(&engine, volume).0).unwrap();
    let (mut resets, mut forks) = (Vec::new(), Vec::new());
    for n in 1..=20 {
        fill(&engine, VOLUME, 4, n);
        let own = SnapshotId(u64::from(n));
        engine.create_snapshots(op(1000 + u64::from(n)), &[(VOLUME, own)]).unwrap();
        fill(&engine, VOLUME, 2, 0);
        engine.reset(op(2000 + u64::from(n)), VOLUME, own).unwrap();
        let handle = engine.open(VOLUME, None).unwrap();
        assert!((0..4).all(|object| read(&*handle, object * OBJECT_BYTES) == n));
        resets.push(depth(VOLUME));

        let (from, to) = (VolumeId(99 + u64::from(n)), VolumeId(100 + u64::from(n)));
        let snapshot = SnapshotId(100 + u64::from(n));
        engine.create_snapshots(op(3000 + u64::from(n)), &[(from, snapshot)]).unwrap();
        engine.fork(op(4000 + u64::from(n)), snapshot, to, size).unwrap();
        let handle = engine.open(to, None).unwrap();
        assert_eq!(read(&*handle, 0), 99 + n);
        write(&*handle, 0, 100 + n);
        forks.push(depth(to));
    }
    // Resets stay at the bound, and go back in place from then on; forks begin again.
    let bound = |n: usize| n.min(MAX_DEPTH);
    assert_eq!(resets, (1..=20).map(bound).collect::<Vec<_>>());
    assert_eq!(forks, (1..=20).map(|n| n % (MAX_DEPTH + 1)).collect::<Vec<_>>());
    let stats = engine.stats();
    assert_eq!((stats.resets_by_clone, stats.resets_in_place), (8, 12));
    // Back to one in the middle: a clone of an image that was left.
    engine.reset(op(5000), VOLUME, SnapshotId(3)).unwrap();
    let handle = engine.open(VOLUME, None).unwrap();
    assert_eq!((read(&*handle, 0), depth(VOLUME)), (3, 3));
    drop(handle);
    // Back to the last: of an image at the bound, so it is flattened first.
    engine.reset(op(5001), VOLUME, SnapshotId(20)).unwrap();
    let handle = engine.open(VOLUME, None).unwrap();
    assert_eq!((read(&*handle, 3 * OBJECT_BYTES), depth(VOLUME)), (20, 0));
}

#[test]
#[ignore = "needs a Ceph cluster: cargo xtask ceph"]
fn the_rate_of_rollbacks_is_learned_and_kept() {
    let options = options("rate", ResetMode::Auto, 0);
    let engine = RbdEngine::open(&options).unwrap();
    let first = engine.shared.rollback_rate().unwrap();
    engine.create_volume(op(100), VOLUME, SIZE, None).unwrap();
    fill(&engine, VOLUME, OBJECTS, 1);
    engine.create_snapshots(op(101), &[(VOLUME, SnapshotId(10))]).unwrap();
    fill(&engine, VOLUME, OBJECTS, 2);
    engine.reset(op(102), VOLUME, SnapshotId(10)).unwrap();
    assert_eq!(engine.stats().resets_in_place, 1);
    let learned = engine.shared.rollback_rate().unwrap();
    assert_ne!(learned, first);
    drop(engine);
    let engine = RbdEngine::open(&options).unwrap();
    assert_eq!(engine.shared.rollback_rate().unwrap(), learned);
    // A cluster that is known to be slow has the same volume reset by a clone.
    engine.shared.learn_rate(1000, Duration::from_secs(1000));
    (0..20).for_each(|_| engine.shared.learn_rate(1000, Duration::from_secs(1000)));
    fill(&engine, VOLUME, OBJECTS, 3);
    engine.reset(op(103), VOLUME, SnapshotId(10)).unwrap();
    assert_eq!(engine.stats().resets_in_place, 1, "128 objects at 100 a second are 1.3 s");
}

#[test]
#[ignore = "needs a Ceph cluster: cargo xtask ceph"]
fn old_operations_are_forgotten_and_others_are_repeated() {
    let options = options("operations", ResetMode::Auto, 0);
    let engine = RbdEngine::open(&options).unwrap();
    let create = |n| engine.create_volume(op(n), VolumeId(n), SIZE, None);
    (1..=3).for_each(|n| create(n).unwrap());
    let records = engine.shared.records();
    let row = |n| records.row::<OpRow>(&op_key(op(n))).unwrap();
    let Some(OpRow::Done { asked, at }) = row(1) else { panic!("{:?}", row(1)) };
    let eight_days = 8 * 24 * 3600;
    engine
        .shared
        .settle(|change| {
            let old = OpRow::Done { asked: asked.clone(), at: at - eight_days };
            change.set(op_key(op(1)), &old)?;
            change.set(op_key(op(2)), &row(2).unwrap().asked())
        })
        .unwrap();
    // Of before times were kept; it is known all the same.
    assert!(matches!(row(2), Some(OpRow::Timeless(_))));
    create(2).unwrap();
    engine.shared.forget_operations().unwrap();
    assert_eq!(row(1), None);
    assert!(matches!(row(2), Some(OpRow::Done { at: now, .. }) if now >= at));
    assert_eq!(engine.stats().operations, 2);
    create(2).unwrap();
    create(3).unwrap();
    assert_eq!(records.all::<ReapRow>("d/").unwrap(), []);
}

#[test]
#[ignore = "needs a Ceph cluster: cargo xtask ceph"]
fn a_volume_is_located() {
    let options = options("locate", ResetMode::Clone, 0);
    let engine = cloned(&options);
    let place = engine.locate(VOLUME).unwrap();
    let (image, row) = image_of(&engine, VOLUME);
    let parent = row.parent.unwrap().0;
    assert_eq!((&place.image, &place.id, place.size_bytes), (&image, &row.id, SIZE));
    let features = ["layering", "exclusive-lock", "object-map", "fast-diff", "deep-flatten"];
    // Ceph marks clones with one more, for its own operations.
    assert_eq!(place.features[..5], features);
    assert_eq!(place.snapshots.len(), 1);
    assert_eq!(place.snapshots[0].snapshot, 10);
    assert!(place.snapshots[0].name.starts_with(&format!("{parent}@ebb-")));
    assert_eq!(place.parents, [place.snapshots[0].name.clone()]);
    assert_eq!((place.watchers.len(), place.in_use, place.flattening), (1, false, None));
    engine.delete_snapshot(op(103), SnapshotId(10)).unwrap();
    let place = engine.locate(VOLUME).unwrap();
    assert_eq!(place.snapshots, []);
    assert!(place.parents[0].starts_with(&format!("{parent}@#")), "{:?}", place.parents);
}
