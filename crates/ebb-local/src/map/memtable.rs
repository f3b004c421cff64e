//! Changes of a map, held over whatever lies below them.
//!
//! ```text
//!   root ─ inner ─ inner ─ inner ─ leaf      256 ways each; a leaf is 256 blocks, 1 MiB of disk
//! ```
//! A persistent tree: a clone shares every page, a change copies the pages on its way that are
//! shared. A page is a bitmap and the entries that are there, so that a scattered volume costs some
//! 200 bytes a block. A second bitmap says which entries hide what lies below: a block that is
//! neither there nor hidden is whatever the pages on disk say.
//!
//! A change says what it took of memory, so that a checkpoint begins before it is too much. That of
//! pages which a clone shares is told when it is copied.

use std::ops::Range;
use std::sync::Arc;

use super::slots::{Bits, Slots};
use super::{Found, HEIGHT, Places, Stored, Trash, WAYS, common, span, touched};
use crate::cipher::Tag;
use crate::layout::Address;

#[derive(Debug, Clone, Default)]
pub(crate) struct Memtable {
    pub(super) root: Option<Arc<Page>>,
}

#[derive(Debug, Clone)]
pub(super) struct Page {
    /// What is not there either on disk. Says nothing of an entry that is here, but that the page
    /// in it has this set for all its own.
    pub(super) hidden: Bits,
    pub(super) entries: Entries,
}

#[derive(Debug, Clone)]
pub(super) enum Entries {
    Inner(Slots<Arc<Page>>),
    Leaf(Slots<Plain>),
    /// Of an encrypted volume, once it has a block.
    Sealed(Slots<Stored>),
}

/// A block without a tag: as most are, half as long as one with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plain {
    address: Address,
    birth: u32,
    crc: u32,
}

const _: () = assert!(size_of::<Plain>() == 16 && size_of::<Stored>() == 32);

impl From<Stored> for Plain {
    fn from(Stored { address, birth, crc, .. }: Stored) -> Self {
        Self { address, birth, crc }
    }
}

impl From<Plain> for Stored {
    fn from(Plain { address, birth, crc }: Plain) -> Self {
        Self { address, birth, crc, tag: Tag::NONE }
    }
}

/// What a page takes besides its entries: itself, its two counts, and what an allocator adds.
const PAGE_BYTES: usize = size_of::<Page>() + 2 * size_of::<usize>() + 16;

impl Entries {
    fn heap_bytes(&self) -> usize {
        match self {
            Self::Inner(children) => children.heap_bytes(),
            Self::Leaf(blocks) => blocks.heap_bytes(),
            Self::Sealed(blocks) => blocks.heap_bytes(),
        }
    }

    /// A leaf's block.
    pub(super) fn stored(&self, i: u8) -> Option<Stored> {
        match self {
            Self::Inner(_) => None,
            Self::Leaf(blocks) => blocks.get(i).copied().map(Stored::from),
            Self::Sealed(blocks) => blocks.get(i).copied(),
        }
    }

    /// A leaf's blocks, with their numbers.
    pub(super) fn all_stored(&self) -> impl Iterator<Item = (usize, Stored)> {
        let (plain, sealed) = match self {
            Self::Inner(_) => (None, None),
            Self::Leaf(blocks) => (Some(blocks.range(0..WAYS)), None),
            Self::Sealed(blocks) => (None, Some(blocks.range(0..WAYS))),
        };
        let plain = plain.into_iter().flatten().map(|(i, stored)| (i, Stored::from(*stored)));
        plain.chain(sealed.into_iter().flatten().map(|(i, stored)| (i, *stored)))
    }

    /// Puts a block into a leaf.
    fn insert(&mut self, i: u8, stored: Stored, places: Places) {
        match (&mut *self, places) {
            (Self::Leaf(blocks), Places::Dense) => blocks.insert(i, stored.into()),
            (Self::Sealed(blocks), _) => blocks.insert(i, stored),
            // There were only holes until now.
            (entries, _) => {
                let mut blocks = Slots::default();
                blocks.insert(i, stored);
                *entries = Self::Sealed(blocks);
            }
        }
    }
}

impl Memtable {
    pub(crate) fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    /// Says how many bytes of memory it took.
    pub(super) fn insert(&mut self, place: u64, stored: Stored, places: Places) -> usize {
        let mut taken = 0;
        let mut page = self.root.get_or_insert_with(|| Arc::new(Page::new(HEIGHT, false)));
        for level in (1..=HEIGHT).rev() {
            page = Page::own(page, &mut taken).child(digit(place, level), level, &mut taken);
        }
        let leaf = Page::own(page, &mut taken);
        let before = leaf.entries.heap_bytes();
        leaf.entries.insert(digit(place, 0), stored, places);
        taken + leaf.entries.heap_bytes() - before
    }

    /// Says how many bytes of memory it took; what it gave back is in the trash.
    pub(super) fn remove(&mut self, range: Range<u64>, trash: &mut Trash) -> usize {
        let mut taken = 0;
        if !range.is_empty() {
            let root = self.root.get_or_insert_with(|| Arc::new(Page::new(HEIGHT, false)));
            Page::remove(root, 0, HEIGHT, &range, trash, &mut taken);
        }
        taken
    }

    /// Appends all blocks that are there.
    pub(super) fn blocks(&self, blocks: &mut Vec<(u64, Stored)>) {
        if let Some(root) = &self.root {
            root.blocks(0, HEIGHT, blocks);
        }
    }

    /// Fills in what is not known yet.
    pub(super) fn look_up(&self, range: &Range<u64>, found: &mut [Found]) {
        if let Some(root) = &self.root {
            root.look_up(0, HEIGHT, range, found);
        }
    }
}

fn digit(place: u64, level: u32) -> u8 {
    (place >> (8 * level)) as u8
}

impl Page {
    fn new(level: u32, hidden: bool) -> Self {
        let entries = match level {
            0 => Entries::Leaf(Slots::default()),
            _ => Entries::Inner(Slots::default()),
        };
        let hidden = if hidden { Bits::ALL } else { Bits::default() };
        Self { hidden, entries }
    }

    /// The page for changing it: a copy, where a clone shares it.
    fn own<'a>(page: &'a mut Arc<Self>, taken: &mut usize) -> &'a mut Self {
        if Arc::get_mut(page).is_none() {
            *taken += PAGE_BYTES + page.entries.heap_bytes();
        }
        Arc::make_mut(page)
    }

    /// The page under an entry of this one, which is at `level`.
    fn child(&mut self, i: u8, level: u32, taken: &mut usize) -> &mut Arc<Self> {
        let Entries::Inner(children) = &mut self.entries else {
            unreachable!("pages above level 0 are inner pages");
        };
        let hidden = self.hidden.contains(i);
        if !children.contains(i) {
            let before = children.heap_bytes();
            children.insert(i, Arc::new(Self::new(level - 1, hidden)));
            *taken += PAGE_BYTES + children.heap_bytes() - before;
        }
        children.get_mut(i).expect("it was put in where it was not there")
    }

    /// Whether nothing is at an entry, here and below.
    fn is_bare(&self, i: u8) -> bool {
        let here = match &self.entries {
            Entries::Inner(children) => children.contains(i),
            Entries::Leaf(blocks) => blocks.contains(i),
            Entries::Sealed(blocks) => blocks.contains(i),
        };
        !here && self.hidden.contains(i)
    }

    /// Takes `range` out of the page that begins at `first`.
    fn remove(
        this: &mut Arc<Self>,
        first: u64,
        level: u32,
        range: &Range<u64>,
        trash: &mut Trash,
        taken: &mut usize,
    ) {
        let page = Self::own(this, taken);
        for i in touched(first, level, range) {
            let start = first + i as u64 * span(level);
            let whole = range.start <= start && start + span(level) <= range.end;
            let i = i as u8;
            if page.is_bare(i) {
                continue;
            }
            match &mut page.entries {
                Entries::Leaf(blocks) => {
                    blocks.remove(i);
                    page.hidden.insert(i);
                }
                Entries::Sealed(blocks) => {
                    blocks.remove(i);
                    page.hidden.insert(i);
                }
                Entries::Inner(children) if whole => {
                    let root = children.remove(i);
                    trash.extend(root.map(|root| Memtable { root: Some(root) }));
                    page.hidden.insert(i);
                }
                Entries::Inner(_) => {
                    let child = page.child(i, level, taken);
                    Self::remove(child, start, level - 1, range, trash, taken);
                }
            }
        }
    }

    fn blocks(&self, first: u64, level: u32, blocks: &mut Vec<(u64, Stored)>) {
        match &self.entries {
            Entries::Leaf(_) | Entries::Sealed(_) => {
                let here = self.entries.all_stored();
                blocks.extend(here.map(|(i, stored)| (first + i as u64, stored)));
            }
            Entries::Inner(children) => {
                for (i, child) in children.range(0..WAYS) {
                    child.blocks(first + i as u64 * span(level), level - 1, blocks);
                }
            }
        }
    }

    fn look_up(&self, first: u64, level: u32, range: &Range<u64>, found: &mut [Found]) {
        for i in touched(first, level, range) {
            let start = first + i as u64 * span(level);
            let answer = match &self.entries {
                Entries::Inner(children) => match children.get(i as u8) {
                    Some(child) => {
                        child.look_up(start, level - 1, range, found);
                        continue;
                    }
                    None => None,
                },
                leaf => leaf.stored(i as u8).map(Found::At),
            };
            let hidden = self.hidden.contains(i as u8).then_some(Found::Nothing);
            let Some(answer) = answer.or(hidden) else {
                continue;
            };
            let blocks = common(start, level, range);
            let places = (blocks.start - range.start) as usize..(blocks.end - range.start) as usize;
            for slot in &mut found[places] {
                if *slot == Found::Unknown {
                    *slot = answer;
                }
            }
        }
    }
}
