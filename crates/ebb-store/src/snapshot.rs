//! Snapshots.

use ebb_domain::{
    AccountId, CopySource, DiskId, InstanceId, LockStatus, Origin, RegionId, Snapshot,
    SnapshotCategory, SnapshotGroupId, SnapshotId, SnapshotLock, SnapshotStatus, Tag, Timestamp,
};

use crate::disk::{kind_name, parse_kind};
use crate::encryption::{encryption, encryption_fields};
use crate::filter::Filter;
use crate::record::{Field, Record};
use crate::row::Row;
use crate::tx::text;
use crate::{LockQuery, Page, ResourceKind, SnapshotQuery, StoreError, Tx};

impl Tx<'_> {
    /// The snapshot of that id, whatever its status.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn snapshot(&self, id: &SnapshotId) -> Result<Option<Snapshot>, StoreError> {
        self.find(id.as_str())
    }

    /// Adds a snapshot with its tags.
    ///
    /// # Errors
    /// [`StoreError::Sql`], also where there is one of its id or version.
    pub fn insert_snapshot(&self, snapshot: &Snapshot) -> Result<(), StoreError> {
        self.insert(snapshot, &snapshot.tags)
    }

    /// Saves all of a snapshot but its tags. This transaction must have read it.
    ///
    /// # Errors
    /// [`StoreError::Stale`], [`StoreError::Sql`].
    pub fn save_snapshot(&self, snapshot: &Snapshot) -> Result<(), StoreError> {
        self.save(snapshot)
    }

    /// Removes a snapshot and its tags. One that is not there is no error.
    ///
    /// # Errors
    /// [`StoreError::Stale`] where this transaction has read another version, [`StoreError::Sql`].
    pub fn remove_snapshot(&self, id: &SnapshotId) -> Result<(), StoreError> {
        let data_key = self.data_key_of(ResourceKind::Snapshot, id.as_str())?;
        self.remove(ResourceKind::Snapshot, id.as_str())?;
        self.shred_data_key(data_key)
    }

    /// DescribeSnapshots.
    ///
    /// # Errors
    /// [`StoreError::BadToken`], [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn snapshots(&self, query: &SnapshotQuery) -> Result<Page<Snapshot>, StoreError> {
        self.page(filter(query), &query.page)
    }

    /// Whether a snapshot of the disk is progressing.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn has_unfinished_snapshot(&self, disk: &DiskId) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM snapshots WHERE source_disk = ? AND status = 'progressing'
                   AND copied_from IS NULL";
        self.exists(sql, &[text(disk.as_str())])
    }

    /// How many snapshots of the disk count towards its quota: neither failed nor on their way out,
    /// nor taken by a policy, nor copies elsewhere; imported ones included.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn manual_snapshots(&self, disk: &DiskId) -> Result<usize, StoreError> {
        let sql = "SELECT count(*) FROM snapshots
                   WHERE source_disk = ? AND status IN ('progressing', 'accomplished')
                   AND origin <> 'auto' AND copied_from IS NULL";
        Ok(self.count(sql, &[text(disk.as_str())])? as usize)
    }

    /// The snapshots of a disk that are there to be used, in the pool, the oldest first.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn accomplished_snapshots(&self, disk: &DiskId) -> Result<Vec<Snapshot>, StoreError> {
        let rest = "WHERE source_disk = ? AND status = 'accomplished' AND archived_bytes IS NULL
                    ORDER BY created_at, id";
        self.select(rest, &[text(disk.as_str())])
    }

    /// The ids of all snapshots that are in the archive.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn archived_snapshots(&self) -> Result<Vec<SnapshotId>, StoreError> {
        let sql = "SELECT id FROM snapshots WHERE archived_bytes IS NOT NULL";
        self.rows(("snapshots", "id"), sql, &[], |row| row.id("id", SnapshotId::new))
    }

    /// The snapshots that something is under way with.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn snapshots_in_transition(&self) -> Result<Vec<Snapshot>, StoreError> {
        self.select("WHERE status IN ('progressing', 'deleting') ORDER BY created_at, id", &[])
    }

    /// The snapshots whose retention is over at a time, the first to end first. Those that
    /// something is under way with are not among them.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn expired_snapshots(&self, now: Timestamp) -> Result<Vec<Snapshot>, StoreError> {
        // As the index has it.
        let rest = "WHERE retention_days IS NOT NULL
                    AND created_at + retention_days * 86400000 <= ?
                    AND status IN ('accomplished', 'failed')
                    ORDER BY created_at + retention_days * 86400000, id";
        self.select(rest, &[now.unix_millis().into()])
    }

    /// The engine's id of every snapshot that is in the pool, whoever's and wherever it is.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn all_versions(&self) -> Result<Vec<u64>, StoreError> {
        let sql = "SELECT id, version FROM snapshots WHERE archived_bytes IS NULL ORDER BY version";
        self.rows(("snapshots", "id"), sql, &[], |row| row.engine_id("version"))
    }
}

impl Record for Snapshot {
    const KIND: ResourceKind = ResourceKind::Snapshot;
    const IS_CARRIED: bool = true;

    fn id(&self) -> &str {
        self.id.as_str()
    }

    fn created_at(&self) -> Timestamp {
        self.created_at
    }

    fn under_way(&self) -> Option<&'static str> {
        let rests = matches!(self.status, SnapshotStatus::Accomplished | SnapshotStatus::Failed);
        (!rests).then_some(status_name(self.status))
    }

    fn set_tags(&mut self, tags: Vec<Tag>) {
        self.tags = tags;
    }

    fn fields(&self) -> Vec<Field> {
        let copied_from = self.copied_from.as_ref();
        let mut fields = vec![
            ("id", text(self.id.as_str())),
            ("account", text(self.account.as_str())),
            ("region", text(self.region.as_str())),
            ("source_disk", text(self.source_disk.as_str())),
            ("source_disk_gib", self.source_disk_gib.into()),
            ("source_disk_kind", text(kind_name(self.source_disk_kind))),
            ("name", text(&self.name)),
            ("description", text(&self.description)),
            ("status", text(status_name(self.status))),
            ("origin", text(origin_name(self.origin))),
            ("category", text(self.category.name())),
            ("retention_days", self.retention_days.into()),
            ("resource_group", text(&self.resource_group)),
            ("created_at", self.created_at.unix_millis().into()),
            ("modified_at", self.modified_at.map(Timestamp::unix_millis).into()),
            ("lock_created_at", self.lock.map(|lock| lock.created_at.unix_millis()).into()),
            ("lock_days", self.lock.map(|lock| lock.days).into()),
            ("lock_cool_off_hours", self.lock.map(|lock| lock.cool_off_hours).into()),
            ("snapshot_group", self.group.as_ref().map(|id| text(id.as_str())).into()),
            ("copied_from", copied_from.map(|from| text(from.snapshot.as_str())).into()),
            ("copied_from_region", copied_from.map(|from| text(from.region.as_str())).into()),
            ("version", self.version.cast_signed().into()),
            ("archived_bytes", self.archived_bytes.map(u64::cast_signed).into()),
        ];
        fields.extend(encryption_fields(self.encryption.as_ref()));
        fields
    }

    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id("id", SnapshotId::new)?,
            account: row.id("account", AccountId::new)?,
            region: row.id("region", RegionId::new)?,
            source_disk: row.id("source_disk", DiskId::new)?,
            source_disk_gib: row.get("source_disk_gib")?,
            source_disk_kind: row.name("source_disk_kind", parse_kind)?,
            name: row.get("name")?,
            description: row.get("description")?,
            status: row.name("status", parse_status)?,
            origin: row.name("origin", parse_origin)?,
            category: row.name("category", SnapshotCategory::parse)?,
            retention_days: row.get("retention_days")?,
            resource_group: row.get("resource_group")?,
            tags: Vec::new(),
            created_at: row.time("created_at")?,
            modified_at: row.time_if_any("modified_at")?,
            lock: lock(row)?,
            group: row.id_if_any("snapshot_group", SnapshotGroupId::new)?,
            copied_from: copied_from(row)?,
            encryption: encryption(row)?,
            version: row.engine_id("version")?,
            archived_bytes: row.get::<Option<i64>>("archived_bytes")?.map(i64::cast_unsigned),
        })
    }
}

/// What it is a copy of; `None` where it is none.
fn copied_from(row: &Row<'_>) -> Result<Option<CopySource>, StoreError> {
    let Some(snapshot) = row.id_if_any("copied_from", SnapshotId::new)? else { return Ok(None) };
    Ok(Some(CopySource { snapshot, region: row.id("copied_from_region", RegionId::new)? }))
}

/// The lock; `None` where there is none.
fn lock(row: &Row<'_>) -> Result<Option<SnapshotLock>, StoreError> {
    let Some(created_at) = row.time_if_any("lock_created_at")? else { return Ok(None) };
    Ok(Some(SnapshotLock {
        created_at,
        days: row.get("lock_days")?,
        cool_off_hours: row.get("lock_cool_off_hours")?,
    }))
}

fn filter(query: &SnapshotQuery) -> Filter {
    let (account, region) = (query.account.as_str(), query.region.as_str());
    let mut filter = Filter::of_shown(account, region, "status <> 'deleting'");
    filter.one_of("id", query.ids.as_ref().map(|ids| ids.iter().map(SnapshotId::as_str)));
    filter.and_if("source_disk = ?", query.disk.as_ref().map(DiskId::as_str));
    filter.and_if(
        "source_disk IN (SELECT disk FROM attachments WHERE instance = ?)",
        query.instance.as_ref().map(InstanceId::as_str),
    );
    filter.named(query.name.as_deref());
    filter.and_if("status = ?", query.status.as_deref());
    filter.flag("(origin = 'auto')", query.automatic);
    filter.and_if("source_disk_kind = ?", query.source_disk_kind.map(kind_name));
    filter.and_if("category = ?", query.category.map(SnapshotCategory::name));
    if let Some(wanted) = query.has_disks {
        let not = if wanted { "" } else { "NOT " };
        let made = "EXISTS (SELECT 1 FROM disks d WHERE d.source_snapshot = snapshots.id)";
        filter.and(format!("{not}{made}"), []);
    }
    if let Some(wanted) = query.has_images {
        let not = if wanted { "" } else { "NOT " };
        let named = "EXISTS (SELECT 1 FROM image_disks i WHERE i.snapshot = snapshots.id)";
        filter.and(format!("{not}{named}"), []);
    }
    filter.flag("(data_key IS NOT NULL)", query.encrypted);
    filter.and_if("kms_key = ?", query.kms_key.as_deref());
    filter.and_if("resource_group = ?", query.resource_group.as_deref());
    filter.created(query.created_from, query.created_to);
    if let Some(locks) = query.locks {
        locked(&mut filter, locks);
    }
    filter.tagged(ResourceKind::Snapshot, "snapshots.id", &query.tags);
    filter
}

/// As [`SnapshotLock::status`] has it.
fn locked(filter: &mut Filter, locks: LockQuery) {
    // As the index has it.
    filter.and("lock_created_at IS NOT NULL", []);
    let ends_at = "lock_created_at + lock_days * 86400000";
    let cools_off_until = "lock_created_at + lock_cool_off_hours * 3600000";
    let now = || [locks.now.unix_millis().into()];
    match locks.status {
        None => {}
        Some(LockStatus::Expired) => filter.and(format!("{ends_at} <= ?"), now()),
        Some(LockStatus::Compliance) => {
            filter.and(format!("{ends_at} > ?"), now());
            filter.and(format!("{cools_off_until} <= ?"), now());
        }
        Some(LockStatus::CoolOff) => {
            filter.and(format!("{ends_at} > ?"), now());
            filter.and(format!("{cools_off_until} > ?"), now());
        }
    }
}

const fn status_name(status: SnapshotStatus) -> &'static str {
    match status {
        SnapshotStatus::Progressing => "progressing",
        SnapshotStatus::Accomplished => "accomplished",
        SnapshotStatus::Failed => "failed",
        SnapshotStatus::Deleting => "deleting",
    }
}

fn parse_status(name: &str) -> Option<SnapshotStatus> {
    use SnapshotStatus::{Accomplished, Deleting, Failed, Progressing};

    [Progressing, Accomplished, Failed, Deleting].into_iter().find(|s| status_name(*s) == name)
}

const fn origin_name(origin: Origin) -> &'static str {
    match origin {
        Origin::User => "user",
        Origin::Import => "import",
        Origin::Auto => "auto",
    }
}

fn parse_origin(name: &str) -> Option<Origin> {
    [Origin::User, Origin::Import, Origin::Auto]
        .into_iter()
        .find(|origin| origin_name(*origin) == name)
}
