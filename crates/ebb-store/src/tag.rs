//! Tags, which lie beside the resources that have them.
//!
//! A resource's tags come in the order of their keys.

use ebb_domain::Tag;

use crate::filter::Filter;
use crate::page::{self, Cursor};
use crate::tx::{Value, text};
use crate::{Page, PageRequest, ResourceKind, StoreError, TagQuery, TagRow, Tx};

impl ResourceKind {
    /// The wire name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Disk => "disk",
            Self::Snapshot => "snapshot",
            Self::Instance => "instance",
        }
    }

    pub(crate) const fn table(self) -> &'static str {
        match self {
            Self::Disk => "disks",
            Self::Snapshot => "snapshots",
            Self::Instance => "instances",
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
        let visible = match kind {
            ResourceKind::Snapshot => " AND status <> 'deleting'",
            ResourceKind::Disk | ResourceKind::Instance => "",
        };
        filter.and(
            format!(
                "kind = ? AND resource IN \
                 (SELECT id FROM {} WHERE account = ? AND region = ?{visible})",
                kind.table()
            ),
            [text(kind.name()), text(account.as_str()), text(region.as_str())],
        );
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
}
