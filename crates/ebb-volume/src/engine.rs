//! The control side of an engine: versions of volumes.

use std::fmt;
use std::sync::Arc;

use crate::{DataKey, IoError, Volume};

/// A volume's id: chosen by the caller, never used again, not even after the volume is deleted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VolumeId(pub u64);

/// A snapshot's id: chosen by the caller, never used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotId(pub u64);

/// What clients of a volume call the snapshots that it can be compared with.
pub trait SnapshotNames: Send + Sync {
    /// All there are now, in the order in which they were taken.
    fn names(&self) -> Vec<String>;

    /// The snapshot of this name.
    fn find(&self, name: &str) -> Option<SnapshotId>;
}

/// Of a volume that is compared with none.
impl SnapshotNames for () {
    fn names(&self) -> Vec<String> {
        Vec::new()
    }

    fn find(&self, _name: &str) -> Option<SnapshotId> {
        None
    }
}

/// Names one change for ever, so that asking for it twice does it once.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct OpId(pub [u8; 16]);

impl fmt::Debug for VolumeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "volume {:016x}", self.0)
    }
}

impl fmt::Debug for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "snapshot {:016x}", self.0)
    }
}

impl fmt::Debug for OpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "op {:032x}", u128::from_be_bytes(self.0))
    }
}

/// Everything an engine holds. The caller's records are compared with it after a crash.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Volumes, in no order.
    pub volumes: Vec<VolumeInfo>,
    /// Snapshots, in no order.
    pub snapshots: Vec<SnapshotInfo>,
}

/// One volume, as [`Engine::inventory`] reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VolumeInfo {
    /// Its id.
    pub id: VolumeId,
    /// Its size, a multiple of [`BLOCK_BYTES`](crate::BLOCK_BYTES).
    pub size_bytes: u64,
    /// Whether it takes a key to open it.
    pub encrypted: bool,
}

/// One snapshot, as [`Engine::inventory`] reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotInfo {
    /// Its id.
    pub id: SnapshotId,
    /// The size of the volume when it was taken.
    pub size_bytes: u64,
    /// Whether its bytes are encrypted, with the key of the volume that it was taken of.
    pub encrypted: bool,
}

/// A store of volumes and their snapshots.
///
/// All calls block until their effect is durable, and may be made from any thread at the same time.
/// Creating a snapshot, forking and resetting cost the same whatever the volume's size and content.
pub trait Engine: Send + Sync {
    /// Makes an empty volume, which reads zero everywhere. With a key it is encrypted: whoever
    /// opens it has to bring the same key, of which the engine keeps what tells it from others.
    ///
    /// # Errors
    /// [`EngineError::BadSize`] unless `size_bytes` is a positive multiple of 4 KiB up to 64 TiB.
    fn create_volume(
        &self,
        op: OpId,
        volume: VolumeId,
        size_bytes: u64,
        key: Option<&DataKey>,
    ) -> Result<(), EngineError>;

    /// Makes a volume that reads as `source`, and zero beyond its end. It is encrypted if that is,
    /// with the same key.
    ///
    /// # Errors
    /// [`EngineError::BadSize`] also where `size_bytes` is less than the snapshot's.
    fn fork(
        &self,
        op: OpId,
        source: SnapshotId,
        volume: VolumeId,
        size_bytes: u64,
    ) -> Result<(), EngineError>;

    /// Freezes volumes as they are at one instant, the same for all of them. Handles stay open and
    /// writes go on: each is wholly before the instant or wholly after it.
    fn create_snapshots(
        &self,
        op: OpId,
        pairs: &[(VolumeId, SnapshotId)],
    ) -> Result<(), EngineError>;

    /// Makes `volume` read exactly as `target`, a snapshot of this or of any other volume, and zero
    /// beyond its end. The volume keeps its id and size; every snapshot stays. From then on it is
    /// encrypted as `target` is: with the key of that, or not at all.
    ///
    /// # Errors
    /// [`EngineError::InUse`] while a handle is open: see [`Engine::revoke`].
    /// [`EngineError::BadSize`] where the snapshot is larger than the volume.
    fn reset(&self, op: OpId, volume: VolumeId, target: SnapshotId) -> Result<(), EngineError>;

    /// Makes a volume larger; the new part reads zero. Open handles see it at once.
    fn grow(&self, op: OpId, volume: VolumeId, size_bytes: u64) -> Result<(), EngineError>;

    /// Deletes a volume; its snapshots stay. A volume that is not there is no error.
    ///
    /// # Errors
    /// [`EngineError::InUse`] while a handle is open.
    fn delete_volume(&self, op: OpId, volume: VolumeId) -> Result<(), EngineError>;

    /// Deletes a snapshot; volumes made from it and other snapshots stay. One that is not there is
    /// no error.
    fn delete_snapshot(&self, op: OpId, snapshot: SnapshotId) -> Result<(), EngineError>;

    /// Opens a volume for reading and writing. Any number of handles may be open; they see one
    /// content. Dropping a handle closes it.
    ///
    /// # Errors
    /// [`EngineError::WrongKey`] where an encrypted volume is opened with another key or none, or
    /// one that is not encrypted with any.
    fn open(&self, volume: VolumeId, key: Option<&DataKey>)
    -> Result<Arc<dyn Volume>, EngineError>;

    /// Ends every handle of a volume: returns when what they have under way is complete, and from
    /// then on each answers [`IoError::Stale`], for ever. This is what makes it certain that a
    /// client that was thought gone can not write after a reset.
    fn revoke(&self, volume: VolumeId) -> Result<(), EngineError>;

    /// Bytes that are stored for snapshots together: each block that one of them has counts once,
    /// however many of them have it, and whatever else has it. Holes count nothing, nor does what
    /// the engine keeps of its own.
    ///
    /// It takes time in what they have and do not share, and holds up nothing meanwhile.
    ///
    /// # Errors
    /// [`EngineError::NoSuchSnapshot`], also of one that is deleted meanwhile.
    fn stored_bytes(&self, snapshots: &[SnapshotId]) -> Result<u64, EngineError>;

    /// Whether a volume may have a key. Where none may, [`Engine::create_volume`] with one answers
    /// [`EngineError::NotSupported`].
    fn encrypts(&self) -> bool {
        true
    }

    /// Which volumes these are: engines that answer the same share them, on whatever machine each
    /// is. `None` where nobody else can have them.
    fn shared_as(&self) -> Option<String> {
        None
    }

    /// How an engine that shares these volumes calls this one in [`Engine::fence`]. It is another
    /// name each time an engine is opened.
    fn client(&self) -> String {
        String::new()
    }

    /// Shuts out another engine that shares these volumes, for ever: when this returns, what it has
    /// under way has happened or never will, and nothing that it begins takes effect. One that is
    /// shut out or gone already is no error.
    ///
    /// # Errors
    /// [`EngineError::NotSupported`] where nobody else can have them.
    fn fence(&self, _client: &str) -> Result<(), EngineError> {
        Err(EngineError::NotSupported("other users of its volumes"))
    }

    /// All volumes and snapshots.
    fn inventory(&self) -> Result<Inventory, EngineError>;

    /// `Err` once the engine has stopped answering for good, with the reason.
    fn health(&self) -> Result<(), EngineError>;

    /// Makes everything durable and stops: later calls answer [`EngineError::Stopped`].
    fn close(&self) -> Result<(), EngineError>;
}

/// Why an engine refused or failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The volume is not there.
    #[error("{0:?} is not there")]
    NoSuchVolume(VolumeId),
    /// The snapshot is not there.
    #[error("{0:?} is not there")]
    NoSuchSnapshot(SnapshotId),
    /// An id is taken already, by another operation.
    #[error("the id of a new volume or snapshot is taken already")]
    IdTaken,
    /// The size is not one that this call accepts.
    #[error("{0} bytes is not a size this operation accepts")]
    BadSize(u64),
    /// A handle of the volume is open.
    #[error("{0:?} has an open handle")]
    InUse(VolumeId),
    /// The volume is encrypted with another key than the one given, if one was; or a key was given
    /// and it is not encrypted.
    #[error("{0:?} can not be opened with this key")]
    WrongKey(VolumeId),
    /// There is no space for it; nothing changed.
    #[error("no space is left in the pool")]
    NoSpace,
    /// This engine can not do it.
    #[error("this engine does not support {0}")]
    NotSupported(&'static str),
    /// It could not be done now, and nothing has changed: the engine goes on, and may be asked for
    /// it again.
    #[error("{0}")]
    Failed(String),
    /// It may have happened, or may happen yet: to ask for it again with the same operation id
    /// tells, and makes it happen. The engine goes on.
    #[error("{0}")]
    OutcomeUnknown(String),
    /// What was read is not what was written.
    #[error("corrupt: {0}")]
    Corrupt(String),
    /// A write or a sync failed, or the engine was closed: it answers nothing more until reopened.
    #[error("the engine has stopped: {0}")]
    Stopped(String),
}

impl From<IoError> for EngineError {
    fn from(error: IoError) -> Self {
        match error {
            IoError::NoSpace => Self::NoSpace,
            IoError::Corrupt => Self::Corrupt("a block does not match its checksum".into()),
            other => Self::Stopped(other.to_string()),
        }
    }
}
