//! Aliases of keys.

use ebb_api_derive::Params;
use ebb_control::Alias;
use serde_json::{Value, json};

use super::super::common::Done;
use super::{Number, Size, arn, kms, named, page, service};
use crate::{ApiError, Context, Operation, OperationDef, Product};

/// The family.
pub const OPERATIONS: &[OperationDef] = &[
    OperationDef::of::<CreateAlias>(),
    OperationDef::of::<UpdateAlias>(),
    OperationDef::of::<DeleteAlias>(),
    OperationDef::of::<ListAliases>(),
    OperationDef::of::<ListAliasesByKeyId>(),
];

fn shown(cx: &Context, alias: &Alias) -> Value {
    let (region, account) = (cx.control.region_of(&cx.account, "key", &alias.key), &cx.account);
    json!({
        "KeyId": alias.key,
        "AliasName": alias.name,
        "AliasArn": arn(&region, account.as_str(), &alias.name),
    })
}

/// Names a key.
#[derive(Debug, Params)]
pub struct CreateAlias {
    /// The key's id or ARN.
    pub key_id: String,
    /// `alias/` and 1 to 249 letters, digits, hyphens, underscores and slashes.
    pub alias_name: String,
}

impl Operation for CreateAlias {
    const PRODUCT: Product = Product::KMS;
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        let id = named(cx, "CreateAlias", &self.key_id)?;
        service(cx).create_alias(&self.alias_name, &id).map_err(kms)?;
        Ok(Done {})
    }
}

/// Has an alias name another key.
#[derive(Debug, Params)]
pub struct UpdateAlias {
    /// The key's id or ARN.
    pub key_id: String,
    /// Which alias.
    pub alias_name: String,
}

impl Operation for UpdateAlias {
    const PRODUCT: Product = Product::KMS;
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        let id = named(cx, "UpdateAlias", &self.key_id)?;
        service(cx).move_alias(&self.alias_name, &id).map_err(kms)?;
        Ok(Done {})
    }
}

/// Removes an alias. The key stays.
#[derive(Debug, Params)]
pub struct DeleteAlias {
    /// Which.
    pub alias_name: String,
}

impl Operation for DeleteAlias {
    const PRODUCT: Product = Product::KMS;
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        service(cx).delete_alias(&self.alias_name).map_err(kms)?;
        Ok(Done {})
    }
}

/// Lists aliases by their names.
#[derive(Debug, Params)]
pub struct ListAliases {
    /// From 1.
    pub page_number: Option<Number>,
    /// 1 to 100; 10 where nothing is given.
    pub page_size: Option<Size>,
}

impl Operation for ListAliases {
    const PRODUCT: Product = Product::KMS;
    type Reply = Value;

    fn call(self, cx: &Context) -> Result<Value, ApiError> {
        let aliases = service(cx).aliases().map_err(kms)?;
        let all: Vec<Value> = aliases.iter().map(|alias| shown(cx, alias)).collect();
        Ok(page(("Aliases", "Alias"), &all, (self.page_number, self.page_size)))
    }
}

/// Lists the aliases of a key by their names.
#[derive(Debug, Params)]
pub struct ListAliasesByKeyId {
    /// The key's id or ARN.
    pub key_id: String,
    /// From 1.
    pub page_number: Option<Number>,
    /// 1 to 100; 10 where nothing is given.
    pub page_size: Option<Size>,
}

impl Operation for ListAliasesByKeyId {
    const PRODUCT: Product = Product::KMS;
    type Reply = Value;

    fn call(self, cx: &Context) -> Result<Value, ApiError> {
        let id = named(cx, "ListAliasesByKeyId", &self.key_id)?;
        let aliases = service(cx).aliases().map_err(kms)?;
        let of_key = aliases.iter().filter(|alias| alias.key == id);
        let all: Vec<Value> = of_key.map(|alias| shown(cx, alias)).collect();
        Ok(page(("Aliases", "Alias"), &all, (self.page_number, self.page_size)))
    }
}
