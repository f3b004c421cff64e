//! The end of a world: everything is deleted, and all space has to come back.

use ebb_volume::{SnapshotId, VolumeId};

use super::World;
use crate::pool::CheckpointStep;
use crate::record::Change;

impl World {
    pub(super) fn delete_everything(&mut self) -> Result<(), String> {
        self.tell("everything is deleted".into());
        let snapshots: Vec<u64> = self.model.live.snapshots.keys().copied().collect();
        let volumes: Vec<u64> = self.model.live.volumes.keys().copied().collect();
        for snapshot in snapshots {
            self.ask_for(Change::DeleteSnapshot { snapshot: SnapshotId(snapshot) })?;
        }
        for volume in volumes {
            self.ask_for(Change::DeleteVolume { volume: VolumeId(volume) })?;
        }
        self.finish_space_work()?;
        // It may have failed again meanwhile.
        if self.disk.is_dead() || self.pool()?.health().is_err() {
            return Ok(());
        }
        if !self.model.live.volumes.is_empty() || !self.model.live.snapshots.is_empty() {
            return Ok(());
        }
        let (alive, used, free) = self.pool()?.space();
        // The tail of the log, the pages' segment and the tables are there still.
        match alive == 0 && used <= 4 && free == 0 {
            true => Ok(()),
            false => Err(format!(
                "of an empty pool {alive} blocks are alive, {used} extents used and {free} free"
            )),
        }
    }

    /// Takes checkpoints until there is nothing left to do for one.
    pub(super) fn finish_space_work(&mut self) -> Result<(), String> {
        let pool = self.pool()?;
        for _ in 0..10_000 {
            match pool.checkpoint_step() {
                CheckpointStep::More | CheckpointStep::Finished => {}
                CheckpointStep::Idle => return self.check_pool(),
                CheckpointStep::Waits => return Ok(()),
                CheckpointStep::GaveUp if self.disk.is_dead() => return Ok(()),
                CheckpointStep::GaveUp => return Err("a checkpoint was given up".into()),
            }
        }
        Err("checkpoints do not come to an end".into())
    }
}
