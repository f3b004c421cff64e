//! What only the simulator asks.

use std::sync::Arc;

use ebb_volume::{IoError, SnapshotId, VolumeId};

use super::Pool;
use super::checkpoint::Stage;
use super::pages::Looked;
use crate::cipher::Cipher;
use crate::map::Map;
use crate::session::Opened;
use crate::storage::Storage;

/// Numbers that never go back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Vitals {
    log_gen: u64,
    seq: u64,
    epoch: u32,
    segment_id: u64,
    last_segment_id: u64,
    pub(crate) written_extents: u64,
}

impl Vitals {
    /// Takes in which segments were used since.
    pub(crate) fn used(&mut self, since: Self) {
        self.last_segment_id = self.last_segment_id.max(since.last_segment_id);
    }

    /// Whether they grew from one opening to the next.
    pub(crate) fn grew_since(self, before: Self) -> bool {
        self.log_gen > before.log_gen
            && self.seq > before.seq
            && self.epoch >= before.epoch
            && self.segment_id > before.last_segment_id
    }
}

impl<S: Storage> Pool<S> {
    pub(crate) fn vitals(&self) -> Vitals {
        let state = self.lock();
        Vitals {
            log_gen: state.log.log_gen,
            seq: state.log.last.seq,
            epoch: state.catalog.epoch(),
            segment_id: state.log.segment.id,
            written_extents: state.stock.limits.written_extents,
            last_segment_id: state.log.segment.id.max(state.log.next.id),
        }
    }

    /// Whether an extent has to be written before it is used.
    pub(crate) fn is_cold(&self, extent: u64) -> bool {
        self.lock().stock.cold().contains(&extent)
    }

    /// Blocks that are alive, and extents that something is in or that are written for nothing.
    pub(crate) fn space(&self) -> (u64, u64, u64) {
        let alive = self.checkpointer().space.segments().map(|(_, b)| u64::from(b.len())).sum();
        let used = self.segments.extents().len() as u64;
        (alive, used, self.lock().stock.free.len() as u64)
    }

    /// What a checkpoint under way does next.
    pub(crate) fn checkpoint_stage(&self) -> Option<Stage> {
        self.checkpointer().stage()
    }

    /// All bytes of a volume, as they are written, decrypted with one of some keys.
    pub(crate) fn volume_bytes(
        &self,
        volume: VolumeId,
        keys: &[Arc<Cipher>],
    ) -> Result<Vec<u8>, IoError> {
        let size = self.size_bytes(volume);
        let state = self.lock();
        let cipher = key_of(state.catalog.head(volume).ok_or(IoError::Stale)?, keys);
        drop(state);
        let opened = Opened { volume, generation: 0, cipher };
        self.read_blocks(&opened, 0..size / ebb_volume::BLOCK_BYTES)
    }

    /// All bytes of a snapshot.
    pub(crate) fn snapshot_bytes(
        &self,
        snapshot: SnapshotId,
        keys: &[Arc<Cipher>],
    ) -> Result<Vec<u8>, IoError> {
        let state = self.lock();
        let (map, size) = state.catalog.snapshot_map(snapshot).ok_or(IoError::Stale)?;
        let blocks = 0..size / ebb_volume::BLOCK_BYTES;
        let looked = Looked::in_memory(map, blocks.clone());
        let cipher = key_of(map, keys);
        drop(state);
        self.fetch(&Opened { volume: VolumeId(0), generation: 0, cipher }, looked)
    }
}

fn key_of(map: &Map, keys: &[Arc<Cipher>]) -> Option<Arc<Cipher>> {
    let is_right = |key: &&Arc<Cipher>| Some(key.check()) == map.key_check;
    keys.iter().find(is_right).cloned()
}
