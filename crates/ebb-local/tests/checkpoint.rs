//! Checkpoints on a real file: what a start reads, and that nothing is lost around them.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::time::{Duration, Instant};

use ebb_local::{LocalEngine, Options};
use ebb_volume::{Engine, Io, OpId, SnapshotId, Volume, VolumeId, run};

const MIB: u64 = 1 << 20;
const VOLUME: VolumeId = VolumeId(1);
/// 64 GiB: its blocks are written all over it.
const SIZE: u64 = 64 << 30;

fn often() -> Options {
    Options {
        checkpoint_log_bytes: 256 << 10,
        checkpoint_interval: Duration::from_millis(2),
        cache_bytes: 64 << 10,
        ..Options::default()
    }
}

fn open(directory: &Path, options: Options) -> LocalEngine {
    LocalEngine::open(directory, options).unwrap()
}

fn write(volume: &dyn Volume, offset: u64, stamp: u8) {
    let (data, fua) = (vec![stamp; 4096].into(), false);
    run(volume, Io::Write { offset, data, fua }).unwrap();
}

fn stamp_at(volume: &dyn Volume, offset: u64) -> u8 {
    let length = 4096;
    let read = run(volume, Io::Read { offset, length }).unwrap();
    assert!(read.iter().all(|byte| *byte == read[0]));
    read[0]
}

/// Blocks far from each other.
fn place(n: u64) -> u64 {
    n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % (SIZE / 4096) * 4096
}

#[test]
fn a_start_after_a_close_reads_no_page_and_then_only_those_it_needs() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path(), Options::default());
    engine.create_volume(OpId([1; 16]), VOLUME, SIZE, None).unwrap();
    let volume = engine.open(VOLUME, None).unwrap();
    (0..2000).for_each(|n| write(&*volume, place(n), n as u8));
    drop(volume);
    engine.close().unwrap();
    assert_eq!(engine.stats().checkpoints, 1);
    drop(engine);

    let engine = open(directory.path(), Options::default());
    assert_eq!(engine.stats().pages_read, 0);
    let volume = engine.open(VOLUME, None).unwrap();
    assert_eq!(stamp_at(&*volume, place(1234)), 1234_u64 as u8);
    assert_eq!(engine.stats().pages_read, 5, "one at each level");
    assert_eq!(stamp_at(&*volume, place(1234)), 1234_u64 as u8);
    assert_eq!(engine.stats().pages_read, 5, "they are kept");
}

#[test]
fn a_pool_that_makes_checkpoints_all_the_time_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path(), often());
    engine.create_volume(OpId([1; 16]), VOLUME, SIZE, None).unwrap();
    let volume = engine.open(VOLUME, None).unwrap();
    for round in 0..10_u64 {
        (0..300).for_each(|n| write(&*volume, place(n * (round + 1)), round as u8 + 1));
        let op = OpId([10 + round as u8; 16]);
        engine.create_snapshots(op, &[(VOLUME, SnapshotId(round))]).unwrap();
        (0..300).for_each(|n| write(&*volume, place(n), 100));
    }
    let deadline = Instant::now() + Duration::from_secs(30);
    while engine.stats().checkpoints < 3 {
        assert!(Instant::now() < deadline, "{:?}", engine.stats());
        write(&*volume, place(0), 100);
        std::thread::sleep(Duration::from_millis(1));
    }
    run(&*volume, Io::Flush).unwrap();
    // Like a crash of the process.
    drop((volume, engine));

    let engine = open(directory.path(), often());
    for round in 0..10_u64 {
        let (op, fork) = (OpId([30 + round as u8; 16]), VolumeId(100 + round));
        engine.fork(op, SnapshotId(round), fork, SIZE).unwrap();
        let fork = engine.open(fork, None).unwrap();
        for n in 0..300 {
            assert_eq!(stamp_at(&*fork, place(n * (round + 1))), round as u8 + 1, "{round}, {n}");
        }
    }
}

#[test]
fn a_checkpoint_comes_by_itself_once_something_waited_long_enough() {
    let directory = tempfile::tempdir().unwrap();
    let interval = Duration::from_millis(30);
    let options = Options { checkpoint_interval: interval, ..Options::default() };
    let engine = open(directory.path(), options);
    engine.create_volume(OpId([1; 16]), VOLUME, SIZE, None).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while engine.stats().checkpoints == 0 {
        assert!(Instant::now() < deadline, "none came");
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(10 * interval);
    assert_eq!(engine.stats().checkpoints, 1, "nothing changed since, so there is no other");
}

/// How long a start takes: `EBB_START_MIB` of log, written scattered in blocks of 4 KiB.
#[test]
fn starts_are_measured() {
    let mib = std::env::var("EBB_START_MIB").map_or(16, |mib| mib.parse().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let never = Options {
        checkpoint_log_bytes: u64::MAX,
        checkpoint_interval: Duration::from_secs(1 << 40),
        ..Options::default()
    };
    let engine = open(directory.path(), never.clone());
    engine.create_volume(OpId([1; 16]), VOLUME, SIZE, None).unwrap();
    let volume = engine.open(VOLUME, None).unwrap();
    (0..mib * MIB / 4096).for_each(|n| write(&*volume, place(n), n as u8));
    run(&*volume, Io::Flush).unwrap();
    drop((volume, engine));

    let began = Instant::now();
    let soon = Options { checkpoint_interval: Duration::from_millis(1), ..never.clone() };
    let engine = open(directory.path(), soon);
    println!("{mib} MiB of log, no checkpoint: {:?}", began.elapsed());
    let began = Instant::now();
    while engine.stats().checkpoints == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    println!("a checkpoint of it: {:?}, {:?}", began.elapsed(), engine.stats());
    drop(engine);

    let began = Instant::now();
    let engine = open(directory.path(), never);
    println!("with a checkpoint: {:?}", began.elapsed());
    let volume = engine.open(VOLUME, None).unwrap();
    let began = Instant::now();
    assert_eq!(stamp_at(&*volume, place(77)), 77);
    println!("the first read: {:?}", began.elapsed());
}

/// A checkpoint that is under way when a pool is closed goes on, or is as if it had not begun.
#[test]
fn nothing_is_lost_when_a_pool_is_closed_within_a_checkpoint() {
    let directory = tempfile::tempdir().unwrap();
    let soon = Options { checkpoint_interval: Duration::from_millis(20), ..Options::default() };
    let engine = open(directory.path(), soon.clone());
    engine.create_volume(OpId([1; 16]), VOLUME, SIZE, None).unwrap();
    drop(engine);
    for round in 1..5_u8 {
        let engine = open(directory.path(), soon.clone());
        let volume = engine.open(VOLUME, None).unwrap();
        (0..4000).for_each(|n| write(&*volume, place(n), round));
        let deadline = Instant::now() + Duration::from_secs(20);
        while engine.stats().pages_written == 0 {
            assert!(Instant::now() < deadline, "no checkpoint came");
        }
        drop(volume);
        engine.close().unwrap();
        drop(engine);

        let engine = open(directory.path(), Options::default());
        let volume = engine.open(VOLUME, None).unwrap();
        for n in (0..4000).step_by(7) {
            assert_eq!(stamp_at(&*volume, place(n)), round, "round {round}, block {n}");
        }
    }
}
