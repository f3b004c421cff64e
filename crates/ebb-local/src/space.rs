//! Which blocks are alive: those that the pages of the newest checkpoint lead to, from any version
//! that is there, any ghost, and any walk that is not done.
//!
//! Only a checkpoint changes it, and what it says is durable with that checkpoint. A block that is
//! in a memtable only is not alive yet: its segment is kept as a part of the log's tail.

use std::collections::{BTreeMap, BTreeSet};

use crate::blocks::Blocks;
use crate::layout::Address;

#[derive(Debug, Clone, Default)]
pub(crate) struct Space {
    segment_blocks: u32,
    /// By segment. One in which nothing is alive is not there.
    alive: BTreeMap<u64, Blocks>,
    /// Segments with blocks of the newest checkpoint's tables: found without the table of segments,
    /// these must stay where they are.
    pub(crate) tables: BTreeSet<u64>,
}

impl Space {
    pub(crate) fn new(segment_blocks: u32) -> Self {
        Self { segment_blocks, ..Self::default() }
    }

    pub(crate) fn mark(&mut self, address: Address) {
        let blocks = self.alive.entry(address.segment_id());
        let blocks = blocks.or_insert_with(|| Blocks::none(self.segment_blocks));
        blocks.insert(address.block());
    }

    /// Says that nothing leads to a block any more. Said again it changes nothing: addresses are
    /// never given again.
    pub(crate) fn free(&mut self, address: Address) {
        let id = address.segment_id();
        if let Some(blocks) = self.alive.get_mut(&id) {
            blocks.remove(address.block());
            if blocks.is_empty() {
                self.alive.remove(&id);
            }
        }
    }

    pub(crate) fn is_alive(&self, address: Address) -> bool {
        self.blocks(address.segment_id()).is_some_and(|blocks| blocks.contains(address.block()))
    }

    /// What is alive in a segment. None: nothing.
    pub(crate) fn blocks(&self, id: u64) -> Option<&Blocks> {
        self.alive.get(&id)
    }

    /// Blocks that are alive in a segment.
    pub(crate) fn count(&self, id: u64) -> u32 {
        self.blocks(id).map_or(0, Blocks::len)
    }

    /// All segments in which something is alive.
    pub(crate) fn segments(&self) -> impl Iterator<Item = (u64, &Blocks)> {
        self.alive.iter().map(|(id, blocks)| (*id, blocks))
    }

    pub(crate) fn insert(&mut self, id: u64, blocks: Blocks) {
        if !blocks.is_empty() {
            self.alive.insert(id, blocks);
        }
    }
}
