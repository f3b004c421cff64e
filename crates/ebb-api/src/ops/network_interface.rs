//! Network interfaces: every instance has its primary one, which goes with it.

use std::collections::HashMap;

use ebb_api_derive::Params;
use ebb_control::InstanceQuery;
use ebb_domain::{Denied, Instance, InstanceId, RegionId, VpcId};
use serde::Serialize;
use serde_json::{Value, json};

use super::common::{PageNumber, PageSize, Paging};
use super::instance_list::any;
use crate::refusals::{deny, refused};
use crate::time::seconds;
use crate::{ApiError, Context, Operation, OperationDef, Repeat};

/// The family.
pub const OPERATIONS: &[OperationDef] = &[OperationDef::of::<DescribeNetworkInterfaces>()];

/// Lists network interfaces, of the newest instance first.
#[derive(Debug, Params)]
pub struct DescribeNetworkInterfaces {
    /// Where.
    pub region_id: RegionId,
    /// Of which instance.
    pub instance_id: Option<InstanceId>,
    /// Which, up to 100.
    pub network_interface_id: Repeat<String>,
    /// `Primary`, which all are, or `Secondary`.
    #[param(name = "Type")]
    pub kind: Option<String>,
    /// `InUse`, which all are.
    pub status: Option<String>,
    /// Its instance's.
    pub v_switch_id: Option<String>,
    /// Its instance's.
    pub vpc_id: Option<VpcId>,
    /// One of its instance's.
    pub security_group_id: Option<String>,
    /// Its instance's.
    pub primary_ip_address: Option<String>,
    /// Its instance's; any of them.
    pub private_ip_address: Repeat<String>,
    /// From 1.
    pub page_number: Option<PageNumber>,
    /// 1 to 100.
    pub page_size: Option<PageSize>,
    /// The NextToken of the page before.
    pub next_token: Option<String>,
    /// 10 to 500; no more than 100 are told at once.
    pub max_results: Option<i64>,
}

/// A page of network interfaces.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeNetworkInterfacesReply {
    total_count: u64,
    page_number: u32,
    page_size: u32,
    next_token: String,
    network_interface_sets: Value,
}

impl Operation for DescribeNetworkInterfaces {
    type Reply = DescribeNetworkInterfacesReply;

    fn call(self, cx: &Context) -> Result<DescribeNetworkInterfacesReply, ApiError> {
        const ACTION: &str = "DescribeNetworkInterfaces";
        cx.control.region(&self.region_id).map_err(|denied: Denied| deny(ACTION, &denied))?;
        let paging = Paging {
            number: self.page_number,
            size: self.page_size,
            token: self.next_token.clone(),
            max_results: self.max_results,
            max_results_range: (10, 100),
        };
        let paged = paging.resolve();
        let all = any(cx, self.region_id.clone(), paged.request.clone());
        let query = self.query(all);
        let page = cx.control.instances(&query).map_err(refused(ACTION))?;
        let vpcs = cx.control.vpcs_of(&page.items).map_err(refused(ACTION))?;
        let items: Vec<Value> =
            page.items.iter().map(|instance| interface(instance, &vpcs)).collect();
        Ok(DescribeNetworkInterfacesReply {
            total_count: page.total,
            page_number: paged.number,
            page_size: paged.size,
            next_token: paged.next_token(page.next),
            network_interface_sets: json!({ "NetworkInterfaceSet": items }),
        })
    }
}

impl DescribeNetworkInterfaces {
    fn query(self, all: InstanceQuery) -> InstanceQuery {
        let addresses: Vec<String> =
            self.primary_ip_address.into_iter().chain(self.private_ip_address.0).collect();
        let of_interfaces = |ids: &[String]| -> Vec<InstanceId> {
            ids.iter().map(|id| InstanceId::new(id.replacen("eni-", "i-", 1))).collect()
        };
        let named = self.network_interface_id.0;
        let ids = match (self.instance_id, named.is_empty()) {
            (None, true) => None,
            (Some(id), true) => Some(vec![id]),
            (None, false) => Some(of_interfaces(&named)),
            (Some(id), false) => Some(of_interfaces(&named))
                .map(|ids| ids.into_iter().filter(|found| *found == id).collect()),
        };
        let is = |filter: Option<String>, what: &str| {
            filter.is_none_or(|wanted| wanted.eq_ignore_ascii_case(what))
        };
        let any = is(self.kind, "Primary") && is(self.status, "InUse");
        InstanceQuery {
            ids: if any { ids } else { Some(Vec::new()) },
            vswitch: self.v_switch_id,
            vpc: self.vpc_id,
            security_group: self.security_group_id,
            private_ips: Some(addresses).filter(|addresses| !addresses.is_empty()),
            ..all
        }
    }
}

/// The id is the instance's with another prefix: there is one for each, for as long.
fn interface(instance: &Instance, vpcs: &HashMap<String, VpcId>) -> Value {
    let network = &instance.network;
    let addresses: Vec<Value> = Some(&network.private_ip)
        .filter(|address| !address.is_empty())
        .into_iter()
        .map(|address| json!({ "PrivateIpAddress": address, "Primary": true }))
        .collect();
    json!({
        "NetworkInterfaceId": instance.id.as_str().replacen("i-", "eni-", 1),
        "InstanceId": instance.id.as_str(),
        "Type": "Primary",
        "Status": "InUse",
        "NetworkInterfaceName": "",
        "Description": "",
        "NetworkInterfaceTrafficMode": "Standard",
        "ZoneId": instance.zone.as_str(),
        "VpcId": vpcs.get(&network.vswitch).map_or("", VpcId::as_str),
        "VSwitchId": network.vswitch,
        "PrivateIpAddress": network.private_ip,
        "PrivateIpSets": { "PrivateIpSet": addresses },
        "Ipv6Sets": { "Ipv6Set": [] },
        "SecurityGroupIds": { "SecurityGroupId": network.security_groups },
        "CreationTime": seconds(instance.created_at),
        "MacAddress": "",
        "OwnerId": instance.account.as_str(),
        "ResourceGroupId": instance.resource_group,
        "ServiceManaged": false,
        "DeleteOnRelease": true,
        "Tags": { "Tag": [] },
    })
}
