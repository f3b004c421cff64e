//! What the engine knows, as rows of one RADOS object, `ebb_volumes`, in the pool and namespace.
//!
//! ```text
//!   v/<volume>        the image that is its head, its size, a rollback that is under way
//!   s/<snapshot>      the image and the image's snapshot that it is, its size
//!   i/<image>         the image's id and parent, whose head it is, how many snapshots are on it
//!   o/<operation>     what was asked for under this id, once it was done, and when
//!   d/<image>[@snap]  what the reaper has to shrink or remove
//!   f/<image>         which engine flattens it, and how far that is
//!   r/rollback        how many objects a second a rollback takes back
//! ```
//!
//! Every change is one write operation on that object: it compares the rows that it was decided by
//! with what they are now, and sets and removes rows, all or nothing, durably. That operation is
//! the commit point of every call of the engine, and of two that collide one finds that it lost
//! and decides again. Nothing is kept in memory, so any number of engines may use one pool.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use ebb_volume::{EngineError, OpId, SnapshotId, VolumeId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::ffi::{Pool, Row};

/// The object.
pub(crate) const OBJECT: &str = "ebb_volumes";

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VolumeRow {
    /// The image that is its head.
    pub(crate) image: String,
    pub(crate) size: u64,
    /// A rollback in place that has begun: the image's snapshot. It has to be done, from its
    /// beginning, before anything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rollback: Option<String>,
}

/// A snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SnapshotRow {
    pub(crate) image: String,
    /// The name and the number of the image's snapshot. Snapshots of one volume that were taken in
    /// one call have one.
    pub(crate) snap: String,
    pub(crate) id: u64,
    pub(crate) size: u64,
}

/// An image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ImageRow {
    /// What the names of its objects are made of.
    pub(crate) id: String,
    /// The volume whose head it is. None: a head that was left by a reset, or a deleted volume's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) head_of: Option<u64>,
    /// The image and the number of its snapshot that it is a clone of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) parent: Option<(String, u64)>,
    /// The image that its lineage began with: versions of one lineage have blocks in common.
    pub(crate) root: String,
    /// When it was made, in seconds of Unix's time; 0 where it was not written down.
    #[serde(default)]
    pub(crate) since: u64,
    /// How many clones were made of it: one that comes while it is flattened is seen by that.
    #[serde(default)]
    pub(crate) clones: u64,
    /// By the number of the image's snapshot, how many of our snapshots it is.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) snaps: BTreeMap<u64, u64>,
    /// The newest snapshots at the times of rollbacks in place: what came next differs from them
    /// by more than what was written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) rolled: Vec<u64>,
}

/// What the reaper has to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReapRow {
    pub(crate) what: Reap,
    /// When it was written, in seconds of Unix's time.
    pub(crate) since: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Reap {
    /// An image or a snapshot that a call is making; nothing names it before the call's commit,
    /// which takes this row away. Removed only long after, when that call is surely gone.
    Unfinished,
    /// A head that was left, of an image whose snapshots stay: it is made empty.
    Shrink,
    /// An image or a snapshot that nothing names any more.
    Remove,
}

impl ReapRow {
    pub(crate) fn now(what: Reap) -> Self {
        Self { what, since: now() }
    }
}

/// An operation that was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum OpRow {
    Done {
        asked: String,
        /// When, in seconds of Unix's time.
        at: u64,
    },
    /// Of before its time was kept.
    Timeless(String),
}

impl OpRow {
    pub(crate) fn now(asked: &str) -> Self {
        Self::Done { asked: asked.to_owned(), at: now() }
    }

    pub(crate) fn asked(&self) -> &str {
        match self {
            Self::Done { asked, .. } | Self::Timeless(asked) => asked,
        }
    }
}

/// An image that is being flattened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FlattenRow {
    /// The engine that does it, by a name that it has until it is closed.
    pub(crate) by: String,
    /// Counts up while it does: one that does not for long is gone.
    pub(crate) beat: u64,
    /// Objects that had to be copied when it began, and that are left.
    pub(crate) objects: u64,
    pub(crate) left: u64,
}

/// What is learned from rollbacks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct RateRow {
    pub(crate) objects_a_second: f64,
}

/// Seconds of Unix's time.
#[expect(clippy::disallowed_methods, reason = "a row's age is told to other processes")]
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

pub(crate) fn volume_key(volume: VolumeId) -> String {
    format!("v/{:016x}", volume.0)
}

pub(crate) fn snapshot_key(snapshot: SnapshotId) -> String {
    format!("s/{:016x}", snapshot.0)
}

pub(crate) fn image_key(image: &str) -> String {
    format!("i/{image}")
}

pub(crate) fn op_key(op: OpId) -> String {
    format!("o/{}", op_hex(op))
}

/// The key of what the reaper has to do about an image, or about one of its snapshots.
pub(crate) fn reap_key(image: &str, snap: Option<&str>) -> String {
    match snap {
        None => format!("d/{image}"),
        Some(snap) => format!("d/{image}@{snap}"),
    }
}

pub(crate) fn flatten_key(image: &str) -> String {
    format!("f/{image}")
}

/// The key of what is learned from rollbacks.
pub(crate) const RATE_KEY: &str = "r/rollback";

pub(crate) fn op_hex(op: OpId) -> String {
    format!("{:032x}", u128::from_be_bytes(op.0))
}

/// The number in a key of volumes or snapshots.
pub(crate) fn id_in(key: &str) -> Result<u64, EngineError> {
    let id = key.split_once('/').and_then(|(_, hex)| u64::from_str_radix(hex, 16).ok());
    id.ok_or_else(|| EngineError::Corrupt(format!("{OBJECT} has a row {key:?}")))
}

/// The rows.
#[derive(Clone)]
pub(crate) struct Records {
    pub(crate) pool: Arc<Pool>,
}

impl Records {
    /// Begins a change: rows that are read from now on are compared when it is committed.
    pub(crate) fn change(&self) -> Change<'_> {
        Change { records: self, compare: BTreeMap::new(), set: BTreeMap::new(), gone: Vec::new() }
    }

    /// One row, or `None`.
    pub(crate) fn row<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, EngineError> {
        let rows = self.pool.rows(OBJECT, &[key.to_owned()])?;
        rows.first().map(read).transpose()
    }

    /// All rows with keys that begin so.
    pub(crate) fn all<T: DeserializeOwned>(
        &self,
        prefix: &str,
    ) -> Result<Vec<(String, T)>, EngineError> {
        let (mut found, mut after) = (Vec::new(), String::new());
        loop {
            let (rows, more) = self.pool.rows_after(OBJECT, prefix, &after)?;
            for row in &rows {
                found.push((row.0.clone(), read(row)?));
            }
            match rows.last() {
                Some((last, _)) if more => after.clone_from(last),
                _ => return Ok(found),
            }
        }
    }

    pub(crate) fn image(&self, image: &str) -> Result<ImageRow, EngineError> {
        let row = self.row(&image_key(image))?;
        row.ok_or_else(|| EngineError::Corrupt(format!("{OBJECT} has no row of image {image}")))
    }
}

fn read<T: DeserializeOwned>((key, value): &Row) -> Result<T, EngineError> {
    let parsed = serde_json::from_slice(value);
    parsed.map_err(|error| EngineError::Corrupt(format!("{OBJECT}, row {key:?}: {error}")))
}

/// A change of rows that is being decided.
pub(crate) struct Change<'a> {
    records: &'a Records,
    compare: BTreeMap<String, Option<Vec<u8>>>,
    set: BTreeMap<String, Vec<u8>>,
    gone: Vec<String>,
}

impl Change<'_> {
    /// Reads a row, and holds the change to it.
    pub(crate) fn get<T: DeserializeOwned>(
        &mut self,
        key: String,
    ) -> Result<Option<T>, EngineError> {
        Ok(self.get_all(vec![key])?.pop().flatten())
    }

    /// Reads rows, and holds the change to them. One for each key, in their order.
    pub(crate) fn get_all<T: DeserializeOwned>(
        &mut self,
        keys: Vec<String>,
    ) -> Result<Vec<Option<T>>, EngineError> {
        let found: BTreeMap<String, Vec<u8>> =
            self.records.pool.rows(OBJECT, &keys)?.into_iter().collect();
        let mut rows = Vec::with_capacity(keys.len());
        for key in keys {
            let value = found.get(&key).cloned();
            let row = value.clone().map(|value| read(&(key.clone(), value))).transpose()?;
            rows.push(row);
            self.compare.entry(key).or_insert(value);
        }
        Ok(rows)
    }

    /// The volume, which has to be there.
    pub(crate) fn volume(&mut self, volume: VolumeId) -> Result<VolumeRow, EngineError> {
        self.get(volume_key(volume))?.ok_or(EngineError::NoSuchVolume(volume))
    }

    /// The snapshot, which has to be there.
    pub(crate) fn snapshot(&mut self, snapshot: SnapshotId) -> Result<SnapshotRow, EngineError> {
        self.get(snapshot_key(snapshot))?.ok_or(EngineError::NoSuchSnapshot(snapshot))
    }

    /// The image, which has to be there.
    pub(crate) fn image(&mut self, image: &str) -> Result<ImageRow, EngineError> {
        let row = self.get(image_key(image))?;
        row.ok_or_else(|| EngineError::Corrupt(format!("{OBJECT} has no row of image {image}")))
    }

    pub(crate) fn set(&mut self, key: String, row: &impl Serialize) -> Result<(), EngineError> {
        let value = serde_json::to_vec(row);
        let value = value.map_err(|error| EngineError::Corrupt(format!("{key:?}: {error}")))?;
        self.set.insert(key, value);
        Ok(())
    }

    pub(crate) fn remove(&mut self, key: String) {
        self.gone.push(key);
    }

    /// Makes the change. False: a row is not what it was when it was read; decide again.
    pub(crate) fn commit(self) -> Result<bool, EngineError> {
        let compare: Vec<_> = self.compare.into_iter().collect();
        let set: Vec<_> = self.set.into_iter().collect();
        let outcome = self.records.pool.change_rows(OBJECT, &compare, &set, &self.gone);
        outcome.map_err(|error| match EngineError::from(error) {
            // Whether it was done can not be told, so it is not for the caller to take back.
            EngineError::Failed(reason) => EngineError::OutcomeUnknown(reason),
            refused => refused,
        })
    }
}
