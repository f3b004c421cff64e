//! Facts about the store as a whole, and the sequence of engine ids.

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

    /// A number for a volume or a version that no other has or ever had, from 1.
    ///
    /// It is taken by the commit of this transaction. Where that is rolled back the number is given
    /// again, which is no harm: no engine has heard of it, because an engine is called only after
    /// the commit. A commit that a power loss can take back would break that, so it is refused.
    ///
    /// # Errors
    /// [`StoreError::NotDurable`] in a [recoverable](crate::Durability::Recoverable) transaction,
    /// [`StoreError::Sql`].
    pub fn next_engine_id(&self) -> Result<u64, StoreError> {
        if !self.is_durable() {
            return Err(StoreError::NotDurable);
        }
        let sql = "INSERT INTO sequences (name, value) VALUES ('engine', 1)
                   ON CONFLICT (name) DO UPDATE SET value = sequences.value + 1 RETURNING value";
        self.count(sql, &[])
    }
}
