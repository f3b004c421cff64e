//! Access keys, and how the master key is known again.

use ebb_domain::{AccountId, Timestamp};

use crate::row::Row;
use crate::tx::{Value, text};
use crate::{StoreError, Tx};

/// An access key as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessKeyRecord {
    /// What its holder says who they are with.
    pub id: String,
    /// Whose it is.
    pub account: AccountId,
    /// What its holder signs with, sealed.
    pub sealed_secret: Vec<u8>,
    /// Whether it may be used.
    pub active: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

impl AccessKeyRecord {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.get("id")?,
            account: row.id("account", AccountId::new)?,
            sealed_secret: row.get("sealed_secret")?,
            active: row.get("active")?,
            created_at: row.time("created_at")?,
        })
    }
}

impl Tx<'_> {
    /// All access keys, the oldest of each account first.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn access_keys(&self) -> Result<Vec<AccessKeyRecord>, StoreError> {
        let sql = "SELECT * FROM access_keys ORDER BY account, created_at, id";
        self.rows(("access_keys", "id"), sql, &[], AccessKeyRecord::from_row)
    }

    /// Those of an account, the oldest first.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn access_keys_of(&self, account: &AccountId) -> Result<Vec<AccessKeyRecord>, StoreError> {
        let sql = "SELECT * FROM access_keys WHERE account = ? ORDER BY created_at, id";
        let account = text(account.as_str());
        self.rows(("access_keys", "id"), sql, &[account], AccessKeyRecord::from_row)
    }

    /// Adds one.
    ///
    /// # Errors
    /// [`StoreError::Sql`], also where there is one of its id or no such account.
    pub fn insert_access_key(&self, key: &AccessKeyRecord) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO access_keys (id, account, sealed_secret, active, created_at)
             VALUES (?, ?, ?, ?, ?)",
            &[
                text(&key.id),
                text(key.account.as_str()),
                Value::Blob(key.sealed_secret.clone()),
                key.active.into(),
                key.created_at.unix_millis().into(),
            ],
        )?;
        Ok(())
    }

    /// Says whether a key may be used; `false` where there is none of that id.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn set_access_key_active(&self, id: &str, active: bool) -> Result<bool, StoreError> {
        let sql = "UPDATE access_keys SET active = ? WHERE id = ?";
        Ok(self.execute(sql, &[active.into(), text(id)])? > 0)
    }

    /// Removes a key; `false` where there is none of that id.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn remove_access_key(&self, id: &str) -> Result<bool, StoreError> {
        Ok(self.execute("DELETE FROM access_keys WHERE id = ?", &[text(id)])? > 0)
    }

    /// What was sealed with the master key, to know it again; `None` before the first start with
    /// one.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn master_key_seal(&self) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "SELECT sealed FROM master_key";
        Ok(self.rows(("master_key", "one"), sql, &[], |row| row.get("sealed"))?.pop())
    }

    /// Keeps it.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn put_master_key_seal(&self, sealed: &[u8]) -> Result<(), StoreError> {
        let sql = "INSERT INTO master_key (one, sealed) VALUES (1, ?)
                   ON CONFLICT (one) DO UPDATE SET sealed = excluded.sealed";
        self.execute(sql, &[Value::Blob(sealed.to_vec())])?;
        Ok(())
    }
}
