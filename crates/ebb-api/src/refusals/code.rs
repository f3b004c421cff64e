//! The one match from [`Denied`] to a code.

use ebb_domain::{Denied, Field};

/// The code of a refusal. Most are the same in every operation.
pub(super) fn code_of(operation: &str, denied: &Denied) -> &'static str {
    if let Some(code) = own_code(operation, denied) {
        return code;
    }
    match denied {
        Denied::Ram(_) | Denied::Kms(_) => unreachable!("they have no table"),
        Denied::DryRun => "DryRunOperation",
        Denied::Malformed(field) => malformed(*field),
        Denied::Missing(_) | Denied::SizeOrSnapshotMissing => "MissingParameter",
        Denied::RegionNotFound => "InvalidRegionId.NotFound",
        Denied::RegionMalformed => "InvalidRegionId.MalFormed",
        Denied::ZoneNotFound => "InvalidZoneId.NotFound",
        Denied::ImageNotFound => "InvalidImageId.NotFound",
        Denied::InstanceTypeUnknown => "InvalidInstanceType.ValueNotSupported",
        Denied::ZoneAndInstance => "InvalidParam.ZoneIdAndInstanceId.Conflict",
        Denied::NotSubscription => "InvalidInstanceChargeType.ValueNotSupported",
        Denied::NotEnoughBalance => "InvalidAccountStatus.NotEnoughBalance",
        Denied::AccountInArrears => "Account.Arrearage",
        Denied::SnapshotServiceClosed => "InvalidAccountStatus.SnapshotServiceUnavailable",
        Denied::DiskNotFound => "InvalidDiskId.NotFound",
        Denied::DiskDeleted => "Disk.NotFound",
        Denied::NotOnWhiteList => "UserNotInTheWhiteList",
        Denied::CategoryUnknown => "InvalidDiskCategory.ValueNotSupported",
        Denied::CategoryNotOffered => "InvalidDiskCategory.NotSupported",
        Denied::CategoryUnsupported => "DiskCategory.OperationNotSupported",
        Denied::EphemeralFromSnapshot => "InvalidOperation.CreateFromSnapshotUnsupported",
        Denied::EphemeralStays => "InvalidOperation.DiskCategoryUnsupported",
        Denied::PerformanceLevelUnknown => "InvalidPerformanceLevel.Malformed",
        Denied::PerformanceLevelAndSize => "OperationDenied.PerformanceLevelNotMatch",
        Denied::LevelWithoutEssd => "InvalidPerformanceLevelParam.Mismatch",
        Denied::PerformanceLevelTooLow => "InvalidPerformanceLevel.TooLow",
        Denied::SpecUnchanged => "NoChangeInDiskCategoryAndPerformanceLevel",
        Denied::TooManyProvisionedIops => "InvalidProvisionedIops.LimitExceed",
        Denied::TaskNotFound => "InvalidTaskId.NotFound",
        Denied::TaskOver => "InvalidTaskId.IncorrectTaskStatus",
        Denied::MappingMissing => "MissingParameter.DiskDeviceMapping",
        Denied::BucketNotFound => "InvalidOSSBucket.NotFound",
        Denied::ObjectNotFound => "InvalidOSSObject.NotFound",
        Denied::ObjectEmpty => "InvalidOSSObject.Size",
        Denied::ObjectSuffix => "UnsupportedSuffix.OSSObject",
        Denied::ImageFormatUnsupported => "InvalidImageFormat.RegionNotSupported",
        Denied::ImageSize => "InvalidImageSize",
        Denied::DataImageSize => "InvalidDataDiskSize",
        Denied::ImageSameRegion => "RegionNotSupportCopy",
        Denied::SnapshotExporting => "SNAPSHOT_IS_EXPORTING",
        Denied::SnapshotTooYoung => "OperationDenied",
        Denied::TaskNotCancelable => "InvalidTaskId.TaskActionNotSupport",
        Denied::SizeUnknown => "InvalidSize.ValueNotSupported",
        Denied::SizeNotOffered => "InvalidDiskSize.NotSupported",
        Denied::SizeTooSmall => "InvalidDiskSize.TooSmall",
        Denied::SizeUnchanged => "InvalidDiskSize",
        Denied::SizeTooLarge => "InvalidDiskSize.TooLarge",
        Denied::MultiAttachOnline => "InvalidOperation.MultiAttachDiskNotSupportResizeOnline",
        Denied::MultiAttach => "InvalidOperation.MultiAttachDisk",
        Denied::InstanceNotRunning => "InvalidInstanceStatus.NotRunning",
        Denied::MultiAttachUnsupported => "InvalidParameter.DiskCategoryAndMultiAttachNotMatch",
        Denied::ProvisionedIopsUnsupported => "ProvisionedIopsForDiskCategoryUnsupported",
        Denied::BurstingUnsupported => "BurstingEnabledForDiskCategoryUnsupported",
        Denied::EncryptionUnavailable => "InvalidParameter.KmsNotEnabled",
        Denied::ImageEncryption => "InvalidParameter.EncryptedNotSupported",
        Denied::EncryptedByDefault => "InvalidEncrypted.DefaultEncryptionUnsupported",
        Denied::KeyNotFound => "InvalidParameter.KMSKeyId.NotFound",
        Denied::KeyNotEnabled => "InvalidParameter.KMSKeyId.CMKNotEnabled",
        Denied::KeyNotTagged => "InvalidParameter.KMSKeyId.CMKUnauthorized",
        Denied::KeyNotGranted => "InvalidParameter.KMSKeyId.KMSUnauthorized",
        Denied::SnapshotEncryption => "InvalidEncrypted.NotMatchSnapshot",
        Denied::EncryptedStays => "InvalidSnapshot.EncryptedNotSupported",
        Denied::StorageClusterNotFound => "InvalidStorageClusterId.NotExist",
        Denied::KeyWithoutEncryption => "InvalidEncrypted.NotMatchKmsKeyId",
        Denied::TooManyTags => "QuotaExceed.Tags",
        Denied::TagWithoutKey => "InvalidTag.Mismatch",
        Denied::SmallerThanImage => "InvalidSystemDiskSize.LessThanImageSize",
        Denied::DuplicateTagKey => "Duplicate.TagKey",
        Denied::TooEarly => "InvalidStartTime.TooEarly",
        Denied::EndBeforeStart => "InvalidParameter.EndTime",
        Denied::PeriodUnknown => "InvalidPeriod.ValueNotSupported",
        Denied::TooManyPoints => "InvalidParameter.TooManyDataQueried",
        Denied::DiskStatus => "IncorrectDiskStatus",
        Denied::DiskInArrears => "DiskInArrears",
        Denied::UnfinishedSnapshot => "IncorrectDiskStatus.HasUnfinishedSnapshot",
        Denied::CreatingSnapshot => "IncorrectDiskStatus.CreatingSnapshot",
        Denied::DiskCreatingSnapshot => "DiskCreatingSnapshot",
        Denied::NeverAttached => "IncorrectDiskStatus.NeverAttached",
        Denied::NotPortable => "DiskNotPortable",
        Denied::SystemDisk => "DiskTypeViolation",
        Denied::NotBootable => "InvalidDisk.DiskNotBootable",
        Denied::AlreadyDetached => "InvalidDisk.AlreadyDetached",
        Denied::AttachedElsewhere => "DependencyViolation",
        Denied::NotInSameZone => "ResourcesNotInSameZone",
        Denied::TooManyDisks => "InstanceDiskLimitExceeded",
        Denied::DeviceInUse => "InvalidDevice.InUse",
        Denied::InstanceNotFound => "InvalidInstanceId.NotFound",
        Denied::InstanceLocked => "InstanceLockedForSecurity",
        Denied::InstanceExpired => "InstanceExpiredOrInArrears",
        Denied::InstanceStatus => "IncorrectInstanceStatus",
        Denied::InstancesOrRoleMissing => "InvalidParameter.AllEmpty",
        Denied::InstanceOrRenewalMissing => "InvalidParameter.RenewalStatusInstanceId",
        Denied::EndpointUnknown => "Illegal Parameter",
        Denied::ImageIsPublic => "ImageIsPublic",
        Denied::ImageInUse => "ImageUsingByInstance",
        Denied::ImageNotAvailable => "ImageStatus.NotAvailable",
        Denied::ImageNotDeprecated => "ImageStatus.NotDeprecated",
        Denied::ImageSourceMissing => "MissingParameter",
        Denied::NoSystemDisk => "InvalidInstance.NotFoundSystemDisk",
        Denied::SnapshotHasImages => "SnapshotCreatedImage",
        Denied::DiskQuota => "QuotaExceed.DiskCapacity",
        Denied::VpcNotFound => "InvalidVpcId.NotFound",
        Denied::VSwitchNotFound => "InvalidVSwitchId.NotFound",
        Denied::SecurityGroupNotFound => "InvalidSecurityGroupId.NotFound",
        Denied::CidrLength => "InvalidCirdrBlock.MaskLength",
        Denied::CidrOutsideVpc => "InvalidParameter",
        Denied::CidrOverlaps => "InvalidCidrBlock.Overlapped",
        Denied::VpcHasVSwitches => "DependencyViolation.VSwitch",
        Denied::VpcHasSecurityGroups => "DependencyViolation.SecurityGroup",
        Denied::NetworkInUse => "DependencyViolation",
        Denied::UserDataTooLong => "InvalidUserData.SizeExceeded",
        Denied::PayAsYouGo => "ChargeTypeViolation",
        Denied::TypeAndShape => "InvalidParam.TypeAndCpuMem.Conflict",
        Denied::DeletionProtected => "InvalidOperation.DeletionProtection",
        Denied::DiskNotReady => "DiskError",
        Denied::SnapshotNotFound => "InvalidSnapshotId.NotFound",
        Denied::SnapshotNotReady => "InvalidSnapshotId.NotReady",
        Denied::SnapshotMismatch => "InvalidParameter.Mismatch",
        Denied::SnapshotTooOld => "InvalidSnapshot.TooOld",
        Denied::SnapshotCategory => "OperationDenied.SnapshotNotAllowed",
        Denied::SystemSnapshot => "InvalidSnapshotId.NotDataDiskSnapshot",
        Denied::SourceSnapshotGone => "InvalidSourceSnapshot",
        Denied::SnapshotGroupNotFound => "InvalidSnapshotGroup.NotFound",
        Denied::DisksAndLeftOut => "InvalidParam.ExcludeDiskIdsAndDiskIds.Conflict",
        Denied::InstanceOrDisksMissing => "MissingParamter.InstanceId",
        Denied::NoDisk => "InvalidInstance.NoDisk",
        Denied::TooManyDisksInGroup => "NumberExceed.TooManyDisks",
        Denied::GroupTooLarge => "CapacityExceed.TooManyDisks",
        Denied::DisksNotInSameZone => "InvalidDiskIds.NotInSameZone",
        Denied::RegionalAndNot => "InvalidDisk.DiskCategoryInconsistent",
        Denied::GroupIdMustBeOne => "InvalidSnapshotGroupId.MustBeOne",
        Denied::AutoPolicyNotFound => "ParameterInvalid",
        Denied::AutoPolicyQuota => "AutoSnapshotPolicy.QuotaExceed",
        Denied::CopyRegions => "InvalidParameter.TargetCopyRegions",
        Denied::SameRegion => "InvalidOperation.NotSupportCopyInSameRegion",
        Denied::DestinationRegionNotFound => "InvalidRegionId.NotExists",
        Denied::SnapshotHasDisks => "SnapshotCreatedDisk",
        Denied::SnapshotQuota => "QuotaExceed.Snapshot",
        Denied::RetentionDecreased => "InvalidOperation.DecreaseRetentionDaysUnsupported",
        Denied::SnapshotLocked => "OperationDenied.SnapshotLocked",
        Denied::SnapshotNotLocked => "InvalidSnapshotLock.NotFound",
        Denied::LockNotLonger => "InvalidOperation.DecreaseLockDurationUnsupported",
        Denied::LockOutlivesSnapshot => "InvalidOperation.LockExceedsRetention",
        Denied::Conflict => "Operation.Conflict",
        Denied::TokenMismatch => "IdempotentParameterMismatch",
        Denied::TokenProcessing => "IdempotentProcessing",
        Denied::DiskIdOrDiskIdsMissing => "MissingParameter.DiskIdOrDiskIds",
        Denied::DiskIdAndDiskIds => "ParameterConflict.DiskIdAndDiskIds",
        Denied::NothingToModify => "NoAttributeToModify",
        Denied::TooManyIds => "InvalidParameter.TooManyInstanceIds",
        Denied::ResourceNotFound => "InvalidResourceId.NotFound",
        Denied::ResourceTypeUnknown => "InvalidResourceType.NotFound",
        Denied::TagsAndResourcesMissing => "BothEmpty.TagsAndResources",
        Denied::AllAndKeys => "Param.Conflict",
        Denied::FilterUnknown => "InvalidFilterKey.NotFound",
        Denied::FilterValue => "InvalidFilterValue",
        Denied::NextToken => "InvalidNextToken",
    }
}

/// Where an operation has a code of its own for it.
fn own_code(operation: &str, denied: &Denied) -> Option<&'static str> {
    Some(match (operation, denied) {
        ("ExportSnapshot", Denied::EncryptedStays) => "ExportSnapshotFailed",
        // A key that is gone has no code there; it cannot be enabled either.
        ("AttachDisk" | "ReInitDisk" | "ResetDisks" | "StartInstances", Denied::KeyNotFound)
        | ("StartInstances", Denied::KeyNotTagged) => "InvalidParameter.KMSKeyId.CMKNotEnabled",
        // Nor has a key without the tag: the store has no right to use it.
        ("CopyImage", Denied::KeyNotTagged) => "InvalidParameter.KMSKeyId.KMSUnauthorized",
        ("ReplaceSystemDisk", Denied::ImageEncryption) => "OperationDenied.ImageNotValid",
        ("DescribeDisks", Denied::RegionNotFound) => "InvalidRegion.NotFound",
        ("DescribeDisks", Denied::TooManyIds) => "InvalidDiskIds.Malformed",
        (
            "DescribeDisks" | "DescribeSnapshots" | "DescribeInstances" | "DescribeImages",
            Denied::TooManyTags,
        ) => "InvalidTagCount",
        ("DescribeSnapshots", Denied::TooManyIds) => "InvalidSnapshotIds.Malformed",
        ("DescribeSnapshots" | "DescribeInstances", Denied::Malformed(Field::Status)) => {
            "InvalidStatus.NotFound"
        }
        ("DescribeLockedSnapshots", Denied::TooManyIds) => "InvalidSnapshotIds.Malformed",
        // No code of it is documented, and a lock is another call's doing.
        ("DeleteSnapshot", Denied::SnapshotLocked) => "Operation.Conflict",
        ("DeleteSnapshotGroup", Denied::SnapshotLocked | Denied::Conflict) => "Operation.Forbidden",
        ("CreateSnapshotGroup", Denied::CategoryUnsupported) => "IncorrectDiskType.NotSupport",
        ("CreateAutoSnapshotPolicy", Denied::KeyNotFound) => "InvalidOperation.KMSKeyIdNotFound",
        (
            "CreateAutoSnapshotPolicy" | "ModifyAutoSnapshotPolicyEx",
            Denied::KeyWithoutEncryption,
        ) => "InvalidParameter.EncryptedIllegal",
        ("CreateAutoSnapshotPolicy", Denied::TooManyTags) => "InvalidTagKey.Malformed",
        ("DeleteAutoSnapshotPolicy", Denied::RegionNotFound) => "ParameterInvalid",
        ("DescribeAutoSnapshotPolicyEx", Denied::TooManyTags) => "InvalidTagCount",
        ("CopySnapshot", Denied::TooManyTags) => "InvalidParamter",
        ("CopySnapshot", Denied::SnapshotCategory) => "InvalidSnapshotCategory.NotSupportCopy",
        ("AddTags", Denied::TooManyTags) => "OperationDenied.QuotaExceed",
        ("RemoveTags" | "DescribeTags", Denied::TooManyTags) => "InvalidTagCount",
        ("RemoveTags" | "DescribeTags", Denied::TagWithoutKey) => "InvalidTagKey.Malformed",
        ("CreateDisk", Denied::TokenProcessing) => "LastTokenProcessing",
        ("ResetDisk" | "ResetDisks", Denied::SnapshotCategory) => "OperationDenied",
        ("ResizeDisk", Denied::CategoryUnsupported) => "OperationDenied",
        ("ModifyDiskSpec" | "ModifyDiskDeployment", Denied::CategoryUnsupported) => {
            "OperationDenied"
        }
        ("RunInstances" | "CreateInstance", Denied::SnapshotTooOld) => {
            "InvalidSnapshotId.BasedSnapshotTooOld"
        }
        ("RunInstances" | "CreateInstance", Denied::Malformed(Field::Device)) => {
            "InvalidDataDevice.Malformed"
        }
        ("CreateInstance", Denied::SnapshotNotFound) => "InvalidDataDiskSnapshotId.NotFound",
        ("CreateInstance", Denied::SnapshotCategory) => "InvalidSnapshotId.NotReady",
        ("CreateInstance", Denied::ProvisionedIopsUnsupported | Denied::BurstingUnsupported) => {
            "InvalidDiskCategory.NotSupported"
        }
        ("CreateVpc", Denied::Malformed(Field::CidrBlock)) => "InvalidParameter",
        ("CreateVpc", Denied::Malformed(Field::Description)) => "InvalidVpcDiscription.Malformed",
        ("CreateVSwitch", Denied::Malformed(Field::NetworkName)) => "InvalidVSwitchName.Malformed",
        ("CreateVSwitch", Denied::Malformed(Field::Description)) => {
            "InvalidVSwitchDiscription.Malformed"
        }
        ("CreateSecurityGroup", Denied::Malformed(Field::NetworkName)) => {
            "InvalidSecurityGroupName.Malformed"
        }
        ("CreateSecurityGroup", Denied::Malformed(Field::Description)) => {
            "InvalidSecurityGroupDiscription.Malformed"
        }
        ("DescribeSecurityGroups", Denied::Malformed(Field::SecurityGroupType)) => {
            "InvalidParameter.SecurityGroupType"
        }
        ("DescribeSecurityGroups", Denied::NextToken) => "InValidParameter.NextToken",
        ("DeleteSecurityGroup", Denied::SecurityGroupNotFound) => "InvalidSecurityGroup.NotFound",
        ("DescribeDisksFullStatus", Denied::TooManyIds) => "DiskIdLimitExceeded",
        (
            "DescribeDisksFullStatus",
            Denied::Malformed(Field::Status) | Denied::TooManyTags | Denied::TagWithoutKey,
        ) => "InvalidParameter",
        ("DescribeEndpoints", Denied::RegionNotFound) => "InvalidRegionId",
        ("ModifyDiskChargeType", Denied::DiskNotFound) => "InvalidDiskIds.NotFound",
        ("CreateImage", Denied::TokenMismatch) => "InvalidParamter.Conflict",
        ("CreateImage", Denied::SnapshotCategory) => {
            "InvalidSnapshotCategory.NotSupportImageCreation"
        }
        ("CreateImage", Denied::CategoryUnsupported) => "InvalidDiskCategory.CreateImage",
        ("CreateImage", Denied::SizeUnknown) => "InvalidSize.ValueNotSupported",
        ("ModifyImageAttribute", Denied::Malformed(Field::Status)) => "ImageStatus.NotAvailable",
        ("ExportSnapshot", Denied::SnapshotNotReady) => "SNAPSHOT_CREATE_NOT_FINISHED",
        ("ExportSnapshot", Denied::Malformed(Field::Bucket)) => "InvalidOSSBucket.NotFound",
        (
            "ImportImage" | "CopyImage",
            Denied::TooManyTags
            | Denied::DuplicateTagKey
            | Denied::Malformed(Field::TagKey | Field::TagValue),
        ) => "InvalidParameter",
        ("DescribeSnapshotLinks", Denied::RegionNotFound) => "InvalidRegionId",
        ("DescribeSnapshotLinks", Denied::Malformed(Field::DiskIds)) => "InvalidDiskIds",
        ("DescribeSnapshotsUsage", Denied::RegionNotFound) => "InvalidParam.RegionId",
        ("DescribeSnapshotMonitorData", Denied::EndBeforeStart) => "InvalidEndTime.Malformed",
        ("CopyImage", Denied::RegionNotFound) => "SourceRegion.NotFound",
        ("CopyImage", Denied::DestinationRegionNotFound) => "DestinationRegion.NotFound",
        ("CopyImage", Denied::ImageNotAvailable) => "IncorrectImageStatus",
        ("ImportImage", Denied::Malformed(Field::Device)) => "InvalidParameter.Malformed",
        ("DeleteImage", Denied::Conflict) => "OperationDenied.ImageCopying",
        ("DeleteSnapshotGroup", Denied::SnapshotHasImages) => "Operation.Forbidden",
        ("DescribeInstanceRamRole", Denied::TooManyIds) => "InvalidInstanceIds.Malformed",
        ("DescribeInstanceMaintenanceAttributes", Denied::TooManyIds) => "InstanceIdLimitExceeded",
        ("DescribeInstanceAutoRenewAttribute", Denied::TooManyIds) => {
            "InvalidParameter.ToManyInstanceIds"
        }
        ("DescribeInstanceAutoRenewAttribute", Denied::InstanceNotFound) => {
            "InvalidParameter.InvalidInstanceId"
        }
        ("DescribeAvailableResource", Denied::Malformed(Field::InstanceChargeType)) => {
            "Invalid.InstanceChargeType"
        }
        ("StartInstance" | "StartInstances", Denied::InstanceExpired) => "InstanceExpired",
        ("StartInstance" | "StartInstances", Denied::NotEnoughBalance) => "InsufficientBalance",
        ("StartInstances", Denied::DiskNotReady) => "IncorrectInstanceStatus",
        (
            "StartInstances" | "StopInstances" | "RebootInstances" | "DeleteInstances",
            Denied::DryRun,
        ) => "DRYRUN.SUCCESS",
        ("TagResources" | "UntagResources" | "ListTagResources", Denied::TooManyIds) => {
            "NumberExceed.ResourceIds"
        }
        ("TagResources" | "ListTagResources", Denied::TooManyTags) => "NumberExceed.Tags",
        ("ListTagResources", Denied::NextToken) => "Invalid.NextToken",
        _ => return None,
    })
}

fn malformed(field: Field) -> &'static str {
    match field {
        Field::DiskName => "InvalidDiskName.Malformed",
        Field::SnapshotName => "InvalidSnapshotName.Malformed",
        Field::InstanceName => "InvalidInstanceName.Malformed",
        Field::ImageName => "InvalidImageName.Malformed",
        Field::HostName => "InvalidHostName.Malformed",
        Field::UserData => "InvalidUserData.Base64FormatInvalid",
        Field::NetworkName => "InvalidVpcName.Malformed",
        Field::CidrBlock => "InvalidCidrBlock.Malformed",
        Field::SecurityGroupType => "InvalidParams.GroupType",
        Field::RenewalStatus => "InvalidParameter.RenewalStatus",
        Field::PageNumber => "InvalidParameter.PageNumber",
        Field::PageSize => "InvalidParameter.PageSize",
        Field::DestinationResource => "Invalid.DestinationResource",
        Field::Scope => "InvalidParameter.Scope",
        Field::AvailableResourceType => "Invalid.ResourceType",
        Field::GroupName => "InvalidParameter.Name",
        Field::GroupDescription => "InvalidParameter.Description",
        Field::Description => "InvalidDescription.Malformed",
        Field::TagKey => "InvalidTagKey.Malformed",
        Field::TagValue => "InvalidTagValue.Malformed",
        Field::RetentionDays => "InvalidRetentionDays.Malformed",
        Field::SnapshotCategory => "InvalidSnapshotCategory.Malformed",
        Field::Device => "InvalidDevice.Malformed",
        Field::MultiAttach => "InvalidParameter.MultiAttach",
        Field::DeleteWithInstance => "InvalidParameter.DeleteWithInstance",
        Field::LinkIds => "InvalidSnapshotLinkIds",
        Field::DiskIds => "InvalidParameter.DiskIds",
        Field::Status => "InvalidStatus.ValueNotSupported",
        Field::DiskType => "InvalidDiskType.ValueNotSupported",
        Field::CategoryFilter => "InvalidCategory.ValueNotSupported",
        Field::DiskChargeType => "InvalidDiskChargeType.NotFound",
        Field::InstanceChargeType => "InvalidInstanceChargeType.NotFound",
        Field::InstanceNetworkType => "InvalidNetworkType.NotFound",
        Field::LockReason => "InvalidLockReason.NotFound",
        Field::Usage => "InvalidUsage",
        Field::SourceDiskType => "InvalidSourceDiskType",
        Field::SnapshotType => "InvalidSnapshotType.NotFound",
        Field::StartTime => "InvalidStartTime.Malformed",
        Field::EndTime => "InvalidEndTime.Malformed",
        Field::Amount => "InvalidParam.Amount",
        Field::SystemDiskCategory => "InvalidSystemDiskCategory.ValueNotSupported",
        Field::SystemDiskSize => "InvalidSystemDiskSize.ValueNotSupported",
        Field::DataDiskCategory => "InvalidDataDiskCategory.ValueNotSupported",
        Field::DataDiskSize => "InvalidDataDiskSize.ValueNotSupported",
        Field::TagCategory => "Invalid.TagCategory",
        Field::PolicyName => "InvalidSnapshotPolicyName.Malformed",
        Field::PolicySlots | Field::PolicyRetention => "ParameterInvalid",
        Field::CopyRetention => "InvalidParameter.CopiedSnapshotsRetentionDays",
        Field::Bucket => "InvalidOSSBucket.Malformed",
        Field::Object => "InvalidOSSObject.Malformed",
        Field::ImageFormat => "InvalidImageFormat.Malformed",
        Field::Architecture => "InvalidArchitecture.Malformed",
        Field::OsType => "InvalidOSType.Malformed",
        Field::BootMode => "InvalidBootMode.Malformed",
        Field::LicenseType => "InvalidLicenseType.NotSupported",
        Field::ResizeType => "InvalidParam.Type",
    }
}
