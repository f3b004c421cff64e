//! What the operations of images refuse. Statuses and messages are the protocol's own.
//!
//! Kept as a table by hand: one line a code, so that it can be proofread against the reference.

use super::{Refusals, of, row};

#[rustfmt::skip]
pub(super) const TABLE: &[Refusals] = &[
    of("CreateImage", &[
        row(400, "InvalidImageName.Malformed", "The specified Image name is wrongly formed."),
        row(400, "InvalidDescription.Malformed", "The specified description is wrongly formed."),
        row(400, "Duplicate.TagKey", "The Tag.N.Key contain duplicate key."),
        row(400, "InvalidTagKey.Malformed", "The specified Tag.n.Key is not valid."),
        row(400, "InvalidTagValue.Malformed", "The specified Tag.n.Value is not valid."),
        row(403, "QuotaExceed.Tags", "The quota of tags on resource is beyond permitted range."),
        row(403, "InvalidParamter.Conflict",
            "The specified same token is trying to make requests with different parameters."),
        row(403, "InvalidAccountStatus.NotEnoughBalance",
            "Your account does not have enough balance."),
        row(403, "InvalidAccountStatus.SnapshotServiceUnavailable",
            "Snapshot service has not been opened yet."),
        row(404, "InvalidInstanceId.NotFound", "The specified InstanceId does not exist."),
        row(400, "InvalidInstance.NotFoundSystemDisk",
            "The specified instance does not have system disk."),
        row(400, "InstanceLockedForSecurity",
            "The specified operation is denied as your instance is locked for security reasons."),
        row(400, "IncorrectInstanceStatus",
            "The current status of the instance does not support this operation."),
        row(403, "IncorrectDiskStatus", "The current disk status does not support this operation."),
        row(403, "IncorrectDiskStatus.CreatingSnapshot",
            "A previous snapshot creation is in process."),
        row(403, "IncorrectDiskStatus.NeverAttached",
            "The specified disk has never been attached to instance."),
        row(403, "QuotaExceed.Snapshot", "The snapshot quota exceeds."),
        row(400, "MissingParameter",
            "The input parameter SnapshotId or InstanceId or DiskDeviceMapping that is mandatory \
             for processing this request is not supplied."),
        row(404, "InvalidSnapshotId.NotFound", "The specified SnapshotId does not exist."),
        row(403, "InvalidSnapshotId.NotReady",
            "The current status of the DiskDeviceMapping.n.SnapshotId or SnapshotId does not \
             support this operation."),
        row(403, "InvalidSnapshot.TooOld",
            "This operation is denied because the specified snapshot by \
             DiskDeviceMapping.n.SnapshotId or SnapshotId is created before 2013-07-15."),
        row(403, "InvalidSnapshotCategory.NotSupportImageCreation",
            "The specified snapshot category does not support create image."),
        row(400, "InvalidDevice.Malformed",
            "The specified parameter DiskDeviceMapping.n.Device is not valid."),
        row(400, "InvalidDevice.InUse",
            "The specified parameter DiskDeviceMapping.n.Device has been occupied."),
        row(400, "InvalidSize.ValueNotSupported",
            "The specified parameter DiskDeviceMapping.n.Size beyond the permitted range."),
        row(400, "InvalidDiskCategory.CreateImage",
            "The specified diskCategory is not allowed to create image."),
    ]),
    of("ModifyImageAttribute", &[
        row(404, "InvalidImageId.NotFound", "The specified ImageId does not exist."),
        row(400, "InvalidImageName.Malformed", "The specified Image name is wrongly formed."),
        row(400, "InvalidDescription.Malformed", "The specified description is wrongly formed."),
        row(403, "ImageStatus.NotAvailable", "The specified image status is not available."),
        row(403, "ImageStatus.NotDeprecated", "The specified image status is not deprecated."),
    ]),
    of("DeleteImage", &[
        row(404, "InvalidImageId.NotFound", "The specified ImageId does not exist."),
        row(403, "ImageIsPublic", "You can not delete public image, please modify it to private."),
        row(403, "ImageUsingByInstance", "The specified image has been used to create instances."),
        row(403, "OperationDenied.ImageCopying", "The Image is coping."),
    ]),
    of("DescribeImages", &[
        row(404, "InvalidFilterKey.NotFound", "The specified Filter Key is not found."),
        row(400, "InvalidTag.Mismatch", "The specified Tag.n.Key and Tag.n.Value are not match."),
        row(400, "InvalidTagCount", "The specified tags are beyond the permitted range."),
    ]),
];
