//! A request on its way to the log: whole blocks, in pieces that a record may split.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use ebb_volume::{BLOCK_BYTES, Completion, VolumeId};

use crate::cipher::Cipher;
use crate::layout::{BLOCK, crc32c};
use crate::map::Trash;
use crate::record::{Entry, Run};
use crate::session::ClaimId;

/// Data blocks whose checksums, with their entry, leave room in a header for others.
const RECORD_BLOCKS: u64 = 900;
/// Entries that fit into a header, with a checksum each, and some to spare.
const RECORD_ENTRIES: u64 = 100;
/// The same where each block has a tag besides.
const SEALED_RECORD_BLOCKS: u64 = 190;
const SEALED_RECORD_ENTRIES: u64 = 70;

pub(crate) struct Request {
    pub(crate) pieces: VecDeque<Piece>,
    /// Log blocks it takes at most, headers included. Zero once it was let into the log.
    pub(crate) log_blocks: u64,
    /// What it is for: how much of the reserve it leaves follows from that.
    pub(crate) purpose: Purpose,
    /// Answered only when it is durable.
    pub(crate) durable: bool,
    pub(crate) ticket: Ticket,
    pub(crate) claim: Option<ClaimId>,
}

/// What a request takes segments for, the least urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Purpose {
    /// What guests write: it leaves the whole reserve.
    Data,
    /// Zeroes and discards of guests, which make room: they leave half.
    Room,
    /// An engine call: it leaves a quarter, for the checkpoint that frees what the call gives up.
    Change,
}

/// An entry that is not in the log yet, and its data.
pub(crate) struct Piece {
    pub(crate) entry: Entry,
    /// As the guest has it, whole blocks.
    pub(crate) data: Bytes,
    /// Their checksums; none of what is to be encrypted.
    pub(crate) crcs: Vec<u32>,
    /// What it is encrypted with once its place in the log is known.
    pub(crate) cipher: Option<Arc<Cipher>>,
}

/// Who waits for a request.
pub(crate) struct Ticket {
    /// None where it is no guest's.
    pub(crate) volume: Option<VolumeId>,
    pub(crate) done: Completion,
    /// What is dropped once it is answered.
    pub(crate) trash: Trash,
}

impl Ticket {
    pub(crate) fn new(volume: Option<VolumeId>, done: Completion) -> Self {
        Self { volume, done, trash: Trash::new() }
    }
}

impl Request {
    /// Whether it is in the log in part, or has what it takes to be. Then it is not refused any
    /// more, and nothing comes between its parts that takes segments.
    pub(crate) fn is_let_in(&self) -> bool {
        self.log_blocks == 0
    }

    /// Log blocks that `pieces` take at most in segments of `segment_blocks`.
    pub(crate) fn log_blocks(pieces: &VecDeque<Piece>, segment_blocks: u32) -> u64 {
        let data: u64 = pieces.iter().map(|p| p.blocks() as u64).sum();
        let segment = u64::from(segment_blocks);
        let (blocks, entries) = match pieces.iter().any(|piece| piece.cipher.is_some()) {
            true => (SEALED_RECORD_BLOCKS, SEALED_RECORD_ENTRIES),
            false => (RECORD_BLOCKS, RECORD_ENTRIES),
        };
        let headers = 1 + data / blocks + pieces.len() as u64 / entries;
        // At each segment's end a header more, and a block that nothing fits into.
        data + headers + 2 * (data / (segment - 2) + 1)
    }
}

impl Piece {
    /// Whole blocks of data at block `lba`.
    pub(crate) fn write(
        volume: VolumeId,
        lba: u64,
        data: Bytes,
        cipher: Option<Arc<Cipher>>,
    ) -> Self {
        debug_assert!(data.len().is_multiple_of(BLOCK));
        let len = data.len() as u64 / BLOCK_BYTES;
        let run = Run { volume, lba, len };
        let (entry, crcs) = match &cipher {
            None => (Entry::Write(run), data.chunks_exact(BLOCK).map(crc32c).collect()),
            Some(_) => (Entry::WriteSealed(run), Vec::new()),
        };
        Self { entry, data, crcs, cipher }
    }

    /// An entry without data of a guest.
    pub(crate) fn plain(entry: Entry) -> Self {
        let data: Bytes = match &entry {
            Entry::Version(_, change) => change.body().into(),
            _ => Bytes::new(),
        };
        let crcs = data.chunks_exact(BLOCK).map(crc32c).collect();
        Self { entry, data, crcs, cipher: None }
    }

    /// Data blocks.
    pub(crate) fn blocks(&self) -> usize {
        self.data.len() / BLOCK
    }

    /// Cuts the first `blocks` blocks off a write.
    pub(crate) fn split_off_front(&mut self, blocks: usize) -> Self {
        let (Entry::Write(run) | Entry::WriteSealed(run)) = &mut self.entry else {
            unreachable!("only writes are split");
        };
        let front = Run { len: blocks as u64, ..*run };
        run.lba += blocks as u64;
        run.len -= blocks as u64;
        let rest = self.crcs.split_off(blocks.min(self.crcs.len()));
        let cipher = self.cipher.clone();
        Self {
            entry: if cipher.is_some() { Entry::WriteSealed(front) } else { Entry::Write(front) },
            data: self.data.split_to(blocks * BLOCK),
            crcs: std::mem::replace(&mut self.crcs, rest),
            cipher,
        }
    }
}
