//! Roles.

use ebb_api_derive::Params;
use ebb_control::{IdentityChange, NewIdentity};
use ebb_domain::{Identity, IdentityKind};
use serde_json::{Value, json};

use super::super::common::Done;
use super::{MaxItems, created, date, page, ram};
use crate::{ApiError, Context, Operation, OperationDef, Product};

/// The family.
pub const OPERATIONS: &[OperationDef] = &[
    OperationDef::of::<CreateRole>(),
    OperationDef::of::<GetRole>(),
    OperationDef::of::<UpdateRole>(),
    OperationDef::of::<ListRoles>(),
    OperationDef::of::<DeleteRole>(),
];

fn listed(role: &Identity) -> Value {
    json!({
        "RoleId": role.id,
        "RoleName": role.name,
        "Arn": role.arn(),
        "Description": role.comments,
        "MaxSessionDuration": role.max_session_seconds,
        "CreateDate": date(role.created_at),
        "UpdateDate": date(role.updated_at),
    })
}

fn shown(role: &Identity) -> Value {
    let mut shown = listed(role);
    shown["AssumeRolePolicyDocument"] = json!(role.trust);
    shown
}

/// Makes a role.
#[derive(Debug, Params)]
pub struct CreateRole {
    /// 1 to 64 letters, digits and hyphens.
    pub role_name: String,
    /// Who may take it on: a trust policy.
    pub assume_role_policy_document: String,
    /// Up to 1024 characters.
    pub description: Option<String>,
    /// For how long at most, 900 to 43200 seconds; 3600 where nothing is given.
    pub max_session_duration: Option<u32>,
}

impl Operation for CreateRole {
    const PRODUCT: Product = Product::RAM;
    type Reply = Value;

    fn call(self, cx: &Context) -> Result<Value, ApiError> {
        let new = NewIdentity {
            kind: IdentityKind::Role,
            name: self.role_name,
            display_name: None,
            comments: self.description.unwrap_or_default(),
            trust: self.assume_role_policy_document,
            max_session_seconds: self.max_session_duration,
        };
        let role = cx.control.create_identity(&cx.account, new).map_err(ram)?;
        Ok(json!({ "Role": created(shown(&role)) }))
    }
}

/// Tells about a role.
#[derive(Debug, Params)]
pub struct GetRole {
    /// Which.
    pub role_name: String,
}

impl Operation for GetRole {
    const PRODUCT: Product = Product::RAM;
    type Reply = Value;

    fn call(self, cx: &Context) -> Result<Value, ApiError> {
        let role = cx.control.identity(&cx.account, IdentityKind::Role, &self.role_name);
        Ok(json!({ "Role": shown(&role.map_err(ram)?) }))
    }
}

/// Changes a role. Its policies stay, and sessions go on.
#[derive(Debug, Params)]
pub struct UpdateRole {
    /// Which.
    pub role_name: String,
    /// Who may take it on from now on.
    pub new_assume_role_policy_document: Option<String>,
    /// Another description.
    pub new_description: Option<String>,
    /// For how long at most from now on.
    pub new_max_session_duration: Option<u32>,
}

impl Operation for UpdateRole {
    const PRODUCT: Product = Product::RAM;
    type Reply = Value;

    fn call(self, cx: &Context) -> Result<Value, ApiError> {
        let change = IdentityChange {
            comments: self.new_description,
            trust: self.new_assume_role_policy_document,
            max_session_seconds: self.new_max_session_duration,
            ..IdentityChange::default()
        };
        let (kind, name) = (IdentityKind::Role, &self.role_name);
        let role = cx.control.change_identity(&cx.account, kind, name, change).map_err(ram)?;
        Ok(json!({ "Role": shown(&role) }))
    }
}

/// Lists roles by their names.
#[derive(Debug, Params)]
pub struct ListRoles {
    /// The Marker of the page before.
    pub marker: Option<String>,
    /// 1 to 1000; 100 where nothing is given.
    pub max_items: Option<MaxItems>,
}

impl Operation for ListRoles {
    const PRODUCT: Product = Product::RAM;
    type Reply = Value;

    fn call(self, cx: &Context) -> Result<Value, ApiError> {
        let most = self.max_items.unwrap_or_default();
        let behind = self.marker.unwrap_or_default();
        let kind = IdentityKind::Role;
        let found = cx.control.identities(&cx.account, kind, &behind, most.and_one());
        Ok(page(("Roles", "Role"), found.map_err(ram)?, most, |role| role.name.clone(), listed))
    }
}

/// Deletes a role that has no policies. Its sessions end.
#[derive(Debug, Params)]
pub struct DeleteRole {
    /// Which.
    pub role_name: String,
}

impl Operation for DeleteRole {
    const PRODUCT: Product = Product::RAM;
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        let kind = IdentityKind::Role;
        cx.control.delete_identity(&cx.account, kind, &self.role_name).map_err(ram)?;
        Ok(Done {})
    }
}
