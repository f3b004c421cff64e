//! The system's clock.
//!
//! A build with debug assertions, which is what tests run, can be told to be ahead of it: what ends
//! after a quarter of an hour is then tested without waiting for it. A release build has no such
//! option, as whoever gives it lifts locks of snapshots and ends their retention early. Nobody can
//! set a clock back, which would let in who is no longer let in.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use ebb_control::Clock;
use ebb_domain::Timestamp;

/// What `ebb serve` can be told of the time.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ClockArgs {
    /// Seconds that the server is ahead of the machine, in a build for tests.
    #[cfg(debug_assertions)]
    #[arg(long, hide = true, value_name = "SECONDS", default_value_t = 0)]
    clock_ahead: u32,
}

/// The one place where the time comes from.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SystemClock {
    ahead: Duration,
}

impl From<ClockArgs> for SystemClock {
    #[cfg(debug_assertions)]
    fn from(args: ClockArgs) -> Self {
        Self { ahead: Duration::from_secs(args.clock_ahead.into()) }
    }

    #[cfg(not(debug_assertions))]
    fn from(ClockArgs {}: ClockArgs) -> Self {
        Self::default()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is the edge")]
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = (since_1970 + self.ahead).as_millis();
        Timestamp::from_unix_millis(i64::try_from(millis).unwrap_or(i64::MAX))
    }
}
