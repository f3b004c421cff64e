//! What it costs to tell what is stored, and that damage is no hole.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::num::NonZeroUsize;
use std::os::unix::fs::FileExt;
use std::path::Path;

use ebb_local::{LocalEngine, Options};
use ebb_volume::{Engine, Extent, Io, IoError, OpId, Volume, VolumeId, run};

const MIB: u64 = 1 << 20;
const VOLUME: VolumeId = VolumeId(1);
const SIZE: u64 = 64 << 40;

fn open(directory: &Path) -> LocalEngine {
    LocalEngine::open(directory, Options::default()).unwrap()
}

/// A volume of 64 TiB with blocks at `places`, closed, so that its map is on disk.
fn closed(directory: &Path, places: impl Iterator<Item = u64>) {
    let engine = open(directory);
    engine.create_volume(OpId([1; 16]), VOLUME, SIZE, None).unwrap();
    let volume = engine.open(VOLUME, None).unwrap();
    for offset in places {
        let (data, fua) = (vec![7; 4096].into(), false);
        run(&*volume, Io::Write { offset, data, fua }).unwrap();
    }
    engine.close().unwrap();
}

fn extents(volume: &dyn Volume, offset: u64) -> Result<Vec<Extent>, IoError> {
    volume.extents(offset, SIZE - offset, NonZeroUsize::new(100_000).unwrap())
}

#[test]
fn a_large_volume_with_few_blocks_is_told_from_few_pages() {
    let directory = tempfile::tempdir().unwrap();
    closed(directory.path(), [0, 5 << 40, SIZE - 4096].into_iter());
    let engine = open(directory.path());
    let volume = engine.open(VOLUME, None).unwrap();
    let stored = |length| Extent { length, stored: true };
    let hole = |length| Extent { length, stored: false };
    let (first, second) = ((5 << 40) - 4096, (59 << 40) - 8192);
    let expected = [stored(4096), hole(first), stored(4096), hole(second), stored(4096)];
    assert_eq!(engine.stats().pages_read, 0);
    assert_eq!(extents(&*volume, 0).unwrap(), expected);
    // The root, and four more on the way to each of the blocks: two of them share the first.
    assert_eq!(engine.stats().pages_read, 1 + 3 + 4 + 4);
    assert_eq!(extents(&*volume, 0).unwrap(), expected);
    assert_eq!(engine.stats().pages_read, 12, "they are kept");
}

#[test]
fn a_hole_in_memory_needs_no_page_below() {
    let directory = tempfile::tempdir().unwrap();
    closed(directory.path(), (0..100).map(|n| n << 30));
    let engine = open(directory.path());
    let volume = engine.open(VOLUME, None).unwrap();
    run(&*volume, Io::Discard { offset: 0, length: SIZE, fua: false }).unwrap();
    let write = Io::Write { offset: 50 << 30, data: vec![1; 4096].into(), fua: false };
    run(&*volume, write).unwrap();
    let lengths = extents(&*volume, 0).unwrap().into_iter().map(|extent| extent.length);
    assert_eq!(lengths.collect::<Vec<_>>(), [50 << 30, 4096, SIZE - (50 << 30) - 4096]);
    assert_eq!(engine.stats().pages_read, 0);
}

#[test]
fn one_call_looks_at_a_bounded_number_of_pages() {
    let directory = tempfile::tempdir().unwrap();
    // Each in a leaf of its own.
    closed(directory.path(), (0..2000).map(|n| n * MIB));
    let engine = open(directory.path());
    let volume = engine.open(VOLUME, None).unwrap();
    let (mut offset, mut calls, mut stored) = (0, 0, 0);
    while offset < SIZE {
        let before = engine.stats().pages_read;
        let told = extents(&*volume, offset).unwrap();
        let read = engine.stats().pages_read - before;
        assert!(read <= 512, "{read} pages");
        offset += told.iter().map(|extent| extent.length).sum::<u64>();
        stored += told.iter().filter(|extent| extent.stored).count();
        calls += 1;
    }
    assert_eq!(stored, 2000);
    assert!((4..8).contains(&calls), "{calls} calls");
}

#[test]
fn a_damaged_page_is_no_hole() {
    let directory = tempfile::tempdir().unwrap();
    closed(directory.path(), [0, 5 << 40].into_iter());
    let path = directory.path().join("pool.dat");
    let file = std::fs::File::options().read(true).write(true).open(path).unwrap();
    let mut block = [0; 4096];
    for at in (0..file.metadata().unwrap().len()).step_by(4096) {
        file.read_exact_at(&mut block, at).unwrap();
        // Byte 8 of a page's header says what it is: 1 is a leaf.
        if block.starts_with(b"EBBTPAG\x01\x01") {
            file.write_all_at(&[block[2000] ^ 1], at + 2000).unwrap();
        }
    }
    let engine = open(directory.path());
    let volume = engine.open(VOLUME, None).unwrap();
    assert_eq!(extents(&*volume, 0), Err(IoError::Corrupt));
    assert_eq!(extents(&*volume, 6 << 40).unwrap().len(), 1, "the damage is elsewhere");
    // The request is over: nothing waits for it.
    engine.revoke(VOLUME).unwrap();
    assert_eq!(extents(&*volume, 0), Err(IoError::Stale));
}
