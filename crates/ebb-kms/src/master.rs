//! The master key: what all that is secret in the records is sealed with.
//!
//! ```text
//!   sealed = 1 │ nonce, 12 bytes │ ciphertext │ tag, 16 bytes
//!            version of this layout
//! ```
//! The context, which says what is sealed and whose it is, is authenticated and not stored, so that
//! no sealed value can be put in another's place. There are as many seals as access keys and
//! versions of keys were ever made, far below what random nonces allow.

use std::fmt;

use crate::gcm::{Gcm, NONCE_BYTES};

const VERSION: u8 = 1;

/// 32 bytes, which never show themselves in a log.
#[derive(Clone)]
pub struct MasterKey(Gcm);

impl MasterKey {
    /// Wraps it.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Gcm::new(&bytes))
    }

    /// Seals something. The nonce must be random.
    ///
    /// # Panics
    /// Where it is larger than 64 GiB, which nothing that is secret is.
    #[must_use]
    pub fn seal(&self, nonce: [u8; NONCE_BYTES], context: &str, plain: &[u8]) -> Vec<u8> {
        let mut sealed = vec![VERSION];
        sealed.extend(self.0.seal(nonce, context.as_bytes(), plain));
        sealed
    }

    /// What was sealed with this key and in this context; `None` where it was not.
    #[must_use]
    pub fn open(&self, context: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (version, rest) = sealed.split_first()?;
        if *version != VERSION {
            return None;
        }
        self.0.open(context.as_bytes(), rest)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> MasterKey {
        MasterKey::new([byte; 32])
    }

    #[test]
    fn what_is_sealed_is_opened_with_the_same_key_and_context_only() {
        let sealed = key(1).seal([9; 12], "access key EBB1", b"a secret");
        assert_eq!(key(1).open("access key EBB1", &sealed).as_deref(), Some(&b"a secret"[..]));
        assert_eq!(key(2).open("access key EBB1", &sealed), None);
        assert_eq!(key(1).open("access key EBB2", &sealed), None);
        assert!(!sealed.windows(8).any(|part| part == b"a secret"));
    }

    #[test]
    fn what_was_changed_is_not_opened() {
        let sealed = key(1).seal([9; 12], "", b"a secret");
        for at in 0..sealed.len() {
            for bit in 0..8 {
                let mut other = sealed.clone();
                other[at] ^= 1 << bit;
                assert_eq!(key(1).open("", &other), None, "byte {at}, bit {bit}");
            }
        }
        for length in 0..sealed.len() {
            assert_eq!(key(1).open("", &sealed[..length]), None, "{length} bytes");
        }
    }

    /// Test cases 13 and 14 of the GCM specification (McGrew and Viega, 2005): no plaintext, and
    /// one block of zeroes.
    #[test]
    fn it_is_aes_256_gcm() {
        let hex = |text: &str| -> Vec<u8> {
            let digits = text.as_bytes().chunks(2);
            let byte = |pair: &[u8]| {
                u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hex")
            };
            digits.map(byte).collect()
        };
        let zero = MasterKey::new([0; 32]);
        let sealed = zero.seal([0; 12], "", b"");
        assert_eq!(sealed[13..], hex("530f8afbc74536b9a963b4f1c4cb738b"));
        let sealed = zero.seal([0; 12], "", &[0; 16]);
        let expected = "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919";
        assert_eq!(sealed[13..], hex(expected));
    }

    #[test]
    fn it_does_not_show_itself() {
        assert_eq!(format!("{:?}", key(1)), "MasterKey(…)");
    }
}
