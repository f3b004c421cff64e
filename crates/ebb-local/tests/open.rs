//! Opening and closing on a real directory.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use ebb_local::{LocalEngine, Options};
use ebb_volume::{Engine, EngineError, Io, OpId, VolumeId, run};

#[test]
fn what_was_flushed_is_there_after_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let engine = LocalEngine::open(directory.path(), Options::default()).unwrap();
    engine.create_volume(OpId([1; 16]), VolumeId(1), 1 << 30, None).unwrap();
    let volume = engine.open(VolumeId(1), None).unwrap();
    let (offset, data, fua) = (5000, b"some bytes".as_slice().into(), false);
    run(&*volume, Io::Write { offset, data, fua }).unwrap();
    run(&*volume, Io::Flush).unwrap();
    drop((engine, volume));

    let began = Instant::now();
    let engine = LocalEngine::open(directory.path(), Options::default()).unwrap();
    println!("opened again in {:?}", began.elapsed());
    let volume = engine.open(VolumeId(1), None).unwrap();
    let (offset, length) = (4998, 14);
    let read = run(&*volume, Io::Read { offset, length }).unwrap();
    assert_eq!(&read[..], b"\0\0some bytes\0\0");
}

#[test]
fn a_second_engine_is_refused_until_the_first_is_closed() {
    let directory = tempfile::tempdir().unwrap();
    let first = LocalEngine::open(directory.path(), Options::default()).unwrap();
    match LocalEngine::open(directory.path(), Options::default()).err() {
        Some(EngineError::Stopped(reason)) => assert!(reason.contains("locked"), "{reason}"),
        other => panic!("{other:?}"),
    }
    first.close().unwrap();
    assert!(LocalEngine::open(directory.path(), Options::default()).is_ok());
}

#[test]
fn the_pool_is_private_and_small_at_first() {
    let directory = tempfile::tempdir().unwrap();
    let began = Instant::now();
    let engine = LocalEngine::open(directory.path(), Options::default()).unwrap();
    println!("opened in {:?}", began.elapsed());
    std::thread::sleep(Duration::from_millis(600));
    let made = engine.stats().segments_made;
    let metadata = std::fs::metadata(directory.path().join("pool.dat")).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    let Options { warm_segments, reserve_bytes, .. } = Options::default();
    assert!(made <= warm_segments as u64 + reserve_bytes / (16 << 20));
    assert!(metadata.len() <= 176 << 20, "{} bytes", metadata.len());
}
