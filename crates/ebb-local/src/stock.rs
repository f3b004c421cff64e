//! Segments that the log will go on in.
//!
//! ```text
//!   line:  [ready] [ready] [planned] …        the front is what every header names as `next`
//! ```
//! An extent is written and synced once before it is ready, lowest first: that the host's file
//! system is full shows up there, never inside a record. One written in an earlier life is ready at
//! once; what it still holds of an older log is no part of this one's chain. Ids are given only
//! below a limit that is durable in the superblock.

use std::collections::{BTreeSet, VecDeque};

use crate::layout::Segment;

/// Ids given between two writes of the superblock.
/// Few in tests, so that the limit is raised in them too.
pub(crate) const IDS_AT_ONCE: u64 = if cfg!(test) { 12 } else { 1024 };
/// With fewer ids left the limit is raised.
const IDS_LEFT: u64 = 8;

/// What the superblock says of segments and extents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Segment ids below it may be given away.
    pub(crate) segment_id: u64,
    /// Extents below it have been written and synced once.
    pub(crate) written_extents: u64,
}

pub(crate) struct Stock {
    pub(crate) line: VecDeque<Segment>,
    /// So many at the front of the line are written and synced.
    pub(crate) ready: usize,
    /// So many are wanted.
    pub(crate) warm: usize,
    pub(crate) next_id: u64,
    /// As they are in the file.
    pub(crate) limits: Limits,
    pub(crate) free: BTreeSet<u64>,
    /// The first extent never used.
    pub(crate) end: u64,
    pub(crate) making: bool,
    /// The last attempt found no space.
    pub(crate) full: bool,
    /// A request waits for more than there is.
    pub(crate) waited_for: bool,
}

impl Stock {
    /// Gives an id and an extent.
    pub(crate) fn plan(&mut self) -> Option<Segment> {
        if self.next_id >= self.limits.segment_id {
            return None;
        }
        let id = self.next_id;
        self.next_id += 1;
        let extent = self.free.pop_first().unwrap_or_else(|| {
            self.end += 1;
            self.end - 1
        });
        Some(Segment { id, extent })
    }

    /// Keeps a planned segment behind the ready ones: the log can open one only if it can name
    /// the one after it.
    pub(crate) fn plan_line(&mut self) {
        while self.line.len() < self.ready + 2 {
            match self.plan() {
                Some(segment) => self.line.push_back(segment),
                None => return,
            }
        }
    }

    /// The limits that have to be durable before `segment` is ready, if they are not those in the
    /// file: its extent is written for the first time, or ids run short.
    pub(crate) fn limits_with(&self, segment: Segment) -> Option<Limits> {
        let mut limits = self.limits;
        limits.written_extents = limits.written_extents.max(segment.extent + 1);
        if limits.segment_id - self.next_id < IDS_LEFT {
            limits.segment_id += IDS_AT_ONCE;
        }
        (limits != self.limits).then_some(limits)
    }

    pub(crate) fn wants_more(&self) -> bool {
        self.ready < self.warm || self.waited_for
    }

    /// Whether `segments` can be opened and `leaves` ready ones stay.
    pub(crate) fn has(&self, segments: usize, leaves: usize) -> bool {
        segments == 0 || (self.ready >= segments + leaves && self.line.len() > segments)
    }

    /// The next segment, and the one to name after it.
    pub(crate) fn take(&mut self) -> Option<(Segment, Segment)> {
        if !self.has(1, 0) {
            return None;
        }
        let taken = self.line.pop_front()?;
        self.ready -= 1;
        self.plan_line();
        Some((taken, *self.line.front()?))
    }

    /// A ready segment for something else than the log: never the one that its headers name.
    pub(crate) fn take_beside(&mut self) -> Option<Segment> {
        if self.ready < 2 {
            self.waited_for = true;
            return None;
        }
        self.ready -= 1;
        let taken = self.line.remove(self.ready)?;
        self.plan_line();
        Some(taken)
    }
}
