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
use crate::map::{Found, HEIGHT, Map, Places, common, span, touched};
use crate::planted::Bug;
use crate::storage::Storage;

/// What is known of a range of blocks.
pub(super) struct Looked {
    pub(super) blocks: Range<u64>,
    pub(super) found: Vec<Found>,
    places: Places,
    lineage: u64,
    /// The pages that know the rest.
    root: Option<PageRef>,
}

impl Looked {
    pub(super) fn in_memory(map: &Map, blocks: Range<u64>) -> Self {
        let found = map.look_up(blocks.clone());
        Self { blocks, found, places: map.places(), lineage: map.lineage, root: map.root }
    }
}

/// A part of it whose blocks are one after the other in the map.
struct Run<'a> {
    places: Range<u64>,
    found: &'a mut [Found],
}

impl Run<'_> {
    fn at(&mut self, places: &Range<u64>) -> &mut [Found] {
        let first = self.places.start;
        &mut self.found[(places.start - first) as usize..(places.end - first) as usize]
    }
}

impl<S: Storage> Pool<S> {
    /// Looks up in the pages what memory did not know.
    pub(super) fn look_up_in_pages(&self, looked: &mut Looked) -> Result<(), IoError> {
        let (pool_id, lineage) = (self.pool_id, looked.lineage);
        let identity = Identity { pool_id, lineage, level: HEIGHT, index: 0 };
        let Some(root) = looked.root else { return Ok(()) };
        for (before, places) in looked.places.runs(looked.blocks.clone()) {
            let length = (places.end - places.start) as usize;
            let found = &mut looked.found[before..before + length];
            if found.contains(&Found::Unknown) {
                self.look_up_in(root, identity, &mut Run { places, found })?;
            }
        }
        Ok(())
    }

    fn look_up_in(
        &self,
        page: PageRef,
        identity: Identity,
        run: &mut Run<'_>,
    ) -> Result<(), IoError> {
        let block = self.load_page(page, identity)?;
        let (first, level) = (identity.first(), identity.level);
        for i in touched(first, level, &run.places) {
            let places = common(first + i as u64 * span(level), level, &run.places);
            let found = run.at(&places);
            if !found.contains(&Found::Unknown) {
                continue;
            }
            if level > 0 {
                if let Some(child) = page::child(&block, i) {
                    self.look_up_in(child, identity.child(i), run)?;
                }
            } else if let Some(stored) = page::stored(&block, i) {
                found[0] = Found::At(stored);
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
                "the page of level {} for places from {} on is damaged: {why}: lineage {}, \
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
