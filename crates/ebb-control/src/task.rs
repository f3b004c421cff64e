//! Tasks: DescribeTasks, DescribeTaskAttribute, CancelTask.

use ebb_domain::{AccountId, Denied, Disk, RegionId, Task, TaskAction, TaskId, TaskStatus};
use ebb_store::{Page, TaskQuery, Tx};

use crate::{Control, ControlError};

/// Seconds that a task is shown after its end.
const SHOWN_SECONDS: i64 = 30 * 24 * 3600;

impl Control {
    /// Records a task that ends in the transaction that does what it is about.
    pub(crate) fn finished_task(
        &self,
        tx: &Tx<'_>,
        action: TaskAction,
        disk: &Disk,
    ) -> Result<TaskId, ControlError> {
        let now = self.now();
        tx.purge_tasks(now.plus_seconds(-SHOWN_SECONDS))?;
        let task = Task {
            id: TaskId::mint(self.random()),
            account: disk.account.clone(),
            region: disk.region.clone(),
            action,
            resource: disk.id.to_string(),
            status: TaskStatus::Finished,
            created_at: now,
            finished_at: Some(now),
        };
        tx.insert_task(&task)?;
        Ok(task.id)
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

    /// Ends a task that can be ended, of which there is none yet.
    ///
    /// # Errors
    /// [`Denied::TaskNotFound`], [`Denied::TaskNotCancelable`], or a failure.
    pub fn cancel_task(
        &self,
        account: &AccountId,
        region: &RegionId,
        id: &TaskId,
    ) -> Result<(), ControlError> {
        match self.task(account, region, id)?.action {
            TaskAction::ModifyDiskSpec => Err(Denied::TaskNotCancelable.into()),
        }
    }
}
