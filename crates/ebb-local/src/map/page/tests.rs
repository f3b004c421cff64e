use proptest::prelude::*;

use super::super::{Places, Stored};
use super::*;
use crate::cipher::Tag;

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
        tag: Tag::NONE,
    }))
}

fn sealed_leaf() -> impl Strategy<Value = Leaf> {
    let stored = (address(), birth(), any::<u32>(), any::<[u8; 16]>())
        .prop_map(|(address, birth, crc, tag)| Stored { address, birth, crc, tag: Tag(tag) });
    let half = entries::<_, 128>(stored);
    half.prop_map(|half| std::array::from_fn(|i| half.get(i).copied().flatten()))
}

/// Either kind.
fn any_leaf() -> impl Strategy<Value = (Leaf, Places)> {
    let (plain, sealed) = (leaf(), sealed_leaf());
    prop_oneof![
        plain.prop_map(|leaf| (leaf, Places::Dense)),
        sealed.prop_map(|leaf| (leaf, Places::Spread)),
    ]
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
        (identity, birth, (leaf, places)) in (identity(), any::<u32>(), any_leaf()),
        (at, bits) in flip()
    ) {
        let (mut block, crc) = encode_leaf(identity, birth, &leaf, places);
        prop_assert_eq!(identity.verify(&block, page(birth, crc)), Ok(()));
        prop_assert_eq!(std::array::from_fn(|i| stored(&block, i)), leaf);
        block[at] ^= bits;
        prop_assert!(identity.verify(&block, page(birth, crc)).is_err());
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

fn full_sealed_leaf() -> Leaf {
    std::array::from_fn(|i| {
        let (n, address) = (i as u8, Address::new(i as u64 + 1, 9));
        // Each of an epoch of its own, the newest first.
        let (birth, crc) = (1000 - i as u32, 500 + i as u32);
        (i < 128).then_some(Stored { address, birth, crc, tag: Tag([n; 16]) })
    })
}

#[test]
fn every_flipped_byte_of_a_full_sealed_leaf_is_seen() {
    let (block, crc) = encode_leaf(WHICH, 5, &full_sealed_leaf(), Places::Spread);
    for at in 0..BLOCK {
        let mut flipped = block.clone();
        flipped[at] ^= 0x40;
        assert!(WHICH.verify(&flipped, page(5, crc)).is_err(), "byte {at}");
    }
}

#[test]
fn a_sealed_leaf_is_taken_only_where_it_belongs() {
    let (block, crc) = encode_leaf(WHICH, 5, &full_sealed_leaf(), Places::Spread);
    let others = [
        Identity { lineage: 2, ..WHICH },
        Identity { index: 1, ..WHICH },
        Identity { level: 1, ..WHICH },
        Identity { pool_id: [8; 16], ..WHICH },
    ];
    for other in others {
        assert!(other.verify(&block, page(5, crc)).is_err(), "{other:?}");
    }
    assert!(WHICH.verify(&block, page(6, crc)).is_err());
    assert!(WHICH.verify(&block, page(5, !crc)).is_err());
    assert_eq!(WHICH.verify(&block, page(5, crc)), Ok(()));
}

/// The places of the fields are those of docs/internals/format.md, written down here once more.
#[test]
fn a_sealed_leaf_is_where_the_format_says() {
    let (block, crc) = encode_leaf(WHICH, 5, &full_sealed_leaf(), Places::Spread);
    assert_eq!(&block[..8], b"EBBTPAG\x01");
    assert_eq!(block[8..12], [2, 0, 128, 0], "kind, level, epochs");
    assert_eq!(block[12..16], crc.to_le_bytes());
    assert_eq!(block[64..68], 873_u32.to_le_bytes(), "the oldest epoch");
    assert_eq!(block[572..576], 1000_u32.to_le_bytes(), "the newest epoch");
    // Entry 1: segment 2, block 9; the newest epoch but one; its checksum; its tag.
    assert_eq!(block[603..609], [9, 32, 0, 0, 0, 0]);
    assert_eq!(block[609], 126);
    assert_eq!(block[610..614], 501_u32.to_le_bytes());
    assert_eq!(block[614..630], [1; 16]);
    assert_eq!(block[4016..4032], [127; 16], "the last tag");
    assert!(block[4032..].iter().all(|byte| *byte == 0));
}
