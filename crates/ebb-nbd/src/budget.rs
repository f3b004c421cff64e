//! What all connections of a server have under way together.
//!
//! ```text
//!   Link::begin ─► take ─┬─ room, nobody waits before: counted
//!                        └─ else: last in the queue, sends its replies, waits
//!   replies sent ─► give ─► wakes the first in the queue
//! ```
//!
//! Invariants:
//! - What is counted never exceeds the limits, except that one request may when it is alone.
//! - Requests are let in in the order in which their connections came to wait, so that a long one
//!   does not starve behind many short ones.
//! - A connection's lock may be held when the budget's is taken, never the other way round, and
//!   never two connections' at a time: whom to wake is returned, and woken by the caller.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::limits::Limits;
use crate::link::Link;

#[derive(Debug)]
pub(crate) struct Budget {
    requests_limit: usize,
    bytes_limit: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    requests: usize,
    bytes: u64,
    waiting: VecDeque<Arc<Link>>,
}

/// What became of a wish for room.
pub(crate) enum Taken {
    /// It is counted; the connection inside, if any, is the next that may find room.
    Yes(Option<Arc<Link>>),
    /// The connection is in the queue and will be woken.
    Queued,
}

impl Budget {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            requests_limit: limits.server_requests_under_way,
            bytes_limit: limits.server_bytes_under_way,
            state: Mutex::default(),
        }
    }

    /// Counts a request of `link` in, or puts `link` in the queue, where it is at most once.
    pub(crate) fn take(&self, link: &Arc<Link>, cost: u32) -> Taken {
        let mut state = self.state();
        let first = state.waiting.front();
        let may = first.is_none_or(|first| Arc::ptr_eq(first, link));
        let fits = state.requests < self.requests_limit
            && state.bytes + u64::from(cost) <= self.bytes_limit;
        if may && (fits || state.requests == 0) {
            state.requests += 1;
            state.bytes += u64::from(cost);
            if state.waiting.is_empty() {
                return Taken::Yes(None);
            }
            state.waiting.pop_front();
            return Taken::Yes(state.waiting.front().cloned());
        }
        if !state.waiting.iter().any(|waiting| Arc::ptr_eq(waiting, link)) {
            state.waiting.push_back(Arc::clone(link));
        }
        Taken::Queued
    }

    /// Takes `requests` of together `bytes` out. Returns whom to wake.
    #[must_use]
    pub(crate) fn give(&self, requests: usize, bytes: u64) -> Option<Arc<Link>> {
        let mut state = self.state();
        state.requests -= requests;
        state.bytes -= bytes;
        state.waiting.front().cloned()
    }

    /// Takes `link` out of the queue, as it reads no more. Returns whom to wake.
    #[must_use]
    pub(crate) fn leave(&self, link: &Arc<Link>) -> Option<Arc<Link>> {
        let mut state = self.state();
        state.waiting.retain(|waiting| !Arc::ptr_eq(waiting, link));
        state.waiting.front().cloned()
    }

    /// Some connection waits for what others hold.
    pub(crate) fn is_short(&self) -> bool {
        !self.state().waiting.is_empty()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the budget's lock")
    }
}
