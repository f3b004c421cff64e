//! Tasks: what was begun by a call that answered with a TaskId (api.md §3.6).

use crate::{AccountId, ImageFormat, RegionId, TaskGroupId, TaskId, Timestamp};

/// What a task does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskAction {
    /// `ModifyDiskSpec`
    ModifyDiskSpec,
    /// `ModifyDiskDeployment`
    ModifyDiskDeployment,
    /// `CloneDisks`
    CloneDisks,
    /// `ModifySnapshotCategory`
    ModifySnapshotCategory,
    /// `ExportSnapshot`
    ExportSnapshot,
    /// `ImportImage`
    ImportImage,
    /// `CopySnapshot`, where the copy is encrypted otherwise
    CopySnapshot,
    /// `CopyImage`, where the copy is encrypted otherwise
    CopyImage,
}

impl TaskAction {
    /// Every action.
    pub const ALL: [Self; 8] = [
        Self::ModifyDiskSpec,
        Self::ModifyDiskDeployment,
        Self::CloneDisks,
        Self::ModifySnapshotCategory,
        Self::ExportSnapshot,
        Self::ImportImage,
        Self::CopySnapshot,
        Self::CopyImage,
    ];

    /// The wire name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ModifyDiskSpec => "ModifyDiskSpec",
            Self::ModifyDiskDeployment => "ModifyDiskDeployment",
            Self::CloneDisks => "CloneDisks",
            Self::ModifySnapshotCategory => "ModifySnapshotCategory",
            Self::ExportSnapshot => "ExportSnapshot",
            Self::ImportImage => "ImportImage",
            Self::CopySnapshot => "CopySnapshot",
            Self::CopyImage => "CopyImage",
        }
    }

    /// The action of that wire name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }

    /// Whether it can be ended before its time. A clone cannot: what is made of a plain disk and
    /// encrypted goes on after its call as well.
    #[must_use]
    pub const fn is_cancelable(self) -> bool {
        match self {
            Self::ModifyDiskSpec | Self::ModifyDiskDeployment | Self::CloneDisks => false,
            Self::ModifySnapshotCategory
            | Self::ExportSnapshot
            | Self::ImportImage
            | Self::CopySnapshot
            | Self::CopyImage => true,
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
    /// To what: the id of a disk, a snapshot or an image.
    pub resource: String,
    /// Objects that it reads or writes.
    pub objects: Vec<TaskObject>,
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

/// An object that a task reads or writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskObject {
    /// Where it is.
    pub bucket: String,
    /// Its name there.
    pub object: String,
    /// What is in it.
    pub format: ImageFormat,
    /// The device of the disk that it becomes; empty where it becomes none.
    pub device: String,
    /// How large that is; as large as it must be where it is `None`.
    pub size_gib: Option<u32>,
}

impl Task {
    /// The same, over.
    #[must_use]
    pub fn ended(self, status: TaskStatus, now: Timestamp) -> Self {
        Self { status, percent: 100, finished_at: Some(now), ..self }
    }
}
