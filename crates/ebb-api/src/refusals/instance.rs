//! What the operations of instances refuse. Statuses and messages are the protocol's own.
//!
//! Kept as a table by hand: one line a code, so that it can be proofread against the reference.

use super::{Refusals, of, row};

#[rustfmt::skip]
pub(super) const TABLE: &[Refusals] = &[
    of("RunInstances", &[
        row(404, "InvalidRegionId.NotFound",
            "The RegionId provided does not exist in our records."),
        row(404, "InvalidZoneId.NotFound", "The ZoneId provided does not exist in our records."),
        row(404, "InvalidImageId.NotFound", "The specified ImageId does not exist."),
        row(400, "InvalidInstanceType.ValueNotSupported",
            "The specified InstanceType beyond the permitted range."),
        row(403, "InvalidParam.Amount", "The specified Amount is not valid: 1 to 100."),
        row(400, "InvalidInstanceName.Malformed",
            "The specified parameter \"InstanceName\" is not valid."),
        row(400, "InvalidDescription.Malformed",
            "The specified parameter \"Description\" is not valid."),
        row(400, "Duplicate.TagKey", "The Tag.N.Key contain duplicate key."),
        row(400, "InvalidTagKey.Malformed", "The specified Tag.n.Key is not valid."),
        row(400, "InvalidTagValue.Malformed", "The specified Tag.n.Value is not valid."),
        row(403, "QuotaExceed.Tags", "The quota of tags on resource is beyond permitted range."),
        row(403, "InvalidAccountStatus.NotEnoughBalance",
            "Your account does not have enough balance."),
        row(403, "Account.Arrearage", "Your account has been in arrears."),
        row(403, "InstanceDiskLimitExceeded",
            "The amount of the disk on instance reach its limits."),
        row(400, "InvalidDiskName.Malformed",
            "The specified parameter \"SyatemDisk.DiskName or DataDisk.n.DiskName\" is not \
             valid."),
        row(400, "InvalidSystemDiskCategory.ValueNotSupported",
            "The specified parameter \"SystemDisk.Category\" is not valid."),
        row(400, "InvalidSystemDiskSize.ValueNotSupported",
            "The specified SystemDisk.Size is not valid: from the image's size to 2048 GiB, \
             and within its category."),
        row(400, "InvalidDataDiskCategory.ValueNotSupported",
            "The specified parameter \"DataDisk.n.Category\" is not valid."),
        row(400, "InvalidDataDiskSize.ValueNotSupported",
            "The specified DataDisk.n.Size beyond the permitted range, or the capacity of \
             snapshot exceeds the size limit of the specified disk category."),
        row(400, "InvalidDataDevice.Malformed",
            "The specified parameter \"DataDisk.n.Device\" is not valid."),
        row(403, "InvalidDevice.InUse", "The specified device has been occupied."),
        row(400, "InvalidPerformanceLevel.Malformed",
            "The specified parameter DataDisk.n.PerformanceLevel is not valid."),
        row(403, "OperationDenied.PerformanceLevelNotMatch",
            "The specified DataDisk.n.PerformanceLevel and DataDisk.n.Size do not match."),
        row(400, "ProvisionedIopsForDiskCategoryUnsupported",
            "The specified disk category does not support provisioned iops."),
        row(400, "BurstingEnabledForDiskCategoryUnsupported",
            "The specified disk category does not support bursting enabled."),
        row(403, "UserNotInTheWhiteList", "The user is not in byok white list."),
        row(400, "InvalidParameter.KmsNotEnabled",
            "Failed to perform this operation because KMS is not activated."),
        row(400, "InvalidSnapshotId.NotFound", "The specified parameter SnapshotId is not exist."),
        row(403, "InvalidSnapshotId.NotReady", "The specified snapshot has not completed yet."),
        row(400, "InvalidSnapshotId.BasedSnapshotTooOld",
            "The specified snapshot is created before 2013-07-15."),
        row(403, "OperationDenied.SnapshotNotAllowed",
            "The specified snapshot is not allowed to create disk."),
        row(403, "InvalidSnapshotId.NotDataDiskSnapshot",
            "The specified snapshot is system disk snapshot."),
        row(404, "InvalidSystemDiskSize.LessThanImageSize",
            "The specified parameter SystemDisk.Size is less than the image size."),
    ]),
    of("StartInstance", &[
        row(404, "InvalidInstanceId.NotFound", "The specified InstanceId does not exist."),
        row(403, "InstanceLockedForSecurity",
            "The specified operation is denied as your instance is locked for security \
             reasons."),
        row(403, "InstanceExpired",
            "The postPaid instance has been expired.Please ensure your account have enough \
             balance."),
        row(403, "InsufficientBalance", "Your account does not have enough balance."),
        row(403, "IncorrectInstanceStatus",
            "The current status of the resource does not support this operation."),
        row(403, "DiskError", "IncorrectDiskStatus."),
    ]),
    of("StartInstances", &[
        row(404, "InvalidInstanceId.NotFound", "The specified InstanceId does not exist."),
        row(403, "InvalidParameter.TooManyInstanceIds", "Instance ids cannot be more than 100."),
        row(403, "InstanceLockedForSecurity",
            "The specified operation is denied as your instance is locked for security \
             reasons."),
        row(403, "InstanceExpired",
            "The postPaid instance has been expired.Please ensure your account have enough \
             balance."),
        row(403, "InsufficientBalance", "Your account does not have enough balance."),
        row(403, "IncorrectInstanceStatus",
            "The current status of the resource does not support this operation."),
        row(400, "DRYRUN.SUCCESS", "This request is a dryrun request with successful result."),
    ]),
    of("StopInstance", &[
        row(404, "InvalidInstanceId.NotFound", "The specified InstanceId does not exist."),
        row(403, "InstanceLockedForSecurity",
            "The specified operation is denied as your instance is locked for security \
             reasons."),
        row(403, "InstanceExpiredOrInArrears",
            "The specified operation is denied as your prepay instance is expired (prepay \
             mode) or in arrears (afterpay mode)."),
        row(403, "IncorrectInstanceStatus",
            "The current status of the resource does not support this operation."),
    ]),
    of("StopInstances", &[
        row(404, "InvalidInstanceId.NotFound", "The specified InstanceId does not exist."),
        row(403, "InvalidParameter.TooManyInstanceIds", "Instance ids cannot be more than 100."),
        row(403, "InstanceLockedForSecurity",
            "The specified operation is denied as your instance is locked for security \
             reasons."),
        row(403, "InstanceExpiredOrInArrears",
            "The specified operation is denied as your prepay instance is expired (prepay \
             mode) or in arrears (afterpay mode)."),
        row(403, "IncorrectInstanceStatus",
            "The current status of the resource does not support this operation."),
        row(400, "DRYRUN.SUCCESS", "This request is a dryrun request with successful result."),
    ]),
    of("RebootInstance", &[
        row(404, "InvalidInstanceId.NotFound", "The specified InstanceId does not exist."),
        row(403, "InstanceLockedForSecurity",
            "The specified operation is denied as your instance is locked for security \
             reasons."),
        row(403, "InstanceExpiredOrInArrears",
            "The specified operation is denied as your prepay instance is expired (prepay \
             mode) or in arrears (afterpay mode)."),
        row(403, "IncorrectInstanceStatus",
            "The current status of the resource does not support this operation."),
    ]),
    of("DeleteInstance", &[
        row(404, "InvalidInstanceId.NotFound", "The specified InstanceId does not exist."),
        row(403, "IncorrectInstanceStatus",
            "The current status of the resource does not support this operation."),
        row(403, "InvalidOperation.DeletionProtection",
            "The operation is not allowed due to deletion protection."),
    ]),
    of("DeleteInstances", &[
        row(404, "InvalidInstanceId.NotFound", "The specified InstanceId does not exist."),
        row(403, "InvalidParameter.TooManyInstanceIds", "Instance ids cannot be more than 100."),
        row(403, "IncorrectInstanceStatus",
            "The current status of the resource does not support this operation."),
        row(403, "InvalidOperation.DeletionProtection",
            "The operation is not allowed due to deletion protection."),
        row(400, "DRYRUN.SUCCESS", "This request is a dryrun request with successful result."),
    ]),
    of("DescribeInstances", &[
        row(404, "InvalidStatus.NotFound", "The specified Status is not found."),
        row(404, "InvalidLockReason.NotFound", "The specified LockReason is not found."),
        row(404, "InvalidFilterKey.NotFound", "Invalid filter.Key."),
        row(404, "InvalidFilterValue", "Invalid filter.Value."),
        row(400, "InvalidTagCount", "The specified tags are beyond the permitted range."),
        row(400, "InvalidTag.Mismatch",
            "The specified Tag.n.Key and Tag.n.Value are not match."),
        row(404, "InvalidInstanceChargeType.NotFound",
            "The InstanceChargeType does not exist in our records."),
        row(404, "InvalidNetworkType.NotFound", "The specified InstanceNetworkType is not found."),
    ]),
    of("DescribeInstanceStatus", &[
        row(404, "InvalidZoneId.NotFound", "The ZoneId provided does not exist in our records."),
        row(403, "InvalidParameter.TooManyInstanceIds", "Instance ids cannot be more than 100."),
    ]),
];
