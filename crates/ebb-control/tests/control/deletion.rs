//! What goes with an instance and what stays, and what a disk made from a snapshot needs of it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use ebb_control::{DataDisk, DeleteInstance};
use ebb_domain::{Denied, DiskStatus, InstanceStatus, NewDisk};

use crate::engine::Call;
use crate::world::{A, B, World, denied, new_disk, new_instance};

#[test]
fn disks_go_or_stay_as_they_were_told() {
    let world = World::new();
    let data = |stays: bool| DataDisk {
        disk: NewDisk { size_gib: Some(20), ..NewDisk::default() },
        delete_with_instance: Some(!stays),
        ..DataDisk::default()
    };
    let mut run = new_instance();
    run.data_disks = vec![data(true), data(false)];
    let id = world.control.run_instances(&world.root(), &run).unwrap().remove(0);
    world.until_instance(&id, InstanceStatus::Running);
    let disks = world.read(|tx| tx.disks_of_instance(&id));
    let (stays, goes) = (&disks[1].id, &disks[2].id);
    world.fill(stays, B);
    let gentle = DeleteInstance::default();
    let ids = std::slice::from_ref(&id);
    let running = world.control.delete_instances(&world.scope(), ids, gentle);
    assert_eq!(denied(running), Denied::InstanceStatus);
    let dry = DeleteInstance { force: true, dry_run: true };
    let dry = world.control.delete_instances(&world.scope(), ids, dry);
    assert_eq!(denied(dry), Denied::DryRun);
    assert!(world.find_instance(&id).is_some());
    world.delete_instance(&id).unwrap();
    assert_eq!(world.find_instance(&id), None);
    assert_eq!(world.find_disk(goes), None);
    assert_eq!(world.disk(stays).status, DiskStatus::Available);
    world.assert_content(stays, B);
    world.assert_at_rest();
    world.exercise();
}

#[test]
fn a_shared_disk_goes_with_its_last_instance_only() {
    let world = World::new();
    let (first, second) = (world.run_instance(), world.run_instance());
    let mut request = new_disk(20);
    request.disk.multi_attach = Some("Enabled".into());
    let disk = world.control.create_disk(&world.root(), &request).unwrap();
    let mut attach = crate::world::attach_to(&disk, &first);
    attach.request.delete_with_instance = Some(true);
    world.control.attach_disk(&world.scope(), &attach).unwrap();
    attach.instance = second.clone();
    world.control.attach_disk(&world.scope(), &attach).unwrap();
    world.fill(&disk, A);
    world.delete_instance(&first).unwrap();
    assert_eq!(world.disk(&disk).attachments.len(), 1);
    world.assert_content(&disk, A);
    assert!(world.exports.get(&disk).is_some());
    world.delete_instance(&second).unwrap();
    assert_eq!(world.find_disk(&disk), None);
    world.assert_at_rest();
}

#[test]
fn a_snapshot_with_disks_is_deleted_by_force_and_they_stay() {
    let world = World::new();
    let base = world.base();
    let mut request = new_disk(20);
    request.snapshot = Some(base.snapshot.clone());
    let copy = world.control.create_disk(&world.root(), &request).unwrap();
    assert_eq!(denied(world.delete_snapshot(&base.snapshot)), Denied::SnapshotHasDisks);
    world.control.delete_snapshot(&world.scope(), &base.snapshot, true).unwrap();
    world.assert_content(&copy, A);
    world.assert_at_rest();
    world.exercise();
}

/// Else the disk could never be made: not now, and not by the next start.
#[test]
fn a_snapshot_that_a_disk_is_being_made_from_is_held() {
    let world = World::new();
    let base = world.base();
    let (entered, has_entered) = mpsc::channel();
    let (go, may_go) = mpsc::channel::<()>();
    let may_go = Mutex::new(may_go);
    world.engine.look(move |call| {
        if matches!(call, Call::Fork(..)) {
            entered.send(()).unwrap();
            may_go.lock().unwrap().recv_timeout(Duration::from_secs(20)).unwrap();
        }
        Ok(())
    });
    let world = Arc::new(world);
    let making = thread::spawn({
        let (world, base) = (Arc::clone(&world), base.clone());
        move || {
            let mut request = new_disk(20);
            request.snapshot = Some(base.snapshot);
            world.control.create_disk(&world.root(), &request)
        }
    });
    has_entered.recv_timeout(Duration::from_secs(20)).unwrap();
    let forced = world.control.delete_snapshot(&world.scope(), &base.snapshot, true);
    go.send(()).unwrap();
    let copy = making.join().unwrap().unwrap();
    assert_eq!(denied(forced), Denied::Conflict);
    world.assert_content(&copy, A);
    world.assert_at_rest();
}

/// Whoever asked for a disk to be detached, and was answered, wants to keep it.
#[test]
fn a_disk_on_its_way_off_does_not_go_with_the_instance() {
    let world = World::new();
    let base = world.base();
    let scope = world.scope();
    let change = ebb_control::DiskChange {
        delete_with_instance: Some(true),
        ..ebb_control::DiskChange::default()
    };
    world.control.modify_disks(&scope, std::slice::from_ref(&base.disk), &change).unwrap();
    world.exports.stuck.store(true, Ordering::SeqCst);
    world.detach(&base.disk, &base.instance).unwrap();
    assert_eq!(world.disk(&base.disk).status, DiskStatus::Detaching);
    let world = Arc::new(world);
    let deleting = thread::spawn({
        let (world, instance) = (Arc::clone(&world), base.instance.clone());
        move || world.delete_instance(&instance)
    });
    crate::world::until("the instance is gone", || world.find_instance(&base.instance).is_none());
    world.exports.stuck.store(false, Ordering::SeqCst);
    deleting.join().unwrap().unwrap();
    world.until_disk(&base.disk, &DiskStatus::Available);
    world.assert_content(&base.disk, B);
    world.assert_at_rest();
}
