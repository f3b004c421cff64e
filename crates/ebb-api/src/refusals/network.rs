//! What the operations of networks refuse. Statuses and messages are the protocol's own.
//!
//! Kept as a table by hand: one line a code, so that it can be proofread against the reference.

use super::{Refusals, of, row};

#[rustfmt::skip]
pub(super) const TABLE: &[Refusals] = &[
    of("CreateVpc", &[
        row(404, "InvalidRegionId.NotFound", "Specified value of \"regionId\" is not supported."),
        row(400, "InvalidParameter", "Specified CIDR block is not valid"),
        row(400, "InvalidVpcName.Malformed", "Specified VPC name is not valid."),
        row(400, "InvalidVpcDiscription.Malformed", "Specified VPC description is not valid."),
    ]),
    of("DescribeVpcs", &[
        row(404, "InvalidRegionId.NotFound", "The specified RegionId is not found."),
    ]),
    of("DeleteVpc", &[
        row(404, "InvalidVpcId.NotFound", "Specified VPC does not exist."),
        row(400, "DependencyViolation.VSwitch", "Specified object has dependent resources"),
        row(400, "DependencyViolation.SecurityGroup",
            "Specified object has dependent resources SecurityGroup."),
    ]),
    of("CreateVSwitch", &[
        row(404, "InvalidZoneId.NotFound", "Specified zone does not exist."),
        row(404, "InvalidVpcId.NotFound", "Specified VPC does not exist."),
        row(400, "InvalidVSwitchName.Malformed", "Specified virtual switch name is not valid."),
        row(400, "InvalidVSwitchDiscription.Malformed",
            "Specified  virtual switch description is not valid."),
        row(400, "InvalidCidrBlock.Malformed", "Specified CIDR block is not valid."),
        row(400, "InvalidCirdrBlock.MaskLength", "Specified CIDR block is not valid ."),
        row(400, "InvalidParameter", "Specified CIDR block is not valid in VPC."),
        row(400, "InvalidCidrBlock.Overlapped",
            "Specified CIDR block overlapped with other subnets."),
    ]),
    of("DeleteVSwitch", &[
        row(404, "InvalidVSwitchId.NotFound", "VSwitch not exist."),
        row(400, "DependencyViolation", "Specified object has dependent resources."),
    ]),
    of("CreateSecurityGroup", &[
        row(404, "InvalidRegionId.NotFound", "The specified region does not exist."),
        row(404, "InvalidVpcId.NotFound", "Specified VPC does not exist."),
        row(400, "InvalidSecurityGroupName.Malformed",
            "Specified security group name is not valid."),
        row(400, "InvalidSecurityGroupDiscription.Malformed",
            "Specified security group description is not valid."),
        row(400, "InvalidParams.GroupType", "The specified security group type is not valid."),
        row(400, "InvalidTagKey.Malformed", "Specified tag key is not valid."),
        row(400, "InvalidTagValue.Malformed", "Specified tag value is not valid."),
        row(400, "Duplicate.TagKey", "The Tag.N.Key contain duplicate key."),
        row(403, "QuotaExceed.Tags", "The quota of tags on resource is beyond permitted range."),
    ]),
    of("DescribeSecurityGroups", &[
        row(400, "InvalidParameter.SecurityGroupType",
            "The specified SecurityGroupType is not valid."),
        row(400, "InValidParameter.NextToken", "The parameter NextToken is invalid."),
    ]),
    of("DescribeSecurityGroupAttribute", &[
        row(404, "InvalidRegionId.NotFound", "The specified RegionId does not exist."),
        row(404, "InvalidSecurityGroupId.NotFound",
            "The specified SecurityGroupId does not exist."),
    ]),
    of("DeleteSecurityGroup", &[
        row(404, "InvalidSecurityGroup.NotFound", "The specified security group is not found."),
        row(403, "DependencyViolation",
            "There is still instance(s) in the specified security group."),
    ]),
];
