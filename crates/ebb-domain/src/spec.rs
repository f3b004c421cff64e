//! ModifyDiskSpec: may this disk be of another category or performance level?
//!
//! A category is limits and a price here, so a change is one of the record. Deliberately not here:
//! a period in which a disk just changed is left alone, and stock that has run out.

use crate::{Account, Category, Denied, Disk, Instance, InstanceStatus, PerformanceLevel};

/// What a disk is to be; what is `None` follows from the rest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SpecChange {
    /// DiskCategory
    pub category: Option<String>,
    /// PerformanceLevel
    pub performance_level: Option<String>,
    /// ProvisionedIops
    pub provisioned_iops: Option<i64>,
}

/// All that the answer depends on, but for what is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecFacts<'a> {
    /// Who asks.
    pub account: &'a Account,
    /// The disk.
    pub disk: &'a Disk,
    /// Whether a snapshot of the disk is progressing.
    pub unfinished_snapshot: bool,
    /// The instances that the disk names; `None` for one that is gone.
    pub instances: &'a [Option<Instance>],
}

/// A disk's category, and what goes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spec {
    /// Its category.
    pub category: Category,
    /// Of a `cloud_essd` only.
    pub performance_level: Option<PerformanceLevel>,
    /// Of `cloud_auto` only; more than 0.
    pub provisioned_iops: Option<i64>,
}

/// Categories that a disk can be changed to. From [`Category::CloudEssdEntry`] it is one of the
/// first two.
const OFFERED: [Category; 5] = [
    Category::CloudEssd,
    Category::CloudAuto,
    Category::CloudSsd,
    Category::CloudEssdEntry,
    Category::CloudEfficiency,
];

/// What the disk will be.
///
/// # Errors
/// The first thing that forbids it.
pub fn check_spec(facts: &SpecFacts<'_>, change: &SpecChange) -> Result<Spec, Denied> {
    let level = level(change.performance_level.as_deref())?;
    let category = category(change.category.as_deref())?;
    check_disk(facts)?;
    for instance in facts.instances {
        check_instance(facts.account, instance.as_ref())?;
    }
    let before = Spec::of(facts.disk);
    let category = category.unwrap_or(before.category);
    check_category(before.category, category, facts.disk.size_gib)?;
    let after = Spec {
        category,
        performance_level: check_level(before, category, level, facts.disk.size_gib)?,
        provisioned_iops: provisioned(before, category, change, facts.disk.size_gib)?,
    };
    if after == before { Err(Denied::SpecUnchanged) } else { Ok(after) }
}

impl Spec {
    /// What a disk is.
    #[must_use]
    pub fn of(disk: &Disk) -> Self {
        Self {
            category: disk.category,
            performance_level: disk.performance_level,
            provisioned_iops: disk.provisioned_iops.filter(|iops| *iops > 0),
        }
    }

    /// Makes a disk so.
    pub fn apply(self, disk: &mut Disk) {
        disk.category = self.category;
        disk.performance_level = self.performance_level;
        disk.provisioned_iops = self.provisioned_iops;
        disk.bursting &= self.category.allows_provisioned_iops();
    }
}

fn level(name: Option<&str>) -> Result<Option<PerformanceLevel>, Denied> {
    name.map(|name| PerformanceLevel::parse(name).ok_or(Denied::PerformanceLevelUnknown))
        .transpose()
}

fn category(name: Option<&str>) -> Result<Option<Category>, Denied> {
    let offered = |name: &str| Category::parse(name).filter(|found| OFFERED.contains(found));
    name.map(|name| offered(name).ok_or(Denied::CategoryUnknown)).transpose()
}

fn check_disk(facts: &SpecFacts<'_>) -> Result<(), Denied> {
    let disk = facts.disk;
    if !OFFERED.contains(&disk.category) {
        return Err(Denied::CategoryUnsupported);
    }
    if disk.multi_attach {
        return Err(Denied::MultiAttach);
    }
    if facts.account.arrears {
        return Err(Denied::DiskInArrears);
    }
    if !disk.is_resting() {
        return Err(Denied::DiskStatus);
    }
    if facts.unfinished_snapshot {
        return Err(Denied::DiskCreatingSnapshot);
    }
    Ok(())
}

fn check_instance(account: &Account, instance: Option<&Instance>) -> Result<(), Denied> {
    let instance = instance.ok_or(Denied::InstanceNotFound)?;
    if instance.expired || account.arrears {
        return Err(Denied::InstanceExpired);
    }
    match instance.status {
        InstanceStatus::Running | InstanceStatus::Stopped => Ok(()),
        // The operation has no code for an instance's status.
        _ => Err(Denied::DiskStatus),
    }
}

fn check_category(before: Category, after: Category, size_gib: u32) -> Result<(), Denied> {
    let only_up = before == Category::CloudEssdEntry && after != before;
    let fits = after.sizes_gib().contains(&size_gib);
    match !fits || only_up && ![Category::CloudEssd, Category::CloudAuto].contains(&after) {
        true => Err(Denied::CategoryNotOffered),
        false => Ok(()),
    }
}

/// PL1 where a disk becomes an ESSD and none is given. An ESSD does not go back to PL0.
fn check_level(
    before: Spec,
    category: Category,
    asked: Option<PerformanceLevel>,
    size_gib: u32,
) -> Result<Option<PerformanceLevel>, Denied> {
    if category != Category::CloudEssd {
        return match asked {
            Some(_) => Err(Denied::LevelWithoutEssd),
            None => Ok(None),
        };
    }
    let level = asked.or(before.performance_level).unwrap_or(PerformanceLevel::Pl1);
    if size_gib < level.smallest_gib() {
        return Err(Denied::PerformanceLevelAndSize);
    }
    let was_higher = before.performance_level.is_some_and(|was| was != PerformanceLevel::Pl0);
    match level == PerformanceLevel::Pl0 && was_higher {
        true => Err(Denied::PerformanceLevelTooLow),
        false => Ok(Some(level)),
    }
}

/// 0 to min(50,000, 1,000 × GiB less what the size gives anyway).
fn provisioned(
    before: Spec,
    category: Category,
    change: &SpecChange,
    size_gib: u32,
) -> Result<Option<i64>, Denied> {
    let asked = change.provisioned_iops;
    if !category.allows_provisioned_iops() {
        return match asked {
            Some(_) => Err(Denied::ProvisionedIopsUnsupported),
            None => Ok(None),
        };
    }
    let base = (1800 + 50 * i64::from(size_gib)).min(50_000);
    let most = (1000 * i64::from(size_gib) - base).clamp(0, 50_000);
    match asked {
        None => Ok(before.provisioned_iops),
        Some(0) => Ok(None),
        Some(iops) if (0..=most).contains(&iops) => Ok(Some(iops)),
        Some(_) => Err(Denied::TooManyProvisionedIops),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AccountId, DiskStatus};
    use Category as C;
    use PerformanceLevel as P;

    fn change(category: Option<&str>, level: Option<&str>, iops: Option<i64>) -> SpecChange {
        SpecChange {
            category: category.map(Into::into),
            performance_level: level.map(Into::into),
            provisioned_iops: iops,
        }
    }

    fn check(disk: &Disk, change: &SpecChange) -> Result<Spec, Denied> {
        let account = Account::new(AccountId::new("1"));
        let facts =
            SpecFacts { account: &account, disk, unfinished_snapshot: false, instances: &[] };
        check_spec(&facts, change)
    }

    fn disk(category: C, performance_level: Option<P>, size_gib: u32) -> Disk {
        Disk { category, performance_level, size_gib, ..crate::disk::sample() }
    }

    fn spec(category: C, performance_level: Option<P>, provisioned_iops: Option<i64>) -> Spec {
        Spec { category, performance_level, provisioned_iops }
    }

    #[test]
    fn levels_go_up_and_down_but_not_to_the_lowest() {
        let disk = disk(C::CloudEssd, Some(P::Pl1), 500);
        let to = |level| check(&disk, &change(None, Some(level), None));
        assert_eq!(to("PL2"), Ok(spec(C::CloudEssd, Some(P::Pl2), None)));
        assert_eq!(to("PL1"), Err(Denied::SpecUnchanged));
        assert_eq!(to("PL0"), Err(Denied::PerformanceLevelTooLow));
        assert_eq!(to("PL3"), Err(Denied::PerformanceLevelAndSize));
        assert_eq!(to("PL4"), Err(Denied::PerformanceLevelUnknown));
    }

    #[test]
    fn a_disk_that_becomes_an_essd_has_a_level() {
        let disk = disk(C::CloudSsd, None, 500);
        let to = |category, level| check(&disk, &change(Some(category), level, None));
        assert_eq!(to("cloud_essd", None), Ok(spec(C::CloudEssd, Some(P::Pl1), None)));
        assert_eq!(to("cloud_essd", Some("PL0")), Ok(spec(C::CloudEssd, Some(P::Pl0), None)));
        assert_eq!(to("cloud_auto", Some("PL1")), Err(Denied::LevelWithoutEssd));
        assert_eq!(to("cloud_auto", None), Ok(spec(C::CloudAuto, None, None)));
        assert_eq!(to("cloud", None), Err(Denied::CategoryUnknown));
        assert_eq!(to("cloud_ssd", None), Err(Denied::SpecUnchanged));
    }

    #[test]
    fn what_only_its_former_category_has_is_gone() {
        let mut auto = disk(C::CloudAuto, None, 500);
        auto.provisioned_iops = Some(10);
        auto.bursting = true;
        let after = check(&auto, &change(Some("cloud_essd"), None, None)).unwrap();
        after.apply(&mut auto);
        assert_eq!((auto.provisioned_iops, auto.bursting), (None, false));
        assert_eq!(auto.performance_level, Some(P::Pl1));
    }

    #[test]
    fn provisioned_iops_have_a_range() {
        // min(50,000, 40 × 1,000 less 1,800 + 50 × 40).
        let disk = disk(C::CloudAuto, None, 40);
        let to = |iops| check(&disk, &change(None, None, Some(iops)));
        assert_eq!(to(36_200), Ok(spec(C::CloudAuto, None, Some(36_200))));
        for wrong in [36_201, -1] {
            assert_eq!(to(wrong), Err(Denied::TooManyProvisionedIops));
        }
        assert_eq!(to(0), Err(Denied::SpecUnchanged));
    }

    #[test]
    fn some_disks_stay_what_they_are() {
        let to =
            |category, name| check(&disk(category, None, 500), &change(Some(name), None, None));
        for category in [C::Cloud, C::CloudRegionalDiskAuto, C::LocalSsdPro] {
            assert_eq!(to(category, "cloud_essd"), Err(Denied::CategoryUnsupported));
        }
        assert_eq!(to(C::CloudEssdEntry, "cloud_ssd"), Err(Denied::CategoryNotOffered));
        assert!(to(C::CloudEssdEntry, "cloud_auto").is_ok());
        let small = disk(C::CloudAuto, None, 1);
        let refused = check(&small, &change(Some("cloud_efficiency"), None, None));
        assert_eq!(refused, Err(Denied::CategoryNotOffered));
        let busy = Disk { status: DiskStatus::Attaching, ..disk(C::CloudSsd, None, 500) };
        let refused = check(&busy, &change(Some("cloud_essd"), None, None));
        assert_eq!(refused, Err(Denied::DiskStatus));
    }
}
