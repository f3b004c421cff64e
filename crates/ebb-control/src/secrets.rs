//! What all servers on one store must have the same of, and nobody else may read: sealed with the
//! master key, each in the context of its name.
//!
//! ```text
//!   "known"          that a master key is the one that belongs to the records
//!   "root key"       the root account's first access key  ┐ where servers share the store;
//!   others, such as the authority of certificates          ┘ else in the data directory
//! ```
//! The first server to start makes each, in one transaction with looking whether it is there; those
//! that start with it find it. The master key itself is never here.

use ebb_kms::{MasterKey, NONCE_BYTES};
use ebb_store::{Durability, Store, Tx};

use crate::{ControlError, Entropy, Secret};

/// What the records keep sealed, to know the master key again.
const KNOWN: &[u8] = b"ebbtide";

const ROOT_KEY: &str = "root key";

/// The secrets in a store.
pub struct Secrets<'a> {
    store: &'a Store,
    master: &'a MasterKey,
    entropy: &'a dyn Entropy,
}

impl<'a> Secrets<'a> {
    /// Those of a store, once its master key is known to be this one. The first is kept as it.
    ///
    /// # Errors
    /// [`ControlError::Mismatch`] where the records were sealed with another master key.
    pub fn new(
        store: &'a Store,
        master: &'a MasterKey,
        entropy: &'a dyn Entropy,
    ) -> Result<Self, ControlError> {
        let secrets = Self { store, master, entropy };
        let sealed = match store.read(|tx| tx.master_key_seal())? {
            Some(sealed) => sealed,
            None => {
                let first = secrets.seal("known", KNOWN);
                store.write::<_, ControlError>(Durability::Durable, |tx| {
                    if let Some(sealed) = tx.master_key_seal()? {
                        return Ok(sealed);
                    }
                    tx.put_master_key_seal(&first)?;
                    Ok(first)
                })?
            }
        };
        master.open("known", &sealed).ok_or_else(other_master_key)?;
        Ok(secrets)
    }

    fn seal(&self, name: &str, secret: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE_BYTES];
        self.entropy.fill(&mut nonce);
        self.master.seal(nonce, name, secret)
    }

    /// The secret of that name; where there is none yet, what `make` makes is it.
    ///
    /// # Errors
    /// Those of `make`; a failure.
    pub fn get_or_make<E: From<ControlError>>(
        &self,
        name: &str,
        make: impl FnOnce() -> Result<Vec<u8>, E>,
    ) -> Result<Vec<u8>, E> {
        if let Some(known) = self.store.read(|tx| unsealed(tx, self.master, name))? {
            return Ok(known);
        }
        let made = make()?;
        let sealed = self.seal(name, &made);
        Ok(self.store.write::<_, ControlError>(Durability::Durable, |tx| {
            if let Some(known) = unsealed(tx, self.master, name)? {
                return Ok(known);
            }
            tx.put_sealed(name, &sealed)?;
            Ok(made)
        })?)
    }

    /// The root account's first key: `given`, which then is it for all servers; else the one that
    /// there is; else what `own` gives.
    ///
    /// # Errors
    /// Those of `own`; a failure.
    pub fn root_key<E: From<ControlError>>(
        &self,
        given: Option<(String, Secret)>,
        own: impl FnOnce() -> Result<(String, Secret), E>,
    ) -> Result<(String, Secret), E> {
        let text =
            |(id, secret): &(String, Secret)| format!("{id}\n{}", secret.expose()).into_bytes();
        let Some(given) = given else {
            let bytes = self.get_or_make(ROOT_KEY, || own().map(|pair| text(&pair)))?;
            return Ok(pair(&bytes)?);
        };
        let known = self.store.read(|tx| root_key(tx, self.master))?;
        if known.as_ref() != Some(&given) {
            let sealed = self.seal(ROOT_KEY, &text(&given));
            self.store.write::<_, ControlError>(Durability::Durable, |tx| {
                // Servers that run know the former one.
                tx.begin_generation()?;
                Ok(tx.put_sealed(ROOT_KEY, &sealed)?)
            })?;
        }
        Ok(given)
    }
}

/// The root account's first key, where it is in the records.
pub(crate) fn root_key(
    tx: &Tx<'_>,
    master: &MasterKey,
) -> Result<Option<(String, Secret)>, ControlError> {
    unsealed(tx, master, ROOT_KEY)?.map(|bytes| pair(&bytes)).transpose()
}

fn unsealed(tx: &Tx<'_>, master: &MasterKey, name: &str) -> Result<Option<Vec<u8>>, ControlError> {
    let Some(sealed) = tx.sealed(name)? else { return Ok(None) };
    master.open(name, &sealed).ok_or_else(other_master_key).map(Some)
}

fn pair(bytes: &[u8]) -> Result<(String, Secret), ControlError> {
    let text = std::str::from_utf8(bytes).ok().and_then(|text| text.split_once('\n'));
    let (id, secret) = text.ok_or_else(other_master_key)?;
    Ok((id.to_owned(), Secret::new(secret)))
}

pub(crate) fn other_master_key() -> ControlError {
    let why = "the master key is not the one that the records were sealed with: put back the one \
               that belongs to them, from your backup or from the data directory of another \
               server that uses them";
    ControlError::Mismatch(why.to_owned())
}
