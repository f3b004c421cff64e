//! Snapshot groups: create, modify, delete, list.

use std::collections::BTreeSet;

use ebb_domain::{
    Denied, Disk, DiskId, InstanceId, Snapshot, SnapshotGroup, SnapshotGroupId,
    SnapshotGroupStatus, SnapshotStatus, Tag, check_create_snapshot, check_delete_snapshot,
    check_group, check_tags, choose_disks, group_names,
};
use ebb_store::{Durability, Page, SnapshotGroupQuery, Tx};
use ebb_volume::{SnapshotId as Version, VolumeId};

use crate::control::{account, find_instance, get_disk, instances_of};
use crate::reconcile::op_of;
use crate::snapshot::{accomplish, is_held};
use crate::{ClientToken, Control, ControlError, Scope, Step};

/// CreateSnapshotGroup.
#[derive(Debug, Clone)]
pub struct CreateSnapshotGroup {
    /// InstanceId
    pub instance: Option<InstanceId>,
    /// DiskId.N
    pub disks: Vec<DiskId>,
    /// ExcludeDiskId.N
    pub left_out: Vec<DiskId>,
    /// Name
    pub name: String,
    /// Description
    pub description: String,
    /// ResourceGroupId
    pub resource_group: String,
    /// Tag.N
    pub tags: Vec<Tag>,
    /// ClientToken
    pub token: Option<ClientToken>,
}

/// A group, and its snapshots.
pub type GroupAndSnapshots = (SnapshotGroup, Vec<Snapshot>);

impl Control {
    /// Freezes several disks as they are at one instant within this call, the same for all: a
    /// guest that writes to one and then to another finds the second in no group without the first.
    ///
    /// Durable by the engine's one sync, which holds all of the group or nothing, and then by the
    /// outcome's commit. The intent needs no sync, as that of one snapshot does not.
    ///
    /// # Errors
    /// The first refusal, or a failure, after which there is neither a group nor a snapshot.
    pub fn create_snapshot_group(
        &self,
        scope: &Scope,
        request: &CreateSnapshotGroup,
    ) -> Result<SnapshotGroupId, ControlError> {
        group_names(&request.name, &request.description)?;
        check_tags(&request.tags)?;
        let intended = self.store.write::<_, ControlError>(Durability::Recoverable, |tx| {
            if let Some(made) = self.replay(tx, &scope.account, request.token.as_ref())? {
                return Ok(Err(replayed_group(tx, &made)?));
            }
            Ok(Ok(self.intend_group(tx, scope, request)?))
        })?;
        let (group, pairs) = match intended {
            Ok(intended) => intended,
            Err(replayed) => return Ok(replayed),
        };
        self.pass(Step::SnapshotIntended);
        // The first version's id is as good as one of the group's own: it is never used twice.
        let op = op_of("group", pairs.first().map_or(0, |(_, version)| version.0));
        if let Err(error) = self.engine.create_snapshots(op, &pairs) {
            self.undo_create_group(scope, request.token.as_ref(), &group)?;
            return Err(error.into());
        }
        self.pass(Step::VersionMade);
        self.store.write(Durability::Durable, |tx| accomplish_group(tx, &group))?;
        Ok(group)
    }

    fn intend_group(
        &self,
        tx: &Tx<'_>,
        scope: &Scope,
        request: &CreateSnapshotGroup,
    ) -> Result<(SnapshotGroupId, Vec<(VolumeId, Version)>), ControlError> {
        let region = self.given_region(scope)?;
        let disks = self.disks_of_group(tx, scope, request)?;
        check_group(&disks)?;
        let group = SnapshotGroup {
            id: SnapshotGroupId::mint(self.random()),
            account: scope.account.clone(),
            region: region.unwrap_or_else(|| disks[0].region.clone()),
            instance: request.instance.clone(),
            name: request.name.clone(),
            description: request.description.clone(),
            status: SnapshotGroupStatus::Progressing,
            resource_group: request.resource_group.clone(),
            tags: request.tags.clone(),
            created_at: self.now(),
        };
        tx.insert_snapshot_group(&group)?;
        let mut pairs = Vec::new();
        for disk in &disks {
            let snapshot = self.intend_member(tx, scope, &group, disk)?;
            pairs.push((VolumeId(disk.volume), Version(snapshot.version)));
        }
        let result = vec![group.id.to_string()];
        self.remember(tx, &scope.account, request.token.as_ref(), result)?;
        Ok((group.id, pairs))
    }

    /// The disks, in the order of their ids, each once.
    fn disks_of_group(
        &self,
        tx: &Tx<'_>,
        scope: &Scope,
        request: &CreateSnapshotGroup,
    ) -> Result<Vec<Disk>, ControlError> {
        let region = self.given_region(scope)?;
        if !request.disks.is_empty() && !request.left_out.is_empty() {
            return Err(Denied::DisksAndLeftOut.into());
        }
        let Some(id) = &request.instance else {
            if request.disks.is_empty() {
                return Err(Denied::InstanceOrDisksMissing.into());
            }
            let ids: BTreeSet<&DiskId> = request.disks.iter().collect();
            let find = |id| get_disk(tx, &scope.account, region.as_ref(), id);
            return ids.into_iter().map(find).collect();
        };
        let instance = find_instance(tx, &scope.account, region.as_ref(), id)?
            .ok_or(Denied::InstanceNotFound)?;
        let mut disks =
            choose_disks(tx.disks_of_instance(&instance.id)?, &request.disks, &request.left_out)?;
        disks.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(disks)
    }

    fn intend_member(
        &self,
        tx: &Tx<'_>,
        scope: &Scope,
        group: &SnapshotGroup,
        disk: &Disk,
    ) -> Result<Snapshot, ControlError> {
        check_create_snapshot(
            &account(tx, &scope.account)?,
            disk,
            tx.has_unfinished_snapshot(&disk.id)?,
            tx.manual_snapshots(&disk.id)?,
            &instances_of(tx, disk)?,
        )?;
        let snapshot = Snapshot {
            // A container storage driver finds the group's snapshots by these.
            name: format!("Created_from_{}", group.id),
            description: format!("Created_from_{}", group.id),
            resource_group: group.resource_group.clone(),
            group: Some(group.id.clone()),
            created_at: group.created_at,
            ..self.new_snapshot(disk)
        };
        tx.insert_snapshot(&snapshot)?;
        Ok(snapshot)
    }

    fn undo_create_group(
        &self,
        scope: &Scope,
        token: Option<&ClientToken>,
        group: &SnapshotGroupId,
    ) -> Result<(), ControlError> {
        self.store.write(Durability::Recoverable, |tx| {
            self.forget(tx, &scope.account, token)?;
            for snapshot in tx.snapshots_of_group(group)? {
                tx.remove_snapshot(&snapshot.id)?;
            }
            Ok(tx.remove_snapshot_group(group)?)
        })
    }

    /// Ends what a start finds of a group, whose snapshots have been seen to: it has all of them or
    /// none.
    pub(crate) fn reconcile_group(&self, group: &SnapshotGroup) -> Result<(), ControlError> {
        tracing::info!(group = %group.id, status = ?group.status, "found under way");
        self.store.write(Durability::Durable, |tx| {
            match tx.snapshots_of_group(&group.id)?.is_empty() {
                true => {
                    tx.remove_tokens_of(group.id.as_str())?;
                    Ok(tx.remove_snapshot_group(&group.id)?)
                }
                false => accomplish_group(tx, &group.id),
            }
        })
    }

    /// Changes what a group is called; what is `None` stays.
    ///
    /// # Errors
    /// The first refusal, or a failure.
    pub fn modify_snapshot_group(
        &self,
        scope: &Scope,
        id: &SnapshotGroupId,
        name: Option<&str>,
        description: Option<&str>,
    ) -> Result<(), ControlError> {
        group_names(name.unwrap_or_default(), description.unwrap_or_default())?;
        self.store.write(Durability::Durable, |tx| {
            let mut group = self.visible_group(tx, scope, id)?;
            if let Some(name) = name {
                name.clone_into(&mut group.name);
            }
            if let Some(description) = description {
                description.clone_into(&mut group.description);
            }
            Ok(tx.save_snapshot_group(&group)?)
        })
    }

    fn visible_group(
        &self,
        tx: &Tx<'_>,
        scope: &Scope,
        id: &SnapshotGroupId,
    ) -> Result<SnapshotGroup, ControlError> {
        let region = self.given_region(scope)?;
        let found = tx.snapshot_group(id)?.filter(|group| {
            group.account == scope.account && region.as_ref().is_none_or(|r| group.region == *r)
        });
        Ok(found.ok_or(Denied::SnapshotGroupNotFound)?)
    }

    /// Deletes a group and its snapshots: all of them, or where one is refused none. Says which.
    ///
    /// Durable by the intent's commit, which removes the group and marks its snapshots: a deletion
    /// of one that is found on start is carried out.
    ///
    /// # Errors
    /// The first refusal. A failure, after which the snapshots that are not gone are as they were,
    /// without a group; unless the engine has stopped.
    pub fn delete_snapshot_group(
        &self,
        scope: &Scope,
        id: &SnapshotGroupId,
    ) -> Result<Vec<ebb_domain::SnapshotId>, ControlError> {
        let snapshots = self.store.write(Durability::Durable, |tx| {
            let group = self.visible_group(tx, scope, id)?;
            self.intend_delete_group(tx, &group)
        })?;
        self.pass(Step::SnapshotDeleteIntended);
        let mut ids = Vec::new();
        let mut outcome = Ok(());
        for snapshot in snapshots {
            if outcome.is_ok() {
                outcome = self.finish_delete_snapshot(&snapshot.id);
            }
            if outcome.as_ref().is_err_and(ControlError::is_undone) {
                self.undo_delete_snapshot(&snapshot.id, snapshot.status)?;
            }
            ids.push(snapshot.id);
        }
        outcome.map(|()| ids)
    }

    /// The group's snapshots as they were.
    fn intend_delete_group(
        &self,
        tx: &Tx<'_>,
        group: &SnapshotGroup,
    ) -> Result<Vec<Snapshot>, ControlError> {
        if group.status == SnapshotGroupStatus::Progressing {
            return Err(Denied::Conflict.into());
        }
        let snapshots = tx.snapshots_of_group(&group.id)?;
        for snapshot in &snapshots {
            let (disks, held) = (tx.disks_made_from(&snapshot.id)?, is_held(tx, &snapshot.id)?);
            check_delete_snapshot(snapshot, disks, held, false, self.now())?;
            if tx.has_images(&snapshot.id)? {
                return Err(Denied::SnapshotHasImages.into());
            }
            let deleting = Snapshot { status: SnapshotStatus::Deleting, ..snapshot.clone() };
            tx.save_snapshot(&deleting)?;
        }
        tx.remove_snapshot_group(&group.id)?;
        Ok(snapshots)
    }

    /// Groups that a query asks for, each with its snapshots.
    ///
    /// # Errors
    /// [`Denied::NextToken`], or a failure.
    pub fn snapshot_groups(
        &self,
        query: &SnapshotGroupQuery,
    ) -> Result<Page<GroupAndSnapshots>, ControlError> {
        self.store.read(|tx| {
            let page = tx.snapshot_groups(query)?;
            let with_snapshots = |group: SnapshotGroup| {
                let snapshots = tx.snapshots_of_group(&group.id)?;
                Ok::<_, ControlError>((group, snapshots))
            };
            let items = page.items.into_iter().map(with_snapshots).collect::<Result<_, _>>()?;
            Ok(Page { items, total: page.total, next: page.next })
        })
    }
}

fn accomplish_group(tx: &Tx<'_>, id: &SnapshotGroupId) -> Result<(), ControlError> {
    for snapshot in tx.snapshots_of_group(id)? {
        accomplish(tx, &snapshot.id)?;
    }
    if let Some(mut group) = tx.snapshot_group(id)? {
        group.status = SnapshotGroupStatus::Accomplished;
        tx.save_snapshot_group(&group)?;
    }
    Ok(())
}

/// The group that the first call with a token made, once it has ended.
fn replayed_group(tx: &Tx<'_>, made: &[String]) -> Result<SnapshotGroupId, ControlError> {
    let id = SnapshotGroupId::new(made.first().cloned().unwrap_or_default());
    match tx.snapshot_group(&id)? {
        Some(group) if group.status == SnapshotGroupStatus::Progressing => {
            Err(Denied::TokenProcessing.into())
        }
        _ => Ok(id),
    }
}
