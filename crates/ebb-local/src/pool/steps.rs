//! Three of the steps: write a record, sync, make a segment ready.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use ebb_volume::{EngineError, IoError};
use rustix::io::Errno;

use super::{Answer, CheckpointStep, CheckpointWhen, Pool, State};
use crate::layout::Geometry;
use crate::log::{Batch, Packed};
use crate::map::Trash;
use crate::planted::Bug;
use crate::request::{Purpose, Request};
use crate::segments::Class;
use crate::stock::Limits;
use crate::storage::{Growth, Storage};
use crate::superblock::Superblock;

/// Bytes written since the last sync that ask for one unasked, so that neither a flush nor a
/// recovery ever has much more than this before it.
const UNSYNCED_BYTES: u64 = 16 << 20;

/// With fewer bytes to write a sync takes no longer than it takes the disk to say so. Then who asks
/// for it does it: to wake two threads costs as much again.
const BRIEF_SYNC_BYTES: u64 = 128 << 10;

/// Segments of a pool's largest size that are only used in need.
const LEFT_FOR_NEED: u64 = 2;

/// How long after the disk was full it is tried again.
const FULL_PAUSE: Duration = Duration::from_secs(1);

/// What [`Pool::write_step`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriteStep {
    /// Something waited, and was written or refused.
    Done,
    /// Nothing waits.
    Idle,
    /// Another thread is writing, and will go on until nothing waits.
    Busy,
    /// What waits needs a segment that is not ready.
    NeedsSegment,
}

impl<S: Storage> Pool<S> {
    /// Writes until nothing waits or another does.
    pub(crate) fn write_all(&self) {
        self.write_on(self.lock());
    }

    /// The same, for who holds the lock.
    pub(super) fn write_on(&self, state: MutexGuard<'_, State>) {
        let mut more = self.write_next(state).1;
        while more {
            more = self.write_next(self.lock()).1;
        }
    }

    /// Writes the next record.
    pub(crate) fn write_step(&self) -> WriteStep {
        self.write_next(self.lock()).0
    }

    /// Writes the next record. True: more may wait.
    fn write_next(&self, mut state: MutexGuard<'_, State>) -> (WriteStep, bool) {
        if state.writing {
            return (WriteStep::Busy, false);
        }
        let packed = state.pack(self.checkpoint_when);
        if let Packed::Record(batch) = &packed {
            if batch.header.place.block == 0 {
                self.segments.insert(batch.segment, Class::Log);
            }
            if state.stock.wants_more() && !state.stock.making {
                self.segment_wanted.notify_one();
            }
        }
        match packed {
            Packed::Nothing => (WriteStep::Idle, false),
            Packed::NeedsCheckpoint => {
                self.checkpoint_wanted.notify_one();
                (WriteStep::NeedsSegment, false)
            }
            Packed::NeedsSegment => {
                self.segment_wanted.notify_one();
                (WriteStep::NeedsSegment, false)
            }
            Packed::Refused(request) => {
                state.stock.waited_for = None;
                state.release(&request);
                drop(state);
                self.answer(vec![(request.ticket, Err(IoError::NoSpace))]);
                (WriteStep::Done, true)
            }
            Packed::Record(batch) => {
                state.writing = true;
                drop(state);
                (WriteStep::Done, self.write(*batch))
            }
        }
    }

    /// Writes a record and answers those whose requests end with it. True: more waits.
    fn write(&self, mut batch: Batch) -> bool {
        batch.seal(self.planted);
        let offset = self.geometry.offset(batch.segment.extent, batch.header.place.block);
        let outcome = self.storage.write_at(offset, &batch.parts());
        self.counters.log_writes.fetch_add(1, Relaxed);
        self.counters.log_bytes.fetch_add(batch.bytes(), Relaxed);
        let mut trash = Trash::new();
        let mut state = self.lock();
        state.writing = false;
        let answers = match outcome {
            Ok(()) => state.written(batch, &mut trash, self.planted.has(Bug::FuaAnsweredEarly)),
            Err(error) => {
                let mut answers = state.fail(format!("writing the log: {error}"));
                for request in batch.finished {
                    state.release(&request);
                    answers.push((request.ticket, Err(IoError::Failed)));
                }
                answers
            }
        };
        // Dropping pages at the same time would delay the sync, and those who wait for it.
        if let Some(waiter) = state.sync_waiters.last_mut() {
            waiter.trash.append(&mut trash);
        }
        self.ask_for_checkpoint(&mut state);
        let (awaited, more) = (state.is_awaited(), state.has_waiting());
        let syncs_here = self.threaded() && !more && state.is_brief_sync();
        if !syncs_here {
            self.ask_for_sync(&state);
        }
        drop(state);
        self.notify_released(awaited);
        self.answer(answers);
        self.reap(trash);
        if syncs_here {
            self.sync_here();
        }
        more
    }

    /// Wakes the thread that syncs, if it is wanted. At work it looks again before it waits.
    pub(super) fn ask_for_sync(&self, state: &State) {
        if state.wants_sync() && !state.syncing {
            self.sync_wanted.notify_one();
        }
    }

    /// Syncs on this thread. Who began to wait meanwhile is left to the thread that syncs.
    pub(super) fn sync_here(&self) {
        self.sync_step();
        self.ask_for_sync(&self.lock());
    }

    /// Syncs for everyone who waits. False if nobody does.
    pub(crate) fn sync_step(&self) -> bool {
        let mut state = self.lock();
        if !state.wants_sync() || state.syncing || state.stopped.is_some() {
            return false;
        }
        state.syncing = true;
        state.unsynced_bytes = 0;
        let waiters = std::mem::take(&mut state.sync_waiters);
        state.stock.syncs += u64::from(!waiters.is_empty());
        // Every record up to here has been written, so the sync below makes it durable.
        let covered = state.written.last.seq;
        drop(state);
        let outcome = match self.planted.has(Bug::SkipFlushSync) {
            true => Ok(()),
            false => self.storage.sync(),
        };
        self.counters.log_syncs.fetch_add(1, Relaxed);
        let mut state = self.lock();
        state.syncing = false;
        let (answer, mut answers) = match outcome {
            Ok(()) => {
                state.durable_seq = covered;
                (Ok(()), Vec::new())
            }
            Err(error) => (Err(IoError::Failed), state.fail(format!("syncing the log: {error}"))),
        };
        let awaited = state.is_awaited();
        drop(state);
        answers.extend(waiters.into_iter().map(|ticket| (ticket, answer)));
        self.notify_released(awaited);
        self.answer(answers);
        true
    }

    /// Makes a segment ready where one is wanted. False if nothing was done or there is no space.
    pub(crate) fn stock_step(&self) -> bool {
        let mut state = self.lock();
        if state.stopped.is_some() || state.stock.making || !state.stock.wants_more() {
            return false;
        }
        state.stock.plan_line();
        let Some(segment) = state.stock.line.get(state.stock.ready).copied() else {
            // No id is left, and the limit could not be raised: as good as no space.
            state.stock.full = true;
            return false;
        };
        let before = state.stock.limits;
        let limits = state.stock.limits_with(segment);
        let must_write = state.stock.must_write(segment.extent);
        let (growth, haste) = (state.stock.growth(), state.stock.is_in_haste());
        state.stock.making = true;
        drop(state);
        let mut outcome = Ok(());
        if must_write {
            outcome = self.make_segment(segment.extent, growth, haste);
        }
        if limits != before {
            outcome = outcome.and_then(|()| self.raise_limits(limits));
        }
        let mut state = self.lock();
        state.stock.making = false;
        let (more, answers) = match outcome {
            Ok(()) => {
                state.stock.limits = limits;
                state.stock.made(segment.extent);
                state.stock.full = false;
                state.stock.waited_for = None;
                state.stock.plan_line();
                (true, Vec::new())
            }
            Err(EngineError::NoSpace) => {
                state.stock.full = true;
                (false, Vec::new())
            }
            Err(error) => (false, state.fail(format!("preparing a segment: {error}"))),
        };
        drop(state);
        self.released.notify_all();
        self.answer(answers);
        // What waited for the segment has no thread of its own to go on.
        self.write_all();
        more
    }

    /// Takes a segment's space, so that a log in it finds it taken.
    fn make_segment(&self, extent: u64, growth: Growth, haste: bool) -> Result<(), EngineError> {
        make_extent(&self.storage, self.geometry, self.max_bytes, growth, extent, haste)?;
        if !self.planted.has(Bug::SegmentNotSynced) {
            self.storage.sync().map_err(failed)?;
        }
        self.counters.segments_made.fetch_add(1, Relaxed);
        Ok(())
    }

    /// Makes limits durable. Extents below them were written and synced before.
    fn raise_limits(&self, limits: Limits) -> Result<(), EngineError> {
        self.change_superblock(|superblock| {
            superblock.segment_id_limit = limits.segment_id;
            superblock.written_extents = limits.written_extents;
        })
    }

    /// Changes the superblock. When it returns, any crash leaves it changed.
    pub(super) fn change_superblock(
        &self,
        change: impl FnOnce(&mut Superblock),
    ) -> Result<(), EngineError> {
        let mut held = self.superblock.lock().unwrap_or_else(PoisonError::into_inner);
        let mut superblock = held.clone();
        change(&mut superblock);
        superblock.generation += 1;
        superblock.write(&self.storage, self.planted)?;
        *held = superblock;
        Ok(())
    }

    /// Waits until something may have moved. Without threads it moves something itself.
    pub(super) fn wait_released<'a>(
        &'a self,
        state: MutexGuard<'a, State>,
    ) -> MutexGuard<'a, State> {
        if self.threaded() {
            return self.sleep_until_released(state);
        }
        drop(state);
        match self.write_step() {
            WriteStep::Done => {}
            WriteStep::NeedsSegment if self.stock_step() => {}
            WriteStep::NeedsSegment => self.make_space(),
            WriteStep::Idle | WriteStep::Busy => {
                self.sync_step();
            }
        }
        self.lock()
    }

    /// Without threads: what the thread of checkpoints does when somebody waits for space.
    pub(crate) fn make_space(&self) {
        match self.checkpoint_step() {
            CheckpointStep::More | CheckpointStep::Finished => {}
            CheckpointStep::Idle | CheckpointStep::Waits | CheckpointStep::GaveUp => {
                self.give_up_hope();
            }
        }
    }

    /// The sync thread: until the pool stops.
    pub(crate) fn run_syncs(&self) {
        loop {
            while self.sync_step() {}
            let state = self.lock();
            if state.stopped.is_some() {
                return;
            }
            if !state.wants_sync() {
                drop(self.sync_wanted.wait(state));
            }
        }
    }

    /// The stock thread: until the pool stops.
    pub(crate) fn run_stock(&self) {
        loop {
            while self.stock_step() {}
            let state = self.lock();
            if state.stopped.is_some() {
                return;
            }
            if state.stock.full {
                self.checkpoint_wanted.notify_one();
                drop(self.segment_wanted.wait_timeout(state, FULL_PAUSE));
            } else if !state.stock.wants_more() {
                drop(self.segment_wanted.wait(state));
            }
        }
    }
}

impl State {
    /// Engine calls come first: what waits for room must not hold up what makes it. But one that
    /// is in the log in part has its room, and goes on before all others.
    fn pack(&mut self, when: CheckpointWhen) -> Packed {
        let is_overdue = self.is_overdue(when);
        // Where no checkpoint will come there is no use in waiting for one.
        if self.no_checkpoints {
            self.stock.hopeless = Some(Purpose::Change);
        }
        let is_begun = self.queue.front().is_some_and(Request::is_let_in);
        let queue = if is_begun {
            &mut self.queue
        } else if self.changes.is_empty() {
            if is_overdue && !self.queue.is_empty() {
                let hopeless = self.stock.is_hopeless(Purpose::Data);
                return match hopeless.then(|| self.queue.pop_front()).flatten() {
                    Some(refused) => Packed::Refused(refused),
                    None => Packed::NeedsCheckpoint,
                };
            }
            &mut self.queue
        } else {
            &mut self.changes
        };
        self.log.pack(
            queue,
            &mut self.stock,
            self.catalog.epoch(),
            match self.sessions.planted.has(Bug::WatermarkAhead) {
                true => self.written.last.seq,
                false => self.durable_seq,
            },
        )
    }

    /// Takes a written record into the catalog. Says who is answered now.
    fn written(&mut self, batch: Batch, trash: &mut Trash, early: bool) -> Vec<Answer> {
        self.log.last = batch.end.last;
        self.written = batch.end;
        self.unsynced_bytes += batch.bytes();
        self.uncheckpointed_bytes += batch.bytes();
        self.tail_bytes += batch.bytes();
        for (entry, placed) in batch.header.placed() {
            self.catalog.apply(entry, &placed, trash);
        }
        let mut answers = Vec::new();
        for request in batch.finished {
            self.release(&request);
            let guest = request.ticket.volume.is_some();
            let answered = match (request.durable, guest) {
                (false, _) => true,
                (true, true) => early,
                (true, false) => self.sessions.planted.has(Bug::ChangeNotSynced),
            };
            if answered {
                answers.push((request.ticket, Ok(())));
            } else {
                // Its record is written: the next sync to begin makes it durable.
                self.sync_waiters.push(request.ticket);
            }
        }
        answers
    }

    /// Whether anything waits to be written.
    pub(super) fn has_waiting(&self) -> bool {
        !(self.changes.is_empty() && self.queue.is_empty())
    }

    pub(super) fn wants_sync(&self) -> bool {
        !self.sync_waiters.is_empty() || self.unsynced_bytes > UNSYNCED_BYTES
    }

    /// Whether somebody waits for a sync, nobody is at it, and it will be a brief one.
    pub(super) fn is_brief_sync(&self) -> bool {
        let others_write = self.stock.making || self.checkpointing;
        let is_brief = self.unsynced_bytes <= BRIEF_SYNC_BYTES && !others_write;
        is_brief && !self.syncing && !self.sync_waiters.is_empty()
    }
}

/// Takes the space of an extent, so that nothing written there later can fail for lack of it. The
/// caller syncs.
///
/// It is written as well, as that makes each later sync of a small write half as long. In haste it
/// is not, where the file system can take space without: the disk would write everything twice.
pub(super) fn make_extent(
    storage: &impl Storage,
    geometry: Geometry,
    max_bytes: Option<u64>,
    growth: Growth,
    extent: u64,
    haste: bool,
) -> Result<(), EngineError> {
    let (mut offset, end) = (geometry.offset(extent, 0), geometry.offset(extent + 1, 0));
    let left = match growth {
        Growth::Usual => LEFT_FOR_NEED * geometry.segment_bytes(),
        Growth::InNeed => 0,
    };
    if max_bytes.is_some_and(|max| end + left > max) {
        return Err(EngineError::NoSpace);
    }
    let is_there = storage.allocate(offset, end - offset, growth).map_err(failed)?;
    if is_there && haste {
        return Ok(());
    }
    let zero = vec![0; (256 << 10).min(geometry.segment_bytes() as usize)];
    while offset < end {
        let length = zero.len().min((end - offset) as usize);
        storage.write_at(offset, &[&zero[..length]]).map_err(failed)?;
        offset += length as u64;
    }
    Ok(())
}

fn failed(error: std::io::Error) -> EngineError {
    let code = Errno::from_io_error(&error);
    if code == Some(Errno::NOSPC) || code == Some(Errno::DQUOT) {
        return EngineError::NoSpace;
    }
    EngineError::Stopped(error.to_string())
}
