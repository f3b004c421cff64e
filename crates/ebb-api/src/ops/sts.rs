//! The Security Token Service: who am I.

use ebb_api_derive::Params;
use serde::Serialize;

use crate::{ApiError, Context, Operation, OperationDef, Product};

/// The family.
pub const OPERATIONS: &[OperationDef] = &[OperationDef::of::<GetCallerIdentity>()];

/// Tells whose access key signed the request.
#[derive(Debug, Params)]
pub struct GetCallerIdentity {}

/// There are only root keys, so RoleId is never there.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CallerIdentity {
    identity_type: &'static str,
    account_id: String,
    principal_id: String,
    user_id: String,
    arn: String,
}

impl<C> Operation<C> for GetCallerIdentity {
    const PRODUCT: Product = Product::STS;
    type Reply = CallerIdentity;

    fn call(self, cx: &Context<C>) -> Result<CallerIdentity, ApiError> {
        let account = cx.account.as_str();
        Ok(CallerIdentity {
            identity_type: "Account",
            account_id: account.to_owned(),
            principal_id: account.to_owned(),
            user_id: account.to_owned(),
            arn: format!("acs:ram::{account}:root"),
        })
    }
}
