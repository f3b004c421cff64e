//! Images: made of snapshots that are there, or of an instance's disks at one instant; listed,
//! changed, deleted.

use ebb_domain::{
    AccountId, Denied, Disk, DiskKind, Image, ImageDisk, ImageId, ImageStatus, InstanceId,
    RegionId, SYSTEM_DEVICE, Snapshot, SnapshotId, Tag, check_create_snapshot, check_delete_image,
    check_image_disks, check_image_snapshot, check_tags, description, image_name, image_status,
    public_images,
};
use ebb_store::{Durability, ImageQuery, Page, Tx};
use ebb_volume::{SnapshotId as Version, VolumeId};

use crate::control::{account, find_instance, instances_of};
use crate::reconcile::op_of;
use crate::snapshot::{accomplish, visible};
use crate::{ClientToken, Control, ControlError, Step};

/// What a disk of an image is to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceMapping {
    /// DiskDeviceMapping.N.SnapshotId
    pub snapshot: Option<SnapshotId>,
    /// DiskDeviceMapping.N.Device
    pub device: Option<String>,
    /// DiskDeviceMapping.N.Size
    pub size_gib: Option<u32>,
}

/// CreateImage: of an instance, a snapshot, or several; the first that is given.
#[derive(Debug, Clone)]
pub struct CreateImage {
    /// RegionId
    pub region: RegionId,
    /// InstanceId
    pub instance: Option<InstanceId>,
    /// SnapshotId
    pub snapshot: Option<SnapshotId>,
    /// DiskDeviceMapping.N
    pub mappings: Vec<DeviceMapping>,
    /// ImageName
    pub name: String,
    /// ImageFamily
    pub family: String,
    /// ImageVersion
    pub version: String,
    /// Description
    pub description: String,
    /// Architecture
    pub architecture: String,
    /// Platform
    pub platform: String,
    /// ResourceGroupId
    pub resource_group: String,
    /// Tag.N
    pub tags: Vec<Tag>,
    /// ClientToken
    pub token: Option<ClientToken>,
    /// DryRun
    pub dry_run: bool,
}

/// ModifyImageAttribute: what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageChange {
    /// ImageName
    pub name: Option<String>,
    /// Description
    pub description: Option<String>,
    /// ImageFamily
    pub family: Option<String>,
    /// Status
    pub status: Option<String>,
    /// DryRun
    pub dry_run: bool,
}

/// What is yet to be frozen for an image.
type Pairs = Vec<(VolumeId, Version)>;

impl Control {
    /// Makes an image. It is Available when this returns.
    ///
    /// Durable by the outcome's commit. An intent that is found on start has all its snapshots or
    /// none, since the engine takes them by one operation: the image is Available or gone.
    ///
    /// # Errors
    /// The first refusal, or a failure, after which there is neither image nor snapshot.
    pub fn create_image(
        &self,
        owner: &AccountId,
        request: &CreateImage,
    ) -> Result<ImageId, ControlError> {
        self.region(&request.region)?;
        image_name(&request.name)?;
        description(&request.description)?;
        check_tags(&request.tags)?;
        let intended = self.store.write::<_, ControlError>(Durability::Recoverable, |tx| {
            if let Some(made) = self.replay(tx, owner, request.token.as_ref())? {
                return Ok(Err(replayed_image(tx, made)?));
            }
            Ok(Ok(self.intend_image(tx, owner, request)?))
        })?;
        let (image, pairs) = match intended {
            Ok(intended) => intended,
            Err(replayed) => return Ok(replayed),
        };
        if let Some((_, first)) = pairs.first() {
            self.pass(Step::SnapshotIntended);
            if let Err(error) = self.engine.create_snapshots(op_of("image", first.0), &pairs) {
                self.undo_create_image(owner, request.token.as_ref(), &image)?;
                return Err(error.into());
            }
            self.pass(Step::VersionMade);
        }
        self.store.write(Durability::Durable, |tx| complete(tx, &image.id))?;
        Ok(image.id)
    }

    fn intend_image(
        &self,
        tx: &Tx<'_>,
        owner: &AccountId,
        request: &CreateImage,
    ) -> Result<(Image, Pairs), ControlError> {
        account(tx, owner)?.check_snapshot_service()?;
        let id = ImageId::mint(self.random());
        let (mut disks, pairs) = match &request.instance {
            Some(instance) => self.freeze_instance(tx, owner, request, instance, &id)?,
            None => (mapped_disks(tx, owner, request)?, Vec::new()),
        };
        disks.sort_by_key(|disk| disk.kind == DiskKind::Data);
        check_image_disks(&disks)?;
        if request.dry_run {
            return Err(Denied::DryRun.into());
        }
        let image = Image {
            account: owner.clone(),
            region: request.region.clone(),
            name: if request.name.is_empty() { id.to_string() } else { request.name.clone() },
            family: request.family.clone(),
            version: request.version.clone(),
            description: request.description.clone(),
            status: ImageStatus::Creating,
            architecture: request.architecture.clone(),
            platform: request.platform.clone(),
            disks,
            resource_group: request.resource_group.clone(),
            tags: request.tags.clone(),
            created_at: self.now(),
            id,
        };
        tx.insert_image(&image)?;
        self.remember(tx, owner, request.token.as_ref(), vec![image.id.to_string()])?;
        Ok((image, pairs))
    }

    /// Intends a snapshot of each disk of an instance that can have one.
    fn freeze_instance(
        &self,
        tx: &Tx<'_>,
        owner: &AccountId,
        request: &CreateImage,
        instance: &InstanceId,
        image: &ImageId,
    ) -> Result<(Vec<ImageDisk>, Pairs), ControlError> {
        let found = find_instance(tx, owner, Some(&request.region), instance)?;
        let instance = found.ok_or(Denied::InstanceNotFound)?;
        let (mut disks, mut pairs) = (Vec::new(), Vec::new());
        for disk in tx.disks_of_instance(&instance.id)? {
            if !disk.category.has_snapshots() {
                continue;
            }
            let snapshot = self.intend_part(tx, owner, &disk, image)?;
            let at = disk.attachments.iter().find(|at| at.instance == instance.id);
            disks.push(ImageDisk {
                device: at.map(|at| at.device.clone()).unwrap_or_default(),
                kind: disk.kind,
                snapshot: snapshot.id,
                size_gib: disk.size_gib,
                encrypted: disk.encryption.is_some(),
            });
            pairs.push((VolumeId(disk.volume), Version(snapshot.version)));
        }
        Ok((disks, pairs))
    }

    fn intend_part(
        &self,
        tx: &Tx<'_>,
        owner: &AccountId,
        disk: &Disk,
        image: &ImageId,
    ) -> Result<Snapshot, ControlError> {
        check_create_snapshot(
            &account(tx, owner)?,
            disk,
            tx.has_unfinished_snapshot(&disk.id)?,
            tx.manual_snapshots(&disk.id)?,
            &instances_of(tx, disk)?,
        )?;
        let snapshot = Snapshot {
            name: format!("Created_from_{image}"),
            description: format!("Created_from_{image}"),
            ..self.new_snapshot(disk)
        };
        tx.insert_snapshot(&snapshot)?;
        Ok(snapshot)
    }

    pub(crate) fn undo_create_image(
        &self,
        owner: &AccountId,
        token: Option<&ClientToken>,
        image: &Image,
    ) -> Result<(), ControlError> {
        self.store.write(Durability::Recoverable, |tx| {
            self.forget(tx, owner, token)?;
            for disk in &image.disks {
                tx.remove_snapshot(&disk.snapshot)?;
            }
            Ok(tx.remove_image(&image.id)?)
        })
    }

    /// Ends what a start finds of an image, whose snapshots have been seen to: it has all of them
    /// or none.
    pub(crate) fn reconcile_image(&self, image: &Image) -> Result<(), ControlError> {
        tracing::info!(image = %image.id, "found under way");
        self.store.write(Durability::Durable, |tx| {
            for disk in &image.disks {
                if tx.snapshot(&disk.snapshot)?.is_none() {
                    tx.remove_tokens_of(image.id.as_str())?;
                    return Ok(tx.remove_image(&image.id)?);
                }
            }
            complete(tx, &image.id)
        })
    }

    /// Says something else of an image. Durable by the commit.
    ///
    /// # Errors
    /// The first refusal, or a failure.
    pub fn modify_image(
        &self,
        owner: &AccountId,
        region: &RegionId,
        id: &ImageId,
        change: &ImageChange,
    ) -> Result<(), ControlError> {
        self.region(region)?;
        image_name(change.name.as_deref().unwrap_or_default())?;
        description(change.description.as_deref().unwrap_or_default())?;
        self.store.write(Durability::Durable, |tx| {
            let mut image = find_image(tx, owner, region, id)?;
            if let Some(status) = &change.status {
                image.status = image_status(image.status, status)?;
            }
            image.name = change.name.clone().unwrap_or(image.name);
            image.description = change.description.clone().unwrap_or(image.description);
            image.family = change.family.clone().unwrap_or(image.family);
            if change.dry_run {
                return Err(Denied::DryRun.into());
            }
            Ok(tx.save_image(&image)?)
        })
    }

    /// Deletes an image. Its snapshots and the disks made from it stay. Durable by the commit.
    ///
    /// # Errors
    /// The first refusal, or a failure.
    pub fn delete_image(
        &self,
        owner: &AccountId,
        region: &RegionId,
        id: &ImageId,
        force: bool,
        dry_run: bool,
    ) -> Result<(), ControlError> {
        self.region(region)?;
        if public_images().iter().any(|public| public.id == id.as_str()) {
            return Err(Denied::ImageIsPublic.into());
        }
        self.store.write(Durability::Durable, |tx| {
            let image = find_image(tx, owner, region, id)?;
            check_delete_image(&image, tx.instances_of_image(id)?, force)?;
            if dry_run { Err(Denied::DryRun.into()) } else { Ok(tx.remove_image(id)?) }
        })
    }

    /// Images that a query asks for.
    ///
    /// # Errors
    /// [`Denied::RegionNotFound`], or a failure.
    pub fn images(&self, query: &ImageQuery) -> Result<Page<Image>, ControlError> {
        self.region(&query.region)?;
        Ok(self.store.read(|tx| tx.images(query))?)
    }
}

/// The disks of an image of snapshots that are there.
fn mapped_disks(
    tx: &Tx<'_>,
    owner: &AccountId,
    request: &CreateImage,
) -> Result<Vec<ImageDisk>, ControlError> {
    let one = |id: &SnapshotId| DeviceMapping { snapshot: Some(id.clone()), ..Default::default() };
    let mappings = match &request.snapshot {
        Some(id) => vec![one(id)],
        None => request.mappings.clone(),
    };
    if mappings.is_empty() {
        return Err(Denied::ImageSourceMissing.into());
    }
    let mut disks: Vec<ImageDisk> = Vec::new();
    for mapping in mappings {
        let id = mapping.snapshot.ok_or(Denied::SnapshotNotFound)?;
        let snapshot = visible(tx, owner, Some(&request.region), &id)?;
        check_image_snapshot(&snapshot)?;
        let size_gib = mapping.size_gib.unwrap_or(snapshot.source_disk_gib);
        if size_gib < snapshot.source_disk_gib {
            return Err(Denied::SizeUnknown.into());
        }
        let device = match snapshot.source_disk_kind {
            DiskKind::System => SYSTEM_DEVICE.to_owned(),
            DiskKind::Data => {
                let mut used: Vec<String> = disks.iter().map(|disk| disk.device.clone()).collect();
                used.push(SYSTEM_DEVICE.to_owned());
                ebb_domain::device(&used, mapping.device.as_deref())?
            }
        };
        disks.push(ImageDisk {
            device,
            kind: snapshot.source_disk_kind,
            snapshot: snapshot.id,
            size_gib,
            encrypted: snapshot.encryption.is_some(),
        });
    }
    Ok(disks)
}

/// The image of that id, as far as this account may know of it.
pub(crate) fn find_image(
    tx: &Tx<'_>,
    owner: &AccountId,
    region: &RegionId,
    id: &ImageId,
) -> Result<Image, ControlError> {
    let theirs = |image: &Image| image.account == *owner && image.region == *region;
    Ok(tx.image(id)?.filter(theirs).ok_or(Denied::ImageNotFound)?)
}

pub(crate) fn complete(tx: &Tx<'_>, id: &ImageId) -> Result<(), ControlError> {
    let Some(mut image) = tx.image(id)? else { return Ok(()) };
    for disk in &image.disks {
        accomplish(tx, &disk.snapshot)?;
    }
    image.status = ImageStatus::Available;
    Ok(tx.save_image(&image)?)
}

/// The image that the first call with a token made, once it is there.
pub(crate) fn replayed_image(tx: &Tx<'_>, made: Vec<String>) -> Result<ImageId, ControlError> {
    let id = ImageId::new(made.into_iter().next().unwrap_or_default());
    match tx.image(&id)? {
        Some(image) if image.status == ImageStatus::Creating => Err(Denied::TokenProcessing.into()),
        _ => Ok(id),
    }
}
