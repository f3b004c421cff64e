//! Blocks that a version on a ghost sees no more: dead, if nobody else on the ghost sees them.

use std::collections::BTreeMap;

use super::job::Job;
use super::{Halt, Pool};
use crate::catalog::VersionId;
use crate::catalog::drops::{Lost, owns};
use crate::map::page::{Identity, PageRef, child, stored};
use crate::map::{HEIGHT, Stored, WAYS, span};
use crate::space::Space;
use crate::storage::Storage;

/// Blocks looked at in one step.
const AT_ONCE: usize = 1024;

/// The ghosts that may own a block: the limit of each, and who may see what it owns.
type Owners = Vec<(Option<u32>, Vec<PageRef>)>;

impl<S: Storage> Pool<S> {
    /// Looks at some of them. True: that was all.
    pub(super) fn free_lost(&self, job: &mut Job, space: &mut Space) -> Result<bool, Halt> {
        let mut owners: BTreeMap<VersionId, (u64, Owners)> = BTreeMap::new();
        for _ in 0..AT_ONCE {
            let Some(lost) = job.lost.last().copied() else {
                return Ok(true);
            };
            let (lineage, owners) = owners
                .entry(lost.by)
                .or_insert_with(|| (job.captured.lineage(lost.by), job.captured.owners(lost.by)));
            if self.is_dead(*lineage, owners, lost)? {
                space.free(lost.stored.address);
            }
            job.lost.pop();
        }
        Ok(false)
    }

    fn is_dead(&self, lineage: u64, owners: &Owners, lost: Lost) -> Result<bool, Halt> {
        for (limit, viewers) in owners {
            for root in viewers {
                if self.block_of(lineage, *root, lost.place)? == Some(lost.stored) {
                    return Ok(false);
                }
            }
            if owns(*limit, lost.stored.birth) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Where the pages below a root say that the block of a place is.
    fn block_of(&self, lineage: u64, root: PageRef, place: u64) -> Result<Option<Stored>, Halt> {
        let mut identity = Identity { pool_id: self.pool_id, lineage, level: HEIGHT, index: 0 };
        let mut page = root;
        loop {
            let block = self.load_page(page, identity).map_err(Self::halt)?;
            let entry = (place / span(identity.level) % WAYS as u64) as usize;
            if identity.level == 0 {
                return Ok(stored(&block, entry));
            }
            match child(&block, entry) {
                Some(below) => (page, identity) = (below, identity.child(entry)),
                None => return Ok(None),
            }
        }
    }
}
