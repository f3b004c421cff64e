//! How long a start takes after a kill, with a full tail of the log to replay.

use crate::bed::{Bed, never};
use crate::load::{DEPTH, Guest};
use crate::report::{ms, row, size};
use crate::{Failure, GIB, Scale, TIB};

pub(crate) fn rows(scale: &Scale) -> Result<(), Failure> {
    let volumes = [("64 GiB", 64 * GIB), ("64 TiB", 64 * TIB)];
    let records = [1, DEPTH];
    for ((name, size_bytes), at_once) in volumes.into_iter().flat_map(|v| records.map(|r| (v, r))) {
        let mut bed = Bed::new(never())?;
        let volume = bed.create(size_bytes)?;
        let mut guest = Guest::new(&*volume, size_bytes, 1);
        // Guests wait when twice as much is behind a checkpoint.
        while bed.stats().log_bytes < 2 * scale.checkpoint_log_bytes {
            guest.write_bytes_by(1 << 20, at_once)?;
        }
        guest.flush()?;
        drop(volume);
        let tail = bed.stats();
        let mut times = Vec::new();
        for _ in 0..scale.rounds {
            times.push(bed.reopen(never())?);
        }
        let what = format!(
            "start after a kill: {} of log in {} records, random over {name}",
            size(tail.log_bytes),
            tail.log_writes
        );
        row(&what, &ms(crate::report::median(&times)), "2000 ms");
    }
    Ok(())
}
