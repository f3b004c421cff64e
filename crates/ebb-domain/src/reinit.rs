//! ReInitDisk: may this disk become again what it was made as?
//!
//! A disk that was made from a snapshot reads as that snapshot, and any other reads zero: images
//! hold nothing here. The checks are ordered as ResetDisk's are. Deliberately not here: a disk that
//! is attached to nothing, which ECS does not initialize either.

use crate::{
    Account, Denied, Disk, DiskStatus, Instance, InstanceStatus, Snapshot, SnapshotCategory,
    SnapshotStatus, Timestamp,
};

/// All that the answer depends on, as one transaction saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReInitFacts<'a> {
    /// Who asks.
    pub account: &'a Account,
    /// The disk.
    pub disk: &'a Disk,
    /// Whether the disk's category is restricted and the account not on its list.
    pub restricted: bool,
    /// Whether a snapshot of the disk is progressing.
    pub unfinished_snapshot: bool,
    /// The instances that the disk names; `None` for one that is gone.
    pub instances: &'a [Option<Instance>],
    /// The snapshot that the disk was made from, if it is there.
    pub source: Option<&'a Snapshot>,
}

/// What the disk does meanwhile.
///
/// # Errors
/// The first thing that forbids it.
pub fn check_reinit(facts: &ReInitFacts<'_>) -> Result<DiskStatus, Denied> {
    if facts.restricted {
        return Err(Denied::NotOnWhiteList);
    }
    if !facts.disk.category.has_snapshots() {
        return Err(Denied::CategoryUnsupported);
    }
    if facts.disk.multi_attach {
        return Err(Denied::MultiAttach);
    }
    if facts.disk.status != DiskStatus::InUse {
        return Err(Denied::DiskStatus);
    }
    if facts.unfinished_snapshot {
        return Err(Denied::DiskCreatingSnapshot);
    }
    for instance in facts.instances {
        check_instance(facts.account, instance.as_ref())?;
    }
    match &facts.disk.source_snapshot {
        None => Ok(DiskStatus::Emptying),
        Some(id) => {
            check_source(facts.source)?;
            Ok(DiskStatus::Resetting(id.clone()))
        }
    }
}

fn check_instance(account: &Account, instance: Option<&Instance>) -> Result<(), Denied> {
    let instance = instance.ok_or(Denied::InstanceStatus)?;
    if instance.security_lock {
        return Err(Denied::InstanceLocked);
    }
    if instance.expired || account.arrears {
        return Err(Denied::InstanceExpired);
    }
    let was_started = instance.started_at.is_some();
    match instance.status {
        InstanceStatus::Stopped if was_started => Ok(()),
        _ => Err(Denied::InstanceStatus),
    }
}

fn check_source(source: Option<&Snapshot>) -> Result<(), Denied> {
    let source = source
        .filter(|source| source.status == SnapshotStatus::Accomplished)
        .filter(|source| source.category != SnapshotCategory::Archive)
        .ok_or(Denied::SourceSnapshotGone)?;
    match source.created_at < Timestamp::OLDEST_RESTORABLE {
        true => Err(Denied::SnapshotTooOld),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AccountId, Category, SnapshotId, disk, snapshot};

    /// Of a disk made from a snapshot, and with nothing against it.
    fn check(change: impl FnOnce(&mut Disk, &mut Snapshot)) -> Result<DiskStatus, Denied> {
        let account = Account::new(AccountId::new("1"));
        let mut source =
            Snapshot { created_at: Timestamp::OLDEST_RESTORABLE, ..snapshot::sample(None) };
        let mut disk = disk::sample();
        disk.source_snapshot = Some(source.id.clone());
        change(&mut disk, &mut source);
        check_reinit(&ReInitFacts {
            account: &account,
            disk: &disk,
            restricted: false,
            unfinished_snapshot: false,
            instances: &[],
            source: Some(&source),
        })
    }

    #[test]
    fn a_disk_is_again_what_it_was_made_as() {
        let from = DiskStatus::Resetting(SnapshotId::new("s-1"));
        assert_eq!(check(|_, _| ()), Ok(from));
        assert_eq!(check(|disk, _| disk.source_snapshot = None), Ok(DiskStatus::Emptying));
    }

    #[test]
    fn its_source_must_be_usable() {
        let gone = Err(Denied::SourceSnapshotGone);
        assert_eq!(check(|_, s| s.status = SnapshotStatus::Deleting), gone);
        assert_eq!(check(|_, s| s.category = SnapshotCategory::Archive), gone);
        let old = |_: &mut Disk, s: &mut Snapshot| {
            s.created_at = Timestamp::OLDEST_RESTORABLE.plus_seconds(-1);
        };
        assert_eq!(check(old), Err(Denied::SnapshotTooOld));
    }

    #[test]
    fn what_forbids_it_comes_in_this_order() {
        let all = |disk: &mut Disk| {
            disk.category = Category::LocalSsdPro;
            disk.multi_attach = true;
            disk.status = DiskStatus::Available;
        };
        assert_eq!(check(|disk, _| all(disk)), Err(Denied::CategoryUnsupported));
        let rest = |disk: &mut Disk| {
            all(disk);
            disk.category = Category::CloudEssd;
        };
        assert_eq!(check(|disk, _| rest(disk)), Err(Denied::MultiAttach));
        let status = |disk: &mut Disk, _: &mut Snapshot| disk.status = DiskStatus::Available;
        assert_eq!(check(status), Err(Denied::DiskStatus));
    }
}
