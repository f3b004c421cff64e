//! VPCs and VSwitches, as much of them as RunInstances names (operations.md).
//!
//! Routers and route tables are ids that go with a VPC: nothing is routed.

use ebb_api_derive::Params;
use ebb_control::{CreateVSwitch as NewVSwitch, CreateVpc as NewVpc, NetworkQuery};
use ebb_domain::{RegionId, VSwitch, VSwitchId, Vpc, VpcId, ZoneId};
use serde::Serialize;
use serde_json::{Value, json};

use super::common::{Done, PageNumber, Paged, SmallPageSize, Token, client_token, scope};
use crate::refusals::refused;
use crate::time::seconds;
use crate::{ApiError, Context, Operation, OperationDef};

/// The family.
pub const OPERATIONS: &[OperationDef] = &[
    OperationDef::of::<CreateVpc>(),
    OperationDef::of::<DescribeVpcs>(),
    OperationDef::of::<DeleteVpc>(),
    OperationDef::of::<CreateVSwitch>(),
    OperationDef::of::<DescribeVSwitches>(),
    OperationDef::of::<DeleteVSwitch>(),
];

/// Makes a VPC.
#[derive(Debug, Params)]
pub struct CreateVpc {
    /// Where.
    pub region_id: RegionId,
    /// Its addresses, with 8 to 28 bits the same; `172.16.0.0/12` where nothing is given.
    pub cidr_block: Option<String>,
    /// 2 to 128 characters.
    pub vpc_name: Option<String>,
    /// 2 to 256 characters.
    pub description: Option<String>,
    /// The same request again is the same VPC.
    pub client_token: Option<Token>,
}

/// The new VPC.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateVpcReply {
    vpc_id: String,
    #[serde(rename = "VRouterId")]
    router_id: String,
    route_table_id: String,
}

impl Operation for CreateVpc {
    type Reply = CreateVpcReply;

    fn call(self, cx: &Context) -> Result<CreateVpcReply, ApiError> {
        let new = NewVpc {
            region: self.region_id,
            cidr: self.cidr_block,
            name: self.vpc_name.unwrap_or_default(),
            description: self.description.unwrap_or_default(),
            token: client_token(cx, "CreateVpc", self.client_token.map(|token| token.0)),
        };
        let id = cx.control.create_vpc(&cx.account, &new).map_err(refused("CreateVpc"))?;
        Ok(CreateVpcReply {
            vpc_id: id.to_string(),
            router_id: beside(&id, "vrt-"),
            route_table_id: beside(&id, "vtb-"),
        })
    }
}

/// The id of what there is one of in a VPC.
fn beside(id: &VpcId, prefix: &str) -> String {
    id.as_str().replacen("vpc-", prefix, 1)
}

/// Lists VPCs, newest first.
#[derive(Debug, Params)]
pub struct DescribeVpcs {
    /// Where.
    pub region_id: RegionId,
    /// Which, with commas between; unknown ids are simply absent.
    pub vpc_id: Option<String>,
    /// None is the default one.
    pub is_default: Option<bool>,
    /// From 1.
    pub page_number: Option<PageNumber>,
    /// 1 to 50.
    pub page_size: Option<SmallPageSize>,
}

/// A page of VPCs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeVpcsReply {
    total_count: u64,
    page_number: u32,
    page_size: u32,
    vpcs: Value,
}

impl Operation for DescribeVpcs {
    type Reply = DescribeVpcsReply;

    fn call(self, cx: &Context) -> Result<DescribeVpcsReply, ApiError> {
        let paged = Paged::by_number(self.page_number, self.page_size.map(Into::into));
        let base = NetworkQuery::all(cx.account.clone(), self.region_id, paged.request.clone());
        let query = NetworkQuery { ids: ids(self.vpc_id, self.is_default), ..base };
        let page = cx.control.vpcs(&query).map_err(refused("DescribeVpcs"))?;
        let items: Vec<Value> = page.items.into_iter().map(vpc).collect();
        Ok(DescribeVpcsReply {
            total_count: page.total,
            page_number: paged.number,
            page_size: paged.size,
            vpcs: json!({ "Vpc": items }),
        })
    }
}

fn ids(list: Option<String>, is_default: Option<bool>) -> Option<Vec<String>> {
    if is_default == Some(true) {
        return Some(Vec::new());
    }
    list.map(|list| list.split(',').map(|id| id.trim().to_owned()).collect())
}

fn vpc((vpc, vswitches): (Vpc, Vec<VSwitchId>)) -> Value {
    let vswitches: Vec<&str> = vswitches.iter().map(VSwitchId::as_str).collect();
    json!({
        "VpcId": vpc.id.as_str(),
        "VpcName": vpc.name,
        "Description": vpc.description,
        "RegionId": vpc.region.as_str(),
        "CidrBlock": vpc.cidr.to_string(),
        "Status": "Available",
        "CreationTime": seconds(vpc.created_at),
        "IsDefault": false,
        "VRouterId": beside(&vpc.id, "vrt-"),
        "VSwitchIds": { "VSwitchId": vswitches },
        "UserCidrs": { "UserCidr": [] },
    })
}

/// Deletes a VPC that has neither VSwitches nor security groups.
#[derive(Debug, Params)]
pub struct DeleteVpc {
    /// Which.
    pub vpc_id: VpcId,
}

impl Operation for DeleteVpc {
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        cx.control.delete_vpc(&scope(cx), &self.vpc_id).map_err(refused("DeleteVpc"))?;
        Ok(Done {})
    }
}

/// Makes a VSwitch: a part of a VPC, in one zone.
#[derive(Debug, Params)]
pub struct CreateVSwitch {
    /// Where in the VPC's region.
    pub zone_id: ZoneId,
    /// Some of the VPC's addresses, with 16 to 29 bits the same.
    pub cidr_block: String,
    /// Of which it is to be a part.
    pub vpc_id: VpcId,
    /// 2 to 128 characters.
    pub v_switch_name: Option<String>,
    /// 2 to 256 characters.
    pub description: Option<String>,
    /// The same request again is the same VSwitch.
    pub client_token: Option<Token>,
}

/// The new VSwitch.
#[derive(Debug, Serialize)]
pub struct CreateVSwitchReply {
    #[serde(rename = "VSwitchId")]
    vswitch_id: String,
}

impl Operation for CreateVSwitch {
    type Reply = CreateVSwitchReply;

    fn call(self, cx: &Context) -> Result<CreateVSwitchReply, ApiError> {
        let new = NewVSwitch {
            vpc: self.vpc_id,
            zone: self.zone_id,
            cidr: self.cidr_block,
            name: self.v_switch_name.unwrap_or_default(),
            description: self.description.unwrap_or_default(),
            token: client_token(cx, "CreateVSwitch", self.client_token.map(|token| token.0)),
        };
        let made = cx.control.create_vswitch(&scope(cx), &new);
        let vswitch_id = made.map_err(refused("CreateVSwitch"))?.to_string();
        Ok(CreateVSwitchReply { vswitch_id })
    }
}

/// Lists VSwitches, newest first.
#[derive(Debug, Params)]
pub struct DescribeVSwitches {
    /// Where; the server's first region where none is given.
    pub region_id: Option<RegionId>,
    /// Of which VPC.
    pub vpc_id: Option<VpcId>,
    /// Which, with commas between; unknown ids are simply absent.
    pub v_switch_id: Option<String>,
    /// Where in the region.
    pub zone_id: Option<ZoneId>,
    /// None is the default one.
    pub is_default: Option<bool>,
    /// From 1.
    pub page_number: Option<PageNumber>,
    /// 1 to 50.
    pub page_size: Option<SmallPageSize>,
}

/// A page of VSwitches.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeVSwitchesReply {
    total_count: u64,
    page_number: u32,
    page_size: u32,
    v_switches: Value,
}

impl Operation for DescribeVSwitches {
    type Reply = DescribeVSwitchesReply;

    fn call(self, cx: &Context) -> Result<DescribeVSwitchesReply, ApiError> {
        let paged = Paged::by_number(self.page_number, self.page_size.map(Into::into));
        let region = self.region_id.unwrap_or_else(|| cx.control.regions()[0].id.clone());
        let base = NetworkQuery::all(cx.account.clone(), region, paged.request.clone());
        let query = NetworkQuery {
            ids: ids(self.v_switch_id, self.is_default),
            vpc: self.vpc_id,
            zone: self.zone_id,
            ..base
        };
        let page = cx.control.vswitches(&query).map_err(refused("DescribeVSwitches"))?;
        let items: Vec<Value> = page.items.into_iter().map(vswitch).collect();
        Ok(DescribeVSwitchesReply {
            total_count: page.total,
            page_number: paged.number,
            page_size: paged.size,
            v_switches: json!({ "VSwitch": items }),
        })
    }
}

fn vswitch((vswitch, instances): (VSwitch, u64)) -> Value {
    json!({
        "VSwitchId": vswitch.id.as_str(),
        "VSwitchName": vswitch.name,
        "Description": vswitch.description,
        "VpcId": vswitch.vpc.as_str(),
        "ZoneId": vswitch.zone.as_str(),
        "CidrBlock": vswitch.cidr.to_string(),
        "AvailableIpAddressCount": vswitch.cidr.addresses().saturating_sub(instances),
        "Status": "Available",
        "CreationTime": seconds(vswitch.created_at),
        "IsDefault": false,
        "ResourceGroupId": "",
    })
}

/// Deletes a VSwitch that no instance names.
#[derive(Debug, Params)]
pub struct DeleteVSwitch {
    /// Which.
    pub v_switch_id: VSwitchId,
}

impl Operation for DeleteVSwitch {
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        cx.control
            .delete_vswitch(&scope(cx), &self.v_switch_id)
            .map_err(refused("DeleteVSwitch"))?;
        Ok(Done {})
    }
}
