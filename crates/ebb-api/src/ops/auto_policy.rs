//! Automatic snapshot policies (api.md §3.5). Their older parameters begin with a small letter.

use ebb_api_derive::Params;
use ebb_control::{
    AutoPolicy, AutoPolicyChange, AutoPolicyQuery, DiskQuery, PageRequest, TagFilter,
};
use ebb_domain::{
    AutoSnapshotPolicy, AutoSnapshotPolicyId, CopyEncryption, Denied, DiskId, Field, RegionId,
    Slots, policy_retention,
};
use serde::Serialize;

use super::common::{Done, PageNumber, PageSize, Paged, Paging, TagParam, Tags, tag_filters, tags};
use crate::refusals::{deny, refused};
use crate::time::minutes;
use crate::{ApiError, Context, JsonList, Operation, OperationDef};

/// The family.
pub const OPERATIONS: &[OperationDef] = &[
    OperationDef::of::<CreateAutoSnapshotPolicy>(),
    OperationDef::of::<ModifyAutoSnapshotPolicyEx>(),
    OperationDef::of::<DescribeAutoSnapshotPolicyEx>(),
    OperationDef::of::<ApplyAutoSnapshotPolicy>(),
    OperationDef::of::<CancelAutoSnapshotPolicy>(),
    OperationDef::of::<DeleteAutoSnapshotPolicy>(),
    OperationDef::of::<DescribeAutoSnapshotPolicyAssociations>(),
];

/// The one code for every value that will not do; its 404 is a policy that is not there.
fn invalid() -> ApiError {
    ApiError::new(403, "ParameterInvalid", "The specified RegionId parameter is invalid.")
}

/// As [`refused`], and a value that will not do has its own answer.
fn answer(operation: &'static str) -> impl Fn(ebb_control::ControlError) -> ApiError {
    move |error| match error {
        ebb_control::ControlError::Denied(denied) => deny_policy(operation, &denied),
        failure => refused(operation)(failure),
    }
}

fn deny_policy(operation: &'static str, denied: &Denied) -> ApiError {
    match denied {
        Denied::RegionNotFound | Denied::Malformed(Field::PolicySlots | Field::PolicyRetention) => {
            invalid()
        }
        // There is no code for a name that is changed.
        Denied::Malformed(Field::PolicyName) if operation == "ModifyAutoSnapshotPolicyEx" => {
            invalid()
        }
        denied => deny(operation, denied),
    }
}

fn hours(list: &JsonList<u32>) -> Result<Slots, Denied> {
    Slots::parse(&list.0, 0, 23)
}

fn weekdays(list: &JsonList<u32>) -> Result<Slots, Denied> {
    Slots::parse(&list.0, 1, 7)
}

/// Where copies go: nowhere unless they are enabled.
fn copy_to(enabled: Option<bool>, regions: Option<JsonList<RegionId>>) -> Vec<RegionId> {
    match enabled {
        Some(true) => regions.map(|list| list.0).unwrap_or_default(),
        _ => Vec::new(),
    }
}

/// `CopyEncryptionConfiguration`
#[derive(Debug, Params)]
pub struct CopyEncryptionParam {
    /// Otherwise each copy is as what it is a copy of.
    pub encrypted: Option<bool>,
    /// Needs Encrypted=true; the default key of where the copies go where none is given.
    #[param(name = "KMSKeyId")]
    pub kms_key_id: Option<String>,
}

impl From<CopyEncryptionParam> for CopyEncryption {
    fn from(param: CopyEncryptionParam) -> Self {
        Self { encrypted: param.encrypted.unwrap_or(false), key: param.kms_key_id }
    }
}

/// Makes a policy.
#[derive(Debug, Params)]
pub struct CreateAutoSnapshotPolicy {
    /// Where.
    #[param(name = "regionId")]
    pub region_id: RegionId,
    /// Hours of UTC+8: `["0","12"]`.
    #[param(name = "timePoints")]
    pub time_points: JsonList<u32>,
    /// Days, 1 being Monday: `["1","7"]`.
    #[param(name = "repeatWeekdays")]
    pub repeat_weekdays: JsonList<u32>,
    /// 1 to 65536; -1 for ever.
    #[param(name = "retentionDays")]
    pub retention_days: i64,
    /// 2 to 128 characters, not beginning with `auto`.
    #[param(name = "autoSnapshotPolicyName")]
    pub auto_snapshot_policy_name: Option<String>,
    /// Whether snapshots are copied.
    pub enable_cross_region_copy: Option<bool>,
    /// To other regions of this server: `["cn-beijing"]`.
    pub target_copy_regions: Option<JsonList<RegionId>>,
    /// Of the copies: 1 to 65536; -1 for ever.
    pub copied_snapshots_retention_days: Option<i64>,
    /// Whether the copies are encrypted anew.
    #[param(flat)]
    pub copy_encryption_configuration: Option<CopyEncryptionParam>,
    /// Kept and described.
    pub resource_group_id: Option<String>,
    /// Up to 20.
    pub tag: Vec<TagParam>,
}

/// The new policy.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateAutoSnapshotPolicyReply {
    auto_snapshot_policy_id: String,
}

impl Operation for CreateAutoSnapshotPolicy {
    type Reply = CreateAutoSnapshotPolicyReply;

    fn call(self, cx: &Context) -> Result<CreateAutoSnapshotPolicyReply, ApiError> {
        let refuse = |denied: Denied| deny_policy("CreateAutoSnapshotPolicy", &denied);
        let copied = self.copied_snapshots_retention_days.unwrap_or(-1);
        let wanted = AutoPolicy {
            name: self.auto_snapshot_policy_name.unwrap_or_default(),
            hours: hours(&self.time_points).map_err(refuse)?,
            weekdays: weekdays(&self.repeat_weekdays).map_err(refuse)?,
            retention_days: policy_retention(self.retention_days, Field::PolicyRetention)
                .map_err(refuse)?,
            copy_to: copy_to(self.enable_cross_region_copy, self.target_copy_regions),
            copy_retention_days: policy_retention(copied, Field::CopyRetention).map_err(refuse)?,
            copy_encryption: self
                .copy_encryption_configuration
                .map(CopyEncryption::from)
                .unwrap_or_default(),
        };
        let group = self.resource_group_id.unwrap_or_default();
        let id = cx
            .control
            .create_auto_policy(&cx.account, &self.region_id, &wanted, &group, &tags(self.tag))
            .map_err(answer("CreateAutoSnapshotPolicy"))?;
        Ok(CreateAutoSnapshotPolicyReply { auto_snapshot_policy_id: id.to_string() })
    }
}

/// Changes a policy, from the next hour on.
#[derive(Debug, Params)]
pub struct ModifyAutoSnapshotPolicyEx {
    /// Where.
    #[param(name = "regionId")]
    pub region_id: RegionId,
    /// Which.
    #[param(name = "autoSnapshotPolicyId")]
    pub auto_snapshot_policy_id: AutoSnapshotPolicyId,
    /// 2 to 128 characters, not beginning with `auto`.
    #[param(name = "autoSnapshotPolicyName")]
    pub auto_snapshot_policy_name: Option<String>,
    /// Hours of UTC+8: `["0","12"]`.
    #[param(name = "timePoints")]
    pub time_points: Option<JsonList<u32>>,
    /// Days, 1 being Monday: `["1","7"]`.
    #[param(name = "repeatWeekdays")]
    pub repeat_weekdays: Option<JsonList<u32>>,
    /// 1 to 65536; -1 for ever.
    #[param(name = "retentionDays")]
    pub retention_days: Option<i64>,
    /// Whether snapshots are copied.
    pub enable_cross_region_copy: Option<bool>,
    /// To other regions of this server: `["cn-beijing"]`.
    pub target_copy_regions: Option<JsonList<RegionId>>,
    /// Of the copies: 1 to 65536; -1 for ever.
    pub copied_snapshots_retention_days: Option<i64>,
    /// Whether the copies are encrypted anew.
    #[param(flat)]
    pub copy_encryption_configuration: Option<CopyEncryptionParam>,
}

impl Operation for ModifyAutoSnapshotPolicyEx {
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        let refuse = |denied: Denied| deny_policy("ModifyAutoSnapshotPolicyEx", &denied);
        let days = |days: Option<i64>, field| days.map(|days| policy_retention(days, field));
        let copied = self.copied_snapshots_retention_days;
        let change = AutoPolicyChange {
            name: self.auto_snapshot_policy_name,
            hours: self.time_points.as_ref().map(hours).transpose().map_err(refuse)?,
            weekdays: self.repeat_weekdays.as_ref().map(weekdays).transpose().map_err(refuse)?,
            retention_days: days(self.retention_days, Field::PolicyRetention)
                .transpose()
                .map_err(refuse)?,
            copy_to: self
                .enable_cross_region_copy
                .map(|enabled| copy_to(Some(enabled), self.target_copy_regions)),
            copy_retention_days: days(copied, Field::CopyRetention).transpose().map_err(refuse)?,
            copy_encryption: self.copy_encryption_configuration.map(CopyEncryption::from),
        };
        cx.control
            .modify_auto_policy(
                &cx.account,
                &self.region_id,
                &self.auto_snapshot_policy_id,
                &change,
            )
            .map_err(answer("ModifyAutoSnapshotPolicyEx"))?;
        Ok(Done {})
    }
}

/// Lists policies, newest first.
#[derive(Debug, Params)]
pub struct DescribeAutoSnapshotPolicyEx {
    /// Where.
    pub region_id: RegionId,
    /// Which.
    pub auto_snapshot_policy_id: Option<AutoSnapshotPolicyId>,
    /// Its name; `*` stands for anything.
    pub auto_snapshot_policy_name: Option<String>,
    /// As given when it was made.
    pub resource_group_id: Option<String>,
    /// All of them.
    pub tag: Vec<TagParam>,
    /// From 1.
    pub page_number: Option<PageNumber>,
    /// 1 to 100.
    pub page_size: Option<PageSize>,
}

/// A page of policies.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeAutoSnapshotPolicyExReply {
    total_count: u64,
    page_number: u32,
    page_size: u32,
    auto_snapshot_policies: Policies,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Policies {
    auto_snapshot_policy: Vec<PolicyItem>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct PolicyItem {
    auto_snapshot_policy_id: String,
    auto_snapshot_policy_name: String,
    region_id: String,
    creation_time: String,
    status: &'static str,
    #[serde(rename = "Type")]
    kind: &'static str,
    time_points: String,
    repeat_weekdays: String,
    retention_days: i64,
    enable_cross_region_copy: bool,
    target_copy_regions: String,
    copied_snapshots_retention_days: i64,
    copy_encryption_configuration: CopyEncryptionItem,
    disk_nums: usize,
    volume_nums: u32,
    resource_group_id: String,
    tags: Tags,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct CopyEncryptionItem {
    encrypted: bool,
    #[serde(rename = "KMSKeyId")]
    kms_key_id: String,
}

impl Operation for DescribeAutoSnapshotPolicyEx {
    type Reply = DescribeAutoSnapshotPolicyExReply;

    fn call(self, cx: &Context) -> Result<DescribeAutoSnapshotPolicyExReply, ApiError> {
        let refuse = |denied: Denied| deny("DescribeAutoSnapshotPolicyEx", &denied);
        cx.control.region(&self.region_id).map_err(refuse)?;
        let tags: Vec<TagFilter> = tag_filters(self.tag).map_err(refuse)?;
        let paged = Paged::by_number(self.page_number, self.page_size);
        let query = AutoPolicyQuery {
            account: cx.account.clone(),
            region: self.region_id,
            id: self.auto_snapshot_policy_id,
            name: self.auto_snapshot_policy_name,
            resource_group: self.resource_group_id,
            tags,
            page: paged.request,
        };
        let page =
            cx.control.auto_policies(&query).map_err(refused("DescribeAutoSnapshotPolicyEx"))?;
        let items = page.items.into_iter().map(|(policy, disks)| PolicyItem::new(policy, disks));
        Ok(DescribeAutoSnapshotPolicyExReply {
            total_count: page.total,
            page_number: paged.number,
            page_size: paged.size,
            auto_snapshot_policies: Policies { auto_snapshot_policy: items.collect() },
        })
    }
}

impl PolicyItem {
    fn new(policy: AutoSnapshotPolicy, disks: usize) -> Self {
        let days = |days: Option<u32>| days.map_or(-1, i64::from);
        let numbers = |slots: Slots| list(slots.iter().map(|number| number.to_string()));
        let copies = !policy.copy_to.is_empty();
        Self {
            auto_snapshot_policy_id: policy.id.to_string(),
            auto_snapshot_policy_name: policy.name,
            region_id: policy.region.to_string(),
            creation_time: minutes(policy.created_at),
            status: "Normal",
            kind: "Custom",
            time_points: numbers(policy.hours),
            repeat_weekdays: numbers(policy.weekdays),
            retention_days: days(policy.retention_days),
            enable_cross_region_copy: copies,
            // Clients parse it, so it is a list also where there is none.
            target_copy_regions: list(policy.copy_to.iter().map(ToString::to_string)),
            copied_snapshots_retention_days: match copies {
                true => days(policy.copy_retention_days),
                false => 0,
            },
            copy_encryption_configuration: CopyEncryptionItem {
                encrypted: policy.copy_encryption.encrypted,
                kms_key_id: policy.copy_encryption.key.unwrap_or_default(),
            },
            disk_nums: disks,
            volume_nums: 0,
            resource_group_id: policy.resource_group,
            tags: policy.tags.into(),
        }
    }
}

/// A JSON array in one value.
fn list(values: impl Iterator<Item = String>) -> String {
    serde_json::Value::from(values.collect::<Vec<_>>()).to_string()
}

/// Has a policy act on disks, instead of the one that did.
#[derive(Debug, Params)]
pub struct ApplyAutoSnapshotPolicy {
    /// Where.
    #[param(name = "regionId")]
    pub region_id: RegionId,
    /// Which.
    #[param(name = "autoSnapshotPolicyId")]
    pub auto_snapshot_policy_id: AutoSnapshotPolicyId,
    /// `["d-…"]`
    #[param(name = "diskIds")]
    pub disk_ids: JsonList<DiskId>,
}

impl Operation for ApplyAutoSnapshotPolicy {
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        let (id, disks) = (&self.auto_snapshot_policy_id, &self.disk_ids.0);
        cx.control
            .apply_auto_policy(&cx.account, &self.region_id, id, disks)
            .map_err(answer("ApplyAutoSnapshotPolicy"))?;
        Ok(Done {})
    }
}

/// Has no policy act on disks any more.
#[derive(Debug, Params)]
pub struct CancelAutoSnapshotPolicy {
    /// Where.
    #[param(name = "regionId")]
    pub region_id: RegionId,
    /// `["d-…"]`
    #[param(name = "diskIds")]
    pub disk_ids: JsonList<DiskId>,
    /// Only that one.
    #[param(name = "autoSnapshotPolicyId")]
    pub auto_snapshot_policy_id: Option<AutoSnapshotPolicyId>,
}

impl Operation for CancelAutoSnapshotPolicy {
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        let (id, disks) = (self.auto_snapshot_policy_id.as_ref(), &self.disk_ids.0);
        cx.control
            .cancel_auto_policy(&cx.account, &self.region_id, id, disks)
            .map_err(answer("CancelAutoSnapshotPolicy"))?;
        Ok(Done {})
    }
}

/// Deletes a policy. The snapshots that it took stay.
#[derive(Debug, Params)]
pub struct DeleteAutoSnapshotPolicy {
    /// Where.
    #[param(name = "regionId")]
    pub region_id: RegionId,
    /// Which.
    #[param(name = "autoSnapshotPolicyId")]
    pub auto_snapshot_policy_id: AutoSnapshotPolicyId,
}

impl Operation for DeleteAutoSnapshotPolicy {
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        cx.control
            .delete_auto_policy(&cx.account, &self.region_id, &self.auto_snapshot_policy_id)
            .map_err(refused("DeleteAutoSnapshotPolicy"))?;
        Ok(Done {})
    }
}

/// Lists which disks have which policy.
#[derive(Debug, Params)]
pub struct DescribeAutoSnapshotPolicyAssociations {
    /// Where.
    pub region_id: RegionId,
    /// Of that policy.
    pub auto_snapshot_policy_id: Option<AutoSnapshotPolicyId>,
    /// Of that disk.
    pub disk_id: Option<DiskId>,
    /// The NextToken of the page before.
    pub next_token: Option<String>,
    /// 1 to 100.
    pub max_results: Option<i64>,
}

/// A page of associations.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeAutoSnapshotPolicyAssociationsReply {
    auto_snapshot_policy_associations: Associations,
    next_token: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Associations {
    auto_snapshot_policy_association: Vec<Association>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Association {
    auto_snapshot_policy_id: String,
    disk_id: String,
}

impl Operation for DescribeAutoSnapshotPolicyAssociations {
    type Reply = DescribeAutoSnapshotPolicyAssociationsReply;

    fn call(self, cx: &Context) -> Result<Self::Reply, ApiError> {
        const NAME: &str = "DescribeAutoSnapshotPolicyAssociations";
        cx.control.region(&self.region_id).map_err(|denied| deny(NAME, &denied))?;
        let paged = Paging {
            number: None,
            size: None,
            token: self.next_token,
            max_results: Some(self.max_results.unwrap_or(10)),
            max_results_range: (1, 100),
        }
        .resolve();
        let page: PageRequest = paged.request.clone();
        let query = DiskQuery {
            ids: self.disk_id.map(|id| vec![id]),
            auto_snapshot_policy: self.auto_snapshot_policy_id,
            has_auto_snapshot_policy: Some(true),
            ..DiskQuery::all(cx.account.clone(), self.region_id, page)
        };
        let page = cx.control.disks(&query).map_err(refused(NAME))?;
        let association = |disk: ebb_domain::Disk| {
            let policy = disk.auto_snapshot_policy?;
            Some(Association {
                auto_snapshot_policy_id: policy.to_string(),
                disk_id: disk.id.to_string(),
            })
        };
        Ok(DescribeAutoSnapshotPolicyAssociationsReply {
            auto_snapshot_policy_associations: Associations {
                auto_snapshot_policy_association: page
                    .items
                    .into_iter()
                    .filter_map(association)
                    .collect(),
            },
            next_token: paged.next_token(page.next),
        })
    }
}
