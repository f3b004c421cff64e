//! Which disks are to be encrypted, and with what: data keys, and which keys wrap them.

use ebb_domain::{AccountId, Encryption, RegionId};

use crate::record::Field;
use crate::row::Row;
use crate::tx::{Value, text};
use crate::{ResourceKind, StoreError, Tx};

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

/// What a disk or a snapshot is encrypted with, as its row says.
pub(crate) fn encryption(row: &Row<'_>) -> Result<Option<Encryption>, StoreError> {
    let Some(key) = row.get("kms_key")? else { return Ok(None) };
    Ok(Some(Encryption { key, data_key: row.get("data_key")? }))
}

/// The columns of it.
pub(crate) fn encryption_fields(encryption: Option<&Encryption>) -> [Field; 2] {
    [
        ("kms_key", encryption.map(|one| text(&one.key)).into()),
        ("data_key", encryption.map(|one| text(&one.data_key)).into()),
    ]
}

impl Tx<'_> {
    /// Keeps a data key, wrapped.
    ///
    /// # Errors
    /// [`StoreError::Sql`], also where there is one of its id.
    pub fn insert_data_key(
        &self,
        account: &AccountId,
        id: &str,
        wrapped: &[u8],
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO data_keys (id, account, wrapped) VALUES (?, ?, ?)";
        self.execute(sql, &[text(id), text(account.as_str()), Value::Blob(wrapped.to_vec())])?;
        Ok(())
    }

    /// A data key, wrapped; `None` once nothing has it any more.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn data_key(&self, id: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "SELECT id, wrapped FROM data_keys WHERE id = ?";
        Ok(self.rows(("data_keys", "id"), sql, &[text(id)], |row| row.get("wrapped"))?.pop())
    }

    /// How many data keys there are.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn count_data_keys(&self) -> Result<u64, StoreError> {
        self.count("SELECT count(*) FROM data_keys", &[])
    }

    /// The data key of a row that is about to be removed.
    pub(crate) fn data_key_of(
        &self,
        kind: ResourceKind,
        id: &str,
    ) -> Result<Option<String>, StoreError> {
        let table = kind.table();
        let sql = format!("SELECT id, data_key FROM {table} WHERE id = ?");
        let found = self.rows((table, "id"), &sql, &[text(id)], |row| row.get("data_key"))?.pop();
        Ok(found.flatten())
    }

    /// Forgets the data key of a row that was removed, if no disk and no snapshot has it any more:
    /// what was encrypted with it cannot be read by anybody then, wherever its bytes still are.
    pub(crate) fn shred_data_key(&self, id: Option<String>) -> Result<(), StoreError> {
        let Some(id) = id else { return Ok(()) };
        let sql = "DELETE FROM data_keys
                   WHERE id = ?
                     AND NOT EXISTS (SELECT 1 FROM disks WHERE data_key = data_keys.id)
                     AND NOT EXISTS (SELECT 1 FROM snapshots WHERE data_key = data_keys.id)";
        self.execute(sql, &[text(&id)])?;
        Ok(())
    }

    /// The key that new disks are encrypted by where they name none; `None`: the service's own.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn default_key(
        &self,
        account: &AccountId,
        region: &RegionId,
    ) -> Result<Option<String>, StoreError> {
        let sql = "SELECT kms_key FROM default_keys WHERE account = ? AND region = ?";
        let values = [text(account.as_str()), text(region.as_str())];
        let read = |row: &Row<'_>| row.get("kms_key");
        Ok(self.rows(("default_keys", "kms_key"), sql, &values, read)?.pop())
    }

    /// Says which; `None`: the service's own.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn set_default_key(
        &self,
        account: &AccountId,
        region: &RegionId,
        key: Option<&str>,
    ) -> Result<(), StoreError> {
        let values = [text(account.as_str()), text(region.as_str())];
        self.execute("DELETE FROM default_keys WHERE account = ? AND region = ?", &values)?;
        if let Some(key) = key {
            let [account, region] = values;
            let sql = "INSERT INTO default_keys (account, region, kms_key) VALUES (?, ?, ?)";
            self.execute(sql, &[account, region, text(key)])?;
        }
        Ok(())
    }

    /// Whether the block store may use an account's keys.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn may_use_keys(&self, account: &AccountId) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM kms_revoked WHERE account = ?";
        Ok(!self.exists(sql, &[text(account.as_str())])?)
    }

    /// Says whether it may.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn let_use_keys(&self, account: &AccountId, may: bool) -> Result<(), StoreError> {
        let sql = if may {
            "DELETE FROM kms_revoked WHERE account = ?"
        } else {
            "INSERT INTO kms_revoked (account) VALUES (?) ON CONFLICT DO NOTHING"
        };
        self.execute(sql, &[text(account.as_str())])?;
        Ok(())
    }
}
