//! ImportImage: objects of a bucket become the disks of an image.
//!
//! ```text
//!   one commit    the image Creating, without disks; the task
//!   engine        a scratch volume for each object, filled; all frozen by one operation
//!   one commit    the snapshots, the image Available with them, the task Finished
//! ```
//! After a crash the task is begun again: scratch volumes and versions that no record has are
//! removed by the start.

use std::sync::Arc;

use bytes::Bytes;
use ebb_domain::{
    AccountId, Denied, DiskId, DiskKind, Field, Image, ImageDisk, ImageFormat, ImageId,
    ImageStatus, ImportedDisk, Origin, RegionId, SYSTEM_DEVICE, Snapshot, SnapshotCategory,
    SnapshotId, SnapshotStatus, Tag, Task, TaskAction, TaskId, TaskObject, check_imported_disks,
    check_tags, description, image_name, imported_gib,
};
use ebb_objects::{Bucket, ObjectError, is_object_name};
use ebb_store::{Durability, Tx};
use ebb_volume::SnapshotId as Version;

use crate::content::PIECE_BYTES;
use crate::control::account;
use crate::reconcile::op_of;
use crate::scratch::Scratch;
use crate::task::Progress;
use crate::task_end::TaskEnd;
use crate::work::Job;
use crate::{ClientToken, Control, ControlError, Exported, Step};

/// ImportImage.
#[derive(Debug, Clone, Default)]
pub struct ImportImage {
    /// ImageName
    pub name: String,
    /// Description
    pub description: String,
    /// Architecture
    pub architecture: Option<String>,
    /// OSType
    pub os_type: Option<String>,
    /// Platform
    pub platform: String,
    /// BootMode
    pub boot_mode: Option<String>,
    /// LicenseType
    pub license_type: Option<String>,
    /// ResourceGroupId
    pub resource_group: String,
    /// DiskDeviceMapping.N
    pub disks: Vec<ImportedDisk>,
    /// Tag.N
    pub tags: Vec<Tag>,
    /// ClientToken
    pub token: Option<ClientToken>,
    /// DryRun
    pub dry_run: bool,
}

/// What a bucket is asked for at once: it may be far away.
const READ_BYTES: u64 = 16 << 20;

/// A disk that has been read.
struct Filled {
    device: String,
    size_gib: u32,
    version: Version,
}

impl Control {
    /// Begins to make an image of objects. It is Available once the task is Finished.
    ///
    /// Image and task are durable by this commit.
    ///
    /// # Errors
    /// The first refusal, or a failure.
    pub fn import_image(
        &self,
        owner: &AccountId,
        region: &RegionId,
        request: &ImportImage,
    ) -> Result<(ImageId, TaskId), ControlError> {
        self.region(region)?;
        check_words(request)?;
        let objects = check_imported_disks(&request.disks)?;
        objects.iter().try_for_each(|object| self.check_object(object))?;
        let made = self.store.write::<_, ControlError>(Durability::Durable, |tx| {
            if let Some(made) = self.replay(tx, owner, request.token.as_ref())? {
                return Ok(made);
            }
            if request.dry_run {
                return Err(Denied::DryRun.into());
            }
            self.intend_import(tx, owner, region, request, objects)
        })?;
        let mut made = made.into_iter();
        let mut next = || made.next().unwrap_or_default();
        let (image, task) = (ImageId::new(next()), TaskId::new(next()));
        // One that is replayed may be over: then there is nothing to do.
        self.work.add(Job::Task(task.clone()));
        Ok((image, task))
    }

    fn intend_import(
        &self,
        tx: &Tx<'_>,
        owner: &AccountId,
        region: &RegionId,
        request: &ImportImage,
        objects: Vec<TaskObject>,
    ) -> Result<Vec<String>, ControlError> {
        let id = ImageId::mint(self.random());
        let image = Image {
            account: account(tx, owner)?.id,
            region: region.clone(),
            name: if request.name.is_empty() { id.to_string() } else { request.name.clone() },
            family: String::new(),
            version: String::new(),
            description: request.description.clone(),
            status: ImageStatus::Creating,
            architecture: request.architecture.clone().unwrap_or_else(|| "x86_64".to_owned()),
            platform: request.platform.clone(),
            disks: Vec::new(),
            resource_group: request.resource_group.clone(),
            tags: request.tags.clone(),
            created_at: self.now(),
            id,
        };
        tx.insert_image(&image)?;
        let task = Task {
            objects,
            ..self.new_task(TaskAction::ImportImage, owner, region, image.id.as_str())
        };
        self.add_task(tx, &task)?;
        let made = vec![image.id.to_string(), task.id.to_string()];
        self.remember(tx, owner, request.token.as_ref(), made.clone())?;
        Ok(made)
    }

    fn check_object(&self, object: &TaskObject) -> Result<(), ControlError> {
        let bucket = self.find_bucket(&object.bucket)?;
        if !is_object_name(&object.object) {
            return Err(Denied::Malformed(Field::Object).into());
        }
        match bucket.size(&object.object) {
            Ok(None) => return Err(Denied::ObjectNotFound.into()),
            Ok(Some(0)) => return Err(Denied::ObjectEmpty.into()),
            // Why it cannot be asked now is told by the task, if it still cannot then.
            Ok(Some(_)) | Err(ObjectError::Io(_)) => {}
            Err(error) => return Err(error.into()),
        }
        if object.format == ImageFormat::Qcow2 && !self.converter.is_there() {
            return Err(Denied::ImageFormatUnsupported.into());
        }
        Ok(())
    }

    pub(crate) fn carry_import_image(self: &Arc<Self>, task: &Task) -> Result<(), TaskEnd> {
        let id = ImageId::new(task.resource.as_str());
        let image = self.store.read(|tx| tx.image(&id))?.ok_or(TaskEnd::Cancelled)?;
        let total = (task.objects.len() as u64) << 32;
        let mut progress = Progress::new(self, &task.id, total);
        let (mut filled, mut scratches) = (Vec::new(), Vec::new());
        for (n, object) in (0_u64..).zip(&task.objects) {
            // Each object is as much of the way, whatever its size.
            let mut reach = |done: u64, of: u64| {
                let part = (u128::from(done) << 32) / u128::from(of.max(1));
                progress.reach((n << 32) + u64::try_from(part).unwrap_or(u64::MAX))
            };
            let (scratch, size_gib) = self.fill(object, &mut reach)?;
            scratches.push(scratch);
            let version = Version(self.cluster.scratch_id());
            filled.push(Filled { device: object.device.clone(), size_gib, version });
        }
        let pair = |(scratch, disk): (&Scratch, &Filled)| (scratch.id(), disk.version);
        let pairs: Vec<_> = scratches.iter().zip(&filled).map(pair).collect();
        self.engine.create_snapshots(op_of("image", pairs[0].1.0), &pairs)?;
        drop(scratches);
        self.pass(Step::ImportVersionMade);
        let outcome = self.finish_task(&task.id, |tx| self.complete_import(tx, &image, &filled));
        if outcome.is_err() {
            for disk in &filled {
                self.engine.delete_snapshot(self.new_op(), disk.version)?;
            }
        }
        outcome
    }

    fn complete_import(
        &self,
        tx: &Tx<'_>,
        image: &Image,
        filled: &[Filled],
    ) -> Result<(), ControlError> {
        let Some(mut found) = tx.image(&image.id)? else { return Ok(()) };
        for disk in filled {
            let snapshot = self.imported_snapshot(&found, disk);
            tx.insert_snapshot(&snapshot)?;
            found.disks.push(ImageDisk {
                device: disk.device.clone(),
                kind: snapshot.source_disk_kind,
                snapshot: snapshot.id,
                size_gib: disk.size_gib,
                encrypted: false,
            });
        }
        found.status = ImageStatus::Available;
        Ok(tx.save_image(&found)?)
    }

    /// Of a disk that never was.
    fn imported_snapshot(&self, image: &Image, disk: &Filled) -> Snapshot {
        let kind = if disk.device == SYSTEM_DEVICE { DiskKind::System } else { DiskKind::Data };
        Snapshot {
            id: SnapshotId::mint(self.random()),
            account: image.account.clone(),
            region: image.region.clone(),
            source_disk: DiskId::mint(self.random()),
            source_disk_gib: disk.size_gib,
            source_disk_kind: kind,
            name: format!("Created_from_{}", image.id),
            description: format!("Created_from_{}", image.id),
            status: SnapshotStatus::Accomplished,
            origin: Origin::User,
            category: SnapshotCategory::Standard,
            retention_days: None,
            resource_group: String::new(),
            tags: Vec::new(),
            created_at: self.now(),
            modified_at: None,
            lock: None,
            group: None,
            copied_from: None,
            encryption: None,
            version: disk.version.0,
            archived_bytes: None,
        }
    }

    fn fill(
        self: &Arc<Self>,
        object: &TaskObject,
        reach: &mut dyn FnMut(u64, u64) -> Result<(), TaskEnd>,
    ) -> Result<(Scratch, u32), TaskEnd> {
        let no_bucket = || TaskEnd::Failed(format!("there is no bucket {}", object.bucket));
        let bucket = self.buckets.bucket(&object.bucket)?.ok_or_else(no_bucket)?;
        match object.format {
            ImageFormat::Raw => self.fill_raw(bucket.as_ref(), object, reach),
            ImageFormat::Qcow2 => self.fill_qcow2(bucket.as_ref(), object, reach),
        }
    }

    fn fill_raw(
        self: &Arc<Self>,
        bucket: &dyn Bucket,
        object: &TaskObject,
        reach: &mut dyn FnMut(u64, u64) -> Result<(), TaskEnd>,
    ) -> Result<(Scratch, u32), TaskEnd> {
        let gone = || TaskEnd::Failed(format!("there is no object {}", object.object));
        let size = bucket.size(&object.object)?.ok_or_else(gone)?;
        let gib = imported_gib(object, size).map_err(TaskEnd::Failed)?;
        let scratch = Scratch::empty(self, u64::from(gib) << 30)?;
        let mut offset = 0;
        while offset < size {
            let mut piece: Bytes = bucket.read(&object.object, offset..offset + READ_BYTES)?;
            if piece.is_empty() {
                return Err(TaskEnd::Failed(format!("{} has become shorter", object.object)));
            }
            // It may have become longer than the disk.
            piece.truncate((size - offset).min(READ_BYTES) as usize);
            while !piece.is_empty() {
                let now = piece.split_to(piece.len().min(PIECE_BYTES as usize));
                let length = now.len() as u64;
                scratch.write(offset, now)?;
                offset += length;
            }
            reach(offset, size)?;
        }
        Ok((scratch, gib))
    }

    /// The converter writes as any client does, to an export of the scratch volume.
    fn fill_qcow2(
        self: &Arc<Self>,
        bucket: &dyn Bucket,
        object: &TaskObject,
        reach: &mut dyn FnMut(u64, u64) -> Result<(), TaskEnd>,
    ) -> Result<(Scratch, u32), TaskEnd> {
        let image = bucket.file(&object.object)?;
        let size = self.converter.inspect(&image).map_err(TaskEnd::Failed)?;
        let gib = imported_gib(object, size).map_err(TaskEnd::Failed)?;
        let scratch = Scratch::empty(self, u64::from(gib) << 30)?;
        let name = format!("import-{:016x}", u64::from_be_bytes(self.random()));
        let table = self.exporter.table();
        table.publish(
            &name,
            Exported {
                volume: Arc::clone(scratch.volume()),
                snapshots: Arc::new(()),
                performance: None,
                instances: Vec::new(),
            },
        );
        let mut end = Ok(());
        let outcome = self.converter.copy(&image, &name, &mut |percent| {
            end = reach(percent.into(), 100);
            end.is_ok()
        });
        table.withdraw(&name);
        table.forget(&name);
        end?;
        outcome.map_err(|reason| TaskEnd::Failed(format!("{}: {reason}", object.object)))?;
        Ok((scratch, gib))
    }
}

fn check_words(request: &ImportImage) -> Result<(), Denied> {
    image_name(&request.name)?;
    description(&request.description)?;
    check_tags(&request.tags)?;
    let one_of = |given: &Option<String>, known: &[&str], field| match given {
        Some(word) if !known.contains(&word.as_str()) => Err(Denied::Malformed(field)),
        _ => Ok(()),
    };
    one_of(&request.architecture, &["i386", "x86_64", "arm64"], Field::Architecture)?;
    one_of(&request.os_type, &["linux", "windows"], Field::OsType)?;
    one_of(&request.boot_mode, &["BIOS", "UEFI", "UEFI-Preferred"], Field::BootMode)?;
    one_of(&request.license_type, &["Auto", "Aliyun", "BYOL"], Field::LicenseType)
}
