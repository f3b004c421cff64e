//! CopyImage: the same image in another region, or encrypted otherwise, with snapshots of its own.
//!
//! ```text
//!   another region            each snapshot is forked: done when the call returns
//!   encrypted, or re-keyed    nothing can be shared: a task reads the ones and writes the others
//!       Creating + task ─► versions ─► one commit: Available, Finished
//! ```
//! All versions of a copy are frozen by one operation of the engine: after a crash the copy has all
//! of its snapshots or none, as an image that is made has.

use std::sync::Arc;

use ebb_domain::{
    AccountId, CopySource, Denied, Image, ImageDisk, ImageId, ImageStatus, Origin, RegionId,
    Snapshot, SnapshotId, SnapshotStatus, Tag, Task, TaskAction, check_copy_image, check_tags,
    description, image_name,
};
use ebb_store::{Durability, Tx};
use ebb_volume::{EngineError, SnapshotId as Version};

use crate::copy::fail_copy;
use crate::data_keys::{DataKeys, Halt};
use crate::encryption::key_of_snapshot;
use crate::image::{complete, find_image, replayed_image};
use crate::reconcile::op_of;
use crate::scratch::Scratch;
use crate::task::Progress;
use crate::task_end::TaskEnd;
use crate::work::Job;
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

/// A copy whose rows are there.
struct Intended {
    copy: Image,
    parts: Vec<Part>,
    /// Where nothing can be shared.
    task: Option<Task>,
}

impl Control {
    /// Copies an image to another region of this server. It is Available when this returns,
    /// whatever its size: both regions are one pool. One that is to be encrypted is once its task
    /// is Finished, and may be in the same region.
    ///
    /// Durable by the outcome's commit, as CreateImage; with a task, by the intent's.
    ///
    /// # Errors
    /// The first refusal, or a failure, after which there is no copy.
    pub fn copy_image(
        self: &Arc<Self>,
        owner: &AccountId,
        request: &CopyImage,
    ) -> Result<ImageId, ControlError> {
        self.region(&request.region)?;
        image_name(&request.name)?;
        description(&request.description)?;
        check_tags(&request.tags)?;
        self.region(&request.destination).map_err(|_| Denied::DestinationRegionNotFound)?;
        let token = request.token.as_ref();
        let durability = match request.encrypted {
            true => Durability::Durable,
            false => Durability::Recoverable,
        };
        let intended = self.write_with_data_keys(owner, durability, |tx, keys| {
            if let Some(made) = self.replay(tx, owner, token)? {
                return Ok(Err(replayed_copy(tx, request, made)?));
            }
            Ok(Ok(self.intend_copy_image(tx, keys, owner, request)?))
        })?;
        let Intended { copy, parts, task } = match intended {
            Ok(intended) => intended,
            Err(replayed) => return Ok(replayed),
        };
        if let Some(task) = task {
            self.work.add(Job::Task(task.id));
            return Ok(copy.id);
        }
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
        keys: &mut DataKeys,
        owner: &AccountId,
        request: &CopyImage,
    ) -> Result<Intended, Halt> {
        let image = find_image(tx, owner, &request.region, &request.image)?;
        let (encrypted, with_key) = (request.encrypted, request.key.is_some());
        check_copy_image(&image, &request.destination, encrypted, with_key)?;
        let id = ImageId::mint(self.random());
        let (mut disks, mut parts) = (Vec::new(), Vec::new());
        for disk in &image.disks {
            let source = tx.snapshot(&disk.snapshot)?.ok_or(Denied::SnapshotNotFound)?;
            let mut copy = self.copy_for_image(request, &id, &source);
            if encrypted {
                // It is read with its own key.
                key_of_snapshot(tx, &source)?.check()?;
                copy.encryption = keys.by_key(&request.destination, request.key.as_deref());
            }
            disks.push(ImageDisk {
                snapshot: copy.id.clone(),
                encrypted: copy.encryption.is_some(),
                ..disk.clone()
            });
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
        keys.keep(tx, owner)?;
        if request.dry_run {
            return Err(Denied::DryRun.into());
        }
        for part in &parts {
            tx.insert_snapshot(&part.copy)?;
        }
        tx.insert_image(&copy)?;
        let task = encrypted
            .then(|| self.new_task(TaskAction::CopyImage, owner, &copy.region, copy.id.as_str()));
        if let Some(task) = &task {
            self.add_task(tx, task)?;
        }
        self.remember(tx, owner, request.token.as_ref(), vec![copy.id.to_string()])?;
        Ok(Intended { copy, parts, task })
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
            let scratch = Scratch::closed(self, *source, copy.size_bytes())?;
            pairs.push((scratch.id(), Version(copy.version)));
            scratches.push(scratch);
        }
        match pairs.first() {
            Some((_, first)) => self.engine.create_snapshots(op_of("image", first.0), &pairs),
            None => Ok(()),
        }
    }

    pub(crate) fn carry_copy_image(self: &Arc<Self>, task: &Task) -> Result<(), TaskEnd> {
        let id = ImageId::new(task.resource.as_str());
        let image = self.store.read(|tx| tx.image(&id))?.ok_or(TaskEnd::Cancelled)?;
        let copies = self.store.read(|tx| copies(tx, &image))?;
        let made = self.engine.inventory()?.snapshots;
        let is_made = |copy: &Snapshot| made.iter().any(|found| found.id.0 == copy.version);
        if !copies.iter().all(is_made) {
            self.write_copies(task, &copies)?;
        }
        self.pass(Step::VersionMade);
        let outcome = self.finish_task(&task.id, |tx| complete(tx, &image.id));
        if matches!(outcome, Err(TaskEnd::Cancelled)) {
            for copy in &copies {
                self.engine.delete_snapshot(self.new_op(), Version(copy.version))?;
            }
        }
        outcome
    }

    fn write_copies(self: &Arc<Self>, task: &Task, copies: &[Snapshot]) -> Result<(), TaskEnd> {
        let total = copies.iter().map(Snapshot::size_bytes).sum();
        let mut progress = Progress::new(self, &task.id, total);
        // All of them before the first is read: from here on they may be deleted.
        let contents =
            copies.iter().map(|copy| self.copied(copy)).collect::<Result<Vec<_>, _>>()?;
        let (mut before, mut pairs, mut scratches) = (0, Vec::new(), Vec::new());
        for (copy, content) in copies.iter().zip(contents) {
            let mut reach = |done| progress.reach(before + done);
            let scratch = self.fill_copy(copy, content, &mut reach)?;
            pairs.push((scratch.id(), Version(copy.version)));
            scratches.push(scratch);
            before += copy.size_bytes();
        }
        match pairs.first() {
            Some((_, first)) => {
                Ok(self.engine.create_snapshots(op_of("image", first.0), &pairs)?)
            }
            None => Ok(()),
        }
    }
}

/// The copy that the first call with a token made. One that goes on as a task was answered before
/// it is there.
fn replayed_copy(
    tx: &Tx<'_>,
    request: &CopyImage,
    made: Vec<String>,
) -> Result<ImageId, ControlError> {
    match request.encrypted {
        true => Ok(ImageId::new(made.into_iter().next().unwrap_or_default())),
        false => replayed_image(tx, made),
    }
}

/// The snapshots of an image that are there.
fn copies(tx: &Tx<'_>, image: &Image) -> Result<Vec<Snapshot>, ControlError> {
    let found = image.disks.iter().map(|disk| tx.snapshot(&disk.snapshot));
    Ok(found.filter_map(Result::transpose).collect::<Result<_, _>>()?)
}

/// Says that a copy came to nothing, and its snapshots with it.
pub(crate) fn fail_copy_image(tx: &Tx<'_>, id: &ImageId) -> Result<(), ControlError> {
    let Some(image) = tx.image(id)? else { return Ok(()) };
    for disk in &image.disks {
        fail_copy(tx, &disk.snapshot)?;
    }
    Ok(tx.save_image(&Image { status: ImageStatus::CreateFailed, ..image })?)
}

/// Takes a copy away that was ended before its time.
pub(crate) fn remove_copy_image(tx: &Tx<'_>, id: &ImageId) -> Result<(), ControlError> {
    let Some(image) = tx.image(id)? else { return Ok(()) };
    tx.remove_image(id)?;
    for disk in &image.disks {
        tx.remove_snapshot(&disk.snapshot)?;
    }
    Ok(())
}
