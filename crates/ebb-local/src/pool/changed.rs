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
use std::sync::Arc;

use ebb_volume::{BLOCK_BYTES, Difference, ExtentList, IoError, SnapshotId, VolumeId};

use super::Pool;
use crate::layout::Address;
use crate::map::page::layers::{Entry, Layers};
use crate::map::page::{self, Block, Identity, PageRef};
use crate::map::{HEIGHT, Map, span, touched};
use crate::storage::Storage;

/// Pages of both maps that one walk looks at: as many as one of extents, of each.
const PAGES: usize = 1024;

struct Walk<'a, S> {
    pool: &'a Pool<S>,
    blocks: Range<u64>,
    differences: ExtentList,
    pages: usize,
}

/// A place in one of the trees, where something is: what is in memory, over what is on disk.
struct Node<'a> {
    layers: Layers<'a>,
    page: Option<PageRef>,
    identity: Identity,
    block: Option<Arc<Block>>,
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
            walk.entry(0, HEIGHT + 1, self.root(&head), self.root(&then))?;
            Ok(walk.differences.into_differences())
        });
        self.finish(volume, 1);
        outcome
    }

    fn root<'a>(&self, map: &'a Map) -> Option<Node<'a>> {
        let (pool_id, lineage) = (self.pool_id, map.lineage);
        let identity = Identity { pool_id, lineage, level: HEIGHT, index: 0 };
        Node::new(Layers::of(map), map.root, identity)
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

    /// Where a leaf's block is.
    fn stored(&self, node: &mut Option<Node<'_>>, i: usize) -> Result<Option<Address>, IoError> {
        let Some(node) = node else { return Ok(None) };
        match node.layers.entry(i as u8) {
            Entry::Stored(stored) => Ok(Some(stored.address)),
            Entry::Hole | Entry::Instead(_) => Ok(None),
            Entry::Over(_) => {
                let block = self.load(node)?;
                Ok(block.and_then(|block| page::stored(block, i)).map(|stored| stored.address))
            }
        }
    }

    fn child<'n>(
        &self,
        node: &mut Option<Node<'n>>,
        i: usize,
    ) -> Result<Option<Node<'n>>, IoError> {
        let Some(node) = node else { return Ok(None) };
        let (layers, page) = match node.layers.entry(i as u8) {
            Entry::Hole | Entry::Stored(_) => return Ok(None),
            Entry::Instead(layers) => (layers, None),
            Entry::Over(layers) => {
                let block = self.load(node)?;
                (layers, block.and_then(|block| page::child(block, i)))
            }
        };
        Ok(Node::new(layers, page, node.identity.child(i)))
    }

    /// The page of a node, read when the first of its entries is asked for.
    fn load<'b>(&self, node: &'b mut Node<'_>) -> Result<Option<&'b Block>, IoError> {
        if let (Some(page), None) = (node.page, &node.block) {
            node.block = Some(self.pool.load_page(page, node.identity)?);
        }
        Ok(node.block.as_deref())
    }

    fn reach(&mut self, end: u64, changed: bool) {
        self.differences.reach(end.saturating_mul(BLOCK_BYTES), changed);
    }
}

impl<'a> Node<'a> {
    /// None: there is nothing at this place.
    fn new(layers: Layers<'a>, page: Option<PageRef>, identity: Identity) -> Option<Self> {
        let is_nothing = layers.is_empty() && page.is_none();
        (!is_nothing).then_some(Self { layers, page, identity, block: None })
    }

    fn is_same(&self, other: &Self) -> bool {
        self.layers.is_same(&other.layers)
            && self.page.map(|page| page.address) == other.page.map(|page| page.address)
    }
}
