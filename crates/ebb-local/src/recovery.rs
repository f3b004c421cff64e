//! Recovery: from a checkpoint and the log behind it to the catalog, and to the place where the log
//! was cut.
//!
//! ```text
//!   superblock ─► Start of generation 3 ─► Start of 2                        found backwards
//!        └──────► checkpoint, in 1: tables of volumes, versions, segments
//!   1:  … J records … cut | 2: records … cut | 3: records … first invalid one     read forwards
//! ```
//! What lies before the checkpoint's place J is not read, whatever there is of it; and of what the
//! checkpoint leads to only the tables are, no page of a map. So an opening takes time in the log
//! behind J and in the number of versions. Without a checkpoint the whole log is read.
//!
//! A generation begins with a Start record in a segment of its own. It is the next link of the
//! chain (`seq`, `prev_crc`) after the record where the generation before it was cut, and was
//! durable before the superblock named it. So an older generation ends exactly there, whatever else
//! its segments hold, and everything in it is durable. In the newest one a record past the highest
//! `durable_seq` counts only if its data is whole; the first that is not, is the cut. Headers are
//! read once: a record waits until one behind it says that it was durable, and those for which none
//! does, at the end, are the ones whose data is read.
//!
//! A crash loses records at the end. Whatever else is missing was lost by the disk, and recovery
//! refuses: a chain that does not reach its cut, or a header behind the cut which says that what
//! is missing was durable.

use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};

use ebb_volume::EngineError;

use crate::catalog::Catalog;
use crate::layout::{BLOCK, Link, LogPlace, Segment, crc32c};
use crate::map::Trash;
use crate::planted::{Bug, Planted};
use crate::record::{Entry, Header};
use crate::segments::table::Table;
use crate::segments::{Class, Segments};
use crate::space::Space;
use crate::storage::Storage;
use crate::superblock::{Checkpoint, Superblock};
use crate::tables;

/// What the log says.
#[derive(Default)]
pub(crate) struct Recovered {
    pub(crate) catalog: Catalog,
    pub(crate) segments: Segments,
    /// What was alive at the checkpoint.
    pub(crate) space: Space,
    /// Extents that were given back to the host.
    pub(crate) cold: BTreeSet<u64>,
    /// The last record that counts.
    pub(crate) last: Link,
    /// Bytes of the records that were replayed.
    pub(crate) replayed_bytes: u64,
    /// Extents that the next generation may not begin in.
    pub(crate) used_extents: BTreeSet<u64>,
    /// Where the log was cut.
    pub(crate) tail: Option<Segment>,
    pub(crate) trash: Trash,
}

/// A generation, or what of it lies behind the checkpoint.
struct Generation {
    log_gen: u64,
    start: Position,
}

/// A place between two records.
#[derive(Clone, Copy)]
struct Position {
    segment: Segment,
    block: u32,
    /// Where the log goes on; known from the second record of a segment on.
    next: Option<Segment>,
    last: Link,
}

impl From<LogPlace> for Position {
    fn from(place: LogPlace) -> Self {
        let LogPlace { segment, block, next, last } = place;
        Self { segment, block, next: Some(next), last }
    }
}

struct Reader<'a, S> {
    storage: &'a S,
    superblock: &'a Superblock,
    planted: Planted,
    window: RefCell<Window>,
}

/// What was read last, and some behind it: headers lie close together, and the cache is cold.
#[derive(Default)]
struct Window {
    offset: u64,
    bytes: Vec<u8>,
    /// How much the next one reads.
    length: usize,
}

/// What a window reads where the one before ended elsewhere.
const WINDOW_BYTES: usize = 256 << 10;
/// What it reads at most where each goes on from the one before: the system reads the parts of
/// a long one at the same time.
const WINDOW_MOST: usize = if cfg!(test) { 512 << 10 } else { 4 << 20 };

/// Reads the checkpoint and the log behind it.
pub(crate) fn recover(
    storage: &impl Storage,
    superblock: &Superblock,
    planted: Planted,
) -> Result<Recovered, EngineError> {
    let reader = Reader { storage, superblock, planted, window: RefCell::default() };
    let generations = reader.generations()?;
    let mut found = match &superblock.checkpoint {
        Some(checkpoint) => from_tables(storage, superblock, checkpoint)?,
        None => Recovered {
            space: Space::new(superblock.geometry.segment_blocks),
            ..Recovered::default()
        },
    };
    for (i, generation) in generations.iter().enumerate() {
        let cut = generations.get(i + 1).map(|next| next.start.last);
        reader.replay(generation, cut, &mut found)?;
    }
    Ok(found)
}

/// The state that a checkpoint kept.
fn from_tables(
    storage: &impl Storage,
    superblock: &Superblock,
    checkpoint: &Checkpoint,
) -> Result<Recovered, EngineError> {
    let (catalog, table) = tables::read(storage, superblock, checkpoint.tables)?;
    let Table { segments, space, cold } = table;
    let used_extents = segments.extents();
    let last = checkpoint.at.last;
    Ok(Recovered { catalog, segments, space, cold, last, used_extents, ..Recovered::default() })
}

impl<S: Storage> Reader<'_, S> {
    /// The generations behind the checkpoint, the oldest first. Numbers have no gaps: an opening
    /// takes one more than the superblock says, and then writes it there.
    fn generations(&self) -> Result<Vec<Generation>, EngineError> {
        let mut found = Vec::new();
        let mut at = self.superblock.start;
        let mut newer = self.superblock.log_gen + 1;
        while let Some(start) = at {
            if let Some(checkpoint) = &self.superblock.checkpoint
                && checkpoint.log_gen + 1 >= newer
            {
                break;
            }
            let (header, _) = self
                .header(start, 0)?
                .filter(|(header, _)| header.place.log_gen < newer)
                .ok_or_else(|| corrupt("the first record of a generation is damaged", start, 0))?;
            let [Entry::Start(before)] = header.entries[..] else {
                return Err(corrupt("a generation does not begin with one", start, 0));
            };
            newer = header.place.log_gen;
            at = before;
            let last = Link { seq: header.place.seq - 1, crc: header.place.prev_crc };
            let start = Position { segment: start, block: 0, next: None, last };
            found.push(Generation { log_gen: newer, start });
        }
        found.extend(self.superblock.checkpoint.map(|checkpoint| Generation {
            log_gen: checkpoint.log_gen,
            start: checkpoint.at.into(),
        }));
        found.reverse();
        Ok(found)
    }

    /// Replays one generation up to its cut. The newest one has none yet: it is found.
    fn replay(
        &self,
        generation: &Generation,
        cut: Option<Link>,
        found: &mut Recovered,
    ) -> Result<(), EngineError> {
        let mut position = generation.start;
        if position.last != found.last {
            return Err(corrupt(
                "a generation does not go on where the one before it ended",
                position.segment,
                position.block,
            ));
        }
        let honoured = cut.filter(|_| !self.planted.has(Bug::IgnoreCut));
        let trusted = self.planted.has(Bug::SkipDataCheck)
            || (cut.is_some() && self.planted.has(Bug::IgnoreCut));
        let mut vouched = cut.map_or(position.last.seq, |cut| cut.seq);
        // Records that no header read so far vouches for.
        let mut open: VecDeque<(Header, Position)> = VecDeque::new();
        let (mut read, mut whole) = (position, true);
        while whole && honoured.is_none_or(|cut| read.last.seq < cut.seq) {
            let Some((header, after)) = self.step(generation.log_gen, read)? else {
                break;
            };
            if cut.is_none() {
                vouched = vouched.max(header.durable_seq);
            }
            open.push_back((header, after));
            read = after;
            let durable = |(header, _): &(Header, Position)| header.place.seq <= vouched;
            while whole
                && open.front().is_some_and(durable)
                && let Some((header, after)) = open.pop_front()
            {
                whole = self.take(header, after, false, found)?;
                position = if whole { after } else { position };
            }
        }
        // The first of the rest that is not whole is the cut.
        while whole && let Some((header, after)) = open.pop_front() {
            whole = self.take(header, after, !trusted, found)?;
            position = if whole { after } else { position };
        }
        found.last = position.last;
        found.tail = Some(position.segment);
        match cut {
            Some(cut) if honoured.is_some() && cut != position.last => Err(corrupt(
                "a record that was durable is missing",
                position.segment,
                position.block,
            )),
            Some(_) => Ok(()),
            None => self.nothing_lost(generation.log_gen, position, found),
        }
    }

    /// Takes a record in. False where its data is not what the header says.
    fn take(
        &self,
        mut header: Header,
        after: Position,
        check: bool,
        found: &mut Recovered,
    ) -> Result<bool, EngineError> {
        if !self.take_data(&mut header, after.segment, check)? {
            return Ok(false);
        }
        if header.epoch != found.catalog.epoch() {
            return Err(corrupt("an epoch is missing", after.segment, after.block));
        }
        found.apply(&header, after.segment, self.planted);
        Ok(true)
    }

    /// The next record of the chain, and the place behind it.
    fn step(
        &self,
        log_gen: u64,
        position: Position,
    ) -> Result<Option<(Header, Position)>, EngineError> {
        let places =
            [Some((position.segment, position.block)), position.next.map(|next| (next, 0))];
        for (segment, block) in places.into_iter().flatten() {
            let Some((header, crc)) = self.header(segment, block)? else {
                continue;
            };
            let place = header.place;
            let linked = place.seq == position.last.seq + 1 && place.prev_crc == position.last.crc;
            if place.log_gen == log_gen && linked {
                let after = Position {
                    segment,
                    block: block + header.blocks(),
                    next: Some(header.next),
                    last: Link { seq: place.seq, crc },
                };
                return Ok(Some((header, after)));
            }
        }
        Ok(None)
    }

    /// The header at a place, if the block is one and says that it belongs there.
    fn header(&self, segment: Segment, block: u32) -> Result<Option<(Header, u32)>, EngineError> {
        let geometry = self.superblock.geometry;
        if block >= geometry.segment_blocks {
            return Ok(None);
        }
        let mut bytes = [0; BLOCK];
        if !self.read_block(geometry.offset(segment.extent, block), &mut bytes)? {
            return Ok(None);
        }
        Ok(Header::decode(&bytes).ok().filter(|(header, _)| {
            let place = header.place;
            place.pool_id == self.superblock.pool_id
                && place.segment_id == segment.id
                && place.block == block
                && block + header.blocks() <= geometry.segment_blocks
        }))
    }

    /// Reads the bodies of changes, and all data where `check` asks for it. False where a block is
    /// not what its header says.
    fn take_data(
        &self,
        header: &mut Header,
        segment: Segment,
        check: bool,
    ) -> Result<bool, EngineError> {
        let has_body = |entry: &Entry| matches!(entry, Entry::Version(..));
        if header.data_crcs.is_empty() || !(check || header.entries.iter().any(has_body)) {
            return Ok(true);
        }
        let first = header.place.block + 1;
        let mut data = vec![0; header.data_crcs.len() * BLOCK];
        let offset = self.superblock.geometry.offset(segment.extent, first);
        if !self.read(offset, &mut data)? {
            return Ok(false);
        }
        let blocks = data.chunks_exact(BLOCK);
        let whole = blocks.map(crc32c).eq(header.data_crcs.iter().copied());
        if let [Entry::Version(_, change)] = &mut header.entries[..] {
            change.take_body(&data);
            if !whole && !check {
                return Err(corrupt("a change is damaged", segment, first));
            }
        }
        Ok(whole)
    }

    /// Looks behind the cut for a header which says that something at or behind it was durable.
    fn nothing_lost(
        &self,
        log_gen: u64,
        cut: Position,
        found: &mut Recovered,
    ) -> Result<(), EngineError> {
        let places = [Some((cut.segment, cut.block)), cut.next.map(|next| (next, 0))];
        for (segment, first) in places.into_iter().flatten() {
            found.used_extents.insert(segment.extent);
            for block in first..self.superblock.geometry.segment_blocks {
                let Some((header, _)) = self.header(segment, block)? else {
                    continue;
                };
                if header.place.log_gen == log_gen && header.durable_seq > cut.last.seq {
                    return Err(corrupt(
                        "a record that was durable is missing",
                        cut.segment,
                        cut.block,
                    ));
                }
            }
        }
        Ok(())
    }

    /// A block by way of the window. False past the end of the file.
    fn read_block(&self, offset: u64, into: &mut [u8; BLOCK]) -> Result<bool, EngineError> {
        let mut window = self.window.borrow_mut();
        let end = window.offset + window.bytes.len() as u64;
        if offset < window.offset || offset + BLOCK as u64 > end {
            window.fill(self.storage, offset);
        }
        let at = (offset - window.offset) as usize;
        match window.bytes.get(at..at + BLOCK) {
            Some(block) => {
                into.copy_from_slice(block);
                Ok(true)
            }
            // The end of the file, or a bad sector somewhere in the window: only this block counts.
            None => self.read(offset, into),
        }
    }

    /// False past the end of the file.
    fn read(&self, offset: u64, into: &mut [u8]) -> Result<bool, EngineError> {
        match self.storage.read_at(offset, into) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(EngineError::Stopped(format!("reading the log: {error}"))),
        }
    }
}

impl Window {
    /// Reads as much as there is from `offset` on; nothing where reading fails.
    fn fill(&mut self, storage: &impl Storage, offset: u64) {
        let end = self.offset + self.bytes.len() as u64;
        let goes_on = offset >= end && offset - end < WINDOW_BYTES as u64;
        self.length = match goes_on {
            true => (2 * self.length).clamp(WINDOW_BYTES, WINDOW_MOST),
            false => WINDOW_BYTES,
        };
        self.offset = offset;
        self.bytes.resize(self.length, 0);
        let mut read = 0;
        while read < self.length {
            match storage.read_some(offset + read as u64, &mut self.bytes[read..]) {
                Ok(0) => break,
                Ok(n) => read += n,
                Err(_) => {
                    read = 0;
                    break;
                }
            }
        }
        self.bytes.truncate(read);
    }
}

impl Recovered {
    fn apply(&mut self, header: &Header, segment: Segment, planted: Planted) {
        self.segments.insert(segment, Class::Log);
        self.used_extents.insert(segment.extent);
        self.replayed_bytes += u64::from(header.blocks()) * BLOCK as u64;
        for (entry, placed) in header.placed() {
            let passed_over = matches!(entry, Entry::Zero(_)) && planted.has(Bug::ZeroNotReplayed);
            if !passed_over {
                self.catalog.apply(entry, &placed, &mut self.trash);
            }
        }
    }
}

fn corrupt(what: &str, segment: Segment, block: u32) -> EngineError {
    let message =
        format!("{what}: segment {}, extent {}, block {block}", segment.id, segment.extent);
    tracing::error!("{message}");
    EngineError::Corrupt(message)
}
