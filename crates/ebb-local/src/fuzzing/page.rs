//! Pages of maps.

use super::{Block, block, seed, sign};
use crate::cipher::Tag;
use crate::layout::Address;
use crate::map::page::{Identity, Inner, Leaf, PageRef, child, encode_inner, encode_leaf, stored};
use crate::map::{Places, Stored, WAYS};

/// Where docs/internals/format.md has the checksum.
const CRC_AT: usize = 12;
/// The fields of a page's header that say which it is, as docs/internals/format.md has them.
const SAYS_WHICH: [std::ops::Range<usize>; 3] = [0..10, 16..48, 48..52];
const HEADER_BYTES: usize = 64;
const BIRTH: u32 = 5;

/// An input is one byte for the kind of page that is looked for, then a page. It is taken for the
/// right one only if it says so in every field; what is decoded of it encodes to the same again.
///
/// # Panics
/// Where that is not so.
pub fn check(input: &[u8]) {
    let Some((kind, page)) = input.split_first() else { return };
    let kind = KINDS[usize::from(*kind) % KINDS.len()];
    let (identity, wanted) = (kind.identity(), kind.empty());
    let mut block = block(page);
    kind.check_verified(&mut block, &wanted);

    // The door open: a page that is the right one, whatever it holds.
    for field in SAYS_WHICH {
        block[field.clone()].copy_from_slice(&wanted[field]);
    }
    let page = reference(sign(&mut block, CRC_AT));
    assert_eq!(identity.verify(&block, page), Ok(()));
    match kind {
        Kind::Leaf => check_leaf(identity, &block, Places::Dense),
        Kind::SealedLeaf => check_leaf(identity, &block, Places::Spread),
        Kind::Inner => check_inner(identity, &block),
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Leaf,
    SealedLeaf,
    Inner,
}

const KINDS: [Kind; 3] = [Kind::Leaf, Kind::SealedLeaf, Kind::Inner];

impl Kind {
    fn identity(self) -> Identity {
        let level = if matches!(self, Self::Inner) { 3 } else { 0 };
        Identity { pool_id: *b"fuzz fuzz fuzz! ", lineage: 3, level, index: 1 }
    }

    fn empty(self) -> Block {
        let (identity, none) = (self.identity(), [None; WAYS]);
        match self {
            Self::Leaf => *encode_leaf(identity, BIRTH, &none, Places::Dense).0,
            Self::SealedLeaf => *encode_leaf(identity, BIRTH, &none, Places::Spread).0,
            Self::Inner => *encode_inner(identity, BIRTH, &[None; WAYS]).0,
        }
    }

    fn check_verified(self, block: &mut Block, wanted: &Block) {
        let page = reference(sign(block, CRC_AT));
        let says = |wanted: &Block| {
            SAYS_WHICH.iter().all(|field| block[field.clone()] == wanted[field.clone()])
        };
        // A leaf of one kind is as good as one of the other.
        let says_so = says(wanted)
            || (!matches!(self, Self::Inner)
                && [Self::Leaf, Self::SealedLeaf].map(Self::empty).iter().any(says));
        let identity = self.identity();
        assert_eq!(identity.verify(block, page).is_ok(), says_so);
        assert!(identity.verify(block, reference(!page.crc)).is_err(), "of another checksum");
    }
}

fn check_leaf(identity: Identity, block: &Block, places: Places) {
    let leaf: Leaf = std::array::from_fn(|i| stored(block, i));
    let (again, crc) = encode_leaf(identity, BIRTH, &leaf, places);
    assert_eq!(identity.verify(&again, reference(crc)), Ok(()));
    assert_eq!(std::array::from_fn(|i| stored(&again, i)), leaf);
    // The dictionary may have been in another order; from here on it is in one.
    assert_eq!(encode_leaf(identity, BIRTH, &leaf, places), (again, crc));
}

fn check_inner(identity: Identity, block: &Block) {
    let inner: Inner = std::array::from_fn(|i| child(block, i));
    let (again, crc) = encode_inner(identity, BIRTH, &inner);
    assert_eq!(identity.verify(&again, reference(crc)), Ok(()));
    assert_eq!(std::array::from_fn(|i| child(&again, i)), inner);
    const ENTRY_BYTES: usize = 14;
    for (i, child) in inner.iter().enumerate() {
        let at = HEADER_BYTES + i * ENTRY_BYTES;
        let same = block[at..at + ENTRY_BYTES] == again[at..at + ENTRY_BYTES];
        assert!(same || child.is_none(), "entry {i} has become another");
    }
}

/// Leaves and inner pages, empty and full, and some of other blocks than are looked for.
pub fn seeds() -> Vec<Vec<u8>> {
    let address = |i: usize| Address::new(i as u64 + 1, 4095 - i as u32);
    let leaf = |births: usize| -> Leaf {
        std::array::from_fn(|i| {
            let (birth, crc) = ((i % births) as u32, i as u32 * 77);
            Some(Stored { address: address(i), birth, crc, tag: Tag::NONE })
        })
    };
    let inner: Inner = std::array::from_fn(|i| {
        (i % 3 == 0).then(|| PageRef { address: address(i), birth: i as u32, crc: !(i as u32) })
    });
    let sealed: Leaf = std::array::from_fn(|i| {
        let (birth, crc, tag) = (i as u32 / 9, i as u32 * 77, Tag([i as u8; 16]));
        (i < WAYS / 2).then(|| Stored { address: address(i), birth, crc, tag })
    });
    let (dense, spread) = (Places::Dense, Places::Spread);
    let which = Kind::Leaf.identity();
    let other = Identity { index: 4711, ..which };
    let mut pages: Vec<_> =
        [1, 7, WAYS].map(|births| encode_leaf(which, BIRTH, &leaf(births), dense).0).into();
    pages.push(encode_leaf(which, BIRTH, &sealed, spread).0);
    pages.push(encode_leaf(other, BIRTH, &leaf(2), dense).0);
    pages.push(encode_inner(Kind::Inner.identity(), BIRTH, &inner).0);
    pages.extend(KINDS.map(|kind| Box::new(kind.empty())));
    // Each looked for as what it is, and as what it is not.
    let wanted = |number: u8| move |page: &Box<Block>| [vec![number], seed(&page[..])].concat();
    (0..KINDS.len() as u8).flat_map(|number| pages.iter().map(wanted(number))).collect()
}

fn reference(crc: u32) -> PageRef {
    PageRef { address: Address::new(1, 1), birth: BIRTH, crc }
}
