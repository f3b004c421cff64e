//! Reading: find the blocks in memory under the lock; the rest of it, and the bytes, without it.

use std::ops::Range;

use bytes::Bytes;
use ebb_volume::{BLOCK_BYTES, Completion, IoError, VolumeId};

use super::pages::Looked;
use super::{Pool, State};
use crate::layout::{Address, BLOCK, crc32c};
use crate::map::Found;
use crate::planted::Bug;
use crate::storage::Storage;

/// A read that a guest asks for.
pub(super) struct Read {
    pub(super) offset: u64,
    pub(super) length: u32,
    pub(super) done: Completion,
}

/// A block to fetch.
struct Wanted {
    /// Where in the range, in blocks.
    at: usize,
    address: Address,
    offset: u64,
    crc: u32,
}

impl<S: Storage> Pool<S> {
    /// Reads bytes of a volume, and completes on this thread. The blocks are looked up in one turn
    /// under the lock.
    pub(super) fn read_all(
        &self,
        volume: VolumeId,
        generation: u64,
        reads: impl IntoIterator<Item = Read>,
    ) {
        let reads = reads.into_iter();
        let mut looked_up = Vec::with_capacity(reads.size_hint().0);
        let reading = self.readers.enter();
        let mut state = self.lock();
        for read in reads {
            let length = u64::from(read.length);
            let entered = state.enter(volume, generation, read.offset, length);
            let looked = entered
                .map(|()| state.look_up(volume, super::write::blocks_of(read.offset, length)));
            looked_up.push((read, looked));
        }
        drop(state);
        let (mut entered, mut answers) = (0, Vec::with_capacity(looked_up.len()));
        for (Read { offset, length, done }, looked) in looked_up {
            entered += usize::from(looked.is_ok());
            let looked = looked.and_then(|looked| looked);
            let read = looked.and_then(|looked| self.bytes_of(volume, looked, offset, length));
            answers.push((done, read));
        }
        // A checkpoint may wait for it, and whoever is answered may ask for what waits for one.
        drop(reading);
        for (done, outcome) in answers {
            done(outcome);
        }
        if entered > 0 {
            self.finish(volume, entered);
        }
    }

    fn bytes_of(
        &self,
        volume: VolumeId,
        looked: Looked,
        offset: u64,
        length: u32,
    ) -> Result<Bytes, IoError> {
        let first = (offset - looked.blocks.start * BLOCK_BYTES) as usize;
        let mut bytes = Bytes::from(self.fetch(volume, looked)?);
        let whole = first == 0 && bytes.len() == length as usize;
        if length > 0 && !whole {
            bytes = bytes.slice(first..first + length as usize);
        }
        Ok(bytes)
    }

    /// Whole blocks of a volume, for a request that is under way.
    pub(super) fn read_blocks(
        &self,
        volume: VolumeId,
        blocks: Range<u64>,
    ) -> Result<Vec<u8>, IoError> {
        let _reading = self.readers.enter();
        let looked = self.lock().look_up(volume, blocks)?;
        self.fetch(volume, looked)
    }

    pub(super) fn fetch(&self, volume: VolumeId, mut looked: Looked) -> Result<Vec<u8>, IoError> {
        self.look_up_in_pages(&mut looked)?;
        let wanted = self.wanted(&looked)?;
        // What is not stored reads zero.
        let mut bytes = vec![0; looked.found.len() * BLOCK];
        let joined =
            |a: &Wanted, b: &Wanted| a.at + 1 == b.at && a.offset + BLOCK_BYTES == b.offset;
        for run in wanted.chunk_by(joined) {
            let range = run[0].at * BLOCK..(run[0].at + run.len()) * BLOCK;
            let into = &mut bytes[range];
            self.storage.read_at(run[0].offset, into).map_err(|error| {
                let segment = run[0].address.segment_id();
                tracing::error!("{volume:?}: reading segment {segment}: {error}");
                IoError::Failed
            })?;
            for (block, expected) in into.chunks_exact(BLOCK).zip(run) {
                if crc32c(block) != expected.crc && !self.planted.has(Bug::SkipReadCheck) {
                    tracing::error!(
                        "{volume:?}: the block at byte {} is damaged: segment {}, block {}, \
                         byte {} of pool.dat",
                        (looked.blocks.start + expected.at as u64) * BLOCK_BYTES,
                        expected.address.segment_id(),
                        expected.address.block(),
                        expected.offset,
                    );
                    return Err(IoError::Corrupt);
                }
            }
        }
        Ok(bytes)
    }

    fn wanted(&self, looked: &Looked) -> Result<Vec<Wanted>, IoError> {
        let mut wanted = Vec::with_capacity(looked.found.len());
        for (at, found) in looked.found.iter().enumerate() {
            let Found::At(stored) = found else {
                continue;
            };
            let (address, crc) = (stored.address, stored.crc);
            // Every block in a map is in a segment that is known.
            let offset = self.segments.offset(self.geometry, address).ok_or(IoError::Corrupt)?;
            wanted.push(Wanted { at, address, offset, crc });
        }
        Ok(wanted)
    }
}

impl State {
    /// Lets a guest's request in: the pool serves, the handle is not stale, the range is within.
    pub(super) fn enter(
        &mut self,
        volume: VolumeId,
        generation: u64,
        offset: u64,
        length: u64,
    ) -> Result<(), IoError> {
        if self.closing || self.stopped.is_some() {
            return Err(IoError::Failed);
        }
        self.sessions.enter(volume, generation)?;
        let size = self.catalog.size_bytes(volume).unwrap_or(0);
        if offset.checked_add(length).is_none_or(|end| end > size) {
            self.sessions.finish(volume, 1);
            return Err(IoError::OutOfRange);
        }
        Ok(())
    }

    fn look_up(&self, volume: VolumeId, blocks: Range<u64>) -> Result<Looked, IoError> {
        let map = self.catalog.head(volume).ok_or(IoError::Stale)?;
        Ok(Looked::in_memory(map, blocks))
    }
}
