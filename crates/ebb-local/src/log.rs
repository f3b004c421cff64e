//! The log's tail: packs waiting requests into the next record.
//!
//! Requests go into the log in the order in which they wait. A record takes as many as fit into its
//! header and its segment; a large write is split over several. A request is let in only if all of
//! it fits into segments that are ready, and those are kept for it: no space never leaves one half
//! written.

use std::collections::VecDeque;

use bytes::BytesMut;

use crate::cipher::Spot;
use crate::layout::{Address, BLOCK, Geometry, Link, LogPlace, Segment, crc32c};
use crate::planted::Planted;
use crate::record::{Entry, HEADER_ROOM, Header, Place};
use crate::request::{Piece, Request};
use crate::stock::Stock;

pub(crate) struct Log {
    pub(crate) geometry: Geometry,
    pub(crate) pool_id: [u8; 16],
    pub(crate) log_gen: u64,
    /// Where the next record goes.
    pub(crate) segment: Segment,
    pub(crate) block: u32,
    pub(crate) next: Segment,
    /// The last record packed. Its checksum is known when it is written.
    pub(crate) last: Link,
}

/// A record on its way to the file.
pub(crate) struct Batch {
    /// Whole once it is sealed.
    pub(crate) header: Header,
    header_block: Vec<u8>,
    pieces: Vec<Piece>,
    pub(crate) segment: Segment,
    /// The log behind it; with the record's checksum once it is sealed.
    pub(crate) end: LogPlace,
    /// Requests that end with this record.
    pub(crate) finished: Vec<Request>,
}

/// What [`Log::pack`] came to.
pub(crate) enum Packed {
    Record(Box<Batch>),
    /// Nothing waits.
    Nothing,
    /// The first request waits for a segment to become ready.
    NeedsSegment,
    /// It waits for the next checkpoint: too much is behind the last one.
    NeedsCheckpoint,
    /// There is no space for this request.
    Refused(Request),
}

/// A record being filled.
struct Filling {
    header_room: usize,
    blocks_room: usize,
    pieces: Vec<Piece>,
}

impl Log {
    /// Takes requests off the front of `queue` into one record.
    pub(crate) fn pack(
        &mut self,
        queue: &mut VecDeque<Request>,
        stock: &mut Stock,
        epoch: u32,
        durable_seq: u64,
    ) -> Packed {
        let Some(first) = queue.front_mut() else {
            return Packed::Nothing;
        };
        let purpose = first.purpose;
        let room = self.geometry.segment_blocks - self.block;
        if !self.let_in(first, stock, room) {
            if stock.full
                && stock.is_hopeless(purpose)
                && let Some(refused) = queue.pop_front()
            {
                return Packed::Refused(refused);
            }
            stock.wait(purpose);
            return Packed::NeedsSegment;
        }
        // At most twice: an empty segment takes at least one piece.
        loop {
            let (pieces, finished) = self.fill(queue, stock);
            if !pieces.is_empty() {
                return Packed::Record(self.close(pieces, finished, epoch, durable_seq));
            }
            let Some((segment, next)) = stock.take() else {
                stock.wait(purpose);
                return Packed::NeedsSegment;
            };
            (self.segment, self.next, self.block) = (segment, next, 0);
        }
    }

    /// Whether the log has space for the request, all of it: `room` blocks in this segment, and
    /// what is ready.
    fn let_in(&self, request: &mut Request, stock: &mut Stock, room: u32) -> bool {
        if request.is_let_in() {
            return true;
        }
        let more = request.log_blocks.saturating_sub(u64::from(room));
        let segments = more.div_ceil(u64::from(self.geometry.segment_blocks));
        let fits = stock.has(segments as usize, request.purpose);
        if fits {
            request.log_blocks = 0;
            stock.promised = segments as usize;
        }
        fits
    }

    fn fill(&self, queue: &mut VecDeque<Request>, stock: &mut Stock) -> (Vec<Piece>, Vec<Request>) {
        let blocks_room = (self.geometry.segment_blocks - self.block) as usize;
        let mut filling = Filling {
            header_room: HEADER_ROOM,
            blocks_room: blocks_room.saturating_sub(1),
            pieces: Vec::new(),
        };
        let mut finished = Vec::new();
        if blocks_room == 0 {
            return (filling.pieces, finished);
        }
        while let Some(request) = queue.front_mut() {
            // What this record holds already is not there for the next request.
            if !self.let_in(request, stock, filling.blocks_room as u32) || !filling.take(request) {
                break;
            }
            stock.promised = 0;
            finished.extend(queue.pop_front());
        }
        (filling.pieces, finished)
    }

    fn close(
        &mut self,
        pieces: Vec<Piece>,
        finished: Vec<Request>,
        epoch: u32,
        durable_seq: u64,
    ) -> Box<Batch> {
        let header = Header {
            place: Place {
                pool_id: self.pool_id,
                log_gen: self.log_gen,
                seq: self.last.seq + 1,
                prev_crc: self.last.crc,
                segment_id: self.segment.id,
                block: self.block,
            },
            epoch,
            durable_seq,
            next: self.next,
            entries: pieces.iter().map(|piece| piece.entry.clone()).collect(),
            data_crcs: Vec::new(),
            tags: Vec::new(),
        };
        self.last.seq = header.place.seq;
        self.block += 1 + pieces.iter().map(|piece| piece.blocks() as u32).sum::<u32>();
        let (segment, end, header_block) = (self.segment, self.end(), Vec::new());
        Box::new(Batch { header, header_block, pieces, segment, end, finished })
    }

    /// Behind the last record packed.
    pub(crate) fn end(&self) -> LogPlace {
        LogPlace { segment: self.segment, block: self.block, next: self.next, last: self.last }
    }
}

impl Filling {
    /// Takes what fits of a request. True if that is all of it.
    fn take(&mut self, request: &mut Request) -> bool {
        while let Some(piece) = request.pieces.front_mut() {
            let changes = matches!(piece.entry, Entry::Version(..));
            let after_change =
                matches!(self.pieces.last(), Some(Piece { entry: Entry::Version(..), .. }));
            if after_change || (changes && !self.pieces.is_empty()) {
                return false;
            }
            let header_bytes = piece.entry.header_bytes();
            let check_bytes = piece.entry.check_bytes();
            let checks_room = self.header_room.saturating_sub(header_bytes) / check_bytes;
            let blocks = piece.blocks().min(checks_room).min(self.blocks_room);
            let whole = blocks == piece.blocks();
            if self.header_room < header_bytes || (!whole && (changes || blocks == 0)) {
                return false;
            }
            let taken = match whole {
                true => request.pieces.pop_front(),
                false => Some(piece.split_off_front(blocks)),
            };
            self.header_room -= header_bytes + blocks * check_bytes;
            self.blocks_room -= blocks;
            self.pieces.extend(taken);
            if !whole {
                return false;
            }
        }
        true
    }
}

impl Batch {
    /// Encrypts what has to be, and makes the header. It takes time in the length of the data, so
    /// not under the pool's lock.
    pub(crate) fn seal(&mut self, planted: Planted) {
        let mut at = self.header.place.block + 1;
        let first = |entry: &Entry| match entry {
            Entry::WriteSealed(run) => run.lba,
            _ => 0,
        };
        for piece in &mut self.pieces {
            let (blocks, first_lba) = (piece.blocks(), first(&piece.entry));
            if let Some(cipher) = &piece.cipher {
                // In the guest's bytes, unless they are in use elsewhere.
                let own = std::mem::take(&mut piece.data).try_into_mut();
                let mut sealed = own.unwrap_or_else(|shared| BytesMut::from(&shared[..]));
                for (i, block) in sealed.chunks_exact_mut(BLOCK).enumerate() {
                    let address = Address::new(self.segment.id, at + i as u32);
                    let (birth, lba) = (self.header.epoch, first_lba + i as u64);
                    let tag = cipher.seal(Spot { address, birth, lba }, block, planted);
                    self.header.tags.push(tag);
                    piece.crcs.push(crc32c(block));
                }
                piece.data = sealed.freeze();
            }
            self.header.data_crcs.extend_from_slice(&piece.crcs);
            at += blocks as u32;
        }
        let (header_block, crc) = self.header.encode();
        (self.header_block, self.end.last.crc) = (header_block, crc);
    }

    pub(crate) fn parts(&self) -> Vec<&[u8]> {
        let header = std::iter::once(self.header_block.as_slice());
        header.chain(self.pieces.iter().map(|piece| piece.data.as_ref())).collect()
    }

    pub(crate) fn bytes(&self) -> u64 {
        u64::from(self.header.blocks()) * BLOCK as u64
    }
}

#[cfg(test)]
mod tests {
    use ebb_volume::VolumeId;

    use super::*;
    use crate::request::{Purpose, Ticket};

    const GEOMETRY: Geometry = Geometry { segment_blocks: 64 };

    fn segment(id: u64) -> Segment {
        Segment { id, extent: id }
    }

    fn log() -> Log {
        let (pool_id, log_gen, last) = ([0; 16], 1, Link { seq: 0, crc: 0 });
        let (segment, next) = (segment(0), segment(1));
        Log { geometry: GEOMETRY, pool_id, log_gen, segment, block: 0, next, last }
    }

    fn write(blocks: usize) -> Request {
        let data = vec![1; blocks * BLOCK].into();
        let pieces = VecDeque::from([Piece::write(VolumeId(1), 0, data, None)]);
        let log_blocks = Request::log_blocks(&pieces, GEOMETRY.segment_blocks);
        let ticket = Ticket::new(Some(VolumeId(1)), Box::new(|_| {}));
        let purpose = Purpose::Data;
        Request { pieces, log_blocks, purpose, durable: false, ticket, claim: None }
    }

    #[test]
    fn a_request_that_was_let_in_has_its_segments() {
        let (mut log, mut stock) = (log(), Stock::full(6, 3));
        let mut queue = VecDeque::from([write(150), write(150)]);
        let mut pack = |log: &mut Log, stock: &mut Stock| log.pack(&mut queue, stock, 0, 0);
        let mut records = 0;
        loop {
            match pack(&mut log, &mut stock) {
                Packed::Record(batch) if batch.finished.is_empty() => {
                    records += 1;
                    // A checkpoint takes what it can get.
                    while stock.take_beside().is_some() {}
                }
                Packed::Record(_) => break,
                _ => panic!("it was not written to its end, after {records} records"),
            }
        }
        assert!(records >= 2, "it was never half written");
        assert_eq!(stock.promised, 0);
        assert!(matches!(pack(&mut log, &mut stock), Packed::NeedsSegment), "there was room");
    }
}
