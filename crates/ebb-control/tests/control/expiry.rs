//! Snapshots go when their days are over, and no sooner.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ebb_control::{Control, ControlError, Scope};
use ebb_domain::{Denied, SnapshotChange, SnapshotId};

use crate::world::{B, World, denied, new_disk, new_snapshot};

const DAY: i64 = 24 * 60 * 60;

fn kept_for(world: &World, days: i64) -> SnapshotId {
    let mut request = new_snapshot(&world.base().disk);
    request.retention_days = Some(days);
    world.control.create_snapshot(&world.scope(), &request).unwrap()
}

fn keep_for(control: &Control, id: &SnapshotId, days: i64) -> Result<(), ControlError> {
    let scope = Scope { account: control.root().clone(), region: None };
    let change = SnapshotChange { retention_days: Some(days), ..SnapshotChange::default() };
    control.modify_snapshot(&scope, id, &change)
}

#[test]
fn a_snapshot_goes_when_its_days_are_over() {
    let world = World::new();
    let (short, long) = (kept_for(&world, 3), kept_for(&world, 4));
    let base = world.base();
    world.universe.clock.advance(3 * DAY - 60);
    assert_eq!(world.control.expire_snapshots().unwrap(), 0);
    world.universe.clock.advance(60);
    assert_eq!(world.control.expire_snapshots().unwrap(), 1);
    assert_eq!(world.find_snapshot(&short), None);
    assert!(world.find_snapshot(&long).is_some());
    world.universe.clock.advance(10_000 * DAY);
    assert_eq!(world.control.expire_snapshots().unwrap(), 1);
    assert!(world.find_snapshot(&base.snapshot).is_some());
    world.assert_at_rest();
    world.exercise();
}

#[test]
fn one_that_is_kept_for_longer_stays_for_longer() {
    let world = World::new();
    let id = kept_for(&world, 3);
    world.universe.clock.advance(3 * DAY);
    assert_eq!(denied(keep_for(&world.control, &id, 2)), Denied::RetentionDecreased);
    keep_for(&world.control, &id, 5).unwrap();
    assert_eq!(world.control.expire_snapshots().unwrap(), 0);
    world.universe.clock.advance(2 * DAY);
    assert_eq!(world.control.expire_snapshots().unwrap(), 1);
}

#[test]
fn one_that_is_kept_for_longer_at_the_last_moment_stays() {
    let world = World::new();
    let id = kept_for(&world, 3);
    world.universe.clock.advance(3 * DAY);
    let (control, kept, asked) = (Arc::clone(&world.control), id.clone(), AtomicUsize::new(0));
    world.universe.clock.look(move || {
        // It is asked first to list those that are due, then for each.
        if asked.fetch_add(1, Ordering::SeqCst) == 1 {
            keep_for(&control, &kept, 5).unwrap();
        }
    });
    assert_eq!(world.control.expire_snapshots().unwrap(), 0);
    world.universe.clock.look(|| ());
    assert_eq!(world.find_snapshot(&id).unwrap().retention_days, Some(5));
    world.universe.clock.advance(2 * DAY);
    assert_eq!(world.control.expire_snapshots().unwrap(), 1);
}

#[test]
fn disks_made_from_one_stay() {
    let world = World::new();
    let mut request = new_disk(20);
    request.snapshot = Some(kept_for(&world, 1));
    let copy = world.control.create_disk(&world.root(), &request).unwrap();
    world.universe.clock.advance(DAY);
    assert_eq!(world.control.expire_snapshots().unwrap(), 1);
    world.assert_content(&copy, B);
    world.assert_at_rest();
}
