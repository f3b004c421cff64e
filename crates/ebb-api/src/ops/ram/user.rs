//! Users.

use ebb_api_derive::Params;
use ebb_control::{IdentityChange, NewIdentity};
use ebb_domain::{Identity, IdentityKind};
use serde_json::{Value, json};

use super::super::common::Done;
use super::{MaxItems, created, date, page, ram};
use crate::{ApiError, Context, Operation, OperationDef, Product};

/// The family.
pub const OPERATIONS: &[OperationDef] = &[
    OperationDef::of::<CreateUser>(),
    OperationDef::of::<GetUser>(),
    OperationDef::of::<UpdateUser>(),
    OperationDef::of::<ListUsers>(),
    OperationDef::of::<DeleteUser>(),
];

fn shown(user: &Identity) -> Value {
    json!({
        "UserId": user.id,
        "UserName": user.name,
        "DisplayName": user.display_name,
        "Comments": user.comments,
        "Email": "",
        "MobilePhone": "",
        "CreateDate": date(user.created_at),
        "UpdateDate": date(user.updated_at),
    })
}

/// Makes a user.
#[derive(Debug, Params)]
pub struct CreateUser {
    /// 1 to 64 letters, digits, periods, hyphens and underscores.
    pub user_name: String,
    /// What people call them; the name where nothing is given.
    pub display_name: Option<String>,
    /// Up to 128 characters.
    pub comments: Option<String>,
}

impl Operation for CreateUser {
    const PRODUCT: Product = Product::RAM;
    type Reply = Value;

    fn call(self, cx: &Context) -> Result<Value, ApiError> {
        let new = NewIdentity {
            kind: IdentityKind::User,
            name: self.user_name,
            display_name: self.display_name,
            comments: self.comments.unwrap_or_default(),
            trust: String::new(),
            max_session_seconds: None,
        };
        let user = cx.control.create_identity(&cx.account, new).map_err(ram)?;
        Ok(json!({ "User": created(shown(&user)) }))
    }
}

/// Tells about a user.
#[derive(Debug, Params)]
pub struct GetUser {
    /// Which.
    pub user_name: String,
}

impl Operation for GetUser {
    const PRODUCT: Product = Product::RAM;
    type Reply = Value;

    fn call(self, cx: &Context) -> Result<Value, ApiError> {
        let user = cx.control.identity(&cx.account, IdentityKind::User, &self.user_name);
        Ok(json!({ "User": shown(&user.map_err(ram)?) }))
    }
}

/// Changes a user. Keys, groups and policies stay.
#[derive(Debug, Params)]
pub struct UpdateUser {
    /// Which.
    pub user_name: String,
    /// Another name.
    pub new_user_name: Option<String>,
    /// Another display name.
    pub new_display_name: Option<String>,
    /// Other comments.
    pub new_comments: Option<String>,
}

impl Operation for UpdateUser {
    const PRODUCT: Product = Product::RAM;
    type Reply = Value;

    fn call(self, cx: &Context) -> Result<Value, ApiError> {
        let change = IdentityChange {
            name: self.new_user_name,
            display_name: self.new_display_name,
            comments: self.new_comments,
            ..IdentityChange::default()
        };
        let (kind, name) = (IdentityKind::User, &self.user_name);
        let user = cx.control.change_identity(&cx.account, kind, name, change).map_err(ram)?;
        Ok(json!({ "User": shown(&user) }))
    }
}

/// Lists users by their names.
#[derive(Debug, Params)]
pub struct ListUsers {
    /// The Marker of the page before.
    pub marker: Option<String>,
    /// 1 to 1000; 100 where nothing is given.
    pub max_items: Option<MaxItems>,
}

impl Operation for ListUsers {
    const PRODUCT: Product = Product::RAM;
    type Reply = Value;

    fn call(self, cx: &Context) -> Result<Value, ApiError> {
        let most = self.max_items.unwrap_or_default();
        let behind = self.marker.unwrap_or_default();
        let kind = IdentityKind::User;
        let found = cx.control.identities(&cx.account, kind, &behind, most.and_one());
        Ok(page(("Users", "User"), found.map_err(ram)?, most, |user| user.name.clone(), shown))
    }
}

/// Deletes a user who has no keys, groups and policies.
#[derive(Debug, Params)]
pub struct DeleteUser {
    /// Which.
    pub user_name: String,
}

impl Operation for DeleteUser {
    const PRODUCT: Product = Product::RAM;
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        let kind = IdentityKind::User;
        cx.control.delete_identity(&cx.account, kind, &self.user_name).map_err(ram)?;
        Ok(Done {})
    }
}
