//! CloneDisks: a new disk that reads as another does at one instant within the call.
//!
//! ```text
//!   one commit    the clone Creating, its task Processing
//!   engine        the source is frozen, forked, and what was frozen deleted
//!   one commit    the clone Available, the task Finished: durable, and answered
//! ```
//! The encrypted clone of a plain disk shares nothing with it. It is answered once the source is
//! forked, and its task goes on:
//! ```text
//!   engine        a volume of the clone's data key, to which the fork is written
//!   one commit    the clone has that volume and is Available, the task Finished
//!   engine        the fork goes
//! ```
//! Until then the clone's volume is the fork. Whether a volume is encrypted the engine knows, so a
//! start can tell one from the other.

use std::sync::Arc;

use ebb_domain::{
    AccountId, Denied, Disk, DiskId, DiskKind, DiskStatus, Encryption, NewDisk, RegionId,
    SizeRequest, Task, TaskAction, TaskGroupId, TaskStatus, check_encryption_of_source, disk_size,
};
use ebb_store::{Durability, Tx};
use ebb_volume::{EngineError, Io, SnapshotId as Version, VolumeId, VolumeInfo, run};

use crate::content::Content;
use crate::control::{account, check_disk_quota, get_disk};
use crate::data_keys::{DataKeys, Halt};
use crate::encryption::{asked_encryption, key_of};
use crate::reconcile::op_of;
use crate::scratch::Scratch;
use crate::task::Progress;
use crate::task_end::TaskEnd;
use crate::work::Job;
use crate::{ClientToken, Control, ControlError, Step};

/// CloneDisks.
#[derive(Debug, Clone)]
pub struct CloneDisk {
    /// RegionId
    pub region: RegionId,
    /// SourceDiskId
    pub source: DiskId,
    /// What it is to be like
    pub disk: NewDisk,
    /// ClientToken
    pub token: Option<ClientToken>,
    /// DryRun
    pub dry_run: bool,
}

/// What is known once the clone says Creating.
struct Intended {
    source: u64,
    clone: Disk,
    /// Whether it is encrypted and its source is not.
    shares_nothing: bool,
    task: Task,
}

impl Control {
    /// Makes a disk that reads as another, in the same zone. It is Available when this returns, and
    /// the one task of the group that this answers is Finished and names it; the encrypted clone
    /// of a plain disk is once its task is Finished.
    ///
    /// Durable by the outcome's commit, as CreateDisk; with a task that goes on, by one before the
    /// answer.
    ///
    /// # Errors
    /// The first refusal, or a failure, after which there is no disk.
    pub fn clone_disk(
        &self,
        owner: &AccountId,
        request: &CloneDisk,
    ) -> Result<TaskGroupId, ControlError> {
        let size = request.disk.check()?;
        let token = request.token.as_ref();
        let durability = Durability::Recoverable;
        let intended = self.write_with_data_keys(owner, durability, |tx, keys| {
            if let Some(made) = self.replay(tx, owner, token)? {
                return Ok(Err(TaskGroupId::new(made.into_iter().next().unwrap_or_default())));
            }
            Ok(Ok(self.intend_clone(tx, keys, owner, request, size)?))
        })?;
        let Intended { source, clone, shares_nothing, task } = match intended {
            Ok(intended) => intended,
            Err(replayed) => return Ok(replayed),
        };
        self.pass(Step::DiskIntended);
        if let Err(error) = self.fork_head(source, &clone) {
            self.store.write::<_, ControlError>(Durability::Recoverable, |tx| {
                self.forget(tx, owner, token)?;
                tx.remove_task(&task.id)?;
                Ok(tx.remove_disk(&clone.id, self.now())?)
            })?;
            return Err(match error {
                // Deleted meanwhile.
                EngineError::NoSuchVolume(_) => Denied::DiskNotFound.into(),
                error => error.into(),
            });
        }
        self.pass(Step::VolumeMade);
        if shares_nothing {
            // Answered before it is there: rows and data key must outlive a power loss.
            self.store
                .write::<_, ControlError>(Durability::Durable, |tx| Ok(tx.save_task(&task)?))?;
            self.work.add(Job::Task(task.id.clone()));
        } else {
            self.store.write::<_, ControlError>(Durability::Durable, |tx| {
                self.rest_disk(tx, &clone.id)?;
                Ok(tx.save_task(&task.clone().ended(TaskStatus::Finished, self.now()))?)
            })?;
        }
        Ok(task.group.expect("a clone's task has a group"))
    }

    fn intend_clone(
        &self,
        tx: &Tx<'_>,
        keys: &mut DataKeys,
        owner: &AccountId,
        request: &CloneDisk,
        size: SizeRequest,
    ) -> Result<Intended, Halt> {
        self.region(&request.region)?;
        let source = get_disk(tx, owner, Some(&request.region), &request.source)?;
        if !source.category.has_snapshots() {
            return Err(Denied::CategoryUnsupported.into());
        }
        if source.kind == DiskKind::System {
            return Err(Denied::SystemDisk.into());
        }
        if !source.is_resting() {
            return Err(Denied::DiskStatus.into());
        }
        let account = account(tx, owner)?;
        account.check_balance()?;
        if account.arrears {
            return Err(Denied::AccountInArrears.into());
        }
        if !size.category.has_snapshots() {
            return Err(Denied::CategoryNotOffered.into());
        }
        if tx.is_restricted(size.category, owner)? {
            return Err(Denied::NotOnWhiteList.into());
        }
        let encryption = encryption_of_clone(tx, keys, owner, &request.disk, &source)?;
        let (size_gib, level) = disk_size(size, None)?;
        if size_gib < source.size_gib {
            return Err(Denied::SizeTooSmall.into());
        }
        check_disk_quota(tx, &account, size_gib.into())?;
        keys.keep(tx, owner)?;
        if request.dry_run {
            return Err(Denied::DryRun.into());
        }
        let clone = Disk {
            region: source.region.clone(),
            zone: source.zone.clone(),
            cloned_from: Some(source.id.clone()),
            encryption,
            ..self.new_disk(owner, &request.disk, size, size_gib, level)
        };
        let group = TaskGroupId::mint(self.random());
        let task = Task {
            group: Some(group.clone()),
            ..self.new_task(
                TaskAction::CloneDisks,
                &clone.account,
                &clone.region,
                clone.id.as_str(),
            )
        };
        tx.insert_disk(&clone)?;
        self.add_task(tx, &task)?;
        self.remember(tx, owner, request.token.as_ref(), vec![group.to_string()])?;
        let shares_nothing = clone.encryption.is_some() && source.encryption.is_none();
        Ok(Intended { source: source.volume, clone, shares_nothing, task })
    }

    /// What is frozen between has no row: a start removes what a crash leaves of it.
    fn fork_head(&self, source: u64, clone: &Disk) -> Result<(), EngineError> {
        let version = Version(self.cluster.scratch_id());
        let pair = (VolumeId(source), version);
        self.engine.create_snapshots(op_of("clone", version.0), &[pair])?;
        let op = op_of("create", clone.volume);
        let forked = self.engine.fork(op, version, VolumeId(clone.volume), clone.size_bytes());
        if let Err(error) = self.engine.delete_snapshot(self.new_op(), version) {
            tracing::warn!(?version, %error, "a clone's version stays until the next start");
        }
        forked
    }

    /// Ends what a start finds of a clone: it is there if its volume is, else it is gone. Nobody
    /// was answered. One that is yet to be encrypted is left to its task.
    pub(crate) fn reconcile_clone(
        &self,
        clone: &Disk,
        made: Option<&VolumeInfo>,
    ) -> Result<(), ControlError> {
        if made.is_some_and(|volume| volume.encrypted != clone.encryption.is_some()) {
            return Ok(());
        }
        let is_made = made.is_some();
        let tasks = self.store.read(|tx| tx.tasks_under_way())?;
        let its = tasks.into_iter().find(|task| task.resource == clone.id.as_str());
        let status = if is_made { TaskStatus::Finished } else { TaskStatus::Failed };
        self.store.write(Durability::Durable, |tx| {
            if let Some(task) = &its {
                tx.save_task(&task.clone().ended(status, self.now()))?;
            }
            match is_made {
                true => self.rest_disk(tx, &clone.id),
                false => {
                    tx.remove_tokens_of(clone.id.as_str())?;
                    Ok(tx.remove_disk(&clone.id, self.now())?)
                }
            }
        })
    }

    /// Encrypts the clone of a plain disk.
    pub(crate) fn carry_clone(self: &Arc<Self>, task: &Task) -> Result<(), TaskEnd> {
        let id = DiskId::new(task.resource.as_str());
        let found = self.store.read(|tx| tx.disk(&id))?;
        let clone = found.filter(|disk| disk.status == DiskStatus::Creating);
        let clone = clone.ok_or(TaskEnd::Cancelled)?;
        let mut written = self.write_clone(task, &clone)?;
        // Before the disk has it: who attaches it then must not lose his handle.
        written.close()?;
        self.pass(Step::VolumeMade);
        let volume = written.id().0;
        let outcome = self.finish_task(&task.id, |tx| {
            let mut disk = tx.disk(&clone.id)?.ok_or(Denied::DiskNotFound)?;
            disk.volume = volume;
            disk.status = disk.resting_status();
            Ok(tx.save_disk(&disk)?)
        });
        // A commit that failed may have happened.
        if !matches!(outcome, Err(TaskEnd::Cancelled)) {
            written.keep();
        }
        outcome?;
        self.remove_fork(&clone);
        Ok(())
    }

    fn write_clone(self: &Arc<Self>, task: &Task, clone: &Disk) -> Result<Scratch, TaskEnd> {
        let key = self.data_key_of(clone)?;
        let fork = self.engine.open(VolumeId(clone.volume), None)?;
        let mut content = Content::of_volume(fork);
        let written = Scratch::sealed(self, clone.size_bytes(), key.as_ref())?;
        let mut progress = Progress::new(self, &task.id, clone.size_bytes());
        while let Some(piece) = content.next()? {
            progress.reach(piece.offset)?;
            written.write(piece.offset, piece.bytes)?;
        }
        run(written.volume().as_ref(), Io::Flush)?;
        Ok(written)
    }

    /// Removes what an encrypted clone was written from. After a crash the next start does it, as
    /// no disk has it any more.
    pub(crate) fn remove_fork(&self, clone: &Disk) {
        let fork = VolumeId(clone.volume);
        let removed =
            self.engine.revoke(fork).and_then(|()| self.engine.delete_volume(self.new_op(), fork));
        if let Err(error) = removed {
            tracing::warn!(?fork, %error, "a clone's fork stays until the next start");
        }
    }
}

/// What a clone is encrypted with: as its source is, or where that is plain, as is asked for.
/// Another key for what is encrypted is what CopySnapshot is for.
fn encryption_of_clone(
    tx: &Tx<'_>,
    keys: &mut DataKeys,
    owner: &AccountId,
    new: &NewDisk,
    source: &Disk,
) -> Result<Option<Encryption>, ControlError> {
    if source.encryption.is_none() {
        return keys.of_new(tx, owner, &source.region, new);
    }
    let (asked, key) = asked_encryption(tx, owner, &source.region, new)?;
    check_encryption_of_source(asked, key.as_deref(), source.encryption.as_ref())?;
    key_of(tx, source)?.check()?;
    Ok(source.encryption.clone())
}
