//! The engine fails one call: the caller is told so, the records are as they were, and the disk
//! can be used.

use ebb_control::{ControlError, DataDisk};
use ebb_domain::{Disk, Instance, InstanceStatus, NewDisk, Snapshot};

use crate::engine::Call;
use crate::world::{B, Base, World, attach_to, new_disk, new_image, new_instance, new_snapshot};

type Records = (Vec<Disk>, Vec<Snapshot>, Vec<Instance>);

fn records(world: &World) -> Records {
    (world.disks(), world.snapshots(), world.instances())
}

/// Makes a call fail, looks, and makes the same call succeed.
fn fails_cleanly(
    failing: fn(Call) -> bool,
    prepare: fn(&World, &mut Base),
    call: fn(&World, &Base) -> Result<(), ControlError>,
) {
    let world = World::new();
    let mut base = world.base();
    prepare(&world, &mut base);
    world.assert_at_rest();
    let before = records(&world);
    world.engine.fail(failing);
    let outcome = call(&world, &base);
    assert!(matches!(outcome, Err(ControlError::Engine(_))), "{outcome:?}");
    assert_eq!(records(&world), before);
    world.engine.look_away();
    world.assert_at_rest();
    world.assert_content(&base.disk, B);
    call(&world, &base).unwrap();
    world.assert_at_rest();
    world.exercise();
    world.restart().assert_at_rest();
}

fn as_it_is(_: &World, _: &mut Base) {}

fn stopped(world: &World, base: &mut Base) {
    world.stop(&base.instance);
}

/// Another disk, never attached: the base's own is looked at afterwards.
fn with_spare_disk(world: &World, _: &mut Base) {
    world.create_disk();
}

fn spare_disk(world: &World) -> Disk {
    world.disks().into_iter().find(|disk| disk.attachments.is_empty()).unwrap()
}

#[test]
fn resize_disk() {
    fails_cleanly(
        |call| matches!(call, Call::Grow(_)),
        with_spare_disk,
        |world, _| world.resize(&spare_disk(world).id, 30),
    );
}

#[test]
fn create_disk() {
    fails_cleanly(
        |call| matches!(call, Call::Create(_)),
        as_it_is,
        |world, _| world.control.create_disk(&world.root(), &new_disk(20)).map(drop),
    );
}

#[test]
fn create_disk_from_a_snapshot() {
    fails_cleanly(
        |call| matches!(call, Call::Fork(..)),
        as_it_is,
        |world, base| {
            let mut request = new_disk(20);
            request.snapshot = Some(base.snapshot.clone());
            world.control.create_disk(&world.root(), &request).map(drop)
        },
    );
}

#[test]
fn clone_disk() {
    for failing in [(|call| matches!(call, Call::Fork(..))) as fn(Call) -> bool, |call| {
        matches!(call, Call::Snapshot(..))
    }] {
        fails_cleanly(failing, as_it_is, crate::scenarios::clone);
    }
}

#[test]
fn create_snapshot() {
    fails_cleanly(
        |call| matches!(call, Call::Snapshot(..)),
        as_it_is,
        |world, base| {
            world.control.create_snapshot(&world.scope(), &new_snapshot(&base.disk)).map(drop)
        },
    );
}

#[test]
fn copy_snapshot() {
    for failing in [(|call| matches!(call, Call::Fork(..))) as fn(Call) -> bool, |call| {
        matches!(call, Call::Snapshot(..))
    }] {
        fails_cleanly(failing, as_it_is, |world, base| {
            world.copy_snapshot(&base.snapshot).map(drop)
        });
    }
}

#[test]
fn create_snapshot_group() {
    fails_cleanly(
        |call| matches!(call, Call::Snapshot(..)),
        as_it_is,
        |world, base| world.snapshot_group(&base.instance).map(drop),
    );
}

#[test]
fn reset_disk() {
    fails_cleanly(
        |call| matches!(call, Call::Reset(..)),
        |world, base| {
            stopped(world, base);
            base.snapshot = world.snapshot(&base.disk);
        },
        |world, base| world.reset(&base.disk, &base.snapshot),
    );
}

#[test]
fn attach_disk() {
    fails_cleanly(
        |call| matches!(call, Call::Open(_)),
        with_spare_disk,
        |world, base| {
            let mut attach = attach_to(&spare_disk(world).id, &base.instance);
            attach.request.delete_with_instance = Some(true);
            world.control.attach_disk(&world.scope(), &attach)
        },
    );
}

#[test]
fn attach_disk_that_was_attached_before() {
    fails_cleanly(
        |call| matches!(call, Call::Open(_)),
        |world, base| {
            with_spare_disk(world, base);
            let disk = spare_disk(world).id;
            world.attach(&disk, &base.instance);
            world.detach(&disk, &base.instance).unwrap();
            world.until_disk(&disk, &ebb_domain::DiskStatus::Available);
        },
        |world, base| {
            let attach = attach_to(&spare_disk(world).id, &base.instance);
            world.control.attach_disk(&world.scope(), &attach)
        },
    );
}

/// The first disk of the second instance is one too many: what was made before it goes again.
#[test]
fn run_instances() {
    fails_cleanly(
        |call| matches!(call, Call::Fork(..)),
        as_it_is,
        |world, base| {
            let mut run = new_instance();
            run.amount = 2;
            run.data_disks = vec![DataDisk {
                disk: NewDisk { size_gib: Some(20), ..NewDisk::default() },
                snapshot: Some(base.snapshot.clone()),
                ..DataDisk::default()
            }];
            let ids = world.control.run_instances(&world.root(), &run)?;
            for id in ids {
                world.until_instance(&id, InstanceStatus::Running);
            }
            Ok(())
        },
    );
}

/// An image comes with all its snapshots or not at all.
#[test]
fn create_image() {
    fails_cleanly(
        |call| matches!(call, Call::Snapshot(..)),
        as_it_is,
        |world, base| {
            world.control.create_image(&world.root(), &new_image(&base.instance)).map(drop)
        },
    );
}

/// A copy too.
#[test]
fn copy_image() {
    for failing in [(|call| matches!(call, Call::Fork(..))) as fn(Call) -> bool, |call| {
        matches!(call, Call::Snapshot(..))
    }] {
        fails_cleanly(
            failing,
            |world, base| drop(world.image(&base.instance)),
            |world, _| crate::objects::copy_image(world),
        );
    }
}

/// The instance keeps the disk that it had.
#[test]
fn replace_system_disk() {
    fails_cleanly(
        |call| matches!(call, Call::Create(..)),
        |world, base| world.stop(&base.instance),
        crate::scenarios::replace,
    );
}

/// The new disk is answered; what cannot go now goes with the next start.
#[test]
fn replace_system_disk_whose_old_bytes_stay() {
    let world = World::new();
    let base = world.base();
    world.stop(&base.instance);
    world.engine.fail(|call| matches!(call, Call::DeleteVolume(_)));
    crate::scenarios::replace(&world, &base).unwrap();
    world.engine.look_away();
    let world = world.restart();
    world.assert_at_rest();
    assert_eq!(world.disks().len(), 2);
}

#[test]
fn delete_disk() {
    fails_cleanly(
        |call| matches!(call, Call::DeleteVolume(_)),
        with_spare_disk,
        |world, _| world.control.delete_disk(&world.scope(), &spare_disk(world).id),
    );
}

#[test]
fn delete_snapshot() {
    fails_cleanly(
        |call| matches!(call, Call::DeleteSnapshot(_)),
        as_it_is,
        |world, base| world.delete_snapshot(&base.snapshot),
    );
}

/// The instance is gone when its disks follow. One that cannot go now is deleted by the next start,
/// and holds up no other.
#[test]
fn delete_instance() {
    let world = World::new();
    let base = world.base();
    let system = world.read(|tx| tx.disks_of_instance(&base.instance))[0].clone();
    world.engine.fail(|call| matches!(call, Call::DeleteVolume(_)));
    let outcome = world.delete_instance(&base.instance);
    assert!(matches!(outcome, Err(ControlError::Engine(_))), "{outcome:?}");
    world.engine.look_away();
    assert_eq!(world.find_instance(&base.instance), None);
    assert_eq!(world.disk(&base.disk).status, ebb_domain::DiskStatus::Available);
    assert_eq!(world.disk(&system.id).status, ebb_domain::DiskStatus::Deleting);
    let world = world.restart();
    assert_eq!(world.find_disk(&system.id), None);
    world.assert_at_rest();
    world.exercise();
}

/// One disk that cannot be opened must not take the machine with it.
#[test]
fn an_instance_runs_without_a_disk_that_cannot_be_opened() {
    let world = World::new();
    let base = world.base();
    world.stop(&base.instance);
    let bad = ebb_volume::VolumeId(world.disk(&base.disk).volume);
    world.engine.fail(move |call| matches!(call, Call::Open(volume) if volume == bad));
    world.start(&base.instance);
    let system = world.disks().into_iter().find(|disk| disk.id != base.disk).unwrap();
    assert!(world.exports.get(&base.disk).is_none());
    assert!(world.exports.get(&system.id).is_some());
    // It can be stopped, and runs as before once the disk can be opened.
    world.stop(&base.instance);
    world.engine.look_away();
    world.start(&base.instance);
    world.assert_content(&base.disk, B);
    world.assert_at_rest();
}
