//! Snapshots: create, modify, delete.

use ebb_domain::{
    AccountId, Denied, Disk, DiskId, DiskStatus, Field, Origin, RegionId, Snapshot,
    SnapshotCategory, SnapshotChange, SnapshotId, SnapshotStatus, Tag, check_create_snapshot,
    check_delete_snapshot, check_tags, description, retention_days, snapshot_name,
};
use ebb_store::{Durability, Tx};
use ebb_volume::{SnapshotId as Version, VolumeId};

use crate::control::{account, get_disk, instances_of};
use crate::reconcile::op_of;
use crate::{ClientToken, Control, ControlError, Scope, Step};

/// CreateSnapshot.
#[derive(Debug, Clone)]
pub struct CreateSnapshot {
    /// DiskId
    pub disk: DiskId,
    /// SnapshotName
    pub name: String,
    /// Description
    pub description: String,
    /// RetentionDays
    pub retention_days: Option<i64>,
    /// Category
    pub category: Option<String>,
    /// ResourceGroupId
    pub resource_group: String,
    /// Tag.N
    pub tags: Vec<Tag>,
    /// ClientToken
    pub token: Option<ClientToken>,
}

impl Control {
    /// Freezes a disk as it is at one instant within this call. It is accomplished when this
    /// returns.
    ///
    /// Durable by the engine's sync and then by the outcome's commit. The intent needs no sync: a
    /// version without a row is removed on start.
    ///
    /// # Errors
    /// The first refusal, or a failure, after which there is no snapshot.
    pub fn create_snapshot(
        &self,
        scope: &Scope,
        request: &CreateSnapshot,
    ) -> Result<SnapshotId, ControlError> {
        snapshot_name(&request.name)?;
        description(&request.description)?;
        check_tags(&request.tags)?;
        let intended = self.store.write::<_, ControlError>(Durability::Recoverable, |tx| {
            if let Some(made) = self.replay(tx, &scope.account, request.token.as_ref())? {
                return Ok(Err(replayed_snapshot(tx, &made)?));
            }
            Ok(Ok(self.intend_snapshot(tx, scope, request)?))
        })?;
        let (snapshot, volume) = match intended {
            Ok(intended) => intended,
            Err(replayed) => return Ok(replayed),
        };
        self.carry_out_snapshot(&snapshot, volume, request.token.as_ref())?;
        Ok(snapshot.id)
    }

    /// Freezes the volume of a snapshot that is recorded as progressing, and accomplishes it; or,
    /// where the engine refuses, removes it and forgets the token.
    pub(crate) fn carry_out_snapshot(
        &self,
        snapshot: &Snapshot,
        volume: u64,
        token: Option<&ClientToken>,
    ) -> Result<(), ControlError> {
        self.pass(Step::SnapshotIntended);
        let pair = (VolumeId(volume), Version(snapshot.version));
        if let Err(error) = self.engine.create_snapshots(op_of("snapshot", pair.1.0), &[pair]) {
            self.undo_create_snapshot(&snapshot.account, token, snapshot)?;
            return Err(error.into());
        }
        self.pass(Step::VersionMade);
        self.store.write(Durability::Durable, |tx| accomplish(tx, &snapshot.id))?;
        Ok(())
    }

    fn intend_snapshot(
        &self,
        tx: &Tx<'_>,
        scope: &Scope,
        request: &CreateSnapshot,
    ) -> Result<(Snapshot, u64), ControlError> {
        let region = self.given_region(scope)?;
        let disk = get_disk(tx, &scope.account, region.as_ref(), &request.disk)?;
        let snapshot = Snapshot {
            name: request.name.clone(),
            description: request.description.clone(),
            retention_days: retention_days(request.retention_days)?,
            category: category(request.category.as_deref())?,
            resource_group: request.resource_group.clone(),
            tags: request.tags.clone(),
            ..self.new_snapshot(&disk)
        };
        check_create_snapshot(
            &account(tx, &scope.account)?,
            &disk,
            tx.has_unfinished_snapshot(&disk.id)?,
            tx.manual_snapshots(&disk.id)?,
            &instances_of(tx, &disk)?,
        )?;
        tx.insert_snapshot(&snapshot)?;
        let result = vec![snapshot.id.to_string()];
        self.remember(tx, &scope.account, request.token.as_ref(), result)?;
        Ok((snapshot, disk.volume))
    }

    /// A snapshot of `disk` as it is when it is new.
    pub(crate) fn new_snapshot(&self, disk: &Disk) -> Snapshot {
        Snapshot {
            id: SnapshotId::mint(self.random()),
            account: disk.account.clone(),
            region: disk.region.clone(),
            source_disk: disk.id.clone(),
            source_disk_gib: disk.size_gib,
            source_disk_kind: disk.kind,
            name: String::new(),
            description: String::new(),
            status: SnapshotStatus::Progressing,
            origin: Origin::User,
            category: SnapshotCategory::Standard,
            retention_days: None,
            resource_group: String::new(),
            tags: Vec::new(),
            created_at: self.now(),
            modified_at: None,
            lock: None,
            group: None,
            copied_from: None,
            encryption: disk.encryption.clone(),
            version: self.new_engine_id(),
            archived_bytes: None,
        }
    }

    pub(crate) fn undo_create_snapshot(
        &self,
        owner: &AccountId,
        token: Option<&ClientToken>,
        snapshot: &Snapshot,
    ) -> Result<(), ControlError> {
        self.store.write(Durability::Recoverable, |tx| {
            self.forget(tx, owner, token)?;
            Ok(tx.remove_snapshot(&snapshot.id)?)
        })
    }

    /// Changes what a snapshot is called and how long it is kept.
    ///
    /// # Errors
    /// The first refusal, or a failure.
    pub fn modify_snapshot(
        &self,
        scope: &Scope,
        id: &SnapshotId,
        change: &SnapshotChange,
    ) -> Result<(), ControlError> {
        self.store.write(Durability::Durable, |tx| {
            let region = self.given_region(scope)?;
            let mut snapshot = visible(tx, &scope.account, region.as_ref(), id)?;
            change.apply(&mut snapshot, self.now())?;
            Ok(tx.save_snapshot(&snapshot)?)
        })
    }

    /// Deletes a snapshot. Disks made from it and other snapshots stay.
    ///
    /// Durable by the intent's commit: a deletion that is found on start is carried out.
    ///
    /// # Errors
    /// The first refusal; a failure, after which the snapshot is as it was, unless the engine has
    /// stopped.
    pub fn delete_snapshot(
        &self,
        scope: &Scope,
        id: &SnapshotId,
        force: bool,
    ) -> Result<(), ControlError> {
        self.delete_snapshot_if(scope, id, |snapshot, disks, held| {
            check_delete_snapshot(snapshot, disks, held, force, self.now())
        })
    }

    /// The same, if `check` does not refuse the snapshot, that many disks made from it, and whether
    /// it is held.
    pub(crate) fn delete_snapshot_if(
        &self,
        scope: &Scope,
        id: &SnapshotId,
        check: impl Fn(&Snapshot, usize, bool) -> Result<(), Denied>,
    ) -> Result<(), ControlError> {
        let before = self.store.write::<_, ControlError>(Durability::Durable, |tx| {
            let region = self.given_region(scope)?;
            let mut snapshot = visible(tx, &scope.account, region.as_ref(), id)?;
            check(&snapshot, tx.disks_made_from(id)?, is_held(tx, id)?)?;
            if tx.has_images(id)? {
                return Err(Denied::SnapshotHasImages.into());
            }
            let before = std::mem::replace(&mut snapshot.status, SnapshotStatus::Deleting);
            tx.save_snapshot(&snapshot)?;
            Ok(before)
        })?;
        self.pass(Step::SnapshotDeleteIntended);
        let finished = self.finish_delete_snapshot(id);
        if finished.as_ref().is_err_and(ControlError::is_undone) {
            self.undo_delete_snapshot(id, before)?;
        }
        finished
    }

    pub(crate) fn undo_delete_snapshot(
        &self,
        id: &SnapshotId,
        before: SnapshotStatus,
    ) -> Result<(), ControlError> {
        self.store.write(Durability::Durable, |tx| {
            if let Some(mut snapshot) = tx.snapshot(id)? {
                // An import may have ended meanwhile without its record.
                snapshot.status = match before {
                    SnapshotStatus::Progressing => SnapshotStatus::Failed,
                    other => other,
                };
                tx.save_snapshot(&snapshot)?;
            }
            Ok(())
        })
    }

    /// Carries a deletion to its end. Idempotent.
    pub(crate) fn finish_delete_snapshot(&self, id: &SnapshotId) -> Result<(), ControlError> {
        let Some(snapshot) = self.store.read(|tx| tx.snapshot(id))? else { return Ok(()) };
        self.engine.delete_snapshot(self.new_op(), Version(snapshot.version))?;
        if snapshot.archived_bytes.is_some() {
            self.delete_archived(id)?;
        }
        self.pass(Step::VersionDeleted);
        self.store.write(Durability::Recoverable, |tx| Ok(tx.remove_snapshot(id)?))
    }

    /// Opens the snapshot service for the account.
    ///
    /// # Errors
    /// [`Denied::RegionNotFound`], or a failure.
    pub fn open_snapshot_service(
        &self,
        owner: &AccountId,
        region: &RegionId,
    ) -> Result<(), ControlError> {
        self.region(region)?;
        self.store.write(Durability::Durable, |tx| {
            let mut account = account(tx, owner)?;
            account.snapshot_service = true;
            Ok(tx.put_account(&account)?)
        })
    }
}

/// Whether a disk is being reset to the snapshot or made from it, or a task is reading it. Without
/// it that could not be done, neither now nor by the next start.
pub(crate) fn is_held(tx: &Tx<'_>, id: &SnapshotId) -> Result<bool, ControlError> {
    let is_source = |disk: &Disk| {
        disk.status == DiskStatus::Creating && disk.source_snapshot.as_ref() == Some(id)
    };
    Ok(tx.disk_resetting_to(id)?
        || tx.has_task_under_way(id.as_str())?
        || tx.disks_in_transition()?.iter().any(is_source))
}

fn category(name: Option<&str>) -> Result<SnapshotCategory, Denied> {
    match name.map(SnapshotCategory::parse) {
        None => Ok(SnapshotCategory::Standard),
        Some(Some(category)) if category != SnapshotCategory::Archive => Ok(category),
        Some(_) => Err(Denied::Malformed(Field::SnapshotCategory)),
    }
}

/// The snapshot of that id, as far as this account may know of it.
pub(crate) fn visible(
    tx: &Tx<'_>,
    owner: &AccountId,
    region: Option<&RegionId>,
    id: &SnapshotId,
) -> Result<Snapshot, ControlError> {
    let found = tx.snapshot(id)?.filter(|snapshot| {
        snapshot.account == *owner
            && region.is_none_or(|r| snapshot.region == *r)
            && snapshot.status != SnapshotStatus::Deleting
    });
    Ok(found.ok_or(Denied::SnapshotNotFound)?)
}

/// Answers whether it was still progressing.
pub(crate) fn accomplish(tx: &Tx<'_>, id: &SnapshotId) -> Result<bool, ControlError> {
    let found = tx.snapshot(id)?.filter(|found| found.status == SnapshotStatus::Progressing);
    let Some(mut snapshot) = found else { return Ok(false) };
    snapshot.status = SnapshotStatus::Accomplished;
    tx.save_snapshot(&snapshot)?;
    Ok(true)
}

/// The snapshot that the first call with a token made, once it has ended.
pub(crate) fn replayed_snapshot(tx: &Tx<'_>, made: &[String]) -> Result<SnapshotId, ControlError> {
    let id = SnapshotId::new(made.first().cloned().unwrap_or_default());
    match tx.snapshot(&id)? {
        Some(snapshot) if snapshot.status == SnapshotStatus::Progressing => {
            Err(Denied::TokenProcessing.into())
        }
        _ => Ok(id),
    }
}
