//! The check of the simulator: it has to find each planted bug.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::world::simulate;
use crate::planted::{Bug, Planted};

/// Seeds within which a bug has to be found.
const SEEDS: u64 = 120;
const STEPS: usize = 150;

const BUGS: [Bug; 21] = [
    Bug::SkipFlushSync,
    Bug::FuaAnsweredEarly,
    Bug::ChangeNotSynced,
    Bug::WatermarkAhead,
    Bug::ReuseCutSegment,
    Bug::IgnoreCut,
    Bug::SkipDataCheck,
    Bug::RecoveryNotSynced,
    Bug::SkipSecondSlot,
    Bug::SkipSuperblockSync,
    Bug::SameLogGeneration,
    Bug::SegmentIdsReused,
    Bug::ZeroNotReplayed,
    Bug::DiscardRoundsOutward,
    Bug::SkipReadCheck,
    Bug::StaleHandleWrites,
    Bug::CheckpointNotSynced,
    Bug::CheckpointPlacedLate,
    Bug::DirtyPageMissed,
    Bug::HolesNotMerged,
    Bug::PageNotVerified,
];

/// The first seed that finds it, and how.
fn found(bug: Bug) -> Option<(u64, String)> {
    let planted = Planted { bug: Some(bug) };
    (0..SEEDS).find_map(|seed| {
        // A bug may break an invariant before it breaks a promise.
        match catch_unwind(AssertUnwindSafe(|| simulate(seed, STEPS, planted))) {
            Ok(Ok(_)) => None,
            Ok(Err(failure)) => Some((seed, failure)),
            Err(_) => Some((seed, "a panic".into())),
        }
    })
}

#[test]
fn every_planted_bug_is_found() {
    let mut missed = Vec::new();
    for bug in BUGS {
        match found(bug) {
            Some((_, failure)) => {
                let first = failure.lines().next().unwrap_or_default();
                println!("{bug:?}: {first}");
            }
            None => missed.push(bug),
        }
    }
    assert!(missed.is_empty(), "not found in {SEEDS} seeds: {missed:?}");
}
