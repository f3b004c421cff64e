//! What was measured, by what and when.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::fio::Outcome;
use crate::peers::{Event, Kind};

/// When a workload was run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum When {
    /// With nothing before.
    Steady,
    /// Just before a snapshot or a reset.
    Before(Event),
    /// At once behind it.
    Behind(Event),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) workload: &'static str,
    pub(crate) peer: Kind,
    pub(crate) when: When,
}

/// The outcome of each round.
#[derive(Default)]
pub(crate) struct Results(BTreeMap<Key, Vec<Outcome>>);

impl Results {
    pub(crate) fn add(&mut self, key: Key, outcome: Outcome) {
        self.0.entry(key).or_default().push(outcome);
    }

    /// The medians of all rounds, each for itself.
    pub(crate) fn median(&self, key: Key) -> Option<Outcome> {
        let outcomes = self.0.get(&key)?;
        let of = |f: fn(&Outcome) -> f64| middle(outcomes.iter().map(f).collect());
        Some(Outcome {
            per_second: of(|o| o.per_second),
            bytes_per_second: of(|o| o.bytes_per_second),
            p50: Duration::from_secs_f64(of(|o| o.p50.as_secs_f64())),
            p99: Duration::from_secs_f64(of(|o| o.p99.as_secs_f64())),
        })
    }

    /// How many times as much as another, in the middle of the rounds: each round's own ratio, as
    /// the two ran one after the other in it.
    pub(crate) fn ratio(&self, of: Key, to: Key) -> Option<f64> {
        let (of, to) = (self.0.get(&of)?, self.0.get(&to)?);
        let ratios: Vec<f64> =
            of.iter().zip(to).map(|(of, to)| of.per_second / to.per_second).collect();
        Some(middle(ratios))
    }

    /// Whether it was run.
    pub(crate) fn has(&self, key: Key) -> bool {
        self.0.contains_key(&key)
    }
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.len().is_multiple_of(2) {
        true => f64::midpoint(values[half - 1], values[half]),
        false => values[half],
    }
}
