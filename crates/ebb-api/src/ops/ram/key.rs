//! Access keys of users, and of the root user where no user is named and the root user asks.

use ebb_api_derive::Params;
use ebb_control::{KeyShown, Who};
use ebb_domain::RamField;
use serde_json::{Value, json};

use super::super::common::Done;
use super::{date, malformed, ram};
use crate::{ApiError, Context, Operation, OperationDef, Product};

/// The family.
pub const OPERATIONS: &[OperationDef] = &[
    OperationDef::of::<CreateAccessKey>(),
    OperationDef::of::<UpdateAccessKey>(),
    OperationDef::of::<DeleteAccessKey>(),
    OperationDef::of::<ListAccessKeys>(),
    OperationDef::of::<GetAccessKeyLastUsed>(),
];

fn status(active: bool) -> &'static str {
    if active { "Active" } else { "Inactive" }
}

/// Whose keys are meant: the user's who is named, else the caller's own.
fn whose(cx: &Context, named: Option<String>) -> Result<Option<String>, ApiError> {
    match (named, &cx.caller.who) {
        (Some(name), _) => Ok(Some(name)),
        (None, Who::User(id)) => {
            let user = cx.control.identity_by_id(id).map_err(ram)?;
            Ok(user.map(|user| user.name))
        }
        (None, Who::Root | Who::Session(_)) => Ok(None),
    }
}

/// Makes an access key. Its secret is told this once.
#[derive(Debug, Params)]
pub struct CreateAccessKey {
    /// Whose; the caller's own where nothing is given.
    pub user_name: Option<String>,
}

impl Operation for CreateAccessKey {
    const PRODUCT: Product = Product::RAM;
    type Reply = Value;

    fn call(self, cx: &Context) -> Result<Value, ApiError> {
        let user = whose(cx, self.user_name)?;
        let (id, secret) = cx.control.create_key(&cx.account, user.as_deref()).map_err(ram)?;
        Ok(json!({ "AccessKey": {
            "AccessKeyId": id,
            "AccessKeySecret": secret.expose(),
            "Status": status(true),
            "CreateDate": date(cx.control.now()),
        }}))
    }
}

/// Says whether a key may be used.
#[derive(Debug, Params)]
pub struct UpdateAccessKey {
    /// Whose; the caller's own where nothing is given.
    pub user_name: Option<String>,
    /// Which.
    pub user_access_key_id: String,
    /// `Active` or `Inactive`.
    pub status: String,
}

impl Operation for UpdateAccessKey {
    const PRODUCT: Product = Product::RAM;
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        let active = match self.status.as_str() {
            "Active" => true,
            "Inactive" => false,
            _ => return Err(malformed(RamField::KeyStatus)),
        };
        let (user, id) = (whose(cx, self.user_name)?, &self.user_access_key_id);
        cx.control.check_key_of(&cx.account, user.as_deref(), id).map_err(ram)?;
        cx.control.set_key_active(id, active).map_err(ram)?;
        Ok(Done {})
    }
}

/// Deletes a key.
#[derive(Debug, Params)]
pub struct DeleteAccessKey {
    /// Whose; the caller's own where nothing is given.
    pub user_name: Option<String>,
    /// Which.
    pub user_access_key_id: String,
}

impl Operation for DeleteAccessKey {
    const PRODUCT: Product = Product::RAM;
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        let (user, id) = (whose(cx, self.user_name)?, &self.user_access_key_id);
        cx.control.check_key_of(&cx.account, user.as_deref(), id).map_err(ram)?;
        cx.control.delete_key(id).map_err(ram)?;
        Ok(Done {})
    }
}

/// Lists keys, without their secrets.
#[derive(Debug, Params)]
pub struct ListAccessKeys {
    /// Whose; the caller's own where nothing is given.
    pub user_name: Option<String>,
}

impl Operation for ListAccessKeys {
    const PRODUCT: Product = Product::RAM;
    type Reply = Value;

    fn call(self, cx: &Context) -> Result<Value, ApiError> {
        let user = whose(cx, self.user_name)?;
        let keys = cx.control.keys_of(&cx.account, user.as_deref()).map_err(ram)?;
        let show = |key: &KeyShown| {
            json!({
                "AccessKeyId": key.id,
                "Status": status(key.active),
                "CreateDate": key.created_at.map_or(json!(""), date),
            })
        };
        let keys: Vec<Value> = keys.iter().map(show).collect();
        Ok(json!({ "AccessKeys": { "AccessKey": keys } }))
    }
}

/// Tells when a key last signed a request, to within a minute; nothing before it ever did.
#[derive(Debug, Params)]
pub struct GetAccessKeyLastUsed {
    /// Whose; the caller's own where nothing is given.
    pub user_name: Option<String>,
    /// Which.
    pub user_access_key_id: String,
}

impl Operation for GetAccessKeyLastUsed {
    const PRODUCT: Product = Product::RAM;
    type Reply = Value;

    fn call(self, cx: &Context) -> Result<Value, ApiError> {
        let (user, id) = (whose(cx, self.user_name)?, &self.user_access_key_id);
        cx.control.check_key_of(&cx.account, user.as_deref(), id).map_err(ram)?;
        let keys = cx.control.keys_of(&cx.account, user.as_deref()).map_err(ram)?;
        let used = keys.iter().find(|key| key.id == *id).and_then(|key| key.last_used_at);
        Ok(json!({ "AccessKeyLastUsed": { "LastUsedDate": used.map_or(json!(""), date) } }))
    }
}
