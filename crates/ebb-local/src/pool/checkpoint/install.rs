//! Going over to a checkpoint that is durable, and giving away what it does not need any more.
//!
//! Readers go on meanwhile: each found its way by the maps before or by the new ones. Both ways
//! stay good until nobody is left who may be on the old one, and only then are its extents given
//! away.

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
        self.segments.move_to(packing.places);
        self.readers.wait();
        self.segments.remove(&tables.dead);
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
