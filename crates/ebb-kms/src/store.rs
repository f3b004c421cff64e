//! What has the material of keys.
//!
//! ```text
//!   caller's records                          KeyStore
//!   ┌───────────────────────────────┐         ┌───────────────────────────────┐
//!   │ key-1: state, owner, policy   │ create  │ embedded: nothing but the     │
//!   │   Material 1 │ sealed or none │ rotate  │   master key                  │
//!   │   Material 2 │ sealed or none │ ──────► │ Vault: the material itself    │
//!   └───────────────────────────────┘         └───────────────────────────────┘
//!          held, the oldest first   ─────────► encrypt with one, decrypt with any
//! ```
//! What holds of every store:
//! - Versions of a key are 1, 2, 3 and so on. The caller writes down each [`Material`] that it is
//!   given and hands those it holds back in. A version that is not among them does not decrypt.
//! - `create`, `rotate` and `destroy` may be repeated, with the same arguments, until the caller
//!   has written down what came of them: a crash in between costs nothing.
//! - What was encrypted names its version, and is bound to the key, the version and the context.
//!   Any change of it is refused.
//! - After [`KeyStore::destroy`], and once the caller has forgotten what it held, nothing decrypts
//!   what the key encrypted.
//!
//! Calls block, and may wait for a network.

use std::fmt;

/// A version of a key, as the caller keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Material {
    /// Which version it is, from 1.
    pub version: u32,
    /// What the caller keeps for a store that keeps nothing itself; it is sealed already.
    pub sealed: Option<Vec<u8>>,
}

/// What was decrypted. It does not show itself in a log.
#[derive(Clone, PartialEq, Eq)]
pub struct Opened {
    /// The version that it was encrypted with.
    pub version: u32,
    /// What was encrypted.
    pub plain: Vec<u8>,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opened(version {}, …)", self.version)
    }
}

/// Why a key store could not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyStoreError {
    /// There is no such key, or no such version of it.
    #[error("{0}")]
    NotFound(String),
    /// What was given is not what a key store makes, or was not made for this key and context.
    #[error("{0}")]
    Refused(&'static str),
    /// The store cannot be used now; it says why, and what an operator does about it.
    #[error("{0}")]
    Unavailable(String),
}

/// Holds the material of keys.
pub trait KeyStore: Send + Sync {
    /// The first version of a key. Who calls chooses its name, which must be new and
    /// [`is_key_name`].
    ///
    /// # Errors
    /// [`KeyStoreError::Unavailable`]; [`KeyStoreError::Refused`] where it cannot be a name.
    fn create(&self, key: &str) -> Result<Material, KeyStoreError>;

    /// The version after the last of those held.
    ///
    /// # Errors
    /// [`KeyStoreError::NotFound`], [`KeyStoreError::Unavailable`].
    fn rotate(&self, key: &str, held: &[Material]) -> Result<Material, KeyStoreError>;

    /// Encrypts something, which is not empty, with one version of a key. The context is not
    /// stored: who decrypts must know it.
    ///
    /// # Errors
    /// [`KeyStoreError::NotFound`], [`KeyStoreError::Unavailable`].
    fn encrypt(
        &self,
        key: &str,
        material: &Material,
        context: &[u8],
        plain: &[u8],
    ) -> Result<Vec<u8>, KeyStoreError>;

    /// What was encrypted with the key and in the context.
    ///
    /// # Errors
    /// [`KeyStoreError::Refused`] where it was not; [`KeyStoreError::NotFound`] where the version
    /// that it names is not among those held, or not there; [`KeyStoreError::Unavailable`].
    fn decrypt(
        &self,
        key: &str,
        held: &[Material],
        context: &[u8],
        blob: &[u8],
    ) -> Result<Opened, KeyStoreError>;

    /// Destroys all versions of a key for good. One that is not there is no error. The caller
    /// then forgets what it holds of it.
    ///
    /// # Errors
    /// [`KeyStoreError::Unavailable`].
    fn destroy(&self, key: &str) -> Result<(), KeyStoreError>;

    /// Whether it can be used, as far as can be told without making a key.
    ///
    /// # Errors
    /// [`KeyStoreError::Unavailable`].
    fn check(&self) -> Result<(), KeyStoreError>;
}

/// The number of a key's first version.
pub(crate) const FIRST: u32 = 1;

/// The longest name of a key.
const LONGEST_NAME: usize = 128;

/// Whether a key can have the name: letters, digits, hyphens and underscores of ASCII. They are
/// the same in a path of a URL, so no name leads elsewhere.
#[must_use]
pub fn is_key_name(name: &str) -> bool {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(fine)
}

pub(crate) fn check_name(key: &str) -> Result<(), KeyStoreError> {
    if is_key_name(key) {
        return Ok(());
    }
    Err(KeyStoreError::Refused(
        "no key can have that name: it must be 1 to 128 letters, digits, hyphens and underscores",
    ))
}

pub(crate) fn no_key(key: &str) -> KeyStoreError {
    KeyStoreError::NotFound(format!("the key store has no key {key}"))
}

pub(crate) fn no_version(key: &str, version: u32) -> KeyStoreError {
    KeyStoreError::NotFound(format!("the key store has no version {version} of the key {key}"))
}

/// The number of the version after those held.
pub(crate) fn next_version(key: &str, held: &[Material]) -> Result<u32, KeyStoreError> {
    let last = held.iter().map(|material| material.version).max().ok_or_else(|| no_key(key))?;
    last.checked_add(1).ok_or_else(|| no_version(key, last))
}

/// The one of a version among those held.
pub(crate) fn of_version<'a>(
    key: &str,
    held: &'a [Material],
    version: u32,
) -> Result<&'a Material, KeyStoreError> {
    let found = held.iter().find(|material| material.version == version);
    found.ok_or_else(|| no_version(key, version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_keys_lead_nowhere() {
        let long = "a".repeat(LONGEST_NAME);
        for name in ["a", "key-hzz5f0a1", "08c33a6f-4e0a-4a1b-a3fa-7ddfa1d4fb73", "A_1", &long] {
            assert!(is_key_name(name), "{name}");
        }
        let longer = "a".repeat(LONGEST_NAME + 1);
        for name in ["", ".", "..", "a/b", "../a", "a b", "a.b", "a%2fb", "a?b", "密", &longer] {
            assert!(!is_key_name(name), "{name}");
        }
    }

    #[test]
    fn what_was_decrypted_does_not_show_itself() {
        let opened = Opened { version: 3, plain: b"secret".to_vec() };
        assert_eq!(format!("{opened:?}"), "Opened(version 3, …)");
    }
}
