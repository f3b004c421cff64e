//! The Location service: which host answers for a product in a region (api.md §1.10). Whoever asks
//! here has found this server, so it answers with the name that it was asked by.

use ebb_api_derive::Params;
use ebb_domain::{Denied, RegionId};
use serde::Serialize;
use serde_json::{Value, json};

use crate::refusals::deny;
use crate::{ApiError, Context, Operation, OperationDef, Product};

/// The family.
pub const OPERATIONS: &[OperationDef] = &[OperationDef::of::<DescribeEndpoints>()];

/// Lists the endpoints of a product in a region.
#[derive(Debug, Params)]
pub struct DescribeEndpoints {
    /// The region.
    pub id: RegionId,
    /// `ecs` or `sts`; both where none is given.
    pub service_code: Option<String>,
    /// `openAPI`, which all are.
    #[param(name = "Type")]
    pub kind: Option<String>,
}

/// The endpoints.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeEndpointsReply {
    success: bool,
    endpoints: Value,
}

impl Operation for DescribeEndpoints {
    const PRODUCT: Product = Product::LOCATION;
    type Reply = DescribeEndpointsReply;

    fn call(self, cx: &Context) -> Result<DescribeEndpointsReply, ApiError> {
        let refuse = |denied: Denied| deny("DescribeEndpoints", &denied);
        cx.control.region(&self.id).map_err(refuse)?;
        let is = |given: &Option<String>, what: &str| {
            given.as_deref().is_none_or(|given| given.eq_ignore_ascii_case(what))
        };
        let protocol = if cx.peer.tls { "HTTPS" } else { "HTTP" };
        // The misspelt key is the protocol's own.
        let endpoint = |service: &&str| {
            json!({
                "Endpoint": cx.host,
                "Id": self.id.as_str(),
                "Namespace": "",
                "SerivceCode": service,
                "Type": "openAPI",
                "Protocols": { "Protocols": [protocol] },
            })
        };
        let known = ["ecs", "sts"].into_iter().filter(|service| is(&self.service_code, service));
        let wanted: Vec<&str> = known.filter(|_| is(&self.kind, "openAPI")).collect();
        if wanted.is_empty() {
            return Err(refuse(Denied::EndpointUnknown));
        }
        let endpoints: Vec<Value> = wanted.iter().map(endpoint).collect();
        Ok(DescribeEndpointsReply { success: true, endpoints: json!({ "Endpoint": endpoints }) })
    }
}
