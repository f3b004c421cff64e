//! Tasks: what was begun by a call that answered with a TaskId (api.md §3.6).

use crate::{AccountId, RegionId, TaskId, Timestamp};

/// What a task does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskAction {
    /// `ModifyDiskSpec`
    ModifyDiskSpec,
}

impl TaskAction {
    /// The wire name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ModifyDiskSpec => "ModifyDiskSpec",
        }
    }

    /// The action of that wire name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::ModifyDiskSpec].into_iter().find(|action| action.name() == name)
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
    /// When it began.
    pub created_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}
