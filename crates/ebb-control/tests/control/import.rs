//! A raw image kept elsewhere becomes a snapshot of a disk.

use bytes::Bytes;
use ebb_control::{ControlError, ImportRequest};
use ebb_domain::{Denied, DiskId, Snapshot, SnapshotCategory, SnapshotStatus, Timestamp};

use crate::engine::Call;
use crate::world::{B, Base, World, denied, new_disk};

/// 2013-07-15T00:00:00Z.
const OLDEST: i64 = 1_373_846_400_000;

fn request(disk: &DiskId) -> ImportRequest {
    ImportRequest {
        disk: disk.clone(),
        created_at: Timestamp::from_unix_millis(OLDEST),
        name: "imported".into(),
        category: SnapshotCategory::Standard,
    }
}

fn other_than(world: &World, base: &Base) -> Vec<Snapshot> {
    world.snapshots().into_iter().filter(|found| found.id != base.snapshot).collect()
}

/// Offset 0 holds the image, what follows reads zero.
fn start_of(world: &World, disk: &DiskId) -> Vec<u8> {
    world.content(disk)[..16_384].to_vec()
}

fn image() -> Vec<u8> {
    (0..10_000_u32).map(|n| (n % 251) as u8).collect()
}

#[test]
fn the_image_is_the_snapshot_and_the_rest_reads_zero() {
    let world = World::new();
    let base = world.base();
    let mut import = world.control.import_snapshot(&request(&base.disk)).unwrap();
    let id = import.id().clone();
    let found = world.find_snapshot(&id).unwrap();
    assert_eq!((found.status, found.source_disk_gib), (SnapshotStatus::Progressing, 20));
    assert_eq!(found.created_at, Timestamp::from_unix_millis(OLDEST));
    assert_eq!(import.room_bytes(), 20 << 30);
    for piece in image().chunks(3000) {
        import.write(Bytes::copy_from_slice(piece)).unwrap();
    }
    assert_eq!(import.room_bytes(), (20 << 30) - 10_000);
    world.stop(&base.instance);
    let early = denied(world.reset(&base.disk, &base.snapshot));
    assert_eq!(early, Denied::UnfinishedSnapshot);
    assert_eq!(import.finish().unwrap(), id);
    assert_eq!(world.find_snapshot(&id).unwrap().status, SnapshotStatus::Accomplished);
    world.assert_content(&base.disk, B);
    world.reset(&base.disk, &id).unwrap();
    let mut expected = image();
    expected.resize(16_384, 0);
    assert_eq!(start_of(&world, &base.disk), expected);
    assert!(world.content(&base.disk)[16_384..].iter().all(|byte| *byte == 0));
    world.assert_at_rest();
}

#[test]
fn one_that_is_too_long_is_refused_and_failed() {
    let world = World::new();
    let base = world.base();
    let mut request_1 = new_disk(1);
    request_1.disk.performance_level = Some("PL0".into());
    let small = world.control.create_disk(&world.root(), &request_1).unwrap();
    let mut import = world.control.import_snapshot(&request(&small)).unwrap();
    import.write(Bytes::from(vec![0; 4096])).unwrap();
    let too_long = Bytes::from(vec![0; (1 << 30) - 4096 + 1]);
    assert_eq!(denied(import.write(too_long)), Denied::SizeNotOffered);
    drop(import);
    assert_eq!(other_than(&world, &base)[0].status, SnapshotStatus::Failed);
    world.assert_at_rest();
}

#[test]
fn one_whose_stream_breaks_is_failed_and_can_be_deleted() {
    let world = World::new();
    let base = world.base();
    let mut import = world.control.import_snapshot(&request(&base.disk)).unwrap();
    import.write(Bytes::from(image())).unwrap();
    let id = import.id().clone();
    drop(import);
    assert_eq!(world.find_snapshot(&id).unwrap().status, SnapshotStatus::Failed);
    world.stop(&base.instance);
    assert_eq!(denied(world.reset(&base.disk, &id)), Denied::SnapshotNotReady);
    world.assert_at_rest();
    world.delete_snapshot(&id).unwrap();
    assert_eq!(world.find_snapshot(&id), None);
    world.assert_at_rest();
}

#[test]
fn one_that_is_under_way_when_the_server_ends_is_failed() {
    let world = World::in_files();
    let base = world.base();
    let import = world.control.import_snapshot(&request(&base.disk)).unwrap();
    let id = import.id().clone();
    // The process ends without anybody letting go of anything.
    let folder = tempfile::TempDir::new().unwrap();
    for file in std::fs::read_dir(world.folder.path()).unwrap() {
        let file = file.unwrap();
        if file.path().is_dir() {
            continue;
        }
        std::fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
    }
    let engine = world.engine.inner.reopen();
    let world = World::on(folder, engine, world.universe.clone());
    assert_eq!(world.find_snapshot(&id).unwrap().status, SnapshotStatus::Failed);
    world.assert_at_rest();
    drop(import);
}

#[test]
fn an_old_or_an_archived_one_cannot_be_gone_back_to() {
    let world = World::new();
    let base = world.base();
    let too_old = ImportRequest {
        created_at: Timestamp::from_unix_millis(OLDEST - 1),
        ..request(&base.disk)
    };
    let archived = ImportRequest { category: SnapshotCategory::Archive, ..request(&base.disk) };
    world.stop(&base.instance);
    for (request, refusal) in
        [(too_old, Denied::SnapshotTooOld), (archived, Denied::SnapshotCategory)]
    {
        let import = world.control.import_snapshot(&request).unwrap();
        let id = import.finish().unwrap();
        assert_eq!(denied(world.reset(&base.disk, &id)), refusal);
    }
    world.assert_content(&base.disk, B);
    world.assert_at_rest();
}

#[test]
fn one_that_cannot_begin_leaves_nothing() {
    let calls: [fn(Call) -> bool; 2] =
        [|call| matches!(call, Call::Create(_)), |call| matches!(call, Call::Open(_))];
    for failing in calls {
        let world = World::new();
        let base = world.base();
        world.engine.fail(failing);
        let begun = world.control.import_snapshot(&request(&base.disk)).map(|_| ());
        assert!(matches!(begun, Err(ControlError::Engine(_))), "{begun:?}");
        assert_eq!(other_than(&world, &base), []);
        world.engine.look_away();
        world.assert_at_rest();
        world.exercise();
    }
}

#[test]
fn one_that_cannot_be_frozen_is_failed() {
    let world = World::new();
    let base = world.base();
    let import = world.control.import_snapshot(&request(&base.disk)).unwrap();
    world.engine.fail(|call| matches!(call, Call::Snapshot(..)));
    let finished = import.finish();
    assert!(matches!(finished, Err(ControlError::Engine(_))), "{finished:?}");
    assert_eq!(other_than(&world, &base)[0].status, SnapshotStatus::Failed);
    world.engine.look_away();
    world.assert_at_rest();
    world.exercise();
}

#[test]
fn a_local_disk_or_none_at_all_takes_no_import() {
    let world = World::new();
    let nothing = world.control.import_snapshot(&request(&DiskId::new("d-none"))).map(|_| ());
    assert_eq!(denied(nothing), Denied::DiskNotFound);
    let mut ephemeral = new_disk(64);
    ephemeral.disk.category = Some("elastic_ephemeral_disk_standard".into());
    let disk = world.control.create_disk(&world.root(), &ephemeral).unwrap();
    let refused = world.control.import_snapshot(&request(&disk)).map(|_| ());
    assert_eq!(denied(refused), Denied::CategoryUnsupported);
}

#[test]
fn one_that_is_deleted_meanwhile_leaves_nothing() {
    for at_the_end in [false, true] {
        let world = World::new();
        let base = world.base();
        let mut import = world.control.import_snapshot(&request(&base.disk)).unwrap();
        import.write(Bytes::from(image())).unwrap();
        let id = import.id().clone();
        world.delete_snapshot(&id).unwrap();
        if at_the_end {
            assert_eq!(denied(import.finish()), Denied::SnapshotNotFound);
        } else {
            drop(import);
        }
        assert_eq!(other_than(&world, &base), []);
        world.assert_at_rest();
    }
}
