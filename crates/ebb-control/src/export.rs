//! Exports follow the record.
//!
//! [`Control::settle`] reads what the record says of a disk and makes the export so. It is called
//! after every commit that could change the answer; whoever comes last reads the newest record, so
//! the outcome does not depend on the order. One gate a disk keeps two settlings apart; it is the
//! only lock held while the engine opens or revokes, and no other disk's call needs it.
//!
//! An encrypted disk cannot be opened while its key store is away, as one may be when a whole site
//! starts again. It then has no export, and [`Control::open_waiting_exports`] opens it later.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use ebb_domain::{
    Disk, DiskId, DiskStatus, Instance, InstanceId, InstanceStatus, SnapshotId, SnapshotStatus,
};
use ebb_store::{Store, StoreError, Tx};
use ebb_volume::{Engine, Io, SnapshotNames, Volume, VolumeId, run};

use crate::control::instances_of;
use crate::mutex::lock;
use crate::{Activity, Control, ControlError, ExportTable, Exported};

/// The open handle of an exported disk.
type Gate = Arc<Mutex<Option<Arc<dyn Volume>>>>;

pub(crate) struct Exporter {
    table: Arc<dyn ExportTable>,
    engine: Arc<dyn Engine>,
    store: Arc<Store>,
    gates: Mutex<HashMap<DiskId, Gate>>,
    /// Disks whose key could not be had.
    waiting: Mutex<HashSet<DiskId>>,
}

impl Exporter {
    pub(crate) fn new(
        table: Arc<dyn ExportTable>,
        engine: Arc<dyn Engine>,
        store: Arc<Store>,
    ) -> Self {
        Self { table, engine, store, gates: Mutex::default(), waiting: Mutex::default() }
    }

    /// For exports of what is no disk.
    pub(crate) fn table(&self) -> &dyn ExportTable {
        self.table.as_ref()
    }

    fn publish(&self, disk: &Disk, instances: Vec<InstanceId>, volume: &Arc<dyn Volume>) {
        let snapshots = SnapshotsOf { disk: disk.id.clone(), store: Arc::clone(&self.store) };
        let export = Exported {
            volume: Arc::clone(volume),
            snapshots: Arc::new(snapshots),
            performance: disk.performance(),
            instances,
        };
        self.table.publish(disk.id.as_str(), export);
    }

    pub(crate) fn activity(&self) -> Vec<(String, Activity)> {
        self.table.activity()
    }

    /// The disk is gone for good.
    pub(crate) fn forget_counters(&self, disk: &DiskId) {
        self.table.forget(disk.as_str());
    }

    /// The disk has no export for want of its key.
    pub(crate) fn wait_for_key(&self, disk: DiskId) {
        lock(&self.waiting).insert(disk);
    }

    fn gate(&self, disk: &DiskId) -> Gate {
        Arc::clone(lock(&self.gates).entry(disk.clone()).or_default())
    }

    /// Drops the gate, unless somebody else waits at it: two gates of one disk would be none.
    fn forget(&self, disk: &DiskId, gate: &Gate) {
        let mut gates = lock(&self.gates);
        if Arc::strong_count(gate) == 2 {
            gates.remove(disk);
        }
    }
}

/// What a disk can be compared with, by the ids that ECS shows: its accomplished snapshots.
struct SnapshotsOf {
    disk: DiskId,
    store: Arc<Store>,
}

impl SnapshotsOf {
    /// Where the records can not be read a client is offered nothing, as where there is nothing.
    fn read<T: Default>(&self, f: impl FnOnce(&Tx<'_>) -> Result<T, StoreError>) -> T {
        self.store.read(f).unwrap_or_else(|error| {
            tracing::error!(disk = %self.disk, %error, "the snapshots of a disk can not be read");
            T::default()
        })
    }
}

impl SnapshotNames for SnapshotsOf {
    fn names(&self) -> Vec<String> {
        let snapshots = self.read(|tx| tx.accomplished_snapshots(&self.disk));
        snapshots.into_iter().map(|snapshot| snapshot.id.to_string()).collect()
    }

    fn find(&self, name: &str) -> Option<ebb_volume::SnapshotId> {
        let found = self.read(|tx| tx.snapshot(&SnapshotId::new(name)))?;
        let is_ours =
            found.source_disk == self.disk && found.status == SnapshotStatus::Accomplished;
        is_ours.then_some(ebb_volume::SnapshotId(found.version))
    }
}

impl Control {
    /// Makes the disk's export as the record says.
    pub(crate) fn settle(&self, id: &DiskId) -> Result<(), ControlError> {
        let gate = self.exporter.gate(id);
        let mut open = lock(&gate);
        let wanted = self.store.read::<_, ControlError>(|tx| {
            let Some(disk) = tx.disk(id)? else { return Ok(None) };
            let instances = instances_of(tx, &disk)?;
            let users = users(&disk, &instances);
            Ok((!users.is_empty()).then_some((disk, users)))
        })?;
        match (wanted, open.take()) {
            (Some((disk, users)), Some(volume)) => {
                self.exporter.table.limit(id.as_str(), disk.performance());
                self.exporter.table.bind(id.as_str(), &users);
                *open = Some(volume);
            }
            (Some((disk, users)), None) => {
                let key = self.data_key_of(&disk)?;
                let handle = self.exporter.engine.open(VolumeId(disk.volume), key.as_ref())?;
                self.exporter.publish(&disk, users, &handle);
                *open = Some(handle);
            }
            (None, Some(volume)) => {
                self.exporter.table.withdraw(id.as_str());
                // What was answered without a flush is made durable before the disk counts as off.
                // Should that fail, the pool has stopped and says so; the handle goes all the same.
                if let Err(error) = run(volume.as_ref(), Io::Flush) {
                    tracing::error!(disk = %id, %error, "the last flush of an export failed");
                }
                self.exporter.engine.revoke(volume.id())?;
                self.exporter.forget(id, &gate);
            }
            (None, None) => self.exporter.forget(id, &gate),
        }
        Ok(())
    }
}

impl Control {
    /// Opens the exports that wait for a key store which can be reached again. What still cannot
    /// be opened waits for the next call.
    ///
    /// # Errors
    /// The store fails, or the engine has stopped.
    pub fn open_waiting_exports(&self) -> Result<(), ControlError> {
        let mut waiting = std::mem::take(&mut *lock(&self.exporter.waiting)).into_iter();
        while let Some(disk) = waiting.next() {
            if let Err(error) = self.settle_or_wait(&disk) {
                lock(&self.exporter.waiting).extend([disk].into_iter().chain(waiting));
                return Err(error);
            }
        }
        Ok(())
    }
}

/// The instances that a disk answers: those that it is attached, or being attached, to and that are
/// running. One that is starting counts, so that its disks answer when it says Running.
fn users(disk: &Disk, instances: &[Option<Instance>]) -> Vec<InstanceId> {
    if !matches!(disk.status, DiskStatus::InUse | DiskStatus::Attaching) {
        return Vec::new();
    }
    let runs = |instance: &&Instance| {
        matches!(instance.status, InstanceStatus::Starting | InstanceStatus::Running)
    };
    instances.iter().flatten().filter(runs).map(|instance| instance.id.clone()).collect()
}
