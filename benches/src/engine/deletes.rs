//! Deleting a snapshot among many.

use std::time::Duration;

use ebb_local::Options;

use crate::bed::{Bed, served};
use crate::load::Guest;
use crate::report::{median, ms, row, size};
use crate::{Failure, GIB, MIB, Scale};

const SIZE: u64 = 16 * GIB;
const BLOCK: u64 = 4096;

/// The middle one of a chain, each with a MiB of changes of its own; then its neighbours.
pub(crate) fn rows(scale: &Scale) -> Result<(), Failure> {
    let interval = Duration::from_millis(200);
    let mut bed = Bed::new(Options { checkpoint_interval: interval, ..served() })?;
    let volume = bed.create(SIZE)?;
    let mut guest = Guest::new(&*volume, SIZE, 1);
    let snapshots = 5 * scale.operations as u64;
    for n in 0..snapshots {
        guest.write_bytes(MIB)?;
        bed.snapshot(n)?;
    }
    bed.settle(interval)?;
    let (mut times, mut written, mut read) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..scale.rounds as u64 {
        let (before, read_before) = (bed.stats(), bytes_read()?);
        times.push(bed.delete_snapshot(snapshots / 2 + round)?);
        bed.settle(interval)?;
        let after = bed.stats();
        let pages = (after.pages_written - before.pages_written) * BLOCK;
        written.push(after.log_bytes - before.log_bytes + pages);
        read.push(bytes_read()? - read_before);
    }
    let (time, written, read) = (ms(median(&times)), size(median(&written)), size(median(&read)));
    let measured = format!("{time}, {written} written, {read} read");
    let what = format!("delete the middle one of {snapshots} snapshots, and the checkpoint after");
    row(&what, &measured, "");
    Ok(())
}

/// What this process has read by system calls, from a cache or not.
fn bytes_read() -> Result<u64, Failure> {
    let counters = std::fs::read_to_string("/proc/self/io")?;
    let count = counters.lines().find_map(|line| line.strip_prefix("rchar: "));
    Ok(count.ok_or("/proc/self/io has no line `rchar`")?.parse()?)
}
