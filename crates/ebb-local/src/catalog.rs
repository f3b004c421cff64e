//! The version tree: volumes, snapshots, and the map of each.
//!
//! ```text
//!   volume ─► head ─ parent ─► version of a snapshot ─ parent ─► …   each with a map's root
//! ```
//! A change is checked against the catalog, then logged, then applied; recovery applies the same
//! entries in the same order, so both come to the same catalog. Every change is one step here,
//! whatever the volume's size: maps are cloned by their root.
//!
//! A checkpoint writes the catalog as it was at one place of the log ([`table`]); recovery goes on
//! from there. A version that is dropped is only marked, here as in recovery: the next checkpoint
//! takes it out of the tree and its blocks back ([`drops`]).
//!
//! Deliberately not here: handles, which do not outlive the process.

pub(crate) mod drops;
mod remembered;
pub(crate) mod table;

use std::collections::{BTreeMap, VecDeque};

use ebb_volume::{
    BLOCK_BYTES, EngineError, Inventory, MAX_VOLUME_BYTES, OpId, SnapshotId, SnapshotInfo,
    VolumeId, VolumeInfo,
};

use crate::cipher::{KeyCheck, Tag};
use crate::layout::Address;
use crate::map::{Map, Merged, Stored, Trash};
use crate::record::{Change, Entry, Placed};
use drops::Walk;
use remembered::Remembered;

/// A version's id, given in the order of their making.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct VersionId(u64);

#[derive(Debug, Clone)]
pub(crate) struct Version {
    parent: Option<VersionId>,
    /// When it was frozen. None for a head.
    epoch: Option<u32>,
    /// Nobody asks for it any more: the next checkpoint takes it out.
    is_dropped: bool,
    /// It is dropped and a checkpoint left it, as two or more versions stand on it: what they share
    /// was born in it.
    is_ghost: bool,
    pub(crate) map: Map,
}

#[derive(Debug, Clone)]
struct VolumeRecord {
    head: VersionId,
    size_bytes: u64,
    /// The operations that made it what it is.
    made_by: OpId,
    reset_by: Option<OpId>,
    grown_by: Option<OpId>,
}

#[derive(Debug, Clone)]
struct SnapshotRecord {
    version: VersionId,
    size_bytes: u64,
    made_by: OpId,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Catalog {
    versions: BTreeMap<VersionId, Version>,
    volumes: BTreeMap<VolumeId, VolumeRecord>,
    snapshots: BTreeMap<SnapshotId, SnapshotRecord>,
    /// What is left to do for versions that are gone, the oldest first.
    pub(crate) walks: VecDeque<Walk>,
    made: Remembered,
    epoch: u32,
    last_version: u64,
    /// The number of the memtable that was frozen last.
    last_frozen: u64,
    /// Blocks that were discarded since the last checkpoint.
    pub(crate) discarded_blocks: u64,
    /// Versions were dropped since the last checkpoint.
    pub(crate) has_dropped: bool,
    /// What memtables took of memory since they were last merged. Some of it may be free again.
    pub(crate) memtable_bytes: u64,
}

impl Catalog {
    /// The epoch in which blocks are born now.
    pub(crate) fn epoch(&self) -> u32 {
        self.epoch
    }

    pub(crate) fn size_bytes(&self, volume: VolumeId) -> Result<u64, EngineError> {
        match self.volumes.get(&volume) {
            Some(record) => Ok(record.size_bytes),
            None => Err(EngineError::NoSuchVolume(volume)),
        }
    }

    /// The map of a volume's head.
    pub(crate) fn head(&self, volume: VolumeId) -> Option<&Map> {
        let record = self.volumes.get(&volume)?;
        Some(&self.versions.get(&record.head)?.map)
    }

    /// The map of a snapshot, and its size.
    pub(crate) fn snapshot_map(&self, snapshot: SnapshotId) -> Option<(&Map, u64)> {
        let record = self.snapshots.get(&snapshot)?;
        Some((&self.versions.get(&record.version)?.map, record.size_bytes))
    }

    /// Of the key that a volume takes. None: it takes none.
    pub(crate) fn key_check(&self, volume: VolumeId) -> Result<Option<KeyCheck>, EngineError> {
        let map = self.head(volume).ok_or(EngineError::NoSuchVolume(volume))?;
        Ok(map.key_check)
    }

    fn is_sealed(&self, version: VersionId) -> bool {
        self.versions.get(&version).is_some_and(|version| version.map.key_check.is_some())
    }

    fn head_mut(&mut self, volume: VolumeId) -> Option<&mut Map> {
        let record = self.volumes.get(&volume)?;
        Some(&mut self.versions.get_mut(&record.head)?.map)
    }

    pub(crate) fn inventory(&self) -> Inventory {
        let volumes = self.volumes.iter().map(|(&id, record)| {
            let (size_bytes, encrypted) = (record.size_bytes, self.is_sealed(record.head));
            VolumeInfo { id, size_bytes, encrypted }
        });
        let snapshots = self.snapshots.iter().map(|(&id, record)| {
            let (size_bytes, encrypted) = (record.size_bytes, self.is_sealed(record.version));
            SnapshotInfo { id, size_bytes, encrypted }
        });
        Inventory { volumes: volumes.collect(), snapshots: snapshots.collect() }
    }

    /// Whether the change was made before, under the same [`OpId`] with the same arguments.
    pub(crate) fn was_made(&self, op: OpId, change: &Change) -> Result<bool, EngineError> {
        match self.made.get(op) {
            None => Ok(false),
            Some(made) if made == change.fingerprint() => Ok(true),
            Some(_) => Err(EngineError::IdTaken),
        }
    }

    /// Whether the change can be made. `Ok(false)`: there is nothing to do.
    pub(crate) fn check(&self, change: &Change) -> Result<bool, EngineError> {
        match change {
            Change::CreateVolume { volume, size_bytes, .. } => {
                self.check_new(*volume, *size_bytes, 0)
            }
            Change::Fork { source, volume, size_bytes } => {
                self.check_new(*volume, *size_bytes, self.snapshot(*source)?.size_bytes)
            }
            Change::CreateSnapshots { pairs } => self.check_snapshots(pairs),
            Change::Reset { volume, target } => {
                let target = self.snapshot(*target)?.size_bytes;
                if target > self.size_bytes(*volume)? {
                    return Err(EngineError::BadSize(target));
                }
                Ok(true)
            }
            Change::Grow { volume, size_bytes } => {
                let now = self.size_bytes(*volume)?;
                if !is_size(*size_bytes) || *size_bytes < now {
                    return Err(EngineError::BadSize(*size_bytes));
                }
                Ok(true)
            }
            Change::DeleteVolume { volume } => Ok(self.volumes.contains_key(volume)),
            Change::DeleteSnapshot { snapshot } => Ok(self.snapshots.contains_key(snapshot)),
        }
    }

    fn check_new(
        &self,
        volume: VolumeId,
        size_bytes: u64,
        least: u64,
    ) -> Result<bool, EngineError> {
        if !is_size(size_bytes) || size_bytes < least {
            return Err(EngineError::BadSize(size_bytes));
        }
        if self.volumes.contains_key(&volume) {
            return Err(EngineError::IdTaken);
        }
        Ok(true)
    }

    fn check_snapshots(&self, pairs: &[(VolumeId, SnapshotId)]) -> Result<bool, EngineError> {
        let mut asked = Vec::with_capacity(pairs.len());
        for (volume, snapshot) in pairs {
            self.size_bytes(*volume)?;
            if self.snapshots.contains_key(snapshot) {
                return Err(EngineError::IdTaken);
            }
            asked.push(*snapshot);
        }
        asked.sort_unstable();
        if asked.windows(2).any(|two| two[0] == two[1]) {
            return Err(EngineError::IdTaken);
        }
        Ok(!pairs.is_empty())
    }

    fn snapshot(&self, snapshot: SnapshotId) -> Result<&SnapshotRecord, EngineError> {
        match self.snapshots.get(&snapshot) {
            Some(record) => Ok(record),
            None => Err(EngineError::NoSuchSnapshot(snapshot)),
        }
    }

    /// Applies one entry of the log. `placed` is where its data blocks are.
    pub(crate) fn apply(&mut self, entry: &Entry, placed: &Placed<'_>, trash: &mut Trash) {
        match entry {
            Entry::Write(run) | Entry::WriteSealed(run) => {
                // Of a volume that was deleted while its write was under way nothing is kept.
                let Some(map) = self.head_mut(run.volume) else {
                    return;
                };
                let is_sealed = matches!(entry, Entry::WriteSealed(_));
                debug_assert_eq!(is_sealed, map.key_check.is_some(), "a write with another key");
                let mut taken = 0;
                for (i, crc) in placed.crcs.iter().enumerate() {
                    let stored = Stored {
                        address: Address::new(placed.segment_id, placed.first_block + i as u32),
                        birth: placed.epoch,
                        crc: *crc,
                        tag: placed.tags.get(i).copied().unwrap_or(Tag::NONE),
                    };
                    taken += map.insert(run.lba + i as u64, stored);
                }
                self.memtable_bytes += taken as u64;
            }
            Entry::Zero(run) | Entry::Discard(run) => {
                self.discarded_blocks += run.len;
                if let Some(map) = self.head_mut(run.volume) {
                    let taken = map.remove(run.lba..run.lba + run.len, trash);
                    self.memtable_bytes += taken as u64;
                }
            }
            Entry::Version(op, change) => {
                self.made.insert(*op, change.fingerprint());
                self.change(*op, change);
            }
            Entry::Start(_) => {}
        }
    }

    /// Makes a change that [`Catalog::check`] let through.
    fn change(&mut self, op: OpId, change: &Change) {
        match *change {
            Change::CreateVolume { volume, size_bytes, key_check } => {
                let map = Map::new(self.last_version + 1, key_check);
                let head = self.add_version(None, map);
                self.add_volume(volume, head, size_bytes, op);
            }
            Change::Fork { source, volume, size_bytes } => {
                if let Some(head) = self.head_from(source) {
                    self.add_volume(volume, head, size_bytes, op);
                }
            }
            Change::CreateSnapshots { ref pairs } => {
                for (volume, snapshot) in pairs {
                    self.freeze(*volume, *snapshot, op);
                }
                self.epoch += 1;
            }
            Change::Reset { volume, target } => {
                if let Some(head) = self.head_from(target)
                    && let Some(record) = self.volumes.get_mut(&volume)
                {
                    let dropped = std::mem::replace(&mut record.head, head);
                    self.made.supersede(record.reset_by.replace(op));
                    self.drop_version(dropped);
                }
            }
            Change::Grow { volume, size_bytes } => {
                if let Some(record) = self.volumes.get_mut(&volume) {
                    record.size_bytes = size_bytes;
                    self.made.supersede(record.grown_by.replace(op));
                }
            }
            Change::DeleteVolume { volume } => {
                if let Some(record) = self.volumes.remove(&volume) {
                    let made_by = [Some(record.made_by), record.reset_by, record.grown_by];
                    made_by.into_iter().for_each(|made| self.made.supersede(made));
                    self.drop_version(record.head);
                }
                self.made.supersede(Some(op));
            }
            Change::DeleteSnapshot { snapshot } => {
                if let Some(record) = self.snapshots.remove(&snapshot) {
                    self.made.supersede(Some(record.made_by));
                    self.drop_version(record.version);
                }
                self.made.supersede(Some(op));
            }
        }
    }

    fn add_volume(&mut self, volume: VolumeId, head: VersionId, size_bytes: u64, made_by: OpId) {
        let (reset_by, grown_by) = (None, None);
        let record = VolumeRecord { head, size_bytes, made_by, reset_by, grown_by };
        self.volumes.insert(volume, record);
    }

    fn add_version(&mut self, parent: Option<VersionId>, map: Map) -> VersionId {
        self.last_version += 1;
        let id = VersionId(self.last_version);
        let version = Version { parent, epoch: None, is_dropped: false, is_ghost: false, map };
        self.versions.insert(id, version);
        id
    }

    /// A new head that reads as `source`.
    fn head_from(&mut self, source: SnapshotId) -> Option<VersionId> {
        let parent = self.snapshots.get(&source)?.version;
        let map = self.versions.get(&parent)?.map.clone();
        self.epoch += 1;
        Some(self.add_version(Some(parent), map))
    }

    /// The volume's head becomes the snapshot's version; a new head stands on it.
    fn freeze(&mut self, volume: VolumeId, snapshot: SnapshotId, made_by: OpId) {
        let Some(record) = self.volumes.get(&volume) else {
            return;
        };
        let (version, size_bytes) = (record.head, record.size_bytes);
        let Some(frozen) = self.versions.get_mut(&version) else {
            return;
        };
        frozen.epoch = Some(self.epoch);
        let map = frozen.map.clone();
        let head = self.add_version(Some(version), map);
        if let Some(record) = self.volumes.get_mut(&volume) {
            record.head = head;
        }
        let record = SnapshotRecord { version, size_bytes, made_by };
        self.snapshots.insert(snapshot, record);
    }

    /// Recovery does the same, and must not read a page: so it is only marked.
    fn drop_version(&mut self, id: VersionId) {
        if let Some(version) = self.versions.get_mut(&id) {
            version.is_dropped = true;
            self.has_dropped = true;
        }
    }

    /// Takes out what was dropped, freezes the memtables of all that is left, and says what there
    /// is: what a checkpoint writes. The maps that nothing refers to any more come with it.
    /// Takes time in the number of versions, not in their size.
    pub(crate) fn capture(&mut self) -> (Self, Vec<Map>) {
        let gone = self.retire();
        for version in self.versions.values_mut() {
            self.last_frozen += 1;
            version.map.freeze(self.last_frozen);
        }
        (self.clone(), gone)
    }

    /// A version's map, and the birth of the pages that are made for it: when it was frozen, or for
    /// a head when the checkpoint began. Never the epoch in which they are written: by then a child
    /// may have been made that shares them.
    pub(crate) fn to_merge(&self, id: VersionId) -> (Map, u32) {
        let version = self.versions.get(&id).expect("what is captured stays");
        (version.map.clone(), version.epoch.unwrap_or(self.epoch))
    }

    /// Whether a version's parent has changes to be merged too: then into the same pages.
    pub(crate) fn is_merged_upon(&self, id: VersionId) -> bool {
        let parent = self.versions.get(&id).and_then(|version| version.parent);
        let parent = parent.and_then(|parent| self.versions.get(&parent));
        parent.is_some_and(|parent| parent.map.frozen.is_some())
    }

    pub(crate) fn lineage(&self, id: VersionId) -> u64 {
        self.versions.get(&id).map_or(0, |version| version.map.lineage)
    }

    /// The versions, parents before children.
    pub(crate) fn versions(&self) -> impl Iterator<Item = (VersionId, &Version)> {
        self.versions.iter().map(|(id, version)| (*id, version))
    }

    /// Goes over to the roots that a checkpoint made.
    pub(crate) fn install(&mut self, merged: &Merged, trash: &mut Trash) {
        for version in self.versions.values_mut() {
            version.map.install(merged, trash);
        }
    }
}

fn is_size(size_bytes: u64) -> bool {
    size_bytes > 0 && size_bytes.is_multiple_of(BLOCK_BYTES) && size_bytes <= MAX_VOLUME_BYTES
}

#[cfg(test)]
mod tests;
