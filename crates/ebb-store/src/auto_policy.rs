//! Automatic snapshot policies.

use ebb_domain::{
    AccountId, AutoSnapshotPolicy, AutoSnapshotPolicyId, CopyEncryption, Disk, DiskId, RegionId,
    Slots, Snapshot, SnapshotId, Tag, Timestamp,
};

use crate::filter::Filter;
use crate::record::{Field, Record};
use crate::row::Row;
use crate::tx::text;
use crate::{Page, PageRequest, ResourceKind, StoreError, TagFilter, Tx};

/// DescribeAutoSnapshotPolicyEx. `None` and an empty list of tags mean any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AutoPolicyQuery {
    /// Whose.
    pub account: AccountId,
    /// Where.
    pub region: RegionId,
    /// AutoSnapshotPolicyId
    pub id: Option<AutoSnapshotPolicyId>,
    /// AutoSnapshotPolicyName; `*` stands for anything
    pub name: Option<String>,
    /// ResourceGroupId
    pub resource_group: Option<String>,
    /// All of them
    pub tags: Vec<TagFilter>,
    /// Which part
    pub page: PageRequest,
}

impl Tx<'_> {
    /// The policy of that id.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn auto_policy(
        &self,
        id: &AutoSnapshotPolicyId,
    ) -> Result<Option<AutoSnapshotPolicy>, StoreError> {
        self.find(id.as_str())
    }

    /// Adds a policy with its tags.
    ///
    /// # Errors
    /// [`StoreError::Sql`], also where there is one of its id.
    pub fn insert_auto_policy(&self, policy: &AutoSnapshotPolicy) -> Result<(), StoreError> {
        self.insert(policy, &policy.tags)
    }

    /// Saves all of a policy but its tags. This transaction must have read it.
    ///
    /// # Errors
    /// [`StoreError::Stale`], [`StoreError::Sql`].
    pub fn save_auto_policy(&self, policy: &AutoSnapshotPolicy) -> Result<(), StoreError> {
        self.save(policy)
    }

    /// Removes a policy, its tags, and it from the disks that have it.
    ///
    /// # Errors
    /// [`StoreError::Stale`], [`StoreError::Sql`].
    pub fn remove_auto_policy(&self, id: &AutoSnapshotPolicyId) -> Result<(), StoreError> {
        for mut disk in self.disks_of_policy(id)? {
            disk.auto_snapshot_policy = None;
            self.save_disk(&disk)?;
        }
        self.remove(ResourceKind::SnapshotPolicy, id.as_str())
    }

    /// DescribeAutoSnapshotPolicyEx.
    ///
    /// # Errors
    /// [`StoreError::BadToken`], [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn auto_policies(
        &self,
        query: &AutoPolicyQuery,
    ) -> Result<Page<AutoSnapshotPolicy>, StoreError> {
        self.page(filter(query), &query.page)
    }

    /// Every policy, whoever's and wherever it is.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn all_auto_policies(&self) -> Result<Vec<AutoSnapshotPolicy>, StoreError> {
        self.select("ORDER BY created_at, id", &[])
    }

    /// The disks that have a policy.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn disks_of_policy(&self, id: &AutoSnapshotPolicyId) -> Result<Vec<Disk>, StoreError> {
        self.select("WHERE auto_snapshot_policy = ? ORDER BY id", &[text(id.as_str())])
    }

    /// The disk's automatic snapshots, but for those on their way out, the oldest first. Copies of
    /// them elsewhere are not among them.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn auto_snapshots(&self, disk: &DiskId) -> Result<Vec<Snapshot>, StoreError> {
        let rest = "WHERE source_disk = ? AND origin = 'auto' AND copied_from IS NULL
                    AND status <> 'deleting' ORDER BY created_at, id";
        self.select(rest, &[text(disk.as_str())])
    }

    /// Whether there is a copy of a snapshot in a region.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn has_copy(
        &self,
        disk: &DiskId,
        id: &SnapshotId,
        in_: &RegionId,
    ) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM snapshots
                   WHERE source_disk = ? AND copied_from = ? AND region = ?";
        self.exists(sql, &[text(disk.as_str()), text(id.as_str()), text(in_.as_str())])
    }
}

impl Record for AutoSnapshotPolicy {
    const KIND: ResourceKind = ResourceKind::SnapshotPolicy;

    fn id(&self) -> &str {
        self.id.as_str()
    }

    fn created_at(&self) -> Timestamp {
        self.created_at
    }

    fn set_tags(&mut self, tags: Vec<Tag>) {
        self.tags = tags;
    }

    fn fields(&self) -> Vec<Field> {
        let copy_to: Vec<&str> = self.copy_to.iter().map(RegionId::as_str).collect();
        vec![
            ("id", text(self.id.as_str())),
            ("account", text(self.account.as_str())),
            ("region", text(self.region.as_str())),
            ("name", text(&self.name)),
            ("hours", self.hours.bits().into()),
            ("weekdays", self.weekdays.bits().into()),
            ("retention_days", self.retention_days.into()),
            ("copy_to", text(&copy_to.join(","))),
            ("copy_retention_days", self.copy_retention_days.into()),
            ("copy_encrypted", self.copy_encryption.encrypted.into()),
            ("copy_key", self.copy_encryption.key.as_deref().map(text).into()),
            ("resource_group", text(&self.resource_group)),
            ("created_at", self.created_at.unix_millis().into()),
            ("done_until", self.done_until.unix_millis().into()),
        ]
    }

    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        let copy_to: String = row.get("copy_to")?;
        let names = copy_to.split(',').filter(|name| !name.is_empty());
        Ok(Self {
            id: row.id("id", AutoSnapshotPolicyId::new)?,
            account: row.id("account", AccountId::new)?,
            region: row.id("region", RegionId::new)?,
            name: row.get("name")?,
            hours: Slots::from_bits(row.get("hours")?),
            weekdays: Slots::from_bits(row.get("weekdays")?),
            retention_days: row.get("retention_days")?,
            copy_to: names.map(RegionId::new).collect(),
            copy_retention_days: row.get("copy_retention_days")?,
            copy_encryption: CopyEncryption {
                encrypted: row.get("copy_encrypted")?,
                key: row.get("copy_key")?,
            },
            resource_group: row.get("resource_group")?,
            tags: Vec::new(),
            created_at: row.time("created_at")?,
            done_until: row.time("done_until")?,
        })
    }
}

fn filter(query: &AutoPolicyQuery) -> Filter {
    let mut filter = Filter::of(query.account.as_str(), query.region.as_str());
    filter.and_if("id = ?", query.id.as_ref().map(AutoSnapshotPolicyId::as_str));
    filter.named(query.name.as_deref());
    filter.and_if("resource_group = ?", query.resource_group.as_deref());
    filter.tagged(ResourceKind::SnapshotPolicy, "auto_snapshot_policies.id", &query.tags);
    filter
}
