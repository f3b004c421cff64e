//! Regions, zones and images (api.md §3.8, §3.9).

use ebb_api_derive::Params;
use ebb_domain::{Category, ImageId, Region, RegionId, ZoneId, images, instance_types};
use serde::Serialize;
use serde_json::{Value, json};

use super::common::{PageNumber, PageSize, Paging};
use crate::refusals::deny;
use crate::{ApiError, Context, Operation, OperationDef};

/// The family.
pub const OPERATIONS: &[OperationDef] = &[
    OperationDef::of::<DescribeRegions>(),
    OperationDef::of::<DescribeZones>(),
    OperationDef::of::<DescribeImages>(),
];

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

/// Lists images.
#[derive(Debug, Params)]
pub struct DescribeImages {
    /// Where; every image is everywhere.
    pub region_id: RegionId,
    /// Which, up to 100, with commas between.
    pub image_id: Option<String>,
    /// Its name; `*` stands for anything.
    pub image_name: Option<String>,
    /// `system` for public images, which all are here.
    pub image_owner_alias: Option<String>,
    /// Statuses with commas between; `Available` where none is given.
    pub status: Option<String>,
    /// `linux` or `windows`.
    #[param(name = "OSType")]
    pub os_type: Option<String>,
    /// From 1.
    pub page_number: Option<PageNumber>,
    /// 1 to 100.
    pub page_size: Option<PageSize>,
}

/// A page of images.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeImagesReply {
    region_id: String,
    total_count: usize,
    page_number: u32,
    page_size: u32,
    images: Value,
}

impl Operation for DescribeImages {
    type Reply = DescribeImagesReply;

    fn call(self, cx: &Context) -> Result<DescribeImagesReply, ApiError> {
        let region = cx.control.region(&self.region_id);
        region.map_err(|denied| deny("DescribeImages", &denied))?;
        let paging = Paging {
            number: self.page_number,
            size: self.page_size,
            token: None,
            max_results: None,
            max_results_range: (1, 100),
        };
        let paged = paging.resolve();
        let fits: Vec<_> = images().iter().filter(|image| self.fits(image.id)).collect();
        let (first, size) = ((paged.number - 1) as usize * paged.size as usize, paged.size);
        let page: Vec<Value> =
            fits.iter().skip(first).take(size as usize).map(|image| self::image(image)).collect();
        Ok(DescribeImagesReply {
            region_id: self.region_id.to_string(),
            total_count: fits.len(),
            page_number: paged.number,
            page_size: paged.size,
            images: json!({ "Image": page }),
        })
    }
}

impl DescribeImages {
    fn fits(&self, id: &str) -> bool {
        let listed = |list: &Option<String>, value: &str| {
            list.as_deref().is_none_or(|list| list.split(',').any(|entry| entry.trim() == value))
        };
        let named = self.image_name.as_deref().is_none_or(|name| match name.split_once('*') {
            None => name == id,
            Some((start, end)) => id.starts_with(start) && id.ends_with(end),
        });
        let available = listed(&self.status, "Available")
            || self.status.as_deref().is_some_and(|status| status.eq_ignore_ascii_case("all"));
        let system = self.image_owner_alias.as_deref().is_none_or(|alias| alias == "system");
        let linux = self.os_type.as_deref().is_none_or(|os| os == "linux");
        listed(&self.image_id, id) && named && available && system && linux
    }
}

fn image(image: &ebb_domain::Image) -> Value {
    let id = ImageId::new(image.id);
    json!({
        "ImageId": id.as_str(),
        "ImageName": id.as_str(),
        "Description": "An empty system disk",
        "Status": "Available",
        "Progress": "100%",
        "Size": image.size_gib,
        "ImageOwnerAlias": "system",
        "IsPublic": true,
        "IsSelfShared": "",
        "IsSubscribed": false,
        "IsCopied": false,
        "IsSupportIoOptimized": true,
        "IsSupportCloudinit": false,
        "OSType": "linux",
        "OSName": "",
        "OSNameEn": "",
        "Platform": "Others Linux",
        "Architecture": "x86_64",
        "Usage": "none",
        "ImageVersion": "",
        "ImageFamily": "",
        "ProductCode": "",
        "ResourceGroupId": "",
        "CreationTime": "2026-01-01T00:00:00Z",
        "DiskDeviceMappings": { "DiskDeviceMapping": [] },
        "Tags": { "Tag": [] },
    })
}
