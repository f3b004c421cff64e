//! What maps take on disk.

use std::collections::HashSet;

use crate::bed::{Bed, at_once, fill, never};
use crate::load::{Guest, Random};
use crate::report::row;
use crate::{Failure, Scale, TIB};

const BLOCK: u64 = 4096;
const SIZE: u64 = 64 * TIB;

pub(crate) fn rows(scale: &Scale) -> Result<(), Failure> {
    let mut bed = Bed::new(never())?;
    fill(&*bed.create(SIZE)?, scale.fill_bytes)?;
    let pages = pages(&mut bed)? * BLOCK;
    let part = pages as f64 / scale.fill_bytes as f64;
    let gib = part * 1024.0;
    let measured = format!("{:.3} %, {gib:.2} GiB per TiB", part * 100.0);
    row("pages for densely written data", &measured, "0.45 %");

    let mut bed = Bed::new(never())?;
    let volume = bed.create(SIZE)?;
    let blocks = scale.fill_bytes / 16 / BLOCK;
    let mut guest = Guest::new(&*volume, SIZE, 1);
    guest.write_bytes(blocks * BLOCK)?;
    guest.flush()?;
    drop(volume);
    let pages = self::pages(&mut bed)?;
    let mut random = Random(1);
    let distinct: HashSet<u64> = (0..blocks).map(|_| random.next() % (SIZE / BLOCK)).collect();
    let each = (pages * BLOCK) as f64 / distinct.len() as f64;
    let measured = format!("{each:.0} B for each of {} blocks", distinct.len());
    row("pages for blocks scattered over 64 TiB", &measured, "");
    Ok(())
}

/// Blocks that a checkpoint of everything writes.
fn pages(bed: &mut Bed) -> Result<u64, Failure> {
    bed.reopen(at_once())?;
    bed.wait_checkpoints(1)?;
    Ok(bed.stats().pages_written)
}
