//! Snapshots: create, modify, delete (api.md §3.4).

use ebb_api_derive::Params;
use ebb_control::CreateSnapshot as New;
use ebb_domain::{Denied, DiskId, RegionId, SnapshotChange, SnapshotId};
use serde::Serialize;

use super::common::{Done, TagParam, Text, Token, client_token, scope, tags};
use super::snapshot_list::DescribeSnapshots;
use crate::refusals::{deny, refused};
use crate::{ApiError, Context, Operation, OperationDef};

/// The family.
pub const OPERATIONS: &[OperationDef] = &[
    OperationDef::of::<CreateSnapshot>(),
    OperationDef::of::<DescribeSnapshots>(),
    OperationDef::of::<ModifySnapshotAttribute>(),
    OperationDef::of::<DeleteSnapshot>(),
    OperationDef::of::<OpenSnapshotService>(),
];

/// Freezes a disk as it is at one instant.
#[derive(Debug, Params)]
pub struct CreateSnapshot {
    /// Which; it must have been attached once.
    pub disk_id: DiskId,
    /// 2 to 128 characters, not beginning with `auto`.
    pub snapshot_name: Option<String>,
    /// 2 to 256 characters.
    pub description: Option<String>,
    /// 1 to 65536; it stays where none is given.
    pub retention_days: Option<i64>,
    /// Standard or Flash.
    pub category: Option<String>,
    /// The same request again is the same snapshot.
    pub client_token: Option<Token>,
    /// Kept and described.
    pub resource_group_id: Option<String>,
    /// Every snapshot here is usable at once, whatever this says.
    pub instant_access: Option<bool>,
    /// Up to 20.
    pub tag: Vec<TagParam>,
}

/// The new snapshot.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateSnapshotReply {
    snapshot_id: String,
}

impl Operation for CreateSnapshot {
    type Reply = CreateSnapshotReply;

    fn call(self, cx: &Context) -> Result<CreateSnapshotReply, ApiError> {
        let new = New {
            disk: self.disk_id,
            name: self.snapshot_name.unwrap_or_default(),
            description: self.description.unwrap_or_default(),
            retention_days: self.retention_days,
            category: self.category,
            resource_group: self.resource_group_id.unwrap_or_default(),
            tags: tags(self.tag),
            token: client_token(cx, "CreateSnapshot", self.client_token.map(|token| token.0)),
        };
        let id = cx.control.create_snapshot(&scope(cx), &new).map_err(refused("CreateSnapshot"))?;
        Ok(CreateSnapshotReply { snapshot_id: id.to_string() })
    }
}

/// Changes what a snapshot is called, and keeps it for longer.
#[derive(Debug, Params)]
pub struct ModifySnapshotAttribute {
    /// Which.
    pub snapshot_id: SnapshotId,
    /// 2 to 128 characters, not beginning with `auto`; or empty.
    pub snapshot_name: Option<Text>,
    /// 2 to 256 characters, or empty.
    pub description: Option<Text>,
    /// Every snapshot here is usable at once, whatever this says.
    pub disable_instant_access: Option<bool>,
    /// Days since it was created, up to 65536; no fewer than before.
    pub retention_days: Option<i64>,
}

impl Operation for ModifySnapshotAttribute {
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        let change = SnapshotChange {
            name: self.snapshot_name.map(|text| text.0),
            description: self.description.map(|text| text.0),
            retention_days: self.retention_days,
        };
        if change == SnapshotChange::default() && self.disable_instant_access.is_none() {
            return Err(deny("ModifySnapshotAttribute", &Denied::NothingToModify));
        }
        cx.control
            .modify_snapshot(&scope(cx), &self.snapshot_id, &change)
            .map_err(refused("ModifySnapshotAttribute"))?;
        Ok(Done {})
    }
}

/// Deletes a snapshot. Disks made from it stay.
#[derive(Debug, Params)]
pub struct DeleteSnapshot {
    /// Which.
    #[param(missing = missing)]
    pub snapshot_id: SnapshotId,
    /// Even if disks were made from it.
    pub force: Option<bool>,
}

/// DeleteSnapshot writes the name without quotes.
fn missing(key: &str) -> ApiError {
    let message = format!(
        "The input parameter {key} that is mandatory for processing this request is not supplied."
    );
    ApiError::new(400, "MissingParameter", message)
}

impl Operation for DeleteSnapshot {
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        cx.control
            .delete_snapshot(&scope(cx), &self.snapshot_id, self.force.unwrap_or(false))
            .map_err(refused("DeleteSnapshot"))?;
        Ok(Done {})
    }
}

/// Opens the snapshot service for the account.
#[derive(Debug, Params)]
pub struct OpenSnapshotService {
    /// Where; it is opened everywhere.
    pub region_id: RegionId,
}

impl Operation for OpenSnapshotService {
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        cx.control
            .open_snapshot_service(&cx.account, &self.region_id)
            .map_err(refused("OpenSnapshotService"))?;
        Ok(Done {})
    }
}
