//! Attaching, detaching and deleting disks.

use crate::{Account, Denied, Disk, DiskKind, DiskStatus, Field, Instance, InstanceStatus};
use crate::{InstanceId, instance_type};

/// What AttachDisk was told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AttachRequest {
    /// Device
    pub device: Option<String>,
    /// DeleteWithInstance
    pub delete_with_instance: Option<bool>,
    /// Bootable
    pub bootable: bool,
}

/// Whether `disk` may be attached to `instance`, and under which device name. `used` are the
/// device names of the instance's disks.
///
/// # Errors
/// The first thing that forbids it.
pub fn check_attach(
    account: &Account,
    disk: &Disk,
    instance: &Instance,
    used: &[String],
    request: &AttachRequest,
) -> Result<String, Denied> {
    if !disk.is_portable() {
        return Err(Denied::NotPortable);
    }
    if disk.category.is_elastic_ephemeral() && request.delete_with_instance == Some(false) {
        return Err(Denied::Malformed(Field::DeleteWithInstance));
    }
    if request.bootable || disk.kind == DiskKind::System {
        return Err(Denied::NotBootable);
    }
    let free = match disk.status {
        DiskStatus::Available => true,
        DiskStatus::InUse => disk.multi_attach && !attached_to(disk, &instance.id),
        _ => false,
    };
    if !free {
        return Err(Denied::DiskStatus);
    }
    if account.arrears {
        return Err(Denied::DiskInArrears);
    }
    if instance.security_lock {
        return Err(Denied::InstanceLocked);
    }
    if instance.expired {
        return Err(Denied::InstanceExpired);
    }
    if !matches!(instance.status, InstanceStatus::Running | InstanceStatus::Stopped) {
        return Err(Denied::InstanceStatus);
    }
    if disk.zone != instance.zone {
        return Err(Denied::NotInSameZone);
    }
    let disks_max = instance_type(&instance.instance_type).map_or(17, |shape| shape.disks_max);
    if used.len() >= disks_max {
        return Err(Denied::TooManyDisks);
    }
    device(used, request.device.as_deref())
}

/// The device name of a data disk: `/dev/xvd` and one or two letters as asked, or the next free
/// one. `used` are those of the instance's other disks.
///
/// # Errors
/// [`Denied::Malformed`] with [`Field::Device`], [`Denied::DeviceInUse`], [`Denied::TooManyDisks`].
pub fn device(used: &[String], asked: Option<&str>) -> Result<String, Denied> {
    let Some(asked) = asked.filter(|name| !name.is_empty()) else {
        return next_device(used).ok_or(Denied::TooManyDisks);
    };
    let letters = asked.strip_prefix("/dev/xvd").unwrap_or_default();
    if letters.is_empty() || letters.len() > 2 || !letters.bytes().all(|b| b.is_ascii_lowercase()) {
        return Err(Denied::Malformed(Field::Device));
    }
    if letters == "a" || used.iter().any(|name| name == asked) {
        return Err(Denied::DeviceInUse);
    }
    Ok(asked.to_owned())
}

/// The next free device name: `/dev/xvdb` to `/dev/xvdz`. `/dev/xvda` is the system disk's.
fn next_device(used: &[String]) -> Option<String> {
    (b'b'..=b'z')
        .map(|letter| format!("/dev/xvd{}", char::from(letter)))
        .find(|name| !used.contains(name))
}

fn attached_to(disk: &Disk, instance: &InstanceId) -> bool {
    disk.attachments.iter().any(|attachment| attachment.instance == *instance)
}

/// Whether `disk` may be detached from the instance of that id; `instance` is `None` where there is
/// none. A disk of a forgotten instance is detached with the id it still names.
///
/// # Errors
/// The first thing that forbids it.
pub fn check_detach(
    disk: &Disk,
    id: &InstanceId,
    instance: Option<&Instance>,
) -> Result<(), Denied> {
    if instance.is_none() && !attached_to(disk, id) {
        return Err(Denied::InstanceNotFound);
    }
    if disk.attachments.is_empty() {
        return Err(Denied::AlreadyDetached);
    }
    if !attached_to(disk, id) {
        return Err(Denied::AttachedElsewhere);
    }
    if let Some(instance) = instance {
        if disk.kind == DiskKind::System {
            // Off a machine that runs it could not go in any case.
            let stopped = instance.status == InstanceStatus::Stopped;
            return Err(if stopped { Denied::SystemDisk } else { Denied::InstanceStatus });
        }
        if !disk.is_portable() {
            return Err(Denied::NotPortable);
        }
        if disk.category.is_elastic_ephemeral() {
            return Err(Denied::EphemeralStays);
        }
        if instance.security_lock {
            return Err(Denied::InstanceLocked);
        }
        if !matches!(instance.status, InstanceStatus::Running | InstanceStatus::Stopped) {
            return Err(Denied::InstanceStatus);
        }
    }
    if disk.status == DiskStatus::InUse { Ok(()) } else { Err(Denied::DiskStatus) }
}

/// Whether a disk may be deleted.
///
/// # Errors
/// [`Denied::NotPortable`], [`Denied::DiskStatus`], [`Denied::DiskCreatingSnapshot`].
pub fn check_delete_disk(disk: &Disk, unfinished_snapshot: bool) -> Result<(), Denied> {
    if !disk.is_portable() {
        return Err(Denied::NotPortable);
    }
    if disk.status != DiskStatus::Available {
        return Err(Denied::DiskStatus);
    }
    if unfinished_snapshot { Err(Denied::DiskCreatingSnapshot) } else { Ok(()) }
}
