//! The engine: what its calls have in common, and which heads are open.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use ebb_volume::{
    BLOCK_BYTES, DataKey, Engine, EngineError, Inventory, MAX_VOLUME_BYTES, OpId, SnapshotId,
    SnapshotInfo, Volume, VolumeId, VolumeInfo,
};

use crate::counters::Counters;
use crate::deadline;
use crate::ffi::{Image, Pool};
use crate::flatten::Flattener;
use crate::handle::{Handle, Looks};
use crate::head::Head;
use crate::heart::Heart;
use crate::peers::{self, Peers, object_of};
use crate::reaper::Reaper;
use crate::records::{Change, OpRow, Records, SnapshotRow, VolumeRow, id_in, op_key, volume_key};
use crate::stored;
use crate::views::{LongZeros, Views};
use crate::{Options, ResetMode};

/// Heads that stay open without a handle: opening one takes some ten round trips.
const IDLE_HEADS: usize = 64;

/// Volumes in one pool and namespace of a Ceph cluster.
pub struct RbdEngine {
    pub(crate) shared: Arc<Shared>,
    reaper: Reaper,
    pub(crate) flattener: Flattener,
    threads: Mutex<Vec<JoinHandle<()>>>,
    hearts: Mutex<Vec<JoinHandle<()>>>,
    /// What a thread does a call with: the engine goes on when it is dropped.
    is_shared: bool,
}

/// What the engine and its reaper work with.
pub(crate) struct Shared {
    pub(crate) looks: Arc<Looks>,
    pub(crate) reset: ResetMode,
    pub(crate) counters: Arc<Counters>,
    stopped: AtomicBool,
    heads: Mutex<BTreeMap<VolumeId, Arc<Head>>>,
    busy: Mutex<Taken>,
    no_longer_busy: Condvar,
    zeros: LongZeros,
    pub(crate) peers: Peers,
    pub(crate) heart: Arc<Heart>,
    shared_as: String,
    /// The step at which a test has the engine crash.
    #[cfg(test)]
    pub(crate) crash_at: Mutex<Option<&'static str>>,
}

/// Volumes that calls have for themselves, and those that other calls wait for.
#[derive(Default)]
struct Taken {
    busy: BTreeSet<VolumeId>,
    wanted: Vec<VolumeId>,
}

/// Volumes that a call has for itself, until it is dropped.
pub(crate) struct Busy<'a> {
    shared: &'a Shared,
    volumes: Vec<VolumeId>,
}

impl RbdEngine {
    /// Connects to the cluster.
    ///
    /// # Errors
    /// [`EngineError::Failed`] where Ceph's client library, the cluster or the pool is not there.
    pub fn open(options: &Options) -> Result<Self, EngineError> {
        let own = options.clone();
        deadline::open_within(&options.pool, &options.conf, move || Self::connect(&own))
    }

    fn connect(options: &Options) -> Result<Self, EngineError> {
        let Options { conf, pool, namespace, user, reset, flatten_rate } = options;
        let name = format!("/{pool}/{namespace}");
        let pool = Pool::connect(conf, user, pool, namespace)?;
        let shared_as = format!("rbd:{}{name}", pool.fsid()?);
        let (peers, words) = Peers::begin(&pool)?;
        let records = Records { pool };
        let no_thread = |error| EngineError::Failed(format!("no thread could be started: {error}"));
        let (zeros, thread) = LongZeros::spawn(records.clone()).map_err(no_thread)?;
        let looks = Arc::new(Looks { views: Views::new(records.clone()), records });
        let shared = Arc::new(Shared {
            looks,
            reset: *reset,
            counters: Arc::default(),
            stopped: AtomicBool::new(false),
            heads: Mutex::default(),
            busy: Mutex::default(),
            no_longer_busy: Condvar::new(),
            zeros,
            peers,
            heart: Arc::default(),
            shared_as,
            #[cfg(test)]
            crash_at: Mutex::default(),
        });
        let (reaper, reaping) = Reaper::spawn(Arc::clone(&shared)).map_err(no_thread)?;
        let (flattener, flattening) =
            Flattener::spawn(Arc::clone(&shared), *flatten_rate, reaper.clone())
                .map_err(no_thread)?;
        let mut threads = vec![thread, reaping, flattening];
        threads.push(peers::spawn(Arc::clone(&shared), words).map_err(no_thread)?);
        let pool = &shared.records().pool;
        let hearts = shared.heart.spawn(pool, &object_of(&shared.peers.address));
        let hearts = Mutex::new(hearts.map_err(no_thread)?.into());
        let threads = Mutex::new(threads);
        Ok(Self { shared, reaper, flattener, threads, hearts, is_shared: false })
    }

    /// The engine for a thread that does a call.
    pub(crate) fn share(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            reaper: self.reaper.clone(),
            flattener: self.flattener.clone(),
            threads: Mutex::default(),
            hearts: Mutex::default(),
            is_shared: true,
        }
    }

    /// Ends the engine, within a bounded time.
    fn end(&self) -> Result<(), EngineError> {
        let threads = std::mem::take(&mut *lock(&self.threads));
        let hearts = std::mem::take(&mut *lock(&self.hearts));
        self.bounded_once_begun(move |engine| {
            engine.stop(threads, hearts);
            Ok(())
        })
    }

    /// Says that there are rows for the reaper.
    pub(crate) fn reap(&self) {
        self.reaper.wake();
    }

    /// Ends all handles, closes all images and ends the threads.
    fn stop(&self, threads: Vec<JoinHandle<()>>, hearts: Vec<JoinHandle<()>>) {
        self.shared.stopped.store(true, SeqCst);
        let heads = std::mem::take(&mut *self.shared.heads());
        heads.values().for_each(|head| head.shut(true));
        self.reaper.stop();
        self.flattener.stop();
        self.shared.zeros.stop();
        self.shared.peers.stop();
        join(threads);
        // What a call that was under way has opened since.
        let heads = std::mem::take(&mut *self.shared.heads());
        heads.values().for_each(|head| head.shut(true));
        self.shared.looks.views.forget(None);
        // To the end they tell whether it is the cluster that keeps the others from ending.
        self.shared.heart.stop();
        join(hearts);
    }
}

fn join(threads: Vec<JoinHandle<()>>) {
    for thread in threads {
        if thread.join().is_err() {
            tracing::warn!("a thread of the engine ended in a panic");
        }
    }
}

impl Drop for RbdEngine {
    fn drop(&mut self) {
        if !self.is_shared
            && let Err(error) = self.end()
        {
            tracing::info!("the engine could not let go of all that it has: {error}");
        }
    }
}

impl Shared {
    pub(crate) fn records(&self) -> &Records {
        &self.looks.records
    }

    pub(crate) fn serving(&self) -> Result<(), EngineError> {
        match self.stopped.load(SeqCst) {
            false => self.heart.serving(),
            true => Err(EngineError::Stopped("it was closed".into())),
        }
    }

    /// A moment in which a crash would hurt: tests have one at each.
    pub(crate) fn step(&self, _name: &'static str) {
        #[cfg(test)]
        if *lock(&self.crash_at) == Some(_name) {
            panic!("the test crashes the engine when it has {_name}");
        }
    }

    pub(crate) fn heads(&self) -> MutexGuard<'_, BTreeMap<VolumeId, Arc<Head>>> {
        lock(&self.heads)
    }

    /// Waits until no other call has one of these volumes.
    pub(crate) fn busy(&self, volumes: &[VolumeId]) -> Busy<'_> {
        let mut taken = lock(&self.busy);
        taken.wanted.extend(volumes);
        while volumes.iter().any(|volume| taken.busy.contains(volume)) {
            taken = self.no_longer_busy.wait(taken).unwrap_or_else(PoisonError::into_inner);
        }
        for volume in volumes {
            let place = taken.wanted.iter().position(|wanted| wanted == volume);
            place.map(|place| taken.wanted.swap_remove(place));
        }
        taken.busy.extend(volumes);
        Busy { shared: self, volumes: volumes.to_vec() }
    }

    /// Whether a call waits for the volume.
    pub(crate) fn is_wanted(&self, volume: VolumeId) -> bool {
        lock(&self.busy).wanted.contains(&volume)
    }

    pub(crate) fn try_busy(&self, volume: VolumeId) -> Option<Busy<'_>> {
        let fresh = lock(&self.busy).busy.insert(volume);
        fresh.then(|| Busy { shared: self, volumes: vec![volume] })
    }

    /// The head if it is open.
    pub(crate) fn open_head(&self, volume: VolumeId) -> Option<Arc<Head>> {
        self.heads().get(&volume).cloned()
    }

    pub(crate) fn in_use(&self, volume: VolumeId) -> bool {
        self.open_head(volume).is_some_and(|head| head.in_use())
    }

    /// The volume whose open head has this image.
    pub(crate) fn head_of_image(&self, image: &str) -> Option<VolumeId> {
        let heads = self.heads();
        let is = |head: &Head| head.image().is_some_and(|own| own.name() == image);
        heads.iter().find(|(_, head)| is(head)).map(|(volume, _)| *volume)
    }

    /// Closes the head, for a volume that the caller has made busy: its handles are stale.
    pub(crate) fn shut(&self, volume: VolumeId) {
        let head = self.heads().remove(&volume);
        if let Some(head) = head {
            head.shut(false);
        }
    }

    /// The volume's head, opened if it is not, without its lock. The caller has made it busy.
    pub(crate) fn head(
        &self,
        volume: VolumeId,
        row: &VolumeRow,
    ) -> Result<(Arc<Head>, Arc<Image>), EngineError> {
        if let Some(head) = self.open_head(volume)
            && let Some(image) = head.image()
        {
            if image.name() == row.image {
                return Ok((head, image));
            }
            // Another engine has reset it.
            drop(image);
            self.shut(volume);
        }
        let image = Image::open(&self.records().pool, &row.image)?;
        Ok(self.add_head(volume, image, row.size))
    }

    pub(crate) fn add_head(
        &self,
        volume: VolumeId,
        image: Image,
        size_bytes: u64,
    ) -> (Arc<Head>, Arc<Image>) {
        let (head, image) =
            Head::new(volume, image, size_bytes, self.zeros.clone(), &self.counters);
        self.heads().insert(volume, Arc::clone(&head));
        (head, image)
    }

    /// Closes heads that nobody uses, where there are many.
    fn close_idle(&self) {
        let heads = self.heads();
        let Some(many) = heads.len().checked_sub(IDLE_HEADS) else { return };
        let idle = heads.iter().filter(|(_, head)| !head.in_use()).map(|(volume, _)| *volume);
        let idle: Vec<VolumeId> = idle.take(many).collect();
        drop(heads);
        for volume in idle {
            if let Some(_busy) = self.try_busy(volume)
                && !self.in_use(volume)
            {
                self.shut(volume);
            }
        }
    }

    /// Makes a change under an operation's id: `decide` looks and says what becomes of the rows, as
    /// often as others change them meanwhile. None: it was done before.
    pub(crate) fn decide<T>(
        &self,
        op: OpId,
        asked: &str,
        mut decide: impl FnMut(&mut Change<'_>) -> Result<T, EngineError>,
    ) -> Result<Option<T>, EngineError> {
        loop {
            self.serving()?;
            let mut change = self.records().change();
            match change.get::<OpRow>(op_key(op))? {
                Some(done) if done.asked() == asked => return Ok(None),
                Some(_) => return Err(EngineError::IdTaken),
                None => {}
            }
            let decided = decide(&mut change)?;
            change.set(op_key(op), &OpRow::now(asked))?;
            self.step("decided");
            deadline::commits()?;
            if change.commit()? {
                self.step("committed");
                return Ok(Some(decided));
            }
        }
    }

    /// Makes a change that is no operation's.
    pub(crate) fn settle(
        &self,
        mut decide: impl FnMut(&mut Change<'_>) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        loop {
            let mut change = self.records().change();
            decide(&mut change)?;
            if change.commit()? {
                return Ok(());
            }
        }
    }

    /// The volume's row, after a rollback that was begun is done. The caller has made it busy.
    pub(crate) fn settled_row(&self, volume: VolumeId) -> Result<VolumeRow, EngineError> {
        let row: Option<VolumeRow> = self.records().row(&volume_key(volume))?;
        let row = row.ok_or(EngineError::NoSuchVolume(volume))?;
        match row.rollback {
            None => Ok(row),
            Some(_) => self.finish_rollback(volume),
        }
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        let mut taken = lock(&self.shared.busy);
        self.volumes.iter().for_each(|volume| {
            taken.busy.remove(volume);
        });
        self.shared.no_longer_busy.notify_all();
    }
}

impl Engine for RbdEngine {
    fn create_volume(
        &self,
        op: OpId,
        volume: VolumeId,
        size_bytes: u64,
        key: Option<&DataKey>,
    ) -> Result<(), EngineError> {
        self.shared.serving()?;
        if key.is_some() {
            return Err(EngineError::NotSupported("encrypted volumes on Ceph RBD"));
        }
        check_size(size_bytes)?;
        self.bounded(move |engine| engine.make_empty(op, volume, size_bytes))
    }

    fn fork(
        &self,
        op: OpId,
        source: SnapshotId,
        volume: VolumeId,
        size_bytes: u64,
    ) -> Result<(), EngineError> {
        self.bounded(move |engine| engine.make_fork(op, source, volume, size_bytes))
    }

    fn create_snapshots(
        &self,
        op: OpId,
        pairs: &[(VolumeId, SnapshotId)],
    ) -> Result<(), EngineError> {
        let pairs = pairs.to_vec();
        self.bounded(move |engine| engine.take_snapshots(op, &pairs))
    }

    fn reset(&self, op: OpId, volume: VolumeId, target: SnapshotId) -> Result<(), EngineError> {
        self.bounded(move |engine| engine.go_back(op, volume, target))
    }

    fn grow(&self, op: OpId, volume: VolumeId, size_bytes: u64) -> Result<(), EngineError> {
        self.bounded(move |engine| engine.make_larger(op, volume, size_bytes))
    }

    fn delete_volume(&self, op: OpId, volume: VolumeId) -> Result<(), EngineError> {
        self.bounded(move |engine| engine.drop_volume(op, volume))
    }

    fn delete_snapshot(&self, op: OpId, snapshot: SnapshotId) -> Result<(), EngineError> {
        self.bounded(move |engine| engine.drop_snapshot(op, snapshot))
    }

    fn open(
        &self,
        volume: VolumeId,
        key: Option<&DataKey>,
    ) -> Result<Arc<dyn Volume>, EngineError> {
        let has_key = key.is_some();
        self.bounded(move |engine| {
            let shared = &engine.shared;
            let busy = shared.busy(&[volume]);
            shared.settled_row(volume)?;
            if has_key {
                return Err(EngineError::WrongKey(volume));
            }
            let (_, head, _) = shared.own(volume)?;
            let generation = head.open().ok_or(EngineError::Stopped("it was closed".into()))?;
            drop(busy);
            shared.close_idle();
            let looks = Arc::clone(&shared.looks);
            Ok(Arc::new(Handle { head, generation, looks }) as Arc<dyn Volume>)
        })
    }

    fn revoke(&self, volume: VolumeId) -> Result<(), EngineError> {
        self.bounded_once_begun(move |engine| {
            engine.shared.serving()?;
            match engine.shared.open_head(volume) {
                Some(head) if head.in_use() => {
                    head.revoke();
                    Ok(())
                }
                _ => engine.shared.evict(volume),
            }
        })
    }

    fn shared_as(&self) -> Option<String> {
        Some(self.shared.shared_as.clone())
    }

    fn client(&self) -> String {
        self.shared.peers.address.clone()
    }

    fn fence(&self, client: &str) -> Result<(), EngineError> {
        let client = client.to_owned();
        self.bounded(move |engine| engine.shared.shut_out(&client))
    }

    fn stored_bytes(&self, snapshots: &[SnapshotId]) -> Result<u64, EngineError> {
        let snapshots = snapshots.to_vec();
        self.bounded(move |engine| {
            let looks = &engine.shared.looks;
            stored::stored_bytes(&looks.records, &looks.views, &snapshots)
        })
    }

    fn encrypts(&self) -> bool {
        false
    }

    fn inventory(&self) -> Result<Inventory, EngineError> {
        self.shared.serving()?;
        let encrypted = false;
        let volume = |(key, row): (String, VolumeRow)| {
            Ok(VolumeInfo { id: VolumeId(id_in(&key)?), size_bytes: row.size, encrypted })
        };
        let snapshot = |(key, row): (String, SnapshotRow)| {
            Ok(SnapshotInfo { id: SnapshotId(id_in(&key)?), size_bytes: row.size, encrypted })
        };
        let (volumes, snapshots) = self.bounded(|engine| {
            let records = engine.shared.records();
            Ok((records.all("v/")?, records.all("s/")?))
        })?;
        let volumes = volumes.into_iter().map(volume);
        let snapshots = snapshots.into_iter().map(snapshot);
        Ok(Inventory {
            volumes: volumes.collect::<Result<_, EngineError>>()?,
            snapshots: snapshots.collect::<Result<_, EngineError>>()?,
        })
    }

    fn health(&self) -> Result<(), EngineError> {
        self.shared.serving()?;
        self.shared.heart.health()
    }

    fn close(&self) -> Result<(), EngineError> {
        self.shared.serving()?;
        self.end()
    }
}

pub(crate) fn check_size(size_bytes: u64) -> Result<(), EngineError> {
    let whole = size_bytes.is_multiple_of(BLOCK_BYTES);
    match size_bytes {
        1..=MAX_VOLUME_BYTES if whole => Ok(()),
        _ => Err(EngineError::BadSize(size_bytes)),
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code under these locks panics between two related changes.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
