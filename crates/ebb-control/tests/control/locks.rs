//! Nobody deletes a locked snapshot.

use ebb_control::{ClientToken, ControlError, LockSnapshot, LockedSnapshot, PageRequest};
use ebb_control::{Scope, UnlockSnapshot};
use ebb_domain::{AccountId, Denied, LockStatus, SnapshotChange, SnapshotId};

use crate::world::{B, World, denied, new_snapshot, region};

const HOUR: i64 = 60 * 60;
const DAY: i64 = 24 * HOUR;

fn lock(days: u32, cool_off_hours: u32, id: &SnapshotId) -> LockSnapshot {
    LockSnapshot { snapshot: id.clone(), days, cool_off_hours, dry_run: false, token: None }
}

fn unlock(id: &SnapshotId) -> UnlockSnapshot {
    UnlockSnapshot { snapshot: id.clone(), dry_run: false, token: None }
}

fn locked(world: &World, request: &LockSnapshot) -> Result<LockedSnapshot, ControlError> {
    world.control.lock_snapshot(&world.scope(), request)
}

fn unlocked(world: &World, id: &SnapshotId) -> Result<(), ControlError> {
    world.control.unlock_snapshot(&world.scope(), &unlock(id))
}

#[test]
fn a_locked_snapshot_is_not_deleted_before_its_lock_ends() {
    let world = World::new();
    let base = world.base();
    let scope = world.scope();
    let told = locked(&world, &lock(2, 3, &base.snapshot)).unwrap();
    assert_eq!(told.status, LockStatus::CoolOff);
    for seconds in [0, 3 * HOUR, 2 * DAY - 3 * HOUR - 1] {
        world.universe.clock.advance(seconds);
        for force in [false, true] {
            let deleted = world.control.delete_snapshot(&scope, &base.snapshot, force);
            assert_eq!(denied(deleted), Denied::SnapshotLocked);
        }
    }
    // The disk may go, and be reset: the lock is the snapshot's.
    world.stop(&base.instance);
    world.reset(&base.disk, &base.snapshot).unwrap();
    world.universe.clock.advance(1);
    world.delete_snapshot(&base.snapshot).unwrap();
    assert_eq!(world.find_snapshot(&base.snapshot), None);
    world.assert_at_rest();
}

#[test]
fn a_lock_survives_a_restart() {
    let world = World::new();
    let base = world.base();
    let told = locked(&world, &lock(2, 0, &base.snapshot)).unwrap();
    let world = world.restart();
    assert_eq!(world.find_snapshot(&base.snapshot).unwrap().lock, Some(told.lock));
    assert_eq!(denied(world.delete_snapshot(&base.snapshot)), Denied::SnapshotLocked);
    world.assert_content(&base.disk, B);
    world.exercise();
}

#[test]
fn retention_ends_after_the_lock() {
    let world = World::new();
    let base = world.base();
    let mut request = new_snapshot(&base.disk);
    request.retention_days = Some(3);
    let id = world.control.create_snapshot(&world.scope(), &request).unwrap();
    assert_eq!(denied(locked(&world, &lock(4, 0, &id))), Denied::LockOutlivesSnapshot);
    locked(&world, &lock(2, 0, &id)).unwrap();
    assert_eq!(denied(locked(&world, &lock(4, 0, &id))), Denied::LockOutlivesSnapshot);
    let change = SnapshotChange { retention_days: Some(5), ..SnapshotChange::default() };
    world.control.modify_snapshot(&world.scope(), &id, &change).unwrap();
    locked(&world, &lock(4, 0, &id)).unwrap();
    world.universe.clock.advance(4 * DAY);
    assert_eq!(world.control.expire_snapshots().unwrap(), 0);
    world.universe.clock.advance(DAY);
    assert_eq!(world.control.expire_snapshots().unwrap(), 1);
    assert_eq!(world.find_snapshot(&id), None);
}

#[test]
fn a_lock_is_taken_back_while_it_cools_off() {
    let world = World::new();
    let base = world.base();
    locked(&world, &lock(2, 3, &base.snapshot)).unwrap();
    unlocked(&world, &base.snapshot).unwrap();
    assert_eq!(denied(unlocked(&world, &base.snapshot)), Denied::SnapshotNotLocked);
    locked(&world, &lock(2, 3, &base.snapshot)).unwrap();
    world.universe.clock.advance(3 * HOUR);
    assert_eq!(denied(unlocked(&world, &base.snapshot)), Denied::SnapshotLocked);
    world.universe.clock.advance(2 * DAY);
    world.delete_snapshot(&base.snapshot).unwrap();
}

#[test]
fn a_dry_run_changes_nothing_and_finds_what_is_wrong() {
    let world = World::new();
    let base = world.base();
    let mut request = lock(2, 3, &base.snapshot);
    request.dry_run = true;
    assert_eq!(denied(locked(&world, &request)), Denied::DryRun);
    assert_eq!(world.find_snapshot(&base.snapshot).unwrap().lock, None);
    let none = SnapshotId::new("s-none");
    let nowhere = LockSnapshot { snapshot: none, ..request.clone() };
    assert_eq!(denied(locked(&world, &nowhere)), Denied::SnapshotNotFound);
    locked(&world, &lock(2, 3, &base.snapshot)).unwrap();
    let dry = UnlockSnapshot { dry_run: true, ..unlock(&base.snapshot) };
    let refused = world.control.unlock_snapshot(&world.scope(), &dry);
    assert_eq!(denied(refused), Denied::DryRun);
    assert!(world.find_snapshot(&base.snapshot).unwrap().lock.is_some());
}

#[test]
fn the_same_request_again_locks_nothing_anew() {
    let world = World::new();
    let base = world.base();
    let mut request = lock(2, 3, &base.snapshot);
    let token = ClientToken { action: "LockSnapshot", token: "t".into(), fingerprint: [1; 32] };
    request.token = Some(token);
    let first = locked(&world, &request).unwrap();
    world.universe.clock.advance(HOUR);
    assert_eq!(locked(&world, &request).unwrap(), first);
    let mut other = request.clone();
    other.token.as_mut().unwrap().fingerprint = [2; 32];
    assert_eq!(denied(locked(&world, &other)), Denied::TokenMismatch);
    unlocked(&world, &base.snapshot).unwrap();
    assert_eq!(denied(locked(&world, &request)), Denied::SnapshotNotLocked);
}

#[test]
fn a_lock_is_its_accounts() {
    let world = World::new();
    let base = world.base();
    locked(&world, &lock(2, 3, &base.snapshot)).unwrap();
    let page = PageRequest::Number { number: 1, size: 10 };
    let list = |account: &AccountId| {
        let page = world.control.locked_snapshots(account, &region(), None, None, page.clone());
        page.unwrap().items
    };
    assert_eq!(list(&world.scope().account).len(), 1);
    let stranger = AccountId::new("2");
    assert_eq!(list(&stranger), []);
    let scope = Scope { account: stranger, region: None };
    let refused = world.control.unlock_snapshot(&scope, &unlock(&base.snapshot));
    assert_eq!(denied(refused), Denied::SnapshotNotFound);
}
