//! Merging the captured memtables into new pages, and noting what that makes alive and dead.

use std::collections::BTreeSet;
use std::sync::Arc;

use ebb_volume::IoError;

use super::job::Job;
use super::{Halt, Pool};
use crate::catalog::VersionId;
use crate::catalog::drops::{Lost, Pending, Walk, WalkKind, owns};
use crate::layout::Address;
use crate::map::merge::{Merge, Pages};
use crate::map::page::{Block, Identity, PageRef};
use crate::map::{Stored, Trash};
use crate::meta::Meta;
use crate::planted::Bug;
use crate::space::Space;
use crate::storage::Storage;

/// The pages of one version's merge: read through the cache, written to segments of pages.
struct NewPages<'a, S> {
    pool: &'a Pool<S>,
    meta: &'a mut Meta,
    space: &'a mut Space,
    of: VersionId,
    limit: Option<u32>,
    is_on_ghost: bool,
    lost: &'a mut Vec<Lost>,
    cuts: &'a mut Vec<Walk>,
    pending: Vec<Pending>,
    rewinds: &'a mut Vec<(VersionId, u64)>,
    cut_on_ghosts: &'a mut BTreeSet<VersionId>,
    wrote: &'a mut BTreeSet<u64>,
}

impl<S: Storage> Pool<S> {
    /// Merges the next version. True: there was none left.
    pub(super) fn merge_next(
        &self,
        job: &mut Job,
        meta: &mut Meta,
        space: &mut Space,
    ) -> Result<bool, Halt> {
        for (walk, to) in std::mem::take(&mut job.rewinds) {
            job.captured.rewind(walk, to);
        }
        let Some(of) = job.left.front().copied() else {
            // From here on new pages are read too.
            self.write_pending(meta)?;
            let mut trash = Trash::new();
            job.captured.install(&job.merged, &mut trash);
            self.reap(trash);
            job.captured.walks.extend(job.cuts.drain(..));
            let cut = std::mem::take(&mut job.cut_on_ghosts);
            let above = cut.into_iter().filter_map(|version| job.captured.parent(version));
            job.captured.ask_for_ghosts(above.collect());
            return Ok(true);
        };
        let (map, mut birth) = job.captured.to_merge(of);
        if self.planted.has(Bug::BornWhenWritten) {
            birth = self.lock().catalog.epoch();
        }
        if let Some(frozen) = &map.frozen {
            let mut pages = NewPages {
                pool: self,
                meta,
                space,
                of,
                limit: job.captured.limit(of),
                is_on_ghost: job.captured.is_on_ghost(of),
                lost: &mut job.lost,
                cuts: &mut job.cuts,
                pending: job.captured.pending(of),
                rewinds: &mut job.rewinds,
                cut_on_ghosts: &mut job.cut_on_ghosts,
                wrote: &mut job.wrote,
            };
            let mut merge = Merge {
                pages: &mut pages,
                memo: &mut job.memo,
                pool_id: self.pool_id,
                lineage: map.lineage,
                places: map.places(),
                birth,
                may_keep: !job.captured.is_merged_upon(of) || self.planted.has(Bug::PageSeenAgain),
                planted: self.planted,
            };
            let root = merge.run(&frozen.changes, map.root)?;
            job.merged.insert(frozen.number, root);
        }
        job.left.pop_front();
        Ok(false)
    }

    /// Whether what was born then is a version's, or a walk's, with this limit.
    pub(super) fn owns(&self, limit: Option<u32>, birth: u32) -> bool {
        let at_limit = self.planted.has(Bug::FreedAtLimit) && limit == Some(birth);
        owns(limit, birth) || at_limit || self.planted.has(Bug::LimitIgnored)
    }

    /// What a page that can not be had means for a checkpoint.
    pub(super) fn halt(error: IoError) -> Halt {
        match error {
            IoError::Corrupt => Halt::Damaged,
            _ => Halt::Unreadable,
        }
    }
}

impl<S: Storage> NewPages<'_, S> {
    fn owns(&self, birth: u32) -> bool {
        self.pool.owns(self.limit, birth)
    }
}

impl<S: Storage> Pages for NewPages<'_, S> {
    type Error = Halt;

    fn load(&mut self, page: PageRef, identity: Identity) -> Result<Arc<Block>, Halt> {
        self.pool.load_page(page, identity).map_err(Pool::<S>::halt)
    }

    fn put(&mut self, block: Box<Block>) -> Result<Address, Halt> {
        let (segment, number) = self.pool.put(self.meta, &block)?;
        self.wrote.insert(segment.id);
        let address = Address::new(segment.id, number);
        self.space.mark(address);
        self.pool.cache().insert(address, Arc::new(*block));
        Ok(address)
    }

    fn placed(&mut self, stored: Stored) {
        if !self.pool.planted.has(Bug::PlacedNotMarked) {
            self.space.mark(stored.address);
        }
    }

    fn lost(&mut self, place: u64, stored: Stored) {
        if self.owns(stored.birth) {
            self.space.free(stored.address);
        } else if self.is_on_ghost && !self.pool.planted.has(Bug::GhostForgotten) {
            self.lost.push(Lost { by: self.of, place, stored });
        }
    }

    fn lost_page(&mut self, page: PageRef, identity: Identity) {
        let left = |walk: &Pending| walk.will_pass(page.birth, &identity.blocks());
        let planted = self.pool.planted;
        let left = self.pending.iter().any(left) && !planted.has(Bug::PagesOfWalksFreed);
        if self.owns(page.birth) && !left && !planted.has(Bug::OldPagesKept) {
            self.space.free(page.address);
        }
    }

    fn cut(&mut self, page: PageRef, identity: Identity) {
        if owns(self.limit, page.birth) {
            if self.pool.planted.has(Bug::CutForgotten) {
                return;
            }
            self.cuts.push(Walk {
                of: self.of,
                kind: WalkKind::Cut,
                lineage: identity.lineage,
                root: Some(page),
                level: identity.level,
                index: identity.index,
                limit: self.limit,
                epoch: page.birth,
                next: 0,
            });
            let blocks = identity.blocks();
            let within = self.pending.iter().filter(|walk| walk.is_within(page.birth, &blocks));
            self.rewinds.extend(within.map(|walk| (walk.of, blocks.start)));
        }
        if self.is_on_ghost {
            // Of what is under it, ghosts may own some.
            self.cut_on_ghosts.insert(self.of);
        }
    }
}
