//! Pools as the first program of each format wrote them, kept in tests/fixtures: every later one
//! has to read them, or has to say that they are of another version.
//!
//! `EBB_FIXTURE=write cargo test -p ebb-local fixture` writes the newest anew. That is for a new
//! version of the format only, under another name.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ebb_volume::{BLOCK_BYTES, DataKey, Io, OpId, SnapshotId, Volume, VolumeId, run};

use crate::check::check;
use crate::cipher::Cipher;
use crate::file::PoolFile;
use crate::layout::BLOCK;
use crate::pool::{CheckpointStep, Pool, Setup};
use crate::record::Change;
use crate::volume::Handle;

const BLOCKS: u64 = 24;
const VOLUME: VolumeId = VolumeId(1);
const FORK: VolumeId = VolumeId(2);
/// Encrypted, and in pools from version 4 on.
const SEALED: VolumeId = VolumeId(3);
const KEPT: SnapshotId = SnapshotId(1);
const DROPPED: SnapshotId = SnapshotId(2);

fn fixture(version: u8) -> PathBuf {
    let name = format!("../../tests/fixtures/pool-v{version}.dat");
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn cipher() -> Arc<Cipher> {
    Arc::new(Cipher::new(&DataKey::new([4; 32])))
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
    let cipher = (volume == SEALED).then(cipher);
    Handle::new(pool, pool.open_handle(volume, cipher).unwrap())
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
        (SEALED, 4..) => None,
        (SEALED, 2..) => Some(7),
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

/// A snapshot that is kept and one that was dropped, a fork, a discard, an encrypted volume; most
/// of it in checkpoints, and the end of it in the log only.
fn make(directory: &Path) {
    let pool = open(directory);
    let mut op = 0;
    let mut change = |change| {
        op += 1;
        pool.change(OpId([op; 16]), change).unwrap();
    };
    let checkpoints = || while pool.checkpoint_step() != CheckpointStep::Idle {};
    let size_bytes = BLOCKS * BLOCK_BYTES;
    change(Change::CreateVolume { volume: VOLUME, size_bytes, key_check: None });
    write(&pool, VOLUME, 0..BLOCKS, 1);
    change(Change::CreateSnapshots { pairs: vec![(VOLUME, KEPT)] });
    write(&pool, VOLUME, 0..8, 2);
    checkpoints();
    change(Change::CreateSnapshots { pairs: vec![(VOLUME, DROPPED)] });
    write(&pool, VOLUME, 0..4, 3);
    change(Change::DeleteSnapshot { snapshot: DROPPED });
    let key_check = Some(cipher().check());
    change(Change::CreateVolume { volume: SEALED, size_bytes, key_check });
    write(&pool, SEALED, 0..4, 1);
    checkpoints();
    write(&pool, SEALED, 2..4, 7);
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
fn a_pool_of_the_format_before_is_read() {
    is_read(3, &[VOLUME, FORK]);
}

#[test]
fn a_pool_of_this_format_is_read() {
    if std::env::var_os("EBB_FIXTURE").is_some() {
        let directory = tempfile::tempdir().unwrap();
        make(directory.path());
        std::fs::copy(directory.path().join("pool.dat"), fixture(4)).unwrap();
    }
    is_read(4, &[VOLUME, FORK, SEALED]);
}

fn is_read(version: u8, volumes: &[VolumeId]) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pool.dat");
    std::fs::copy(fixture(version), &path).unwrap();
    assert_eq!(std::fs::read(&path).unwrap()[7], version);
    let report = check(directory.path()).unwrap();
    assert_eq!(report.findings, Vec::<String>::new());
    let many = volumes.len() as u64;
    assert_eq!((report.volumes, report.snapshots, report.versions), (many, 1, many + 1));

    let pool = open(directory.path());
    assert_eq!(std::fs::read(&path).unwrap()[7], 4, "it is of the newest format from here on");
    volumes.iter().for_each(|volume| read(&pool, *volume));
    pool.change(OpId([100; 16]), Change::Reset { volume: FORK, target: KEPT }).unwrap();
    let fork = handle(&pool, FORK);
    let (offset, length) = (BLOCK_BYTES, BLOCK as u32);
    assert_eq!(run(&fork, Io::Read { offset, length }).unwrap(), content(1, 1));
    while pool.checkpoint_step() != CheckpointStep::Idle {}
    drop(fork);
    drop(pool);
    assert_eq!(check(directory.path()).unwrap().findings, Vec::<String>::new());
}
