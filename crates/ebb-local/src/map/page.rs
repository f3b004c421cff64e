//! A page of a map as it is on disk: 4 KiB, never changed once written.
//!
//! ```text
//!   0        64                   1088
//!   | header | 256 epochs         | 256 x { address 6, epoch's number 1, CRC 4 }    leaf
//!   | header | 128 epochs | 128 x { address 6, epoch's number 1, CRC 4, tag 16 }    sealed leaf
//!   | header | 256 x { address 6, birth 4, CRC 4 }                                  inner page
//! ```
//! A sealed leaf is one of an encrypted volume, whose blocks are at every other 128 places of a map
//! (`places`). Inner pages are the same for all volumes.
//!
//! A page says of which lineage it is, at what level, which one there, and when it was born; its
//! parent has its birth and its CRC. All of it is verified when it is read, so that a page that was
//! lost, damaged, or written elsewhere is never taken for the right one.
//!
//! Address 0 is no entry: block 0 of segment 0 is the log's first header.

pub(crate) mod layers;
mod leaf;

use std::ops::Range;

use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{WAYS, span};
use crate::layout::{Address, BLOCK, crc32c};
pub(crate) use leaf::{Leaf, encode_leaf, stored};

const MAGIC: [u8; 8] = *b"EBBTPAG\x01";
const HEADER_BYTES: usize = size_of::<Header>();
const CRC_AT: usize = std::mem::offset_of!(Header, crc);
const KIND_AT: usize = std::mem::offset_of!(Header, kind);
const ADDRESS_BYTES: usize = 6;
const INNER_ENTRY_BYTES: usize = ADDRESS_BYTES + 4 + 4;

const LEAF: u8 = 1;
const SEALED_LEAF: u8 = 2;
const INNER: u8 = 3;

/// A page, by what its parent knows of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PageRef {
    pub(crate) address: Address,
    pub(crate) birth: u32,
    pub(crate) crc: u32,
}

/// Which page it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) pool_id: [u8; 16],
    pub(crate) lineage: u64,
    pub(crate) level: u32,
    /// Which of its level.
    pub(crate) index: u64,
}

/// The block of a page that was verified, or is about to be written.
pub(crate) type Block = [u8; BLOCK];

pub(crate) type Inner = [Option<PageRef>; WAYS];

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Header {
    magic: [u8; 8],
    kind: u8,
    level: u8,
    epochs: U16,
    crc: U32,
    pool_id: [u8; 16],
    lineage: U64,
    index: U64,
    birth: U32,
    zero: [u8; 12],
}

impl Identity {
    /// The page under an entry of this one.
    pub(crate) fn child(self, i: usize) -> Self {
        Self { level: self.level - 1, index: self.index * WAYS as u64 + i as u64, ..self }
    }

    /// The first block under the page.
    pub(crate) fn first(self) -> u64 {
        self.index * span(self.level + 1)
    }

    /// The blocks under the page.
    pub(crate) fn blocks(self) -> Range<u64> {
        self.first()..self.first() + span(self.level + 1)
    }

    fn header(self, kind: u8, birth: u32, epochs: usize) -> Header {
        Header {
            magic: MAGIC,
            kind,
            level: self.level as u8,
            epochs: (epochs as u16).into(),
            crc: U32::ZERO,
            pool_id: self.pool_id,
            lineage: self.lineage.into(),
            index: self.index.into(),
            birth: birth.into(),
            zero: [0; 12],
        }
    }

    /// What is wrong with a block that should be this page, as its parent knows it.
    /// Of leaves one kind is as good as the other: its parent knows it by its checksum.
    pub(crate) fn verify(self, block: &Block, expected: PageRef) -> Result<(), &'static str> {
        let (header, _) = Header::ref_from_prefix(block).map_err(|_| "it is too short")?;
        let mut unsigned = *block;
        unsigned[CRC_AT..CRC_AT + 4].fill(0);
        let same = |differs: bool, what| if differs { Err(what) } else { Ok(()) };
        same(header.magic != MAGIC, "it is no page")?;
        same(crc32c(&unsigned) != header.crc.get(), "it does not match its checksum")?;
        same(header.crc.get() != expected.crc, "it is another than its parent knows")?;
        same(header.birth.get() != expected.birth, "it was born at another epoch")?;
        same(header.pool_id != self.pool_id, "it is of another pool")?;
        let kinds: &[u8] = if self.level == 0 { &[LEAF, SEALED_LEAF] } else { &[INNER] };
        let is_kind = kinds.contains(&header.kind) && u32::from(header.level) == self.level;
        same(!is_kind, "it is of another kind")?;
        same(header.lineage.get() != self.lineage, "it is of another lineage")?;
        same(header.index.get() != self.index, "it is for other blocks")
    }
}

/// An inner page's block and its CRC.
pub(crate) fn encode_inner(identity: Identity, birth: u32, inner: &Inner) -> (Box<Block>, u32) {
    let mut block = Box::new([0; BLOCK]);
    block[..HEADER_BYTES].copy_from_slice(identity.header(INNER, birth, 0).as_bytes());
    for (i, child) in inner.iter().enumerate() {
        let Some(child) = child else { continue };
        let at = HEADER_BYTES + i * INNER_ENTRY_BYTES;
        put(&mut block[..], at, &address_bytes(child.address));
        put(&mut block[..], at + ADDRESS_BYTES, &child.birth.to_le_bytes());
        put(&mut block[..], at + ADDRESS_BYTES + 4, &child.crc.to_le_bytes());
    }
    sign(block)
}

/// An entry of an inner page.
pub(crate) fn child(block: &Block, i: usize) -> Option<PageRef> {
    let at = HEADER_BYTES + i * INNER_ENTRY_BYTES;
    Some(PageRef {
        address: address(block, at)?,
        birth: u32_at(block, at + ADDRESS_BYTES),
        crc: u32_at(block, at + ADDRESS_BYTES + 4),
    })
}

/// The same page with another birth, and its CRC.
pub(crate) fn reborn(block: &Block, birth: u32) -> (Box<Block>, u32) {
    let mut block = Box::new(*block);
    let at = std::mem::offset_of!(Header, birth);
    put(&mut block[..], at, &birth.to_le_bytes());
    put(&mut block[..], CRC_AT, &[0; 4]);
    sign(block)
}

fn sign(mut block: Box<Block>) -> (Box<Block>, u32) {
    let crc = crc32c(&block[..]);
    put(&mut block[..], CRC_AT, &crc.to_le_bytes());
    (block, crc)
}

fn put(block: &mut [u8], at: usize, bytes: &[u8]) {
    block[at..at + bytes.len()].copy_from_slice(bytes);
}

fn address_bytes(address: Address) -> [u8; ADDRESS_BYTES] {
    let [a, b, c, d, e, f, _, _] = address.to_u64().to_le_bytes();
    [a, b, c, d, e, f]
}

fn address(block: &Block, at: usize) -> Option<Address> {
    let mut bytes = [0; 8];
    bytes[..ADDRESS_BYTES].copy_from_slice(&block[at..at + ADDRESS_BYTES]);
    Address::from_u64(u64::from_le_bytes(bytes))
}

fn u32_at(from: &[u8], at: usize) -> u32 {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&from[at..at + 4]);
    u32::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests;
