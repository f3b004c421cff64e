//! Many calls on one disk at the same time: each succeeds alone or is refused for a documented
//! reason, and none is half done.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use ebb_control::{ControlError, Stop};
use ebb_domain::{Denied, DiskStatus, SnapshotStatus};

use crate::world::{A, B, Base, World, attach_to, new_snapshot, until};

const THREADS: usize = 200;

/// What a call on a disk, its instance or its snapshot may be told where another has come first.
fn is_documented(denied: &Denied) -> bool {
    matches!(
        denied,
        Denied::Conflict
            | Denied::DiskStatus
            | Denied::UnfinishedSnapshot
            | Denied::CreatingSnapshot
            | Denied::DiskCreatingSnapshot
            | Denied::InstanceStatus
            | Denied::DiskNotReady
            | Denied::AlreadyDetached
            | Denied::AttachedElsewhere
            | Denied::SnapshotNotFound
            | Denied::SnapshotNotReady
            | Denied::SnapshotQuota
    )
}

/// Whether the call succeeded; it must not have failed in any other way than a refusal.
fn succeeded(what: &str, outcome: Result<(), ControlError>) -> bool {
    match outcome {
        Ok(()) => true,
        Err(ControlError::Denied(denied)) if is_documented(&denied) => false,
        Err(other) => panic!("{what}: {other:?}"),
    }
}

fn call(world: &World, base: &Base, n: usize) -> bool {
    let (scope, control) = (world.scope(), &world.control);
    let ids = std::slice::from_ref(&base.instance);
    match n % 8 {
        0 | 1 => succeeded("reset", world.reset(&base.disk, &base.snapshot)),
        2 => {
            let made = control.create_snapshot(&scope, &new_snapshot(&base.disk));
            succeeded("create snapshot", made.map(drop))
        }
        3 => {
            let attach = attach_to(&base.disk, &base.instance);
            succeeded("attach", control.attach_disk(&scope, &attach))
        }
        4 => succeeded("detach", world.detach(&base.disk, &base.instance)),
        5 => {
            let stop = control.stop_instances(&scope, ids, &Stop::default(), true, false);
            succeeded("stop", stop.map(drop))
        }
        6 => {
            let start = control.start_instances(&scope, ids, true, false);
            succeeded("start", start.map(drop))
        }
        _ => {
            // Never the last one, which the others go back to.
            let newest = world.snapshots().into_iter().find(|found| found.id != base.snapshot);
            newest
                .is_some_and(|found| succeeded("delete snapshot", world.delete_snapshot(&found.id)))
        }
    }
}

#[test]
fn two_hundred_calls_at_once_leave_a_disk_whole() {
    let world = World::new();
    let base = world.base();
    world.stop(&base.instance);
    // Long enough for others to come in between.
    world.engine.look(|_| {
        thread::sleep(Duration::from_micros(300));
        Ok(())
    });
    let (barrier, succeeded) = (Barrier::new(THREADS), AtomicUsize::new(0));
    thread::scope(|scope| {
        for n in 0..THREADS {
            let (world, base, barrier, succeeded) = (&world, &base, &barrier, &succeeded);
            scope.spawn(move || {
                barrier.wait();
                for round in 0..5 {
                    if call(world, base, n + round * 3) {
                        succeeded.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    world.engine.look_away();
    assert!(succeeded.load(Ordering::SeqCst) > 0);
    world.assert_at_rest();
    assert_eq!(world.engine.collisions(), []);
    let content = world.content(&base.disk);
    let whole = [A, B].iter().any(|byte| content == world.filled(&base.disk, *byte));
    assert!(whole, "the disk is neither as it was nor as the snapshot");
    world.exercise();
    world.restart().assert_at_rest();
}

/// Starts calls together; how many succeeded, all others having been refused. The engine holds
/// the call that gets through until every other has been answered, so that they do collide.
fn at_once(world: &World, call: impl Fn(usize) -> bool + Sync) -> usize {
    const CALLS: usize = 16;
    let (barrier, successes) = (Barrier::new(CALLS), AtomicUsize::new(0));
    let answered = Arc::new(AtomicUsize::new(0));
    world.engine.look({
        let answered = Arc::clone(&answered);
        move |_| {
            until("the others are answered", || answered.load(Ordering::SeqCst) >= CALLS - 1);
            Ok(())
        }
    });
    thread::scope(|scope| {
        for n in 0..CALLS {
            let (barrier, successes, answered, call) = (&barrier, &successes, &answered, &call);
            scope.spawn(move || {
                barrier.wait();
                if call(n) {
                    successes.fetch_add(1, Ordering::SeqCst);
                }
                answered.fetch_add(1, Ordering::SeqCst);
            });
        }
    });
    world.engine.look_away();
    successes.into_inner()
}

#[test]
fn of_calls_that_collide_one_succeeds() {
    let world = World::new();
    let base = world.base();
    world.stop(&base.instance);
    let reset = at_once(&world, |_| succeeded("reset", world.reset(&base.disk, &base.snapshot)));
    assert_eq!(reset, 1);
    world.assert_content(&base.disk, A);
    let frozen = at_once(&world, |_| {
        let request = new_snapshot(&base.disk);
        let made = world.control.create_snapshot(&world.scope(), &request);
        succeeded("create snapshot", made.map(drop))
    });
    assert_eq!(frozen, 1);
    let newest = world.snapshots().into_iter().find(|found| found.id != base.snapshot).unwrap();
    assert_eq!(newest.status, SnapshotStatus::Accomplished);
    let reset_or_deleted = at_once(&world, |n| {
        if n % 2 == 0 {
            succeeded("delete snapshot", world.delete_snapshot(&newest.id))
        } else {
            succeeded("reset", world.reset(&base.disk, &newest.id))
        }
    });
    assert_eq!(reset_or_deleted, 1);
    let detached =
        at_once(&world, |_| succeeded("detach", world.detach(&base.disk, &base.instance)));
    assert_eq!(detached, 1);
    world.until_disk(&base.disk, &DiskStatus::Available);
    let other = world.run_instance();
    world.stop(&other);
    let attached = at_once(&world, |n| {
        let instance = if n % 2 == 0 { &base.instance } else { &other };
        let attach = attach_to(&base.disk, instance);
        succeeded("attach", world.control.attach_disk(&world.scope(), &attach))
    });
    assert_eq!(attached, 1);
    assert_eq!(world.disk(&base.disk).attachments.len(), 1);
    world.assert_at_rest();
    assert_eq!(world.engine.collisions(), []);
}
