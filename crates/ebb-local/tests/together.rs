//! Requests submitted together share records.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::{Arc, mpsc};

use ebb_local::{LocalEngine, Options, Stats};
use ebb_volume::{Completion, Engine, Io, OpId, Volume, VolumeId};

const BLOCK: u64 = 4096;

/// A new pool in `directory` that makes no checkpoint meanwhile, and a volume of 1 GiB.
fn pool(directory: &tempfile::TempDir) -> (LocalEngine, Arc<dyn Volume>) {
    let options = Options { checkpoint_log_bytes: u64::MAX, ..Options::default() };
    let engine = LocalEngine::open(directory.path(), options).unwrap();
    engine.create_volume(OpId([1; 16]), VolumeId(1), 1 << 30, None).unwrap();
    let volume = engine.open(VolumeId(1), None).unwrap();
    (engine, volume)
}

fn write(block: u64, blocks: u64) -> Io {
    let data = vec![7; (blocks * BLOCK) as usize].into();
    Io::Write { offset: block * BLOCK, data, fua: false }
}

/// Records and bytes of the log that these requests took.
fn taken(engine: &LocalEngine, volume: &dyn Volume, requests: Vec<Io>) -> (u64, u64) {
    let before: Stats = engine.stats();
    let (sender, receiver) = mpsc::channel();
    let submitted = requests.len();
    let with_completion = |io| {
        let sender = sender.clone();
        let done: Completion = Box::new(move |outcome| sender.send(outcome).unwrap());
        (io, done)
    };
    volume.submit_all(requests.into_iter().map(with_completion).collect());
    for _ in 0..submitted {
        receiver.recv().unwrap().unwrap();
    }
    let after = engine.stats();
    (after.log_writes - before.log_writes, after.log_bytes - before.log_bytes)
}

#[test]
fn as_many_requests_as_fit_are_one_record() {
    let directory = tempfile::tempdir().unwrap();
    let (engine, volume) = pool(&directory);
    let scattered = |requests: u64| (0..requests).map(|i| write(1000 * i, 1)).collect();
    assert_eq!(taken(&engine, &*volume, scattered(1)), (1, 2 * BLOCK));
    assert_eq!(taken(&engine, &*volume, scattered(32)), (1, 33 * BLOCK));
    // An entry of 32 bytes and a checksum of 4 each, in the 3,968 bytes that a header has for them.
    assert_eq!(taken(&engine, &*volume, scattered(110)), (1, 111 * BLOCK));
    assert_eq!(taken(&engine, &*volume, scattered(111)), (2, 113 * BLOCK));
}

#[test]
fn reads_and_flushes_among_writes_split_no_record() {
    let directory = tempfile::tempdir().unwrap();
    let (engine, volume) = pool(&directory);
    let mut requests = Vec::new();
    for i in 0..10 {
        requests.push(write(10 * i, 2));
        requests.push(Io::Read { offset: 0, length: 4096 });
        requests.push(Io::Zero { offset: (10 * i + 5) * BLOCK, length: BLOCK, fua: true });
        requests.push(Io::Flush);
    }
    assert_eq!(taken(&engine, &*volume, requests), (1, 21 * BLOCK));
}

#[test]
fn a_write_of_a_part_of_a_block_sees_those_before_it() {
    let directory = tempfile::tempdir().unwrap();
    let (engine, volume) = pool(&directory);
    let part = Io::Write { offset: 100, data: vec![9; 50].into(), fua: false };
    let (records, _) = taken(&engine, &*volume, vec![write(0, 1), write(1, 1), part, write(2, 1)]);
    assert_eq!(records, 3);
    let read = ebb_volume::run(&*volume, Io::Read { offset: 0, length: 4096 }).unwrap();
    let mut expected = vec![7; 4096];
    expected[100..150].fill(9);
    assert_eq!(read, expected);
}
