//! Tasks: what was begun by a call that answered with a TaskId (api.md §3.6).

use crate::{AccountId, RegionId, TaskGroupId, TaskId, Timestamp};

/// What a task does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskAction {
    /// `ModifyDiskSpec`
    ModifyDiskSpec,
    /// `ModifyDiskDeployment`
    ModifyDiskDeployment,
    /// `CloneDisks`
    CloneDisks,
}

impl TaskAction {
    /// Every action.
    pub const ALL: [Self; 3] = [Self::ModifyDiskSpec, Self::ModifyDiskDeployment, Self::CloneDisks];

    /// The wire name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ModifyDiskSpec => "ModifyDiskSpec",
            Self::ModifyDiskDeployment => "ModifyDiskDeployment",
            Self::CloneDisks => "CloneDisks",
        }
    }

    /// The action of that wire name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }

    /// Whether it can be ended before its time. What is over within its call cannot.
    #[must_use]
    pub const fn can_be_cancelled(self) -> bool {
        match self {
            Self::ModifyDiskSpec | Self::ModifyDiskDeployment | Self::CloneDisks => false,
        }
    }
}

/// How far a task has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskStatus {
    /// It is under way.
    Processing,
    /// It came to its end.
    Finished,
    /// It came to nothing.
    Failed,
}

impl TaskStatus {
    /// The wire name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Processing => "Processing",
            Self::Finished => "Finished",
            Self::Failed => "Failed",
        }
    }

    /// The status of that wire name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Processing, Self::Finished, Self::Failed]
            .into_iter()
            .find(|status| status.name() == name)
    }
}

/// A task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// `t-…`
    pub id: TaskId,
    /// The group of those that one call began.
    pub group: Option<TaskGroupId>,
    /// Whose it is.
    pub account: AccountId,
    /// Where it is.
    pub region: RegionId,
    /// What it does.
    pub action: TaskAction,
    /// To what: the id of a disk.
    pub resource: String,
    /// How far it has come.
    pub status: TaskStatus,
    /// Hundredths of it that are done.
    pub percent: u8,
    /// Why it failed; empty where it did not.
    pub error: String,
    /// When it began.
    pub created_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

impl Task {
    /// The same, over.
    #[must_use]
    pub fn ended(self, status: TaskStatus, now: Timestamp) -> Self {
        Self { status, percent: 100, finished_at: Some(now), ..self }
    }
}
