//! What snapshots take (api.md §3.4): real bytes, each block of a disk's snapshots once.

use ebb_api_derive::Params;
use ebb_control::{ChainQuery, Link, MonitorPeriod, UsageCategory, UsageQuery};
use ebb_domain::{Denied, DiskId, Field, InstanceId, RegionId, Timestamp};
use serde::Serialize;

use super::common::{PageNumber, PageSize, Paging};
use super::disk_list::kind_name;
use crate::refusals::{deny, refused};
use crate::{ApiError, Context, JsonList, Operation, OperationDef, Scalar, integer_in, time};

/// The family.
pub const OPERATIONS: &[OperationDef] = &[
    OperationDef::of::<DescribeSnapshotLinks>(),
    OperationDef::of::<DescribeSnapshotsUsage>(),
    OperationDef::of::<DescribeSnapshotMonitorData>(),
];

/// DiskIds: a JSON array of at most 100.
#[derive(Debug)]
pub struct DiskIds(Vec<DiskId>);

impl Scalar for DiskIds {
    const KIND: crate::Kind = <JsonList<DiskId> as Scalar>::KIND;

    fn parse(raw: &str, key: &str) -> Result<Self, ApiError> {
        let ids = JsonList::<DiskId>::parse(raw, key).ok().filter(|ids| ids.0.len() <= 100);
        let malformed = || deny("DescribeSnapshotLinks", &Denied::Malformed(Field::DiskIds));
        ids.map(|ids| Self(ids.0)).ok_or_else(malformed)
    }
}

/// SnapshotLinkIds: a JSON array of at most 100, `sl-` and the rest of a disk's id each.
#[derive(Debug)]
pub struct LinkIds(Vec<DiskId>);

impl Scalar for LinkIds {
    const KIND: crate::Kind = <JsonList<String> as Scalar>::KIND;

    fn parse(raw: &str, key: &str) -> Result<Self, ApiError> {
        let ids = JsonList::<String>::parse(raw, key).ok().filter(|ids| ids.0.len() <= 100);
        let malformed = || deny("DescribeSnapshotLinks", &Denied::Malformed(Field::LinkIds));
        let disk = |id: String| DiskId::new(id.replacen("sl-", "d-", 1));
        ids.map(|ids| Self(ids.0.into_iter().map(disk).collect())).ok_or_else(malformed)
    }
}

/// Lists disks that have snapshots, whether or not they are there still, with what their snapshots
/// take.
#[derive(Debug, Params)]
pub struct DescribeSnapshotLinks {
    /// Where.
    pub region_id: RegionId,
    /// Of the disks that it has.
    pub instance_id: Option<InstanceId>,
    /// Of those disks.
    pub disk_ids: Option<DiskIds>,
    /// Those.
    pub snapshot_link_ids: Option<LinkIds>,
    /// From 1.
    pub page_number: Option<PageNumber>,
    /// 1 to 100.
    pub page_size: Option<PageSize>,
    /// The NextToken of the page before.
    pub next_token: Option<String>,
    /// 1 to 100.
    pub max_results: Option<i64>,
}

/// A page of disks with snapshots.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeSnapshotLinksReply {
    total_count: u64,
    page_number: u32,
    page_size: u32,
    next_token: String,
    snapshot_links: Links,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Links {
    snapshot_link: Vec<LinkItem>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct LinkItem {
    snapshot_link_id: String,
    region_id: String,
    source_disk_id: String,
    source_disk_name: String,
    source_disk_size: u32,
    source_disk_type: &'static str,
    instance_id: String,
    instance_name: String,
    total_size: u64,
    total_count: u64,
    instant_access: bool,
    category: &'static str,
}

impl From<Link> for LinkItem {
    fn from(Link { chain, bytes, disk, instance }: Link) -> Self {
        let id = chain.disk.as_str();
        let all_archived = chain.archived == chain.count;
        Self {
            snapshot_link_id: format!("sl-{}", id.trim_start_matches("d-")),
            region_id: chain.region.to_string(),
            source_disk_id: id.to_owned(),
            source_disk_size: disk.as_ref().map_or(chain.disk_gib, |disk| disk.size_gib),
            source_disk_name: disk.map(|disk| disk.name).unwrap_or_default(),
            source_disk_type: kind_name(chain.kind),
            instance_id: instance.as_ref().map(|one| one.id.to_string()).unwrap_or_default(),
            instance_name: instance.map(|one| one.name).unwrap_or_default(),
            total_size: bytes,
            total_count: chain.count,
            instant_access: false,
            category: if all_archived { "archive" } else { "standard" },
        }
    }
}

impl Operation for DescribeSnapshotLinks {
    type Reply = DescribeSnapshotLinksReply;

    fn call(self, cx: &Context) -> Result<DescribeSnapshotLinksReply, ApiError> {
        let paged = Paging {
            number: self.page_number,
            size: self.page_size,
            token: self.next_token,
            max_results: self.max_results,
            max_results_range: (1, 100),
        }
        .resolve();
        let both = |disks: Vec<DiskId>, links: Vec<DiskId>| -> Vec<DiskId> {
            disks.into_iter().filter(|disk| links.contains(disk)).collect()
        };
        let disks = match (self.disk_ids, self.snapshot_link_ids) {
            (Some(disks), Some(links)) => Some(both(disks.0, links.0)),
            (disks, links) => disks.map(|ids| ids.0).or(links.map(|ids| ids.0)),
        };
        let query = ChainQuery {
            account: cx.account.clone(),
            region: self.region_id,
            disks,
            instance: self.instance_id,
            page: paged.request.clone(),
        };
        let page = cx.control.snapshot_links(&query).map_err(refused("DescribeSnapshotLinks"))?;
        Ok(DescribeSnapshotLinksReply {
            total_count: page.total,
            page_number: paged.number,
            page_size: paged.size,
            next_token: paged.next_token(page.next),
            snapshot_links: Links {
                snapshot_link: page.items.into_iter().map(LinkItem::from).collect(),
            },
        })
    }
}

/// How many snapshots there are, and what they take together.
#[derive(Debug, Params)]
pub struct DescribeSnapshotsUsage {
    /// Where.
    pub region_id: RegionId,
}

/// Bytes, in the pool and in the archive.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeSnapshotsUsageReply {
    snapshot_count: u64,
    snapshot_size: u64,
}

impl Operation for DescribeSnapshotsUsage {
    type Reply = DescribeSnapshotsUsageReply;

    fn call(self, cx: &Context) -> Result<DescribeSnapshotsUsageReply, ApiError> {
        let usage = cx
            .control
            .snapshot_usage(&cx.account, &self.region_id)
            .map_err(refused("DescribeSnapshotsUsage"))?;
        Ok(DescribeSnapshotsUsageReply {
            snapshot_count: usage.count,
            snapshot_size: usage.pool_bytes + usage.archived_bytes,
        })
    }
}

/// Seconds between two points: 60, which is the default, 600 or 3600.
#[derive(Debug)]
pub struct Period(MonitorPeriod);

impl Scalar for Period {
    const KIND: crate::Kind = crate::Kind::Integer;

    fn parse(raw: &str, key: &str) -> Result<Self, ApiError> {
        let unknown = || deny("DescribeSnapshotMonitorData", &Denied::PeriodUnknown);
        match integer_in(raw, key, 0..=i64::MAX) {
            Ok(60) => Ok(Self(MonitorPeriod::Minute)),
            Ok(600) => Ok(Self(MonitorPeriod::TenMinutes)),
            Ok(3600) => Ok(Self(MonitorPeriod::Hour)),
            _ => Err(unknown()),
        }
    }
}

/// What snapshots took over time, since this server was started and for 30 days.
#[derive(Debug, Params)]
pub struct DescribeSnapshotMonitorData {
    /// Where.
    pub region_id: RegionId,
    /// From when on, `2026-02-23T12:46:00Z`; up to 30 days ago. Seconds are rounded up to a minute.
    pub start_time: String,
    /// Until when.
    pub end_time: String,
    /// Seconds between two points: 60, which is the default, 600 or 3600. At most 400 are told.
    pub period: Option<Period>,
    /// Standard or Archive; both where none is given.
    pub category: Option<String>,
}

/// The points.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeSnapshotMonitorDataReply {
    monitor_data: MonitorData,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct MonitorData {
    data_point: Vec<DataPoint>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct DataPoint {
    time_stamp: String,
    size: u64,
}

impl Operation for DescribeSnapshotMonitorData {
    type Reply = DescribeSnapshotMonitorDataReply;

    fn call(self, cx: &Context) -> Result<DescribeSnapshotMonitorDataReply, ApiError> {
        const ACTION: &str = "DescribeSnapshotMonitorData";
        let read = |text: &str, field| -> Result<Timestamp, ApiError> {
            time::parse_either(text).ok_or_else(|| deny(ACTION, &Denied::Malformed(field)))
        };
        let category = match self.category.as_deref().map(str::to_ascii_lowercase).as_deref() {
            None => UsageCategory::Any,
            Some("archive") => UsageCategory::Archive,
            Some("standard" | "flash") => UsageCategory::Standard,
            Some(_) => return Err(ApiError::invalid("Category", "Standard or Archive")),
        };
        let query = UsageQuery {
            start: read(&self.start_time, Field::StartTime)?,
            end: read(&self.end_time, Field::EndTime)?,
            period: self.period.map_or(MonitorPeriod::Minute, |period| period.0),
            category,
        };
        let points = cx
            .control
            .past_snapshot_usage(&cx.account, &self.region_id, &query)
            .map_err(refused(ACTION))?;
        let item = |(at, size)| DataPoint { time_stamp: time::seconds(at), size };
        let data_point = points.into_iter().map(item).collect();
        Ok(DescribeSnapshotMonitorDataReply { monitor_data: MonitorData { data_point } })
    }
}
