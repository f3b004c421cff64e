//! Tasks: DescribeTasks, DescribeTaskAttribute, CancelTask; and how those that go on after their
//! call are carried.
//!
//! A task that is under way stands in the record with all that it needs, so a start begins it
//! again from its beginning. It asks whether it is cancelled as it comes along, and again in the
//! transaction that makes its outcome true: who commits first wins.

use std::sync::Arc;

use ebb_domain::{
    AccountId, Denied, DiskId, Image, ImageId, ImageStatus, RegionId, SnapshotId, Task, TaskAction,
    TaskId, TaskStatus,
};
use ebb_store::{Durability, Page, TaskQuery, Tx};

use crate::copy::fail_copy;
use crate::image_copy::{fail_copy_image, remove_copy_image};
use crate::task_end::TaskEnd;
use crate::{Control, ControlError};

/// Seconds that a task is shown after its end.
const SHOWN_SECONDS: i64 = 30 * 24 * 3600;

impl Control {
    /// A task that has just begun.
    pub(crate) fn new_task(
        &self,
        action: TaskAction,
        account: &AccountId,
        region: &RegionId,
        resource: &str,
    ) -> Task {
        Task {
            id: TaskId::mint(self.random()),
            group: None,
            account: account.clone(),
            region: region.clone(),
            action,
            resource: resource.to_owned(),
            objects: Vec::new(),
            status: TaskStatus::Processing,
            percent: 0,
            error: String::new(),
            created_at: self.now(),
            finished_at: None,
        }
    }

    /// Records a task, and forgets those that ended long ago.
    pub(crate) fn add_task(&self, tx: &Tx<'_>, task: &Task) -> Result<(), ControlError> {
        tx.purge_tasks(self.now().plus_seconds(-SHOWN_SECONDS))?;
        Ok(tx.insert_task(task)?)
    }

    /// Tasks that a query asks for.
    ///
    /// # Errors
    /// A failure.
    pub fn tasks(&self, query: &TaskQuery) -> Result<Page<Task>, ControlError> {
        Ok(self.store.read(|tx| tx.tasks(query))?)
    }

    /// The task of that id.
    ///
    /// # Errors
    /// [`Denied::TaskNotFound`], or a failure.
    pub fn task(
        &self,
        account: &AccountId,
        region: &RegionId,
        id: &TaskId,
    ) -> Result<Task, ControlError> {
        let found = self.store.read::<_, ControlError>(|tx| Ok(tx.task(id)?))?;
        let theirs = found.filter(|task| task.account == *account && task.region == *region);
        Ok(theirs.ok_or(Denied::TaskNotFound)?)
    }

    /// Ends a task before its time: it is Failed when this returns, and what it had begun goes.
    ///
    /// Durable by the commit.
    ///
    /// # Errors
    /// [`Denied::TaskNotFound`], [`Denied::TaskNotCancelable`], [`Denied::TaskOver`], or a failure.
    pub fn cancel_task(
        &self,
        account: &AccountId,
        region: &RegionId,
        id: &TaskId,
    ) -> Result<(), ControlError> {
        self.store.write(Durability::Durable, |tx| {
            let theirs = |task: &Task| task.account == *account && task.region == *region;
            let task = tx.task(id)?.filter(theirs).ok_or(Denied::TaskNotFound)?;
            if !task.action.is_cancelable() {
                return Err(Denied::TaskNotCancelable.into());
            }
            if task.status != TaskStatus::Processing {
                return Err(Denied::TaskOver.into());
            }
            match task.action {
                TaskAction::ImportImage => {
                    tx.remove_image(&ImageId::new(task.resource.as_str()))?;
                }
                TaskAction::CopyImage => {
                    remove_copy_image(tx, &ImageId::new(task.resource.as_str()))?;
                }
                _ => {}
            }
            self.fail_task(tx, task, "it was cancelled")
        })
    }

    fn fail_task(&self, tx: &Tx<'_>, task: Task, error: &str) -> Result<(), ControlError> {
        match task.action {
            TaskAction::CopySnapshot => {
                fail_copy(tx, &SnapshotId::new(task.resource.as_str()))?;
            }
            TaskAction::CopyImage => {
                fail_copy_image(tx, &ImageId::new(task.resource.as_str()))?;
            }
            TaskAction::CloneDisks => {
                tx.remove_disk(&DiskId::new(task.resource.as_str()), self.now())?;
            }
            _ => {}
        }
        let failed = Task { error: error.to_owned(), ..task };
        Ok(tx.save_task(&failed.ended(TaskStatus::Failed, self.now()))?)
    }

    /// Carries a task to its end.
    pub(crate) fn carry_task(self: &Arc<Self>, id: &TaskId) -> Result<(), ControlError> {
        let found = self.store.read(|tx| tx.task(id))?;
        let Some(task) = found.filter(|task| task.status == TaskStatus::Processing) else {
            return Ok(());
        };
        let outcome = match task.action {
            TaskAction::ImportImage => self.carry_import_image(&task),
            TaskAction::ExportSnapshot => self.carry_export(&task),
            TaskAction::ModifySnapshotCategory => self.carry_archive(&task),
            TaskAction::CopySnapshot => self.carry_copy(&task),
            TaskAction::CopyImage => self.carry_copy_image(&task),
            TaskAction::CloneDisks => self.carry_clone(&task),
            TaskAction::ModifyDiskSpec | TaskAction::ModifyDiskDeployment => Ok(()),
        };
        match outcome {
            Ok(()) | Err(TaskEnd::Stopping | TaskEnd::Cancelled) => Ok(()),
            // What it waited for was given up with the server: the next start begins it again.
            Err(TaskEnd::Failed(_)) if self.work.is_stopping() => Ok(()),
            Err(TaskEnd::Failed(reason)) => self.end_failed(&task, &reason),
            Err(TaskEnd::Broken(error)) => {
                // Told as a fault of ours; what it was is in the log.
                self.end_failed(&task, "an internal error")?;
                Err(error)
            }
        }
    }

    fn end_failed(&self, task: &Task, reason: &str) -> Result<(), ControlError> {
        // Whoever waits for it is told, and can do something about it.
        tracing::info!(task = %task.id, resource = task.resource, reason, "a task failed");
        let clone = self.store.write::<_, ControlError>(Durability::Durable, |tx| {
            let Some(task) = under_way(tx, &task.id)? else { return Ok(None) };
            let clone = match task.action {
                TaskAction::CloneDisks => tx.disk(&DiskId::new(task.resource.as_str()))?,
                _ => None,
            };
            if task.action == TaskAction::ImportImage
                && let Some(image) = tx.image(&ImageId::new(task.resource.as_str()))?
            {
                tx.save_image(&Image { status: ImageStatus::CreateFailed, ..image })?;
            }
            self.fail_task(tx, task, reason)?;
            Ok(clone)
        })?;
        if let Some(clone) = clone {
            self.remove_fork(&clone);
        }
        Ok(())
    }

    /// Makes what a task has done true, with what else belongs to it, unless it was cancelled.
    pub(crate) fn finish_task(
        &self,
        id: &TaskId,
        outcome: impl FnOnce(&Tx<'_>) -> Result<(), ControlError>,
    ) -> Result<(), TaskEnd> {
        let is_done = self.store.write::<_, ControlError>(Durability::Durable, |tx| {
            let Some(task) = under_way(tx, id)? else { return Ok(false) };
            outcome(tx)?;
            tx.save_task(&task.ended(TaskStatus::Finished, self.now()))?;
            Ok(true)
        })?;
        if is_done { Ok(()) } else { Err(TaskEnd::Cancelled) }
    }
}

/// The task, while it is under way.
fn under_way(tx: &Tx<'_>, id: &TaskId) -> Result<Option<Task>, ControlError> {
    Ok(tx.task(id)?.filter(|task| task.status == TaskStatus::Processing))
}

/// How often a task looks whether it is still wanted, in bytes that it has come along.
const LOOK_BYTES: u64 = 16 << 20;

/// How far a task has come.
pub(crate) struct Progress<'a> {
    control: &'a Control,
    task: TaskId,
    total: u64,
    looked_at: u64,
    percent: u8,
}

impl<'a> Progress<'a> {
    pub(crate) fn new(control: &'a Control, task: &TaskId, total: u64) -> Self {
        Self { control, task: task.clone(), total: total.max(1), looked_at: 0, percent: 0 }
    }

    /// So much is done.
    pub(crate) fn reach(&mut self, done: u64) -> Result<(), TaskEnd> {
        let percent = u8::try_from(done.min(self.total) * 99 / self.total).unwrap_or(99);
        if percent == self.percent && done < self.looked_at + LOOK_BYTES {
            return Ok(());
        }
        (self.looked_at, self.percent) = (done, percent);
        if self.control.work.is_stopping() {
            return Err(TaskEnd::Stopping);
        }
        let saved = self.control.store.write::<_, ControlError>(Durability::Recoverable, |tx| {
            let Some(task) = under_way(tx, &self.task)? else { return Ok(false) };
            tx.save_task(&Task { percent, ..task })?;
            Ok(true)
        })?;
        if saved { Ok(()) } else { Err(TaskEnd::Cancelled) }
    }
}
