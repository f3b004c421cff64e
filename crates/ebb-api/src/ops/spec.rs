//! ModifyDiskSpec and ModifyDiskDeployment (api.md §3.3).

use ebb_api_derive::Params;
use ebb_domain::{DiskId, SpecChange};
use serde::Serialize;

use super::common::scope;
use crate::refusals::refused;
use crate::{ApiError, Context, Operation, OperationDef};

/// The family.
pub const OPERATIONS: &[OperationDef] =
    &[OperationDef::of::<ModifyDiskSpec>(), OperationDef::of::<ModifyDiskDeployment>()];

/// Makes a disk of another category, performance level or number of provisioned IOPS.
#[derive(Debug, Params)]
pub struct ModifyDiskSpec {
    /// Which.
    pub disk_id: DiskId,
    /// `cloud_essd`, `cloud_auto`, `cloud_ssd`, `cloud_essd_entry` or `cloud_efficiency`.
    pub disk_category: Option<String>,
    /// Of a `cloud_essd`; PL1 where it becomes one. It does not go back to PL0.
    pub performance_level: Option<String>,
    /// Of a `cloud_auto`: 0 to min(50,000, 1,000 × GiB less what its size gives).
    pub provisioned_iops: Option<i64>,
    /// Only checks.
    pub dry_run: Option<bool>,
}

/// A task, which has ended.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ModifyDiskSpecReply {
    task_id: String,
    order_id: &'static str,
}

impl Operation for ModifyDiskSpec {
    type Reply = ModifyDiskSpecReply;

    fn call(self, cx: &Context) -> Result<ModifyDiskSpecReply, ApiError> {
        let change = SpecChange {
            category: self.disk_category,
            performance_level: self.performance_level,
            provisioned_iops: self.provisioned_iops,
        };
        let dry_run = self.dry_run == Some(true);
        let task = cx
            .control
            .modify_disk_spec(&scope(cx), &self.disk_id, &change, dry_run)
            .map_err(refused("ModifyDiskSpec"))?;
        Ok(ModifyDiskSpecReply { task_id: task.to_string(), order_id: "" })
    }
}

/// Moves a disk to where it is of another category or performance level.
#[derive(Debug, Params)]
pub struct ModifyDiskDeployment {
    /// Which.
    pub disk_id: DiskId,
    /// As of ModifyDiskSpec.
    pub disk_category: Option<String>,
    /// As of ModifyDiskSpec.
    pub performance_level: Option<String>,
    /// A dedicated block storage cluster, of which there is none.
    pub storage_cluster_id: Option<String>,
    /// Only checks.
    pub dry_run: Option<bool>,
}

/// A task, which has ended.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ModifyDiskDeploymentReply {
    task_id: String,
}

impl Operation for ModifyDiskDeployment {
    type Reply = ModifyDiskDeploymentReply;

    fn call(self, cx: &Context) -> Result<ModifyDiskDeploymentReply, ApiError> {
        let change = SpecChange {
            category: self.disk_category,
            performance_level: self.performance_level,
            provisioned_iops: None,
        };
        let (cluster, dry_run) = (self.storage_cluster_id.as_deref(), self.dry_run == Some(true));
        let task = cx
            .control
            .modify_disk_deployment(&scope(cx), &self.disk_id, cluster, &change, dry_run)
            .map_err(refused("ModifyDiskDeployment"))?;
        Ok(ModifyDiskDeploymentReply { task_id: task.to_string() })
    }
}
