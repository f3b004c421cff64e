//! What outlives the engine.

use super::*;

const SIZE: u64 = 256 * KIB;

/// Everything durable is there again: after a close, and after a drop without one.
pub fn what_was_durable_is_there_after_reopening(store: &dyn Store) {
    let bench = Bench::new(store);
    let volume = bench.create(1, SIZE);
    write(&*volume, 0, &pattern(1, SIZE));
    bench.snapshot(1, 10);
    write(&*volume, 5000, b"flushed");
    zero(&*volume, 64 * KIB, 64 * KIB);
    discard(&*volume, 128 * KIB, 4096);
    run(&*volume, Io::Flush).expect("a flush");
    let mut expected = read(&*volume, 0, SIZE);
    drop((volume, bench));

    for round in 0..4 {
        let bench = Bench::new(store);
        let volume = bench.open(1);
        assert_same(&read(&*volume, 0, SIZE), &expected, "the volume");
        assert_same(&bench.snapshot_bytes(10, SIZE), &pattern(1, SIZE), "it");
        let (offset, fua) = (round * 8192, true);
        let data = pattern(round, 5000);
        expected[offset as usize..][..5000].copy_from_slice(&data);
        let data = data.into();
        run(&*volume, Io::Write { offset, data, fua }).expect("a write with FUA");
        if round % 2 == 0 {
            write(&*volume, 200 * KIB, b"not flushed, but closed");
            expected[200 * KIB as usize..][..23].copy_from_slice(b"not flushed, but closed");
            bench.engine.close().expect("a close");
        }
    }

    let bench = Bench::new(store);
    bench.reset(1, 10);
    drop(bench);
    let bench = Bench::new(store);
    assert_same(&read(&*bench.open(1), 0, SIZE), &pattern(1, SIZE), "reset");
}

/// An operation repeated after a crash is known.
pub fn operations_are_remembered_after_reopening(store: &dyn Store) {
    let (create, snapshot, reset) = (new_op(), new_op(), new_op());
    let repeat = |bench: &Bench| {
        let engine = &bench.engine;
        engine.create_volume(create, VolumeId(1), SIZE, None).expect("a volume");
        engine.create_snapshots(snapshot, &[(VolumeId(1), SnapshotId(10))]).expect("a snapshot");
        engine.reset(reset, VolumeId(1), SnapshotId(10)).expect("a reset");
    };
    let bench = Bench::new(store);
    repeat(&bench);
    write(&*bench.open(1), 0, &pattern(1, SIZE));
    run(&*bench.open(1), Io::Flush).expect("a flush");
    drop(bench);
    let bench = Bench::new(store);
    repeat(&bench);
    assert_same(&read(&*bench.open(1), 0, SIZE), &pattern(1, SIZE), "it");
}
