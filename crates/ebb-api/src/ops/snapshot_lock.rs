//! LockSnapshot, UnlockSnapshot, DescribeLockedSnapshots (api.md §3.4): nobody deletes a locked
//! snapshot.

use ebb_api_derive::Params;
use ebb_control::{LockSnapshot as Lock, LockedSnapshot, UnlockSnapshot as Unlock};
use ebb_domain::{Denied, LockStatus, RegionId, SnapshotId};
use serde::Serialize;

use super::common::{Done, Paging, Token, client_token, scope};
use crate::refusals::{deny, refused};
use crate::time::seconds;
use crate::{ApiError, Context, Operation, OperationDef, Repeat, Scalar, integer_in};

/// The family.
pub const OPERATIONS: &[OperationDef] = &[
    OperationDef::of::<LockSnapshot>(),
    OperationDef::of::<UnlockSnapshot>(),
    OperationDef::of::<DescribeLockedSnapshots>(),
];

/// LockMode: there is one.
#[derive(Debug)]
pub struct LockMode;

impl Scalar for LockMode {
    fn parse(raw: &str, key: &str) -> Result<Self, ApiError> {
        match raw {
            COMPLIANCE => Ok(Self),
            _ => Err(ApiError::invalid(key, COMPLIANCE)),
        }
    }
}

const COMPLIANCE: &str = "compliance";

/// LockDuration: 1 to 36500 days.
#[derive(Debug)]
pub struct LockDays(u32);

impl Scalar for LockDays {
    const KIND: crate::Kind = crate::Kind::Integer;

    fn parse(raw: &str, key: &str) -> Result<Self, ApiError> {
        integer_in(raw, key, 1..=36_500).map(Self)
    }
}

/// CoolOffPeriod: 0 to 72 hours.
#[derive(Debug)]
pub struct CoolOffHours(u32);

impl Scalar for CoolOffHours {
    const KIND: crate::Kind = crate::Kind::Integer;

    fn parse(raw: &str, key: &str) -> Result<Self, ApiError> {
        integer_in(raw, key, 0..=72).map(Self)
    }
}

/// LockStatus, by its wire name.
#[derive(Debug)]
pub struct LockStatusParam(LockStatus);

impl Scalar for LockStatusParam {
    fn parse(raw: &str, key: &str) -> Result<Self, ApiError> {
        let expected = "compliance-cooloff, compliance or expired";
        LockStatus::parse(raw).map(Self).ok_or_else(|| ApiError::invalid(key, expected))
    }
}

/// Locks a snapshot, sets a lock that is cooling off anew, or makes one that holds longer.
#[derive(Debug, Params)]
pub struct LockSnapshot {
    /// Where.
    pub region_id: RegionId,
    /// Which.
    pub snapshot_id: SnapshotId,
    /// `compliance`: nobody takes it back once it has cooled off.
    pub lock_mode: LockMode,
    /// Days from its beginning, 1 to 36500; no longer than the snapshot is kept.
    pub lock_duration: LockDays,
    /// Hours in which UnlockSnapshot takes it back, 0 to 72; 0 to make one that holds longer.
    pub cool_off_period: CoolOffHours,
    /// The same request again locks nothing anew.
    pub client_token: Option<Token>,
    /// Only checks.
    pub dry_run: Option<bool>,
}

/// The lock as it is now.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct LockSnapshotReply {
    locked_snapshot_info: LockInfo,
}

impl Operation for LockSnapshot {
    type Reply = LockSnapshotReply;

    fn call(self, cx: &Context) -> Result<LockSnapshotReply, ApiError> {
        cx.control.region(&self.region_id).map_err(|denied| deny("LockSnapshot", &denied))?;
        let request = Lock {
            snapshot: self.snapshot_id,
            days: self.lock_duration.0,
            cool_off_hours: self.cool_off_period.0,
            dry_run: self.dry_run == Some(true),
            token: client_token(cx, "LockSnapshot", self.client_token.map(|token| token.0)),
        };
        let locked =
            cx.control.lock_snapshot(&scope(cx), &request).map_err(refused("LockSnapshot"))?;
        Ok(LockSnapshotReply { locked_snapshot_info: LockInfo::of(&locked) })
    }
}

/// Takes a snapshot's lock back while it cools off.
#[derive(Debug, Params)]
pub struct UnlockSnapshot {
    /// Where.
    pub region_id: RegionId,
    /// Which.
    pub snapshot_id: SnapshotId,
    /// The same request again is no error.
    pub client_token: Option<Token>,
    /// Only checks.
    pub dry_run: Option<bool>,
}

impl Operation for UnlockSnapshot {
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        cx.control.region(&self.region_id).map_err(|denied| deny("UnlockSnapshot", &denied))?;
        let request = Unlock {
            snapshot: self.snapshot_id,
            dry_run: self.dry_run == Some(true),
            token: client_token(cx, "UnlockSnapshot", self.client_token.map(|token| token.0)),
        };
        cx.control.unlock_snapshot(&scope(cx), &request).map_err(refused("UnlockSnapshot"))?;
        Ok(Done {})
    }
}

/// Lists snapshots that are locked, or were.
#[derive(Debug, Params)]
pub struct DescribeLockedSnapshots {
    /// Where.
    pub region_id: RegionId,
    /// Up to 100; unknown ones, and those never locked, are simply absent.
    pub snapshot_ids: Repeat<SnapshotId>,
    /// `compliance-cooloff`, `compliance` or `expired`.
    pub lock_status: Option<LockStatusParam>,
    /// The NextToken of the page before.
    pub next_token: Option<String>,
    /// 10 to 100.
    pub max_results: Option<i64>,
    /// Only checks.
    pub dry_run: Option<bool>,
}

/// A page of locks. Unlike other lists it is an array with no object round it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeLockedSnapshotsReply {
    locked_snapshots_info: Vec<LockInfo>,
    next_token: String,
}

impl Operation for DescribeLockedSnapshots {
    type Reply = DescribeLockedSnapshotsReply;

    fn call(self, cx: &Context) -> Result<DescribeLockedSnapshotsReply, ApiError> {
        let refuse = |denied: Denied| deny("DescribeLockedSnapshots", &denied);
        cx.control.region(&self.region_id).map_err(refuse)?;
        if self.snapshot_ids.0.len() > 100 {
            return Err(refuse(Denied::TooManyIds));
        }
        let paged = Paging {
            number: None,
            size: None,
            token: self.next_token,
            max_results: Some(self.max_results.unwrap_or(10)),
            max_results_range: (10, 100),
        }
        .resolve();
        let ids = Some(self.snapshot_ids.0).filter(|ids| !ids.is_empty());
        let status = self.lock_status.map(|status| status.0);
        let page = cx
            .control
            .locked_snapshots(&cx.account, &self.region_id, ids, status, paged.request.clone())
            .map_err(refused("DescribeLockedSnapshots"))?;
        if self.dry_run == Some(true) {
            return Err(refuse(Denied::DryRun));
        }
        Ok(DescribeLockedSnapshotsReply {
            locked_snapshots_info: page.items.iter().map(LockInfo::of).collect(),
            next_token: paged.next_token(page.next),
        })
    }
}

/// A lock as ECS shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct LockInfo {
    snapshot_id: String,
    lock_mode: &'static str,
    lock_status: &'static str,
    lock_creation_time: String,
    lock_duration: u32,
    lock_duration_start_time: String,
    lock_expired_time: String,
    cool_off_period: u32,
    cool_off_period_expired_time: String,
}

impl LockInfo {
    fn of(locked: &LockedSnapshot) -> Self {
        let LockedSnapshot { id, lock, status } = locked;
        Self {
            snapshot_id: id.to_string(),
            lock_mode: COMPLIANCE,
            lock_status: status.name(),
            lock_creation_time: seconds(lock.created_at),
            lock_duration: lock.days,
            lock_duration_start_time: seconds(lock.created_at),
            lock_expired_time: seconds(lock.ends_at()),
            cool_off_period: lock.cool_off_hours,
            cool_off_period_expired_time: seconds(lock.cool_off_ends_at()),
        }
    }
}
