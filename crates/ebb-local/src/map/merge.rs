//! Merging a frozen memtable into the pages below it: the new pages, bottom up.
//!
//! Only pages that a change lies in are written; all others are shared with the root before. Two
//! versions that share a part of their memtables, a snapshot and its volume say, come to the same
//! page there: it is written once, for the older of them.

use std::collections::HashMap;
use std::sync::Arc;

use super::memtable::{Entries, Memtable, Page};
use super::page::{self, Block, Identity, Inner, Leaf, PageRef, encode_inner, encode_leaf};
use super::{HEIGHT, WAYS};
use crate::layout::Address;
use crate::planted::{Bug, Planted};

/// Where pages come from and go to.
pub(crate) trait Pages {
    type Error;

    /// A page, verified.
    fn load(&mut self, page: PageRef, identity: Identity) -> Result<Arc<Block>, Self::Error>;

    /// Takes a new page and says where it will be.
    fn put(&mut self, block: Box<Block>) -> Result<Address, Self::Error>;
}

/// Pages merged already: what a memtable's page made of the page below it. Valid while the
/// memtables live.
#[derive(Default)]
pub(crate) struct Memo(HashMap<(usize, Option<Address>), Option<PageRef>>);

/// One version's merge.
pub(crate) struct Merge<'a, P> {
    pub(crate) pages: &'a mut P,
    pub(crate) memo: &'a mut Memo,
    pub(crate) pool_id: [u8; 16],
    pub(crate) lineage: u64,
    /// Of the pages that are made.
    pub(crate) birth: u32,
    pub(crate) planted: Planted,
}

impl<P: Pages> Merge<'_, P> {
    /// The root of the pages with the changes in them. None: no block is there.
    pub(crate) fn run(
        &mut self,
        changes: &Memtable,
        root: Option<PageRef>,
    ) -> Result<Option<PageRef>, P::Error> {
        let (pool_id, lineage) = (self.pool_id, self.lineage);
        let identity = Identity { pool_id, lineage, level: HEIGHT, index: 0 };
        match &changes.root {
            Some(page) => self.page(page, root, identity),
            None => Ok(root),
        }
    }

    fn page(
        &mut self,
        changes: &Arc<Page>,
        below: Option<PageRef>,
        identity: Identity,
    ) -> Result<Option<PageRef>, P::Error> {
        let key = (Arc::as_ptr(changes) as usize, below.map(|page| page.address));
        if let Some(made) = self.memo.0.get(&key) {
            return Ok(*made);
        }
        let block = match below {
            Some(page) => Some(self.pages.load(page, identity)?),
            None => None,
        };
        let made = match &changes.entries {
            Entries::Leaf(_) => self.leaf(changes, block.as_deref(), identity)?,
            Entries::Inner(_) => self.inner(changes, block.as_deref(), identity)?,
        };
        let made = match made {
            Made::Unchanged => below,
            _ if below.is_some() && self.planted.has(Bug::DirtyPageMissed) => below,
            Made::Nothing => None,
            Made::Page(block, crc) => {
                let (address, birth) = (self.pages.put(block)?, self.birth);
                Some(PageRef { address, birth, crc })
            }
        };
        self.memo.0.insert(key, made);
        Ok(made)
    }

    fn leaf(
        &mut self,
        changes: &Page,
        block: Option<&Block>,
        identity: Identity,
    ) -> Result<Made, P::Error> {
        let before: Leaf = std::array::from_fn(|i| page::stored(block?, i));
        let mut after = before;
        let Entries::Leaf(blocks) = &changes.entries else {
            unreachable!("a leaf's changes are in a leaf");
        };
        for (i, entry) in after.iter_mut().enumerate() {
            if changes.hidden.contains(i as u8) && !self.planted.has(Bug::HolesNotMerged) {
                *entry = None;
            }
        }
        for (i, stored) in blocks.range(0..WAYS) {
            after[i] = Some(*stored);
        }
        Ok(Made::of(&before, &after, || encode_leaf(identity, self.birth, &after)))
    }

    fn inner(
        &mut self,
        changes: &Page,
        block: Option<&Block>,
        identity: Identity,
    ) -> Result<Made, P::Error> {
        let before: Inner = std::array::from_fn(|i| page::child(block?, i));
        let mut after = before;
        let Entries::Inner(children) = &changes.entries else {
            unreachable!("an inner page's changes are in an inner page");
        };
        for (i, entry) in after.iter_mut().enumerate() {
            if changes.hidden.contains(i as u8) {
                *entry = None;
            }
        }
        for (i, child) in children.range(0..WAYS) {
            after[i] = self.page(child, after[i], identity.child(i))?;
        }
        Ok(Made::of(&before, &after, || encode_inner(identity, self.birth, &after)))
    }
}

/// What became of a page.
enum Made {
    Unchanged,
    Nothing,
    Page(Box<Block>, u32),
}

impl Made {
    fn of<T: PartialEq>(
        before: &[Option<T>; WAYS],
        after: &[Option<T>; WAYS],
        encode: impl FnOnce() -> (Box<Block>, u32),
    ) -> Self {
        if before == after {
            return Self::Unchanged;
        }
        if after.iter().all(Option::is_none) {
            return Self::Nothing;
        }
        let (block, crc) = encode();
        Self::Page(block, crc)
    }
}
