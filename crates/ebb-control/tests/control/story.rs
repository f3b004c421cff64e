//! The main story: an instance, a disk, a snapshot, a mistake, and the way back.

use ebb_control::DataDisk;
use ebb_domain::{Denied, DiskStatus, Field, InstanceStatus, NewDisk};
use ebb_volume::IoError;

use crate::world::{A, B, World, attach_to, denied, new_disk, new_instance, write};

#[test]
fn a_disk_goes_back_to_its_snapshot_and_its_client_comes_back() {
    let world = World::new();
    let base = world.base();
    world.assert_content(&base.disk, B);
    assert_eq!(denied(world.reset(&base.disk, &base.snapshot)), Denied::InstanceStatus);
    world.stop(&base.instance);
    assert!(world.exports.get(&base.disk).is_none());
    let dry = world.control.reset_disk(&world.scope(), &base.disk, &base.snapshot, true);
    assert_eq!(denied(dry), Denied::DryRun);
    world.assert_content(&base.disk, B);
    world.reset(&base.disk, &base.snapshot).unwrap();
    assert_eq!(world.disk(&base.disk).status, DiskStatus::InUse);
    world.start(&base.instance);
    assert!(world.exports.get(&base.disk).is_some());
    world.assert_content(&base.disk, A);
    world.assert_at_rest();
    world.exercise();
}

#[test]
fn everything_is_there_after_a_restart() {
    let world = World::new();
    let base = world.base();
    let stopped = world.run_instance();
    world.stop(&stopped);
    let before = (world.disks(), world.snapshots(), world.instances(), world.root());
    let world = world.restart();
    let after = (world.disks(), world.snapshots(), world.instances(), world.root());
    assert_eq!(after, before);
    assert!(world.exports.get(&base.disk).is_some());
    world.assert_content(&base.disk, B);
    world.assert_at_rest();
    world.exercise();
}

#[test]
fn a_disk_that_was_deleted_is_told_from_one_that_never_was() {
    let world = World::new();
    let base = world.base();
    let reset = |disk: &_| denied(world.reset(disk, &base.snapshot));
    assert_eq!(reset(&ebb_domain::DiskId::new("d-never")), Denied::DiskNotFound);
    world.detach(&base.disk, &base.instance).unwrap();
    world.until_disk(&base.disk, &DiskStatus::Available);
    world.control.delete_disk(&world.scope(), &base.disk).unwrap();
    assert_eq!(reset(&base.disk), Denied::DiskDeleted);
    let found = world.control.delete_disk(&world.scope(), &base.disk);
    assert_eq!(denied(found), Denied::DiskNotFound);
    // Its snapshot stays, and is worth a disk.
    let mut request = new_disk(20);
    request.snapshot = Some(base.snapshot.clone());
    let copy = world.control.create_disk(&world.root(), &request).unwrap();
    world.assert_content(&copy, A);
    world.assert_at_rest();
}

#[test]
fn a_shared_disk_answers_while_one_of_its_instances_runs() {
    let world = World::new();
    let (first, second) = (world.run_instance(), world.run_instance());
    let mut request = new_disk(20);
    request.disk.multi_attach = Some("Enabled".into());
    let disk = world.control.create_disk(&world.root(), &request).unwrap();
    world.attach(&disk, &first);
    world.attach(&disk, &second);
    let twice = world.control.attach_disk(&world.scope(), &attach_to(&disk, &first));
    assert_eq!(denied(twice), Denied::DiskStatus);
    world.fill(&disk, A);
    let snapshot = world.snapshot(&disk);
    let client = world.exports.get(&disk).unwrap();
    world.stop(&first);
    write(client.as_ref(), B).unwrap();
    // Checked against each of its instances.
    assert_eq!(denied(world.reset(&disk, &snapshot)), Denied::InstanceStatus);
    world.stop(&second);
    assert_eq!(write(client.as_ref(), B), Err(IoError::Stale));
    world.reset(&disk, &snapshot).unwrap();
    world.assert_content(&disk, A);
    world.start(&second);
    assert!(world.exports.get(&disk).is_some());
    world.detach(&disk, &second).unwrap();
    world.until_disk(&disk, &DiskStatus::InUse);
    assert_eq!(world.disk(&disk).attachments.len(), 1);
    world.assert_at_rest();
    world.exercise();
}

#[test]
fn a_lost_machine_keeps_its_disks_until_they_are_detached() {
    let world = World::new();
    let base = world.base();
    let client = world.exports.get(&base.disk).unwrap();
    world.control.forget_instance(&base.instance).unwrap();
    assert!(world.exports.get(&base.disk).is_none());
    assert_eq!(write(client.as_ref(), A), Err(IoError::Stale));
    assert_eq!(world.disk(&base.disk).status, DiskStatus::InUse);
    assert_eq!(denied(world.reset(&base.disk, &base.snapshot)), Denied::InstanceNotFound);
    world.detach(&base.disk, &base.instance).unwrap();
    world.until_disk(&base.disk, &DiskStatus::Available);
    assert_eq!(denied(world.detach(&base.disk, &base.instance)), Denied::InstanceNotFound);
    world.reset(&base.disk, &base.snapshot).unwrap();
    world.assert_content(&base.disk, A);
}

#[test]
fn a_reboot_takes_the_exports_away_and_brings_them_back() {
    let world = World::new();
    let base = world.base();
    let client = world.exports.get(&base.disk).unwrap();
    world.reboot(&base.instance);
    let name = base.disk.to_string();
    crate::world::until("the export comes back", || {
        let log = world.exports.log.lock().unwrap();
        log.iter().filter(|line| **line == format!("publish {name}")).count() == 2
    });
    world.until_instance(&base.instance, InstanceStatus::Running);
    assert_eq!(write(client.as_ref(), A), Err(IoError::Stale));
    world.assert_content(&base.disk, B);
    world.assert_at_rest();
}

#[test]
fn a_data_disk_of_a_new_instance_has_a_device_like_any_other() {
    let world = World::new();
    let run = |device: &str| {
        let mut run = new_instance();
        run.data_disks = vec![DataDisk {
            disk: NewDisk { size_gib: Some(20), ..NewDisk::default() },
            device: Some(device.into()),
            ..DataDisk::default()
        }];
        world.control.run_instances(&world.root(), &run)
    };
    for device in ["/dev/xvd", "/dev/xvd1", "/dev/xvdABC", "/dev/xvd/../sda", "/dev/sdb", "xvdb"] {
        assert_eq!(denied(run(device)), Denied::Malformed(Field::Device), "{device}");
    }
    assert_eq!(denied(run("/dev/xvda")), Denied::DeviceInUse);
    let id = run("/dev/xvdk").unwrap().remove(0);
    let disks = world.read(|tx| tx.disks_of_instance(&id));
    assert_eq!(disks[1].attachments[0].device, "/dev/xvdk");
}
