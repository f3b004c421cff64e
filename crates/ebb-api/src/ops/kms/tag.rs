//! Tags of keys. A key with `acs:ecs:disk-encryption` = `true` may encrypt disks.

use ebb_api_derive::Params;
use ebb_domain::Tag;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::common::Done;
use super::{invalid, kms, named, service};
use crate::{ApiError, Context, JsonList, Operation, OperationDef, Product};

/// The family.
pub const OPERATIONS: &[OperationDef] = &[
    OperationDef::of::<TagResource>(),
    OperationDef::of::<UntagResource>(),
    OperationDef::of::<ListResourceTags>(),
];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Given {
    tag_key: String,
    #[serde(default)]
    tag_value: String,
}

/// The tags in `[{"TagKey":"a","TagValue":"b"}]`.
pub(super) fn tags(json: &str) -> Result<Vec<Tag>, ApiError> {
    let given: Vec<Given> = serde_json::from_str(json).map_err(|_| {
        invalid("Tags", "a JSON list such as [{\"TagKey\":\"a\",\"TagValue\":\"b\"}]")
    })?;
    Ok(given.into_iter().map(|tag| Tag { key: tag.tag_key, value: tag.tag_value }).collect())
}

/// Tags a key.
#[derive(Debug, Params)]
pub struct TagResource {
    /// Its id, its ARN, or an alias.
    pub key_id: String,
    /// A JSON list of `TagKey` and `TagValue`.
    pub tags: String,
}

impl Operation for TagResource {
    const PRODUCT: Product = Product::KMS;
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        let id = named(cx, "TagResource", &self.key_id)?;
        service(cx).tag(&id, &tags(&self.tags)?).map_err(kms)?;
        Ok(Done {})
    }
}

/// Takes tags from a key.
#[derive(Debug, Params)]
pub struct UntagResource {
    /// Its id, its ARN, or an alias.
    pub key_id: String,
    /// A JSON list of their keys.
    pub tag_keys: JsonList<String>,
}

impl Operation for UntagResource {
    const PRODUCT: Product = Product::KMS;
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        let id = named(cx, "UntagResource", &self.key_id)?;
        service(cx).untag(&id, &self.tag_keys.0).map_err(kms)?;
        Ok(Done {})
    }
}

/// Lists the tags of a key.
#[derive(Debug, Params)]
pub struct ListResourceTags {
    /// Its id, its ARN, or an alias.
    pub key_id: String,
}

impl Operation for ListResourceTags {
    const PRODUCT: Product = Product::KMS;
    type Reply = Value;

    fn call(self, cx: &Context) -> Result<Value, ApiError> {
        let id = named(cx, "ListResourceTags", &self.key_id)?;
        let tags = service(cx).tags(&id).map_err(kms)?;
        let show = |tag: &Tag| json!({ "KeyId": id, "TagKey": tag.key, "TagValue": tag.value });
        let shown: Vec<Value> = tags.iter().map(show).collect();
        Ok(json!({ "Tags": { "Tag": shown } }))
    }
}
