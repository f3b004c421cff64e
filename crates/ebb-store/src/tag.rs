//! Tags, which lie beside the resources that have them.
//!
//! A resource's tags come in the order of their keys.

use ebb_domain::{AccountId, RegionId, Tag};

use crate::filter::Filter;
use crate::page::{self, Cursor};
use crate::tx::{Value, text};
use crate::{
    Page, PageRequest, ResourceKind, StoreError, TagCount, TagCountQuery, TagQuery, TagRow, Tx,
};

impl ResourceKind {
    /// The wire name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Disk => "disk",
            Self::Snapshot => "snapshot",
            Self::Instance => "instance",
            Self::SnapshotGroup => "snapshotgroup",
            Self::SnapshotPolicy => "snapshotpolicy",
            Self::Image => "image",
            Self::SecurityGroup => "securitygroup",
            Self::VSwitch => "vswitch",
            Self::Vpc => "vpc",
        }
    }

    /// A condition on tags, and its values: those of the resources of this kind that are shown.
    fn shown(self, account: &AccountId, region: &RegionId) -> (String, [Value; 3]) {
        let visible = match self {
            Self::Snapshot => " AND status <> 'deleting'",
            _ => "",
        };
        let condition = format!(
            "kind = ? AND resource IN \
             (SELECT id FROM {} WHERE account = ? AND region = ?{visible})",
            self.table()
        );
        (condition, [text(self.name()), text(account.as_str()), text(region.as_str())])
    }

    /// How long a whole list is, where that is kept: by table, account and region.
    pub(crate) const fn list_size(self) -> Option<&'static str> {
        match self {
            Self::Disk | Self::Snapshot | Self::Instance => Some(
                "SELECT CAST(coalesce(sum(size), 0) AS BIGINT) FROM list_sizes
                 WHERE list = ? AND account = ? AND region = ?",
            ),
            _ => None,
        }
    }

    pub(crate) const fn table(self) -> &'static str {
        match self {
            Self::Disk => "disks",
            Self::Snapshot => "snapshots",
            Self::Instance => "instances",
            Self::SnapshotGroup => "snapshot_groups",
            Self::SnapshotPolicy => "auto_snapshot_policies",
            Self::Image => "images",
            Self::SecurityGroup => "security_groups",
            Self::VSwitch => "vswitches",
            Self::Vpc => "vpcs",
        }
    }
}

impl Tx<'_> {
    /// Puts tags on a resource; one whose key is there gets the new value.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn put_tags(&self, kind: ResourceKind, id: &str, tags: &[Tag]) -> Result<(), StoreError> {
        for Tag { key, value } in tags {
            self.execute(
                "INSERT INTO tags (kind, resource, key, value) VALUES (?, ?, ?, ?)
                 ON CONFLICT (kind, resource, key) DO UPDATE SET value = excluded.value",
                &[text(kind.name()), text(id), text(key), text(value)],
            )?;
        }
        Ok(())
    }

    /// Takes the tags with these keys off a resource; all of them where `keys` is `None`.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn remove_tags(
        &self,
        kind: ResourceKind,
        id: &str,
        keys: Option<&[String]>,
    ) -> Result<(), StoreError> {
        let mut filter = Filter::default();
        filter.and("kind = ? AND resource = ?", [text(kind.name()), text(id)]);
        filter.one_of("key", keys.map(|keys| keys.iter().map(String::as_str)));
        self.execute(&format!("DELETE FROM tags {filter}"), filter.values())?;
        Ok(())
    }

    /// The tags of a resource.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn tags_of(&self, kind: ResourceKind, id: &str) -> Result<Vec<Tag>, StoreError> {
        let sql = "SELECT * FROM tags WHERE kind = ? AND resource = ? ORDER BY key";
        self.rows(("tags", "resource"), sql, &[text(kind.name()), text(id)], |row| {
            Ok(Tag { key: row.get("key")?, value: row.get("value")? })
        })
    }

    /// ListTagResources: all tags of the resources asked for, by resource and key.
    ///
    /// # Errors
    /// [`StoreError::BadToken`], [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn tag_rows(&self, query: &TagQuery) -> Result<Page<TagRow>, StoreError> {
        let TagQuery { account, region, kind, resources, tags, after, size } = query;
        let mut filter = Filter::default();
        let (shown, values) = kind.shown(account, region);
        filter.and(shown, values);
        let resources = (!resources.is_empty()).then_some(resources.iter().map(String::as_str));
        filter.one_of("resource", resources);
        filter.tagged(*kind, "tags.resource", tags);
        let total = self.count(&format!("SELECT count(*) FROM tags {filter}"), filter.values())?;
        let list = format!("tags of {}", kind.table());
        if let Some(token) = after {
            let Cursor(resource, key) = page::decode(&list, token)?;
            filter.and("(resource, key) > (?, ?)", [Value::Text(resource), Value::Text(key)]);
        }
        let request = PageRequest::Token { after: after.clone(), size: *size };
        let [limit, _] = page::range(&request);
        let sql = format!("SELECT * FROM tags {filter} ORDER BY resource, key LIMIT ?");
        let mut values = filter.into_values();
        values.push(limit.into());
        let mut items = self.rows(("tags", "resource"), &sql, &values, |row| {
            Ok(TagRow {
                kind: *kind,
                resource: row.get("resource")?,
                key: row.get("key")?,
                value: row.get("value")?,
            })
        })?;
        let next = page::cut(&mut items, &request)
            .map(|last| page::encode(&list, &last.resource, &last.key));
        Ok(Page { items, total, next })
    }

    /// DescribeTags: each key and value once, in their order, with how many resources have them.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn tag_counts(&self, query: &TagCountQuery) -> Result<Page<TagCount>, StoreError> {
        let filter = counted(query);
        let rows = format!("FROM tags {filter} GROUP BY key, value");
        let total =
            self.count(&format!("SELECT count(*) FROM (SELECT 1 {rows}) AS tag"), filter.values())?;
        let of = |kind: ResourceKind| format!("count(*) FILTER (WHERE kind = '{}')", kind.name());
        let sql = format!(
            "SELECT key, value, {} AS disks, {} AS snapshots, {} AS instances {rows} \
             ORDER BY key, value LIMIT ? OFFSET ?",
            of(ResourceKind::Disk),
            of(ResourceKind::Snapshot),
            of(ResourceKind::Instance)
        );
        let mut values = filter.into_values();
        values.extend(page::range(&query.page).map(Value::from));
        let mut items = self.rows(("tags", "key"), &sql, &values, |row| {
            Ok(TagCount {
                key: row.get("key")?,
                value: row.get("value")?,
                disks: row.get("disks")?,
                snapshots: row.get("snapshots")?,
                instances: row.get("instances")?,
            })
        })?;
        page::cut(&mut items, &query.page);
        Ok(Page { items, total, next: None })
    }
}

fn counted(query: &TagCountQuery) -> Filter {
    let TagCountQuery { account, region, kind, resource, tags, page: _ } = query;
    let mut filter = Filter::default();
    let kinds = [ResourceKind::Disk, ResourceKind::Snapshot, ResourceKind::Instance];
    let (shown, values): (Vec<_>, Vec<_>) =
        kinds.into_iter().map(|kind| kind.shown(account, region)).unzip();
    filter.and(shown.join(" OR "), values.into_iter().flatten());
    filter.and_if("kind = ?", kind.map(ResourceKind::name));
    filter.and_if("resource = ?", resource.as_deref());
    if !tags.is_empty() {
        let (mut any, mut values) = (Vec::new(), Vec::new());
        for tag in tags {
            any.push(if tag.value.is_some() { "key = ? AND value = ?" } else { "key = ?" });
            values.push(text(&tag.key));
            values.extend(tag.value.as_deref().map(text));
        }
        filter.and(any.join(" OR "), values);
    }
    filter
}
