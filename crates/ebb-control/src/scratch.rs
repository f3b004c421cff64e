//! A volume that no disk has: what comes in is gathered in one and frozen, what goes out is read
//! from one. It is deleted when it is dropped, unless a disk has it by then; after a crash the next
//! start does it.

use std::sync::Arc;

use bytes::Bytes;
use ebb_volume::{DataKey, EngineError, Io, IoError, SnapshotId as Version, Volume, VolumeId, run};

use crate::Control;
use crate::reconcile::op_of;

/// Compared with whole, as that is what processors do fast.
const ZEROS: [u8; 4096] = [0; 4096];

pub(crate) struct Scratch {
    control: Arc<Control>,
    id: VolumeId,
    /// Whether a disk has it from now on.
    kept: bool,
    /// `None` where nobody reads it, and once it is being dropped.
    handle: Option<Arc<dyn Volume>>,
}

impl Scratch {
    /// An empty one.
    pub(crate) fn empty(control: &Arc<Control>, size_bytes: u64) -> Result<Self, EngineError> {
        Self::sealed(control, size_bytes, None)
    }

    /// An empty one that is encrypted with that key, if there is one.
    pub(crate) fn sealed(
        control: &Arc<Control>,
        size_bytes: u64,
        key: Option<&DataKey>,
    ) -> Result<Self, EngineError> {
        let id = VolumeId(control.cluster.scratch_id());
        control.engine.create_volume(op_of("create", id.0), id, size_bytes, key)?;
        Self::open(control, id, key)
    }

    /// One that is as a version, to be frozen as it is: nobody reads it, so it needs no key.
    pub(crate) fn closed(
        control: &Arc<Control>,
        version: Version,
        size_bytes: u64,
    ) -> Result<Self, EngineError> {
        let id = VolumeId(control.cluster.scratch_id());
        control.engine.fork(op_of("create", id.0), version, id, size_bytes)?;
        Ok(Self { control: Arc::clone(control), id, kept: false, handle: None })
    }

    /// One that reads as a version, which is encrypted with that key, if there is one.
    pub(crate) fn of(
        control: &Arc<Control>,
        version: Version,
        size_bytes: u64,
        key: Option<&DataKey>,
    ) -> Result<Self, EngineError> {
        let id = VolumeId(control.cluster.scratch_id());
        control.engine.fork(op_of("create", id.0), version, id, size_bytes)?;
        Self::open(control, id, key)
    }

    fn open(
        control: &Arc<Control>,
        id: VolumeId,
        key: Option<&DataKey>,
    ) -> Result<Self, EngineError> {
        // Before it is opened, so that it goes also where it cannot be.
        let mut scratch = Self { control: Arc::clone(control), id, kept: false, handle: None };
        scratch.handle = Some(control.engine.open(id, key)?);
        Ok(scratch)
    }

    /// Lets nobody write to it any more, so that a disk may have it.
    pub(crate) fn close(&mut self) -> Result<(), EngineError> {
        self.handle = None;
        self.control.engine.revoke(self.id)
    }

    /// Leaves it to the disk that has it.
    pub(crate) fn keep(mut self) {
        self.kept = true;
    }

    pub(crate) fn id(&self) -> VolumeId {
        self.id
    }

    pub(crate) fn volume(&self) -> &Arc<dyn Volume> {
        self.handle.as_ref().expect("what is read was opened, and is not dropped yet")
    }

    /// Writes a piece. One of zeros takes no space: nothing was there before.
    pub(crate) fn write(&self, offset: u64, piece: Bytes) -> Result<(), IoError> {
        if piece.chunks(ZEROS.len()).any(|part| *part != ZEROS[..part.len()]) {
            run(self.volume().as_ref(), Io::Write { offset, data: piece, fua: false })?;
        }
        Ok(())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.handle = None;
        if self.kept {
            return;
        }
        let (engine, volume) = (&self.control.engine, self.id);
        let removed = engine
            .revoke(volume)
            .and_then(|()| engine.delete_volume(self.control.new_op(), volume));
        if let Err(error) = removed {
            tracing::warn!(?volume, %error, "a scratch volume stays until the next start");
        }
    }
}
