//! The superblocks of a pool, in a file of nothing else.

use std::io;
use std::sync::Mutex;

use ebb_volume::EngineError;

use super::{Block, assert_same_where_read, block, seed, sign};
use crate::layout::{
    BLOCK, EXTENTS_START, Geometry, Link, Located, LogPlace, SEGMENT_BLOCKS, SLOTS, Segment,
};
use crate::planted::Planted;
use crate::storage::{Growth, Storage};
use crate::superblock::{Checkpoint, Superblock};

/// Where docs/internals/format.md has the checksum.
const CRC_AT: usize = 8;
/// The input holds one for each slot: this many bytes, and the rest.
const FIRST_BYTES: usize = 192;

/// The newer valid slot counts, whatever is in the other; what is read is written to both slots
/// as it was; another format stops.
///
/// # Panics
/// Where that is not so.
pub fn check(input: &[u8]) {
    let (first, second) = input.split_at(input.len().min(FIRST_BYTES));
    let slots = [first, second].map(|part| {
        let mut block = block(part);
        sign(&mut block, CRC_AT);
        block
    });
    let alone = slots.map(|slot| Superblock::read(&File::of([&slot, &[0; BLOCK]])));
    let both = Superblock::read(&File::of([&slots[0], &slots[1]]));
    let [Ok(one), Ok(other)] = &alone else {
        let stopped = matches!(both, Err(EngineError::Stopped(_)));
        return assert!(stopped, "a slot of another format was passed over: {both:?}");
    };
    let newest = [one, other].into_iter().flatten().map(|found| found.generation).max();
    let found = both.expect("each slot alone is read");
    assert_eq!(found.as_ref().map(|found| found.generation), newest);

    for (slot, alone) in slots.iter().zip(&alone) {
        if let Ok(Some(superblock)) = alone {
            check_one(slot, superblock);
        }
    }
}

fn check_one(slot: &Block, superblock: &Superblock) {
    let file = File::of([&[0; BLOCK], &[0; BLOCK]]);
    superblock.write(&file, Planted::default()).expect("writing to memory does not fail");
    assert_eq!(Superblock::read(&file).as_ref(), Ok(&Some(superblock.clone())));
    for offset in SLOTS {
        let mut again = [0; BLOCK];
        file.read_at(offset, &mut again).expect("the slot was written");
        assert_same_where_read(slot, &again, CRC_AT);
    }
}

/// Pools with and without a generation and a checkpoint, in the first slot and in the second.
pub fn seeds() -> Vec<Vec<u8>> {
    let segment = |id| Segment { id, extent: id + 1 };
    let checkpoint = Checkpoint {
        log_gen: 2,
        at: LogPlace {
            segment: segment(41),
            block: 17,
            next: segment(42),
            last: Link { seq: 900, crc: 77 },
        },
        tables: Located { segment: segment(43), block: 3, crc: 99 },
    };
    let new = Superblock {
        pool_id: [3; 16],
        generation: 1,
        log_gen: 0,
        start: None,
        segment_id_limit: 1,
        written_extents: 0,
        geometry: Geometry { segment_blocks: SEGMENT_BLOCKS },
        checkpoint: None,
    };
    let begun = Superblock { generation: 2, log_gen: 1, start: Some(segment(1)), ..new.clone() };
    let checked = Superblock { generation: 3, checkpoint: Some(checkpoint), ..begun.clone() };
    let first = |superblock: &Superblock| {
        let file = File::of([&[0; BLOCK], &[0; BLOCK]]);
        superblock.write(&file, Planted::default()).expect("writing to memory does not fail");
        let mut bytes = vec![0; FIRST_BYTES];
        file.read_at(SLOTS[0], &mut bytes).expect("the slot was written");
        bytes
    };
    let two = seed(&[first(&begun), first(&checked)].concat());
    [&new, &begun, &checked].map(first).into_iter().chain([two]).collect()
}

/// A pool's first MiB in memory: the two slots, and nothing around them.
struct File(Mutex<[Block; 2]>);

impl File {
    fn of(slots: [&Block; 2]) -> Self {
        Self(Mutex::new(slots.map(|slot| *slot)))
    }

    fn slot(offset: u64) -> usize {
        SLOTS.iter().position(|slot| *slot == offset).expect("only slots are read and written")
    }
}

impl Storage for File {
    fn read_some(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let slots = self.0.lock().expect("nothing panics while it holds the lock");
        let length = into.len().min(BLOCK);
        into[..length].copy_from_slice(&slots[Self::slot(offset)][..length]);
        Ok(length)
    }

    fn write_some(&self, offset: u64, parts: &[&[u8]]) -> io::Result<usize> {
        let mut slots = self.0.lock().expect("nothing panics while it holds the lock");
        let bytes = parts.concat();
        slots[Self::slot(offset)].copy_from_slice(&bytes);
        Ok(bytes.len())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(EXTENTS_START)
    }

    fn allocate(&self, _: u64, _: u64, _: Growth) -> io::Result<bool> {
        Ok(false)
    }

    fn punch(&self, _: u64, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn forget_cached(&self) -> io::Result<()> {
        Ok(())
    }

    fn unlock(&self) {}
}
