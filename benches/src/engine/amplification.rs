//! What is written to `pool.dat` for each byte that a guest writes, by what it is.

use std::time::Duration;

use ebb_local::{Options, Stats};

use crate::bed::{Bed, served};
use crate::load::Guest;
use crate::report::row;
use crate::{Failure, GIB, MIB, Scale, TIB};

const BLOCK: u64 = 4096;
const SEGMENT_BYTES: u64 = 16 * MIB;

pub(crate) fn rows(scale: &Scale) -> Result<(), Failure> {
    for (name, size_bytes) in [("16 GiB", 16 * GIB), ("1 TiB", TIB)] {
        // So much is written until space comes back in a steady stream.
        let mut bed = Bed::recycled(4 * scale.checkpoint_log_bytes, options(scale))?;
        let volume = bed.create(size_bytes)?;
        let mut guest = Guest::new(&*volume, size_bytes, 1);
        let written = between_checkpoints(&bed, &mut guest, scale.rounds as u64)?;
        written.report(&format!("random 4 KiB, depth 32, {name} thin"), "2.2");
    }
    flushed(scale)?;
    full_pool(scale)
}

fn options(scale: &Scale) -> Options {
    let checkpoint_interval = Duration::from_secs(1 << 30);
    let checkpoint_log_bytes = scale.checkpoint_log_bytes;
    Options { checkpoint_interval, checkpoint_log_bytes, ..served() }
}

/// Writes from the end of the first checkpoint to the end of another, so that the pages of
/// checkpoints count in full.
fn between_checkpoints(
    bed: &Bed,
    guest: &mut Guest<'_>,
    checkpoints: u64,
) -> Result<Written, Failure> {
    write_until(bed, guest, 1)?;
    let before = bed.stats();
    let guest_bytes = write_until(bed, guest, 1 + checkpoints)?;
    Ok(Written { guest_bytes, before, after: bed.stats() })
}

fn write_until(bed: &Bed, guest: &mut Guest<'_>, checkpoints: u64) -> Result<u64, Failure> {
    let mut bytes = 0;
    while bed.stats().checkpoints < checkpoints {
        guest.write_bytes(MIB)?;
        bytes += MIB;
    }
    Ok(bytes)
}

/// One write at a time, each made durable: a record for each.
fn flushed(scale: &Scale) -> Result<(), Failure> {
    let mut bed = Bed::new(options(scale))?;
    let volume = bed.create(16 * GIB)?;
    let mut guest = Guest::new(&*volume, 16 * GIB, 1);
    let before = bed.stats();
    let writes = 20 * scale.operations as u64;
    for _ in 0..writes {
        guest.write_durably()?;
    }
    let written = Written { guest_bytes: writes * BLOCK, before, after: bed.stats() };
    written.report("4 KiB + flush, one at a time, without a checkpoint", "");
    Ok(())
}

/// A pool that can not grow, three quarters of it live data, overwritten at random.
fn full_pool(scale: &Scale) -> Result<(), Failure> {
    let pool_bytes = 2 * scale.fill_bytes;
    let options = Options { max_pool_bytes: Some(pool_bytes), ..options(scale) };
    let live_bytes = pool_bytes / 4 * 3;
    let mut bed = Bed::new(options)?;
    let volume = bed.create(live_bytes)?;
    let what = "random 4 KiB, depth 32, pool 75 % full";
    if let Err(failure) = crate::bed::fill(&*volume, live_bytes) {
        row(what, &format!("could not be filled: {failure}"), "4.5");
        return Ok(());
    }
    let mut guest = Guest::new(&*volume, live_bytes, 1);
    // Once over, so that garbage lies everywhere; then it counts.
    let mut written = Err("not written".into());
    if guest.write_bytes(live_bytes).is_ok() {
        let before = bed.stats();
        written = guest.write_bytes(2 * live_bytes).map(|()| before);
    }
    match written {
        Err(failure) => row(what, &format!("could not be overwritten: {failure}"), "4.5"),
        Ok(before) => {
            let written = Written { guest_bytes: 2 * live_bytes, before, after: bed.stats() };
            written.report(what, "4.5");
        }
    }
    Ok(())
}

struct Written {
    guest_bytes: u64,
    before: Stats,
    after: Stats,
}

impl Written {
    fn report(&self, what: &str, target: &str) {
        let grown = |count: fn(&Stats) -> u64| count(&self.after) - count(&self.before);
        let headers = grown(|s| s.log_writes) * BLOCK;
        let data = grown(|s| s.log_bytes) - headers;
        let pages = grown(|s| s.pages_written) * BLOCK;
        let packed = grown(|s| s.blocks_packed) * BLOCK;
        let prewritten = grown(|s| s.segments_made) * SEGMENT_BYTES;
        let per_byte = |bytes: u64| bytes as f64 / self.guest_bytes as f64;
        let measured = format!(
            "{:.2} = headers {:.2}, data {:.2}, pages and tables {:.2}, packed {:.2}; prewritten \
             {:.2} on top",
            per_byte(headers + data + pages + packed),
            per_byte(headers),
            per_byte(data),
            per_byte(pages),
            per_byte(packed),
            per_byte(prewritten),
        );
        row(&format!("bytes written per guest byte: {what}"), &measured, target);
    }
}
