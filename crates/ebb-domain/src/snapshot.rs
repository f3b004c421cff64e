//! Snapshots and what may be done with them.

use crate::{
    Account, AccountId, Denied, Disk, DiskId, DiskKind, Field, Instance, InstanceStatus, RegionId,
    SnapshotId, Tag, Timestamp,
};

/// Manual snapshots that a disk can have (api.md §3.1).
const MANUAL_SNAPSHOTS_MAX: usize = 256;

/// What a snapshot is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotStatus {
    /// Not there yet.
    Progressing,
    /// There, and never changes again.
    Accomplished,
    /// It came to nothing.
    Failed,
    /// On its way out; shown to nobody.
    Deleting,
}

/// How a snapshot came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// CreateSnapshot.
    User,
    /// `ebb admin snapshot import`.
    Import,
}

/// Standard, Flash or Archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotCategory {
    /// The usual one.
    Standard,
    /// The former instant-access one, now like Standard.
    Flash,
    /// Kept elsewhere; a disk cannot be reset to it.
    Archive,
}

impl SnapshotCategory {
    /// The wire name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Standard => "Standard",
            Self::Flash => "Flash",
            Self::Archive => "Archive",
        }
    }

    /// The category of that name, in any case.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Standard, Self::Flash, Self::Archive]
            .into_iter()
            .find(|category| category.name().eq_ignore_ascii_case(name))
    }
}

/// A snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// `s-…`
    pub id: SnapshotId,
    /// Whose it is.
    pub account: AccountId,
    /// Where it is.
    pub region: RegionId,
    /// The disk it is of, which may be gone.
    pub source_disk: DiskId,
    /// The disk's size then.
    pub source_disk_gib: u32,
    /// The disk's kind.
    pub source_disk_kind: DiskKind,
    /// May be empty.
    pub name: String,
    /// May be empty.
    pub description: String,
    /// What it is doing.
    pub status: SnapshotStatus,
    /// How it came about.
    pub origin: Origin,
    /// Standard, Flash or Archive.
    pub category: SnapshotCategory,
    /// Days until it goes by itself; `None` where it stays.
    pub retention_days: Option<u32>,
    /// May be empty.
    pub resource_group: String,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// Its instant.
    pub created_at: Timestamp,
    /// The engine's id of it.
    pub version: u64,
}

/// Whether a snapshot of `disk` may be taken now. `instances` are those it is attached to, `None`
/// for one that is gone; `manual` counts the disk's manual snapshots.
///
/// # Errors
/// The first thing that forbids it.
pub fn check_create_snapshot(
    account: &Account,
    disk: &Disk,
    unfinished: bool,
    manual: usize,
    instances: &[Option<Instance>],
) -> Result<(), Denied> {
    account.check_snapshot_service()?;
    if !disk.category.has_snapshots() {
        return Err(Denied::CategoryUnsupported);
    }
    if unfinished {
        return Err(Denied::CreatingSnapshot);
    }
    if !disk.is_resting() {
        return Err(Denied::DiskStatus);
    }
    if disk.attached_at.is_none() {
        return Err(Denied::NeverAttached);
    }
    for instance in instances.iter().flatten() {
        if instance.security_lock {
            return Err(Denied::InstanceLocked);
        }
        if !matches!(instance.status, InstanceStatus::Running | InstanceStatus::Stopped) {
            return Err(Denied::InstanceStatus);
        }
    }
    if manual >= MANUAL_SNAPSHOTS_MAX { Err(Denied::SnapshotQuota) } else { Ok(()) }
}

/// Whether a snapshot may be deleted. `disks` counts the disks made from it, `held` says that a
/// reset to it is under way, or a disk being made from it.
///
/// # Errors
/// [`Denied::Conflict`], [`Denied::SnapshotHasDisks`].
pub fn check_delete_snapshot(
    snapshot: &Snapshot,
    disks: usize,
    held: bool,
    force: bool,
) -> Result<(), Denied> {
    let being_taken =
        snapshot.status == SnapshotStatus::Progressing && snapshot.origin == Origin::User;
    if held || being_taken {
        return Err(Denied::Conflict);
    }
    if disks > 0 && !force { Err(Denied::SnapshotHasDisks) } else { Ok(()) }
}

/// RetentionDays: 1 to 65,536.
///
/// # Errors
/// [`Denied::Malformed`] with [`Field::RetentionDays`].
pub fn retention_days(days: Option<i64>) -> Result<Option<u32>, Denied> {
    match days {
        None => Ok(None),
        Some(days) if (1..=65_536).contains(&days) => Ok(u32::try_from(days).ok()),
        Some(_) => Err(Denied::Malformed(Field::RetentionDays)),
    }
}
