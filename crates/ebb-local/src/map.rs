//! The map of one version: from a block of the volume to where it is stored.
//!
//! ```text
//!   active memtable   changes since the last checkpoint began     in memory, replayed from the log
//!   frozen memtable   changes that the running checkpoint writes  in memory
//!   root page         all before, a tree of pages                 on disk, read when needed
//! ```
//! A block is looked up from top to bottom; the first that knows it counts. A change touches only
//! the active memtable: neither it nor recovery reads a page. A snapshot, a reset and a fork clone
//! three pointers, whatever the volume's size.
//!
//! A checkpoint freezes the active memtable, merges it into new pages, and then puts the new root
//! in the place of both. Versions that were made meanwhile have the same frozen one, and get the
//! same root.
//!
//! What is cut off goes to the caller's [`Trash`]: dropping it takes time in its size, and must not
//! happen under the pool's lock.

mod memtable;
pub(crate) mod merge;
pub(crate) mod page;
mod places;
mod slots;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use crate::cipher::{KeyCheck, Tag};
use crate::layout::Address;
pub(crate) use memtable::Memtable;
use page::PageRef;
pub(crate) use places::Places;

/// Levels above the leaves: 256^5 blocks of 4 KiB are 4 PiB, the largest volume is 64 TiB.
pub(crate) const HEIGHT: u32 = 4;

/// Entries of a page.
pub(crate) const WAYS: usize = 256;

/// Where a block is, when it was born, what its bytes sum to, and if they are encrypted their tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) address: Address,
    pub(crate) birth: u32,
    pub(crate) crc: u32,
    pub(crate) tag: Tag,
}

/// What is known of a block so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// Whatever lies below says it; if nothing does, it reads zero.
    Unknown,
    /// It reads zero.
    Nothing,
    At(Stored),
}

/// Memtables that nothing refers to any more, perhaps.
pub(crate) type Trash = Vec<Memtable>;

/// The new roots that a checkpoint made, by the number of the frozen memtable in them.
pub(crate) type Merged = HashMap<u64, Option<PageRef>>;

#[derive(Debug)]
pub(crate) struct Frozen {
    pub(crate) number: u64,
    pub(crate) changes: Memtable,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Map {
    /// The version at the root of this one's tree: shared by forks, and written in each page.
    pub(crate) lineage: u64,
    /// Of the key with which all blocks of the lineage are encrypted, if they are.
    pub(crate) key_check: Option<KeyCheck>,
    pub(crate) root: Option<PageRef>,
    pub(crate) frozen: Option<Arc<Frozen>>,
    active: Memtable,
}

impl Map {
    pub(crate) fn new(lineage: u64, key_check: Option<KeyCheck>) -> Self {
        Self { lineage, key_check, ..Self::default() }
    }

    /// One that is wholly on disk.
    pub(crate) fn on_disk(lineage: u64, root: Option<PageRef>) -> Self {
        Self { root, ..Self::new(lineage, None) }
    }

    /// Where the blocks of the volume are in it.
    pub(crate) fn places(&self) -> Places {
        Places::of_sealed(self.key_check.is_some())
    }

    /// Puts a block in, and says how many bytes of memory that took.
    pub(crate) fn insert(&mut self, lba: u64, stored: Stored) -> usize {
        let places = self.places();
        self.active.insert(places.of(lba), stored, places)
    }

    /// Takes a range out, in time of the pages at its two ends and of those cut off between them.
    /// Says how many bytes of memory it took.
    pub(crate) fn remove(&mut self, range: Range<u64>, trash: &mut Trash) -> usize {
        let range = self.places().of_range(&range);
        self.active.remove(range, trash)
    }

    /// What memory knows of a range. The rest is below [`Map::root`].
    pub(crate) fn look_up(&self, range: Range<u64>) -> Vec<Found> {
        let mut found = vec![Found::Unknown; (range.end - range.start) as usize];
        for (before, run) in self.places().runs(range) {
            let found = &mut found[before..before + (run.end - run.start) as usize];
            self.active.look_up(&run, found);
            if let Some(frozen) = &self.frozen {
                frozen.changes.look_up(&run, found);
            }
        }
        found
    }

    /// The blocks that memory knows, in no order, some perhaps twice.
    pub(crate) fn in_memory(&self) -> Vec<(u64, Stored)> {
        let mut blocks = Vec::new();
        let frozen = self.frozen.as_ref().map(|frozen| &frozen.changes);
        for memtable in frozen.into_iter().chain([&self.active]) {
            memtable.blocks(&mut blocks);
        }
        for (block, _) in &mut blocks {
            *block = self.places().before(*block);
        }
        blocks
    }

    /// Freezes what a checkpoint is to write; the one before it is finished.
    pub(crate) fn freeze(&mut self, number: u64) {
        debug_assert!(self.frozen.is_none(), "one checkpoint at a time");
        if !self.active.is_empty() {
            let changes = std::mem::take(&mut self.active);
            self.frozen = Some(Arc::new(Frozen { number, changes }));
        }
    }

    /// Goes over to the root that the checkpoint made.
    pub(crate) fn install(&mut self, merged: &Merged, trash: &mut Trash) {
        if let Some(frozen) = &self.frozen
            && let Some(root) = merged.get(&frozen.number)
        {
            self.root = *root;
            trash.push(frozen.changes.clone());
            self.frozen = None;
        }
    }

    pub(crate) fn throw_away(self, trash: &mut Trash) {
        trash.extend(self.frozen.map(|frozen| frozen.changes.clone()));
        trash.push(self.active);
    }
}

/// Blocks under one entry of a page at `level`.
pub(crate) fn span(level: u32) -> u64 {
    1 << (8 * level)
}

/// The entries of the page that begins at `first` which the range touches.
pub(crate) fn touched(first: u64, level: u32, range: &Range<u64>) -> Range<usize> {
    let entry = |lba: u64| lba.saturating_sub(first).div_ceil(span(level)).min(256) as usize;
    let begin = (range.start.saturating_sub(first) / span(level)).min(256) as usize;
    begin..entry(range.end)
}

/// The blocks under an entry that the range touches too.
pub(crate) fn common(start: u64, level: u32, range: &Range<u64>) -> Range<u64> {
    range.start.max(start)..range.end.min(start + span(level))
}

#[cfg(test)]
mod tests;
