//! The map of one version: from a block of the volume to where it is stored.
//!
//! ```text
//!   root ─ inner ─ inner ─ inner ─ leaf      256 ways each; a leaf is 256 blocks, 1 MiB of disk
//! ```
//! A persistent tree: a clone shares every page, a change copies the pages on its way that are
//! shared. So a snapshot, a reset and a fork are clones of one pointer. A page is a bitmap and the
//! entries that are there, so that a scattered volume costs some 200 bytes a block.
//!
//! A subtree that a change cuts off goes to the caller's [`Trash`]: dropping it takes time in its
//! size, and must not happen under the pool's lock.
//!
//! Deliberately not here: pages on disk. The checkpoint will bring them.

mod slots;

use std::ops::Range;
use std::sync::Arc;

use crate::layout::Address;
use slots::Slots;

/// Levels above the leaves: 256^5 blocks of 4 KiB are 4 PiB, the largest volume is 64 TiB.
const HEIGHT: u32 = 4;

/// Where a block is, when it was born, and what its bytes sum to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) address: Address,
    pub(crate) birth: u32,
    pub(crate) crc: u32,
}

/// Pages that nothing refers to any more, perhaps.
pub(crate) type Trash = Vec<Map>;

#[derive(Debug, Clone, Default)]
pub(crate) struct Map {
    root: Option<Arc<Page>>,
}

#[derive(Debug, Clone)]
enum Page {
    Inner(Slots<Arc<Page>>),
    Leaf(Slots<Stored>),
}

impl Map {
    /// Puts a block in.
    pub(crate) fn insert(&mut self, lba: u64, stored: Stored) {
        let root = self.root.get_or_insert_with(|| Arc::new(Page::empty(HEIGHT)));
        let mut page = root;
        for level in (1..=HEIGHT).rev() {
            let Page::Inner(children) = Arc::make_mut(page) else {
                unreachable!("pages above level 0 are inner pages");
            };
            page =
                children.get_or_insert_with(digit(lba, level), || Arc::new(Page::empty(level - 1)));
        }
        if let Page::Leaf(blocks) = Arc::make_mut(page) {
            blocks.insert(digit(lba, 0), stored);
        }
    }

    /// Takes a range out, in time of the pages at its two ends and of those cut off between them.
    pub(crate) fn remove(&mut self, range: Range<u64>, trash: &mut Trash) {
        if range.is_empty() {
            return;
        }
        if let Some(root) = &mut self.root
            && root.any_in(0, HEIGHT, &range)
        {
            Page::remove(root, 0, HEIGHT, &range, trash);
        }
    }

    /// Calls `each` for every block of the range that is there, in order.
    pub(crate) fn for_each(&self, range: Range<u64>, each: &mut impl FnMut(u64, Stored)) {
        if let Some(root) = &self.root {
            root.for_each(0, HEIGHT, &range, each);
        }
    }
}

fn digit(lba: u64, level: u32) -> u8 {
    (lba >> (8 * level)) as u8
}

/// Blocks under one entry of a page at `level`.
fn span(level: u32) -> u64 {
    1 << (8 * level)
}

/// The entries of the page that begins at `first` which the range touches.
fn touched(first: u64, level: u32, range: &Range<u64>) -> Range<usize> {
    let entry = |lba: u64| lba.saturating_sub(first).div_ceil(span(level)).min(256) as usize;
    let begin = (range.start.saturating_sub(first) / span(level)).min(256) as usize;
    begin..entry(range.end)
}

impl Page {
    fn empty(level: u32) -> Self {
        match level {
            0 => Self::Leaf(Slots::default()),
            _ => Self::Inner(Slots::default()),
        }
    }

    fn any_in(&self, first: u64, level: u32, range: &Range<u64>) -> bool {
        match self {
            Self::Leaf(blocks) => blocks.range(touched(first, 0, range)).next().is_some(),
            Self::Inner(children) => {
                let mut children = children.range(touched(first, level, range));
                children.any(|(i, child)| {
                    child.any_in(first + i as u64 * span(level), level - 1, range)
                })
            }
        }
    }

    /// Takes `range` out of the page that begins at `first`. Something of it is there.
    fn remove(this: &mut Arc<Self>, first: u64, level: u32, range: &Range<u64>, trash: &mut Trash) {
        let within = touched(first, level, range);
        match Arc::make_mut(this) {
            Self::Leaf(blocks) => blocks.retain(|i| !within.contains(&i)),
            Self::Inner(children) => {
                for i in within {
                    let start = first + i as u64 * span(level);
                    let whole = range.start <= start && start + span(level) <= range.end;
                    if whole {
                        let root = children.remove(i as u8);
                        trash.extend(root.map(|root| Map { root: Some(root) }));
                    } else if let Some(child) = children.get_mut(i as u8)
                        && child.any_in(start, level - 1, range)
                    {
                        Self::remove(child, start, level - 1, range, trash);
                    }
                }
            }
        }
    }

    fn for_each(
        &self,
        first: u64,
        level: u32,
        range: &Range<u64>,
        each: &mut impl FnMut(u64, Stored),
    ) {
        let within = touched(first, level, range);
        match self {
            Self::Leaf(blocks) => {
                for (i, stored) in blocks.range(within) {
                    each(first + i as u64, *stored);
                }
            }
            Self::Inner(children) => {
                for (i, child) in children.range(within) {
                    child.for_each(first + i as u64 * span(level), level - 1, range, each);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
