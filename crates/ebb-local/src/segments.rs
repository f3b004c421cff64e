//! Where segments are: their extents, by id. Every address in the pool is found through it.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use zerocopy::byteorder::little_endian::U64;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::layout::{Address, Geometry, Segment};

/// What a segment holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Records.
    Log,
    /// Pages of maps, and the tables of checkpoints.
    Meta,
}

#[derive(Debug, Clone, Copy)]
struct Row {
    extent: u64,
    class: Class,
}

#[derive(Debug, Default)]
pub(crate) struct Segments {
    by_id: RwLock<BTreeMap<u64, Row>>,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct StoredRow {
    id: U64,
    extent: U64,
    class: U64,
}

/// Bytes of a segment in a checkpoint's tables.
pub(crate) const ROW_BYTES: usize = size_of::<StoredRow>();

impl Segments {
    fn read(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<u64, Row>> {
        self.by_id.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn insert(&self, segment: Segment, class: Class) {
        let mut by_id = self.by_id.write().unwrap_or_else(PoisonError::into_inner);
        by_id.insert(segment.id, Row { extent: segment.extent, class });
    }

    /// Where a block is in the file.
    pub(crate) fn offset(&self, geometry: Geometry, address: Address) -> Option<u64> {
        let extent = self.read().get(&address.segment_id())?.extent;
        Some(geometry.offset(extent, address.block()))
    }

    pub(crate) fn len(&self) -> usize {
        self.read().len()
    }

    pub(crate) fn last_id(&self) -> Option<u64> {
        self.read().keys().next_back().copied()
    }

    pub(crate) fn extents(&self) -> Vec<u64> {
        self.read().values().map(|row| row.extent).collect()
    }

    /// All but those of the log behind `last_log`: they come back by replay.
    pub(crate) fn encode(&self, last_log: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (id, row) in self.read().iter() {
            let class = match row.class {
                Class::Log if *id > last_log => continue,
                Class::Log => 0_u64,
                Class::Meta => 1,
            };
            let row =
                StoredRow { id: (*id).into(), extent: row.extent.into(), class: class.into() };
            bytes.extend_from_slice(row.as_bytes());
        }
        bytes
    }

    /// None: these are not the bytes of such a table.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let segments = Self::default();
        for row in <[StoredRow]>::ref_from_bytes(bytes).ok()? {
            let class = match row.class.get() {
                0 => Class::Log,
                1 => Class::Meta,
                _ => return None,
            };
            let segment = Segment { id: row.id.get(), extent: row.extent.get() };
            segments.insert(segment, class);
        }
        Some(segments)
    }
}
