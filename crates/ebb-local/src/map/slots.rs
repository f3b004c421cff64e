//! Up to 256 entries, held by a bitmap of those that are there and a list of them.

use std::ops::Range;

#[derive(Debug, Clone)]
pub(super) struct Slots<T> {
    present: [u64; 4],
    entries: Vec<T>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { present: [0; 4], entries: Vec::new() }
    }
}

impl<T> Slots<T> {
    fn contains(&self, i: u8) -> bool {
        self.present[usize::from(i >> 6)] >> (i & 63) & 1 == 1
    }

    /// Entries before `i`.
    fn rank(&self, i: usize) -> usize {
        let (word, bit) = (i >> 6, i & 63);
        let before: u32 = self.present[..word].iter().map(|w| w.count_ones()).sum();
        let within = match self.present.get(word) {
            Some(w) => (w & ((1 << bit) - 1)).count_ones(),
            None => 0,
        };
        (before + within) as usize
    }

    pub(super) fn get_mut(&mut self, i: u8) -> Option<&mut T> {
        if !self.contains(i) {
            return None;
        }
        let at = self.rank(usize::from(i));
        Some(&mut self.entries[at])
    }

    pub(super) fn insert(&mut self, i: u8, entry: T) {
        let at = self.rank(usize::from(i));
        if self.contains(i) {
            self.entries[at] = entry;
        } else {
            self.make_room();
            self.entries.insert(at, entry);
            self.present[usize::from(i >> 6)] |= 1 << (i & 63);
        }
    }

    pub(super) fn get_or_insert_with(&mut self, i: u8, make: impl FnOnce() -> T) -> &mut T {
        if !self.contains(i) {
            self.insert(i, make());
        }
        let at = self.rank(usize::from(i));
        &mut self.entries[at]
    }

    pub(super) fn remove(&mut self, i: u8) -> Option<T> {
        if !self.contains(i) {
            return None;
        }
        let at = self.rank(usize::from(i));
        self.present[usize::from(i >> 6)] &= !(1 << (i & 63));
        Some(self.entries.remove(at))
    }

    /// Keeps the entries whose number pleases `keep`.
    pub(super) fn retain(&mut self, keep: impl Fn(usize) -> bool) {
        for i in 0..=u8::MAX {
            if self.contains(i) && !keep(usize::from(i)) {
                self.remove(i);
            }
        }
    }

    /// The entries of a range that are there, with their numbers.
    pub(super) fn range(&self, range: Range<usize>) -> impl Iterator<Item = (usize, &T)> {
        let first = self.rank(range.start);
        range.filter(|&i| self.contains(i as u8)).zip(&self.entries[first..])
    }

    #[cfg(test)]
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
