//! What encryption costs: the same requests to a plain volume and to an encrypted one, by turns.

use std::time::Duration;

use ebb_volume::{Io, Volume, run};

use crate::bed::{Bed, at_once, fill, never};
use crate::load::{DEPTH, Guest, Rate};
use crate::report::{median, p50_p99, rate, row};
use crate::{Failure, GIB, Scale};

const SIZE: u64 = 16 * GIB;
const AIM: &str = "15 % at most";

/// In this order in each round, which is turned around in every other one.
const KINDS: [bool; 2] = [false, true];

pub(crate) fn rows(scale: &Scale) -> Result<(), Failure> {
    writes(scale, "random 4 KiB writes, 32 at once", DEPTH, AIM)?;
    writes(scale, "random 4 KiB writes, submitted one by one", 1, "")?;
    writes_that_grow(scale)?;
    durable_writes(scale)?;
    reads(scale)
}

/// Plain and encrypted by turns, so that both meet the same hours of the machine.
fn by_turns<T>(
    rounds: usize,
    mut measure: impl FnMut(bool, usize) -> Result<T, Failure>,
) -> Result<[Vec<T>; 2], Failure> {
    let mut measured = [Vec::new(), Vec::new()];
    for round in 0..rounds {
        for turn in 0..2 {
            let encrypted = KINDS[(round + turn) % 2];
            measured[usize::from(encrypted)].push(measure(encrypted, round)?);
        }
    }
    Ok(measured)
}

fn tell(what: &str, [plain, encrypted]: &[Vec<Rate>; 2], aim: &str) {
    row(&format!("{what}, plain"), &rate(Rate::median(plain)), "");
    row("the same, encrypted", &rate(Rate::median(encrypted)), "");
    let pairs = plain.iter().zip(encrypted);
    let cost = pairs.map(|(plain, other)| 100.0 * (1.0 - other.per_second / plain.per_second));
    let cost = median(&cost.collect::<Vec<_>>());
    row("the same, fewer in a second by", &format!("{cost:.1} %"), aim);
}

fn writes(scale: &Scale, what: &str, at_once: usize, aim: &str) -> Result<(), Failure> {
    let window = scale.window / 2;
    let bytes = (window.as_secs_f64() * 3e9) as u64;
    let rates = by_turns(scale.rounds, |encrypted, round| {
        // No disk is behind: it would be measured too.
        let mut bed = Bed::recycled_in_memory(bytes, never())?;
        let volume = bed.create_with(SIZE, encrypted)?;
        let mut guest = Guest::new(&*volume, SIZE, round as u64);
        guest.write_rate(window, at_once)
    })?;
    tell(&format!("{what}, on a file system in memory"), &rates, aim);
    Ok(())
}

fn writes_that_grow(scale: &Scale) -> Result<(), Failure> {
    let rates = by_turns(scale.rounds, |encrypted, round| {
        let mut bed = Bed::new(never())?;
        let volume = bed.create_with(SIZE, encrypted)?;
        let mut guest = Guest::new(&*volume, SIZE, round as u64);
        guest.write_rate(scale.window * 2, DEPTH)
    })?;
    tell("random 4 KiB writes, 32 at once, in a new pool, which grows", &rates, AIM);
    Ok(())
}

fn durable_writes(scale: &Scale) -> Result<(), Failure> {
    let writes = 2 * scale.operations;
    let times = by_turns(scale.rounds, |encrypted, round| {
        let mut bed = Bed::recycled(scale.fill_bytes / 8, never())?;
        let volume = bed.create_with(SIZE, encrypted)?;
        let mut guest = Guest::new(&*volume, SIZE, round as u64);
        (0..writes).map(|_| guest.write_durably()).collect::<Result<Vec<Duration>, _>>()
    })?;
    let [plain, encrypted] = times.map(|rounds| p50_p99(&rounds.concat()));
    row("4 KiB write + flush, one at a time: p50, p99, plain", &plain, "");
    row("the same, encrypted", &encrypted, "");
    Ok(())
}

fn reads(scale: &Scale) -> Result<(), Failure> {
    let mut beds = [Bed::new(never())?, Bed::new(never())?];
    for (encrypted, bed) in KINDS.into_iter().zip(&mut beds) {
        fill(&*bed.create_with(SIZE, encrypted)?, scale.fill_bytes)?;
        bed.reopen(at_once())?;
        bed.wait_checkpoints(1)?;
        warm(&*bed.open_with(encrypted)?, scale.fill_bytes)?;
    }
    let rates = by_turns(scale.rounds, |encrypted, round| {
        let volume = beds[usize::from(encrypted)].open_with(encrypted)?;
        Guest::new(&*volume, scale.fill_bytes, round as u64).read_rate(scale.window)
    })?;
    tell("random 4 KiB reads, map in cached pages", &rates, "");
    Ok(())
}

/// Brings the data into the page cache and the map into the engine's.
fn warm(volume: &dyn Volume, bytes: u64) -> Result<(), Failure> {
    for offset in (0..bytes).step_by(1 << 20) {
        run(volume, Io::Read { offset, length: 1 << 20 })?;
    }
    Ok(())
}
