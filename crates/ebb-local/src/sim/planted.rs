//! The check of the simulator: it has to find each planted bug.
//!
//! Each has a seed that finds it, which every run of the tests replays. `cargo xtask sim --planted`
//! searches from seed 0 again and prints what it found, to be recorded here where the engine or the
//! simulator has changed so much that an old seed finds nothing any more.

use std::time::{Duration, Instant};

use super::run::{Plan, STEPS, asked, run};
use super::world::simulate;
use crate::planted::{Bug, Planted};

/// A search may take so long for each bug.
const AT_MOST: Duration = Duration::from_secs(120);

/// Each bug, and a seed that finds it.
const BUGS: [(Bug, u64); 42] = [
    (Bug::SkipFlushSync, 0),
    (Bug::FuaAnsweredEarly, 0),
    (Bug::ChangeNotSynced, 0),
    (Bug::WatermarkAhead, 0),
    (Bug::ReuseCutSegment, 0),
    (Bug::IgnoreCut, 4),
    (Bug::SkipDataCheck, 0),
    (Bug::RecoveryNotSynced, 5),
    (Bug::SkipSecondSlot, 0),
    (Bug::SkipSuperblockSync, 0),
    (Bug::SameLogGeneration, 0),
    (Bug::SegmentIdsReused, 0),
    (Bug::ZeroNotReplayed, 3),
    (Bug::DiscardRoundsOutward, 1),
    (Bug::SkipReadCheck, 0),
    (Bug::StaleHandleWrites, 0),
    (Bug::CheckpointNotSynced, 6),
    (Bug::CheckpointPlacedLate, 0),
    (Bug::DirtyPageMissed, 0),
    (Bug::HolesNotMerged, 2),
    (Bug::PageNotVerified, 0),
    (Bug::StartNotSynced, 13),
    (Bug::SlotsNotSettled, 1195),
    (Bug::FreedAtLimit, 0),
    (Bug::LimitIgnored, 0),
    (Bug::BornWhenWritten, 0),
    (Bug::PageSeenAgain, 633),
    (Bug::PlacedNotMarked, 0),
    (Bug::OldPagesKept, 2),
    (Bug::CutForgotten, 75),
    (Bug::GhostForgotten, 33),
    (Bug::ViewersIgnored, 2),
    (Bug::WalkedPagesKept, 0),
    (Bug::PagesOfWalksFreed, 662),
    (Bug::WalksForgotten, 0),
    (Bug::TailFreed, 0),
    (Bug::ReleasedEarly, 14),
    (Bug::PunchedCountsAsWritten, 5),
    (Bug::SegmentNotSynced, 8),
    (Bug::TailPacked, 75),
    (Bug::DeadForAlive, 0),
    (Bug::NonceReused, 0),
];

/// Whether a seed finds a bug, and nothing without it.
fn finds(seed: u64, bug: Bug) -> Result<(), String> {
    simulate(seed, STEPS, Planted::default())
        .map_err(|failure| format!("{bug:?} is not planted, but {failure}"))?;
    match simulate(seed, STEPS, Planted { bug: Some(bug) }) {
        Ok(_) => Err(format!("{bug:?} is not found by seed {seed}")),
        Err(_) => Ok(()),
    }
}

/// Searches for a bug from `start` on, and says how it went.
fn search(bug: Bug, start: u64) -> Result<(), String> {
    let begun = Instant::now();
    let plan = Plan {
        start,
        seeds: u64::MAX,
        steps: STEPS,
        planted: Planted { bug: Some(bug) },
        until: Some(begun + AT_MOST),
        progress: false,
    };
    let outcome = run(&plan);
    let (worlds, seconds) = (outcome.worlds, begun.elapsed().as_secs_f64());
    let Some(failure) = outcome.failure else {
        return Err(format!("{bug:?} is not found in {worlds} worlds, {seconds:.1} s"));
    };
    finds(failure.seed, bug)?;
    let first = failure.what.lines().collect::<Vec<_>>().join(" ");
    println!("(Bug::{bug:?}, {}): {worlds} worlds, {seconds:.1} s: {first}", failure.seed);
    Ok(())
}

#[test]
fn every_planted_bug_is_found() {
    let anew = std::env::var_os("SIM_PLANTED").is_some();
    let start = asked("SIM_START").unwrap_or(0);
    let missed: Vec<String> = BUGS
        .into_iter()
        .filter_map(|(bug, seed)| match anew {
            true => search(bug, start).err(),
            false => finds(seed, bug).err(),
        })
        .collect();
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}
