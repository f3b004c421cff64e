//! Going over to a checkpoint that is durable, and giving away what it does not need any more.
//!
//! Readers go on meanwhile: each found its way by the maps before or by the new ones.
//!
//! ```text
//!   new maps ─► wait ─► new places ─► wait ─► extents are given away
//!               nobody is on the old maps     nobody reads at an old place
//! ```
//! The old places are good for both maps, the new ones only for the new maps.

use std::sync::atomic::Ordering::Relaxed;

use super::job::Job;
use super::{Checkpointer, Pool};
use crate::map::Trash;
use crate::storage::Storage;

impl<S: Storage> Pool<S> {
    pub(super) fn install(&self, job: Job, checkpointer: &mut Checkpointer) {
        let Job { memtable_bytes, covered_bytes, captured, gone, merged, packing, tables, .. } =
            job;
        let Some(tables) = tables else {
            unreachable!("a checkpoint without tables is not durable");
        };
        let mut trash = Trash::new();
        let mut state = self.lock();
        state.catalog.install(&merged, &mut trash);
        state.catalog.walks.clone_from(&captured.walks);
        state.tail_bytes -= covered_bytes;
        let walks_left = !captured.walks.is_empty();
        drop(state);
        // Who found a block by the old maps may look for its place still, also where it is dead in
        // the new ones: packing has left those out, and their segments go.
        self.readers.wait();
        self.segments.remove(&tables.dead);
        if !packing.places.is_empty() {
            self.segments.move_to(packing.places);
            // Who has a place from before reads there.
            self.readers.wait();
        }
        checkpointer.space.tables = tables.segments;

        let gave_space = !tables.freed.is_empty() || !tables.cold.is_empty();
        let mut state = self.lock();
        state.stock.give_back(tables.freed, &tables.cold);
        state.work_left |= walks_left || packing.left;
        if gave_space {
            // What there was no space for is tried again.
            state.stock.full = false;
        }
        state.stock.hopeless = None;
        state.stock.in_need = false;
        drop(state);
        self.segment_wanted.notify_one();
        checkpointer.to_punch.extend(tables.cold);
        self.counters.checkpoints.fetch_add(1, Relaxed);
        gone.into_iter().for_each(|map| map.throw_away(&mut trash));
        drop(captured);
        self.reap_bytes(trash, memtable_bytes);
        // Who waited for a shorter tail has no thread of their own to go on.
        if self.threaded() {
            self.write_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;
    use std::sync::atomic::Ordering::SeqCst;
    use std::thread;
    use std::time::{Duration, Instant};

    use ebb_volume::{Io, OpId, Volume, VolumeId};

    use super::*;
    use crate::file::PoolFile;
    use crate::layout::BLOCK;
    use crate::map::Found;
    use crate::pool::{CheckpointStep, Setup};
    use crate::record::Change;
    use crate::volume::Handle;

    const VOLUME: VolumeId = VolumeId(1);
    const BLOCKS: u64 = 1500;

    fn pool(directory: &std::path::Path) -> Arc<Pool<PoolFile>> {
        let setup = Setup { warm_segments: 4, ..Setup::by_hand(64) };
        Arc::new(Pool::open(PoolFile::open(directory, Some(0)).unwrap(), setup).unwrap())
    }

    fn write(pool: &Arc<Pool<PoolFile>>, block: u64) {
        let handle = Handle::new(pool, pool.open_handle(VOLUME, None).unwrap());
        let (offset, data) = (block * BLOCK as u64, vec![1; BLOCK].into());
        handle.submit(Io::Write { offset, data, fua: false }, Box::new(|_| {}));
        pool.write_all();
        while pool.stock_step() {}
        pool.write_all();
    }

    /// Also where the block is dead in the new maps, and packing leaves it out.
    #[test]
    fn who_found_a_block_by_the_old_maps_can_read_it_to_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let pool = pool(directory.path());
        let size_bytes = BLOCKS * BLOCK as u64;
        pool.change(
            OpId([1; 16]),
            Change::CreateVolume { volume: VOLUME, size_bytes, key_check: None },
        )
        .unwrap();
        (0..BLOCKS).for_each(|block| write(&pool, block));
        (0..BLOCKS).filter(|block| block % 3 > 0).for_each(|block| write(&pool, block));

        let reading = pool.readers.enter();
        let found = pool.lock().catalog.head(VOLUME).unwrap().look_up(0..1)[0];
        let Found::At(stored) = found else { panic!("it is in memory: {found:?}") };
        let is_there = || pool.segments.offset(pool.geometry, stored.address).is_some();
        write(&pool, 0);
        let ended = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while pool.checkpoint_step() != CheckpointStep::Finished {}
                ended.store(true, SeqCst);
            });
            // Until it waits for the reader, and a while longer.
            let mut begun = Instant::now();
            while begun.elapsed() < Duration::from_millis(300) {
                assert!(is_there(), "it went from under the reader");
                assert!(!ended.load(SeqCst), "it did not wait for the reader");
                if pool.counters.blocks_packed.load(Relaxed) == 0 {
                    begun = Instant::now();
                }
                thread::yield_now();
            }
            drop(reading);
        });
        assert!(!is_there(), "nothing was at stake: its segment was not packed");
    }
}
