//! Reading: find the blocks in memory under the lock; the rest of it, and the bytes, without it.
//!
//! What is encrypted is read into the reader's bytes, and decrypted there.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use ebb_volume::{BLOCK_BYTES, Completion, IoError, VolumeId};

use super::pages::Looked;
use super::{Pool, State};
use crate::cipher::{Cipher, Spot};
use crate::layout::{BLOCK, crc32c};
use crate::map::{Found, Stored};
use crate::planted::{Bug, Planted};
use crate::session::Opened;
use crate::storage::{LONG_BYTES, Storage};

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
    stored: Stored,
    offset: u64,
}

/// A read under way: what of it is in memory already, and what is not.
pub(super) struct Fetch {
    volume: VolumeId,
    blocks: Range<u64>,
    wanted: Vec<Wanted>,
    bytes: Vec<u8>,
    /// Runs of what is wanted, one after the other in the file, that are to be waited for.
    cold: Vec<Range<usize>>,
    /// What it is decrypted with.
    cipher: Option<Arc<Cipher>>,
}

impl<S: Storage> Pool<S> {
    /// Reads bytes of a volume, and completes on this thread. The blocks are looked up in one turn
    /// under the lock; what the host has to read for them it is told of before any is waited for.
    pub(super) fn read_all(&self, opened: &Opened, reads: impl IntoIterator<Item = Read>) {
        let volume = opened.volume;
        let reads = reads.into_iter();
        let mut looked_up = Vec::with_capacity(reads.size_hint().0);
        let mut ahead = Vec::new();
        let reading = self.readers.enter();
        let mut state = self.lock();
        for read in reads {
            let length = u64::from(read.length);
            let blocks = super::write::blocks_of(read.offset, length);
            let entered = state.enter(opened, read.offset, length);
            ahead.extend(state.sessions.streams(volume).and_then(|s| s.read(&blocks)));
            looked_up.push((read, entered.map(|()| state.look_up(volume, blocks))));
        }
        let was_cold = state.sessions.streams(volume).is_some_and(|streams| streams.is_cold);
        drop(state);
        let (mut entered, mut fetches) = (0, Vec::with_capacity(looked_up.len()));
        for (read, looked) in looked_up {
            entered += usize::from(looked.is_ok());
            let looked = looked.and_then(|looked| looked);
            fetches.push((read, looked.and_then(|looked| self.begin_fetch(opened, looked))));
        }
        self.ask_for_cold(volume, &fetches, was_cold, &mut ahead);
        let mut answers = Vec::with_capacity(fetches.len());
        for (Read { offset, length, done }, fetch) in fetches {
            let read = fetch.and_then(|fetch| self.bytes_of(fetch, offset, length));
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
        for blocks in ahead {
            self.read_ahead(volume, blocks);
        }
    }

    /// Tells the host of all that is to be waited for, so that a disk has it to do at one time.
    fn ask_for_cold(
        &self,
        volume: VolumeId,
        fetches: &[(Read, Result<Fetch, IoError>)],
        was_cold: bool,
        ahead: &mut Vec<Range<u64>>,
    ) {
        let cold = || fetches.iter().filter_map(|(_, fetch)| fetch.as_ref().ok());
        let runs: usize = cold().map(|fetch| fetch.cold.len()).sum();
        if runs > 1 {
            for fetch in cold() {
                for run in &fetch.cold {
                    self.ask_for(&fetch.wanted[run.clone()]);
                }
            }
        }
        if runs == 0 && !was_cold {
            return;
        }
        let mut state = self.lock();
        let Some(streams) = state.sessions.streams(volume) else { return };
        streams.is_cold = runs > 0;
        for fetch in cold().filter(|fetch| !fetch.cold.is_empty()) {
            ahead.extend(streams.waited(&fetch.blocks));
        }
    }

    /// Has the host read what a guest will read in a moment, if it had to wait for the last reads.
    pub(crate) fn will_read(&self, volume: VolumeId, ranges: &[Range<u64>]) {
        let is_cold = self.lock().sessions.streams(volume).is_some_and(|streams| streams.is_cold);
        if !is_cold {
            return;
        }
        for range in ranges {
            let blocks = super::write::blocks_of(range.start, range.end - range.start);
            self.places_of(volume, blocks).chunk_by(Wanted::is_before).for_each(|run| {
                self.ask_for(run);
            });
        }
    }

    /// Has the host read blocks that nobody waits for yet, where it does not by itself.
    fn read_ahead(&self, volume: VolumeId, blocks: Range<u64>) {
        let is_short = |run: &&[Wanted]| (run.len() as u64) < LONG_BYTES / BLOCK_BYTES;
        let places = self.places_of(volume, blocks);
        places.chunk_by(Wanted::is_before).filter(is_short).for_each(|run| self.ask_for(run));
    }

    /// Where blocks of a volume lie, as far as that can be told. What can not be read is reported
    /// to whoever needs it.
    fn places_of(&self, volume: VolumeId, blocks: Range<u64>) -> Vec<Wanted> {
        let _reading = self.readers.enter();
        let state = self.lock();
        let end = state.catalog.size_bytes(volume).unwrap_or(0) / BLOCK_BYTES;
        let blocks = blocks.start..blocks.end.min(end);
        if blocks.is_empty() {
            return Vec::new();
        }
        let looked = state.look_up(volume, blocks);
        drop(state);
        let places = looked.and_then(|mut looked| {
            self.look_up_in_pages(&mut looked)?;
            self.wanted(&looked)
        });
        places.unwrap_or_default()
    }

    fn ask_for(&self, run: &[Wanted]) {
        self.storage.will_read(run[0].offset, run.len() as u64 * BLOCK_BYTES);
    }

    fn bytes_of(&self, fetch: Fetch, offset: u64, length: u32) -> Result<Bytes, IoError> {
        let first = (offset - fetch.blocks.start * BLOCK_BYTES) as usize;
        let mut bytes = Bytes::from(self.end_fetch(fetch)?);
        let whole = first == 0 && bytes.len() == length as usize;
        if length > 0 && !whole {
            bytes = bytes.slice(first..first + length as usize);
        }
        Ok(bytes)
    }

    /// Whole blocks of a volume, for a request that is under way.
    pub(super) fn read_blocks(
        &self,
        opened: &Opened,
        blocks: Range<u64>,
    ) -> Result<Vec<u8>, IoError> {
        let _reading = self.readers.enter();
        let looked = self.lock().look_up(opened.volume, blocks)?;
        self.fetch(opened, looked)
    }

    pub(super) fn fetch(&self, opened: &Opened, looked: Looked) -> Result<Vec<u8>, IoError> {
        self.end_fetch(self.begin_fetch(opened, looked)?)
    }

    /// Takes what the host has in memory.
    fn begin_fetch(&self, opened: &Opened, mut looked: Looked) -> Result<Fetch, IoError> {
        self.look_up_in_pages(&mut looked)?;
        let wanted = self.wanted(&looked)?;
        // What is not stored reads zero.
        let bytes = vec![0; looked.found.len() * BLOCK];
        let mut fetch = Fetch {
            volume: opened.volume,
            blocks: looked.blocks,
            wanted,
            bytes,
            cold: Vec::new(),
            cipher: opened.cipher.clone(),
        };
        let mut first = 0;
        let runs = fetch.wanted.chunk_by(Wanted::is_before).map(<[Wanted]>::len);
        for length in runs.collect::<Vec<_>>() {
            let run = first..first + length;
            first = run.end;
            match self.storage.read_cached(fetch.wanted[run.start].offset, fetch.part(&run)) {
                Ok(true) => fetch.check(&run, self.planted)?,
                Ok(false) => fetch.cold.push(run),
                Err(error) => return Err(fetch.failed(&run, &error)),
            }
        }
        Ok(fetch)
    }

    /// Waits for the rest.
    fn end_fetch(&self, mut fetch: Fetch) -> Result<Vec<u8>, IoError> {
        for run in std::mem::take(&mut fetch.cold) {
            let offset = fetch.wanted[run.start].offset;
            let read = self.storage.read_at(offset, fetch.part(&run));
            read.map_err(|error| fetch.failed(&run, &error))?;
            fetch.check(&run, self.planted)?;
        }
        Ok(fetch.bytes)
    }

    fn wanted(&self, looked: &Looked) -> Result<Vec<Wanted>, IoError> {
        let mut wanted = Vec::with_capacity(looked.found.len());
        for (at, found) in looked.found.iter().enumerate() {
            let Found::At(stored) = *found else {
                continue;
            };
            // Every block in a map is in a segment that is known.
            let offset = self.segments.offset(self.geometry, stored.address);
            wanted.push(Wanted { at, stored, offset: offset.ok_or(IoError::Corrupt)? });
        }
        Ok(wanted)
    }
}

impl Wanted {
    /// Whether another follows, in the range and in the file.
    fn is_before(&self, next: &Self) -> bool {
        self.at + 1 == next.at && self.offset + BLOCK_BYTES == next.offset
    }
}

impl Fetch {
    /// Where the bytes of a run go.
    fn part(&mut self, run: &Range<usize>) -> &mut [u8] {
        let first = self.wanted[run.start].at;
        &mut self.bytes[first * BLOCK..(first + run.len()) * BLOCK]
    }

    /// Whether what was read is what was written; and decrypts it.
    fn check(&mut self, run: &Range<usize>, planted: Planted) -> Result<(), IoError> {
        let wanted = &self.wanted[run.clone()];
        let first = wanted[0].at * BLOCK;
        for (block, expected) in self.bytes[first..].chunks_exact_mut(BLOCK).zip(wanted) {
            let Stored { address, birth, crc, tag } = expected.stored;
            let lba = self.blocks.start + expected.at as u64;
            if crc32c(block) != crc && !planted.has(Bug::SkipReadCheck) {
                self.tell_damage(expected, "is damaged");
                return Err(IoError::Corrupt);
            }
            let Some(cipher) = &self.cipher else { continue };
            if cipher.open(Spot { address, birth, lba }, tag, block, planted).is_err() {
                self.tell_damage(expected, "was not encrypted there with the volume's key");
                return Err(IoError::Corrupt);
            }
        }
        Ok(())
    }

    fn tell_damage(&self, block: &Wanted, what: &str) {
        tracing::error!(
            "{:?}: the block at byte {} {what}: segment {}, block {}, byte {} of pool.dat",
            self.volume,
            (self.blocks.start + block.at as u64) * BLOCK_BYTES,
            block.stored.address.segment_id(),
            block.stored.address.block(),
            block.offset,
        );
    }

    fn failed(&self, run: &Range<usize>, error: &std::io::Error) -> IoError {
        let segment = self.wanted[run.start].stored.address.segment_id();
        tracing::error!("{:?}: reading segment {segment}: {error}", self.volume);
        IoError::Failed
    }
}

impl State {
    /// Lets a guest's request in: the pool serves, the handle is not stale, the range is within.
    pub(super) fn enter(
        &mut self,
        opened: &Opened,
        offset: u64,
        length: u64,
    ) -> Result<(), IoError> {
        let volume = opened.volume;
        if self.closing || self.stopped.is_some() {
            return Err(IoError::Failed);
        }
        self.sessions.enter(volume, opened.generation)?;
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
