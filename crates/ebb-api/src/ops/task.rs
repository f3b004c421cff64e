//! DescribeTasks, DescribeTaskAttribute, CancelTask (api.md §3.6).

use std::iter;

use ebb_api_derive::Params;
use ebb_control::TaskQuery;
use ebb_domain::{Denied, RegionId, Task, TaskAction, TaskGroupId, TaskId, TaskStatus, Timestamp};
use serde::Serialize;

use super::common::{Done, PageNumber, PageSize, Paged};
use super::progress::{Progress, ProgressSet};
use crate::refusals::{deny, refused};
use crate::time::{minutes, parse_either};
use crate::{ApiError, Context, Operation, OperationDef, Repeat, Scalar};

/// The family.
pub const OPERATIONS: &[OperationDef] = &[
    OperationDef::of::<DescribeTasks>(),
    OperationDef::of::<DescribeTaskAttribute>(),
    OperationDef::of::<CancelTask>(),
];

/// These operations have words of their own for it.
fn missing(key: &str) -> ApiError {
    let message = format!(
        "An input parameter \"{key}\" that is mandatory for processing the request is not supplied."
    );
    ApiError::new(400, "MissingParameter", message)
}

/// TaskIds: parted by commas.
#[derive(Debug)]
pub struct TaskIds(Vec<TaskId>);

impl Scalar for TaskIds {
    fn parse(raw: &str, _key: &str) -> Result<Self, ApiError> {
        Ok(Self(raw.split(',').map(|id| TaskId::new(id.trim())).collect()))
    }
}

/// `2026-02-23T12:46Z`
#[derive(Debug)]
pub struct Time(Timestamp);

impl Scalar for Time {
    fn parse(raw: &str, key: &str) -> Result<Self, ApiError> {
        let expected = "a time like 2026-02-23T12:46Z";
        parse_either(raw).map(Self).ok_or_else(|| ApiError::invalid(key, expected))
    }
}

/// Lists tasks, newest first, for 30 days after their end.
#[derive(Debug, Params)]
pub struct DescribeTasks {
    /// Where.
    #[param(missing = missing)]
    pub region_id: RegionId,
    /// Which, parted by commas; unknown ids are simply absent.
    pub task_ids: Option<TaskIds>,
    /// Those that one call began.
    pub task_group_id: Option<TaskGroupId>,
    /// `ImportImage`, `ExportSnapshot`, `ModifySnapshotCategory`, `CloneDisks`, `ModifyDiskSpec`.
    pub task_action: Option<String>,
    /// `Processing`, `Finished` or `Failed`; anything else means any.
    pub task_status: Option<String>,
    /// Begun then or later.
    pub start_time: Option<Time>,
    /// Begun then or earlier.
    pub end_time: Option<Time>,
    /// Of those.
    pub resource_ids: Repeat<String>,
    /// From 1.
    pub page_number: Option<PageNumber>,
    /// 1 to 100.
    pub page_size: Option<PageSize>,
}

/// A page of tasks.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeTasksReply {
    region_id: String,
    total_count: u64,
    page_number: u32,
    page_size: u32,
    task_set: TaskSet,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct TaskSet {
    task: Vec<TaskItem>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct TaskItem {
    task_id: String,
    task_action: &'static str,
    task_status: &'static str,
    resource_id: String,
    creation_time: String,
    finished_time: String,
    support_cancel: &'static str,
}

impl Operation for DescribeTasks {
    type Reply = DescribeTasksReply;

    fn call(self, cx: &Context) -> Result<DescribeTasksReply, ApiError> {
        cx.control.region(&self.region_id).map_err(|denied| deny("DescribeTasks", &denied))?;
        let paged = Paged::by_number(self.page_number, self.page_size);
        let query = TaskQuery {
            account: cx.account.clone(),
            region: self.region_id.clone(),
            ids: self.task_ids.map(|ids| ids.0),
            group: self.task_group_id,
            action: self.task_action,
            status: self.task_status.as_deref().and_then(TaskStatus::parse),
            resources: Some(self.resource_ids.0).filter(|ids| !ids.is_empty()),
            created_from: self.start_time.map(|time| time.0),
            created_to: self.end_time.map(|time| time.0),
            page: paged.request,
        };
        let page = cx.control.tasks(&query).map_err(refused("DescribeTasks"))?;
        Ok(DescribeTasksReply {
            region_id: self.region_id.to_string(),
            total_count: page.total,
            page_number: paged.number,
            page_size: paged.size,
            task_set: TaskSet { task: page.items.into_iter().map(TaskItem::from).collect() },
        })
    }
}

impl From<Task> for TaskItem {
    fn from(task: Task) -> Self {
        Self {
            task_id: task.id.to_string(),
            task_action: task.action.name(),
            task_status: task.status.name(),
            creation_time: minutes(task.created_at),
            finished_time: task.finished_at.map(minutes).unwrap_or_default(),
            support_cancel: can_be_cancelled(&task),
            resource_id: task.resource,
        }
    }
}

/// SupportCancel is a string.
const fn can_be_cancelled(task: &Task) -> &'static str {
    if task.action.is_cancelable() { "true" } else { "false" }
}

/// One task, and what became of each part of it.
#[derive(Debug, Params)]
pub struct DescribeTaskAttribute {
    /// Where.
    #[param(missing = missing)]
    pub region_id: RegionId,
    /// Which.
    #[param(missing = missing)]
    pub task_id: TaskId,
}

/// A task. Each has one part.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeTaskAttributeReply {
    region_id: String,
    task_id: String,
    task_action: &'static str,
    task_status: &'static str,
    task_process: String,
    support_cancel: &'static str,
    creation_time: String,
    finished_time: String,
    total_count: u32,
    success_count: u32,
    failed_count: u32,
    operation_progress_set: ProgressSet,
}

impl Operation for DescribeTaskAttribute {
    type Reply = DescribeTaskAttributeReply;

    fn call(self, cx: &Context) -> Result<DescribeTaskAttributeReply, ApiError> {
        let refuse = |denied: Denied| deny("DescribeTaskAttribute", &denied);
        cx.control.region(&self.region_id).map_err(refuse)?;
        let task = cx
            .control
            .task(&cx.account, &self.region_id, &self.task_id)
            .map_err(refused("DescribeTaskAttribute"))?;
        let status = match task.status {
            TaskStatus::Processing => "Processing",
            TaskStatus::Finished => "Success",
            TaskStatus::Failed => "Failed",
        };
        let is = |wanted: TaskStatus| u32::from(task.status == wanted);
        let mut part = Progress::new(status, [(resource_name(&task), task.resource.clone())]);
        if task.status == TaskStatus::Failed {
            part = part.because(format!("{}Failed", task.action.name()), task.error.clone());
        }
        Ok(DescribeTaskAttributeReply {
            region_id: task.region.to_string(),
            task_id: task.id.to_string(),
            task_action: task.action.name(),
            task_status: task.status.name(),
            task_process: format!("{}%", task.percent),
            support_cancel: can_be_cancelled(&task),
            creation_time: minutes(task.created_at),
            finished_time: task.finished_at.map(minutes).unwrap_or_default(),
            total_count: 1,
            success_count: is(TaskStatus::Finished),
            failed_count: is(TaskStatus::Failed),
            operation_progress_set: iter::once(part).collect(),
        })
    }
}

/// What kind of thing a task is about.
const fn resource_name(task: &Task) -> &'static str {
    match task.action {
        TaskAction::ModifyDiskSpec | TaskAction::ModifyDiskDeployment | TaskAction::CloneDisks => {
            "DiskId"
        }
        TaskAction::ModifySnapshotCategory
        | TaskAction::ExportSnapshot
        | TaskAction::CopySnapshot => "SnapshotId",
        TaskAction::ImportImage | TaskAction::CopyImage => "ImageId",
    }
}

/// Ends a task that goes on after its call: it is Failed, and what it had begun goes.
#[derive(Debug, Params)]
pub struct CancelTask {
    /// Where.
    #[param(missing = missing)]
    pub region_id: RegionId,
    /// Which.
    #[param(missing = missing)]
    pub task_id: TaskId,
}

impl Operation for CancelTask {
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        cx.control.region(&self.region_id).map_err(|denied| deny("CancelTask", &denied))?;
        cx.control
            .cancel_task(&cx.account, &self.region_id, &self.task_id)
            .map_err(refused("CancelTask"))?;
        Ok(Done {})
    }
}
