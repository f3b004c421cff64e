//! ReInitDisk.

use ebb_domain::{
    AccountId, DiskId, DiskStatus, Encryption, InstanceId, ReInitFacts, check_reinit,
};
use ebb_store::{Durability, Tx};
use ebb_volume::{BLOCK_BYTES, DataKey, EngineError, SnapshotId as Version, VolumeId};

use crate::control::{account, get_disk, instances_of};
use crate::encryption::key_of;
use crate::{Control, ControlError, Scope, Step};

/// What a disk is to be.
enum Source {
    /// As it was when it was made from a snapshot.
    Version(Version),
    /// Empty.
    Nothing,
}

/// What is known once a disk says ReIniting.
struct Intended {
    volume: VolumeId,
    source: Source,
    /// What an encrypted disk is encrypted with, and whose it is.
    key: Option<(AccountId, Encryption)>,
    instances: Vec<InstanceId>,
}

impl Control {
    /// Makes a disk again what it was made as: its snapshot, or empty. Its own snapshots stay, and
    /// it can be reset to them. With `start` the instance is started afterwards; where that is
    /// refused, it stays as it is, and the log says so.
    ///
    /// Durable as [`Control::reset_disk`] is, by the engine's sync.
    ///
    /// # Errors
    /// The first refusal, or a failure, after which nothing has changed.
    pub fn reinit_disk(
        &self,
        scope: &Scope,
        disk: &DiskId,
        start: bool,
    ) -> Result<(), ControlError> {
        let Intended { volume, source, key, instances } =
            self.store.write(Durability::Recoverable, |tx| self.intend_reinit(tx, scope, disk))?;
        self.pass(Step::ResetIntended);
        let outcome = match source {
            Source::Version(version) => Ok(self.reset_volume(volume, version)),
            Source::Nothing => self.blank_key(key).map(|key| self.empty_volume(volume, key)),
        };
        self.store.write(Durability::Recoverable, |tx| self.rest_disk(tx, disk))?;
        outcome??;
        if start {
            self.start_again(scope, &instances);
        }
        Ok(())
    }

    fn intend_reinit(
        &self,
        tx: &Tx<'_>,
        scope: &Scope,
        disk: &DiskId,
    ) -> Result<Intended, ControlError> {
        let region = self.given_region(scope)?;
        let mut disk = get_disk(tx, &scope.account, region.as_ref(), disk)?;
        let source = match &disk.source_snapshot {
            None => None,
            Some(id) => tx.snapshot(id)?,
        };
        disk.status = check_reinit(&ReInitFacts {
            account: &account(tx, &scope.account)?,
            disk: &disk,
            restricted: tx.is_restricted(disk.category, &scope.account)?,
            unfinished_snapshot: tx.has_unfinished_snapshot(&disk.id)?,
            instances: &instances_of(tx, &disk)?,
            source: source.as_ref(),
        })?;
        key_of(tx, &disk)?.check()?;
        tx.save_disk(&disk)?;
        let source = match (&disk.status, source) {
            (DiskStatus::Resetting(_), Some(snapshot)) => {
                Source::Version(Version(snapshot.version))
            }
            _ => Source::Nothing,
        };
        let instances = disk.attachments.iter().map(|at| at.instance.clone()).collect();
        let key = disk.encryption.map(|encryption| (disk.account, encryption));
        Ok(Intended { volume: VolumeId(disk.volume), source, key, instances })
    }

    fn reset_volume(&self, volume: VolumeId, version: Version) -> Result<(), EngineError> {
        let outcome = self.engine.reset(self.new_op(), volume, version);
        self.pass(Step::VolumeReset);
        outcome
    }

    /// A blank volume is encrypted as the disk is, so that the disk stays so.
    fn blank_key(
        &self,
        key: Option<(AccountId, Encryption)>,
    ) -> Result<Option<DataKey>, ControlError> {
        key.map(|(owner, encryption)| self.data_key(&owner, &encryption)).transpose()
    }

    /// Resets a volume to a version of nothing, which is made for it and deleted again. After a
    /// crash it is a version that no snapshot has, and so the next start deletes it.
    fn empty_volume(&self, volume: VolumeId, key: Option<DataKey>) -> Result<(), EngineError> {
        let (blank, version) =
            (VolumeId(self.cluster.scratch_id()), Version(self.cluster.scratch_id()));
        let outcome = self
            .engine
            .create_volume(self.new_op(), blank, BLOCK_BYTES, key.as_ref())
            .and_then(|()| self.engine.create_snapshots(self.new_op(), &[(blank, version)]))
            .and_then(|()| self.reset_volume(volume, version));
        let version_gone = self.engine.delete_snapshot(self.new_op(), version);
        let volume_gone = self.engine.delete_volume(self.new_op(), blank);
        if let Err(error) = version_gone.and(volume_gone) {
            tracing::warn!(%error, "an empty volume stays until the next start");
        }
        outcome
    }

    fn start_again(&self, scope: &Scope, instances: &[InstanceId]) {
        if let Err(error) = self.start_instances(scope, instances, true, false) {
            tracing::warn!(?instances, %error, "initialized the disk, and could not start");
        }
    }
}
