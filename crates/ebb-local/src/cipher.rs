//! Encryption of a volume's blocks: AES-256-GCM, with what makes each use of a key another.
//!
//! ```text
//!   nonce   0         6       10   12        of what is told apart by it
//!           | address | birth | 0  |         the address is never given to another block
//!   additional data: the block's number in its volume, so that none passes for another
//! ```
//! A tag stands beside the checksum, not in its place: whoever has no key, as recovery, packing,
//! scrubbing and the check do, verifies what is stored by its checksum, and a reader both.
//!
//! Deliberately not here: keys at rest. An engine is lent one when a volume is made or opened.

use std::fmt;
use std::num::NonZeroU64;

use ebb_volume::DataKey;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::layout::Address;
use crate::planted::{Bug, Planted};

/// What encrypting a block makes besides its bytes: only who has the key can make it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(transparent)]
pub(crate) struct Tag(pub(crate) [u8; 16]);

impl Tag {
    /// That of a block which is not encrypted.
    pub(crate) const NONE: Self = Self([0; 16]);
}

/// Tells the keys of volumes apart, and nothing else of them. It is all that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct KeyCheck(NonZeroU64);

impl KeyCheck {
    /// None for 0: there is no key.
    pub(crate) fn from_u64(check: u64) -> Option<Self> {
        NonZeroU64::new(check).map(Self)
    }

    /// 0 for none.
    pub(crate) fn to_u64(check: Option<Self>) -> u64 {
        check.map_or(0, |check| check.0.get())
    }
}

/// A key, ready for use.
pub(crate) struct Cipher {
    key: LessSafeKey,
    check: KeyCheck,
}

/// Which block it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) address: Address,
    pub(crate) birth: u32,
    /// Its number in the volume.
    pub(crate) lba: u64,
}

/// The bytes are not what was encrypted at that spot with that key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotGenuine;

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cipher")
    }
}

impl Cipher {
    pub(crate) fn new(key: &DataKey) -> Self {
        let unbound = UnboundKey::new(&AES_256_GCM, key.bytes()).expect("a key is of 32 bytes");
        let key = LessSafeKey::new(unbound);
        // No block has this nonce: the last two bytes of theirs are zero.
        let nonce = Nonce::assume_unique_for_key([0xff; 12]);
        let tag = key
            .seal_in_place_separate_tag(nonce, Aad::empty(), &mut [])
            .expect("nothing is not too long to be sealed");
        let mut check = [0; 8];
        check.copy_from_slice(&tag.as_ref()[..8]);
        let check = KeyCheck(NonZeroU64::new(u64::from_le_bytes(check)).unwrap_or(NonZeroU64::MIN));
        Self { key, check }
    }

    pub(crate) fn check(&self) -> KeyCheck {
        self.check
    }

    /// Encrypts a block. To be called once for each address.
    pub(crate) fn seal(&self, spot: Spot, block: &mut [u8], planted: Planted) -> Tag {
        let nonce = spot.nonce(planted);
        #[cfg(test)]
        used::note(self.check, nonce);
        let sealed = self.key.seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            spot.additional(),
            block,
        );
        let mut tag = Tag::NONE;
        tag.0.copy_from_slice(sealed.expect("a block is not too long to be sealed").as_ref());
        tag
    }

    /// Decrypts a block. Where it is not genuine its bytes are lost.
    pub(crate) fn open(
        &self,
        spot: Spot,
        tag: Tag,
        block: &mut [u8],
        planted: Planted,
    ) -> Result<(), NotGenuine> {
        let nonce = Nonce::assume_unique_for_key(spot.nonce(planted));
        let opened =
            self.key.open_in_place_separate_tag(nonce, spot.additional(), tag.0.into(), block, 0..);
        opened.map(|_| ()).map_err(|_| NotGenuine)
    }
}

impl Spot {
    fn nonce(self, planted: Planted) -> [u8; 12] {
        let mut nonce = [0; 12];
        let address = match planted.has(Bug::NonceReused) {
            true => u64::from(self.address.block()),
            false => self.address.to_u64(),
        };
        nonce[..6].copy_from_slice(&address.to_le_bytes()[..6]);
        nonce[6..10].copy_from_slice(&self.birth.to_le_bytes());
        nonce
    }

    fn additional(self) -> Aad<[u8; 8]> {
        Aad::from(self.lba.to_le_bytes())
    }
}

/// Every nonce that was used for sealing, for who has to know that none was twice.
#[cfg(test)]
pub(crate) mod used {
    use std::cell::RefCell;
    use std::collections::HashSet;

    use super::KeyCheck;

    type Used = HashSet<(KeyCheck, [u8; 12])>;

    thread_local! {
        static USED: RefCell<Option<Used>> = const { RefCell::new(None) };
    }

    /// Forgets what was used on this thread, and minds it from here on.
    pub(crate) fn mind() {
        USED.set(Some(HashSet::new()));
    }

    /// How many were used since; and minds them no more.
    pub(crate) fn stop() -> usize {
        USED.take().map_or(0, |used| used.len())
    }

    pub(super) fn note(check: KeyCheck, nonce: [u8; 12]) {
        USED.with_borrow_mut(|used| {
            let is_new = used.as_mut().is_none_or(|used| used.insert((check, nonce)));
            assert!(is_new, "a nonce was used twice with one key: {nonce:02x?}");
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::BLOCK;

    const NONE: Planted = Planted { bug: None };

    fn spot() -> Spot {
        Spot { address: Address::new(77, 5), birth: 9, lba: 1000 }
    }

    fn cipher(byte: u8) -> Cipher {
        Cipher::new(&DataKey::new([byte; 32]))
    }

    #[test]
    fn a_block_opens_with_its_key_at_its_spot_only() {
        let mut sealed = [3; BLOCK];
        let tag = cipher(1).seal(spot(), &mut sealed, NONE);
        assert_ne!(sealed, [3; BLOCK]);
        let open = |key: u8, spot: Spot, tag: Tag, flip: usize| {
            let mut block = sealed;
            block[flip / 8] ^= u8::from(flip > 0) << (flip % 8);
            cipher(key).open(spot, tag, &mut block, NONE).map(|()| block)
        };
        assert_eq!(open(1, spot(), tag, 0), Ok([3; BLOCK]));
        assert_eq!(open(2, spot(), tag, 0), Err(NotGenuine));
        assert_eq!(open(1, spot(), Tag::NONE, 0), Err(NotGenuine));
        let elsewhere = [
            Spot { address: Address::new(77, 6), ..spot() },
            Spot { birth: 8, ..spot() },
            Spot { lba: 1001, ..spot() },
        ];
        for other in elsewhere {
            assert_eq!(open(1, other, tag, 0), Err(NotGenuine), "{other:?}");
        }
        for flip in (1..BLOCK * 8).step_by(61) {
            assert_eq!(open(1, spot(), tag, flip), Err(NotGenuine), "bit {flip}");
        }
    }

    /// As docs/internals/format.md has it.
    #[test]
    fn a_nonce_is_address_birth_and_zero() {
        let nonce = spot().nonce(NONE);
        assert_eq!(nonce, [5, 0xd0, 4, 0, 0, 0, 9, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn a_key_check_tells_keys_apart() {
        assert_eq!(cipher(1).check(), cipher(1).check());
        assert_ne!(cipher(1).check(), cipher(2).check());
        assert_eq!(KeyCheck::from_u64(0), None);
        let check = Some(cipher(1).check());
        assert_eq!(KeyCheck::from_u64(KeyCheck::to_u64(check)), check);
    }

    #[test]
    fn a_nonce_used_twice_is_seen() {
        used::mind();
        cipher(1).seal(spot(), &mut [0; 16], NONE);
        cipher(2).seal(spot(), &mut [0; 16], NONE);
        cipher(1).seal(Spot { birth: 10, ..spot() }, &mut [0; 16], NONE);
        let twice = std::panic::catch_unwind(|| cipher(1).seal(spot(), &mut [0; 16], NONE));
        assert!(twice.is_err());
        assert_eq!(used::stop(), 3);
    }
}
