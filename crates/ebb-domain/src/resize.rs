//! ResizeDisk: may this disk become larger now?
//!
//! A disk only grows. Deliberately not here: what the guest makes of it. A client of the disk has
//! the new size when it connects again, and its file system's tool does the rest.

use crate::{Account, Denied, Disk, Field, Instance, InstanceStatus};

/// When the guest is to have the new size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResizeType {
    /// When its instance is started again.
    Offline,
    /// While its instance runs.
    Online,
}

impl ResizeType {
    /// The type of that wire name; `offline` where none is given.
    ///
    /// # Errors
    /// [`Denied::Malformed`] with [`Field::ResizeType`].
    pub fn parse(name: Option<&str>) -> Result<Self, Denied> {
        match name {
            None | Some("offline") => Ok(Self::Offline),
            Some("online") => Ok(Self::Online),
            Some(_) => Err(Denied::Malformed(Field::ResizeType)),
        }
    }
}

/// All that the answer depends on, but for what is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResizeFacts<'a> {
    /// Who asks.
    pub account: &'a Account,
    /// The disk.
    pub disk: &'a Disk,
    /// Whether a snapshot of the disk is progressing.
    pub unfinished_snapshot: bool,
    /// The instances that the disk names; `None` for one that is gone.
    pub instances: &'a [Option<Instance>],
}

/// The size in GiB that the disk will have.
///
/// # Errors
/// The first thing that forbids it.
pub fn check_resize(
    facts: &ResizeFacts<'_>,
    kind: ResizeType,
    size_gib: i64,
) -> Result<u32, Denied> {
    let disk = facts.disk;
    if !disk.category.has_snapshots() {
        return Err(Denied::CategoryUnsupported);
    }
    if facts.account.arrears {
        return Err(Denied::DiskInArrears);
    }
    if !disk.is_resting() {
        return Err(Denied::DiskStatus);
    }
    if facts.unfinished_snapshot {
        return Err(Denied::DiskCreatingSnapshot);
    }
    for instance in facts.instances {
        check_instance(instance.as_ref())?;
    }
    if kind == ResizeType::Online {
        check_online(facts)?;
    }
    check_size(disk, size_gib)
}

fn check_instance(instance: Option<&Instance>) -> Result<(), Denied> {
    let instance = instance.ok_or(Denied::InstanceNotFound)?;
    if instance.security_lock {
        return Err(Denied::InstanceLocked);
    }
    if instance.expired {
        return Err(Denied::InstanceExpired);
    }
    match instance.status {
        InstanceStatus::Running | InstanceStatus::Stopped => Ok(()),
        _ => Err(Denied::InstanceStatus),
    }
}

fn check_online(facts: &ResizeFacts<'_>) -> Result<(), Denied> {
    if facts.disk.multi_attach {
        return Err(Denied::MultiAttachOnline);
    }
    let runs = |instance: &Instance| instance.status == InstanceStatus::Running;
    match facts.instances.iter().flatten().any(runs) {
        true => Ok(()),
        false => Err(Denied::InstanceNotRunning),
    }
}

fn check_size(disk: &Disk, size_gib: i64) -> Result<u32, Denied> {
    let now = i64::from(disk.size_gib);
    if size_gib < now {
        return Err(Denied::SizeTooSmall);
    }
    if size_gib == now {
        return Err(Denied::SizeUnchanged);
    }
    let size = u32::try_from(size_gib).map_err(|_| Denied::SizeTooLarge)?;
    if size > *disk.category.sizes_gib().end() {
        return Err(Denied::SizeTooLarge);
    }
    Ok(size)
}
