//! What leaves the pool and what comes into it: the archive, exports, imported images.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use ebb_control::{ControlError, CopyImage, ImportImage};
use ebb_domain::{
    Denied, DiskKind, ImageStatus, ImportedDisk, SnapshotCategory, SnapshotId, Task, TaskId,
    TaskStatus,
};
use ebb_objects::{Bucket, Buckets, FolderBucket, FolderBuckets};
use ebb_volume::{Engine, Io, SnapshotId as Version, run};

use crate::engine::Call;
use crate::world::{
    A, B, Base, World, all_images, denied, new_instance, other_region, region, until,
};

const DAY: i64 = 24 * 3600;

pub(crate) const BUCKET: &str = "bucket";
pub(crate) const OBJECT: &str = "disks/small.raw";

/// What is in the object that every world has.
fn small() -> Vec<u8> {
    (0..3_000_000_u32).map(|n| (n / 5000 % 251) as u8).collect()
}

/// The archive and the buckets that belong to a database.
pub(crate) fn beside(database: &Path) -> (Arc<dyn Bucket>, Arc<dyn Buckets>) {
    let folder = database.parent().unwrap();
    let (archive, oss) = (folder.join("archive"), folder.join("oss"));
    let object = oss.join(BUCKET).join(OBJECT);
    fs::create_dir_all(&archive).unwrap();
    fs::create_dir_all(object.parent().unwrap()).unwrap();
    fs::write(object, small()).unwrap();
    let archive = Arc::new(FolderBucket::open(&archive).unwrap());
    (archive, Arc::new(FolderBuckets::open(&oss).unwrap()))
}

fn task(world: &World, id: &TaskId) -> Task {
    world.read(|tx| tx.task(id)).unwrap()
}

#[track_caller]
fn over(world: &World, id: &TaskId) -> Task {
    until(&format!("{id} is over"), || task(world, id).status != TaskStatus::Processing);
    task(world, id)
}

#[track_caller]
fn finished(world: &World, id: &TaskId) {
    let task = over(world, id);
    assert_eq!((task.status, task.error.as_str()), (TaskStatus::Finished, ""));
    assert_eq!(task.percent, 100);
}

/// A base whose snapshot is old enough for the archive.
pub(crate) fn aged(world: &World, _: &mut Base) {
    world.universe.clock.advance(15 * DAY);
}

pub(crate) fn archive(world: &World, base: &Base) -> Result<TaskId, ControlError> {
    world.control.archive_snapshot(&world.scope(), &base.snapshot, Some("archive"), None)
}

fn export(world: &World, id: &SnapshotId) -> Result<TaskId, ControlError> {
    world.control.export_snapshot(&world.scope(), id, BUCKET)
}

pub(crate) fn import(world: &World, objects: &[&str]) -> Result<TaskId, ControlError> {
    let disk = |object: &&str| ImportedDisk {
        bucket: BUCKET.into(),
        object: (*object).into(),
        ..ImportedDisk::default()
    };
    let request =
        ImportImage { disks: objects.iter().map(disk).collect(), ..ImportImage::default() };
    world.control.import_image(&world.root(), &region(), &request).map(|(_, task)| task)
}

/// Copies the only image there is to the other region.
pub(crate) fn copy_image(world: &World) -> Result<(), ControlError> {
    let [image] = world.control.images(&all_images(world)).unwrap().items.try_into().unwrap();
    let request = CopyImage {
        region: region(),
        image: image.id,
        destination: other_region(),
        name: "copied".into(),
        description: String::new(),
        resource_group: String::new(),
        encrypted: false,
        key: None,
        tags: Vec::new(),
        token: None,
        dry_run: false,
    };
    world.control.copy_image(&world.root(), &request).map(drop)
}

fn exported(world: &World, id: &SnapshotId) -> std::path::PathBuf {
    world.folder.path().join("oss").join(BUCKET).join(format!("{id}.raw"))
}

/// The bytes of a file at its start and at its end; what lies between is too much to read.
fn ends(path: &Path) -> (u64, Vec<u8>, Vec<u8>) {
    use std::os::unix::fs::FileExt;
    let file = fs::File::open(path).unwrap();
    let length = file.metadata().unwrap().len();
    let (mut start, mut end) = (vec![0; 2 << 20], vec![0; 8192]);
    file.read_exact_at(&mut start, 0).unwrap();
    file.read_exact_at(&mut end, length - 8192).unwrap();
    (length, start, end)
}

/// That a file holds what [`crate::world::write`] wrote on a disk of 20 GiB.
fn assert_holds(path: &Path, byte: u8) {
    let (length, start, end) = ends(path);
    assert_eq!(length, 20 << 30);
    let at = (1 << 20) + 100;
    let mut expected = vec![0; 2 << 20];
    expected[..4096].fill(byte);
    expected[at..at + 5000].fill(byte);
    assert!(start == expected);
    assert!(end[..4096].iter().all(|b| *b == 0) && end[4096..].iter().all(|b| *b == byte));
}

#[test]
fn a_snapshot_is_exported_as_it_is() {
    let world = World::new();
    let base = world.base();
    finished(&world, &export(&world, &base.snapshot).unwrap());
    assert_holds(&exported(&world, &base.snapshot), A);
    world.assert_at_rest();
    world.assert_content(&base.disk, B);
}

#[test]
fn an_archived_snapshot_is_in_the_archive_and_nowhere_else() {
    let world = World::new();
    let mut base = world.base();
    aged(&world, &mut base);
    let version = Version(world.find_snapshot(&base.snapshot).unwrap().version);
    finished(&world, &archive(&world, &base).unwrap());
    world.assert_at_rest();
    let found = world.find_snapshot(&base.snapshot).unwrap();
    assert_eq!(found.category, SnapshotCategory::Archive);
    let held = world.engine.inventory().unwrap().snapshots;
    assert!(held.iter().all(|snapshot| snapshot.id != version), "the pool still has it");
    let folder = world.folder.path().join("archive").join(base.snapshot.as_str());
    let stored: u64 =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    assert_eq!(found.archived_bytes, Some(stored));
    // It is reset to no more, copied no more, and its way out is the export.
    world.stop(&base.instance);
    assert_eq!(denied(world.reset(&base.disk, &base.snapshot)), Denied::SnapshotCategory);
    assert_eq!(denied(archive(&world, &base)), Denied::SnapshotCategory);
    let world = world.restart();
    finished(&world, &export(&world, &base.snapshot).unwrap());
    assert_holds(&exported(&world, &base.snapshot), A);
    // What is deleted leaves nothing there.
    world.delete_snapshot(&base.snapshot).unwrap();
    assert!(!folder.exists());
    world.assert_at_rest();
}

#[test]
fn what_may_not_go_to_the_archive() {
    let world = World::new();
    let mut base = world.base();
    assert_eq!(denied(archive(&world, &base)), Denied::SnapshotTooYoung);
    aged(&world, &mut base);
    let scope = world.scope();
    let archive =
        |category, days| world.control.archive_snapshot(&scope, &base.snapshot, category, days);
    let malformed = denied(archive(Some("Standard"), None));
    assert_eq!(malformed, Denied::Malformed(ebb_domain::Field::SnapshotCategory));
    let malformed = denied(archive(None, Some(60)));
    assert_eq!(malformed, Denied::Malformed(ebb_domain::Field::RetentionDays));
    // It stays until it is deleted, so any number of days is less.
    assert_eq!(denied(archive(None, Some(61))), Denied::RetentionDecreased);
    world.assert_at_rest();
}

#[test]
fn a_corrupt_object_is_no_snapshot() {
    let world = World::new();
    let mut base = world.base();
    aged(&world, &mut base);
    finished(&world, &archive(&world, &base).unwrap());
    world.assert_at_rest();
    let folder = world.folder.path().join("archive").join(base.snapshot.as_str());
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let good = fs::read(&path).unwrap();
        let mut bad = good.clone();
        bad[good.len() / 2] ^= 1;
        fs::write(&path, &bad).unwrap();
        let task = over(&world, &export(&world, &base.snapshot).unwrap());
        assert_eq!(task.status, TaskStatus::Failed);
        assert!(task.error.contains("not what was written"), "{}", task.error);
        assert!(!exported(&world, &base.snapshot).exists());
        fs::write(&path, &good).unwrap();
    }
    finished(&world, &export(&world, &base.snapshot).unwrap());
}

#[test]
fn an_image_is_imported_and_instances_start_from_it() {
    let world = World::new();
    let base = world.base();
    finished(&world, &import(&world, &[OBJECT, OBJECT]).unwrap());
    world.assert_at_rest();
    let [image] = world.control.images(&all_images(&world)).unwrap().items.try_into().unwrap();
    assert_eq!(image.status, ImageStatus::Available);
    let kinds: Vec<_> = image.disks.iter().map(|disk| (disk.kind, disk.size_gib)).collect();
    assert_eq!(kinds, [(DiskKind::System, 1), (DiskKind::Data, 1)]);
    let mut request = new_instance();
    request.image = image.id;
    let ids = world.control.run_instances(&world.root(), &request).unwrap();
    world.until_instance(&ids[0], ebb_domain::InstanceStatus::Running);
    for disk in world.read(|tx| tx.disks_of_instance(&ids[0])) {
        let handle = world.handle(&disk.id);
        let content = run(handle.as_ref(), Io::Read { offset: 0, length: 4 << 20 }).unwrap();
        assert!(content[..3_000_000] == small(), "{}", disk.id);
        assert!(content[3_000_000..].iter().all(|byte| *byte == 0));
    }
    world.assert_content(&base.disk, B);
    world.exercise();
}

#[test]
fn what_can_not_be_imported() {
    let world = World::new();
    let oss = world.folder.path().join("oss");
    fs::write(oss.join(BUCKET).join("empty.raw"), "").unwrap();
    assert_eq!(denied(import(&world, &[])), Denied::MappingMissing);
    assert_eq!(denied(import(&world, &["no.raw"])), Denied::ObjectNotFound);
    assert_eq!(denied(import(&world, &["empty.raw"])), Denied::ObjectEmpty);
    let outside = Denied::Malformed(ebb_domain::Field::Object);
    assert_eq!(denied(import(&world, &["../bucket/disks/small.raw"])), outside);
    assert_eq!(denied(import(&world, &["x.qcow2"])), Denied::ObjectNotFound);
    fs::write(oss.join(BUCKET).join("x.qcow2"), "x").unwrap();
    assert_eq!(denied(import(&world, &["x.qcow2"])), Denied::ImageFormatUnsupported);
    assert!(world.control.images(&all_images(&world)).unwrap().items.is_empty());
    let nowhere = world.control.export_snapshot(&world.scope(), &SnapshotId::new("s"), "nowhere");
    assert_eq!(denied(nowhere), Denied::BucketNotFound);
    let out = world.control.export_snapshot(&world.scope(), &SnapshotId::new("s"), "..");
    assert_eq!(denied(out), Denied::Malformed(ebb_domain::Field::Bucket));
}

/// The engine refuses what a task needs: the task says why, and nothing is left.
#[test]
fn a_task_that_fails_says_why_and_leaves_nothing() {
    let world = World::new();
    let mut base = world.base();
    aged(&world, &mut base);
    world.engine.fail(|call| matches!(call, Call::Fork(..) | Call::Snapshot(..)));
    for begin in [
        (|world: &World, base: &Base| export(world, &base.snapshot)) as fn(&World, &Base) -> _,
        archive,
    ] {
        let task = over(&world, &begin(&world, &base).unwrap());
        assert_eq!(task.status, TaskStatus::Failed);
        assert!(!task.error.is_empty());
    }
    let task = over(&world, &import(&world, &[OBJECT]).unwrap());
    assert_eq!(task.status, TaskStatus::Failed);
    world.engine.look_away();
    let mut query = all_images(&world);
    query.statuses = vec!["CreateFailed".into()];
    let [image] = world.control.images(&query).unwrap().items.try_into().unwrap();
    assert_eq!(image.id.as_str(), task.resource);
    world.assert_at_rest();
    assert_eq!(fs::read_dir(world.folder.path().join("archive")).unwrap().count(), 0);
    // What holds no more lets go.
    world.delete_snapshot(&base.snapshot).unwrap();
    let deleted = world.control.delete_image(&world.root(), &region(), &image.id, false, false);
    deleted.unwrap();
}

/// Whoever cancels first wins: what the task had begun goes, and the snapshot is as it was.
#[test]
fn a_task_is_cancelled() {
    for begin in [
        archive as fn(&World, &Base) -> _,
        |world, base| export(world, &base.snapshot),
        |world, _| import(world, &[OBJECT]),
    ] {
        let world = World::new();
        let mut base = world.base();
        aged(&world, &mut base);
        let (gate, wait) = std::sync::mpsc::channel::<()>();
        let wait = std::sync::Mutex::new(wait);
        // The task's own volume is not opened before the gate is.
        world.engine.look(move |call| {
            if matches!(call, Call::Open(_)) {
                let _ = wait.lock().unwrap().recv();
            }
            Ok(())
        });
        let id = begin(&world, &base).unwrap();
        // What it needs is held meanwhile.
        if task(&world, &id).resource == base.snapshot.as_str() {
            assert_eq!(denied(world.delete_snapshot(&base.snapshot)), Denied::Conflict);
            assert_eq!(denied(export(&world, &base.snapshot)), Denied::SnapshotExporting);
        }
        world.control.cancel_task(&world.root(), &region(), &id).unwrap();
        let again = world.control.cancel_task(&world.root(), &region(), &id);
        assert_eq!(denied(again), Denied::TaskOver);
        drop(gate);
        world.engine.look_away();
        let told = over(&world, &id);
        assert_eq!((told.status, told.error.as_str()), (TaskStatus::Failed, "it was cancelled"));
        until("its volume is gone", || {
            let held = world.engine.inventory().unwrap().volumes.len();
            held == world.read(|tx| tx.all_volumes()).len()
        });
        world.assert_at_rest();
        let found = world.find_snapshot(&base.snapshot).unwrap();
        assert_eq!((found.category, found.archived_bytes), (SnapshotCategory::Standard, None));
        assert!(world.control.images(&all_images(&world)).unwrap().items.is_empty());
        until("nothing is in the archive", || {
            fs::read_dir(world.folder.path().join("archive")).unwrap().count() == 0
        });
        world.stop(&base.instance);
        world.reset(&base.disk, &base.snapshot).unwrap();
        world.assert_content(&base.disk, A);
    }
}
