//! Guests' changes: cut to whole blocks, claimed, ordered, written.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;
use ebb_volume::{BLOCK_BYTES, Completion, IoError, VolumeId};

use super::Pool;
use crate::layout::BLOCK;
use crate::planted::Bug;
use crate::record::{Entry, Run};
use crate::request::{Piece, Request, Ticket};
use crate::session::ClaimId;
use crate::storage::Storage;

/// A change as the guest asked for it, in bytes.
pub(crate) enum Guest {
    Write(Bytes),
    Zero(u64),
    Discard(u64),
}

impl Guest {
    fn length(&self) -> u64 {
        match self {
            Self::Write(data) => data.len() as u64,
            Self::Zero(length) | Self::Discard(length) => *length,
        }
    }
}

/// The blocks that a range of bytes touches.
pub(super) fn blocks_of(offset: u64, length: u64) -> Range<u64> {
    let end = offset.saturating_add(length);
    match length {
        0 => offset / BLOCK_BYTES..offset / BLOCK_BYTES,
        _ => offset / BLOCK_BYTES..end.div_ceil(BLOCK_BYTES),
    }
}

/// The whole blocks within a range of bytes.
fn blocks_within(offset: u64, length: u64) -> Range<u64> {
    let first = offset.div_ceil(BLOCK_BYTES);
    first..((offset + length) / BLOCK_BYTES).max(first)
}

impl<S: Storage> Pool<S> {
    /// Changes bytes of a volume: answered when the change is in the log, or durable there.
    pub(crate) fn change_bytes(
        &self,
        volume: VolumeId,
        generation: u64,
        offset: u64,
        guest: Guest,
        durable: bool,
        done: Completion,
    ) {
        let entered = self.lock().enter(volume, generation, offset, guest.length());
        if let Err(error) = entered {
            return Self::refuse(done, error);
        }
        let ticket = Ticket { volume: Some(volume), done };
        let blocks = match guest {
            Guest::Discard(length) => self.rounded(offset, length),
            _ => blocks_of(offset, guest.length()),
        };
        if blocks.is_empty() {
            // Nothing changes; but what came before may have to be made durable.
            return match durable {
                true => self.join_sync(ticket),
                false => self.answer(vec![(ticket, Ok(()))]),
            };
        }
        let in_part =
            !offset.is_multiple_of(BLOCK_BYTES) || !guest.length().is_multiple_of(BLOCK_BYTES);
        let alone = in_part && !matches!(guest, Guest::Discard(_));
        let claim = match self.claim(volume, &blocks, alone) {
            Ok(claim) => claim,
            Err(error) => return self.answer(vec![(ticket, Err(error))]),
        };
        let leaves = usize::from(matches!(guest, Guest::Write(_)));
        match self.pieces(volume, offset, guest, &blocks, alone) {
            Ok(pieces) => self.enqueue(Request {
                log_blocks: Request::log_blocks(&pieces, self.geometry.segment_blocks),
                pieces,
                leaves,
                durable,
                ticket,
                claim: Some(claim),
            }),
            Err(error) => {
                self.lock().sessions.release(volume, claim);
                self.released.notify_all();
                self.answer(vec![(ticket, Err(error))]);
            }
        }
    }

    fn rounded(&self, offset: u64, length: u64) -> Range<u64> {
        match self.planted.has(Bug::DiscardRoundsOutward) {
            true => blocks_of(offset, length),
            false => blocks_within(offset, length),
        }
    }

    fn claim(
        &self,
        volume: VolumeId,
        blocks: &Range<u64>,
        alone: bool,
    ) -> Result<ClaimId, IoError> {
        let mut state = self.lock();
        loop {
            if state.stopped.is_some() {
                return Err(IoError::Failed);
            }
            if let Some(claim) = state.sessions.claim(volume, blocks, alone) {
                return Ok(claim);
            }
            // The request in the way may be queued with nobody to write it but this thread.
            drop(state);
            self.write_all();
            state = self.lock();
            if let Some(claim) = state.sessions.claim(volume, blocks, alone) {
                return Ok(claim);
            }
            state = self.wait_released(state);
        }
    }

    fn pieces(
        &self,
        volume: VolumeId,
        offset: u64,
        guest: Guest,
        blocks: &Range<u64>,
        in_part: bool,
    ) -> Result<VecDeque<Piece>, IoError> {
        let run =
            |blocks: &Range<u64>| Run { volume, lba: blocks.start, len: blocks.end - blocks.start };
        Ok(match guest {
            Guest::Write(data) => {
                let data = match in_part {
                    true => self.merged(volume, offset, &data, blocks)?,
                    false => data,
                };
                VecDeque::from([Piece::write(volume, blocks.start, data)])
            }
            Guest::Zero(length) => self.zero_pieces(volume, offset, length, blocks)?,
            Guest::Discard(_) => VecDeque::from([Piece::plain(Entry::Discard(run(blocks)))]),
        })
    }

    /// Zero is exact: the blocks at the ends that are touched in part are written.
    fn zero_pieces(
        &self,
        volume: VolumeId,
        offset: u64,
        length: u64,
        blocks: &Range<u64>,
    ) -> Result<VecDeque<Piece>, IoError> {
        let end = offset + length;
        let whole = blocks_within(offset, length);
        let mut pieces = VecDeque::new();
        let mut edges = vec![blocks.start, blocks.end - 1];
        edges.dedup();
        edges.retain(|lba| !whole.contains(lba));
        for lba in edges {
            let from = offset.max(lba * BLOCK_BYTES);
            let zero = vec![0; (end.min((lba + 1) * BLOCK_BYTES) - from) as usize];
            let merged = self.merged(volume, from, &zero, &(lba..lba + 1))?;
            pieces.push_back(Piece::write(volume, lba, merged));
        }
        if !whole.is_empty() {
            let run = Run { volume, lba: whole.start, len: whole.end - whole.start };
            pieces.push_back(Piece::plain(Entry::Zero(run)));
        }
        Ok(pieces)
    }

    /// The blocks as they will be: as they are, with `data` at byte `offset`.
    fn merged(
        &self,
        volume: VolumeId,
        offset: u64,
        data: &[u8],
        blocks: &Range<u64>,
    ) -> Result<Bytes, IoError> {
        let first = (offset - blocks.start * BLOCK_BYTES) as usize;
        let mut merged = vec![0; (blocks.end - blocks.start) as usize * BLOCK];
        let end = first + data.len();
        if first != 0 {
            let head = self.read_blocks(volume, blocks.start..blocks.start + 1)?;
            merged[..BLOCK].copy_from_slice(&head);
        }
        if end < merged.len() {
            let tail = self.read_blocks(volume, blocks.end - 1..blocks.end)?;
            let at = merged.len() - BLOCK;
            merged[at..].copy_from_slice(&tail);
        }
        merged[first..end].copy_from_slice(data);
        Ok(merged.into())
    }

    /// Orders a request behind all others, and writes.
    pub(super) fn enqueue(&self, request: Request) {
        let mut state = self.lock();
        if state.stopped.is_some() {
            state.release(&request);
            drop(state);
            self.released.notify_all();
            return self.answer(vec![(request.ticket, Err(IoError::Failed))]);
        }
        state.queue.push_back(request);
        drop(state);
        if self.threaded() {
            self.write_all();
        }
    }

    /// Makes durable what completed before.
    pub(crate) fn flush(&self, volume: VolumeId, generation: u64, done: Completion) {
        let entered = self.lock().enter(volume, generation, 0, 0);
        match entered {
            Ok(()) => self.join_sync(Ticket { volume: Some(volume), done }),
            Err(error) => Self::refuse(done, error),
        }
    }

    /// Waits for a sync that begins from now on, unless everything written is durable.
    pub(super) fn join_sync(&self, ticket: Ticket) {
        let mut state = self.lock();
        if state.stopped.is_some() {
            drop(state);
            return self.answer(vec![(ticket, Err(IoError::Failed))]);
        }
        if state.durable_seq == state.written.last.seq {
            drop(state);
            return self.answer(vec![(ticket, Ok(()))]);
        }
        state.sync_waiters.push(ticket);
        self.sync_wanted.notify_one();
    }
}
