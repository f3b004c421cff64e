//! AddTags, RemoveTags and DescribeTags (api.md §3.6): the older ones, that some clients call.

use ebb_api_derive::Params;
use ebb_control::{TagCount, TagCountQuery};
use ebb_domain::{Denied, Field, RegionId};
use serde::Serialize;

use super::common::{Done, PageNumber, PageSize, Paged, TagParam, tag_filters, tags};
use super::tag::kind;
use crate::refusals::{deny, refused};
use crate::{ApiError, Context, Operation, OperationDef};

/// The family.
pub const OPERATIONS: &[OperationDef] = &[
    OperationDef::of::<AddTags>(),
    OperationDef::of::<RemoveTags>(),
    OperationDef::of::<DescribeTags>(),
];

/// Gives a resource tags. One whose key is there gets the new value.
#[derive(Debug, Params)]
pub struct AddTags {
    /// Where.
    pub region_id: RegionId,
    /// `disk`, `snapshot` or `instance`.
    pub resource_type: String,
    /// Which.
    pub resource_id: String,
    /// Up to 20.
    #[param(required)]
    pub tag: Vec<TagParam>,
}

impl Operation for AddTags {
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        let kind = kind("AddTags", &self.resource_type)?;
        let tags = tags(self.tag);
        cx.control
            .tag_resources(&cx.account, &self.region_id, kind, &[self.resource_id], &tags)
            .map_err(refused("AddTags"))?;
        Ok(Done {})
    }
}

/// Takes tags from a resource. One that it does not have is no error.
#[derive(Debug, Params)]
pub struct RemoveTags {
    /// Where.
    pub region_id: RegionId,
    /// `disk`, `snapshot` or `instance`.
    pub resource_type: String,
    /// Which.
    pub resource_id: String,
    /// 1 to 20. With a value only where the tag has that.
    pub tag: Vec<TagParam>,
}

impl Operation for RemoveTags {
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        let kind = kind("RemoveTags", &self.resource_type)?;
        // ECS calls it optional, and does not say what would go without it.
        if self.tag.is_empty() {
            return Err(ApiError::missing("Tag.1.Key"));
        }
        let tags = tag_filters(self.tag).map_err(|denied| deny("RemoveTags", &denied))?;
        cx.control
            .remove_tags(&cx.account, &self.region_id, kind, &self.resource_id, &tags)
            .map_err(refused("RemoveTags"))?;
        Ok(Done {})
    }
}

/// Lists keys and values, each once, with the number of resources that have them.
#[derive(Debug, Params)]
pub struct DescribeTags {
    /// Where.
    pub region_id: RegionId,
    /// `disk`, `snapshot` or `instance`; any where none is given.
    pub resource_type: Option<String>,
    /// Of which.
    pub resource_id: Option<String>,
    /// `all`, `custom`, or `system`, of which there are none.
    pub category: Option<String>,
    /// Any of them, up to 20.
    pub tag: Vec<TagParam>,
    /// From 1.
    pub page_number: Option<PageNumber>,
    /// 1 to 100; 10 where none is given.
    pub page_size: Option<PageSize>,
}

/// A page of tags.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeTagsReply {
    page_number: u32,
    page_size: u32,
    total_count: u64,
    tags: CountedTags,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct CountedTags {
    tag: Vec<CountedTag>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct CountedTag {
    tag_key: String,
    tag_value: String,
    resource_type_count: Counts,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Counts {
    disk: u32,
    snapshot: u32,
    instance: u32,
}

impl Operation for DescribeTags {
    type Reply = DescribeTagsReply;

    fn call(self, cx: &Context) -> Result<DescribeTagsReply, ApiError> {
        let denied = |denied| deny("DescribeTags", &denied);
        let name = self.resource_type.as_deref();
        let kind = name.map(|name| kind("DescribeTags", name)).transpose()?;
        let is_system = match self.category.as_deref() {
            None | Some("all" | "custom") => false,
            Some("system") => true,
            Some(_) => return Err(denied(Denied::Malformed(Field::TagCategory))),
        };
        let paged = Paged::by_number(self.page_number, self.page_size);
        let query = TagCountQuery {
            account: cx.account.clone(),
            region: self.region_id,
            kind,
            resource: self.resource_id,
            tags: tag_filters(self.tag).map_err(denied)?,
            page: paged.request.clone(),
        };
        let found = cx.control.tag_counts(&query).map_err(refused("DescribeTags"))?;
        let (items, total_count) =
            if is_system { (Vec::new(), 0) } else { (found.items, found.total) };
        Ok(DescribeTagsReply {
            page_number: paged.number,
            page_size: paged.size,
            total_count,
            tags: CountedTags { tag: items.into_iter().map(CountedTag::from).collect() },
        })
    }
}

impl From<TagCount> for CountedTag {
    fn from(found: TagCount) -> Self {
        let TagCount { key, value, disks, snapshots, instances } = found;
        Self {
            tag_key: key,
            tag_value: value,
            resource_type_count: Counts { disk: disks, snapshot: snapshots, instance: instances },
        }
    }
}
