//! What clients read beside an instance, of which this server has little: roles, maintenance,
//! renewal, private pools, events (api.md §4.1).
//!
//! Each answers what is true of every instance here: it has no role, is repaired in place, is paid
//! by use, takes no capacity of a pool, and had no event.

use std::collections::BTreeSet;

use ebb_api_derive::Params;
use ebb_control::InstanceQuery;
use ebb_domain::{Denied, Field, Instance, InstanceId, RegionId};
use serde::Serialize;
use serde_json::{Value, json};

use super::common::{PageNumber, PageSize, Paged, SmallPageSize};
use super::instance_list::any;
use crate::refusals::{deny, refused};
use crate::{ApiError, Context, JsonList, Operation, OperationDef, Repeat};

/// The family.
pub const OPERATIONS: &[OperationDef] = &[
    OperationDef::of::<DescribeInstanceRamRole>(),
    OperationDef::of::<DescribeInstanceMaintenanceAttributes>(),
    OperationDef::of::<DescribeInstanceAutoRenewAttribute>(),
    OperationDef::of::<DescribeInstanceAttachmentAttributes>(),
    OperationDef::of::<DescribeInstanceHistoryEvents>(),
];

/// Instances that one request may name.
const INSTANCES_MAX: usize = 100;

/// A page of those of the account's instances that were named, and how many there are.
fn named(
    cx: &Context,
    operation: &'static str,
    region: &RegionId,
    ids: Option<Vec<InstanceId>>,
    paged: &Paged,
) -> Result<(Vec<Instance>, u64), ApiError> {
    cx.control.region(region).map_err(|denied| deny(operation, &denied))?;
    if ids.as_ref().is_some_and(|ids| ids.len() > INSTANCES_MAX) {
        return Err(deny(operation, &Denied::TooManyIds));
    }
    let query = InstanceQuery { ids, ..any(cx, region.clone(), paged.request.clone()) };
    let page = cx.control.instances(&query).map_err(refused(operation))?;
    Ok((page.items, page.total))
}

/// Lists the roles of instances: none has one.
#[derive(Debug, Params)]
pub struct DescribeInstanceRamRole {
    /// Where.
    pub region_id: RegionId,
    /// Which, up to 100; this or RamRoleName.
    pub instance_ids: Option<JsonList<InstanceId>>,
    /// No instance has one.
    pub ram_role_name: Option<String>,
    /// From 1.
    pub page_number: Option<PageNumber>,
    /// 1 to 50.
    pub page_size: Option<SmallPageSize>,
}

/// Instances, each with no role.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeInstanceRamRoleReply {
    region_id: String,
    total_count: u64,
    instance_ram_role_sets: Value,
}

impl Operation for DescribeInstanceRamRole {
    type Reply = DescribeInstanceRamRoleReply;

    fn call(self, cx: &Context) -> Result<DescribeInstanceRamRoleReply, ApiError> {
        const ACTION: &str = "DescribeInstanceRamRole";
        if self.instance_ids.is_none() && self.ram_role_name.is_none() {
            return Err(deny(ACTION, &Denied::InstancesOrRoleMissing));
        }
        let ids = match self.ram_role_name {
            Some(_) => Vec::new(),
            None => self.instance_ids.map(|ids| ids.0).unwrap_or_default(),
        };
        let paged = Paged::by_number(self.page_number, self.page_size.map(Into::into));
        let (found, total_count) = named(cx, ACTION, &self.region_id, Some(ids), &paged)?;
        let item = |instance: Instance| {
            json!({
                "InstanceId": instance.id.as_str(), "RamRoleName": "",
            })
        };
        let items: Vec<Value> = found.into_iter().map(item).collect();
        Ok(DescribeInstanceRamRoleReply {
            region_id: self.region_id.to_string(),
            total_count,
            instance_ram_role_sets: json!({ "InstanceRamRoleSet": items }),
        })
    }
}

/// Tells how instances are maintained.
#[derive(Debug, Params)]
pub struct DescribeInstanceMaintenanceAttributes {
    /// Where.
    pub region_id: RegionId,
    /// Which, up to 100; all where none is given.
    pub instance_id: Repeat<InstanceId>,
    /// From 1.
    pub page_number: Option<PageNumber>,
    /// 1 to 100.
    pub page_size: Option<PageSize>,
}

/// A page of instances.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeInstanceMaintenanceAttributesReply {
    total_count: u64,
    page_number: u32,
    page_size: u32,
    maintenance_attributes: Value,
}

impl Operation for DescribeInstanceMaintenanceAttributes {
    type Reply = DescribeInstanceMaintenanceAttributesReply;

    fn call(self, cx: &Context) -> Result<Self::Reply, ApiError> {
        const ACTION: &str = "DescribeInstanceMaintenanceAttributes";
        let paged = Paged::by_number(self.page_number, self.page_size);
        let ids = Some(self.instance_id.0).filter(|ids| !ids.is_empty());
        let (found, total_count) = named(cx, ACTION, &self.region_id, ids, &paged)?;
        let item = |instance: Instance| {
            json!({
                "InstanceId": instance.id.as_str(),
                "NotifyOnMaintenance": false,
                "MaintenanceWindows": { "MaintenanceWindow": [] },
                "ActionOnMaintenance": {
                    "Value": "AutoRecover",
                    "DefaultValue": "AutoRecover",
                    "SupportedValues": { "SupportedValue": ["AutoRecover"] },
                },
            })
        };
        let items: Vec<Value> = found.into_iter().map(item).collect();
        Ok(DescribeInstanceMaintenanceAttributesReply {
            total_count,
            page_number: paged.number,
            page_size: paged.size,
            maintenance_attributes: json!({ "MaintenanceAttribute": items }),
        })
    }
}

/// Lists what is renewed by itself: nothing, as no instance is paid in advance.
#[derive(Debug, Params)]
pub struct DescribeInstanceAutoRenewAttribute {
    /// Where.
    pub region_id: RegionId,
    /// Which, up to 100 with commas between; this or RenewalStatus.
    pub instance_id: Option<String>,
    /// AutoRenewal, Normal or NotRenewal.
    pub renewal_status: Option<String>,
    /// From 1.
    pub page_number: Option<String>,
    /// 1 to 100.
    pub page_size: Option<String>,
}

/// An empty page.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeInstanceAutoRenewAttributeReply {
    total_count: u64,
    page_number: u32,
    page_size: u32,
    instance_renew_attributes: Value,
}

impl Operation for DescribeInstanceAutoRenewAttribute {
    type Reply = DescribeInstanceAutoRenewAttributeReply;

    fn call(self, cx: &Context) -> Result<Self::Reply, ApiError> {
        const ACTION: &str = "DescribeInstanceAutoRenewAttribute";
        let refuse = |denied: Denied| deny(ACTION, &denied);
        cx.control.region(&self.region_id).map_err(refuse)?;
        match self.renewal_status.as_deref() {
            None | Some("AutoRenewal" | "Normal" | "NotRenewal") => {}
            Some(_) => return Err(refuse(Denied::Malformed(Field::RenewalStatus))),
        }
        match (&self.instance_id, &self.renewal_status) {
            (None, None) => return Err(refuse(Denied::InstanceOrRenewalMissing)),
            (Some(ids), _) => {
                let ids: BTreeSet<&str> = ids.split(',').collect();
                let wanted = ids.len() as u64;
                let ids = Some(ids.into_iter().map(InstanceId::new).collect());
                let page = Paged::by_number(None, None);
                let (_, found) = named(cx, ACTION, &self.region_id, ids, &page)?;
                let all_are_there = found == wanted;
                return Err(refuse(match all_are_there {
                    true => Denied::PayAsYouGo,
                    false => Denied::InstanceNotFound,
                }));
            }
            (None, Some(_)) => {}
        }
        let number = |text: Option<String>, field, least, most| match text {
            None => Ok(least),
            Some(text) => text
                .parse()
                .ok()
                .filter(|number| (1..=most).contains(number))
                .ok_or_else(|| refuse(Denied::Malformed(field))),
        };
        Ok(DescribeInstanceAutoRenewAttributeReply {
            total_count: 0,
            page_number: number(self.page_number, Field::PageNumber, 1, u32::MAX)?,
            page_size: number(self.page_size, Field::PageSize, 10, 100)?,
            instance_renew_attributes: json!({ "InstanceRenewAttribute": [] }),
        })
    }
}

/// Tells which private pools instances take their capacity from: none.
#[derive(Debug, Params)]
pub struct DescribeInstanceAttachmentAttributes {
    /// Where.
    pub region_id: RegionId,
    /// Which, up to 100.
    pub instance_ids: JsonList<InstanceId>,
    /// From 1.
    pub page_number: Option<PageNumber>,
    /// 1 to 100.
    pub page_size: Option<PageSize>,
}

/// A page of instances.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeInstanceAttachmentAttributesReply {
    total_count: u64,
    page_number: u32,
    page_size: u32,
    instances: Value,
}

impl Operation for DescribeInstanceAttachmentAttributes {
    type Reply = DescribeInstanceAttachmentAttributesReply;

    fn call(self, cx: &Context) -> Result<Self::Reply, ApiError> {
        const ACTION: &str = "DescribeInstanceAttachmentAttributes";
        let paged = Paged::by_number(self.page_number, self.page_size);
        let ids = Some(self.instance_ids.0);
        let (found, total_count) = named(cx, ACTION, &self.region_id, ids, &paged)?;
        let item = |instance: Instance| {
            json!({
                "InstanceId": instance.id.as_str(),
                "PrivatePoolOptionsMatchCriteria": "None",
                "PrivatePoolOptionsId": "",
            })
        };
        let items: Vec<Value> = found.into_iter().map(item).collect();
        Ok(DescribeInstanceAttachmentAttributesReply {
            total_count,
            page_number: paged.number,
            page_size: paged.size,
            instances: json!({ "Instance": items }),
        })
    }
}

/// Lists what befell instances: nothing does here.
#[derive(Debug, Params)]
pub struct DescribeInstanceHistoryEvents {
    /// Where.
    pub region_id: RegionId,
    /// No instance had an event.
    pub instance_id: Option<InstanceId>,
    /// From 1.
    pub page_number: Option<PageNumber>,
    /// 1 to 100.
    pub page_size: Option<PageSize>,
}

/// An empty page.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeInstanceHistoryEventsReply {
    total_count: u64,
    page_number: u32,
    page_size: u32,
    next_token: &'static str,
    instance_system_event_set: Value,
}

impl Operation for DescribeInstanceHistoryEvents {
    type Reply = DescribeInstanceHistoryEventsReply;

    fn call(self, cx: &Context) -> Result<Self::Reply, ApiError> {
        let region = cx.control.region(&self.region_id);
        region.map_err(|denied| deny("DescribeInstanceHistoryEvents", &denied))?;
        let paged = Paged::by_number(self.page_number, self.page_size);
        Ok(DescribeInstanceHistoryEventsReply {
            total_count: 0,
            page_number: paged.number,
            page_size: paged.size,
            next_token: "",
            instance_system_event_set: json!({ "InstanceSystemEventType": [] }),
        })
    }
}
