//! RunInstances and CreateInstance, which is the same but that nothing is started.

use ebb_domain::{
    Account, AccountId, Attachment, Category, Denied, Disk, DiskKind, DiskStatus, Encryption,
    Field, ImageDisk, ImageId, ImageStatus, Instance, InstanceId, InstanceStatus, Network, NewDisk,
    PerformanceLevel, RegionId, SYSTEM_DEVICE, SnapshotId, Tag, VSwitchId, ZoneId, check_tags,
    description, device, disk_size, host_name, instance_name, instance_type, public_images,
    user_data,
};
use ebb_store::{Durability, Tx};
use ebb_volume::VolumeId;

use crate::control::{account, check_disk_quota};
use crate::data_keys::{DataKeys, Halt};
use crate::encryption::{inherited, of_image};
use crate::image::find_image;
use crate::work::Job;
use crate::{ClientToken, Control, ControlError, Step};

/// The category of a disk of an instance where none is given: api.md's default for RunInstances is
/// the instance family's; ours has ESSDs everywhere.
const DEFAULT_CATEGORY: Category = Category::CloudEssd;

/// The largest system disk (api.md §3.3, ReplaceSystemDisk).
pub(crate) const SYSTEM_DISK_GIB_MAX: i64 = 2048;

/// SystemDisk.
#[derive(Debug, Clone, Default)]
pub struct SystemDisk {
    /// SystemDisk.DiskName, .Category, .Size and so on
    pub disk: NewDisk,
}

/// DataDisk.N.
#[derive(Debug, Clone, Default)]
pub struct DataDisk {
    /// DataDisk.N.DiskName, .Category, .Size and so on
    pub disk: NewDisk,
    /// DataDisk.N.SnapshotId
    pub snapshot: Option<SnapshotId>,
    /// DataDisk.N.Device
    pub device: Option<String>,
    /// DataDisk.N.DeleteWithInstance
    pub delete_with_instance: Option<bool>,
}

/// RunInstances.
#[derive(Debug, Clone)]
pub struct RunInstances {
    /// RegionId
    pub region: RegionId,
    /// ZoneId; the region's first where it is `None`
    pub zone: Option<ZoneId>,
    /// ImageId
    pub image: ImageId,
    /// InstanceType
    pub instance_type: String,
    /// Amount
    pub amount: u32,
    /// Whether they start.
    pub starts: bool,
    /// InstanceName
    pub name: String,
    /// Description
    pub description: String,
    /// HostName
    pub host_name: String,
    /// DeletionProtection
    pub deletion_protection: bool,
    /// ResourceGroupId
    pub resource_group: String,
    /// Networks, keys and the like
    pub network: Network,
    /// SystemDisk
    pub system_disk: SystemDisk,
    /// DataDisk.N
    pub data_disks: Vec<DataDisk>,
    /// Tag.N
    pub tags: Vec<Tag>,
    /// ClientToken
    pub token: Option<ClientToken>,
    /// DryRun
    pub dry_run: bool,
}

/// What the disks of an instance start from.
pub(crate) struct Source {
    /// The smallest system disk.
    pub(crate) size_gib: u32,
    /// What the system disk reads as; nothing where it is `None`.
    pub(crate) system: Option<SnapshotId>,
    /// Data disks that come with it.
    data: Vec<ImageDisk>,
}

impl Source {
    pub(crate) fn find(
        tx: &Tx<'_>,
        owner: &AccountId,
        region: &RegionId,
        id: &ImageId,
    ) -> Result<Self, ControlError> {
        if let Some(public) = public_images().iter().find(|image| image.id == id.as_str()) {
            return Ok(Self { size_gib: public.size_gib, system: None, data: Vec::new() });
        }
        let image = find_image(tx, owner, region, id)?;
        if matches!(image.status, ImageStatus::Creating | ImageStatus::CreateFailed) {
            return Err(Denied::ImageNotFound.into());
        }
        let size_gib = image.size_gib();
        let (system, data): (Vec<_>, Vec<_>) =
            image.disks.into_iter().partition(|disk| disk.kind == DiskKind::System);
        let system = system.into_iter().next().map(|disk| disk.snapshot);
        Ok(Self { size_gib, system, data })
    }

    fn has(&self, snapshot: &SnapshotId) -> bool {
        self.data.iter().any(|disk| disk.snapshot == *snapshot)
    }

    /// The data disks that are asked for and those of the image. One of a device that an image's
    /// disk has is that disk, as it is asked for.
    fn with_its_disks(&self, asked: &[DataDisk]) -> Vec<DataDisk> {
        let of_image = |device: Option<&String>| {
            let its = |disk: &&ImageDisk| Some(&disk.device) == device;
            self.data.iter().find(its).map(|disk| disk.snapshot.clone())
        };
        let mut all = asked.to_vec();
        for disk in &mut all {
            disk.snapshot = disk.snapshot.take().or_else(|| of_image(disk.device.as_ref()));
        }
        for its in &self.data {
            if !asked.iter().any(|disk| disk.device.as_ref() == Some(&its.device)) {
                all.push(of_its_own(its));
            }
        }
        all
    }
}

/// A disk of an image that nothing else was asked of: of the category that is meant where none is
/// given, and where that level starts too large, of the one that starts smaller.
fn of_its_own(disk: &ImageDisk) -> DataDisk {
    let small = disk.size_gib < PerformanceLevel::Pl1.smallest_gib();
    DataDisk {
        disk: NewDisk {
            size_gib: Some(disk.size_gib.into()),
            performance_level: small.then(|| PerformanceLevel::Pl0.name().to_owned()),
            ..NewDisk::default()
        },
        snapshot: Some(disk.snapshot.clone()),
        device: Some(disk.device.clone()),
        delete_with_instance: None,
    }
}

/// Instances and their disks, as one transaction wrote them.
struct Made {
    instances: Vec<Instance>,
    disks: Vec<Disk>,
}

impl Control {
    /// Makes instances with their disks, and starts them if they are to. They are Pending, or
    /// Creating, when this returns.
    ///
    /// Durable by the outcome's commit; the intent needs no sync, as in CreateDisk.
    ///
    /// # Errors
    /// The first refusal, or a failure, after which there is no instance and no disk.
    pub fn run_instances(
        &self,
        owner: &AccountId,
        request: &RunInstances,
    ) -> Result<Vec<InstanceId>, ControlError> {
        let durability = Durability::Recoverable;
        let intended = self.write_with_data_keys(owner, durability, |tx, keys| {
            if let Some(made) = self.replay(tx, owner, request.token.as_ref())? {
                return Ok(Err(replayed_instances(tx, made)?));
            }
            Ok(Ok(self.intend_run(tx, keys, owner, request)?))
        })?;
        let made = match intended {
            Ok(made) => made,
            Err(replayed) => return Ok(replayed),
        };
        self.pass(Step::RunIntended);
        for disk in &made.disks {
            if let Err(error) = self.make_volume(disk) {
                self.undo_run(owner, request, &made)?;
                return Err(error);
            }
        }
        self.pass(Step::RunVolumesMade);
        self.store.write::<_, ControlError>(Durability::Durable, |tx| {
            made.disks.iter().try_for_each(|disk| self.rest_disk(tx, &disk.id))
        })?;
        for instance in &made.instances {
            self.work.add(Job::Instance(instance.id.clone()));
        }
        Ok(made.instances.into_iter().map(|instance| instance.id).collect())
    }

    fn intend_run(
        &self,
        tx: &Tx<'_>,
        keys: &mut DataKeys,
        owner: &AccountId,
        request: &RunInstances,
    ) -> Result<Made, Halt> {
        let account = account(tx, owner)?;
        let (zone, image) = self.check_run(tx, &account, request)?;
        let mut made = Made { instances: Vec::new(), disks: Vec::new() };
        for _ in 0..request.amount {
            let instance = self.new_instance(owner, request, &zone);
            made.disks.extend(self.new_disks(tx, keys, request, &image, &instance)?);
            made.instances.push(instance);
        }
        let gib = made.disks.iter().map(|disk| u64::from(disk.size_gib)).sum();
        check_disk_quota(tx, &account, gib)?;
        keys.keep(tx, owner)?;
        if request.dry_run {
            return Err(Denied::DryRun.into());
        }
        for instance in &made.instances {
            tx.insert_instance(instance)?;
        }
        for disk in &made.disks {
            tx.insert_disk(disk)?;
        }
        let ids = made.instances.iter().map(|instance| instance.id.to_string()).collect();
        self.remember(tx, owner, request.token.as_ref(), ids)?;
        Ok(made)
    }

    fn check_run(
        &self,
        tx: &Tx<'_>,
        account: &Account,
        request: &RunInstances,
    ) -> Result<(ZoneId, Source), ControlError> {
        let region = self.region(&request.region)?;
        let zone = match &request.zone {
            None => match tx.vswitch(&VSwitchId::new(request.network.vswitch.as_str()))? {
                Some(found) if found.account == account.id && found.region == request.region => {
                    found.zone
                }
                _ => region.zones()[0].clone(),
            },
            Some(zone) if region.zones().contains(zone) => zone.clone(),
            Some(_) => return Err(Denied::ZoneNotFound.into()),
        };
        let image = Source::find(tx, &account.id, &request.region, &request.image)?;
        instance_type(&request.instance_type).ok_or(Denied::InstanceTypeUnknown)?;
        if !(1..=100).contains(&request.amount) {
            return Err(Denied::Malformed(Field::Amount).into());
        }
        instance_name(&request.name)?;
        host_name(&request.host_name)?;
        description(&request.description)?;
        user_data(&request.network.user_data)?;
        check_tags(&request.tags)?;
        account.check_balance()?;
        if account.arrears {
            return Err(Denied::AccountInArrears.into());
        }
        if request.data_disks.len() > 16 {
            return Err(Denied::TooManyDisks.into());
        }
        Ok((zone, image))
    }

    fn new_instance(&self, owner: &AccountId, request: &RunInstances, zone: &ZoneId) -> Instance {
        let id = InstanceId::mint(self.random());
        let fallback = |text: &str, default: String| {
            if text.is_empty() { default } else { text.to_owned() }
        };
        Instance {
            account: owner.clone(),
            region: request.region.clone(),
            zone: zone.clone(),
            name: fallback(&request.name, id.to_string()),
            description: request.description.clone(),
            host_name: fallback(&request.host_name, id.as_str().replace("i-", "iZ")),
            image: request.image.clone(),
            instance_type: request.instance_type.clone(),
            status: if request.starts { InstanceStatus::Pending } else { InstanceStatus::Creating },
            security_lock: false,
            expired: false,
            deletion_protection: request.deletion_protection,
            stopped_mode: String::new(),
            resource_group: request.resource_group.clone(),
            network: request.network.clone(),
            tags: request.tags.clone(),
            created_at: self.now(),
            started_at: None,
            id,
        }
    }

    fn new_disks(
        &self,
        tx: &Tx<'_>,
        keys: &mut DataKeys,
        request: &RunInstances,
        image: &Source,
        instance: &Instance,
    ) -> Result<Vec<Disk>, ControlError> {
        let mut disks = vec![self.new_system_disk(tx, keys, request, image, instance)?];
        let mut used = vec![SYSTEM_DEVICE.to_owned()];
        for data in image.with_its_disks(&request.data_disks) {
            let device = device(&used, data.device.as_deref())?;
            used.push(device.clone());
            let disk = self.new_data_disk(tx, &data, instance, device)?;
            let encryption = encryption_of(tx, keys, image, &data, instance)?;
            disks.push(Disk { encryption, ..disk });
        }
        Ok(disks)
    }

    fn new_system_disk(
        &self,
        tx: &Tx<'_>,
        keys: &mut DataKeys,
        request: &RunInstances,
        image: &Source,
        instance: &Instance,
    ) -> Result<Disk, ControlError> {
        let mut new = request.system_disk.disk.clone();
        new.category.get_or_insert_with(|| DEFAULT_CATEGORY.name().to_owned());
        let size = new.check().map_err(|denied| of_system_disk(&denied))?;
        if !size.category.has_snapshots() {
            return Err(Denied::Malformed(Field::SystemDiskCategory).into());
        }
        let (owner, region) = (&instance.account, &instance.region);
        let encryption = match &image.system {
            None => keys.of_new(tx, owner, region, &new)?,
            Some(id) => of_image(tx, owner, region, &new, id)?,
        };
        if tx.is_restricted(size.category, &instance.account)? {
            return Err(Denied::NotOnWhiteList.into());
        }
        let asked = new.size_gib.unwrap_or_else(|| i64::from(image.size_gib.max(40)));
        if (1..i64::from(image.size_gib)).contains(&asked) {
            return Err(Denied::SmallerThanImage.into());
        }
        let size_of = ebb_domain::SizeRequest { size_gib: Some(asked), ..size };
        let (gib, level) = disk_size(size_of, None)
            .ok()
            .filter(|_| asked <= SYSTEM_DISK_GIB_MAX)
            .ok_or(Denied::Malformed(Field::SystemDiskSize))?;
        let disk = self.new_disk(&instance.account, &new, size, gib, level);
        Ok(Disk {
            kind: DiskKind::System,
            image: Some(request.image.clone()),
            source_snapshot: image.system.clone(),
            encryption,
            delete_with_instance: true,
            ..placed(disk, instance, SYSTEM_DEVICE.to_owned())
        })
    }

    fn new_data_disk(
        &self,
        tx: &Tx<'_>,
        data: &DataDisk,
        instance: &Instance,
        device: String,
    ) -> Result<Disk, ControlError> {
        let mut new = data.disk.clone();
        new.category.get_or_insert_with(|| DEFAULT_CATEGORY.name().to_owned());
        let size = new.check().map_err(|denied| of_data_disk(&denied))?;
        if tx.is_restricted(size.category, &instance.account)? {
            return Err(Denied::NotOnWhiteList.into());
        }
        let source_gib = match &data.snapshot {
            None => None,
            Some(_) if !size.category.has_snapshots() => {
                return Err(Denied::Malformed(Field::DataDiskCategory).into());
            }
            Some(id) => {
                let source = self.source_snapshot(tx, &instance.account, &instance.region, id)?;
                if source.source_disk_kind == DiskKind::System {
                    return Err(Denied::SystemSnapshot.into());
                }
                Some(source.source_disk_gib)
            }
        };
        let (gib, level) = disk_size(size, source_gib).map_err(|denied| of_data_disk(&denied))?;
        let disk = self.new_disk(&instance.account, &new, size, gib, level);
        let goes_with_it = !size.category.has_snapshots();
        Ok(Disk {
            source_snapshot: data.snapshot.clone(),
            delete_with_instance: goes_with_it || data.delete_with_instance.unwrap_or(true),
            ..placed(disk, instance, device)
        })
    }

    fn undo_run(
        &self,
        owner: &AccountId,
        request: &RunInstances,
        made: &Made,
    ) -> Result<(), ControlError> {
        for disk in &made.disks {
            let volume = VolumeId(disk.volume);
            if let Err(error) = self.engine.delete_volume(self.new_op(), volume) {
                tracing::warn!(?volume, %error, "an unused volume stays until the next start");
            }
        }
        self.store.write(Durability::Recoverable, |tx| {
            self.forget(tx, owner, request.token.as_ref())?;
            for disk in &made.disks {
                tx.remove_disk(&disk.id, self.now())?;
            }
            for instance in &made.instances {
                tx.remove_instance(&instance.id)?;
            }
            Ok(())
        })
    }
}

/// The instances that the first call with a token made, once their disks are there: until then the
/// call may still come to nothing.
fn replayed_instances(tx: &Tx<'_>, made: Vec<String>) -> Result<Vec<InstanceId>, ControlError> {
    let ids: Vec<_> = made.into_iter().map(InstanceId::new).collect();
    for id in &ids {
        if tx.disks_of_instance(id)?.iter().any(|disk| disk.status == DiskStatus::Creating) {
            return Err(Denied::TokenProcessing.into());
        }
    }
    Ok(ids)
}

/// What a data disk is encrypted with: as CreateDisk has it, and where it is of the image, as the
/// image is.
fn encryption_of(
    tx: &Tx<'_>,
    keys: &mut DataKeys,
    image: &Source,
    data: &DataDisk,
    instance: &Instance,
) -> Result<Option<Encryption>, ControlError> {
    let (owner, region) = (&instance.account, &instance.region);
    match &data.snapshot {
        None => keys.of_new(tx, owner, region, &data.disk),
        Some(id) if image.has(id) => of_image(tx, owner, region, &data.disk, id),
        Some(id) => inherited(tx, owner, region, &data.disk, id),
    }
}

/// The disk at its place in the instance.
fn placed(disk: Disk, instance: &Instance, device: String) -> Disk {
    let at = disk.created_at;
    Disk {
        region: instance.region.clone(),
        zone: instance.zone.clone(),
        attached_at: Some(at),
        attachments: vec![Attachment { instance: instance.id.clone(), device, at }],
        ..disk
    }
}

/// RunInstances names the disk in its codes where CreateDisk does not.
fn of_system_disk(denied: &Denied) -> Denied {
    match denied {
        Denied::CategoryUnknown => Denied::Malformed(Field::SystemDiskCategory),
        other => other.clone(),
    }
}

fn of_data_disk(denied: &Denied) -> Denied {
    match denied {
        Denied::CategoryUnknown => Denied::Malformed(Field::DataDiskCategory),
        Denied::SizeUnknown | Denied::SizeNotOffered | Denied::SizeOrSnapshotMissing => {
            Denied::Malformed(Field::DataDiskSize)
        }
        other => other.clone(),
    }
}
