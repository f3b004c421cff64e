//! What each block of a disk may hold, by what was sent and what was answered.
//!
//! ```text
//!   events of one block:   w3   z7   w9   w12  w15       w: a write, z: zeroes or a trim
//!                               ▲         ▲     ▲
//!                          durable        acked sent     after a crash: one of z7, w9, w12, w15
//! ```
//! Numbers rise over the whole run, so that no two writes carry the same. A block that came from
//! a snapshot begins with what that snapshot may hold there.

use anyhow::{Result, bail};

pub(crate) const BLOCK: usize = 4096;

const HEAD: usize = 32;

/// Who wrote a block, where, and which of its writes it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) disk: u64,
    pub(crate) place: u64,
    pub(crate) number: u64,
}

impl Stamp {
    /// A whole block: the stamp over and over, so that one put together of two is found out.
    pub(crate) fn fill(self, block: &mut [u8]) {
        for (n, part) in (0_u64..).zip(block.chunks_exact_mut(HEAD)) {
            for (word, at) in
                [self.disk, self.place, self.number, n].into_iter().zip((0..).step_by(8))
            {
                part[at..at + 8].copy_from_slice(&word.to_le_bytes());
            }
        }
    }

    /// What a block says of itself; `None` where it is all zero.
    pub(crate) fn read(block: &[u8]) -> Result<Option<Self>> {
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let word =
            |n: usize| u64::from_le_bytes(block[n * 8..n * 8 + 8].try_into().expect("eight bytes"));
        let stamp = Self { disk: word(0), place: word(1), number: word(2) };
        let mut whole = [0; BLOCK];
        stamp.fill(&mut whole);
        if block != whole {
            bail!("a block that begins as {stamp:?} is torn, or nobody wrote it");
        }
        Ok(Some(stamp))
    }
}

/// One change of one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Event {
    number: u64,
    /// The disk whose writer wrote it; none where it became zero.
    disk: Option<u64>,
}

impl Event {
    pub(crate) const NEVER: Self = Self { number: 0, disk: None };

    pub(crate) fn written(disk: u64, number: u64) -> Self {
        Self { number, disk: Some(disk) }
    }

    pub(crate) fn zeroed(number: u64) -> Self {
        Self { number, disk: None }
    }

    fn left(self, place: usize, found: Option<Stamp>) -> bool {
        let stamp = self.disk.map(|disk| Stamp { disk, place: place as u64, number: self.number });
        stamp == found
    }
}

/// What a block may hold: one of these.
pub(crate) type Candidates = Vec<Event>;

#[derive(Debug, Clone)]
struct Block {
    events: Candidates,
    acked: u64,
    durable: u64,
}

/// All blocks of a disk that are used.
#[derive(Debug, Clone)]
pub(crate) struct Ledger {
    blocks: Vec<Block>,
    /// Answered, and not covered by a flush that was: places and numbers.
    unflushed: Vec<(usize, u64)>,
}

/// What a flush covers if it is answered.
pub(crate) struct FlushMark(Vec<(usize, u64)>);

/// What a block must at least be of: the numbers when a read or a snapshot began.
#[derive(Debug, Clone)]
pub(crate) struct Floors(Vec<u64>);

impl Ledger {
    pub(crate) fn new(image: Vec<Candidates>) -> Self {
        let blocks = image.into_iter().map(|events| {
            let first = events[0].number;
            Block { events, acked: first, durable: first }
        });
        Self { blocks: blocks.collect(), unflushed: Vec::new() }
    }

    pub(crate) fn send(&mut self, place: usize, event: Event) {
        self.blocks[place].events.push(event);
    }

    pub(crate) fn ack(&mut self, place: usize, number: u64, durable: bool) {
        let block = &mut self.blocks[place];
        block.acked = number;
        if durable {
            block.durable = number;
        } else {
            self.unflushed.push((place, number));
        }
    }

    pub(crate) fn flush_sent(&self) -> FlushMark {
        FlushMark(self.unflushed.clone())
    }

    pub(crate) fn flush_acked(&mut self, mark: FlushMark) {
        for (place, number) in mark.0 {
            let block = &mut self.blocks[place];
            block.durable = block.durable.max(number);
        }
        let blocks = &self.blocks;
        self.unflushed.retain(|(place, number)| blocks[*place].durable < *number);
    }

    /// What was answered by now, of some blocks.
    pub(crate) fn floors(&self, places: std::ops::Range<usize>) -> Floors {
        Floors(self.blocks[places].iter().map(|block| block.acked).collect())
    }

    /// What blocks from `first` on may hold that were read, or kept, since `floors` was taken.
    pub(crate) fn since(&self, first: usize, floors: &Floors) -> Vec<Candidates> {
        let blocks = self.blocks[first..].iter().zip(&floors.0);
        blocks.map(|(block, floor)| from(block, *floor)).collect()
    }

    /// What the blocks may hold after a crash.
    pub(crate) fn after_crash(&self) -> Vec<Candidates> {
        self.blocks.iter().map(|block| from(block, block.durable)).collect()
    }

    /// Blocks of which less is there than was answered: never flushed, so allowed, but telling.
    pub(crate) fn lost_unflushed(&self, found: &[Event]) -> usize {
        let pairs = self.blocks.iter().zip(found);
        pairs.filter(|(block, event)| event.number < block.acked).count()
    }
}

fn from(block: &Block, floor: u64) -> Candidates {
    block.events.iter().copied().filter(|event| event.number >= floor).collect()
}

/// The event that each block's bytes are of; the first block that is of none is the error.
pub(crate) fn judge(first: usize, data: &[u8], allowed: &[Candidates]) -> Result<Vec<Event>> {
    let blocks = data.chunks_exact(BLOCK).zip(allowed);
    let judged = blocks.enumerate().map(|(n, (block, candidates))| {
        let (place, found) = (first + n, Stamp::read(block)?);
        let Some(event) = candidates.iter().rfind(|event| event.left(place, found)) else {
            bail!("place {place} holds {found:?}, which is none of {candidates:?}");
        };
        Ok(*event)
    });
    judged.collect()
}

/// What holds exactly this.
pub(crate) fn exactly(events: &[Event]) -> Vec<Candidates> {
    events.iter().map(|event| vec![*event]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(number: u64) -> Vec<u8> {
        let mut block = vec![0; BLOCK];
        Stamp { disk: 1, place: 0, number }.fill(&mut block);
        block
    }

    /// Written as 3, flushed; zeroed as 7, answered; written as 9, not answered.
    fn ledger() -> Ledger {
        let mut ledger = Ledger::new(vec![vec![Event::NEVER]]);
        ledger.send(0, Event::written(1, 3));
        ledger.ack(0, 3, false);
        let mark = ledger.flush_sent();
        ledger.send(0, Event::zeroed(7));
        ledger.ack(0, 7, false);
        ledger.flush_acked(mark);
        ledger.send(0, Event::written(1, 9));
        ledger
    }

    #[test]
    fn a_crash_leaves_what_was_flushed_or_anything_later_that_was_sent() {
        let allowed = ledger().after_crash();
        for data in [block(3), vec![0; BLOCK], block(9)] {
            assert!(judge(0, &data, &allowed).is_ok());
        }
        for number in [1, 7, 10] {
            assert!(judge(0, &block(number), &allowed).is_err(), "{number}");
        }
    }

    #[test]
    fn a_read_sees_what_was_answered_before_it() {
        let ledger = ledger();
        let allowed = ledger.since(0, &ledger.floors(0..1));
        assert!(judge(0, &vec![0; BLOCK], &allowed).is_ok());
        assert!(judge(0, &block(9), &allowed).is_ok());
        assert!(judge(0, &block(3), &allowed).is_err());
    }

    #[test]
    fn a_flush_covers_what_was_answered_before_it_was_sent() {
        let mut ledger = ledger();
        let mark = ledger.flush_sent();
        ledger.flush_acked(mark);
        assert!(judge(0, &block(3), &ledger.after_crash()).is_err());
        assert!(judge(0, &block(9), &ledger.after_crash()).is_ok());
    }

    #[test]
    fn torn_and_misplaced_blocks_are_found_out() {
        let allowed = ledger().after_crash();
        let mut torn = block(3);
        torn[BLOCK / 2..].copy_from_slice(&block(9)[BLOCK / 2..]);
        assert!(judge(0, &torn, &allowed).is_err());
        assert!(judge(1, &block(3), &allowed).is_err());
        let mut others = vec![0; BLOCK];
        Stamp { disk: 2, place: 0, number: 3 }.fill(&mut others);
        assert!(judge(0, &others, &allowed).is_err());
    }
}
