//! DescribeAccountAttributes (api.md §3.8): what an account may have, and what it has.

use ebb_api_derive::Params;
use ebb_domain::{RegionId, ZoneId, instance_type, instance_types};
use serde::Serialize;
use serde_json::{Value, json};

use crate::refusals::{deny, refused};
use crate::{ApiError, Context, Operation, OperationDef, Repeat};

/// The family.
pub const OPERATIONS: &[OperationDef] = &[OperationDef::of::<DescribeAccountAttributes>()];

/// Tells what an account may have and has. A quota that there is not is not told.
#[derive(Debug, Params)]
pub struct DescribeAccountAttributes {
    /// Where; quotas are of all regions together.
    pub region_id: RegionId,
    /// Every zone has the same.
    pub zone_id: Option<ZoneId>,
    /// Which, such as `max-postpaid-yundisk-capacity`; all where none is given.
    pub attribute_name: Repeat<String>,
}

/// The attributes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeAccountAttributesReply {
    account_attribute_items: Value,
}

impl Operation for DescribeAccountAttributes {
    type Reply = DescribeAccountAttributesReply;

    fn call(self, cx: &Context) -> Result<DescribeAccountAttributesReply, ApiError> {
        const ACTION: &str = "DescribeAccountAttributes";
        cx.control.region(&self.region_id).map_err(|denied| deny(ACTION, &denied))?;
        let account = cx.control.account(&cx.account).map_err(refused(ACTION))?;
        let (disk_gib, instances) = cx.control.usage(&cx.account).map_err(refused(ACTION))?;
        let cpus: u32 = instances
            .iter()
            .map(|(id, count)| instance_type(id).map_or(0, |shape| shape.cpus) * count)
            .sum();
        let types = instance_types().iter().map(|shape| shape.id.to_owned()).collect();
        let quota = account.disk_quota_gib.map(|gib| gib.to_string());
        let known = [
            ("instance-network-type", vec!["vpc".to_owned()]),
            ("max-postpaid-yundisk-capacity", quota.into_iter().collect()),
            ("used-postpaid-yundisk-capacity", vec![disk_gib.to_string()]),
            ("used-postpaid-instance-vcpu-count", vec![cpus.to_string()]),
            ("supported-postpaid-instance-types", types),
        ];
        let wanted = |name: &str| {
            self.attribute_name.0.is_empty() || self.attribute_name.0.iter().any(|n| n == name)
        };
        let items: Vec<Value> = known
            .into_iter()
            .filter(|(name, values)| wanted(name) && !values.is_empty())
            .map(|(name, values)| item(name, &values))
            .collect();
        Ok(DescribeAccountAttributesReply {
            account_attribute_items: json!({ "AccountAttributeItem": items }),
        })
    }
}

fn item(name: &str, values: &[String]) -> Value {
    let value = |value: &String| json!({ "Value": value });
    let values: Vec<Value> = values.iter().map(value).collect();
    json!({ "AttributeName": name, "AttributeValues": { "ValueItem": values } })
}
