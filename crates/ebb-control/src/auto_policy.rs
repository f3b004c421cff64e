//! Automatic snapshot policies: create, modify, delete, apply, cancel, list.
//!
//! What they do is in `auto_snapshot.rs`.

use ebb_domain::{
    AUTO_POLICIES_MAX, AccountId, AutoSnapshotPolicy, AutoSnapshotPolicyId, CopyEncryption, Denied,
    DiskId, RegionId, Slots, Tag, check_tags, policy_name,
};
use ebb_store::{AutoPolicyQuery, Durability, Page, PageRequest, Tx};

use crate::control::{account, get_disk};
use crate::encryption::{disk_key, of_disk};
use crate::kms::resolve;
use crate::{Control, ControlError};

/// What a policy is to be.
#[derive(Debug, Clone)]
pub struct AutoPolicy {
    /// autoSnapshotPolicyName
    pub name: String,
    /// timePoints
    pub hours: Slots,
    /// repeatWeekdays
    pub weekdays: Slots,
    /// retentionDays
    pub retention_days: Option<u32>,
    /// TargetCopyRegions
    pub copy_to: Vec<RegionId>,
    /// CopiedSnapshotsRetentionDays
    pub copy_retention_days: Option<u32>,
    /// CopyEncryptionConfiguration
    pub copy_encryption: CopyEncryption,
}

/// ModifyAutoSnapshotPolicyEx: what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AutoPolicyChange {
    /// autoSnapshotPolicyName
    pub name: Option<String>,
    /// timePoints
    pub hours: Option<Slots>,
    /// repeatWeekdays
    pub weekdays: Option<Slots>,
    /// retentionDays
    pub retention_days: Option<Option<u32>>,
    /// TargetCopyRegions
    pub copy_to: Option<Vec<RegionId>>,
    /// CopiedSnapshotsRetentionDays
    pub copy_retention_days: Option<Option<u32>>,
    /// CopyEncryptionConfiguration
    pub copy_encryption: Option<CopyEncryption>,
}

impl Control {
    /// Makes a policy. Durable by the commit, as all changes of policies are.
    ///
    /// # Errors
    /// The first refusal, or a failure.
    pub fn create_auto_policy(
        &self,
        owner: &AccountId,
        region: &RegionId,
        wanted: &AutoPolicy,
        resource_group: &str,
        tags: &[Tag],
    ) -> Result<AutoSnapshotPolicyId, ControlError> {
        self.region(region)?;
        policy_name(&wanted.name)?;
        check_tags(tags)?;
        self.check_copies(region, &wanted.copy_to)?;
        self.store.write(Durability::Durable, |tx| {
            account(tx, owner)?.check_snapshot_service()?;
            let copy_encryption = copy_encryption(tx, owner, &wanted.copy_encryption)?;
            if tx.auto_policies(&all_of(owner, region))?.total >= AUTO_POLICIES_MAX {
                return Err(Denied::AutoPolicyQuota.into());
            }
            let policy = AutoSnapshotPolicy {
                id: AutoSnapshotPolicyId::mint(self.random()),
                account: owner.clone(),
                region: region.clone(),
                name: wanted.name.clone(),
                hours: wanted.hours,
                weekdays: wanted.weekdays,
                retention_days: wanted.retention_days,
                copy_to: wanted.copy_to.clone(),
                copy_retention_days: wanted.copy_retention_days,
                copy_encryption,
                resource_group: resource_group.to_owned(),
                tags: tags.to_vec(),
                created_at: self.now(),
                done_until: self.now(),
            };
            tx.insert_auto_policy(&policy)?;
            Ok(policy.id)
        })
    }

    /// Changes a policy. It acts as changed from the next hour on.
    ///
    /// # Errors
    /// The first refusal, or a failure.
    pub fn modify_auto_policy(
        &self,
        owner: &AccountId,
        region: &RegionId,
        id: &AutoSnapshotPolicyId,
        change: &AutoPolicyChange,
    ) -> Result<(), ControlError> {
        self.region(region)?;
        policy_name(change.name.as_deref().unwrap_or_default())?;
        self.check_copies(region, change.copy_to.as_deref().unwrap_or_default())?;
        self.store.write(Durability::Durable, |tx| {
            let mut policy = visible(tx, owner, region, id)?;
            policy.name = change.name.clone().unwrap_or(policy.name);
            policy.hours = change.hours.unwrap_or(policy.hours);
            policy.weekdays = change.weekdays.unwrap_or(policy.weekdays);
            policy.retention_days = change.retention_days.unwrap_or(policy.retention_days);
            policy.copy_to = change.copy_to.clone().unwrap_or(policy.copy_to);
            policy.copy_retention_days =
                change.copy_retention_days.unwrap_or(policy.copy_retention_days);
            if let Some(changed) = &change.copy_encryption {
                policy.copy_encryption = copy_encryption(tx, owner, changed)?;
            }
            policy.done_until = self.now();
            Ok(tx.save_auto_policy(&policy)?)
        })
    }

    /// Deletes a policy. The snapshots that it took stay.
    ///
    /// # Errors
    /// [`Denied::AutoPolicyNotFound`], or a failure.
    pub fn delete_auto_policy(
        &self,
        owner: &AccountId,
        region: &RegionId,
        id: &AutoSnapshotPolicyId,
    ) -> Result<(), ControlError> {
        self.store.write(Durability::Durable, |tx| {
            visible(tx, owner, region, id)?;
            Ok(tx.remove_auto_policy(id)?)
        })
    }

    /// Has a policy act on disks, instead of the one that did: on all of them, or where one is
    /// refused on none.
    ///
    /// # Errors
    /// The first refusal, or a failure.
    pub fn apply_auto_policy(
        &self,
        owner: &AccountId,
        region: &RegionId,
        id: &AutoSnapshotPolicyId,
        disks: &[DiskId],
    ) -> Result<(), ControlError> {
        self.region(region)?;
        self.store.write(Durability::Durable, |tx| {
            account(tx, owner)?.check_snapshot_service()?;
            visible(tx, owner, region, id)?;
            for disk in disks {
                let mut disk = get_disk(tx, owner, Some(region), disk)?;
                if !disk.category.has_snapshots() {
                    return Err(Denied::CategoryUnsupported.into());
                }
                disk.auto_snapshot_policy = Some(id.clone());
                tx.save_disk(&disk)?;
            }
            Ok(())
        })
    }

    /// Has no policy act on disks any more; with an id only that one does not.
    ///
    /// # Errors
    /// The first refusal, or a failure.
    pub fn cancel_auto_policy(
        &self,
        owner: &AccountId,
        region: &RegionId,
        id: Option<&AutoSnapshotPolicyId>,
        disks: &[DiskId],
    ) -> Result<(), ControlError> {
        self.region(region)?;
        self.store.write(Durability::Durable, |tx| {
            for disk in disks {
                let mut disk = get_disk(tx, owner, Some(region), disk)?;
                if id.is_none_or(|id| disk.auto_snapshot_policy.as_ref() == Some(id)) {
                    disk.auto_snapshot_policy = None;
                    tx.save_disk(&disk)?;
                }
            }
            Ok(())
        })
    }

    /// Policies that a query asks for, each with the number of disks that have it.
    ///
    /// # Errors
    /// A failure.
    pub fn auto_policies(
        &self,
        query: &AutoPolicyQuery,
    ) -> Result<Page<(AutoSnapshotPolicy, usize)>, ControlError> {
        self.store.read(|tx| {
            let page = tx.auto_policies(query)?;
            let counted = |policy: AutoSnapshotPolicy| {
                let disks = tx.disks_of_policy(&policy.id)?.len();
                Ok::<_, ControlError>((policy, disks))
            };
            let items = page.items.into_iter().map(counted).collect::<Result<_, _>>()?;
            Ok(Page { items, total: page.total, next: page.next })
        })
    }

    fn check_copies(&self, from: &RegionId, to: &[RegionId]) -> Result<(), Denied> {
        let known = |region| self.region(region).is_ok() && region != from;
        match to.iter().all(known) {
            true => Ok(()),
            false => Err(Denied::CopyRegions),
        }
    }
}

/// The same with the key's id, if it may be used now. It is asked again for each copy.
fn copy_encryption(
    tx: &Tx<'_>,
    owner: &AccountId,
    wanted: &CopyEncryption,
) -> Result<CopyEncryption, ControlError> {
    let key = wanted.key.as_ref().map(|key| resolve(tx, owner, key));
    let key = key.transpose().map_err(of_disk)?;
    if let Some(key) = &key {
        if !wanted.encrypted {
            return Err(Denied::KeyWithoutEncryption.into());
        }
        disk_key(tx, owner, key)?.check()?;
    }
    Ok(CopyEncryption { encrypted: wanted.encrypted, key })
}

fn all_of(owner: &AccountId, region: &RegionId) -> AutoPolicyQuery {
    AutoPolicyQuery {
        account: owner.clone(),
        region: region.clone(),
        id: None,
        name: None,
        resource_group: None,
        tags: Vec::new(),
        page: PageRequest::Number { number: 1, size: 1 },
    }
}

fn visible(
    tx: &Tx<'_>,
    owner: &AccountId,
    region: &RegionId,
    id: &AutoSnapshotPolicyId,
) -> Result<AutoSnapshotPolicy, ControlError> {
    let found = tx.auto_policy(id)?;
    let theirs = found.filter(|policy| policy.account == *owner && policy.region == *region);
    Ok(theirs.ok_or(Denied::AutoPolicyNotFound)?)
}
