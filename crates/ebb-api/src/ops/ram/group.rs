//! Groups, and who is in them.

use ebb_api_derive::Params;
use ebb_control::{IdentityChange, IdentitySince, NewIdentity};
use ebb_domain::{Identity, IdentityKind};
use serde_json::{Value, json};

use super::super::common::Done;
use super::{MaxItems, created, date, page, ram};
use crate::{ApiError, Context, Operation, OperationDef, Product};

/// The family.
pub const OPERATIONS: &[OperationDef] = &[
    OperationDef::of::<CreateGroup>(),
    OperationDef::of::<GetGroup>(),
    OperationDef::of::<UpdateGroup>(),
    OperationDef::of::<ListGroups>(),
    OperationDef::of::<DeleteGroup>(),
    OperationDef::of::<AddUserToGroup>(),
    OperationDef::of::<RemoveUserFromGroup>(),
    OperationDef::of::<ListGroupsForUser>(),
    OperationDef::of::<ListUsersForGroup>(),
];

fn shown(group: &Identity) -> Value {
    json!({
        "GroupId": group.id,
        "GroupName": group.name,
        "Comments": group.comments,
        "CreateDate": date(group.created_at),
        "UpdateDate": date(group.updated_at),
    })
}

/// Makes a group.
#[derive(Debug, Params)]
pub struct CreateGroup {
    /// 1 to 64 letters, digits, periods, hyphens and underscores.
    pub group_name: String,
    /// Up to 128 characters.
    pub comments: Option<String>,
}

impl Operation for CreateGroup {
    const PRODUCT: Product = Product::RAM;
    type Reply = Value;

    fn call(self, cx: &Context) -> Result<Value, ApiError> {
        let new = NewIdentity {
            kind: IdentityKind::Group,
            name: self.group_name,
            display_name: None,
            comments: self.comments.unwrap_or_default(),
            trust: String::new(),
            max_session_seconds: None,
        };
        let group = cx.control.create_identity(&cx.account, new).map_err(ram)?;
        Ok(json!({ "Group": created(shown(&group)) }))
    }
}

/// Tells about a group.
#[derive(Debug, Params)]
pub struct GetGroup {
    /// Which.
    pub group_name: String,
}

impl Operation for GetGroup {
    const PRODUCT: Product = Product::RAM;
    type Reply = Value;

    fn call(self, cx: &Context) -> Result<Value, ApiError> {
        let group = cx.control.identity(&cx.account, IdentityKind::Group, &self.group_name);
        Ok(json!({ "Group": shown(&group.map_err(ram)?) }))
    }
}

/// Changes a group. Its users and policies stay.
#[derive(Debug, Params)]
pub struct UpdateGroup {
    /// Which.
    pub group_name: String,
    /// Another name.
    pub new_group_name: Option<String>,
    /// Other comments.
    pub new_comments: Option<String>,
}

impl Operation for UpdateGroup {
    const PRODUCT: Product = Product::RAM;
    type Reply = Value;

    fn call(self, cx: &Context) -> Result<Value, ApiError> {
        let change = IdentityChange {
            name: self.new_group_name,
            comments: self.new_comments,
            ..IdentityChange::default()
        };
        let (kind, name) = (IdentityKind::Group, &self.group_name);
        let group = cx.control.change_identity(&cx.account, kind, name, change).map_err(ram)?;
        Ok(json!({ "Group": shown(&group) }))
    }
}

/// Lists groups by their names.
#[derive(Debug, Params)]
pub struct ListGroups {
    /// The Marker of the page before.
    pub marker: Option<String>,
    /// 1 to 1000; 100 where nothing is given.
    pub max_items: Option<MaxItems>,
}

impl Operation for ListGroups {
    const PRODUCT: Product = Product::RAM;
    type Reply = Value;

    fn call(self, cx: &Context) -> Result<Value, ApiError> {
        let most = self.max_items.unwrap_or_default();
        let behind = self.marker.unwrap_or_default();
        let kind = IdentityKind::Group;
        let found = cx.control.identities(&cx.account, kind, &behind, most.and_one());
        Ok(page(("Groups", "Group"), found.map_err(ram)?, most, |group| group.name.clone(), shown))
    }
}

/// Deletes a group that has no users and policies.
#[derive(Debug, Params)]
pub struct DeleteGroup {
    /// Which.
    pub group_name: String,
}

impl Operation for DeleteGroup {
    const PRODUCT: Product = Product::RAM;
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        let kind = IdentityKind::Group;
        cx.control.delete_identity(&cx.account, kind, &self.group_name).map_err(ram)?;
        Ok(Done {})
    }
}

/// Puts a user into a group.
#[derive(Debug, Params)]
pub struct AddUserToGroup {
    /// Whom.
    pub user_name: String,
    /// Where.
    pub group_name: String,
}

impl Operation for AddUserToGroup {
    const PRODUCT: Product = Product::RAM;
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        let (user, group) = (&self.user_name, &self.group_name);
        cx.control.add_to_group(&cx.account, user, group).map_err(ram)?;
        Ok(Done {})
    }
}

/// Takes a user out of a group.
#[derive(Debug, Params)]
pub struct RemoveUserFromGroup {
    /// Whom.
    pub user_name: String,
    /// From where.
    pub group_name: String,
}

impl Operation for RemoveUserFromGroup {
    const PRODUCT: Product = Product::RAM;
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        let (user, group) = (&self.user_name, &self.group_name);
        cx.control.remove_from_group(&cx.account, user, group).map_err(ram)?;
        Ok(Done {})
    }
}

/// Lists the groups of a user.
#[derive(Debug, Params)]
pub struct ListGroupsForUser {
    /// Whose.
    pub user_name: String,
}

impl Operation for ListGroupsForUser {
    const PRODUCT: Product = Product::RAM;
    type Reply = Value;

    fn call(self, cx: &Context) -> Result<Value, ApiError> {
        let kind = IdentityKind::User;
        let found = cx.control.together_with(&cx.account, kind, &self.user_name).map_err(ram)?;
        let show = |one: &IdentitySince| {
            json!({
                "GroupId": one.identity.id,
                "GroupName": one.identity.name,
                "Comments": one.identity.comments,
                "JoinDate": date(one.since),
            })
        };
        let groups: Vec<Value> = found.iter().map(show).collect();
        Ok(json!({ "Groups": { "Group": groups } }))
    }
}

/// Lists the users of a group, all at once.
#[derive(Debug, Params)]
pub struct ListUsersForGroup {
    /// Of which.
    pub group_name: String,
}

impl Operation for ListUsersForGroup {
    const PRODUCT: Product = Product::RAM;
    type Reply = Value;

    fn call(self, cx: &Context) -> Result<Value, ApiError> {
        let kind = IdentityKind::Group;
        let found = cx.control.together_with(&cx.account, kind, &self.group_name).map_err(ram)?;
        let show = |one: &IdentitySince| {
            json!({
                "UserName": one.identity.name,
                "DisplayName": one.identity.display_name,
                "JoinDate": date(one.since),
            })
        };
        let users: Vec<Value> = found.iter().map(show).collect();
        Ok(json!({ "IsTruncated": false, "Users": { "User": users } }))
    }
}
