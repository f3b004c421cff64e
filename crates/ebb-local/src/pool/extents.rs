//! What of a volume is stored: the memtables and the pages, walked together from the root down.
//!
//! The map is cloned under the pool's lock, in the time of three pointers; pages are read without
//! it. An entry under which there is nothing, in memory and on disk, is a hole of up to 16 TiB at
//! once. No page says that all under it is stored, so what is written densely costs its leaves:
//! a walk ends after a number of pages, with what it has found until then.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;

use ebb_volume::{BLOCK_BYTES, Extent, ExtentList, IoError};

use super::Pool;
use crate::map::page::layers::{Entry, Layers};
use crate::map::page::{self, Block, Identity, PageRef};
use crate::map::{HEIGHT, Map, Places, common, span, touched};
use crate::session::Opened;
use crate::storage::Storage;

/// Pages that one walk looks at, in memory or on disk. Of a volume that is all written, these tell
/// of some 500 MiB; from a cold cache they take some 10 ms to read.
const PAGES: usize = 512;

struct Walk<'a, S> {
    pool: &'a Pool<S>,
    /// Of the map.
    range: Range<u64>,
    places: Places,
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
        opened: &Opened,
        offset: u64,
        length: u64,
        most: NonZeroUsize,
    ) -> Result<Vec<Extent>, IoError> {
        let _reading = self.readers.enter();
        let mut state = self.lock();
        state.enter(opened, offset, length)?;
        let map = state.catalog.head(opened.volume).cloned();
        drop(state);
        // The pages below the map stay where they are while this reads.
        let outcome = map.ok_or(IoError::Stale);
        let outcome = outcome.and_then(|map| self.extents_of(&map, offset, length, most));
        self.finish(opened.volume, 1);
        outcome
    }

    /// Those that a map tells of. Who calls it is a reader.
    pub(super) fn extents_of(
        &self,
        map: &Map,
        offset: u64,
        length: u64,
        most: NonZeroUsize,
    ) -> Result<Vec<Extent>, IoError> {
        let (pool_id, lineage, places) = (self.pool_id, map.lineage, map.places());
        let identity = Identity { pool_id, lineage, level: HEIGHT, index: 0 };
        let root = Node { layers: Layers::of(map), page: map.root, identity };
        let mut walk = Walk {
            pool: self,
            range: places.of_range(&super::write::blocks_of(offset, length)),
            places,
            extents: ExtentList::new(offset, length, most),
            pages: 0,
        };
        walk.node(&root)?;
        Ok(walk.extents.into_extents())
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
        for i in touched(first, level, &self.range) {
            let range = common(first + i as u64 * span(level), level, &self.range);
            match node.layers.entry(i as u8) {
                Entry::Hole => self.reach(&range, false),
                Entry::Stored(_) => self.reach(&range, true),
                Entry::Instead(layers) => self.child(node, i, layers, None)?,
                Entry::Over(layers) => {
                    let block = self.load(node, &mut block)?;
                    if level == 0 {
                        let stored = block.and_then(|block| page::stored(block, i));
                        self.reach(&range, stored.is_some());
                    } else {
                        match block.and_then(|block| page::child(block, i)) {
                            None if layers.is_empty() => self.reach(&range, false),
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

    fn reach(&mut self, range: &Range<u64>, stored: bool) {
        let end = self.places.before(range.end);
        self.extents.reach(end.saturating_mul(BLOCK_BYTES), stored);
    }
}
