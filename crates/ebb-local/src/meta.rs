//! Segments of pages and tables, filled from block 0 on.
//!
//! A process goes on in its own only: behind the last block of another's may lie blocks of a
//! checkpoint that was never finished, and their addresses are not given again.

use std::collections::VecDeque;

use crate::layout::{BLOCK, Segment};
use crate::map::page::Block;

#[derive(Default)]
pub(crate) struct Meta {
    /// The first is the one being filled.
    segments: VecDeque<Segment>,
    /// The next block in it.
    block: u32,
    /// Blocks placed before that one and not written yet.
    pending: Vec<u8>,
    /// Bytes written since the last sync of a checkpoint.
    pub(crate) unsynced_bytes: u64,
}

impl Meta {
    pub(crate) fn add(&mut self, segment: Segment) {
        self.segments.push_back(segment);
    }

    /// Whether a segment is being filled, or is to be.
    pub(crate) fn has(&self, id: u64) -> bool {
        self.segments.iter().any(|segment| segment.id == id)
    }

    /// Blocks that can be placed without another segment.
    pub(crate) fn room(&self, segment_blocks: u32) -> u64 {
        let all = self.segments.len() as u64 * u64::from(segment_blocks);
        all - u64::from(self.block)
    }

    /// Whether the segment being filled has no room.
    pub(crate) fn is_full(&self, segment_blocks: u32) -> bool {
        self.segments.is_empty() || self.block == segment_blocks
    }

    /// Goes on in the next segment. All of this one is written.
    pub(crate) fn turn(&mut self) {
        debug_assert!(self.pending.is_empty(), "blocks of this segment are not written");
        if self.block > 0 {
            self.segments.pop_front();
            self.block = 0;
        }
    }

    /// Places a block.
    pub(crate) fn place(&mut self, block: &Block) -> Option<(Segment, u32)> {
        let segment = *self.segments.front()?;
        self.pending.extend_from_slice(block);
        self.block += 1;
        Some((segment, self.block - 1))
    }

    /// What is to be written, and where.
    pub(crate) fn pending(&self) -> Option<(Segment, u32, &[u8])> {
        let blocks = (self.pending.len() / BLOCK) as u32;
        let segment = *self.segments.front()?;
        (blocks > 0).then_some((segment, self.block - blocks, &self.pending))
    }

    pub(crate) fn written(&mut self) {
        self.unsynced_bytes += self.pending.len() as u64;
        self.pending.clear();
    }
}
