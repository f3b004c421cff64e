//! What of a volume is stored: the memtables and the pages, walked together from the root down.
//!
//! The map is cloned under the pool's lock, in the time of three pointers; pages are read without
//! it. An entry under which there is nothing, in memory and on disk, is a hole of up to 16 TiB at
//! once. No page says that all under it is stored, so what is written densely costs its leaves:
//! a walk ends after a number of pages, with what it has found until then.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;

use ebb_volume::{BLOCK_BYTES, Extent, ExtentList, IoError, VolumeId};

use super::Pool;
use crate::map::page::layers::{Entry, Layers};
use crate::map::page::{self, Block, Identity, PageRef};
use crate::map::{HEIGHT, common, span, touched};
use crate::storage::Storage;

/// Pages that one walk looks at, in memory or on disk. Of a volume that is all written, these tell
/// of some 500 MiB; from a cold cache they take some 10 ms to read.
const PAGES: usize = 512;

struct Walk<'a, S> {
    pool: &'a Pool<S>,
    blocks: Range<u64>,
    extents: ExtentList,
    pages: usize,
}

/// A place in the tree: what is in memory, over what is on disk.
struct Node<'a> {
    layers: Layers<'a>,
    page: Option<PageRef>,
    identity: Identity,
}

impl<S: Storage> Pool<S> {
    /// The extents of a range of a volume, as they are now.
    pub(crate) fn extents(
        &self,
        volume: VolumeId,
        generation: u64,
        offset: u64,
        length: u64,
        most: NonZeroUsize,
    ) -> Result<Vec<Extent>, IoError> {
        let _reading = self.readers.enter();
        let mut state = self.lock();
        state.enter(volume, generation, offset, length)?;
        let map = state.catalog.head(volume).cloned();
        drop(state);
        // The pages below the map stay where they are while this reads.
        let outcome = map.ok_or(IoError::Stale).and_then(|map| {
            let (pool_id, lineage) = (self.pool_id, map.lineage);
            let identity = Identity { pool_id, lineage, level: HEIGHT, index: 0 };
            let root = Node { layers: Layers::of(&map), page: map.root, identity };
            let mut walk = Walk {
                pool: self,
                blocks: super::write::blocks_of(offset, length),
                extents: ExtentList::new(offset, length, most),
                pages: 0,
            };
            walk.node(&root)?;
            Ok(walk.extents.into_extents())
        });
        self.finish(volume, 1);
        outcome
    }
}

impl<S: Storage> Walk<'_, S> {
    fn is_over(&self) -> bool {
        self.extents.is_full() || self.pages >= PAGES
    }

    fn node(&mut self, node: &Node<'_>) -> Result<(), IoError> {
        self.pages += 1;
        let (first, level) = (node.identity.first(), node.identity.level);
        let mut block = None;
        for i in touched(first, level, &self.blocks) {
            let blocks = common(first + i as u64 * span(level), level, &self.blocks);
            match node.layers.entry(i as u8) {
                Entry::Hole => self.reach(&blocks, false),
                Entry::Stored(_) => self.reach(&blocks, true),
                Entry::Instead(layers) => self.child(node, i, layers, None)?,
                Entry::Over(layers) => {
                    let block = self.load(node, &mut block)?;
                    if level == 0 {
                        let stored = block.and_then(|block| page::stored(block, i));
                        self.reach(&blocks, stored.is_some());
                    } else {
                        match block.and_then(|block| page::child(block, i)) {
                            None if layers.is_empty() => self.reach(&blocks, false),
                            page => self.child(node, i, layers, page)?,
                        }
                    }
                }
            }
            if self.is_over() {
                break;
            }
        }
        Ok(())
    }

    fn child(
        &mut self,
        node: &Node<'_>,
        i: usize,
        layers: Layers<'_>,
        page: Option<PageRef>,
    ) -> Result<(), IoError> {
        self.node(&Node { layers, page, identity: node.identity.child(i) })
    }

    /// The page of a node, read when the first of its entries is asked for.
    fn load<'b>(
        &self,
        node: &Node<'_>,
        block: &'b mut Option<Arc<Block>>,
    ) -> Result<Option<&'b Block>, IoError> {
        if let (Some(page), None) = (node.page, &block) {
            *block = Some(self.pool.load_page(page, node.identity)?);
        }
        Ok(block.as_deref())
    }

    fn reach(&mut self, blocks: &Range<u64>, stored: bool) {
        self.extents.reach(blocks.end.saturating_mul(BLOCK_BYTES), stored);
    }
}
