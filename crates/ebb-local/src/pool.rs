//! The pool: one log, one catalog, one lock.
//!
//! ```text
//!   submit ─► queue ─► write_step ─► catalog changed ─► answered
//!                        (log)          └─► waiters ─► sync_step ─► answered, durable
//!                                  stock_step: segments for the log, written before it needs them
//!                                  checkpoint_step: pages on disk, so that recovery reads less log
//! ```
//! Four steps move everything, and each may be called from any thread: one writes the next record,
//! one syncs for all who wait, one makes a segment ready, one goes on with a checkpoint. The engine
//! calls them from the submitting thread and from three of its own; the simulator calls them one at
//! a time. A fifth, scrubbing, only reads.
//!
//! A record is written by one thread at a time and applied to the catalog when it is written, in
//! the order of the log. So recovery, which applies what it reads in that order, comes to the same.
//!
//! A write or a sync that fails stops the pool for good: after it nobody knows what the file holds,
//! until recovery reads it.

mod change;
mod changed;
mod checkpoint;
mod extents;
#[cfg(test)]
mod inspect;
mod node;
mod open;
mod pages;
mod read;
mod scrub;
mod steps;
mod submit;
mod usage;
mod write;

use std::collections::VecDeque;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Instant;

use ebb_volume::{Completion, EngineError, Inventory, IoError, VolumeId};

use crate::cache::Cache;
use crate::catalog::Catalog;
use crate::cipher::Cipher;
use crate::layout::{Geometry, LogPlace};
use crate::log::Log;
use crate::map::Trash;
use crate::planted::Planted;
use crate::readers::Readers;
use crate::request::{Request, Ticket};
use crate::segments::Segments;
use crate::session::{Opened, Sessions};
use crate::stock::Stock;
use crate::storage::Storage;
use crate::superblock::Superblock;

pub(crate) use checkpoint::CheckpointStep;
use checkpoint::Checkpointer;
#[cfg(test)]
pub(crate) use checkpoint::Stage;
pub(crate) use checkpoint::{CheckpointWhen, WALK_PAGES};
#[cfg(test)]
pub(crate) use inspect::Vitals;
pub(crate) use open::Setup;
#[cfg(test)]
pub(crate) use scrub::Scrub;
#[cfg(test)]
pub(crate) use steps::WriteStep;

/// What the reaper is sent.
pub(crate) enum Reaped {
    /// Pages to drop, and what that makes free of the memory that guests wait for, in bytes.
    Trash(Trash, u64),
    /// That was the last.
    Nothing,
}

pub(crate) struct Pool<S> {
    storage: S,
    geometry: Geometry,
    pool_id: [u8; 16],
    max_bytes: Option<u64>,
    checkpoint_when: CheckpointWhen,
    walk_pages: u64,
    planted: Planted,
    state: Mutex<State>,
    /// As it is in the file. Held through each change of it; never taken under the lock of `state`.
    superblock: Mutex<Superblock>,
    segments: Segments,
    /// Who may be on the way to a block by a map that is replaced meanwhile.
    readers: Readers,
    cache: Mutex<Cache>,
    /// Held through a step of a checkpoint; never taken under the lock of `state`.
    checkpointer: Mutex<Checkpointer>,
    /// Held through an engine call, so that each is checked against all before it.
    control: Mutex<()>,
    /// A claim was released, a request finished, or the pool stopped.
    released: Condvar,
    sync_wanted: Condvar,
    segment_wanted: Condvar,
    checkpoint_wanted: Condvar,
    scrub_paused: Condvar,
    /// None: the caller takes every step itself.
    reaper: Option<Mutex<mpsc::Sender<Reaped>>>,
    pub(crate) counters: Counters,
}

/// What was done to the file since the pool was opened.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) log_writes: AtomicU64,
    pub(crate) log_bytes: AtomicU64,
    pub(crate) log_syncs: AtomicU64,
    pub(crate) segments_made: AtomicU64,
    pub(crate) checkpoints: AtomicU64,
    pub(crate) pages_written: AtomicU64,
    pub(crate) pages_read: AtomicU64,
    pub(crate) blocks_packed: AtomicU64,
    pub(crate) extents_punched: AtomicU64,
    pub(crate) blocks_scrubbed: AtomicU64,
    pub(crate) blocks_damaged: AtomicU64,
}

struct State {
    catalog: Catalog,
    sessions: Sessions,
    log: Log,
    /// Engine calls that wait to be written.
    changes: VecDeque<Request>,
    /// Guests' requests that do.
    queue: VecDeque<Request>,
    /// A thread is writing a record.
    writing: bool,
    /// The log behind the last record that is written and in the catalog.
    written: LogPlace,
    durable_seq: u64,
    sync_waiters: Vec<Ticket>,
    syncing: bool,
    /// Bytes written since the last sync began.
    unsynced_bytes: u64,
    /// Bytes written since the last checkpoint began.
    uncheckpointed_bytes: u64,
    /// Bytes of the log behind the last checkpoint that is durable: what a start reads.
    tail_bytes: u64,
    /// Of the memory of memtables, what is free once a checkpoint is installed and it is dropped.
    frozen_bytes: u64,
    /// A step of a checkpoint is under way.
    checkpointing: bool,
    /// The thread that makes them was woken for one that is due.
    checkpoint_asked: bool,
    /// None will come any more.
    no_checkpoints: bool,
    /// The last checkpoint left some work on space for the next.
    work_left: bool,
    stock: Stock,
    /// Guests are not let in any more.
    closing: bool,
    /// When closing: until then a checkpoint may go on.
    give_up_at: Option<Instant>,
    stopped: Option<String>,
}

type Answer = (Ticket, Result<(), IoError>);

impl<S: Storage> Pool<S> {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Code under this lock does not panic; if it did, refusing would only hide the first panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serving(&self) -> Result<MutexGuard<'_, State>, EngineError> {
        let state = self.lock();
        match &state.stopped {
            Some(reason) => Err(EngineError::Stopped(reason.clone())),
            None if state.closing => Err(EngineError::Stopped("it is closing".into())),
            None => Ok(state),
        }
    }

    fn control(&self) -> MutexGuard<'_, ()> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn threaded(&self) -> bool {
        self.reaper.is_some()
    }

    pub(crate) fn health(&self) -> Result<(), EngineError> {
        self.serving().map(|_| ())
    }

    pub(crate) fn inventory(&self) -> Result<Inventory, EngineError> {
        // What is not durable yet must not be seen: it may not survive.
        let _control = self.control();
        Ok(self.serving()?.catalog.inventory())
    }

    /// What a new handle has.
    pub(crate) fn open_handle(
        &self,
        volume: VolumeId,
        cipher: Option<Arc<Cipher>>,
    ) -> Result<Opened, EngineError> {
        let _control = self.control();
        let mut state = self.serving()?;
        if state.catalog.key_check(volume)? != cipher.as_ref().map(|cipher| cipher.check()) {
            return Err(EngineError::WrongKey(volume));
        }
        let generation = state.sessions.open(volume);
        Ok(Opened { volume, generation, cipher })
    }

    pub(crate) fn close_handle(&self, opened: &Opened) {
        self.lock().sessions.close(opened.volume, opened.generation);
    }

    pub(crate) fn size_bytes(&self, volume: VolumeId) -> u64 {
        self.lock().catalog.size_bytes(volume).unwrap_or(0)
    }

    pub(crate) fn revoke(&self, volume: VolumeId) -> Result<(), EngineError> {
        let _control = self.control();
        let mut state = self.serving()?;
        state.catalog.size_bytes(volume)?;
        state.sessions.revoke(volume);
        // What entered before is written out, so that none of it lands later.
        while !state.sessions.is_idle(volume) {
            state = self.wait_released(state);
        }
        Ok(())
    }

    /// Completes `done` for a request that was never let in.
    fn refuse(done: Completion, error: IoError) {
        done(Err(error));
    }

    /// Answers requests, and only then counts them as finished and drops what they cut off.
    fn answer(&self, answers: Vec<Answer>) {
        if answers.is_empty() {
            return;
        }
        // Most are of one volume.
        let mut finished: Vec<(VolumeId, usize)> = Vec::new();
        let mut trash = Trash::new();
        for (mut ticket, outcome) in answers {
            trash.append(&mut ticket.trash);
            (ticket.done)(outcome.map(|()| bytes::Bytes::new()));
            match (ticket.volume, finished.last_mut()) {
                (Some(volume), Some((last, many))) if *last == volume => *many += 1,
                (volume, _) => finished.extend(volume.map(|volume| (volume, 1))),
            }
        }
        for (volume, many) in finished {
            self.finish(volume, many);
        }
        self.reap(trash);
    }

    fn finish(&self, volume: VolumeId, requests: usize) {
        let awaited = self.lock().sessions.finish(volume, requests);
        self.notify_released(awaited);
    }

    /// Waits for a call of `released`.
    fn sleep_until_released<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
    ) -> MutexGuard<'a, State> {
        state.sessions.waiting += 1;
        let waited = self.released.wait(state);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        state.sessions.waiting -= 1;
        state
    }

    /// Wakes who waits, if under the lock somebody did: it is a system call in any case.
    fn notify_released(&self, awaited: bool) {
        if awaited {
            self.released.notify_all();
        }
    }

    /// Drops pages where it delays nobody.
    fn reap(&self, trash: Trash) {
        if !trash.is_empty() {
            self.reap_bytes(trash, 0);
        }
    }

    /// The same for what counts as memory of memtables: so much is free then.
    fn reap_bytes(&self, trash: Trash, bytes: u64) {
        let Some(reaper) = &self.reaper else {
            drop(trash);
            return self.is_free(bytes);
        };
        let reaper = reaper.lock().unwrap_or_else(PoisonError::into_inner);
        // Without a reaper, at the very end, they are dropped here.
        let _ = reaper.send(Reaped::Trash(trash, bytes));
    }

    /// Memtables have given back so much of memory.
    pub(crate) fn is_free(&self, bytes: u64) {
        if bytes > 0 {
            let mut state = self.lock();
            state.catalog.memtable_bytes -= bytes;
            state.frozen_bytes -= bytes;
            drop(state);
            if self.threaded() {
                // Who waited for it has no thread of their own to go on.
                self.write_all();
            }
        }
    }
}

impl State {
    /// Stops for good after a failure, and hands over everyone who waits.
    fn fail(&mut self, reason: String) -> Vec<Answer> {
        tracing::error!("the pool stops: {reason}");
        self.stop(reason)
    }

    /// Stops for good, and hands over everyone who waits.
    fn stop(&mut self, reason: String) -> Vec<Answer> {
        self.stopped.get_or_insert(reason);
        let mut waiting: Vec<Ticket> = std::mem::take(&mut self.sync_waiters);
        let changes = std::mem::take(&mut self.changes);
        for request in changes.into_iter().chain(std::mem::take(&mut self.queue)) {
            self.release(&request);
            waiting.push(request.ticket);
        }
        let failed = |ticket| (ticket, Err(IoError::Failed));
        waiting.into_iter().map(failed).collect()
    }

    /// Whether `released` is to be told. Those who wait a while for something of the disk are not
    /// counted: they have to know of an end only.
    fn is_awaited(&self) -> bool {
        self.sessions.waiting > 0 || self.stopped.is_some()
    }

    fn release(&mut self, request: &Request) {
        if let (Some(volume), Some(claim)) = (request.ticket.volume, request.claim) {
            self.sessions.release(volume, claim);
        }
    }
}
