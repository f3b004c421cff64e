//! Many worlds, on all cores: a few in every run of the tests, as many as asked for by
//! `cargo xtask sim`, which passes what it is asked for in the environment.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use super::failure::Failure;
use super::world::simulate;
use crate::cipher::used;
use crate::planted::Planted;

/// What is asked of a world unless said otherwise.
pub(super) const STEPS: u64 = 150;
/// Worlds in a run of the tests: seconds in a debug build.
const FEW: u64 = 24;

/// Seeds from `start` on.
pub(super) struct Plan {
    pub(super) start: u64,
    pub(super) seeds: u64,
    pub(super) steps: u64,
    pub(super) planted: Planted,
    /// No world begins later.
    pub(super) until: Option<Instant>,
    pub(super) progress: bool,
}

pub(super) struct Outcome {
    /// Worlds that ran to their end, whichever it was.
    pub(super) worlds: u64,
    /// Of all worlds that kept every promise, in any order.
    pub(super) digest: u64,
    /// The first seed that did not.
    pub(super) failure: Option<Failure>,
}

/// A number that `cargo xtask sim` passes.
pub(super) fn asked(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}

/// Runs worlds until one fails.
pub(super) fn run(plan: &Plan) -> Outcome {
    let begun = Instant::now();
    let (next, ended) = (AtomicU64::new(0), AtomicU64::new(0));
    let (digest, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let failures = Mutex::new(Vec::new());
    let worker = || {
        while !stop.load(Relaxed) && plan.until.is_none_or(|until| Instant::now() < until) {
            let number = next.fetch_add(1, Relaxed);
            if number >= plan.seeds {
                break;
            }
            let seed = plan.start.wrapping_add(number);
            match simulate(seed, plan.steps, plan.planted) {
                Ok(trace) => {
                    let mixed = super::Random::new(seed ^ u64::from(trace) << 32).next();
                    digest.fetch_add(mixed, Relaxed);
                }
                Err(failure) => {
                    stop.store(true, Relaxed);
                    let mut failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
                    failures.push((number, failure));
                }
            }
            let ended = 1 + ended.fetch_add(1, Relaxed);
            if plan.progress && ended.is_multiple_of((plan.seeds / 10).max(100)) {
                let seconds = begun.elapsed().as_secs_f64();
                println!("{ended} of {} worlds, {seconds:.1} s", plan.seeds);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(worker);
        }
    });
    // Every seed before one that failed was begun and came to its end, so the least is the first.
    let failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
    let first = failures.into_iter().min_by_key(|(number, _)| *number);
    Outcome {
        worlds: ended.into_inner(),
        digest: digest.into_inner(),
        failure: first.map(|(_, failure)| failure),
    }
}

#[test]
fn worlds_keep_every_promise() {
    let plan = Plan {
        start: asked("SIM_START").unwrap_or(0),
        seeds: asked("SIM_SEEDS").unwrap_or(FEW),
        steps: asked("SIM_STEPS").unwrap_or(STEPS),
        planted: Planted::default(),
        until: None,
        progress: true,
    };
    let begun = Instant::now();
    let Outcome { worlds, digest, failure } = run(&plan);
    if let Some(failure) = failure {
        let replay = format!(
            "replay it with: cargo xtask sim --seeds 1 --start {} --steps {}",
            failure.seed, plan.steps
        );
        match plan.seeds {
            1 => panic!("{failure:#}\n{replay}"),
            _ => panic!("{failure}\n{replay}"),
        }
    }
    let (steps, seconds) = (plan.steps, begun.elapsed().as_secs_f64());
    println!(
        "{worlds} worlds of {steps} steps from seed {}: digest {digest:016x}, {seconds:.1} s",
        plan.start
    );
}

/// A world that failed: on a full disk the rest of a write was refused, as an engine call came in
/// the middle of it.
#[test]
fn an_engine_call_in_the_middle_of_a_write_takes_nothing_of_it() {
    simulate(9_009_664, STEPS, Planted::default()).unwrap();
}

/// Or it would prove nothing that no nonce is used twice.
#[test]
fn worlds_with_keys_encrypt() {
    let sealed = |seed| {
        simulate(seed, STEPS, Planted::default()).unwrap();
        used::stop()
    };
    let with_keys = [0, 5, 6, 13, 14].map(sealed);
    assert!(with_keys.iter().sum::<usize>() > 100, "{with_keys:?}");
    assert_eq!([1, 2, 3].map(sealed), [0; 3], "worlds without");
}

#[test]
fn the_same_seed_makes_the_same_trace() {
    let trace = |seed| simulate(seed, STEPS, Planted::default());
    for seed in [1, 2, 3] {
        assert_eq!(trace(seed), trace(seed));
    }
    assert_ne!(trace(1), trace(2));
}
