//! How long a start takes after a kill, with a full tail of the log to replay.

use crate::bed::{Bed, never};
use crate::load::Guest;
use crate::report::{ms, row, size};
use crate::{Failure, GIB, Scale, TIB};

pub(crate) fn rows(scale: &Scale) -> Result<(), Failure> {
    for (name, size_bytes) in [("64 GiB", 64 * GIB), ("64 TiB", 64 * TIB)] {
        let mut bed = Bed::new(never())?;
        let volume = bed.create(size_bytes)?;
        let mut guest = Guest::new(&*volume, size_bytes, 1);
        while bed.stats().log_bytes < scale.checkpoint_log_bytes {
            guest.write_bytes(1 << 20)?;
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
