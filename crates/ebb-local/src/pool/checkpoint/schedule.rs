//! When checkpoints begin: by the log behind the last one, by time, and where there is space to be
//! had.

use std::sync::MutexGuard;
use std::time::{Duration, Instant};

use super::super::State;
use super::{CheckpointStep, Pool};
use crate::storage::Storage;

/// What closing may take for a checkpoint.
const CLOSING: Duration = Duration::from_secs(2);
/// How long after one found no space, or could not read, it goes on.
pub(super) const PAUSE: Duration = Duration::from_secs(1);
/// How long after one another comes for the sake of space.
const SPACE_PAUSE: Duration = Duration::from_secs(2);
/// How long after some extents were given back to the host others are: they share its disk with
/// whoever reads and writes.
const BETWEEN_PUNCHES: Duration = Duration::from_millis(5);
/// The same where the reserve is being used.
const LOW_PAUSE: Duration = Duration::from_millis(100);
/// So many discarded blocks are worth a checkpoint.
const DISCARDED_BLOCKS: u64 = 4 * 4096;

/// When a checkpoint begins by itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CheckpointWhen {
    /// So much of the log is behind the last one.
    pub(crate) log_bytes: u64,
    /// Memtables took so much of memory.
    pub(crate) memtable_bytes: u64,
    /// Something is, and the last one was so long ago.
    pub(crate) after: Duration,
}

impl CheckpointWhen {
    /// How many times as much guests wait for the next one: a start reads no more than that of the
    /// log, and memory holds no more.
    const AT_MOST: u64 = 2;
}

impl<S: Storage> Pool<S> {
    /// Makes one where that is quick. All is durable without it.
    pub(in super::super) fn checkpoint_at_close(&self) {
        // Without threads nothing takes long, and nothing may depend on the time.
        let time = if self.threaded() { CLOSING } else { Duration::from_secs(3600) };
        self.lock().give_up_at = Some(Instant::now() + time);
        loop {
            match self.checkpoint_step() {
                CheckpointStep::More | CheckpointStep::Finished => {}
                CheckpointStep::Idle | CheckpointStep::Waits | CheckpointStep::GaveUp => return,
            }
        }
    }

    /// Wakes the thread of checkpoints where one is due, or will be soon.
    pub(in super::super) fn ask_for_checkpoint(&self, state: &mut MutexGuard<'_, State>) {
        let is_wanted = state.is_due(self.checkpoint_when) || state.may_give_space();
        if is_wanted && !state.checkpoint_asked {
            state.checkpoint_asked = true;
            self.checkpoint_wanted.notify_one();
        }
    }

    /// The checkpoint thread: until the pool stops.
    pub(crate) fn run_checkpoints(&self) {
        let (mut last, mut under_way) = (Instant::now(), false);
        loop {
            let punched = self.punch_step();
            let state = self.lock();
            if state.stopped.is_some() {
                return;
            }
            let wait = self.wait_for_checkpoint(&state, last);
            if state.closing || !(wait.is_zero() || under_way) {
                let wait = if punched { BETWEEN_PUNCHES } else { wait.max(PAUSE / 10) };
                drop(self.checkpoint_wanted.wait_timeout(state, wait));
                continue;
            }
            drop(state);
            match self.checkpoint_step() {
                CheckpointStep::More => under_way = true,
                step @ (CheckpointStep::Idle | CheckpointStep::Finished) => {
                    (last, under_way) = (Instant::now(), false);
                    if step == CheckpointStep::Idle {
                        self.give_up_hope();
                    }
                }
                CheckpointStep::Waits => {
                    under_way = true;
                    self.give_up_hope();
                    drop(self.checkpoint_wanted.wait_timeout(self.lock(), PAUSE));
                }
                CheckpointStep::GaveUp => {
                    // Nothing will make the tail shorter any more. One damaged page is no reason to
                    // refuse everything.
                    self.lock().no_checkpoints = true;
                    self.write_all();
                    return;
                }
            }
        }
    }

    /// No checkpoint will bring space: who waits for it is refused.
    pub(in super::super) fn give_up_hope(&self) {
        let mut state = self.lock();
        let is_overdue = state.is_overdue(self.checkpoint_when);
        if is_overdue || (state.stock.full && state.stock.waited_for.is_some()) {
            state.stock.give_up_hope();
            drop(state);
            self.write_all();
        }
    }

    /// How long until the next one is due.
    fn wait_for_checkpoint(&self, state: &State, last: Instant) -> Duration {
        let when = self.checkpoint_when;
        let since = last.elapsed();
        if state.is_due(when) || state.is_short_of_space() {
            return Duration::ZERO;
        }
        if state.stock.is_low() && state.wants_checkpoint() {
            return LOW_PAUSE.saturating_sub(since);
        }
        if state.may_give_space() {
            return SPACE_PAUSE.min(when.after).saturating_sub(since);
        }
        match state.uncheckpointed_bytes {
            0 => SPACE_PAUSE.min(when.after),
            _ => when.after.saturating_sub(since),
        }
    }
}

impl State {
    /// Whether one is due for what is behind the last.
    fn is_due(&self, when: CheckpointWhen) -> bool {
        self.uncheckpointed_bytes >= when.log_bytes
            || self.catalog.memtable_bytes - self.frozen_bytes >= when.memtable_bytes
    }

    /// Whether so much is behind the last one that guests wait for the next.
    pub(in super::super) fn is_overdue(&self, when: CheckpointWhen) -> bool {
        let at_most = |bytes: u64| bytes.saturating_mul(CheckpointWhen::AT_MOST);
        let is_much = self.tail_bytes >= at_most(when.log_bytes)
            || self.catalog.memtable_bytes >= at_most(when.memtable_bytes);
        is_much && !self.no_checkpoints
    }

    pub(super) fn may_checkpoint(&self) -> bool {
        let in_time = self.give_up_at.is_some_and(|end| Instant::now() < end);
        self.stopped.is_none() && (!self.closing || in_time)
    }

    /// Whether there is anything for one to do.
    pub(super) fn wants_checkpoint(&self) -> bool {
        self.uncheckpointed_bytes > 0 || self.work_left || self.has_unused()
    }

    /// Whether one is worth it for the space that it may give back.
    fn may_give_space(&self) -> bool {
        let discarded = self.catalog.discarded_blocks >= DISCARDED_BLOCKS;
        self.work_left || discarded || self.catalog.has_dropped || self.has_unused()
    }

    /// There are more free extents than the log took since the last one: the next will not keep
    /// all of them.
    fn has_unused(&self) -> bool {
        self.stock.free.len() > self.stock.taken
    }

    /// Somebody waits for space, and one may bring some.
    fn is_short_of_space(&self) -> bool {
        self.stock.full && self.stock.may_hope()
    }
}
