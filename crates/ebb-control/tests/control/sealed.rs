//! What is encrypted in a world: its data keys, and calls that ask for encryption.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ebb_control::{
    CloneDisk, Control, ControlError, CopyImage, DataDisk, PageRequest, ReplaceSystemDisk,
    RunInstances, Step, SystemDisk,
};
use ebb_domain::{BLANK_IMAGE, Denied, DiskId, Encryption, ImageId, NewDisk, TaskStatus};
use ebb_store::TaskQuery;
use ebb_volume::{DataKey, Engine as _};

use crate::world::{B, Base, World, all_images, denied, new_disk, new_instance, region};

pub(crate) fn sealed() -> NewDisk {
    NewDisk { encrypted: Some(true), ..NewDisk::default() }
}

/// A system disk and an empty data disk, both encrypted.
pub(crate) fn sealed_instance() -> RunInstances {
    let data = NewDisk { size_gib: Some(20), ..sealed() };
    RunInstances {
        system_disk: SystemDisk { disk: sealed() },
        data_disks: vec![DataDisk { disk: data, ..DataDisk::default() }],
        ..new_instance()
    }
}

pub(crate) fn create_sealed_disk(world: &World) -> DiskId {
    let mut request = new_disk(20);
    request.disk.encrypted = Some(true);
    world.control.create_disk(&world.root(), &request).unwrap()
}

pub(crate) fn replace_sealed(world: &World, base: &Base) -> Result<(), ControlError> {
    let request = ReplaceSystemDisk {
        instance: base.instance.clone(),
        image: ImageId::new(BLANK_IMAGE),
        size_gib: Some(60),
        encrypted: Some(true),
        key: None,
        token: None,
    };
    world.control.replace_system_disk(&world.scope(), &request).map(drop)
}

pub(crate) fn clone_sealed(world: &World, source: &DiskId) -> Result<(), ControlError> {
    let request = CloneDisk {
        region: region(),
        source: source.clone(),
        disk: NewDisk { encrypted: Some(true), ..new_disk(20).disk },
        token: None,
        dry_run: false,
    };
    world.control.clone_disk(&world.root(), &request).map(drop)
}

/// Copies the only image there is, within its region.
pub(crate) fn copy_image_sealed(world: &World) -> Result<ImageId, ControlError> {
    let [image] = world.control.images(&all_images(world)).unwrap().items.try_into().unwrap();
    let request = CopyImage {
        region: region(),
        image: image.id,
        destination: region(),
        name: "sealed".into(),
        description: String::new(),
        resource_group: String::new(),
        encrypted: true,
        key: None,
        tags: Vec::new(),
        token: None,
        dry_run: false,
    };
    world.control.copy_image(&world.root(), &request)
}

impl World {
    /// The data key itself.
    pub(crate) fn data_key(&self, encryption: Option<&Encryption>) -> Option<DataKey> {
        let id = &encryption?.data_key;
        let wrapped = self.read(|tx| tx.data_key(id)).unwrap();
        let context = format!("data key {id}");
        let root = self.root();
        let plain = self.control.kms(&root).decrypt(context.as_bytes(), &wrapped).unwrap().blob;
        Some(DataKey::new(plain.try_into().unwrap()))
    }

    /// What is encrypted is so in the engine, and no data key is there that nothing has.
    #[track_caller]
    pub(crate) fn assert_sealed(&self) {
        let held = self.engine.inventory().unwrap();
        let mut data_keys = BTreeSet::new();
        for disk in self.disks() {
            let volume = held.volumes.iter().find(|found| found.id.0 == disk.volume).unwrap();
            assert_eq!(volume.encrypted, disk.encryption.is_some(), "{}", disk.id);
            data_keys.extend(disk.encryption.map(|one| one.data_key));
        }
        for snapshot in self.snapshots() {
            if let Some(found) = held.snapshots.iter().find(|f| f.id.0 == snapshot.version) {
                assert_eq!(found.encrypted, snapshot.encryption.is_some(), "{}", snapshot.id);
            }
            data_keys.extend(snapshot.encryption.map(|one| one.data_key));
        }
        let kept = self.read(|tx| tx.count_data_keys());
        assert_eq!(kept, data_keys.len() as u64, "data keys in the records");
    }

    /// Lets the default key be used, or no more.
    fn switch_key(&self, on: bool) {
        let root = self.root();
        let key = self.control.default_key(&root, &region()).unwrap();
        self.control.kms(&root).switch(&key, on).unwrap();
    }
}

fn all_tasks(control: &Control) -> TaskQuery {
    TaskQuery {
        account: control.root().clone(),
        region: region(),
        ids: None,
        group: None,
        action: None,
        status: None,
        resources: None,
        created_from: None,
        created_to: None,
        page: PageRequest::Number { number: 1, size: 100 },
    }
}

type Call = fn(&World, &Base) -> Result<(), ControlError>;

/// Each call that encrypts something, on a world that is stopped and has one image.
const CALLS: [(&str, Call); 5] = [
    ("run", |world, _| {
        let two = RunInstances { amount: 2, ..sealed_instance() };
        world.control.run_instances(&world.root(), &two).map(drop)
    }),
    ("create a disk", |world, _| {
        let mut request = new_disk(20);
        request.disk.encrypted = Some(true);
        world.control.create_disk(&world.root(), &request).map(drop)
    }),
    ("replace", replace_sealed),
    ("clone", |world, base| clone_sealed(world, &base.disk)),
    ("copy an image", |world, _| copy_image_sealed(world).map(drop)),
];

#[test]
fn a_call_that_is_refused_for_its_key_changes_nothing() {
    for (name, call) in CALLS {
        let world = World::new();
        let base = world.base();
        world.image(&base.instance);
        world.stop(&base.instance);
        world.switch_key(false);
        let before = (world.disks(), world.snapshots(), world.instances());
        assert_eq!(denied(call(&world, &base)), Denied::KeyNotEnabled, "{name}");
        assert_eq!((world.disks(), world.snapshots(), world.instances()), before, "{name}");
        world.assert_at_rest();
        world.switch_key(true);
        call(&world, &base).unwrap();
        world.assert_at_rest();
        assert!(world.read(|tx| tx.count_data_keys()) > 0, "{name}");
        world.exercise();
    }
}

#[test]
fn each_disk_that_is_made_of_nothing_has_a_data_key_of_its_own() {
    let world = World::new();
    let run = RunInstances { amount: 3, ..sealed_instance() };
    world.control.run_instances(&world.root(), &run).unwrap();
    world.assert_at_rest();
    assert_eq!(world.disks().len(), 6);
    assert_eq!(world.read(|tx| tx.count_data_keys()), 6);
    for instance in world.instances() {
        world.stop(&instance.id);
        world.delete_instance(&instance.id).unwrap();
    }
    assert_eq!(world.read(|tx| tx.count_data_keys()), 0);
}

#[test]
fn the_engine_is_full_and_the_clone_goes_as_its_task_fails() {
    let world = World::new();
    let base = world.base();
    world.engine.fail(|call| matches!(call, crate::engine::Call::Create(_)));
    clone_sealed(&world, &base.disk).unwrap();
    world.assert_at_rest();
    world.engine.look_away();
    assert_eq!(world.disks().len(), 2);
    let query = all_tasks(&world.control);
    let [task] = world.control.tasks(&query).unwrap().items.try_into().unwrap();
    assert_eq!(task.status, TaskStatus::Failed);
    world.assert_content(&base.disk, B);
    world.restart().assert_at_rest();
}

#[test]
fn a_copy_that_is_cancelled_takes_its_image_and_its_keys_away() {
    let world = World::new();
    let base = world.base();
    world.image(&base.instance);
    world.probe.set({
        let control = Arc::downgrade(&world.control);
        move |step| {
            let Some(control) = control.upgrade() else { return };
            if step == Step::VersionMade {
                let query = all_tasks(&control);
                let [task] = control.tasks(&query).unwrap().items.try_into().unwrap();
                control.cancel_task(&task.account, &task.region, &task.id).unwrap();
            }
        }
    });
    copy_image_sealed(&world).unwrap();
    world.assert_at_rest();
    world.probe.clear();
    assert_eq!(world.control.images(&all_images(&world)).unwrap().items.len(), 1);
    assert_eq!(world.read(|tx| tx.count_data_keys()), 0);
}

#[test]
fn an_instance_whose_key_is_gone_by_the_next_start_was_never_there() {
    let world = World::new();
    let base = world.base();
    let root = world.root();
    let key = world.control.default_key(&root, &region()).unwrap();
    world.probe.set(|step| {
        if step == Step::RunIntended {
            resume_unwind(Box::new("killed"));
        }
    });
    let run = || world.control.run_instances(&world.root(), &sealed_instance());
    assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
    world.control.kms(&root).destroy(&key).unwrap();
    let world = world.restart();
    world.assert_at_rest();
    assert_eq!((world.instances().len(), world.disks().len()), (1, 2));
    world.assert_content(&base.disk, B);
}

#[test]
fn an_engine_without_encryption_is_asked_for_none() {
    let world = World::new();
    let base = world.base();
    world.engine.is_plain.store(true, Ordering::SeqCst);
    let mut request = new_disk(20);
    request.disk.encrypted = Some(true);
    let refused = world.control.create_disk(&world.root(), &request);
    assert_eq!(denied(refused), Denied::EncryptionUnavailable);
    let refused = world.control.run_instances(&world.root(), &sealed_instance());
    assert_eq!(denied(refused), Denied::EncryptionUnavailable);
    world.stop(&base.instance);
    assert_eq!(denied(replace_sealed(&world, &base)), Denied::EncryptionUnavailable);
    assert_eq!(denied(clone_sealed(&world, &base.disk)), Denied::EncryptionUnavailable);
    assert_eq!(denied(world.encrypt_snapshot(&base.snapshot)), Denied::EncryptionUnavailable);
    world.create_disk();
}
