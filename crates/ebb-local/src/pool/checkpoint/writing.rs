//! Writing blocks of pages and tables to segments of their own.

use std::sync::atomic::Ordering::Relaxed;

use super::schedule::PAUSE;
use super::{Halt, Pool, blocks_in};
use crate::layout::Segment;
use crate::map::page::Block;
use crate::meta::Meta;
use crate::segments::Class;
use crate::storage::Storage;

/// Ready segments that packing leaves: the one that the log names, one for tables, one for changes.
const SPARED: usize = 3;
/// Pages are written in pieces of so many bytes.
const WRITE_BYTES: usize = 256 << 10;
/// With so many of them unsynced a sync comes between, so that no flush waits for many more.
const UNSYNCED_BYTES: u64 = 16 << 20;

impl<S: Storage> Pool<S> {
    /// Places a block in a segment of pages; it is written there by and by.
    pub(super) fn put(&self, meta: &mut Meta, block: &Block) -> Result<(Segment, u32), Halt> {
        let segment_blocks = self.geometry.segment_blocks;
        if meta.is_full(segment_blocks) {
            self.write_pending(meta)?;
            meta.turn();
            if meta.is_full(segment_blocks) {
                meta.add(self.meta_segment()?);
            }
        }
        let placed = meta.place(block).expect("a segment with room was added");
        let blocks = meta.pending().map_or(0, |(_, _, bytes)| bytes.len());
        if blocks >= WRITE_BYTES {
            self.write_pending(meta)?;
        }
        Ok(placed)
    }

    pub(super) fn write_pending(&self, meta: &mut Meta) -> Result<(), Halt> {
        if !self.lock().may_checkpoint() {
            return Err(Halt::Stopped);
        }
        let Some((segment, block, bytes)) = meta.pending() else {
            return Ok(());
        };
        let offset = self.geometry.offset(segment.extent, block);
        self.storage
            .write_at(offset, &[bytes])
            .map_err(|error| self.stop_failed(&format!("writing pages: {error}")))?;
        self.counters.pages_written.fetch_add(blocks_in(bytes.len()), Relaxed);
        meta.written();
        self.sync_after(meta)
    }

    /// Syncs where much is written and not synced.
    pub(super) fn sync_after(&self, meta: &mut Meta) -> Result<(), Halt> {
        match meta.unsynced_bytes > UNSYNCED_BYTES {
            true => self.sync_meta(meta),
            false => Ok(()),
        }
    }

    pub(super) fn sync_meta(&self, meta: &mut Meta) -> Result<(), Halt> {
        self.storage
            .sync()
            .map_err(|error| self.stop_failed(&format!("syncing pages: {error}")))?;
        meta.unsynced_bytes = 0;
        Ok(())
    }

    /// A segment for pages.
    pub(super) fn meta_segment(&self) -> Result<Segment, Halt> {
        let segment = self.spare_segment()?;
        self.segments.insert(segment, Class::Meta);
        Ok(segment)
    }

    /// A written segment that is nothing yet, if enough stay for the tables and for what comes
    /// before the next checkpoint.
    pub(super) fn surplus_segment(&self) -> Result<Segment, Halt> {
        let mut state = self.lock();
        let surplus = if state.stock.ready > SPARED { state.stock.take_beside() } else { None };
        drop(state);
        self.segment_wanted.notify_one();
        surplus.ok_or(Halt::NoSpace)
    }

    /// A written segment that is nothing yet. Without threads it is made here.
    pub(super) fn spare_segment(&self) -> Result<Segment, Halt> {
        loop {
            let mut state = self.lock();
            if !state.may_checkpoint() {
                return Err(Halt::Stopped);
            }
            if let Some(segment) = state.stock.take_beside() {
                drop(state);
                self.segment_wanted.notify_one();
                return Ok(segment);
            }
            // That there is no more as usual says nothing yet.
            if !std::mem::replace(&mut state.stock.in_need, true) {
                state.stock.full = false;
            }
            if self.threaded() {
                self.segment_wanted.notify_one();
                if state.stock.full {
                    return Err(Halt::NoSpace);
                }
                drop(self.released.wait_timeout(state, PAUSE));
            } else {
                drop(state);
                if !self.stock_step() {
                    return Err(Halt::NoSpace);
                }
            }
        }
    }
}
