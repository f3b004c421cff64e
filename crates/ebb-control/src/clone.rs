//! CloneDisks: a new disk that reads as another does at one instant within the call.
//!
//! ```text
//!   one commit    the clone Creating, its task Processing
//!   engine        the source is frozen, forked, and what was frozen deleted
//!   one commit    the clone Available, the task Finished: durable, and answered
//! ```

use ebb_domain::{
    AccountId, Denied, Disk, DiskId, DiskKind, NewDisk, RegionId, SizeRequest, Task, TaskAction,
    TaskGroupId, TaskStatus, check_encryption_of_source, disk_size,
};
use ebb_store::{Durability, Tx};
use ebb_volume::{EngineError, SnapshotId as Version, VolumeId};

use crate::control::{account, check_disk_quota, get_disk};
use crate::reconcile::op_of;
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
    task: Task,
}

impl Control {
    /// Makes a disk that reads as another, in the same zone. It is Available when this returns, and
    /// the one task of the group that this answers is Finished and names it.
    ///
    /// Durable by the outcome's commit, as CreateDisk.
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
        let intended = self.store.write::<_, ControlError>(Durability::Recoverable, |tx| {
            if let Some(made) = self.replay(tx, owner, token)? {
                return Ok(Err(TaskGroupId::new(made.into_iter().next().unwrap_or_default())));
            }
            Ok(Ok(self.intend_clone(tx, owner, request, size)?))
        })?;
        let Intended { source, clone, task } = match intended {
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
        self.store.write::<_, ControlError>(Durability::Durable, |tx| {
            self.rest_disk(tx, &clone.id)?;
            Ok(tx.save_task(&task.clone().ended(TaskStatus::Finished, self.now()))?)
        })?;
        Ok(task.group.expect("a clone's task has a group"))
    }

    fn intend_clone(
        &self,
        tx: &Tx<'_>,
        owner: &AccountId,
        request: &CloneDisk,
        size: SizeRequest,
    ) -> Result<Intended, ControlError> {
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
        check_clone(tx, owner, request, &source)?;
        let (size_gib, level) = disk_size(size, None)?;
        if size_gib < source.size_gib {
            return Err(Denied::SizeTooSmall.into());
        }
        check_disk_quota(tx, &account, size_gib.into())?;
        if request.dry_run {
            return Err(Denied::DryRun.into());
        }
        let clone = Disk {
            region: source.region.clone(),
            zone: source.zone.clone(),
            cloned_from: Some(source.id.clone()),
            encryption: source.encryption.clone(),
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
        Ok(Intended { source: source.volume, clone, task })
    }

    /// What is frozen between has no row: a start removes what a crash leaves of it.
    fn fork_head(&self, source: u64, clone: &Disk) -> Result<(), EngineError> {
        let version = Version(self.new_engine_id());
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
    /// was answered.
    pub(crate) fn reconcile_clone(&self, clone: &Disk, is_made: bool) -> Result<(), ControlError> {
        let tasks = self.store.read(|tx| tx.tasks_under_way())?;
        let its = tasks.into_iter().find(|task| task.resource == clone.id.as_str());
        let status = if is_made { TaskStatus::Finished } else { TaskStatus::Failed };
        self.store.write(Durability::Durable, |tx| {
            if let Some(task) = &its {
                tx.save_task(&task.clone().ended(status, self.now()))?;
            }
            match is_made {
                true => self.rest_disk(tx, &clone.id),
                false => Ok(tx.remove_disk(&clone.id, self.now())?),
            }
        })
    }
}

/// A clone is encrypted as its source is, as they share what they hold.
fn check_clone(
    tx: &Tx<'_>,
    owner: &AccountId,
    request: &CloneDisk,
    source: &Disk,
) -> Result<(), ControlError> {
    let new = &request.disk;
    let wanted = new.is_to_be_encrypted(tx.is_encrypted_by_default(owner, &request.region)?)?;
    let asked = (wanted || new.encrypted.is_some()).then_some(wanted);
    let same = check_encryption_of_source(asked, new.key.as_deref(), source.encryption.as_ref());
    Ok(same.map_err(|_| Denied::EncryptionUnavailable)?)
}
