//! Tags (api.md §3.6).

use ebb_api_derive::Params;
use ebb_control::{ResourceKind, TagQuery, TagRow};
use ebb_domain::{Denied, RegionId};
use serde::Serialize;

use super::common::{Done, TagParam, tag_filters, tags};
use crate::refusals::{deny, refusals, refused};
use crate::{ApiError, Context, Operation, OperationDef, Repeat};

/// The family.
pub const OPERATIONS: &[OperationDef] = &[
    OperationDef::of::<TagResources>(),
    OperationDef::of::<UntagResources>(),
    OperationDef::of::<ListTagResources>(),
];

/// Rows of a page of ListTagResources.
const PAGE_ROWS: u32 = 50;

/// Gives resources tags, all or none.
#[derive(Debug, Params)]
pub struct TagResources {
    /// Where.
    #[param(missing = missing)]
    pub region_id: RegionId,
    /// `disk`, `snapshot` or `instance`.
    #[param(missing = missing)]
    pub resource_type: String,
    /// Which, up to 50.
    #[param(required, missing = missing)]
    pub resource_id: Repeat<String>,
    /// Up to 20.
    #[param(required, missing = missing)]
    pub tag: Vec<TagParam>,
}

/// These operations have a code of their own for each parameter that is missing.
fn missing(key: &str) -> ApiError {
    let code = match key {
        "RegionId" => "MissingParameter.RegionId",
        "ResourceType" => "MissingParameter.ResourceType",
        "ResourceId" => "MissingParameter.ResourceIds",
        _ => "MissingParameter.Tags",
    };
    let row = refusals("TagResources").iter().find(|row| row.code == code);
    let row = row.expect("TagResources has a code of its own for each");
    ApiError::new(row.status, row.code, row.message)
}

impl Operation for TagResources {
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        let kind = kind("TagResources", &self.resource_type)?;
        let (ids, tags) = (&self.resource_id.0, tags(self.tag));
        cx.control
            .tag_resources(&cx.account, &self.region_id, kind, ids, &tags)
            .map_err(refused("TagResources"))?;
        Ok(Done {})
    }
}

/// Takes tags from resources, all or none.
#[derive(Debug, Params)]
pub struct UntagResources {
    /// Where.
    #[param(missing = missing)]
    pub region_id: RegionId,
    /// `disk`, `snapshot` or `instance`.
    #[param(missing = missing)]
    pub resource_type: String,
    /// Which, up to 50.
    #[param(required, missing = missing)]
    pub resource_id: Repeat<String>,
    /// Which tags; these or All.
    pub tag_key: Repeat<String>,
    /// All of them.
    pub all: Option<bool>,
}

impl Operation for UntagResources {
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        let kind = kind("UntagResources", &self.resource_type)?;
        let keys = match (self.all == Some(true), self.tag_key.0) {
            (true, keys) if !keys.is_empty() => {
                return Err(deny("UntagResources", &Denied::AllAndKeys));
            }
            (true, _) => None,
            (false, keys) if keys.is_empty() => return Err(ApiError::missing("TagKey.1")),
            (false, keys) => Some(keys),
        };
        let ids = &self.resource_id.0;
        cx.control
            .untag_resources(&cx.account, &self.region_id, kind, ids, keys.as_deref())
            .map_err(refused("UntagResources"))?;
        Ok(Done {})
    }
}

/// Lists tags of resources, or resources by tags.
#[derive(Debug, Params)]
pub struct ListTagResources {
    /// Where.
    #[param(missing = missing)]
    pub region_id: RegionId,
    /// `disk`, `snapshot` or `instance`.
    #[param(missing = missing)]
    pub resource_type: String,
    /// Of which, up to 50.
    pub resource_id: Repeat<String>,
    /// All of them, up to 20.
    pub tag: Vec<TagParam>,
    /// The NextToken of the page before.
    pub next_token: Option<String>,
}

/// A page of tags.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListTagResourcesReply {
    next_token: String,
    tag_resources: TagResourceSet,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct TagResourceSet {
    tag_resource: Vec<TagResource>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct TagResource {
    resource_type: &'static str,
    resource_id: String,
    tag_key: String,
    tag_value: String,
}

impl Operation for ListTagResources {
    type Reply = ListTagResourcesReply;

    fn call(self, cx: &Context) -> Result<ListTagResourcesReply, ApiError> {
        let kind = kind("ListTagResources", &self.resource_type)?;
        let tags = tag_filters(self.tag).map_err(|denied| deny("ListTagResources", &denied))?;
        let query = TagQuery {
            account: cx.account.clone(),
            region: self.region_id,
            kind,
            resources: self.resource_id.0,
            tags,
            after: self.next_token,
            size: PAGE_ROWS,
        };
        let page = cx.control.tags(&query).map_err(refused("ListTagResources"))?;
        let tag_resource = page.items.into_iter().map(TagResource::from).collect();
        Ok(ListTagResourcesReply {
            next_token: page.next.unwrap_or_default(),
            tag_resources: TagResourceSet { tag_resource },
        })
    }
}

impl From<TagRow> for TagResource {
    fn from(row: TagRow) -> Self {
        Self {
            resource_type: row.kind.name(),
            resource_id: row.resource,
            tag_key: row.key,
            tag_value: row.value,
        }
    }
}

const KINDS: [ResourceKind; 7] = [
    ResourceKind::Disk,
    ResourceKind::Snapshot,
    ResourceKind::Instance,
    ResourceKind::Image,
    ResourceKind::SnapshotGroup,
    ResourceKind::SnapshotPolicy,
    ResourceKind::SecurityGroup,
];

pub(super) fn kind(operation: &'static str, name: &str) -> Result<ResourceKind, ApiError> {
    KINDS
        .into_iter()
        .find(|kind| kind.name().eq_ignore_ascii_case(name))
        .ok_or_else(|| deny(operation, &Denied::ResourceTypeUnknown))
}
