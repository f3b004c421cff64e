//! A handle on an open volume.

use std::num::NonZeroUsize;
use std::sync::Arc;

use ebb_volume::{Completion, Extent, Io, IoError, Volume, VolumeId};

use crate::pool::{Guest, Pool};
use crate::storage::Storage;

/// Dropping it closes it.
pub(crate) struct Handle<S: Storage> {
    pool: Arc<Pool<S>>,
    volume: VolumeId,
    generation: u64,
}

impl<S: Storage> Handle<S> {
    pub(crate) fn new(pool: &Arc<Pool<S>>, volume: VolumeId, generation: u64) -> Self {
        Self { pool: Arc::clone(pool), volume, generation }
    }
}

impl<S: Storage> Volume for Handle<S> {
    fn id(&self) -> VolumeId {
        self.volume
    }

    fn size_bytes(&self) -> u64 {
        self.pool.size_bytes(self.volume)
    }

    /// Reads complete on this thread; so do changes, unless another thread is writing. Only what
    /// has to be durable completes on the sync thread.
    fn submit(&self, io: Io, done: Completion) {
        let change = |offset, guest, fua, done| {
            self.pool.change_bytes(self.volume, self.generation, offset, guest, fua, done);
        };
        match io {
            Io::Read { offset, length } => {
                self.pool.read(self.volume, self.generation, offset, length, done);
            }
            Io::Write { offset, data, fua } => change(offset, Guest::Write(data), fua, done),
            Io::Zero { offset, length, fua } => change(offset, Guest::Zero(length), fua, done),
            Io::Discard { offset, length, fua } => {
                change(offset, Guest::Discard(length), fua, done)
            }
            Io::Flush => self.pool.flush(self.volume, self.generation, done),
        }
    }

    fn extents(
        &self,
        offset: u64,
        length: u64,
        most: NonZeroUsize,
    ) -> Result<Vec<Extent>, IoError> {
        self.pool.extents(self.volume, self.generation, offset, length, most)
    }
}

impl<S: Storage> Drop for Handle<S> {
    fn drop(&mut self) {
        self.pool.close_handle(self.volume, self.generation);
    }
}
