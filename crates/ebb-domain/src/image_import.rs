//! ImportImage: which objects become which disks of an image (api.md §3.9).

use crate::{Denied, Field, TaskObject, device};

/// The device of an image's system disk.
pub const SYSTEM_DEVICE: &str = "/dev/xvda";

/// How large a system disk of an image can be, in GiB.
const SYSTEM_GIB_MAX: i64 = 2048;

/// How large a data disk of an image can be, in GiB.
const DATA_GIB_MAX: i64 = 32_768;

/// What a disk image is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageFormat {
    /// The disk's bytes, one after the other.
    Raw,
    /// QEMU's qcow2.
    Qcow2,
}

impl ImageFormat {
    /// The wire name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raw => "RAW",
            Self::Qcow2 => "QCOW2",
        }
    }

    /// The format of that name, in any case.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Raw, Self::Qcow2].into_iter().find(|format| format.name().eq_ignore_ascii_case(name))
    }
}

/// DiskDeviceMapping.N
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportedDisk {
    /// OSSBucket
    pub bucket: String,
    /// OSSObject
    pub object: String,
    /// Format; by the object's suffix where none is given
    pub format: Option<String>,
    /// Device; the next free one where none is given
    pub device: Option<String>,
    /// DiskImageSize in GiB; as large as it must be where none is given
    pub size_gib: Option<i64>,
}

/// The disks of an image, the system disk first.
///
/// # Errors
/// The first thing that is wrong; whether the objects are there is another matter.
pub fn check_imported_disks(disks: &[ImportedDisk]) -> Result<Vec<TaskObject>, Denied> {
    if disks.is_empty() {
        return Err(Denied::MappingMissing);
    }
    let mut objects: Vec<TaskObject> = Vec::with_capacity(disks.len());
    for (n, disk) in disks.iter().enumerate() {
        let device = if n == 0 {
            SYSTEM_DEVICE.to_owned()
        } else {
            let used: Vec<_> = objects.iter().map(|object| object.device.clone()).collect();
            device(&used, disk.device.as_deref()).map_err(|_| Denied::Malformed(Field::Device))?
        };
        objects.push(TaskObject {
            bucket: disk.bucket.clone(),
            object: disk.object.clone(),
            format: format(disk)?,
            device,
            size_gib: size(disk.size_gib, n == 0)?,
        });
    }
    Ok(objects)
}

fn format(disk: &ImportedDisk) -> Result<ImageFormat, Denied> {
    let (name, unknown) = match &disk.format {
        Some(name) => (name.as_str(), Denied::Malformed(Field::ImageFormat)),
        None => {
            let suffix = disk.object.rsplit_once('.').map_or("", |(_, suffix)| suffix);
            (suffix, Denied::ObjectSuffix)
        }
    };
    match name.to_ascii_lowercase().as_str() {
        "img" => Ok(ImageFormat::Raw),
        // ECS takes it, and nothing here reads it.
        "vhd" => Err(Denied::ImageFormatUnsupported),
        name => ImageFormat::parse(name).ok_or(unknown),
    }
}

fn size(asked: Option<i64>, is_system: bool) -> Result<Option<u32>, Denied> {
    let (most, wrong) = match is_system {
        true => (SYSTEM_GIB_MAX, Denied::ImageSize),
        false => (DATA_GIB_MAX, Denied::DataImageSize),
    };
    match asked {
        None => Ok(None),
        Some(gib) if (1..=most).contains(&gib) => Ok(u32::try_from(gib).ok()),
        Some(_) => Err(wrong),
    }
}

/// How many GiB the disk of an image of so many bytes has.
///
/// # Errors
/// Why there can be none, in words for whoever waits for it.
pub fn imported_gib(object: &TaskObject, bytes: u64) -> Result<u32, String> {
    let needed = bytes.div_ceil(1 << 30).max(1);
    let most = if object.device == SYSTEM_DEVICE { SYSTEM_GIB_MAX } else { DATA_GIB_MAX };
    let most = object.size_gib.map_or(most.unsigned_abs(), u64::from);
    match u32::try_from(needed) {
        Ok(gib) if needed <= most => Ok(object.size_gib.unwrap_or(gib)),
        _ => Err(format!(
            "{} holds a disk of {bytes} bytes, which is more than {most} GiB; give a larger \
             DiskImageSize, or a smaller image",
            object.object
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(object: &str) -> ImportedDisk {
        ImportedDisk { bucket: "b".into(), object: object.into(), ..ImportedDisk::default() }
    }

    fn only(disk: ImportedDisk) -> Result<TaskObject, Denied> {
        check_imported_disks(&[disk]).map(|mut objects| objects.remove(0))
    }

    #[test]
    fn a_format_is_given_or_told_by_the_suffix() {
        let format = |object: &str, format: Option<&str>| {
            let disk = ImportedDisk { format: format.map(str::to_owned), ..disk(object) };
            only(disk).map(|object| object.format)
        };
        assert_eq!(format("a.raw", None), Ok(ImageFormat::Raw));
        assert_eq!(format("a.img", None), Ok(ImageFormat::Raw));
        assert_eq!(format("a/b.QCOW2", None), Ok(ImageFormat::Qcow2));
        assert_eq!(format("a.raw", Some("qcow2")), Ok(ImageFormat::Qcow2));
        assert_eq!(format("a.vhd", None), Err(Denied::ImageFormatUnsupported));
        assert_eq!(format("a", None), Err(Denied::ObjectSuffix));
        assert_eq!(format("a.raw", Some("x")), Err(Denied::Malformed(Field::ImageFormat)));
    }

    #[test]
    fn the_first_is_the_system_disk() {
        let second = ImportedDisk { device: Some("/dev/xvdc".into()), ..disk("b.raw") };
        let disks = [disk("a.raw"), second, disk("c.raw")];
        let devices: Vec<_> =
            check_imported_disks(&disks).unwrap().into_iter().map(|object| object.device).collect();
        assert_eq!(devices, ["/dev/xvda", "/dev/xvdc", "/dev/xvdb"]);
        assert_eq!(check_imported_disks(&[]), Err(Denied::MappingMissing));
    }

    #[test]
    fn a_disk_is_as_large_as_asked_and_never_smaller_than_what_is_in_it() {
        let object = |gib| only(ImportedDisk { size_gib: gib, ..disk("a.raw") }).unwrap();
        assert_eq!(imported_gib(&object(None), 1), Ok(1));
        assert_eq!(imported_gib(&object(None), (3 << 30) + 1), Ok(4));
        assert_eq!(imported_gib(&object(Some(40)), 3 << 30), Ok(40));
        assert!(imported_gib(&object(Some(2)), (2 << 30) + 1).is_err());
        assert!(imported_gib(&object(None), (2048 << 30) + 1).is_err());
        let too_large = ImportedDisk { size_gib: Some(2049), ..disk("a.raw") };
        assert_eq!(only(too_large), Err(Denied::ImageSize));
    }
}
