//! The superblock: where the log's newest generation begins, and where the newest checkpoint is.
//!
//! Two slots, each one block with a checksum, written one after the other with a sync behind each:
//! at every moment one of them is whole. The newer valid one counts. Opening a pool brings both to
//! the same content, so that a flipped bit in one slot never brings an older state back.

use ebb_volume::EngineError;
use zerocopy::byteorder::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::layout::{
    BLOCK, EXTENTS_START, Geometry, Link, Located, LogPlace, SEGMENT_BLOCKS, SLOTS, Segment, crc32c,
};
use crate::planted::{Bug, Planted};
use crate::storage::Storage;

const MAGIC: [u8; 7] = *b"EBBTSUP";
/// The format of the pool.
const VERSION: u8 = 4;
/// The oldest that is read. What came since is nowhere in a pool that it wrote.
const OLDEST: u8 = 3;

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
    /// What recovery begins with. None before the first.
    pub(crate) checkpoint: Option<Checkpoint>,
}

/// The state of the pool at one place of its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    /// The generation of the log which it was.
    pub(crate) log_gen: u64,
    /// All records before it are in the checkpoint, none behind.
    pub(crate) at: LogPlace,
    /// The last block of its tables.
    pub(crate) tables: Located,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Stored {
    magic: [u8; 7],
    version: u8,
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
    has_checkpoint: U64,
    checkpoint: StoredCheckpoint,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Default)]
#[repr(C)]
struct StoredCheckpoint {
    log_gen: U64,
    segment_id: U64,
    extent: U64,
    next_id: U64,
    next_extent: U64,
    seq: U64,
    block: U32,
    crc: U32,
    tables_id: U64,
    tables_extent: U64,
    tables_block: U32,
    tables_crc: U32,
}

impl Checkpoint {
    fn stored(&self) -> StoredCheckpoint {
        StoredCheckpoint {
            log_gen: self.log_gen.into(),
            segment_id: self.at.segment.id.into(),
            extent: self.at.segment.extent.into(),
            next_id: self.at.next.id.into(),
            next_extent: self.at.next.extent.into(),
            seq: self.at.last.seq.into(),
            block: self.at.block.into(),
            crc: self.at.last.crc.into(),
            tables_id: self.tables.segment.id.into(),
            tables_extent: self.tables.segment.extent.into(),
            tables_block: self.tables.block.into(),
            tables_crc: self.tables.crc.into(),
        }
    }

    fn from_stored(stored: &StoredCheckpoint) -> Self {
        let segment = |id: U64, extent: U64| Segment { id: id.get(), extent: extent.get() };
        Self {
            log_gen: stored.log_gen.get(),
            at: LogPlace {
                segment: segment(stored.segment_id, stored.extent),
                block: stored.block.get(),
                next: segment(stored.next_id, stored.next_extent),
                last: Link { seq: stored.seq.get(), crc: stored.crc.get() },
            },
            tables: Located {
                segment: segment(stored.tables_id, stored.tables_extent),
                block: stored.tables_block.get(),
                crc: stored.tables_crc.get(),
            },
        }
    }
}

impl Superblock {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut stored = Stored {
            magic: MAGIC,
            version: VERSION,
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
            has_checkpoint: u64::from(self.checkpoint.is_some()).into(),
            checkpoint: self.checkpoint.map_or_else(Default::default, |c| c.stored()),
        };
        stored.crc = crc32c(&padded(stored.as_bytes())).into();
        padded(stored.as_bytes())
    }

    /// None: the block is no superblock.
    fn decode(block: &[u8]) -> Result<Option<Self>, EngineError> {
        let Ok((stored, _)) = Stored::ref_from_prefix(block) else {
            return Ok(None);
        };
        let mut unsigned = block.to_vec();
        unsigned[8..12].fill(0);
        let sizes = 3..=SEGMENT_BLOCKS;
        let makes_sense = sizes.contains(&stored.segment_blocks.get());
        if stored.magic != MAGIC || stored.crc.get() != crc32c(&unsigned) || !makes_sense {
            return Ok(None);
        }
        let whose = match stored.version {
            OLDEST..=VERSION => None,
            ..OLDEST => Some("one from before the first release"),
            _ => Some("a newer one"),
        };
        if let Some(whose) = whose {
            return Err(EngineError::Stopped(format!(
                "pool.dat has format version {}, and this program reads versions {OLDEST} to \
                 {VERSION}: {whose} made it",
                stored.version
            )));
        }
        let checkpoint =
            (stored.has_checkpoint.get() == 1).then(|| Checkpoint::from_stored(&stored.checkpoint));
        Ok(Some(Self {
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
            checkpoint,
        }))
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
            if let Some(found) = Self::decode(&block)?
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

    /// Whether a slot holds this one.
    pub(crate) fn is_at(&self, storage: &impl Storage, slot: u64) -> bool {
        let mut block = vec![0; BLOCK];
        let read = storage.read_at(slot, &mut block);
        read.is_ok() && matches!(Self::decode(&block), Ok(Some(found)) if found == *self)
    }

    /// Whether a slot holds the one before this: what a process leaves that is killed while it
    /// writes.
    pub(crate) fn follows(&self, storage: &impl Storage, slot: u64) -> bool {
        let mut block = vec![0; BLOCK];
        let read = storage.read_at(slot, &mut block);
        let precedes =
            |found: &Self| found.pool_id == self.pool_id && found.generation + 1 == self.generation;
        read.is_ok() && matches!(Self::decode(&block), Ok(Some(found)) if precedes(&found))
    }

    /// Brings a slot that holds something else to this one, which was read. When it returns, this
    /// superblock is what any crash leaves: what it says is free may be written over.
    ///
    /// # Errors
    /// [`EngineError::Stopped`]: as for [`Superblock::write`].
    pub(crate) fn settle(
        &self,
        storage: &impl Storage,
        planted: Planted,
    ) -> Result<(), EngineError> {
        // The process before may have died with it in the cache. And before the other slot is
        // touched: a crash while writing that may tear it.
        if !planted.has(Bug::RecoveryNotSynced) {
            storage.sync().map_err(stopped)?;
        }
        for slot in SLOTS.into_iter().filter(|slot| !self.is_at(storage, *slot)) {
            storage.write_at(slot, &[&self.encode()]).map_err(stopped)?;
            storage.sync().map_err(stopped)?;
        }
        Ok(())
    }

    /// Writes both slots. When it returns, this superblock is what any crash leaves.
    ///
    /// # Errors
    /// [`EngineError::Stopped`]: nobody knows now which of the two the file holds.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn superblock() -> Superblock {
        Superblock {
            pool_id: [3; 16],
            generation: 7,
            log_gen: 2,
            start: Some(Segment { id: 40, extent: 4 }),
            segment_id_limit: 50,
            written_extents: 12,
            geometry: Geometry { segment_blocks: 64 },
            checkpoint: Some(Checkpoint {
                log_gen: 2,
                at: LogPlace {
                    segment: Segment { id: 41, extent: 5 },
                    block: 17,
                    next: Segment { id: 42, extent: 6 },
                    last: Link { seq: 900, crc: 0xdead_beef },
                },
                tables: Located { segment: Segment { id: 43, extent: 7 }, block: 3, crc: 99 },
            }),
        }
    }

    /// As another version of the program would have written it.
    fn of_version(mut block: Vec<u8>, version: u8) -> Vec<u8> {
        block[7] = version;
        block[8..12].fill(0);
        let crc = crc32c(&block);
        block[8..12].copy_from_slice(&crc.to_le_bytes());
        block
    }

    #[test]
    fn what_is_written_is_read() {
        let superblock = superblock();
        assert_eq!(Superblock::decode(&superblock.encode()), Ok(Some(superblock)));
    }

    #[test]
    fn the_version_before_is_read() {
        let older = of_version(superblock().encode(), OLDEST);
        assert_eq!(Superblock::decode(&older), Ok(Some(superblock())));
    }

    #[test]
    fn other_versions_are_refused_by_name() {
        for (version, whose) in [(OLDEST - 1, "before the first release"), (VERSION + 1, "newer")] {
            let found = Superblock::decode(&of_version(superblock().encode(), version));
            let named = format!("version {version}");
            assert!(
                matches!(&found, Err(EngineError::Stopped(why))
                    if why.contains(&named) && why.contains(whose)),
                "{found:?}"
            );
        }
    }
}
