//! What of an encrypted volume is in the file, and what becomes of a change to it there.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::HashSet;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use ebb_local::{LocalEngine, Options, check};
use ebb_volume::{DataKey, Engine, Io, IoError, OpId, SnapshotId, Volume, VolumeId, run};

const BLOCK: usize = 4096;
const SIZE: u64 = 8 << 20;

/// Bytes that nothing else has.
const KEY: [u8; 32] = *b"a key that is lent, and not kept";

fn key() -> DataKey {
    DataKey::new(KEY)
}

fn open(directory: &Path) -> LocalEngine {
    LocalEngine::open(directory, Options { warm_segments: 0, ..Options::default() }).unwrap()
}

fn create(engine: &LocalEngine, id: u64, key: Option<&DataKey>) {
    engine.create_volume(OpId([id as u8; 16]), VolumeId(id), SIZE, key).unwrap();
}

fn write(volume: &dyn Volume, block: u64, data: &[u8]) {
    let (offset, data) = (block * BLOCK as u64, data.to_vec().into());
    run(volume, Io::Write { offset, data, fua: true }).unwrap();
}

fn read(volume: &dyn Volume, block: u64) -> Result<Vec<u8>, IoError> {
    let (offset, length) = (block * BLOCK as u64, BLOCK as u32);
    run(volume, Io::Read { offset, length }).map(|bytes| bytes.to_vec())
}

fn text(words: &str) -> Vec<u8> {
    words.bytes().cycle().take(BLOCK).collect()
}

fn has(pool: &[u8], needle: &[u8]) -> bool {
    pool.windows(needle.len()).any(|window| window == needle)
}

#[test]
fn neither_the_bytes_nor_the_key_are_in_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path());
    create(&engine, 1, Some(&key()));
    create(&engine, 2, None);
    for (id, words) in [(1, "a guest's secret. "), (2, "what anybody may read. ")] {
        let volume = engine.open(VolumeId(id), (id == 1).then_some(&key())).unwrap();
        (0..20).for_each(|block| write(&*volume, block, &text(words)));
        // A block in part, which is read before it is written.
        let (offset, data) = (5000, words.repeat(200).into());
        run(&*volume, Io::Write { offset, data, fua: true }).unwrap();
        engine
            .create_snapshots(OpId([id as u8 + 10; 16]), &[(VolumeId(id), SnapshotId(id))])
            .unwrap();
    }
    engine.close().unwrap();
    let pool = std::fs::read(directory.path().join("pool.dat")).unwrap();
    assert!(has(&pool, b"what anybody may read. what any"), "nothing would be found");
    assert!(!has(&pool, b"secret"));
    assert!(!has(&pool, &KEY[..8]));
}

#[test]
fn the_same_bytes_are_never_the_same_in_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path());
    for id in [1, 2] {
        create(&engine, id, Some(&key()));
        let volume = engine.open(VolumeId(id), Some(&key())).unwrap();
        for _ in 0..2 {
            (0..100).for_each(|block| write(&*volume, block, &[9; BLOCK]));
            engine
                .create_snapshots(OpId([id as u8 + 10; 16]), &[(VolumeId(id), SnapshotId(id))])
                .unwrap();
        }
        // In one request too.
        write(&*volume, 200, &[9; 50 * BLOCK]);
    }
    engine.close().unwrap();
    let pool = std::fs::read(directory.path().join("pool.dat")).unwrap();
    let (mut seen, mut blocks) = (HashSet::new(), 0);
    // The superblocks are two of the same.
    for block in pool[1 << 20..].chunks_exact(BLOCK).filter(|block| **block != [0; BLOCK]) {
        assert!(seen.insert(block), "a block that is there twice");
        blocks += 1;
    }
    assert!(blocks > 2 * 2 * 100 + 2 * 50, "{blocks}");
}

/// Where the record is that was written last, and holds one encrypted block.
fn last_record(file: &File) -> u64 {
    let mut found = None;
    let mut block = [0; BLOCK];
    for at in (0..file.metadata().unwrap().len()).step_by(BLOCK) {
        file.read_exact_at(&mut block, at).unwrap();
        let seq = u64::from_le_bytes(block[40..48].try_into().unwrap());
        // One entry, a Write, encrypted, of one block.
        let is_one = block.starts_with(b"EBBTREC\x01\x01\x00\x01\x00") && block[128..130] == [1, 1];
        if is_one && found.is_none_or(|(newest, _)| newest < seq) {
            found = Some((seq, at));
        }
    }
    found.unwrap().1
}

/// CRC32C, by its definition.
fn crc32c(bytes: &[u8]) -> [u8; 4] {
    let mut crc = !0_u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 };
        }
    }
    (!crc).to_le_bytes()
}

/// A pool with two encrypted blocks, as a kill leaves it; the second is changed in the file. With
/// the checksums put right that is seen by none but who has the key.
fn changed(with_checksums: bool) -> (tempfile::TempDir, Vec<String>) {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path());
    create(&engine, 1, Some(&key()));
    let volume = engine.open(VolumeId(1), Some(&key())).unwrap();
    write(&*volume, 3, &[3; BLOCK]);
    write(&*volume, 4, &[4; BLOCK]);
    drop((volume, engine));

    let file = File::options().read(true).write(true).open(directory.path().join("pool.dat"));
    let file = file.unwrap();
    let at = last_record(&file);
    let mut record = vec![0; 2 * BLOCK];
    file.read_exact_at(&mut record, at).unwrap();
    let (header, data) = record.split_at_mut(BLOCK);
    assert_eq!(header[160..164], crc32c(data), "the checksum is that of the encrypted bytes");
    data[1000] ^= 0x20;
    if with_checksums {
        header[160..164].copy_from_slice(&crc32c(data));
        header[76..80].fill(0);
        let crc = crc32c(header);
        header[76..80].copy_from_slice(&crc);
    }
    file.write_all_at(&record, at).unwrap();
    let found = check(directory.path()).unwrap().findings;
    (directory, found)
}

#[test]
fn a_change_in_the_file_is_seen_by_the_tag_if_not_by_the_checksum() {
    let (directory, findings) = changed(true);
    assert_eq!(findings, Vec::<String>::new(), "the check has no key");
    let engine = open(directory.path());
    for _ in 0..2 {
        let volume = engine.open(VolumeId(1), Some(&key())).unwrap();
        assert_eq!(read(&*volume, 3).unwrap(), [3; BLOCK]);
        assert_eq!(read(&*volume, 4), Err(IoError::Corrupt));
        // It is read first: nothing of it is left in what would be written.
        let part = Io::Write { offset: 4 * BLOCK as u64, data: vec![1; 10].into(), fua: false };
        assert_eq!(run(&*volume, part), Err(IoError::Corrupt));
        assert_eq!(read(&*volume, 5).unwrap(), [0; BLOCK]);
    }
    let volume = engine.open(VolumeId(1), Some(&key())).unwrap();
    write(&*volume, 4, &[8; BLOCK]);
    assert_eq!(read(&*volume, 4).unwrap(), [8; BLOCK]);
}

#[test]
fn a_flipped_bit_is_seen_by_the_checksum_without_a_key() {
    // Durable only as a whole: a start takes it for a write that was under way.
    let directory = changed(false).0;
    let engine = open(directory.path());
    let volume = engine.open(VolumeId(1), Some(&key())).unwrap();
    assert_eq!(read(&*volume, 4).unwrap(), [0; BLOCK]);

    write(&*volume, 4, &[4; BLOCK]);
    let file = File::options().read(true).write(true).open(directory.path().join("pool.dat"));
    let file = file.unwrap();
    let at = last_record(&file) + BLOCK as u64 + 1000;
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
    assert_eq!(read(&*volume, 4), Err(IoError::Corrupt));
    assert_eq!(read(&*volume, 3).unwrap(), [3; BLOCK]);
    drop((volume, engine));
    // Whatever a start makes of it, it needs no key for that.
    assert!(check(directory.path()).is_ok());
}
