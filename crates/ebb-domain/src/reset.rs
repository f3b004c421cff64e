//! ResetDisk: may this disk go back to this snapshot now?
//!
//! The checks stand in the order of their table: the first that fails is the answer. Each looks at
//! a real state and at nothing else.

use crate::{
    Account, Denied, Disk, DiskKey, DiskStatus, Instance, InstanceStatus, Snapshot,
    SnapshotCategory, SnapshotStatus, Timestamp,
};

/// What is known of the disk that was named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiskFound {
    /// There never was one, or it is another account's or another region's.
    Never,
    /// There was one.
    Deleted,
    /// There is one.
    Here(Box<Disk>),
}

/// What is known of the snapshot that was named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotFound {
    /// There is none, or it is another account's.
    Never,
    /// There is one.
    Here(Box<Snapshot>),
}

/// All that the answer depends on, as one transaction saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResetFacts {
    /// Who asks.
    pub account: Account,
    /// The disk.
    pub disk: DiskFound,
    /// Whether the disk's category is restricted and the account not on its list.
    pub restricted: bool,
    /// Whether a snapshot of the disk is progressing.
    pub unfinished_snapshot: bool,
    /// The instances that the disk names; `None` for one that is gone.
    pub instances: Vec<Option<Instance>>,
    /// The snapshot.
    pub snapshot: SnapshotFound,
    /// The disk's key.
    pub key: DiskKey,
    /// DryRun
    pub dry_run: bool,
}

/// Answers with the disk and the snapshot, once nothing forbids the reset.
///
/// # Errors
/// The first row of the table that applies.
pub fn check_reset(facts: ResetFacts) -> Result<(Disk, Snapshot), Denied> {
    facts.account.check_snapshot_service()?;
    let disk = match facts.disk {
        DiskFound::Never => return Err(Denied::DiskNotFound),
        DiskFound::Deleted => return Err(Denied::DiskDeleted),
        DiskFound::Here(disk) => *disk,
    };
    check_disk(&facts.account, &disk, facts.restricted, facts.unfinished_snapshot)?;
    check_instances(&facts.account, &facts.instances)?;
    let snapshot = match facts.snapshot {
        SnapshotFound::Never => return Err(Denied::SnapshotNotFound),
        SnapshotFound::Here(snapshot) => *snapshot,
    };
    check_snapshot(&disk, &snapshot)?;
    facts.key.check()?;
    let disk_is_held = !disk.is_resting();
    if disk_is_held || snapshot.status == SnapshotStatus::Deleting {
        return Err(Denied::Conflict);
    }
    if facts.dry_run { Err(Denied::DryRun) } else { Ok((disk, snapshot)) }
}

fn check_disk(
    account: &Account,
    disk: &Disk,
    restricted: bool,
    unfinished_snapshot: bool,
) -> Result<(), Denied> {
    if restricted {
        return Err(Denied::NotOnWhiteList);
    }
    if !disk.category.has_snapshots() {
        return Err(Denied::CategoryUnsupported);
    }
    // A reset under way is no status that forbids a reset: it is a conflict, further down.
    let resetting = matches!(disk.status, DiskStatus::Resetting(_) | DiskStatus::Emptying);
    let status_allows = disk.is_resting() || resetting;
    if !status_allows || account.arrears {
        return Err(Denied::DiskStatus);
    }
    if unfinished_snapshot { Err(Denied::UnfinishedSnapshot) } else { Ok(()) }
}

/// Row by row, whichever of the instances it is.
fn check_instances(account: &Account, instances: &[Option<Instance>]) -> Result<(), Denied> {
    let there: Option<Vec<&Instance>> = instances.iter().map(Option::as_ref).collect();
    let there = there.ok_or(Denied::InstanceNotFound)?;
    let any = |fails: fn(&Instance) -> bool| there.iter().any(|instance| fails(instance));
    if any(|instance| instance.security_lock) {
        return Err(Denied::InstanceLocked);
    }
    if any(|instance| instance.expired) || (account.arrears && !there.is_empty()) {
        return Err(Denied::InstanceExpired);
    }
    if any(|instance| instance.status != InstanceStatus::Stopped) {
        return Err(Denied::InstanceStatus);
    }
    Ok(())
}

fn check_snapshot(disk: &Disk, snapshot: &Snapshot) -> Result<(), Denied> {
    if matches!(snapshot.status, SnapshotStatus::Progressing | SnapshotStatus::Failed) {
        return Err(Denied::SnapshotNotReady);
    }
    // A copy in another region is of another disk there.
    if snapshot.source_disk != disk.id || snapshot.region != disk.region {
        return Err(Denied::SnapshotMismatch);
    }
    // An encrypted one meets a plain disk, or one of another data key: a copy keeps its source.
    if snapshot.encryption != disk.encryption {
        return Err(Denied::SnapshotMismatch);
    }
    if snapshot.created_at < Timestamp::OLDEST_RESTORABLE {
        return Err(Denied::SnapshotTooOld);
    }
    if snapshot.category == SnapshotCategory::Archive {
        return Err(Denied::SnapshotCategory);
    }
    Ok(())
}

#[cfg(test)]
#[path = "reset_tests.rs"]
mod tests;
