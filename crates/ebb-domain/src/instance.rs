//! Instances: the machines that disks are attached to.

use crate::{Account, AccountId, Denied, ImageId, InstanceId, RegionId, Tag, Timestamp, ZoneId};

/// What an instance is doing (api.md §3.1). The states that end in -ing are intents: a server that
/// finds one on start carries it to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstanceStatus {
    /// Its disks are being made; then it rests.
    Creating,
    /// Its disks are being made; then it starts.
    Pending,
    /// Its disks are being exported.
    Starting,
    /// Its disks answer.
    Running,
    /// Its disks' connections are being ended.
    Stopping,
    /// Its disks are at rest.
    Stopped,
    /// Stopping, to start again: a reboot.
    Rebooting,
}

/// What RunInstances was told of networks, keys and the like: kept and described, not acted on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Network {
    /// VSwitchId
    pub vswitch: String,
    /// SecurityGroupId and SecurityGroupIds.N
    pub security_groups: Vec<String>,
    /// PrivateIpAddress
    pub private_ip: String,
    /// InternetChargeType
    pub internet_charge_type: String,
    /// InternetMaxBandwidthIn
    pub bandwidth_in: i64,
    /// InternetMaxBandwidthOut
    pub bandwidth_out: i64,
    /// KeyPairName
    pub key_pair: String,
    /// UserData, base64
    pub user_data: String,
}

/// An instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// `i-…`
    pub id: InstanceId,
    /// Whose it is.
    pub account: AccountId,
    /// Where it is.
    pub region: RegionId,
    /// Where it is.
    pub zone: ZoneId,
    /// May be empty.
    pub name: String,
    /// May be empty.
    pub description: String,
    /// May be empty.
    pub host_name: String,
    /// What its system disk came from.
    pub image: ImageId,
    /// `ecs.g7.large`
    pub instance_type: String,
    /// What it is doing.
    pub status: InstanceStatus,
    /// Locked by the operator for security.
    pub security_lock: bool,
    /// Marked as expired by the operator.
    pub expired: bool,
    /// Whether DeleteInstance is refused.
    pub deletion_protection: bool,
    /// `KeepCharging` or `StopCharging` once it was stopped.
    pub stopped_mode: String,
    /// May be empty.
    pub resource_group: String,
    /// Networks, keys and the like.
    pub network: Network,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last became Running.
    pub started_at: Option<Timestamp>,
}

/// Whether an instance may start.
///
/// # Errors
/// The first thing that forbids it.
pub fn check_start(
    account: &Account,
    instance: &Instance,
    disks_ready: bool,
) -> Result<(), Denied> {
    if instance.security_lock {
        return Err(Denied::InstanceLocked);
    }
    if instance.expired || account.arrears {
        return Err(Denied::InstanceExpired);
    }
    account.check_balance()?;
    if instance.status != InstanceStatus::Stopped {
        return Err(Denied::InstanceStatus);
    }
    if disks_ready { Ok(()) } else { Err(Denied::DiskNotReady) }
}

/// Whether an instance may stop or reboot.
///
/// # Errors
/// The first thing that forbids it.
pub fn check_stop(account: &Account, instance: &Instance) -> Result<(), Denied> {
    if instance.security_lock {
        return Err(Denied::InstanceLocked);
    }
    if instance.expired || account.arrears {
        return Err(Denied::InstanceExpired);
    }
    if instance.status == InstanceStatus::Running { Ok(()) } else { Err(Denied::InstanceStatus) }
}

/// Whether an instance may be deleted. A lock or arrears do not forbid it (api.md §3.1).
///
/// # Errors
/// [`Denied::DeletionProtected`], [`Denied::InstanceStatus`].
pub fn check_delete(instance: &Instance, force: bool) -> Result<(), Denied> {
    if instance.deletion_protection {
        return Err(Denied::DeletionProtected);
    }
    match instance.status {
        InstanceStatus::Stopped => Ok(()),
        InstanceStatus::Running if force => Ok(()),
        _ => Err(Denied::InstanceStatus),
    }
}
