//! The reference engine: every promise kept by the plainest code, nothing kept on disk.
//!
//! One lock, and one map of blocks for each volume and each snapshot, cloned by snapshot, fork and
//! reset. Every request is done when `submit` returns.
//!
//! Deliberately not here: speed, a snapshot clones the map of its volume; and encryption. Of a key
//! it keeps what tells it from others.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hasher};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::{
    BLOCK_BYTES, Completion, DataKey, Difference, Engine, EngineError, Extent, ExtentList,
    Inventory, Io, IoError, MAX_VOLUME_BYTES, OpId, SnapshotId, SnapshotInfo, Volume, VolumeId,
    VolumeInfo,
};

const BLOCK: usize = BLOCK_BYTES as usize;

/// An engine in memory: the plainest code that keeps the promises.
#[derive(Debug, Default)]
pub struct MemoryEngine {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    closed: bool,
    content: Content,
    /// Open handles by volume. A volume without an entry has never been opened.
    doors: BTreeMap<VolumeId, Door>,
    next_generation: u64,
}

/// What a real engine keeps on disk.
#[derive(Debug, Default, Clone)]
struct Content {
    volumes: BTreeMap<VolumeId, Image>,
    snapshots: BTreeMap<SnapshotId, Image>,
    changes: HashMap<OpId, Change>,
}

/// Which handles of a volume may still write.
#[derive(Debug, Default)]
struct Door {
    generation: u64,
    open: u64,
}

#[derive(Debug, Clone, Default)]
struct Image {
    size_bytes: u64,
    /// Of an encrypted volume.
    key_check: Option<u64>,
    blocks: BTreeMap<u64, Arc<[u8; BLOCK]>>,
}

/// A change with its arguments, to tell a repetition from another change under the same [`OpId`].
#[derive(Debug, Clone, PartialEq, Eq)]
enum Change {
    CreateVolume(VolumeId, u64, Option<u64>),
    Fork(SnapshotId, VolumeId, u64),
    CreateSnapshots(Vec<(VolumeId, SnapshotId)>),
    Reset(VolumeId, SnapshotId),
    Grow(VolumeId, u64),
    DeleteVolume(VolumeId),
    DeleteSnapshot(SnapshotId),
}

impl MemoryEngine {
    /// An engine without volumes.
    pub fn new() -> Self {
        Self::default()
    }

    /// An engine with the content of this one, as if both stood on one disk. Handles stay behind.
    pub fn reopen(&self) -> Self {
        let engine = Self::default();
        engine.shared.lock().content = self.shared.lock().content.clone();
        engine
    }

    /// A second way to this engine, for [`MemoryEngine::reopen`] once the first is gone.
    pub fn share(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }

    /// Makes `change`, unless it has been made already.
    fn change(&self, op: OpId, change: Change) -> Result<(), EngineError> {
        let mut state = self.shared.serving()?;
        match state.content.changes.get(&op) {
            Some(made) if *made == change => return Ok(()),
            Some(_) => return Err(EngineError::IdTaken),
            None => {}
        }
        state.apply(&change)?;
        state.content.changes.insert(op, change);
        Ok(())
    }
}

impl Engine for MemoryEngine {
    fn create_volume(
        &self,
        op: OpId,
        volume: VolumeId,
        size_bytes: u64,
        key: Option<&DataKey>,
    ) -> Result<(), EngineError> {
        self.change(op, Change::CreateVolume(volume, size_bytes, key.map(key_check)))
    }

    fn fork(
        &self,
        op: OpId,
        source: SnapshotId,
        volume: VolumeId,
        size_bytes: u64,
    ) -> Result<(), EngineError> {
        self.change(op, Change::Fork(source, volume, size_bytes))
    }

    fn create_snapshots(
        &self,
        op: OpId,
        pairs: &[(VolumeId, SnapshotId)],
    ) -> Result<(), EngineError> {
        self.change(op, Change::CreateSnapshots(pairs.to_vec()))
    }

    fn reset(&self, op: OpId, volume: VolumeId, target: SnapshotId) -> Result<(), EngineError> {
        self.change(op, Change::Reset(volume, target))
    }

    fn grow(&self, op: OpId, volume: VolumeId, size_bytes: u64) -> Result<(), EngineError> {
        self.change(op, Change::Grow(volume, size_bytes))
    }

    fn delete_volume(&self, op: OpId, volume: VolumeId) -> Result<(), EngineError> {
        self.change(op, Change::DeleteVolume(volume))
    }

    fn delete_snapshot(&self, op: OpId, snapshot: SnapshotId) -> Result<(), EngineError> {
        self.change(op, Change::DeleteSnapshot(snapshot))
    }

    fn open(
        &self,
        volume: VolumeId,
        key: Option<&DataKey>,
    ) -> Result<Arc<dyn Volume>, EngineError> {
        let mut state = self.shared.serving()?;
        if state.content.volume(volume)?.key_check != key.map(key_check) {
            return Err(EngineError::WrongKey(volume));
        }
        let fresh = state.fresh_generation();
        let door = state.doors.entry(volume).or_insert(Door { generation: fresh, open: 0 });
        door.open += 1;
        Ok(Arc::new(Handle {
            shared: Arc::clone(&self.shared),
            volume,
            generation: door.generation,
        }))
    }

    fn revoke(&self, volume: VolumeId) -> Result<(), EngineError> {
        // Requests are made whole under the lock, so none is under way here.
        let mut state = self.shared.serving()?;
        state.content.volume(volume)?;
        state.doors.remove(&volume);
        Ok(())
    }

    fn stored_bytes(&self, snapshots: &[SnapshotId]) -> Result<u64, EngineError> {
        let state = self.shared.serving()?;
        let mut blocks = BTreeSet::new();
        for snapshot in snapshots {
            let image = state.content.snapshot(*snapshot)?;
            blocks.extend(image.blocks.values().map(Arc::as_ptr));
        }
        Ok(blocks.len() as u64 * BLOCK_BYTES)
    }

    fn inventory(&self) -> Result<Inventory, EngineError> {
        let state = self.shared.serving()?;
        let volume = |(&id, image): (&VolumeId, &Image)| {
            let (size_bytes, encrypted) = (image.size_bytes, image.key_check.is_some());
            VolumeInfo { id, size_bytes, encrypted }
        };
        let snapshot = |(&id, image): (&SnapshotId, &Image)| {
            let (size_bytes, encrypted) = (image.size_bytes, image.key_check.is_some());
            SnapshotInfo { id, size_bytes, encrypted }
        };
        Ok(Inventory {
            volumes: state.content.volumes.iter().map(volume).collect(),
            snapshots: state.content.snapshots.iter().map(snapshot).collect(),
        })
    }

    fn health(&self) -> Result<(), EngineError> {
        self.shared.serving().map(|_| ())
    }

    fn close(&self) -> Result<(), EngineError> {
        self.shared.serving()?.closed = true;
        Ok(())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No code under this lock panics between two related changes.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serving(&self) -> Result<MutexGuard<'_, State>, EngineError> {
        let state = self.lock();
        if state.closed {
            return Err(EngineError::Stopped("it was closed".into()));
        }
        Ok(state)
    }
}

impl State {
    fn fresh_generation(&mut self) -> u64 {
        self.next_generation += 1;
        self.next_generation
    }

    fn not_in_use(&self, volume: VolumeId) -> Result<(), EngineError> {
        match self.doors.get(&volume) {
            Some(door) if door.open > 0 => Err(EngineError::InUse(volume)),
            _ => Ok(()),
        }
    }

    fn apply(&mut self, change: &Change) -> Result<(), EngineError> {
        match change {
            Change::CreateVolume(volume, size_bytes, key_check) => {
                let empty = Image { key_check: *key_check, ..Image::default() };
                self.content.add_volume(*volume, *size_bytes, &empty)
            }
            Change::Fork(source, volume, size_bytes) => {
                let source = self.content.snapshot(*source)?.clone();
                self.content.add_volume(*volume, *size_bytes, &source)
            }
            Change::CreateSnapshots(pairs) => self.content.add_snapshots(pairs),
            Change::Reset(volume, target) => {
                let size_bytes = self.content.volume(*volume)?.size_bytes;
                let target = self.content.snapshot(*target)?.clone();
                self.not_in_use(*volume)?;
                if target.size_bytes > size_bytes {
                    return Err(EngineError::BadSize(target.size_bytes));
                }
                self.doors.remove(volume);
                let image = Image { size_bytes, ..target };
                self.content.volumes.insert(*volume, image);
                Ok(())
            }
            Change::Grow(volume, size_bytes) => {
                let now = self.content.volume(*volume)?.size_bytes;
                if !is_size(*size_bytes) || *size_bytes < now {
                    return Err(EngineError::BadSize(*size_bytes));
                }
                if let Some(image) = self.content.volumes.get_mut(volume) {
                    image.size_bytes = *size_bytes;
                }
                Ok(())
            }
            Change::DeleteVolume(volume) => {
                self.not_in_use(*volume)?;
                self.doors.remove(volume);
                self.content.volumes.remove(volume);
                Ok(())
            }
            Change::DeleteSnapshot(snapshot) => {
                self.content.snapshots.remove(snapshot);
                Ok(())
            }
        }
    }
}

impl Content {
    fn volume(&self, volume: VolumeId) -> Result<&Image, EngineError> {
        self.volumes.get(&volume).ok_or(EngineError::NoSuchVolume(volume))
    }

    fn snapshot(&self, snapshot: SnapshotId) -> Result<&Image, EngineError> {
        self.snapshots.get(&snapshot).ok_or(EngineError::NoSuchSnapshot(snapshot))
    }

    fn add_volume(
        &mut self,
        volume: VolumeId,
        size_bytes: u64,
        source: &Image,
    ) -> Result<(), EngineError> {
        if !is_size(size_bytes) || size_bytes < source.size_bytes {
            return Err(EngineError::BadSize(size_bytes));
        }
        if self.volumes.contains_key(&volume) {
            return Err(EngineError::IdTaken);
        }
        let image = Image { size_bytes, ..source.clone() };
        self.volumes.insert(volume, image);
        Ok(())
    }

    fn add_snapshots(&mut self, pairs: &[(VolumeId, SnapshotId)]) -> Result<(), EngineError> {
        let mut made = BTreeMap::new();
        for (volume, snapshot) in pairs {
            let image = self.volume(*volume)?.clone();
            let taken = self.snapshots.contains_key(snapshot);
            if taken || made.insert(*snapshot, image).is_some() {
                return Err(EngineError::IdTaken);
            }
        }
        self.snapshots.append(&mut made);
        Ok(())
    }
}

/// Tells keys apart.
fn key_check(key: &DataKey) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(key.bytes());
    hasher.finish()
}

fn is_size(size_bytes: u64) -> bool {
    size_bytes > 0 && size_bytes.is_multiple_of(BLOCK_BYTES) && size_bytes <= MAX_VOLUME_BYTES
}

struct Handle {
    shared: Arc<Shared>,
    volume: VolumeId,
    generation: u64,
}

impl Volume for Handle {
    fn id(&self) -> VolumeId {
        self.volume
    }

    fn size_bytes(&self) -> u64 {
        let state = self.shared.lock();
        let image = state.content.volumes.get(&self.volume);
        image.map_or(0, |image| image.size_bytes)
    }

    fn submit(&self, io: Io, done: Completion) {
        let outcome = self.with_image(|image| image.perform(&io));
        done(outcome);
    }

    fn extents(
        &self,
        offset: u64,
        length: u64,
        most: NonZeroUsize,
    ) -> Result<Vec<Extent>, IoError> {
        self.with_image(|image| image.extents(offset, length, most))
    }

    fn changed(
        &self,
        since: SnapshotId,
        offset: u64,
        length: u64,
        most: NonZeroUsize,
    ) -> Result<Vec<Difference>, IoError> {
        let snapshot = self.shared.lock().content.snapshots.get(&since).cloned();
        self.with_image(|image| {
            image.check(offset, length)?;
            image.changed(&snapshot.ok_or(IoError::NoSnapshot)?, offset, length, most)
        })
    }
}

impl Handle {
    fn with_image<T>(
        &self,
        act: impl FnOnce(&mut Image) -> Result<T, IoError>,
    ) -> Result<T, IoError> {
        let mut state = self.shared.serving().map_err(|_| IoError::Failed)?;
        match state.doors.get(&self.volume) {
            Some(door) if door.generation == self.generation => {}
            _ => return Err(IoError::Stale),
        }
        let volumes = &mut state.content.volumes;
        act(volumes.get_mut(&self.volume).ok_or(IoError::Stale)?)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Some(door) = self.shared.lock().doors.get_mut(&self.volume)
            && door.generation == self.generation
        {
            door.open -= 1;
        }
    }
}

impl Image {
    fn perform(&mut self, io: &Io) -> Result<Bytes, IoError> {
        match io {
            Io::Read { offset, length } => {
                self.check(*offset, u64::from(*length))?;
                return Ok(self.read(*offset, *length as usize));
            }
            Io::Write { offset, data, .. } => {
                self.check(*offset, data.len() as u64)?;
                self.write(*offset, data);
            }
            Io::Zero { offset, length, .. } => {
                self.check(*offset, *length)?;
                self.zero(*offset, offset + length);
            }
            Io::Discard { offset, length, .. } => {
                self.check(*offset, *length)?;
                let end = (offset + length) / BLOCK_BYTES;
                self.remove(offset.div_ceil(BLOCK_BYTES), end);
            }
            Io::Flush => {}
        }
        Ok(Bytes::new())
    }

    fn extents(
        &self,
        offset: u64,
        length: u64,
        most: NonZeroUsize,
    ) -> Result<Vec<Extent>, IoError> {
        self.check(offset, length)?;
        let mut extents = ExtentList::new(offset, length, most);
        let end = offset + length;
        let blocks = offset / BLOCK_BYTES..end.div_ceil(BLOCK_BYTES);
        for (block, _) in self.blocks.range(blocks) {
            if extents.is_full() {
                break;
            }
            extents.reach(block * BLOCK_BYTES, false);
            extents.reach((block + 1) * BLOCK_BYTES, true);
        }
        extents.reach(end, false);
        Ok(extents.into_extents())
    }

    fn changed(
        &self,
        since: &Self,
        offset: u64,
        length: u64,
        most: NonZeroUsize,
    ) -> Result<Vec<Difference>, IoError> {
        let mut differences = ExtentList::new(offset, length, most);
        let end = offset + length;
        let range = offset / BLOCK_BYTES..end.div_ceil(BLOCK_BYTES);
        let stored = |image: &Self| -> BTreeSet<u64> {
            image.blocks.range(range.clone()).map(|(block, _)| *block).collect()
        };
        for block in &stored(self) | &stored(since) {
            if differences.is_full() {
                break;
            }
            let same = match (self.blocks.get(&block), since.blocks.get(&block)) {
                (Some(a), Some(b)) => Arc::ptr_eq(a, b),
                _ => false,
            };
            differences.reach(block * BLOCK_BYTES, false);
            differences.reach((block + 1) * BLOCK_BYTES, !same);
        }
        differences.reach(end, false);
        Ok(differences.into_differences())
    }

    fn check(&self, offset: u64, length: u64) -> Result<(), IoError> {
        match offset.checked_add(length) {
            Some(end) if end <= self.size_bytes => Ok(()),
            _ => Err(IoError::OutOfRange),
        }
    }

    fn read(&self, offset: u64, length: usize) -> Bytes {
        let mut bytes = vec![0; length];
        let mut at = 0;
        while at < length {
            let (block, within, piece) = piece(offset + at as u64, length - at);
            if let Some(stored) = self.blocks.get(&block) {
                bytes[at..at + piece].copy_from_slice(&stored[within..within + piece]);
            }
            at += piece;
        }
        bytes.into()
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        let mut at = 0;
        while at < data.len() {
            let (block, within, piece) = piece(offset + at as u64, data.len() - at);
            let stored = self.blocks.entry(block).or_insert_with(|| Arc::new([0; BLOCK]));
            Arc::make_mut(stored)[within..within + piece].copy_from_slice(&data[at..at + piece]);
            at += piece;
        }
    }

    fn zero(&mut self, offset: u64, end: u64) {
        let (first, last) = (offset.div_ceil(BLOCK_BYTES), end / BLOCK_BYTES);
        if first > last {
            // Within one block.
            self.write(offset, &vec![0; (end - offset) as usize]);
            return;
        }
        self.write(offset, &vec![0; (first * BLOCK_BYTES - offset) as usize]);
        self.remove(first, last);
        let tail = last * BLOCK_BYTES;
        self.write(tail, &vec![0; (end - tail) as usize]);
    }

    fn remove(&mut self, first: u64, end: u64) {
        if first < end {
            let stored: Vec<u64> = self.blocks.range(first..end).map(|(&b, _)| b).collect();
            for block in stored {
                self.blocks.remove(&block);
            }
        }
    }
}

/// The part of `length` bytes at `offset` that lies in one block: the block, where in it, how long.
fn piece(offset: u64, length: usize) -> (u64, usize, usize) {
    let within = (offset % BLOCK_BYTES) as usize;
    (offset / BLOCK_BYTES, within, length.min(BLOCK - within))
}
