//! Snapshot import: a raw image kept elsewhere becomes a snapshot of a disk.
//!
//! The bytes go into a volume of their own, which is frozen at the end and deleted; the disk and
//! its content are not touched. A crash leaves a row that says progressing and a volume without a
//! row: the start makes the first failed and removes the second.

use std::sync::Arc;

use bytes::Bytes;
use ebb_domain::{
    Denied, DiskFound, DiskId, DiskStatus, Origin, Snapshot, SnapshotCategory, SnapshotId,
    SnapshotStatus, Timestamp, snapshot_name,
};
use ebb_store::{Durability, Tx};
use ebb_volume::{EngineError, SnapshotId as Version};

use crate::control::find_disk;
use crate::reconcile::op_of;
use crate::scratch::Scratch;
use crate::snapshot::accomplish;
use crate::{Control, ControlError, Step};

/// Which snapshot to import.
#[derive(Debug, Clone)]
pub struct ImportRequest {
    /// The disk it becomes a snapshot of, in any state.
    pub disk: DiskId,
    /// When it was taken.
    pub created_at: Timestamp,
    /// May be empty.
    pub name: String,
    /// Standard or Archive.
    pub category: SnapshotCategory,
}

/// An import under way: [`Import::write`] the image from its start, then [`Import::finish`]. One
/// that is dropped before leaves the snapshot failed.
pub struct Import {
    control: Arc<Control>,
    snapshot: Snapshot,
    /// Where it is gathered, until it has served its purpose.
    scratch: Option<Scratch>,
    size_bytes: u64,
    written_bytes: u64,
}

impl Control {
    /// The size of a disk of the root account.
    ///
    /// # Errors
    /// [`Denied::DiskNotFound`], or a failure.
    pub fn disk_size_bytes(&self, id: &DiskId) -> Result<u64, ControlError> {
        self.store.read(|tx| match find_disk(tx, self.root(), None, id)? {
            DiskFound::Here(disk) => Ok(disk.size_bytes()),
            DiskFound::Never | DiskFound::Deleted => Err(Denied::DiskNotFound.into()),
        })
    }

    /// Starts an import: the snapshot is there and progressing.
    ///
    /// # Errors
    /// The first refusal, or a failure, after which there is no snapshot.
    pub fn import_snapshot(
        self: &Arc<Self>,
        request: &ImportRequest,
    ) -> Result<Import, ControlError> {
        snapshot_name(&request.name)?;
        let (snapshot, size_bytes) =
            self.store.write::<_, ControlError>(Durability::Durable, |tx| {
                let disk = match find_disk(tx, self.root(), None, &request.disk)? {
                    DiskFound::Here(disk) if disk.status != DiskStatus::Deleting => disk,
                    _ => return Err(Denied::DiskNotFound.into()),
                };
                if !disk.category.has_snapshots() {
                    return Err(Denied::CategoryUnsupported.into());
                }
                if disk.encryption.is_some() {
                    return Err(Denied::EncryptedStays.into());
                }
                let snapshot = Snapshot {
                    name: request.name.clone(),
                    category: request.category,
                    created_at: request.created_at,
                    origin: Origin::Import,
                    ..self.new_snapshot(&disk)
                };
                tx.insert_snapshot(&snapshot)?;
                Ok((snapshot, disk.size_bytes()))
            })?;
        self.work.hold(snapshot.id.as_str());
        let mut import = Import {
            control: Arc::clone(self),
            snapshot,
            scratch: None,
            size_bytes,
            written_bytes: 0,
        };
        match Scratch::empty(self, size_bytes) {
            Ok(scratch) => import.scratch = Some(scratch),
            Err(error) => {
                self.store.write::<_, ControlError>(Durability::Recoverable, |tx| {
                    Ok(tx.remove_snapshot(import.id())?)
                })?;
                return Err(error.into());
            }
        }
        Ok(import)
    }
}

impl Import {
    /// The snapshot's id.
    #[must_use]
    pub fn id(&self) -> &SnapshotId {
        &self.snapshot.id
    }

    /// Bytes of the image that the disk has room for still.
    #[must_use]
    pub fn room_bytes(&self) -> u64 {
        self.size_bytes - self.written_bytes
    }

    /// Writes the next piece of the image. Pieces of zeros take no space.
    ///
    /// # Errors
    /// [`Denied::SizeNotOffered`] where the image is longer than the disk; a failure.
    pub fn write(&mut self, piece: Bytes) -> Result<(), ControlError> {
        let length = piece.len() as u64;
        if length > self.room_bytes() {
            return Err(Denied::SizeNotOffered.into());
        }
        let offset = self.written_bytes;
        self.written_bytes += length;
        let scratch = self.scratch.as_ref().expect("an import that is not finished has a volume");
        Ok(scratch.write(offset, piece).map_err(EngineError::from)?)
    }

    /// Ends the image: what it did not cover reads zero. The snapshot is accomplished and durable
    /// when this returns: the engine freezes the volume with a sync that covers every write before,
    /// then the outcome is committed with one.
    ///
    /// # Errors
    /// [`Denied::SnapshotNotFound`] where it was deleted meanwhile; a failure, after which it is
    /// failed.
    pub fn finish(mut self) -> Result<SnapshotId, ControlError> {
        let control = Arc::clone(&self.control);
        let scratch = self.scratch.take().expect("an import that is not finished has a volume");
        let version = Version(self.snapshot.version);
        let op = op_of("snapshot", version.0);
        control.engine.create_snapshots(op, &[(scratch.id(), version)])?;
        control.pass(Step::ImportVersionMade);
        drop(scratch);
        let kept =
            control.store.write(Durability::Durable, |tx| accomplish(tx, &self.snapshot.id))?;
        if !kept {
            // Its deletion may have come before there was a version to delete.
            control.engine.delete_snapshot(control.new_op(), version)?;
            return Err(Denied::SnapshotNotFound.into());
        }
        Ok(self.snapshot.id.clone())
    }
}

impl Drop for Import {
    fn drop(&mut self) {
        self.scratch = None;
        if let Err(error) = self.control.fail_import(&self.snapshot.id) {
            let snapshot = &self.snapshot.id;
            tracing::error!(%snapshot, %error, "a broken import could not be marked as failed");
        }
        self.control.work.let_go(self.snapshot.id.as_str());
    }
}

fn progressing(tx: &Tx<'_>, id: &SnapshotId) -> Result<Option<Snapshot>, ControlError> {
    Ok(tx.snapshot(id)?.filter(|found| found.status == SnapshotStatus::Progressing))
}

impl Control {
    /// Marks an import that is still progressing as failed, and removes what it left.
    pub(crate) fn fail_import(&self, id: &SnapshotId) -> Result<(), ControlError> {
        let Some(snapshot) = self.store.read(|tx| progressing(tx, id))? else { return Ok(()) };
        // In this order: a failed row is never looked at again, so nothing may be left to remove.
        self.engine.delete_snapshot(self.new_op(), Version(snapshot.version))?;
        self.store.write(Durability::Durable, |tx| {
            let Some(mut snapshot) = progressing(tx, id)? else { return Ok(()) };
            snapshot.status = SnapshotStatus::Failed;
            Ok(tx.save_snapshot(&snapshot)?)
        })
    }
}
