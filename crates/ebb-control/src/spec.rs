//! ModifyDiskSpec and ModifyDiskDeployment.

use ebb_domain::{
    Denied, Disk, DiskId, SpecChange, SpecFacts, TaskAction, TaskId, TaskStatus, check_spec,
};
use ebb_store::{Durability, Tx};

use crate::control::{account, get_disk, instances_of};
use crate::{Control, ControlError, Scope};

impl Control {
    /// Makes a disk of another category, performance level or number of provisioned IOPS. It has
    /// the ceilings of that when this returns, also for who is connected.
    ///
    /// Durable by the commit. The task that it answers with has ended then.
    ///
    /// # Errors
    /// The first refusal, or a failure.
    pub fn modify_disk_spec(
        &self,
        scope: &Scope,
        disk: &DiskId,
        change: &SpecChange,
        dry_run: bool,
    ) -> Result<TaskId, ControlError> {
        self.respecify(TaskAction::ModifyDiskSpec, scope, disk, change, dry_run)
    }

    /// Moves a disk to where it is of another category or performance level. All are one pool here,
    /// so this is the same as the other. No dedicated cluster is there to move one to.
    ///
    /// # Errors
    /// [`Denied::StorageClusterNotFound`], and those of [`Control::modify_disk_spec`].
    pub fn modify_disk_deployment(
        &self,
        scope: &Scope,
        disk: &DiskId,
        cluster: Option<&str>,
        change: &SpecChange,
        dry_run: bool,
    ) -> Result<TaskId, ControlError> {
        if cluster.is_some() {
            return Err(Denied::StorageClusterNotFound.into());
        }
        self.respecify(TaskAction::ModifyDiskDeployment, scope, disk, change, dry_run)
    }

    fn respecify(
        &self,
        action: TaskAction,
        scope: &Scope,
        disk: &DiskId,
        change: &SpecChange,
        dry_run: bool,
    ) -> Result<TaskId, ControlError> {
        let task = self.store.write(Durability::Durable, |tx| {
            let disk = self.change_spec(tx, scope, disk, change, dry_run)?;
            let task = self
                .new_task(action, &disk.account, &disk.region, disk.id.as_str())
                .ended(TaskStatus::Finished, self.now());
            self.add_task(tx, &task)?;
            Ok::<_, ControlError>(task.id)
        })?;
        self.settle(disk)?;
        Ok(task)
    }

    fn change_spec(
        &self,
        tx: &Tx<'_>,
        scope: &Scope,
        disk: &DiskId,
        change: &SpecChange,
        dry_run: bool,
    ) -> Result<Disk, ControlError> {
        let region = self.given_region(scope)?;
        let mut disk = get_disk(tx, &scope.account, region.as_ref(), disk)?;
        let facts = SpecFacts {
            account: &account(tx, &scope.account)?,
            disk: &disk,
            unfinished_snapshot: tx.has_unfinished_snapshot(&disk.id)?,
            instances: &instances_of(tx, &disk)?,
        };
        let spec = check_spec(&facts, change)?;
        for category in [disk.category, spec.category] {
            if tx.is_restricted(category, &scope.account)? {
                return Err(Denied::NotOnWhiteList.into());
            }
        }
        if dry_run {
            return Err(Denied::DryRun.into());
        }
        spec.apply(&mut disk);
        tx.save_disk(&disk)?;
        Ok(disk)
    }
}
