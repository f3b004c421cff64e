//! ReInitDisk (api.md §3.3).

use ebb_api_derive::Params;
use ebb_domain::DiskId;

use super::common::{Done, scope};
use crate::refusals::refused;
use crate::{ApiError, Context, Operation, OperationDef};

/// The family.
pub const OPERATIONS: &[OperationDef] = &[OperationDef::of::<ReInitDisk>()];

/// Makes a disk again what it was made as: its snapshot, or empty. Its own snapshots stay.
#[derive(Debug, Params)]
pub struct ReInitDisk {
    /// Which; its instance is stopped.
    pub disk_id: DiskId,
    /// Whether to start the instance afterwards.
    pub auto_start_instance: Option<bool>,
    /// Of a system disk. Instances here have no users.
    pub password: Option<String>,
    /// Of a system disk. Instances here have no users.
    pub key_pair_name: Option<String>,
    /// Of a system disk. Nothing is hardened here.
    pub security_enhancement_strategy: Option<String>,
}

impl Operation for ReInitDisk {
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        cx.control
            .reinit_disk(&scope(cx), &self.disk_id, self.auto_start_instance == Some(true))
            .map_err(refused("ReInitDisk"))?;
        Ok(Done {})
    }
}
