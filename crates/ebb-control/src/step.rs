//! The windows in which a crash would hurt, by name.
//!
//! Each use case passes its steps by name, in order. A test gives a probe that panics at one of
//! them, starts a new [`Control`](crate::Control) on what is left, and looks.

/// A moment between two effects of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// CreateDisk: the row says Creating, the volume is not there.
    DiskIntended,
    /// CreateDisk: the volume is there, the row says Creating. CloneDisks, of a plain disk and
    /// encrypted: the fork is there; then what it was written to.
    VolumeMade,
    /// AttachDisk: the row says Attaching, nothing answers yet.
    AttachIntended,
    /// AttachDisk: the export answers, the row says Attaching.
    AttachPublished,
    /// DetachDisk: the row says Detaching.
    DetachIntended,
    /// DetachDisk: the export is gone, the row says Detaching.
    DetachWithdrawn,
    /// DeleteDisk: the row says Deleting, the volume is there.
    DeleteIntended,
    /// DeleteDisk: the volume is gone, the row says Deleting.
    VolumeDeleted,
    /// CreateSnapshot: the row says progressing, the version is not there.
    SnapshotIntended,
    /// CreateSnapshot: the version is there, the row says progressing. Copies that are encrypted:
    /// the versions are there, the task is under way.
    VersionMade,
    /// DeleteSnapshot: the row says deleting, the version is there.
    SnapshotDeleteIntended,
    /// DeleteSnapshot: the version is gone, the row says deleting.
    VersionDeleted,
    /// ResetDisk: the row says ReIniting, the volume is as it was.
    ResetIntended,
    /// ResetDisk: the volume is reset, the row says ReIniting.
    VolumeReset,
    /// ResizeDisk: the row says how large, the volume is as large as it was.
    ResizeIntended,
    /// RunInstances: the rows are there, the volumes are not.
    RunIntended,
    /// RunInstances: rows and volumes are there, the instance is Pending.
    RunVolumesMade,
    /// An instance has passed from one status to the next.
    InstancePassed,
    /// DeleteInstance: the instance is gone, its disks are on their way.
    InstanceRemoved,
    /// Snapshot import: the row says progressing, the version is there. ImportImage: the task is
    /// under way, the versions are there.
    ImportVersionMade,
    /// ModifySnapshotCategory: the objects are there, the row says Standard.
    ObjectsWritten,
    /// ModifySnapshotCategory: the row says Archive, the version is there.
    SnapshotArchived,
}

impl Step {
    /// Every step, for tests that try each.
    pub const ALL: [Self; 22] = [
        Self::DiskIntended,
        Self::VolumeMade,
        Self::AttachIntended,
        Self::AttachPublished,
        Self::DetachIntended,
        Self::DetachWithdrawn,
        Self::DeleteIntended,
        Self::VolumeDeleted,
        Self::SnapshotIntended,
        Self::VersionMade,
        Self::SnapshotDeleteIntended,
        Self::VersionDeleted,
        Self::ResetIntended,
        Self::VolumeReset,
        Self::ResizeIntended,
        Self::RunIntended,
        Self::RunVolumesMade,
        Self::InstancePassed,
        Self::InstanceRemoved,
        Self::ImportVersionMade,
        Self::ObjectsWritten,
        Self::SnapshotArchived,
    ];
}
