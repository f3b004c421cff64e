//! What a snapshot holds, piece by piece from its start, whether it is in the pool or the archive.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use ebb_domain::Snapshot;
use ebb_volume::{Io, SnapshotId as Version, Volume, run};

use crate::Control;
use crate::archive::Archived;
use crate::scratch::Scratch;
use crate::task_end::TaskEnd;

/// How long a piece is at most.
pub(crate) const PIECE_BYTES: u64 = 1 << 20;

/// Extents that are asked for at once.
const EXTENTS: NonZeroUsize = NonZeroUsize::new(256).expect("it is not zero");

/// Bytes at their place. What lies between two pieces reads zero.
pub(crate) struct Piece {
    pub(crate) offset: u64,
    pub(crate) bytes: Bytes,
}

pub(crate) enum Content {
    InPool(InPool),
    InArchive(Archived),
}

impl Content {
    pub(crate) fn of(control: &Arc<Control>, snapshot: &Snapshot) -> Result<Self, TaskEnd> {
        let size_bytes = snapshot.size_bytes();
        if snapshot.archived_bytes.is_some() {
            return Ok(Self::InArchive(Archived::open(control, &snapshot.id)?));
        }
        let encryption = snapshot.encryption.as_ref();
        let key = encryption.map(|one| control.data_key(&snapshot.account, one)).transpose()?;
        let version = Version(snapshot.version);
        let scratch = Scratch::of(control, version, size_bytes, key.as_ref())?;
        Ok(Self::InPool(InPool::new(Arc::clone(scratch.volume()), Some(scratch))))
    }

    /// What a volume holds that nobody writes to.
    pub(crate) fn of_volume(volume: Arc<dyn Volume>) -> Self {
        Self::InPool(InPool::new(volume, None))
    }

    /// The next piece; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Piece>, TaskEnd> {
        match self {
            Self::InPool(pool) => pool.next(),
            Self::InArchive(archived) => archived.next(),
        }
    }
}

pub(crate) struct InPool {
    volume: Arc<dyn Volume>,
    /// What goes once it is read. It stands behind its handle, as it goes after it.
    _scratch: Option<Scratch>,
    /// What is stored of what has been looked at and not read.
    stored: VecDeque<Range<u64>>,
    looked_to: u64,
    size_bytes: u64,
}

impl InPool {
    fn new(volume: Arc<dyn Volume>, scratch: Option<Scratch>) -> Self {
        let size_bytes = volume.size_bytes();
        Self { volume, _scratch: scratch, stored: VecDeque::new(), looked_to: 0, size_bytes }
    }

    fn next(&mut self) -> Result<Option<Piece>, TaskEnd> {
        while self.stored.is_empty() {
            if self.looked_to == self.size_bytes {
                return Ok(None);
            }
            self.look_further()?;
        }
        let first = self.stored.front_mut().expect("it is not empty");
        let (offset, length) = (first.start, (first.end - first.start).min(PIECE_BYTES));
        first.start += length;
        if first.is_empty() {
            self.stored.pop_front();
        }
        let length = u32::try_from(length).expect("a piece is short");
        let bytes = run(self.volume.as_ref(), Io::Read { offset, length })?;
        Ok(Some(Piece { offset, bytes }))
    }

    fn look_further(&mut self) -> Result<(), TaskEnd> {
        let length = self.size_bytes - self.looked_to;
        for extent in self.volume.extents(self.looked_to, length, EXTENTS)? {
            let end = self.looked_to + extent.length;
            if extent.stored {
                self.stored.push_back(self.looked_to..end);
            }
            self.looked_to = end;
        }
        Ok(())
    }
}
