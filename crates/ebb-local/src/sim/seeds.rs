//! The default run.

use super::world::simulate;
use crate::planted::Planted;

const STEPS: usize = 150;

/// `SIM_SEEDS=3,17`, `SIM_SEEDS=0..500`, or the default.
fn seeds() -> Vec<u64> {
    let Ok(asked) = std::env::var("SIM_SEEDS") else {
        return (0..100).collect();
    };
    let number = |text: &str| text.trim().parse::<u64>().expect("a seed is a number");
    let part = |part: &str| match part.split_once("..") {
        Some((first, end)) => (number(first)..number(end)).collect(),
        None => vec![number(part)],
    };
    asked.split(',').flat_map(part).collect()
}

#[test]
fn seeds_keep_every_promise() {
    let failures: Vec<String> = seeds()
        .into_iter()
        .filter_map(|seed| simulate(seed, STEPS, Planted::default()).err())
        .collect();
    assert!(failures.is_empty(), "{}", failures[..failures.len().min(3)].join("\n"));
}

#[test]
fn the_same_seed_makes_the_same_trace() {
    for seed in [1, 2, 3] {
        let run = || simulate(seed, STEPS, Planted::default());
        assert_eq!(run(), run());
    }
    assert_ne!(simulate(1, STEPS, Planted::default()), simulate(2, STEPS, Planted::default()));
}
