//! Space on a real file: it comes back, to the host too, and a full pool goes on.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use ebb_local::{LocalEngine, Options, check};
use ebb_volume::{Engine, EngineError, Io, IoError, OpId, SnapshotId, Volume, VolumeId, run};

const MIB: u64 = 1 << 20;
const BLOCK: u64 = 4096;
const VOLUME: VolumeId = VolumeId(1);
/// A call that takes longer has got stuck.
const PATIENCE: Duration = Duration::from_secs(60);

fn op(n: u64) -> OpId {
    OpId(std::array::from_fn(|i| (n >> (8 * (i % 8))) as u8))
}

fn write(volume: &dyn Volume, offset: u64, stamp: u8, length: u64) -> Result<(), IoError> {
    let (data, fua) = (vec![stamp; length as usize].into(), false);
    run(volume, Io::Write { offset, data, fua }).map(drop)
}

/// What the file takes of its file system.
fn allocated(directory: &Path) -> u64 {
    std::fs::metadata(directory.join("pool.dat")).unwrap().blocks() * 512
}

/// On top of a pool that was never used come what the log is in, a segment for pages and one for
/// tables; and what the file system takes to tell where all that lies.
fn is_small(directory: &Path, empty: u64) -> bool {
    allocated(directory) <= empty + 3 * 16 * MIB + MIB
}

fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        thread::sleep(Duration::from_millis(20));
    }
    began.elapsed()
}

fn assert_whole(directory: &Path) {
    let report = check(directory).unwrap();
    assert_eq!(report.findings, Vec::<String>::new(), "{report:?}");
}

/// A pool with its reserve, and what it takes.
fn new_pool(directory: &Path) -> (LocalEngine, u64) {
    new_pool_with(directory, Options::default())
}

fn new_pool_with(directory: &Path, options: Options) -> (LocalEngine, u64) {
    let engine = LocalEngine::open(directory, options).unwrap();
    wait_for("the reserve is not made", || engine.stats().segments_made >= 9);
    (engine, allocated(directory))
}

#[test]
fn an_emptied_pool_is_as_small_as_a_new_one() {
    let directory = tempfile::tempdir().unwrap();
    let (engine, empty) = new_pool(directory.path());
    engine.create_volume(op(1), VOLUME, 64 << 40, None).unwrap();
    let volume = engine.open(VOLUME, None).unwrap();
    for n in 0..200 {
        write(&*volume, n * MIB, n as u8, MIB).unwrap();
        if n % 50 == 0 {
            engine.create_snapshots(op(100 + n), &[(VOLUME, SnapshotId(n))]).unwrap();
        }
    }
    assert!(allocated(directory.path()) > empty + 190 * MIB);
    drop(volume);
    engine.delete_volume(op(2), VOLUME).unwrap();
    for n in [0, 50, 100, 150] {
        engine.delete_snapshot(op(300 + n), SnapshotId(n)).unwrap();
    }
    let small = || is_small(directory.path(), empty);
    let took = wait_for("the space does not come back", small);
    assert!(took < Duration::from_secs(30), "it took {took:?}");
    drop(engine);
    assert_whole(directory.path());
}

/// Also what packing was filling is given back.
#[test]
fn a_pool_that_was_packed_is_as_small_when_it_is_emptied() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { checkpoint_log_bytes: 32 * MIB, ..Options::default() };
    let (engine, empty) = new_pool_with(directory.path(), options);
    let blocks = 96 * MIB / BLOCK;
    engine.create_volume(op(1), VOLUME, blocks * BLOCK, None).unwrap();
    let volume = engine.open(VOLUME, None).unwrap();
    (0..96).for_each(|n| write(&*volume, n * MIB, 1, MIB).unwrap());
    let mut n = 0_u64;
    // Until what was packed is packed again: there is an extent for that, and one for the rest.
    wait_for("there is nothing to pack", || {
        for _ in 0..1000 {
            n += 1;
            let block = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % blocks;
            write(&*volume, block * BLOCK, 2, BLOCK).unwrap();
        }
        engine.stats().blocks_packed > 2 * blocks
    });
    drop(volume);
    engine.delete_volume(op(2), VOLUME).unwrap();
    let small = || is_small(directory.path(), empty);
    let took = wait_for("the space does not come back", small);
    assert!(took < Duration::from_secs(30), "it took {took:?}");
    drop(engine);
    assert_whole(directory.path());
}

#[test]
fn a_discarded_volume_gives_its_space_back() {
    let directory = tempfile::tempdir().unwrap();
    let (engine, empty) = new_pool(directory.path());
    let size = 64 << 40;
    engine.create_volume(op(1), VOLUME, size, None).unwrap();
    let volume = engine.open(VOLUME, None).unwrap();
    for n in 0..160 {
        write(&*volume, n * (size / 160), n as u8, MIB).unwrap();
    }
    let began = Instant::now();
    let (offset, length, fua) = (0, size, false);
    run(&*volume, Io::Discard { offset, length, fua }).unwrap();
    println!("64 TiB are discarded in {:?}", began.elapsed());
    let small = || is_small(directory.path(), empty);
    let took = wait_for("the space does not come back", small);
    assert!(took < Duration::from_secs(30), "it took {took:?}");
}

/// A pool of 20 segments.
fn small_pool() -> Options {
    Options {
        max_pool_bytes: Some(MIB + 20 * 16 * MIB),
        reserve_bytes: 4 * 16 * MIB,
        keep_free_bytes: Some(0),
        ..Options::default()
    }
}

#[test]
fn a_full_pool_refuses_data_and_does_all_that_makes_room() {
    let directory = tempfile::tempdir().unwrap();
    let engine = LocalEngine::open(directory.path(), small_pool()).unwrap();
    engine.create_volume(op(1), VOLUME, 1 << 30, None).unwrap();
    let volume = engine.open(VOLUME, None).unwrap();
    write(&*volume, 0, 1, MIB).unwrap();
    engine.create_snapshots(op(2), &[(VOLUME, SnapshotId(1))]).unwrap();
    let fill = |volume: &dyn Volume| {
        (0..1024).find_map(|n| Some((n, write(volume, n * MIB, 2, MIB).err()?)))
    };
    let (mut filled, error) = fill(&*volume).expect("1 GiB does not fit into 20 segments");
    assert_eq!(error, IoError::NoSpace);
    println!("{filled} MiB of 320 were written");
    assert!(filled > 150, "only {filled} MiB were written");

    // Each of these works on a full pool, and again.
    for n in 0..20 {
        // A checkpoint may have made room for a little more meanwhile.
        while write(&*volume, filled * MIB, 2, MIB).is_ok() {
            filled += 1;
            assert!(filled < 320, "more was written than the pool may have");
        }
        engine.create_snapshots(op(100 + n), &[(VOLUME, SnapshotId(100 + n))]).unwrap();
        engine.delete_snapshot(op(200 + n), SnapshotId(100 + n)).unwrap();
    }
    let (offset, length, fua) = (2 * MIB, MIB, true);
    run(&*volume, Io::Discard { offset, length, fua }).unwrap();
    run(&*volume, Io::Flush).unwrap();
    drop(volume);
    engine.reset(op(3), VOLUME, SnapshotId(1)).unwrap();
    let volume = engine.open(VOLUME, None).unwrap();
    let read = run(&*volume, Io::Read { offset: 0, length: MIB as u32 }).unwrap();
    assert!(read.iter().all(|byte| *byte == 1), "the snapshot is what it was");
    // What the reset gave up is room again.
    let began = Instant::now();
    while write(&*volume, 0, 3, MIB).is_err() {
        assert!(began.elapsed() < PATIENCE, "there is no room after a reset");
    }
    println!("there was room again after {:?}", began.elapsed());
    let (again, _) = fill(&*volume).expect("it fits no better than before");
    assert!(again > 150, "only {again} MiB were written after the reset");
    drop(volume);
    engine.delete_volume(op(4), VOLUME).unwrap();
    engine.delete_snapshot(op(5), SnapshotId(1)).unwrap();
    engine.close().unwrap();
    drop(engine);
    assert_whole(directory.path());
}

#[test]
fn a_small_pool_is_overwritten_for_ever() {
    let directory = tempfile::tempdir().unwrap();
    let engine = LocalEngine::open(directory.path(), small_pool()).unwrap();
    let blocks = 120 * MIB / BLOCK;
    engine.create_volume(op(1), VOLUME, blocks * BLOCK, None).unwrap();
    let volume = engine.open(VOLUME, None).unwrap();
    let mut stamps = vec![0_u8; blocks as usize];
    // Four times what the pool holds, in pieces of 16 KiB all over the volume.
    for n in 0..80_000_u64 {
        let block = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % (blocks - 3);
        let stamp = (n % 251) as u8 + 1;
        write(&*volume, block * BLOCK, stamp, 4 * BLOCK).unwrap();
        stamps[block as usize..block as usize + 4].fill(stamp);
    }
    for (block, stamp) in (0..).zip(stamps) {
        let (offset, length) = (block * BLOCK, BLOCK as u32);
        let read = run(&*volume, Io::Read { offset, length }).unwrap();
        assert!(read.iter().all(|byte| *byte == stamp), "block {block}");
    }
    println!("{:?}", engine.stats());
    drop((volume, engine));
    assert_whole(directory.path());
}

/// Two thirds of what the pool may be are alive, and go on being overwritten: more than three
/// quarters of what is not the reserve.
#[test]
fn a_pool_two_thirds_full_is_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let segments = 64;
    let max_pool_bytes = Some(MIB + segments * 16 * MIB);
    let reserve_bytes = Options::default().reserve_bytes;
    let options = Options { max_pool_bytes, reserve_bytes, ..small_pool() };
    let engine = LocalEngine::open(directory.path(), options).unwrap();
    let live_mib = segments * 16 * 2 / 3;
    let blocks = live_mib * MIB / BLOCK;
    engine.create_volume(op(1), VOLUME, blocks * BLOCK, None).unwrap();
    let volume = engine.open(VOLUME, None).unwrap();
    (0..live_mib).for_each(|n| write(&*volume, n * MIB, 1, MIB).unwrap());
    let before = engine.stats();
    for n in 0..40_000_u64 {
        let block = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % (blocks - 7);
        write(&*volume, block * BLOCK, 2, 8 * BLOCK).unwrap();
    }
    let after = engine.stats();
    let packed = (after.blocks_packed - before.blocks_packed) as f64 / (40_000.0 * 8.0);
    println!("{packed:.2} blocks were packed for each that was written, {after:?}");
    assert!(packed < 8.0, "{packed:.2} blocks were packed for each that was written");
    drop((volume, engine));
    assert_whole(directory.path());
}

/// What is read is what was written, whoever takes space back meanwhile.
#[test]
fn readers_see_nothing_of_what_is_given_away() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options {
        checkpoint_log_bytes: 4 * MIB,
        checkpoint_interval: Duration::from_millis(20),
        cache_bytes: 256 << 10,
        scrub_bytes_per_second: 64 * MIB,
        ..small_pool()
    };
    let engine = LocalEngine::open(directory.path(), options).unwrap();
    let blocks = 60 * MIB / BLOCK;
    engine.create_volume(op(1), VOLUME, blocks * BLOCK, None).unwrap();
    // Each block holds its number, and nothing else ever.
    let content = |block: u64| block.to_le_bytes().repeat(BLOCK as usize / 8);
    let volume = engine.open(VOLUME, None).unwrap();
    let (stop, reads) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for n in 0..30_000_u64 {
                let block = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % blocks;
                let (offset, data, fua) = (block * BLOCK, content(block).into(), false);
                run(&*volume, Io::Write { offset, data, fua }).unwrap();
                if n % 1000 == 0 {
                    engine.create_snapshots(op(1000 + n), &[(VOLUME, SnapshotId(n))]).unwrap();
                }
                if n % 1000 == 999 && n > 3000 {
                    engine.delete_snapshot(op(1000 + n), SnapshotId(n - 2999)).unwrap();
                }
            }
        });
        for reader in 0..2_u64 {
            let (stop, reads, volume) = (&stop, &reads, &volume);
            scope.spawn(move || {
                let mut n = reader;
                while !stop.load(Relaxed) {
                    n += 2;
                    let block = n.wrapping_mul(0xd134_2543_de82_ef95) % blocks;
                    let (offset, length) = (block * BLOCK, BLOCK as u32);
                    let read = run(&**volume, Io::Read { offset, length }).unwrap();
                    assert!(read == content(block) || read == vec![0; BLOCK as usize]);
                    reads.fetch_add(1, Relaxed);
                }
            });
        }
        let outcome = writer.join();
        stop.store(true, Relaxed);
        outcome.unwrap();
    });
    let stats = engine.stats();
    println!("{} reads, {stats:?}", reads.into_inner());
    assert!(stats.checkpoints > 5 && stats.blocks_packed > 0, "nothing was at stake: {stats:?}");
    assert_eq!(stats.blocks_damaged, 0);
    drop((volume, engine));
    assert_whole(directory.path());
}

#[test]
fn scrubbing_finds_a_flipped_bit_and_check_names_it() {
    let directory = tempfile::tempdir().unwrap();
    let engine = LocalEngine::open(directory.path(), Options::default()).unwrap();
    engine.create_volume(op(1), VOLUME, 1 << 30, None).unwrap();
    let volume = engine.open(VOLUME, None).unwrap();
    write(&*volume, 5 * MIB, 0xa7, MIB).unwrap();
    drop(volume);
    engine.close().unwrap();
    drop(engine);
    let path = directory.path().join("pool.dat");
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(4096).position(|window| window.iter().all(|b| *b == 0xa7)).unwrap();
    bytes[at + 70 * 4096] ^= 4;
    std::fs::write(&path, bytes).unwrap();

    let report = check(directory.path()).unwrap();
    assert_eq!(report.findings.len(), 1, "{report:?}");
    assert!(report.findings[0].contains("damaged"), "{report:?}");
    let engine = LocalEngine::open(directory.path(), Options::default()).unwrap();
    wait_for("scrubbing does not find it", || engine.stats().blocks_damaged == 1);
    let volume = engine.open(VOLUME, None).unwrap();
    let read = |offset: u64| run(&*volume, Io::Read { offset, length: 4096 });
    let broken: Vec<u64> = (5 * 256..6 * 256).filter(|b| read(b * BLOCK).is_err()).collect();
    assert_eq!(broken.len(), 1, "one block fails, and no other");
    assert_eq!(read(broken[0] * BLOCK), Err(IoError::Corrupt));
}

/// What a dropped version shares with two others is scrubbed while checkpoints come and go.
#[test]
fn scrubbing_and_checkpoints_do_not_wait_for_each_other() {
    let directory = tempfile::tempdir().unwrap();
    let options = |scrub_bytes_per_second| Options {
        checkpoint_interval: Duration::from_millis(1),
        scrub_bytes_per_second,
        ..Options::default()
    };
    let engine = LocalEngine::open(directory.path(), options(0)).unwrap();
    engine.create_volume(op(1), VOLUME, 1 << 30, None).unwrap();
    let volume = engine.open(VOLUME, None).unwrap();
    (0..64).for_each(|n| write(&*volume, n * MIB, 7, MIB).unwrap());
    drop(volume);
    engine.create_snapshots(op(2), &[(VOLUME, SnapshotId(1))]).unwrap();
    engine.fork(op(3), SnapshotId(1), VolumeId(2), 1 << 30).unwrap();
    engine.delete_snapshot(op(4), SnapshotId(1)).unwrap();
    engine.close().unwrap();
    drop(engine);

    let engine = LocalEngine::open(directory.path(), options(128 * MIB)).unwrap();
    let volume = engine.open(VOLUME, None).unwrap();
    wait_for("checkpoints got stuck", || {
        write(&*volume, 512 * MIB, 1, 4096).unwrap();
        engine.stats().checkpoints >= 100
    });
    assert!(engine.stats().blocks_scrubbed > 0, "{:?}", engine.stats());
    let before = Instant::now();
    drop(volume);
    engine.close().unwrap();
    drop(engine);
    assert!(before.elapsed() < Duration::from_secs(10), "closing took {:?}", before.elapsed());
}

#[test]
fn an_open_pool_is_not_checked() {
    let directory = tempfile::tempdir().unwrap();
    let refused = check(directory.path()).unwrap_err();
    assert!(matches!(refused, EngineError::Stopped(_)), "{refused}");
    let engine = LocalEngine::open(directory.path(), Options::default()).unwrap();
    let refused = check(directory.path()).unwrap_err();
    assert!(refused.to_string().contains("locked"), "{refused}");
    drop(engine);
    assert_whole(directory.path());
}
