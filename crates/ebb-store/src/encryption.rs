//! Where an account's new disks are to be encrypted.

use ebb_domain::{AccountId, RegionId};

use crate::tx::text;
use crate::{StoreError, Tx};

impl Tx<'_> {
    /// Whether disks are encrypted where nothing else is asked.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn is_encrypted_by_default(
        &self,
        account: &AccountId,
        region: &RegionId,
    ) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM encryption_by_default WHERE account = ? AND region = ?";
        self.exists(sql, &[text(account.as_str()), text(region.as_str())])
    }

    /// Says whether they are.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn encrypt_by_default(
        &self,
        account: &AccountId,
        region: &RegionId,
        wanted: bool,
    ) -> Result<(), StoreError> {
        let sql = if wanted {
            "INSERT INTO encryption_by_default (account, region) VALUES (?, ?)
             ON CONFLICT (account, region) DO NOTHING"
        } else {
            "DELETE FROM encryption_by_default WHERE account = ? AND region = ?"
        };
        self.execute(sql, &[text(account.as_str()), text(region.as_str())])?;
        Ok(())
    }
}
