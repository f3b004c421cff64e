//! Regions and zones (api.md §3.8).

use ebb_api_derive::Params;
use ebb_domain::{Category, Region, RegionId, ZoneId, instance_types};
use serde::Serialize;
use serde_json::{Value, json};

use crate::refusals::deny;
use crate::{ApiError, Context, Operation, OperationDef};

/// The family.
pub const OPERATIONS: &[OperationDef] =
    &[OperationDef::of::<DescribeRegions>(), OperationDef::of::<DescribeZones>()];

/// Lists the regions of this server.
#[derive(Debug, Params)]
pub struct DescribeRegions {
    /// Names are the same in every language here.
    pub accept_language: Option<String>,
}

/// The regions.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeRegionsReply {
    regions: Regions,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Regions {
    region: Vec<RegionItem>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct RegionItem {
    region_id: String,
    region_endpoint: String,
    local_name: String,
    status: &'static str,
}

impl Operation for DescribeRegions {
    type Reply = DescribeRegionsReply;

    fn call(self, cx: &Context) -> Result<DescribeRegionsReply, ApiError> {
        let item = |region: &Region| RegionItem {
            region_id: region.id.to_string(),
            region_endpoint: format!("ecs.{}.aliyuncs.com", region.id),
            local_name: region.id.to_string(),
            status: "available",
        };
        let region = cx.control.regions().iter().map(item).collect();
        Ok(DescribeRegionsReply { regions: Regions { region } })
    }
}

/// Lists the zones of a region.
#[derive(Debug, Params)]
pub struct DescribeZones {
    /// Which.
    pub region_id: RegionId,
    /// Names are the same in every language here.
    pub accept_language: Option<String>,
    /// Whether to say what each zone has; it always does.
    pub verbose: Option<bool>,
}

/// The zones.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeZonesReply {
    zones: Value,
}

impl Operation for DescribeZones {
    type Reply = DescribeZonesReply;

    fn call(self, cx: &Context) -> Result<DescribeZonesReply, ApiError> {
        let region = cx.control.region(&self.region_id);
        let region = region.map_err(|denied| deny("DescribeZones", &denied))?;
        let zones: Vec<Value> = region.zones().iter().map(zone).collect();
        Ok(DescribeZonesReply { zones: json!({ "Zone": zones }) })
    }
}

/// The keys' irregular cases are the protocol's own (api.md §3.8).
fn zone(id: &ZoneId) -> Value {
    let types: Vec<&str> = instance_types().iter().map(|shape| shape.id).collect();
    let mut families: Vec<&str> = instance_types().iter().map(|shape| shape.family).collect();
    families.dedup();
    let names = |fits: fn(&Category) -> bool| -> Vec<&str> {
        Category::ALL.iter().filter(|c| fits(c)).map(|c| c.name()).collect()
    };
    let (all, system) = (names(|_| true), names(|category| category.has_snapshots()));
    json!({
        "ZoneId": id.as_str(),
        "LocalName": id.as_str(),
        "ZoneType": "AvailabilityZone",
        "AvailableResourceCreation": {
            "ResourceTypes": ["VSwitch", "IoOptimized", "Instance", "Disk"],
        },
        "AvailableDiskCategories": { "DiskCategories": all },
        "AvailableInstanceTypes": { "InstanceTypes": types },
        "AvailableVolumeCategories": { "VolumeCategories": [] },
        "AvailableDedicatedHostTypes": { "DedicatedHostType": [] },
        "DedicatedHostGenerations": { "DedicatedHostGeneration": [] },
        "AvailableResources": { "ResourcesInfo": [{
            "IoOptimized": true,
            "SystemDiskCategories": { "supportedSystemDiskCategory": system },
            "DataDiskCategories": { "supportedDataDiskCategory": all },
            "InstanceTypes": { "supportedInstanceType": types },
            "InstanceTypeFamilies": { "supportedInstanceTypeFamily": families },
            "InstanceGenerations": { "supportedInstanceGeneration": ["ecs-7"] },
            "NetworkTypes": { "supportedNetworkCategory": ["vpc"] },
        }] },
    })
}
