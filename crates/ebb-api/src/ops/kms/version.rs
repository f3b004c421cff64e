//! Versions of keys, and their rotation.

use ebb_api_derive::Params;
use ebb_domain::KeyVersion;
use serde_json::{Value, json};

use super::super::common::Done;
use super::{Number, Size, invalid, kms, named, page, service};
use crate::time::seconds;
use crate::{ApiError, Context, Operation, OperationDef, Product};

/// The family.
pub const OPERATIONS: &[OperationDef] = &[
    OperationDef::of::<CreateKeyVersion>(),
    OperationDef::of::<DescribeKeyVersion>(),
    OperationDef::of::<ListKeyVersions>(),
    OperationDef::of::<UpdateRotationPolicy>(),
];

fn shown(key: &str, version: &KeyVersion) -> Value {
    json!({
        "KeyId": key,
        "KeyVersionId": version.id,
        "CreationDate": seconds(version.created_at),
    })
}

/// Gives a key a version that encrypts from now on. Older ones still decrypt.
#[derive(Debug, Params)]
pub struct CreateKeyVersion {
    /// Its id, its ARN, or an alias.
    pub key_id: String,
}

impl Operation for CreateKeyVersion {
    const PRODUCT: Product = Product::KMS;
    type Reply = Value;

    fn call(self, cx: &Context) -> Result<Value, ApiError> {
        let id = named(cx, "CreateKeyVersion", &self.key_id)?;
        let version = service(cx).rotate(&id).map_err(kms)?;
        Ok(json!({ "KeyVersion": shown(&id, &version) }))
    }
}

/// Tells about a version of a key.
#[derive(Debug, Params)]
pub struct DescribeKeyVersion {
    /// The key's id, its ARN, or an alias.
    pub key_id: String,
    /// The version's id.
    pub key_version_id: String,
}

impl Operation for DescribeKeyVersion {
    const PRODUCT: Product = Product::KMS;
    type Reply = Value;

    fn call(self, cx: &Context) -> Result<Value, ApiError> {
        let id = named(cx, "DescribeKeyVersion", &self.key_id)?;
        let versions = service(cx).versions(&id).map_err(kms)?;
        let found = versions.iter().find(|one| one.id == self.key_version_id);
        let found = found.ok_or_else(|| invalid("KeyVersionId", "a version of the key"))?;
        Ok(json!({ "KeyVersion": shown(&id, found) }))
    }
}

/// Lists the versions of a key, the oldest first.
#[derive(Debug, Params)]
pub struct ListKeyVersions {
    /// Its id, its ARN, or an alias.
    pub key_id: String,
    /// From 1.
    pub page_number: Option<Number>,
    /// 1 to 100; 10 where nothing is given.
    pub page_size: Option<Size>,
}

impl Operation for ListKeyVersions {
    const PRODUCT: Product = Product::KMS;
    type Reply = Value;

    fn call(self, cx: &Context) -> Result<Value, ApiError> {
        let id = named(cx, "ListKeyVersions", &self.key_id)?;
        let versions = service(cx).versions(&id).map_err(kms)?;
        let all: Vec<Value> = versions.iter().map(|version| shown(&id, version)).collect();
        let asked = (self.page_number, self.page_size);
        Ok(page(("KeyVersions", "KeyVersion"), &all, asked))
    }
}

/// Says whether, and how often, versions of a key are made by themselves.
#[derive(Debug, Params)]
pub struct UpdateRotationPolicy {
    /// Its id, its ARN, or an alias.
    pub key_id: String,
    /// Whether.
    pub enable_automatic_rotation: bool,
    /// How often: `7d` to `730d`.
    pub rotation_interval: Option<String>,
}

impl Operation for UpdateRotationPolicy {
    const PRODUCT: Product = Product::KMS;
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        let id = named(cx, "UpdateRotationPolicy", &self.key_id)?;
        let every = match (self.enable_automatic_rotation, self.rotation_interval.as_deref()) {
            (false, _) => None,
            (true, None) => {
                return Err(invalid("RotationInterval", "one, as rotation is automatic"));
            }
            (true, every) => every,
        };
        service(cx).set_rotation(&id, every).map_err(kms)?;
        Ok(Done {})
    }
}
