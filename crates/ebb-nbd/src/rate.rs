//! A ceiling on what is asked of one export, over all its connections: requests and bytes a second.
//!
//! ```text
//!                   now        due
//!   ─────────────────┼──────────┼────►       due: when all that was let in has been paid for
//!                    │◄─ debt ─►│            let in at once while the debt is below BURST,
//!                                            else when it is
//! ```
//! A request is charged when it is asked for, and its connection waits, so a connection has one
//! charge under way at a time: those that always have something to ask take turns, whatever the
//! depth of each. What is large costs more, and no export waits for another.
//!
//! Deliberately not here: unused time that is saved up. After a pause a guest has BURST at once.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So much may be let in ahead of its time.
const BURST: Duration = Duration::from_millis(50);

/// How much is done in a second, at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Requests.
    pub requests_per_second: u64,
    /// Bytes of data.
    pub bytes_per_second: u64,
}

/// How much an export does in a second, at most. Flushes do not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateLimit {
    /// Reads, writes and all else together.
    Together(Rate),
    /// Each for itself.
    Apart {
        /// What changes nothing.
        reads: Rate,
        /// What does.
        writes: Rate,
    },
}

/// Which of the two a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Read,
    Write,
}

/// The ceiling of one export.
#[derive(Debug, Default)]
pub(crate) struct Limiter(Mutex<Option<State>>);

#[derive(Debug, Clone, Copy)]
struct State {
    limit: RateLimit,
    /// Of what reads, or of everything.
    reads: Due,
    writes: Due,
}

#[derive(Debug, Clone, Copy, Default)]
struct Due {
    requests: Option<Instant>,
    bytes: Option<Instant>,
}

impl Limiter {
    /// From now on. What is due stays due.
    pub(crate) fn set(&self, limit: Option<RateLimit>) {
        let mut state = self.state();
        let (reads, writes) =
            state.map_or_else(Default::default, |state| (state.reads, state.writes));
        *state = limit.map(|limit| State { limit, reads, writes });
    }

    /// Charges for one request. Says when it may be let in, if not now.
    pub(crate) fn charge(&self, direction: Direction, bytes: u64, now: Instant) -> Option<Instant> {
        let mut state = self.state();
        let state = state.as_mut()?;
        let (rate, due) = match (state.limit, direction) {
            (RateLimit::Together(rate), _) => (rate, &mut state.reads),
            (RateLimit::Apart { reads, .. }, Direction::Read) => (reads, &mut state.reads),
            (RateLimit::Apart { writes, .. }, Direction::Write) => (writes, &mut state.writes),
        };
        let requests = charge(&mut due.requests, 1, rate.requests_per_second, now);
        let bytes = charge(&mut due.bytes, bytes, rate.bytes_per_second, now);
        let at = requests.max(bytes);
        (at > now).then_some(at)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, Option<State>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds what an amount costs to what is due, and says when that may begin.
fn charge(due: &mut Option<Instant>, amount: u64, per_second: u64, now: Instant) -> Instant {
    let begins = due.map_or(now, |due| due.max(now));
    let costs = Duration::from_secs_f64(amount as f64 / per_second.max(1) as f64);
    *due = Some(begins + costs);
    begins.checked_sub(BURST).map_or(now, |at| at.max(now))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RATE: Rate = Rate { requests_per_second: 1000, bytes_per_second: 10_000_000 };
    const LIMIT: RateLimit = RateLimit::Together(RATE);

    fn limiter() -> Limiter {
        let limiter = Limiter::default();
        limiter.set(Some(LIMIT));
        limiter
    }

    #[test]
    fn without_a_limit_nothing_waits() {
        let now = Instant::now();
        let limiter = Limiter::default();
        assert!((0..100_000).all(|_| limiter.charge(Direction::Read, 1 << 20, now).is_none()));
        limiter.set(Some(LIMIT));
        assert!((0..100_000).any(|_| limiter.charge(Direction::Read, 1 << 20, now).is_some()));
        limiter.set(None);
        assert_eq!(limiter.charge(Direction::Read, 1 << 20, now), None);
    }

    #[test]
    fn two_that_always_ask_get_as_much_each() {
        let (limiter, begin) = (limiter(), Instant::now());
        // When each may ask again, and how often it did: the one asks little, the other much.
        let (mut next, mut done) = ([begin; 2], [0_u64; 2]);
        let end = begin + Duration::from_secs(20);
        loop {
            let who = usize::from(next[1] < next[0]);
            let now = next[who];
            if now >= end {
                break;
            }
            done[who] += 1;
            next[who] =
                limiter.charge([Direction::Read, Direction::Write][who], 4096, now).unwrap_or(now)
                    + Duration::from_micros(1);
        }
        let all = done[0] + done[1];
        assert!((20_000..=20_100).contains(&all), "{done:?}");
        assert!(done[0].abs_diff(done[1]) <= 2, "{done:?}");
    }

    #[test]
    fn apart_neither_waits_for_the_other() {
        let (limiter, now) = (Limiter::default(), Instant::now());
        let writes = Rate { requests_per_second: 10, ..RATE };
        limiter.set(Some(RateLimit::Apart { reads: RATE, writes }));
        let let_in = |direction| {
            let asks = (0..1000).take_while(|_| limiter.charge(direction, 1, now).is_none());
            asks.count()
        };
        // What is let in at once: 50 ms of it, and one more.
        assert_eq!(let_in(Direction::Write), 1);
        assert_eq!(let_in(Direction::Read), 51);
    }

    proptest! {
        /// In no window is more let in than the rate times its length, and one burst and request.
        #[test]
        fn no_window_has_more_than_its_share(
            asks in prop::collection::vec((0..3000_u64, 0..50_000_u64), 1..300),
            from in 0..300_usize,
        ) {
            let limiter = limiter();
            let mut now = Instant::now();
            let mut let_in = Vec::new();
            for (pause, bytes) in asks {
                now += Duration::from_micros(pause);
                now = limiter.charge(Direction::Write, bytes, now).unwrap_or(now);
                let_in.push((now, bytes));
            }
            let from = from.min(let_in.len() - 1);
            let window = &let_in[from..];
            let time = window[window.len() - 1].0 - window[0].0;
            let time = (time + BURST).as_secs_f64();
            let bytes: u64 = window[..window.len() - 1].iter().map(|(_, bytes)| bytes).sum();
            prop_assert!(window.len() as f64 - 1.0 <= time * 1000.0 + 1.0);
            prop_assert!(bytes as f64 <= time * 10_000_000.0 + 50_000.0);
        }
    }
}
