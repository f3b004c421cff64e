//! RunInstances (api.md §3.7).

use ebb_api_derive::Params;
use ebb_control::{DataDisk, RunInstances as Run, SystemDisk};
use ebb_domain::{ImageId, Network, NewDisk, RegionId, SnapshotId, ZoneId};
use serde::Serialize;

use super::common::{TagParam, Token, client_token, tags};
use crate::refusals::refused;
use crate::{ApiError, Context, Operation, Repeat};

/// Makes instances with their disks and starts them.
#[derive(Debug, Params)]
pub struct RunInstances {
    /// Where.
    pub region_id: RegionId,
    /// Where in the region; its VSwitch's zone, or the first, where none is given.
    pub zone_id: Option<ZoneId>,
    /// What the system disks start from.
    pub image_id: ImageId,
    /// Such as `ecs.g7.large`.
    pub instance_type: String,
    /// 1 to 100; 1 where none is given.
    pub amount: Option<u32>,
    /// 2 to 128 characters; the id where none is given.
    pub instance_name: Option<String>,
    /// 2 to 256 characters.
    pub description: Option<String>,
    /// Kept and described.
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
    pub security_group_ids: Repeat<String>,
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
    /// The same request again is the same instances.
    pub client_token: Option<Token>,
    /// Only checks.
    pub dry_run: Option<bool>,
}

/// `SystemDisk`.
#[derive(Debug, Params)]
pub struct SystemDiskParam {
    /// GiB; at least the image's.
    pub size: Option<i64>,
    /// `cloud_essd` where none is given.
    pub category: Option<String>,
    /// 2 to 128 characters.
    pub disk_name: Option<String>,
    /// 2 to 256 characters.
    pub description: Option<String>,
    /// PL0 to PL3.
    pub performance_level: Option<String>,
    /// What the region has by default where nothing is given; as the image, if that has a disk.
    pub encrypted: Option<bool>,
    /// Needs Encrypted=true.
    #[param(name = "KMSKeyId")]
    pub kms_key_id: Option<String>,
}

/// `DataDisk.N`.
#[derive(Debug, Params)]
pub struct DataDiskParam {
    /// GiB; this or SnapshotId.
    pub size: Option<i64>,
    /// What it starts from; this or Size.
    pub snapshot_id: Option<SnapshotId>,
    /// `cloud_essd` where none is given; `local_ssd_pro`, `ephemeral_ssd` and so on too.
    pub category: Option<String>,
    /// 2 to 128 characters.
    pub disk_name: Option<String>,
    /// 2 to 256 characters.
    pub description: Option<String>,
    /// PL0 to PL3.
    pub performance_level: Option<String>,
    /// `/dev/xvdb`; the next free one where none is given.
    pub device: Option<String>,
    /// Whether it goes when the instance is deleted; true where nothing is given.
    pub delete_with_instance: Option<bool>,
    /// What the region has by default where nothing is given; as the snapshot, if there is one.
    pub encrypted: Option<bool>,
    /// Needs Encrypted=true.
    #[param(name = "KMSKeyId")]
    pub kms_key_id: Option<String>,
    /// Of `cloud_auto`.
    pub provisioned_iops: Option<i64>,
    /// Of `cloud_auto`.
    pub bursting_enabled: Option<bool>,
}

/// The new instances.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RunInstancesReply {
    instance_id_sets: InstanceIdSets,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct InstanceIdSets {
    instance_id_set: Vec<String>,
}

impl Operation for RunInstances {
    type Reply = RunInstancesReply;

    fn call(self, cx: &Context) -> Result<RunInstancesReply, ApiError> {
        let network = Network {
            vswitch: self.v_switch_id.unwrap_or_default(),
            security_groups: self
                .security_group_id
                .into_iter()
                .chain(self.security_group_ids.0)
                .collect(),
            private_ip: self.private_ip_address.unwrap_or_default(),
            internet_charge_type: self.internet_charge_type.unwrap_or_default(),
            bandwidth_in: self.internet_max_bandwidth_in.unwrap_or(0),
            bandwidth_out: self.internet_max_bandwidth_out.unwrap_or(0),
            key_pair: self.key_pair_name.unwrap_or_default(),
            user_data: self.user_data.unwrap_or_default(),
        };
        let run = Run {
            region: self.region_id,
            zone: self.zone_id,
            image: self.image_id,
            instance_type: self.instance_type,
            amount: self.amount.unwrap_or(1),
            starts: true,
            name: self.instance_name.unwrap_or_default(),
            description: self.description.unwrap_or_default(),
            host_name: self.host_name.unwrap_or_default(),
            deletion_protection: self.deletion_protection.unwrap_or(false),
            resource_group: self.resource_group_id.unwrap_or_default(),
            network,
            system_disk: self.system_disk.map(SystemDisk::from).unwrap_or_default(),
            data_disks: self.data_disk.into_iter().map(DataDisk::from).collect(),
            tags: tags(self.tag),
            token: client_token(cx, "RunInstances", self.client_token.map(|token| token.0)),
            dry_run: self.dry_run.unwrap_or(false),
        };
        let ids = cx.control.run_instances(&cx.account, &run).map_err(refused("RunInstances"))?;
        let instance_id_set = ids.iter().map(ToString::to_string).collect();
        Ok(RunInstancesReply { instance_id_sets: InstanceIdSets { instance_id_set } })
    }
}

impl From<SystemDiskParam> for SystemDisk {
    fn from(param: SystemDiskParam) -> Self {
        Self {
            disk: NewDisk {
                name: param.disk_name.unwrap_or_default(),
                description: param.description.unwrap_or_default(),
                category: param.category,
                performance_level: param.performance_level,
                size_gib: param.size,
                encrypted: param.encrypted,
                key: param.kms_key_id,
                ..NewDisk::default()
            },
        }
    }
}

impl From<DataDiskParam> for DataDisk {
    fn from(param: DataDiskParam) -> Self {
        Self {
            snapshot: param.snapshot_id,
            device: param.device,
            delete_with_instance: param.delete_with_instance,
            disk: NewDisk {
                name: param.disk_name.unwrap_or_default(),
                description: param.description.unwrap_or_default(),
                category: param.category,
                performance_level: param.performance_level,
                size_gib: param.size,
                encrypted: param.encrypted,
                key: param.kms_key_id,
                provisioned_iops: param.provisioned_iops,
                bursting: param.bursting_enabled,
                ..NewDisk::default()
            },
        }
    }
}
