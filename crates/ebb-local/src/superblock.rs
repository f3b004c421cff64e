//! The superblock: where the log's newest generation begins.
//!
//! Two slots, each one block with a checksum, written one after the other with a sync behind each:
//! at every moment one of them is whole. The newer valid one counts. Opening a pool brings both to
//! the same content, so that a flipped bit in one slot never brings an older state back.

use ebb_volume::EngineError;
use zerocopy::byteorder::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::layout::{BLOCK, EXTENTS_START, Geometry, SLOTS, Segment, crc32c};
use crate::planted::{Bug, Planted};
use crate::storage::Storage;

const MAGIC: [u8; 8] = *b"EBBTSUP\x01";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Superblock {
    pub(crate) pool_id: [u8; 16],
    /// Grows with every change of the superblock.
    pub(crate) generation: u64,
    /// The log's newest generation; 0 before the first.
    pub(crate) log_gen: u64,
    /// Where that generation begins. None before the first.
    pub(crate) start: Option<Segment>,
    /// Segment ids below it may have been given away.
    pub(crate) segment_id_limit: u64,
    /// Extents below it have been written and synced once: a log in them finds its space taken.
    pub(crate) written_extents: u64,
    pub(crate) geometry: Geometry,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Stored {
    magic: [u8; 8],
    crc: U32,
    segment_blocks: U32,
    pool_id: [u8; 16],
    generation: U64,
    log_gen: U64,
    has_start: U64,
    start_id: U64,
    start_extent: U64,
    segment_id_limit: U64,
    written_extents: U64,
}

impl Superblock {
    fn encode(&self) -> Vec<u8> {
        let mut stored = Stored {
            magic: MAGIC,
            crc: U32::ZERO,
            segment_blocks: self.geometry.segment_blocks.into(),
            pool_id: self.pool_id,
            generation: self.generation.into(),
            log_gen: self.log_gen.into(),
            has_start: u64::from(self.start.is_some()).into(),
            start_id: self.start.map_or(0, |s| s.id).into(),
            start_extent: self.start.map_or(0, |s| s.extent).into(),
            segment_id_limit: self.segment_id_limit.into(),
            written_extents: self.written_extents.into(),
        };
        stored.crc = crc32c(&padded(stored.as_bytes())).into();
        padded(stored.as_bytes())
    }

    fn decode(block: &[u8]) -> Option<Self> {
        let (stored, _) = Stored::ref_from_prefix(block).ok()?;
        let mut unsigned = block.to_vec();
        unsigned[8..12].fill(0);
        if stored.magic != MAGIC || stored.crc.get() != crc32c(&unsigned) {
            return None;
        }
        Some(Self {
            pool_id: stored.pool_id,
            generation: stored.generation.get(),
            log_gen: stored.log_gen.get(),
            start: (stored.has_start.get() == 1).then_some(Segment {
                id: stored.start_id.get(),
                extent: stored.start_extent.get(),
            }),
            segment_id_limit: stored.segment_id_limit.get(),
            written_extents: stored.written_extents.get(),
            geometry: Geometry { segment_blocks: stored.segment_blocks.get() },
        })
    }

    /// The newest valid one. `None` where the file has never held more than superblocks and has no
    /// valid one: making the pool did not come to its end, so there is nothing to lose.
    pub(crate) fn read(storage: &impl Storage) -> Result<Option<Self>, EngineError> {
        let length = storage.len().map_err(stopped)?;
        let mut newest: Option<Self> = None;
        for offset in SLOTS {
            let mut block = vec![0; BLOCK];
            if length < offset + BLOCK as u64 || storage.read_at(offset, &mut block).is_err() {
                // The other slot may still be good.
                continue;
            }
            if let Some(found) = Self::decode(&block)
                && newest.as_ref().is_none_or(|n| n.generation < found.generation)
            {
                newest = Some(found);
            }
        }
        if newest.is_none() && length > EXTENTS_START {
            let message = "both superblocks of pool.dat are damaged";
            return Err(EngineError::Corrupt(message.into()));
        }
        Ok(newest)
    }

    /// Writes both slots. When it returns, this superblock is what any crash leaves.
    pub(crate) fn write(
        &self,
        storage: &impl Storage,
        planted: Planted,
    ) -> Result<(), EngineError> {
        let block = self.encode();
        for (slot, offset) in SLOTS.into_iter().enumerate() {
            if slot == 1 && planted.has(Bug::SkipSecondSlot) {
                break;
            }
            storage.write_at(offset, &[&block]).map_err(stopped)?;
            // Before the other slot is touched: a crash while writing it may tear it.
            if !planted.has(Bug::SkipSuperblockSync) {
                storage.sync().map_err(stopped)?;
            }
        }
        Ok(())
    }
}

fn padded(bytes: &[u8]) -> Vec<u8> {
    let mut block = bytes.to_vec();
    block.resize(BLOCK, 0);
    block
}

fn stopped(error: std::io::Error) -> EngineError {
    EngineError::Stopped(format!("pool.dat: {error}"))
}
