//! From blocks of a volume to their places: what memory knows, then the pages below it.
//!
//! Memory is asked under the pool's lock. Pages are read without it: they never change.

use std::ops::Range;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};

use ebb_volume::IoError;

use super::Pool;
use crate::layout::BLOCK;
use crate::map::page::{self, Block, Identity, PageRef};
use crate::map::{Found, HEIGHT, Map, common, span, touched};
use crate::planted::Bug;
use crate::storage::Storage;

/// What is known of a range of blocks.
pub(super) struct Looked {
    pub(super) blocks: Range<u64>,
    pub(super) found: Vec<Found>,
    lineage: u64,
    /// The pages that know the rest.
    root: Option<PageRef>,
}

impl Looked {
    pub(super) fn in_memory(map: &Map, blocks: Range<u64>) -> Self {
        let found = map.look_up(blocks.clone());
        Self { blocks, found, lineage: map.lineage, root: map.root }
    }

    fn place(&self, lba: u64) -> usize {
        (lba - self.blocks.start) as usize
    }

    fn is_open(&self, blocks: &Range<u64>) -> bool {
        let places = self.place(blocks.start)..self.place(blocks.end);
        self.found[places].contains(&Found::Unknown)
    }
}

impl<S: Storage> Pool<S> {
    /// Looks up in the pages what memory did not know.
    pub(super) fn look_up_in_pages(&self, looked: &mut Looked) -> Result<(), IoError> {
        let (pool_id, lineage) = (self.pool_id, looked.lineage);
        let identity = Identity { pool_id, lineage, level: HEIGHT, index: 0 };
        match looked.root {
            Some(root) if looked.found.contains(&Found::Unknown) => {
                self.look_up_in(root, identity, looked)
            }
            _ => Ok(()),
        }
    }

    fn look_up_in(
        &self,
        page: PageRef,
        identity: Identity,
        looked: &mut Looked,
    ) -> Result<(), IoError> {
        let block = self.load_page(page, identity)?;
        let (first, level) = (identity.first(), identity.level);
        for i in touched(first, level, &looked.blocks) {
            let blocks = common(first + i as u64 * span(level), level, &looked.blocks);
            if !looked.is_open(&blocks) {
                continue;
            }
            if level > 0 {
                if let Some(child) = page::child(&block, i) {
                    self.look_up_in(child, identity.child(i), looked)?;
                }
            } else if let Some(stored) = page::stored(&block, i) {
                let place = looked.place(blocks.start);
                looked.found[place] = Found::At(stored);
            }
        }
        Ok(())
    }

    /// A page, verified: from memory, else from the disk.
    pub(super) fn load_page(
        &self,
        page: PageRef,
        identity: Identity,
    ) -> Result<Arc<Block>, IoError> {
        let cached = self.cache().get(page.address);
        if let Some(block) = cached {
            return Ok(block);
        }
        let block = Arc::new(self.read_page(page, identity)?);
        self.counters.pages_read.fetch_add(1, Relaxed);
        self.cache().insert(page.address, Arc::clone(&block));
        Ok(block)
    }

    pub(super) fn read_page(&self, page: PageRef, identity: Identity) -> Result<Block, IoError> {
        let (segment, number) = (page.address.segment_id(), page.address.block());
        let damaged = |why: &str| {
            tracing::error!(
                "the page of level {} for blocks from {} on is damaged: {why}: lineage {}, \
                 segment {segment}, block {number}",
                identity.level,
                identity.first(),
                identity.lineage,
            );
            IoError::Corrupt
        };
        let offset = self.segments.offset(self.geometry, page.address);
        let offset = offset.ok_or_else(|| damaged("its segment is not known"))?;
        let mut block = [0; BLOCK];
        self.storage.read_at(offset, &mut block).map_err(|error| {
            tracing::error!("reading a page: segment {segment}, block {number}: {error}");
            IoError::Failed
        })?;
        match identity.verify(&block, page) {
            Err(why) if !self.planted.has(Bug::PageNotVerified) => Err(damaged(why)),
            _ => Ok(block),
        }
    }

    pub(super) fn cache(&self) -> std::sync::MutexGuard<'_, crate::cache::Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
