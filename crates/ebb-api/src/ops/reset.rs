//! ResetDisk (api.md §2).

use ebb_api_derive::Params;
use ebb_domain::{DiskId, SnapshotId};

use super::common::{Done, scope};
use crate::refusals::refused;
use crate::{ApiError, Context, Operation, OperationDef};

/// The family.
pub const OPERATIONS: &[OperationDef] = &[OperationDef::of::<ResetDisk>()];

/// Puts a disk back to one of its snapshots, in place. All its snapshots stay, older and newer.
#[derive(Debug, Params)]
pub struct ResetDisk {
    /// Which; attached to nothing, or to instances that are Stopped.
    pub disk_id: DiskId,
    /// One of its snapshots.
    pub snapshot_id: SnapshotId,
    /// Only checks.
    pub dry_run: Option<bool>,
}

impl Operation for ResetDisk {
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        cx.control
            .reset_disk(&scope(cx), &self.disk_id, &self.snapshot_id, self.dry_run.unwrap_or(false))
            .map_err(refused("ResetDisk"))?;
        Ok(Done {})
    }
}
