//! What each operation can be refused with, read off its use case: every one must have a row.
//!
//! The lists are kept by hand. A rule that is added without its row here is still answered, as a
//! fault of ours (see [`super::deny`]).

use ebb_domain::Denied as D;
use ebb_domain::Field as F;

use super::deny;
use crate::Product;
use crate::ops::FAMILIES;

const NAMED: &[D] = &[D::Malformed(F::DiskName), D::Malformed(F::Description)];
const TAGS: &[D] =
    &[D::TooManyTags, D::DuplicateTagKey, D::Malformed(F::TagKey), D::Malformed(F::TagValue)];
const KEY: &[D] = &[D::KeyNotFound, D::KeyNotEnabled, D::KeyNotTagged, D::KeyNotGranted];
/// A data key that is to be made.
const NEW_KEY: &[D] = &[D::EncryptionUnavailable];
const SEALED: &[D] = &[D::ImageEncryption, D::SnapshotEncryption, D::KeyWithoutEncryption];
const TOKEN: &[D] = &[D::TokenMismatch, D::TokenProcessing];
/// A row was changed by another call, or the region given is none.
const WRITES: &[D] = &[D::Conflict, D::RegionMalformed];
const FILTERS: &[D] = &[D::FilterUnknown, D::FilterValue, D::TooManyTags, D::TagWithoutKey];
/// `NewDisk::check`, but for its names, tags and category.
const NEW_DISK: &[D] = &[
    D::PerformanceLevelUnknown,
    D::ProvisionedIopsUnsupported,
    D::BurstingUnsupported,
    D::EncryptedByDefault,
    D::NotOnWhiteList,
    D::PerformanceLevelAndSize,
];
const SOURCE: &[D] = &[
    D::SnapshotNotFound,
    D::SnapshotNotReady,
    D::SnapshotTooOld,
    D::SnapshotCategory,
    D::SystemSnapshot,
];
const PAYS: &[D] = &[D::NotEnoughBalance, D::AccountInArrears];
const STOP: &[D] =
    &[D::InstanceNotFound, D::InstanceLocked, D::InstanceExpired, D::InstanceStatus, D::DryRun];
const START: &[D] = &[D::NotEnoughBalance, D::DiskNotReady];
const DELETE: &[D] = &[D::InstanceNotFound, D::DeletionProtected, D::InstanceStatus, D::DryRun];

const NEW_INSTANCE: &[D] = &[
    D::Conflict,
    D::RegionNotFound,
    D::ZoneNotFound,
    D::ImageNotFound,
    D::InstanceTypeUnknown,
    D::Malformed(F::InstanceName),
    D::Malformed(F::HostName),
    D::Malformed(F::UserData),
    D::UserDataTooLong,
    D::TooManyDisks,
    D::DeviceInUse,
    D::Malformed(F::Device),
    D::Malformed(F::SystemDiskCategory),
    D::Malformed(F::SystemDiskSize),
    D::Malformed(F::DataDiskCategory),
    D::Malformed(F::DataDiskSize),
    D::SmallerThanImage,
    D::DiskQuota,
    D::DryRun,
];

type Reachable = (&'static str, &'static [&'static [D]]);

#[rustfmt::skip]
const REACHABLE: &[Reachable] = &[
    ("DescribeRegions", &[]),
    ("DescribeZones", &[&[D::RegionNotFound]]),
    ("DescribeImages", &[&[
        D::RegionNotFound, D::DryRun, D::TooManyTags, D::TagWithoutKey,
    ]]),
    ("CreateImage", &[TAGS, TOKEN, &[
        D::RegionNotFound, D::Malformed(F::ImageName), D::Malformed(F::Description),
        D::NotEnoughBalance, D::SnapshotServiceClosed, D::InstanceNotFound, D::NoSystemDisk,
        D::InstanceLocked, D::InstanceStatus, D::DiskStatus, D::CreatingSnapshot, D::NeverAttached,
        D::SnapshotQuota, D::CategoryUnsupported, D::ImageSourceMissing, D::SnapshotNotFound,
        D::SnapshotNotReady, D::SnapshotTooOld, D::SnapshotCategory, D::Malformed(F::Device),
        D::DeviceInUse, D::SizeUnknown, D::DryRun, D::Conflict,
    ]]),
    ("ModifyImageAttribute", &[&[
        D::RegionNotFound, D::Malformed(F::ImageName), D::Malformed(F::Description),
        D::ImageNotFound, D::ImageNotAvailable, D::ImageNotDeprecated, D::Malformed(F::Status),
        D::DryRun, D::Conflict,
    ]]),
    ("DeleteImage", &[&[
        D::RegionNotFound, D::ImageIsPublic, D::ImageNotFound, D::ImageInUse, D::DryRun,
        D::Conflict,
    ]]),
    ("CreateDisk", &[NAMED, TAGS, TOKEN, NEW_DISK, SOURCE, PAYS, KEY, NEW_KEY, &[
        D::SnapshotEncryption,
        D::DiskQuota,
        D::Conflict, D::RegionNotFound, D::ZoneNotFound, D::ZoneAndInstance, D::Missing("ZoneId"),
        D::InstanceNotFound, D::NotSubscription, D::CategoryUnknown, D::CategoryNotOffered,
        D::Malformed(F::MultiAttach), D::MultiAttachUnsupported, D::KeyWithoutEncryption,
        D::EphemeralFromSnapshot, D::SizeOrSnapshotMissing, D::SizeUnknown, D::SizeNotOffered,
    ]]),
    ("DescribeDisks", &[FILTERS, &[
        D::RegionNotFound, D::ZoneNotFound, D::TooManyIds, D::DryRun, D::NextToken,
        D::Malformed(F::DiskIds), D::Malformed(F::DiskType), D::Malformed(F::CategoryFilter),
        D::Malformed(F::Status), D::Malformed(F::MultiAttach), D::Malformed(F::DiskChargeType),
        D::Malformed(F::LockReason),
    ]]),
    ("AttachDisk", &[WRITES, KEY, &[
        D::DiskNotFound, D::InstanceNotFound, D::NotOnWhiteList, D::NotPortable,
        D::Malformed(F::DeleteWithInstance), D::NotBootable, D::DiskStatus, D::DiskInArrears,
        D::InstanceLocked, D::InstanceExpired, D::InstanceStatus, D::NotInSameZone,
        D::TooManyDisks, D::Malformed(F::Device), D::DeviceInUse,
    ]]),
    ("DetachDisk", &[WRITES, &[
        D::DiskNotFound, D::InstanceNotFound, D::AlreadyDetached, D::AttachedElsewhere,
        D::SystemDisk, D::NotPortable, D::EphemeralStays, D::InstanceLocked, D::InstanceStatus,
        D::DiskStatus, D::NotOnWhiteList,
    ]]),
    ("DeleteDisk", &[WRITES, &[
        D::DiskNotFound, D::NotOnWhiteList, D::NotPortable, D::DiskStatus,
        D::DiskCreatingSnapshot,
    ]]),
    ("ModifyDiskAttribute", &[WRITES, NAMED, &[
        D::DiskNotFound, D::NotOnWhiteList, D::BurstingUnsupported, D::NotPortable,
        D::DiskIdAndDiskIds, D::DiskIdOrDiskIdsMissing, D::NothingToModify,
    ]]),
    ("ResizeDisk", &[WRITES, TOKEN, &[
        D::DiskQuota,
        D::Malformed(F::ResizeType), D::DiskNotFound, D::NotOnWhiteList, D::CategoryUnsupported,
        D::DiskInArrears, D::DiskStatus, D::DiskCreatingSnapshot, D::InstanceNotFound,
        D::InstanceLocked, D::InstanceExpired, D::InstanceStatus, D::MultiAttachOnline,
        D::InstanceNotRunning, D::SizeTooSmall, D::SizeUnchanged, D::SizeTooLarge,
    ]]),
    ("ModifyDiskSpec", &[WRITES, &[
        D::DiskNotFound, D::PerformanceLevelUnknown, D::CategoryUnknown, D::CategoryUnsupported,
        D::MultiAttach, D::DiskInArrears, D::DiskStatus, D::DiskCreatingSnapshot,
        D::InstanceNotFound, D::InstanceExpired, D::CategoryNotOffered, D::LevelWithoutEssd,
        D::PerformanceLevelAndSize, D::PerformanceLevelTooLow, D::ProvisionedIopsUnsupported,
        D::TooManyProvisionedIops, D::SpecUnchanged, D::NotOnWhiteList, D::DryRun,
    ]]),
    ("ModifyDiskDeployment", &[WRITES, &[
        D::DiskNotFound, D::PerformanceLevelUnknown, D::CategoryUnknown, D::CategoryUnsupported,
        D::MultiAttach, D::DiskInArrears, D::DiskStatus, D::DiskCreatingSnapshot,
        D::InstanceNotFound, D::InstanceExpired, D::CategoryNotOffered, D::LevelWithoutEssd,
        D::PerformanceLevelAndSize, D::PerformanceLevelTooLow, D::SpecUnchanged,
        D::NotOnWhiteList, D::StorageClusterNotFound, D::DryRun,
    ]]),
    ("CloneDisks", &[TAGS, TOKEN, NEW_DISK, PAYS, KEY, NEW_KEY, &[
        D::SnapshotEncryption,
        D::RegionNotFound, D::DiskNotFound, D::CategoryUnsupported, D::SystemDisk, D::DiskStatus,
        D::Malformed(F::DiskName), D::CategoryUnknown, D::CategoryNotOffered,
        D::Malformed(F::MultiAttach), D::MultiAttachUnsupported, D::KeyWithoutEncryption,
        D::SizeUnknown, D::SizeNotOffered, D::SizeTooSmall, D::DiskQuota, D::DryRun, D::Conflict,
    ]]),
    ("EnableDiskEncryptionByDefault", &[&[D::RegionNotFound]]),
    ("DisableDiskEncryptionByDefault", &[&[D::RegionNotFound]]),
    ("DescribeDiskEncryptionByDefaultStatus", &[&[D::RegionNotFound]]),
    ("DescribeDiskDefaultKMSKeyId", &[&[D::RegionNotFound]]),
    ("ModifyDiskDefaultKMSKeyId", &[&[D::RegionNotFound, D::KeyNotFound]]),
    ("ResetDiskDefaultKMSKeyId", &[&[D::RegionNotFound]]),
    ("JoinResourceGroup", &[WRITES, &[D::ResourceTypeUnknown, D::ResourceNotFound]]),
    ("DescribeTasks", &[&[D::RegionNotFound]]),
    ("DescribeTaskAttribute", &[&[D::RegionNotFound, D::TaskNotFound]]),
    ("CancelTask", &[&[D::RegionNotFound, D::TaskNotFound, D::TaskNotCancelable, D::TaskOver]]),
    ("ModifySnapshotCategory", &[WRITES, &[
        D::EncryptedStays,
        D::SnapshotNotFound, D::SnapshotNotReady, D::SnapshotCategory, D::SnapshotTooYoung,
        D::Malformed(F::SnapshotCategory), D::Malformed(F::RetentionDays), D::RetentionDecreased,
        D::SnapshotHasImages,
    ]]),
    ("ExportSnapshot", &[&[
        D::EncryptedStays,
        D::RegionNotFound, D::SnapshotNotFound, D::SnapshotNotReady, D::SnapshotExporting,
        D::Malformed(F::Bucket), D::BucketNotFound,
    ]]),
    ("DescribeSnapshotLinks", &[&[
        D::RegionNotFound, D::InstanceNotFound, D::Malformed(F::DiskIds), D::Malformed(F::LinkIds),
        D::NextToken,
    ]]),
    ("DescribeSnapshotsUsage", &[&[D::RegionNotFound]]),
    ("DescribeSnapshotMonitorData", &[&[
        D::RegionNotFound, D::Malformed(F::StartTime), D::Malformed(F::EndTime), D::PeriodUnknown,
        D::TooEarly, D::EndBeforeStart, D::TooManyPoints,
    ]]),
    ("CopyImage", &[TAGS, TOKEN, KEY, NEW_KEY, &[
        D::RegionNotFound, D::DestinationRegionNotFound, D::Malformed(F::ImageName),
        D::Malformed(F::Description), D::ImageNotFound, D::KeyWithoutEncryption,
        D::ImageSameRegion, D::ImageNotAvailable, D::SnapshotNotFound,
        D::DryRun, D::Conflict,
    ]]),
    ("ImportImage", &[TAGS, &[
        D::RegionNotFound, D::Malformed(F::ImageName), D::Malformed(F::Description),
        D::Malformed(F::Architecture), D::Malformed(F::OsType), D::Malformed(F::BootMode),
        D::Malformed(F::LicenseType), D::MappingMissing, D::Malformed(F::Device),
        D::Malformed(F::ImageFormat), D::ImageFormatUnsupported, D::ObjectSuffix, D::ImageSize,
        D::DataImageSize, D::Malformed(F::Bucket), D::BucketNotFound, D::Malformed(F::Object),
        D::ObjectNotFound, D::ObjectEmpty, D::TokenMismatch, D::DryRun,
    ]]),
    ("DescribeDiskMonitorData", &[&[
        D::DiskNotFound, D::Malformed(F::StartTime), D::Malformed(F::EndTime), D::PeriodUnknown,
        D::TooEarly, D::EndBeforeStart, D::TooManyPoints,
    ]]),
    ("RunInstances", &[
        NAMED, TAGS, TOKEN, NEW_DISK, SOURCE, PAYS, NEW_INSTANCE, KEY,
        NEW_KEY, SEALED, &[D::Malformed(F::Amount)],
    ]),
    ("CreateInstance", &[
        NAMED, TAGS, TOKEN, NEW_DISK, SOURCE, PAYS, NEW_INSTANCE, KEY,
        NEW_KEY, SEALED,
    ]),
    ("DescribeInstanceAttribute", &[&[D::InstanceNotFound, D::RegionMalformed]]),
    ("ModifyInstanceAttribute", &[WRITES, &[
        D::InstanceNotFound, D::InstanceLocked, D::Malformed(F::InstanceName),
        D::Malformed(F::HostName), D::Malformed(F::Description), D::Malformed(F::UserData),
        D::UserDataTooLong,
    ]]),
    ("DescribeUserData", &[&[D::RegionNotFound, D::InstanceNotFound]]),
    ("DescribeInstanceRamRole", &[&[
        D::RegionNotFound, D::InstancesOrRoleMissing, D::TooManyIds,
    ]]),
    ("DescribeInstanceMaintenanceAttributes", &[&[D::RegionNotFound, D::TooManyIds]]),
    ("DescribeInstanceAutoRenewAttribute", &[&[
        D::RegionNotFound, D::Malformed(F::RenewalStatus), D::InstanceOrRenewalMissing,
        D::TooManyIds, D::InstanceNotFound, D::PayAsYouGo,
        D::Malformed(F::PageNumber), D::Malformed(F::PageSize),
    ]]),
    ("DescribeInstanceAttachmentAttributes", &[&[D::RegionNotFound, D::TooManyIds]]),
    ("DescribeInstanceHistoryEvents", &[&[D::RegionNotFound]]),
    ("DescribeDisksFullStatus", &[&[
        D::RegionNotFound, D::TooManyIds, D::Malformed(F::Status), D::TooManyTags,
        D::TagWithoutKey,
    ]]),
    ("ModifyDiskChargeType", &[&[
        D::RegionNotFound, D::InstanceNotFound, D::DiskNotFound, D::PayAsYouGo,
    ]]),
    ("DescribeSnapshotPackage", &[&[D::RegionNotFound]]),
    ("DescribeEndpoints", &[&[D::RegionNotFound, D::EndpointUnknown]]),
    ("DescribeAccountAttributes", &[&[D::RegionNotFound]]),
    ("ReplaceSystemDisk", &[WRITES, TOKEN, KEY, NEW_KEY, &[
        D::DiskQuota,
        D::InstanceNotFound, D::ImageNotFound, D::NoSystemDisk, D::InstanceExpired,
        D::InstanceStatus, D::DiskStatus, D::DiskCreatingSnapshot, D::SmallerThanImage,
        D::Malformed(F::SystemDiskSize), D::ImageEncryption, D::KeyWithoutEncryption,
        D::EncryptedByDefault,
    ]]),
    ("CreateVpc", &[TOKEN, &[
        D::RegionNotFound, D::Malformed(F::NetworkName), D::Malformed(F::Description),
        D::Malformed(F::CidrBlock), D::Conflict,
    ]]),
    ("DescribeVpcs", &[&[D::RegionNotFound]]),
    ("DeleteVpc", &[WRITES, &[D::VpcNotFound, D::VpcHasVSwitches, D::VpcHasSecurityGroups]]),
    ("CreateVSwitch", &[WRITES, TOKEN, &[
        D::ZoneNotFound, D::VpcNotFound, D::Malformed(F::NetworkName),
        D::Malformed(F::Description), D::Malformed(F::CidrBlock), D::CidrLength, D::CidrOutsideVpc,
        D::CidrOverlaps,
    ]]),
    ("DescribeVSwitches", &[&[D::RegionNotFound]]),
    ("DeleteVSwitch", &[WRITES, &[D::VSwitchNotFound, D::NetworkInUse]]),
    ("CreateSecurityGroup", &[TOKEN, TAGS, &[
        D::RegionNotFound, D::VpcNotFound, D::Malformed(F::NetworkName),
        D::Malformed(F::Description), D::Malformed(F::SecurityGroupType), D::Conflict,
    ]]),
    ("DescribeSecurityGroups", &[&[
        D::RegionNotFound, D::Malformed(F::SecurityGroupType), D::NextToken, D::DryRun,
    ]]),
    ("DescribeSecurityGroupAttribute", &[&[D::RegionNotFound, D::SecurityGroupNotFound]]),
    ("DeleteSecurityGroup", &[WRITES, &[
        D::RegionNotFound, D::SecurityGroupNotFound, D::NetworkInUse,
    ]]),
    ("DescribeNetworkInterfaces", &[&[D::RegionNotFound, D::NextToken]]),
    ("DescribeInstanceTypes", &[]),
    ("DescribeInstanceTypeFamilies", &[&[D::RegionNotFound]]),
    ("DescribeAvailableResource", &[&[
        D::RegionNotFound, D::Malformed(F::DestinationResource), D::TypeAndShape,
        D::Malformed(F::AvailableResourceType), D::Malformed(F::Scope),
        D::Malformed(F::InstanceChargeType),
    ]]),
    ("DescribeInstances", &[FILTERS, &[
        D::RegionNotFound, D::DryRun, D::NextToken, D::Malformed(F::Status),
        D::Malformed(F::LockReason), D::Malformed(F::InstanceChargeType),
        D::Malformed(F::InstanceNetworkType),
    ]]),
    ("DescribeInstanceStatus", &[&[D::RegionNotFound, D::ZoneNotFound, D::TooManyIds]]),
    ("StartInstance", &[WRITES, STOP, START, KEY]),
    ("StartInstances", &[WRITES, STOP, START, KEY, &[D::TooManyIds]]),
    ("StopInstance", &[WRITES, STOP]),
    ("StopInstances", &[WRITES, STOP, &[D::TooManyIds]]),
    ("RebootInstance", &[WRITES, STOP]),
    ("RebootInstances", &[WRITES, STOP, &[D::TooManyIds]]),
    ("DeleteInstance", &[WRITES, DELETE]),
    ("DeleteInstances", &[WRITES, DELETE, &[D::TooManyIds]]),
    ("ResetDisk", &[WRITES, KEY, &[
        D::NotEnoughBalance, D::SnapshotServiceClosed, D::DiskNotFound, D::DiskDeleted,
        D::NotOnWhiteList, D::CategoryUnsupported, D::DiskStatus, D::UnfinishedSnapshot,
        D::InstanceNotFound, D::InstanceLocked, D::InstanceExpired, D::InstanceStatus,
        D::SnapshotNotFound, D::SnapshotNotReady, D::SnapshotMismatch, D::SnapshotTooOld,
        D::SnapshotCategory, D::DryRun,
    ]]),
    ("ReInitDisk", &[WRITES, KEY, &[
        D::DiskNotFound, D::NotOnWhiteList, D::CategoryUnsupported, D::MultiAttach, D::DiskStatus,
        D::DiskCreatingSnapshot, D::InstanceLocked, D::InstanceExpired, D::InstanceStatus,
        D::SourceSnapshotGone, D::SnapshotTooOld,
    ]]),
    ("ResetDisks", &[WRITES, KEY, &[
        D::NotEnoughBalance, D::SnapshotServiceClosed, D::DiskNotFound, D::DiskDeleted,
        D::NotOnWhiteList, D::CategoryUnsupported, D::DiskStatus, D::UnfinishedSnapshot,
        D::InstanceNotFound, D::InstanceLocked, D::InstanceExpired, D::InstanceStatus,
        D::SnapshotNotFound, D::SnapshotNotReady, D::SnapshotMismatch, D::SnapshotTooOld,
        D::SnapshotCategory, D::DryRun, D::RegionNotFound, D::MultiAttach,
    ]]),
    ("CreateSnapshot", &[WRITES, TAGS, TOKEN, &[
        D::Malformed(F::SnapshotName), D::Malformed(F::Description), D::DiskNotFound,
        D::Malformed(F::RetentionDays), D::Malformed(F::SnapshotCategory), D::NotEnoughBalance,
        D::SnapshotServiceClosed, D::CategoryUnsupported, D::CreatingSnapshot, D::DiskStatus,
        D::NeverAttached, D::InstanceLocked, D::InstanceStatus, D::SnapshotQuota,
    ]]),
    ("DescribeSnapshots", &[FILTERS, &[
        D::RegionNotFound, D::DryRun, D::NextToken, D::TooManyIds, D::Malformed(F::Status),
        D::Malformed(F::SnapshotType), D::Malformed(F::Usage), D::Malformed(F::SourceDiskType),
        D::Malformed(F::SnapshotCategory),
    ]]),
    ("ModifySnapshotAttribute", &[WRITES, &[
        D::NothingToModify, D::Malformed(F::SnapshotName), D::Malformed(F::Description),
        D::Malformed(F::RetentionDays), D::SnapshotNotFound, D::SnapshotNotReady,
        D::RetentionDecreased,
    ]]),
    ("CreateAutoSnapshotPolicy", &[TAGS, KEY, &[
        D::KeyWithoutEncryption,
        D::Malformed(F::PolicyName), D::Malformed(F::PolicySlots), D::NotEnoughBalance,
        D::Malformed(F::PolicyRetention), D::Malformed(F::CopyRetention), D::SnapshotServiceClosed,
        D::AutoPolicyQuota, D::CopyRegions,
    ]]),
    ("ModifyAutoSnapshotPolicyEx", &[KEY, &[
        D::KeyWithoutEncryption,
        D::Malformed(F::CopyRetention), D::CopyRegions, D::AutoPolicyNotFound, D::Conflict,
    ]]),
    ("DescribeAutoSnapshotPolicyEx", &[&[
        D::RegionNotFound, D::TooManyTags, D::TagWithoutKey,
    ]]),
    ("ApplyAutoSnapshotPolicy", &[&[
        D::AutoPolicyNotFound, D::DiskNotFound, D::CategoryUnsupported, D::NotEnoughBalance,
        D::SnapshotServiceClosed, D::Conflict,
    ]]),
    ("CancelAutoSnapshotPolicy", &[&[D::DiskNotFound, D::Conflict]]),
    ("DeleteAutoSnapshotPolicy", &[&[D::AutoPolicyNotFound, D::RegionNotFound, D::Conflict]]),
    ("DescribeAutoSnapshotPolicyAssociations", &[&[D::RegionNotFound, D::NextToken]]),
    ("CopySnapshot", &[KEY, NEW_KEY, WRITES, TAGS, TOKEN, &[
        D::Malformed(F::SnapshotName), D::Malformed(F::Description), D::NotEnoughBalance,
        D::Malformed(F::RetentionDays), D::SnapshotServiceClosed, D::DestinationRegionNotFound,
        D::SnapshotNotFound, D::KeyWithoutEncryption, D::SameRegion,
        D::SnapshotNotReady, D::SnapshotCategory,
    ]]),
    ("CreateSnapshotGroup", &[WRITES, TAGS, TOKEN, &[
        D::RegionNotFound, D::Malformed(F::GroupName), D::Malformed(F::GroupDescription),
        D::DisksAndLeftOut, D::InstanceOrDisksMissing, D::InstanceNotFound, D::DiskNotFound,
        D::NoDisk, D::TooManyDisksInGroup, D::GroupTooLarge, D::DisksNotInSameZone,
        D::CategoryUnsupported, D::MultiAttach, D::RegionalAndNot, D::NotEnoughBalance,
        D::SnapshotServiceClosed, D::CreatingSnapshot, D::DiskStatus, D::NeverAttached,
        D::InstanceLocked, D::InstanceStatus, D::SnapshotQuota,
    ]]),
    ("DescribeSnapshotGroups", &[&[
        D::RegionNotFound, D::GroupIdMustBeOne, D::NextToken,
    ]]),
    ("ModifySnapshotGroup", &[WRITES, &[
        D::RegionNotFound, D::Malformed(F::GroupName), D::Malformed(F::GroupDescription),
        D::SnapshotGroupNotFound,
    ]]),
    ("DeleteSnapshotGroup", &[WRITES, &[
        D::RegionNotFound, D::SnapshotGroupNotFound, D::SnapshotHasDisks, D::SnapshotLocked,
        D::SnapshotHasImages,
    ]]),
    ("LockSnapshot", &[WRITES, TOKEN, &[
        D::RegionNotFound, D::SnapshotNotFound, D::SnapshotNotReady, D::LockNotLonger,
        D::LockOutlivesSnapshot, D::SnapshotNotLocked, D::DryRun,
    ]]),
    ("UnlockSnapshot", &[WRITES, TOKEN, &[
        D::RegionNotFound, D::SnapshotNotFound, D::SnapshotNotLocked, D::SnapshotLocked,
        D::DryRun,
    ]]),
    ("DescribeLockedSnapshots", &[&[
        D::RegionNotFound, D::TooManyIds, D::NextToken, D::DryRun,
    ]]),
    ("DeleteSnapshot", &[WRITES, &[
        D::SnapshotNotFound, D::SnapshotHasDisks, D::SnapshotLocked, D::SnapshotHasImages,
    ]]),
    ("OpenSnapshotService", &[&[D::RegionNotFound]]),
    ("TagResources", &[TAGS, &[
        D::RegionNotFound, D::TooManyIds, D::ResourceNotFound, D::ResourceTypeUnknown,
    ]]),
    ("AddTags", &[TAGS, &[D::RegionNotFound, D::ResourceNotFound, D::ResourceTypeUnknown]]),
    ("RemoveTags", &[&[
        D::RegionNotFound, D::ResourceNotFound, D::ResourceTypeUnknown, D::TooManyTags,
        D::TagWithoutKey,
    ]]),
    ("DescribeTags", &[&[
        D::RegionNotFound, D::ResourceTypeUnknown, D::TooManyTags, D::TagWithoutKey,
        D::Malformed(F::TagCategory),
    ]]),
    ("UntagResources", &[&[
        D::RegionNotFound, D::TooManyIds, D::ResourceNotFound, D::ResourceTypeUnknown,
        D::AllAndKeys,
    ]]),
    ("ListTagResources", &[&[
        D::RegionNotFound, D::TooManyIds, D::TooManyTags, D::TagWithoutKey, D::ResourceTypeUnknown,
        D::TagsAndResourcesMissing, D::NextToken,
    ]]),
];

#[test]
fn every_refusal_that_can_be_met_has_its_row() {
    let mut without = Vec::new();
    for (operation, lists) in REACHABLE {
        for denied in lists.iter().copied().flatten() {
            let error = deny(operation, denied);
            if error.status >= 500 {
                without.push(format!("{operation}: {}", error.detail().unwrap_or_default()));
            }
        }
    }
    assert_eq!(without, Vec::<String>::new());
}

#[test]
fn every_operation_is_listed() {
    let mut listed: Vec<_> = REACHABLE.iter().map(|(operation, _)| *operation).collect();
    // In RAM, STS and KMS a code means the same in every operation: they have no tables.
    let has_table = |product: Product| [Product::ECS, Product::LOCATION].contains(&product);
    let all = FAMILIES.iter().copied().flatten();
    let mut known: Vec<_> = all
        .filter(|operation| has_table(operation.product))
        .map(|operation| operation.name)
        .collect();
    listed.sort_unstable();
    known.sort_unstable();
    assert_eq!(listed, known);
}
