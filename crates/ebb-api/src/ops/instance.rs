//! Instances: start, stop, reboot, delete (api.md §3.7).

use ebb_api_derive::Params;
use ebb_control::{BatchOutcome, DeleteInstance as Delete, Stop};
use ebb_domain::{Denied, InstanceId, InstanceStatus, RegionId};
use serde::Serialize;

use super::common::{Done, scope};
use super::instance_list::{DescribeInstanceStatus, DescribeInstances};
use super::run::RunInstances;
use crate::refusals::{deny, refused};
use crate::{ApiError, Context, Operation, OperationDef, Repeat};

/// The family.
pub const OPERATIONS: &[OperationDef] = &[
    OperationDef::of::<RunInstances>(),
    OperationDef::of::<DescribeInstances>(),
    OperationDef::of::<DescribeInstanceStatus>(),
    OperationDef::of::<StartInstance>(),
    OperationDef::of::<StartInstances>(),
    OperationDef::of::<StopInstance>(),
    OperationDef::of::<StopInstances>(),
    OperationDef::of::<RebootInstance>(),
    OperationDef::of::<RebootInstances>(),
    OperationDef::of::<DeleteInstance>(),
    OperationDef::of::<DeleteInstances>(),
];

/// Instances that one request may name.
const INSTANCES_MAX: usize = 100;

/// Starts an instance that is Stopped.
#[derive(Debug, Params)]
pub struct StartInstance {
    /// Which.
    pub instance_id: InstanceId,
    /// Only checks.
    pub dry_run: Option<bool>,
}

impl Operation for StartInstance {
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        cx.control
            .start_instances(&scope(cx), &[self.instance_id], true, self.dry_run == Some(true))
            .map_err(refused("StartInstance"))?;
        Ok(Done {})
    }
}

/// Stops an instance that is Running: its disks' connections are ended.
#[derive(Debug, Params)]
pub struct StopInstance {
    /// Which.
    pub instance_id: InstanceId,
    /// A stop is as good as a forced one: what was answered is safe.
    pub force_stop: Option<bool>,
    /// KeepCharging or StopCharging.
    pub stopped_mode: Option<String>,
    /// Only checks.
    pub dry_run: Option<bool>,
}

impl Operation for StopInstance {
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        let stop = Stop { mode: self.stopped_mode };
        cx.control
            .stop_instances(
                &scope(cx),
                &[self.instance_id],
                &stop,
                true,
                self.dry_run == Some(true),
            )
            .map_err(refused("StopInstance"))?;
        Ok(Done {})
    }
}

/// Stops an instance and starts it again.
#[derive(Debug, Params)]
pub struct RebootInstance {
    /// Which.
    pub instance_id: InstanceId,
    /// A stop is as good as a forced one.
    pub force_stop: Option<bool>,
    /// Only checks.
    pub dry_run: Option<bool>,
}

impl Operation for RebootInstance {
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        cx.control
            .reboot_instances(&scope(cx), &[self.instance_id], true, self.dry_run == Some(true))
            .map_err(refused("RebootInstance"))?;
        Ok(Done {})
    }
}

/// Stops several instances and starts them again.
#[derive(Debug, Params)]
pub struct RebootInstances {
    /// Where.
    pub region_id: RegionId,
    /// Which, up to 100.
    #[param(required)]
    pub instance_id: Repeat<InstanceId>,
    /// A stop is as good as a forced one.
    pub force_reboot: Option<bool>,
    /// AllTogether, or SuccessFirst: each for itself.
    pub batch_optimization: Option<String>,
    /// Only checks.
    pub dry_run: Option<bool>,
}

impl Operation for RebootInstances {
    type Reply = BatchReply;

    fn call(self, cx: &Context) -> Result<BatchReply, ApiError> {
        let ids = check_count("RebootInstances", self.instance_id.0)?;
        let together = all_together(self.batch_optimization.as_deref())?;
        let outcomes = cx
            .control
            .reboot_instances(&scope(cx), &ids, together, self.dry_run == Some(true))
            .map_err(refused("RebootInstances"))?;
        Ok(BatchReply::new("RebootInstances", outcomes))
    }
}

/// Starts several instances.
#[derive(Debug, Params)]
pub struct StartInstances {
    /// Where.
    pub region_id: RegionId,
    /// Which, up to 100.
    #[param(required)]
    pub instance_id: Repeat<InstanceId>,
    /// AllTogether, or SuccessFirst: each for itself.
    pub batch_optimization: Option<String>,
    /// Only checks.
    pub dry_run: Option<bool>,
}

impl Operation for StartInstances {
    type Reply = BatchReply;

    fn call(self, cx: &Context) -> Result<BatchReply, ApiError> {
        let ids = check_count("StartInstances", self.instance_id.0)?;
        let together = all_together(self.batch_optimization.as_deref())?;
        let outcomes = cx
            .control
            .start_instances(&scope(cx), &ids, together, self.dry_run == Some(true))
            .map_err(refused("StartInstances"))?;
        Ok(BatchReply::new("StartInstances", outcomes))
    }
}

/// Stops several instances.
#[derive(Debug, Params)]
pub struct StopInstances {
    /// Where.
    pub region_id: RegionId,
    /// Which, up to 100.
    #[param(required)]
    pub instance_id: Repeat<InstanceId>,
    /// A stop is as good as a forced one.
    pub force_stop: Option<bool>,
    /// KeepCharging or StopCharging.
    pub stopped_mode: Option<String>,
    /// AllTogether, or SuccessFirst: each for itself.
    pub batch_optimization: Option<String>,
    /// Only checks.
    pub dry_run: Option<bool>,
}

impl Operation for StopInstances {
    type Reply = BatchReply;

    fn call(self, cx: &Context) -> Result<BatchReply, ApiError> {
        let ids = check_count("StopInstances", self.instance_id.0)?;
        let together = all_together(self.batch_optimization.as_deref())?;
        let stop = Stop { mode: self.stopped_mode };
        let outcomes = cx
            .control
            .stop_instances(&scope(cx), &ids, &stop, together, self.dry_run == Some(true))
            .map_err(refused("StopInstances"))?;
        Ok(BatchReply::new("StopInstances", outcomes))
    }
}

/// Deletes an instance. Disks that go with it are deleted, the others detached.
#[derive(Debug, Params)]
pub struct DeleteInstance {
    /// Which.
    pub instance_id: InstanceId,
    /// A running one too.
    pub force: Option<bool>,
    /// Only checks.
    pub dry_run: Option<bool>,
}

impl Operation for DeleteInstance {
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        let delete = delete(self.force, self.dry_run);
        cx.control
            .delete_instances(&scope(cx), &[self.instance_id], delete)
            .map_err(refused("DeleteInstance"))?;
        Ok(Done {})
    }
}

/// Deletes several instances, all or none.
#[derive(Debug, Params)]
pub struct DeleteInstances {
    /// Where.
    pub region_id: RegionId,
    /// Which, up to 100.
    #[param(required)]
    pub instance_id: Repeat<InstanceId>,
    /// Running ones too.
    pub force: Option<bool>,
    /// Only checks.
    pub dry_run: Option<bool>,
}

impl Operation for DeleteInstances {
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        let ids = check_count("DeleteInstances", self.instance_id.0)?;
        let delete = delete(self.force, self.dry_run);
        cx.control
            .delete_instances(&scope(cx), &ids, delete)
            .map_err(refused("DeleteInstances"))?;
        Ok(Done {})
    }
}

fn delete(force: Option<bool>, dry_run: Option<bool>) -> Delete {
    Delete { force: force == Some(true), dry_run: dry_run == Some(true) }
}

/// An instance named twice is meant once.
fn check_count(
    operation: &'static str,
    mut ids: Vec<InstanceId>,
) -> Result<Vec<InstanceId>, ApiError> {
    if ids.len() > INSTANCES_MAX {
        return Err(deny(operation, &Denied::TooManyIds));
    }
    ids.sort();
    ids.dedup();
    Ok(ids)
}

fn all_together(batch_optimization: Option<&str>) -> Result<bool, ApiError> {
    match batch_optimization {
        None | Some("AllTogether") => Ok(true),
        Some("SuccessFirst") => Ok(false),
        Some(_) => Err(ApiError::invalid("BatchOptimization", "AllTogether or SuccessFirst")),
    }
}

/// What became of each instance.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct BatchReply {
    instance_responses: InstanceResponses,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct InstanceResponses {
    instance_response: Vec<InstanceResponse>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct InstanceResponse {
    instance_id: String,
    code: String,
    message: String,
    previous_status: &'static str,
    current_status: &'static str,
}

impl BatchReply {
    fn new(operation: &'static str, outcomes: Vec<BatchOutcome>) -> Self {
        let response = |outcome: BatchOutcome| {
            let instance_id = outcome.id.to_string();
            match outcome.result {
                Ok((previous, current)) => InstanceResponse {
                    instance_id,
                    code: "200".to_owned(),
                    message: "success".to_owned(),
                    previous_status: status_name(previous),
                    current_status: status_name(current),
                },
                Err(denied) => {
                    let error = deny(operation, &denied);
                    InstanceResponse {
                        instance_id,
                        code: error.code.into_owned(),
                        message: error.message.into_owned(),
                        previous_status: "",
                        current_status: "",
                    }
                }
            }
        };
        let instance_response = outcomes.into_iter().map(response).collect();
        Self { instance_responses: InstanceResponses { instance_response } }
    }
}

/// The wire name. A reboot shows as the stop it begins with.
pub(crate) fn status_name(status: InstanceStatus) -> &'static str {
    match status {
        InstanceStatus::Creating | InstanceStatus::Pending => "Pending",
        InstanceStatus::Starting => "Starting",
        InstanceStatus::Running => "Running",
        InstanceStatus::Stopping | InstanceStatus::Rebooting => "Stopping",
        InstanceStatus::Stopped => "Stopped",
    }
}
