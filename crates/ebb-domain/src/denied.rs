//! Every way a rule can say no.

use crate::{KmsDenied, RamDenied};

/// A refusal. Closed: ebb-api turns each into its code by one exhaustive match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denied {
    /// What RAM and STS refuse.
    Ram(RamDenied),
    /// What the key service refuses.
    Kms(KmsDenied),
    /// A dry run in which nothing else was refused.
    DryRun,
    /// A parameter is not well formed.
    Malformed(Field),
    /// A parameter that this case needs is missing.
    Missing(&'static str),
    /// No region of this name, where the region says what is looked at.
    RegionNotFound,
    /// A RegionId that this operation need not have, and that is none of this server's.
    RegionMalformed,
    /// No zone of this name in the region.
    ZoneNotFound,
    /// No image of this id.
    ImageNotFound,
    /// An image of the server, which nobody deletes.
    ImageIsPublic,
    /// Instances were made from the image.
    ImageInUse,
    /// The image is not Available.
    ImageNotAvailable,
    /// The image is not Deprecated.
    ImageNotDeprecated,
    /// Nothing to make an image of.
    ImageSourceMissing,
    /// What an image is made of has not one system disk.
    NoSystemDisk,
    /// Nothing to import.
    MappingMissing,
    /// No such bucket.
    BucketNotFound,
    /// No such object in the bucket.
    ObjectNotFound,
    /// An object of no bytes.
    ObjectEmpty,
    /// An object whose suffix does not tell what is in it, and nothing else does.
    ObjectSuffix,
    /// A format of images that this server cannot read.
    ImageFormatUnsupported,
    /// A size that an image's system disk cannot have.
    ImageSize,
    /// A size that an image's data disk cannot have.
    DataImageSize,
    /// An image is copied to another region only.
    ImageSameRegion,
    /// The snapshot is being exported.
    SnapshotExporting,
    /// A snapshot that is too young to be archived.
    SnapshotTooYoung,
    /// Images were made of the snapshot.
    SnapshotHasImages,
    /// No instance type of this id.
    InstanceTypeUnknown,
    /// ZoneId and InstanceId exclude each other.
    ZoneAndInstance,
    /// A disk for a subscription instance, of an instance that is not one.
    NotSubscription,
    /// Neither a size nor a snapshot to make a disk from.
    SizeOrSnapshotMissing,
    /// The balance is below zero.
    NotEnoughBalance,
    /// The account's disks would be too large together.
    DiskQuota,
    /// The account is in arrears.
    AccountInArrears,
    /// The snapshot service has not been opened.
    SnapshotServiceClosed,
    /// No such disk, ever, or another account's.
    DiskNotFound,
    /// The disk has been deleted.
    DiskDeleted,
    /// The category is restricted and the account is not on its list.
    NotOnWhiteList,
    /// A category that is none.
    CategoryUnknown,
    /// A category that this operation does not make.
    CategoryNotOffered,
    /// The disk's category does not have this operation.
    CategoryUnsupported,
    /// An elastic ephemeral disk does not come from a snapshot.
    EphemeralFromSnapshot,
    /// An elastic ephemeral disk goes with its instance.
    EphemeralStays,
    /// A performance level that is none.
    PerformanceLevelUnknown,
    /// The size is too small or too large for the performance level.
    PerformanceLevelAndSize,
    /// A performance level for a category that has none.
    LevelWithoutEssd,
    /// An ESSD does not become slower than that.
    PerformanceLevelTooLow,
    /// A disk is of that category and performance level.
    SpecUnchanged,
    /// More ProvisionedIops than the disk's size allows.
    TooManyProvisionedIops,
    /// No such task, or another account's.
    TaskNotFound,
    /// Tasks of this kind are not cancelled.
    TaskNotCancelable,
    /// The task is over.
    TaskOver,
    /// A size that is none.
    SizeUnknown,
    /// A size that the category does not come in.
    SizeNotOffered,
    /// A disk would become smaller.
    SizeTooSmall,
    /// A disk has that size.
    SizeUnchanged,
    /// A disk would become larger than its category comes in.
    SizeTooLarge,
    /// A disk that several instances may have does not grow under them.
    MultiAttachOnline,
    /// A disk that several instances may have does not have this operation.
    MultiAttach,
    /// The disk's instance has to run for this.
    InstanceNotRunning,
    /// MultiAttach for a category that does not have it.
    MultiAttachUnsupported,
    /// ProvisionedIops for a category that does not have it.
    ProvisionedIopsUnsupported,
    /// BurstingEnabled for a category that does not have it.
    BurstingUnsupported,
    /// Encryption, which the engine of this server does not have.
    EncryptionUnavailable,
    /// A disk of an image that is to be encrypted otherwise than the image is.
    ImageEncryption,
    /// Encrypted=false where the account encrypts its disks by default.
    EncryptedByDefault,
    /// No such key, or another account's.
    KeyNotFound,
    /// The key of an encrypted disk is disabled, or waits for its deletion.
    KeyNotEnabled,
    /// The key of an encrypted disk lacks the tag that lets disks be encrypted with it.
    KeyNotTagged,
    /// The block store may not use the account's keys.
    KeyNotGranted,
    /// A disk is to be encrypted otherwise than the snapshot that it is made from.
    SnapshotEncryption,
    /// What is encrypted does not leave the pool.
    EncryptedStays,
    /// No such dedicated block storage cluster.
    StorageClusterNotFound,
    /// A key without Encrypted=true.
    KeyWithoutEncryption,
    /// More tags than a resource can have.
    TooManyTags,
    /// A tag's value without its key.
    TagWithoutKey,
    /// A system disk smaller than its image.
    SmallerThanImage,
    /// A tag key twice.
    DuplicateTagKey,
    /// The disk's status does not allow it.
    DiskStatus,
    /// The disk is in arrears.
    DiskInArrears,
    /// A snapshot of the disk is unfinished, and it is to be reset.
    UnfinishedSnapshot,
    /// A snapshot of the disk is unfinished, and another is asked for.
    CreatingSnapshot,
    /// A snapshot of the disk is unfinished, and it is to be deleted.
    DiskCreatingSnapshot,
    /// The disk has never been attached.
    NeverAttached,
    /// A disk that belongs to its instance can be neither attached nor detached.
    NotPortable,
    /// A system disk.
    SystemDisk,
    /// The disk cannot be booted from.
    NotBootable,
    /// The disk is not attached at all.
    AlreadyDetached,
    /// The disk is attached, to another instance.
    AttachedElsewhere,
    /// The disk and the instance are in different zones.
    NotInSameZone,
    /// The instance has as many disks as it can have.
    TooManyDisks,
    /// The device name is taken.
    DeviceInUse,
    /// No such instance, or another account's.
    InstanceNotFound,
    /// The instance is locked for security.
    InstanceLocked,
    /// The instance is expired or in arrears.
    InstanceExpired,
    /// The instance's status does not allow it.
    InstanceStatus,
    /// Neither instances nor a role.
    InstancesOrRoleMissing,
    /// Neither an instance nor how it is renewed.
    InstanceOrRenewalMissing,
    /// No endpoint of that product and type.
    EndpointUnknown,
    /// No such VPC, or another account's.
    VpcNotFound,
    /// No such VSwitch, or another account's.
    VSwitchNotFound,
    /// No such security group, or another account's.
    SecurityGroupNotFound,
    /// More or fewer addresses than a VSwitch can have.
    CidrLength,
    /// A VSwitch's addresses are not its VPC's.
    CidrOutsideVpc,
    /// A VSwitch's addresses are another's.
    CidrOverlaps,
    /// The VPC has VSwitches.
    VpcHasVSwitches,
    /// The VPC has security groups.
    VpcHasSecurityGroups,
    /// Instances name the VSwitch or the security group.
    NetworkInUse,
    /// More user data than an instance can have.
    UserDataTooLong,
    /// The instance is paid by use, and this is of those paid in advance.
    PayAsYouGo,
    /// An instance type, and the CPUs or the memory that it should have.
    TypeAndShape,
    /// The instance is protected from deletion.
    DeletionProtected,
    /// A disk of the instance is not ready for it to start.
    DiskNotReady,
    /// No such snapshot, or another account's.
    SnapshotNotFound,
    /// The snapshot is progressing or failed.
    SnapshotNotReady,
    /// The snapshot is another disk's.
    SnapshotMismatch,
    /// The snapshot was created before 2013-07-15.
    SnapshotTooOld,
    /// The snapshot's category cannot do this.
    SnapshotCategory,
    /// The snapshot is a system disk's.
    SystemSnapshot,
    /// The snapshot that the disk was made from has been deleted.
    SourceSnapshotGone,
    /// No such snapshot group, or another account's.
    SnapshotGroupNotFound,
    /// Disks to take snapshots of, and disks to leave out.
    DisksAndLeftOut,
    /// Neither an instance nor disks to take snapshots of.
    InstanceOrDisksMissing,
    /// There is no disk to take a snapshot of.
    NoDisk,
    /// More disks than a snapshot group has.
    TooManyDisksInGroup,
    /// Disks that are together larger than a snapshot group can be.
    GroupTooLarge,
    /// Disks of several zones.
    DisksNotInSameZone,
    /// Regional disks, and others.
    RegionalAndNot,
    /// Exactly one snapshot group has to be named for this.
    GroupIdMustBeOne,
    /// No such automatic snapshot policy, or another account's.
    AutoPolicyNotFound,
    /// The account has as many automatic snapshot policies in the region as it can have.
    AutoPolicyQuota,
    /// Regions to copy snapshots to that are none, or the region that they are in.
    CopyRegions,
    /// A snapshot is copied to another region only.
    SameRegion,
    /// No region of this name to copy to.
    DestinationRegionNotFound,
    /// Disks were made from the snapshot.
    SnapshotHasDisks,
    /// The disk has as many snapshots as it can have.
    SnapshotQuota,
    /// A snapshot would be kept for less long than was said.
    RetentionDecreased,
    /// The snapshot is locked.
    SnapshotLocked,
    /// The snapshot is not locked, or not any more.
    SnapshotNotLocked,
    /// A lock that holds can be made longer, and nothing else.
    LockNotLonger,
    /// A lock would end after its snapshot.
    LockOutlivesSnapshot,
    /// Another call's unfinished work holds it.
    Conflict,
    /// The client token was used with other parameters.
    TokenMismatch,
    /// The call that first used the client token has not ended.
    TokenProcessing,
    /// Neither DiskId nor DiskIds.
    DiskIdOrDiskIdsMissing,
    /// Both DiskId and DiskIds.
    DiskIdAndDiskIds,
    /// Nothing to modify.
    NothingToModify,
    /// More ids than one request may name.
    TooManyIds,
    /// A resource to tag is not there.
    ResourceNotFound,
    /// A resource type that has no tags.
    ResourceTypeUnknown,
    /// Neither tags nor resources to list by.
    TagsAndResourcesMissing,
    /// All=true and keys exclude each other.
    AllAndKeys,
    /// A time that begins too long ago.
    TooEarly,
    /// An end before its start.
    EndBeforeStart,
    /// A Period that is none.
    PeriodUnknown,
    /// More points than one answer may have.
    TooManyPoints,
    /// A filter that is none.
    FilterUnknown,
    /// A filter's value that is none.
    FilterValue,
    /// A token of no page.
    NextToken,
}

/// A parameter whose form is wrong, where the code depends on which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// A disk's name
    DiskName,
    /// A snapshot's name
    SnapshotName,
    /// An instance's name
    InstanceName,
    /// ImageName
    ImageName,
    /// HostName
    HostName,
    /// UserData
    UserData,
    /// The name of a VPC, a VSwitch or a security group
    NetworkName,
    /// CidrBlock
    CidrBlock,
    /// SecurityGroupType
    SecurityGroupType,
    /// RenewalStatus
    RenewalStatus,
    /// PageNumber
    PageNumber,
    /// PageSize
    PageSize,
    /// DestinationResource
    DestinationResource,
    /// Scope
    Scope,
    /// ResourceType of what is available
    AvailableResourceType,
    /// A snapshot group's name
    GroupName,
    /// A snapshot group's description
    GroupDescription,
    /// A description
    Description,
    /// A tag's key
    TagKey,
    /// A tag's value
    TagValue,
    /// RetentionDays
    RetentionDays,
    /// A snapshot's Category
    SnapshotCategory,
    /// Device
    Device,
    /// MultiAttach
    MultiAttach,
    /// DeleteWithInstance of a disk that always goes with its instance
    DeleteWithInstance,
    /// DiskIds
    DiskIds,
    /// SnapshotLinkIds
    LinkIds,
    /// Status to filter by
    Status,
    /// DiskType to filter by
    DiskType,
    /// Category to filter by
    CategoryFilter,
    /// DiskChargeType to filter by
    DiskChargeType,
    /// InstanceChargeType to filter by
    InstanceChargeType,
    /// InstanceNetworkType to filter by
    InstanceNetworkType,
    /// LockReason to filter by
    LockReason,
    /// Usage to filter by
    Usage,
    /// SourceDiskType to filter by
    SourceDiskType,
    /// SnapshotType to filter by
    SnapshotType,
    /// StartTime
    StartTime,
    /// EndTime
    EndTime,
    /// Amount of instances
    Amount,
    /// A system disk's category
    SystemDiskCategory,
    /// A system disk's size
    SystemDiskSize,
    /// A data disk's category
    DataDiskCategory,
    /// A data disk's size
    DataDiskSize,
    /// A tag's Category to filter by
    TagCategory,
    /// A policy's name
    PolicyName,
    /// A policy's hours or weekdays
    PolicySlots,
    /// retentionDays of a policy
    PolicyRetention,
    /// CopiedSnapshotsRetentionDays
    CopyRetention,
    /// OSSBucket
    Bucket,
    /// OSSObject
    Object,
    /// Format of an image
    ImageFormat,
    /// Architecture
    Architecture,
    /// OSType
    OsType,
    /// BootMode
    BootMode,
    /// LicenseType
    LicenseType,
    /// Type of a resize
    ResizeType,
}

impl From<RamDenied> for Denied {
    fn from(denied: RamDenied) -> Self {
        Self::Ram(denied)
    }
}

impl From<KmsDenied> for Denied {
    fn from(denied: KmsDenied) -> Self {
        Self::Kms(denied)
    }
}
