//! On start, and when a server is gone or a call has failed in its middle: every intent that nobody
//! carries is finished or undone.
//!
//! | found                 | then                                                              |
//! |-----------------------|-------------------------------------------------------------------|
//! | disk Creating         | the volume is made, the disk rests                                |
//! |                       | gone if its key is, with the instance that it was to come with    |
//! | clone Creating        | rests if its volume is there, else gone: nobody was answered       |
//! |                       | if that is yet to be encrypted, left to its task                   |
//! | disk Attaching        | rests, attached                                                   |
//! | disk Detaching        | its export stays closed, rests, detached                          |
//! | disk ReIniting        | rests: the volume was reset wholly or not at all                  |
//! | disk larger           | than its volume: the volume is made as large                      |
//! | disk Deleting         | the volume and the row go                                         |
//! | snapshot progressing  | accomplished if the engine has it, else gone: nobody was answered |
//! | group progressing     | accomplished if it has snapshots then, else gone                  |
//! | image Creating        | Available if it has its snapshots then, else gone                 |
//! | of a task that goes on| left to it, an image with its snapshots                           |
//! | import progressing    | failed: its stream is broken                                      |
//! | snapshot deleting     | the version and the row go                                        |
//! | task Processing       | begun again by the workers                                        |
//! | archived, no row      | goes                                                              |
//! | instance …ing         | carried on by the workers                                         |
//! | volume, no row        | goes: its row was lost before anybody was answered                |
//! | version, no row       | goes, likewise                                                    |
//!
//! With what goes because nobody was answered goes the client token that it was asked for with: the
//! call again makes it.

use std::collections::{HashMap, HashSet};
use std::fmt::Display;

use ebb_domain::{
    Disk, DiskId, DiskStatus, Instance, InstanceStatus, Origin, Snapshot, SnapshotStatus,
};
use ebb_store::{Claimed, Durability, Tx, Whose};
use ebb_volume::{Inventory, OpId, SnapshotId as Version, VolumeId};

use crate::cluster::is_scratch_of;
use crate::snapshot::accomplish;
use crate::work::Job;
use crate::{Control, ControlError};

/// The operation id of what makes a volume or a version: made from what it does and to which, so
/// that a start after a crash asks for the same operation again. A deletion has a new one each
/// time: it changes nothing where there is nothing, and must not pass for done because it once did
/// so.
pub(crate) fn op_of(what: &str, id: u64) -> OpId {
    let mut bytes = [0; 16];
    for (byte, letter) in bytes.iter_mut().zip(what.bytes().take(8)) {
        *byte = letter;
    }
    bytes[8..].copy_from_slice(&id.to_be_bytes());
    OpId(bytes)
}

/// One resource that the engine refuses, for want of space or because it is corrupt, does not keep
/// the server from starting: it stays as it was found, and the log says so.
fn go_on(what: &dyn Display, outcome: Result<(), ControlError>) -> Result<(), ControlError> {
    match outcome {
        Err(error) if error.is_undone() => {
            tracing::error!(%what, %error, "found under way, and could not be ended");
            Ok(())
        }
        other => other,
    }
}

/// The ids of what a task that begins again makes, an image with its snapshots.
fn of_tasks(tx: &Tx<'_>) -> Result<HashSet<String>, ControlError> {
    let tasks = tx.tasks_under_way()?;
    let mut ids: HashSet<String> = tasks.into_iter().map(|task| task.resource).collect();
    for image in tx.images_in_transition()? {
        if ids.contains(image.id.as_str()) {
            ids.extend(image.disks.iter().map(|disk| disk.snapshot.to_string()));
        }
    }
    Ok(ids)
}

impl Control {
    /// On start, for everything that nobody carries.
    pub(crate) fn reconcile(&self) -> Result<(), ControlError> {
        self.expel_dead()?;
        if self.cluster.is_alone() {
            self.store.write::<_, ControlError>(Durability::Recoverable, |tx| {
                Ok(tx.remove_orphan_exports()?)
            })?;
        }
        let claimed = self.claim_rows(Whose::All)?;
        self.remove_archived_orphans()?;
        if self.is_only_one()? {
            // Whoever is told that it is ready finds every disk.
            self.take_up(&claimed)?;
            return self.open_exports(|control, disk| control.settle_or_wait(&disk));
        }
        // The others have gone on meanwhile, so nobody waits for this start to see the end of it,
        // and much of what is left is theirs to open.
        self.work.add(Job::Claimed(Box::new(claimed)));
        self.spread_orphan_exports()?;
        self.open_exports(|control, disk| {
            control.work.add(Job::Export(disk, 0));
            Ok(())
        })
    }

    fn is_only_one(&self) -> Result<bool, ControlError> {
        let servers = self.store.read(|tx| tx.servers())?;
        Ok(servers.iter().all(|server| server.id == self.cluster.id))
    }

    /// Has the exports of running instances opened that no server has.
    fn open_exports(
        &self,
        open: impl Fn(&Self, DiskId) -> Result<(), ControlError>,
    ) -> Result<(), ControlError> {
        let held: HashSet<DiskId> = self.store.read(|tx| tx.held_exports())?.into_iter().collect();
        for id in self.store.read(|tx| tx.running_instances())? {
            let disks = self.store.read(|tx| tx.disks_of_instance(&id))?;
            for disk in disks.into_iter().filter(|disk| !held.contains(&disk.id)) {
                open(self, disk.id)?;
            }
        }
        Ok(())
    }

    /// Finishes or undoes what was claimed. Whoever calls has claimed it, so nobody else does.
    pub(crate) fn take_up(&self, claimed: &Claimed) -> Result<(), ControlError> {
        self.settle_claimed(claimed)?;
        self.remove_orphans()
    }

    /// The same, for what this server itself has left: what has no row can wait.
    pub(crate) fn settle_claimed(&self, claimed: &Claimed) -> Result<(), ControlError> {
        let held = self.engine.inventory()?;
        let of_tasks = self.store.read(of_tasks)?;
        for id in &claimed.snapshots {
            let Some(snapshot) = self.store.read(|tx| tx.snapshot(id))? else { continue };
            if !of_tasks.contains(id.as_str()) {
                go_on(id, self.reconcile_snapshot(&snapshot, &held))?;
            }
        }
        for id in &claimed.groups {
            let Some(group) = self.store.read(|tx| tx.snapshot_group(id))? else { continue };
            go_on(id, self.reconcile_group(&group))?;
        }
        for id in &claimed.images {
            let Some(image) = self.store.read(|tx| tx.image(id))? else { continue };
            if !of_tasks.contains(id.as_str()) {
                go_on(id, self.reconcile_image(&image))?;
            }
        }
        for id in &claimed.disks {
            let Some(disk) = self.store.read(|tx| tx.disk(id))? else { continue };
            go_on(id, self.reconcile_disk(&disk, &held))?;
        }
        self.grow_volumes(&held)?;
        for task in &claimed.tasks {
            tracing::info!(%task, "found under way");
            self.work.add(Job::Task(task.clone()));
        }
        for instance in &claimed.instances {
            self.work.add(Job::Instance(instance.clone()));
        }
        Ok(())
    }

    fn reconcile_snapshot(
        &self,
        snapshot: &Snapshot,
        held: &Inventory,
    ) -> Result<(), ControlError> {
        tracing::info!(snapshot = %snapshot.id, status = ?snapshot.status, "found under way");
        let is_held = held.snapshots.iter().any(|found| found.id.0 == snapshot.version);
        match (snapshot.status, snapshot.origin) {
            (SnapshotStatus::Deleting, _) => self.finish_delete_snapshot(&snapshot.id),
            (SnapshotStatus::Progressing, Origin::Import) => self.fail_import(&snapshot.id),
            (SnapshotStatus::Progressing, Origin::User | Origin::Auto) if is_held => {
                self.store.write(Durability::Durable, |tx| accomplish(tx, &snapshot.id))?;
                Ok(())
            }
            (SnapshotStatus::Progressing, Origin::User | Origin::Auto) => {
                self.store.write(Durability::Durable, |tx| {
                    tx.remove_tokens_of(snapshot.id.as_str())?;
                    Ok(tx.remove_snapshot(&snapshot.id)?)
                })
            }
            (SnapshotStatus::Accomplished | SnapshotStatus::Failed, _) => Ok(()),
        }
    }

    fn reconcile_disk(&self, disk: &Disk, held: &Inventory) -> Result<(), ControlError> {
        tracing::info!(disk = %disk.id, status = ?disk.status, "found under way");
        match disk.status {
            DiskStatus::Detaching => self.finish_detach(&disk.id),
            DiskStatus::Deleting => self.finish_delete_disk(&disk.id),
            DiskStatus::Creating if disk.cloned_from.is_some() => {
                let made = held.volumes.iter().find(|volume| volume.id.0 == disk.volume);
                self.reconcile_clone(disk, made)
            }
            DiskStatus::Creating => match self.make_volume(disk) {
                // Its key cannot be had any more. Nobody was told that the disk is there.
                Err(ControlError::Denied(reason)) => {
                    tracing::info!(disk = %disk.id, ?reason, "not made after all");
                    self.store.write(Durability::Durable, |tx| self.give_up(tx, disk))
                }
                made => {
                    made?;
                    self.store.write(Durability::Durable, |tx| self.rest_disk(tx, &disk.id))
                }
            },
            DiskStatus::Attaching | DiskStatus::Resetting(_) | DiskStatus::Emptying => {
                self.store.write(Durability::Durable, |tx| self.rest_disk(tx, &disk.id))
            }
            DiskStatus::Available | DiskStatus::InUse => Ok(()),
        }
    }

    /// Removes a disk that cannot be made, and with it the instance that it was to come with.
    fn give_up(&self, tx: &Tx<'_>, disk: &Disk) -> Result<(), ControlError> {
        tx.remove_tokens_of(disk.id.as_str())?;
        tx.remove_disk(&disk.id, self.now())?;
        for attachment in &disk.attachments {
            let instance = tx.instance(&attachment.instance)?;
            let is_new = |found: &Instance| {
                matches!(found.status, InstanceStatus::Pending | InstanceStatus::Creating)
            };
            if instance.is_some_and(|found| is_new(&found)) {
                for other in tx.disks_of_instance(&attachment.instance)? {
                    tx.remove_disk(&other.id, self.now())?;
                }
                tx.remove_tokens_of(attachment.instance.as_str())?;
                tx.remove_instance(&attachment.instance)?;
            }
        }
        Ok(())
    }

    fn grow_volumes(&self, held: &Inventory) -> Result<(), ControlError> {
        let held: HashMap<u64, u64> =
            held.volumes.iter().map(|volume| (volume.id.0, volume.size_bytes)).collect();
        for (id, size_gib) in self.store.read(|tx| tx.volume_sizes())? {
            let bytes = u64::from(size_gib) << 30;
            if held.get(&id).is_some_and(|is| *is < bytes) {
                tracing::info!(volume = id, bytes, "making a volume as large as its disk");
                go_on(&format_args!("{:?}", VolumeId(id)), self.grow_volume(id, bytes))?;
            }
        }
        Ok(())
    }

    fn remove_orphans(&self) -> Result<(), ControlError> {
        // In this order: whoever makes something has written its row before, or is still there.
        let held = self.engine.inventory()?;
        let (volumes, versions, servers) = self.store.read::<_, ControlError>(|tx| {
            Ok((tx.all_volumes()?, tx.all_versions()?, tx.servers()?))
        })?;
        let volumes: HashSet<u64> = volumes.into_iter().collect();
        let versions: HashSet<u64> = versions.into_iter().collect();
        let is_scratch = |id| servers.iter().any(|server| is_scratch_of(server, id));
        for VolumeId(id) in held.volumes.iter().map(|volume| volume.id) {
            if !volumes.contains(&id) && !is_scratch(id) {
                tracing::info!(volume = id, "removing a volume that no disk has");
                let removed = self.engine.delete_volume(self.new_op(), VolumeId(id));
                go_on(&format_args!("{:?}", VolumeId(id)), removed.map_err(Into::into))?;
            }
        }
        for Version(id) in held.snapshots.iter().map(|snapshot| snapshot.id) {
            if !versions.contains(&id) && !is_scratch(id) {
                tracing::info!(version = id, "removing a version that no snapshot has");
                let removed = self.engine.delete_snapshot(self.new_op(), Version(id));
                go_on(&format_args!("{:?}", Version(id)), removed.map_err(Into::into))?;
            }
        }
        Ok(())
    }

    /// What a crash or a failed disk left in the archive of snapshots that are not there. A task
    /// that is under way writes its own anew.
    fn remove_archived_orphans(&self) -> Result<(), ControlError> {
        // In this order: an archived snapshot has its row before its objects.
        let names = self.archive.list("")?;
        let known: HashSet<String> = self
            .store
            .read(|tx| tx.archived_snapshots())?
            .into_iter()
            .map(|id| id.to_string())
            .collect();
        for name in names {
            let id = name.split('/').next().unwrap_or_default();
            // What cannot be a snapshot's is somebody else's.
            if id.starts_with("s-") && !known.contains(id) {
                tracing::info!(name, "removing from the archive what no snapshot has");
                self.archive.delete(&name)?;
            }
        }
        Ok(())
    }
}
