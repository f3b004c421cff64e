//! A control plane with edges that a test can bend, and the few calls that every test makes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ebb_control::{
    Activity, Attach, Control, ControlError, CopySnapshot, CreateDisk, CreateImage, CreateSnapshot,
    CreateSnapshotGroup, DeleteInstance, ExportTable, Exported, GroupAndSnapshots, ImageQuery,
    PageRequest, Parts, Place, ResizeDisk, RunInstances, Scope, Secret, SnapshotGroupQuery, Step,
    Stop, SystemDisk,
};
use ebb_domain::{
    AccountId, AttachRequest, BLANK_IMAGE, Denied, Disk, DiskId, DiskStatus, ImageId, Instance,
    InstanceId, InstanceStatus, Network, NewDisk, Performance, Region, RegionId, ResizeType,
    Snapshot, SnapshotGroupId, SnapshotId, SnapshotStatus, ZoneId,
};
use ebb_store::{Store, StoreError, Tx};
use ebb_volume::{Engine, Io, IoError, MemoryEngine, Volume, VolumeId, run};
use tempfile::TempDir;

use crate::engine::TestEngine;
use crate::universe::Universe;
use crate::{objects, records};

/// The database, under the folder of a world.
pub(crate) const DATABASE: &str = "metadata.db";

/// How long anything may take before a test says that it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// The exports, and what was done to them.
#[derive(Default)]
pub(crate) struct Exports {
    table: Mutex<BTreeMap<String, Arc<dyn Volume>>>,
    pub(crate) log: Mutex<Vec<String>>,
    /// While set, withdrawing waits: a client that does not let go.
    pub(crate) stuck: AtomicBool,
    /// Withdrawals under way.
    pub(crate) withdrawing: AtomicUsize,
}

impl Exports {
    pub(crate) fn get(&self, disk: &DiskId) -> Option<Arc<dyn Volume>> {
        self.table.lock().unwrap().get(disk.as_str()).cloned()
    }
}

impl ExportTable for Exports {
    fn publish(&self, name: &str, Exported { volume, .. }: Exported) {
        self.log.lock().unwrap().push(format!("publish {name}"));
        let before = self.table.lock().unwrap().insert(name.to_owned(), volume);
        assert!(before.is_none(), "{name} was published twice");
    }

    fn withdraw(&self, name: &str) {
        self.withdrawing.fetch_add(1, Ordering::SeqCst);
        let started = Instant::now();
        while self.stuck.load(Ordering::SeqCst) && started.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(1));
        }
        self.log.lock().unwrap().push(format!("withdraw {name}"));
        let before = self.table.lock().unwrap().remove(name);
        self.withdrawing.fetch_sub(1, Ordering::SeqCst);
        assert!(before.is_some(), "{name} was withdrawn twice");
    }

    fn limit(&self, name: &str, _performance: Option<Performance>) {
        assert!(self.table.lock().unwrap().contains_key(name), "{name} is not published");
    }

    fn bind(&self, _name: &str, _instances: &[InstanceId]) {}

    fn activity(&self) -> Vec<(String, Activity)> {
        Vec::new()
    }

    fn forget(&self, _name: &str) {}
}

type StepHook = Arc<dyn Fn(Step) + Send + Sync>;

/// What happens at each step; a test may change it at any time.
#[derive(Default)]
pub(crate) struct Probe {
    hook: Mutex<Option<StepHook>>,
    /// Instances that have passed from one status to the next.
    instances: AtomicUsize,
}

impl Probe {
    pub(crate) fn set(&self, hook: impl Fn(Step) + Send + Sync + 'static) {
        *self.hook.lock().unwrap() = Some(Arc::new(hook));
    }

    pub(crate) fn clear(&self) {
        *self.hook.lock().unwrap() = None;
    }

    fn pass(&self, step: Step) {
        let hook = self.hook.lock().unwrap().clone();
        if step == Step::InstancePassed {
            self.instances.fetch_add(1, Ordering::SeqCst);
        }
        if let Some(hook) = hook {
            hook(step);
        }
    }
}

/// A running control plane and everything around it.
pub(crate) struct World {
    pub(crate) control: Arc<Control>,
    pub(crate) engine: Arc<TestEngine>,
    pub(crate) exports: Arc<Exports>,
    pub(crate) probe: Arc<Probe>,
    pub(crate) universe: Universe,
    /// A second way to the records, to look at what no list shows.
    records: Store,
    pub(crate) folder: TempDir,
}

/// A running instance with a data disk that has a snapshot: `A` is frozen, `B` is on the disk.
#[derive(Debug, Clone)]
pub(crate) struct Base {
    pub(crate) instance: InstanceId,
    pub(crate) disk: DiskId,
    pub(crate) snapshot: SnapshotId,
}

pub(crate) const A: u8 = 0xA1;
pub(crate) const B: u8 = 0xB2;

pub(crate) fn region() -> RegionId {
    RegionId::new("cn-hangzhou")
}

/// One in which there is nothing but what is copied there.
pub(crate) fn other_region() -> RegionId {
    RegionId::new("cn-beijing")
}

pub(crate) fn zone() -> ZoneId {
    ZoneId::new("cn-hangzhou-a")
}

/// The refusal of a call that must have been refused.
#[track_caller]
pub(crate) fn denied<T: std::fmt::Debug>(outcome: Result<T, ControlError>) -> Denied {
    match outcome {
        Err(ControlError::Denied(denied)) => denied,
        other => panic!("not refused: {other:?}"),
    }
}

#[track_caller]
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < PATIENCE, "still not: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

impl World {
    /// On PostgreSQL where the run has one.
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        records::keep_in_postgres(folder.path());
        Self::on(folder, MemoryEngine::new(), Universe::default())
    }

    /// For tests that copy the files which the records are in.
    pub(crate) fn in_files() -> Self {
        Self::on(TempDir::new().unwrap(), MemoryEngine::new(), Universe::default())
    }

    /// Starts on what is in the folder and the engine.
    pub(crate) fn on(folder: TempDir, engine: MemoryEngine, universe: Universe) -> Self {
        let (engine, exports, probe) =
            (TestEngine::over(engine), Arc::new(Exports::default()), Arc::new(Probe::default()));
        let path = folder.path().join(DATABASE);
        let control = start(&path, &engine, &exports, &probe, &universe, place()).unwrap();
        let records = records::open(&path).unwrap();
        Self { control, engine, exports, probe, universe, records, folder }
    }

    /// A server that shares the records in `path` with others.
    pub(crate) fn among(
        path: &Path,
        engine: Arc<TestEngine>,
        universe: &Universe,
        place: Place,
    ) -> Result<Self, ControlError> {
        let (exports, probe) = (Arc::new(Exports::default()), Arc::new(Probe::default()));
        let universe = universe.clone();
        let control = start(path, &engine, &exports, &probe, &universe, place)?;
        let (records, folder) = (records::open(path)?, TempDir::new().unwrap());
        Ok(Self { control, engine, exports, probe, universe, records, folder })
    }

    /// Ends the process and starts the next: nothing of it is left but what is kept.
    pub(crate) fn restart(self) -> Self {
        let (folder, inner, universe) = self.end();
        Self::on(folder, inner, universe)
    }

    /// Ends the process, however much of it is under way.
    pub(crate) fn end(self) -> (TempDir, MemoryEngine, Universe) {
        let Self { control, engine, universe, records, folder, .. } = self;
        let gone = Arc::downgrade(&control);
        drop((control, records));
        until("the last thread lets go", || gone.strong_count() == 0);
        (folder, engine.inner.reopen(), universe)
    }

    pub(crate) fn scope(&self) -> Scope {
        Scope { account: self.root(), region: None }
    }

    pub(crate) fn root(&self) -> AccountId {
        self.control.root().clone()
    }

    pub(crate) fn read<T>(&self, f: impl FnOnce(&Tx<'_>) -> Result<T, StoreError>) -> T {
        self.records.read(f).unwrap()
    }

    pub(crate) fn find_disk(&self, id: &DiskId) -> Option<Disk> {
        self.read(|tx| tx.disk(id))
    }

    #[track_caller]
    pub(crate) fn disk(&self, id: &DiskId) -> Disk {
        self.find_disk(id).unwrap()
    }

    pub(crate) fn find_snapshot(&self, id: &SnapshotId) -> Option<Snapshot> {
        self.read(|tx| tx.snapshot(id))
    }

    pub(crate) fn find_instance(&self, id: &InstanceId) -> Option<Instance> {
        self.read(|tx| tx.instance(id))
    }

    #[track_caller]
    pub(crate) fn until_instance(&self, id: &InstanceId, status: InstanceStatus) {
        until(&format!("{id} is {status:?}"), || {
            self.find_instance(id).is_some_and(|instance| instance.status == status)
        });
    }

    #[track_caller]
    pub(crate) fn until_disk(&self, id: &DiskId, status: &DiskStatus) {
        until(&format!("{id} is {status:?}"), || {
            self.find_disk(id).is_some_and(|disk| disk.status == *status)
        });
    }
}

fn start(
    path: &Path,
    engine: &Arc<TestEngine>,
    exports: &Arc<Exports>,
    probe: &Arc<Probe>,
    universe: &Universe,
    place: Place,
) -> Result<Arc<Control>, ControlError> {
    let probe = Arc::clone(probe);
    let (archive, buckets) = objects::beside(path);
    Control::start(Parts {
        store: records::open(path)?,
        archive,
        buckets,
        converter: Arc::new(()),
        engine: Arc::clone(engine) as _,
        exports: Arc::clone(exports) as _,
        clock: Arc::clone(&universe.clock) as _,
        entropy: Arc::clone(&universe.entropy) as _,
        regions: vec![Region { id: region() }, Region { id: other_region() }],
        root_key: ("key".into(), Secret::new("secret")),
        master_key: ebb_kms::MasterKey::new([7; 32]),
        key_store: Arc::clone(&universe.keys) as _,
        place,
        probe: Arc::new(move |step| probe.pass(step)),
    })
}

/// Of the one server that there is at a time.
pub(crate) fn place() -> Place {
    Place {
        home: "home".into(),
        nbd: "nbd://127.0.0.1:10809".into(),
        api: "127.0.0.1:8080".into(),
        is_alone: true,
        lease: Duration::from_secs(1),
        shut_out: Arc::new(|| panic!("nobody is there who could shut it out")),
    }
}

/// Requests as tests make them.
pub(crate) fn new_disk(gib: i64) -> CreateDisk {
    CreateDisk {
        region: region(),
        zone: Some(zone()),
        instance: None,
        snapshot: None,
        disk: NewDisk {
            category: Some("cloud_essd".into()),
            size_gib: Some(gib),
            ..NewDisk::default()
        },
        token: None,
    }
}

pub(crate) fn new_instance() -> RunInstances {
    RunInstances {
        region: region(),
        zone: Some(zone()),
        image: ImageId::new(BLANK_IMAGE),
        instance_type: "ecs.g7.large".into(),
        amount: 1,
        starts: true,
        name: String::new(),
        description: String::new(),
        host_name: String::new(),
        deletion_protection: false,
        resource_group: String::new(),
        network: Network::default(),
        system_disk: SystemDisk::default(),
        data_disks: Vec::new(),
        tags: Vec::new(),
        token: None,
        dry_run: false,
    }
}

pub(crate) fn new_image(instance: &InstanceId) -> CreateImage {
    CreateImage {
        region: region(),
        instance: Some(instance.clone()),
        snapshot: None,
        mappings: Vec::new(),
        name: String::new(),
        family: String::new(),
        version: String::new(),
        description: String::new(),
        architecture: String::new(),
        platform: String::new(),
        resource_group: String::new(),
        tags: Vec::new(),
        token: None,
        dry_run: false,
    }
}

pub(crate) fn all_images(world: &World) -> ImageQuery {
    ImageQuery {
        account: world.root(),
        region: region(),
        ids: None,
        name: None,
        family: None,
        snapshot: None,
        architecture: None,
        statuses: ["Creating", "Available", "Deprecated"].map(str::to_owned).to_vec(),
        resource_group: None,
        tags: Vec::new(),
        page: PageRequest::Number { number: 1, size: 100 },
    }
}

pub(crate) fn new_snapshot(disk: &DiskId) -> CreateSnapshot {
    CreateSnapshot {
        disk: disk.clone(),
        name: String::new(),
        description: String::new(),
        retention_days: None,
        category: None,
        resource_group: String::new(),
        tags: Vec::new(),
        token: None,
    }
}

pub(crate) fn attach_to(disk: &DiskId, instance: &InstanceId) -> Attach {
    Attach { disk: disk.clone(), instance: instance.clone(), request: AttachRequest::default() }
}

/// The calls.
impl World {
    /// Waits also until the worker has passed its steps, which it does after it has said so: a
    /// test that looks at steps from now on shall not see them.
    #[track_caller]
    fn carried<T>(&self, passes: usize, call: impl FnOnce() -> T) -> T {
        let before = self.probe.instances.load(Ordering::SeqCst);
        let outcome = call();
        until("a worker carries the instance", || {
            self.probe.instances.load(Ordering::SeqCst) >= before + passes
        });
        outcome
    }

    pub(crate) fn run_instance(&self) -> InstanceId {
        let run = || self.control.run_instances(&self.root(), &new_instance());
        let id = self.carried(2, run).unwrap().remove(0);
        self.until_instance(&id, InstanceStatus::Running);
        id
    }

    pub(crate) fn reboot(&self, id: &InstanceId) {
        let ids = std::slice::from_ref(id);
        self.control.reboot_instances(&self.scope(), ids, true, false).unwrap();
    }

    pub(crate) fn stop(&self, id: &InstanceId) {
        let (ids, stop) = (std::slice::from_ref(id), Stop::default());
        let stop = || self.control.stop_instances(&self.scope(), ids, &stop, true, false).unwrap();
        self.carried(1, stop);
        self.until_instance(id, InstanceStatus::Stopped);
    }

    pub(crate) fn start(&self, id: &InstanceId) {
        let ids = std::slice::from_ref(id);
        let start = || self.control.start_instances(&self.scope(), ids, true, false).unwrap();
        self.carried(1, start);
        self.until_instance(id, InstanceStatus::Running);
    }

    pub(crate) fn delete_instance(&self, id: &InstanceId) -> Result<(), ControlError> {
        let delete = DeleteInstance { force: true, dry_run: false };
        self.control.delete_instances(&self.scope(), std::slice::from_ref(id), delete)
    }

    pub(crate) fn create_disk(&self) -> DiskId {
        self.control.create_disk(&self.root(), &new_disk(20)).unwrap()
    }

    pub(crate) fn attach(&self, disk: &DiskId, instance: &InstanceId) {
        self.control.attach_disk(&self.scope(), &attach_to(disk, instance)).unwrap();
    }

    pub(crate) fn detach(&self, disk: &DiskId, instance: &InstanceId) -> Result<(), ControlError> {
        self.control.detach_disk(&self.scope(), disk, instance, None)
    }

    pub(crate) fn snapshot(&self, disk: &DiskId) -> SnapshotId {
        self.control.create_snapshot(&self.scope(), &new_snapshot(disk)).unwrap()
    }

    pub(crate) fn reset(&self, disk: &DiskId, to: &SnapshotId) -> Result<(), ControlError> {
        self.control.reset_disk(&self.scope(), disk, to, false)
    }

    pub(crate) fn resize(&self, disk: &DiskId, size_gib: i64) -> Result<(), ControlError> {
        let (disk, kind) = (disk.clone(), ResizeType::Offline);
        let request = ResizeDisk { disk, size_gib, kind, token: None };
        self.control.resize_disk(&self.scope(), &request)
    }

    /// A copy of a snapshot in the other region.
    pub(crate) fn copy_snapshot(&self, id: &SnapshotId) -> Result<SnapshotId, ControlError> {
        self.copy_to(id, other_region(), false)
    }

    /// In its own region, by the service's own key.
    pub(crate) fn encrypt_snapshot(&self, id: &SnapshotId) -> Result<SnapshotId, ControlError> {
        self.copy_to(id, region(), true)
    }

    fn copy_to(
        &self,
        id: &SnapshotId,
        region: RegionId,
        encrypted: bool,
    ) -> Result<SnapshotId, ControlError> {
        let request = CopySnapshot {
            snapshot: id.clone(),
            region,
            name: "copy".into(),
            description: String::new(),
            retention_days: None,
            resource_group: String::new(),
            encrypted,
            key: None,
            tags: Vec::new(),
            token: None,
        };
        self.control.copy_snapshot(&self.scope(), &request)
    }

    /// A group of all disks of an instance.
    pub(crate) fn image(&self, instance: &InstanceId) -> ImageId {
        self.control.create_image(&self.root(), &new_image(instance)).unwrap()
    }

    pub(crate) fn snapshot_group(
        &self,
        instance: &InstanceId,
    ) -> Result<SnapshotGroupId, ControlError> {
        let request = CreateSnapshotGroup {
            instance: Some(instance.clone()),
            disks: Vec::new(),
            left_out: Vec::new(),
            name: String::new(),
            description: String::new(),
            resource_group: String::new(),
            tags: Vec::new(),
            token: None,
        };
        self.control.create_snapshot_group(&self.scope(), &request)
    }

    /// All groups, each with its snapshots.
    pub(crate) fn snapshot_groups(&self) -> Vec<GroupAndSnapshots> {
        let query = SnapshotGroupQuery {
            account: self.scope().account,
            region: region(),
            ids: None,
            instance: None,
            name: None,
            statuses: None,
            resource_group: None,
            tags: Vec::new(),
            page: EVERYTHING,
        };
        self.control.snapshot_groups(&query).unwrap().items
    }

    pub(crate) fn delete_snapshot(&self, id: &SnapshotId) -> Result<(), ControlError> {
        self.control.delete_snapshot(&self.scope(), id, false)
    }

    pub(crate) fn base(&self) -> Base {
        let instance = self.run_instance();
        let disk = self.create_disk();
        self.attach(&disk, &instance);
        self.fill(&disk, A);
        let snapshot = self.snapshot(&disk);
        self.fill(&disk, B);
        Base { instance, disk, snapshot }
    }
}

/// The bytes.
impl World {
    /// The disk as its client has it, or a handle of its own where nobody does.
    pub(crate) fn handle(&self, disk: &DiskId) -> Arc<dyn Volume> {
        let found = self.disk(disk);
        let open = || {
            let key = self.data_key(found.encryption.as_ref());
            self.engine.inner.open(VolumeId(found.volume), key.as_ref()).unwrap()
        };
        self.exports.get(disk).unwrap_or_else(open)
    }

    /// Writes at the start, across blocks and at the end.
    pub(crate) fn fill(&self, disk: &DiskId, byte: u8) {
        write(self.handle(disk).as_ref(), byte).unwrap();
    }

    /// What `fill` may have written, and what lies around it.
    pub(crate) fn content(&self, disk: &DiskId) -> Vec<u8> {
        let handle = self.handle(disk);
        let ends = [0, 1 << 20, handle.size_bytes() - 16_384];
        ends.iter()
            .flat_map(|offset| {
                run(handle.as_ref(), Io::Read { offset: *offset, length: 16_384 }).unwrap()
            })
            .collect()
    }

    /// What a disk reads on which nothing but `fill` was ever done.
    pub(crate) fn filled(&self, disk: &DiskId, byte: u8) -> Vec<u8> {
        let engine = MemoryEngine::new();
        let (volume, size) = (VolumeId(1), self.disk(disk).size_bytes());
        engine.create_volume(ebb_volume::OpId([1; 16]), volume, size, None).unwrap();
        let handle = engine.open(volume, None).unwrap();
        write(handle.as_ref(), byte).unwrap();
        [0, 1 << 20, size - 16_384]
            .iter()
            .flat_map(|offset| {
                run(handle.as_ref(), Io::Read { offset: *offset, length: 16_384 }).unwrap()
            })
            .collect()
    }

    /// What a version reads, wherever its snapshot is.
    #[track_caller]
    pub(crate) fn assert_version(&self, snapshot: &Snapshot, byte: u8) {
        let (engine, volume) = (&self.engine, VolumeId(1));
        let bytes = snapshot.size_bytes();
        let version = ebb_volume::SnapshotId(snapshot.version);
        engine.fork(ebb_volume::OpId([2; 16]), version, volume, bytes).unwrap();
        let key = self.data_key(snapshot.encryption.as_ref());
        let handle = engine.open(volume, key.as_ref()).unwrap();
        for (offset, expected) in [(0, byte), (1 << 20, 0), (bytes - 4096, byte)] {
            let read = run(handle.as_ref(), Io::Read { offset, length: 16 }).unwrap();
            assert!(read.iter().all(|found| *found == expected), "{offset}: {read:?}");
        }
        drop(handle);
        engine.revoke(volume).unwrap();
        engine.delete_volume(ebb_volume::OpId([3; 16]), volume).unwrap();
    }

    #[track_caller]
    pub(crate) fn assert_content(&self, disk: &DiskId, byte: u8) {
        assert!(self.content(disk) == self.filled(disk, byte), "{disk} does not read {byte:#x}");
    }
}

/// Writes at the start, across blocks and at the end.
pub(crate) fn write(volume: &dyn Volume, byte: u8) -> Result<(), IoError> {
    let end = volume.size_bytes();
    for (offset, length) in [(0, 4096), ((1 << 20) + 100, 5000), (end - 4096, 4096)] {
        let data = Bytes::from(vec![byte; length]);
        run(volume, Io::Write { offset, data, fua: false })?;
    }
    run(volume, Io::Flush).map(|_| ())
}

/// What must be so whenever nothing is under way.
impl World {
    /// Waits until the workers have carried everything to its end, then compares the records with
    /// the engine: every disk has its volume, every snapshot its version, and nothing else is
    /// there.
    #[track_caller]
    pub(crate) fn assert_at_rest(&self) {
        until("instances rest", || self.read(|tx| tx.instances_in_transition()).is_empty());
        until("tasks are over", || self.read(|tx| tx.tasks_under_way()).is_empty());
        until("disks rest", || self.read(|tx| tx.disks_in_transition()).is_empty());
        assert_eq!(self.read(|tx| tx.snapshots_in_transition()), []);
        assert_eq!(self.read(|tx| tx.snapshot_groups_in_transition()), []);
        assert_eq!(self.read(|tx| tx.images_in_transition()), []);
        self.assert_agreed();
        self.assert_sealed();
        self.assert_exported();
    }

    #[track_caller]
    pub(crate) fn assert_agreed(&self) {
        // A task frees what it had in the pool after it is over.
        until("what tasks had is gone", || {
            let held = self.engine.inventory().unwrap();
            held.snapshots.len() <= self.read(|tx| tx.all_versions()).len()
                && held.volumes.len() <= self.read(|tx| tx.all_volumes()).len()
        });
        let held = self.engine.inventory().unwrap();
        let volumes: BTreeSet<u64> = held.volumes.iter().map(|volume| volume.id.0).collect();
        let versions: BTreeSet<u64> = held.snapshots.iter().map(|found| found.id.0).collect();
        let rows: BTreeSet<u64> = self.read(|tx| tx.all_volumes()).into_iter().collect();
        assert_eq!(rows, volumes, "disks in the records against volumes in the engine");
        let kept = |snapshot: &Snapshot| {
            snapshot.status != SnapshotStatus::Failed && snapshot.archived_bytes.is_none()
        };
        let rows: BTreeSet<u64> =
            self.snapshots().iter().filter(|s| kept(s)).map(|s| s.version).collect();
        assert_eq!(rows, versions, "snapshots in the records against versions in the engine");
        for volume in &held.volumes {
            let disk = self.disks().into_iter().find(|disk| disk.volume == volume.id.0).unwrap();
            assert_eq!(disk.size_bytes(), volume.size_bytes);
        }
    }

    /// A disk answers exactly while it is attached to an instance that is Running.
    #[track_caller]
    fn assert_exported(&self) {
        for disk in self.disks() {
            let answers = disk.attachments.iter().any(|attachment| {
                self.find_instance(&attachment.instance)
                    .is_some_and(|instance| instance.status == InstanceStatus::Running)
            });
            let wanted = answers && disk.status == DiskStatus::InUse;
            // What a call has committed, a worker may be about to make so.
            until(&format!("{} answers: {wanted}", disk.id), || {
                self.exports.get(&disk.id).is_some() == wanted
            });
        }
    }

    pub(crate) fn disks(&self) -> Vec<Disk> {
        let ids = self.read(|tx| tx.disks(&disk_query(&self.root())));
        ids.items
    }

    /// All of them, the other region's too.
    pub(crate) fn snapshots(&self) -> Vec<Snapshot> {
        let of = |region| snapshot_query(&self.root(), region);
        let mut found = self.read(|tx| tx.snapshots(&of(region()))).items;
        found.extend(self.read(|tx| tx.snapshots(&of(other_region()))).items);
        found
    }

    pub(crate) fn instances(&self) -> Vec<Instance> {
        self.read(|tx| tx.instances(&instance_query(&self.root()))).items
    }

    /// Uses every disk in every way: it answers, writes, is frozen, is reset, and a client of
    /// before the reset has lost it.
    #[track_caller]
    pub(crate) fn exercise(&self) {
        let spare = self.run_instance();
        for instance in self.instances() {
            if instance.status == InstanceStatus::Stopped {
                self.start(&instance.id);
            }
        }
        let mut used = Vec::new();
        for disk in self.disks().into_iter().map(|disk| disk.id) {
            if self.disk(&disk).status == DiskStatus::Available {
                self.attach(&disk, &spare);
            }
            let client = self.exports.get(&disk).unwrap();
            write(client.as_ref(), 0xC3).unwrap();
            let snapshot = self.snapshot(&disk);
            let frozen = self.content(&disk);
            write(client.as_ref(), 0xD4).unwrap();
            used.push((disk, client, snapshot, frozen));
        }
        for instance in self.instances() {
            self.stop(&instance.id);
        }
        for (disk, client, snapshot, frozen) in used {
            self.reset(&disk, &snapshot).unwrap();
            assert_eq!(write(client.as_ref(), 0xE5), Err(IoError::Stale));
            assert!(self.content(&disk) == frozen, "{disk} was reset");
        }
        self.assert_at_rest();
        assert_eq!(self.engine.collisions(), []);
    }
}

const EVERYTHING: ebb_store::PageRequest = ebb_store::PageRequest::Number { number: 1, size: 1000 };

fn disk_query(account: &AccountId) -> ebb_store::DiskQuery {
    ebb_store::DiskQuery::all(account.clone(), region(), EVERYTHING)
}

fn snapshot_query(account: &AccountId, region: RegionId) -> ebb_store::SnapshotQuery {
    ebb_store::SnapshotQuery::all(account.clone(), region, EVERYTHING)
}

fn instance_query(account: &AccountId) -> ebb_store::InstanceQuery {
    ebb_store::InstanceQuery {
        account: account.clone(),
        region: region(),
        ids: None,
        zone: None,
        name: None,
        image: None,
        instance_type: None,
        status: None,
        vswitch: None,
        vpc: None,
        private_ips: None,
        security_group: None,
        key_pair: None,
        resource_group: None,
        locked: None,
        created_from: None,
        created_to: None,
        tags: Vec::new(),
        page: EVERYTHING,
    }
}
