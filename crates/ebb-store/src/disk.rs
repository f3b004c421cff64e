//! Disks, where they are attached, and the ids of those that were deleted.
//!
//! A disk's attachments come oldest first, then by instance.

use ebb_domain::{
    AccountId, Attachment, AutoSnapshotPolicyId, Category, Disk, DiskId, DiskKind, DiskStatus,
    ImageId, InstanceId, PerformanceLevel, RegionId, SnapshotId, Tag, Timestamp, ZoneId,
};

use crate::encryption::{encryption, encryption_fields};
use crate::filter::Filter;
use crate::record::{Field, Record};
use crate::row::Row;
use crate::tx::text;
use crate::{DiskQuery, Page, ResourceKind, StoreError, Tx};

impl Tx<'_> {
    /// The disk of that id.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn disk(&self, id: &DiskId) -> Result<Option<Disk>, StoreError> {
        self.find(id.as_str())
    }

    /// Adds a disk with its tags and attachments.
    ///
    /// # Errors
    /// [`StoreError::Sql`], also where there is one of its id or volume, or a device name is taken.
    pub fn insert_disk(&self, disk: &Disk) -> Result<(), StoreError> {
        self.insert(disk, &disk.tags)
    }

    /// Saves all of a disk but its tags. This transaction must have read it.
    ///
    /// # Errors
    /// [`StoreError::Stale`], [`StoreError::Sql`].
    pub fn save_disk(&self, disk: &Disk) -> Result<(), StoreError> {
        self.save(disk)
    }

    /// Removes a disk and all that is its own; that there was one is remembered for ever. One that
    /// is not there is no error.
    ///
    /// # Errors
    /// [`StoreError::Stale`] where this transaction has read another version, [`StoreError::Sql`].
    pub fn remove_disk(&self, id: &DiskId, at: Timestamp) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO deleted_disks (id, account, region, deleted_at)
             SELECT id, account, region, ? FROM disks WHERE id = ?",
            &[at.unix_millis().into(), text(id.as_str())],
        )?;
        let data_key = self.data_key_of(ResourceKind::Disk, id.as_str())?;
        self.remove(ResourceKind::Disk, id.as_str())?;
        self.shred_data_key(data_key)
    }

    /// Where the account had a disk of that id, if it had one and deleted it.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn disk_was_deleted(
        &self,
        account: &AccountId,
        id: &DiskId,
    ) -> Result<Option<RegionId>, StoreError> {
        let sql = "SELECT id, region FROM deleted_disks WHERE id = ? AND account = ?";
        let values = [text(id.as_str()), text(account.as_str())];
        let mut regions =
            self.rows(("deleted_disks", "id"), sql, &values, |r| r.id("region", RegionId::new))?;
        Ok(regions.pop())
    }

    /// DescribeDisks.
    ///
    /// # Errors
    /// [`StoreError::BadToken`], [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn disks(&self, query: &DiskQuery) -> Result<Page<Disk>, StoreError> {
        self.page(filter(query), &query.page)
    }

    /// The disks that an instance has, by device name: `/dev/xvdz` before `/dev/xvdaa`.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn disks_of_instance(&self, id: &InstanceId) -> Result<Vec<Disk>, StoreError> {
        self.select(
            "JOIN attachments a ON a.disk = disks.id AND a.instance = ?
             ORDER BY length(a.device), a.device",
            &[text(id.as_str())],
        )
    }

    /// The disks that something is under way with.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn disks_in_transition(&self) -> Result<Vec<Disk>, StoreError> {
        self.select("WHERE status NOT IN ('Available', 'In_use') ORDER BY created_at, id", &[])
    }

    /// The engine's id of every volume, whoever's and wherever it is.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn all_volumes(&self) -> Result<Vec<u64>, StoreError> {
        let sql = "SELECT id, volume FROM disks ORDER BY volume";
        self.rows(("disks", "id"), sql, &[], |row| row.engine_id("volume"))
    }

    /// The engine's id of every volume, and the size in GiB that it is to have.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn volume_sizes(&self) -> Result<Vec<(u64, u32)>, StoreError> {
        let sql = "SELECT id, volume, size_gib FROM disks ORDER BY volume";
        let read = |row: &Row<'_>| Ok((row.engine_id("volume")?, row.get("size_gib")?));
        self.rows(("disks", "id"), sql, &[], read)
    }

    /// How many disks there are that were made from a snapshot.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn disks_made_from(&self, id: &SnapshotId) -> Result<usize, StoreError> {
        let sql = "SELECT count(*) FROM disks WHERE source_snapshot = ?";
        Ok(self.count(sql, &[text(id.as_str())])? as usize)
    }

    /// Whether a disk is being reset to a snapshot.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn disk_resetting_to(&self, id: &SnapshotId) -> Result<bool, StoreError> {
        self.exists("SELECT 1 FROM disks WHERE resetting_to = ?", &[text(id.as_str())])
    }

    fn attachments(&self, id: &DiskId) -> Result<Vec<Attachment>, StoreError> {
        let sql = "SELECT * FROM attachments WHERE disk = ? ORDER BY attached_at, instance";
        self.rows(("attachments", "disk"), sql, &[text(id.as_str())], |row| {
            Ok(Attachment {
                instance: row.id("instance", InstanceId::new)?,
                device: row.get("device")?,
                at: row.time("attached_at")?,
            })
        })
    }
}

impl Record for Disk {
    const KIND: ResourceKind = ResourceKind::Disk;
    const IS_CARRIED: bool = true;

    fn id(&self) -> &str {
        self.id.as_str()
    }

    fn created_at(&self) -> Timestamp {
        self.created_at
    }

    fn under_way(&self) -> Option<&'static str> {
        let rests = matches!(self.status, DiskStatus::Available | DiskStatus::InUse);
        (!rests).then_some(status_name(&self.status).0)
    }

    fn set_tags(&mut self, tags: Vec<Tag>) {
        self.tags = tags;
    }

    fn fields(&self) -> Vec<Field> {
        let (status, resetting_to) = status_name(&self.status);
        let mut fields = vec![
            ("id", text(self.id.as_str())),
            ("account", text(self.account.as_str())),
            ("region", text(self.region.as_str())),
            ("zone", text(self.zone.as_str())),
            ("kind", text(kind_name(self.kind))),
            ("category", text(self.category.name())),
            ("performance_level", self.performance_level.map(|level| text(level.name())).into()),
            ("size_gib", self.size_gib.into()),
            ("name", text(&self.name)),
            ("description", text(&self.description)),
            ("status", text(status)),
            ("resetting_to", resetting_to.map(text).into()),
            ("delete_with_instance", self.delete_with_instance.into()),
            ("delete_auto_snapshot", self.delete_auto_snapshot.into()),
            ("enable_auto_snapshot", self.enable_auto_snapshot.into()),
            (
                "auto_snapshot_policy",
                self.auto_snapshot_policy.as_ref().map(|id| text(id.as_str())).into(),
            ),
            ("multi_attach", self.multi_attach.into()),
            ("provisioned_iops", self.provisioned_iops.into()),
            ("bursting", self.bursting.into()),
            ("source_snapshot", self.source_snapshot.as_ref().map(|id| text(id.as_str())).into()),
            ("cloned_from", self.cloned_from.as_ref().map(|id| text(id.as_str())).into()),
            ("image", self.image.as_ref().map(|id| text(id.as_str())).into()),
            ("resource_group", text(&self.resource_group)),
            ("created_at", self.created_at.unix_millis().into()),
            ("attached_at", self.attached_at.map(Timestamp::unix_millis).into()),
            ("detached_at", self.detached_at.map(Timestamp::unix_millis).into()),
            ("volume", self.volume.cast_signed().into()),
        ];
        fields.extend(encryption_fields(self.encryption.as_ref()));
        fields
    }

    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id("id", DiskId::new)?,
            account: row.id("account", AccountId::new)?,
            region: row.id("region", RegionId::new)?,
            zone: row.id("zone", ZoneId::new)?,
            kind: row.name("kind", parse_kind)?,
            category: row.name("category", Category::parse)?,
            performance_level: row.name_if_any("performance_level", PerformanceLevel::parse)?,
            size_gib: row.get("size_gib")?,
            name: row.get("name")?,
            description: row.get("description")?,
            status: status(row)?,
            delete_with_instance: row.get("delete_with_instance")?,
            delete_auto_snapshot: row.get("delete_auto_snapshot")?,
            enable_auto_snapshot: row.get("enable_auto_snapshot")?,
            auto_snapshot_policy: row
                .id_if_any("auto_snapshot_policy", AutoSnapshotPolicyId::new)?,
            multi_attach: row.get("multi_attach")?,
            provisioned_iops: row.get("provisioned_iops")?,
            bursting: row.get("bursting")?,
            source_snapshot: row.id_if_any("source_snapshot", SnapshotId::new)?,
            cloned_from: row.id_if_any("cloned_from", DiskId::new)?,
            image: row.id_if_any("image", ImageId::new)?,
            resource_group: row.get("resource_group")?,
            tags: Vec::new(),
            created_at: row.time("created_at")?,
            attached_at: row.time_if_any("attached_at")?,
            detached_at: row.time_if_any("detached_at")?,
            attachments: Vec::new(),
            encryption: encryption(row)?,
            volume: row.engine_id("volume")?,
        })
    }

    fn load_parts(&mut self, tx: &Tx<'_>) -> Result<(), StoreError> {
        self.attachments = tx.attachments(&self.id)?;
        Ok(())
    }

    /// Most saves change the status only, and then write no attachment.
    fn save_parts(&self, tx: &Tx<'_>) -> Result<(), StoreError> {
        if tx.attachments(&self.id)? == self.attachments {
            return Ok(());
        }
        tx.execute("DELETE FROM attachments WHERE disk = ?", &[text(self.id.as_str())])?;
        for Attachment { instance, device, at } in &self.attachments {
            tx.execute(
                "INSERT INTO attachments (disk, instance, device, attached_at)
                 VALUES (?, ?, ?, ?)",
                &[
                    text(self.id.as_str()),
                    text(instance.as_str()),
                    text(device),
                    at.unix_millis().into(),
                ],
            )?;
        }
        Ok(())
    }
}

fn filter(query: &DiskQuery) -> Filter {
    let mut filter = Filter::of(query.account.as_str(), query.region.as_str());
    filter.one_of("id", query.ids.as_ref().map(|ids| ids.iter().map(DiskId::as_str)));
    filter.and_if("zone = ?", query.zone.as_ref().map(ZoneId::as_str));
    filter.and_if(
        "id IN (SELECT disk FROM attachments WHERE instance = ?)",
        query.instance.as_ref().map(InstanceId::as_str),
    );
    filter.and_if("kind = ?", query.kind.map(kind_name));
    filter.and_if("category = ?", query.category.map(Category::name));
    filter.and_if("status = ?", query.status.as_deref());
    filter.and_if("source_snapshot = ?", query.snapshot.as_ref().map(SnapshotId::as_str));
    // What is portable follows from the category: see Disk::is_portable.
    let portable = |wanted| Category::ALL.into_iter().filter(move |c| c.is_local() != wanted);
    filter.one_of("category", query.portable.map(|wanted| portable(wanted).map(Category::name)));
    filter.flag("delete_with_instance", query.delete_with_instance);
    filter.flag("delete_auto_snapshot", query.delete_auto_snapshot);
    filter.flag("enable_auto_snapshot", query.enable_auto_snapshot);
    let policy = query.auto_snapshot_policy.as_ref().map(AutoSnapshotPolicyId::as_str);
    filter.and_if("auto_snapshot_policy = ?", policy);
    filter.flag("(auto_snapshot_policy IS NOT NULL)", query.has_auto_snapshot_policy);
    filter.named(query.name.as_deref());
    filter.flag("multi_attach", query.multi_attach);
    filter.flag("(data_key IS NOT NULL)", query.encrypted);
    filter.and_if("kms_key = ?", query.kms_key.as_deref());
    filter.and_if("performance_level = ?", query.performance_level.map(PerformanceLevel::name));
    filter.and_if("resource_group = ?", query.resource_group.as_deref());
    filter.created(query.created_from, query.created_to);
    filter.tagged(ResourceKind::Disk, "disks.id", &query.tags);
    filter
}

pub(crate) const fn kind_name(kind: DiskKind) -> &'static str {
    match kind {
        DiskKind::System => "system",
        DiskKind::Data => "data",
    }
}

pub(crate) fn parse_kind(name: &str) -> Option<DiskKind> {
    [DiskKind::System, DiskKind::Data].into_iter().find(|kind| kind_name(*kind) == name)
}

/// The wire name, and the snapshot that a reset goes to: empty where the disk is to be empty.
fn status_name(status: &DiskStatus) -> (&'static str, Option<&str>) {
    match status {
        DiskStatus::Creating => ("Creating", None),
        DiskStatus::Available => ("Available", None),
        DiskStatus::Attaching => ("Attaching", None),
        DiskStatus::InUse => ("In_use", None),
        DiskStatus::Detaching => ("Detaching", None),
        DiskStatus::Resetting(snapshot) => ("ReIniting", Some(snapshot.as_str())),
        DiskStatus::Emptying => ("ReIniting", Some("")),
        DiskStatus::Deleting => ("Deleting", None),
    }
}

fn status(row: &Row<'_>) -> Result<DiskStatus, StoreError> {
    let name: String = row.get("status")?;
    Ok(match name.as_str() {
        "Creating" => DiskStatus::Creating,
        "Available" => DiskStatus::Available,
        "Attaching" => DiskStatus::Attaching,
        "In_use" => DiskStatus::InUse,
        "Detaching" => DiskStatus::Detaching,
        "ReIniting" => match row.get::<String>("resetting_to")?.as_str() {
            "" => DiskStatus::Emptying,
            snapshot => DiskStatus::Resetting(SnapshotId::new(snapshot)),
        },
        "Deleting" => DiskStatus::Deleting,
        _ => return Err(row.corrupt("status")),
    })
}
