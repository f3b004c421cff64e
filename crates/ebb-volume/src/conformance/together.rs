//! Requests submitted together.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;

use super::*;

/// Submits requests together and waits for all: the outcome of each, in their order.
pub(crate) fn run_all(
    volume: &dyn Volume,
    requests: Vec<Io>,
) -> Vec<Result<::bytes::Bytes, IoError>> {
    let (sender, receiver) = mpsc::channel();
    let with_completion = |(n, io)| {
        let sender = sender.clone();
        let done = move |outcome| sender.send((n, outcome)).expect("the check waits");
        (io, Box::new(done) as crate::Completion)
    };
    let asked = requests.len();
    let requests = requests.into_iter().enumerate().map(with_completion).collect();
    volume.submit_all(requests);
    drop(sender);
    let mut outcomes = HashMap::new();
    for (n, outcome) in receiver {
        assert_eq!(outcomes.insert(n, outcome), None, "request {n} is answered once");
    }
    let outcome = |n| outcomes.remove(&n).expect("each request is answered");
    (0..asked).map(outcome).collect()
}

fn write_io(offset: u64, data: Vec<u8>, fua: bool) -> Io {
    Io::Write { offset, data: data.into(), fua }
}

/// Each is answered, and each does what it does alone.
pub fn requests_together_do_what_each_does(store: &dyn Store) {
    let bench = Bench::new(store);
    let volume = bench.create(1, 4 * MIB);
    assert!(run_all(&*volume, Vec::new()).is_empty());
    write(&*volume, 0, &pattern(1, MIB));
    let (fua, block) = (false, 4096);
    let mut requests = Vec::new();
    for i in 0..60 {
        let offset = 2 * block * i;
        requests.push(match i % 6 {
            0 => Io::Read { offset, length: 4096 },
            1 => write_io(offset, pattern(2, block), i % 4 == 1),
            2 => Io::Zero { offset, length: block, fua },
            3 => Io::Discard { offset, length: block, fua },
            4 => write_io(offset + 100, pattern(3, 300), false),
            _ => Io::Flush,
        });
    }
    let outcomes = run_all(&*volume, requests);
    let mut model = pattern(1, MIB);
    for (i, outcome) in outcomes.into_iter().enumerate() {
        let at = 2 * block as usize * i;
        let bytes = outcome.unwrap_or_else(|error| panic!("request {i}: {error}"));
        match i % 6 {
            0 => assert_same(&bytes, &model[at..at + 4096], "a read"),
            1 => model[at..at + 4096].copy_from_slice(&pattern(2, block)),
            2 | 3 => model[at..at + 4096].fill(0),
            4 => model[at + 100..at + 400].copy_from_slice(&pattern(3, 300)),
            _ => assert!(bytes.is_empty()),
        }
    }
    assert_same(&read(&*volume, 0, MIB), &model, "the volume");
}

/// Those that can not be done fail alone.
pub fn requests_together_fail_alone(store: &dyn Store) {
    let bench = Bench::new(store);
    let volume = bench.create(1, 64 * KIB);
    let out = Err(IoError::OutOfRange);
    let (length, fua) = (4096, false);
    let outcomes = run_all(
        &*volume,
        vec![
            write_io(64 * KIB, pattern(1, 4096), false),
            write_io(4096, pattern(2, 4096), false),
            Io::Read { offset: u64::MAX, length: 1 },
            write_io(u64::MAX - 4095, pattern(3, 4096), false),
            Io::Zero { offset: u64::MAX - 4095, length, fua },
            Io::Discard { offset: 64 * KIB, length, fua: true },
            write_io(10, pattern(4, 50), true),
            Io::Flush,
            write_io(64 * KIB - 10, pattern(5, 50), false),
        ],
    );
    let ok = |n: usize| outcomes[n].is_ok();
    assert!(ok(1) && ok(6) && ok(7), "{outcomes:?}");
    for n in [0, 2, 3, 4, 5, 8] {
        assert_eq!(outcomes[n], out, "request {n}");
    }
    let mut model = vec![0; 64 * KIB as usize];
    model[4096..8192].copy_from_slice(&pattern(2, 4096));
    model[10..60].copy_from_slice(&pattern(4, 50));
    assert_same(&read(&*volume, 0, 64 * KIB), &model, "the volume");
    bench.engine.revoke(VolumeId(1)).expect("a revoke");
    let requests = vec![
        Io::Read { offset: 0, length: 1 },
        write_io(0, pattern(6, 4096), true),
        write_io(1, pattern(6, 1), false),
        Io::Flush,
    ];
    assert_eq!(run_all(&*volume, requests), vec![Err(IoError::Stale); 4]);
}

/// More of them than any record holds, small and large, in whole blocks and in parts.
pub fn any_number_of_requests_goes_together(store: &dyn Store) {
    const SIZE: u64 = 16 * MIB;
    let bench = Bench::new(store);
    let volume = bench.create(1, SIZE);
    let mut model = vec![0; SIZE as usize];
    for round in 0..4_u64 {
        let mut requests = Vec::new();
        for i in 0..500 {
            let length = match (round, i % 100) {
                (1, 0) => 5 * MIB / 4,
                (2, _) => 700,
                _ => 4096 * (1 + i % 3),
            };
            // No two overlap, but in round 2 several are within a block.
            let offset = if round == 2 { 700 * i } else { 12_288 * i + i / 100 * 2 * MIB };
            let length = length.min(SIZE.saturating_sub(offset));
            if length == 0 {
                continue;
            }
            let data = pattern(1000 * round + i, length);
            let later = (i + 1).is_multiple_of(100);
            if round != 1 || i.is_multiple_of(100) {
                model[offset as usize..][..data.len()].copy_from_slice(&data);
                requests.push(write_io(offset, data, later));
            }
        }
        for outcome in run_all(&*volume, requests) {
            outcome.expect("a write");
        }
        assert_same(&read(&*volume, 0, SIZE), &model, &format!("round {round}"));
    }
}

/// Of requests together on the same bytes, each byte ends as one of them wrote it.
pub fn requests_together_may_overlap(store: &dyn Store) {
    let bench = Bench::new(store);
    let volume = bench.create(1, 64 * KIB);
    for round in 0..30_u8 {
        let requests = (0..20_u8)
            .map(|i| match i % 3 {
                0 => write_io(0, vec![2 * i + 1; 8192], false),
                1 => write_io(512 * u64::from(i % 8), vec![2 * i + 1; 512], round % 2 == 0),
                _ => write_io(4096, vec![2 * i + 1; 4096], false),
            })
            .collect();
        assert!(run_all(&*volume, requests).iter().all(Result::is_ok));
        for (sector, bytes) in read(&*volume, 0, 8192).chunks_exact(512).enumerate() {
            assert!(bytes[0] % 2 == 1 && bytes[0] < 40, "sector {sector}: {}", bytes[0]);
            assert!(bytes.iter().all(|byte| *byte == bytes[0]), "sector {sector} is torn");
        }
        write(&*volume, 0, &[0; 8192]);
    }
}

/// What was answered and flushed among others is there after reopening.
pub fn requests_together_are_durable_as_alone(store: &dyn Store) {
    let bench = Bench::new(store);
    let volume = bench.create(1, MIB);
    let plain = (0..64).map(|i| write_io(i * 4096, pattern(i, 4096), false)).collect();
    assert!(run_all(&*volume, plain).iter().all(Result::is_ok));
    let mut second = vec![Io::Flush];
    second.extend((64..128).map(|i| write_io(i * 4096, pattern(i, 4096), true)));
    assert!(run_all(&*volume, second).iter().all(Result::is_ok));
    drop(volume);
    drop(bench);
    let bench = Bench::new(store);
    let volume = bench.open(1);
    for i in 0..128 {
        assert_same(&read(&*volume, i * 4096, 4096), &pattern(i, 4096), &format!("block {i}"));
    }
}

/// Threads that submit many at once, beside some that change parts of the same blocks.
pub fn threads_submit_requests_together(store: &dyn Store) {
    const BLOCKS: u64 = 16;
    let bench = Bench::new(store);
    let volume = bench.create(1, BLOCKS * 4096);
    let failed = Mutex::new(Vec::new());
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let mut threads = Vec::new();
        for thread in 0..3_u64 {
            let (volume, failed) = (&volume, &failed);
            threads.push(scope.spawn(move || {
                for round in 0..100 {
                    // Each thread has every third sector of all blocks.
                    let sector = |block: u64| block * 4096 + 512 * thread;
                    let data = || vec![round as u8 + 1; 512];
                    let mut requests: Vec<Io> =
                        (0..BLOCKS).map(|b| write_io(sector(b), data(), false)).collect();
                    requests.push(Io::Read { offset: 0, length: 4096 });
                    requests.push(Io::Flush);
                    let outcomes = run_all(&**volume, requests);
                    let errors = outcomes.into_iter().filter_map(Result::err);
                    failed.lock().unwrap_or_else(PoisonError::into_inner).extend(errors);
                    let own = read(&**volume, sector(round % BLOCKS), 512);
                    assert_same(&own, &data(), "a thread's own sector");
                }
            }));
        }
        // Reads of them all, together, all the time.
        scope.spawn(|| {
            while !stop.load(Relaxed) {
                let requests = (0..BLOCKS).map(|b| Io::Read { offset: b * 4096, length: 4096 });
                assert!(run_all(&*volume, requests.collect()).iter().all(Result::is_ok));
            }
        });
        let checked: Vec<_> = threads.into_iter().map(thread::ScopedJoinHandle::join).collect();
        stop.store(true, Relaxed);
        assert!(checked.iter().all(Result::is_ok), "a thread's checks hold");
    });
    assert_eq!(failed.into_inner().unwrap_or_else(PoisonError::into_inner), []);
}
