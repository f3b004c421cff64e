//! Where segments are. Every address in the pool is found through it.
//!
//! ```text
//!   id 7 ─► whole:  extent 3                               block n is block n there
//!   id 8 ─► packed: which blocks are there, and pieces     the k-th of them is found by its rank
//!                   rank 0.. ─► extent 9, block 100
//!                   rank 40.. ─► extent 11, block 0
//! ```
//! A segment is whole from the moment it is written. Packing copies what is alive in it elsewhere,
//! next to blocks of other segments, and only this table changes: an address is good for as long as
//! anything has it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::blocks::Blocks;
use crate::layout::{Address, Geometry, Segment};

pub(crate) mod table;

/// What a segment holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Records.
    Log,
    /// Pages of maps, and the tables of checkpoints.
    Meta,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) class: Class,
    pub(crate) place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// All blocks are in this extent, in their order.
    Whole(u64),
    Packed(Packed),
}

/// The blocks of a segment that were alive when they were packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Packed {
    present: Blocks,
    /// Ascending ranks; the first is 0.
    pieces: Vec<Piece>,
}

/// Blocks that lie one behind the other, up to the next piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Piece {
    rank: u32,
    at: Spot,
}

/// A block of an extent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) extent: u64,
    pub(crate) block: u32,
}

impl Place {
    /// Where a block is. None: it was not alive when its segment was packed.
    pub(crate) fn spot(&self, block: u32) -> Option<Spot> {
        match self {
            Self::Whole(extent) => Some(Spot { extent: *extent, block }),
            Self::Packed(packed) => packed.spot(block),
        }
    }

    /// The extents that it lies in, some perhaps more than once.
    pub(crate) fn extents(&self) -> impl Iterator<Item = u64> + '_ {
        let (whole, packed) = match self {
            Self::Whole(extent) => (Some(*extent), &[][..]),
            Self::Packed(packed) => (None, &packed.pieces[..]),
        };
        whole.into_iter().chain(packed.iter().map(|piece| piece.at.extent))
    }

    /// The blocks that are there. None: all of the segment's.
    pub(crate) fn present(&self) -> Option<&Blocks> {
        match self {
            Self::Whole(_) => None,
            Self::Packed(packed) => Some(&packed.present),
        }
    }
}

impl Packed {
    /// Of a segment of `of` blocks, these are at these spots. Ascending.
    pub(crate) fn new(of: u32, spots: impl Iterator<Item = (u32, Spot)>) -> Self {
        let (mut present, mut pieces) = (Blocks::none(of), Vec::<Piece>::new());
        for (rank, (block, at)) in (0..).zip(spots) {
            present.insert(block);
            let goes_on = pieces.last().is_some_and(|piece| piece.spot(rank) == at);
            if !goes_on {
                pieces.push(Piece { rank, at });
            }
        }
        Self { present, pieces }
    }

    fn spot(&self, block: u32) -> Option<Spot> {
        if !self.present.contains(block) {
            return None;
        }
        let rank = self.present.rank(block);
        let behind = self.pieces.partition_point(|piece| piece.rank <= rank);
        Some(self.pieces[..behind].last()?.spot(rank))
    }
}

impl Piece {
    fn spot(&self, rank: u32) -> Spot {
        Spot { extent: self.at.extent, block: self.at.block + (rank - self.rank) }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Segments {
    by_id: RwLock<BTreeMap<u64, Row>>,
}

impl Segments {
    pub(crate) fn rows(&self) -> RwLockReadGuard<'_, BTreeMap<u64, Row>> {
        self.by_id.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn rows_mut(&self) -> RwLockWriteGuard<'_, BTreeMap<u64, Row>> {
        self.by_id.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn insert(&self, segment: Segment, class: Class) {
        let place = Place::Whole(segment.extent);
        self.rows_mut().insert(segment.id, Row { class, place });
    }

    /// Where a block is in the file.
    pub(crate) fn offset(&self, geometry: Geometry, address: Address) -> Option<u64> {
        let spot = self.rows().get(&address.segment_id())?.place.spot(address.block())?;
        Some(geometry.offset(spot.extent, spot.block))
    }

    pub(crate) fn last_id(&self) -> Option<u64> {
        self.rows().keys().next_back().copied()
    }

    /// All extents that anything lies in.
    pub(crate) fn extents(&self) -> BTreeSet<u64> {
        self.rows().values().flat_map(|row| row.place.extents()).collect()
    }

    /// Goes over to the places that packing made.
    pub(crate) fn move_to(&self, places: BTreeMap<u64, Place>) {
        let mut rows = self.rows_mut();
        for (id, place) in places {
            if let Some(row) = rows.get_mut(&id) {
                row.place = place;
            }
        }
    }

    /// Forgets segments in which nothing is alive.
    pub(crate) fn remove(&self, ids: &BTreeSet<u64>) {
        self.rows_mut().retain(|id, _| !ids.contains(id));
    }
}

#[cfg(test)]
mod tests;
