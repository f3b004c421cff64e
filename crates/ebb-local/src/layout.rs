//! Where things are in `pool.dat`.
//!
//! ```text
//!   0         64 KiB        1 MiB        + S           + 2 S
//!   | slot 0  | slot 1      | extent 0   | extent 1    | …        S = one segment, 16 MiB
//! ```
//! An extent is a place in the file, by number. A segment is what lies in one; its id is never
//! given to another, so a block's [`Address`] names its content for ever.

/// The block, in bytes.
pub(crate) const BLOCK: usize = ebb_volume::BLOCK_BYTES as usize;

/// The two superblock slots.
pub(crate) const SLOTS: [u64; 2] = [0, 64 << 10];

/// Where extent 0 begins. A shorter file has never held anything but superblocks.
pub(crate) const EXTENTS_START: u64 = 1 << 20;

/// Blocks in a segment: 16 MiB.
pub(crate) const SEGMENT_BLOCKS: u32 = 4096;

/// A segment and the extent that it lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) id: u64,
    pub(crate) extent: u64,
}

/// What ties a record to the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Link {
    pub(crate) seq: u64,
    pub(crate) crc: u32,
}

/// A place in the log, behind a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LogPlace {
    pub(crate) segment: Segment,
    pub(crate) block: u32,
    /// Where the log goes on after this segment.
    pub(crate) next: Segment,
    /// The record before it.
    pub(crate) last: Link,
}

/// A block that is found without the table of segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Located {
    pub(crate) segment: Segment,
    pub(crate) block: u32,
    pub(crate) crc: u32,
}

/// The logical address of a block: `segment id:36 | block:12`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Address(u64);

impl Address {
    pub(crate) fn new(segment_id: u64, block: u32) -> Self {
        debug_assert!(segment_id < 1 << 36 && block < 1 << 12);
        Self(segment_id << 12 | u64::from(block))
    }

    /// None for 0, which is never the address of a data block or a page.
    pub(crate) fn from_u64(address: u64) -> Option<Self> {
        (address != 0).then_some(Self(address))
    }

    pub(crate) fn to_u64(self) -> u64 {
        self.0
    }

    pub(crate) fn segment_id(self) -> u64 {
        self.0 >> 12
    }

    pub(crate) fn block(self) -> u32 {
        (self.0 & 0xfff) as u32
    }
}

/// The one length that a pool may choose when it is made: tests make segments small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub(crate) segment_blocks: u32,
}

impl Geometry {
    pub(crate) fn segment_bytes(self) -> u64 {
        u64::from(self.segment_blocks) * BLOCK as u64
    }

    /// Where a block of an extent is in the file.
    pub(crate) fn offset(self, extent: u64, block: u32) -> u64 {
        EXTENTS_START + extent * self.segment_bytes() + u64::from(block) * BLOCK as u64
    }

    /// Extents that a file of this length reaches into.
    pub(crate) fn extents_in(self, file_bytes: u64) -> u64 {
        file_bytes.saturating_sub(EXTENTS_START).div_ceil(self.segment_bytes())
    }
}

/// CRC32C (Castagnoli), the checksum of everything in the pool.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, bytes) as u32
}
