//! What of a volume is stored, and what is a hole.

use std::num::NonZeroUsize;

/// A run of bytes, as [`Volume::extents`](crate::Volume::extents) tells of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Its bytes, at least one. It begins where the one before it ends.
    pub length: u64,
    /// False: a hole, which reads zero and for which nothing is kept.
    pub stored: bool,
}

/// A run of bytes, as [`Volume::changed`](crate::Volume::changed) tells of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Difference {
    /// Its bytes, at least one. It begins where the one before it ends.
    pub length: u64,
    /// False: it reads as the snapshot does.
    pub changed: bool,
}

/// A list of runs in the making, joined where they are alike in one thing, stored or not, changed
/// or not: what engines answer with.
#[derive(Debug)]
pub struct ExtentList {
    at: u64,
    end: u64,
    most: usize,
    full: bool,
    extents: Vec<Extent>,
}

impl ExtentList {
    /// For `length` bytes from `offset` on, which must be within the volume.
    #[must_use]
    pub fn new(offset: u64, length: u64, most: NonZeroUsize) -> Self {
        let (at, end) = (offset, offset + length);
        Self { at, end, most: most.get(), full: length == 0, extents: Vec::new() }
    }

    /// Takes in that all bytes from where the last call ended up to `end` are alike: stored, or
    /// changed, or not. Bytes outside of what was asked for are left out.
    pub fn reach(&mut self, end: u64, stored: bool) {
        let end = end.min(self.end);
        if self.full || end <= self.at {
            return;
        }
        let (length, count) = (end - self.at, self.extents.len());
        match self.extents.last_mut() {
            Some(last) if last.stored == stored => last.length += length,
            _ if count == self.most => {
                self.full = true;
                return;
            }
            _ => self.extents.push(Extent { length, stored }),
        }
        self.at = end;
        self.full = end == self.end;
    }

    /// It takes in nothing more.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// The extents, in order.
    #[must_use]
    pub fn into_extents(self) -> Vec<Extent> {
        self.extents
    }

    /// The runs as differences, in order.
    #[must_use]
    pub fn into_differences(self) -> Vec<Difference> {
        let difference = |Extent { length, stored }| Difference { length, changed: stored };
        self.extents.into_iter().map(difference).collect()
    }
}
