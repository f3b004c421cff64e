//! JoinResourceGroup (api.md §3.6).

use ebb_api_derive::Params;

use super::common::{Done, scope};
use super::tag::kind;
use crate::refusals::refused;
use crate::{ApiError, Context, Operation, OperationDef};

/// The family.
pub const OPERATIONS: &[OperationDef] = &[OperationDef::of::<JoinResourceGroup>()];

/// Puts a resource into a resource group, instead of the one that it was in.
#[derive(Debug, Params)]
pub struct JoinResourceGroup {
    /// `disk`, `snapshot` or `instance`.
    #[param(missing = missing)]
    pub resource_type: String,
    /// Which.
    #[param(missing = missing)]
    pub resource_id: String,
    /// Any id: there is no service of groups here.
    #[param(missing = missing)]
    pub resource_group_id: String,
}

/// This operation has a status of its own for it.
fn missing(key: &str) -> ApiError {
    let usual = ApiError::missing(key);
    ApiError::new(403, usual.code, usual.message)
}

impl Operation for JoinResourceGroup {
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        let kind = kind("JoinResourceGroup", &self.resource_type)?;
        let (id, group) = (&self.resource_id, &self.resource_group_id);
        cx.control
            .join_resource_group(&scope(cx), kind, id, group)
            .map_err(refused("JoinResourceGroup"))?;
        Ok(Done {})
    }
}
