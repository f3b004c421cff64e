//! Whether an account's new disks are encrypted where nothing else is asked, and by which key.
//!
//! There is no key service yet: an account that encrypts by default is refused every new disk,
//! which is what it asked for, rather than given one that is not encrypted. Nor is there a key
//! that could be chosen.

use ebb_domain::{AccountId, Denied, NewDisk, RegionId};
use ebb_store::{Durability, Tx};

use crate::{Control, ControlError};

impl Control {
    /// Whether they are.
    ///
    /// # Errors
    /// [`Denied::RegionNotFound`], or a failure.
    pub fn is_encrypted_by_default(
        &self,
        owner: &AccountId,
        region: &RegionId,
    ) -> Result<bool, ControlError> {
        self.region(region)?;
        Ok(self.store.read(|tx| tx.is_encrypted_by_default(owner, region))?)
    }

    /// Says whether disks that are made from now on are. Durable by the commit.
    ///
    /// # Errors
    /// [`Denied::RegionNotFound`], or a failure.
    pub fn encrypt_by_default(
        &self,
        owner: &AccountId,
        region: &RegionId,
        wanted: bool,
    ) -> Result<(), ControlError> {
        self.region(region)?;
        self.store
            .write(Durability::Durable, |tx| Ok(tx.encrypt_by_default(owner, region, wanted)?))
    }

    /// Chooses the key that they are encrypted by.
    ///
    /// # Errors
    /// [`Denied::RegionNotFound`]; [`Denied::KeyNotFound`], as there is none.
    pub fn choose_default_key(&self, region: &RegionId, _key: &str) -> Result<(), ControlError> {
        self.region(region)?;
        Err(Denied::KeyNotFound.into())
    }
}

/// Refuses a new disk that would be encrypted by default, or must be.
pub(crate) fn check_encryption(
    tx: &Tx<'_>,
    owner: &AccountId,
    region: &RegionId,
    disk: &NewDisk,
) -> Result<(), ControlError> {
    if tx.is_encrypted_by_default(owner, region)? {
        disk.check_encrypted_by_default()?;
    }
    Ok(())
}
