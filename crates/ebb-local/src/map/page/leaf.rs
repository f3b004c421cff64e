//! Leaves: for each block its address, its birth, and what vouches for its bytes.
//!
//! The blocks of a leaf were born at few epochs, so each is written once, in ascending order, and
//! an entry has its number among them.
//!
//! One of an encrypted volume has a tag in each entry, and so half as many. A page says which kind
//! it is, and is read as that.

use zerocopy::IntoBytes;

use super::super::places::SEALED_WAYS;
use super::super::{Places, Stored, WAYS};
use super::{
    ADDRESS_BYTES, Block, HEADER_BYTES, Identity, KIND_AT, LEAF, SEALED_LEAF, address,
    address_bytes, put, sign, u32_at,
};
use crate::cipher::Tag;
use crate::layout::BLOCK;

pub(crate) type Leaf = [Option<Stored>; WAYS];

/// How the leaves of one kind are laid out.
struct Form {
    kind: u8,
    /// Entries, and the most epochs that they can have.
    ways: usize,
    /// Bytes of a block's tag.
    tag_bytes: usize,
}

const PLAIN: Form = Form { kind: LEAF, ways: WAYS, tag_bytes: 0 };
const SEALED: Form = Form { kind: SEALED_LEAF, ways: SEALED_WAYS, tag_bytes: size_of::<Tag>() };

const NUMBER_AT: usize = ADDRESS_BYTES;
const ENTRY_CRC_AT: usize = NUMBER_AT + 1;
const TAG_AT: usize = ENTRY_CRC_AT + 4;

const _: () = assert!(PLAIN.entry_at(WAYS) <= BLOCK && SEALED.entry_at(SEALED_WAYS) <= BLOCK);

impl Form {
    const fn entry_at(&self, i: usize) -> usize {
        HEADER_BYTES + self.ways * 4 + i * (TAG_AT + self.tag_bytes)
    }
}

/// A leaf's block and its CRC. Of places that are spread, none but the first half has a block.
pub(crate) fn encode_leaf(
    identity: Identity,
    birth: u32,
    leaf: &Leaf,
    places: Places,
) -> (Box<Block>, u32) {
    let form = match places {
        Places::Dense => PLAIN,
        Places::Spread => SEALED,
    };
    debug_assert!(leaf[form.ways..].iter().all(Option::is_none), "a block between the places");
    let mut epochs: Vec<u32> = leaf.iter().flatten().map(|stored| stored.birth).collect();
    epochs.sort_unstable();
    epochs.dedup();
    let mut block = Box::new([0; BLOCK]);
    let header = identity.header(form.kind, birth, epochs.len());
    block[..HEADER_BYTES].copy_from_slice(header.as_bytes());
    for (i, epoch) in epochs.iter().enumerate() {
        put(&mut block[..], HEADER_BYTES + 4 * i, &epoch.to_le_bytes());
    }
    for (i, stored) in leaf[..form.ways].iter().enumerate() {
        let Some(stored) = stored else { continue };
        let number = epochs.partition_point(|epoch| *epoch < stored.birth) as u8;
        let entry = &mut block[form.entry_at(i)..];
        put(entry, 0, &address_bytes(stored.address));
        put(entry, NUMBER_AT, &[number]);
        put(entry, ENTRY_CRC_AT, &stored.crc.to_le_bytes());
        put(entry, TAG_AT, &stored.tag.0[..form.tag_bytes]);
    }
    sign(block)
}

/// An entry of a leaf of either kind.
pub(crate) fn stored(block: &Block, i: usize) -> Option<Stored> {
    let form = match block[KIND_AT] {
        SEALED_LEAF => SEALED,
        _ => PLAIN,
    };
    if i >= form.ways {
        return None;
    }
    let at = form.entry_at(i);
    let address = address(block, at)?;
    let number = usize::from(block[at + NUMBER_AT]);
    // Whatever number a page that passes for whole has, it is one of the epochs'.
    let birth = u32_at(block, HEADER_BYTES + 4 * (number % form.ways));
    let mut tag = Tag::NONE;
    tag.0[..form.tag_bytes].copy_from_slice(&block[at + TAG_AT..][..form.tag_bytes]);
    Some(Stored { address, birth, crc: u32_at(block, at + ENTRY_CRC_AT), tag })
}
