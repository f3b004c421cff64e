//! ResetDisk.

use ebb_domain::{
    DiskId, DiskKey, DiskStatus, ResetFacts, SnapshotFound, SnapshotId, SnapshotStatus, check_reset,
};
use ebb_store::{Durability, Tx};
use ebb_volume::{SnapshotId as Version, VolumeId};

use crate::control::{account, find_disk, instances_of};
use crate::encryption::key_of;
use crate::{Control, ControlError, Scope, Step};

impl Control {
    /// Puts a disk back to one of its snapshots. When this returns, the disk reads exactly as the
    /// snapshot; when it fails, exactly as before.
    ///
    /// Durable by the engine's one sync. Neither commit is synced: a reset changes nothing in the
    /// record but the status, and a ReIniting that is found on start goes back to what it was,
    /// whether the engine had reset the volume (then unanswered, and whole) or not. So a power loss
    /// that takes either commit takes nothing that was promised.
    ///
    /// # Errors
    /// The first refusal in the order of the table, or a failure, after which nothing has changed.
    pub fn reset_disk(
        &self,
        scope: &Scope,
        disk: &DiskId,
        snapshot: &SnapshotId,
        dry_run: bool,
    ) -> Result<(), ControlError> {
        let intend = |tx: &Tx<'_>| self.intend_reset(tx, scope, disk, snapshot, dry_run);
        let (volume, version) = if dry_run {
            // It ends with a refusal before it would write, and waits for nobody who does.
            self.store.read(intend)?
        } else {
            self.store.write(Durability::Recoverable, intend)?
        };
        self.pass(Step::ResetIntended);
        let outcome = self.engine.reset(self.new_op(), volume, version);
        self.pass(Step::VolumeReset);
        self.store.write(Durability::Recoverable, |tx| self.rest_disk(tx, disk))?;
        Ok(outcome?)
    }

    pub(crate) fn intend_reset(
        &self,
        tx: &Tx<'_>,
        scope: &Scope,
        disk: &DiskId,
        snapshot: &SnapshotId,
        dry_run: bool,
    ) -> Result<(VolumeId, Version), ControlError> {
        let region = self.given_region(scope)?;
        let facts = self.reset_facts(tx, scope, region.as_ref(), disk, snapshot, dry_run)?;
        let (mut disk, snapshot) = check_reset(facts)?;
        disk.status = DiskStatus::Resetting(snapshot.id);
        tx.save_disk(&disk)?;
        Ok((VolumeId(disk.volume), Version(snapshot.version)))
    }

    fn reset_facts(
        &self,
        tx: &Tx<'_>,
        scope: &Scope,
        region: Option<&ebb_domain::RegionId>,
        disk: &DiskId,
        snapshot: &SnapshotId,
        dry_run: bool,
    ) -> Result<ResetFacts, ControlError> {
        let found = find_disk(tx, &scope.account, region, disk)?;
        let mut facts = ResetFacts {
            account: account(tx, &scope.account)?,
            disk: found,
            restricted: false,
            unfinished_snapshot: false,
            instances: Vec::new(),
            snapshot: SnapshotFound::Never,
            key: DiskKey::None,
            dry_run,
        };
        if let ebb_domain::DiskFound::Here(disk) = &facts.disk {
            facts.restricted = tx.is_restricted(disk.category, &scope.account)?;
            facts.unfinished_snapshot = tx.has_unfinished_snapshot(&disk.id)?;
            facts.instances = instances_of(tx, disk)?;
            facts.key = key_of(tx, disk)?;
        }
        let theirs = tx.snapshot(snapshot)?.filter(|found| found.account == scope.account);
        if let Some(found) = theirs {
            facts.snapshot = SnapshotFound::Here(Box::new(found));
        }
        Ok(facts)
    }

    /// The snapshot that a new disk may be made from.
    pub(crate) fn source_snapshot(
        &self,
        tx: &Tx<'_>,
        owner: &ebb_domain::AccountId,
        region: &ebb_domain::RegionId,
        id: &SnapshotId,
    ) -> Result<ebb_domain::Snapshot, ControlError> {
        use ebb_domain::{Denied, SnapshotCategory, Timestamp};
        let snapshot = tx
            .snapshot(id)?
            .filter(|found| found.account == *owner && found.region == *region)
            .filter(|found| found.status != SnapshotStatus::Deleting)
            .ok_or(Denied::SnapshotNotFound)?;
        if snapshot.status != SnapshotStatus::Accomplished {
            return Err(Denied::SnapshotNotReady.into());
        }
        if snapshot.created_at < Timestamp::OLDEST_RESTORABLE {
            return Err(Denied::SnapshotTooOld.into());
        }
        if snapshot.category == SnapshotCategory::Archive {
            return Err(Denied::SnapshotCategory.into());
        }
        Ok(snapshot)
    }
}
