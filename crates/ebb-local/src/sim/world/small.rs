//! Operations with nothing left to chance, for small worlds.

use ebb_volume::{Io, SnapshotId, VolumeId};

use super::World;
use crate::layout::BLOCK;
use crate::planted::Planted;
use crate::pool::CheckpointStep;
use crate::record::Change;
use crate::sim::disk::SimDisk;
use crate::sim::model::{discard_units, write_units, zero_units};
use crate::storage::Storage;

/// Blocks of the volume.
const BLOCKS: usize = 3;

/// One operation. Bytes are changed in the volume that was made last; a reset goes to the oldest
/// snapshot, a fork is made of the newest, and a drop takes the oldest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sim) enum Small {
    Write,
    Zero,
    Discard,
    Snapshot,
    Reset,
    Fork,
    Drop,
    Flush,
    Checkpoint,
}

impl Small {
    pub(in crate::sim) const ALL: [Self; 9] = [
        Self::Write,
        Self::Zero,
        Self::Discard,
        Self::Snapshot,
        Self::Reset,
        Self::Fork,
        Self::Drop,
        Self::Flush,
        Self::Checkpoint,
    ];
}

impl World {
    /// A volume that was written, a snapshot of it, a write behind that, all of it durable and some
    /// of it in a checkpoint.
    pub(in crate::sim) fn small_start(
        disk: SimDisk,
        segment_blocks: u32,
        planted: Planted,
    ) -> Result<Self, String> {
        let mut world = Self::on(disk, segment_blocks, planted);
        world.open()?;
        let (volume, size_bytes) = (VolumeId(1), (BLOCKS * BLOCK) as u64);
        world.last_id = 1;
        world.ask_for(Change::CreateVolume { volume, size_bytes, key_check: None })?;
        for operation in [Small::Write, Small::Checkpoint, Small::Snapshot, Small::Write] {
            world.small(operation)?;
        }
        world.end_process();
        world.disk.sync().map_err(|error| error.to_string())?;
        world.open()?;
        world.end_process();
        Ok(world)
    }

    /// A world that goes on from here on a disk of its own. There must be no process.
    pub(in crate::sim) fn fork(&self) -> Self {
        Self {
            cache_bytes: self.cache_bytes,
            keys: self.keys.clone(),
            reserve_segments: self.reserve_segments,
            walk_pages: self.walk_pages,
            model: self.model.clone(),
            last_id: self.last_id,
            last_op: self.last_op,
            unanswered: self.unanswered.clone(),
            vitals: self.vitals,
            story: self.story.clone(),
            ..Self::on(self.disk.fork(), self.geometry.segment_blocks, self.planted)
        }
    }

    /// Does one, and what the engine's threads would do next. Nothing if there is nothing to do it
    /// to, and as much as it can once the disk is dead.
    pub(in crate::sim) fn small(&mut self, operation: Small) -> Result<(), String> {
        self.tell(format!("{operation:?}"));
        match operation {
            Small::Write | Small::Zero | Small::Discard | Small::Flush => self.small_io(operation),
            Small::Checkpoint => self.small_checkpoint()?,
            _ => {
                if let Some(change) = self.small_choice(operation) {
                    self.ask_for(change)?;
                }
            }
        }
        let pool = self.pool()?;
        pool.write_all();
        while pool.sync_step() {}
        self.settle()?;
        if self.disk.is_dead() {
            return Ok(());
        }
        self.model.compare(&self.image()?)
    }

    fn small_io(&mut self, operation: Small) {
        let Some(volume) = self.model.live.volumes.keys().next_back().copied() else {
            return;
        };
        let Some(volume) = self.opened(volume) else {
            return;
        };
        let fua = false;
        // From the middle of one block into the next, and whole blocks.
        let (at, many) = match operation {
            Small::Zero => (BLOCK / 2, 2 * BLOCK),
            Small::Discard => (BLOCK / 2, 3 * BLOCK / 2),
            _ => (0, 2 * BLOCK),
        };
        let (offset, length) = (at as u64, many as u64);
        match operation {
            Small::Zero => {
                let units = zero_units(volume, at, many);
                self.submit(volume, Io::Zero { offset, length, fua }, units, fua);
            }
            Small::Discard => {
                let units = discard_units(volume, at, many);
                self.submit(volume, Io::Discard { offset, length, fua }, units, fua);
            }
            Small::Flush => self.submit(volume, Io::Flush, Vec::new(), true),
            _ => {
                // Other bytes in each sector and each time.
                let stamp = self.model.len() as u8 + 1;
                let byte = |i: usize| stamp.wrapping_mul(37) ^ (i / 512) as u8 | 0x80;
                let data: Vec<u8> = (0..many).map(byte).collect();
                let units = write_units(volume, at, &data);
                let data = data.into();
                self.submit(volume, Io::Write { offset, data, fua }, units, fua);
            }
        }
    }

    fn small_choice(&mut self, operation: Small) -> Option<Change> {
        let live = &self.model.live;
        let volume = live.volumes.keys().next_back().copied().map(VolumeId)?;
        let mut snapshots = live.snapshots.keys().copied().map(SnapshotId);
        let (oldest, newest) = (snapshots.clone().next(), snapshots.next_back());
        let id = self.last_id + 1;
        let change = match operation {
            Small::Snapshot => Change::CreateSnapshots { pairs: vec![(volume, SnapshotId(id))] },
            Small::Reset => Change::Reset { volume, target: oldest? },
            Small::Fork => {
                let size_bytes = (BLOCKS * BLOCK) as u64;
                Change::Fork { source: newest?, volume: VolumeId(id), size_bytes }
            }
            Small::Drop => Change::DeleteSnapshot { snapshot: oldest? },
            _ => return None,
        };
        self.last_id = id;
        Some(change)
    }

    /// As many as there is anything to do for: what the first one frees the second gives away.
    fn small_checkpoint(&mut self) -> Result<(), String> {
        let pool = self.pool()?;
        loop {
            match pool.checkpoint_step() {
                CheckpointStep::More | CheckpointStep::Finished => {}
                CheckpointStep::Idle => return self.take_answers(),
                CheckpointStep::Waits if self.disk.is_dead() => return self.take_answers(),
                step => return Err(format!("a checkpoint came to {step:?}")),
            }
        }
    }
}
