//! The Security Token Service: who am I, and taking a role on.

use ebb_api_derive::Params;
use ebb_control::Who;
use ebb_domain::IdentityKind;
use serde::Serialize;
use serde_json::{Value, json};

use crate::refusals::{failed, refused};
use crate::time::seconds;
use crate::{ApiError, Authority, Context, Operation, OperationDef, Product};

/// The family.
pub const OPERATIONS: &[OperationDef] =
    &[OperationDef::of::<AssumeRole>(), OperationDef::of::<GetCallerIdentity>()];

/// Tells whose access key signed the request.
#[derive(Debug, Params)]
pub struct GetCallerIdentity {}

/// RoleId is there for a role that was taken on, UserId for all else.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CallerIdentity {
    identity_type: &'static str,
    account_id: String,
    principal_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role_id: Option<String>,
    arn: String,
}

impl<C: Authority> Operation<C> for GetCallerIdentity {
    const PRODUCT: Product = Product::STS;
    type Reply = CallerIdentity;

    fn call(self, cx: &Context<C>) -> Result<CallerIdentity, ApiError> {
        let account = cx.account.to_string();
        let name = cx.control.name_of(&cx.caller).map_err(failed)?;
        let arn = cx.caller.arn(&name);
        let (identity_type, principal_id, user_id, role_id) = match &cx.caller.who {
            Who::Root => ("Account", account.clone(), Some(account.clone()), None),
            Who::User(id) => ("RAMUser", id.clone(), Some(id.clone()), None),
            Who::Session(session) => {
                let principal = format!("{}:{}", session.role, session.name);
                ("AssumedRoleUser", principal, None, Some(session.role.clone()))
            }
        };
        Ok(CallerIdentity {
            identity_type,
            account_id: account,
            principal_id,
            user_id,
            role_id,
            arn,
        })
    }
}

/// Takes a role on: credentials that end by themselves.
#[derive(Debug, Params)]
pub struct AssumeRole {
    /// `acs:ram::<account>:role/<name>`.
    pub role_arn: String,
    /// What the session is called: 2 to 64 letters, digits, periods, @, hyphens and underscores.
    pub role_session_name: String,
    /// For how long: 900 to what the role allows; 3600 where nothing is given.
    pub duration_seconds: Option<i64>,
    /// What the session may at most: a policy.
    pub policy: Option<String>,
}

impl Operation for AssumeRole {
    const PRODUCT: Product = Product::STS;
    type Reply = Value;

    fn call(self, cx: &Context) -> Result<Value, ApiError> {
        let wanted = ebb_control::AssumeRole {
            role_arn: self.role_arn,
            session_name: self.role_session_name,
            seconds: self.duration_seconds,
            policy: self.policy,
        };
        let asked = cx.subject.asked(cx.peer);
        let made = cx.control.assume_role(&cx.caller, &wanted, &asked);
        let made = made.map_err(refused("AssumeRole"))?;
        debug_assert_eq!(made.role.kind, IdentityKind::Role);
        let (session, role) = (&made.session, &made.role);
        let arn = format!("acs:ram::{}:assumed-role/{}/{}", role.account, role.name, session.name);
        Ok(json!({
            "AssumedRoleUser": {
                "AssumedRoleId": format!("{}:{}", role.id, session.name),
                "Arn": arn,
            },
            "Credentials": {
                "AccessKeyId": session.key_id,
                "AccessKeySecret": session.secret.expose(),
                "SecurityToken": made.token,
                "Expiration": seconds(session.expires_at),
            },
        }))
    }
}
