//! Disks: create, attach, detach, delete, modify (api.md §3.3).

use ebb_api_derive::Params;
use ebb_control::{Attach, CreateDisk as New, DiskChange};
use ebb_domain::{
    AttachRequest, Denied, DiskId, InstanceId, NewDisk, RegionId, SnapshotId, ZoneId,
};
use serde::Serialize;

use super::common::{Done, TagParam, Text, Token, client_token, scope, tags};
use super::disk_list::DescribeDisks;
use super::disk_monitor::DescribeDiskMonitorData;
use crate::refusals::{deny, refused};
use crate::{ApiError, Context, Operation, OperationDef, Repeat};

/// The family.
pub const OPERATIONS: &[OperationDef] = &[
    OperationDef::of::<CreateDisk>(),
    OperationDef::of::<DescribeDisks>(),
    OperationDef::of::<AttachDisk>(),
    OperationDef::of::<DetachDisk>(),
    OperationDef::of::<DeleteDisk>(),
    OperationDef::of::<ModifyDiskAttribute>(),
    OperationDef::of::<DescribeDiskMonitorData>(),
];

/// Makes a data disk, empty or from a snapshot.
#[derive(Debug, Params)]
pub struct CreateDisk {
    /// Where.
    pub region_id: RegionId,
    /// Where in the region; this or InstanceId.
    pub zone_id: Option<ZoneId>,
    /// Of a subscription instance; this or ZoneId.
    pub instance_id: Option<InstanceId>,
    /// What it starts from; this or Size.
    pub snapshot_id: Option<SnapshotId>,
    /// 2 to 128 characters.
    pub disk_name: Option<String>,
    /// GiB; this or SnapshotId.
    pub size: Option<i64>,
    /// `cloud` where none is given.
    pub disk_category: Option<String>,
    /// 2 to 256 characters.
    pub description: Option<String>,
    /// What the region has by default where nothing is given; as the snapshot, if there is one.
    pub encrypted: Option<bool>,
    /// Needs Encrypted=true.
    #[param(name = "KMSKeyId")]
    pub kms_key_id: Option<String>,
    /// The same request again is the same disk.
    pub client_token: Option<Token>,
    /// Kept and described.
    pub resource_group_id: Option<String>,
    /// PL0 to PL3, of `cloud_essd`.
    pub performance_level: Option<String>,
    /// Enabled or Disabled.
    pub multi_attach: Option<String>,
    /// Of `cloud_auto`.
    pub provisioned_iops: Option<i64>,
    /// Of `cloud_auto`.
    pub bursting_enabled: Option<bool>,
    /// Up to 20.
    pub tag: Vec<TagParam>,
}

/// The new disk.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateDiskReply {
    disk_id: String,
}

impl Operation for CreateDisk {
    type Reply = CreateDiskReply;

    fn call(self, cx: &Context) -> Result<CreateDiskReply, ApiError> {
        if self.size.is_none() && self.snapshot_id.is_none() {
            return Err(deny("CreateDisk", &Denied::SizeOrSnapshotMissing));
        }
        let new = New {
            region: self.region_id,
            zone: self.zone_id,
            instance: self.instance_id,
            snapshot: self.snapshot_id,
            token: client_token(cx, "CreateDisk", self.client_token.map(|token| token.0)),
            disk: NewDisk {
                name: self.disk_name.unwrap_or_default(),
                description: self.description.unwrap_or_default(),
                category: self.disk_category,
                performance_level: self.performance_level,
                size_gib: self.size,
                multi_attach: self.multi_attach,
                provisioned_iops: self.provisioned_iops,
                bursting: self.bursting_enabled,
                encrypted: self.encrypted,
                key: self.kms_key_id,
                resource_group: self.resource_group_id.unwrap_or_default(),
                tags: tags(self.tag),
            },
        };
        let id = cx.control.create_disk(&cx.account, &new).map_err(refused("CreateDisk"))?;
        Ok(CreateDiskReply { disk_id: id.to_string() })
    }
}

/// Attaches a disk to an instance of its zone.
#[derive(Debug, Params)]
pub struct AttachDisk {
    /// To which.
    #[param(missing = empty)]
    pub instance_id: InstanceId,
    /// Which.
    #[param(missing = empty)]
    pub disk_id: DiskId,
    /// `/dev/xvdb`; the next free one where none is given.
    pub device: Option<String>,
    /// Whether it goes when the instance is deleted.
    pub delete_with_instance: Option<bool>,
    /// As a system disk, which a data disk is not.
    pub bootable: Option<bool>,
}

/// Attaching and detaching have words of their own for a parameter that is missing.
fn empty(_key: &str) -> ApiError {
    let message = "The input parameter is mandatory for processing this request is empty.";
    ApiError::new(400, "InvalidParameter", message)
}

impl Operation for AttachDisk {
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        let attach = Attach {
            disk: self.disk_id,
            instance: self.instance_id,
            request: AttachRequest {
                device: self.device,
                delete_with_instance: self.delete_with_instance,
                bootable: self.bootable.unwrap_or(false),
            },
        };
        cx.control.attach_disk(&scope(cx), &attach).map_err(refused("AttachDisk"))?;
        Ok(Done {})
    }
}

/// Detaches a disk: its connections are ended, then it is Available.
#[derive(Debug, Params)]
pub struct DetachDisk {
    /// From which.
    #[param(missing = empty)]
    pub instance_id: InstanceId,
    /// Which.
    #[param(missing = empty)]
    pub disk_id: DiskId,
    /// Kept for the next time it is attached.
    pub delete_with_instance: Option<bool>,
}

impl Operation for DetachDisk {
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        cx.control
            .detach_disk(&scope(cx), &self.disk_id, &self.instance_id, self.delete_with_instance)
            .map_err(refused("DetachDisk"))?;
        Ok(Done {})
    }
}

/// Deletes a disk that is Available. Its manual snapshots stay.
#[derive(Debug, Params)]
pub struct DeleteDisk {
    /// Which.
    pub disk_id: DiskId,
}

impl Operation for DeleteDisk {
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        cx.control.delete_disk(&scope(cx), &self.disk_id).map_err(refused("DeleteDisk"))?;
        Ok(Done {})
    }
}

/// Changes attributes of one disk, or the same of several.
#[derive(Debug, Params)]
pub struct ModifyDiskAttribute {
    /// Which; this or DiskIds.
    pub disk_id: Option<DiskId>,
    /// Which; these or DiskId.
    pub disk_ids: Repeat<DiskId>,
    /// 2 to 128 characters, or empty.
    pub disk_name: Option<Text>,
    /// 2 to 256 characters, or empty.
    pub description: Option<Text>,
    /// Whether it goes when its instance is deleted.
    pub delete_with_instance: Option<bool>,
    /// Whether its automatic snapshots go with it.
    pub delete_auto_snapshot: Option<bool>,
    /// Whether an automatic snapshot policy acts on it.
    pub enable_auto_snapshot: Option<bool>,
    /// Of `cloud_auto`.
    pub bursting_enabled: Option<bool>,
}

impl Operation for ModifyDiskAttribute {
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        let ids = match (self.disk_id, self.disk_ids.0) {
            (Some(id), ids) if ids.is_empty() => vec![id],
            (Some(_), _) => return Err(deny("ModifyDiskAttribute", &Denied::DiskIdAndDiskIds)),
            (None, ids) if ids.is_empty() => {
                return Err(deny("ModifyDiskAttribute", &Denied::DiskIdOrDiskIdsMissing));
            }
            (None, ids) => ids,
        };
        let change = DiskChange {
            name: self.disk_name.map(|text| text.0),
            description: self.description.map(|text| text.0),
            delete_with_instance: self.delete_with_instance,
            delete_auto_snapshot: self.delete_auto_snapshot,
            enable_auto_snapshot: self.enable_auto_snapshot,
            bursting: self.bursting_enabled,
        };
        if change == DiskChange::default() {
            return Err(deny("ModifyDiskAttribute", &Denied::NothingToModify));
        }
        cx.control
            .modify_disks(&scope(cx), &ids, &change)
            .map_err(refused("ModifyDiskAttribute"))?;
        Ok(Done {})
    }
}
