//! Requests a second on one core: the engine's threads and the one that submits share it.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::bed::{Bed, at_once, fill, never};
use crate::load::{DEPTH, Guest, Rate};
use crate::report::{p50_p99, rate, row};
use crate::{Failure, GIB, Scale};

/// A volume whose blocks are read.
const SIZE: u64 = 16 * GIB;

pub(crate) fn rows(scale: &Scale) -> Result<(), Failure> {
    let all = sched_getaffinity(None)?;
    let mut one = CpuSet::new();
    // Not the first, which takes most interrupts.
    let last = (0..CpuSet::MAX_CPU).rev().find(|cpu| all.is_set(*cpu)).unwrap_or(0);
    one.set(last);
    // Threads inherit it.
    sched_setaffinity(None, &one)?;
    let outcome = reads(scale).and_then(|()| writes(scale)).and_then(|()| durable_writes(scale));
    sched_setaffinity(None, &all)?;
    outcome
}

fn reads(scale: &Scale) -> Result<(), Failure> {
    let mut bed = Bed::new(never())?;
    fill(&*bed.create(SIZE)?, scale.fill_bytes)?;
    read_rate(&bed, scale, "random 4 KiB reads, one core, map in memtables", "")?;
    bed.reopen(at_once())?;
    bed.wait_checkpoints(1)?;
    read_rate(&bed, scale, "random 4 KiB reads, one core, map in cached pages", "200k/s")
}

fn read_rate(bed: &Bed, scale: &Scale, what: &str, target: &str) -> Result<(), Failure> {
    let volume = bed.open()?;
    // Brings the data into the page cache and the map into the engine's.
    for offset in (0..scale.fill_bytes).step_by(1 << 20) {
        let length = 1 << 20;
        ebb_volume::run(&*volume, ebb_volume::Io::Read { offset, length })?;
    }
    let mut guest = Guest::new(&*volume, scale.fill_bytes, 1);
    let rates = (0..scale.rounds).map(|_| guest.read_rate(scale.window));
    row(what, &rate(Rate::median(&rates.collect::<Result<Vec<_>, _>>()?)), target);
    Ok(())
}

fn writes(scale: &Scale) -> Result<(), Failure> {
    let bytes = (scale.window.as_secs_f64() * 2e9) as u64;
    let together = "random 4 KiB writes, one core, recycled segments";
    let one_by_one = "the same, submitted one by one";
    for (what, at_once, target) in [(together, DEPTH, "150k/s"), (one_by_one, 1, "")] {
        let mut rates = Vec::new();
        for round in 0..scale.rounds {
            let mut bed = Bed::recycled(bytes, never())?;
            let volume = bed.create(SIZE)?;
            let mut guest = Guest::new(&*volume, SIZE, round as u64);
            rates.push(guest.write_rate(scale.window, at_once)?);
        }
        row(what, &rate(Rate::median(&rates)), target);
    }
    let mut bed = Bed::new(never())?;
    let volume = bed.create(SIZE)?;
    let grows = Guest::new(&*volume, SIZE, 1).write_rate(scale.window * 5, DEPTH)?;
    row("random 4 KiB writes, one core, in a new pool, which grows", &rate(grows), "");
    Ok(())
}

fn durable_writes(scale: &Scale) -> Result<(), Failure> {
    let mut bed = Bed::recycled(scale.fill_bytes / 8, never())?;
    let volume = bed.create(SIZE)?;
    let mut guest = Guest::new(&*volume, SIZE, 1);
    let writes = 10 * scale.operations;
    let times = (0..writes).map(|_| guest.write_durably()).collect::<Result<Vec<_>, _>>()?;
    row("4 KiB write + flush, one at a time: p50, p99", &p50_p99(&times), "");
    Ok(())
}
