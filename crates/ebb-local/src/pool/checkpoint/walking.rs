//! Walks through the pages of versions that are gone: what nobody sees any more is freed.
//!
//! ```text
//!   the walk's page         its viewers' pages at the same place
//!   ├ a page of theirs too  ─► all under it is seen: passed over
//!   ├ not owned             ─► nothing under it is: passed over
//!   └ else                  ─► its entries one by one, then the page itself
//! ```
//! A walk stops wherever its checkpoint has done enough and says at which block; the next goes on
//! there. A page that can not be read hides what is under it, which is then never freed: that is
//! said in the log, and `ebb volume check` finds it.

use std::sync::Arc;

use ebb_volume::IoError;

use super::job::Job;
use super::{Halt, Pool};
use crate::catalog::drops::{Walk, WalkKind};
use crate::map::page::{Block, Identity, PageRef, child, stored};
use crate::map::{WAYS, span};
use crate::planted::Bug;
use crate::space::Space;
use crate::storage::Storage;

/// Pages that one step looks at.
const AT_ONCE: u64 = 256;

struct Walker<'a, S> {
    pool: &'a Pool<S>,
    space: &'a mut Space,
    walk: &'a mut Walk,
    pages_left: u64,
}

/// How far a walk has come below a page.
#[derive(PartialEq, Eq)]
enum Came {
    Through,
    /// It goes on at its `next` block.
    Half,
}

impl<S: Storage> Pool<S> {
    /// Goes on with the oldest walk. True: no walk is left, or enough was done.
    pub(super) fn walk_on(&self, job: &mut Job, space: &mut Space) -> Result<bool, Halt> {
        if job.pages_left == 0 {
            return Ok(true);
        }
        let Some((mut walk, viewers)) = job.captured.next_walk() else {
            return Ok(true);
        };
        let Some(root) = walk.root else {
            return Ok(false);
        };
        let identity = Identity {
            pool_id: self.pool_id,
            lineage: walk.lineage,
            level: walk.level,
            index: walk.index,
        };
        let viewers: Vec<Option<PageRef>> = match self.planted.has(Bug::ViewersIgnored) {
            true => Vec::new(),
            false => viewers.into_iter().map(Some).collect(),
        };
        let at_once = AT_ONCE.min(job.pages_left);
        let mut walker = Walker { pool: self, space, walk: &mut walk, pages_left: at_once };
        let came = walker.page(root, identity, &viewers);
        job.pages_left -= at_once - walker.pages_left;
        let came = came.inspect_err(|_| job.captured.walks.push_front(walk.clone()))?;
        if came == Came::Half {
            job.captured.walks.push_front(walk);
        }
        Ok(false)
    }
}

impl<S: Storage> Walker<'_, S> {
    /// Whether a page or block of such a birth is the walk's to free.
    fn owns(&self, birth: u32) -> bool {
        self.pool.owns(self.walk.limit, birth)
    }

    fn page(
        &mut self,
        page: PageRef,
        identity: Identity,
        viewers: &[Option<PageRef>],
    ) -> Result<Came, Halt> {
        let seen = viewers.iter().flatten().any(|viewer| viewer.address == page.address);
        // Another walk may have freed what was cut off, with all under it.
        let is_alive = self.space.is_alive(page.address);
        if seen || !self.owns(page.birth) || !is_alive {
            return Ok(Came::Through);
        }
        if self.pages_left == 0 {
            self.walk.next = self.walk.next.max(identity.first());
            return Ok(Came::Half);
        }
        self.pages_left -= 1;
        let block = self.load(page, identity)?;
        let blocks: Result<Vec<_>, Halt> =
            viewers.iter().flatten().map(|viewer| self.load(*viewer, identity)).collect();
        let (Some(block), Some(blocks)) = (block, blocks?.into_iter().collect::<Option<Vec<_>>>())
        else {
            return Ok(Came::Through);
        };
        if identity.level == 0 {
            self.leaf(&block, &blocks);
        } else if self.inner(&block, identity, &blocks)? == Came::Half {
            return Ok(Came::Half);
        }
        if self.walk.kind != WalkKind::Ghost && !self.pool.planted.has(Bug::WalkedPagesKept) {
            self.space.free(page.address);
        }
        Ok(Came::Through)
    }

    fn leaf(&mut self, block: &Block, viewers: &[Arc<Block>]) {
        for i in 0..WAYS {
            let Some(found) = stored(block, i) else { continue };
            let mut seen = viewers.iter().filter_map(|viewer| stored(viewer, i));
            if self.owns(found.birth) && !seen.any(|seen| seen.address == found.address) {
                self.space.free(found.address);
            }
        }
    }

    fn inner(
        &mut self,
        block: &Block,
        identity: Identity,
        viewers: &[Arc<Block>],
    ) -> Result<Came, Halt> {
        let (first, span) = (identity.first(), span(identity.level));
        for i in 0..WAYS {
            if first + (i as u64 + 1) * span <= self.walk.next {
                continue;
            }
            let Some(below) = child(block, i) else { continue };
            let viewers: Vec<_> = viewers.iter().map(|viewer| child(viewer, i)).collect();
            if self.page(below, identity.child(i), &viewers)? == Came::Half {
                return Ok(Came::Half);
            }
        }
        Ok(Came::Through)
    }

    /// None: it is damaged.
    fn load(&self, page: PageRef, identity: Identity) -> Result<Option<Arc<Block>>, Halt> {
        match self.pool.load_page(page, identity) {
            Ok(block) => Ok(Some(block)),
            Err(IoError::Corrupt) => {
                tracing::error!("what is under that page is not given back");
                Ok(None)
            }
            Err(_) => Err(Halt::Unreadable),
        }
    }
}
