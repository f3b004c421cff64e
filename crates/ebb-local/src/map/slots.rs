//! Up to 256 entries, held by a bitmap of those that are there and a list of them.

use std::ops::Range;

/// A set of entries' numbers.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bits([u64; 4]);

impl Bits {
    pub(super) const ALL: Self = Self([u64::MAX; 4]);

    pub(super) fn contains(self, i: u8) -> bool {
        self.0[usize::from(i >> 6)] >> (i & 63) & 1 == 1
    }

    pub(super) fn insert(&mut self, i: u8) {
        self.0[usize::from(i >> 6)] |= 1 << (i & 63);
    }

    fn remove(&mut self, i: u8) {
        self.0[usize::from(i >> 6)] &= !(1 << (i & 63));
    }

    /// Members below `i`.
    fn rank(self, i: usize) -> usize {
        let (word, bit) = (i >> 6, i & 63);
        let before: u32 = self.0[..word].iter().map(|w| w.count_ones()).sum();
        let within = match self.0.get(word) {
            Some(w) => (w & ((1 << bit) - 1)).count_ones(),
            None => 0,
        };
        (before + within) as usize
    }
}

#[derive(Debug, Clone)]
pub(super) struct Slots<T> {
    present: Bits,
    entries: Vec<T>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { present: Bits::default(), entries: Vec::new() }
    }
}

impl<T> Slots<T> {
    pub(super) fn contains(&self, i: u8) -> bool {
        self.present.contains(i)
    }

    fn rank(&self, i: u8) -> usize {
        self.present.rank(usize::from(i))
    }

    pub(super) fn get(&self, i: u8) -> Option<&T> {
        if !self.contains(i) {
            return None;
        }
        self.entries.get(self.rank(i))
    }

    pub(super) fn insert(&mut self, i: u8, entry: T) {
        let at = self.rank(i);
        if self.contains(i) {
            self.entries[at] = entry;
        } else {
            self.make_room();
            self.entries.insert(at, entry);
            self.present.insert(i);
        }
    }

    pub(super) fn get_mut(&mut self, i: u8) -> Option<&mut T> {
        if !self.contains(i) {
            return None;
        }
        let at = self.rank(i);
        self.entries.get_mut(at)
    }

    pub(super) fn remove(&mut self, i: u8) -> Option<T> {
        if !self.contains(i) {
            return None;
        }
        let at = self.rank(i);
        self.present.remove(i);
        Some(self.entries.remove(at))
    }

    /// The entries of a range that are there, with their numbers.
    pub(super) fn range(&self, range: Range<usize>) -> impl Iterator<Item = (usize, &T)> {
        let first = self.present.rank(range.start);
        range.filter(|&i| self.contains(i as u8)).zip(&self.entries[first..])
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.entries.capacity() * size_of::<T>()
    }

    /// Most pages of a scattered volume hold one entry for ever, so the list grows slowly at first.
    fn make_room(&mut self) {
        let n = self.entries.len();
        if n == self.entries.capacity() {
            self.entries.reserve_exact(n.clamp(1, 256 - n));
        }
    }
}
