//! Facts about the store as a whole.

use crate::tx::text;
use crate::{StoreError, Tx};

impl Tx<'_> {
    /// The fact of that name.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn meta(&self, key: &str) -> Result<Option<String>, StoreError> {
        let sql = "SELECT key, value FROM meta WHERE key = ?";
        Ok(self.rows(("meta", "key"), sql, &[text(key)], |row| row.get("value"))?.pop())
    }

    /// Sets a fact. `schema_version` is the store's own.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn put_meta(&self, key: &str, value: &str) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO meta (key, value) VALUES (?, ?)
             ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            &[text(key), text(value)],
        )?;
        Ok(())
    }
}
