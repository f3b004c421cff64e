//! The use cases that do more than one thing, each with the steps it passes and with what must be
//! true wherever between them the machine stops.

use crate::objects;
use crate::sealed;
use crate::world::{
    A, B, Base, World, all_images, attach_to, new_disk, new_image, new_instance, new_snapshot,
    other_region, region,
};
use bytes::Bytes;
use ebb_control::{
    CloneDisk, ControlError, DataDisk, ImportRequest, ReplaceSystemDisk, Step, Stop,
};
use ebb_domain::{
    BLANK_IMAGE, Disk, DiskId, DiskKind, DiskStatus, ImageId, ImageStatus, InstanceId,
    InstanceStatus, NewDisk, SnapshotCategory, SnapshotGroupStatus, SnapshotStatus, Timestamp,
};

/// How far the call had come: the number of steps it had passed, the answer counting as the last.
/// The records may have come less far than the engine, where a power loss took unsynced commits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reached {
    pub(crate) records: usize,
    pub(crate) engine: usize,
}

/// One call, or one call and the work that goes on after its answer.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// Brings the base into the state that the call needs.
    pub(crate) prepare: fn(&World, &mut Base),
    pub(crate) act: fn(&World, &Base),
    /// What `act` passes.
    pub(crate) steps: &'static [Step],
    /// The oldest records that a power loss can bring back, by the step where it happens.
    pub(crate) synced: fn(usize) -> usize,
    pub(crate) check: fn(&World, &Base, Reached),
}

/// Every commit on the way is synced.
fn each(step: usize) -> usize {
    step
}

/// The intent is synced, the outcome is not: it is answered on the strength of the intent.
fn intent(step: usize) -> usize {
    step.min(1)
}

/// The outcome is synced, which is the answer after two steps; what was intended is not.
fn outcome(step: usize) -> usize {
    if step < 3 { 0 } else { step }
}

/// Nothing is: the engine's own sync is what counts.
fn never(_: usize) -> usize {
    0
}

fn as_it_is(_: &World, _: &mut Base) {}

fn stopped(world: &World, base: &mut Base) {
    world.stop(&base.instance);
}

fn detached(world: &World, base: &mut Base) {
    world.detach(&base.disk, &base.instance).unwrap();
    world.until_disk(&base.disk, &DiskStatus::Available);
}

/// Another like the base's own, on the same instance, which is stopped.
fn with_second_disk(world: &World, base: &mut Base) {
    let disk = world.create_disk();
    world.attach(&disk, &base.instance);
    world.fill(&disk, A);
    world.snapshot(&disk);
    world.fill(&disk, B);
    world.stop(&base.instance);
}

fn second_disk(world: &World, base: &Base) -> DiskId {
    let is_second = |disk: &Disk| disk.kind == DiskKind::Data && disk.id != base.disk;
    world.disks().into_iter().find(is_second).unwrap().id
}

/// The base's own disk and snapshot are as they were.
fn base_is_whole(world: &World, base: &Base) {
    world.assert_content(&base.disk, B);
    assert_eq!(world.find_snapshot(&base.snapshot).unwrap().status, SnapshotStatus::Accomplished);
}

/// The disk that the base does not have.
fn made(world: &World, base: &Base) -> Option<ebb_domain::Disk> {
    world.disks().into_iter().find(|disk| {
        disk.id != base.disk && disk.attachments.iter().all(|a| a.instance != base.instance)
    })
}

fn status(world: &World, id: &InstanceId) -> Option<InstanceStatus> {
    world.find_instance(id).map(|instance| instance.status)
}

fn stop(world: &World, base: &Base) {
    let ids = std::slice::from_ref(&base.instance);
    world.control.stop_instances(&world.scope(), ids, &Stop::default(), true, false).unwrap();
}

fn run_with_disks(world: &World, base: &Base) {
    let disk = NewDisk { size_gib: Some(20), ..NewDisk::default() };
    let empty = DataDisk { disk: disk.clone(), ..DataDisk::default() };
    let copy = DataDisk { disk, snapshot: Some(base.snapshot.clone()), ..DataDisk::default() };
    let mut run = new_instance();
    run.data_disks = vec![empty, copy];
    world.control.run_instances(&world.root(), &run).unwrap();
}

fn create_instance(world: &World, _: &Base) {
    let mut run = new_instance();
    run.starts = false;
    world.control.run_instances(&world.root(), &run).unwrap();
}

pub(crate) fn replace(world: &World, base: &Base) -> Result<(), ControlError> {
    let request = ReplaceSystemDisk {
        instance: base.instance.clone(),
        image: ImageId::new(BLANK_IMAGE),
        size_gib: Some(60),
        encrypted: None,
        key: None,
        token: None,
    };
    world.control.replace_system_disk(&world.scope(), &request).map(drop)
}

pub(crate) fn clone(world: &World, base: &Base) -> Result<(), ControlError> {
    let request = CloneDisk {
        region: region(),
        source: base.disk.clone(),
        disk: new_disk(20).disk,
        token: None,
        dry_run: false,
    };
    world.control.clone_disk(&world.root(), &request).map(drop)
}

fn create_image(world: &World, base: &Base) {
    let request = new_image(&base.instance);
    world.control.create_image(&world.root(), &request).unwrap();
}

fn import(world: &World, base: &Base) {
    let request = ImportRequest {
        disk: base.disk.clone(),
        created_at: Timestamp::from_unix_millis(1_500_000_000_000),
        name: "imported".into(),
        category: SnapshotCategory::Standard,
    };
    let mut import = world.control.import_snapshot(&request).unwrap();
    import.write(Bytes::from(vec![0x77; 8192])).unwrap();
    import.finish().unwrap();
}

pub(crate) const ALL: &[Scenario] = &[
    Scenario {
        name: "create an empty disk",
        prepare: as_it_is,
        act: |world, _| drop(world.create_disk()),
        steps: &[Step::DiskIntended, Step::VolumeMade],
        synced: outcome,
        check: |world, base, reached| {
            base_is_whole(world, base);
            let made = made(world, base).map(|disk| disk.status);
            assert_eq!(made, (reached.records > 0).then_some(DiskStatus::Available));
        },
    },
    Scenario {
        name: "create a disk from a snapshot",
        prepare: as_it_is,
        act: |world, base| {
            let mut request = new_disk(20);
            request.snapshot = Some(base.snapshot.clone());
            world.control.create_disk(&world.root(), &request).unwrap();
        },
        steps: &[Step::DiskIntended, Step::VolumeMade],
        synced: outcome,
        check: |world, base, reached| {
            base_is_whole(world, base);
            let made = made(world, base);
            assert_eq!(made.is_some(), reached.records > 0);
            if let Some(disk) = made {
                world.assert_content(&disk.id, A);
            }
        },
    },
    Scenario {
        name: "clone a disk",
        prepare: as_it_is,
        act: |world, base| clone(world, base).unwrap(),
        steps: &[Step::DiskIntended, Step::VolumeMade],
        synced: outcome,
        check: |world, base, reached| {
            base_is_whole(world, base);
            let made = made(world, base);
            assert_eq!(made.is_some(), reached.records > 0 && reached.engine > 1);
            if let Some(disk) = made {
                world.assert_content(&disk.id, B);
            }
            assert_eq!(world.read(|tx| tx.tasks_under_way()), []);
        },
    },
    Scenario {
        name: "attach",
        prepare: detached,
        act: |world, base| world.attach(&base.disk, &base.instance),
        steps: &[Step::AttachIntended, Step::AttachPublished],
        synced: intent,
        check: |world, base, reached| {
            base_is_whole(world, base);
            assert_eq!(world.disk(&base.disk).attachments.len(), reached.records.min(1));
        },
    },
    Scenario {
        name: "attach to an instance that is stopped",
        prepare: |world, base| {
            detached(world, base);
            world.stop(&base.instance);
        },
        act: |world, base| {
            let attach = attach_to(&base.disk, &base.instance);
            world.control.attach_disk(&world.scope(), &attach).unwrap();
        },
        steps: &[Step::AttachIntended, Step::AttachPublished],
        synced: intent,
        check: |world, base, reached| {
            base_is_whole(world, base);
            assert_eq!(world.disk(&base.disk).attachments.len(), reached.records.min(1));
        },
    },
    Scenario {
        name: "detach",
        prepare: as_it_is,
        act: |world, base| world.detach(&base.disk, &base.instance).unwrap(),
        steps: &[Step::DetachIntended, Step::DetachWithdrawn],
        synced: intent,
        check: |world, base, reached| {
            base_is_whole(world, base);
            let attached = usize::from(reached.records == 0);
            assert_eq!(world.disk(&base.disk).attachments.len(), attached);
        },
    },
    Scenario {
        name: "detach a shared disk from one of two",
        prepare: |world, base| {
            let other = world.run_instance();
            let mut request = new_disk(20);
            request.disk.multi_attach = Some("Enabled".into());
            let disk = world.control.create_disk(&world.root(), &request).unwrap();
            world.attach(&disk, &base.instance);
            world.attach(&disk, &other);
            world.fill(&disk, A);
            base.snapshot = world.snapshot(&disk);
            world.fill(&disk, B);
            base.disk = disk;
        },
        act: |world, base| world.detach(&base.disk, &base.instance).unwrap(),
        steps: &[Step::DetachIntended, Step::DetachWithdrawn],
        synced: intent,
        check: |world, base, reached| {
            base_is_whole(world, base);
            let attached = if reached.records == 0 { 2 } else { 1 };
            assert_eq!(world.disk(&base.disk).attachments.len(), attached);
        },
    },
    Scenario {
        name: "delete a disk",
        prepare: detached,
        act: |world, base| world.control.delete_disk(&world.scope(), &base.disk).unwrap(),
        steps: &[Step::DeleteIntended, Step::VolumeDeleted],
        synced: intent,
        check: |world, base, reached| {
            assert_eq!(world.find_disk(&base.disk).is_some(), reached.records == 0);
            let snapshot = world.find_snapshot(&base.snapshot).unwrap();
            assert_eq!(snapshot.status, SnapshotStatus::Accomplished);
        },
    },
    Scenario {
        name: "create a snapshot",
        prepare: as_it_is,
        act: |world, base| {
            world.control.create_snapshot(&world.scope(), &new_snapshot(&base.disk)).unwrap();
        },
        steps: &[Step::SnapshotIntended, Step::VersionMade],
        synced: outcome,
        check: |world, base, reached| {
            base_is_whole(world, base);
            let made = world.snapshots().into_iter().find(|s| s.id != base.snapshot);
            // Without a record nobody knows of the version; without a version there is nothing.
            let expected = reached.records > 0 && reached.engine > 1;
            assert_eq!(made.is_some(), expected);
            if let Some(snapshot) = made {
                world.stop(&base.instance);
                world.reset(&base.disk, &base.snapshot).unwrap();
                world.assert_content(&base.disk, A);
                world.reset(&base.disk, &snapshot.id).unwrap();
                world.assert_content(&base.disk, B);
                world.start(&base.instance);
            }
        },
    },
    Scenario {
        name: "delete a snapshot",
        prepare: as_it_is,
        act: |world, base| world.delete_snapshot(&base.snapshot).unwrap(),
        steps: &[Step::SnapshotDeleteIntended, Step::VersionDeleted],
        synced: intent,
        check: |world, base, reached| {
            world.assert_content(&base.disk, B);
            assert_eq!(world.find_snapshot(&base.snapshot).is_some(), reached.records == 0);
        },
    },
    Scenario {
        name: "reset a set of disks",
        prepare: with_second_disk,
        act: |world, base| {
            let second = second_disk(world, base);
            let snapshots = world.snapshots();
            let snapshot = snapshots.iter().find(|s| s.source_disk == second).unwrap();
            let pairs = [(base.disk.clone(), base.snapshot.clone()), (second, snapshot.id.clone())];
            world.control.reset_disks(&world.scope(), &pairs, false).unwrap();
        },
        steps: &[Step::ResetIntended, Step::VolumeReset, Step::VolumeReset],
        synced: never,
        check: |world, base, reached| {
            world.assert_content(&base.disk, if reached.engine < 2 { B } else { A });
            let second = second_disk(world, base);
            world.assert_content(&second, if reached.engine < 3 { B } else { A });
            assert_eq!(world.disk(&second).status, DiskStatus::InUse);
        },
    },
    Scenario {
        name: "copy a snapshot",
        prepare: as_it_is,
        act: |world, base| drop(world.copy_snapshot(&base.snapshot).unwrap()),
        steps: &[Step::SnapshotIntended, Step::VersionMade],
        synced: outcome,
        check: |world, base, reached| {
            base_is_whole(world, base);
            let copy = world.snapshots().into_iter().find(|s| s.copied_from.is_some());
            assert_eq!(copy.is_some(), reached.records > 0 && reached.engine > 1);
            if let Some(copy) = copy {
                assert_eq!(copy.status, SnapshotStatus::Accomplished);
                world.assert_version(&copy, A);
            }
        },
    },
    Scenario {
        name: "copy a snapshot, encrypted",
        prepare: as_it_is,
        act: |world, base| drop(world.encrypt_snapshot(&base.snapshot).unwrap()),
        steps: &[Step::VersionMade],
        synced: each,
        check: |world, base, reached| {
            base_is_whole(world, base);
            let copy = world.snapshots().into_iter().find(|s| s.copied_from.is_some());
            let shown = copy.map(|copy| (copy.status, copy.encryption.is_some()));
            let there = (SnapshotStatus::Accomplished, true);
            assert_eq!(shown, (reached.records > 0).then_some(there));
        },
    },
    Scenario {
        name: "create a snapshot group",
        prepare: with_second_disk,
        act: |world, base| drop(world.snapshot_group(&base.instance).unwrap()),
        steps: &[Step::SnapshotIntended, Step::VersionMade],
        synced: outcome,
        check: |world, base, reached| {
            base_is_whole(world, base);
            let second = second_disk(world, base);
            let groups = world.snapshot_groups();
            // Without a record nobody knows of the versions; without versions there is nothing.
            let expected = reached.records > 0 && reached.engine > 1;
            assert_eq!(groups.len(), usize::from(expected));
            if let Some((group, snapshots)) = groups.first() {
                assert_eq!(group.status, SnapshotGroupStatus::Accomplished);
                // The system disk's too.
                assert_eq!(snapshots.len(), 3);
                let of_second = snapshots.iter().find(|s| s.source_disk == second).unwrap();
                world.fill(&second, A);
                world.reset(&second, &of_second.id).unwrap();
                world.assert_content(&second, B);
            }
        },
    },
    Scenario {
        name: "delete a snapshot group",
        prepare: |world, base| {
            with_second_disk(world, base);
            world.snapshot_group(&base.instance).unwrap();
        },
        act: |world, _| {
            let (group, _) = world.snapshot_groups().remove(0);
            world.control.delete_snapshot_group(&world.scope(), &group.id).unwrap();
        },
        steps: &[
            Step::SnapshotDeleteIntended,
            Step::VersionDeleted,
            Step::VersionDeleted,
            Step::VersionDeleted,
        ],
        synced: intent,
        check: |world, base, reached| {
            base_is_whole(world, base);
            let groups = world.snapshot_groups();
            assert_eq!(groups.len(), usize::from(reached.records == 0));
            let left = if reached.records == 0 { 3 } else { 0 };
            let of_group = world.snapshots().into_iter().filter(|s| s.group.is_some());
            assert_eq!(of_group.count(), left);
        },
    },
    Scenario {
        name: "make a disk larger",
        prepare: as_it_is,
        act: |world, base| world.resize(&base.disk, 30).unwrap(),
        steps: &[Step::ResizeIntended],
        synced: intent,
        check: |world, base, reached| {
            let grown = reached.records > 0;
            assert_eq!(world.disk(&base.disk).size_gib, if grown { 30 } else { 20 });
            if !grown {
                return base_is_whole(world, base);
            }
            let content = world.content(&base.disk);
            assert!(content[..4096].iter().all(|byte| *byte == B));
            assert!(content[content.len() - 16_384..].iter().all(|byte| *byte == 0));
            world.fill(&base.disk, B);
            base_is_whole(world, base);
        },
    },
    Scenario {
        name: "reset a disk",
        prepare: stopped,
        act: |world, base| world.reset(&base.disk, &base.snapshot).unwrap(),
        steps: &[Step::ResetIntended, Step::VolumeReset],
        synced: never,
        check: |world, base, reached| {
            world.assert_content(&base.disk, if reached.engine < 2 { B } else { A });
            assert_eq!(world.disk(&base.disk).status, DiskStatus::InUse);
            assert_eq!(status(world, &base.instance), Some(InstanceStatus::Stopped));
            let snapshot = world.find_snapshot(&base.snapshot).unwrap();
            assert_eq!(snapshot.status, SnapshotStatus::Accomplished);
        },
    },
    Scenario {
        name: "make a disk empty again",
        prepare: stopped,
        act: |world, base| {
            world.control.reinit_disk(&world.scope(), &base.disk, false).unwrap();
        },
        steps: &[Step::ResetIntended, Step::VolumeReset],
        synced: never,
        check: |world, base, reached| {
            world.assert_content(&base.disk, if reached.engine < 2 { B } else { 0 });
            assert_eq!(world.disk(&base.disk).status, DiskStatus::InUse);
            world.reset(&base.disk, &base.snapshot).unwrap();
            world.assert_content(&base.disk, A);
        },
    },
    Scenario {
        name: "make a disk again what it was made from",
        prepare: |world, base| {
            let mut request = new_disk(20);
            request.snapshot = Some(base.snapshot.clone());
            base.disk = world.control.create_disk(&world.root(), &request).unwrap();
            world.attach(&base.disk, &base.instance);
            world.fill(&base.disk, B);
            world.stop(&base.instance);
        },
        act: |world, base| {
            world.control.reinit_disk(&world.scope(), &base.disk, false).unwrap();
        },
        steps: &[Step::ResetIntended, Step::VolumeReset],
        synced: never,
        check: |world, base, reached| {
            world.assert_content(&base.disk, if reached.engine < 2 { B } else { A });
            assert_eq!(world.disk(&base.disk).status, DiskStatus::InUse);
        },
    },
    Scenario {
        name: "run an instance with two data disks",
        prepare: as_it_is,
        act: run_with_disks,
        steps: &[
            Step::RunIntended,
            Step::RunVolumesMade,
            Step::InstancePassed,
            Step::InstancePassed,
        ],
        synced: outcome,
        check: |world, base, reached| {
            base_is_whole(world, base);
            let made = world.instances().into_iter().find(|found| found.id != base.instance);
            assert_eq!(made.is_some(), reached.records > 0);
            let Some(made) = made else { return };
            assert_eq!(made.status, InstanceStatus::Running);
            let disks = world.read(|tx| tx.disks_of_instance(&made.id));
            assert_eq!(disks.len(), 3);
            assert!(disks.iter().all(|disk| disk.status == DiskStatus::InUse));
            world.assert_content(&disks[2].id, A);
        },
    },
    Scenario {
        name: "create an instance that waits to be started",
        prepare: as_it_is,
        act: create_instance,
        steps: &[Step::RunIntended, Step::RunVolumesMade, Step::InstancePassed],
        synced: outcome,
        check: |world, base, reached| {
            base_is_whole(world, base);
            let made = world.instances().into_iter().find(|found| found.id != base.instance);
            let expected = (reached.records > 0).then_some(InstanceStatus::Stopped);
            assert_eq!(made.map(|made| made.status), expected);
        },
    },
    Scenario {
        name: "replace a system disk",
        prepare: stopped,
        act: |world, base| replace(world, base).unwrap(),
        steps: &[Step::DiskIntended, Step::VolumeMade, Step::VolumeDeleted],
        synced: |step| if step < 3 { 0 } else { 3 },
        check: |world, base, reached| {
            base_is_whole(world, base);
            let disks = world.read(|tx| tx.disks_of_instance(&base.instance));
            let mut systems = disks.iter().filter(|disk| disk.kind == DiskKind::System);
            let (system, another) = (systems.next().unwrap(), systems.next());
            assert!(another.is_none());
            assert_eq!(system.status, DiskStatus::InUse);
            assert_eq!(system.size_gib, if reached.records > 0 { 60 } else { 40 });
            assert_eq!(world.disks().len(), 2);
        },
    },
    Scenario {
        name: "make an image of an instance",
        prepare: as_it_is,
        act: create_image,
        steps: &[Step::SnapshotIntended, Step::VersionMade],
        synced: outcome,
        check: |world, base, reached| {
            base_is_whole(world, base);
            let images = world.read(|tx| tx.images(&all_images(world)));
            // Where the engine has the versions and the records are there, it is finished.
            let whole = reached.records > 0 && reached.engine > 1;
            let statuses: Vec<_> = images.items.iter().map(|image| image.status).collect();
            assert_eq!(statuses, vec![ImageStatus::Available; usize::from(whole)]);
            for disk in images.items.iter().flat_map(|image| &image.disks) {
                let status = world.find_snapshot(&disk.snapshot).unwrap().status;
                assert_eq!(status, SnapshotStatus::Accomplished);
            }
        },
    },
    Scenario {
        name: "stop an instance",
        prepare: as_it_is,
        act: stop,
        steps: &[Step::InstancePassed],
        synced: each,
        check: |world, base, reached| {
            base_is_whole(world, base);
            let expected = if reached.records == 0 {
                InstanceStatus::Running
            } else {
                InstanceStatus::Stopped
            };
            assert_eq!(status(world, &base.instance), Some(expected));
        },
    },
    Scenario {
        name: "start an instance",
        prepare: stopped,
        act: |world, base| {
            let ids = std::slice::from_ref(&base.instance);
            world.control.start_instances(&world.scope(), ids, true, false).unwrap();
        },
        steps: &[Step::InstancePassed],
        synced: each,
        check: |world, base, reached| {
            base_is_whole(world, base);
            let expected = if reached.records == 0 {
                InstanceStatus::Stopped
            } else {
                InstanceStatus::Running
            };
            assert_eq!(status(world, &base.instance), Some(expected));
        },
    },
    Scenario {
        name: "reboot an instance",
        prepare: as_it_is,
        act: |world, base| {
            world.reboot(&base.instance);
        },
        steps: &[Step::InstancePassed, Step::InstancePassed],
        synced: each,
        check: |world, base, _| {
            base_is_whole(world, base);
            assert_eq!(status(world, &base.instance), Some(InstanceStatus::Running));
        },
    },
    Scenario {
        name: "delete an instance: its system disk goes, its data disk stays",
        prepare: as_it_is,
        act: |world, base| world.delete_instance(&base.instance).unwrap(),
        steps: &[Step::InstanceRemoved, Step::VolumeDeleted, Step::DetachWithdrawn],
        synced: intent,
        check: |world, base, reached| {
            base_is_whole(world, base);
            let there = reached.records == 0;
            assert_eq!(status(world, &base.instance).is_some(), there);
            assert_eq!(world.disk(&base.disk).attachments.is_empty(), !there);
            assert_eq!(world.disks().len(), if there { 2 } else { 1 });
        },
    },
    Scenario {
        name: "import a snapshot",
        prepare: as_it_is,
        act: import,
        steps: &[Step::ImportVersionMade],
        synced: each,
        check: |world, base, reached| {
            base_is_whole(world, base);
            let imported = world.snapshots().into_iter().find(|s| s.id != base.snapshot);
            let expected = [None, Some(SnapshotStatus::Failed), Some(SnapshotStatus::Accomplished)];
            assert_eq!(imported.map(|found| found.status), expected[reached.records]);
        },
    },
    Scenario {
        name: "copy an image",
        prepare: |world, base| drop(world.image(&base.instance)),
        act: |world, _| objects::copy_image(world).unwrap(),
        steps: &[Step::SnapshotIntended, Step::VersionMade],
        synced: outcome,
        check: |world, base, reached| {
            base_is_whole(world, base);
            let mut there = all_images(world);
            there.region = other_region();
            let copies = world.control.images(&there).unwrap().items;
            let is_there = reached.records > 0 && reached.engine > 1;
            let status: Vec<_> = copies.iter().map(|image| image.status).collect();
            assert_eq!(status, vec![ImageStatus::Available; usize::from(is_there)]);
            let copied = world.snapshots().into_iter().filter(|s| s.copied_from.is_some());
            assert_eq!(copied.count(), copies.iter().map(|image| image.disks.len()).sum::<usize>());
        },
    },
    Scenario {
        name: "archive a snapshot",
        prepare: objects::aged,
        act: |world, base| drop(objects::archive(world, base).unwrap()),
        steps: &[Step::ObjectsWritten, Step::SnapshotArchived],
        synced: each,
        check: |world, base, reached| {
            base_is_whole(world, base);
            let found = world.find_snapshot(&base.snapshot).unwrap();
            assert_eq!(found.archived_bytes.is_some(), reached.records > 0);
        },
    },
    Scenario {
        name: "import an image",
        prepare: as_it_is,
        act: |world, _| drop(objects::import(world, &[objects::OBJECT]).unwrap()),
        steps: &[Step::ImportVersionMade],
        synced: each,
        check: |world, base, reached| {
            base_is_whole(world, base);
            let images = world.control.images(&all_images(world)).unwrap().items;
            let status: Vec<_> = images.iter().map(|image| image.status).collect();
            assert_eq!(status, vec![ImageStatus::Available; reached.records.min(1)]);
        },
    },
    Scenario {
        name: "create an encrypted disk",
        prepare: as_it_is,
        act: |world, _| drop(sealed::create_sealed_disk(world)),
        steps: &[Step::DiskIntended, Step::VolumeMade],
        synced: outcome,
        check: |world, base, reached| {
            base_is_whole(world, base);
            let made = made(world, base).map(|disk| disk.encryption.is_some());
            assert_eq!(made, (reached.records > 0).then_some(true));
        },
    },
    Scenario {
        name: "clone a plain disk, encrypted",
        prepare: as_it_is,
        act: |world, base| sealed::clone_sealed(world, &base.disk).unwrap(),
        steps: &[Step::DiskIntended, Step::VolumeMade, Step::VolumeMade],
        synced: outcome,
        check: |world, base, reached| {
            base_is_whole(world, base);
            let made = made(world, base);
            assert_eq!(made.is_some(), reached.records > 0 && reached.engine > 1);
            if let Some(disk) = made {
                assert!(disk.encryption.is_some());
                world.assert_content(&disk.id, B);
            }
        },
    },
    Scenario {
        name: "run an instance with encrypted disks",
        prepare: as_it_is,
        act: |world, _| {
            world.control.run_instances(&world.root(), &sealed::sealed_instance()).unwrap();
        },
        steps: &[
            Step::RunIntended,
            Step::RunVolumesMade,
            Step::InstancePassed,
            Step::InstancePassed,
        ],
        synced: outcome,
        check: |world, base, reached| {
            base_is_whole(world, base);
            let made = world.instances().into_iter().find(|found| found.id != base.instance);
            assert_eq!(made.is_some(), reached.records > 0);
            let Some(made) = made else { return };
            assert_eq!(made.status, InstanceStatus::Running);
            let disks = world.read(|tx| tx.disks_of_instance(&made.id));
            assert_eq!(disks.len(), 2);
            assert!(disks.iter().all(|disk| disk.encryption.is_some()));
        },
    },
    Scenario {
        name: "replace a system disk by an encrypted one",
        prepare: stopped,
        act: |world, base| sealed::replace_sealed(world, base).unwrap(),
        steps: &[Step::DiskIntended, Step::VolumeMade, Step::VolumeDeleted],
        synced: |step| if step < 3 { 0 } else { 3 },
        check: |world, base, reached| {
            base_is_whole(world, base);
            let disks = world.read(|tx| tx.disks_of_instance(&base.instance));
            let system = disks.iter().find(|disk| disk.kind == DiskKind::System).unwrap();
            assert_eq!(system.encryption.is_some(), reached.records > 0);
            assert_eq!(world.disks().len(), 2);
        },
    },
    Scenario {
        name: "copy an image, encrypted",
        prepare: |world, base| drop(world.image(&base.instance)),
        act: |world, _| drop(sealed::copy_image_sealed(world).unwrap()),
        steps: &[Step::VersionMade],
        synced: each,
        check: |world, base, reached| {
            base_is_whole(world, base);
            let images = world.control.images(&all_images(world)).unwrap().items;
            let status: Vec<_> = images.iter().map(|image| image.status).collect();
            assert_eq!(status, vec![ImageStatus::Available; 1 + reached.records.min(1)]);
            let copies = world.snapshots().into_iter().filter(|s| s.copied_from.is_some());
            let copies: Vec<_> = copies.collect();
            assert_eq!(copies.len(), if reached.records > 0 { 2 } else { 0 });
            for copy in &copies {
                assert_eq!(copy.status, SnapshotStatus::Accomplished);
                if copy.source_disk == base.disk {
                    world.assert_version(copy, B);
                }
            }
        },
    },
];
