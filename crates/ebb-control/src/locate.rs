//! Which volume of the engine's a disk is: for an operator who looks for its bytes.

use ebb_domain::{Denied, DiskId, InstanceId, SnapshotId};

use crate::export::url_of;
use crate::{Control, ControlError};

/// What the records say of a disk, of whatever account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskVolume {
    /// The disk.
    pub disk: DiskId,
    /// The engine's id of its volume.
    pub volume: u64,
    /// The instances that it is attached to.
    pub instances: Vec<InstanceId>,
    /// Where it answers, if it does: the URL of its export, at whichever server has it.
    pub export_url: Option<String>,
    /// Its snapshots that are in the pool, oldest first, with the engine's ids of them.
    pub snapshots: Vec<(SnapshotId, u64)>,
}

impl Control {
    /// The volume of a disk.
    ///
    /// # Errors
    /// [`Denied::DiskNotFound`], or a failure.
    pub fn disk_volume(&self, id: &DiskId) -> Result<DiskVolume, ControlError> {
        self.store.read(|tx| {
            let disk = tx.disk(id)?.ok_or(Denied::DiskNotFound)?;
            let snapshots = tx.accomplished_snapshots(id)?.into_iter();
            let server = tx.export_servers(&[id])?.into_iter().next();
            Ok(DiskVolume {
                export_url: server.map(|(disk, nbd)| url_of(&disk, &nbd)),
                instances: disk.attachments.into_iter().map(|place| place.instance).collect(),
                snapshots: snapshots.map(|snapshot| (snapshot.id, snapshot.version)).collect(),
                volume: disk.volume,
                disk: disk.id,
            })
        })
    }
}
