//! The engine in memory, with two things added: a test can look at each call before it is made, to
//! fail it or to hold it up, and calls that must never overlap are seen when they do. Several of
//! them can share one engine, as those of several servers do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use ebb_volume::{
    DataKey, Engine, EngineError, Inventory, MemoryEngine, OpId, SnapshotId, Volume, VolumeId,
};

/// A call, as far as tests tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Create(VolumeId),
    Fork(SnapshotId, VolumeId),
    Snapshot(VolumeId, SnapshotId),
    Reset(VolumeId, SnapshotId),
    Grow(VolumeId),
    DeleteVolume(VolumeId),
    DeleteSnapshot(SnapshotId),
    Open(VolumeId),
    Revoke(VolumeId),
}

impl Call {
    fn volume(self) -> Option<VolumeId> {
        match self {
            // A volume may grow whatever else is done with it.
            Self::DeleteSnapshot(_) | Self::Grow(_) => None,
            Self::Create(volume)
            | Self::Fork(_, volume)
            | Self::Snapshot(volume, _)
            | Self::Reset(volume, _)
            | Self::DeleteVolume(volume)
            | Self::Open(volume)
            | Self::Revoke(volume) => Some(volume),
        }
    }

    fn snapshot(self) -> Option<SnapshotId> {
        match self {
            Self::Fork(snapshot, _)
            | Self::Snapshot(_, snapshot)
            | Self::Reset(_, snapshot)
            | Self::DeleteSnapshot(snapshot) => Some(snapshot),
            _ => None,
        }
    }

    /// Others may read the snapshot meanwhile.
    fn reads_snapshot(self) -> bool {
        matches!(self, Self::Fork(..) | Self::Reset(..))
    }

    /// A volume may be frozen while exports of it come and go.
    fn overlaps_well(self, other: Self) -> bool {
        let door = |call| matches!(call, Self::Open(_) | Self::Revoke(_));
        let freeze = |call| matches!(call, Self::Snapshot(..));
        (door(self) && (door(other) || freeze(other))) || (freeze(self) && door(other))
    }

    fn collides(self, other: Self) -> bool {
        let volume = self.volume().is_some() && self.volume() == other.volume();
        let snapshot = self.snapshot().is_some() && self.snapshot() == other.snapshot();
        (volume && !self.overlaps_well(other))
            || (snapshot && !(self.reads_snapshot() && other.reads_snapshot()))
    }
}

type Hook = Arc<dyn Fn(Call) -> Result<(), EngineError> + Send + Sync>;

#[derive(Default)]
pub(crate) struct TestEngine {
    pub(crate) inner: MemoryEngine,
    /// Whether it says that it has no encryption.
    pub(crate) is_plain: AtomicBool,
    hook: Mutex<Option<Hook>>,
    under_way: Mutex<Vec<Call>>,
    collisions: Mutex<Vec<(Call, Call)>>,
    /// What it shares with others, and what they call it.
    shared: Option<(Arc<Sharing>, String)>,
}

/// What engines know of each other that share their volumes.
#[derive(Default)]
pub(crate) struct Sharing {
    fenced: Mutex<BTreeSet<String>>,
    open: Mutex<BTreeMap<VolumeId, String>>,
}

impl TestEngine {
    pub(crate) fn over(inner: MemoryEngine) -> Arc<Self> {
        Arc::new(Self { inner, ..Self::default() })
    }

    /// One of several that share `inner`.
    pub(crate) fn sharing(inner: MemoryEngine, sharing: &Arc<Sharing>, client: &str) -> Arc<Self> {
        let shared = Some((Arc::clone(sharing), client.to_owned()));
        Arc::new(Self { inner, shared, ..Self::default() })
    }

    /// One that was shut out does nothing.
    fn check_fence(&self) -> Result<(), EngineError> {
        let Some((sharing, client)) = &self.shared else { return Ok(()) };
        match sharing.fenced.lock().unwrap().contains(client) {
            true => Err(EngineError::Stopped("it was shut out".into())),
            false => Ok(()),
        }
    }

    /// Ends what a client has open.
    fn take_from(&self, client: &str) -> Result<(), EngineError> {
        let (sharing, _) = self.shared.as_ref().unwrap();
        let mut open = sharing.open.lock().unwrap();
        let its: Vec<VolumeId> =
            open.iter().filter(|(_, by)| *by == client).map(|(volume, _)| *volume).collect();
        for volume in its {
            self.inner.revoke(volume)?;
            open.remove(&volume);
        }
        Ok(())
    }

    /// Whether another has the volume open.
    fn is_elsewhere(&self, volume: VolumeId) -> bool {
        let Some((sharing, client)) = &self.shared else { return false };
        sharing.open.lock().unwrap().get(&volume).is_some_and(|by| by != client)
    }

    /// Looks at every call from now on, before it is made.
    pub(crate) fn look(
        &self,
        hook: impl Fn(Call) -> Result<(), EngineError> + Send + Sync + 'static,
    ) {
        *self.hook.lock().unwrap() = Some(Arc::new(hook));
    }

    pub(crate) fn look_away(&self) {
        *self.hook.lock().unwrap() = None;
    }

    /// Fails every call that `which` picks, as a full pool does.
    pub(crate) fn fail(&self, which: impl Fn(Call) -> bool + Send + Sync + 'static) {
        self.look(move |call| if which(call) { Err(EngineError::NoSpace) } else { Ok(()) });
    }

    /// Calls that were under way together and must not be.
    pub(crate) fn collisions(&self) -> Vec<(Call, Call)> {
        self.collisions.lock().unwrap().clone()
    }

    fn made<T>(
        &self,
        call: Call,
        make: impl FnOnce(&MemoryEngine) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        {
            let mut under_way = self.under_way.lock().unwrap();
            let collisions = under_way.iter().filter(|other| call.collides(**other));
            self.collisions.lock().unwrap().extend(collisions.map(|other| (call, *other)));
            under_way.push(call);
        }
        let hook = self.hook.lock().unwrap().clone();
        let outcome = hook
            .map_or(Ok(()), |hook| hook(call))
            .and_then(|()| self.check_fence())
            .and_then(|()| make(&self.inner));
        let mut under_way = self.under_way.lock().unwrap();
        let at = under_way.iter().position(|other| *other == call).unwrap();
        under_way.swap_remove(at);
        outcome
    }
}

impl Engine for TestEngine {
    fn create_volume(
        &self,
        op: OpId,
        volume: VolumeId,
        bytes: u64,
        key: Option<&DataKey>,
    ) -> Result<(), EngineError> {
        self.made(Call::Create(volume), |inner| inner.create_volume(op, volume, bytes, key))
    }

    fn fork(
        &self,
        op: OpId,
        source: SnapshotId,
        volume: VolumeId,
        bytes: u64,
    ) -> Result<(), EngineError> {
        self.made(Call::Fork(source, volume), |inner| inner.fork(op, source, volume, bytes))
    }

    fn create_snapshots(
        &self,
        op: OpId,
        pairs: &[(VolumeId, SnapshotId)],
    ) -> Result<(), EngineError> {
        let (volume, snapshot) = pairs[0];
        self.made(Call::Snapshot(volume, snapshot), |inner| inner.create_snapshots(op, pairs))
    }

    fn reset(&self, op: OpId, volume: VolumeId, target: SnapshotId) -> Result<(), EngineError> {
        self.made(Call::Reset(volume, target), |inner| inner.reset(op, volume, target))
    }

    fn grow(&self, op: OpId, volume: VolumeId, bytes: u64) -> Result<(), EngineError> {
        self.made(Call::Grow(volume), |inner| inner.grow(op, volume, bytes))
    }

    fn delete_volume(&self, op: OpId, volume: VolumeId) -> Result<(), EngineError> {
        self.made(Call::DeleteVolume(volume), |inner| inner.delete_volume(op, volume))
    }

    fn delete_snapshot(&self, op: OpId, snapshot: SnapshotId) -> Result<(), EngineError> {
        self.made(Call::DeleteSnapshot(snapshot), |inner| inner.delete_snapshot(op, snapshot))
    }

    fn open(
        &self,
        volume: VolumeId,
        key: Option<&DataKey>,
    ) -> Result<Arc<dyn Volume>, EngineError> {
        self.made(Call::Open(volume), |inner| {
            if self.is_elsewhere(volume) {
                return Err(EngineError::InUse(volume));
            }
            let handle = inner.open(volume, key)?;
            if let Some((sharing, client)) = &self.shared {
                sharing.open.lock().unwrap().insert(volume, client.clone());
            }
            Ok(handle)
        })
    }

    fn revoke(&self, volume: VolumeId) -> Result<(), EngineError> {
        self.made(Call::Revoke(volume), |inner| {
            inner.revoke(volume)?;
            if let Some((sharing, _)) = &self.shared {
                sharing.open.lock().unwrap().remove(&volume);
            }
            Ok(())
        })
    }

    fn stored_bytes(&self, snapshots: &[SnapshotId]) -> Result<u64, EngineError> {
        self.inner.stored_bytes(snapshots)
    }

    fn encrypts(&self) -> bool {
        !self.is_plain.load(Ordering::SeqCst)
    }

    fn shared_as(&self) -> Option<String> {
        self.shared.as_ref().map(|_| "memory".to_owned())
    }

    fn client(&self) -> String {
        self.shared.as_ref().map(|(_, client)| client.clone()).unwrap_or_default()
    }

    fn fence(&self, client: &str) -> Result<(), EngineError> {
        self.check_fence()?;
        let (sharing, _) = self.shared.as_ref().unwrap();
        sharing.fenced.lock().unwrap().insert(client.to_owned());
        self.take_from(client)
    }

    fn inventory(&self) -> Result<Inventory, EngineError> {
        self.inner.inventory()
    }

    fn health(&self) -> Result<(), EngineError> {
        self.inner.health()
    }

    fn close(&self) -> Result<(), EngineError> {
        let Some((sharing, client)) = &self.shared else { return self.inner.close() };
        // The others go on.
        sharing.fenced.lock().unwrap().insert(client.clone());
        self.take_from(client)
    }
}
