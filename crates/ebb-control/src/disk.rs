//! Disks: create, attach, detach, delete, modify.

use ebb_domain::{
    AccountId, AttachRequest, Attachment, Denied, Disk, DiskId, DiskKind, DiskStatus, Instance,
    InstanceId, NewDisk, PerformanceLevel, RegionId, SizeRequest, SnapshotId, ZoneId, check_attach,
    check_delete_disk, check_detach, description, disk_name, disk_size,
};
use ebb_store::{Durability, Tx};
use ebb_volume::{SnapshotId as Version, VolumeId};

use crate::control::{account, check_disk_quota, find_instance, get_disk};
use crate::data_keys::DataKeys;
use crate::encryption::{inherited, key_of};
use crate::mutex::lock;
use crate::work::Job;
use crate::{ClientToken, Control, ControlError, Scope, Step};

/// CreateDisk.
#[derive(Debug, Clone)]
pub struct CreateDisk {
    /// RegionId
    pub region: RegionId,
    /// ZoneId
    pub zone: Option<ZoneId>,
    /// InstanceId, of a subscription instance
    pub instance: Option<InstanceId>,
    /// SnapshotId
    pub snapshot: Option<SnapshotId>,
    /// What it is to be like
    pub disk: NewDisk,
    /// ClientToken
    pub token: Option<ClientToken>,
}

/// AttachDisk.
#[derive(Debug, Clone)]
pub struct Attach {
    /// DiskId
    pub disk: DiskId,
    /// InstanceId
    pub instance: InstanceId,
    /// The rest
    pub request: AttachRequest,
}

/// ModifyDiskAttribute: what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DiskChange {
    /// DiskName
    pub name: Option<String>,
    /// Description
    pub description: Option<String>,
    /// DeleteWithInstance
    pub delete_with_instance: Option<bool>,
    /// DeleteAutoSnapshot
    pub delete_auto_snapshot: Option<bool>,
    /// EnableAutoSnapshot
    pub enable_auto_snapshot: Option<bool>,
    /// BurstingEnabled
    pub bursting: Option<bool>,
}

impl Control {
    /// Makes a data disk, empty or from a snapshot. It is Available when this returns.
    ///
    /// Durable by the outcome's commit. The intent needs no sync of its own: if it is lost, so is
    /// the row, and a volume without a row is removed on start.
    ///
    /// # Errors
    /// The first refusal, or a failure, after which there is no disk.
    pub fn create_disk(
        &self,
        owner: &AccountId,
        request: &CreateDisk,
    ) -> Result<DiskId, ControlError> {
        let size = request.disk.check()?;
        let durability = Durability::Recoverable;
        let intended = self.write_with_data_keys(owner, durability, |tx, keys| {
            if let Some(made) = self.replay(tx, owner, request.token.as_ref())? {
                return Ok(Err(replayed_disk(tx, &made)?));
            }
            let disk = self.intend_disk(tx, keys, owner, request, size)?;
            keys.keep(tx, owner)?;
            tx.insert_disk(&disk)?;
            let result = vec![disk.id.to_string()];
            self.remember(tx, owner, request.token.as_ref(), result)?;
            Ok(Ok(disk))
        })?;
        let disk = match intended {
            Ok(disk) => disk,
            Err(replayed) => return Ok(replayed),
        };
        self.pass(Step::DiskIntended);
        if let Err(error) = self.make_volume(&disk) {
            self.undo_create_disk(owner, request.token.as_ref(), &disk)?;
            return Err(error);
        }
        self.pass(Step::VolumeMade);
        self.store.write(Durability::Durable, |tx| self.rest_disk(tx, &disk.id))?;
        Ok(disk.id)
    }

    fn intend_disk(
        &self,
        tx: &Tx<'_>,
        keys: &mut DataKeys,
        owner: &AccountId,
        request: &CreateDisk,
        size: SizeRequest,
    ) -> Result<Disk, ControlError> {
        let region = self.region(&request.region)?;
        let zone = self.zone_of_new_disk(tx, owner, request)?;
        if !region.zones().contains(&zone) {
            return Err(Denied::ZoneNotFound.into());
        }
        let account = account(tx, owner)?;
        account.check_balance()?;
        if account.arrears {
            return Err(Denied::AccountInArrears.into());
        }
        if size.category.is_local() {
            return Err(Denied::CategoryNotOffered.into());
        }
        if tx.is_restricted(size.category, owner)? {
            return Err(Denied::NotOnWhiteList.into());
        }
        let by_default = tx.is_encrypted_by_default(owner, &request.region)?;
        request.disk.is_to_be_encrypted(by_default)?;
        let source_gib = self.source_size(tx, owner, request, size)?;
        let encryption = match &request.snapshot {
            None => keys.of_new(tx, owner, &request.region, &request.disk)?,
            Some(source) => inherited(tx, owner, &request.region, &request.disk, source)?,
        };
        let (size_gib, level) = disk_size(size, source_gib)?;
        check_disk_quota(tx, &account, size_gib.into())?;
        let disk = self.new_disk(owner, &request.disk, size, size_gib, level);
        Ok(Disk {
            region: request.region.clone(),
            zone,
            source_snapshot: request.snapshot.clone(),
            encryption,
            ..disk
        })
    }

    fn zone_of_new_disk(
        &self,
        tx: &Tx<'_>,
        owner: &AccountId,
        request: &CreateDisk,
    ) -> Result<ZoneId, ControlError> {
        match (&request.zone, &request.instance) {
            (Some(_), Some(_)) => Err(Denied::ZoneAndInstance.into()),
            (Some(zone), None) => Ok(zone.clone()),
            (None, None) => Err(Denied::Missing("ZoneId").into()),
            // With an instance this makes a subscription disk, and no instance here is one.
            (None, Some(id)) => match find_instance(tx, owner, Some(&request.region), id)? {
                None => Err(Denied::InstanceNotFound.into()),
                Some(_) => Err(Denied::NotSubscription.into()),
            },
        }
    }

    /// The size of the snapshot to start from, once nothing forbids starting from it.
    fn source_size(
        &self,
        tx: &Tx<'_>,
        owner: &AccountId,
        request: &CreateDisk,
        size: SizeRequest,
    ) -> Result<Option<u32>, ControlError> {
        let Some(id) = &request.snapshot else { return Ok(None) };
        if size.category.is_elastic_ephemeral() {
            return Err(Denied::EphemeralFromSnapshot.into());
        }
        let source = self.source_snapshot(tx, owner, &request.region, id)?;
        if source.source_disk_kind == DiskKind::System {
            return Err(Denied::SystemSnapshot.into());
        }
        Ok(Some(source.source_disk_gib))
    }

    /// A disk as it is when it is new; where it is, and what it comes from, is the caller's to say.
    pub(crate) fn new_disk(
        &self,
        owner: &AccountId,
        new: &NewDisk,
        size: SizeRequest,
        size_gib: u32,
        performance_level: Option<PerformanceLevel>,
    ) -> Disk {
        Disk {
            id: DiskId::mint(self.random()),
            account: owner.clone(),
            region: RegionId::new(""),
            zone: ZoneId::new(""),
            kind: DiskKind::Data,
            category: size.category,
            performance_level,
            size_gib,
            name: new.name.clone(),
            description: new.description.clone(),
            status: DiskStatus::Creating,
            delete_with_instance: false,
            delete_auto_snapshot: true,
            enable_auto_snapshot: true,
            auto_snapshot_policy: None,
            multi_attach: size.multi_attach,
            provisioned_iops: new.provisioned_iops,
            bursting: new.bursting.unwrap_or(false),
            source_snapshot: None,
            cloned_from: None,
            image: None,
            resource_group: new.resource_group.clone(),
            tags: new.tags.clone(),
            created_at: self.now(),
            attached_at: None,
            detached_at: None,
            attachments: Vec::new(),
            encryption: None,
            volume: self.new_engine_id(),
        }
    }

    /// Makes the volume of a disk that says Creating. Idempotent.
    pub(crate) fn make_volume(&self, disk: &Disk) -> Result<(), ControlError> {
        let (volume, bytes) = (VolumeId(disk.volume), disk.size_bytes());
        let op = crate::reconcile::op_of("create", disk.volume);
        match &disk.source_snapshot {
            None => {
                let key = self.data_key_of(disk)?;
                self.engine.create_volume(op, volume, bytes, key.as_ref())?;
            }
            Some(id) => {
                let source = self.store.read(|tx| tx.snapshot(id))?;
                let version = source.ok_or(Denied::SnapshotNotFound)?.version;
                self.engine.fork(op, Version(version), volume, bytes)?;
            }
        }
        Ok(())
    }

    fn undo_create_disk(
        &self,
        owner: &AccountId,
        token: Option<&ClientToken>,
        disk: &Disk,
    ) -> Result<(), ControlError> {
        self.store.write(Durability::Recoverable, |tx| {
            self.forget(tx, owner, token)?;
            Ok(tx.remove_disk(&disk.id, self.now())?)
        })
    }

    /// Sets a disk that had something under way to what it is without.
    pub(crate) fn rest_disk(&self, tx: &Tx<'_>, id: &DiskId) -> Result<(), ControlError> {
        if let Some(mut disk) = tx.disk(id)? {
            disk.status = disk.resting_status();
            tx.save_disk(&disk)?;
        }
        Ok(())
    }

    /// Attaches a disk. It is In_use when this returns, and answers if the instance runs.
    ///
    /// Durable by the intent's commit: an Attaching that is found on start becomes In_use.
    ///
    /// # Errors
    /// The first refusal, or a failure, after which the disk is as it was.
    pub fn attach_disk(&self, scope: &Scope, attach: &Attach) -> Result<(), ControlError> {
        let before =
            self.store.write(Durability::Durable, |tx| self.intend_attach(tx, scope, attach))?;
        self.pass(Step::AttachIntended);
        let settled = self.settle(&attach.disk);
        if let Err(error) = settled {
            self.undo_attach(&before)?;
            return Err(error);
        }
        self.pass(Step::AttachPublished);
        self.store.write(Durability::Recoverable, |tx| self.rest_disk(tx, &attach.disk))
    }

    /// Answers the disk as it was before.
    fn intend_attach(
        &self,
        tx: &Tx<'_>,
        scope: &Scope,
        attach: &Attach,
    ) -> Result<Disk, ControlError> {
        let region = self.given_region(scope)?;
        let mut disk = get_disk(tx, &scope.account, region.as_ref(), &attach.disk)?;
        let instance = find_instance(tx, &scope.account, region.as_ref(), &attach.instance)?
            .ok_or(Denied::InstanceNotFound)?;
        if tx.is_restricted(disk.category, &scope.account)? {
            return Err(Denied::NotOnWhiteList.into());
        }
        let owner = account(tx, &scope.account)?;
        let used = self.devices(tx, &instance)?;
        let device = check_attach(&owner, &disk, &instance, &used, &attach.request)?;
        key_of(tx, &disk)?.check()?;
        let before = disk.clone();
        let now = self.now();
        disk.attachments.push(Attachment { instance: instance.id, device, at: now });
        disk.attached_at = Some(now);
        disk.detached_at = None;
        disk.status = DiskStatus::Attaching;
        disk.delete_with_instance = disk.category.is_elastic_ephemeral()
            || attach.request.delete_with_instance.unwrap_or(false);
        tx.save_disk(&disk)?;
        Ok(before)
    }

    fn devices(&self, tx: &Tx<'_>, instance: &Instance) -> Result<Vec<String>, ControlError> {
        let disks = tx.disks_of_instance(&instance.id)?;
        Ok(disks
            .iter()
            .flat_map(|disk| &disk.attachments)
            .filter(|attachment| attachment.instance == instance.id)
            .map(|attachment| attachment.device.clone())
            .collect())
    }

    /// Takes back what the intent changed, and nothing that another call has changed since.
    fn undo_attach(&self, before: &Disk) -> Result<(), ControlError> {
        self.store.write(Durability::Durable, |tx| {
            if let Some(disk) = tx.disk(&before.id)? {
                tx.save_disk(&Disk {
                    status: before.status.clone(),
                    attachments: before.attachments.clone(),
                    attached_at: before.attached_at,
                    detached_at: before.detached_at,
                    delete_with_instance: before.delete_with_instance,
                    ..disk
                })?;
            }
            Ok(())
        })
    }

    /// Starts detaching a disk: its connections are ended, then it is Available.
    ///
    /// Durable by this commit: a Detaching that is found on start becomes Available.
    ///
    /// # Errors
    /// The first refusal.
    pub fn detach_disk(
        &self,
        scope: &Scope,
        disk: &DiskId,
        instance: &InstanceId,
        delete_with_instance: Option<bool>,
    ) -> Result<(), ControlError> {
        self.store.write::<_, ControlError>(Durability::Durable, |tx| {
            let region = self.given_region(scope)?;
            let mut found = get_disk(tx, &scope.account, region.as_ref(), disk)?;
            let from = find_instance(tx, &scope.account, region.as_ref(), instance)?;
            check_detach(&found, instance, from.as_ref())?;
            if tx.is_restricted(found.category, &scope.account)? {
                return Err(Denied::NotOnWhiteList.into());
            }
            // A disk on its way off still names its instance; a shared one never shows it.
            if found.multi_attach {
                found.attachments.retain(|attachment| attachment.instance != *instance);
            }
            found.status = DiskStatus::Detaching;
            found.delete_with_instance = delete_with_instance.unwrap_or(found.delete_with_instance);
            Ok(tx.save_disk(&found)?)
        })?;
        self.pass(Step::DetachIntended);
        self.work.add(Job::Detach(disk.clone()));
        Ok(())
    }

    /// Carries a Detaching to its end. Idempotent.
    pub(crate) fn finish_detach(&self, id: &DiskId) -> Result<(), ControlError> {
        while let Some(disk) = self.store.read(|tx| detaching(tx, id))? {
            self.settle(id)?;
            self.pass(Step::DetachWithdrawn);
            if self.end_detach(&disk)? {
                break;
            }
        }
        // A shared disk that another running instance still has answers again.
        self.settle(id)
    }

    /// Changes nothing, and says so, where the record is not the one that was acted on: another
    /// thread may have ended this detachment, and the status be that of the next one.
    fn end_detach(&self, before: &Disk) -> Result<bool, ControlError> {
        let now = self.now();
        self.store.write::<_, ControlError>(Durability::Recoverable, |tx| {
            let found = detaching(tx, &before.id)?.filter(|disk| disk == before);
            let Some(mut disk) = found else { return Ok(false) };
            if !disk.multi_attach {
                disk.attachments.clear();
            }
            disk.status = disk.resting_status();
            disk.detached_at = Some(now);
            tx.save_disk(&disk)?;
            Ok(true)
        })
    }

    /// Deletes a disk. Its manual snapshots stay.
    ///
    /// Durable by the intent's commit: a Deleting that is found on start is carried out.
    ///
    /// # Errors
    /// The first refusal; a failure, after which the disk is as it was, unless the engine has
    /// stopped.
    pub fn delete_disk(&self, scope: &Scope, id: &DiskId) -> Result<(), ControlError> {
        self.store.write::<_, ControlError>(Durability::Durable, |tx| {
            let region = self.given_region(scope)?;
            let mut disk = get_disk(tx, &scope.account, region.as_ref(), id)?;
            if tx.is_restricted(disk.category, &scope.account)? {
                return Err(Denied::NotOnWhiteList.into());
            }
            check_delete_disk(&disk, tx.has_unfinished_snapshot(id)?)?;
            disk.status = DiskStatus::Deleting;
            Ok(tx.save_disk(&disk)?)
        })?;
        self.pass(Step::DeleteIntended);
        let finished = self.finish_delete_disk(id);
        if finished.as_ref().is_err_and(ControlError::is_undone) {
            self.store.write(Durability::Durable, |tx| self.rest_disk(tx, id))?;
        }
        finished
    }

    /// Carries a Deleting to its end. Idempotent.
    pub(crate) fn finish_delete_disk(&self, id: &DiskId) -> Result<(), ControlError> {
        let Some(disk) = self.store.read(|tx| tx.disk(id))? else { return Ok(()) };
        self.settle(id)?;
        self.engine.delete_volume(self.new_op(), VolumeId(disk.volume))?;
        self.pass(Step::VolumeDeleted);
        if disk.delete_auto_snapshot {
            self.delete_auto_snapshots(&disk)?;
        }
        self.exporter.forget_counters(id);
        lock(&self.monitor).forget(id);
        let now = self.now();
        self.store.write(Durability::Recoverable, |tx| Ok(tx.remove_disk(id, now)?))
    }

    /// Changes attributes of one disk or of several, all or none.
    ///
    /// # Errors
    /// The first refusal.
    pub fn modify_disks(
        &self,
        scope: &Scope,
        ids: &[DiskId],
        change: &DiskChange,
    ) -> Result<(), ControlError> {
        disk_name(change.name.as_deref().unwrap_or_default())?;
        description(change.description.as_deref().unwrap_or_default())?;
        self.store.write(Durability::Durable, |tx| {
            let region = self.given_region(scope)?;
            for id in ids {
                let mut disk = get_disk(tx, &scope.account, region.as_ref(), id)?;
                if tx.is_restricted(disk.category, &scope.account)? {
                    return Err(Denied::NotOnWhiteList.into());
                }
                apply(&mut disk, change)?;
                tx.save_disk(&disk)?;
            }
            Ok(())
        })
    }
}

fn detaching(tx: &Tx<'_>, id: &DiskId) -> Result<Option<Disk>, ControlError> {
    Ok(tx.disk(id)?.filter(|disk| disk.status == DiskStatus::Detaching))
}

fn apply(disk: &mut Disk, change: &DiskChange) -> Result<(), Denied> {
    if change.bursting == Some(true) && !disk.category.allows_provisioned_iops() {
        return Err(Denied::BurstingUnsupported);
    }
    if change.delete_with_instance == Some(false) && !disk.is_portable() {
        return Err(Denied::NotPortable);
    }
    let set = |field: &mut bool, value: Option<bool>| *field = value.unwrap_or(*field);
    set(&mut disk.delete_with_instance, change.delete_with_instance);
    set(&mut disk.delete_auto_snapshot, change.delete_auto_snapshot);
    set(&mut disk.enable_auto_snapshot, change.enable_auto_snapshot);
    set(&mut disk.bursting, change.bursting);
    if let Some(name) = &change.name {
        disk.name.clone_from(name);
    }
    if let Some(text) = &change.description {
        disk.description.clone_from(text);
    }
    Ok(())
}

/// The disk that the first call with a token made, once it has ended.
pub(crate) fn replayed_disk(tx: &Tx<'_>, made: &[String]) -> Result<DiskId, ControlError> {
    let id = DiskId::new(made.first().cloned().unwrap_or_default());
    match tx.disk(&id)? {
        Some(disk) if disk.status == DiskStatus::Creating => Err(Denied::TokenProcessing.into()),
        _ => Ok(id),
    }
}
