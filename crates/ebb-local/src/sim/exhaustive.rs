//! Small worlds, all of them: every sequence of a few operations on a tiny volume, with a crash at
//! every write and sync of the last one, and at each with many of the sets of unsynced sectors that
//! may be left. What random worlds pass by for long, a few operations in the right order mostly
//! find (CrashMonkey's lesson).
//!
//! ```text
//!   start ─► open ─► operation … operation ─┬─► crash ─► left: a set of sectors ─► open, compare
//!                                   (the last one, at each write and sync of it)
//! ```
//! Crashes within the operations before are those of the shorter sequences. Each world is that of
//! the random ones, with nothing left to chance. Of sets there are: none, all, all but one, only
//! one, and all before one; every set where few sectors are at stake. Or only the process ends, and
//! the power fails at each write and sync of the recovery.
//!
//! Deliberately not here: older versions of a sector that was written twice, and requests that are
//! under way together. Those are in the random worlds.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Instant;

use super::disk::SimDisk;
use super::failure::catching;
use super::run::asked;
use super::world::{Small, World};
use crate::planted::{Bug, Planted};

/// So few sectors at stake that every set of them is tried.
const FEW: usize = 6;
/// Blocks of a segment: so few that a sequence goes on into the next one.
const SEGMENT_BLOCKS: u32 = 8;

type Sequence = Vec<Small>;

/// What was tried.
#[derive(Default)]
struct Tried {
    /// Only nothing or everything is left of what was unsynced, and nothing fails after that: what
    /// a debug build can do in seconds.
    quick: bool,
    sequences: AtomicU64,
    crashes: AtomicU64,
    recoveries: AtomicU64,
}

/// All sequences of so many operations, the shorter ones before.
fn sequences(operations: u64) -> Vec<Sequence> {
    let mut all = Vec::new();
    let mut last = vec![Vec::new()];
    for _ in 0..operations {
        let longer = |before: &Sequence| {
            let before = before.clone();
            Small::ALL.map(move |operation| [&before[..], &[operation]].concat())
        };
        last = last.iter().flat_map(longer).collect();
        all.extend(last.iter().cloned());
    }
    all
}

/// Sets of the sectors at stake.
fn left_sets(at_stake: &[u64]) -> BTreeSet<Vec<u64>> {
    let n = at_stake.len();
    let of = |keep: &dyn Fn(usize) -> bool| -> Vec<u64> {
        (0..n).filter(|i| keep(*i)).map(|i| at_stake[i]).collect()
    };
    if n <= FEW {
        return (0..1 << n).map(|set: usize| of(&|i| set & 1 << i != 0)).collect();
    }
    let mut sets = BTreeSet::from([of(&|_| false), of(&|_| true)]);
    for one in 0..n {
        sets.extend([of(&|i| i != one), of(&|i| i == one), of(&|i| i < one)]);
    }
    sets
}

/// What went wrong, and all that led to it.
fn told(world: &World, what: &str) -> String {
    format!("{what}\n  {}", world.story.join("\n  "))
}

/// A world that runs a sequence, until its disk dies after `fuse` operations of the last one. And
/// how many operations of the disk the last one asked for.
fn live(start: &World, sequence: &[Small], fuse: Option<u64>) -> Result<(World, u64), String> {
    let mut world = start.fork();
    let run = || {
        world.open()?;
        let (last, before) = sequence.split_last().ok_or("an empty sequence")?;
        for operation in before {
            world.small(*operation)?;
        }
        let first = world.disk.asked();
        if let Some(fuse) = fuse {
            world.disk.set_fuse(fuse);
        }
        world.small(*last)?;
        Ok(world.disk.asked() - first)
    };
    match catching(run) {
        Ok(operations) => Ok((world, operations)),
        Err(what) => Err(told(&world, &what)),
    }
}

/// The world after a crash in which these of the sectors at stake were written. It crashes once
/// more and loses what was not synced: what recovery built on has to be durable.
fn recovers(world: &World, at_stake: &[u64], left: &[u64], quick: bool) -> Result<(), String> {
    let mut after = world.fork();
    let none = left.is_empty();
    after.disk.lose_power(|number, versions| {
        let lost = match at_stake.contains(&number) {
            true => !left.contains(&number),
            false => none,
        };
        versions.last().copied().filter(|_| !lost)
    });
    let run = || {
        after.open()?;
        if quick {
            return Ok(());
        }
        after.end_process();
        after.disk.lose_power(|_, _| None);
        after.open()
    };
    catching(run).map_err(|what| told(&after, &what))
}

/// The world after its process ended and the machine did not: what the recovery builds on may be in
/// the cache only. The power fails at each operation of it.
fn recovers_twice(world: &World, tried: &Tried) -> Result<(), String> {
    let (opened, operations) = reopened(world, None)?;
    drop(opened);
    for fuse in 0..operations {
        let (dead, _) = reopened(world, Some(fuse))?;
        let at_stake = dead.disk.at_stake();
        // A superblock, where it is at stake, is the first.
        let first = at_stake.len().min(1);
        for left in [&[], &at_stake[..first], &at_stake[..]] {
            tried.recoveries.fetch_add(1, Relaxed);
            let ended = || format!("the process ended, and power after {fuse} operations");
            recovers(&dead, &at_stake, left, false)
                .map_err(|what| format!("{}, {left:?} of {at_stake:?} left: {what}", ended()))?;
        }
    }
    Ok(())
}

/// The world with its process started again, until its disk dies.
fn reopened(world: &World, fuse: Option<u64>) -> Result<(World, u64), String> {
    let mut after = world.fork();
    after.disk.serve_again();
    let first = after.disk.asked();
    let run = || match fuse {
        None => after.open(),
        Some(fuse) => {
            after.disk.set_fuse(fuse);
            // Where it fails, that is what was asked for.
            after.open().or_else(|what| if after.disk.is_dead() { Ok(()) } else { Err(what) })
        }
    };
    catching(run).map_err(|what| told(&after, &what))?;
    after.end_process();
    let operations = after.disk.asked() - first;
    Ok((after, operations))
}

/// Every crash within the last operation of a sequence, and one behind it.
fn try_sequence(start: &World, sequence: &[Small], tried: &Tried) -> Result<(), String> {
    let failed = |crash: &str, what: String| format!("{sequence:?}, {crash}: {what}");
    let (world, operations) =
        live(start, sequence, None).map_err(|what| failed("no crash", what))?;
    let mut worlds = vec![("a crash at the end".to_owned(), world)];
    for fuse in 0..operations {
        let crash = format!("a crash after {fuse} of {operations} disk operations");
        let (world, _) = live(start, sequence, Some(fuse)).map_err(|what| failed(&crash, what))?;
        worlds.push((crash, world));
    }
    tried.sequences.fetch_add(1, Relaxed);
    for (crash, mut world) in worlds {
        world.end_process();
        let at_stake = world.disk.at_stake();
        tried.crashes.fetch_add(1, Relaxed);
        let sets = match tried.quick {
            true => BTreeSet::from([vec![], at_stake.clone()]),
            false => {
                recovers_twice(&world, tried).map_err(|what| failed(&crash, what))?;
                left_sets(&at_stake)
            }
        };
        for left in sets {
            tried.recoveries.fetch_add(1, Relaxed);
            recovers(&world, &at_stake, &left, tried.quick)
                .map_err(|what| failed(&format!("{crash}, {left:?} of {at_stake:?} left"), what))?;
        }
    }
    Ok(())
}

/// Tries all sequences on all cores, until one fails.
fn try_all(operations: u64, planted: Planted, tried: &Tried) -> Result<(), String> {
    let (all, next, failures) = (sequences(operations), AtomicUsize::new(0), Mutex::new(vec![]));
    let worker = || {
        let start = World::small_start(SimDisk::default(), SEGMENT_BLOCKS, planted);
        let outcome = start.and_then(|start| {
            while let Some(sequence) = all.get(next.fetch_add(1, Relaxed)) {
                try_sequence(&start, sequence, tried)?;
            }
            Ok(())
        });
        if let Err(failure) = outcome {
            next.store(all.len(), Relaxed);
            failures.lock().unwrap().push(failure);
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(worker);
        }
    });
    // The simplest one says most.
    let mut failures = failures.into_inner().unwrap();
    failures.sort_by_key(String::len);
    failures.into_iter().next().map_or(Ok(()), Err)
}

/// Up to two operations and quick, unless `cargo xtask sim` says how many.
fn as_asked() -> (u64, Tried) {
    let operations = asked("SIM_OPERATIONS");
    (operations.unwrap_or(2), Tried { quick: operations.is_none(), ..Tried::default() })
}

#[test]
fn every_small_world_keeps_every_promise() {
    let begun = Instant::now();
    let (operations, tried) = as_asked();
    let outcome = try_all(operations, Planted::default(), &tried);
    let Tried { sequences, crashes, recoveries, .. } = tried;
    println!(
        "{} sequences of up to {operations} operations, {} crashes, {} recoveries, {:.1} s",
        sequences.into_inner(),
        crashes.into_inner(),
        recoveries.into_inner(),
        begun.elapsed().as_secs_f64()
    );
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

/// What is tried here would find a bug, were it there.
#[test]
fn small_worlds_find_planted_bugs() {
    let quickly = [
        Bug::SkipFlushSync,
        Bug::ChangeNotSynced,
        Bug::ZeroNotReplayed,
        Bug::DiscardRoundsOutward,
        Bug::HolesNotMerged,
    ];
    let quick = as_asked().1.quick;
    let slowly = [Bug::RecoveryNotSynced, Bug::CheckpointNotSynced].into_iter();
    for bug in quickly.into_iter().chain(slowly.filter(|_| !quick)) {
        let (operations, tried) = as_asked();
        let outcome = try_all(operations, Planted { bug: Some(bug) }, &tried);
        let Err(failure) = outcome else { panic!("{bug:?} is not found") };
        println!("{bug:?}: {}", failure.lines().next().unwrap_or_default());
    }
}
