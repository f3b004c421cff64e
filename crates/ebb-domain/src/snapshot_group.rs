//! Snapshot groups: snapshots of several disks at one instant (api.md §3.4).

use crate::{
    AccountId, Category, Denied, Disk, DiskId, Field, InstanceId, RegionId, SnapshotGroupId, Tag,
    Timestamp, description, snapshot_name,
};

/// Disks of a group.
const DISKS_MAX: usize = 16;

/// GiB of a group's disks together.
const SIZE_MAX_GIB: u64 = 32 * 1024;

/// What a group is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotGroupStatus {
    /// Its snapshots are not there yet.
    Progressing,
    /// All of them are there, or were.
    Accomplished,
}

impl SnapshotGroupStatus {
    /// The wire name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Progressing => "progressing",
            Self::Accomplished => "accomplished",
        }
    }

    /// The status of that wire name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Progressing, Self::Accomplished].into_iter().find(|status| status.name() == name)
    }
}

/// A group. Its snapshots name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotGroup {
    /// `ssg-…`
    pub id: SnapshotGroupId,
    /// Whose it is.
    pub account: AccountId,
    /// Where it is.
    pub region: RegionId,
    /// Whose disks it is of, if that was asked.
    pub instance: Option<InstanceId>,
    /// May be empty.
    pub name: String,
    /// May be empty.
    pub description: String,
    /// What it is doing.
    pub status: SnapshotGroupStatus,
    /// May be empty.
    pub resource_group: String,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// Its instant.
    pub created_at: Timestamp,
}

/// A group's name and description, under this operation's own refusals.
///
/// # Errors
/// [`Denied::Malformed`] with [`Field::GroupName`] or [`Field::GroupDescription`].
pub fn group_names(name: &str, text: &str) -> Result<(), Denied> {
    snapshot_name(name).map_err(|_| Denied::Malformed(Field::GroupName))?;
    description(text).map_err(|_| Denied::Malformed(Field::GroupDescription))
}

/// Whether snapshots of these disks may be a group, whatever each of them allows.
///
/// # Errors
/// The first thing that forbids it.
pub fn check_group(disks: &[Disk]) -> Result<(), Denied> {
    let Some(first) = disks.first() else { return Err(Denied::NoDisk) };
    if disks.len() > DISKS_MAX {
        return Err(Denied::TooManyDisksInGroup);
    }
    if disks.iter().map(|disk| u64::from(disk.size_gib)).sum::<u64>() > SIZE_MAX_GIB {
        return Err(Denied::GroupTooLarge);
    }
    if disks.iter().any(|disk| disk.zone != first.zone) {
        return Err(Denied::DisksNotInSameZone);
    }
    if disks.iter().any(|disk| !disk.category.has_snapshots()) {
        return Err(Denied::CategoryUnsupported);
    }
    if disks.iter().any(|disk| disk.multi_attach) {
        return Err(Denied::MultiAttach);
    }
    let regional = |disk: &Disk| disk.category == Category::CloudRegionalDiskAuto;
    if disks.iter().any(|disk| regional(disk) != regional(first)) {
        return Err(Denied::RegionalAndNot);
    }
    Ok(())
}

/// The disks of an instance that a group is to be of: those named, or all but those left out.
///
/// # Errors
/// [`Denied::DiskNotFound`] where one is named that the instance does not have.
pub fn choose_disks(
    of_instance: Vec<Disk>,
    named: &[DiskId],
    left_out: &[DiskId],
) -> Result<Vec<Disk>, Denied> {
    let has = |id: &DiskId| of_instance.iter().any(|disk| disk.id == *id);
    if !named.iter().chain(left_out).all(has) {
        return Err(Denied::DiskNotFound);
    }
    let wanted = |disk: &Disk| match named.is_empty() {
        true => !left_out.contains(&disk.id),
        false => named.contains(&disk.id),
    };
    Ok(of_instance.into_iter().filter(wanted).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ZoneId;
    use crate::disk::sample;

    fn disks(count: usize, change: impl Fn(&mut Disk)) -> Vec<Disk> {
        let numbered = |n| {
            let mut disk = Disk { id: DiskId::new(format!("d-{n}")), ..sample() };
            if n == 1 {
                change(&mut disk);
            }
            disk
        };
        (0..count).map(numbered).collect()
    }

    #[test]
    fn a_group_has_a_few_disks_of_one_place() {
        let check = |count, change: fn(&mut Disk)| check_group(&disks(count, change));
        assert_eq!(check(1, |_| ()), Ok(()));
        assert_eq!(check(16, |_| ()), Ok(()));
        assert_eq!(check(0, |_| ()), Err(Denied::NoDisk));
        assert_eq!(check(17, |_| ()), Err(Denied::TooManyDisksInGroup));
        assert_eq!(check(2, |d| d.size_gib = 32 * 1024 - 20), Ok(()));
        assert_eq!(check(2, |d| d.size_gib = 32 * 1024 - 19), Err(Denied::GroupTooLarge));
        let elsewhere: fn(&mut Disk) = |d| d.zone = ZoneId::new("cn-hangzhou-b");
        assert_eq!(check(2, elsewhere), Err(Denied::DisksNotInSameZone));
        let local: fn(&mut Disk) = |d| d.category = Category::LocalSsdPro;
        assert_eq!(check(2, local), Err(Denied::CategoryUnsupported));
        assert_eq!(check(2, |d| d.multi_attach = true), Err(Denied::MultiAttach));
        let regional: fn(&mut Disk) = |d| d.category = Category::CloudRegionalDiskAuto;
        assert_eq!(check(2, regional), Err(Denied::RegionalAndNot));
    }

    #[test]
    fn the_disks_are_those_named_or_all_but_those_left_out() {
        let choose = |named: &[&str], left_out: &[&str]| {
            let ids = |names: &[&str]| names.iter().map(|n| DiskId::new(*n)).collect::<Vec<_>>();
            let chosen = choose_disks(disks(3, |_| ()), &ids(named), &ids(left_out));
            chosen.map(|disks| disks.iter().map(|disk| disk.id.to_string()).collect::<Vec<_>>())
        };
        assert_eq!(choose(&[], &[]).unwrap(), ["d-0", "d-1", "d-2"]);
        assert_eq!(choose(&["d-1"], &[]).unwrap(), ["d-1"]);
        assert_eq!(choose(&[], &["d-1"]).unwrap(), ["d-0", "d-2"]);
        assert_eq!(choose(&["d-9"], &[]), Err(Denied::DiskNotFound));
        assert_eq!(choose(&[], &["d-9"]), Err(Denied::DiskNotFound));
    }
}
