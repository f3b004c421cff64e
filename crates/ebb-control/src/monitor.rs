//! What disks did, minute by minute: DescribeDiskMonitorData.
//!
//! ```text
//!   the table of exports counts ─► once a minute: what is new since the last time
//!                                    ├─► a point of the minute    400 are kept: 6 h 40 min
//!                                    ├─► added to one of ten      432: three days
//!                                    └─► added to one of an hour  720: thirty days
//! ```
//! Some 100 KiB for a disk that was in use for a month. A disk has points for the minutes at whose
//! end it was exported, also where it did nothing. They are in memory alone: a restart forgets
//! them, as nothing that is asked of a disk waits for the database.

use std::collections::{HashMap, VecDeque};
use std::ops::{Add, Range, Sub};

use ebb_domain::{Denied, DiskId, Timestamp};

use crate::control::get_disk;
use crate::mutex::lock;
use crate::{Control, ControlError, Scope};

const MINUTE_MILLIS: i64 = 60_000;
/// Points of one answer.
const MOST_POINTS: i64 = 400;
/// How long ago a query may begin, in minutes.
pub(crate) const OLDEST_MINUTES: i64 = 30 * 24 * 60;

/// What was done in some time. Times are those of all requests together, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Activity {
    /// Reads that succeeded.
    pub reads: u64,
    /// Their bytes.
    pub read_bytes: u64,
    /// How long they took.
    pub read_micros: u64,
    /// Writes that succeeded.
    pub writes: u64,
    /// Their bytes.
    pub write_bytes: u64,
    /// How long they took.
    pub write_micros: u64,
}

/// What a point of a query lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MonitorPeriod {
    /// 60 s
    Minute,
    /// 600 s
    TenMinutes,
    /// 3600 s
    Hour,
}

/// What is asked of a disk.
#[derive(Debug, Clone)]
pub struct MonitorQuery {
    /// Which.
    pub disk: DiskId,
    /// From when on; rounded up to a minute.
    pub start: Timestamp,
    /// Until when; rounded up to a minute.
    pub end: Timestamp,
    /// In points of so long.
    pub period: MonitorPeriod,
}

/// What a disk did in some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// When the time began.
    pub at: Timestamp,
    /// How long of it was watched.
    pub seconds: u32,
    /// What was done.
    pub activity: Activity,
}

impl MonitorPeriod {
    const ALL: [Self; 3] = [Self::Minute, Self::TenMinutes, Self::Hour];

    pub(crate) fn minutes(self) -> i64 {
        match self {
            Self::Minute => 1,
            Self::TenMinutes => 10,
            Self::Hour => 60,
        }
    }

    /// How many points are kept.
    fn kept(self) -> usize {
        match self {
            Self::Minute => 400,
            Self::TenMinutes => 432,
            Self::Hour => 720,
        }
    }
}

/// The points of all disks.
#[derive(Debug, Default)]
pub(crate) struct Monitor {
    disks: HashMap<String, Series>,
    last: Option<Timestamp>,
}

#[derive(Debug, Default)]
struct Series {
    total: Activity,
    /// Of each period, the oldest first.
    points: [VecDeque<Point>; 3],
}

impl Monitor {
    /// Takes in what each exported disk has done so far, by its export's name.
    pub(crate) fn sample(&mut self, now: Timestamp, totals: Vec<(String, Activity)>) {
        let end = now.unix_millis() / MINUTE_MILLIS * MINUTE_MILLIS;
        let begin = end - MINUTE_MILLIS;
        // Where the process slept, what is new took longer than a minute.
        let since = self.last.map_or(begin, |last| last.unix_millis());
        // To the nearest: two samples that came late by parts of a second are a minute apart.
        let seconds = (now.unix_millis() - since + 500) / 1000;
        let seconds = u32::try_from(seconds).unwrap_or(u32::MAX).max(1);
        self.last = Some(now);
        for (name, total) in totals {
            let series = self.disks.entry(name).or_default();
            let activity = total - series.total;
            series.total = total;
            series.add(begin, seconds, activity);
        }
    }

    pub(crate) fn forget(&mut self, disk: &DiskId) {
        self.disks.remove(disk.as_str());
    }

    fn points(&self, disk: &DiskId, period: MonitorPeriod, from: i64, to: i64) -> Vec<Point> {
        let Some(series) = self.disks.get(disk.as_str()) else { return Vec::new() };
        let within = |point: &&Point| (from..to).contains(&minute(point.at));
        series.points[period as usize].iter().filter(within).copied().collect()
    }
}

impl Series {
    fn add(&mut self, begin: i64, seconds: u32, activity: Activity) {
        for (period, points) in MonitorPeriod::ALL.into_iter().zip(&mut self.points) {
            let length = period.minutes() * MINUTE_MILLIS;
            let at = Timestamp::from_unix_millis(begin / length * length);
            match points.back_mut() {
                Some(last) if last.at >= at => {
                    last.seconds = last.seconds.saturating_add(seconds);
                    last.activity = last.activity + activity;
                }
                _ => points.push_back(Point { at, seconds, activity }),
            }
            if points.len() > period.kept() {
                points.pop_front();
            }
        }
    }
}

impl Control {
    /// Adds what all disks did since the last time. To be called when a minute has ended.
    pub fn sample_activity(&self) {
        let (now, totals) = (self.now(), self.exporter.activity());
        lock(&self.monitor).sample(now, totals);
    }

    /// DescribeDiskMonitorData.
    ///
    /// # Errors
    /// [`Denied::DiskNotFound`], [`Denied::TooEarly`], [`Denied::EndBeforeStart`],
    /// [`Denied::TooManyPoints`].
    pub fn monitor_data(
        &self,
        scope: &Scope,
        query: &MonitorQuery,
    ) -> Result<Vec<Point>, ControlError> {
        let MonitorQuery { disk, start, end, period } = query;
        self.store.read::<_, ControlError>(|tx| {
            let region = self.given_region(scope)?;
            get_disk(tx, &scope.account, region.as_ref(), disk).map(drop)
        })?;
        let Range { start: from, end: to } = span(self.now(), *start, *end, *period)?;
        let monitor = lock(&self.monitor);
        Ok(monitor.points(disk, *period, from, to))
    }
}

/// The minutes that a query is about, where it is not about too many and none is too long ago.
///
/// # Errors
/// [`Denied::EndBeforeStart`], [`Denied::TooEarly`], [`Denied::TooManyPoints`].
pub(crate) fn span(
    now: Timestamp,
    start: Timestamp,
    end: Timestamp,
    period: MonitorPeriod,
) -> Result<Range<i64>, Denied> {
    let (from, to) = (minute_after(start), minute_after(end));
    if to < from {
        return Err(Denied::EndBeforeStart);
    }
    if from < minute(now) - OLDEST_MINUTES {
        return Err(Denied::TooEarly);
    }
    if (to - from) / period.minutes() > MOST_POINTS {
        return Err(Denied::TooManyPoints);
    }
    Ok(from..to)
}

pub(crate) fn minute(at: Timestamp) -> i64 {
    at.unix_millis().div_euclid(MINUTE_MILLIS)
}

/// Rounded up.
fn minute_after(at: Timestamp) -> i64 {
    minute(Timestamp::from_unix_millis(at.unix_millis().saturating_add(MINUTE_MILLIS - 1)))
}

impl Add for Activity {
    type Output = Self;

    fn add(self, more: Self) -> Self {
        self.with(more, u64::saturating_add)
    }
}

impl Sub for Activity {
    type Output = Self;

    fn sub(self, less: Self) -> Self {
        self.with(less, u64::saturating_sub)
    }
}

impl Activity {
    fn with(self, other: Self, f: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            reads: f(self.reads, other.reads),
            read_bytes: f(self.read_bytes, other.read_bytes),
            read_micros: f(self.read_micros, other.read_micros),
            writes: f(self.writes, other.writes),
            write_bytes: f(self.write_bytes, other.write_bytes),
            write_micros: f(self.write_micros, other.write_micros),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_unix_millis(minute * MINUTE_MILLIS)
    }

    fn writes(writes: u64) -> Activity {
        let (write_bytes, write_micros) = (writes * 4096, writes * 20);
        Activity { writes, write_bytes, write_micros, ..Activity::default() }
    }

    fn told(monitor: &Monitor, period: MonitorPeriod, from: i64, to: i64) -> Vec<(i64, u64, u32)> {
        let points = monitor.points(&DiskId::new("d-1"), period, from, to);
        let told = |point: Point| (minute(point.at), point.activity.writes, point.seconds);
        points.into_iter().map(told).collect()
    }

    /// A minute of a year far from any border.
    const NOON: i64 = 29_000_520;

    #[test]
    fn each_minute_is_what_is_new_since_the_last() {
        let mut monitor = Monitor::default();
        for (n, total) in [(1, 10), (2, 10), (3, 70)] {
            monitor.sample(at(NOON + n), vec![("d-1".into(), writes(total))]);
        }
        let expected = [(NOON, 10, 60), (NOON + 1, 0, 60), (NOON + 2, 60, 60)];
        assert_eq!(told(&monitor, MonitorPeriod::Minute, NOON, NOON + 60), expected);
        assert_eq!(told(&monitor, MonitorPeriod::Minute, NOON + 1, NOON + 2), [expected[1]]);
        assert_eq!(told(&monitor, MonitorPeriod::TenMinutes, NOON, NOON + 60), [(NOON, 70, 180)]);
        assert_eq!(told(&monitor, MonitorPeriod::Hour, NOON, NOON + 60), [(NOON, 70, 180)]);
    }

    #[test]
    fn a_month_is_kept_in_little_memory() {
        let mut monitor = Monitor::default();
        let minutes = 40 * 24 * 60;
        for n in 1..=minutes {
            monitor.sample(at(NOON + n), vec![("d-1".into(), writes(n as u64))]);
        }
        let end = NOON + minutes;
        for (period, length) in [
            (MonitorPeriod::Minute, 400),
            (MonitorPeriod::TenMinutes, 432),
            (MonitorPeriod::Hour, 720),
        ] {
            let told = told(&monitor, period, NOON, end);
            assert_eq!(told.len(), length);
            assert!(told[1..].iter().all(|point| point.1 == period.minutes() as u64));
            assert!(told.is_sorted_by_key(|point| point.0));
        }
        monitor.forget(&DiskId::new("d-1"));
        assert_eq!(told(&monitor, MonitorPeriod::Hour, NOON, end), []);
    }

    #[test]
    fn a_long_sleep_is_one_long_point() {
        let mut monitor = Monitor::default();
        monitor.sample(at(NOON + 1), vec![("d-1".into(), writes(1))]);
        monitor.sample(at(NOON + 31), vec![("d-1".into(), writes(1801))]);
        let expected = [(NOON, 1, 60), (NOON + 30, 1800, 1800)];
        assert_eq!(told(&monitor, MonitorPeriod::Minute, NOON, NOON + 60), expected);
    }

    #[test]
    fn a_sample_that_came_a_little_late_is_of_a_minute_still() {
        let mut monitor = Monitor::default();
        for (n, late, total) in [(1, 700, 60), (2, 300, 120)] {
            let now = Timestamp::from_unix_millis(at(NOON + n).unix_millis() + late);
            monitor.sample(now, vec![("d-1".into(), writes(total))]);
        }
        let seconds: Vec<u32> = told(&monitor, MonitorPeriod::Minute, NOON, NOON + 60)
            .iter()
            .map(|point| point.2)
            .collect();
        assert_eq!(seconds, [61, 60]);
    }

    #[test]
    fn a_disk_that_was_off_has_no_point_and_goes_on() {
        let mut monitor = Monitor::default();
        monitor.sample(at(NOON + 1), vec![("d-1".into(), writes(5))]);
        monitor.sample(at(NOON + 2), Vec::new());
        monitor.sample(at(NOON + 3), vec![("d-1".into(), writes(9))]);
        let expected = [(NOON, 5, 60), (NOON + 2, 4, 60)];
        assert_eq!(told(&monitor, MonitorPeriod::Minute, NOON, NOON + 60), expected);
    }

    #[test]
    fn seconds_are_rounded_up_to_a_minute() {
        assert_eq!(minute_after(at(7)), 7);
        assert_eq!(minute_after(Timestamp::from_unix_millis(7 * MINUTE_MILLIS + 1000)), 8);
    }
}
