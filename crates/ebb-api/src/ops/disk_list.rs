//! DescribeDisks.

use ebb_api_derive::Params;
use ebb_control::DiskQuery;
use ebb_domain::{
    AutoSnapshotPolicyId, Category, Denied, Disk, DiskId, DiskKind, DiskStatus, Field, InstanceId,
    PerformanceLevel, RegionId, SnapshotId, ZoneId,
};
use serde::Serialize;

use super::common::{
    FilterParam, PageNumber, PageSize, Paged, Paging, TagParam, Tags, created_between, tag_filters,
};
use crate::refusals::{deny, refused};
use crate::time::seconds;
use crate::{ApiError, Context, JsonList, Operation, Scalar};

/// When a pay-as-you-go resource says it expires: 2999-09-08T16:00Z.
pub(crate) const NEVER_EXPIRES: &str = "2999-09-08T16:00Z";

/// DiskIds: a JSON array of at most 100.
#[derive(Debug)]
pub struct DiskIds(Vec<DiskId>);

impl Scalar for DiskIds {
    const KIND: crate::Kind = <JsonList<DiskId> as Scalar>::KIND;

    fn parse(raw: &str, key: &str) -> Result<Self, ApiError> {
        let ids = JsonList::<DiskId>::parse(raw, key)
            .map_err(|_| deny("DescribeDisks", &Denied::Malformed(Field::DiskIds)))?;
        if ids.0.len() > 100 {
            return Err(deny("DescribeDisks", &Denied::TooManyIds));
        }
        Ok(Self(ids.0))
    }
}

/// Lists disks, newest first.
#[derive(Debug, Params)]
pub struct DescribeDisks {
    /// Where.
    #[param(missing = region_missing)]
    pub region_id: RegionId,
    /// Where in the region.
    pub zone_id: Option<ZoneId>,
    /// Which; unknown ids are simply absent.
    pub disk_ids: Option<DiskIds>,
    /// Attached to it.
    pub instance_id: Option<InstanceId>,
    /// `all`, `system` or `data`.
    pub disk_type: Option<String>,
    /// A category, or `all`.
    pub category: Option<String>,
    /// A status, or `All`.
    pub status: Option<String>,
    /// Made from it.
    pub snapshot_id: Option<SnapshotId>,
    /// Whether it can be detached.
    pub portable: Option<bool>,
    /// Whether it goes with its instance.
    pub delete_with_instance: Option<bool>,
    /// Whether its automatic snapshots go with it.
    pub delete_auto_snapshot: Option<bool>,
    /// Whether an automatic snapshot policy acts on it.
    pub enable_auto_snapshot: Option<bool>,
    /// Its name; `*` stands for anything.
    pub disk_name: Option<String>,
    /// Only PostPaid ones are made here.
    pub disk_charge_type: Option<String>,
    /// `financial` or `security`.
    pub lock_reason: Option<String>,
    /// Whether it is encrypted.
    pub encrypted: Option<bool>,
    /// The id of the key that it is encrypted by.
    #[param(name = "KMSKeyId")]
    pub kms_key_id: Option<String>,
    /// That has it.
    pub auto_snapshot_policy_id: Option<AutoSnapshotPolicyId>,
    /// Whether it has an automatic snapshot policy.
    pub enable_automated_snapshot_policy: Option<bool>,
    /// Enabled or Disabled.
    pub multi_attach: Option<String>,
    /// Of an ESSD.
    pub performance_level: Option<String>,
    /// As given when it was made.
    pub resource_group_id: Option<String>,
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
    /// 10 to 500.
    pub max_results: Option<i64>,
    /// Only checks.
    pub dry_run: Option<bool>,
}

fn region_missing(_key: &str) -> ApiError {
    let row = crate::refusals::refusals("DescribeDisks")
        .iter()
        .find(|row| row.code == "MissingParamter.RegionId")
        .expect("DescribeDisks has a code of its own for a missing region");
    ApiError::new(row.status, row.code, row.message)
}

/// A page of disks.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeDisksReply {
    total_count: u64,
    page_number: u32,
    page_size: u32,
    next_token: String,
    disks: Disks,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Disks {
    disk: Vec<DiskItem>,
}

impl Operation for DescribeDisks {
    type Reply = DescribeDisksReply;

    fn call(self, cx: &Context) -> Result<DescribeDisksReply, ApiError> {
        let refuse = |denied: Denied| deny("DescribeDisks", &denied);
        let region = cx.control.region(&self.region_id).map_err(refuse)?;
        if self.zone_id.as_ref().is_some_and(|zone| !region.zones().contains(zone)) {
            return Err(refuse(Denied::ZoneNotFound));
        }
        let arrears = cx.control.account(&cx.account).map_err(refused("DescribeDisks"))?.arrears;
        let nothing = self.matches_nothing(arrears).map_err(refuse)?;
        let dry_run = self.dry_run == Some(true);
        let (mut query, paged) = self.query(cx).map_err(refuse)?;
        if nothing {
            query.ids = Some(Vec::new());
        }
        let page = cx.control.disks(&query).map_err(refused("DescribeDisks"))?;
        if dry_run {
            return Err(refuse(Denied::DryRun));
        }
        let mut urls = cx.control.export_urls(&page.items).map_err(refused("DescribeDisks"))?;
        let item = |disk: Disk| DiskItem {
            export_url: urls.remove(&disk.id),
            ..DiskItem::new(disk, arrears)
        };
        let disk = page.items.into_iter().map(item).collect();
        Ok(DescribeDisksReply {
            total_count: page.total,
            page_number: paged.number,
            page_size: paged.size,
            next_token: paged.next_token(page.next),
            disks: Disks { disk },
        })
    }
}

impl DescribeDisks {
    /// Filters that no disk here can pass, or that all do.
    fn matches_nothing(&self, arrears: bool) -> Result<bool, Denied> {
        let prepaid = match self.disk_charge_type.as_deref() {
            None | Some("PostPaid") => false,
            Some("PrePaid") => true,
            Some(_) => return Err(Denied::Malformed(Field::DiskChargeType)),
        };
        let not_locked = match self.lock_reason.as_deref() {
            None => false,
            Some("financial") => !arrears,
            Some("security" | "recycling" | "dedicatedhostfinancial") => true,
            Some(_) => return Err(Denied::Malformed(Field::LockReason)),
        };
        Ok(prepaid || not_locked)
    }

    fn query(self, cx: &Context) -> Result<(DiskQuery, Paged), Denied> {
        let (created_from, created_to) = created_between(&self.filter)?;
        let paged = Paging {
            number: self.page_number,
            size: self.page_size,
            token: self.next_token,
            max_results: self.max_results,
            max_results_range: (10, 500),
        }
        .resolve();
        let query = DiskQuery {
            account: cx.account.clone(),
            region: self.region_id,
            ids: self.disk_ids.map(|ids| ids.0),
            zone: self.zone_id,
            instance: self.instance_id,
            kind: disk_kind(self.disk_type.as_deref())?,
            category: category(self.category.as_deref())?,
            status: status(self.status)?,
            snapshot: self.snapshot_id,
            portable: self.portable,
            delete_with_instance: self.delete_with_instance,
            delete_auto_snapshot: self.delete_auto_snapshot,
            enable_auto_snapshot: self.enable_auto_snapshot,
            auto_snapshot_policy: self.auto_snapshot_policy_id,
            has_auto_snapshot_policy: self.enable_automated_snapshot_policy,
            name: self.disk_name,
            multi_attach: multi_attach(self.multi_attach.as_deref())?,
            encrypted: self.encrypted,
            kms_key: self.kms_key_id,
            performance_level: self.performance_level.as_deref().and_then(PerformanceLevel::parse),
            resource_group: self.resource_group_id,
            created_from,
            created_to,
            tags: tag_filters(self.tag)?,
            page: paged.request.clone(),
        };
        Ok((query, paged))
    }
}

fn disk_kind(text: Option<&str>) -> Result<Option<DiskKind>, Denied> {
    match text {
        None | Some("all") => Ok(None),
        Some("system") => Ok(Some(DiskKind::System)),
        Some("data") => Ok(Some(DiskKind::Data)),
        Some(_) => Err(Denied::Malformed(Field::DiskType)),
    }
}

fn category(text: Option<&str>) -> Result<Option<Category>, Denied> {
    match text {
        None | Some("all") => Ok(None),
        Some(name) => {
            Category::parse(name).map(Some).ok_or(Denied::Malformed(Field::CategoryFilter))
        }
    }
}

pub(super) fn status(text: Option<String>) -> Result<Option<String>, Denied> {
    const KNOWN: [&str; 6] =
        ["Available", "In_use", "Attaching", "Detaching", "Creating", "ReIniting"];
    match text {
        Some(text) if text.eq_ignore_ascii_case("all") => Ok(None),
        Some(text) if !KNOWN.contains(&text.as_str()) => Err(Denied::Malformed(Field::Status)),
        other => Ok(other),
    }
}

fn multi_attach(text: Option<&str>) -> Result<Option<bool>, Denied> {
    match text {
        None => Ok(None),
        Some("Enabled") => Ok(Some(true)),
        Some("Disabled") => Ok(Some(false)),
        Some(_) => Err(Denied::Malformed(Field::MultiAttach)),
    }
}

/// A disk as ECS shows it. Every key is always there: clients read them without asking.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct DiskItem {
    disk_id: String,
    serial_number: String,
    region_id: String,
    zone_id: String,
    disk_name: String,
    description: String,
    r#type: &'static str,
    category: &'static str,
    performance_level: &'static str,
    size: u32,
    status: &'static str,
    portable: bool,
    delete_with_instance: bool,
    delete_auto_snapshot: bool,
    enable_auto_snapshot: bool,
    enable_automated_snapshot_policy: bool,
    auto_snapshot_policy_id: String,
    encrypted: bool,
    #[serde(rename = "KMSKeyId")]
    kms_key_id: String,
    multi_attach: &'static str,
    disk_charge_type: &'static str,
    expired_time: &'static str,
    creation_time: String,
    attached_time: String,
    detached_time: String,
    instance_id: String,
    device: String,
    mount_instance_num: usize,
    image_id: String,
    source_snapshot_id: String,
    source_disk_id: &'static str,
    product_code: &'static str,
    resource_group_id: String,
    storage_set_id: &'static str,
    storage_cluster_id: &'static str,
    bdf_id: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    provisioned_iops: Option<i64>,
    bursting_enabled: bool,
    /// Where it answers. Ebbtide's own; no client is surprised by a key that it does not know.
    #[serde(skip_serializing_if = "Option::is_none")]
    export_url: Option<String>,
    operation_locks: OperationLocks,
    mount_instances: MountInstances,
    attachments: Attachments,
    tags: Tags,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct OperationLocks {
    operation_lock: Vec<OperationLock>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct OperationLock {
    lock_reason: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct MountInstances {
    mount_instance: Vec<AttachmentItem>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Attachments {
    attachment: Vec<AttachmentItem>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
struct AttachmentItem {
    instance_id: String,
    device: String,
    attached_time: String,
}

impl DiskItem {
    fn new(disk: Disk, arrears: bool) -> Self {
        let mounts: Vec<_> = disk
            .attachments
            .iter()
            .map(|attachment| AttachmentItem {
                instance_id: attachment.instance.to_string(),
                device: attachment.device.clone(),
                attached_time: seconds(attachment.at),
            })
            .collect();
        // Where several instances may have it, none is the one.
        let policy = disk.auto_snapshot_policy.as_ref();
        let only = mounts.first().filter(|_| !disk.multi_attach).cloned();
        let lock = arrears.then_some(OperationLock { lock_reason: "financial" });
        Self {
            serial_number: disk.id.serial_number().to_owned(),
            disk_id: disk.id.to_string(),
            r#type: kind_name(disk.kind),
            category: disk.category.name(),
            performance_level: disk.performance_level.map_or("", PerformanceLevel::name),
            size: disk.size_gib,
            status: status_name(&disk.status),
            portable: disk.is_portable(),
            region_id: disk.region.to_string(),
            zone_id: disk.zone.to_string(),
            delete_with_instance: disk.delete_with_instance,
            delete_auto_snapshot: disk.delete_auto_snapshot,
            enable_auto_snapshot: disk.enable_auto_snapshot,
            enable_automated_snapshot_policy: policy.is_some(),
            auto_snapshot_policy_id: policy.map(ToString::to_string).unwrap_or_default(),
            encrypted: disk.encryption.is_some(),
            kms_key_id: disk.encryption.as_ref().map(|one| one.key.clone()).unwrap_or_default(),
            multi_attach: if disk.multi_attach { "Enabled" } else { "Disabled" },
            disk_charge_type: "PostPaid",
            expired_time: NEVER_EXPIRES,
            creation_time: seconds(disk.created_at),
            attached_time: disk.attached_at.map(seconds).unwrap_or_default(),
            detached_time: disk.detached_at.map(seconds).unwrap_or_default(),
            instance_id: only.as_ref().map(|mount| mount.instance_id.clone()).unwrap_or_default(),
            device: only.map(|mount| mount.device).unwrap_or_default(),
            mount_instance_num: mounts.len(),
            image_id: disk.image.map(|image| image.to_string()).unwrap_or_default(),
            source_snapshot_id: disk.source_snapshot.map(|id| id.to_string()).unwrap_or_default(),
            source_disk_id: "",
            product_code: "",
            resource_group_id: disk.resource_group,
            storage_set_id: "",
            storage_cluster_id: "",
            bdf_id: "",
            provisioned_iops: disk.provisioned_iops,
            bursting_enabled: disk.bursting,
            export_url: None,
            operation_locks: OperationLocks { operation_lock: lock.into_iter().collect() },
            mount_instances: MountInstances {
                mount_instance: if disk.multi_attach { mounts.clone() } else { Vec::new() },
            },
            attachments: Attachments { attachment: mounts },
            tags: disk.tags.into(),
            disk_name: disk.name,
            description: disk.description,
        }
    }
}

/// `system` or `data`.
pub(crate) fn kind_name(kind: DiskKind) -> &'static str {
    match kind {
        DiskKind::System => "system",
        DiskKind::Data => "data",
    }
}

pub(super) fn status_name(status: &DiskStatus) -> &'static str {
    match status {
        DiskStatus::Creating => "Creating",
        DiskStatus::Available => "Available",
        DiskStatus::Attaching => "Attaching",
        DiskStatus::InUse => "In_use",
        DiskStatus::Detaching => "Detaching",
        DiskStatus::Resetting(_) | DiskStatus::Emptying => "ReIniting",
        DiskStatus::Deleting => "Deleting",
    }
}

#[cfg(test)]
mod tests {
    use ebb_domain::Timestamp;

    #[test]
    fn never_is_a_minute_of_the_far_future() {
        let never = crate::time::parse_either(super::NEVER_EXPIRES).unwrap();
        assert!(never > Timestamp::from_unix_millis(32_000_000_000_000));
        assert_eq!(crate::time::minutes(never), super::NEVER_EXPIRES);
    }
}
