//! The bytes of a disk. A copy shares every block that neither side changes: a crash copies the
//! whole disk, and there are many crashes.

use std::sync::Arc;

use crate::layout::BLOCK;

pub(super) const SECTOR: usize = 512;

pub(super) type Sector = [u8; SECTOR];

const SECTORS: u64 = (BLOCK / SECTOR) as u64;

#[derive(Clone)]
struct Block {
    bytes: [u8; BLOCK],
    /// A bit for each sector that was ever written.
    written: u8,
}

/// Sectors by number; one that was never written reads as zeros.
#[derive(Clone, Default)]
pub(super) struct Image {
    blocks: Vec<Option<Arc<Block>>>,
}

fn place(sector: u64) -> (usize, usize) {
    ((sector / SECTORS) as usize, (sector % SECTORS) as usize)
}

impl Image {
    /// None if it was never written.
    pub(super) fn sector(&self, number: u64) -> Option<&Sector> {
        let (block, within) = place(number);
        let block = self.blocks.get(block)?.as_ref()?;
        (block.written & 1 << within != 0).then(|| &block.bytes.as_chunks().0[within])
    }

    /// As if it had never been written.
    pub(super) fn forget(&mut self, number: u64) {
        if self.sector(number).is_some() {
            *self.sector_mut(number) = [0; SECTOR];
            let (block, within) = place(number);
            if let Some(Some(block)) = self.blocks.get_mut(block) {
                Arc::make_mut(block).written &= !(1 << within);
            }
        }
    }

    /// For changing it; it counts as written.
    pub(super) fn sector_mut(&mut self, number: u64) -> &mut Sector {
        let (block, within) = place(number);
        if self.blocks.len() <= block {
            self.blocks.resize(block + 1, None);
        }
        let empty = || Arc::new(Block { bytes: [0; BLOCK], written: 0 });
        let block = Arc::make_mut(self.blocks[block].get_or_insert_with(empty));
        block.written |= 1 << within;
        &mut block.bytes.as_chunks_mut().0[within]
    }

    /// Fills `into` with what is at a byte.
    pub(super) fn read(&self, offset: u64, into: &mut [u8]) {
        let mut at = 0;
        while at < into.len() {
            let position = offset + at as u64;
            let within = position as usize % BLOCK;
            let piece = (BLOCK - within).min(into.len() - at);
            let found = self.blocks.get((position / BLOCK as u64) as usize);
            match found.and_then(Option::as_ref) {
                Some(block) => {
                    into[at..at + piece].copy_from_slice(&block.bytes[within..within + piece]);
                }
                None => into[at..at + piece].fill(0),
            }
            at += piece;
        }
    }
}
