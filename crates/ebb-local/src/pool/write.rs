//! Guests' changes: cut to whole blocks, claimed, ordered, written.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::MutexGuard;

use bytes::Bytes;
use ebb_volume::{BLOCK_BYTES, Completion, IoError, VolumeId};

use super::{Answer, Pool, State};
use crate::layout::BLOCK;
use crate::planted::Bug;
use crate::record::{Entry, Run};
use crate::request::{Piece, Purpose, Request, Ticket};
use crate::session::{ClaimId, Opened};
use crate::storage::Storage;

/// A change as the guest asked for it, in bytes.
pub(super) enum Guest {
    Write(Bytes),
    Zero(u64),
    Discard(u64),
}

impl Guest {
    fn purpose(&self) -> Purpose {
        match self {
            Self::Write(_) => Purpose::Data,
            Self::Zero(_) | Self::Discard(_) => Purpose::Room,
        }
    }

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

/// A change that a guest asks for.
pub(super) struct Asked {
    pub(super) offset: u64,
    pub(super) guest: Guest,
    /// Answered only when it is durable.
    pub(super) durable: bool,
    pub(super) done: Completion,
}

/// One that needs nothing of what is stored: it changes whole blocks, or none. What takes time in
/// its length is done already.
pub(super) struct Whole {
    offset: u64,
    length: u64,
    blocks: Range<u64>,
    request: Request,
}

/// What became of changes that are not in the queue.
#[derive(Default)]
struct Aside {
    refused: Vec<(Completion, IoError)>,
    failed: Vec<Answer>,
    /// Nothing changes; but what came before may have to be made durable.
    unchanged: Vec<Request>,
}

impl<S: Storage> Pool<S> {
    /// Changes bytes of a volume: answered when the change is in the log, or durable there.
    pub(super) fn change_bytes(&self, opened: &Opened, asked: Asked) {
        match self.whole(opened, asked) {
            Ok(whole) => self.change_whole(opened, [whole]),
            Err(asked) => self.change_in_part(opened, asked),
        }
    }

    /// Cuts a change to blocks. Gives it back where it changes one in part, or is far out of range.
    pub(super) fn whole(&self, opened: &Opened, asked: Asked) -> Result<Whole, Asked> {
        let (offset, length) = (asked.offset, asked.guest.length());
        let aligned = offset.is_multiple_of(BLOCK_BYTES) && length.is_multiple_of(BLOCK_BYTES);
        let exact = matches!(asked.guest, Guest::Write(_) | Guest::Zero(_));
        if offset.checked_add(length).is_none() || (exact && !aligned && length > 0) {
            return Err(asked);
        }
        let blocks = match exact {
            true => blocks_of(offset, length),
            false => self.rounded(offset, length),
        };
        let volume = opened.volume;
        let run = Run { volume, lba: blocks.start, len: blocks.end - blocks.start };
        let purpose = asked.guest.purpose();
        let piece = match asked.guest {
            Guest::Write(data) => Piece::write(volume, blocks.start, data, opened.cipher.clone()),
            Guest::Zero(_) => Piece::plain(Entry::Zero(run)),
            Guest::Discard(_) => Piece::plain(Entry::Discard(run)),
        };
        let ticket = Ticket::new(Some(volume), asked.done);
        let request = self.request(VecDeque::from([piece]), purpose, asked.durable, ticket);
        Ok(Whole { offset, length, blocks, request })
    }

    fn request(
        &self,
        pieces: VecDeque<Piece>,
        purpose: Purpose,
        durable: bool,
        ticket: Ticket,
    ) -> Request {
        let log_blocks = Request::log_blocks(&pieces, self.geometry.segment_blocks);
        Request { pieces, log_blocks, purpose, durable, ticket, claim: None }
    }

    /// Orders changes behind all others, in one turn under the lock, and writes.
    pub(super) fn change_whole(&self, opened: &Opened, changes: impl IntoIterator<Item = Whole>) {
        let mut aside = Aside::default();
        let mut state = self.lock();
        for whole in changes {
            state = self.order(state, opened, whole, &mut aside);
        }
        match self.threaded() {
            true => self.write_on(state),
            false => drop(state),
        }
        self.settle_aside(aside);
    }

    fn order<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        opened: &Opened,
        whole: Whole,
        aside: &mut Aside,
    ) -> MutexGuard<'a, State> {
        let Whole { offset, length, blocks, mut request } = whole;
        let volume = opened.volume;
        if let Err(error) = state.enter(opened, offset, length) {
            aside.refused.push((request.ticket.done, error));
            return state;
        }
        if blocks.is_empty() {
            aside.unchanged.push(request);
            return state;
        }
        request.claim = state.sessions.claim(volume, &blocks, false);
        if request.claim.is_none() {
            // What was ordered before it may be in the way: it is in the queue, so this writes it.
            drop(state);
            request.claim = self.claim(volume, &blocks, false).ok();
            state = self.lock();
        }
        if request.claim.is_none() || state.stopped.is_some() {
            state.release(&request);
            aside.failed.push((request.ticket, Err(IoError::Failed)));
            return state;
        }
        state.queue.push_back(request);
        state
    }

    fn settle_aside(&self, aside: Aside) {
        let Aside { refused, failed, unchanged } = aside;
        for (done, error) in refused {
            Self::refuse(done, error);
        }
        if !failed.is_empty() {
            // Only a pool that stops fails them; a claim may have been released.
            self.released.notify_all();
            self.answer(failed);
        }
        for Request { durable, ticket, .. } in unchanged {
            match durable {
                true => self.join_sync(ticket),
                false => self.answer(vec![(ticket, Ok(()))]),
            }
        }
    }

    /// Changes bytes where a block keeps some of its own: reads them first, alone on the blocks.
    pub(super) fn change_in_part(&self, opened: &Opened, asked: Asked) {
        let Asked { offset, guest, durable, done } = asked;
        let volume = opened.volume;
        let entered = self.lock().enter(opened, offset, guest.length());
        if let Err(error) = entered {
            return Self::refuse(done, error);
        }
        let ticket = Ticket::new(Some(volume), done);
        let blocks = blocks_of(offset, guest.length());
        let claim = match self.claim(volume, &blocks, true) {
            Ok(claim) => claim,
            Err(error) => return self.answer(vec![(ticket, Err(error))]),
        };
        let purpose = guest.purpose();
        match self.pieces(opened, offset, guest, &blocks) {
            Ok(pieces) => {
                let claim = Some(claim);
                self.enqueue(Request { claim, ..self.request(pieces, purpose, durable, ticket) });
            }
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
        opened: &Opened,
        offset: u64,
        guest: Guest,
        blocks: &Range<u64>,
    ) -> Result<VecDeque<Piece>, IoError> {
        match guest {
            Guest::Write(data) => {
                let merged = self.merged(opened, offset, &data, blocks)?;
                let (volume, cipher) = (opened.volume, opened.cipher.clone());
                Ok(VecDeque::from([Piece::write(volume, blocks.start, merged, cipher)]))
            }
            Guest::Zero(length) => self.zero_pieces(opened, offset, length, blocks),
            Guest::Discard(_) => unreachable!("a discard changes no block in part"),
        }
    }

    /// Zero is exact: the blocks at the ends that are touched in part are written.
    fn zero_pieces(
        &self,
        opened: &Opened,
        offset: u64,
        length: u64,
        blocks: &Range<u64>,
    ) -> Result<VecDeque<Piece>, IoError> {
        let (volume, end) = (opened.volume, offset + length);
        let whole = blocks_within(offset, length);
        let mut pieces = VecDeque::new();
        let mut edges = vec![blocks.start, blocks.end - 1];
        edges.dedup();
        edges.retain(|lba| !whole.contains(lba));
        for lba in edges {
            let from = offset.max(lba * BLOCK_BYTES);
            let zero = vec![0; (end.min((lba + 1) * BLOCK_BYTES) - from) as usize];
            let merged = self.merged(opened, from, &zero, &(lba..lba + 1))?;
            pieces.push_back(Piece::write(volume, lba, merged, opened.cipher.clone()));
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
        opened: &Opened,
        offset: u64,
        data: &[u8],
        blocks: &Range<u64>,
    ) -> Result<Bytes, IoError> {
        let first = (offset - blocks.start * BLOCK_BYTES) as usize;
        let mut merged = vec![0; (blocks.end - blocks.start) as usize * BLOCK];
        let end = first + data.len();
        if first != 0 {
            let head = self.read_blocks(opened, blocks.start..blocks.start + 1)?;
            merged[..BLOCK].copy_from_slice(&head);
        }
        if end < merged.len() {
            let tail = self.read_blocks(opened, blocks.end - 1..blocks.end)?;
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
        if self.threaded() {
            self.write_on(state);
        }
    }

    /// Makes durable what completed before.
    pub(super) fn flush(&self, opened: &Opened, done: Completion) {
        let entered = self.lock().enter(opened, 0, 0);
        match entered {
            Ok(()) => self.join_sync(Ticket::new(Some(opened.volume), done)),
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
        match self.threaded() && state.is_brief_sync() {
            true => {
                drop(state);
                self.sync_here();
            }
            false => self.ask_for_sync(&state),
        }
    }
}
