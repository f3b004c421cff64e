//! ResetDisks: several disks, all of them or none.

use ebb_domain::{Denied, DiskId, SnapshotId};
use ebb_store::{Durability, Tx};
use ebb_volume::{SnapshotId as Version, VolumeId};

use crate::{Control, ControlError, Scope, Step};

/// A disk, and the snapshot that it is to go back to.
pub type ResetPair = (DiskId, SnapshotId);

/// Why a set was not reset.
#[derive(Debug)]
pub enum ResetSetError {
    /// Some were refused: what each was answered, in the order of the request. None was reset.
    Refused(Vec<Result<(), Denied>>),
    /// The request as a whole was refused, or something failed.
    Control(ControlError),
}

impl<E: Into<ControlError>> From<E> for ResetSetError {
    fn from(error: E) -> Self {
        Self::Control(error.into())
    }
}

impl Control {
    /// Puts several disks back, each to one of its snapshots. All are checked, in one transaction
    /// that also records each one's intent; only then is any of them reset.
    ///
    /// Durable as [`Control::reset_disk`] is, disk by disk. Should the engine fail at one, which
    /// it does only when it stops or has not even a call's reserve of space, then those before it
    /// have been reset, and the rest are as they were; so it is after a crash, unanswered.
    ///
    /// # Errors
    /// [`ResetSetError::Refused`]; with `dry_run` [`Denied::DryRun`] where none was refused; a
    /// failure.
    pub fn reset_disks(
        &self,
        scope: &Scope,
        pairs: &[ResetPair],
        dry_run: bool,
    ) -> Result<(), ResetSetError> {
        let intended = self
            .store
            .write(Durability::Recoverable, |tx| self.intend_resets(tx, scope, pairs, dry_run))?;
        self.pass(Step::ResetIntended);
        let mut outcome = Ok(());
        for ((disk, _), (volume, version)) in pairs.iter().zip(intended) {
            if outcome.is_ok() {
                outcome = self.engine.reset(self.new_op(), volume, version);
                self.pass(Step::VolumeReset);
            }
            self.store
                .write::<_, ControlError>(Durability::Recoverable, |tx| self.rest_disk(tx, disk))?;
        }
        Ok(outcome.map_err(ControlError::from)?)
    }

    fn intend_resets(
        &self,
        tx: &Tx<'_>,
        scope: &Scope,
        pairs: &[ResetPair],
        dry_run: bool,
    ) -> Result<Vec<(VolumeId, Version)>, ResetSetError> {
        let (mut intended, mut answers) = (Vec::new(), Vec::new());
        for (disk, snapshot) in pairs {
            match self.intend_set_member(tx, scope, disk, snapshot) {
                Ok(reset) => {
                    intended.push(reset);
                    answers.push(Ok(()));
                }
                Err(ControlError::Denied(denied)) => answers.push(Err(denied)),
                Err(failure) => return Err(failure.into()),
            }
        }
        if answers.iter().any(Result::is_err) {
            return Err(ResetSetError::Refused(answers));
        }
        if dry_run {
            return Err(Denied::DryRun.into());
        }
        Ok(intended)
    }

    fn intend_set_member(
        &self,
        tx: &Tx<'_>,
        scope: &Scope,
        disk: &DiskId,
        snapshot: &SnapshotId,
    ) -> Result<(VolumeId, Version), ControlError> {
        let reset = self.intend_reset(tx, scope, disk, snapshot, false)?;
        if tx.disk(disk)?.is_some_and(|disk| disk.multi_attach) {
            return Err(Denied::MultiAttach.into());
        }
        Ok(reset)
    }
}
