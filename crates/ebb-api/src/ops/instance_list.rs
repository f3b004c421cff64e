//! DescribeInstances and DescribeInstanceStatus.

use ebb_api_derive::Params;
use ebb_control::InstanceQuery;
use ebb_domain::{Denied, Field, Instance, InstanceId, RegionId, VpcId, ZoneId, instance_type};
use serde::Serialize;
use serde_json::{Value, json};

use super::common::{
    FilterParam, PageNumber, PageSize, Paged, Paging, SmallPageSize, TagParam, Tags,
    created_between, tag_filters,
};
use super::disk_list::NEVER_EXPIRES;
use super::instance::status_name;
use crate::refusals::{deny, refused};
use crate::time::minutes;
use crate::{ApiError, Context, JsonList, Operation, Repeat};

/// Lists instances, newest first.
#[derive(Debug, Params)]
pub struct DescribeInstances {
    /// Where.
    pub region_id: RegionId,
    /// Where in the region.
    pub zone_id: Option<ZoneId>,
    /// Which, up to 100; unknown ids are simply absent.
    pub instance_ids: Option<JsonList<InstanceId>>,
    /// Its name; `*` stands for anything.
    pub instance_name: Option<String>,
    /// What it was made from.
    pub image_id: Option<String>,
    /// Such as `ecs.g7.large`.
    pub instance_type: Option<String>,
    /// Pending, Starting, Running, Stopping or Stopped.
    pub status: Option<String>,
    /// As given when it was made.
    pub v_switch_id: Option<String>,
    /// As given when it was made; any of them.
    pub private_ip_addresses: Option<JsonList<String>>,
    /// Its VSwitch's.
    pub vpc_id: Option<VpcId>,
    /// No instance has one.
    pub inner_ip_addresses: Option<JsonList<String>>,
    /// No instance has one.
    pub public_ip_addresses: Option<JsonList<String>>,
    /// No instance has one.
    pub eip_addresses: Option<JsonList<String>>,
    /// One of those given when it was made.
    pub security_group_id: Option<String>,
    /// As given when it was made.
    pub key_pair_name: Option<String>,
    /// As given when it was made.
    pub resource_group_id: Option<String>,
    /// Only PostPaid ones are made here.
    pub instance_charge_type: Option<String>,
    /// Every instance is in a `vpc` here.
    pub instance_network_type: Option<String>,
    /// `security` or `financial`.
    pub lock_reason: Option<String>,
    /// CreationStartTime, CreationEndTime.
    pub filter: Vec<FilterParam>,
    /// All of them.
    pub tag: Vec<TagParam>,
    /// From 1.
    pub page_number: Option<PageNumber>,
    /// 1 to 100.
    pub page_size: Option<PageSize>,
    /// The NextToken of the page before.
    pub next_token: Option<String>,
    /// 1 to 100.
    pub max_results: Option<i64>,
    /// Only checks.
    pub dry_run: Option<bool>,
}

/// A page of instances.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeInstancesReply {
    total_count: u64,
    page_number: u32,
    page_size: u32,
    next_token: String,
    instances: Instances,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Instances {
    instance: Vec<InstanceItem>,
}

impl Operation for DescribeInstances {
    type Reply = DescribeInstancesReply;

    fn call(self, cx: &Context) -> Result<DescribeInstancesReply, ApiError> {
        let refuse = |denied: Denied| deny("DescribeInstances", &denied);
        cx.control.region(&self.region_id).map_err(refuse)?;
        let account = cx.control.account(&cx.account).map_err(refused("DescribeInstances"))?;
        let dry_run = self.dry_run == Some(true);
        let (query, paged) = self.query(cx, account.arrears).map_err(refuse)?;
        let page = cx.control.instances(&query).map_err(refused("DescribeInstances"))?;
        if dry_run {
            return Err(refuse(Denied::DryRun));
        }
        let vpcs = cx.control.vpcs_of(&page.items).map_err(refused("DescribeInstances"))?;
        let item = |instance: Instance| {
            let vpc = vpcs.get(&instance.network.vswitch).map_or("", VpcId::as_str);
            InstanceItem::new(instance, account.arrears, vpc)
        };
        Ok(DescribeInstancesReply {
            total_count: page.total,
            page_number: paged.number,
            page_size: paged.size,
            next_token: paged.next_token(page.next),
            instances: Instances { instance: page.items.into_iter().map(item).collect() },
        })
    }
}

impl DescribeInstances {
    fn query(self, cx: &Context, arrears: bool) -> Result<(InstanceQuery, Paged), Denied> {
        let (created_from, created_to) = created_between(&self.filter)?;
        let paged = Paging {
            number: self.page_number,
            size: self.page_size,
            token: self.next_token,
            max_results: self.max_results,
            max_results_range: (1, 100),
        }
        .resolve();
        let prepaid = match self.instance_charge_type.as_deref() {
            None | Some("PostPaid") => false,
            Some("PrePaid") => true,
            Some(_) => return Err(Denied::Malformed(Field::InstanceChargeType)),
        };
        let classic = match self.instance_network_type.as_deref() {
            None | Some("vpc") => false,
            Some("classic") => true,
            Some(_) => return Err(Denied::Malformed(Field::InstanceNetworkType)),
        };
        let (locked, no_lock) = match self.lock_reason.as_deref() {
            None => (None, false),
            Some("security") => (Some(true), false),
            Some("financial") => (None, !arrears),
            Some("recycling" | "dedicatedhostfinancial" | "refunded") => (None, true),
            Some(_) => return Err(Denied::Malformed(Field::LockReason)),
        };
        let nowhere = self.inner_ip_addresses.is_some()
            || self.public_ip_addresses.is_some()
            || self.eip_addresses.is_some();
        let nothing = no_lock || prepaid || classic || nowhere;
        let query = InstanceQuery {
            ids: if nothing { Some(Vec::new()) } else { self.instance_ids.map(|ids| ids.0) },
            zone: self.zone_id,
            name: self.instance_name,
            image: self.image_id,
            instance_type: self.instance_type,
            status: status(self.status)?,
            vswitch: self.v_switch_id,
            vpc: self.vpc_id,
            private_ips: self.private_ip_addresses.map(|ips| ips.0),
            security_group: self.security_group_id,
            key_pair: self.key_pair_name,
            resource_group: self.resource_group_id,
            locked,
            created_from,
            created_to,
            tags: tag_filters(self.tag)?,
            ..any(cx, self.region_id, paged.request.clone())
        };
        Ok((query, paged))
    }
}

pub(super) fn any(cx: &Context, region: RegionId, page: ebb_control::PageRequest) -> InstanceQuery {
    InstanceQuery {
        account: cx.account.clone(),
        region,
        ids: None,
        zone: None,
        name: None,
        image: None,
        instance_type: None,
        status: None,
        vswitch: None,
        vpc: None,
        private_ips: None,
        security_group: None,
        key_pair: None,
        resource_group: None,
        locked: None,
        created_from: None,
        created_to: None,
        tags: Vec::new(),
        page,
    }
}

fn status(text: Option<String>) -> Result<Option<String>, Denied> {
    match text.as_deref() {
        None | Some("Pending" | "Starting" | "Running" | "Stopping" | "Stopped") => Ok(text),
        Some(_) => Err(Denied::Malformed(Field::Status)),
    }
}

/// Lists instances with nothing but their status.
#[derive(Debug, Params)]
pub struct DescribeInstanceStatus {
    /// Where.
    pub region_id: RegionId,
    /// Where in the region.
    pub zone_id: Option<ZoneId>,
    /// Which, up to 100.
    pub instance_id: Repeat<InstanceId>,
    /// From 1.
    pub page_number: Option<PageNumber>,
    /// 1 to 50.
    pub page_size: Option<SmallPageSize>,
}

/// A page of statuses.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeInstanceStatusReply {
    total_count: u64,
    page_number: u32,
    page_size: u32,
    instance_statuses: InstanceStatuses,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct InstanceStatuses {
    instance_status: Vec<StatusItem>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct StatusItem {
    instance_id: String,
    status: &'static str,
}

impl Operation for DescribeInstanceStatus {
    type Reply = DescribeInstanceStatusReply;

    fn call(self, cx: &Context) -> Result<DescribeInstanceStatusReply, ApiError> {
        let refuse = |denied: Denied| deny("DescribeInstanceStatus", &denied);
        let region = cx.control.region(&self.region_id).map_err(refuse)?;
        if self.zone_id.as_ref().is_some_and(|zone| !region.zones().contains(zone)) {
            return Err(refuse(Denied::ZoneNotFound));
        }
        if self.instance_id.0.len() > 100 {
            return Err(refuse(Denied::TooManyIds));
        }
        let paged = Paged::by_number(self.page_number, self.page_size.map(Into::into));
        let ids = Some(self.instance_id.0).filter(|ids| !ids.is_empty());
        let base = any(cx, self.region_id, paged.request.clone());
        let query = InstanceQuery { ids, zone: self.zone_id, ..base };
        let page = cx.control.instances(&query).map_err(refused("DescribeInstanceStatus"))?;
        let item = |instance: Instance| StatusItem {
            instance_id: instance.id.to_string(),
            status: status_name(instance.status),
        };
        Ok(DescribeInstanceStatusReply {
            total_count: page.total,
            page_number: paged.number,
            page_size: paged.size,
            instance_statuses: InstanceStatuses {
                instance_status: page.items.into_iter().map(item).collect(),
            },
        })
    }
}

/// An instance as ECS shows it. What this server has nothing of is there and empty, because clients
/// read it without asking.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct InstanceItem {
    instance_id: String,
    instance_name: String,
    description: String,
    host_name: String,
    status: &'static str,
    region_id: String,
    zone_id: String,
    image_id: String,
    instance_type: String,
    instance_type_family: &'static str,
    cpu: u32,
    memory: u32,
    creation_time: String,
    start_time: String,
    expired_time: &'static str,
    auto_release_time: &'static str,
    stopped_mode: String,
    serial_number: String,
    instance_charge_type: &'static str,
    instance_network_type: &'static str,
    internet_charge_type: String,
    internet_max_bandwidth_in: i64,
    internet_max_bandwidth_out: i64,
    key_pair_name: String,
    resource_group_id: String,
    deletion_protection: bool,
    device_available: bool,
    io_optimized: bool,
    recyclable: bool,
    credit_specification: &'static str,
    spot_strategy: &'static str,
    #[serde(rename = "OSName")]
    os_name: &'static str,
    #[serde(rename = "OSType")]
    os_type: &'static str,
    vlan_id: &'static str,
    cluster_id: &'static str,
    operation_locks: Value,
    security_group_ids: Value,
    vpc_attributes: Value,
    public_ip_address: Value,
    inner_ip_address: Value,
    eip_address: Value,
    network_interfaces: Value,
    tags: Tags,
}

impl InstanceItem {
    fn new(instance: Instance, arrears: bool, vpc: &str) -> Self {
        let shape = instance_type(&instance.instance_type);
        let stopped = status_name(instance.status) == "Stopped";
        let mode = if stopped { instance.stopped_mode.clone() } else { "Not-applicable".into() };
        let network = &instance.network;
        Self {
            instance_id: instance.id.to_string(),
            status: status_name(instance.status),
            region_id: instance.region.to_string(),
            zone_id: instance.zone.to_string(),
            image_id: instance.image.to_string(),
            instance_type_family: shape.map_or("", |shape| shape.family),
            cpu: shape.map_or(0, |shape| shape.cpus),
            memory: shape.map_or(0, |shape| shape.memory_mib),
            creation_time: minutes(instance.created_at),
            start_time: instance.started_at.map(minutes).unwrap_or_default(),
            expired_time: NEVER_EXPIRES,
            auto_release_time: "",
            stopped_mode: mode,
            serial_number: instance.id.as_str().trim_start_matches("i-").to_owned(),
            instance_charge_type: "PostPaid",
            instance_network_type: "vpc",
            internet_charge_type: network.internet_charge_type.clone(),
            internet_max_bandwidth_in: network.bandwidth_in,
            internet_max_bandwidth_out: network.bandwidth_out,
            key_pair_name: network.key_pair.clone(),
            deletion_protection: instance.deletion_protection,
            device_available: true,
            io_optimized: true,
            recyclable: false,
            credit_specification: "",
            spot_strategy: "NoSpot",
            os_name: "",
            os_type: "linux",
            vlan_id: "",
            cluster_id: "",
            operation_locks: locks(&instance, arrears),
            security_group_ids: json!({ "SecurityGroupId": network.security_groups }),
            vpc_attributes: json!({
                "VpcId": vpc,
                "VSwitchId": network.vswitch,
                "NatIpAddress": "",
                "PrivateIpAddress": { "IpAddress": addresses(&network.private_ip) },
            }),
            public_ip_address: json!({ "IpAddress": [] }),
            inner_ip_address: json!({ "IpAddress": [] }),
            eip_address: json!({ "IpAddress": "", "AllocationId": "", "InternetChargeType": "" }),
            network_interfaces: json!({ "NetworkInterface": [] }),
            tags: instance.tags.into(),
            instance_name: instance.name,
            description: instance.description,
            host_name: instance.host_name,
            instance_type: instance.instance_type,
            resource_group_id: instance.resource_group,
        }
    }
}

fn locks(instance: &Instance, arrears: bool) -> Value {
    let told = |reason| json!({ "LockReason": reason, "LockMsg": "" });
    let reasons: Vec<Value> = lock_reasons(instance, arrears).into_iter().map(told).collect();
    json!({ "LockReason": reasons })
}

pub(super) fn lock_reasons(instance: &Instance, arrears: bool) -> Vec<&'static str> {
    let held = [(instance.security_lock, "security"), (arrears || instance.expired, "financial")];
    held.into_iter().filter(|(held, _)| *held).map(|(_, reason)| reason).collect()
}

pub(super) fn addresses(address: &str) -> Vec<&str> {
    if address.is_empty() { Vec::new() } else { vec![address] }
}
