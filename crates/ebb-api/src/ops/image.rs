//! Images: create, list, change, delete (api.md §3.9).

use ebb_api_derive::Params;
use ebb_control::{CopyImage as Copy, CreateImage as New, DeviceMapping, ImageChange};
use ebb_domain::{Denied, Field, ImageId, InstanceId, RegionId, SnapshotId};
use serde::Serialize;

use super::common::{Done, TagParam, Text, Token, client_token, tags};
use super::image_list::DescribeImages;
use crate::refusals::{deny, refused};
use crate::{ApiError, Context, Operation, OperationDef};

/// The family.
pub const OPERATIONS: &[OperationDef] = &[
    OperationDef::of::<CreateImage>(),
    OperationDef::of::<CopyImage>(),
    OperationDef::of::<DescribeImages>(),
    OperationDef::of::<ModifyImageAttribute>(),
    OperationDef::of::<DeleteImage>(),
];

/// Makes an image: of an instance's disks, of a system disk's snapshot, or of several snapshots.
#[derive(Debug, Params)]
pub struct CreateImage {
    /// Where.
    pub region_id: RegionId,
    /// Of whose disks; each gets a snapshot, at one instant.
    pub instance_id: Option<InstanceId>,
    /// Of which; a system disk's.
    pub snapshot_id: Option<SnapshotId>,
    /// Up to 17; one of a system disk.
    pub disk_device_mapping: Vec<DeviceMappingParam>,
    /// 2 to 128 characters; the id where none is given.
    pub image_name: Option<String>,
    /// Kept and described.
    pub image_family: Option<String>,
    /// Kept and described.
    pub image_version: Option<String>,
    /// 2 to 256 characters.
    pub description: Option<String>,
    /// Kept and described; `x86_64` where none is given.
    pub architecture: Option<String>,
    /// Kept and described.
    pub platform: Option<String>,
    /// Kept and described.
    pub resource_group_id: Option<String>,
    /// Up to 20.
    pub tag: Vec<TagParam>,
    /// The same request again is the same image.
    pub client_token: Option<Token>,
    /// Only checks.
    pub dry_run: Option<bool>,
}

/// `DiskDeviceMapping.N`.
#[derive(Debug, Params)]
pub struct DeviceMappingParam {
    /// What the disk starts from.
    pub snapshot_id: Option<SnapshotId>,
    /// Of a data disk, `/dev/xvdb`; the next free one where none is given.
    pub device: Option<String>,
    /// GiB; at least the snapshot's disk's.
    pub size: Option<u32>,
}

/// The new image.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateImageReply {
    image_id: String,
}

impl Operation for CreateImage {
    type Reply = CreateImageReply;

    fn call(self, cx: &Context) -> Result<CreateImageReply, ApiError> {
        const ACTION: &str = "CreateImage";
        if self.disk_device_mapping.len() > 17 {
            return Err(deny(ACTION, &Denied::Malformed(Field::Device)));
        }
        let mapping = |param: DeviceMappingParam| DeviceMapping {
            snapshot: param.snapshot_id,
            device: param.device,
            size_gib: param.size,
        };
        let new = New {
            region: self.region_id,
            instance: self.instance_id,
            snapshot: self.snapshot_id,
            mappings: self.disk_device_mapping.into_iter().map(mapping).collect(),
            name: self.image_name.unwrap_or_default(),
            family: self.image_family.unwrap_or_default(),
            version: self.image_version.unwrap_or_default(),
            description: self.description.unwrap_or_default(),
            architecture: self.architecture.unwrap_or_else(|| "x86_64".to_owned()),
            platform: self.platform.unwrap_or_default(),
            resource_group: self.resource_group_id.unwrap_or_default(),
            tags: tags(self.tag),
            token: client_token(cx, ACTION, self.client_token.map(|token| token.0)),
            dry_run: self.dry_run == Some(true),
        };
        let id = cx.control.create_image(&cx.account, &new).map_err(refused(ACTION))?;
        Ok(CreateImageReply { image_id: id.to_string() })
    }
}

/// Makes the same image in another region of the server, with snapshots of its own.
#[derive(Debug, Params)]
pub struct CopyImage {
    /// Where it is.
    pub region_id: RegionId,
    /// Which.
    pub image_id: ImageId,
    /// Where the copy is to be; where the image is if none is given, which only an
    /// encrypted copy may be.
    pub destination_region_id: Option<RegionId>,
    /// 2 to 128 characters; the id where none is given.
    pub destination_image_name: Option<String>,
    /// 2 to 256 characters.
    pub destination_description: Option<String>,
    /// Kept and described.
    pub resource_group_id: Option<String>,
    /// As the image is, where nothing is given.
    pub encrypted: Option<bool>,
    /// Needs Encrypted=true.
    #[param(name = "KMSKeyId")]
    pub kms_key_id: Option<String>,
    /// Up to 20.
    pub tag: Vec<TagParam>,
    /// The same request again is the same copy.
    pub client_token: Option<Token>,
    /// Only checks.
    pub dry_run: Option<bool>,
}

impl Operation for CopyImage {
    type Reply = CreateImageReply;

    fn call(self, cx: &Context) -> Result<CreateImageReply, ApiError> {
        const ACTION: &str = "CopyImage";
        let copy = Copy {
            destination: self.destination_region_id.unwrap_or_else(|| self.region_id.clone()),
            region: self.region_id,
            image: self.image_id,
            name: self.destination_image_name.unwrap_or_default(),
            description: self.destination_description.unwrap_or_default(),
            resource_group: self.resource_group_id.unwrap_or_default(),
            encrypted: self.encrypted == Some(true),
            key: self.kms_key_id,
            tags: tags(self.tag),
            token: client_token(cx, ACTION, self.client_token.map(|token| token.0)),
            dry_run: self.dry_run == Some(true),
        };
        let id = cx.control.copy_image(&cx.account, &copy).map_err(refused(ACTION))?;
        Ok(CreateImageReply { image_id: id.to_string() })
    }
}

/// Says something else of an image; what is not given stays.
#[derive(Debug, Params)]
pub struct ModifyImageAttribute {
    /// Where.
    pub region_id: RegionId,
    /// Which.
    pub image_id: ImageId,
    /// 2 to 128 characters.
    pub image_name: Option<String>,
    /// 2 to 256 characters; nothing empties it.
    pub description: Option<Text>,
    /// Nothing empties it.
    pub image_family: Option<Text>,
    /// Deprecated, or Available again.
    pub status: Option<String>,
    /// Only checks.
    pub dry_run: Option<bool>,
}

impl Operation for ModifyImageAttribute {
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        let change = ImageChange {
            name: self.image_name,
            description: self.description.map(|text| text.0),
            family: self.image_family.map(|text| text.0),
            status: self.status,
            dry_run: self.dry_run == Some(true),
        };
        cx.control
            .modify_image(&cx.account, &self.region_id, &self.image_id, &change)
            .map_err(refused("ModifyImageAttribute"))?;
        Ok(Done {})
    }
}

/// Deletes an image. Its snapshots stay, and so do instances made from it.
#[derive(Debug, Params)]
pub struct DeleteImage {
    /// Where.
    pub region_id: RegionId,
    /// Which.
    pub image_id: ImageId,
    /// Also one that instances were made from.
    pub force: Option<bool>,
    /// Only checks.
    pub dry_run: Option<bool>,
}

impl Operation for DeleteImage {
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        let (force, dry_run) = (self.force == Some(true), self.dry_run == Some(true));
        cx.control
            .delete_image(&cx.account, &self.region_id, &self.image_id, force, dry_run)
            .map_err(refused("DeleteImage"))?;
        Ok(Done {})
    }
}
