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
    /// Which user's, by id; the root user's where there is none.
    pub user: Option<String>,
    /// What its holder signs with, sealed.
    pub sealed_secret: Vec<u8>,
    /// Whether it may be used.
    pub active: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last signed something, to within some seconds.
    pub last_used_at: Option<Timestamp>,
}

impl AccessKeyRecord {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.get("id")?,
            account: row.id("account", AccountId::new)?,
            user: row.get("user_id")?,
            sealed_secret: row.get("sealed_secret")?,
            active: row.get("active")?,
            created_at: row.time("created_at")?,
            last_used_at: row.time_if_any("last_used_at")?,
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

    /// The access key of that id.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn access_key(&self, id: &str) -> Result<Option<AccessKeyRecord>, StoreError> {
        let sql = "SELECT * FROM access_keys WHERE id = ?";
        let key = [text(id)];
        Ok(self.rows(("access_keys", "id"), sql, &key, AccessKeyRecord::from_row)?.pop())
    }

    /// Those of an account's root user, the oldest first.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn access_keys_of_root(
        &self,
        account: &AccountId,
    ) -> Result<Vec<AccessKeyRecord>, StoreError> {
        let sql = "SELECT * FROM access_keys WHERE account = ? AND user_id IS NULL
                   ORDER BY created_at, id";
        let account = text(account.as_str());
        self.rows(("access_keys", "id"), sql, &[account], AccessKeyRecord::from_row)
    }

    /// Those of a user, by the user's id, the oldest first.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn access_keys_of_user(&self, user: &str) -> Result<Vec<AccessKeyRecord>, StoreError> {
        let sql = "SELECT * FROM access_keys WHERE user_id = ? ORDER BY created_at, id";
        self.rows(("access_keys", "id"), sql, &[text(user)], AccessKeyRecord::from_row)
    }

    /// Adds one.
    ///
    /// # Errors
    /// [`StoreError::Sql`], also where there is one of its id or no such account.
    pub fn insert_access_key(&self, key: &AccessKeyRecord) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO access_keys (id, account, user_id, sealed_secret, active, created_at)
             VALUES (?, ?, ?, ?, ?, ?)",
            &[
                text(&key.id),
                text(key.account.as_str()),
                key.user.as_deref().map(text).unwrap_or(Value::Null),
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

    /// Says when a key was used, where nobody has said so of a later time.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn set_access_key_used(&self, id: &str, at: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE access_keys SET last_used_at = ?
                   WHERE id = ? AND (last_used_at IS NULL OR last_used_at < ?)";
        let millis = Value::from(at.unix_millis());
        self.execute(sql, &[millis.clone(), text(id), millis])?;
        Ok(())
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
