//! How a key may be named: by its id, its ARN, or an alias.

use ebb_domain::{AccountId, KmsDenied, PER_KEY_MAX, RegionId, Tag, check_alias};
use ebb_store::{Alias, Durability, Tx};

use super::{Kms, NewKey, denied, find};
use crate::ControlError;

/// The alias of the key that the service makes for an account's disks.
const SERVICE: &str = "alias/acs/ecs";

/// The id of the key of an account that a text names.
pub(crate) fn resolve(tx: &Tx<'_>, owner: &AccountId, name: &str) -> Result<String, ControlError> {
    if name.starts_with("alias/") {
        let found = tx.alias(owner, name)?;
        return found.ok_or_else(|| denied(KmsDenied::AliasNotFound));
    }
    let id = match name.strip_prefix("acs:kms:") {
        None => name,
        Some(rest) => {
            let theirs = rest.split(':').nth(1) == Some(owner.as_str());
            let id = rest.rsplit_once(":key/").map(|(_, id)| id);
            id.filter(|_| theirs).ok_or_else(|| denied(KmsDenied::KeyNotFound))?
        }
    };
    Ok(find(tx, owner, id)?.id)
}

impl Kms<'_> {
    /// The id of the key that a text names.
    ///
    /// # Errors
    /// There is no such key or alias, or it is another account's.
    pub fn resolve(&self, name: &str) -> Result<String, ControlError> {
        self.control.store.read(|tx| resolve(tx, self.owner, name))
    }

    /// The id of the service's own key for the account's disks; made where there is none yet.
    ///
    /// # Errors
    /// A key store that cannot be had.
    pub fn service_key(&self, region: &RegionId) -> Result<String, ControlError> {
        let known = self.control.store.read(|tx| tx.alias(self.owner, SERVICE))?;
        if let Some(key) = known {
            return Ok(key);
        }
        let (name, value) = ebb_domain::DISK_TAG;
        let new = NewKey {
            description: "The key of the block store's own for this account's disks".to_owned(),
            rotation: None,
            tags: vec![Tag { key: name.to_owned(), value: value.to_owned() }],
        };
        let made = self.make(&new, region, "Ecs")?;
        self.control.store.write(Durability::Durable, |tx| {
            // Of two that made one at once the first counts; the other's key stays unnamed.
            if let Some(key) = tx.alias(self.owner, SERVICE)? {
                tx.remove_key(&made.key.id)?;
                return Ok(key);
            }
            tx.put_alias(self.owner, SERVICE, &made.key.id)?;
            Ok(made.key.id)
        })
    }

    /// Names a key.
    ///
    /// # Errors
    /// There is no such key, an alias that is none or taken, too many.
    pub fn create_alias(&self, name: &str, key: &str) -> Result<(), ControlError> {
        check_alias(name).map_err(denied)?;
        self.control.store.write(Durability::Durable, |tx| {
            find(tx, self.owner, key)?;
            if tx.alias(self.owner, name)?.is_some() {
                return Err(denied(KmsDenied::AliasExists));
            }
            let of_key = tx.aliases(self.owner)?.iter().filter(|one| one.key == key).count();
            if of_key >= PER_KEY_MAX {
                return Err(denied(KmsDenied::Limit));
            }
            Ok(tx.put_alias(self.owner, name, key)?)
        })
    }

    /// Has an alias name another key.
    ///
    /// # Errors
    /// There is no such key or alias.
    pub fn move_alias(&self, name: &str, key: &str) -> Result<(), ControlError> {
        check_alias(name).map_err(denied)?;
        self.control.store.write(Durability::Durable, |tx| {
            find(tx, self.owner, key)?;
            tx.alias(self.owner, name)?.ok_or_else(|| denied(KmsDenied::AliasNotFound))?;
            Ok(tx.put_alias(self.owner, name, key)?)
        })
    }

    /// Removes an alias. The key stays.
    ///
    /// # Errors
    /// There is none, or it is the service's own.
    pub fn delete_alias(&self, name: &str) -> Result<(), ControlError> {
        check_alias(name).map_err(denied)?;
        self.control.store.write(Durability::Durable, |tx| {
            let removed = tx.remove_alias(self.owner, name)?;
            removed.then_some(()).ok_or_else(|| denied(KmsDenied::AliasNotFound))
        })
    }

    /// All aliases, in the order of their names.
    ///
    /// # Errors
    /// A failure.
    pub fn aliases(&self) -> Result<Vec<Alias>, ControlError> {
        Ok(self.control.store.read(|tx| tx.aliases(self.owner))?)
    }
}
