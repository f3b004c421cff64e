//! CreateInstance: RunInstances of one instance, which is not started (api.md §3.7).

use ebb_api_derive::Params;
use ebb_control::{DataDisk, RunInstances as Run, SystemDisk};
use ebb_domain::{ImageId, Network, RegionId, ZoneId};
use serde::Serialize;

use super::common::{TagParam, Token, client_token, tags};
use super::run::{DataDiskParam, SystemDiskParam};
use crate::refusals::refused;
use crate::{ApiError, Context, Operation, OperationDef};

/// The family.
pub const OPERATIONS: &[OperationDef] = &[OperationDef::of::<CreateInstance>()];

/// Makes an instance with its disks. It is Stopped once they are there.
#[derive(Debug, Params)]
pub struct CreateInstance {
    /// Where.
    pub region_id: RegionId,
    /// Where in the region; its VSwitch's zone, or the first, where none is given.
    pub zone_id: Option<ZoneId>,
    /// What the system disk starts from.
    pub image_id: ImageId,
    /// Such as `ecs.g7.large`.
    pub instance_type: String,
    /// 2 to 128 characters; the id where none is given.
    pub instance_name: Option<String>,
    /// 2 to 256 characters.
    pub description: Option<String>,
    /// 2 to 64 letters, digits, dots and hyphens.
    pub host_name: Option<String>,
    /// Whether DeleteInstance is refused.
    pub deletion_protection: Option<bool>,
    /// Kept and described.
    pub resource_group_id: Option<String>,
    /// Kept and described.
    pub v_switch_id: Option<String>,
    /// Kept and described.
    pub security_group_id: Option<String>,
    /// Kept and described.
    pub private_ip_address: Option<String>,
    /// Kept and described.
    pub internet_charge_type: Option<String>,
    /// Kept and described.
    pub internet_max_bandwidth_in: Option<i64>,
    /// Kept and described.
    pub internet_max_bandwidth_out: Option<i64>,
    /// Kept and described.
    pub key_pair_name: Option<String>,
    /// Base64 of up to 32 KiB; DescribeUserData tells it.
    pub user_data: Option<String>,
    /// The disk it boots from.
    #[param(flat)]
    pub system_disk: Option<SystemDiskParam>,
    /// Up to 16; local and ephemeral ones too.
    pub data_disk: Vec<DataDiskParam>,
    /// Up to 20.
    pub tag: Vec<TagParam>,
    /// The same request again is the same instance.
    pub client_token: Option<Token>,
    /// Only checks.
    pub dry_run: Option<bool>,
}

/// The new instance.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateInstanceReply {
    instance_id: String,
}

impl Operation for CreateInstance {
    type Reply = CreateInstanceReply;

    fn call(self, cx: &Context) -> Result<CreateInstanceReply, ApiError> {
        let run = Run {
            region: self.region_id,
            zone: self.zone_id,
            image: self.image_id,
            instance_type: self.instance_type,
            amount: 1,
            starts: false,
            name: self.instance_name.unwrap_or_default(),
            description: self.description.unwrap_or_default(),
            host_name: self.host_name.unwrap_or_default(),
            deletion_protection: self.deletion_protection.unwrap_or(false),
            resource_group: self.resource_group_id.unwrap_or_default(),
            network: Network {
                vswitch: self.v_switch_id.unwrap_or_default(),
                security_groups: self.security_group_id.into_iter().collect(),
                private_ip: self.private_ip_address.unwrap_or_default(),
                internet_charge_type: self.internet_charge_type.unwrap_or_default(),
                bandwidth_in: self.internet_max_bandwidth_in.unwrap_or(0),
                bandwidth_out: self.internet_max_bandwidth_out.unwrap_or(0),
                key_pair: self.key_pair_name.unwrap_or_default(),
                user_data: self.user_data.unwrap_or_default(),
            },
            system_disk: self.system_disk.map(SystemDisk::from).unwrap_or_default(),
            data_disks: self.data_disk.into_iter().map(DataDisk::from).collect(),
            tags: tags(self.tag),
            token: client_token(cx, "CreateInstance", self.client_token.map(|token| token.0)),
            dry_run: self.dry_run.unwrap_or(false),
        };
        let ids = cx.control.run_instances(&cx.account, &run).map_err(refused("CreateInstance"))?;
        let instance_id = ids.into_iter().next().expect("one was asked for");
        Ok(CreateInstanceReply { instance_id: instance_id.to_string() })
    }
}
