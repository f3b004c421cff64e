//! Tags on disks, snapshots and instances.

use ebb_domain::{
    AccountId, AutoSnapshotPolicyId, Denied, DiskId, ImageId, InstanceId, RegionId,
    SecurityGroupId, SnapshotGroupId, SnapshotId, Tag, check_tags,
};
use ebb_store::{
    Durability, Page, ResourceKind, TagCount, TagCountQuery, TagFilter, TagQuery, TagRow, Tx,
};

use crate::{Control, ControlError};

/// Resources that one request may name.
const RESOURCES_MAX: usize = 50;

impl Control {
    /// Gives resources tags, all or none.
    ///
    /// # Errors
    /// The first refusal.
    pub fn tag_resources(
        &self,
        owner: &AccountId,
        region: &RegionId,
        kind: ResourceKind,
        ids: &[String],
        tags: &[Tag],
    ) -> Result<(), ControlError> {
        self.region(region)?;
        check_count(ids)?;
        check_tags(tags)?;
        self.store.write(Durability::Durable, |tx| {
            for id in ids {
                check_resource(tx, owner, region, kind, id)?;
                tx.put_tags(kind, id, tags)?;
                if tx.tags_of(kind, id)?.len() > 20 {
                    return Err(Denied::TooManyTags.into());
                }
            }
            Ok(())
        })
    }

    /// Takes tags from resources, all or none; every tag where `keys` is `None`.
    ///
    /// # Errors
    /// The first refusal.
    pub fn untag_resources(
        &self,
        owner: &AccountId,
        region: &RegionId,
        kind: ResourceKind,
        ids: &[String],
        keys: Option<&[String]>,
    ) -> Result<(), ControlError> {
        self.region(region)?;
        check_count(ids)?;
        self.store.write(Durability::Durable, |tx| {
            for id in ids {
                check_resource(tx, owner, region, kind, id)?;
                tx.remove_tags(kind, id, keys)?;
            }
            Ok(())
        })
    }

    /// Takes tags from one resource: those of a key, and where the filter says so of a value.
    ///
    /// # Errors
    /// The first refusal.
    pub fn remove_tags(
        &self,
        owner: &AccountId,
        region: &RegionId,
        kind: ResourceKind,
        id: &str,
        which: &[TagFilter],
    ) -> Result<(), ControlError> {
        self.region(region)?;
        self.store.write(Durability::Durable, |tx| {
            check_resource(tx, owner, region, kind, id)?;
            let is_meant = |tag: &Tag| {
                which.iter().any(|filter| {
                    filter.key == tag.key && filter.value.as_ref().is_none_or(|v| *v == tag.value)
                })
            };
            let has = tx.tags_of(kind, id)?;
            let keys: Vec<String> = has.into_iter().filter(is_meant).map(|tag| tag.key).collect();
            Ok(tx.remove_tags(kind, id, Some(&keys))?)
        })
    }

    /// Tags that a query asks for.
    ///
    /// # Errors
    /// The first refusal.
    pub fn tags(&self, query: &TagQuery) -> Result<Page<TagRow>, ControlError> {
        self.region(&query.region)?;
        check_count(&query.resources)?;
        if query.resources.is_empty() && query.tags.is_empty() {
            return Err(Denied::TagsAndResourcesMissing.into());
        }
        Ok(self.store.read(|tx| tx.tag_rows(query))?)
    }
}

impl Control {
    /// Keys and values with the number of resources that have them.
    ///
    /// # Errors
    /// [`Denied::RegionNotFound`], or a failure.
    pub fn tag_counts(&self, query: &TagCountQuery) -> Result<Page<TagCount>, ControlError> {
        self.region(&query.region)?;
        Ok(self.store.read(|tx| tx.tag_counts(query))?)
    }
}

fn check_count(ids: &[String]) -> Result<(), Denied> {
    if ids.len() > RESOURCES_MAX { Err(Denied::TooManyIds) } else { Ok(()) }
}

fn check_resource(
    tx: &Tx<'_>,
    owner: &AccountId,
    region: &RegionId,
    kind: ResourceKind,
    id: &str,
) -> Result<(), ControlError> {
    let theirs = match kind {
        ResourceKind::Disk => tx.disk(&DiskId::new(id))?.map(|disk| (disk.account, disk.region)),
        ResourceKind::Snapshot => {
            tx.snapshot(&SnapshotId::new(id))?.map(|found| (found.account, found.region))
        }
        ResourceKind::SnapshotPolicy => {
            let found = tx.auto_policy(&AutoSnapshotPolicyId::new(id))?;
            found.map(|found| (found.account, found.region))
        }
        ResourceKind::SnapshotGroup => {
            tx.snapshot_group(&SnapshotGroupId::new(id))?.map(|found| (found.account, found.region))
        }
        ResourceKind::Image => {
            tx.image(&ImageId::new(id))?.map(|found| (found.account, found.region))
        }
        ResourceKind::SecurityGroup => {
            tx.security_group(&SecurityGroupId::new(id))?.map(|found| (found.account, found.region))
        }
        ResourceKind::Vpc | ResourceKind::VSwitch => None,
        ResourceKind::Instance => {
            tx.instance(&InstanceId::new(id))?.map(|found| (found.account, found.region))
        }
    };
    match theirs {
        Some((account, place)) if account == *owner && place == *region => Ok(()),
        _ => Err(Denied::ResourceNotFound.into()),
    }
}
