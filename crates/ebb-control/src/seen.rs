//! Whether what is remembered of the records is still so, where other servers change them too.
//!
//! ```text
//!   a change of keys, users, roles, policies ─► in its transaction: the next generation
//!   a request ─► reads the generation ─► another than the last ─► what is remembered is forgotten
//! ```
//! So what a change took away counts, on every server, for each request that comes after the
//! change was answered. One read, before a request's key is looked for.
//! One server alone reads nothing: whoever changes something in it forgets it too.

use std::sync::Mutex;

use crate::mutex::lock;
use crate::{Control, ControlError};

/// The generation of what is remembered; `None` before the first request.
#[derive(Default)]
pub(crate) struct Seen(Mutex<Option<u64>>);

impl Control {
    /// Whether other servers may change the same records.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.store.is_shared()
    }

    /// Has every change of keys and permissions count from here on that was answered before,
    /// whichever server made it.
    ///
    /// # Errors
    /// A failure.
    pub fn catch_up(&self) -> Result<(), ControlError> {
        if !self.store.is_shared() {
            return Ok(());
        }
        let now = self.store.light::<_, ControlError>(|tx| Ok(tx.generation()?))?;
        let mut seen = lock(&self.seen.0);
        // Not only a later one: a database that was put back has an earlier one.
        if *seen != Some(now) {
            // Before others can see that it was done. Both drop what is still being read.
            self.keys.forget();
            self.permits.forget();
            *seen = Some(now);
        }
        Ok(())
    }
}
