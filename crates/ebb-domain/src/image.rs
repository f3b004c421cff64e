//! Images: what the disks of a new instance start from (api.md §3.9).
//!
//! An image that an account made names snapshots, which stay its own and cannot be deleted under
//! it. Deliberately not here: operating systems. Nothing is booted, so what an image says of one is
//! only told again.

use crate::{
    AccountId, Denied, DiskKind, Field, ImageId, RegionId, Snapshot, SnapshotCategory, SnapshotId,
    SnapshotStatus, Tag, Timestamp,
};

/// What can be done with an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageStatus {
    /// Its snapshots are being taken, or what they are to hold is being read.
    Creating,
    /// Instances are made from it.
    Available,
    /// Instances are made from it, and it is not listed unless asked for.
    Deprecated,
    /// It came to nothing.
    CreateFailed,
}

/// An image of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// `m-…`
    pub id: ImageId,
    /// Whose it is.
    pub account: AccountId,
    /// Where it is.
    pub region: RegionId,
    /// May be empty.
    pub name: String,
    /// May be empty.
    pub family: String,
    /// May be empty.
    pub version: String,
    /// May be empty.
    pub description: String,
    /// What can be done with it.
    pub status: ImageStatus,
    /// `x86_64`, `arm64`: as given.
    pub architecture: String,
    /// `Ubuntu` and so on: as given.
    pub platform: String,
    /// Its disks, the system disk first.
    pub disks: Vec<ImageDisk>,
    /// May be empty.
    pub resource_group: String,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A disk of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageDisk {
    /// `/dev/xvda`
    pub device: String,
    /// System or data.
    pub kind: DiskKind,
    /// What it starts from.
    pub snapshot: SnapshotId,
    /// The smallest that it comes in.
    pub size_gib: u32,
    /// Whether that snapshot is encrypted, and so what is made of it.
    pub encrypted: bool,
}

impl Image {
    /// The size of the smallest system disk, in GiB.
    #[must_use]
    pub fn size_gib(&self) -> u32 {
        self.disks.first().map_or(0, |disk| disk.size_gib)
    }
}

/// Whether an image may be made of a snapshot.
///
/// # Errors
/// The first thing that forbids it.
pub fn check_image_snapshot(snapshot: &Snapshot) -> Result<(), Denied> {
    if snapshot.status != SnapshotStatus::Accomplished {
        return Err(Denied::SnapshotNotReady);
    }
    if snapshot.created_at < Timestamp::OLDEST_RESTORABLE {
        return Err(Denied::SnapshotTooOld);
    }
    if snapshot.category == SnapshotCategory::Archive {
        return Err(Denied::SnapshotCategory);
    }
    Ok(())
}

/// Whether disks make an image: one of them is a system disk, and no two have one device.
///
/// # Errors
/// [`Denied::NoSystemDisk`], [`Denied::DeviceInUse`].
pub fn check_image_disks(disks: &[ImageDisk]) -> Result<(), Denied> {
    let systems = disks.iter().filter(|disk| disk.kind == DiskKind::System).count();
    if systems != 1 {
        return Err(Denied::NoSystemDisk);
    }
    for (n, disk) in disks.iter().enumerate() {
        if disks[..n].iter().any(|other| other.device == disk.device) {
            return Err(Denied::DeviceInUse);
        }
    }
    Ok(())
}

/// Whether an image may be copied to that region.
///
/// # Errors
/// The first thing that forbids it.
pub fn check_copy_image(
    image: &Image,
    region: &RegionId,
    encrypted: bool,
    with_key: bool,
) -> Result<(), Denied> {
    if with_key && !encrypted {
        return Err(Denied::KeyWithoutEncryption);
    }
    if image.region == *region && !encrypted {
        return Err(Denied::ImageSameRegion);
    }
    match image.status {
        ImageStatus::Available | ImageStatus::Deprecated => Ok(()),
        ImageStatus::Creating | ImageStatus::CreateFailed => Err(Denied::ImageNotAvailable),
    }
}

/// Whether an image may be deleted while so many instances were made from it.
///
/// # Errors
/// [`Denied::ImageInUse`], [`Denied::Conflict`] while it is made.
pub fn check_delete_image(image: &Image, instances: u64, force: bool) -> Result<(), Denied> {
    if image.status == ImageStatus::Creating {
        return Err(Denied::Conflict);
    }
    if instances > 0 && !force { Err(Denied::ImageInUse) } else { Ok(()) }
}

/// ModifyImageAttribute with a Status: Available becomes Deprecated, and that Available again.
///
/// # Errors
/// [`Denied::ImageNotAvailable`], [`Denied::ImageNotDeprecated`],
/// [`Denied::Malformed`] with [`Field::Status`].
pub fn image_status(now: ImageStatus, wanted: &str) -> Result<ImageStatus, Denied> {
    match (now, wanted) {
        (ImageStatus::Available, "Deprecated") => Ok(ImageStatus::Deprecated),
        (ImageStatus::Deprecated, "Available") => Ok(ImageStatus::Available),
        (_, "Deprecated") => Err(Denied::ImageNotAvailable),
        (_, "Available") => Err(Denied::ImageNotDeprecated),
        _ => Err(Denied::Malformed(Field::Status)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(device: &str, kind: DiskKind) -> ImageDisk {
        let snapshot = SnapshotId::new("s-1");
        ImageDisk { device: device.into(), kind, snapshot, size_gib: 20, encrypted: false }
    }

    #[test]
    fn an_image_has_one_system_disk_and_no_device_twice() {
        let system = disk("/dev/xvda", DiskKind::System);
        let data = disk("/dev/xvdb", DiskKind::Data);
        assert_eq!(check_image_disks(&[system.clone(), data.clone()]), Ok(()));
        assert_eq!(check_image_disks(std::slice::from_ref(&data)), Err(Denied::NoSystemDisk));
        let twice = [system.clone(), data.clone(), data];
        assert_eq!(check_image_disks(&twice), Err(Denied::DeviceInUse));
        let two = [system.clone(), system];
        assert_eq!(check_image_disks(&two), Err(Denied::NoSystemDisk));
    }

    #[test]
    fn a_status_is_changed_to_and_fro() {
        use ImageStatus::{Available, Creating, Deprecated};
        assert_eq!(image_status(Available, "Deprecated"), Ok(Deprecated));
        assert_eq!(image_status(Deprecated, "Available"), Ok(Available));
        assert_eq!(image_status(Creating, "Deprecated"), Err(Denied::ImageNotAvailable));
        assert_eq!(image_status(Available, "Available"), Err(Denied::ImageNotDeprecated));
        assert_eq!(image_status(Available, "x"), Err(Denied::Malformed(Field::Status)));
    }
}
