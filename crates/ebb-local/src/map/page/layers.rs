//! What the memtables say of the entries of one page, before it is read.
//!
//! ```text
//!   active memtable   its page at this place, if it has one   ┐
//!   frozen memtable   its page at this place, if it has one   ┘ Layers
//!   on disk           the page at this place, if there is one
//! ```
//! Walking down with one [`Layers`] for each page finds what is stored without a look at each
//! block: an entry that nothing is under is a hole of all its blocks at once.

use crate::map::memtable::{self, Entries};
use crate::map::{Map, Stored};

/// The memtables' pages at one place, the upper one first.
#[derive(Clone, Copy, Default)]
pub(crate) struct Layers<'a>([Option<&'a memtable::Page>; 2]);

/// What is known of an entry.
pub(crate) enum Entry<'a> {
    /// All that is under it reads zero.
    Hole,
    /// A leaf's block is in memory.
    Stored(Stored),
    /// Some of it is in these layers, of the page under the entry; the rest is whatever the entry
    /// on disk says.
    Over(Layers<'a>),
    /// As that, but nothing on disk counts.
    Instead(Layers<'a>),
}

impl<'a> Layers<'a> {
    /// Those at the root.
    pub(crate) fn of(map: &'a Map) -> Self {
        let frozen = map.frozen.as_ref().and_then(|frozen| frozen.changes.root.as_deref());
        Self([map.active.root.as_deref(), frozen])
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// Whether both are the same pages of memory.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let pages = self.0.iter().zip(&other.0);
        pages.into_iter().all(|(a, b)| match (a, b) {
            (Some(a), Some(b)) => std::ptr::eq(*a, *b),
            (None, None) => true,
            _ => false,
        })
    }

    pub(crate) fn entry(&self, i: u8) -> Entry<'a> {
        let mut under = Self::default();
        for (layer, page) in self.0.iter().enumerate() {
            let Some(page) = page else { continue };
            match &page.entries {
                Entries::Inner(children) => under.0[layer] = children.get(i).map(|page| &**page),
                leaf => {
                    if let Some(stored) = leaf.stored(i) {
                        return Entry::Stored(stored);
                    }
                }
            }
            // Where there is a page under it, that page hides all that this entry does.
            if page.hidden.contains(i) {
                return if under.is_empty() { Entry::Hole } else { Entry::Instead(under) };
            }
        }
        Entry::Over(under)
    }
}
