//! AES-256-GCM (NIST SP 800-38D), as all here uses it.
//!
//! ```text
//!   nonce, 12 bytes │ ciphertext │ tag, 16 bytes
//! ```
//! Nonces are random: of 2^32 seals with one key two share one with a chance below 2^-32 (there,
//! 8.3).

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

/// How many random bytes a seal needs.
pub const NONCE_BYTES: usize = 12;

/// A key of 32 bytes.
#[derive(Clone)]
pub(crate) struct Gcm(LessSafeKey);

impl Gcm {
    pub(crate) fn new(bytes: &[u8; 32]) -> Self {
        let key = UnboundKey::new(&AES_256_GCM, bytes).expect("32 bytes are a key of AES-256");
        Self(LessSafeKey::new(key))
    }

    /// Seals something, bound to what is authenticated and not stored.
    ///
    /// # Panics
    /// Where `plain` is larger than 64 GiB, which nothing that is secret is.
    pub(crate) fn seal(&self, nonce: [u8; NONCE_BYTES], bound: &[u8], plain: &[u8]) -> Vec<u8> {
        let mut sealed = [&nonce[..], plain].concat();
        let body = &mut sealed[NONCE_BYTES..];
        let tag = self
            .0
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(bound), body)
            .expect("a secret is short");
        sealed.extend_from_slice(tag.as_ref());
        sealed
    }

    /// What was sealed with this key and bound to this; `None` where it was not.
    pub(crate) fn open(&self, bound: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, body) = sealed.split_at_checked(NONCE_BYTES)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut body = body.to_vec();
        let plain = self.0.open_in_place(nonce, Aad::from(bound), &mut body).ok()?;
        let length = plain.len();
        body.truncate(length);
        Some(body)
    }
}
