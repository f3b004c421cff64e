//! A checkpoint's tables: the catalog, then the segments, as one stream cut into blocks.
//!
//! ```text
//!   block 0 ◄─ block 1 ◄─ … ◄─ last block ◄─ superblock      each with the CRC of the one before
//! ```
//! They have to be found before the table of segments is there, so each says where the one before
//! it lies in the file. A damaged one refuses the pool: without it nothing else can be found.

use std::collections::BTreeSet;

use ebb_volume::EngineError;
use zerocopy::byteorder::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::catalog::Catalog;
use crate::layout::{BLOCK, Located, Segment, crc32c};
use crate::map::page::Block;
use crate::segments::table::{self, Table};
use crate::storage::Storage;
use crate::superblock::Superblock;

const MAGIC: [u8; 8] = *b"EBBTTAB\x01";
const HEADER_BYTES: usize = size_of::<Header>();
const CRC_AT: usize = std::mem::offset_of!(Header, crc);

/// Bytes of the stream in a block.
pub(crate) const PAYLOAD_BYTES: usize = BLOCK - HEADER_BYTES;

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Header {
    magic: [u8; 8],
    crc: U32,
    payload_bytes: U32,
    /// Blocks before it.
    index: U64,
    before_id: U64,
    before_extent: U64,
    before_block: U32,
    before_crc: U32,
    pool_id: [u8; 16],
}

/// One block of the stream, and its CRC.
pub(crate) fn encode(
    pool_id: [u8; 16],
    index: u64,
    before: Option<Located>,
    payload: &[u8],
) -> (Box<Block>, u32) {
    let header = Header {
        magic: MAGIC,
        crc: U32::ZERO,
        payload_bytes: (payload.len() as u32).into(),
        index: index.into(),
        before_id: before.map_or(0, |b| b.segment.id).into(),
        before_extent: before.map_or(0, |b| b.segment.extent).into(),
        before_block: before.map_or(0, |b| b.block).into(),
        before_crc: before.map_or(0, |b| b.crc).into(),
        pool_id,
    };
    let mut block = Box::new([0; BLOCK]);
    block[..HEADER_BYTES].copy_from_slice(header.as_bytes());
    block[HEADER_BYTES..HEADER_BYTES + payload.len()].copy_from_slice(payload);
    let crc = crc32c(&block[..]);
    block[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_le_bytes());
    (block, crc)
}

/// Reads the tables that end with `last`.
pub(crate) fn read(
    storage: &impl Storage,
    superblock: &Superblock,
    last: Located,
) -> Result<(Catalog, Table), EngineError> {
    let (mut payloads, mut lies_in) = (Vec::new(), BTreeSet::new());
    let mut at = Some((last, None));
    while let Some((place, index)) = at {
        lies_in.insert(place.segment.id);
        let (payload, before) = read_block(storage, superblock, place, index)?;
        at = before.map(|(before, index)| (before, Some(index)));
        payloads.push(payload);
    }
    payloads.reverse();
    let stream = payloads.concat();
    let segment_blocks = superblock.geometry.segment_blocks;
    let decoded = Catalog::decode(&stream)
        .and_then(|(catalog, rest)| Some((catalog, table::decode(segment_blocks, rest)?)));
    let (catalog, mut table) = decoded.ok_or_else(|| corrupt("they make no sense", last))?;
    table.space.tables = lies_in;
    Ok((catalog, table))
}

/// The block before, and its index.
type Before = Option<(Located, u64)>;

/// What a block holds, and the block before it.
fn read_block(
    storage: &impl Storage,
    superblock: &Superblock,
    place: Located,
    index: Option<u64>,
) -> Result<(Vec<u8>, Before), EngineError> {
    let mut block = [0; BLOCK];
    let offset = superblock.geometry.offset(place.segment.extent, place.block);
    match storage.read_at(offset, &mut block) {
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {}
        outcome => outcome.map_err(|error| {
            EngineError::Stopped(format!("reading the tables of the checkpoint: {error}"))
        })?,
    }
    let mut unsigned = block;
    unsigned[CRC_AT..CRC_AT + 4].fill(0);
    let (header, payload) =
        Header::ref_from_prefix(&block).map_err(|_| corrupt("a block is too short", place))?;
    let payload = payload.get(..header.payload_bytes.get() as usize);
    let right = header.magic == MAGIC
        && header.crc.get() == place.crc
        && crc32c(&unsigned) == place.crc
        && header.pool_id == superblock.pool_id
        && index.is_none_or(|index| index == header.index.get());
    let Some(payload) = payload.filter(|_| right) else {
        return Err(corrupt("a block is damaged", place));
    };
    let before = header.index.get().checked_sub(1).map(|index| {
        let segment = Segment { id: header.before_id.get(), extent: header.before_extent.get() };
        let (block, crc) = (header.before_block.get(), header.before_crc.get());
        (Located { segment, block, crc }, index)
    });
    Ok((payload.to_vec(), before))
}

fn corrupt(what: &str, place: Located) -> EngineError {
    let message = format!(
        "the tables of the checkpoint: {what}: segment {}, extent {}, block {}",
        place.segment.id, place.segment.extent, place.block
    );
    tracing::error!("{message}");
    EngineError::Corrupt(message)
}
