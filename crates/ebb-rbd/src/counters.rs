//! What an engine counts, for who runs it.
//!
//! Requests and resets are counted as they come. What rows tell, of all engines on the pool
//! together, is as old as the flattener's or the reaper's last look at them: a scrape asks the
//! cluster for nothing.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::RbdEngine;

/// What was counted since the engine was opened, and what there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Images in the pool and namespace that a row names.
    pub images: u64,
    /// How many of them are clones.
    pub clones: u64,
    /// How many parents the one with the most has.
    pub deepest: u64,
    /// Clones that were flattened.
    pub flattened: u64,
    /// Objects that were copied for that.
    pub objects_copied: u64,
    /// Objects that are left to copy of the one that is being flattened.
    pub objects_left: u64,
    /// Resets by a rollback in place, and by a clone.
    pub resets_in_place: u64,
    /// See there.
    pub resets_by_clone: u64,
    /// What the reaper could not remove yet.
    pub backlog: u64,
    /// Operations that are remembered, for their repetition.
    pub operations: u64,
    /// Requests of volumes that are under way.
    pub in_flight: u64,
    /// Requests of volumes that failed.
    pub errors: u64,
}

#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) images: AtomicU64,
    pub(crate) clones: AtomicU64,
    pub(crate) deepest: AtomicU64,
    pub(crate) flattened: AtomicU64,
    pub(crate) objects_copied: AtomicU64,
    pub(crate) objects_left: AtomicU64,
    pub(crate) resets_in_place: AtomicU64,
    pub(crate) resets_by_clone: AtomicU64,
    pub(crate) backlog: AtomicU64,
    pub(crate) operations: AtomicU64,
    begun: AtomicU64,
    ended: AtomicU64,
    errors: AtomicU64,
}

impl Counters {
    /// A request is handed to librbd.
    pub(crate) fn begun(&self) {
        self.begun.fetch_add(1, Relaxed);
    }

    /// Its outcome is there.
    pub(crate) fn ended(&self, failed: bool) {
        self.ended.fetch_add(1, Relaxed);
        self.errors.fetch_add(u64::from(failed), Relaxed);
    }
}

impl RbdEngine {
    /// What it counts.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let counters = &*self.shared.counters;
        // Read first: those that begin in between are not counted as ended.
        let ended = counters.ended.load(Relaxed);
        let of = |counter: &AtomicU64| counter.load(Relaxed);
        Stats {
            images: of(&counters.images),
            clones: of(&counters.clones),
            deepest: of(&counters.deepest),
            flattened: of(&counters.flattened),
            objects_copied: of(&counters.objects_copied),
            objects_left: of(&counters.objects_left),
            resets_in_place: of(&counters.resets_in_place),
            resets_by_clone: of(&counters.resets_by_clone),
            backlog: of(&counters.backlog),
            operations: of(&counters.operations),
            in_flight: of(&counters.begun).saturating_sub(ended),
            errors: of(&counters.errors),
        }
    }
}
