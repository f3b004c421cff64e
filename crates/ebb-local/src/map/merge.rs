//! Merging a frozen memtable into the pages below it: the new pages, bottom up.
//!
//! Only pages that a change lies in are written; all others are shared with the root before. Two
//! versions that share a part of their memtables, a snapshot and its volume say, come to the same
//! page there: it is written once, for the older of them.
//!
//! What the version sees from now on and what it sees no more is told as it is found. Of a part
//! that a change cuts off whole only its top is: going through it takes time in its size.

use std::collections::HashMap;
use std::sync::Arc;

use super::memtable::{Entries, Memtable, Page};
use super::page::{self, Block, Identity, Inner, Leaf, PageRef, encode_inner, encode_leaf};
use super::{HEIGHT, Places, Stored, WAYS};
use crate::layout::Address;
use crate::planted::{Bug, Planted};

/// Where pages come from and go to.
pub(crate) trait Pages {
    type Error;

    /// A page, verified.
    fn load(&mut self, page: PageRef, identity: Identity) -> Result<Arc<Block>, Self::Error>;

    /// Takes a new page and says where it will be.
    fn put(&mut self, block: Box<Block>) -> Result<Address, Self::Error>;

    /// A leaf has a block that may not have been in any before.
    fn placed(&mut self, stored: Stored);

    /// The version has a block there no more.
    fn lost(&mut self, place: u64, stored: Stored);

    /// The version has another page there, or none. What was under it is told on its own.
    fn lost_page(&mut self, page: PageRef, identity: Identity);

    /// The version has nothing there any more that was under this page.
    fn cut(&mut self, page: PageRef, identity: Identity);
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
    /// Those of the lineage's blocks.
    pub(crate) places: Places,
    /// Of the pages that are made.
    pub(crate) birth: u32,
    /// Whether a page stays where the changes leave it as it is. Not where a version below this one
    /// is merged into the same pages: it may have lost the page, and what a version sees no more
    /// none above it may see again, or nobody knew when it is free.
    pub(crate) may_keep: bool,
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
            Entries::Inner(_) => self.inner(changes, block.as_deref(), identity)?,
            _ => self.leaf(changes, block.as_deref(), identity)?,
        };
        let made = match made {
            Made::Unchanged if self.may_keep => below,
            Made::Unchanged => self.again(block)?,
            _ if below.is_some() && self.planted.has(Bug::DirtyPageMissed) => below,
            Made::Nothing => None,
            Made::Page(block, crc) => {
                let (address, birth) = (self.pages.put(block)?, self.birth);
                Some(PageRef { address, birth, crc })
            }
        };
        if let Some(below) = below
            && made != Some(below)
        {
            self.pages.lost_page(below, identity);
        }
        self.memo.0.insert(key, made);
        Ok(made)
    }

    /// The same page once more, as this version's.
    fn again(&mut self, block: Option<Arc<Block>>) -> Result<Option<PageRef>, P::Error> {
        let Some(block) = block else {
            return Ok(None);
        };
        let (block, crc) = page::reborn(&block, self.birth);
        let (address, birth) = (self.pages.put(block)?, self.birth);
        Ok(Some(PageRef { address, birth, crc }))
    }

    fn leaf(
        &mut self,
        changes: &Page,
        block: Option<&Block>,
        identity: Identity,
    ) -> Result<Made, P::Error> {
        let before: Leaf = std::array::from_fn(|i| page::stored(block?, i));
        let mut after = before;
        for (i, entry) in after.iter_mut().enumerate() {
            if changes.hidden.contains(i as u8) && !self.planted.has(Bug::HolesNotMerged) {
                *entry = None;
            }
        }
        for (i, stored) in changes.entries.all_stored() {
            after[i] = Some(stored);
        }
        self.tell_changes(&before, &after, identity.first());
        let encode = || encode_leaf(identity, self.birth, &after, self.places);
        Ok(Made::of(&before, &after, encode))
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
            if changes.hidden.contains(i as u8)
                && let Some(page) = entry.take()
            {
                self.pages.cut(page, identity.child(i));
            }
        }
        for (i, child) in children.range(0..WAYS) {
            after[i] = self.page(child, after[i], identity.child(i))?;
        }
        Ok(Made::of(&before, &after, || encode_inner(identity, self.birth, &after)))
    }

    fn tell_changes(&mut self, before: &Leaf, after: &Leaf, first: u64) {
        for (place, (before, after)) in (first..).zip(before.iter().zip(after)) {
            if before == after {
                continue;
            }
            if let Some(stored) = after {
                self.pages.placed(*stored);
            }
            if let Some(stored) = before {
                self.pages.lost(place, *stored);
            }
        }
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
