//! Snapshots and what may be done with them.

use crate::{
    Account, AccountId, Denied, Disk, DiskId, DiskKind, Encryption, Field, Instance,
    InstanceStatus, RegionId, SnapshotGroupId, SnapshotId, SnapshotLock, Tag, Timestamp,
    description, snapshot_name,
};

/// Manual snapshots that a disk can have (api.md §3.1).
const MANUAL_SNAPSHOTS_MAX: usize = 256;

/// Days that a snapshot has to be old to go to the archive (api.md §3.4).
const ARCHIVED_AFTER_DAYS: i64 = 14;

const DAY_SECONDS: i64 = 24 * 60 * 60;

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
    /// An automatic snapshot policy.
    Auto,
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

/// What a snapshot is a copy of, which may be gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopySource {
    /// Which.
    pub snapshot: SnapshotId,
    /// Where it was.
    pub region: RegionId,
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
    /// When what it is called, or how long it is kept, was last changed.
    pub modified_at: Option<Timestamp>,
    /// What keeps it from being deleted, or did.
    pub lock: Option<SnapshotLock>,
    /// The group that it was taken with.
    pub group: Option<SnapshotGroupId>,
    /// What it is a copy of.
    pub copied_from: Option<CopySource>,
    /// What it is encrypted with.
    pub encryption: Option<Encryption>,
    /// The engine's id of it, of which the engine knows nothing any more once it is in the archive.
    pub version: u64,
    /// Bytes that it takes in the archive; `None` where it is in the pool.
    pub archived_bytes: Option<u64>,
}

impl Snapshot {
    /// How many bytes it reads as.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        u64::from(self.source_disk_gib) << 30
    }

    /// When its days are over, if they ever are.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        let end = |days: u32| self.created_at.plus_seconds(i64::from(days) * DAY_SECONDS);
        self.retention_days.map(end)
    }

    /// Whether its days are over.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at().is_some_and(|end| end <= now)
    }
}

/// ModifySnapshotAttribute: what is `None` stays (api.md §3.4).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SnapshotChange {
    /// SnapshotName
    pub name: Option<String>,
    /// Description
    pub description: Option<String>,
    /// RetentionDays
    pub retention_days: Option<i64>,
}

impl SnapshotChange {
    /// Changes a snapshot. It may be kept for longer than was said, counted from its creation, and
    /// for no less: who was told how long it stays may rely on that. For one that stays until it
    /// is deleted any number of days is less.
    ///
    /// # Errors
    /// [`Denied::Malformed`], [`Denied::SnapshotNotReady`], [`Denied::RetentionDecreased`]; then
    /// the snapshot is as it was.
    pub fn apply(&self, snapshot: &mut Snapshot, now: Timestamp) -> Result<(), Denied> {
        snapshot_name(self.name.as_deref().unwrap_or_default())?;
        description(self.description.as_deref().unwrap_or_default())?;
        let days = retention_days(self.retention_days)?;
        if snapshot.status != SnapshotStatus::Accomplished {
            return Err(Denied::SnapshotNotReady);
        }
        let is_less = |days: u32| snapshot.retention_days.is_none_or(|before| days < before);
        if days.is_some_and(is_less) {
            return Err(Denied::RetentionDecreased);
        }
        if let Some(name) = &self.name {
            snapshot.name.clone_from(name);
        }
        if let Some(text) = &self.description {
            snapshot.description.clone_from(text);
        }
        snapshot.retention_days = days.or(snapshot.retention_days);
        snapshot.modified_at = Some(now);
        Ok(())
    }
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
/// [`Denied::SnapshotLocked`], [`Denied::Conflict`], [`Denied::SnapshotHasDisks`].
pub fn check_delete_snapshot(
    snapshot: &Snapshot,
    disks: usize,
    held: bool,
    force: bool,
    now: Timestamp,
) -> Result<(), Denied> {
    if snapshot.is_locked(now) {
        return Err(Denied::SnapshotLocked);
    }
    let being_taken =
        snapshot.status == SnapshotStatus::Progressing && snapshot.origin != Origin::Import;
    if held || being_taken {
        return Err(Denied::Conflict);
    }
    if disks > 0 && !force { Err(Denied::SnapshotHasDisks) } else { Ok(()) }
}

/// Whether a snapshot may go to the archive. `images` says that images were made of it, `held` that
/// something is under way that needs it (api.md §3.4).
///
/// # Errors
/// The first thing that forbids it.
pub fn check_archive_snapshot(
    snapshot: &Snapshot,
    images: bool,
    held: bool,
    now: Timestamp,
) -> Result<(), Denied> {
    if snapshot.status != SnapshotStatus::Accomplished {
        return Err(Denied::SnapshotNotReady);
    }
    if snapshot.category == SnapshotCategory::Archive {
        return Err(Denied::SnapshotCategory);
    }
    if snapshot.encryption.is_some() {
        return Err(Denied::EncryptedStays);
    }
    if snapshot.created_at.plus_seconds(ARCHIVED_AFTER_DAYS * DAY_SECONDS) > now {
        return Err(Denied::SnapshotTooYoung);
    }
    if images {
        return Err(Denied::SnapshotHasImages);
    }
    if held { Err(Denied::Conflict) } else { Ok(()) }
}

/// Whether a snapshot may be copied to that region.
///
/// # Errors
/// The first thing that forbids it.
pub fn check_copy_snapshot(
    source: &Snapshot,
    region: &RegionId,
    encrypted: bool,
    with_key: bool,
) -> Result<(), Denied> {
    if with_key && !encrypted {
        return Err(Denied::KeyWithoutEncryption);
    }
    if source.region == *region && !encrypted {
        return Err(Denied::SameRegion);
    }
    if source.status != SnapshotStatus::Accomplished {
        return Err(Denied::SnapshotNotReady);
    }
    match source.category {
        SnapshotCategory::Archive => Err(Denied::SnapshotCategory),
        SnapshotCategory::Standard | SnapshotCategory::Flash => Ok(()),
    }
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

/// One that is kept for that many days.
#[cfg(test)]
pub(crate) fn sample(retention_days: Option<u32>) -> Snapshot {
    Snapshot {
        id: SnapshotId::new("s-1"),
        account: AccountId::new("1"),
        region: RegionId::new("cn-hangzhou"),
        source_disk: DiskId::new("d-1"),
        source_disk_gib: 20,
        source_disk_kind: DiskKind::Data,
        name: "before".into(),
        description: String::new(),
        status: SnapshotStatus::Accomplished,
        origin: Origin::User,
        category: SnapshotCategory::Standard,
        retention_days,
        resource_group: String::new(),
        tags: Vec::new(),
        created_at: Timestamp::from_unix_millis(0),
        modified_at: None,
        lock: None,
        group: None,
        copied_from: None,
        encryption: None,
        version: 1,
        archived_bytes: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(days: i64) -> SnapshotChange {
        SnapshotChange { retention_days: Some(days), ..SnapshotChange::default() }
    }

    #[test]
    fn a_snapshot_is_kept_for_longer_or_as_long_and_for_no_less() {
        let now = Timestamp::from_unix_millis(5);
        let change = |before, after| {
            let mut changed = sample(before);
            days(after).apply(&mut changed, now).map(|()| changed.retention_days)
        };
        assert_eq!(change(Some(3), 4), Ok(Some(4)));
        assert_eq!(change(Some(3), 3), Ok(Some(3)));
        assert_eq!(change(Some(3), 2), Err(Denied::RetentionDecreased));
        assert_eq!(change(None, 65_536), Err(Denied::RetentionDecreased));
        assert_eq!(change(Some(3), 65_537), Err(Denied::Malformed(Field::RetentionDays)));
    }

    #[test]
    fn what_is_refused_changes_nothing() {
        let now = Timestamp::from_unix_millis(5);
        let change = SnapshotChange { name: Some("after".into()), ..days(2) };
        let mut kept = sample(Some(3));
        assert_eq!(change.apply(&mut kept, now), Err(Denied::RetentionDecreased));
        assert_eq!(kept, sample(Some(3)));
        let mut failed = Snapshot { status: SnapshotStatus::Failed, ..sample(Some(3)) };
        assert_eq!(days(4).apply(&mut failed, now), Err(Denied::SnapshotNotReady));
    }

    #[test]
    fn a_day_has_24_hours() {
        let at = |seconds: i64| Timestamp::from_unix_millis(0).plus_seconds(seconds);
        assert!(!sample(Some(2)).is_expired(at(2 * 86_400 - 1)));
        assert!(sample(Some(2)).is_expired(at(2 * 86_400)));
        assert!(!sample(None).is_expired(at(i64::MAX / 1000)));
    }
}
