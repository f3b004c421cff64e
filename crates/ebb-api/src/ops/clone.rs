//! CloneDisks (api.md §3.3).

use ebb_api_derive::Params;
use ebb_control::CloneDisk;
use ebb_domain::{DiskId, NewDisk, RegionId};
use serde::Serialize;

use super::common::{TagParam, Token, client_token, tags};
use crate::refusals::refused;
use crate::{ApiError, Context, Operation, OperationDef, Scalar};

/// The family.
pub const OPERATIONS: &[OperationDef] = &[OperationDef::of::<CloneDisks>()];

/// Makes a data disk that reads as another does now, in the same zone.
#[derive(Debug, Params)]
pub struct CloneDisks {
    /// Where.
    pub region_id: RegionId,
    /// What it reads as.
    pub source_disk_id: DiskId,
    /// As of CreateDisk.
    pub disk_category: String,
    /// GiB, no fewer than the source has.
    pub size: i64,
    /// Enabled or Disabled.
    pub multi_attach: String,
    /// 2 to 128 characters.
    pub disk_name: Option<String>,
    /// PL0 to PL3, of `cloud_essd`.
    pub performance_level: Option<String>,
    /// Of `cloud_auto`.
    pub provisioned_iops: Option<i64>,
    /// Of `cloud_auto`.
    pub bursting_enabled: Option<bool>,
    /// What the region has by default where nothing is given; as the source, if that is.
    pub encrypted: Option<bool>,
    /// Needs Encrypted=true.
    pub kms_key_id: Option<String>,
    /// Kept and described.
    pub resource_group_id: Option<String>,
    /// Up to 20.
    pub tag: Vec<TagParam>,
    /// The same request again is the same disk.
    pub client_token: Option<Token>,
    /// `true`: only checks.
    pub dry_run: Option<Flag>,
}

/// A boolean that the metadata calls a string.
#[derive(Debug)]
pub struct Flag(bool);

impl Scalar for Flag {
    fn parse(raw: &str, key: &str) -> Result<Self, ApiError> {
        match raw {
            "true" => Ok(Self(true)),
            "false" => Ok(Self(false)),
            _ => Err(ApiError::invalid(key, "true or false")),
        }
    }
}

/// A group of one task, which names the new disk and has ended, but for an encrypted clone of a
/// plain disk.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CloneDisksReply {
    task_group_id: String,
}

impl Operation for CloneDisks {
    type Reply = CloneDisksReply;

    fn call(self, cx: &Context) -> Result<CloneDisksReply, ApiError> {
        let new = CloneDisk {
            region: self.region_id,
            source: self.source_disk_id,
            token: client_token(cx, "CloneDisks", self.client_token.map(|token| token.0)),
            dry_run: self.dry_run.is_some_and(|flag| flag.0),
            disk: NewDisk {
                name: self.disk_name.unwrap_or_default(),
                description: String::new(),
                category: Some(self.disk_category),
                performance_level: self.performance_level,
                size_gib: Some(self.size),
                multi_attach: Some(self.multi_attach),
                provisioned_iops: self.provisioned_iops,
                bursting: self.bursting_enabled,
                encrypted: self.encrypted,
                key: self.kms_key_id,
                resource_group: self.resource_group_id.unwrap_or_default(),
                tags: tags(self.tag),
            },
        };
        let group = cx.control.clone_disk(&cx.account, &new).map_err(refused("CloneDisks"))?;
        Ok(CloneDisksReply { task_group_id: group.to_string() })
    }
}
