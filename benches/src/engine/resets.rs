//! How long a reset takes, by the volume's size and by how much it has changed since.

use std::time::Duration;

use crate::bed::{Bed, never};
use crate::load::Guest;
use crate::report::{p50_p99, row, size};
use crate::{Failure, GIB, Scale, TIB};

const SIZES: &[(&str, u64)] = &[("1 GiB", GIB), ("1 TiB", TIB), ("64 TiB", 64 * TIB)];

pub(crate) fn rows(scale: &Scale) -> Result<(), Failure> {
    for (name, size_bytes) in SIZES {
        let (little, heavy) = (4096, scale.heavy_bytes);
        let many = scale.operations;
        // A heavy one writes a lot before each reset.
        for (bytes, resets) in [(little, many), (heavy, many.div_ceil(5))] {
            let times = resets_of(*size_bytes, bytes, resets)?;
            let what = format!("reset p50, p99: {name}, {} changed", size(bytes));
            row(&what, &p50_p99(&times), "1 ms, 10 ms");
        }
    }
    Ok(())
}

/// In a pool that writes no segments ahead, so that no reset shares the disk with that.
fn resets_of(size_bytes: u64, bytes: u64, resets: usize) -> Result<Vec<Duration>, Failure> {
    let log_bytes = 3 * bytes * resets as u64;
    let mut bed = Bed::recycled(log_bytes, never())?;
    drop(bed.create(size_bytes)?);
    bed.snapshot(1)?;
    let mut times = Vec::with_capacity(resets);
    for n in 0..resets {
        let volume = bed.open()?;
        let mut guest = Guest::new(&*volume, size_bytes, n as u64);
        guest.write_bytes(bytes)?;
        // What is not durable yet is the guest's to wait for, not the reset's.
        guest.flush()?;
        drop(volume);
        times.push(bed.reset(1)?);
    }
    Ok(times)
}
