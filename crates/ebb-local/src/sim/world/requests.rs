//! What guests ask: writes, zeros, discards, flushes, and what they are answered.

use std::collections::btree_map::Entry;
use std::sync::Arc;

use ebb_volume::{EngineError, Io, IoError, Volume, VolumeId};

use super::World;
use crate::layout::BLOCK;
use crate::sim::model::{Unit, discard_units, write_units, zero_units};
use crate::volume::Handle;

/// A request that is not answered yet.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    first: usize,
    end: usize,
    durable: bool,
    /// It changes nothing itself: what must be durable when it is answered.
    covers: Option<usize>,
}

impl World {
    /// A volume, opened if it is not.
    pub(super) fn volume(&mut self) -> Option<u64> {
        let volumes: Vec<u64> = self.model.live.volumes.keys().copied().collect();
        let volume = *self.random.pick(&volumes)?;
        self.opened(volume)
    }

    /// This volume, opened if it is not.
    pub(super) fn opened(&mut self, volume: u64) -> Option<u64> {
        let pool = self.pool().ok()?;
        if let Entry::Vacant(closed) = self.handles.entry(volume) {
            // One that was reset may have any key.
            let keys = std::iter::once(None).chain(self.keys.iter().cloned().map(Some));
            let open = |key| pool.open_handle(VolumeId(volume), key);
            let opened =
                keys.map(open).find(|opened| !matches!(opened, Err(EngineError::WrongKey(_))));
            closed.insert(Handle::new(&pool, opened?.ok()?));
        }
        Some(volume)
    }

    /// A volume and a range in it, of blocks or of bytes.
    fn range(&mut self) -> Option<(u64, usize, usize)> {
        let volume = self.volume()?;
        let size = self.model.live.volumes[&volume].len();
        if size > 256 * BLOCK {
            return Some(self.wide_range(volume, size));
        }
        let offset = self.random.below(size as u64) as usize;
        let length = 1 + self.random.below((size - offset).min(6 * BLOCK) as u64) as usize;
        if self.random.one_in(3) {
            return Some((volume, offset, length));
        }
        let offset = offset / BLOCK * BLOCK;
        let length = length.next_multiple_of(BLOCK).min(size - offset);
        Some((volume, offset, length))
    }

    /// Blocks on both sides of the border of two leaves, a whole leaf, or all of the volume: many
    /// times the same, so that what is there is often overwritten.
    fn wide_range(&mut self, volume: u64, size: usize) -> (u64, usize, usize) {
        let leaf = 256 * BLOCK;
        let (offset, length) = match self.random.below(12) {
            0 => (0, size),
            1 => (self.random.below((size / leaf) as u64) as usize * leaf, leaf),
            _ => {
                let near = self.random.below((size / leaf) as u64 + 1) as usize * leaf;
                let offset = near.saturating_sub(self.random.below(4) as usize * BLOCK);
                let offset = offset.min(size - BLOCK);
                let length = (1 + self.random.below(5)) as usize * BLOCK;
                (offset, length.min(size - offset))
            }
        };
        (volume, offset, length)
    }

    pub(super) fn submit(&mut self, volume: u64, io: Io, units: Vec<Unit>, durable: bool) {
        // A discard of no whole block with FUA is a flush too.
        let covers = units.is_empty().then(|| self.model.completed());
        let first = self.model.len();
        let end = self.model.add(units);
        let asked = Asked { first, end, durable, covers };
        self.last_request += 1;
        let number = self.last_request;
        self.asked.insert(number, asked);
        let answers = Arc::clone(&self.answers);
        if let Some(handle) = self.handles.get(&volume) {
            handle.submit(
                io,
                Box::new(move |outcome| answers.lock().unwrap().push((number, outcome))),
            );
        }
    }

    pub(super) fn write(&mut self) {
        let Some((volume, offset, length)) = self.range() else {
            return;
        };
        // All of a large volume is zeroed and discarded, and written in places.
        let length = length.min(8 * BLOCK);
        let stamp = self.random.next();
        let byte = |i: usize| (stamp >> (i % 8 * 8)) as u8 ^ (i / BLOCK) as u8 | 1;
        let data: Vec<u8> = (0..length).map(byte).collect();
        let fua = self.random.one_in(6);
        self.tell(format!("write {volume}: {offset}+{length} fua={fua}"));
        let units = write_units(volume, offset, &data);
        let (offset, data) = (offset as u64, data.into());
        self.submit(volume, Io::Write { offset, data, fua }, units, fua);
    }

    pub(super) fn zero_or_discard(&mut self) {
        let Some((volume, at, many)) = self.range() else {
            return;
        };
        let fua = self.random.one_in(6);
        let (offset, length) = (at as u64, many as u64);
        if self.random.one_in(2) {
            self.tell(format!("zero {volume}: {at}+{many} fua={fua}"));
            let io = Io::Zero { offset, length, fua };
            self.submit(volume, io, zero_units(volume, at, many), fua);
        } else {
            self.tell(format!("discard {volume}: {at}+{many} fua={fua}"));
            let io = Io::Discard { offset, length, fua };
            self.submit(volume, io, discard_units(volume, at, many), fua);
        }
    }

    pub(super) fn flush(&mut self) {
        if let Some(volume) = self.volume() {
            self.tell("flush".into());
            self.submit(volume, Io::Flush, Vec::new(), true);
        }
    }

    pub(super) fn take_answers(&mut self) -> Result<(), String> {
        let answers = std::mem::take(&mut *self.answers.lock().unwrap());
        for (number, outcome) in answers {
            let Some(asked) = self.asked.remove(&number) else {
                return Err(format!("request {number} was answered twice"));
            };
            match outcome {
                Ok(_) => {
                    if asked.first < asked.end {
                        self.model.complete(asked.end);
                    }
                    if asked.durable {
                        self.model.make_durable(asked.covers.unwrap_or(asked.end));
                    }
                }
                Err(IoError::NoSpace) => self.model.refuse(asked.first, asked.end),
                // A failed read before it, or a pool that stopped: then all is open.
                Err(IoError::Failed) => {
                    if self.pool()?.health().is_ok() {
                        self.model.refuse(asked.first, asked.end);
                    }
                }
                Err(error) => return Err(format!("a request was answered {error:?}")),
            }
        }
        Ok(())
    }
}
