//! What is said of one instance: told, and changed (api.md §3.7).

use ebb_api_derive::Params;
use ebb_control::InstanceChange;
use ebb_domain::{Denied, Instance, InstanceId, RegionId, VpcId, instance_type};
use serde::Serialize;
use serde_json::{Value, json};

use super::common::{Done, Text, scope};
use super::disk_list::NEVER_EXPIRES;
use super::instance::status_name;
use super::instance_list::{addresses, lock_reasons};
use crate::refusals::{deny, refused};
use crate::time::minutes;
use crate::{ApiError, Context, Operation, OperationDef, Repeat};

/// The family.
pub const OPERATIONS: &[OperationDef] = &[
    OperationDef::of::<DescribeInstanceAttribute>(),
    OperationDef::of::<ModifyInstanceAttribute>(),
    OperationDef::of::<DescribeUserData>(),
];

/// Tells of one instance.
#[derive(Debug, Params)]
pub struct DescribeInstanceAttribute {
    /// Which.
    pub instance_id: InstanceId,
}

/// The instance. What this server has nothing of is there and empty, because clients read it
/// without asking.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeInstanceAttributeReply {
    instance_id: String,
    instance_name: String,
    description: String,
    host_name: String,
    status: &'static str,
    region_id: String,
    zone_id: String,
    cluster_id: &'static str,
    vlan_id: &'static str,
    image_id: String,
    instance_type: String,
    cpu: u32,
    memory: u32,
    serial_number: String,
    creation_time: String,
    expired_time: &'static str,
    stopped_mode: String,
    instance_charge_type: &'static str,
    instance_network_type: &'static str,
    internet_charge_type: String,
    internet_max_bandwidth_in: i64,
    internet_max_bandwidth_out: i64,
    credit_specification: &'static str,
    /// Unlike in DescribeInstances a text.
    io_optimized: &'static str,
    operation_locks: Value,
    security_group_ids: Value,
    vpc_attributes: Value,
    public_ip_address: Value,
    inner_ip_address: Value,
    eip_address: Value,
    dedicated_host_attribute: Value,
}

impl Operation for DescribeInstanceAttribute {
    type Reply = DescribeInstanceAttributeReply;

    fn call(self, cx: &Context) -> Result<DescribeInstanceAttributeReply, ApiError> {
        let refuse = refused("DescribeInstanceAttribute");
        let account = cx.control.account(&cx.account).map_err(&refuse)?;
        let instance = cx.control.instance(&scope(cx), &self.instance_id).map_err(&refuse)?;
        let vpcs = cx.control.vpcs_of(std::slice::from_ref(&instance)).map_err(&refuse)?;
        let vpc = vpcs.get(&instance.network.vswitch).map_or("", VpcId::as_str);
        Ok(DescribeInstanceAttributeReply::new(instance, account.arrears, vpc))
    }
}

impl DescribeInstanceAttributeReply {
    fn new(instance: Instance, arrears: bool, vpc: &str) -> Self {
        let shape = instance_type(&instance.instance_type);
        let reason = |reason| json!({ "LockReason": reason });
        let locks: Vec<Value> = lock_reasons(&instance, arrears).into_iter().map(reason).collect();
        let network = instance.network;
        Self {
            instance_id: instance.id.to_string(),
            status: status_name(instance.status),
            region_id: instance.region.to_string(),
            zone_id: instance.zone.to_string(),
            cluster_id: "",
            vlan_id: "",
            image_id: instance.image.to_string(),
            cpu: shape.map_or(0, |shape| shape.cpus),
            memory: shape.map_or(0, |shape| shape.memory_mib),
            serial_number: instance.id.as_str().trim_start_matches("i-").to_owned(),
            creation_time: minutes(instance.created_at),
            expired_time: NEVER_EXPIRES,
            instance_charge_type: "PostPaid",
            instance_network_type: "vpc",
            internet_charge_type: network.internet_charge_type,
            internet_max_bandwidth_in: network.bandwidth_in,
            internet_max_bandwidth_out: network.bandwidth_out,
            credit_specification: "",
            io_optimized: "optimized",
            operation_locks: json!({ "LockReason": locks }),
            security_group_ids: json!({ "SecurityGroupId": network.security_groups }),
            vpc_attributes: json!({
                "VpcId": vpc,
                "VSwitchId": network.vswitch,
                "NatIpAddress": "",
                "PrivateIpAddress": { "IpAddress": addresses(&network.private_ip) },
            }),
            public_ip_address: json!({ "IpAddress": [] }),
            inner_ip_address: json!({ "IpAddress": [] }),
            eip_address: json!({
                "AllocationId": "", "IpAddress": "", "InternetChargeType": "", "Bandwidth": 0,
            }),
            dedicated_host_attribute: json!({ "DedicatedHostId": "", "DedicatedHostName": "" }),
            instance_name: instance.name,
            description: instance.description,
            host_name: instance.host_name,
            instance_type: instance.instance_type,
            stopped_mode: instance.stopped_mode,
        }
    }
}

/// Says something else of an instance; what is not given stays.
#[derive(Debug, Params)]
pub struct ModifyInstanceAttribute {
    /// Which.
    pub instance_id: InstanceId,
    /// 2 to 128 characters.
    pub instance_name: Option<String>,
    /// 2 to 256 characters; nothing empties it.
    pub description: Option<Text>,
    /// 2 to 64 letters, digits, dots and hyphens.
    pub host_name: Option<String>,
    /// Base64 of up to 32 KiB; nothing empties it.
    pub user_data: Option<Text>,
    /// Whether DeleteInstance is refused.
    pub deletion_protection: Option<bool>,
    /// Instead of those that it was in.
    pub security_group_ids: Repeat<String>,
}

impl Operation for ModifyInstanceAttribute {
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        let change = InstanceChange {
            name: self.instance_name,
            description: self.description.map(|text| text.0),
            host_name: self.host_name,
            user_data: self.user_data.map(|text| text.0),
            deletion_protection: self.deletion_protection,
            security_groups: Some(self.security_group_ids.0).filter(|ids| !ids.is_empty()),
        };
        cx.control
            .modify_instance(&scope(cx), &self.instance_id, &change)
            .map_err(refused("ModifyInstanceAttribute"))?;
        Ok(Done {})
    }
}

/// Tells what an instance reads when it first starts.
#[derive(Debug, Params)]
pub struct DescribeUserData {
    /// Where.
    pub region_id: RegionId,
    /// Which.
    pub instance_id: InstanceId,
}

/// The user data, as it was given.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeUserDataReply {
    region_id: String,
    instance_id: String,
    user_data: String,
}

impl Operation for DescribeUserData {
    type Reply = DescribeUserDataReply;

    fn call(self, cx: &Context) -> Result<DescribeUserDataReply, ApiError> {
        let refuse = |denied: Denied| deny("DescribeUserData", &denied);
        cx.control.region(&self.region_id).map_err(refuse)?;
        let instance = cx
            .control
            .instance(&scope(cx), &self.instance_id)
            .map_err(refused("DescribeUserData"))?;
        Ok(DescribeUserDataReply {
            region_id: self.region_id.to_string(),
            instance_id: instance.id.to_string(),
            user_data: instance.network.user_data,
        })
    }
}
