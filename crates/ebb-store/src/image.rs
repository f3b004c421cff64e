//! Images of accounts.

use ebb_domain::{
    AccountId, Image, ImageDisk, ImageId, ImageStatus, RegionId, SnapshotId, Tag, Timestamp,
};

use crate::disk::{kind_name, parse_kind};
use crate::filter::Filter;
use crate::record::{Field, Record};
use crate::row::Row;
use crate::tx::text;
use crate::{Page, PageRequest, ResourceKind, StoreError, TagFilter, Tx};

/// DescribeImages. `None` and an empty list of tags mean any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageQuery {
    /// Whose.
    pub account: AccountId,
    /// Where.
    pub region: RegionId,
    /// Which; unknown ids are simply absent.
    pub ids: Option<Vec<String>>,
    /// ImageName; `*` stands for anything
    pub name: Option<String>,
    /// ImageFamily
    pub family: Option<String>,
    /// SnapshotId: one of its disks starts from it
    pub snapshot: Option<SnapshotId>,
    /// Architecture
    pub architecture: Option<String>,
    /// Status, by wire names: it has one of them
    pub statuses: Vec<String>,
    /// ResourceGroupId
    pub resource_group: Option<String>,
    /// All of them
    pub tags: Vec<TagFilter>,
    /// Which part
    pub page: PageRequest,
}

impl Tx<'_> {
    /// The image of that id.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn image(&self, id: &ImageId) -> Result<Option<Image>, StoreError> {
        self.find(id.as_str())
    }

    /// Adds an image with its tags.
    ///
    /// # Errors
    /// [`StoreError::Sql`], also where there is one of its id.
    pub fn insert_image(&self, image: &Image) -> Result<(), StoreError> {
        self.insert(image, &image.tags)
    }

    /// Saves all of an image but its tags. This transaction must have read it.
    ///
    /// # Errors
    /// [`StoreError::Stale`], [`StoreError::Sql`].
    pub fn save_image(&self, image: &Image) -> Result<(), StoreError> {
        self.save(image)
    }

    /// Removes an image and its tags.
    ///
    /// # Errors
    /// [`StoreError::Stale`], [`StoreError::Sql`].
    pub fn remove_image(&self, id: &ImageId) -> Result<(), StoreError> {
        self.remove(ResourceKind::Image, id.as_str())
    }

    /// DescribeImages.
    ///
    /// # Errors
    /// [`StoreError::BadToken`], [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn images(&self, query: &ImageQuery) -> Result<Page<Image>, StoreError> {
        self.page(filter(query), &query.page)
    }

    /// The images whose snapshots are being taken.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn images_in_transition(&self) -> Result<Vec<Image>, StoreError> {
        self.select("WHERE status = 'Creating' ORDER BY created_at, id", &[])
    }

    /// Whether an image has a disk that starts from a snapshot.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn has_images(&self, id: &SnapshotId) -> Result<bool, StoreError> {
        self.exists("SELECT 1 FROM image_disks WHERE snapshot = ?", &[text(id.as_str())])
    }

    /// How many instances were made from an image.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn instances_of_image(&self, id: &ImageId) -> Result<u64, StoreError> {
        self.count("SELECT count(*) FROM instances WHERE image = ?", &[text(id.as_str())])
    }

    fn disks_of_image(&self, id: &ImageId) -> Result<Vec<ImageDisk>, StoreError> {
        let sql = "SELECT *, EXISTS (SELECT 1 FROM snapshots
                                    WHERE id = image_disks.snapshot
                                      AND data_key IS NOT NULL) AS encrypted
                   FROM image_disks WHERE image = ? ORDER BY position";
        self.rows(("image_disks", "image"), sql, &[text(id.as_str())], |row| {
            Ok(ImageDisk {
                device: row.get("device")?,
                kind: row.name("kind", parse_kind)?,
                snapshot: row.id("snapshot", SnapshotId::new)?,
                size_gib: row.get("size_gib")?,
                encrypted: row.get("encrypted")?,
            })
        })
    }
}

impl Record for Image {
    const KIND: ResourceKind = ResourceKind::Image;
    const IS_CARRIED: bool = true;

    fn id(&self) -> &str {
        self.id.as_str()
    }

    fn created_at(&self) -> Timestamp {
        self.created_at
    }

    fn under_way(&self) -> Option<&'static str> {
        (self.status == ImageStatus::Creating).then_some(status_name(self.status))
    }

    fn set_tags(&mut self, tags: Vec<Tag>) {
        self.tags = tags;
    }

    fn fields(&self) -> Vec<Field> {
        vec![
            ("id", text(self.id.as_str())),
            ("account", text(self.account.as_str())),
            ("region", text(self.region.as_str())),
            ("name", text(&self.name)),
            ("family", text(&self.family)),
            ("version", text(&self.version)),
            ("description", text(&self.description)),
            ("status", text(status_name(self.status))),
            ("architecture", text(&self.architecture)),
            ("platform", text(&self.platform)),
            ("resource_group", text(&self.resource_group)),
            ("created_at", self.created_at.unix_millis().into()),
        ]
    }

    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id("id", ImageId::new)?,
            account: row.id("account", AccountId::new)?,
            region: row.id("region", RegionId::new)?,
            name: row.get("name")?,
            family: row.get("family")?,
            version: row.get("version")?,
            description: row.get("description")?,
            status: row.name("status", parse_status)?,
            architecture: row.get("architecture")?,
            platform: row.get("platform")?,
            disks: Vec::new(),
            resource_group: row.get("resource_group")?,
            tags: Vec::new(),
            created_at: row.time("created_at")?,
        })
    }

    fn load_parts(&mut self, tx: &Tx<'_>) -> Result<(), StoreError> {
        self.disks = tx.disks_of_image(&self.id)?;
        Ok(())
    }

    /// What an image is made of never changes, once it is known.
    fn save_parts(&self, tx: &Tx<'_>) -> Result<(), StoreError> {
        if !tx.disks_of_image(&self.id)?.is_empty() {
            return Ok(());
        }
        for (position, disk) in (0_i64..).zip(&self.disks) {
            tx.execute(
                "INSERT INTO image_disks (image, position, device, kind, snapshot, size_gib)
                 VALUES (?, ?, ?, ?, ?, ?)",
                &[
                    text(self.id.as_str()),
                    position.into(),
                    text(&disk.device),
                    text(kind_name(disk.kind)),
                    text(disk.snapshot.as_str()),
                    disk.size_gib.into(),
                ],
            )?;
        }
        Ok(())
    }
}

fn filter(query: &ImageQuery) -> Filter {
    let mut filter = Filter::of(query.account.as_str(), query.region.as_str());
    filter.one_of("id", query.ids.as_ref().map(|ids| ids.iter().map(String::as_str)));
    filter.named(query.name.as_deref());
    filter.and_if("family = ?", query.family.as_deref());
    filter.and_if(
        "id IN (SELECT image FROM image_disks WHERE snapshot = ?)",
        query.snapshot.as_ref().map(SnapshotId::as_str),
    );
    filter.and_if("architecture = ?", query.architecture.as_deref());
    filter.one_of("status", Some(query.statuses.iter().map(String::as_str)));
    filter.and_if("resource_group = ?", query.resource_group.as_deref());
    filter.tagged(ResourceKind::Image, "images.id", &query.tags);
    filter
}

const fn status_name(status: ImageStatus) -> &'static str {
    match status {
        ImageStatus::Creating => "Creating",
        ImageStatus::Available => "Available",
        ImageStatus::Deprecated => "Deprecated",
        ImageStatus::CreateFailed => "CreateFailed",
    }
}

fn parse_status(name: &str) -> Option<ImageStatus> {
    use ImageStatus::{Available, CreateFailed, Creating, Deprecated};

    [Creating, Available, Deprecated, CreateFailed]
        .into_iter()
        .find(|status| status_name(*status) == name)
}
