//! What the operations of the catalogue and tags refuse. Statuses and messages are the protocol's
//! own.
//!
//! Kept as a table by hand: one line a code, so that it can be proofread against the reference.

use super::{Refusals, of, row};

#[rustfmt::skip]
pub(super) const TABLE: &[Refusals] = &[
    of("DescribeZones", &[
        row(404, "InvalidRegionId.NotFound", "The specified RegionId does not exist."),
    ]),
    of("DescribeImages", &[
        row(404, "InvalidFilterKey.NotFound", "The specified Filter Key is not found."),
    ]),
    of("TagResources", &[
        row(404, "InvalidRegionId.NotFound",
            "The RegionId provided does not exist in our records."),
        row(400, "NumberExceed.ResourceIds",
            "The ResourceIds parameter's number is exceed , Valid : 50."),
        row(400, "NumberExceed.Tags", "The Tags parameter's number is exceed , Valid : 20."),
        row(400, "Duplicate.TagKey", "The Tag.N.Key contain duplicate key."),
        row(400, "InvalidTagKey.Malformed", "The specified Tag.n.Key is not valid."),
        row(400, "InvalidTagValue.Malformed", "The specified Tag.n.Value is not valid."),
        row(404, "InvalidResourceId.NotFound",
            "The specified ResourceIds are not found in our records."),
        row(404, "InvalidResourceType.NotFound",
            "The ResourceType provided does not exist in our records."),
        row(404, "MissingParameter.RegionId", "The parameter - RegionId should not be null."),
        row(404, "MissingParameter.ResourceType",
            "The parameter - ResourceType should not be null."),
        row(404, "MissingParameter.ResourceIds",
            "The parameter - ResourceIds.N should not be null."),
        row(404, "MissingParameter.Tags", "The parameter - Tags should not be null."),
    ]),
    of("UntagResources", &[
        row(404, "InvalidRegionId.NotFound",
            "The RegionId provided does not exist in our records."),
        row(400, "NumberExceed.ResourceIds",
            "The ResourceIds parameter's number is exceed , Valid : 50"),
        row(404, "InvalidResourceId.NotFound",
            "The specified ResourceIds are not found in our records."),
        row(404, "InvalidResourceType.NotFound",
            "The ResourceType provided does not exist in our records."),
        row(403, "Param.Conflict",
            "The specified all is true, but the specified TagKey.N is not empty."),
        row(404, "MissingParameter.RegionId", "The parameter - RegionId should not be null"),
        row(404, "MissingParameter.ResourceType",
            "The parameter - ResourceType should not be null"),
        row(404, "MissingParameter.ResourceIds",
            "The parameter - ResourceIds.N should not be null"),
    ]),
    of("ListTagResources", &[
        row(404, "InvalidRegionId.NotFound",
            "The RegionId provided does not exist in our records."),
        row(400, "NumberExceed.ResourceIds",
            "The ResourceIds parameter's number is exceed , Valid : 50."),
        row(400, "NumberExceed.Tags", "The Tags parameter's number is exceed , Valid : 20."),
        row(404, "InvalidResourceType.NotFound",
            "The ResourceType provided does not exist in our records."),
        row(403, "BothEmpty.TagsAndResources",
            "The specified Tags and ResourcesIds are not allow to both empty."),
        row(403, "Invalid.NextToken", "The specified NextToken is not valid."),
        row(404, "MissingParameter.RegionId", "The parameter - RegionId should not be null."),
        row(404, "MissingParameter.ResourceType",
            "The parameter - ResourceType should not be null."),
        row(400, "InvalidTag.Mismatch",
            "The specified Tag.n.Key and Tag.n.Value are not match."),
    ]),
];
