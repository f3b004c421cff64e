//! What servers on one store keep there together, where one alone would have it in memory: which
//! signed requests were answered, and how often an account has called.
//!
//! ```text
//!   a signed request ──► use_nonce  ──► one statement, alone: the row is there, or is put there
//!   one of a limited ──► count_call ──► the account's lock; its calls in the window; one more
//!        operation
//! ```
//! - Of all servers that are sent the same request one answers it, and in no window more calls are
//!   let through than may be, whichever servers they come to. Windows are as exact as the servers'
//!   clocks agree.
//! - Nothing here waits for a sync or for those that write records
//!   ([`Store::light`](ebb_store::Store::light)): if the database loses its power, the requests of
//!   the last second before can be sent again.
//! - What is past is swept up by calls as they come, a little with every so many.
//!
//! Deliberately not here: how long a nonce is kept and which calls are limited (ebb-api).

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ebb_domain::{AccountId, Timestamp};
use ebb_store::{Nonce, Store};

use crate::{Control, ControlError};

/// Nonces that are kept at most, in some 1.5 GB: more than 5,000 calls a second for half an hour.
const CAPACITY: u64 = 10_000_000;

/// With every so many calls of a server the past is looked at…
const EVERY: u64 = 256;

/// …and so many nonces go: more than have come.
const BATCH: u64 = 512;

/// Nonces are counted at most so often, and…
const COUNT_SECONDS: i64 = 10;

/// …for at most one part in so many of the time.
const SHARE: u32 = 100;

/// Calls of limited operations are forgotten at the latest so long after their window.
const STALE_MILLIS: i64 = 3_600_000;

/// What became of a nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NonceUse {
    /// It is used now.
    New,
    /// It was used before.
    Used,
    /// No more nonces are kept for now.
    Full,
}

/// What servers share of the requests that came to them.
pub struct Ledger {
    store: Arc<Store>,
    capacity: u64,
    /// Nonces that there are, as far as is known here.
    held: AtomicU64,
    uses: AtomicU64,
    counts: AtomicU64,
    /// When nonces are to be counted again. Held by who sweeps.
    sweeping: Mutex<Timestamp>,
}

impl Control {
    /// Where requests are to be remembered that other servers may be sent too; `None` where there
    /// are no others.
    #[must_use]
    pub fn ledger(&self) -> Option<Ledger> {
        self.store.is_shared().then(|| Ledger::new(Arc::clone(&self.store)))
    }
}

impl Ledger {
    /// That of a store.
    #[must_use]
    pub fn new(store: Arc<Store>) -> Self {
        let (held, uses, counts) = Default::default();
        let sweeping = Mutex::new(Timestamp::from_unix_millis(i64::MIN));
        Self { store, capacity: CAPACITY, held, uses, counts, sweeping }
    }

    /// The same with room for so many nonces.
    #[must_use]
    pub fn with_capacity(self, capacity: u64) -> Self {
        Self { capacity, ..self }
    }

    /// Uses a nonce, which nobody may have used for `window_millis` before.
    ///
    /// # Errors
    /// A failure.
    pub fn use_nonce(
        &self,
        nonce: &Nonce,
        now: Timestamp,
        window_millis: i64,
    ) -> Result<NonceUse, ControlError> {
        let since = before(now, window_millis);
        if self.uses.fetch_add(1, Relaxed).is_multiple_of(EVERY) || self.is_full() {
            self.sweep_nonces(now, since)?;
        }
        if self.is_full() {
            let used = self.nonce_is_used(nonce, now, window_millis)?;
            return Ok(if used { NonceUse::Used } else { NonceUse::Full });
        }
        if !self.store.light::<_, ControlError>(|tx| Ok(tx.use_nonce(nonce, now, since)?))? {
            return Ok(NonceUse::Used);
        }
        self.held.fetch_add(1, Relaxed);
        Ok(NonceUse::New)
    }

    /// Whether somebody has used a nonce.
    ///
    /// # Errors
    /// A failure.
    pub fn nonce_is_used(
        &self,
        nonce: &Nonce,
        now: Timestamp,
        window_millis: i64,
    ) -> Result<bool, ControlError> {
        self.store.light(|tx| Ok(tx.nonce_is_used(nonce, before(now, window_millis))?))
    }

    /// Takes over nonces that a server has used by itself, with when it did.
    ///
    /// # Errors
    /// A failure.
    pub fn take_over(&self, used: &[(Nonce, i64)]) -> Result<(), ControlError> {
        let oldest = Timestamp::from_unix_millis(i64::MIN);
        self.store.light_alone("nonces", |tx| {
            for (nonce, at) in used {
                tx.use_nonce(nonce, Timestamp::from_unix_millis(*at), oldest)?;
            }
            Ok(())
        })
    }

    fn is_full(&self) -> bool {
        self.held.load(Relaxed) >= self.capacity
    }

    /// Whoever comes while somebody is at it goes on.
    fn sweep_nonces(&self, now: Timestamp, since: Timestamp) -> Result<(), ControlError> {
        let Ok(mut count_at) = self.sweeping.try_lock() else { return Ok(()) };
        let gone: usize = self
            .store
            .light_alone::<_, ControlError>("nonces", |tx| Ok(tx.purge_nonces(since, BATCH)?))?;
        let held = self.held.load(Relaxed).saturating_sub(gone as u64);
        self.held.store(held, Relaxed);
        if now >= *count_at {
            let started = Instant::now();
            let held = self.store.light::<_, ControlError>(|tx| Ok(tx.nonces()?))?;
            self.held.store(held, Relaxed);
            let pause = (started.elapsed() * SHARE).min(Duration::from_secs(600));
            *count_at = now.plus_seconds(COUNT_SECONDS.max(pause.as_secs().cast_signed()));
        }
        Ok(())
    }

    /// Counts a call, of which there may be so many in the window; or tells in how many
    /// milliseconds it may come again.
    ///
    /// # Errors
    /// A failure.
    pub fn count_call(
        &self,
        account: &AccountId,
        operation: &str,
        now: Timestamp,
        (most, window_millis): (u64, i64),
    ) -> Result<Option<u64>, ControlError> {
        if self.counts.fetch_add(1, Relaxed).is_multiple_of(EVERY) {
            self.sweep_calls(before(now, window_millis.saturating_add(STALE_MILLIS)))?;
        }
        let after = before(now, window_millis);
        self.store.light_alone(&lock_of(account, operation), |tx| {
            match tx.throttled_calls(account, operation, now, after)? {
                Some((calls, first)) if calls >= most => {
                    let free = first.unix_millis().saturating_add(window_millis);
                    let wait = free.saturating_sub(now.unix_millis());
                    Ok(Some(wait.unsigned_abs().max(1)))
                }
                _ => {
                    tx.count_call(account, operation, now)?;
                    Ok(None)
                }
            }
        })
    }

    /// Of accounts that call no more.
    fn sweep_calls(&self, before: Timestamp) -> Result<(), ControlError> {
        while let Some((account, operation)) =
            self.store.light::<_, ControlError>(|tx| Ok(tx.stale_calls(before)?))?
        {
            self.store.light_alone::<_, ControlError>(&lock_of(&account, &operation), |tx| {
                Ok(tx.forget_calls(&account, &operation, before)?)
            })?;
        }
        Ok(())
    }
}

fn lock_of(account: &AccountId, operation: &str) -> String {
    format!("calls {account} {operation}")
}

fn before(now: Timestamp, millis: i64) -> Timestamp {
    Timestamp::from_unix_millis(now.unix_millis().saturating_sub(millis))
}
