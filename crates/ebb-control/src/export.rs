//! Exports follow the record.
//!
//! [`Control::settle`] reads what the record says of a disk and makes the export so. It is called
//! after every commit that could change the answer; whoever comes last reads the newest record, so
//! the outcome does not depend on the order. One gate a disk keeps two settlings apart; it is the
//! only lock held while the engine opens or revokes, and no other disk's call needs it.
//!
//! Where servers share the records, one of them has a disk's volume open: the one that a row of
//! `exports` names. The row is there before the volume is opened and goes after it is closed.
//! Whoever settles a disk that another server has asks that one, and waits for its answer.
//!
//! An encrypted disk cannot be opened while its key store is away, as one may be when a whole site
//! starts again. It then has no export, and [`Control::open_waiting_exports`] opens it later.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use ebb_domain::{
    Disk, DiskId, DiskStatus, Instance, InstanceId, InstanceStatus, SnapshotId, SnapshotStatus,
};
use ebb_store::{Durability, ServerId, Store, StoreError, Tx};
use ebb_volume::{Engine, Io, SnapshotNames, Volume, VolumeId, run};

use crate::control::instances_of;
use crate::mutex::lock;
use crate::{Activity, Control, ControlError, ExportTable, Exported};

/// How long another server has to make an export as it should be. It has some seconds to end its
/// connections in, and may turn out to be gone.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two looks whether it has: a look is a read, and many may wait.
const PAUSES: [Duration; 2] = [Duration::from_millis(20), Duration::from_millis(200)];

/// The open handle of an exported disk.
type Gate = Arc<Mutex<Option<Arc<dyn Volume>>>>;

pub(crate) struct Exporter {
    table: Arc<dyn ExportTable>,
    engine: Arc<dyn Engine>,
    store: Arc<Store>,
    gates: Mutex<HashMap<DiskId, Gate>>,
    /// Disks that could not be opened for now: their key could not be had, or a server that is gone
    /// has them open still.
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

    /// The disk has no export for now.
    pub(crate) fn open_later(&self, disk: DiskId) {
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

/// What the records say of a disk's export.
struct Look {
    /// What is to answer: nothing where nobody uses the disk.
    wanted: Option<(Disk, Vec<InstanceId>)>,
    /// Which server has it, if that is there still.
    holder: Option<ServerId>,
}

impl Control {
    /// Makes the disk's export as the record says, wherever it is.
    ///
    /// # Errors
    /// [`EngineError`](ebb_volume::EngineError) where the volume cannot be opened;
    /// [`ControlError::Unavailable`] where another server has it and does not answer.
    pub(crate) fn settle(&self, id: &DiskId) -> Result<(), ControlError> {
        let gate = self.exporter.gate(id);
        let mut open = lock(&gate);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let Look { wanted, holder } = self.look(id)?;
            match (&wanted, holder) {
                (_, Some(holder)) if holder == self.cluster.id => {}
                (_, Some(_)) => {
                    // What was open here is so no more: its server was taken for gone.
                    if self.has_answered(id, deadline)? {
                        return Ok(());
                    }
                    continue;
                }
                (Some(_), None) if !self.take_export(id)? => continue,
                _ => {}
            }
            let settled = self.settle_here(id, &mut open, wanted);
            if open.is_none() {
                self.drop_export(id)?;
                self.exporter.forget(id, &gate);
            }
            return settled;
        }
    }

    fn look(&self, id: &DiskId) -> Result<Look, ControlError> {
        self.store.read(|tx| {
            let export = tx.export(id)?;
            let servers = tx.servers()?;
            let is_there = |holder: &ServerId| servers.iter().any(|server| server.id == *holder);
            let holder = export.map(|export| export.server).filter(is_there);
            let Some(disk) = tx.disk(id)? else { return Ok(Look { wanted: None, holder }) };
            let instances = instances_of(tx, &disk)?;
            let users = users(&disk, &instances);
            Ok(Look { wanted: (!users.is_empty()).then_some((disk, users)), holder })
        })
    }

    /// Whether this server has the export from now on: the only one that may open the volume.
    fn take_export(&self, id: &DiskId) -> Result<bool, ControlError> {
        self.store.write(Durability::Recoverable, |tx| {
            let servers = tx.servers()?;
            let mut found = tx.export(id)?.into_iter();
            let is_taken = found.any(|found| servers.iter().any(|one| one.id == found.server));
            if !is_taken {
                tx.put_export(id, &self.cluster.id)?;
            }
            Ok(!is_taken)
        })
    }

    /// From this commit on another server may open the volume.
    fn drop_export(&self, id: &DiskId) -> Result<(), ControlError> {
        let has_it = self.store.read::<_, ControlError>(|tx| {
            Ok(tx.export(id)?.is_some_and(|found| found.server == self.cluster.id))
        })?;
        if !has_it {
            return Ok(());
        }
        let me = &self.cluster.id;
        self.store.write(Durability::Recoverable, |tx| Ok(tx.remove_export(id, me)?))
    }

    /// Makes what this server has of the export as it is wanted.
    fn settle_here(
        &self,
        id: &DiskId,
        open: &mut Option<Arc<dyn Volume>>,
        wanted: Option<(Disk, Vec<InstanceId>)>,
    ) -> Result<(), ControlError> {
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
            }
            (None, None) => {}
        }
        Ok(())
    }
}

/// Exports that other servers have.
impl Control {
    /// Asks the server that has an export to look at the record. Whether it has; if not, it is not
    /// there any more, or has the export no more.
    fn has_answered(&self, id: &DiskId, deadline: Instant) -> Result<bool, ControlError> {
        let asked = self.store.write::<_, ControlError>(Durability::Recoverable, |tx| {
            tx.ask_export(id)?;
            Ok(tx.export(id)?)
        })?;
        let Some(asked) = asked else { return Ok(false) };
        let mut pause = PAUSES[0];
        loop {
            let (export, servers) =
                self.store.read::<_, ControlError>(|tx| Ok((tx.export(id)?, tx.servers()?)))?;
            match export {
                Some(now) if now.server != asked.server => return Ok(false),
                Some(now) if now.done >= asked.asked => return Ok(true),
                Some(now) if !servers.iter().any(|one| one.id == now.server) => return Ok(false),
                Some(_) => {}
                None => return Ok(false),
            }
            if Instant::now() >= deadline {
                return Err(ControlError::Unavailable(StoreError::Unavailable(format!(
                    "the server that has {id} open does not answer"
                ))));
            }
            thread::sleep(pause);
            pause = PAUSES[1].min(pause * 3 / 2);
        }
    }

    /// Another server asks to look at the record. The answer comes when that has been done, also
    /// where it failed: the log says why, and who asked finds that there is no export.
    pub(crate) fn answer_export(&self, id: &DiskId, asked: u64) -> Result<(), ControlError> {
        let me = &self.cluster.id;
        let holder = self.look(id)?.holder;
        if holder.is_some_and(|holder| holder != *me) {
            // It is another's by now, and who asked finds out.
            return Ok(());
        }
        let settled = self.settle_or_wait(id);
        if self.look(id)?.holder.is_none() {
            // That there is none is the answer.
            return settled;
        }
        self.store
            .write::<_, ControlError>(Durability::Recoverable, |tx| {
                Ok(tx.answer_export(id, me, asked)?)
            })
            .and(settled)
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

/// The URL of a disk's export at the server whose exports are there.
pub(crate) fn url_of(disk: &DiskId, nbd: &str) -> String {
    format!("{nbd}/{disk}")
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
