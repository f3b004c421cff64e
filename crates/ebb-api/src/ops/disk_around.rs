//! What clients ask of disks that is the same for every disk here: events, health, payment.

use ebb_api_derive::Params;
use ebb_control::DiskQuery;
use ebb_domain::{Denied, Disk, DiskId, InstanceId, RegionId};
use serde::Serialize;
use serde_json::{Value, json};

use super::common::{PageNumber, PageSize, Paged, TagParam, Token, scope, tag_filters};
use super::disk_list::{status, status_name};
use crate::refusals::{deny, refused};
use crate::{ApiError, Context, JsonList, Operation, OperationDef, Repeat};

/// The family.
pub const OPERATIONS: &[OperationDef] = &[
    OperationDef::of::<DescribeDisksFullStatus>(),
    OperationDef::of::<ModifyDiskChargeType>(),
    OperationDef::of::<DescribeSnapshotPackage>(),
];

/// Lists disks with their health and events: each is well, and had no event.
#[derive(Debug, Params)]
pub struct DescribeDisksFullStatus {
    /// Where.
    pub region_id: RegionId,
    /// Which, up to 100.
    pub disk_id: Repeat<DiskId>,
    /// Such as In_use.
    pub status: Option<String>,
    /// `Ok`, which all are, or another.
    pub health_status: Option<String>,
    /// No disk had an event.
    pub event_id: Repeat<String>,
    /// No disk had an event.
    pub event_type: Option<String>,
    /// As given when it was made.
    pub resource_group_id: Option<String>,
    /// All of them.
    pub tag: Vec<TagParam>,
    /// From 1.
    pub page_number: Option<PageNumber>,
    /// 1 to 100.
    pub page_size: Option<PageSize>,
}

/// A page of disks.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeDisksFullStatusReply {
    total_count: u64,
    page_number: u32,
    page_size: u32,
    disk_full_status_set: Value,
}

impl Operation for DescribeDisksFullStatus {
    type Reply = DescribeDisksFullStatusReply;

    fn call(self, cx: &Context) -> Result<DescribeDisksFullStatusReply, ApiError> {
        const ACTION: &str = "DescribeDisksFullStatus";
        let refuse = |denied: Denied| deny(ACTION, &denied);
        cx.control.region(&self.region_id).map_err(refuse)?;
        if self.disk_id.0.len() > 100 {
            return Err(refuse(Denied::TooManyIds));
        }
        let paged = Paged::by_number(self.page_number, self.page_size);
        let well = self.health_status.is_none_or(|wanted| wanted.eq_ignore_ascii_case("Ok"));
        let any = well && self.event_id.0.is_empty() && self.event_type.is_none();
        let named = Some(self.disk_id.0).filter(|ids| !ids.is_empty());
        let base = DiskQuery::all(cx.account.clone(), self.region_id, paged.request.clone());
        let query = DiskQuery {
            ids: if any { named } else { Some(Vec::new()) },
            status: status(self.status).map_err(refuse)?,
            resource_group: self.resource_group_id,
            tags: tag_filters(self.tag).map_err(refuse)?,
            ..base
        };
        let page = cx.control.disks(&query).map_err(refused(ACTION))?;
        let items: Vec<Value> = page.items.iter().map(item).collect();
        Ok(DescribeDisksFullStatusReply {
            total_count: page.total,
            page_number: paged.number,
            page_size: paged.size,
            disk_full_status_set: json!({ "DiskFullStatusType": items }),
        })
    }
}

fn item(disk: &Disk) -> Value {
    let at = disk.attachments.first();
    json!({
        "DiskId": disk.id.as_str(),
        "InstanceId": at.map_or("", |at| at.instance.as_str()),
        "Device": at.map_or("", |at| at.device.as_str()),
        "Status": { "Name": status_name(&disk.status), "Code": 0 },
        "HealthStatus": { "Name": "Ok", "Code": 0 },
        "DiskEventSet": { "DiskEventType": [] },
    })
}

/// Would have disks of a subscription instance paid in another way: no instance is one.
#[derive(Debug, Params)]
pub struct ModifyDiskChargeType {
    /// Where.
    pub region_id: RegionId,
    /// Of which instance.
    pub instance_id: InstanceId,
    /// Which of its disks.
    pub disk_ids: JsonList<DiskId>,
    /// PrePaid or PostPaid.
    pub disk_charge_type: Option<String>,
    /// Nothing is made.
    pub client_token: Option<Token>,
}

/// Nothing was ordered.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ModifyDiskChargeTypeReply {
    order_id: String,
}

impl Operation for ModifyDiskChargeType {
    type Reply = ModifyDiskChargeTypeReply;

    fn call(self, cx: &Context) -> Result<ModifyDiskChargeTypeReply, ApiError> {
        const ACTION: &str = "ModifyDiskChargeType";
        let refuse = |denied: Denied| deny(ACTION, &denied);
        cx.control.region(&self.region_id).map_err(refuse)?;
        cx.control.instance(&scope(cx), &self.instance_id).map_err(refused(ACTION))?;
        let disks = cx.control.disks_of(&self.instance_id).map_err(refused(ACTION))?;
        let is_its = |id: &DiskId| disks.iter().any(|disk| disk.id == *id);
        if !self.disk_ids.0.iter().all(is_its) {
            return Err(refuse(Denied::DiskNotFound));
        }
        Err(refuse(Denied::PayAsYouGo))
    }
}

/// Lists storage that was paid in advance: none was.
#[derive(Debug, Params)]
pub struct DescribeSnapshotPackage {
    /// Where.
    pub region_id: RegionId,
    /// From 1.
    pub page_number: Option<PageNumber>,
    /// 1 to 100.
    pub page_size: Option<PageSize>,
}

/// An empty page.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeSnapshotPackageReply {
    total_count: u64,
    page_number: u32,
    page_size: u32,
    snapshot_packages: Value,
}

impl Operation for DescribeSnapshotPackage {
    type Reply = DescribeSnapshotPackageReply;

    fn call(self, cx: &Context) -> Result<DescribeSnapshotPackageReply, ApiError> {
        let region = cx.control.region(&self.region_id);
        region.map_err(|denied| deny("DescribeSnapshotPackage", &denied))?;
        let paged = Paged::by_number(self.page_number, self.page_size);
        Ok(DescribeSnapshotPackageReply {
            total_count: 0,
            page_number: paged.number,
            page_size: paged.size,
            snapshot_packages: json!({ "SnapshotPackage": [] }),
        })
    }
}
