//! ReplaceSystemDisk (api.md §3.3): another system disk for an instance.

use ebb_api_derive::Params;
use ebb_control::ReplaceSystemDisk as Replace;
use ebb_domain::{ImageId, InstanceId};
use serde::Serialize;

use super::common::{Token, client_token, scope};
use crate::refusals::refused;
use crate::{ApiError, Context, Operation, OperationDef};

/// The family.
pub const OPERATIONS: &[OperationDef] = &[OperationDef::of::<ReplaceSystemDisk>()];

/// Gives a stopped instance a new system disk, from an image; the old one is deleted.
#[derive(Debug, Params)]
pub struct ReplaceSystemDisk {
    /// Whose.
    pub instance_id: InstanceId,
    /// What the new disk starts from.
    pub image_id: ImageId,
    /// The new disk.
    #[param(flat)]
    pub system_disk: Option<NewSystemDiskParam>,
    /// What the region has by default where nothing is given; as the image, if that has a disk.
    pub encrypted: Option<bool>,
    /// Needs Encrypted=true.
    #[param(name = "KMSKeyId")]
    pub kms_key_id: Option<String>,
    /// The same request again is the same disk.
    pub client_token: Option<Token>,
}

/// `SystemDisk`.
#[derive(Debug, Params)]
pub struct NewSystemDiskParam {
    /// GiB, at least the image's; the old disk's where none is given.
    pub size: Option<i64>,
}

/// The new disk.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ReplaceSystemDiskReply {
    disk_id: String,
}

impl Operation for ReplaceSystemDisk {
    type Reply = ReplaceSystemDiskReply;

    fn call(self, cx: &Context) -> Result<ReplaceSystemDiskReply, ApiError> {
        const ACTION: &str = "ReplaceSystemDisk";
        let replace = Replace {
            instance: self.instance_id,
            image: self.image_id,
            size_gib: self.system_disk.and_then(|disk| disk.size),
            encrypted: self.encrypted,
            key: self.kms_key_id,
            token: client_token(cx, ACTION, self.client_token.map(|token| token.0)),
        };
        let id = cx.control.replace_system_disk(&scope(cx), &replace).map_err(refused(ACTION))?;
        Ok(ReplaceSystemDiskReply { disk_id: id.to_string() })
    }
}
