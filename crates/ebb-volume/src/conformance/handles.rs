//! Handles: open, dropped, revoked, stale.

use super::*;

const SIZE: u64 = 64 * KIB;

/// Every request of a stale handle is refused.
fn assert_stale(volume: &dyn Volume) {
    let (offset, length, fua) = (0, 4096, false);
    let data = vec![0xee; 4096].into();
    let requests = [
        Io::Read { offset, length: length as u32 },
        Io::Write { offset, data, fua },
        Io::Zero { offset, length, fua },
        Io::Discard { offset, length, fua },
        Io::Flush,
    ];
    for io in requests {
        let what = format!("{io:?}");
        assert_eq!(run(volume, io), Err(IoError::Stale), "{what:.20}");
    }
}

/// While a handle is open, the volume's content is its client's.
pub fn an_open_volume_is_neither_reset_nor_deleted(store: &dyn Store) {
    let bench = Bench::new(store);
    let volume = bench.create(1, SIZE);
    bench.snapshot(1, 10);
    write(&*volume, 0, b"kept");
    let in_use = Err(EngineError::InUse(VolumeId(1)));
    let reset = || bench.engine.reset(new_op(), VolumeId(1), SnapshotId(10));
    let delete = || bench.engine.delete_volume(new_op(), VolumeId(1));
    assert_eq!((reset(), delete()), (in_use.clone(), in_use.clone()));
    let second = bench.open(1);
    drop(volume);
    assert_eq!((reset(), delete()), (in_use.clone(), in_use));
    assert_eq!(read(&*second, 0, 4), b"kept");
    write(&*second, 0, b"more");
    drop(second);
    reset().expect("a reset");
    delete().expect("a delete");
}

/// Dropping the last handle is enough to reset and delete.
pub fn a_dropped_handle_is_closed(store: &dyn Store) {
    let bench = Bench::new(store);
    drop(bench.create(1, SIZE));
    bench.snapshot(1, 10);
    for _ in 0..10 {
        let handles = [(); 3].map(|()| bench.open(1));
        write(&*handles[2], 0, b"x");
        drop(handles);
        bench.reset(1, 10);
        assert_eq!(read(&*bench.open(1), 0, 1), [0]);
    }
}

/// What one handle writes the other reads.
pub fn handles_see_one_content(store: &dyn Store) {
    let bench = Bench::new(store);
    let (first, second) = (bench.create(1, SIZE), bench.open(1));
    write(&*first, 10, b"one");
    assert_eq!(read(&*second, 10, 3), b"one");
    write(&*second, 10, b"two");
    run(&*first, Io::Flush).expect("a flush");
    assert_eq!(read(&*first, 10, 3), b"two");
}

/// After revoke, and after the reset that follows, an old handle can do nothing. New ones can.
pub fn a_revoked_handle_is_stale_for_ever(store: &dyn Store) {
    let bench = Bench::new(store);
    let old = bench.create(1, SIZE);
    write(&*old, 0, &pattern(1, SIZE));
    bench.snapshot(1, 10);
    write(&*old, 0, &pattern(2, SIZE));
    bench.engine.revoke(VolumeId(1)).expect("a revoke");
    assert_stale(&*old);
    let second = bench.open(1);
    assert_same(&read(&*second, 0, SIZE), &pattern(2, SIZE), "after revoke");
    bench.engine.revoke(VolumeId(1)).expect("a second revoke");
    assert_stale(&*second);
    bench.reset(1, 10);
    assert_stale(&*old);
    assert_stale(&*second);
    let new = bench.open(1);
    assert_same(&read(&*new, 0, SIZE), &pattern(1, SIZE), "after reset");
    // An old handle's end is not a new one's.
    drop(old);
    let outcome = bench.engine.reset(new_op(), VolumeId(1), SnapshotId(10));
    assert_eq!(outcome, Err(EngineError::InUse(VolumeId(1))));
    assert_stale(&*second);
    write(&*new, 0, b"x");
}

/// A handle does not outlive its volume.
pub fn a_handle_of_a_deleted_volume_is_stale(store: &dyn Store) {
    let bench = Bench::new(store);
    let handle = bench.create(1, SIZE);
    bench.engine.revoke(VolumeId(1)).expect("a revoke");
    bench.engine.delete_volume(new_op(), VolumeId(1)).expect("a delete");
    assert_stale(&*handle);
}

/// After close nothing is answered any more, and closing again says so.
pub fn a_closed_engine_has_stopped(store: &dyn Store) {
    let bench = Bench::new(store);
    let volume = bench.create(1, SIZE);
    bench.engine.health().expect("healthy");
    bench.engine.close().expect("a close");
    let engine = &bench.engine;
    let outcomes = [
        engine.health(),
        engine.close(),
        engine.create_volume(new_op(), VolumeId(2), SIZE, None),
        engine.open(VolumeId(1), None).map(|_| ()),
        engine.revoke(VolumeId(1)),
        engine.inventory().map(|_| ()),
    ];
    for outcome in outcomes {
        assert!(matches!(outcome, Err(EngineError::Stopped(_))), "{outcome:?}");
    }
    assert_eq!(try_read(&*volume, 0, 1), Err(IoError::Failed));
    assert_eq!(try_write(&*volume, 0, b"x"), Err(IoError::Failed));
}
