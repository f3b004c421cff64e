//! A handle: one client's way to a head.

use std::num::NonZeroUsize;
use std::sync::Arc;

use ebb_volume::{
    Completion, Difference, EngineError, Extent, ExtentList, Io, IoError, SnapshotId, Volume,
    VolumeId,
};

use crate::extents::{self, Asked};
use crate::head::Head;
use crate::records::{Records, SnapshotRow, snapshot_key};
use crate::views::{Version, Views};

pub(crate) struct Handle {
    pub(crate) head: Arc<Head>,
    pub(crate) generation: u64,
    pub(crate) looks: Arc<Looks>,
}

/// What the handles of an engine look at versions with. It holds the connection, so it ends with
/// the handle, on the thread that drops it, and is in no request.
pub(crate) struct Looks {
    pub(crate) records: Records,
    pub(crate) views: Views,
}

impl Volume for Handle {
    fn id(&self) -> VolumeId {
        self.head.volume
    }

    fn size_bytes(&self) -> u64 {
        self.head.size_bytes()
    }

    fn submit(&self, io: Io, done: Completion) {
        self.head.submit(self.generation, io, done);
    }

    fn extents(
        &self,
        offset: u64,
        length: u64,
        most: NonZeroUsize,
    ) -> Result<Vec<Extent>, IoError> {
        let asked = Asked { offset, length, most };
        self.look(asked, |head| extents::stored(head, asked)).map(ExtentList::into_extents)
    }

    fn changed(
        &self,
        since: SnapshotId,
        offset: u64,
        length: u64,
        most: NonZeroUsize,
    ) -> Result<Vec<Difference>, IoError> {
        let asked = Asked { offset, length, most };
        self.head.check(self.generation, offset, length)?;
        let row: Option<SnapshotRow> =
            self.looks.records.row(&snapshot_key(since)).map_err(failed)?;
        let row = row.ok_or(IoError::NoSnapshot)?;
        let views = &self.looks.views;
        loop {
            let then = views.snapshot(since, &row).map_err(failed)?;
            let differences = self.look(asked, |head| {
                let between = views.between(head, &then)?;
                extents::changed(head, &then, &between, asked)
            })?;
            if views.holds(&then).map_err(failed)? {
                return Ok(differences.into_differences());
            }
        }
    }
}

impl Handle {
    /// Looks at the head as it is at one instant: where bytes change meanwhile, once more, with
    /// requests held back.
    fn look(
        &self,
        asked: Asked,
        look: impl Fn(&Version) -> Result<ExtentList, EngineError>,
    ) -> Result<ExtentList, IoError> {
        self.head.check(self.generation, asked.offset, asked.length)?;
        if asked.length == 0 {
            return Ok(ExtentList::new(asked.offset, 0, asked.most));
        }
        let once = || {
            let image = self.head.image().ok_or(IoError::Stale)?;
            let version = self.looks.views.head(image, self.head.size_bytes()).map_err(failed)?;
            look(&version).map_err(failed)
        };
        let before = self.head.quiet();
        if before.is_some() {
            let list = once()?;
            if self.head.quiet() == before {
                return Ok(list);
            }
        }
        let _frozen = self.head.freeze();
        self.head.check(self.generation, asked.offset, asked.length)?;
        once()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.head.dropped(self.generation);
    }
}

/// The reason is for the log: who reads or writes is told that it failed.
fn failed(error: EngineError) -> IoError {
    tracing::info!("a look at a volume failed: {error}");
    match error {
        EngineError::Corrupt(_) => IoError::Corrupt,
        _ => IoError::Failed,
    }
}
