//! The key service: keys, their aliases and tags, and what is encrypted with them.
//!
//! ```text
//!   Kms (of an account) ──► records: state, versions, aliases, tags
//!        └────────────────► KeyStore: material; it may be Vault, so never within a transaction
//!
//!   ciphertext = 1 │ length of the key's id │ the key's id │ what the key store made
//! ```
//! - The material of a version is made before its record is written. A crash in between leaves
//!   material that no record names, which a store finds again or nobody ever sees.
//! - A key that goes is first forgotten in the records, then destroyed in the store, so that
//!   nothing can be encrypted with it between. The start repeats nothing: what is in no record is
//!   of no use to anybody here.
//!
//! Deliberately not here: asymmetric keys, imported material, key policies, secrets.

mod crypt;
mod key;
mod name;
mod time;

pub use crypt::{DataKeySize, Encrypted};
pub use key::{KeyShown as KmsKeyShown, NewKey};
pub(crate) use name::resolve;

use ebb_domain::{AccountId, Key, KmsDenied};
use ebb_kms::{KeyStoreError, Material};
use ebb_store::Tx;

use crate::{Control, ControlError};

/// The key service as one account sees it.
pub struct Kms<'a> {
    control: &'a Control,
    owner: &'a AccountId,
}

impl Control {
    /// The key service as an account sees it.
    #[must_use]
    pub fn kms<'a>(&'a self, owner: &'a AccountId) -> Kms<'a> {
        Kms { control: self, owner }
    }
}

fn denied(denied: KmsDenied) -> ControlError {
    ControlError::Denied(denied.into())
}

/// What a key store says, in the service's words.
fn stored<T>(outcome: Result<T, KeyStoreError>) -> Result<T, ControlError> {
    outcome.map_err(|error| match error {
        KeyStoreError::Refused(_) => denied(KmsDenied::Ciphertext),
        // An operator reads why; to the client the key is one that cannot be had now.
        KeyStoreError::NotFound(why) | KeyStoreError::Unavailable(why) => {
            tracing::warn!(why, "the key store could not do it");
            denied(KmsDenied::Unavailable)
        }
    })
}

/// A key of an account.
fn find(tx: &Tx<'_>, owner: &AccountId, id: &str) -> Result<Key, ControlError> {
    let found = tx.key(id)?.filter(|key| key.account == *owner);
    found.ok_or_else(|| denied(KmsDenied::KeyNotFound))
}

/// What the records hold of a key's material, the oldest first.
fn held(tx: &Tx<'_>, key: &str) -> Result<Vec<Material>, ControlError> {
    let versions = tx.key_versions(key)?.into_iter();
    Ok(versions.map(|one| Material { version: one.number, sealed: one.sealed }).collect())
}
