//! Operations that nobody repeats any more are forgotten.
//!
//! An operation is repeated by who asked for it and does not know whether it was done: a server
//! that starts again, from its records, before it answers anything; or the one that takes its place
//! when it is gone, within a lease. Ids of operations are random and never used for another. So an
//! old row is of use only to a server that was down all that time, and that one has repeated what
//! it will when its engine has been open for an hour: no engine forgets anything before that.
//!
//! ```text
//!   age of the row      0 ......... 1 day ................... 7 days ........
//!                       kept        kept, unless there are    forgotten
//!                                   more than MOST
//! ```

use std::sync::atomic::Ordering::Relaxed;

use ebb_volume::EngineError;

use crate::engine::Shared;
use crate::records::{self, OpRow};

const DAY_SECONDS: u64 = 24 * 3600;
const KEPT_SECONDS: u64 = 7 * DAY_SECONDS;
/// For so long they are kept however many there are.
const KEPT_AT_LEAST_SECONDS: u64 = DAY_SECONDS;
const MOST: usize = 100_000;

/// How many rows one change removes.
const AT_ONCE: usize = 500;

/// Which of these operations, keys and times, are to be forgotten.
fn forgotten(mut rows: Vec<(String, u64)>, now: u64, most: usize) -> Vec<String> {
    rows.sort_by_key(|(_, at)| *at);
    let too_many = rows.len().saturating_sub(most);
    let is_old = |(n, (_, at)): &(usize, (String, u64))| {
        let age = now.saturating_sub(*at);
        age > KEPT_SECONDS || (*n < too_many && age > KEPT_AT_LEAST_SECONDS)
    };
    rows.into_iter().enumerate().filter(is_old).map(|(_, (key, _))| key).collect()
}

impl Shared {
    /// Forgets what is old. The engine has been open for long enough.
    pub(crate) fn forget_operations(&self) -> Result<(), EngineError> {
        let (mut rows, mut timeless) = (Vec::new(), Vec::new());
        for (key, row) in self.records().all::<OpRow>("o/")? {
            match row {
                OpRow::Done { at, .. } => rows.push((key, at)),
                OpRow::Timeless(asked) => timeless.push((key, asked)),
            }
        }
        let count = rows.len() + timeless.len();
        let old = forgotten(rows, records::now(), MOST);
        for keys in old.chunks(AT_ONCE) {
            self.settle(|change| {
                keys.iter().for_each(|key| change.remove(key.clone()));
                Ok(())
            })?;
        }
        // Their time begins now.
        for rows in timeless.chunks(AT_ONCE) {
            self.settle(|change| {
                rows.iter().try_for_each(|(key, asked)| change.set(key.clone(), &OpRow::now(asked)))
            })?;
        }
        self.counters.operations.store((count - old.len()) as u64, Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_ages(days: &[u64], most: usize) -> Vec<String> {
        let now = 1000 * DAY_SECONDS;
        let row = |days: &u64| (format!("{days}"), now - days * DAY_SECONDS);
        forgotten(days.iter().map(row).collect(), now, most)
    }

    #[test]
    fn the_old_are_forgotten() {
        assert_eq!(of_ages(&[0, 3, 7, 8, 100], 10), ["100", "8"]);
    }

    #[test]
    fn of_too_many_the_oldest_are_forgotten_unless_they_are_of_today() {
        assert_eq!(of_ages(&[0, 1, 2, 3, 4], 3), ["4", "3"]);
        assert_eq!(of_ages(&[0, 1, 1, 1, 2], 1), ["2"]);
    }
}
