//! Disks and their states.

use crate::{
    AccountId, AutoSnapshotPolicyId, Category, Denied, DiskId, Encryption, ImageId, InstanceId,
    Performance, PerformanceLevel, RegionId, SnapshotId, Tag, Timestamp, ZoneId, check_tags,
    description, disk_name,
};

/// What a disk is doing (api.md §3.1). The states that end in -ing are intents: a server that finds
/// one on start carries it to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiskStatus {
    /// Its volume is being made.
    Creating,
    /// Attached to nothing.
    Available,
    /// On its way to an instance.
    Attaching,
    /// Attached.
    InUse,
    /// On its way off an instance.
    Detaching,
    /// Being reset to this snapshot; afterwards it is what it was.
    Resetting(SnapshotId),
    /// Being made empty again; afterwards it is what it was.
    Emptying,
    /// On its way out.
    Deleting,
}

/// System disk or data disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskKind {
    /// The disk an instance boots from.
    System,
    /// Any other.
    Data,
}

/// Where a disk is attached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// The instance; it may be gone (`ebb admin instance forget`).
    pub instance: InstanceId,
    /// `/dev/xvdb`
    pub device: String,
    /// Since when.
    pub at: Timestamp,
}

/// A disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// `d-…`
    pub id: DiskId,
    /// Whose it is.
    pub account: AccountId,
    /// Where it is.
    pub region: RegionId,
    /// Where it is.
    pub zone: ZoneId,
    /// System or data.
    pub kind: DiskKind,
    /// Its category.
    pub category: Category,
    /// Of a `cloud_essd` only.
    pub performance_level: Option<PerformanceLevel>,
    /// Its size.
    pub size_gib: u32,
    /// May be empty.
    pub name: String,
    /// May be empty.
    pub description: String,
    /// What it is doing.
    pub status: DiskStatus,
    /// Whether it goes when its instance is deleted.
    pub delete_with_instance: bool,
    /// Whether its automatic snapshots go with it.
    pub delete_auto_snapshot: bool,
    /// Whether an automatic snapshot policy acts on it.
    pub enable_auto_snapshot: bool,
    /// The automatic snapshot policy that it has.
    pub auto_snapshot_policy: Option<AutoSnapshotPolicyId>,
    /// Whether several instances may have it.
    pub multi_attach: bool,
    /// Of `cloud_auto` only.
    pub provisioned_iops: Option<i64>,
    /// Of `cloud_auto` only.
    pub bursting: bool,
    /// What it was made from, if from a snapshot.
    pub source_snapshot: Option<SnapshotId>,
    /// The disk it was cloned from, which may be gone.
    pub cloned_from: Option<DiskId>,
    /// What it was made from, if from an image.
    pub image: Option<ImageId>,
    /// May be empty.
    pub resource_group: String,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last attached; `None` where it never was.
    pub attached_at: Option<Timestamp>,
    /// When it was last detached.
    pub detached_at: Option<Timestamp>,
    /// Where it is attached now: at most one place unless `multi_attach`.
    pub attachments: Vec<Attachment>,
    /// What it is encrypted with.
    pub encryption: Option<Encryption>,
    /// The engine's id of its volume.
    pub volume: u64,
}

impl Disk {
    /// What it does at most. `None`: it has no ceiling of its own.
    #[must_use]
    pub fn performance(&self) -> Option<Performance> {
        let provisioned = u32::try_from(self.provisioned_iops.unwrap_or(0)).unwrap_or(u32::MAX);
        Performance::of(self.category, self.performance_level, self.size_gib, provisioned)
    }

    /// The status of a disk with nothing under way: attached or not.
    #[must_use]
    pub fn resting_status(&self) -> DiskStatus {
        if self.attachments.is_empty() { DiskStatus::Available } else { DiskStatus::InUse }
    }

    /// Whether nothing is under way.
    #[must_use]
    pub fn is_resting(&self) -> bool {
        matches!(self.status, DiskStatus::Available | DiskStatus::InUse)
    }

    /// Its size in bytes.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        u64::from(self.size_gib) << 30
    }

    /// Whether it can be detached and attached elsewhere.
    #[must_use]
    pub fn is_portable(&self) -> bool {
        !self.category.is_local()
    }
}

/// What a new disk is to be like, before anything is decided.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewDisk {
    /// DiskName
    pub name: String,
    /// Description
    pub description: String,
    /// DiskCategory; `cloud` where none is given.
    pub category: Option<String>,
    /// PerformanceLevel
    pub performance_level: Option<String>,
    /// Size in GiB
    pub size_gib: Option<i64>,
    /// MultiAttach
    pub multi_attach: Option<String>,
    /// ProvisionedIops
    pub provisioned_iops: Option<i64>,
    /// BurstingEnabled
    pub bursting: Option<bool>,
    /// Encrypted
    pub encrypted: Option<bool>,
    /// KMSKeyId
    pub key: Option<String>,
    /// ResourceGroupId
    pub resource_group: String,
    /// Tag.N
    pub tags: Vec<Tag>,
}

impl NewDisk {
    /// Checks what can be checked without knowing anything else.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<SizeRequest, Denied> {
        disk_name(&self.name)?;
        description(&self.description)?;
        check_tags(&self.tags)?;
        let category = match &self.category {
            None => Category::Cloud,
            Some(name) => Category::parse(name).ok_or(Denied::CategoryUnknown)?,
        };
        let level = match &self.performance_level {
            None => None,
            Some(name) => {
                Some(PerformanceLevel::parse(name).ok_or(Denied::PerformanceLevelUnknown)?)
            }
        };
        let multi_attach = self.check_multi_attach(category)?;
        if self.provisioned_iops.is_some() && !category.allows_provisioned_iops() {
            return Err(Denied::ProvisionedIopsUnsupported);
        }
        if self.bursting == Some(true) && !category.allows_provisioned_iops() {
            return Err(Denied::BurstingUnsupported);
        }
        if self.key.is_some() && self.encrypted != Some(true) {
            return Err(Denied::KeyWithoutEncryption);
        }
        Ok(SizeRequest { category, level, size_gib: self.size_gib, multi_attach })
    }

    /// Whether the disk is to be encrypted, for an account that encrypts by default or not.
    ///
    /// # Errors
    /// [`Denied::EncryptedByDefault`] where it must be, and asks not to.
    pub fn is_to_be_encrypted(&self, by_default: bool) -> Result<bool, Denied> {
        match (self.encrypted, by_default) {
            (Some(false), true) => Err(Denied::EncryptedByDefault),
            (wanted, by_default) => Ok(wanted.unwrap_or(by_default)),
        }
    }

    fn check_multi_attach(&self, category: Category) -> Result<bool, Denied> {
        match self.multi_attach.as_deref() {
            None | Some("Disabled" | "") => Ok(false),
            Some("Enabled") if category.allows_multi_attach() => Ok(true),
            Some("Enabled") => Err(Denied::MultiAttachUnsupported),
            Some(_) => Err(Denied::Malformed(crate::Field::MultiAttach)),
        }
    }
}

/// What decides a new disk's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizeRequest {
    /// Its category.
    pub category: Category,
    /// The performance level asked for.
    pub level: Option<PerformanceLevel>,
    /// The size asked for.
    pub size_gib: Option<i64>,
    /// Whether several instances may have it.
    pub multi_attach: bool,
}

/// A new disk's size and performance level; `at_least_gib` is that of the snapshot or image it
/// comes from, and wins over a smaller one (api.md §3.1).
///
/// # Errors
/// [`Denied::SizeOrSnapshotMissing`], [`Denied::SizeUnknown`], [`Denied::SizeNotOffered`],
/// [`Denied::PerformanceLevelAndSize`].
pub fn disk_size(
    request: SizeRequest,
    at_least_gib: Option<u32>,
) -> Result<(u32, Option<PerformanceLevel>), Denied> {
    let asked = match request.size_gib {
        Some(size) if !(1..=131_072).contains(&size) => return Err(Denied::SizeUnknown),
        Some(size) => u32::try_from(size).map_err(|_| Denied::SizeUnknown)?,
        None => at_least_gib.ok_or(Denied::SizeOrSnapshotMissing)?,
    };
    let size = asked.max(at_least_gib.unwrap_or(0));
    if !request.category.sizes_gib().contains(&size) {
        return Err(Denied::SizeNotOffered);
    }
    let level = (request.category == Category::CloudEssd)
        .then(|| request.level.unwrap_or(PerformanceLevel::Pl1));
    if level.is_some_and(|level| size < level.smallest_gib()) {
        return Err(Denied::PerformanceLevelAndSize);
    }
    Ok((size, level))
}

/// One that is attached.
#[cfg(test)]
pub(crate) fn sample() -> Disk {
    Disk {
        id: DiskId::new("d-1"),
        account: AccountId::new("1"),
        region: RegionId::new("cn-hangzhou"),
        zone: ZoneId::new("cn-hangzhou-a"),
        kind: DiskKind::Data,
        category: Category::CloudEssd,
        performance_level: None,
        size_gib: 20,
        name: String::new(),
        description: String::new(),
        status: DiskStatus::InUse,
        delete_with_instance: false,
        delete_auto_snapshot: true,
        enable_auto_snapshot: true,
        auto_snapshot_policy: None,
        multi_attach: false,
        provisioned_iops: None,
        bursting: false,
        source_snapshot: None,
        cloned_from: None,
        image: None,
        resource_group: String::new(),
        tags: Vec::new(),
        created_at: Timestamp::from_unix_millis(0),
        attached_at: Some(Timestamp::from_unix_millis(0)),
        detached_at: None,
        attachments: vec![Attachment {
            instance: InstanceId::new("i-1"),
            device: "/dev/xvdb".into(),
            at: Timestamp::from_unix_millis(0),
        }],
        encryption: None,
        volume: 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(
        category: Category,
        level: Option<PerformanceLevel>,
        asked: Option<i64>,
        source: Option<u32>,
    ) -> Result<u32, Denied> {
        let request = SizeRequest { category, level, size_gib: asked, multi_attach: false };
        disk_size(request, source).map(|(size, _)| size)
    }

    #[test]
    fn sizes_follow_the_category() {
        assert_eq!(size(Category::Cloud, None, Some(5), None), Ok(5));
        assert_eq!(size(Category::Cloud, None, Some(4), None), Err(Denied::SizeNotOffered));
        assert_eq!(size(Category::Cloud, None, Some(0), None), Err(Denied::SizeUnknown));
        assert_eq!(size(Category::Cloud, None, Some(131_073), None), Err(Denied::SizeUnknown));
        assert_eq!(size(Category::Cloud, None, None, None), Err(Denied::SizeOrSnapshotMissing));
    }

    #[test]
    fn a_small_essd_needs_the_lowest_level() {
        let essd = Category::CloudEssd;
        assert_eq!(size(essd, None, Some(19), None), Err(Denied::PerformanceLevelAndSize));
        assert_eq!(size(essd, Some(PerformanceLevel::Pl0), Some(19), None), Ok(19));
        assert_eq!(size(essd, None, Some(20), None), Ok(20));
        assert_eq!(size(essd, None, Some(65_536), None), Ok(65_536));
        assert_eq!(
            size(essd, Some(PerformanceLevel::Pl3), Some(1260), None),
            Err(Denied::PerformanceLevelAndSize)
        );
    }

    #[test]
    fn a_disk_is_never_smaller_than_its_snapshot() {
        assert_eq!(size(Category::CloudSsd, None, Some(20), Some(40)), Ok(40));
        assert_eq!(size(Category::CloudSsd, None, Some(60), Some(40)), Ok(60));
        assert_eq!(size(Category::CloudSsd, None, None, Some(40)), Ok(40));
    }

    #[test]
    fn what_a_category_does_not_have_is_refused() {
        let new = |change: fn(&mut NewDisk)| {
            let mut disk = NewDisk { category: Some("cloud_ssd".into()), ..NewDisk::default() };
            change(&mut disk);
            disk.check().map(|_| ())
        };
        assert_eq!(new(|_| ()), Ok(()));
        assert_eq!(new(|d| d.category = Some("floppy".into())), Err(Denied::CategoryUnknown));
        assert_eq!(
            new(|d| d.multi_attach = Some("Enabled".into())),
            Err(Denied::MultiAttachUnsupported)
        );
        assert_eq!(new(|d| d.provisioned_iops = Some(1)), Err(Denied::ProvisionedIopsUnsupported));
        assert_eq!(new(|d| d.key = Some("k".into())), Err(Denied::KeyWithoutEncryption));
    }

    #[test]
    fn an_account_may_insist_on_encryption() {
        let new = |encrypted| NewDisk { encrypted, ..NewDisk::default() };
        for (asked, by_default, expected) in [
            (None, false, Ok(false)),
            (None, true, Ok(true)),
            (Some(true), false, Ok(true)),
            (Some(true), true, Ok(true)),
            (Some(false), false, Ok(false)),
            (Some(false), true, Err(Denied::EncryptedByDefault)),
        ] {
            assert_eq!(new(asked).is_to_be_encrypted(by_default), expected);
        }
    }
}
