//! Comparing the pool with the model.

use ebb_volume::{IoError, VolumeId};

use super::World;
use crate::check::check_storage;
use crate::layout::{BLOCK, SLOTS};
use crate::planted::Bug;
use crate::sim::model::State;
use crate::storage::Storage;

impl World {
    pub(super) fn check_live(&mut self) -> Result<(), String> {
        self.settle()?;
        if self.disk.is_dead() || self.pool()?.health().is_err() {
            return Ok(());
        }
        self.model.compare(&self.image()?)
    }

    /// All volumes and snapshots as the pool has them.
    pub(super) fn image(&self) -> Result<State, String> {
        let pool = self.pool()?;
        let mut image = State::default();
        let inventory = pool.inventory().map_err(|error| error.to_string())?;
        for info in inventory.volumes {
            let bytes = pool.volume_bytes(info.id, &self.keys);
            let bytes = bytes.map_err(|error| format!("{:?}: {error}", info.id))?;
            image.volumes.insert(info.id.0, bytes);
        }
        for info in inventory.snapshots {
            let bytes = pool.snapshot_bytes(info.id, &self.keys);
            let bytes = bytes.map_err(|error| format!("{:?}: {error}", info.id))?;
            image.snapshots.insert(info.id.0, bytes.into());
        }
        Ok(image)
    }

    /// All that the pool's file says of itself agrees.
    pub(super) fn check_pool(&self) -> Result<(), String> {
        if self.disk.is_dead() {
            return Ok(());
        }
        let report = check_storage(&self.disk).map_err(|error| error.to_string())?;
        match report.findings.first() {
            Some(finding) => Err(format!("the check found: {finding}")),
            None => Ok(()),
        }
    }

    /// What was written, or an error: never other bytes.
    pub(super) fn check_damaged(&self) -> Result<(), String> {
        let pool = self.pool()?;
        for (volume, bytes) in &self.model.live.volumes {
            match pool.volume_bytes(VolumeId(*volume), &self.keys) {
                Ok(found) if found != *bytes => {
                    return Err(format!("volume {volume}: damaged bytes were returned"));
                }
                Ok(_) | Err(IoError::Corrupt) => {}
                Err(error) => return Err(format!("damage gave {error:?}")),
            }
        }
        Ok(())
    }

    /// Whether losing one of the slots must not matter. They differ only after a crash between the
    /// two; a pool that never writes the second one is not excused by that.
    pub(super) fn slots_agree(&self) -> bool {
        self.planted.bug == Some(Bug::SkipSecondSlot) || self.same_slots()
    }

    pub(super) fn same_slots(&self) -> bool {
        let mut slots = [[0; BLOCK]; 2];
        for (slot, offset) in slots.iter_mut().zip(SLOTS) {
            if self.disk.read_at(offset, slot).is_err() {
                return false;
            }
        }
        slots[0] == slots[1]
    }
}
