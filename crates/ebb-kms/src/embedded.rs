//! Keys whose material is in the caller's records, sealed with the master key.
//!
//! ```text
//!   master key ──seals──► material of a version, 32 bytes ──encrypts──► blob
//!   (not in the records)  (sealed, in the records)
//! ```
//! Nothing is kept here, so `destroy` has nothing to do: what makes it true is that the caller
//! forgets the sealed material. A copy of the records from before still has it, and opens with the
//! master key.
//!
//! A version encrypts at most about 2^32 times, as nonces are random (`gcm.rs`); a key is rotated
//! long before.

use crate::blob::{self, EMBEDDED, REFUSED};
use crate::gcm::{Gcm, NONCE_BYTES};
use crate::store::{FIRST, check_name, next_version, of_version};
use crate::{KeyStore, KeyStoreError, MasterKey, Material, Opened};

/// How long the material of a version is.
const MATERIAL_BYTES: usize = 32;

/// Fills bytes with random ones.
type Random = Box<dyn Fn(&mut [u8]) + Send + Sync>;

/// The embedded key store.
pub struct EmbeddedKeys {
    master: MasterKey,
    random: Random,
}

impl EmbeddedKeys {
    /// Over a master key. `random` must fill what it is given from a source that is fit for keys.
    #[must_use]
    pub fn new(master: MasterKey, random: impl Fn(&mut [u8]) + Send + Sync + 'static) -> Self {
        Self { master, random: Box::new(random) }
    }

    fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        (self.random)(&mut bytes);
        bytes
    }

    fn make(&self, key: &str, version: u32) -> Result<Material, KeyStoreError> {
        check_name(key)?;
        let material = self.random::<MATERIAL_BYTES>();
        let nonce = self.random::<NONCE_BYTES>();
        let sealed = self.master.seal(nonce, &sealed_as(key, version), &material);
        Ok(Material { version, sealed: Some(sealed) })
    }

    fn open(&self, key: &str, material: &Material) -> Result<Gcm, KeyStoreError> {
        let version = material.version;
        let Some(sealed) = &material.sealed else {
            return Err(KeyStoreError::Unavailable(format!(
                "version {version} of the key {key} is not in the records, but in another key \
                 store: start the server with that one"
            )));
        };
        let opened = self.master.open(&sealed_as(key, version), sealed);
        let bytes: Option<[u8; MATERIAL_BYTES]> = opened.and_then(|bytes| bytes.try_into().ok());
        bytes.map(|bytes| Gcm::new(&bytes)).ok_or_else(|| {
            KeyStoreError::Unavailable(format!(
                "the record of version {version} of the key {key} is damaged, or was sealed with \
                 another master key: put the records or the master key back from your backup"
            ))
        })
    }
}

/// The context in which material is sealed. The name is at its end, so no two are the same.
fn sealed_as(key: &str, version: u32) -> String {
    format!("material of version {version} of the key {key}")
}

impl KeyStore for EmbeddedKeys {
    fn create(&self, key: &str) -> Result<Material, KeyStoreError> {
        self.make(key, FIRST)
    }

    fn rotate(&self, key: &str, held: &[Material]) -> Result<Material, KeyStoreError> {
        self.make(key, next_version(key, held)?)
    }

    fn encrypt(
        &self,
        key: &str,
        material: &Material,
        context: &[u8],
        plain: &[u8],
    ) -> Result<Vec<u8>, KeyStoreError> {
        let version = material.version;
        let bound = blob::bound(EMBEDDED, version, key, context);
        let body = self.open(key, material)?.seal(self.random(), &bound, plain);
        Ok(blob::join(EMBEDDED, version, &body))
    }

    fn decrypt(
        &self,
        key: &str,
        held: &[Material],
        context: &[u8],
        blob: &[u8],
    ) -> Result<Opened, KeyStoreError> {
        let (version, body) = blob::split(EMBEDDED, blob)?;
        let material = self.open(key, of_version(key, held, version)?)?;
        let bound = blob::bound(EMBEDDED, version, key, context);
        let plain = material.open(&bound, body).ok_or(REFUSED)?;
        Ok(Opened { version, plain })
    }

    fn destroy(&self, _: &str) -> Result<(), KeyStoreError> {
        Ok(())
    }

    /// The master key was held against the records when it was read.
    fn check(&self) -> Result<(), KeyStoreError> {
        Ok(())
    }
}
