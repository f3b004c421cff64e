//! Instances: start, stop, reboot, delete.
//!
//! ```text
//!   Creating ─────────────────────────────► Stopped
//!   Pending ─► Starting ─► Running ─► Stopping ─► Stopped ─► Starting …
//!                 ▲           └─────► Rebooting
//!                 └──────────────────────┘
//! ```
//! A call commits the status that ends in -ing and is answered; [`Control::carry_instance`] does
//! the rest, now or after a restart.

use ebb_domain::{
    Account, Denied, DiskId, DiskStatus, Instance, InstanceId, InstanceStatus, RegionId,
    check_delete, check_start, check_stop,
};
use ebb_store::{Durability, Tx};

use crate::control::{account, find_instance};
use crate::encryption::key_of;
use crate::error::Outage;
use crate::work::Job;
use crate::{Control, ControlError, Scope, Step};

/// StopInstance and StopInstances.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stop {
    /// StoppedMode: `KeepCharging` or `StopCharging`.
    pub mode: Option<String>,
}

/// DeleteInstance and DeleteInstances.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeleteInstance {
    /// Force: a running instance too.
    pub force: bool,
    /// DryRun
    pub dry_run: bool,
}

/// What became of one instance of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchOutcome {
    /// Which.
    pub id: InstanceId,
    /// What it was and what it is now, or why not.
    pub result: Result<(InstanceStatus, InstanceStatus), Denied>,
}

/// A change of status that a call can ask for.
type Change<'a> =
    &'a dyn Fn(&Tx<'_>, &Account, &mut Instance) -> Result<InstanceStatus, ControlError>;

impl Control {
    /// Starts instances. With `all_together`, all or none.
    ///
    /// Durable by this commit: a Starting that is found on start is carried to Running.
    ///
    /// # Errors
    /// The first refusal, where all are to start together; [`Denied::DryRun`].
    pub fn start_instances(
        &self,
        scope: &Scope,
        ids: &[InstanceId],
        all_together: bool,
        dry_run: bool,
    ) -> Result<Vec<BatchOutcome>, ControlError> {
        self.change(scope, ids, all_together, dry_run, &|tx, account, instance| {
            let disks = tx.disks_of_instance(&instance.id)?;
            let ready = disks.iter().all(|disk| disk.status == DiskStatus::InUse);
            check_start(account, instance, ready)?;
            for disk in &disks {
                key_of(tx, disk)?.check()?;
            }
            Ok(InstanceStatus::Starting)
        })
    }

    /// Stops instances: their disks' connections are ended.
    ///
    /// Durable by this commit: a Stopping that is found on start is carried to Stopped.
    ///
    /// # Errors
    /// As [`Control::start_instances`].
    pub fn stop_instances(
        &self,
        scope: &Scope,
        ids: &[InstanceId],
        stop: &Stop,
        all_together: bool,
        dry_run: bool,
    ) -> Result<Vec<BatchOutcome>, ControlError> {
        let mode = stop.mode.as_deref().unwrap_or("KeepCharging");
        self.change(scope, ids, all_together, dry_run, &|_, account, instance| {
            check_stop(account, instance)?;
            mode.clone_into(&mut instance.stopped_mode);
            Ok(InstanceStatus::Stopping)
        })
    }

    /// Stops instances and starts them again.
    ///
    /// Durable by this commit: a Rebooting that is found on start is carried to Running.
    ///
    /// # Errors
    /// As [`Control::start_instances`].
    pub fn reboot_instances(
        &self,
        scope: &Scope,
        ids: &[InstanceId],
        all_together: bool,
        dry_run: bool,
    ) -> Result<Vec<BatchOutcome>, ControlError> {
        self.change(scope, ids, all_together, dry_run, &|_, account, instance| {
            check_stop(account, instance)?;
            Ok(InstanceStatus::Rebooting)
        })
    }

    fn change(
        &self,
        scope: &Scope,
        ids: &[InstanceId],
        all_together: bool,
        dry_run: bool,
        change: Change<'_>,
    ) -> Result<Vec<BatchOutcome>, ControlError> {
        let outcomes = self.store.write::<_, ControlError>(Durability::Durable, |tx| {
            let region = self.given_region(scope)?;
            let account = account(tx, &scope.account)?;
            let mut outcomes = Vec::with_capacity(ids.len());
            for id in ids {
                let result = match self.change_one(tx, &account, region.as_ref(), id, change) {
                    Err(ControlError::Denied(denied)) if !all_together => Err(denied),
                    other => Ok(other?),
                };
                outcomes.push(BatchOutcome { id: id.clone(), result });
            }
            if dry_run { Err(Denied::DryRun.into()) } else { Ok(outcomes) }
        })?;
        for outcome in outcomes.iter().filter(|outcome| outcome.result.is_ok()) {
            self.work.add(Job::Instance(outcome.id.clone()));
        }
        Ok(outcomes)
    }

    fn change_one(
        &self,
        tx: &Tx<'_>,
        account: &Account,
        region: Option<&RegionId>,
        id: &InstanceId,
        change: Change<'_>,
    ) -> Result<(InstanceStatus, InstanceStatus), ControlError> {
        let mut instance =
            find_instance(tx, &account.id, region, id)?.ok_or(Denied::InstanceNotFound)?;
        let before = instance.status;
        instance.status = change(tx, account, &mut instance)?;
        tx.save_instance(&instance)?;
        Ok((before, instance.status))
    }

    /// Carries what an instance has under way to its end. Idempotent.
    pub(crate) fn carry_instance(&self, id: &InstanceId) -> Result<(), ControlError> {
        loop {
            let Some(instance) = self.store.read(|tx| tx.instance(id))? else { return Ok(()) };
            let next = match instance.status {
                InstanceStatus::Running | InstanceStatus::Stopped => return Ok(()),
                InstanceStatus::Pending | InstanceStatus::Rebooting => InstanceStatus::Starting,
                InstanceStatus::Starting => InstanceStatus::Running,
                InstanceStatus::Creating | InstanceStatus::Stopping => InstanceStatus::Stopped,
            };
            // Starting publishes before it says Running; stopping ends before it says Stopped.
            self.settle_disks(id)?;
            self.pass_on(&instance, next)?;
            self.pass(Step::InstancePassed);
        }
    }

    /// Changes nothing where the record is not the one that was acted on: another thread may have
    /// ended this stop, and the status be that of the next one.
    fn pass_on(&self, before: &Instance, to: InstanceStatus) -> Result<(), ControlError> {
        let now = self.now();
        self.store.write(Durability::Durable, |tx| {
            let found = tx.instance(&before.id)?.filter(|instance| instance == before);
            let Some(mut instance) = found else { return Ok(()) };
            instance.status = to;
            if to == InstanceStatus::Running {
                instance.started_at = Some(now);
                instance.stopped_mode.clear();
            }
            Ok(tx.save_instance(&instance)?)
        })
    }

    /// Settles the exports of an instance's disks. One that the engine refuses to open does not
    /// hold up the others, nor the instance: it does not answer, and the log says why.
    pub(crate) fn settle_disks(&self, id: &InstanceId) -> Result<(), ControlError> {
        let disks = self.store.read(|tx| tx.disks_of_instance(id))?;
        disks.iter().try_for_each(|disk| self.settle_or_wait(&disk.id))
    }

    pub(crate) fn settle_or_wait(&self, disk: &DiskId) -> Result<(), ControlError> {
        match self.settle(disk) {
            Err(error @ ControlError::Engine(_)) if error.outage() == Some(Outage::Unchanged) => {
                tracing::info!(%disk, %error, "no export for now");
                self.exporter.open_later(disk.clone());
                Ok(())
            }
            Err(error) if error.is_undone() => {
                tracing::error!(%disk, %error, "the export is not as it should be");
                Ok(())
            }
            Err(ControlError::Denied(Denied::KeyNotFound)) => {
                tracing::info!(%disk, "no export: its key is gone");
                Ok(())
            }
            Err(ControlError::Denied(reason)) => {
                tracing::info!(%disk, ?reason, "no export for now: its key cannot be had");
                self.exporter.open_later(disk.clone());
                Ok(())
            }
            other => other,
        }
    }

    /// Deletes instances, all or none. Disks that go with their instance are deleted, the others
    /// are detached; both has happened when this returns.
    ///
    /// Durable by the intent's commit: what is Deleting or Detaching on start is carried out.
    ///
    /// # Errors
    /// The first refusal, or a failure.
    pub fn delete_instances(
        &self,
        scope: &Scope,
        ids: &[InstanceId],
        delete: DeleteInstance,
    ) -> Result<(), ControlError> {
        let disks = self.store.write::<_, ControlError>(Durability::Durable, |tx| {
            let region = self.given_region(scope)?;
            let mut disks = Vec::new();
            for id in ids {
                let instance = find_instance(tx, &scope.account, region.as_ref(), id)?
                    .ok_or(Denied::InstanceNotFound)?;
                check_delete(&instance, delete.force)?;
                disks.extend(self.release_disks(tx, &instance)?);
                tx.remove_instance(id)?;
            }
            if delete.dry_run { Err(Denied::DryRun.into()) } else { Ok(disks) }
        })?;
        self.pass(Step::InstanceRemoved);
        // One that fails holds up no other, and is carried out by the next start.
        let mut outcome = Ok(());
        for (id, status) in disks {
            let finished = match status {
                DiskStatus::Deleting => self.finish_delete_disk(&id),
                DiskStatus::Detaching => self.finish_detach(&id),
                _ => self.settle(&id),
            };
            outcome = outcome.and(finished);
        }
        outcome
    }

    fn release_disks(
        &self,
        tx: &Tx<'_>,
        instance: &Instance,
    ) -> Result<Vec<(ebb_domain::DiskId, DiskStatus)>, ControlError> {
        let mut released = Vec::new();
        for mut disk in tx.disks_of_instance(&instance.id)? {
            let busy = !matches!(disk.status, DiskStatus::InUse | DiskStatus::Detaching)
                || tx.has_unfinished_snapshot(&disk.id)?;
            if busy {
                return Err(Denied::InstanceStatus.into());
            }
            let shared = disk.attachments.len() > 1;
            // A disk locked for security with its instance goes with it in any case (api.md §3.7).
            // One that is being detached goes with nothing: that was answered before.
            let stays = disk.status == DiskStatus::Detaching;
            let goes = !stays && (disk.delete_with_instance || instance.security_lock);
            disk.attachments.retain(|attachment| attachment.instance != instance.id);
            disk.status = match (shared, goes) {
                (true, _) => DiskStatus::InUse,
                (false, true) => DiskStatus::Deleting,
                (false, false) => DiskStatus::Detaching,
            };
            tx.save_disk(&disk)?;
            released.push((disk.id, disk.status));
        }
        Ok(released)
    }
}
