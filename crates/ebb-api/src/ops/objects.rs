//! What leaves the pool and comes into it: ModifySnapshotCategory, ExportSnapshot (api.md §3.4),
//! ImportImage (§3.9).

use ebb_api_derive::Params;
use ebb_control::ImportImage as New;
use ebb_domain::{Denied, Field, ImportedDisk, RegionId, SnapshotId};
use serde::Serialize;

use super::common::{TagParam, Token, client_token, scope, tags};
use crate::refusals::{deny, refused};
use crate::{ApiError, Context, Operation, OperationDef};

/// The family.
pub const OPERATIONS: &[OperationDef] = &[
    OperationDef::of::<ModifySnapshotCategory>(),
    OperationDef::of::<ExportSnapshot>(),
    OperationDef::of::<ImportImage>(),
];

/// Moves what a snapshot holds to the archive. No disk is reset to it or made from it any more;
/// ExportSnapshot gets it out.
#[derive(Debug, Params)]
pub struct ModifySnapshotCategory {
    /// Which; at least 14 days old.
    pub snapshot_id: SnapshotId,
    /// Archive.
    pub category: Option<String>,
    /// 61 to 65536, and no fewer than before.
    pub retention_days: Option<i64>,
}

/// A task: the snapshot is in the archive once it is Finished.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct TaskReply {
    task_id: String,
}

impl Operation for ModifySnapshotCategory {
    type Reply = TaskReply;

    fn call(self, cx: &Context) -> Result<TaskReply, ApiError> {
        let task = cx
            .control
            .archive_snapshot(
                &scope(cx),
                &self.snapshot_id,
                self.category.as_deref(),
                self.retention_days,
            )
            .map_err(refused("ModifySnapshotCategory"))?;
        Ok(TaskReply { task_id: task.to_string() })
    }
}

/// Writes what a snapshot holds into an object, `<SnapshotId>.raw`, as long as the disk was.
#[derive(Debug, Params)]
pub struct ExportSnapshot {
    /// Where.
    pub region_id: RegionId,
    /// Which.
    pub snapshot_id: SnapshotId,
    /// A bucket: a folder in the server's `--oss-dir`.
    pub oss_bucket: String,
    /// Taken, and not looked at: the server needs no role.
    pub role_name: Option<String>,
}

impl Operation for ExportSnapshot {
    type Reply = TaskReply;

    fn call(self, cx: &Context) -> Result<TaskReply, ApiError> {
        const ACTION: &str = "ExportSnapshot";
        cx.control.region(&self.region_id).map_err(|denied| deny(ACTION, &denied))?;
        let task = cx
            .control
            .export_snapshot(&scope(cx), &self.snapshot_id, &self.oss_bucket)
            .map_err(refused(ACTION))?;
        Ok(TaskReply { task_id: task.to_string() })
    }
}

/// Makes an image of objects: the first is its system disk, the others are its data disks.
#[derive(Debug, Params)]
pub struct ImportImage {
    /// Where.
    pub region_id: RegionId,
    /// Up to 17.
    pub disk_device_mapping: Vec<ImportedDiskParam>,
    /// 2 to 128 characters; the id where none is given.
    pub image_name: Option<String>,
    /// 2 to 256 characters.
    pub description: Option<String>,
    /// `i386`, `x86_64` or `arm64`; `x86_64` where none is given.
    pub architecture: Option<String>,
    /// `linux` or `windows`.
    #[param(name = "OSType")]
    pub os_type: Option<String>,
    /// Kept and described.
    pub platform: Option<String>,
    /// `BIOS`, `UEFI` or `UEFI-Preferred`; nothing is booted.
    pub boot_mode: Option<String>,
    /// Taken, and not looked at: the server needs no role.
    pub role_name: Option<String>,
    /// `Auto`, `Aliyun` or `BYOL`.
    pub license_type: Option<String>,
    /// Kept and described.
    pub resource_group_id: Option<String>,
    /// Up to 20.
    pub tag: Vec<TagParam>,
    /// Only checks.
    pub dry_run: Option<bool>,
    /// The same request again is the same image.
    pub client_token: Option<Token>,
}

/// `DiskDeviceMapping.N`.
#[derive(Debug, Params)]
pub struct ImportedDiskParam {
    /// A bucket: a folder in the server's `--oss-dir`.
    #[param(name = "OSSBucket")]
    pub oss_bucket: Option<String>,
    /// An object in it.
    #[param(name = "OSSObject")]
    pub oss_object: Option<String>,
    /// `RAW` or `QCOW2`; by the object's suffix where none is given. QCOW2 needs `qemu-img`.
    pub format: Option<String>,
    /// Of a data disk, `/dev/xvdb`; the next free one where none is given.
    pub device: Option<String>,
    /// GiB; as large as it must be where none is given.
    pub disk_image_size: Option<i64>,
    /// The same, by its former name.
    pub disk_im_size: Option<i64>,
}

/// The image, which is there once the task is Finished.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ImportImageReply {
    image_id: String,
    task_id: String,
    region_id: String,
}

impl Operation for ImportImage {
    type Reply = ImportImageReply;

    fn call(self, cx: &Context) -> Result<ImportImageReply, ApiError> {
        const ACTION: &str = "ImportImage";
        if self.disk_device_mapping.len() > 17 {
            return Err(deny(ACTION, &Denied::Malformed(Field::Device)));
        }
        let disk = |param: ImportedDiskParam| ImportedDisk {
            bucket: param.oss_bucket.unwrap_or_default(),
            object: param.oss_object.unwrap_or_default(),
            format: param.format,
            device: param.device,
            size_gib: param.disk_image_size.or(param.disk_im_size),
        };
        let new = New {
            name: self.image_name.unwrap_or_default(),
            description: self.description.unwrap_or_default(),
            architecture: self.architecture,
            os_type: self.os_type,
            platform: self.platform.unwrap_or_default(),
            boot_mode: self.boot_mode,
            license_type: self.license_type,
            resource_group: self.resource_group_id.unwrap_or_default(),
            disks: self.disk_device_mapping.into_iter().map(disk).collect(),
            tags: tags(self.tag),
            token: client_token(cx, ACTION, self.client_token.map(|token| token.0)),
            dry_run: self.dry_run == Some(true),
        };
        let (image, task) =
            cx.control.import_image(&cx.account, &self.region_id, &new).map_err(refused(ACTION))?;
        Ok(ImportImageReply {
            image_id: image.to_string(),
            task_id: task.to_string(),
            region_id: self.region_id.to_string(),
        })
    }
}
