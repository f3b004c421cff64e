//! A handle on an open volume.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;

use ebb_volume::{Completion, Difference, Extent, Io, IoError, SnapshotId, Volume, VolumeId};

use crate::pool::Pool;
use crate::session::Opened;
use crate::storage::Storage;

/// Dropping it closes it.
pub(crate) struct Handle<S: Storage> {
    pool: Arc<Pool<S>>,
    opened: Opened,
}

impl<S: Storage> Handle<S> {
    pub(crate) fn new(pool: &Arc<Pool<S>>, opened: Opened) -> Self {
        Self { pool: Arc::clone(pool), opened }
    }
}

impl<S: Storage> Volume for Handle<S> {
    fn id(&self) -> VolumeId {
        self.opened.volume
    }

    fn size_bytes(&self) -> u64 {
        self.pool.size_bytes(self.opened.volume)
    }

    fn submit(&self, io: Io, done: Completion) {
        self.pool.submit(&self.opened, io, done);
    }

    fn submit_all(&self, requests: Vec<(Io, Completion)>) {
        self.pool.submit_all(&self.opened, requests);
    }

    fn will_read(&self, ranges: &[Range<u64>]) {
        self.pool.will_read(self.opened.volume, ranges);
    }

    fn extents(
        &self,
        offset: u64,
        length: u64,
        most: NonZeroUsize,
    ) -> Result<Vec<Extent>, IoError> {
        self.pool.extents(&self.opened, offset, length, most)
    }

    fn changed(
        &self,
        since: SnapshotId,
        offset: u64,
        length: u64,
        most: NonZeroUsize,
    ) -> Result<Vec<Difference>, IoError> {
        self.pool.changed(&self.opened, since, offset, length, most)
    }
}

impl<S: Storage> Drop for Handle<S> {
    fn drop(&mut self) {
        self.pool.close_handle(&self.opened);
    }
}
