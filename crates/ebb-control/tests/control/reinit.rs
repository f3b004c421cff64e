//! ReInitDisk: a disk is again what it was made as.

use ebb_control::ControlError;
use ebb_domain::{Denied, DiskId, DiskStatus, InstanceStatus};
use ebb_volume::EngineError;

use crate::engine::Call;
use crate::world::{A, B, World, denied, new_disk};

fn reinit(world: &World, disk: &DiskId) -> Result<(), ControlError> {
    world.control.reinit_disk(&world.scope(), disk, false)
}

/// Of a world whose base's instance is stopped.
fn with_copy(world: &World) -> DiskId {
    let base = world.base();
    let mut request = new_disk(30);
    request.snapshot = Some(base.snapshot);
    let copy = world.control.create_disk(&world.root(), &request).unwrap();
    world.attach(&copy, &base.instance);
    world.fill(&copy, B);
    world.stop(&base.instance);
    copy
}

#[test]
fn an_empty_disk_is_empty_again_and_keeps_its_snapshots() {
    let world = World::new();
    let base = world.base();
    world.stop(&base.instance);
    reinit(&world, &base.disk).unwrap();
    world.assert_content(&base.disk, 0);
    world.reset(&base.disk, &base.snapshot).unwrap();
    world.assert_content(&base.disk, A);
    world.assert_at_rest();
    world.exercise();
}

#[test]
fn a_disk_made_from_a_snapshot_is_that_again_and_zero_beyond() {
    let world = World::new();
    let copy = with_copy(&world);
    reinit(&world, &copy).unwrap();
    let content = world.content(&copy);
    assert!(content[..4096].iter().all(|byte| *byte == A));
    assert!(content[content.len() - 4096..].iter().all(|byte| *byte == 0));
    world.assert_at_rest();
}

#[test]
fn without_its_snapshot_it_is_refused() {
    let world = World::new();
    let copy = with_copy(&world);
    let source = world.disk(&copy).source_snapshot.unwrap();
    world.control.delete_snapshot(&world.scope(), &source, true).unwrap();
    assert_eq!(denied(reinit(&world, &copy)), Denied::SourceSnapshotGone);
    assert_eq!(world.disk(&copy).status, DiskStatus::InUse);
    world.assert_content(&copy, B);
}

#[test]
fn its_instance_is_stopped_before_and_started_after_if_asked() {
    let world = World::new();
    let base = world.base();
    assert_eq!(denied(reinit(&world, &base.disk)), Denied::InstanceStatus);
    world.stop(&base.instance);
    world.control.reinit_disk(&world.scope(), &base.disk, true).unwrap();
    world.assert_at_rest();
    let instance = world.find_instance(&base.instance).unwrap();
    assert_eq!(instance.status, InstanceStatus::Running);
    world.assert_content(&base.disk, 0);
}

#[test]
fn a_disk_that_is_attached_to_nothing_is_refused() {
    let world = World::new();
    let base = world.base();
    world.detach(&base.disk, &base.instance).unwrap();
    world.until_disk(&base.disk, &DiskStatus::Available);
    assert_eq!(denied(reinit(&world, &base.disk)), Denied::DiskStatus);
    assert_eq!(denied(reinit(&world, &DiskId::new("d-none"))), Denied::DiskNotFound);
}

#[test]
fn a_failure_anywhere_leaves_the_disk_as_it_was_and_nothing_behind() {
    type Fails = fn(Call) -> bool;
    let fails: [Fails; 3] = [
        |call| matches!(call, Call::Create(..)),
        |call| matches!(call, Call::Snapshot(..)),
        |call| matches!(call, Call::Reset(..)),
    ];
    for (n, fails) in fails.into_iter().enumerate() {
        let world = World::new();
        let base = world.base();
        world.stop(&base.instance);
        world.engine.look(move |call| match fails(call) {
            true => Err(EngineError::NoSpace),
            false => Ok(()),
        });
        reinit(&world, &base.disk).unwrap_err();
        world.engine.look(|_| Ok(()));
        assert_eq!(world.disk(&base.disk).status, DiskStatus::InUse, "{n}");
        world.assert_content(&base.disk, B);
        world.assert_at_rest();
        reinit(&world, &base.disk).unwrap();
        world.assert_content(&base.disk, 0);
    }
}
