//! What a reset does and leaves alone.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use ebb_domain::{Denied, DiskStatus, SnapshotStatus};

use crate::engine::Call;
use crate::world::{A, B, World, attach_to, denied, new_snapshot};

#[test]
fn snapshots_older_and_newer_stay_and_stay_usable() {
    let world = World::new();
    let base = world.base();
    let newer = world.snapshot(&base.disk);
    world.fill(&base.disk, 0xC3);
    let newest = world.snapshot(&base.disk);
    world.stop(&base.instance);
    let kept = [(&base.snapshot, A), (&newer, B), (&newest, 0xC3)];
    for (middle, byte) in [(&newer, B), (&base.snapshot, A), (&newest, 0xC3)] {
        world.reset(&base.disk, middle).unwrap();
        world.assert_content(&base.disk, byte);
        for (snapshot, _) in kept {
            let status = world.find_snapshot(snapshot).unwrap().status;
            assert_eq!(status, SnapshotStatus::Accomplished);
        }
        world.assert_at_rest();
    }
    // One that is deleted takes none of the others with it.
    world.reset(&base.disk, &newer).unwrap();
    world.delete_snapshot(&newer).unwrap();
    world.assert_content(&base.disk, B);
    world.reset(&base.disk, &base.snapshot).unwrap();
    world.assert_content(&base.disk, A);
    world.reset(&base.disk, &newest).unwrap();
    world.assert_content(&base.disk, 0xC3);
    assert_eq!(denied(world.reset(&base.disk, &newer)), Denied::SnapshotNotFound);
}

#[test]
fn a_reset_changes_nothing_in_the_record() {
    let world = World::new();
    let base = world.base();
    world.stop(&base.instance);
    let before = (world.disks(), world.snapshots(), world.instances());
    world.reset(&base.disk, &base.snapshot).unwrap();
    assert_eq!((world.disks(), world.snapshots(), world.instances()), before);
}

#[test]
fn while_a_reset_is_under_way_nothing_else_touches_the_disk_or_the_snapshot() {
    let world = World::new();
    let base = world.base();
    let other = world.run_instance();
    world.stop(&base.instance);
    let (entered, has_entered) = mpsc::channel();
    let (go, may_go) = mpsc::channel::<()>();
    let may_go = Mutex::new(may_go);
    world.engine.look(move |call| {
        if matches!(call, Call::Reset(..)) {
            entered.send(()).unwrap();
            may_go.lock().unwrap().recv_timeout(Duration::from_secs(20)).unwrap();
        }
        Ok(())
    });
    let world = Arc::new(world);
    let resetting = thread::spawn({
        let (world, base) = (Arc::clone(&world), base.clone());
        move || world.reset(&base.disk, &base.snapshot)
    });
    has_entered.recv_timeout(Duration::from_secs(20)).unwrap();

    let scope = world.scope();
    let resetting_now = DiskStatus::Resetting(base.snapshot.clone());
    assert_eq!(world.disk(&base.disk).status, resetting_now);
    assert_eq!(denied(world.reset(&base.disk, &base.snapshot)), Denied::Conflict);
    let dry = world.control.reset_disk(&scope, &base.disk, &base.snapshot, true);
    assert_eq!(denied(dry), Denied::Conflict);
    assert_eq!(denied(world.delete_snapshot(&base.snapshot)), Denied::Conflict);
    let forced = world.control.delete_snapshot(&scope, &base.snapshot, true);
    assert_eq!(denied(forced), Denied::Conflict);
    let snapshot = world.control.create_snapshot(&scope, &new_snapshot(&base.disk));
    assert_eq!(denied(snapshot), Denied::DiskStatus);
    assert_eq!(denied(world.detach(&base.disk, &base.instance)), Denied::DiskStatus);
    let attach = world.control.attach_disk(&scope, &attach_to(&base.disk, &other));
    assert_eq!(denied(attach), Denied::DiskStatus);
    assert_eq!(denied(world.control.delete_disk(&scope, &base.disk)), Denied::DiskStatus);
    let ids = std::slice::from_ref(&base.instance);
    let start = world.control.start_instances(&scope, ids, true, false);
    assert_eq!(denied(start), Denied::DiskNotReady);
    assert_eq!(denied(world.delete_instance(&base.instance)), Denied::InstanceStatus);

    go.send(()).unwrap();
    resetting.join().unwrap().unwrap();
    world.assert_content(&base.disk, A);
    world.assert_at_rest();
    assert_eq!(world.engine.collisions(), []);
}
