//! A pool as the first program of this format wrote it, kept in tests/fixtures: every later one has
//! to read it, or has to say that it is of another version.
//!
//! `EBB_FIXTURE=write cargo test -p ebb-local fixture` writes it anew. That is for a new version of
//! the format only, under another name.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ebb_volume::{BLOCK_BYTES, Io, OpId, SnapshotId, Volume, VolumeId, run};

use crate::check::check;
use crate::file::PoolFile;
use crate::layout::BLOCK;
use crate::pool::{CheckpointStep, Pool, Setup};
use crate::record::Change;
use crate::volume::Handle;

const BLOCKS: u64 = 24;
const VOLUME: VolumeId = VolumeId(1);
const FORK: VolumeId = VolumeId(2);
const KEPT: SnapshotId = SnapshotId(1);
const DROPPED: SnapshotId = SnapshotId(2);

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/pool-v3.dat")
}

fn open(directory: &Path) -> Arc<Pool<PoolFile>> {
    let setup = Setup {
        pool_id: *b"an Ebbtide pool!",
        warm_segments: 3,
        reserve_segments: 2,
        ..Setup::by_hand(16)
    };
    Arc::new(Pool::open(PoolFile::open(directory, Some(0)).unwrap(), setup).unwrap())
}

fn handle(pool: &Arc<Pool<PoolFile>>, volume: VolumeId) -> Handle<PoolFile> {
    Handle::new(pool, volume, pool.open_handle(volume).unwrap())
}

fn content(block: u64, stamp: u8) -> Vec<u8> {
    (0..BLOCK).map(|i| stamp ^ (block as u8) ^ (i / 512) as u8).collect()
}

/// What each block of a volume has as its stamp; none is a hole.
fn stamps(volume: VolumeId) -> [Option<u8>; BLOCKS as usize] {
    std::array::from_fn(|block| match (volume, block) {
        (VOLUME, 20..) => None,
        (VOLUME, 0..4) => Some(4),
        (VOLUME, 4..8) => Some(2),
        (FORK, 1) => Some(5),
        (_, _) => Some(1),
    })
}

fn write(pool: &Arc<Pool<PoolFile>>, volume: VolumeId, blocks: std::ops::Range<u64>, stamp: u8) {
    let volume = handle(pool, volume);
    for block in blocks {
        let (offset, data, fua) = (block * BLOCK_BYTES, content(block, stamp).into(), false);
        volume.submit(Io::Write { offset, data, fua }, Box::new(|outcome| drop(outcome.unwrap())));
        pool.write_all();
        while pool.stock_step() {}
        pool.write_all();
    }
}

/// A snapshot that is kept and one that was dropped, a fork, a discard; most of it in checkpoints,
/// and the end of it in the log only.
fn make(directory: &Path) {
    let pool = open(directory);
    let mut op = 0;
    let mut change = |change| {
        op += 1;
        pool.change(OpId([op; 16]), change).unwrap();
    };
    let checkpoints = || while pool.checkpoint_step() != CheckpointStep::Idle {};
    let size_bytes = BLOCKS * BLOCK_BYTES;
    change(Change::CreateVolume { volume: VOLUME, size_bytes });
    write(&pool, VOLUME, 0..BLOCKS, 1);
    change(Change::CreateSnapshots { pairs: vec![(VOLUME, KEPT)] });
    write(&pool, VOLUME, 0..8, 2);
    checkpoints();
    change(Change::CreateSnapshots { pairs: vec![(VOLUME, DROPPED)] });
    write(&pool, VOLUME, 0..4, 3);
    change(Change::DeleteSnapshot { snapshot: DROPPED });
    checkpoints();
    change(Change::Fork { source: KEPT, volume: FORK, size_bytes });
    write(&pool, FORK, 1..2, 5);
    write(&pool, VOLUME, 0..4, 4);
    let (offset, length, fua) = (20 * BLOCK_BYTES, 4 * BLOCK_BYTES, true);
    handle(&pool, VOLUME).submit(Io::Discard { offset, length, fua }, Box::new(|_| {}));
    pool.write_all();
    while pool.sync_step() {}
}

fn read(pool: &Arc<Pool<PoolFile>>, volume: VolumeId) {
    let handle = handle(pool, volume);
    for (block, stamp) in (0..).zip(stamps(volume)) {
        let (offset, length) = (block * BLOCK_BYTES, BLOCK as u32);
        let expected = stamp.map_or(vec![0; BLOCK], |stamp| content(block, stamp));
        let found = run(&handle, Io::Read { offset, length }).unwrap();
        assert_eq!(found, expected, "{volume:?}, block {block}");
    }
}

#[test]
fn a_pool_of_this_format_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pool.dat");
    if std::env::var_os("EBB_FIXTURE").is_some() {
        make(directory.path());
        std::fs::copy(&path, fixture()).unwrap();
    }
    std::fs::copy(fixture(), &path).unwrap();
    let report = check(directory.path()).unwrap();
    assert_eq!(report.findings, Vec::<String>::new());
    assert_eq!((report.volumes, report.snapshots, report.versions), (2, 1, 3));

    let pool = open(directory.path());
    [VOLUME, FORK].into_iter().for_each(|volume| read(&pool, volume));
    pool.change(OpId([100; 16]), Change::Reset { volume: FORK, target: KEPT }).unwrap();
    let fork = handle(&pool, FORK);
    let (offset, length) = (BLOCK_BYTES, BLOCK as u32);
    assert_eq!(run(&fork, Io::Read { offset, length }).unwrap(), content(1, 1));
    while pool.checkpoint_step() != CheckpointStep::Idle {}
    drop(fork);
    drop(pool);
    assert_eq!(check(directory.path()).unwrap().findings, Vec::<String>::new());
}
