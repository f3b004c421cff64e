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
//! Of two maps with other places for their blocks, of which one is encrypted, nothing is the same:
//! what either has is changed.
//!
//! A walk ends after a number of pages, with what it has found until then, as that of
//! [`extents`](super::extents) does. Deliberately not here: comparing bytes.

use std::num::NonZeroUsize;
use std::ops::Range;

use ebb_volume::{BLOCK_BYTES, Difference, Extent, ExtentList, IoError, SnapshotId};

use super::Pool;
use super::node::Node;
use crate::layout::Address;
use crate::map::{HEIGHT, Map, Places, span, touched};
use crate::session::Opened;
use crate::storage::Storage;

/// Pages of both maps that one walk looks at: as many as one of extents, of each.
const PAGES: usize = 1024;

struct Walk<'a, S> {
    pool: &'a Pool<S>,
    /// Of both maps.
    range: Range<u64>,
    places: Places,
    differences: ExtentList,
    pages: usize,
}

impl<S: Storage> Pool<S> {
    /// The runs of a range of a volume that are as in a snapshot, and those that are not, now.
    pub(crate) fn changed(
        &self,
        opened: &Opened,
        since: SnapshotId,
        offset: u64,
        length: u64,
        most: NonZeroUsize,
    ) -> Result<Vec<Difference>, IoError> {
        let _reading = self.readers.enter();
        let mut state = self.lock();
        state.enter(opened, offset, length)?;
        let head = state.catalog.head(opened.volume).cloned();
        let then = state.catalog.snapshot_map(since).map(|(map, _)| map.clone());
        drop(state);
        // The pages below both maps stay where they are while this reads.
        let outcome = head.ok_or(IoError::Stale).and_then(|head| {
            let then = then.ok_or(IoError::NoSnapshot)?;
            match head.places() == then.places() {
                true => self.differences(&head, &then, offset, length, most),
                false => self.either(&head, &then, offset, length, most),
            }
        });
        self.finish(opened.volume, 1);
        outcome
    }

    fn differences(
        &self,
        head: &Map,
        then: &Map,
        offset: u64,
        length: u64,
        most: NonZeroUsize,
    ) -> Result<Vec<Difference>, IoError> {
        let mut walk = Walk {
            pool: self,
            range: head.places().of_range(&super::write::blocks_of(offset, length)),
            places: head.places(),
            differences: ExtentList::new(offset, length, most),
            pages: 0,
        };
        let nodes = [head, then].map(|map| Node::root(self.pool_id, map));
        let [head, then] = nodes;
        walk.entry(0, HEIGHT + 1, head, then)?;
        Ok(walk.differences.into_differences())
    }

    /// What either of two maps has.
    fn either(
        &self,
        head: &Map,
        then: &Map,
        offset: u64,
        length: u64,
        most: NonZeroUsize,
    ) -> Result<Vec<Difference>, IoError> {
        // Each run of the answer ends where a run of one of them does.
        let head = self.extents_of(head, offset, length, most)?;
        let then = self.extents_of(then, offset, length, most)?;
        let mut differences = ExtentList::new(offset, length, most);
        let (mut head, mut then) = (Runs::of(offset, &head), Runs::of(offset, &then));
        while let (Some(a), Some(b)) = (head.now(), then.now()) {
            let end = a.0.min(b.0);
            differences.reach(end, a.1 || b.1);
            head.pass(end);
            then.pass(end);
        }
        Ok(differences.into_differences())
    }
}

/// Extents one after the other.
struct Runs<'a> {
    at: u64,
    left: &'a [Extent],
}

impl<'a> Runs<'a> {
    fn of(at: u64, left: &'a [Extent]) -> Self {
        Self { at, left }
    }

    /// Where the one that it has come to ends, and whether it is stored.
    fn now(&self) -> Option<(u64, bool)> {
        let first = self.left.first()?;
        Some((self.at + first.length, first.stored))
    }

    fn pass(&mut self, to: u64) {
        if let Some((end, _)) = self.now()
            && end <= to
        {
            (self.at, self.left) = (end, &self.left[1..]);
        }
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
        for i in touched(first, level, &self.range) {
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

    fn stored(&self, node: &mut Option<Node<'_>>, i: usize) -> Result<Option<Address>, IoError> {
        node.as_mut().map_or(Ok(None), |node| node.stored(self.pool, i))
    }

    fn child<'n>(
        &self,
        node: &'n mut Option<Node<'_>>,
        i: usize,
    ) -> Result<Option<Node<'n>>, IoError> {
        node.as_mut().map_or(Ok(None), |node| node.child(self.pool, i))
    }

    fn reach(&mut self, end: u64, changed: bool) {
        let end = self.places.before(end);
        self.differences.reach(end.saturating_mul(BLOCK_BYTES), changed);
    }
}
