//! What automatic snapshot policies do.
//!
//! Each hour of a policy is worked off once: every disk that has the policy is frozen and the
//! snapshot copied, then the policy says that the hour is done. Whoever is cut off in between
//! looks, when called again, at what is there: a disk that has a snapshot of this hour is not
//! frozen again, and a copy that is missing is made. So a restart within the hour loses nothing and
//! doubles nothing. An hour that is over is not made up for.
//!
//! Deliberately not here: when it is called, which is up to whoever has the control; and the end of
//! the snapshots, which have their retention (see `expire.rs`).

use ebb_domain::{
    AutoSnapshotPolicy, Disk, DiskId, DiskStatus, Origin, RegionId, Snapshot, SnapshotStatus,
    Timestamp, check_create_snapshot, check_delete_snapshot,
};
use ebb_store::{Durability, Tx};

use crate::control::{account, instances_of};
use crate::{Control, ControlError, CopySnapshot, Scope};

impl Control {
    /// Takes the snapshots that are due, whoever's they are, and copies them. A disk that cannot be
    /// frozen now is left out, and the log says why. Says how many were taken.
    ///
    /// # Errors
    /// The store fails, or the engine has stopped; the next call carries on.
    pub fn take_auto_snapshots(&self) -> Result<usize, ControlError> {
        let policies = self.store.read(|tx| tx.all_auto_policies())?;
        let mut taken = 0;
        for policy in policies {
            if let Some(hour) = policy.due(self.now()) {
                taken += self.work_off(&policy, hour)?;
            }
        }
        Ok(taken)
    }

    fn work_off(
        &self,
        policy: &AutoSnapshotPolicy,
        hour: Timestamp,
    ) -> Result<usize, ControlError> {
        let mut taken = 0;
        for disk in self.store.read(|tx| tx.disks_of_policy(&policy.id))? {
            match self.freeze_by(policy, &disk, hour) {
                Ok(is_new) => taken += usize::from(is_new),
                Err(ControlError::Denied(reason)) => {
                    tracing::info!(disk = %disk.id, policy = %policy.id, ?reason, "not frozen");
                }
                Err(error) if error.is_undone() => {
                    tracing::error!(disk = %disk.id, policy = %policy.id, %error, "not frozen");
                }
                Err(error) => return Err(error),
            }
        }
        self.store.write::<_, ControlError>(Durability::Durable, |tx| {
            let Some(mut policy) = tx.auto_policy(&policy.id)? else { return Ok(()) };
            policy.done_until = policy.done_until.max(hour);
            Ok(tx.save_auto_policy(&policy)?)
        })?;
        Ok(taken)
    }

    /// Whether a snapshot was taken that was not there.
    fn freeze_by(
        &self,
        policy: &AutoSnapshotPolicy,
        disk: &Disk,
        hour: Timestamp,
    ) -> Result<bool, ControlError> {
        let of_this_hour = self.store.read::<_, ControlError>(|tx| {
            Ok(tx.auto_snapshots(&disk.id)?.into_iter().find(|found| found.created_at >= hour))
        })?;
        let is_new = of_this_hour.is_none();
        let snapshot = match of_this_hour {
            Some(snapshot) => snapshot,
            None => match self.freeze(policy, &disk.id)? {
                Some(snapshot) => snapshot,
                None => return Ok(false),
            },
        };
        for region in &policy.copy_to {
            self.copy_by(policy, &snapshot, region)?;
        }
        Ok(is_new)
    }

    /// Durable as [`Control::create_snapshot`] is. `None` for a disk that the policy leaves alone.
    fn freeze(
        &self,
        policy: &AutoSnapshotPolicy,
        disk: &DiskId,
    ) -> Result<Option<Snapshot>, ControlError> {
        let intended = self.store.write::<_, ControlError>(Durability::Recoverable, |tx| {
            self.intend_auto_snapshot(tx, policy, disk)
        })?;
        let Some((snapshot, volume)) = intended else { return Ok(None) };
        self.carry_out_snapshot(&snapshot, volume, None)?;
        Ok(Some(Snapshot { status: SnapshotStatus::Accomplished, ..snapshot }))
    }

    fn intend_auto_snapshot(
        &self,
        tx: &Tx<'_>,
        policy: &AutoSnapshotPolicy,
        disk: &DiskId,
    ) -> Result<Option<(Snapshot, u64)>, ControlError> {
        let Some(disk) = tx.disk(disk)? else { return Ok(None) };
        let wanted = disk.auto_snapshot_policy.as_ref() == Some(&policy.id)
            && disk.enable_auto_snapshot
            && disk.status == DiskStatus::InUse;
        if !wanted {
            return Ok(None);
        }
        let unfinished = tx.has_unfinished_snapshot(&disk.id)?;
        let instances = instances_of(tx, &disk)?;
        // The quota is of those that people take.
        check_create_snapshot(&account(tx, &disk.account)?, &disk, unfinished, 0, &instances)?;
        let snapshot = Snapshot {
            name: name(policy, self.now()),
            origin: Origin::Auto,
            retention_days: policy.retention_days,
            resource_group: policy.resource_group.clone(),
            ..self.new_snapshot(&disk)
        };
        tx.insert_snapshot(&snapshot)?;
        Ok(Some((snapshot, disk.volume)))
    }

    fn copy_by(
        &self,
        policy: &AutoSnapshotPolicy,
        snapshot: &Snapshot,
        region: &RegionId,
    ) -> Result<(), ControlError> {
        let is_there =
            self.store.read(|tx| tx.has_copy(&snapshot.source_disk, &snapshot.id, region))?;
        if is_there {
            return Ok(());
        }
        let scope = Scope { account: snapshot.account.clone(), region: None };
        let request = CopySnapshot {
            snapshot: snapshot.id.clone(),
            region: region.clone(),
            name: snapshot.name.clone(),
            description: String::new(),
            retention_days: policy.copy_retention_days.map(i64::from),
            resource_group: policy.resource_group.clone(),
            encrypted: policy.copy_encryption.encrypted,
            key: policy.copy_encryption.key.clone(),
            tags: Vec::new(),
            token: None,
        };
        self.copy_as(&scope, &request, Origin::Auto).map(drop)
    }

    /// Deletes the automatic snapshots of a disk that goes, but for those that are locked or in
    /// use. What cannot be deleted stays, and the log says so.
    pub(crate) fn delete_auto_snapshots(&self, disk: &Disk) -> Result<(), ControlError> {
        let scope = Scope { account: disk.account.clone(), region: None };
        for snapshot in self.store.read(|tx| tx.auto_snapshots(&disk.id))? {
            let deleted = self.delete_snapshot_if(&scope, &snapshot.id, |found, disks, held| {
                check_delete_snapshot(found, disks, held, true, self.now())
            });
            match deleted {
                Ok(()) => {}
                Err(ControlError::Denied(reason)) => {
                    tracing::info!(snapshot = %snapshot.id, ?reason, "outlives its disk");
                }
                Err(error) if error.is_undone() => {
                    tracing::error!(snapshot = %snapshot.id, %error, "outlives its disk");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// `auto2.0_20260223_sp-…`, the day being that of UTC+8.
fn name(policy: &AutoSnapshotPolicy, now: Timestamp) -> String {
    let there = now.plus_seconds(8 * 3600).unix_millis();
    let day = jiff::Timestamp::from_millisecond(there).unwrap_or_default();
    format!("auto2.0_{}_{}", day.strftime("%Y%m%d"), policy.id)
}
