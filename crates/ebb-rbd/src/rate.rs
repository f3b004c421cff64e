//! How many objects a second a rollback in place takes back, learned from rollbacks that were done.
//!
//! A cluster of hard disks and one of NVMe differ by ten, and so do full objects and small ones.
//! Each rollback that was long enough to tell moves the rate a part of the way to what it was.
//! The rate is a row, so all engines on a pool learn from one another, and a restart forgets
//! nothing. It is held between bounds, so that no single odd one decides for ever: at the lower one
//! volumes of 500 objects still go back in place, and are measured again.

use std::time::Duration;

use ebb_volume::EngineError;

use crate::engine::Shared;
use crate::records::{RATE_KEY, RateRow};

/// Before anything was learned.
const FIRST: f64 = 2500.0;
const LEAST: f64 = 100.0;
const MOST: f64 = 50_000.0;

/// How much of the way to what was measured last the rate goes.
const STEP: f64 = 0.3;

/// What is less says more of round trips than of objects.
const FEWEST_OBJECTS: u64 = 64;

/// The rate after a rollback of so many objects in such a time. None: it tells nothing.
fn learned(before: f64, objects: u64, took: Duration) -> Option<f64> {
    if objects < FEWEST_OBJECTS || took.is_zero() {
        return None;
    }
    let measured = objects as f64 / took.as_secs_f64();
    Some((before + STEP * (measured - before)).clamp(LEAST, MOST))
}

impl Shared {
    /// Objects a second.
    pub(crate) fn rollback_rate(&self) -> Result<u64, EngineError> {
        let row: Option<RateRow> = self.records().row(RATE_KEY)?;
        Ok(row.map_or(FIRST, |row| row.objects_a_second.clamp(LEAST, MOST)) as u64)
    }

    /// Learns from a rollback that was done. It is done whether this is written down or not.
    pub(crate) fn learn_rate(&self, objects: u64, took: Duration) {
        let learning = self.settle(|change| {
            let row: Option<RateRow> = change.get(RATE_KEY.to_owned())?;
            let before = row.map_or(FIRST, |row| row.objects_a_second);
            match learned(before, objects, took) {
                None => Ok(()),
                Some(objects_a_second) => {
                    change.set(RATE_KEY.to_owned(), &RateRow { objects_a_second })
                }
            }
        });
        if let Err(error) = learning {
            tracing::info!("the rate of a rollback is not written down: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_rate_goes_to_what_is_measured() {
        let mut rate = FIRST;
        for _ in 0..20 {
            rate = learned(rate, 1000, SECOND).unwrap();
        }
        assert!((1000.0..1010.0).contains(&rate), "{rate}");
        // One odd rollback moves it by a third of the way at most.
        assert!((690.0..720.0).contains(&learned(rate, 100, 10 * SECOND).unwrap()));
    }

    #[test]
    fn it_stays_between_its_bounds() {
        let slow = (0..100).fold(FIRST, |rate, _| learned(rate, 100, 1000 * SECOND).unwrap());
        let fast = (0..100).fold(FIRST, |rate, _| learned(rate, 10_000_000, SECOND).unwrap());
        assert_eq!((slow, fast), (LEAST, MOST));
    }

    #[test]
    fn few_objects_tell_nothing() {
        assert_eq!(learned(FIRST, 10, SECOND), None);
        assert_eq!(learned(FIRST, 1000, Duration::ZERO), None);
    }
}
