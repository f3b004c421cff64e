//! What time does to keys: they go when they were to go, and get their next version.

use ebb_domain::Key;

use crate::{Control, ControlError};

impl Control {
    /// Deletes each key whose time has come, and rotates each whose interval is over, whosever it
    /// is. What cannot be done now is logged, and tried with the next call.
    ///
    /// # Errors
    /// The store cannot say which.
    pub fn keep_keys(&self) -> Result<(), ControlError> {
        let now = self.now();
        for key in self.store.read(|tx| tx.keys_with_a_time())? {
            let kms = self.kms(&key.account);
            let outcome = if key.delete_at.is_some_and(|at| at <= now) {
                kms.destroy(&key.id)
            } else if is_due(&key, now) {
                kms.rotate(&key.id).map(drop)
            } else {
                continue;
            };
            match outcome {
                Ok(()) => tracing::info!(key = %key.id, "its time had come"),
                Err(why) => tracing::warn!(key = %key.id, %why, "its time has come, but not yet"),
            }
        }
        Ok(())
    }
}

fn is_due(key: &Key, now: ebb_domain::Timestamp) -> bool {
    key.check_usable().is_ok() && key.next_rotation().is_some_and(|at| at <= now)
}
