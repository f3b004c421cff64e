//! What of a volume differs from a snapshot: two maps, walked together from their roots down.
//!
//! ```text
//!   head       a ─ b ─ c'        where both have the same page, in memory and on disk, nothing
//!              │   │   │         under it differs: it is passed over, read or not
//!   snapshot   a ─ b ─ c
//! ```
//! So it costs what was changed, not what is stored. An address names what was written there once
//! and for ever, packed or not: two blocks are the same if and only if their addresses are.
//!
//! A walk ends after a number of pages, with what it has found until then, as that of
//! [`extents`](super::extents) does. Deliberately not here: comparing bytes.

use std::num::NonZeroUsize;
use std::ops::Range;

use ebb_volume::{BLOCK_BYTES, Difference, ExtentList, IoError, SnapshotId, VolumeId};

use super::Pool;
use super::node::Node;
use crate::layout::Address;
use crate::map::{HEIGHT, span, touched};
use crate::storage::Storage;

/// Pages of both maps that one walk looks at: as many as one of extents, of each.
const PAGES: usize = 1024;

struct Walk<'a, S> {
    pool: &'a Pool<S>,
    blocks: Range<u64>,
    differences: ExtentList,
    pages: usize,
}

impl<S: Storage> Pool<S> {
    /// The runs of a range of a volume that are as in a snapshot, and those that are not, now.
    pub(crate) fn changed(
        &self,
        volume: VolumeId,
        generation: u64,
        since: SnapshotId,
        offset: u64,
        length: u64,
        most: NonZeroUsize,
    ) -> Result<Vec<Difference>, IoError> {
        let _reading = self.readers.enter();
        let mut state = self.lock();
        state.enter(volume, generation, offset, length)?;
        let head = state.catalog.head(volume).cloned();
        let then = state.catalog.snapshot_map(since).map(|(map, _)| map.clone());
        drop(state);
        // The pages below both maps stay where they are while this reads.
        let outcome = head.ok_or(IoError::Stale).and_then(|head| {
            let then = then.ok_or(IoError::NoSnapshot)?;
            let mut walk = Walk {
                pool: self,
                blocks: super::write::blocks_of(offset, length),
                differences: ExtentList::new(offset, length, most),
                pages: 0,
            };
            walk.entry(
                0,
                HEIGHT + 1,
                Node::root(self.pool_id, &head),
                Node::root(self.pool_id, &then),
            )?;
            Ok(walk.differences.into_differences())
        });
        self.finish(volume, 1);
        outcome
    }
}

impl<S: Storage> Walk<'_, S> {
    fn is_over(&self) -> bool {
        self.differences.is_full() || self.pages >= PAGES
    }

    /// What is under an entry at `level`, which begins at block `first`, on either side.
    fn entry(
        &mut self,
        first: u64,
        level: u32,
        head: Option<Node<'_>>,
        then: Option<Node<'_>>,
    ) -> Result<(), IoError> {
        let same = match (&head, &then) {
            (Some(head), Some(then)) => head.is_same(then),
            (None, None) => true,
            _ => false,
        };
        if same {
            self.reach(first.saturating_add(span(level)), false);
            return Ok(());
        }
        self.nodes(first, level - 1, head, then)
    }

    /// The entries of two pages at `level`, of which one may not be there.
    fn nodes(
        &mut self,
        first: u64,
        level: u32,
        mut head: Option<Node<'_>>,
        mut then: Option<Node<'_>>,
    ) -> Result<(), IoError> {
        self.pages += usize::from(head.is_some()) + usize::from(then.is_some());
        for i in touched(first, level, &self.blocks) {
            let start = first + i as u64 * span(level);
            if level == 0 {
                let (head, then) = (self.stored(&mut head, i)?, self.stored(&mut then, i)?);
                self.reach(start + 1, head != then);
            } else {
                let (head, then) = (self.child(&mut head, i)?, self.child(&mut then, i)?);
                self.entry(start, level, head, then)?;
            }
            if self.is_over() {
                break;
            }
        }
        Ok(())
    }

    fn stored(&self, node: &mut Option<Node<'_>>, i: usize) -> Result<Option<Address>, IoError> {
        node.as_mut().map_or(Ok(None), |node| node.stored(self.pool, i))
    }

    fn child<'n>(
        &self,
        node: &'n mut Option<Node<'_>>,
        i: usize,
    ) -> Result<Option<Node<'n>>, IoError> {
        node.as_mut().map_or(Ok(None), |node| node.child(self.pool, i))
    }

    fn reach(&mut self, end: u64, changed: bool) {
        self.differences.reach(end.saturating_mul(BLOCK_BYTES), changed);
    }
}
