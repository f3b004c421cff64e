//! What a disk did (api.md §3.3): points of a minute, of ten, or of an hour.
//!
//! A point is told by the beginning of its time, in the clock of UTC. There are points for the time
//! in which the disk was attached to a running instance and this server ran; a restart forgets
//! them.

use ebb_api_derive::Params;
use ebb_control::{MonitorPeriod, MonitorQuery, Point};
use ebb_domain::{Denied, DiskId, Field, Timestamp};
use serde::Serialize;

use super::common::scope;
use crate::refusals::{deny, refused};
use crate::{ApiError, Context, Operation, time};

const ACTION: &str = "DescribeDiskMonitorData";

/// What a disk read and wrote, over time.
#[derive(Debug, Params)]
pub struct DescribeDiskMonitorData {
    /// Which.
    pub disk_id: DiskId,
    /// From when on, `2026-02-23T12:46:00Z`; up to 30 days ago. Seconds are rounded up to a minute.
    pub start_time: String,
    /// Until when.
    pub end_time: String,
    /// Seconds of a point: 60, which is the default, 600 or 3600. At most 400 points are told.
    pub period: Option<String>,
}

/// The points.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeDiskMonitorDataReply {
    total_count: usize,
    monitor_data: MonitorData,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct MonitorData {
    disk_monitor_data: Vec<PointItem>,
}

/// Bytes a second, requests a second, microseconds a request.
#[derive(Debug, Serialize)]
struct PointItem {
    #[serde(rename = "DiskId")]
    disk_id: String,
    #[serde(rename = "TimeStamp")]
    time_stamp: String,
    #[serde(rename = "BPSRead")]
    bps_read: u64,
    #[serde(rename = "BPSWrite")]
    bps_write: u64,
    #[serde(rename = "BPSTotal")]
    bps_total: u64,
    #[serde(rename = "IOPSRead")]
    iops_read: u64,
    #[serde(rename = "IOPSWrite")]
    iops_write: u64,
    #[serde(rename = "IOPSTotal")]
    iops_total: u64,
    #[serde(rename = "LatencyRead")]
    latency_read: u64,
    #[serde(rename = "LatencyWrite")]
    latency_write: u64,
}

impl Operation for DescribeDiskMonitorData {
    type Reply = DescribeDiskMonitorDataReply;

    fn call(self, cx: &Context) -> Result<DescribeDiskMonitorDataReply, ApiError> {
        let query = self.query().map_err(|denied| deny(ACTION, &denied))?;
        let points = cx.control.monitor_data(&scope(cx), &query).map_err(refused(ACTION))?;
        let item = |point: Point| PointItem::new(&self.disk_id, &point);
        let disk_monitor_data: Vec<PointItem> = points.into_iter().map(item).collect();
        let total_count = disk_monitor_data.len();
        Ok(DescribeDiskMonitorDataReply {
            total_count,
            monitor_data: MonitorData { disk_monitor_data },
        })
    }
}

impl DescribeDiskMonitorData {
    fn query(&self) -> Result<MonitorQuery, Denied> {
        let read = |text: &str, field| -> Result<Timestamp, Denied> {
            time::parse_either(text).ok_or(Denied::Malformed(field))
        };
        let period = match self.period.as_deref() {
            None | Some("60") => MonitorPeriod::Minute,
            Some("600") => MonitorPeriod::TenMinutes,
            Some("3600") => MonitorPeriod::Hour,
            Some(_) => return Err(Denied::PeriodUnknown),
        };
        Ok(MonitorQuery {
            disk: self.disk_id.clone(),
            start: read(&self.start_time, Field::StartTime)?,
            end: read(&self.end_time, Field::EndTime)?,
            period,
        })
    }
}

impl PointItem {
    fn new(disk: &DiskId, point: &Point) -> Self {
        let Point { at, seconds, activity } = point;
        let a_second = |amount: u64| amount / u64::from(*seconds).max(1);
        let of_one = |micros: u64, requests: u64| micros / requests.max(1);
        Self {
            disk_id: disk.to_string(),
            time_stamp: time::seconds(*at),
            bps_read: a_second(activity.read_bytes),
            bps_write: a_second(activity.write_bytes),
            bps_total: a_second(activity.read_bytes + activity.write_bytes),
            iops_read: a_second(activity.reads),
            iops_write: a_second(activity.writes),
            iops_total: a_second(activity.reads + activity.writes),
            latency_read: of_one(activity.read_micros, activity.reads),
            latency_write: of_one(activity.write_micros, activity.writes),
        }
    }
}
