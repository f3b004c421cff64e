//! What is known of a server that is away, so that not every call finds it out anew.
//!
//! A restart takes some seconds. Transactions that have not begun wait for its end, since nothing
//! is lost by it; a step of a transition that could not be written down would be found again only
//! by the next start. Later each is tried once, and told at once.

use std::sync::Mutex;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::StoreError;
use crate::pool::lock;

/// How long after it was first missed it is waited for.
const GRACE: Duration = Duration::from_secs(5);

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(100);

/// How long one that has let somebody wait in vain is not tried.
const SILENCE: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(super) struct Outage {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Since when it has been away.
    since: Option<Instant>,
    /// When it was last waited for in vain: somebody has waited for all that begin soon after.
    silent: Option<Instant>,
}

impl Outage {
    pub(super) fn is_over(&self) {
        *lock(&self.state) = State::default();
    }

    /// It was lost, or could not be had.
    pub(super) fn goes_on(&self, silent: bool) {
        let mut state = lock(&self.state);
        let now = Instant::now();
        state.since.get_or_insert(now);
        if silent {
            state.silent = Some(now);
        }
    }

    /// Whether there is any use in asking.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        match lock(&self.state).silent {
            Some(heard) if heard.elapsed() < SILENCE => {
                Err(StoreError::Unavailable("it has not answered a moment ago".into()))
            }
            _ => Ok(()),
        }
    }

    /// Waits a little where another try may help; whether it has.
    pub(super) fn wait(&self, deadline: Instant) -> bool {
        let State { since, silent } = *lock(&self.state);
        let short = since.is_some_and(|since| since.elapsed() < GRACE);
        let waits = short && silent.is_none() && Instant::now() + PAUSE < deadline;
        if waits {
            sleep(PAUSE);
        }
        waits
    }
}
