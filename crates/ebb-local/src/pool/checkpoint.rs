//! The checkpoint: pages on disk, so that recovery reads only the log behind it, and space that is
//! given back.
//!
//! ```text
//!   capture ─► merge ─► walks ─► packing ─► tables ─► sync ─► superblock ─► install
//!   (lock)     parents                                        slot by slot   (lock)
//!              first
//! ```
//! The capture takes dropped versions out of the tree, freezes the memtables of all others, notes
//! the place J of the log, and copies the catalog: the state at J exactly, as all before J is in it
//! and nothing behind. The log goes on meanwhile; what it brings comes back by replay from J, and
//! counts for the next checkpoint.
//!
//! All that is known of space changes here and nowhere else: which blocks are alive, which segments
//! are packed, which extents are free. It is true together with the rest of the checkpoint, or not
//! at all, and nothing of it has to be replayed.
//!
//! Three syncs make it true. One covers the pages, what was packed, the tables, and the log up to
//! J; only behind it is the superblock written, to one slot and then the other with a sync each. A
//! crash before the first slot is whole leaves the checkpoint before, and nothing that one led to
//! is overwritten: an extent is free only behind both slots, and when no reader is left that found
//! its way by the old maps.
//!
//! One that finds no space waits and goes on later. One that finds a damaged page can never be
//! finished: it is given up and there is none any more until the next opening, which replays the
//! log from the one before. A write or a sync that fails stops the pool.

mod install;
mod job;
mod lost;
mod merging;
mod packing;
mod schedule;
mod tables;
mod walking;
mod writing;

use std::collections::{BTreeSet, VecDeque};
use std::sync::PoisonError;
use std::sync::atomic::Ordering::Relaxed;

use super::Pool;
use crate::layout::BLOCK;
use crate::meta::Meta;
use crate::planted::Bug;
use crate::space::Space;
use crate::storage::Storage;
use crate::superblock::Checkpoint;
use job::Job;
pub(crate) use job::Stage;
use packing::Packer;
pub(crate) use schedule::CheckpointWhen;

/// Pages that the walks of one checkpoint look at, unless a test wants less; the next one goes on
/// from there.
pub(crate) const WALK_PAGES: u64 = 64 << 10;
/// Extents that one step gives back to the host.
const PUNCHED_AT_ONCE: usize = 16;

/// What [`Pool::checkpoint_step`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CheckpointStep {
    /// There is nothing to do, or the pool stops.
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

pub(super) struct Checkpointer {
    job: Option<Job>,
    meta: Meta,
    pub(super) space: Space,
    packer: Packer,
    /// Extents to be given back to the host: the newest checkpoint knows that they are cold.
    to_punch: VecDeque<u64>,
    given_up: bool,
}

/// Why a step came to no end.
pub(super) enum Halt {
    NoSpace,
    /// A read failed: it may succeed later.
    Unreadable,
    Damaged,
    /// The pool stops or has stopped.
    Stopped,
}

impl Checkpointer {
    pub(super) fn new(space: Space, cold: &BTreeSet<u64>) -> Self {
        Self {
            job: None,
            meta: Meta::default(),
            space,
            packer: Packer::default(),
            // A crash may have come between the checkpoint and the punching.
            to_punch: cold.iter().copied().collect(),
            given_up: false,
        }
    }
}

#[cfg(test)]
impl Checkpointer {
    pub(super) fn stage(&self) -> Option<Stage> {
        self.job.as_ref().map(|job| job.stage)
    }
}

impl<S: Storage> Pool<S> {
    pub(super) fn checkpointer(&self) -> std::sync::MutexGuard<'_, Checkpointer> {
        self.checkpointer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes on with a checkpoint, or begins one if there is anything for it to do.
    pub(crate) fn checkpoint_step(&self) -> CheckpointStep {
        let mut checkpointer = self.checkpointer();
        let mut state = self.lock();
        if checkpointer.given_up || !state.may_checkpoint() {
            return CheckpointStep::Idle;
        }
        if checkpointer.job.is_none() && !state.wants_checkpoint() {
            drop(state);
            return match self.punch(&mut checkpointer.to_punch) {
                true => CheckpointStep::More,
                false => CheckpointStep::Idle,
            };
        }
        state.checkpointing = true;
        let mut job = match checkpointer.job.take() {
            Some(job) => job,
            None => Job::capture(&mut state, self.walk_pages),
        };
        drop(state);
        let outcome = self.go_on(&mut job, &mut checkpointer);
        let step = match outcome {
            Ok(false) => {
                checkpointer.job = Some(job);
                CheckpointStep::More
            }
            Ok(true) => {
                self.install(job, &mut checkpointer);
                CheckpointStep::Finished
            }
            Err(Halt::NoSpace | Halt::Unreadable) => {
                checkpointer.job = Some(job);
                CheckpointStep::Waits
            }
            Err(Halt::Stopped) => {
                // Closing goes on with it: what it froze is in no other.
                checkpointer.job = Some(job);
                CheckpointStep::Idle
            }
            Err(Halt::Damaged) => {
                tracing::error!("no checkpoint can be made any more: a page of a map is damaged");
                checkpointer.given_up = true;
                CheckpointStep::GaveUp
            }
        };
        self.lock().checkpointing = false;
        self.released.notify_all();
        step
    }

    /// One piece of work. True: that was the last.
    fn go_on(&self, job: &mut Job, checkpointer: &mut Checkpointer) -> Result<bool, Halt> {
        let Checkpointer { meta, space, packer, .. } = checkpointer;
        let done = match job.stage {
            Stage::Merge => self.merge_next(job, meta, space)?,
            Stage::Lost => self.free_lost(job, space)?,
            Stage::Walk => self.walk_on(job, space)?,
            Stage::Pack => self.pack_next(job, meta, space, packer)?,
            Stage::Tables => self.write_tables(job, meta, space, packer)?,
            Stage::Sync => {
                // Covers all pages, the tables, and every record before J: each was written before.
                if !self.planted.has(Bug::CheckpointNotSynced) {
                    self.sync_meta(meta)?;
                }
                true
            }
            Stage::Superblock => {
                self.write_checkpoint(job)?;
                return Ok(true);
            }
        };
        if done {
            job.stage = job.stage.next();
        }
        Ok(false)
    }

    fn write_checkpoint(&self, job: &Job) -> Result<(), Halt> {
        let Some(tables) = &job.tables else {
            unreachable!("the tables come before the superblock");
        };
        let at = match self.planted.has(Bug::CheckpointPlacedLate) {
            true => self.lock().written,
            false => job.at,
        };
        let checkpoint = Checkpoint { log_gen: job.log_gen, at, tables: tables.last };
        let written = self.change_superblock(|s| s.checkpoint = Some(checkpoint));
        written.map_err(|error| self.stop_failed(&format!("writing a checkpoint: {error}")))
    }

    /// Gives some extents back to the host that were to be. False: there are none.
    fn punch_step(&self) -> bool {
        let mut checkpointer = self.checkpointer();
        self.punch(&mut checkpointer.to_punch)
    }

    fn punch(&self, extents: &mut VecDeque<u64>) -> bool {
        let now = extents.len().min(PUNCHED_AT_ONCE);
        for extent in extents.drain(..now) {
            // Planned for the log since, perhaps, or written again.
            if !self.lock().stock.begin_punch(extent) {
                continue;
            }
            let offset = self.geometry.offset(extent, 0);
            if let Err(error) = self.storage.punch(offset, self.geometry.segment_bytes()) {
                tracing::warn!("giving an extent back to the host: {error}");
            }
            self.lock().stock.end_punch();
            self.counters.extents_punched.fetch_add(1, Relaxed);
        }
        now > 0
    }

    pub(super) fn stop_failed(&self, reason: &str) -> Halt {
        let answers = self.lock().fail(reason.into());
        self.released.notify_all();
        self.answer(answers);
        Halt::Stopped
    }
}

/// Blocks in so many bytes.
fn blocks_in(bytes: usize) -> u64 {
    (bytes / BLOCK) as u64
}
