//! What was done: a run that did nothing shows nothing.

use std::fmt;
use std::ops::AddAssign;

/// Answered requests and calls, and kills.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) kills: u64,
    pub(crate) kills_in_start: u64,
    pub(crate) writes: u64,
    pub(crate) durable_writes: u64,
    pub(crate) flushes: u64,
    pub(crate) trims: u64,
    pub(crate) reads: u64,
    pub(crate) no_space: u64,
    pub(crate) snapshots: u64,
    pub(crate) snapshots_deleted: u64,
    pub(crate) resets: u64,
    pub(crate) disks: u64,
    pub(crate) disks_deleted: u64,
    pub(crate) calls_refused: u64,
    /// Calls that a kill left without an answer.
    pub(crate) calls_cut: u64,
    pub(crate) blocks_checked: u64,
    pub(crate) snapshots_checked: u64,
    /// Blocks that lost what was answered and never flushed, as they may.
    pub(crate) unflushed_lost: u64,
}

impl Counts {
    fn fields(&mut self) -> [(&'static str, &mut u64); 18] {
        [
            ("kills", &mut self.kills),
            ("of them while it started", &mut self.kills_in_start),
            ("writes", &mut self.writes),
            ("FUA writes", &mut self.durable_writes),
            ("flushes", &mut self.flushes),
            ("trims and zeroes", &mut self.trims),
            ("reads", &mut self.reads),
            ("ENOSPC", &mut self.no_space),
            ("snapshots", &mut self.snapshots),
            ("snapshots deleted", &mut self.snapshots_deleted),
            ("resets", &mut self.resets),
            ("disks", &mut self.disks),
            ("disks deleted", &mut self.disks_deleted),
            ("calls refused", &mut self.calls_refused),
            ("calls cut by a kill", &mut self.calls_cut),
            ("blocks checked", &mut self.blocks_checked),
            ("snapshots checked", &mut self.snapshots_checked),
            ("unflushed blocks lost", &mut self.unflushed_lost),
        ]
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, mut other: Self) {
        for ((_, mine), (_, more)) in self.fields().into_iter().zip(other.fields()) {
            *mine += *more;
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut copy = *self;
        let words = copy.fields().map(|(name, count)| format!("{count} {name}"));
        f.write_str(&words.join(", "))
    }
}
