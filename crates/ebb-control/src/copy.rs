//! CopySnapshot: the same bytes as a snapshot of another region, or encrypted otherwise.
//!
//! ```text
//!   another region            the copy shares what the two hold: done when the call returns
//!   encrypted, or re-keyed    nothing can be shared: a task reads the one and writes the other
//!       Progressing + task ─► version ─► one commit: Accomplished, Finished
//! ```
//! A copy keeps its SourceDiskId. A disk is reset to one of its own data key only.

use std::sync::Arc;

use ebb_domain::{
    CopySource, Denied, Origin, RegionId, Snapshot, SnapshotId, SnapshotStatus, Tag, Task,
    TaskAction, check_copy_snapshot, check_tags, description, retention_days, snapshot_name,
};
use ebb_store::{Durability, Tx};
use ebb_volume::{EngineError, SnapshotId as Version, VolumeId};

use crate::content::Content;
use crate::control::account;
use crate::encryption::key_of_snapshot;
use crate::reconcile::op_of;
use crate::scratch::Scratch;
use crate::snapshot::{accomplish, replayed_snapshot, visible};
use crate::task::Progress;
use crate::task_end::TaskEnd;
use crate::work::Job;
use crate::{ClientToken, Control, ControlError, Scope, Step};

/// CopySnapshot.
#[derive(Debug, Clone)]
pub struct CopySnapshot {
    /// SnapshotId
    pub snapshot: SnapshotId,
    /// DestinationRegionId
    pub region: RegionId,
    /// DestinationSnapshotName
    pub name: String,
    /// DestinationSnapshotDescription
    pub description: String,
    /// RetentionDays
    pub retention_days: Option<i64>,
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
}

/// What is to be copied, and the row of the copy.
struct Intended {
    source: Version,
    size_bytes: u64,
    copy: Snapshot,
}

impl Control {
    /// Copies a snapshot to another region of this server. It is accomplished when this returns,
    /// whatever its size: both regions are one pool, and the two share what they hold.
    ///
    /// Durable as [`Control::create_snapshot`] is.
    ///
    /// # Errors
    /// The first refusal, or a failure, after which there is no copy.
    pub fn copy_snapshot(
        &self,
        scope: &Scope,
        request: &CopySnapshot,
    ) -> Result<SnapshotId, ControlError> {
        snapshot_name(&request.name)?;
        description(&request.description)?;
        check_tags(&request.tags)?;
        self.copy_as(scope, request, Origin::User)
    }

    /// The same for a copy that comes about in that way, whatever it is called.
    pub(crate) fn copy_as(
        &self,
        scope: &Scope,
        request: &CopySnapshot,
        origin: Origin,
    ) -> Result<SnapshotId, ControlError> {
        if request.encrypted {
            return self.copy_encrypted(scope, request, origin);
        }
        let intended = self.store.write::<_, ControlError>(Durability::Recoverable, |tx| {
            if let Some(made) = self.replay(tx, &scope.account, request.token.as_ref())? {
                return Ok(Err(replayed_snapshot(tx, &made)?));
            }
            let intended = self.intend_copy(tx, scope, request, origin)?;
            tx.insert_snapshot(&intended.copy)?;
            Ok(Ok(intended))
        })?;
        let intended = match intended {
            Ok(intended) => intended,
            Err(replayed) => return Ok(replayed),
        };
        self.pass(Step::SnapshotIntended);
        let copy = &intended.copy;
        if let Err(error) = self.make_copy(&intended) {
            self.undo_create_snapshot(&scope.account, request.token.as_ref(), copy)?;
            return Err(match error {
                // Deleted meanwhile.
                EngineError::NoSuchSnapshot(_) => Denied::SnapshotNotFound.into(),
                error => error.into(),
            });
        }
        self.store.write(Durability::Durable, |tx| accomplish(tx, &copy.id))?;
        Ok(intended.copy.id)
    }

    /// The snapshot to be copied, once nothing forbids it.
    fn check_copy(
        &self,
        tx: &Tx<'_>,
        scope: &Scope,
        request: &CopySnapshot,
    ) -> Result<Snapshot, ControlError> {
        let region = self.given_region(scope)?;
        account(tx, &scope.account)?.check_snapshot_service()?;
        self.region(&request.region).map_err(|_| Denied::DestinationRegionNotFound)?;
        let source = visible(tx, &scope.account, region.as_ref(), &request.snapshot)?;
        check_copy_snapshot(&source, &request.region, request.encrypted, request.key.is_some())?;
        if request.encrypted {
            // It is read with its own key.
            key_of_snapshot(tx, &source)?.check()?;
        }
        Ok(source)
    }

    fn intend_copy(
        &self,
        tx: &Tx<'_>,
        scope: &Scope,
        request: &CopySnapshot,
        origin: Origin,
    ) -> Result<Intended, ControlError> {
        let source = self.check_copy(tx, scope, request)?;
        let copy = Snapshot {
            id: SnapshotId::mint(self.random()),
            region: request.region.clone(),
            name: request.name.clone(),
            description: request.description.clone(),
            retention_days: retention_days(request.retention_days)?,
            resource_group: request.resource_group.clone(),
            tags: request.tags.clone(),
            created_at: self.now(),
            modified_at: None,
            lock: None,
            group: None,
            copied_from: Some(CopySource {
                snapshot: source.id.clone(),
                region: source.region.clone(),
            }),
            version: self.new_engine_id(),
            status: SnapshotStatus::Progressing,
            origin,
            ..source.clone()
        };
        let result = vec![copy.id.to_string()];
        self.remember(tx, &scope.account, request.token.as_ref(), result)?;
        let size_bytes = source.size_bytes();
        Ok(Intended { source: Version(source.version), size_bytes, copy })
    }

    /// The copy is Progressing when this returns, and Accomplished once its task is Finished.
    ///
    /// The task and the data key are durable by this commit.
    fn copy_encrypted(
        &self,
        scope: &Scope,
        request: &CopySnapshot,
        origin: Origin,
    ) -> Result<SnapshotId, ControlError> {
        let owner = &scope.account;
        let begun = self.write_with_data_keys(owner, Durability::Durable, |tx, keys| {
            if let Some(made) = self.replay(tx, owner, request.token.as_ref())? {
                return Ok(Err(SnapshotId::new(made.into_iter().next().unwrap_or_default())));
            }
            let Intended { copy, .. } = self.intend_copy(tx, scope, request, origin)?;
            let encryption = keys.by_key(&request.region, request.key.as_deref());
            keys.keep(tx, owner)?;
            tx.insert_snapshot(&Snapshot { encryption, ..copy.clone() })?;
            let action = TaskAction::CopySnapshot;
            let task = self.new_task(action, owner, &copy.region, copy.id.as_str());
            self.add_task(tx, &task)?;
            Ok(Ok(task))
        })?;
        Ok(match begun {
            Ok(task) => {
                self.work.add(Job::Task(task.id));
                SnapshotId::new(task.resource)
            }
            Err(replayed) => replayed,
        })
    }

    pub(crate) fn carry_copy(self: &Arc<Self>, task: &Task) -> Result<(), TaskEnd> {
        let id = SnapshotId::new(task.resource.as_str());
        let copy = self.store.read(|tx| tx.snapshot(&id))?.ok_or(TaskEnd::Cancelled)?;
        let made = self.engine.inventory()?;
        if !made.snapshots.iter().any(|found| found.id.0 == copy.version) {
            self.write_copy(task, &copy)?;
        }
        self.pass(Step::VersionMade);
        self.finish_task(&task.id, |tx| accomplish(tx, &copy.id).map(drop))
    }

    fn write_copy(self: &Arc<Self>, task: &Task, copy: &Snapshot) -> Result<(), TaskEnd> {
        let mut progress = Progress::new(self, &task.id, copy.size_bytes());
        let scratch = self.fill_copy(copy, self.copied(copy)?, &mut |done| progress.reach(done))?;
        let pair = (scratch.id(), Version(copy.version));
        Ok(self.engine.create_snapshots(op_of("snapshot", copy.version), &[pair])?)
    }

    /// What a copy is to read as.
    pub(crate) fn copied(self: &Arc<Self>, copy: &Snapshot) -> Result<Content, TaskEnd> {
        let gone = || TaskEnd::Failed("the snapshot that was copied is gone".into());
        let from = copy.copied_from.as_ref().ok_or_else(gone)?;
        let source = self.store.read(|tx| tx.snapshot(&from.snapshot))?.ok_or_else(gone)?;
        Content::of(self, &source)
    }

    /// A volume that reads so, and is encrypted as the copy is to be.
    pub(crate) fn fill_copy(
        self: &Arc<Self>,
        copy: &Snapshot,
        mut content: Content,
        reach: &mut dyn FnMut(u64) -> Result<(), TaskEnd>,
    ) -> Result<Scratch, TaskEnd> {
        let encryption = copy.encryption.as_ref();
        let key = encryption.map(|one| self.data_key(&copy.account, one)).transpose()?;
        let scratch = Scratch::sealed(self, copy.size_bytes(), key.as_ref())?;
        while let Some(piece) = content.next()? {
            reach(piece.offset)?;
            scratch.write(piece.offset, piece.bytes)?;
        }
        Ok(scratch)
    }

    /// A volume is made of the source, frozen as the copy, and deleted. After a crash it is one
    /// that no disk has, and so the next start deletes it.
    fn make_copy(&self, intended: &Intended) -> Result<(), EngineError> {
        let Intended { source, size_bytes, copy } = intended;
        let (volume, version) = (VolumeId(self.cluster.scratch_id()), Version(copy.version));
        let op = op_of("snapshot", version.0);
        let outcome = self
            .engine
            .fork(self.new_op(), *source, volume, *size_bytes)
            .and_then(|()| self.engine.create_snapshots(op, &[(volume, version)]));
        self.pass(Step::VersionMade);
        if let Err(error) = self.engine.delete_volume(self.new_op(), volume) {
            tracing::warn!(?volume, %error, "a copy's volume stays until the next start");
        }
        outcome
    }
}

/// Says that a copy came to nothing, unless it was accomplished before.
pub(crate) fn fail_copy(tx: &Tx<'_>, id: &SnapshotId) -> Result<(), ControlError> {
    let found = tx.snapshot(id)?.filter(|copy| copy.status == SnapshotStatus::Progressing);
    if let Some(copy) = found {
        tx.save_snapshot(&Snapshot { status: SnapshotStatus::Failed, ..copy })?;
    }
    Ok(())
}
