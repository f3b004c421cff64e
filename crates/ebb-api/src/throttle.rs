//! How often an account may call an operation.
//!
//! ```text
//! now ─ window                    now
//!   ┤ call  call call    call call ├     fewer than `calls` are in it: one more may come
//!   └─ a call leaves; the next may come
//! ```
//!
//! - In no span of [`Limit::window_millis`] are more than [`Limit::calls`] calls let through, and a
//!   call is refused only where there would be. Refused calls do not count.
//! - An account's calls are counted for each operation by themselves; whose key or session made
//!   them does not matter.
//! - Servers that share a store count there, together (docs/decisions/0104).
//! - A limit keeps 8 bytes of each call it let through within the window. What is older is dropped
//!   with the account's next call, or with that of another account at the latest when the accounts
//!   have doubled.
//!
//! ECS counts each region by itself and in minutes of the clock, so that twice as many calls may
//! come within a minute, around its turn (documented under "API throttling": an operation that is
//! throttled in minute T may be called from minute T+1 on). Here an operation such as ResetDisk
//! names no region, and a window that slides needs no luck with the clock.
//!
//! Deliberately not here: a limit where none is documented. ECS has one for every operation, but
//! shows most of them only in the console of the account that asks.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ebb_control::Ledger;
use ebb_domain::{AccountId, Timestamp};

use crate::refusals::failed;
use crate::{ApiError, Product};

/// How often an account may call one operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// The operation's family.
    pub product: Product,
    /// The operation.
    pub operation: &'static str,
    /// So many calls are let through, at least one…
    pub calls: usize,
    /// …in any span of so many milliseconds.
    pub window_millis: i64,
}

/// All that is documented of what is served: the request rate on the operation's own page of the
/// API reference.
pub const DOCUMENTED_LIMITS: &[Limit] =
    &[Limit { product: Product::ECS, operation: "ResetDisk", calls: 500, window_millis: 60_000 }];

/// In so many milliseconds the call may come again: at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryAfterMillis(pub u64);

impl RetryAfterMillis {
    /// The header that tells it; its value is the number. SDKs wait that long.
    pub const HEADER: &'static str = "x-acs-retry-after";

    /// 400 `Throttling.User`.
    #[must_use]
    pub fn refusal(self) -> ApiError {
        let message = "Request was denied due to user flow control.";
        ApiError::new(400, "Throttling.User", message)
    }
}

/// The calls that count.
pub struct Throttle {
    limits: Vec<Limit>,
    calls: Calls,
}

enum Calls {
    /// Of each limit.
    Own(Vec<Mutex<Counted>>),
    Shared(Ledger),
}

/// The calls of one operation.
#[derive(Default)]
struct Counted {
    /// When, oldest first.
    calls: HashMap<AccountId, VecDeque<i64>>,
    /// With so many accounts those without calls are dropped.
    sweep_at: usize,
}

impl Throttle {
    /// Holds accounts to `limits`, usually [`DOCUMENTED_LIMITS`].
    #[must_use]
    pub fn new(limits: &[Limit]) -> Self {
        let calls = limits.iter().map(|_| Mutex::default()).collect();
        Self { limits: limits.to_vec(), calls: Calls::Own(calls) }
    }

    /// The same together with other servers.
    #[must_use]
    pub fn shared(limits: &[Limit], ledger: Ledger) -> Self {
        Self { limits: limits.to_vec(), calls: Calls::Shared(ledger) }
    }

    /// Whether an operation is limited: only then its calls need be counted.
    pub(crate) fn limits(&self, product: Product, operation: &str) -> bool {
        self.find(product, operation).is_some()
    }

    fn find(&self, product: Product, operation: &str) -> Option<usize> {
        let is_meant = |limit: &Limit| limit.operation == operation && limit.product == product;
        self.limits.iter().position(is_meant)
    }

    /// Counts a call, or refuses it: then it may come again in that time, if nobody else takes its
    /// place.
    ///
    /// # Errors
    /// 503 `ServiceUnavailable`, where what is shared cannot be reached.
    pub fn check(
        &self,
        account: &AccountId,
        product: Product,
        operation: &str,
        now: Timestamp,
    ) -> Result<Option<RetryAfterMillis>, ApiError> {
        let Some(index) = self.find(product, operation) else { return Ok(None) };
        let limit = &self.limits[index];
        let after = match &self.calls {
            Calls::Own(counted) => {
                lock(&counted[index]).check(limit, account, now.unix_millis()).err()
            }
            Calls::Shared(ledger) => {
                let name = format!("{} {operation}", product.name);
                let most = (limit.calls as u64, limit.window_millis);
                let after = ledger.count_call(account, &name, now, most).map_err(failed)?;
                after.map(RetryAfterMillis)
            }
        };
        Ok(after)
    }
}

/// Every change is whole before the lock is let go, so a panic elsewhere does not spoil it.
fn lock(counted: &Mutex<Counted>) -> MutexGuard<'_, Counted> {
    counted.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Counted {
    fn check(
        &mut self,
        limit: &Limit,
        account: &AccountId,
        now: i64,
    ) -> Result<(), RetryAfterMillis> {
        let Some(calls) = self.calls.get_mut(account) else {
            self.sweep(limit, now);
            self.calls.insert(account.clone(), VecDeque::from([now]));
            return Ok(());
        };
        drop_old(calls, limit, now);
        match calls.front() {
            Some(oldest) if calls.len() >= limit.calls => {
                let millis = oldest.saturating_add(limit.window_millis).saturating_sub(now);
                Err(RetryAfterMillis(millis.unsigned_abs().max(1)))
            }
            _ => {
                calls.push_back(now);
                Ok(())
            }
        }
    }

    /// Costs each new account little: it comes only when they have doubled.
    fn sweep(&mut self, limit: &Limit, now: i64) {
        const FEW: usize = 64;
        if self.calls.len() < self.sweep_at.max(FEW) {
            return;
        }
        self.calls.retain(|_, calls| {
            drop_old(calls, limit, now);
            !calls.is_empty()
        });
        self.sweep_at = 2 * self.calls.len();
        self.calls.shrink_to(self.sweep_at);
    }
}

/// A clock that was set back would leave calls in the future, which would count until it is there
/// again: they are taken for calls of now.
fn drop_old(calls: &mut VecDeque<i64>, limit: &Limit, now: i64) {
    for at in calls.iter_mut().rev().take_while(|at| **at > now) {
        *at = now;
    }
    while calls.front().is_some_and(|at| now.saturating_sub(*at) >= limit.window_millis) {
        calls.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: i64 = 1_700_000_000_000;

    fn account(name: &str) -> AccountId {
        AccountId::new(name)
    }

    fn check(
        throttle: &Throttle,
        name: &str,
        (product, operation): (Product, &str),
        now: i64,
    ) -> Result<(), RetryAfterMillis> {
        let now = Timestamp::from_unix_millis(now);
        throttle.check(&account(name), product, operation, now).unwrap().map_or(Ok(()), Err)
    }

    fn reset(throttle: &Throttle, name: &str, now: i64) -> Result<(), RetryAfterMillis> {
        check(throttle, name, (Product::ECS, "ResetDisk"), now)
    }

    #[test]
    fn a_burst_of_500_resets_and_then_one_for_each_that_is_a_minute_old() {
        let throttle = Throttle::new(DOCUMENTED_LIMITS);
        for at in 0..500 {
            assert_eq!(reset(&throttle, "a", START + at / 5), Ok(()));
        }
        assert_eq!(reset(&throttle, "a", START + 99), Err(RetryAfterMillis(59_901)));
        assert_eq!(reset(&throttle, "a", START + 59_999), Err(RetryAfterMillis(1)));
        for _ in 0..5 {
            assert_eq!(reset(&throttle, "a", START + 60_000), Ok(()));
        }
        assert_eq!(reset(&throttle, "a", START + 60_000), Err(RetryAfterMillis(1)));
        assert_eq!(reset(&throttle, "b", START + 60_000), Ok(()), "another's calls");
        let other = |product, name| check(&throttle, "a", (product, name), START + 60_000);
        assert_eq!(other(Product::STS, "ResetDisk"), Ok(()));
        assert_eq!(other(Product::ECS, "DescribeDisks"), Ok(()));
    }

    #[test]
    fn a_clock_that_is_set_back_locks_nobody_out() {
        let throttle = Throttle::new(DOCUMENTED_LIMITS);
        for _ in 0..500 {
            assert_eq!(reset(&throttle, "a", START + 86_400_000), Ok(()));
        }
        assert_eq!(reset(&throttle, "a", START), Err(RetryAfterMillis(60_000)));
        assert_eq!(reset(&throttle, "a", START + 60_000), Ok(()));
        assert_eq!(reset(&throttle, "a", i64::MIN), Ok(()));
        assert_eq!(reset(&throttle, "a", i64::MAX), Ok(()));
    }

    #[test]
    fn what_is_old_is_forgotten() {
        let throttle = Throttle::new(DOCUMENTED_LIMITS);
        for at in 0..10_000 {
            assert_eq!(reset(&throttle, &at.to_string(), START + at * 1000), Ok(()));
            let Calls::Own(counted) = &throttle.calls else { panic!("they are its own") };
            assert!(lock(&counted[0]).calls.len() <= 2 * 64);
        }
    }

    #[test]
    fn the_answer_is_the_one_of_ecs() {
        let refusal = RetryAfterMillis(7).refusal();
        assert_eq!((refusal.status, &*refusal.code), (400, "Throttling.User"));
    }

    const SMALL: Limit =
        Limit { product: Product::ECS, operation: "ResetDisk", calls: 5, window_millis: 100 };

    /// A list of all calls, which is looked through from its beginning.
    #[derive(Default)]
    struct Naive(Vec<(u8, i64)>);

    impl Naive {
        fn check(&mut self, account: u8, now: i64) -> Result<(), RetryAfterMillis> {
            for (of, at) in &mut self.0 {
                *at = if *of == account { now.min(*at) } else { *at };
            }
            self.0.retain(|(of, at)| *of != account || now - at < 100);
            let allowed = |then: i64| {
                let counts = |(of, at): &&(u8, i64)| *of == account && then - *at < 100;
                self.0.iter().filter(counts).count() < SMALL.calls
            };
            if !allowed(now) {
                let after = (1..).find(|millis| allowed(now + millis)).unwrap();
                return Err(RetryAfterMillis(after.unsigned_abs()));
            }
            self.0.push((account, now));
            Ok(())
        }
    }

    fn later() -> impl Strategy<Value = i64> {
        prop_oneof![9 => 0..30_i64, 1 => -200..200_i64]
    }

    proptest! {
        #[test]
        fn it_counts_as_a_naive_counter_does(
            calls in prop::collection::vec((0..3_u8, later()), 1..200),
        ) {
            let (throttle, mut naive, mut now) = (Throttle::new(&[SMALL]), Naive::default(), START);
            for (of, later) in calls {
                now += later;
                let outcome = reset(&throttle, &of.to_string(), now);
                prop_assert_eq!(outcome, naive.check(of, now));
            }
        }
    }
}
