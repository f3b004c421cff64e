//! Who has which policy.

use ebb_api_derive::Params;
use ebb_control::IdentitySince;
use ebb_domain::IdentityKind;
use serde_json::{Value, json};

use super::super::common::Done;
use super::policy::{PolicyType, named};
use super::{date, ram};
use crate::{ApiError, Context, Operation, OperationDef, Product};

/// The family.
pub const OPERATIONS: &[OperationDef] = &[
    OperationDef::of::<AttachPolicyToUser>(),
    OperationDef::of::<AttachPolicyToGroup>(),
    OperationDef::of::<AttachPolicyToRole>(),
    OperationDef::of::<DetachPolicyFromUser>(),
    OperationDef::of::<DetachPolicyFromGroup>(),
    OperationDef::of::<DetachPolicyFromRole>(),
    OperationDef::of::<ListPoliciesForUser>(),
    OperationDef::of::<ListPoliciesForGroup>(),
    OperationDef::of::<ListPoliciesForRole>(),
    OperationDef::of::<ListEntitiesForPolicy>(),
];

/// A policy, and who gets or loses it.
struct Pair {
    policy: String,
    kind: PolicyType,
    who: (IdentityKind, String),
}

impl Pair {
    fn attach(self, cx: &Context) -> Result<Done, ApiError> {
        let (kind, name) = (self.who.0, self.who.1.as_str());
        let policy = self.kind.policy(self.policy);
        cx.control.attach_policy(&cx.account, (kind, name), &policy).map_err(ram)?;
        Ok(Done {})
    }

    fn detach(self, cx: &Context) -> Result<Done, ApiError> {
        let (kind, name) = (self.who.0, self.who.1.as_str());
        let policy = self.kind.policy(self.policy);
        cx.control.detach_policy(&cx.account, (kind, name), &policy).map_err(ram)?;
        Ok(Done {})
    }
}

fn policies_of(cx: &Context, kind: IdentityKind, name: &str) -> Result<Value, ApiError> {
    let found = cx.control.policies_of(&cx.account, kind, name).map_err(ram)?;
    let listed = found.into_iter().map(|(policy, since)| {
        let mut one = named(&policy);
        one["AttachDate"] = date(since);
        one
    });
    Ok(json!({ "Policies": { "Policy": listed.collect::<Vec<Value>>() } }))
}

/// Gives a user a policy.
#[derive(Debug, Params)]
pub struct AttachPolicyToUser {
    /// Which policy.
    pub policy_name: String,
    /// `System` or `Custom`.
    pub policy_type: PolicyType,
    /// Which user.
    pub user_name: String,
}

impl Operation for AttachPolicyToUser {
    const PRODUCT: Product = Product::RAM;
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        let who = (IdentityKind::User, self.user_name);
        Pair { policy: self.policy_name, kind: self.policy_type, who }.attach(cx)
    }
}

/// Gives a group a policy.
#[derive(Debug, Params)]
pub struct AttachPolicyToGroup {
    /// Which policy.
    pub policy_name: String,
    /// `System` or `Custom`.
    pub policy_type: PolicyType,
    /// Which group.
    pub group_name: String,
}

impl Operation for AttachPolicyToGroup {
    const PRODUCT: Product = Product::RAM;
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        let who = (IdentityKind::Group, self.group_name);
        Pair { policy: self.policy_name, kind: self.policy_type, who }.attach(cx)
    }
}

/// Gives a role a policy.
#[derive(Debug, Params)]
pub struct AttachPolicyToRole {
    /// Which policy.
    pub policy_name: String,
    /// `System` or `Custom`.
    pub policy_type: PolicyType,
    /// Which role.
    pub role_name: String,
}

impl Operation for AttachPolicyToRole {
    const PRODUCT: Product = Product::RAM;
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        let who = (IdentityKind::Role, self.role_name);
        Pair { policy: self.policy_name, kind: self.policy_type, who }.attach(cx)
    }
}

/// Takes a policy from a user.
#[derive(Debug, Params)]
pub struct DetachPolicyFromUser {
    /// Which policy.
    pub policy_name: String,
    /// `System` or `Custom`.
    pub policy_type: PolicyType,
    /// Which user.
    pub user_name: String,
}

impl Operation for DetachPolicyFromUser {
    const PRODUCT: Product = Product::RAM;
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        let who = (IdentityKind::User, self.user_name);
        Pair { policy: self.policy_name, kind: self.policy_type, who }.detach(cx)
    }
}

/// Takes a policy from a group.
#[derive(Debug, Params)]
pub struct DetachPolicyFromGroup {
    /// Which policy.
    pub policy_name: String,
    /// `System` or `Custom`.
    pub policy_type: PolicyType,
    /// Which group.
    pub group_name: String,
}

impl Operation for DetachPolicyFromGroup {
    const PRODUCT: Product = Product::RAM;
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        let who = (IdentityKind::Group, self.group_name);
        Pair { policy: self.policy_name, kind: self.policy_type, who }.detach(cx)
    }
}

/// Takes a policy from a role.
#[derive(Debug, Params)]
pub struct DetachPolicyFromRole {
    /// Which policy.
    pub policy_name: String,
    /// `System` or `Custom`.
    pub policy_type: PolicyType,
    /// Which role.
    pub role_name: String,
}

impl Operation for DetachPolicyFromRole {
    const PRODUCT: Product = Product::RAM;
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        let who = (IdentityKind::Role, self.role_name);
        Pair { policy: self.policy_name, kind: self.policy_type, who }.detach(cx)
    }
}

/// Lists the policies of a user.
#[derive(Debug, Params)]
pub struct ListPoliciesForUser {
    /// Which user.
    pub user_name: String,
}

impl Operation for ListPoliciesForUser {
    const PRODUCT: Product = Product::RAM;
    type Reply = Value;

    fn call(self, cx: &Context) -> Result<Value, ApiError> {
        policies_of(cx, IdentityKind::User, &self.user_name)
    }
}

/// Lists the policies of a group.
#[derive(Debug, Params)]
pub struct ListPoliciesForGroup {
    /// Which group.
    pub group_name: String,
}

impl Operation for ListPoliciesForGroup {
    const PRODUCT: Product = Product::RAM;
    type Reply = Value;

    fn call(self, cx: &Context) -> Result<Value, ApiError> {
        policies_of(cx, IdentityKind::Group, &self.group_name)
    }
}

/// Lists the policies of a role.
#[derive(Debug, Params)]
pub struct ListPoliciesForRole {
    /// Which role.
    pub role_name: String,
}

impl Operation for ListPoliciesForRole {
    const PRODUCT: Product = Product::RAM;
    type Reply = Value;

    fn call(self, cx: &Context) -> Result<Value, ApiError> {
        policies_of(cx, IdentityKind::Role, &self.role_name)
    }
}

/// Lists who has a policy.
#[derive(Debug, Params)]
pub struct ListEntitiesForPolicy {
    /// Which policy.
    pub policy_name: String,
    /// `System` or `Custom`.
    pub policy_type: PolicyType,
}

impl Operation for ListEntitiesForPolicy {
    const PRODUCT: Product = Product::RAM;
    type Reply = Value;

    fn call(self, cx: &Context) -> Result<Value, ApiError> {
        let policy = self.policy_type.policy(self.policy_name);
        let found = cx.control.who_has_policy(&cx.account, &policy).map_err(ram)?;
        let of = |kind| -> Vec<Value> {
            let of_kind = found.iter().filter(|one| one.identity.kind == kind);
            of_kind.map(entity).collect()
        };
        Ok(json!({
            "Users": { "User": of(IdentityKind::User) },
            "Groups": { "Group": of(IdentityKind::Group) },
            "Roles": { "Role": of(IdentityKind::Role) },
        }))
    }
}

fn entity(one: &IdentitySince) -> Value {
    let (who, since) = (&one.identity, date(one.since));
    match who.kind {
        IdentityKind::User => json!({
            "UserId": who.id,
            "UserName": who.name,
            "DisplayName": who.display_name,
            "AttachDate": since,
        }),
        IdentityKind::Group => json!({
            "GroupName": who.name,
            "Comments": who.comments,
            "AttachDate": since,
        }),
        IdentityKind::Role => json!({
            "RoleId": who.id,
            "RoleName": who.name,
            "Arn": who.arn(),
            "Description": who.comments,
            "AttachDate": since,
        }),
    }
}
