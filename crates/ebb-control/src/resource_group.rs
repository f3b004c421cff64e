//! JoinResourceGroup: disks, snapshots, instances and so on are put into groups of the account's
//! own.
//!
//! A group is its id and nothing more: what it is called, and who may use it, is the business of a
//! service that is not here. So any id is taken.

use ebb_domain::{
    AccountId, AutoSnapshotPolicyId, Denied, DiskId, ImageId, InstanceId, RegionId,
    SecurityGroupId, SnapshotGroupId, SnapshotId,
};
use ebb_store::{Durability, ResourceKind, Tx};

use crate::control::{find_instance, get_disk};
use crate::snapshot::visible;
use crate::{Control, ControlError, Scope};

impl Control {
    /// Puts a resource into a group, instead of the one that it was in.
    ///
    /// Durable by the commit.
    ///
    /// # Errors
    /// [`Denied::ResourceNotFound`], [`Denied::ResourceTypeUnknown`] for one that is in no group,
    /// or a failure.
    pub fn join_resource_group(
        &self,
        scope: &Scope,
        kind: ResourceKind,
        id: &str,
        group: &str,
    ) -> Result<(), ControlError> {
        let joined =
            self.store.write(Durability::Durable, |tx| self.join_in(tx, scope, kind, id, group));
        joined.map_err(|error| match error {
            ControlError::Denied(
                Denied::DiskNotFound | Denied::SnapshotNotFound | Denied::InstanceNotFound,
            ) => Denied::ResourceNotFound.into(),
            other => other,
        })
    }

    fn join_in(
        &self,
        tx: &Tx<'_>,
        scope: &Scope,
        kind: ResourceKind,
        id: &str,
        group: &str,
    ) -> Result<(), ControlError> {
        let region = self.given_region(scope)?;
        let (owner, region) = (&scope.account, region.as_ref());
        match kind {
            ResourceKind::Disk => {
                let mut disk = get_disk(tx, owner, region, &DiskId::new(id))?;
                group.clone_into(&mut disk.resource_group);
                tx.save_disk(&disk)?;
            }
            ResourceKind::Snapshot => {
                let mut snapshot = visible(tx, owner, region, &SnapshotId::new(id))?;
                group.clone_into(&mut snapshot.resource_group);
                tx.save_snapshot(&snapshot)?;
            }
            ResourceKind::Instance => {
                let found = find_instance(tx, owner, region, &InstanceId::new(id))?;
                let mut instance = found.ok_or(Denied::InstanceNotFound)?;
                group.clone_into(&mut instance.resource_group);
                tx.save_instance(&instance)?;
            }
            ResourceKind::SnapshotGroup => {
                let found = tx.snapshot_group(&SnapshotGroupId::new(id))?;
                let mut found = found
                    .filter(|found| is_theirs((&found.account, &found.region), owner, region))
                    .ok_or(Denied::ResourceNotFound)?;
                group.clone_into(&mut found.resource_group);
                tx.save_snapshot_group(&found)?;
            }
            ResourceKind::SnapshotPolicy => {
                let found = tx.auto_policy(&AutoSnapshotPolicyId::new(id))?;
                let mut found = found
                    .filter(|found| is_theirs((&found.account, &found.region), owner, region))
                    .ok_or(Denied::ResourceNotFound)?;
                group.clone_into(&mut found.resource_group);
                tx.save_auto_policy(&found)?;
            }
            ResourceKind::Image => {
                let found = tx.image(&ImageId::new(id))?;
                let mut found = found
                    .filter(|found| is_theirs((&found.account, &found.region), owner, region))
                    .ok_or(Denied::ResourceNotFound)?;
                group.clone_into(&mut found.resource_group);
                tx.save_image(&found)?;
            }
            ResourceKind::SecurityGroup => {
                let found = tx.security_group(&SecurityGroupId::new(id))?;
                let mut found = found
                    .filter(|found| is_theirs((&found.account, &found.region), owner, region))
                    .ok_or(Denied::ResourceNotFound)?;
                group.clone_into(&mut found.resource_group);
                tx.save_security_group(&found)?;
            }
            ResourceKind::Vpc | ResourceKind::VSwitch => {
                return Err(Denied::ResourceTypeUnknown.into());
            }
        }
        Ok(())
    }
}

fn is_theirs(at: (&AccountId, &RegionId), owner: &AccountId, region: Option<&RegionId>) -> bool {
    at.0 == owner && region.is_none_or(|region| region == at.1)
}
