//! What a guest notices of a snapshot and of a reset.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ebb_volume::{Engine, Io, Volume, run};

use crate::bed::{Bed, never};
use crate::load::{DEPTH, Guest, Random, Rate};
use crate::report::{median, ms, quantile, rate, row};
use crate::{Failure, GIB, MIB, Scale};

const SIZE: u64 = 64 * GIB;

/// Where the guest writes whose rate is compared.
const WORKING_SET: u64 = GIB / 4;

/// How many times it writes as much before: of its blocks, 1 in e^4 is new to it then.
const WARMING: u64 = 4;

/// Bytes of log in a second, at most: what the pool has room for. Where a machine is faster, the
/// end of a stretch is slow, for segments are made in it.
const WRITTEN_PER_SECOND: f64 = 3.5e9;

pub(crate) fn rows(scale: &Scale) -> Result<(), Failure> {
    let changes = [("a snapshot", snapshot as Change), ("a reset", reset), ("neither", nothing)];
    for (what, change) in changes {
        let pairs =
            (0..scale.rounds).map(|_| rates(scale, change)).collect::<Result<Vec<_>, _>>()?;
        let percent = |of: fn(&Rate) -> f64| {
            let ratios = pairs.iter().map(|(before, after)| 100.0 * of(after) / of(before));
            median(&ratios.collect::<Vec<_>>())
        };
        let (time, cpu) = (percent(|r| r.per_second), percent(|r| r.per_cpu_second));
        let before: Vec<Rate> = pairs.iter().map(|(before, _)| *before).collect();
        let before = rate(Rate::median(&before));
        let target = if what == "neither" { "" } else { "95 %" };
        row(
            &format!("4 KiB writes after {what}, of the rate before"),
            &format!("{time:.0} %, {cpu:.0} % for each CPU second, of {before}"),
            target,
        );
    }
    stalls(scale)
}

type Change = fn(&mut Bed) -> Result<(), Failure>;

fn snapshot(bed: &mut Bed) -> Result<(), Failure> {
    bed.snapshot(2).map(drop)
}

fn reset(bed: &mut Bed) -> Result<(), Failure> {
    bed.engine().revoke(crate::bed::VOLUME)?;
    bed.reset(1).map(drop)
}

fn nothing(_: &mut Bed) -> Result<(), Failure> {
    Ok(())
}

/// The rates before a change and after it, where nothing else changes: a guest that has written
/// each of its blocks before, so that the map grows no more; a pool that writes no segments ahead,
/// makes no checkpoint meanwhile and lies in memory.
fn rates(scale: &Scale, change: Change) -> Result<(Rate, Rate), Failure> {
    let written =
        WORKING_SET * WARMING + (2.0 * scale.window.as_secs_f64() * WRITTEN_PER_SECOND) as u64;
    let mut bed = Bed::recycled_in_memory(written, never())?;
    let volume = bed.create(SIZE)?;
    let mut guest = Guest::new(&*volume, WORKING_SET, 1);
    guest.write_bytes(MIB)?;
    bed.snapshot(1)?;
    guest.write_bytes(WORKING_SET * WARMING)?;
    let before = guest.write_rate(scale.window, DEPTH)?;
    change(&mut bed)?;
    let volume = bed.open()?;
    let after = Guest::new(&*volume, WORKING_SET, 2).write_rate(scale.window, DEPTH)?;
    Ok((before, after))
}

/// How long the write takes that is under way when a snapshot is made; beside it the longest of as
/// many stretches of time without one.
fn stalls(scale: &Scale) -> Result<(), Failure> {
    let mut bed = Bed::recycled(scale.fill_bytes / 2, never())?;
    let volume = bed.create(SIZE)?;
    let mut longest = [Vec::new(), Vec::new()];
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| writes(&*volume, &stop));
        let mut stretches = Vec::new();
        for n in 0..2 * scale.operations {
            std::thread::sleep(Duration::from_millis(3));
            let begun = Instant::now();
            match n % 2 {
                0 => drop(bed.snapshot(n as u64)?),
                _ => std::thread::sleep(Duration::from_micros(300)),
            }
            stretches.push((n % 2, begun, Instant::now()));
        }
        stop.store(true, Relaxed);
        let writes = writer.join().expect("the writer does not panic")?;
        for (kind, begun, ended) in stretches {
            let overlapping = writes.iter().filter(|(at, took)| *at < ended && *at + *took > begun);
            longest[kind].extend(overlapping.map(|(_, took)| *took).max());
        }
        Ok::<(), Failure>(())
    })?;
    for (times, what, target) in [
        (&longest[0], "longest 4 KiB write around a snapshot: p99, max", "2 ms, 10 ms"),
        (&longest[1], "the same where none is made", ""),
    ] {
        let measured = format!("{}, {}", ms(quantile(times, 0.99)), ms(quantile(times, 1.0)));
        row(what, &measured, target);
    }
    Ok(())
}

/// When each write began, and how long it took.
fn writes(volume: &dyn Volume, stop: &AtomicBool) -> Result<Vec<(Instant, Duration)>, Failure> {
    let mut random = Random(3);
    let mut writes = Vec::new();
    let data = Bytes::from(vec![5; 4096]);
    while !stop.load(Relaxed) {
        let offset = random.next() % (SIZE / 4096) * 4096;
        let begun = Instant::now();
        run(volume, Io::Write { offset, data: data.clone(), fua: false })?;
        writes.push((begun, begun.elapsed()));
        // A guest that does not fill the disk meanwhile.
        std::thread::sleep(Duration::from_micros(20));
    }
    Ok(writes)
}
