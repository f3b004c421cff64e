//! ResetDisk and ResetDisks (api.md §2).

use ebb_api_derive::Params;
use ebb_control::{ResetPair, ResetSetError};
use ebb_domain::{Denied, DiskId, RegionId, SnapshotId};
use serde::Serialize;

use super::common::{Done, scope};
use super::progress::{Progress, ProgressSet};
use crate::refusals::{deny, refused};
use crate::{ApiError, Context, Operation, OperationDef};

/// The family.
pub const OPERATIONS: &[OperationDef] =
    &[OperationDef::of::<ResetDisk>(), OperationDef::of::<ResetDisks>()];

/// Disks in one request.
const SET_MAX: usize = 16;

/// Puts a disk back to one of its snapshots, in place. All its snapshots stay, older and newer.
#[derive(Debug, Params)]
pub struct ResetDisk {
    /// Which; attached to nothing, or to instances that are Stopped.
    pub disk_id: DiskId,
    /// One of its snapshots.
    pub snapshot_id: SnapshotId,
    /// Only checks.
    pub dry_run: Option<bool>,
}

impl Operation for ResetDisk {
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        cx.control
            .reset_disk(&scope(cx), &self.disk_id, &self.snapshot_id, self.dry_run.unwrap_or(false))
            .map_err(refused("ResetDisk"))?;
        Ok(Done {})
    }
}

/// Puts several disks back, each to one of its snapshots: all of them, or none where one is
/// refused.
#[derive(Debug, Params)]
pub struct ResetDisks {
    /// Where.
    pub region_id: RegionId,
    /// 1 to 16.
    pub disk: Vec<DiskParam>,
    /// Only checks.
    pub dry_run: Option<bool>,
}

/// `Disk.N`.
#[derive(Debug, Params)]
pub struct DiskParam {
    /// Which; attached to nothing, or to an instance that is Stopped.
    pub disk_id: DiskId,
    /// One of its snapshots.
    pub snapshot_id: SnapshotId,
}

/// What became of each disk.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ResetDisksReply {
    operation_progress_set: ProgressSet,
}

/// Of a disk that nothing is wrong with, in a set that is not reset.
const HELD_BACK: &str = "The disk was not reset, because another disk of the request was refused.";

impl Operation for ResetDisks {
    type Reply = ResetDisksReply;

    fn call(self, cx: &Context) -> Result<ResetDisksReply, ApiError> {
        let refuse = refused("ResetDisks");
        cx.control.region(&self.region_id).map_err(|denied| deny("ResetDisks", &denied))?;
        if self.disk.is_empty() {
            return Err(ApiError::missing("Disk"));
        }
        if self.disk.len() > SET_MAX {
            return Err(ApiError::invalid("Disk", "at most 16 disks"));
        }
        let pair = |disk: DiskParam| (disk.disk_id, disk.snapshot_id);
        let pairs: Vec<ResetPair> = self.disk.into_iter().map(pair).collect();
        let outcome = cx.control.reset_disks(&scope(cx), &pairs, self.dry_run.unwrap_or(false));
        let progress: Vec<Progress> = match outcome {
            Ok(()) => pairs.iter().map(|pair| of(pair, "Success")).collect(),
            Err(ResetSetError::Refused(answers)) => {
                pairs.iter().zip(answers).map(|(pair, answer)| failed(pair, answer)).collect()
            }
            Err(ResetSetError::Control(error)) => return Err(refuse(error)),
        };
        Ok(ResetDisksReply { operation_progress_set: progress.into_iter().collect() })
    }
}

fn of((disk, snapshot): &ResetPair, status: &'static str) -> Progress {
    let about = [("DiskId", disk.to_string()), ("SnapshotId", snapshot.to_string())];
    Progress::new(status, about)
}

fn failed(pair: &ResetPair, answer: Result<(), Denied>) -> Progress {
    let progress = of(pair, "Failed");
    match answer {
        Ok(()) => progress.because("", HELD_BACK),
        Err(denied) => {
            let error = deny("ResetDisks", &denied);
            progress.because(error.code, error.message)
        }
    }
}
