//! The checkpoint: pages on disk, so that recovery reads only the log behind it.
//!
//! ```text
//!   capture ─► merge, version by version ─► tables ─► sync ─► superblock, slot by slot ─► install
//!   (lock)     parents first                                                             (lock)
//! ```
//! The capture freezes the memtables of all versions, notes the place J of the log, and copies the
//! catalog: the state at J exactly, as all before J is in it and nothing behind. The log goes on
//! meanwhile; what it brings comes back by replay from J, and counts for the next checkpoint.
//!
//! Three syncs make it true. One covers the pages, the tables, and the log up to J; only behind it
//! is the superblock written, to one slot and then the other with a sync each. A crash before the
//! first slot is whole leaves the checkpoint before. Nothing that one led to is overwritten.
//!
//! One that finds no space waits and goes on later. One that finds a damaged page can never be
//! finished: it is given up and there is none any more until the next opening, which replays the
//! log from the one before. A write or a sync that fails stops the pool.
//!
//! Deliberately not here: taking space back. Old pages and log stay.

use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ebb_volume::IoError;

use super::{Pool, State};
use crate::catalog::Catalog;
use crate::layout::{Address, BLOCK, Located, LogPlace, Segment};
use crate::map::merge::{Memo, Merge, Pages};
use crate::map::page::{Block, Identity, PageRef};
use crate::map::{Map, Merged, Trash};
use crate::meta::Meta;
use crate::planted::Bug;
use crate::segments::{Class, ROW_BYTES};
use crate::storage::Storage;
use crate::superblock::Checkpoint;
use crate::tables;

/// Pages are written in pieces of so many bytes.
const WRITE_BYTES: usize = 256 << 10;
/// With so many of them unsynced a sync comes between, so that no flush waits for many more.
const UNSYNCED_BYTES: u64 = 16 << 20;
/// What closing may take for a checkpoint.
const CLOSING: Duration = Duration::from_secs(2);
/// How long after one found no space, or could not read, it goes on.
const PAUSE: Duration = Duration::from_secs(1);

/// When a checkpoint begins by itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CheckpointWhen {
    /// So much of the log is behind the last one.
    pub(crate) log_bytes: u64,
    /// Something is, and the last one was so long ago.
    pub(crate) after: Duration,
}

/// What [`Pool::checkpoint_step`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CheckpointStep {
    /// Nothing changed since the last one, or the pool stops.
    Idle,
    /// There is more to do.
    More,
    /// It is durable: recovery begins with it.
    Finished,
    /// It goes on once there is space, or a read succeeds.
    Waits,
    /// A page is damaged: there is none any more.
    GaveUp,
}

#[derive(Default)]
pub(super) struct Checkpointer {
    job: Option<Job>,
    meta: Meta,
    given_up: bool,
}

/// A checkpoint under way.
struct Job {
    log_gen: u64,
    at: LogPlace,
    /// The catalog at that place.
    captured: Catalog,
    /// Maps to be merged, and the births of their new pages; parents before children.
    left: VecDeque<(Map, u32)>,
    memo: Memo,
    merged: Merged,
    /// Its tables, once they are written.
    tables: Option<Located>,
    synced: bool,
}

/// Why a step came to no end.
enum Halt {
    NoSpace,
    /// A read failed: it may succeed later.
    Unreadable,
    Damaged,
    /// The pool stops or has stopped.
    Stopped,
}

impl<S: Storage> Pool<S> {
    /// Goes on with a checkpoint, or begins one if anything changed since the last.
    pub(crate) fn checkpoint_step(&self) -> CheckpointStep {
        let mut checkpointer = self.checkpointer.lock().unwrap_or_else(PoisonError::into_inner);
        let Checkpointer { job, meta, given_up } = &mut *checkpointer;
        let mut state = self.lock();
        if *given_up || !state.may_checkpoint() {
            return CheckpointStep::Idle;
        }
        if job.is_none() && state.uncheckpointed_bytes == 0 {
            return CheckpointStep::Idle;
        }
        state.checkpointing = true;
        let job_now = job.get_or_insert_with(|| Job::capture(&mut state));
        drop(state);
        let outcome = self.go_on(job_now, meta);
        let step = match outcome {
            Ok(false) => CheckpointStep::More,
            Ok(true) => {
                self.install(job.take());
                CheckpointStep::Finished
            }
            Err(Halt::NoSpace | Halt::Unreadable) => CheckpointStep::Waits,
            Err(Halt::Stopped) => CheckpointStep::Idle,
            Err(Halt::Damaged) => {
                tracing::error!("no checkpoint can be made any more: a page of a map is damaged");
                *given_up = true;
                *job = None;
                CheckpointStep::GaveUp
            }
        };
        self.lock().checkpointing = false;
        self.released.notify_all();
        step
    }

    /// One piece of work. True: that was the last.
    fn go_on(&self, job: &mut Job, meta: &mut Meta) -> Result<bool, Halt> {
        if let Some((map, birth)) = job.left.front() {
            let (map, birth) = (map.clone(), *birth);
            self.merge(job, meta, &map, birth)?;
            job.left.pop_front();
        } else if job.tables.is_none() {
            job.tables = Some(self.write_tables(job, meta)?);
        } else if !job.synced {
            // Covers all pages, the tables, and every record before J: each was written before.
            if !self.planted.has(Bug::CheckpointNotSynced) {
                self.sync_meta(meta)?;
            }
            job.synced = true;
        } else if let Some(tables) = job.tables {
            let at = match self.planted.has(Bug::CheckpointPlacedLate) {
                true => self.lock().written,
                false => job.at,
            };
            let checkpoint = Checkpoint { log_gen: job.log_gen, at, tables };
            let written = self.change_superblock(|s| s.checkpoint = Some(checkpoint));
            written.map_err(|error| self.stop_failed(&format!("writing a checkpoint: {error}")))?;
            return Ok(true);
        }
        Ok(false)
    }

    fn merge(&self, job: &mut Job, meta: &mut Meta, map: &Map, birth: u32) -> Result<(), Halt> {
        let Some(frozen) = &map.frozen else {
            return Ok(());
        };
        let mut pages = NewPages { pool: self, meta };
        let mut merge = Merge {
            pages: &mut pages,
            memo: &mut job.memo,
            pool_id: self.pool_id,
            lineage: map.lineage,
            birth,
            planted: self.planted,
        };
        let root = merge.run(&frozen.changes, map.root)?;
        job.merged.insert(frozen.number, root);
        Ok(())
    }

    /// Writes what is left of the pages, and the tables behind them. Says where these end.
    fn write_tables(&self, job: &Job, meta: &mut Meta) -> Result<Located, Halt> {
        self.write_pending(meta)?;
        let mut stream = job.captured.encode(&job.merged);
        // The table of segments must have those in it that it is written to.
        loop {
            let bytes = stream.len() + self.segments.len() * ROW_BYTES;
            if meta.room(self.geometry.segment_blocks) > (bytes / tables::PAYLOAD_BYTES) as u64 {
                break;
            }
            meta.add(self.meta_segment()?);
        }
        stream.extend_from_slice(&self.segments.encode(job.at.segment.id));
        let mut last = None;
        for (index, payload) in (0..).zip(stream.chunks(tables::PAYLOAD_BYTES)) {
            let (block, crc) = tables::encode(self.pool_id, index, last, payload);
            let (segment, block) = self.put(meta, &block)?;
            last = Some(Located { segment, block, crc });
        }
        self.write_pending(meta)?;
        Ok(last.expect("the stream begins with its counts"))
    }

    /// Places a block in a segment of pages; it is written there by and by.
    fn put(&self, meta: &mut Meta, block: &Block) -> Result<(Segment, u32), Halt> {
        let segment_blocks = self.geometry.segment_blocks;
        if meta.is_full(segment_blocks) {
            self.write_pending(meta)?;
            meta.turn();
            if meta.is_full(segment_blocks) {
                meta.add(self.meta_segment()?);
            }
        }
        let placed = meta.place(block).expect("a segment with room was added");
        let blocks = meta.pending().map_or(0, |(_, _, bytes)| bytes.len());
        if blocks >= WRITE_BYTES {
            self.write_pending(meta)?;
        }
        Ok(placed)
    }

    fn write_pending(&self, meta: &mut Meta) -> Result<(), Halt> {
        if !self.lock().may_checkpoint() {
            return Err(Halt::Stopped);
        }
        let Some((segment, block, bytes)) = meta.pending() else {
            return Ok(());
        };
        let offset = self.geometry.offset(segment.extent, block);
        self.storage
            .write_at(offset, &[bytes])
            .map_err(|error| self.stop_failed(&format!("writing pages: {error}")))?;
        self.counters.pages_written.fetch_add((bytes.len() / BLOCK) as u64, Relaxed);
        meta.written();
        if meta.unsynced_bytes > UNSYNCED_BYTES {
            self.sync_meta(meta)?;
        }
        Ok(())
    }

    fn sync_meta(&self, meta: &mut Meta) -> Result<(), Halt> {
        self.storage
            .sync()
            .map_err(|error| self.stop_failed(&format!("syncing pages: {error}")))?;
        meta.unsynced_bytes = 0;
        Ok(())
    }

    /// A segment for pages. Without threads it is made here.
    fn meta_segment(&self) -> Result<Segment, Halt> {
        loop {
            let mut state = self.lock();
            if !state.may_checkpoint() {
                return Err(Halt::Stopped);
            }
            if let Some(segment) = state.stock.take_beside() {
                drop(state);
                self.segments.insert(segment, Class::Meta);
                self.segment_wanted.notify_one();
                return Ok(segment);
            }
            if self.threaded() {
                self.segment_wanted.notify_one();
                if state.stock.full {
                    return Err(Halt::NoSpace);
                }
                drop(self.released.wait_timeout(state, PAUSE));
            } else {
                drop(state);
                if !self.stock_step() {
                    return Err(Halt::NoSpace);
                }
            }
        }
    }

    fn stop_failed(&self, reason: &str) -> Halt {
        let answers = self.lock().fail(reason.into());
        self.released.notify_all();
        self.answer(answers);
        Halt::Stopped
    }

    /// Readers go over to the new pages.
    fn install(&self, job: Option<Job>) {
        let mut trash = Trash::new();
        if let Some(job) = job {
            self.lock().catalog.install(&job.merged, &mut trash);
            self.counters.checkpoints.fetch_add(1, Relaxed);
        }
        self.reap(trash);
    }

    /// Makes one where that is quick. All is durable without it.
    pub(super) fn checkpoint_at_close(&self) {
        self.lock().give_up_at = Some(Instant::now() + CLOSING);
        loop {
            match self.checkpoint_step() {
                CheckpointStep::More | CheckpointStep::Finished => {}
                CheckpointStep::Idle | CheckpointStep::Waits | CheckpointStep::GaveUp => return,
            }
        }
    }

    /// Wakes the thread of checkpoints where one is due.
    pub(super) fn ask_for_checkpoint(&self, state: &MutexGuard<'_, State>) {
        if state.uncheckpointed_bytes >= self.checkpoint_when.log_bytes {
            self.checkpoint_wanted.notify_one();
        }
    }

    /// The checkpoint thread: until the pool stops.
    pub(crate) fn run_checkpoints(&self) {
        let when = self.checkpoint_when;
        let (mut last, mut under_way) = (Instant::now(), false);
        loop {
            let state = self.lock();
            if state.stopped.is_some() {
                return;
            }
            let bytes = state.uncheckpointed_bytes;
            let rest = when.after.saturating_sub(last.elapsed());
            let due = bytes >= when.log_bytes || (bytes > 0 && rest.is_zero());
            if state.closing || !(due || under_way) {
                let pause = if rest.is_zero() { when.after } else { rest };
                drop(self.checkpoint_wanted.wait_timeout(state, pause));
                continue;
            }
            drop(state);
            match self.checkpoint_step() {
                CheckpointStep::More => under_way = true,
                CheckpointStep::Idle | CheckpointStep::Finished => {
                    (last, under_way) = (Instant::now(), false);
                }
                CheckpointStep::Waits => {
                    under_way = true;
                    drop(self.checkpoint_wanted.wait_timeout(self.lock(), PAUSE));
                }
                CheckpointStep::GaveUp => return,
            }
        }
    }
}

impl Job {
    /// The state of the pool now. Takes time in the number of versions and of operations
    /// remembered, not in what was written.
    fn capture(state: &mut State) -> Self {
        let captured = state.catalog.capture();
        state.uncheckpointed_bytes = 0;
        let epoch = captured.epoch();
        let changed = captured.versions().filter(|version| version.map.frozen.is_some());
        let left = changed.map(|v| (v.map.clone(), v.page_birth(epoch))).collect();
        Self {
            log_gen: state.log.log_gen,
            at: state.written,
            captured,
            left,
            memo: Memo::default(),
            merged: Merged::new(),
            tables: None,
            synced: false,
        }
    }
}

impl State {
    fn may_checkpoint(&self) -> bool {
        let in_time = self.give_up_at.is_some_and(|end| Instant::now() < end);
        self.stopped.is_none() && (!self.closing || in_time)
    }
}

/// The pages of one merge: read through the cache, written to segments of pages.
struct NewPages<'a, S> {
    pool: &'a Pool<S>,
    meta: &'a mut Meta,
}

impl<S: Storage> Pages for NewPages<'_, S> {
    type Error = Halt;

    fn load(&mut self, page: PageRef, identity: Identity) -> Result<Arc<Block>, Halt> {
        self.pool.load_page(page, identity).map_err(|error| match error {
            IoError::Corrupt => Halt::Damaged,
            _ => Halt::Unreadable,
        })
    }

    fn put(&mut self, block: Box<Block>) -> Result<Address, Halt> {
        let (segment, number) = self.pool.put(self.meta, &block)?;
        let address = Address::new(segment.id, number);
        self.pool.cache().insert(address, Arc::new(*block));
        Ok(address)
    }
}
