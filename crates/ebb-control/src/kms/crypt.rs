//! What is encrypted and decrypted with keys.

use ebb_domain::{DATA_KEY_MAX, KmsDenied, PLAINTEXT_MAX};
use ebb_kms::{KeyStoreError, Material, Opened};

use super::{Kms, denied, find, held, stored};
use crate::ControlError;

/// The layout of a ciphertext that this module writes.
const LAYOUT: u8 = 1;

/// Something encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encrypted {
    /// The key's id.
    pub key: String,
    /// The id of the version that encrypted it.
    pub version: String,
    /// The ciphertext.
    pub blob: Vec<u8>,
}

/// How long a data key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataKeySize(usize);

impl DataKeySize {
    /// Of so many bytes: 1 to 1024.
    ///
    /// # Errors
    /// [`KmsDenied::Invalid`].
    pub fn of(bytes: u32) -> Result<Self, ControlError> {
        if !(1..=DATA_KEY_MAX).contains(&bytes) {
            return Err(denied(KmsDenied::Invalid("NumberOfBytes", "1 to 1024")));
        }
        Ok(Self(bytes as usize))
    }
}

/// The key's id in a ciphertext, and the rest.
fn parse(blob: &[u8]) -> Option<(&str, &[u8])> {
    let (layout, rest) = blob.split_first()?;
    let (length, rest) = rest.split_first()?;
    let (id, rest) = rest.split_at_checked(usize::from(*length))?;
    let id = std::str::from_utf8(id).ok()?;
    (*layout == LAYOUT).then_some((id, rest))
}

/// A version that nobody has ever had is a ciphertext that was changed.
fn opened(outcome: Result<Opened, KeyStoreError>) -> Result<Opened, ControlError> {
    match outcome {
        Err(KeyStoreError::NotFound(_)) => Err(denied(KmsDenied::Ciphertext)),
        outcome => stored(outcome),
    }
}

impl Kms<'_> {
    /// Encrypts something with a key, in a context that who decrypts must know.
    ///
    /// # Errors
    /// There is no such key, it may not be used now, or what is given is too long or empty.
    pub fn encrypt(
        &self,
        key: &str,
        context: &[u8],
        plain: &[u8],
    ) -> Result<Encrypted, ControlError> {
        if !(1..=PLAINTEXT_MAX).contains(&plain.len()) {
            return Err(denied(KmsDenied::Invalid("Plaintext", "1 to 6144 bytes")));
        }
        let (primary, version) = self.control.store.read(|tx| {
            let known = find(tx, self.owner, key)?;
            known.check_usable().map_err(denied)?;
            let versions = tx.key_versions(key)?;
            let primary = versions.into_iter().find(|one| one.number == known.primary);
            let primary = primary.ok_or_else(|| denied(KmsDenied::Unavailable))?;
            Ok::<_, ControlError>((
                Material { version: primary.number, sealed: primary.sealed },
                primary.id,
            ))
        })?;
        let made = stored(self.control.key_store.encrypt(key, &primary, context, plain))?;
        let length = u8::try_from(key.len()).expect("a key's id is a UUID");
        let blob = [&[LAYOUT, length][..], key.as_bytes(), &made].concat();
        Ok(Encrypted { key: key.to_owned(), version, blob })
    }

    /// The key that something was encrypted with, as it says itself.
    ///
    /// # Errors
    /// [`KmsDenied::Ciphertext`] where it says nothing.
    pub fn key_of(&self, blob: &[u8]) -> Result<String, ControlError> {
        let parsed = parse(blob).map(|(id, _)| id.to_owned());
        parsed.ok_or_else(|| denied(KmsDenied::Ciphertext))
    }

    /// Decrypts what a key of the account encrypted in this context. The blob of the answer is the
    /// plaintext.
    ///
    /// # Errors
    /// There is no such key, it may not be used now, or this was not encrypted with it.
    pub fn decrypt(&self, context: &[u8], blob: &[u8]) -> Result<Encrypted, ControlError> {
        let (id, rest) = parse(blob).ok_or_else(|| denied(KmsDenied::Ciphertext))?;
        let (held, versions) = self.control.store.read(|tx| {
            find(tx, self.owner, id)?.check_usable().map_err(denied)?;
            Ok::<_, ControlError>((held(tx, id)?, tx.key_versions(id)?))
        })?;
        let opened = opened(self.control.key_store.decrypt(id, &held, context, rest))?;
        let version = versions.into_iter().find(|one| one.number == opened.version);
        let version = version.map(|one| one.id).unwrap_or_default();
        Ok(Encrypted { key: id.to_owned(), version, blob: opened.plain })
    }

    /// Decrypts whatever state its key is in: what runs goes on.
    pub(crate) fn unwrap(&self, context: &[u8], blob: &[u8]) -> Result<Vec<u8>, ControlError> {
        let (id, rest) = parse(blob).ok_or_else(|| denied(KmsDenied::Ciphertext))?;
        let held = self.control.store.read(|tx| {
            find(tx, self.owner, id)?;
            held(tx, id)
        })?;
        Ok(opened(self.control.key_store.decrypt(id, &held, context, rest))?.plain)
    }

    /// A new data key: random bytes, and what a key encrypts them to.
    ///
    /// # Errors
    /// As [`Kms::encrypt`].
    pub fn data_key(
        &self,
        key: &str,
        context: &[u8],
        size: DataKeySize,
    ) -> Result<(Vec<u8>, Encrypted), ControlError> {
        let mut plain = vec![0; size.0];
        self.control.entropy().fill(&mut plain);
        let encrypted = self.encrypt(key, context, &plain)?;
        Ok((plain, encrypted))
    }
}
