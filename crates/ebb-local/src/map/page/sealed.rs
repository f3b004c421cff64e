//! Leaves of encrypted volumes: 128 blocks, each with the tag that encrypting it made.
//!
//! A tag is four times as long as a CRC, so a leaf has half as many blocks. Nothing else differs,
//! and a leaf of one kind is never taken for one of the other.

use super::super::HEIGHT;
use super::leaf::{Entry, Form};
use super::{Block, Identity, PageRef, SEALED_LEAF};
use crate::layout::Address;
use crate::record::Tag;

/// Entries of a sealed leaf.
pub(crate) const SEALED_WAYS: usize = 128;

const SEALED: Form = Form { kind: SEALED_LEAF, ways: SEALED_WAYS, check_bytes: size_of::<Tag>() };

// The largest volume fits into a tree of the same height.
const _: () = assert!((SEALED_WAYS as u64) << (8 * HEIGHT) >= (64 << 40) / 4096);

/// Where an encrypted block is, when it was born, and the tag that vouches for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sealed {
    pub(crate) address: Address,
    pub(crate) birth: u32,
    pub(crate) tag: Tag,
}

pub(crate) type SealedLeaf = [Option<Sealed>; SEALED_WAYS];

/// The first block of the volume that a sealed leaf is for.
pub(crate) fn first(identity: Identity) -> u64 {
    identity.index * SEALED_WAYS as u64
}

/// A sealed leaf's block and its CRC.
pub(crate) fn encode_sealed_leaf(
    identity: Identity,
    birth: u32,
    leaf: &SealedLeaf,
) -> (Box<Block>, u32) {
    let entries = leaf.map(|sealed| {
        let Sealed { address, birth, tag } = sealed?;
        Some(Entry { address, birth, check: tag.0 })
    });
    SEALED.encode(identity, birth, &entries)
}

/// An entry of a sealed leaf.
pub(crate) fn sealed(block: &Block, i: usize) -> Option<Sealed> {
    let Entry { address, birth, check } = SEALED.entry(block, i)?;
    let mut tag = Tag([0; 16]);
    tag.0.copy_from_slice(check);
    Some(Sealed { address, birth, tag })
}

/// What is wrong with a block that should be this sealed leaf, as its parent knows it.
pub(crate) fn verify(
    identity: Identity,
    block: &Block,
    expected: PageRef,
) -> Result<(), &'static str> {
    identity.verify_kind(SEALED_LEAF, block, expected)
}
