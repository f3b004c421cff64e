//! ResizeDisk.

use ebb_domain::{Denied, Disk, DiskId, ResizeFacts, ResizeType, check_resize};
use ebb_store::{Durability, Tx};
use ebb_volume::{EngineError, VolumeId};

use crate::control::{account, check_disk_quota, get_disk, instances_of};
use crate::{ClientToken, Control, ControlError, Scope, Step};

/// ResizeDisk.
#[derive(Debug, Clone)]
pub struct ResizeDisk {
    /// DiskId
    pub disk: DiskId,
    /// NewSize
    pub size_gib: i64,
    /// Type
    pub kind: ResizeType,
    /// ClientToken
    pub token: Option<ClientToken>,
}

impl Control {
    /// Makes a disk larger; the new part reads zero. It has the new size when this returns: the
    /// engine takes requests up to it, and a client that connects is told it.
    ///
    /// Durable by the record's commit. A start makes every volume as large as its record says, so
    /// the record is the intent, and the disk's status stays what it is, as ECS has it.
    ///
    /// # Errors
    /// The first refusal, or a failure, after which the disk is as it was.
    pub fn resize_disk(&self, scope: &Scope, request: &ResizeDisk) -> Result<(), ControlError> {
        let disk =
            self.store.write(Durability::Durable, |tx| self.intend_resize(tx, scope, request))?;
        self.pass(Step::ResizeIntended);
        let grown = self.grow_volume(disk.volume, disk.size_bytes());
        if grown.as_ref().is_err_and(ControlError::is_undone) {
            self.undo_resize(scope, request, &disk)?;
        }
        grown?;
        // Its ceilings are those of its size.
        self.settle(&disk.id)
    }

    /// The disk with its new size. The first call with the token may have been answered, or be
    /// under way: then it is there already, and to grow the volume twice does it once.
    fn intend_resize(
        &self,
        tx: &Tx<'_>,
        scope: &Scope,
        request: &ResizeDisk,
    ) -> Result<Disk, ControlError> {
        let region = self.given_region(scope)?;
        let mut disk = get_disk(tx, &scope.account, region.as_ref(), &request.disk)?;
        if self.replay(tx, &scope.account, request.token.as_ref())?.is_some() {
            return Ok(disk);
        }
        if tx.is_restricted(disk.category, &scope.account)? {
            return Err(Denied::NotOnWhiteList.into());
        }
        let facts = ResizeFacts {
            account: &account(tx, &scope.account)?,
            disk: &disk,
            unfinished_snapshot: tx.has_unfinished_snapshot(&disk.id)?,
            instances: &instances_of(tx, &disk)?,
        };
        let size_gib = check_resize(&facts, request.kind, request.size_gib)?;
        check_disk_quota(tx, facts.account, (size_gib - disk.size_gib).into())?;
        disk.size_gib = size_gib;
        tx.save_disk(&disk)?;
        self.remember(tx, &scope.account, request.token.as_ref(), vec![disk.id.to_string()])?;
        Ok(disk)
    }

    /// Makes a volume as large as its record says. Idempotent: one that is larger, as another call
    /// made it so meanwhile, stays.
    pub(crate) fn grow_volume(&self, volume: u64, bytes: u64) -> Result<(), ControlError> {
        match self.engine.grow(self.new_op(), VolumeId(volume), bytes) {
            Ok(()) | Err(EngineError::BadSize(_)) => Ok(()),
            // Deleted meanwhile.
            Err(EngineError::NoSuchVolume(_)) => Err(Denied::DiskNotFound.into()),
            Err(error) => Err(error.into()),
        }
    }

    /// The record says again what the volume has, unless it was made larger still, or deleted.
    fn undo_resize(
        &self,
        scope: &Scope,
        request: &ResizeDisk,
        intended: &Disk,
    ) -> Result<(), ControlError> {
        let held = self.engine.inventory()?.volumes;
        let volume = held.into_iter().find(|volume| volume.id.0 == intended.volume);
        self.store.write(Durability::Durable, |tx| {
            self.forget(tx, &scope.account, request.token.as_ref())?;
            let (Some(volume), Some(mut disk)) = (volume, tx.disk(&intended.id)?) else {
                return Ok(());
            };
            if disk.size_gib == intended.size_gib {
                disk.size_gib = (volume.size_bytes >> 30) as u32;
                tx.save_disk(&disk)?;
            }
            Ok(())
        })
    }
}
