//! Tasks: DescribeTasks, DescribeTaskAttribute, CancelTask.

use ebb_domain::{AccountId, Denied, RegionId, Task, TaskAction, TaskId, TaskStatus};
use ebb_store::{Page, TaskQuery, Tx};

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
        self.task(account, region, id)?;
        Err(Denied::TaskNotCancelable.into())
    }
}
