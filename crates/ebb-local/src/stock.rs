//! Segments that the log will go on in, and the extents that nothing is in.
//!
//! ```text
//!   line:  [ready] [ready] [planned] …        the front is what every header names as `next`
//!             ▲ with space of their own, durably
//!   free:  with space, nothing in them        cold: given back to the host
//! ```
//! An extent has space of its own, durably, before it is ready: that the host's file system is full
//! shows up there, never inside a record. A free one has it already and is ready at once; what it
//! still holds of an older log is no part of this one's chain. A cold one, and one at the file's
//! end, have to be written, or allocated if needed soon (docs/decisions/0075). Ids are given
//! only below a limit that is durable in the superblock.
//!
//! Guests leave a reserve of ready segments, so that there is always room for what gives space
//! back: deletions, resets, discards, and the checkpoints that carry them out.

use std::collections::{BTreeSet, VecDeque};

use crate::layout::Segment;
use crate::request::Purpose;
use crate::storage::Growth;

/// Ids given between two writes of the superblock.
/// Few in tests, so that the limit is raised in them too.
pub(crate) const IDS_AT_ONCE: u64 = if cfg!(test) { 12 } else { 1024 };
/// With fewer ids left the limit is raised.
const IDS_LEFT: u64 = 8;

/// With fewer syncs for a segment that guests wait for, it is not worth writing: that makes each of
/// them some 0.1 ms shorter, and takes 10 ms in which others can not write.
/// Few in tests, so that both are done in them.
const SYNCS_WORTH_WRITING: u64 = if cfg!(test) { 2 } else { 100 };

/// What the superblock says of segments and extents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Segment ids below it may be given away.
    pub(crate) segment_id: u64,
    /// Extents below it have been written, or allocated, and synced once; all but the cold ones
    /// have their space still.
    pub(crate) written_extents: u64,
}

pub(crate) struct Stock {
    pub(crate) line: VecDeque<Segment>,
    /// So many at the front of the line are written and synced.
    pub(crate) ready: usize,
    /// So many are wanted.
    pub(crate) warm: usize,
    /// So many are not for guests' data.
    pub(crate) reserve: usize,
    pub(crate) next_id: u64,
    /// As they are in the file.
    pub(crate) limits: Limits,
    /// Extents that are written and hold nothing.
    pub(crate) free: BTreeSet<u64>,
    /// Extents that were given back to the host and not written since.
    pub(crate) cold: BTreeSet<u64>,
    /// What of these the line has already.
    pub(crate) cold_in_line: BTreeSet<u64>,
    /// The one of these that is on its way back to the host now, and nobody may have.
    pub(crate) punching: Option<u64>,
    /// The first extent never used.
    pub(crate) end: u64,
    /// Segments that the log took since the last checkpoint.
    pub(crate) taken: usize,
    /// Ready ones that are for the rest of a request that the log has a part of.
    pub(crate) promised: usize,
    pub(crate) making: bool,
    /// Since the last one was made the log took one, and guests waited for so many syncs.
    pub(crate) was_used: bool,
    pub(crate) syncs: u64,
    /// The last attempt found no space.
    pub(crate) full: bool,
    /// Requests wait for more than there is: the most urgent of them.
    pub(crate) waited_for: Option<Purpose>,
    /// No checkpoint would bring what is waited for, up to this purpose. For a more urgent one
    /// none was tried.
    pub(crate) hopeless: Option<Purpose>,
    /// A checkpoint waits for a segment, and nothing is freed before it has one.
    pub(crate) in_need: bool,
}

impl Stock {
    /// Gives an id and an extent.
    pub(crate) fn plan(&mut self) -> Option<Segment> {
        let id = self.plan_id()?;
        let extent = self.plan_free().or_else(|| self.plan_cold()).unwrap_or_else(|| {
            self.end += 1;
            self.end - 1
        });
        Some(Segment { id, extent })
    }

    fn plan_id(&mut self) -> Option<u64> {
        if self.next_id >= self.limits.segment_id {
            return None;
        }
        self.next_id += 1;
        Some(self.next_id - 1)
    }

    fn plan_free(&mut self) -> Option<u64> {
        self.free.pop_first()
    }

    fn plan_cold(&mut self) -> Option<u64> {
        let extent = self.cold.pop_first()?;
        self.cold_in_line.insert(extent);
        Some(extent)
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
        self.prefer_free();
    }

    /// Puts an extent that is quicker to have before a planned one that has to be written, unless
    /// headers name that already. Ids stay in the order of the line.
    fn prefer_free(&mut self) {
        if self.ready == 0 {
            return;
        }
        let Some(planned) = self.line.get(self.ready).map(|segment| segment.extent) else { return };
        let grows = planned >= self.limits.written_extents;
        let better = match self.must_write(planned) {
            true if !self.free.is_empty() => Self::plan_free,
            // The file may not grow any more.
            true if grows && !self.cold.is_empty() => Self::plan_cold,
            _ => return,
        };
        let Some(id) = self.plan_id() else { return };
        let Some(mut extent) = better(self) else { return };
        for segment in self.line.range_mut(self.ready..) {
            extent = std::mem::replace(&mut segment.extent, extent);
        }
        self.line.push_back(Segment { id, extent });
    }

    /// Whether an extent has to be written before it is ready.
    pub(crate) fn must_write(&self, extent: u64) -> bool {
        extent >= self.limits.written_extents || self.cold_in_line.contains(&extent)
    }

    /// An extent was written, or allocated, and synced.
    pub(crate) fn was_written(&mut self, extent: u64) {
        self.limits.written_extents = self.limits.written_extents.max(extent + 1);
        self.cold_in_line.remove(&extent);
    }

    /// The same of one that is in the line. Meanwhile another may have been put before it, which
    /// may have to be written itself.
    pub(crate) fn made(&mut self, extent: u64) {
        self.was_written(extent);
        (self.was_used, self.syncs) = (false, 0);
        let next = self.line.get(self.ready).map(|segment| segment.extent);
        if next.is_some_and(|next| !self.must_write(next)) {
            self.ready += 1;
        }
    }

    /// The limits that have to be durable before `segment` is ready: its extent may be written for
    /// the first time, and ids may run short.
    pub(crate) fn limits_with(&self, segment: Segment) -> Limits {
        let mut limits = self.limits;
        limits.written_extents = limits.written_extents.max(segment.extent + 1);
        if limits.segment_id - self.next_id < IDS_LEFT {
            limits.segment_id += IDS_AT_ONCE;
        }
        limits
    }

    pub(crate) fn wants_more(&self) -> bool {
        self.ready < self.warm || self.waited_for.is_some()
    }

    /// A request waits. If it is the first, whether there is hope for it is not known yet.
    pub(crate) fn wait(&mut self, purpose: Purpose) {
        if self.waited_for.is_none() {
            self.hopeless = None;
        }
        self.waited_for = self.waited_for.max(Some(purpose));
    }

    pub(crate) fn is_hopeless(&self, purpose: Purpose) -> bool {
        self.hopeless >= Some(purpose)
    }

    /// Whether somebody waits for whom a checkpoint has not been tried.
    pub(crate) fn may_hope(&self) -> bool {
        self.waited_for > self.hopeless
    }

    /// No checkpoint will bring anything to those who wait now.
    pub(crate) fn give_up_hope(&mut self) {
        let waits = self.waited_for.unwrap_or(Purpose::Data);
        self.hopeless = self.hopeless.max(Some(waits));
    }

    /// Whether there is less than is wanted, and no more to be had for now.
    pub(crate) fn is_short(&self) -> bool {
        self.full || (self.ready < self.warm && self.waited_for.is_some())
    }

    /// How far the file may grow for the next segment.
    pub(crate) fn growth(&self) -> Growth {
        // No more than a checkpoint asks for at a time.
        match self.in_need && self.ready < 2 {
            true => Growth::InNeed,
            false => Growth::Usual,
        }
    }

    /// Whether the space of the next one is only taken, and not written as well.
    pub(crate) fn is_in_haste(&self) -> bool {
        let writes_much = self.was_used && self.syncs < SYNCS_WORTH_WRITING;
        self.waited_for.is_some() || writes_much
    }

    /// Whether some of the reserve is used, and no more to be had for now.
    pub(crate) fn is_low(&self) -> bool {
        self.full && self.ready <= self.reserve
    }

    /// Whether `segments` can be opened for a purpose. What headers name as next stays ready in any
    /// case: nothing else can take its place.
    pub(crate) fn has(&self, segments: usize, purpose: Purpose) -> bool {
        if segments == 0 {
            return self.shares_open_segment(purpose);
        }
        self.ready >= segments + self.leaves(purpose) && self.line.len() > segments
    }

    /// Whether the rest of the log's segment may be used. While space is short a call that opened
    /// one from the reserve did so for calls: guests would have it full before the next.
    fn shares_open_segment(&self, purpose: Purpose) -> bool {
        let is_scarce = self.full || self.waited_for.is_some();
        purpose == Purpose::Change || !is_scarce || self.ready >= self.leaves(purpose)
    }

    fn leaves(&self, purpose: Purpose) -> usize {
        let leaves = match purpose {
            Purpose::Data => self.reserve,
            Purpose::Room => self.reserve / 2,
            Purpose::Change => self.reserve / 4,
        };
        // The one that is named, and one for the checkpoint that brings more.
        leaves.max((self.reserve / 2).clamp(1, 2))
    }

    /// The next segment, and the one to name after it.
    pub(crate) fn take(&mut self) -> Option<(Segment, Segment)> {
        if self.ready == 0 || self.line.len() < 2 {
            return None;
        }
        let taken = self.line.pop_front()?;
        self.ready -= 1;
        self.taken += 1;
        self.was_used = true;
        self.promised = self.promised.saturating_sub(1);
        self.plan_line();
        Some((taken, *self.line.front()?))
    }

    /// A ready segment for something else than the log: never the one that its headers name, and
    /// none that is promised.
    pub(crate) fn take_beside(&mut self) -> Option<Segment> {
        let least = 2 + self.promised;
        if self.ready < least || self.line.len() < least {
            self.wait(Purpose::Data);
            return None;
        }
        self.ready -= 1;
        let taken = self.line.remove(self.ready)?;
        self.plan_line();
        Some(taken)
    }

    /// All extents that are to be written before anything relies on their space.
    pub(crate) fn cold(&self) -> BTreeSet<u64> {
        let planned = self.cold_in_line.iter().chain(&self.punching);
        self.cold.iter().chain(planned).copied().collect()
    }

    /// Keeps a cold extent from everybody, if nobody has plans for it: what is written there while
    /// it is punched might be lost.
    pub(crate) fn begin_punch(&mut self, extent: u64) -> bool {
        let taken = self.cold.remove(&extent);
        self.punching = taken.then_some(extent);
        taken
    }

    pub(crate) fn end_punch(&mut self) {
        self.cold.extend(self.punching.take());
    }

    /// Takes extents that nothing is in any more.
    pub(crate) fn give_back(&mut self, free: BTreeSet<u64>, cold: &BTreeSet<u64>) {
        self.free.extend(free);
        self.cold.extend(cold);
        self.plan_line();
    }
}

#[cfg(test)]
impl Stock {
    /// With so many segments ready, and no more to be had.
    pub(crate) fn full(ready: usize, reserve: usize) -> Self {
        let ids = ready as u64 + 2;
        Self {
            line: (1..ids).map(|id| Segment { id, extent: id }).collect(),
            ready,
            warm: ready,
            reserve,
            next_id: ids,
            limits: Limits { segment_id: ids, written_extents: ids },
            free: BTreeSet::new(),
            cold: BTreeSet::new(),
            cold_in_line: BTreeSet::new(),
            punching: None,
            end: ids,
            taken: 0,
            promised: 0,
            making: false,
            was_used: false,
            syncs: 0,
            full: true,
            waited_for: None,
            hopeless: Some(Purpose::Change),
            in_need: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A checkpoint may free some while one at the file's end is written.
    #[test]
    fn what_comes_before_one_that_is_made_is_not_taken_for_it() {
        for (free, cold) in [(vec![0], vec![]), (vec![], vec![0])] {
            let mut stock = Stock::full(2, 0);
            stock.limits.segment_id += 10;
            stock.line.truncate(2);
            stock.plan_line();
            let making = stock.line[stock.ready];
            assert!(stock.must_write(making.extent));

            stock.give_back(BTreeSet::from_iter(free), &BTreeSet::from_iter(cold));
            stock.made(making.extent);
            let ready = stock.line.range(..stock.ready);
            let is_there = |segment: &Segment| !stock.must_write(segment.extent);
            assert!(ready.clone().all(is_there), "{:?} of {:?}", stock.ready, stock.line);
        }
    }
}
