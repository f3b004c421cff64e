//! CopyImage: the same image in another region, with snapshots of its own.
//!
//! Each snapshot of the image is forked, and all forks are frozen by one operation of the engine:
//! after a crash the copy has all of its snapshots or none, as an image that is made has.

use std::sync::Arc;

use ebb_domain::{
    CopySource, Denied, Image, ImageDisk, ImageId, ImageStatus, Origin, RegionId, Snapshot,
    SnapshotId, SnapshotStatus, Tag, check_copy_image, check_tags, description, image_name,
};
use ebb_store::{Durability, Tx};
use ebb_volume::{EngineError, SnapshotId as Version};

use crate::image::{complete, find_image, replayed_image};
use crate::reconcile::op_of;
use crate::scratch::Scratch;
use crate::{ClientToken, Control, ControlError, Step};

/// CopyImage.
#[derive(Debug, Clone)]
pub struct CopyImage {
    /// RegionId
    pub region: RegionId,
    /// ImageId
    pub image: ImageId,
    /// DestinationRegionId
    pub destination: RegionId,
    /// DestinationImageName
    pub name: String,
    /// DestinationDescription
    pub description: String,
    /// ResourceGroupId
    pub resource_group: String,
    /// Encrypted
    pub encrypted: bool,
    /// KMSKeyId
    pub key: Option<String>,
    /// Tag.N
    pub tags: Vec<Tag>,
    /// ClientToken
    pub token: Option<ClientToken>,
    /// DryRun
    pub dry_run: bool,
}

/// A snapshot that is to be copied, and the row of its copy.
struct Part {
    source: Version,
    copy: Snapshot,
}

impl Control {
    /// Copies an image to another region of this server. It is Available when this returns,
    /// whatever its size: both regions are one pool.
    ///
    /// Durable by the outcome's commit, as CreateImage.
    ///
    /// # Errors
    /// The first refusal, or a failure, after which there is no copy.
    pub fn copy_image(
        self: &Arc<Self>,
        owner: &ebb_domain::AccountId,
        request: &CopyImage,
    ) -> Result<ImageId, ControlError> {
        self.region(&request.region)?;
        image_name(&request.name)?;
        description(&request.description)?;
        check_tags(&request.tags)?;
        self.region(&request.destination).map_err(|_| Denied::DestinationRegionNotFound)?;
        let token = request.token.as_ref();
        let intended = self.store.write::<_, ControlError>(Durability::Recoverable, |tx| {
            if let Some(made) = self.replay(tx, owner, token)? {
                return Ok(Err(replayed_image(tx, made)?));
            }
            let image = find_image(tx, owner, &request.region, &request.image)?;
            check_copy_image(
                &image,
                &request.destination,
                request.encrypted,
                request.key.is_some(),
            )?;
            if request.dry_run {
                return Err(Denied::DryRun.into());
            }
            let (copy, parts) = self.intend_copy_image(tx, request, &image)?;
            self.remember(tx, owner, token, vec![copy.id.to_string()])?;
            Ok(Ok((copy, parts)))
        })?;
        let (copy, parts) = match intended {
            Ok(intended) => intended,
            Err(replayed) => return Ok(replayed),
        };
        self.pass(Step::SnapshotIntended);
        if let Err(error) = self.freeze_copies(&parts) {
            self.undo_create_image(owner, token, &copy)?;
            return Err(match error {
                // Deleted meanwhile.
                EngineError::NoSuchSnapshot(_) => Denied::ImageNotFound.into(),
                error => error.into(),
            });
        }
        self.pass(Step::VersionMade);
        self.store.write(Durability::Durable, |tx| complete(tx, &copy.id))?;
        Ok(copy.id)
    }

    fn intend_copy_image(
        &self,
        tx: &Tx<'_>,
        request: &CopyImage,
        image: &Image,
    ) -> Result<(Image, Vec<Part>), ControlError> {
        let id = ImageId::mint(self.random());
        let (mut disks, mut parts) = (Vec::new(), Vec::new());
        for disk in &image.disks {
            let source = tx.snapshot(&disk.snapshot)?.ok_or(Denied::SnapshotNotFound)?;
            let copy = self.copy_for_image(request, &id, &source);
            tx.insert_snapshot(&copy)?;
            disks.push(ImageDisk { snapshot: copy.id.clone(), ..disk.clone() });
            parts.push(Part { source: Version(source.version), copy });
        }
        let copy = Image {
            region: request.destination.clone(),
            name: if request.name.is_empty() { id.to_string() } else { request.name.clone() },
            description: request.description.clone(),
            resource_group: request.resource_group.clone(),
            tags: request.tags.clone(),
            status: ImageStatus::Creating,
            created_at: self.now(),
            disks,
            id,
            ..image.clone()
        };
        tx.insert_image(&copy)?;
        Ok((copy, parts))
    }

    fn copy_for_image(&self, request: &CopyImage, image: &ImageId, source: &Snapshot) -> Snapshot {
        Snapshot {
            id: SnapshotId::mint(self.random()),
            region: request.destination.clone(),
            name: format!("Created_from_{image}"),
            description: format!("Created_from_{image}"),
            status: SnapshotStatus::Progressing,
            origin: Origin::User,
            retention_days: None,
            resource_group: String::new(),
            tags: Vec::new(),
            created_at: self.now(),
            modified_at: None,
            lock: None,
            group: None,
            copied_from: Some(CopySource {
                snapshot: source.id.clone(),
                region: source.region.clone(),
            }),
            version: self.new_engine_id(),
            ..source.clone()
        }
    }

    fn freeze_copies(self: &Arc<Self>, parts: &[Part]) -> Result<(), EngineError> {
        let mut pairs = Vec::with_capacity(parts.len());
        let mut scratches = Vec::with_capacity(parts.len());
        for Part { source, copy } in parts {
            let size_bytes = u64::from(copy.source_disk_gib) << 30;
            let scratch = Scratch::closed(self, *source, size_bytes)?;
            pairs.push((scratch.id(), Version(copy.version)));
            scratches.push(scratch);
        }
        match pairs.first() {
            Some((_, first)) => self.engine.create_snapshots(op_of("image", first.0), &pairs),
            None => Ok(()),
        }
    }
}
