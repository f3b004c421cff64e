//! Automatic snapshot policies: what they take, name, copy and let go.

use std::collections::BTreeSet;

use ebb_control::{AutoPolicy, AutoPolicyChange, DiskChange};
use ebb_domain::{
    AutoSnapshotPolicyId, CopyEncryption, Denied, DiskId, Origin, RegionId, Slots, Snapshot,
    SnapshotStatus,
};
use ebb_volume::EngineError;

use crate::engine::Call;
use crate::world::{A, B, World, denied, other_region, region};

const HOUR: i64 = 60 * 60;
const EVERY_DAY: [u32; 7] = [1, 2, 3, 4, 5, 6, 7];

fn wanted(hours: &[u32], weekdays: &[u32], retention_days: Option<u32>) -> AutoPolicy {
    AutoPolicy {
        name: String::new(),
        hours: Slots::parse(hours, 0, 23).unwrap(),
        weekdays: Slots::parse(weekdays, 1, 7).unwrap(),
        retention_days,
        copy_to: Vec::new(),
        copy_retention_days: None,
        copy_encryption: CopyEncryption::default(),
    }
}

fn create(world: &World, wanted: &AutoPolicy) -> AutoSnapshotPolicyId {
    world.control.create_auto_policy(&world.root(), &region(), wanted, "", &[]).unwrap()
}

fn apply(world: &World, policy: &AutoSnapshotPolicyId, disk: &DiskId) {
    let disks = std::slice::from_ref(disk);
    world.control.apply_auto_policy(&world.root(), &region(), policy, disks).unwrap();
}

fn automatic(world: &World) -> Vec<Snapshot> {
    world.snapshots().into_iter().filter(|found| found.origin == Origin::Auto).collect()
}

/// To the beginning of the next hour, or just behind it: the clock ticks by itself.
fn next_hour(world: &World) {
    let now = world.control.now().unix_millis() / 1000;
    world.universe.clock.advance(HOUR - now.rem_euclid(HOUR));
}

fn take(world: &World) -> usize {
    world.control.take_auto_snapshots().unwrap()
}

/// Every hour of the day there is a snapshot, and none is taken twice.
fn hourly(world: &World) -> AutoSnapshotPolicyId {
    create(world, &wanted(&(0..24).collect::<Vec<_>>(), &EVERY_DAY, None))
}

#[test]
fn a_year_of_a_policy() {
    let mut world = World::new();
    let base = world.base();
    // Twice on five days a week, and kept for ten days.
    let policy = create(&world, &wanted(&[3, 15], &[1, 2, 3, 4, 5], Some(10)));
    apply(&world, &policy, &base.disk);
    let (mut taken, mut names) = (0, BTreeSet::new());
    for hour in 0..365 * 24 {
        next_hour(&world);
        taken += take(&world);
        world.control.expire_snapshots().unwrap();
        names.extend(automatic(&world).into_iter().map(|found| found.name));
        // A restart now and then, at any hour.
        if hour % 1009 == 17 {
            world = world.restart();
            assert_eq!(take(&world), 0, "what was taken is not taken again");
        }
    }
    // 2025 begins on a Wednesday, and has 261 days from Monday to Friday. In UTC+8 the test begins
    // on its first day at eight, so the first of two is missing, and one of 2026 is there.
    assert_eq!(taken, 2 * 261 - 1 + 1);
    assert_eq!(names.len(), 262, "one name a day");
    assert!(names.iter().all(|name| name.starts_with("auto2.0_202")));
    // Kept: one of Monday, December 22nd, two of each of the seven working days after it, and one
    // of January 1st.
    assert_eq!(automatic(&world).len(), 1 + 2 * 7 + 1);
    world.assert_at_rest();
    world.exercise();
}

#[test]
fn what_it_takes_is_the_disk_and_goes_by_itself() {
    let world = World::new();
    let base = world.base();
    let mut policy = wanted(&(0..24).collect::<Vec<_>>(), &EVERY_DAY, Some(1));
    policy.copy_to = vec![other_region()];
    policy.copy_retention_days = Some(2);
    let policy = create(&world, &policy);
    apply(&world, &policy, &base.disk);
    next_hour(&world);
    assert_eq!(take(&world), 1);
    let taken = automatic(&world);
    let (copies, own): (Vec<_>, Vec<_>) = taken.iter().partition(|s| s.copied_from.is_some());
    let ([copy], [own]) = (&copies[..], &own[..]) else { panic!("{taken:?}") };
    assert_eq!(own.status, SnapshotStatus::Accomplished);
    assert!(own.name.starts_with("auto2.0_2025010") && own.name.ends_with(policy.as_str()));
    assert_eq!((own.retention_days, copy.retention_days), (Some(1), Some(2)));
    assert_eq!((&copy.region, &copy.name), (&other_region(), &own.name));
    world.fill(&base.disk, A);
    world.stop(&base.instance);
    world.reset(&base.disk, &own.id).unwrap();
    world.assert_content(&base.disk, B);
    world.assert_version(copy, B);
    world.universe.clock.advance(24 * HOUR);
    assert_eq!(world.control.expire_snapshots().unwrap(), 1);
    world.universe.clock.advance(24 * HOUR);
    assert_eq!(world.control.expire_snapshots().unwrap(), 1);
    world.assert_at_rest();
}

#[test]
fn its_copies_may_be_encrypted_and_are_made_once() {
    let world = World::new();
    let base = world.base();
    let mut policy = wanted(&(0..24).collect::<Vec<_>>(), &EVERY_DAY, Some(1));
    policy.copy_to = vec![other_region()];
    policy.copy_encryption = CopyEncryption { encrypted: true, key: None };
    let policy = create(&world, &policy);
    apply(&world, &policy, &base.disk);
    next_hour(&world);
    assert_eq!(take(&world), 1);
    // The hour is not over, nor is it certain that the task is.
    let world = world.restart();
    assert_eq!(take(&world), 0);
    world.assert_at_rest();
    let copies = automatic(&world).into_iter().filter(|s| s.copied_from.is_some());
    let [copy] = &copies.collect::<Vec<_>>()[..] else { panic!("not one copy") };
    let key = world.control.default_key(&world.root(), &other_region()).unwrap();
    assert_eq!(copy.encryption.as_ref().map(|one| &one.key), Some(&key));
    assert_eq!(copy.status, SnapshotStatus::Accomplished);
    world.assert_version(copy, B);
}

#[test]
fn an_hour_is_worked_off_once_and_late_if_need_be() {
    let world = World::new();
    let base = world.base();
    let policy = hourly(&world);
    apply(&world, &policy, &base.disk);
    assert_eq!(take(&world), 0, "it begins with the next hour");
    next_hour(&world);
    world.universe.clock.advance(HOUR - 120);
    assert_eq!(take(&world), 1, "late, but within the hour");
    assert_eq!(take(&world), 0);
    next_hour(&world);
    next_hour(&world);
    next_hour(&world);
    assert_eq!(take(&world), 1, "what is over is not made up for");
}

#[test]
fn a_disk_that_is_left_alone() {
    let world = World::new();
    let base = world.base();
    let policy = hourly(&world);
    apply(&world, &policy, &base.disk);
    let set = |enabled| {
        let change = DiskChange { enable_auto_snapshot: Some(enabled), ..DiskChange::default() };
        let disks = std::slice::from_ref(&base.disk);
        world.control.modify_disks(&world.scope(), disks, &change).unwrap();
    };
    set(false);
    next_hour(&world);
    assert_eq!(take(&world), 0, "EnableAutoSnapshot is false");
    set(true);
    next_hour(&world);
    assert_eq!(take(&world), 1);
    world.detach(&base.disk, &base.instance).unwrap();
    world.until_disk(&base.disk, &ebb_domain::DiskStatus::Available);
    next_hour(&world);
    assert_eq!(take(&world), 0, "attached to nothing");
    world.attach(&base.disk, &base.instance);
    let disks = std::slice::from_ref(&base.disk);
    world.control.cancel_auto_policy(&world.root(), &region(), None, disks).unwrap();
    next_hour(&world);
    assert_eq!(take(&world), 0, "cancelled");
    apply(&world, &policy, &base.disk);
    world.control.delete_auto_policy(&world.root(), &region(), &policy).unwrap();
    assert_eq!(world.disk(&base.disk).auto_snapshot_policy, None);
    next_hour(&world);
    assert_eq!(take(&world), 0, "deleted");
}

#[test]
fn a_change_acts_from_the_next_hour_on() {
    let world = World::new();
    let base = world.base();
    let policy = hourly(&world);
    apply(&world, &policy, &base.disk);
    next_hour(&world);
    let none_now =
        AutoPolicyChange { retention_days: Some(Some(3)), ..AutoPolicyChange::default() };
    let change = |change: &AutoPolicyChange| {
        world.control.modify_auto_policy(&world.root(), &region(), &policy, change).unwrap();
    };
    change(&none_now);
    assert_eq!(take(&world), 0);
    next_hour(&world);
    assert_eq!(take(&world), 1);
    assert_eq!(automatic(&world)[0].retention_days, Some(3));
}

/// The copy failed, and the next call makes it without another snapshot.
#[test]
fn what_failed_is_done_by_the_next_call() {
    let world = World::new();
    let base = world.base();
    let mut policy = wanted(&(0..24).collect::<Vec<_>>(), &EVERY_DAY, None);
    policy.copy_to = vec![other_region()];
    let policy = create(&world, &policy);
    apply(&world, &policy, &base.disk);
    next_hour(&world);
    world.engine.look(|call| match call {
        Call::Fork(..) => Err(EngineError::Stopped("a test".into())),
        _ => Ok(()),
    });
    world.control.take_auto_snapshots().unwrap_err();
    world.engine.look_away();
    assert_eq!(take(&world), 0, "the snapshot is there");
    assert_eq!(automatic(&world).len(), 2, "and its copy");
    assert_eq!(take(&world), 0);
    world.assert_at_rest();
}

#[test]
fn its_snapshots_go_with_the_disk_unless_they_are_to_stay() {
    for stay in [false, true] {
        let world = World::new();
        let base = world.base();
        let policy = hourly(&world);
        apply(&world, &policy, &base.disk);
        next_hour(&world);
        assert_eq!(take(&world), 1);
        let change = DiskChange { delete_auto_snapshot: Some(!stay), ..DiskChange::default() };
        let disks = std::slice::from_ref(&base.disk);
        world.control.modify_disks(&world.scope(), disks, &change).unwrap();
        world.detach(&base.disk, &base.instance).unwrap();
        world.until_disk(&base.disk, &ebb_domain::DiskStatus::Available);
        world.control.delete_disk(&world.scope(), &base.disk).unwrap();
        assert_eq!(automatic(&world).len(), usize::from(stay));
        assert!(world.find_snapshot(&base.snapshot).is_some(), "people's own stay");
        world.assert_at_rest();
    }
}

#[test]
fn what_is_refused() {
    let world = World::new();
    let base = world.base();
    let nowhere = RegionId::new("nowhere");
    let plain = wanted(&[1], &[1], None);
    let new = |region: &RegionId, wanted: &AutoPolicy| {
        world.control.create_auto_policy(&world.root(), region, wanted, "", &[])
    };
    assert_eq!(denied(new(&nowhere, &plain)), Denied::RegionNotFound);
    for to in [region(), nowhere] {
        let copies = AutoPolicy { copy_to: vec![to], ..plain.clone() };
        assert_eq!(denied(new(&region(), &copies)), Denied::CopyRegions);
    }
    let none = AutoSnapshotPolicyId::new("sp-none");
    let disks = std::slice::from_ref(&base.disk);
    let applied = world.control.apply_auto_policy(&world.root(), &region(), &none, disks);
    assert_eq!(denied(applied), Denied::AutoPolicyNotFound);
    let deleted = world.control.delete_auto_policy(&world.root(), &region(), &none);
    assert_eq!(denied(deleted), Denied::AutoPolicyNotFound);
    for _ in 0..100 {
        new(&region(), &plain).unwrap();
    }
    assert_eq!(denied(new(&region(), &plain)), Denied::AutoPolicyQuota);
    new(&other_region(), &plain).unwrap();
}
