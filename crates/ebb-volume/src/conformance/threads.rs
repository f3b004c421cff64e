//! Many threads at once.

use std::sync::Barrier;
use std::sync::atomic::AtomicBool;
use std::thread;

use super::*;

/// Threads that write parts of one block do not undo each other, nor one that writes all of it.
pub fn writers_of_one_block_keep_each_others_bytes(store: &dyn Store) {
    const WRITERS: usize = 4;
    let bench = Bench::new(store);
    let volume = bench.create(1, 64 * KIB);
    let barrier = Barrier::new(WRITERS + 1);
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (volume, barrier) = (&volume, &barrier);
            scope.spawn(move || {
                for round in 0..150_u8 {
                    barrier.wait();
                    let offset = 4096 + 512 * writer as u64;
                    write(&**volume, offset, &[round | 1; 512]);
                    barrier.wait();
                }
            });
        }
        for round in 0..150_u8 {
            barrier.wait();
            // Two blocks, whole; the writers are within the first.
            write(&*volume, 4096, &[round & 0xfe; 8192]);
            barrier.wait();
            let found = read(&*volume, 4096, 8192);
            for (sector, bytes) in found.chunks_exact(512).enumerate() {
                let own = sector < WRITERS && bytes == [round | 1; 512];
                let all = bytes == [round & 0xfe; 512];
                assert!(own || all, "sector {sector} in round {round}");
            }
        }
    });
    // Parts alone: each stays.
    thread::scope(|scope| {
        for writer in 0..8_u8 {
            let volume = &volume;
            scope.spawn(move || {
                for round in 0..100_u8 {
                    let offset = 500 * u64::from(writer);
                    write(&**volume, offset, &[writer ^ round; 500]);
                    assert_eq!(read(&**volume, offset, 500), [writer ^ round; 500]);
                }
            });
        }
    });
    for writer in 0..8_u8 {
        let found = read(&*volume, 500 * u64::from(writer), 500);
        assert_same(&found, &[writer ^ 99; 500], "a part");
    }
}

/// Threads with a volume each do not meet.
pub fn concurrent_work_on_many_volumes(store: &dyn Store) {
    const SIZE: u64 = 64 * KIB;
    let bench = &Bench::new(store);
    thread::scope(|scope| {
        for id in 1..=4_u64 {
            scope.spawn(move || {
                for round in 0..8 {
                    let (volume, snapshot) = (id * 1000 + round, id * 1000 + round);
                    let handle = bench.create(volume, SIZE);
                    write(&*handle, 0, &pattern(volume, SIZE));
                    bench.snapshot(volume, snapshot);
                    write(&*handle, 1000, &pattern(1, 5000));
                    run(&*handle, Io::Flush).expect("a flush");
                    drop(handle);
                    bench.reset(volume, snapshot);
                    let found = read(&*bench.open(volume), 0, SIZE);
                    assert_same(&found, &pattern(volume, SIZE), "after reset");
                    if round % 2 == 0 {
                        bench
                            .engine
                            .delete_snapshot(new_op(), SnapshotId(snapshot))
                            .expect("a delete");
                    }
                }
            });
        }
    });
    let inventory = bench.engine.inventory().expect("an inventory");
    assert_eq!((inventory.volumes.len(), inventory.snapshots.len()), (32, 16));
}

fn stamp_of(block: &[u8]) -> u64 {
    u64::from_le_bytes(block[..8].try_into().expect("eight bytes"))
}

/// A snapshot under load holds every write before an instant and none after, on all its volumes.
pub fn snapshots_under_writes_are_prefixes(store: &dyn Store) {
    const BLOCKS: u64 = 8;
    let bench = Bench::new(store);
    let volumes = [1, 2].map(|id| bench.create(id, BLOCKS * 4096));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            // One write after the other, to both volumes in turn; each names its number.
            let mut stamp = 1;
            while !done.load(Relaxed) {
                let mut block = vec![0; 4096];
                block[..8].copy_from_slice(&u64::to_le_bytes(stamp));
                for volume in &volumes {
                    write(&**volume, stamp % BLOCKS * 4096, &block);
                }
                stamp += 1;
            }
        });
        for snapshot in 0..40 {
            let pairs = [1, 2].map(|v| (VolumeId(v), SnapshotId(10 * snapshot + v)));
            bench.engine.create_snapshots(new_op(), &pairs).expect("a snapshot");
        }
        done.store(true, Relaxed);
    });
    for snapshot in 0..40 {
        let newest = [1, 2].map(|v| {
            let bytes = bench.snapshot_bytes(10 * snapshot + v, BLOCKS * 4096);
            let stamps: Vec<u64> = bytes.chunks_exact(4096).map(stamp_of).collect();
            let newest = *stamps.iter().max().expect("blocks");
            for (block, found) in stamps.into_iter().enumerate() {
                let behind = (newest + BLOCKS - block as u64) % BLOCKS;
                let expected = newest.saturating_sub(behind);
                assert_eq!(found, expected, "block {block} with newest {newest}");
            }
            newest
        });
        let [first, second] = newest;
        assert!(first == second || first == second + 1, "{newest:?}");
    }
}

/// Once revoke has returned, no write of an old handle changes anything.
pub fn nothing_lands_after_revoke(store: &dyn Store) {
    const SIZE: u64 = 64 * KIB;
    let bench = Bench::new(store);
    drop(bench.create(1, SIZE));
    for round in 0..25_u64 {
        let handle = bench.open(1);
        let started = Barrier::new(4);
        thread::scope(|scope| {
            for writer in 0..3 {
                let (handle, started) = (&handle, &started);
                scope.spawn(move || {
                    started.wait();
                    let mut stamp = 0;
                    let outcome = loop {
                        let offset = (stamp * 1500 + writer * 4096) % (SIZE - 4096);
                        let data = pattern(stamp + writer, 2000);
                        if let Err(error) = try_write(&**handle, offset, &data) {
                            break error;
                        }
                        stamp += 1;
                    };
                    assert_eq!(outcome, IoError::Stale);
                });
            }
            started.wait();
            thread::sleep(std::time::Duration::from_micros(200 * (round % 5)));
            bench.engine.revoke(VolumeId(1)).expect("a revoke");
            let before = read(&*bench.open(1), 0, SIZE);
            thread::sleep(std::time::Duration::from_millis(2));
            let after = read(&*bench.open(1), 0, SIZE);
            assert_same(&after, &before, "after revoke");
        });
    }
}
