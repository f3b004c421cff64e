use proptest::prelude::*;

use super::super::Stored;
use super::sealed::{SEALED_WAYS, Sealed, SealedLeaf, encode_sealed_leaf, sealed};
use super::*;
use crate::record::Tag;

fn identity() -> impl Strategy<Value = Identity> {
    (any::<[u8; 16]>(), any::<u64>(), any::<u64>()).prop_map(|(pool_id, lineage, index)| Identity {
        pool_id,
        lineage,
        level: 0,
        index,
    })
}

/// Any but the one that is no entry.
fn address() -> impl Strategy<Value = Address> {
    (1_u64..1 << 48).prop_map(|n| Address::from_u64(n).unwrap())
}

/// Many blocks of few epochs, or few of many.
fn birth() -> impl Strategy<Value = u32> {
    prop_oneof![0..4_u32, any::<u32>()]
}

/// A page with some of its entries.
fn entries<T: Clone + std::fmt::Debug, const N: usize>(
    entry: impl Strategy<Value = T>,
) -> impl Strategy<Value = [Option<T>; N]> {
    prop::collection::vec(prop::option::of(entry), N)
        .prop_map(|entries| entries.try_into().unwrap())
}

fn leaf() -> impl Strategy<Value = Leaf> {
    entries((address(), birth(), any::<u32>()).prop_map(|(address, birth, crc)| Stored {
        address,
        birth,
        crc,
    }))
}

fn sealed_leaf() -> impl Strategy<Value = SealedLeaf> {
    entries((address(), birth(), any::<[u8; 16]>()).prop_map(|(address, birth, tag)| Sealed {
        address,
        birth,
        tag: Tag(tag),
    }))
}

fn inner() -> impl Strategy<Value = Inner> {
    entries((address(), any::<u32>(), any::<u32>()).prop_map(|(address, birth, crc)| PageRef {
        address,
        birth,
        crc,
    }))
}

fn page(birth: u32, crc: u32) -> PageRef {
    PageRef { address: Address::new(1, 1), birth, crc }
}

/// 1 to 255, to flip at least a bit of a byte.
fn flip() -> impl Strategy<Value = (usize, u8)> {
    (0..BLOCK, 1..=u8::MAX)
}

proptest! {
    #[test]
    fn a_leaf_decodes_and_a_flipped_byte_is_seen(
        (identity, birth, leaf, (at, bits)) in (identity(), any::<u32>(), leaf(), flip())
    ) {
        let (mut block, crc) = encode_leaf(identity, birth, &leaf);
        prop_assert_eq!(identity.verify(&block, page(birth, crc)), Ok(()));
        prop_assert_eq!(std::array::from_fn(|i| stored(&block, i)), leaf);
        prop_assert!(sealed::verify(identity, &block, page(birth, crc)).is_err());
        block[at] ^= bits;
        prop_assert!(identity.verify(&block, page(birth, crc)).is_err());
    }

    #[test]
    fn a_sealed_leaf_decodes_and_a_flipped_byte_is_seen(
        (identity, birth, leaf, (at, bits)) in (identity(), any::<u32>(), sealed_leaf(), flip())
    ) {
        let (mut block, crc) = encode_sealed_leaf(identity, birth, &leaf);
        prop_assert_eq!(sealed::verify(identity, &block, page(birth, crc)), Ok(()));
        prop_assert_eq!(std::array::from_fn(|i| sealed(&block, i)), leaf);
        prop_assert!(identity.verify(&block, page(birth, crc)).is_err(), "taken for a plain one");
        block[at] ^= bits;
        prop_assert!(sealed::verify(identity, &block, page(birth, crc)).is_err());
    }

    #[test]
    fn an_inner_page_decodes_and_a_flipped_byte_is_seen(
        (identity, level, birth) in (identity(), 1..5_u32, any::<u32>()),
        (inner, (at, bits)) in (inner(), flip())
    ) {
        let identity = Identity { level, ..identity };
        let (mut block, crc) = encode_inner(identity, birth, &inner);
        prop_assert_eq!(identity.verify(&block, page(birth, crc)), Ok(()));
        prop_assert_eq!(std::array::from_fn(|i| child(&block, i)), inner);
        block[at] ^= bits;
        prop_assert!(identity.verify(&block, page(birth, crc)).is_err());
    }
}

const WHICH: Identity = Identity { pool_id: [6; 16], lineage: 7, level: 0, index: 8 };

fn full_sealed_leaf() -> SealedLeaf {
    std::array::from_fn(|i| {
        let n = i as u8;
        // Each of an epoch of its own, the newest first.
        let birth = 1000 - i as u32;
        Some(Sealed { address: Address::new(i as u64 + 1, 9), birth, tag: Tag([n; 16]) })
    })
}

#[test]
fn every_flipped_byte_of_a_full_sealed_leaf_is_seen() {
    let (block, crc) = encode_sealed_leaf(WHICH, 5, &full_sealed_leaf());
    for at in 0..BLOCK {
        let mut flipped = block.clone();
        flipped[at] ^= 0x40;
        assert!(sealed::verify(WHICH, &flipped, page(5, crc)).is_err(), "byte {at}");
    }
}

#[test]
fn a_sealed_leaf_is_taken_only_where_it_belongs() {
    let (block, crc) = encode_sealed_leaf(WHICH, 5, &full_sealed_leaf());
    let others = [
        Identity { lineage: 2, ..WHICH },
        Identity { index: 1, ..WHICH },
        Identity { level: 1, ..WHICH },
        Identity { pool_id: [8; 16], ..WHICH },
    ];
    for other in others {
        assert!(sealed::verify(other, &block, page(5, crc)).is_err(), "{other:?}");
    }
    assert!(sealed::verify(WHICH, &block, page(6, crc)).is_err());
    assert!(sealed::verify(WHICH, &block, page(5, !crc)).is_err());
    assert_eq!(sealed::first(WHICH), 8 * 128);
}

/// The places of the fields are those of docs/internals/format.md, written down here once more.
#[test]
fn a_sealed_leaf_is_where_the_format_says() {
    let (block, crc) = encode_sealed_leaf(WHICH, 5, &full_sealed_leaf());
    assert_eq!(&block[..8], b"EBBTPAG\x01");
    assert_eq!(block[8..12], [2, 0, 128, 0], "kind, level, epochs");
    assert_eq!(block[12..16], crc.to_le_bytes());
    assert_eq!(block[64..68], 873_u32.to_le_bytes(), "the oldest epoch");
    assert_eq!(block[572..576], 1000_u32.to_le_bytes(), "the newest epoch");
    // Entry 1: segment 2, block 9; the newest epoch but one; its tag.
    assert_eq!(block[599..605], [9, 32, 0, 0, 0, 0]);
    assert_eq!(block[605], 126);
    assert_eq!(block[606..622], [1; 16]);
    assert_eq!(block[3504..3520], [127; 16], "the last tag");
    assert!(block[3520..].iter().all(|byte| *byte == 0));
    assert_eq!(SEALED_WAYS, 128);
}
