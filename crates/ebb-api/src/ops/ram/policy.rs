//! Policies and their versions.

use ebb_api_derive::Params;
use ebb_control::{PolicyShown, VersionShown};
use ebb_domain::{PolicyKind, PolicyName, RamField};
use serde_json::{Value, json};

use super::super::common::Done;
use super::{MaxItems, date, malformed, page, ram};
use crate::{ApiError, Context, Operation, OperationDef, Product, Scalar};

/// The family.
pub const OPERATIONS: &[OperationDef] = &[
    OperationDef::of::<CreatePolicy>(),
    OperationDef::of::<GetPolicy>(),
    OperationDef::of::<ListPolicies>(),
    OperationDef::of::<DeletePolicy>(),
    OperationDef::of::<CreatePolicyVersion>(),
    OperationDef::of::<GetPolicyVersion>(),
    OperationDef::of::<ListPolicyVersions>(),
    OperationDef::of::<DeletePolicyVersion>(),
    OperationDef::of::<SetDefaultPolicyVersion>(),
];

/// PolicyType.
#[derive(Debug, Clone, Copy)]
pub struct PolicyType(pub PolicyKind);

impl Scalar for PolicyType {
    fn parse(raw: &str, _key: &str) -> Result<Self, ApiError> {
        PolicyKind::parse(raw).map(Self).ok_or_else(|| malformed(RamField::PolicyType))
    }
}

impl PolicyType {
    pub(super) fn policy(self, name: String) -> PolicyName {
        PolicyName { kind: self.0, name }
    }
}

fn own(name: String) -> PolicyName {
    PolicyName { kind: PolicyKind::Custom, name }
}

fn version_id(version: u32) -> String {
    format!("v{version}")
}

/// The number in `v3`.
fn version(id: &str) -> Result<u32, ApiError> {
    let number = id.strip_prefix('v').and_then(|number| number.parse().ok());
    number.ok_or_else(|| malformed(RamField::VersionId))
}

/// What every reply tells of a policy.
pub(super) fn named(policy: &PolicyShown) -> Value {
    json!({
        "PolicyName": policy.policy.name,
        "PolicyType": policy.policy.kind.as_str(),
        "Description": policy.description,
        "DefaultVersion": version_id(policy.default_version),
    })
}

fn shown(policy: &PolicyShown) -> Value {
    let mut shown = named(policy);
    shown["AttachmentCount"] = json!(policy.attachments);
    shown["CreateDate"] = date(policy.created_at);
    shown["UpdateDate"] = date(policy.updated_at);
    shown
}

fn version_shown(version: &VersionShown) -> Value {
    json!({
        "VersionId": version_id(version.version.version),
        "IsDefaultVersion": version.is_default,
        "PolicyDocument": version.version.document,
        "CreateDate": date(version.version.created_at),
    })
}

fn find(versions: &[VersionShown], wanted: u32) -> Result<&VersionShown, ApiError> {
    let found = versions.iter().find(|one| one.version.version == wanted);
    found.ok_or_else(|| {
        let thing = ebb_domain::RamThing::PolicyVersion;
        let denied = ebb_domain::RamDenied::NotFound(thing).into();
        ram(ebb_control::ControlError::Denied(denied))
    })
}

/// Makes a policy.
#[derive(Debug, Params)]
pub struct CreatePolicy {
    /// 1 to 128 letters, digits and hyphens.
    pub policy_name: String,
    /// What it allows and denies.
    pub policy_document: String,
    /// What for.
    pub description: Option<String>,
}

impl Operation for CreatePolicy {
    const PRODUCT: Product = Product::RAM;
    type Reply = Value;

    fn call(self, cx: &Context) -> Result<Value, ApiError> {
        let about = self.description.unwrap_or_default();
        let (name, document) = (&self.policy_name, &self.policy_document);
        cx.control.create_policy(&cx.account, name, &about, document).map_err(ram)?;
        let policy = cx.control.policy(&cx.account, &own(self.policy_name)).map_err(ram)?;
        let mut made = named(&policy);
        made["CreateDate"] = date(policy.created_at);
        Ok(json!({ "Policy": made }))
    }
}

/// Tells about a policy, and what it says.
#[derive(Debug, Params)]
pub struct GetPolicy {
    /// Which.
    pub policy_name: String,
    /// `System` or `Custom`.
    pub policy_type: PolicyType,
}

impl Operation for GetPolicy {
    const PRODUCT: Product = Product::RAM;
    type Reply = Value;

    fn call(self, cx: &Context) -> Result<Value, ApiError> {
        let name = self.policy_type.policy(self.policy_name);
        let policy = cx.control.policy(&cx.account, &name).map_err(ram)?;
        let versions = cx.control.policy_versions(&cx.account, &name).map_err(ram)?;
        let counts = find(&versions, policy.default_version)?;
        Ok(json!({ "Policy": shown(&policy), "DefaultPolicyVersion": version_shown(counts) }))
    }
}

/// Lists policies by their names.
#[derive(Debug, Params)]
pub struct ListPolicies {
    /// `System` or `Custom`; both where nothing is given.
    pub policy_type: Option<PolicyType>,
    /// The Marker of the page before.
    pub marker: Option<String>,
    /// 1 to 1000; 100 where nothing is given.
    pub max_items: Option<MaxItems>,
}

impl Operation for ListPolicies {
    const PRODUCT: Product = Product::RAM;
    type Reply = Value;

    fn call(self, cx: &Context) -> Result<Value, ApiError> {
        let kind = self.policy_type.map(|kind| kind.0);
        let mut found = cx.control.policies(&cx.account, kind).map_err(ram)?;
        let behind = self.marker.unwrap_or_default();
        found.retain(|policy| policy.policy.name > behind);
        let most = self.max_items.unwrap_or_default();
        let name = |policy: &PolicyShown| policy.policy.name.clone();
        Ok(page(("Policies", "Policy"), found, most, name, shown))
    }
}

/// Deletes a policy that nobody has.
#[derive(Debug, Params)]
pub struct DeletePolicy {
    /// Which.
    pub policy_name: String,
    /// Delete its versions and detach it too.
    pub cascading_delete: Option<bool>,
}

impl Operation for DeletePolicy {
    const PRODUCT: Product = Product::RAM;
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        let cascading = self.cascading_delete == Some(true);
        cx.control.delete_policy(&cx.account, &self.policy_name, cascading).map_err(ram)?;
        Ok(Done {})
    }
}

/// Gives a policy another version. There may be five.
#[derive(Debug, Params)]
pub struct CreatePolicyVersion {
    /// Of which.
    pub policy_name: String,
    /// What it allows and denies.
    pub policy_document: String,
    /// Whether it counts from now on.
    pub set_as_default: Option<bool>,
    /// `DeleteOldestNonDefaultVersionWhenLimitExceeded`, or `None`.
    pub rotate_strategy: Option<String>,
}

impl Operation for CreatePolicyVersion {
    const PRODUCT: Product = Product::RAM;
    type Reply = Value;

    fn call(self, cx: &Context) -> Result<Value, ApiError> {
        let rotate = match self.rotate_strategy.as_deref() {
            None | Some("None") => false,
            Some("DeleteOldestNonDefaultVersionWhenLimitExceeded") => true,
            Some(_) => {
                let expected = "None or DeleteOldestNonDefaultVersionWhenLimitExceeded";
                return Err(ApiError::invalid("RotateStrategy", expected));
            }
        };
        let how = (self.set_as_default == Some(true), rotate);
        let (name, document) = (&self.policy_name, &self.policy_document);
        let made = cx.control.create_policy_version(&cx.account, name, document, how);
        Ok(json!({ "PolicyVersion": version_shown(&made.map_err(ram)?) }))
    }
}

/// Tells what a version of a policy says.
#[derive(Debug, Params)]
pub struct GetPolicyVersion {
    /// Of which.
    pub policy_name: String,
    /// `System` or `Custom`.
    pub policy_type: PolicyType,
    /// Such as `v1`.
    pub version_id: String,
}

impl Operation for GetPolicyVersion {
    const PRODUCT: Product = Product::RAM;
    type Reply = Value;

    fn call(self, cx: &Context) -> Result<Value, ApiError> {
        let wanted = version(&self.version_id)?;
        let name = self.policy_type.policy(self.policy_name);
        let versions = cx.control.policy_versions(&cx.account, &name).map_err(ram)?;
        Ok(json!({ "PolicyVersion": version_shown(find(&versions, wanted)?) }))
    }
}

/// Lists the versions of a policy, the oldest first.
#[derive(Debug, Params)]
pub struct ListPolicyVersions {
    /// Of which.
    pub policy_name: String,
    /// `System` or `Custom`.
    pub policy_type: PolicyType,
}

impl Operation for ListPolicyVersions {
    const PRODUCT: Product = Product::RAM;
    type Reply = Value;

    fn call(self, cx: &Context) -> Result<Value, ApiError> {
        let name = self.policy_type.policy(self.policy_name);
        let versions = cx.control.policy_versions(&cx.account, &name).map_err(ram)?;
        let shown: Vec<Value> = versions.iter().map(version_shown).collect();
        Ok(json!({ "PolicyVersions": { "PolicyVersion": shown } }))
    }
}

/// Deletes a version that does not count.
#[derive(Debug, Params)]
pub struct DeletePolicyVersion {
    /// Of which.
    pub policy_name: String,
    /// Such as `v1`.
    pub version_id: String,
}

impl Operation for DeletePolicyVersion {
    const PRODUCT: Product = Product::RAM;
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        let wanted = version(&self.version_id)?;
        cx.control.delete_policy_version(&cx.account, &self.policy_name, wanted).map_err(ram)?;
        Ok(Done {})
    }
}

/// Makes another version the one that counts.
#[derive(Debug, Params)]
pub struct SetDefaultPolicyVersion {
    /// Of which.
    pub policy_name: String,
    /// Such as `v1`.
    pub version_id: String,
}

impl Operation for SetDefaultPolicyVersion {
    const PRODUCT: Product = Product::RAM;
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        let wanted = version(&self.version_id)?;
        cx.control.set_default_version(&cx.account, &self.policy_name, wanted).map_err(ram)?;
        Ok(Done {})
    }
}
