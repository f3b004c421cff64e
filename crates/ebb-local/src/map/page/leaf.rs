//! Leaves: for each block its address, its birth, and what vouches for its bytes.
//!
//! The blocks of a leaf were born at few epochs, so each is written once, in ascending order, and
//! an entry has its number among them.

use zerocopy::IntoBytes;

use super::super::{Stored, WAYS};
use super::{
    ADDRESS_BYTES, Block, HEADER_BYTES, Identity, LEAF, address, address_bytes, put, sign, u32_at,
};
use crate::layout::{Address, BLOCK};

pub(crate) type Leaf = [Option<Stored>; WAYS];

/// How the leaves of one kind are laid out.
pub(super) struct Form {
    pub(super) kind: u8,
    /// Entries, and the most epochs that they can have.
    pub(super) ways: usize,
    /// Bytes of what vouches for a block.
    pub(super) check_bytes: usize,
}

const PLAIN: Form = Form { kind: LEAF, ways: WAYS, check_bytes: 4 };

/// An entry of any form.
pub(super) struct Entry<C> {
    pub(super) address: Address,
    pub(super) birth: u32,
    pub(super) check: C,
}

impl Form {
    pub(super) const fn entry_at(&self, i: usize) -> usize {
        HEADER_BYTES + self.ways * 4 + i * (ADDRESS_BYTES + 1 + self.check_bytes)
    }

    /// A block with these entries, and its CRC.
    pub(super) fn encode<C: AsRef<[u8]>>(
        &self,
        identity: Identity,
        birth: u32,
        entries: &[Option<Entry<C>>],
    ) -> (Box<Block>, u32) {
        let mut epochs: Vec<u32> = entries.iter().flatten().map(|entry| entry.birth).collect();
        epochs.sort_unstable();
        epochs.dedup();
        let mut block = Box::new([0; BLOCK]);
        let header = identity.header(self.kind, birth, epochs.len());
        block[..HEADER_BYTES].copy_from_slice(header.as_bytes());
        for (i, epoch) in epochs.iter().enumerate() {
            put(&mut block[..], HEADER_BYTES + 4 * i, &epoch.to_le_bytes());
        }
        for (i, entry) in entries.iter().enumerate() {
            let Some(entry) = entry else { continue };
            let number = epochs.partition_point(|epoch| *epoch < entry.birth) as u8;
            let at = self.entry_at(i);
            put(&mut block[..], at, &address_bytes(entry.address));
            put(&mut block[..], at + ADDRESS_BYTES, &[number]);
            put(&mut block[..], at + ADDRESS_BYTES + 1, entry.check.as_ref());
        }
        sign(block)
    }

    /// An entry, with what vouches for its block still in the page.
    pub(super) fn entry<'a>(&self, block: &'a Block, i: usize) -> Option<Entry<&'a [u8]>> {
        let at = self.entry_at(i);
        let number = usize::from(block[at + ADDRESS_BYTES]);
        let check = at + ADDRESS_BYTES + 1;
        Some(Entry {
            address: address(block, at)?,
            // Whatever number a page that passes for whole has, it is one of the epochs'.
            birth: u32_at(block, HEADER_BYTES + 4 * (number % self.ways)),
            check: &block[check..check + self.check_bytes],
        })
    }
}

/// A leaf's block and its CRC.
pub(crate) fn encode_leaf(identity: Identity, birth: u32, leaf: &Leaf) -> (Box<Block>, u32) {
    let entries = leaf.map(|stored| {
        let Stored { address, birth, crc } = stored?;
        Some(Entry { address, birth, check: crc.to_le_bytes() })
    });
    PLAIN.encode(identity, birth, &entries)
}

/// An entry of a leaf.
pub(crate) fn stored(block: &Block, i: usize) -> Option<Stored> {
    let Entry { address, birth, check } = PLAIN.entry(block, i)?;
    Some(Stored { address, birth, crc: u32_at(check, 0) })
}
