//! DescribeSnapshots.

use ebb_api_derive::Params;
use ebb_control::SnapshotQuery;
use ebb_domain::{
    Denied, DiskId, DiskKind, Field, InstanceId, Origin, RegionId, Snapshot, SnapshotCategory,
    SnapshotId, SnapshotStatus,
};
use serde::Serialize;

use super::common::{
    FilterParam, PageNumber, PageSize, Paged, Paging, TagParam, Tags, created_between, tag_filters,
};
use super::disk_list::kind_name;
use crate::refusals::{deny, refused};
use crate::time::seconds;
use crate::{ApiError, Context, JsonList, Operation, Scalar};

/// SnapshotIds: a JSON array of at most 100.
#[derive(Debug)]
pub struct SnapshotIds(Vec<SnapshotId>);

impl Scalar for SnapshotIds {
    const KIND: crate::Kind = <JsonList<SnapshotId> as Scalar>::KIND;

    fn parse(raw: &str, key: &str) -> Result<Self, ApiError> {
        let ids = JsonList::<SnapshotId>::parse(raw, key)?;
        if ids.0.len() > 100 {
            return Err(deny("DescribeSnapshots", &Denied::TooManyIds));
        }
        Ok(Self(ids.0))
    }
}

/// Lists snapshots, newest first.
#[derive(Debug, Params)]
pub struct DescribeSnapshots {
    /// Where.
    pub region_id: RegionId,
    /// Of the disks that it has.
    pub instance_id: Option<InstanceId>,
    /// Of that disk.
    pub disk_id: Option<DiskId>,
    /// Of that disk: `sl-` and the rest of its id.
    pub snapshot_link_id: Option<String>,
    /// Which; unknown ids are simply absent.
    pub snapshot_ids: Option<SnapshotIds>,
    /// Its name; `*` stands for anything.
    pub snapshot_name: Option<String>,
    /// `progressing`, `accomplished`, `failed` or `all`.
    pub status: Option<String>,
    /// `user`, `auto` or `all`: whether a policy took it.
    pub snapshot_type: Option<String>,
    /// `system` or `data`.
    pub source_disk_type: Option<String>,
    /// `none`, `disk`, `image` or `image_disk`.
    pub usage: Option<String>,
    /// Standard, Flash or Archive.
    pub category: Option<String>,
    /// Whether it is encrypted.
    pub encrypted: Option<bool>,
    /// The id of the key that it is encrypted by.
    #[param(name = "KMSKeyId")]
    pub kms_key_id: Option<String>,
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
    /// 1 to 100.
    pub max_results: Option<i64>,
    /// Only checks.
    pub dry_run: Option<bool>,
}

/// A page of snapshots.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeSnapshotsReply {
    total_count: u64,
    page_number: u32,
    page_size: u32,
    next_token: String,
    snapshots: Snapshots,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Snapshots {
    snapshot: Vec<SnapshotItem>,
}

impl Operation for DescribeSnapshots {
    type Reply = DescribeSnapshotsReply;

    fn call(self, cx: &Context) -> Result<DescribeSnapshotsReply, ApiError> {
        let refuse = |denied: Denied| deny("DescribeSnapshots", &denied);
        cx.control.region(&self.region_id).map_err(refuse)?;
        let dry_run = self.dry_run == Some(true);
        let (query, paged) = self.query(cx).map_err(refuse)?;
        let page = cx.control.snapshots(&query).map_err(refused("DescribeSnapshots"))?;
        if dry_run {
            return Err(refuse(Denied::DryRun));
        }
        let used = cx.control.uses_of(&page.items).map_err(refused("DescribeSnapshots"))?;
        let items = page.items.into_iter().zip(used);
        Ok(DescribeSnapshotsReply {
            total_count: page.total,
            page_number: paged.number,
            page_size: paged.size,
            next_token: paged.next_token(page.next),
            snapshots: Snapshots {
                snapshot: items.map(|(snapshot, used)| SnapshotItem::new(snapshot, used)).collect(),
            },
        })
    }
}

impl DescribeSnapshots {
    fn query(self, cx: &Context) -> Result<(SnapshotQuery, Paged), Denied> {
        let (created_from, created_to) = created_between(&self.filter)?;
        let paged = Paging {
            number: self.page_number,
            size: self.page_size,
            token: self.next_token,
            max_results: self.max_results,
            max_results_range: (1, 100),
        }
        .resolve();
        let (has_disks, has_images) = usage(self.usage.as_deref())?;
        let linked = self.snapshot_link_id.map(|link| link.replacen("sl-", "d-", 1));
        let query = SnapshotQuery {
            account: cx.account.clone(),
            region: self.region_id,
            ids: self.snapshot_ids.map(|ids| ids.0),
            disk: self.disk_id.or_else(|| linked.map(DiskId::new)),
            instance: self.instance_id,
            name: self.snapshot_name,
            status: status(self.status)?,
            automatic: automatic(self.snapshot_type.as_deref())?,
            source_disk_kind: source_disk_kind(self.source_disk_type.as_deref())?,
            category: category(self.category.as_deref())?,
            has_disks,
            has_images,
            encrypted: self.encrypted,
            kms_key: self.kms_key_id,
            resource_group: self.resource_group_id,
            created_from,
            created_to,
            locks: None,
            tags: tag_filters(self.tag)?,
            page: paged.request.clone(),
        };
        Ok((query, paged))
    }
}

fn status(text: Option<String>) -> Result<Option<String>, Denied> {
    match text.as_deref() {
        None | Some("all") => Ok(None),
        Some("progressing" | "accomplished" | "failed") => Ok(text),
        Some(_) => Err(Denied::Malformed(Field::Status)),
    }
}

fn automatic(text: Option<&str>) -> Result<Option<bool>, Denied> {
    match text {
        None | Some("all") => Ok(None),
        Some("user") => Ok(Some(false)),
        Some("auto" | "timer") => Ok(Some(true)),
        Some(_) => Err(Denied::Malformed(Field::SnapshotType)),
    }
}

/// Whether disks must have been made from it, and whether images must name it.
fn usage(text: Option<&str>) -> Result<(Option<bool>, Option<bool>), Denied> {
    match text {
        None => Ok((None, None)),
        Some("none") => Ok((Some(false), Some(false))),
        Some("disk") => Ok((Some(true), Some(false))),
        Some("image") => Ok((Some(false), Some(true))),
        Some("image_disk") => Ok((Some(true), Some(true))),
        Some(_) => Err(Denied::Malformed(Field::Usage)),
    }
}

fn source_disk_kind(text: Option<&str>) -> Result<Option<DiskKind>, Denied> {
    match text.map(str::to_ascii_lowercase).as_deref() {
        None => Ok(None),
        Some("system") => Ok(Some(DiskKind::System)),
        Some("data") => Ok(Some(DiskKind::Data)),
        Some(_) => Err(Denied::Malformed(Field::SourceDiskType)),
    }
}

fn category(text: Option<&str>) -> Result<Option<SnapshotCategory>, Denied> {
    match text {
        None => Ok(None),
        Some(name) => SnapshotCategory::parse(name)
            .map(Some)
            .ok_or(Denied::Malformed(Field::SnapshotCategory)),
    }
}

/// A snapshot as ECS shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct SnapshotItem {
    snapshot_id: String,
    snapshot_name: String,
    description: String,
    status: &'static str,
    progress: &'static str,
    remain_time: u32,
    available: bool,
    creation_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_modified_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retention_days: Option<u32>,
    region_id: String,
    source_disk_id: String,
    source_disk_size: String,
    source_disk_type: &'static str,
    source_storage_type: &'static str,
    snapshot_type: &'static str,
    #[serde(rename = "SnapshotSN")]
    snapshot_sn: String,
    snapshot_link_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_snapshot_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_region_id: Option<String>,
    category: &'static str,
    usage: &'static str,
    encrypted: bool,
    #[serde(rename = "KMSKeyId")]
    kms_key_id: String,
    instant_access: bool,
    product_code: &'static str,
    resource_group_id: String,
    tags: Tags,
}

impl SnapshotItem {
    fn new(snapshot: Snapshot, uses: (bool, bool)) -> Self {
        let accomplished = snapshot.status == SnapshotStatus::Accomplished;
        let disk = snapshot.source_disk.as_str();
        let copied_from = snapshot.copied_from.as_ref();
        Self {
            snapshot_sn: snapshot.id.as_str().trim_start_matches("s-").to_owned(),
            snapshot_link_id: format!("sl-{}", disk.trim_start_matches("d-")),
            source_disk_id: disk.to_owned(),
            source_snapshot_id: copied_from.map(|from| from.snapshot.to_string()),
            source_region_id: copied_from.map(|from| from.region.to_string()),
            snapshot_id: snapshot.id.to_string(),
            snapshot_name: snapshot.name,
            description: snapshot.description,
            status: status_name(snapshot.status),
            progress: if accomplished { "100%" } else { "0%" },
            remain_time: 0,
            available: accomplished,
            creation_time: seconds(snapshot.created_at),
            last_modified_time: snapshot.modified_at.map(seconds),
            retention_days: snapshot.retention_days,
            region_id: snapshot.region.to_string(),
            source_disk_size: snapshot.source_disk_gib.to_string(),
            source_disk_type: kind_name(snapshot.source_disk_kind),
            source_storage_type: "disk",
            snapshot_type: match snapshot.origin {
                Origin::Auto => "timer",
                Origin::User | Origin::Import => "user",
            },
            category: snapshot.category.name(),
            usage: match uses {
                (false, false) => "none",
                (true, false) => "disk",
                (false, true) => "image",
                (true, true) => "image_disk",
            },
            encrypted: snapshot.encryption.is_some(),
            kms_key_id: snapshot.encryption.as_ref().map(|one| one.key.clone()).unwrap_or_default(),
            instant_access: false,
            product_code: "",
            resource_group_id: snapshot.resource_group,
            tags: snapshot.tags.into(),
        }
    }
}

fn status_name(status: SnapshotStatus) -> &'static str {
    match status {
        SnapshotStatus::Progressing => "progressing",
        SnapshotStatus::Accomplished => "accomplished",
        SnapshotStatus::Failed => "failed",
        // Lists leave it out; it has no wire name.
        SnapshotStatus::Deleting => "",
    }
}
