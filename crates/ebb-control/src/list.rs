//! What there is: lists for the Describe operations.

use std::collections::HashMap;

use ebb_domain::{Account, AccountId, Disk, DiskId, Instance, InstanceId, Snapshot};
use ebb_store::{DiskQuery, InstanceQuery, Page, SnapshotQuery};

use crate::control::account;
use crate::export::url_of;
use crate::{Control, ControlError};

impl Control {
    /// Disks that a query asks for.
    ///
    /// # Errors
    /// [`ebb_domain::Denied::NextToken`], or a failure.
    pub fn disks(&self, query: &DiskQuery) -> Result<Page<Disk>, ControlError> {
        Ok(self.store.read(|tx| tx.disks(query))?)
    }

    /// Where those of some disks answer that do: the URL of each one's export.
    ///
    /// # Errors
    /// A failure.
    pub fn export_urls(&self, disks: &[Disk]) -> Result<HashMap<DiskId, String>, ControlError> {
        let used = disks.iter().filter(|disk| !disk.attachments.is_empty());
        let ids: Vec<&DiskId> = used.map(|disk| &disk.id).collect();
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let found = self.store.read::<_, ControlError>(|tx| Ok(tx.export_servers(&ids)?))?;
        let entry = |(disk, nbd): (DiskId, String)| {
            let url = url_of(&disk, &nbd);
            (disk, url)
        };
        Ok(found.into_iter().map(entry).collect())
    }

    /// Snapshots that a query asks for.
    ///
    /// # Errors
    /// [`ebb_domain::Denied::NextToken`], or a failure.
    pub fn snapshots(&self, query: &SnapshotQuery) -> Result<Page<Snapshot>, ControlError> {
        Ok(self.store.read(|tx| tx.snapshots(query))?)
    }

    /// What each of some snapshots is used for: whether disks were made from it, and whether images
    /// name it.
    ///
    /// # Errors
    /// A failure.
    pub fn uses_of(&self, snapshots: &[Snapshot]) -> Result<Vec<(bool, bool)>, ControlError> {
        self.store.read(|tx| {
            let uses = |snapshot: &Snapshot| {
                Ok((tx.disks_made_from(&snapshot.id)? > 0, tx.has_images(&snapshot.id)?))
            };
            snapshots.iter().map(uses).collect()
        })
    }

    /// Instances that a query asks for.
    ///
    /// # Errors
    /// [`ebb_domain::Denied::NextToken`], or a failure.
    pub fn instances(&self, query: &InstanceQuery) -> Result<Page<Instance>, ControlError> {
        Ok(self.store.read(|tx| tx.instances(query))?)
    }

    /// The disks of an instance.
    ///
    /// # Errors
    /// A failure.
    pub fn disks_of(&self, id: &InstanceId) -> Result<Vec<Disk>, ControlError> {
        Ok(self.store.read(|tx| tx.disks_of_instance(id))?)
    }

    /// What an account has: GiB of disks, and how many instances of each type.
    ///
    /// # Errors
    /// A failure.
    pub fn usage(&self, id: &AccountId) -> Result<(u64, Vec<(String, u32)>), ControlError> {
        self.store.read(|tx| Ok((tx.disk_gib(id)?, tx.instance_types_of(id)?)))
    }

    /// The account of that id.
    ///
    /// # Errors
    /// A failure.
    pub fn account(&self, id: &AccountId) -> Result<Account, ControlError> {
        self.store.read(|tx| account(tx, id))
    }
}
