//! The segments as bytes: what a checkpoint writes of them, behind the catalog.
//!
//! ```text
//!   counts | segments: row 40 B, blocks alive, blocks present, pieces 16 B each | extents 16 B
//! ```
//! The extents at the end are those that were given back to the host: they have to be written
//! before anything relies on their space.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use zerocopy::byteorder::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Class, Packed, Piece, Place, Row, Segments, Spot};
use crate::blocks::{Blocks, runs};
use crate::space::Space;

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Counts {
    segments: U64,
    cold: U64,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct StoredRow {
    id: U64,
    class: U32,
    is_packed: U32,
    /// Of one that is whole.
    extent: U64,
    alive: U32,
    present: U32,
    pieces: U32,
    zero: U32,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct StoredPiece {
    rank: U32,
    block: U32,
    extent: U64,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct StoredExtents {
    first: U64,
    count: U64,
}

const LOG: u32 = 0;
const META: u32 = 1;

/// What a checkpoint keeps of where things are.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) segments: Segments,
    pub(crate) space: Space,
    /// Extents that were given back to the host.
    pub(crate) cold: BTreeSet<u64>,
}

/// Appends a table of these rows.
pub(crate) fn encode(
    rows: &BTreeMap<u64, Row>,
    space: &Space,
    cold: &BTreeSet<u64>,
    bytes: &mut Vec<u8>,
) {
    let ranges: Vec<Range<u64>> = ranges(cold).collect();
    let counts =
        Counts { segments: (rows.len() as u64).into(), cold: (ranges.len() as u64).into() };
    bytes.extend_from_slice(counts.as_bytes());
    for (id, row) in rows {
        encode_row(*id, row, space.blocks(*id), bytes);
    }
    for range in ranges {
        let (first, count) = (range.start.into(), (range.end - range.start).into());
        bytes.extend_from_slice(StoredExtents { first, count }.as_bytes());
    }
}

fn encode_row(id: u64, row: &Row, alive: Option<&Blocks>, bytes: &mut Vec<u8>) {
    let (extent, packed) = match &row.place {
        Place::Whole(extent) => (*extent, None),
        Place::Packed(packed) => (0, Some(packed)),
    };
    let stored = StoredRow {
        id: id.into(),
        class: match row.class {
            Class::Log => LOG.into(),
            Class::Meta => META.into(),
        },
        is_packed: u32::from(packed.is_some()).into(),
        extent: extent.into(),
        alive: alive.map_or(0, Blocks::len).into(),
        present: packed.map_or(0, |packed| packed.present.len()).into(),
        pieces: packed.map_or(0, |packed| packed.pieces.len() as u32).into(),
        zero: U32::ZERO,
    };
    bytes.extend_from_slice(stored.as_bytes());
    if let Some(alive) = alive {
        alive.encode(bytes);
    }
    if let Some(packed) = packed {
        packed.present.encode(bytes);
        for Piece { rank, at } in &packed.pieces {
            let (rank, block, extent) = ((*rank).into(), at.block.into(), at.extent.into());
            bytes.extend_from_slice(StoredPiece { rank, block, extent }.as_bytes());
        }
    }
}

/// The table that `bytes` are, of segments of `of` blocks. None: they are not the bytes of one.
pub(crate) fn decode(of: u32, bytes: &[u8]) -> Option<Table> {
    let (counts, mut rest) = Counts::ref_from_prefix(bytes).ok()?;
    let table = Table { space: Space::new(of), ..Table::default() };
    let Table { segments, mut space, mut cold } = table;
    let mut rows = segments.rows_mut();
    for _ in 0..counts.segments.get() {
        let (id, row, alive, after) = decode_row(of, rest)?;
        space.insert(id, alive);
        rows.insert(id, row);
        rest = after;
    }
    drop(rows);
    let count = usize::try_from(counts.cold.get()).ok()?;
    let (ranges, rest) = <[StoredExtents]>::ref_from_prefix_with_elems(rest, count).ok()?;
    for range in ranges {
        let (first, count) = (range.first.get(), range.count.get());
        let end = first.checked_add(count)?;
        // A number that is wrong must not fill the memory.
        if end > EXTENTS_MAX || cold.len() as u64 + count > COLD_MAX {
            return None;
        }
        cold.extend(first..end);
    }
    rest.is_empty().then_some(Table { segments, space, cold })
}

/// Extents of a file of 64 PiB.
const EXTENTS_MAX: u64 = 1 << 32;
/// Of 16 TiB, which is more than most file systems let a file have.
const COLD_MAX: u64 = 1 << 20;

fn decode_row(of: u32, bytes: &[u8]) -> Option<(u64, Row, Blocks, &[u8])> {
    let (stored, rest) = StoredRow::ref_from_prefix(bytes).ok()?;
    let class = match stored.class.get() {
        LOG => Class::Log,
        META => Class::Meta,
        _ => return None,
    };
    let (alive, rest) = Blocks::decode(of, stored.alive.get(), rest)?;
    if stored.is_packed.get() == 0 {
        let place = Place::Whole(stored.extent.get());
        return Some((stored.id.get(), Row { class, place }, alive, rest));
    }
    let (present, rest) = Blocks::decode(of, stored.present.get(), rest)?;
    let pieces = stored.pieces.get() as usize;
    let (pieces, rest) = <[StoredPiece]>::ref_from_prefix_with_elems(rest, pieces).ok()?;
    let pieces = pieces.iter().map(|piece| Piece {
        rank: piece.rank.get(),
        at: Spot { extent: piece.extent.get(), block: piece.block.get() },
    });
    let packed = Packed { present, pieces: pieces.collect() };
    let row = Row { class, place: Place::Packed(packed) };
    row.makes_sense(of, &alive).then_some((stored.id.get(), row, alive, rest))
}

impl Row {
    /// Whether a packed one finds each block that is alive, within its extent.
    fn makes_sense(&self, of: u32, alive: &Blocks) -> bool {
        let Place::Packed(Packed { present, pieces }) = &self.place else {
            return true;
        };
        let ends = pieces.iter().skip(1).map(|piece| piece.rank).chain([present.len()]);
        let mut pieces = pieces.iter().zip(ends);
        let fits = pieces.all(|(piece, end)| {
            piece.rank < end && u64::from(piece.at.block) + u64::from(end - piece.rank) <= of.into()
        });
        fits && alive.iter().all(|block| self.place.spot(block).is_some())
    }
}

fn ranges(extents: &BTreeSet<u64>) -> impl Iterator<Item = Range<u64>> {
    // Numbers of extents are small.
    let numbers = extents.iter().map(|extent| *extent as u32);
    runs(numbers).map(|run| u64::from(run.start)..u64::from(run.end))
}
