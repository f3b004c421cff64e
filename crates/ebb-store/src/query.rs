//! What a list asks for: filters and a page.

use ebb_domain::{
    AccountId, AutoSnapshotPolicyId, Category, DiskId, DiskKind, InstanceId, LockStatus,
    PerformanceLevel, RegionId, SnapshotCategory, SnapshotId, Timestamp, VpcId, ZoneId,
};

/// Which part of a list: lists are newest first, then by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PageRequest {
    /// The page of that number, from 1.
    Number {
        /// From 1.
        number: u32,
        /// Items a page.
        size: u32,
    },
    /// What follows `after`, the `next` of the page before; from the start where it is `None`.
    Token {
        /// The token of the page before.
        after: Option<String>,
        /// Items a page.
        size: u32,
    },
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// Its items.
    pub items: Vec<T>,
    /// How many there are on all pages.
    pub total: u64,
    /// The token of the next page; `None` on the last. Given for pages by number too.
    pub next: Option<String>,
}

/// A tag that must be there; with any value where `value` is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagFilter {
    /// The key.
    pub key: String,
    /// The value.
    pub value: Option<String>,
}

/// DescribeDisks. `None` and an empty list of tags mean any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskQuery {
    /// Whose.
    pub account: AccountId,
    /// Where.
    pub region: RegionId,
    /// Which; unknown ids are simply absent.
    pub ids: Option<Vec<DiskId>>,
    /// ZoneId
    pub zone: Option<ZoneId>,
    /// InstanceId
    pub instance: Option<InstanceId>,
    /// DiskType
    pub kind: Option<DiskKind>,
    /// Category
    pub category: Option<Category>,
    /// Status, by its wire name (`In_use`, `ReIniting` …)
    pub status: Option<String>,
    /// SnapshotId: made from it
    pub snapshot: Option<SnapshotId>,
    /// Portable
    pub portable: Option<bool>,
    /// DeleteWithInstance
    pub delete_with_instance: Option<bool>,
    /// DeleteAutoSnapshot
    pub delete_auto_snapshot: Option<bool>,
    /// EnableAutoSnapshot
    pub enable_auto_snapshot: Option<bool>,
    /// AutoSnapshotPolicyId
    pub auto_snapshot_policy: Option<AutoSnapshotPolicyId>,
    /// EnableAutomatedSnapshotPolicy: whether it has one
    pub has_auto_snapshot_policy: Option<bool>,
    /// DiskName; `*` stands for anything
    pub name: Option<String>,
    /// MultiAttach
    pub multi_attach: Option<bool>,
    /// Encrypted
    pub encrypted: Option<bool>,
    /// KMSKeyId
    pub kms_key: Option<String>,
    /// PerformanceLevel
    pub performance_level: Option<PerformanceLevel>,
    /// ResourceGroupId
    pub resource_group: Option<String>,
    /// Created then or later
    pub created_from: Option<Timestamp>,
    /// Created then or earlier
    pub created_to: Option<Timestamp>,
    /// All of them
    pub tags: Vec<TagFilter>,
    /// Which part
    pub page: PageRequest,
}

impl DiskQuery {
    /// All disks of an account in a region.
    #[must_use]
    pub const fn all(account: AccountId, region: RegionId, page: PageRequest) -> Self {
        Self {
            account,
            region,
            ids: None,
            zone: None,
            instance: None,
            kind: None,
            category: None,
            status: None,
            snapshot: None,
            portable: None,
            delete_with_instance: None,
            delete_auto_snapshot: None,
            enable_auto_snapshot: None,
            auto_snapshot_policy: None,
            has_auto_snapshot_policy: None,
            name: None,
            multi_attach: None,
            encrypted: None,
            kms_key: None,
            performance_level: None,
            resource_group: None,
            created_from: None,
            created_to: None,
            tags: Vec::new(),
            page,
        }
    }
}

/// DescribeSnapshots. Those on their way out are not shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotQuery {
    /// Whose.
    pub account: AccountId,
    /// Where.
    pub region: RegionId,
    /// Which.
    pub ids: Option<Vec<SnapshotId>>,
    /// DiskId
    pub disk: Option<DiskId>,
    /// InstanceId: of the disks that it has now
    pub instance: Option<InstanceId>,
    /// SnapshotName; `*` stands for anything
    pub name: Option<String>,
    /// Status, by its wire name (`progressing`, `accomplished`, `failed`)
    pub status: Option<String>,
    /// SnapshotType: whether a policy took it
    pub automatic: Option<bool>,
    /// SourceDiskType
    pub source_disk_kind: Option<DiskKind>,
    /// Category
    pub category: Option<SnapshotCategory>,
    /// Usage: whether disks were made from it
    pub has_disks: Option<bool>,
    /// Usage: whether images name it
    pub has_images: Option<bool>,
    /// Encrypted
    pub encrypted: Option<bool>,
    /// KMSKeyId
    pub kms_key: Option<String>,
    /// ResourceGroupId
    pub resource_group: Option<String>,
    /// Created then or later
    pub created_from: Option<Timestamp>,
    /// Created then or earlier
    pub created_to: Option<Timestamp>,
    /// Those that are or were locked
    pub locks: Option<LockQuery>,
    /// All of them
    pub tags: Vec<TagFilter>,
    /// Which part
    pub page: PageRequest,
}

/// DescribeLockedSnapshots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockQuery {
    /// LockStatus
    pub status: Option<LockStatus>,
    /// When that is asked.
    pub now: Timestamp,
}

impl SnapshotQuery {
    /// All snapshots of an account in a region.
    #[must_use]
    pub const fn all(account: AccountId, region: RegionId, page: PageRequest) -> Self {
        Self {
            account,
            region,
            ids: None,
            disk: None,
            instance: None,
            name: None,
            status: None,
            automatic: None,
            source_disk_kind: None,
            category: None,
            has_disks: None,
            has_images: None,
            encrypted: None,
            kms_key: None,
            resource_group: None,
            created_from: None,
            created_to: None,
            locks: None,
            tags: Vec::new(),
            page,
        }
    }
}

/// DescribeInstances and DescribeInstanceStatus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceQuery {
    /// Whose.
    pub account: AccountId,
    /// Where.
    pub region: RegionId,
    /// Which.
    pub ids: Option<Vec<InstanceId>>,
    /// ZoneId
    pub zone: Option<ZoneId>,
    /// InstanceName; `*` stands for anything
    pub name: Option<String>,
    /// ImageId
    pub image: Option<String>,
    /// InstanceType
    pub instance_type: Option<String>,
    /// Status, by its wire name (`Running` …; a reboot shows as `Stopping`)
    pub status: Option<String>,
    /// VSwitchId
    pub vswitch: Option<String>,
    /// VpcId: its VSwitch is one of that
    pub vpc: Option<VpcId>,
    /// PrivateIpAddresses: it has one of them
    pub private_ips: Option<Vec<String>>,
    /// SecurityGroupId: one of its groups
    pub security_group: Option<String>,
    /// KeyPairName
    pub key_pair: Option<String>,
    /// ResourceGroupId
    pub resource_group: Option<String>,
    /// LockReason=security: locked or not
    pub locked: Option<bool>,
    /// Created then or later
    pub created_from: Option<Timestamp>,
    /// Created then or earlier
    pub created_to: Option<Timestamp>,
    /// All of them
    pub tags: Vec<TagFilter>,
    /// Which part
    pub page: PageRequest,
}

/// What tags can be put on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ResourceKind {
    /// `disk`
    Disk,
    /// `snapshot`
    Snapshot,
    /// `instance`
    Instance,
    /// `snapshotgroup`
    SnapshotGroup,
    /// `snapshotpolicy`
    SnapshotPolicy,
    /// `image`
    Image,
    /// `securitygroup`
    SecurityGroup,
    /// `vswitch`: none, for all that ECS shows of it
    VSwitch,
    /// `vpc`: none, for all that ECS shows of it
    Vpc,
}

/// ListTagResources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagQuery {
    /// Whose.
    pub account: AccountId,
    /// Where.
    pub region: RegionId,
    /// Of what.
    pub kind: ResourceKind,
    /// Of which; any where it is empty.
    pub resources: Vec<String>,
    /// Resources that have all of them; any where it is empty.
    pub tags: Vec<TagFilter>,
    /// The token of the page before.
    pub after: Option<String>,
    /// Rows a page.
    pub size: u32,
}

/// One tag of one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagRow {
    /// Of what.
    pub kind: ResourceKind,
    /// Its id.
    pub resource: String,
    /// The key.
    pub key: String,
    /// The value.
    pub value: String,
}

/// DescribeTags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagCountQuery {
    /// Whose.
    pub account: AccountId,
    /// Where.
    pub region: RegionId,
    /// Of what; of anything where there is none.
    pub kind: Option<ResourceKind>,
    /// Of which.
    pub resource: Option<String>,
    /// Any of them; any at all where it is empty.
    pub tags: Vec<TagFilter>,
    /// Which part.
    pub page: PageRequest,
}

/// A key and a value, and how many resources have them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagCount {
    /// The key.
    pub key: String,
    /// The value.
    pub value: String,
    /// How many disks.
    pub disks: u32,
    /// How many snapshots.
    pub snapshots: u32,
    /// How many instances.
    pub instances: u32,
}
