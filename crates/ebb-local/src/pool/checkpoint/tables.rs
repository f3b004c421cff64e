//! The tables of a checkpoint: what is left of the segments when it is durable, and then the bytes.
//!
//! A segment goes when nothing in it is alive and nothing will be written to it: no page segment
//! that is being filled, no segment of the log from J on, none with tables of this checkpoint.

use std::collections::{BTreeMap, BTreeSet};

use super::job::Job;
use super::packing::Packer;
use super::{Halt, Pool};
use crate::layout::Located;
use crate::meta::Meta;
use crate::planted::Bug;
use crate::segments::{Class, Row, table};
use crate::space::Space;
use crate::storage::Storage;
use crate::tables;

/// Tables that were written, and what is true with them.
pub(super) struct Tables {
    pub(super) last: Located,
    /// Segments that they lie in.
    pub(super) segments: BTreeSet<u64>,
    /// Segments that are none any more.
    pub(super) dead: BTreeSet<u64>,
    /// Extents that nothing is in any more, without those that go back to the host.
    pub(super) freed: BTreeSet<u64>,
    /// Extents that go back to the host.
    pub(super) cold: BTreeSet<u64>,
}

/// What is left of the segments.
struct Left {
    rows: BTreeMap<u64, Row>,
    dead: BTreeSet<u64>,
    freed: BTreeSet<u64>,
}

impl<S: Storage> Pool<S> {
    /// Writes what is left of the pages, and the tables behind them.
    pub(super) fn write_tables(
        &self,
        job: &mut Job,
        meta: &mut Meta,
        space: &Space,
        packer: &Packer,
    ) -> Result<bool, Halt> {
        self.write_pending(meta)?;
        if self.planted.has(Bug::WalksForgotten) {
            job.captured.walks.clear();
        }
        let catalog = job.captured.encode();
        let (mut left, mut stream);
        // The table of segments must have those in it that it is written to.
        loop {
            left = self.left(job, meta, space, packer);
            stream = catalog.clone();
            table::encode(&left.rows, space, &self.lock().stock.cold(), &mut stream);
            // A range at most for each extent that will be named cold on top.
            let more = left.freed.len() + self.lock().stock.free.len();
            let blocks = (stream.len() + 16 * more).div_ceil(tables::PAYLOAD_BYTES) as u64;
            if meta.room(self.geometry.segment_blocks) >= blocks {
                break;
            }
            meta.add(self.meta_segment()?);
        }
        let cold = self.choose_cold(&left.freed);
        let mut known_cold = self.lock().stock.cold();
        if !self.planted.has(Bug::PunchedCountsAsWritten) {
            known_cold.extend(&cold);
        }
        stream = catalog;
        table::encode(&left.rows, space, &known_cold, &mut stream);
        let (last, segments) = self.write_stream(&stream, meta)?;
        let freed: BTreeSet<u64> = left.freed.difference(&cold).copied().collect();
        if self.planted.has(Bug::ReleasedEarly) {
            self.lock().stock.give_back(freed.clone(), &cold);
        }
        job.tables = Some(Tables { last, segments, dead: left.dead, freed, cold });
        Ok(true)
    }

    fn left(&self, job: &Job, meta: &Meta, space: &Space, packer: &Packer) -> Left {
        let mut left =
            Left { rows: BTreeMap::new(), dead: BTreeSet::new(), freed: BTreeSet::new() };
        let mut used: BTreeSet<u64> = packer.open_extents().collect();
        for (id, row) in self.segments.rows().iter() {
            let is_tail = row.class == Class::Log && *id > job.at.segment.id;
            let is_filled = match row.class {
                Class::Log => *id < job.at.segment.id || self.planted.has(Bug::TailFreed),
                Class::Meta => !meta.has(*id) && !job.wrote.contains(id),
            };
            left.freed.extend(row.place.extents());
            if is_tail && !self.planted.has(Bug::TailFreed) {
                used.extend(row.place.extents());
            } else if is_filled && space.count(*id) == 0 {
                left.dead.insert(*id);
            } else {
                let place = job.packing.places.get(id).unwrap_or(&row.place).clone();
                used.extend(place.extents());
                left.rows.insert(*id, Row { class: row.class, place });
            }
        }
        left.freed.extend(&job.packing.closed);
        left.freed.retain(|extent| !used.contains(extent));
        left
    }

    /// Which free extents go back to the host: all that are not worth keeping, the last first.
    fn choose_cold(&self, freed: &BTreeSet<u64>) -> BTreeSet<u64> {
        let mut state = self.lock();
        let taken = std::mem::take(&mut state.stock.taken);
        let keep = if state.stock.is_short() { usize::MAX } else { taken };
        let mut free: BTreeSet<u64> = state.stock.free.union(freed).copied().collect();
        let cold = match free.iter().nth(keep).copied() {
            Some(first) => free.split_off(&first),
            None => BTreeSet::new(),
        };
        // From now on the log can not have them.
        state.stock.free.retain(|extent| !cold.contains(extent));
        cold
    }

    /// Writes the stream. Says where it ends, and which segments it lies in.
    fn write_stream(
        &self,
        stream: &[u8],
        meta: &mut Meta,
    ) -> Result<(Located, BTreeSet<u64>), Halt> {
        let (mut last, mut segments) = (None, BTreeSet::new());
        for (index, payload) in (0..).zip(stream.chunks(tables::PAYLOAD_BYTES)) {
            let (block, crc) = tables::encode(self.pool_id, index, last, payload);
            let (segment, block) = self.put(meta, &block)?;
            segments.insert(segment.id);
            last = Some(Located { segment, block, crc });
        }
        self.write_pending(meta)?;
        Ok((last.expect("the stream begins with its counts"), segments))
    }
}
