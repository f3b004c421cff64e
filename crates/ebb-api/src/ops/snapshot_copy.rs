//! CopySnapshot (api.md §3.4).

use ebb_api_derive::Params;
use ebb_control::CopySnapshot as Request;
use ebb_domain::{RegionId, SnapshotId};
use serde::Serialize;

use super::common::{TagParam, Text, Token, client_token, scope, tags};
use crate::refusals::refused;
use crate::{ApiError, Context, Operation, OperationDef};

/// The family.
pub const OPERATIONS: &[OperationDef] = &[OperationDef::of::<CopySnapshot>()];

/// Copies a snapshot to another region of this server, at once; or, encrypted, to any, which takes
/// as long as its bytes take.
#[derive(Debug, Params)]
pub struct CopySnapshot {
    /// Where the snapshot is.
    pub region_id: RegionId,
    /// Which; it must be accomplished.
    pub snapshot_id: SnapshotId,
    /// Another region; the same one where the copy is to be encrypted.
    pub destination_region_id: RegionId,
    /// 2 to 128 characters, not beginning with `auto`.
    pub destination_snapshot_name: Option<Text>,
    /// 2 to 256 characters.
    pub destination_snapshot_description: Option<Text>,
    /// 1 to 65536; it stays where none is given.
    pub retention_days: Option<i64>,
    /// Kept and described.
    pub resource_group_id: Option<String>,
    /// `true`: by the key named, else the region's default. Else the copy is as the snapshot is.
    pub encrypted: Option<bool>,
    /// The key's id, its ARN, or an alias; with Encrypted=true only.
    #[param(name = "KMSKeyId")]
    pub kms_key_id: Option<String>,
    /// The same request again is the same copy.
    pub client_token: Option<Token>,
    /// Up to 20.
    pub tag: Vec<TagParam>,
}

/// The copy.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CopySnapshotReply {
    snapshot_id: String,
}

impl Operation for CopySnapshot {
    type Reply = CopySnapshotReply;

    fn call(self, cx: &Context) -> Result<CopySnapshotReply, ApiError> {
        let text = |text: Option<Text>| text.map(|text| text.0).unwrap_or_default();
        let request = Request {
            snapshot: self.snapshot_id,
            region: self.destination_region_id,
            name: text(self.destination_snapshot_name),
            description: text(self.destination_snapshot_description),
            retention_days: self.retention_days,
            resource_group: self.resource_group_id.unwrap_or_default(),
            encrypted: self.encrypted == Some(true),
            key: self.kms_key_id,
            tags: tags(self.tag),
            token: client_token(cx, "CopySnapshot", self.client_token.map(|token| token.0)),
        };
        let id = cx.control.copy_snapshot(&scope(cx), &request).map_err(refused("CopySnapshot"))?;
        Ok(CopySnapshotReply { snapshot_id: id.to_string() })
    }
}
