//! Instance types, and what can be had where (api.md §3.8): everything, everywhere.

use ebb_api_derive::Params;
use ebb_domain::{Category, Denied, Field, InstanceType, RegionId, ZoneId, instance_types};
use serde::Serialize;
use serde_json::{Value, json};

use crate::refusals::deny;
use crate::{ApiError, Context, Operation, OperationDef, Repeat};

/// The family.
pub const OPERATIONS: &[OperationDef] = &[
    OperationDef::of::<DescribeInstanceTypes>(),
    OperationDef::of::<DescribeInstanceTypeFamilies>(),
    OperationDef::of::<DescribeAvailableResource>(),
];

/// Lists instance types.
#[derive(Debug, Params)]
pub struct DescribeInstanceTypes {
    /// Which, up to 10.
    pub instance_types: Repeat<String>,
    /// Such as `ecs.g7`.
    pub instance_type_family: Option<String>,
    /// Any of them.
    pub instance_type_families: Repeat<String>,
    /// At least so many.
    pub minimum_cpu_core_count: Option<u32>,
    /// At most so many.
    pub maximum_cpu_core_count: Option<u32>,
    /// At least so many.
    pub minimum_disk_quantity: Option<u32>,
    /// `X86`, which all are.
    pub cpu_architecture: Option<String>,
    /// All are told at once.
    pub max_results: Option<i64>,
    /// The answer is one page.
    pub next_token: Option<String>,
}

/// The types.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeInstanceTypesReply {
    instance_types: Value,
    next_token: &'static str,
}

impl Operation for DescribeInstanceTypes {
    type Reply = DescribeInstanceTypesReply;

    fn call(self, _: &Context) -> Result<DescribeInstanceTypesReply, ApiError> {
        let types: Vec<Value> =
            instance_types().iter().filter(|shape| self.fits(shape)).map(told).collect();
        Ok(DescribeInstanceTypesReply {
            instance_types: json!({ "InstanceType": types }),
            next_token: "",
        })
    }
}

impl DescribeInstanceTypes {
    fn fits(&self, shape: &InstanceType) -> bool {
        let listed = |list: &Repeat<String>, value: &str| {
            list.0.is_empty() || list.0.iter().any(|entry| entry == value)
        };
        let disks = self
            .minimum_disk_quantity
            .is_none_or(|least| usize::try_from(least).is_ok_and(|least| shape.disks_max >= least));
        listed(&self.instance_types, shape.id)
            && listed(&self.instance_type_families, shape.family)
            && self.instance_type_family.as_deref().is_none_or(|family| family == shape.family)
            && self.minimum_cpu_core_count.is_none_or(|least| shape.cpus >= least)
            && self.maximum_cpu_core_count.is_none_or(|most| shape.cpus <= most)
            && self.cpu_architecture.as_deref().is_none_or(|name| name.eq_ignore_ascii_case("X86"))
            && disks
    }
}

fn told(shape: &InstanceType) -> Value {
    json!({
        "InstanceTypeId": shape.id,
        "InstanceTypeFamily": shape.family,
        "InstanceFamilyLevel": "EnterpriseLevel",
        "InstanceCategory": "General-purpose",
        "CpuCoreCount": shape.cpus,
        "CpuArchitecture": "X86",
        "MemorySize": f64::from(shape.memory_mib) / 1024.0,
        "DiskQuantity": shape.disks_max,
        "LocalStorageAmount": 0,
        "LocalStorageCapacity": 0,
        "LocalStorageCategory": "",
        "GPUAmount": 0,
        "GPUSpec": "",
        "EniQuantity": 1,
        "EniPrivateIpAddressQuantity": 1,
        "EniIpv6AddressQuantity": 0,
        "EniTotalQuantity": 1,
        "EniTrunkSupported": false,
        "NvmeSupport": "unsupported",
        "InitialCredit": 0,
        "BaselineCredit": 0,
    })
}

/// Lists the families of instance types.
#[derive(Debug, Params)]
pub struct DescribeInstanceTypeFamilies {
    /// Where; every type is everywhere.
    pub region_id: RegionId,
    /// `ecs-1` to `ecs-7`.
    pub generation: Option<String>,
}

/// The families.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeInstanceTypeFamiliesReply {
    instance_type_families: Value,
}

impl Operation for DescribeInstanceTypeFamilies {
    type Reply = DescribeInstanceTypeFamiliesReply;

    fn call(self, cx: &Context) -> Result<DescribeInstanceTypeFamiliesReply, ApiError> {
        let region = cx.control.region(&self.region_id);
        region.map_err(|denied| deny("DescribeInstanceTypeFamilies", &denied))?;
        let mut families: Vec<&str> = instance_types().iter().map(|shape| shape.family).collect();
        families.dedup();
        let fits = |family: &&str| {
            self.generation.as_deref().is_none_or(|wanted| wanted == generation(family))
        };
        let item = |family: &str| {
            json!({
                "InstanceTypeFamilyId": family, "Generation": generation(family),
            })
        };
        let items: Vec<Value> = families.into_iter().filter(fits).map(item).collect();
        Ok(DescribeInstanceTypeFamiliesReply {
            instance_type_families: json!({ "InstanceTypeFamily": items }),
        })
    }
}

/// `ecs-7` of `ecs.g7`; families without a number are shown with the last that had one.
fn generation(family: &str) -> String {
    let digit = family.chars().find(char::is_ascii_digit).unwrap_or('6');
    format!("ecs-{digit}")
}

/// Lists what can be had in each zone.
#[derive(Debug, Params)]
pub struct DescribeAvailableResource {
    /// Where.
    pub region_id: RegionId,
    /// Zone, IoOptimized, InstanceType, SystemDisk, DataDisk or Network.
    #[param(missing = missing)]
    pub destination_resource: String,
    /// Where in the region.
    pub zone_id: Option<ZoneId>,
    /// Such as `ecs.g7.large`.
    pub instance_type: Option<String>,
    /// Of a disk to boot from.
    pub system_disk_category: Option<String>,
    /// Of another disk.
    pub data_disk_category: Option<String>,
    /// Of an instance that is not named by its type.
    pub cores: Option<u32>,
    /// Both are had here: PostPaid.
    pub instance_charge_type: Option<String>,
    /// `instance`, which is meant where none is given, `disk`, `reservedinstance` or `ddh`.
    pub resource_type: Option<String>,
    /// `Region` or `Zone`: what is had in one zone is had in all.
    pub scope: Option<String>,
}

/// This operation has a code of its own for it, and words without quotation marks.
fn missing(key: &str) -> ApiError {
    let message = format!(
        "The input parameter {key} that is mandatory for processing this request is not supplied."
    );
    ApiError::new(400, "Invalid.Param", message)
}

/// The zones, each with what can be had there.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeAvailableResourceReply {
    available_zones: Value,
}

impl Operation for DescribeAvailableResource {
    type Reply = DescribeAvailableResourceReply;

    fn call(self, cx: &Context) -> Result<DescribeAvailableResourceReply, ApiError> {
        let refuse = |denied: Denied| deny("DescribeAvailableResource", &denied);
        let region = cx.control.region(&self.region_id).map_err(refuse)?;
        self.check().map_err(refuse)?;
        let resources = self.resources().map_err(refuse)?;
        let zone = |zone: &ZoneId| {
            json!({
                "RegionId": self.region_id.as_str(),
                "ZoneId": zone.as_str(),
                "Status": "Available",
                "StatusCategory": "WithStock",
                "AvailableResources": { "AvailableResource": resources },
            })
        };
        let wanted = |zone: &&ZoneId| self.zone_id.as_ref().is_none_or(|wanted| wanted == *zone);
        let zones: Vec<Value> = region.zones().iter().filter(wanted).map(zone).collect();
        Ok(DescribeAvailableResourceReply { available_zones: json!({ "AvailableZone": zones }) })
    }
}

impl DescribeAvailableResource {
    fn check(&self) -> Result<(), Denied> {
        let one_of = |given: &Option<String>, known: &[&str], field| match given {
            Some(given) if !known.iter().any(|name| name.eq_ignore_ascii_case(given)) => {
                Err(Denied::Malformed(field))
            }
            _ => Ok(()),
        };
        let kinds = ["instance", "disk", "reservedinstance", "ddh"];
        one_of(&self.resource_type, &kinds, Field::AvailableResourceType)?;
        one_of(&self.scope, &["Region", "Zone"], Field::Scope)?;
        let charges = ["PrePaid", "PostPaid"];
        one_of(&self.instance_charge_type, &charges, Field::InstanceChargeType)?;
        if self.instance_type.is_some() && self.cores.is_some() {
            return Err(Denied::TypeAndShape);
        }
        Ok(())
    }

    fn resources(&self) -> Result<Vec<Value>, Denied> {
        let supported: Vec<Value> = match self.destination_resource.as_str() {
            "Zone" => return Ok(Vec::new()),
            "IoOptimized" => vec![available("optimized")],
            "Network" => vec![available("vpc")],
            "InstanceType" => {
                let types = instance_types().iter().filter(|shape| self.takes(shape));
                types.map(|shape| available(shape.id)).collect()
            }
            "SystemDisk" => disks(self.system_disk_category.as_deref(), true),
            "DataDisk" => disks(self.data_disk_category.as_deref(), false),
            _ => return Err(Denied::Malformed(Field::DestinationResource)),
        };
        Ok(vec![json!({
            "Type": self.destination_resource,
            "SupportedResources": { "SupportedResource": supported },
        })])
    }

    fn takes(&self, shape: &InstanceType) -> bool {
        self.instance_type.as_deref().is_none_or(|wanted| wanted == shape.id)
            && self.cores.is_none_or(|cores| cores == shape.cpus)
    }
}

fn available(value: &str) -> Value {
    json!({ "Value": value, "Status": "Available", "StatusCategory": "WithStock" })
}

/// With the sizes that each comes in. What has no snapshots is no system disk.
fn disks(wanted: Option<&str>, system: bool) -> Vec<Value> {
    let fits = |category: &&Category| {
        wanted.is_none_or(|wanted| wanted == category.name())
            && (!system || category.has_snapshots())
    };
    let told = |category: &Category| {
        let (least, most) = category.sizes_gib().into_inner();
        let mut told = available(category.name());
        told["Min"] = json!(least);
        told["Max"] = json!(most);
        told["Unit"] = json!("GiB");
        told
    };
    Category::ALL.iter().filter(fits).map(told).collect()
}
