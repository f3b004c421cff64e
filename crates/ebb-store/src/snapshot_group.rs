//! Snapshot groups.

use ebb_domain::{
    AccountId, InstanceId, RegionId, Snapshot, SnapshotGroup, SnapshotGroupId, SnapshotGroupStatus,
    Tag, Timestamp,
};

use crate::filter::Filter;
use crate::record::{Field, Record};
use crate::row::Row;
use crate::tx::text;
use crate::{Page, PageRequest, ResourceKind, StoreError, TagFilter, Tx};

/// DescribeSnapshotGroups. `None` and an empty list of tags mean any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotGroupQuery {
    /// Whose.
    pub account: AccountId,
    /// Where.
    pub region: RegionId,
    /// Which; unknown ids are simply absent.
    pub ids: Option<Vec<SnapshotGroupId>>,
    /// InstanceId
    pub instance: Option<InstanceId>,
    /// Name; `*` stands for anything
    pub name: Option<String>,
    /// Status, by wire names: it has one of them
    pub statuses: Option<Vec<String>>,
    /// ResourceGroupId
    pub resource_group: Option<String>,
    /// All of them
    pub tags: Vec<TagFilter>,
    /// Which part
    pub page: PageRequest,
}

impl Tx<'_> {
    /// The group of that id.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn snapshot_group(
        &self,
        id: &SnapshotGroupId,
    ) -> Result<Option<SnapshotGroup>, StoreError> {
        self.find(id.as_str())
    }

    /// Adds a group with its tags.
    ///
    /// # Errors
    /// [`StoreError::Sql`], also where there is one of its id.
    pub fn insert_snapshot_group(&self, group: &SnapshotGroup) -> Result<(), StoreError> {
        self.insert(group, &group.tags)
    }

    /// Saves all of a group but its tags. This transaction must have read it.
    ///
    /// # Errors
    /// [`StoreError::Stale`], [`StoreError::Sql`].
    pub fn save_snapshot_group(&self, group: &SnapshotGroup) -> Result<(), StoreError> {
        self.save(group)
    }

    /// Removes a group and its tags; its snapshots stay. One that is not there is no error.
    ///
    /// # Errors
    /// [`StoreError::Stale`] where this transaction has read another version, [`StoreError::Sql`].
    pub fn remove_snapshot_group(&self, id: &SnapshotGroupId) -> Result<(), StoreError> {
        self.remove(ResourceKind::SnapshotGroup, id.as_str())
    }

    /// DescribeSnapshotGroups.
    ///
    /// # Errors
    /// [`StoreError::BadToken`], [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn snapshot_groups(
        &self,
        query: &SnapshotGroupQuery,
    ) -> Result<Page<SnapshotGroup>, StoreError> {
        self.page(filter(query), &query.page)
    }

    /// The snapshots of a group, but for those on their way out, by the disks they are of.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn snapshots_of_group(&self, id: &SnapshotGroupId) -> Result<Vec<Snapshot>, StoreError> {
        let rest = "WHERE snapshot_group = ? AND status <> 'deleting' ORDER BY source_disk, id";
        self.select(rest, &[text(id.as_str())])
    }

    /// The groups whose snapshots are being taken.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn snapshot_groups_in_transition(&self) -> Result<Vec<SnapshotGroup>, StoreError> {
        self.select("WHERE status = 'progressing' ORDER BY created_at, id", &[])
    }
}

impl Record for SnapshotGroup {
    const KIND: ResourceKind = ResourceKind::SnapshotGroup;
    const IS_CARRIED: bool = true;

    fn id(&self) -> &str {
        self.id.as_str()
    }

    fn created_at(&self) -> Timestamp {
        self.created_at
    }

    fn under_way(&self) -> Option<&'static str> {
        let rests = matches!(self.status, SnapshotGroupStatus::Accomplished);
        (!rests).then_some(self.status.name())
    }

    fn set_tags(&mut self, tags: Vec<Tag>) {
        self.tags = tags;
    }

    fn fields(&self) -> Vec<Field> {
        vec![
            ("id", text(self.id.as_str())),
            ("account", text(self.account.as_str())),
            ("region", text(self.region.as_str())),
            ("instance", self.instance.as_ref().map(|id| text(id.as_str())).into()),
            ("name", text(&self.name)),
            ("description", text(&self.description)),
            ("status", text(self.status.name())),
            ("resource_group", text(&self.resource_group)),
            ("created_at", self.created_at.unix_millis().into()),
        ]
    }

    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id("id", SnapshotGroupId::new)?,
            account: row.id("account", AccountId::new)?,
            region: row.id("region", RegionId::new)?,
            instance: row.id_if_any("instance", InstanceId::new)?,
            name: row.get("name")?,
            description: row.get("description")?,
            status: row.name("status", SnapshotGroupStatus::parse)?,
            resource_group: row.get("resource_group")?,
            tags: Vec::new(),
            created_at: row.time("created_at")?,
        })
    }
}

fn filter(query: &SnapshotGroupQuery) -> Filter {
    let mut filter = Filter::of(query.account.as_str(), query.region.as_str());
    filter.one_of("id", query.ids.as_ref().map(|ids| ids.iter().map(SnapshotGroupId::as_str)));
    filter.and_if("instance = ?", query.instance.as_ref().map(InstanceId::as_str));
    filter.named(query.name.as_deref());
    filter.one_of("status", query.statuses.as_ref().map(|all| all.iter().map(String::as_str)));
    filter.and_if("resource_group = ?", query.resource_group.as_deref());
    filter.tagged(ResourceKind::SnapshotGroup, "snapshot_groups.id", &query.tags);
    filter
}
