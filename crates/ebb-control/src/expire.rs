//! Snapshots whose retention is over.
//!
//! Nothing is kept of who is due: the records say it. So a call that is lost, or a server that is
//! down for a week, loses nothing; the next call finds them. Deliberately not here: when it is
//! called, which is up to whoever has the control.

use ebb_domain::{Denied, Snapshot, SnapshotId, check_delete_snapshot};

use crate::{Control, ControlError, Scope};

impl Control {
    /// Deletes every snapshot that is due, whoever's it is. Disks made from one stay. One that is
    /// in use waits for the next call, and so does one that could not be deleted, which is logged.
    /// Says how many went.
    ///
    /// # Errors
    /// The store can not say which are due.
    pub fn expire_snapshots(&self) -> Result<usize, ControlError> {
        let due = self.store.read(|tx| tx.expired_snapshots(self.now()))?;
        Ok(due.iter().filter(|snapshot| self.expire(snapshot)).count())
    }

    fn expire(&self, due: &Snapshot) -> bool {
        let scope = Scope { account: due.account.clone(), region: None };
        let now = self.now();
        let outcome = self.delete_snapshot_if(&scope, &due.id, |snapshot, disks, held| {
            match snapshot.is_expired(now) {
                true => check_delete_snapshot(snapshot, disks, held, true, now),
                // Somebody keeps it for longer, since it was looked up.
                false => Err(Denied::Conflict),
            }
        });
        match outcome {
            Ok(()) => {
                tracing::info!(snapshot = %due.id, "deleted: its retention is over");
                true
            }
            Err(error) => {
                log_kept(&due.id, &error);
                false
            }
        }
    }
}

fn log_kept(id: &SnapshotId, error: &ControlError) {
    match error {
        // In use, or gone already.
        ControlError::Denied(reason) => {
            tracing::debug!(snapshot = %id, ?reason, "its retention is over, and it stays for now");
        }
        failure => {
            tracing::error!(snapshot = %id, %failure, "its retention is over, and it stays");
        }
    }
}
