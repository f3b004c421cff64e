//! What servers on one store must agree on: whether what they remember is still so, and secrets
//! that all have.

use crate::tx::{Value, text};
use crate::{StoreError, Tx};

impl Tx<'_> {
    /// How often something has changed that servers remember.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn generation(&self) -> Result<u64, StoreError> {
        let sql = "SELECT one, number FROM generation";
        let found = self.rows(("generation", "one"), sql, &[], |row| row.get::<i64>("number"))?;
        Ok(found.first().map_or(0, |number| number.cast_unsigned()))
    }

    /// Says that something has changed: whoever reads the generation after this transaction has
    /// another one.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn begin_generation(&self) -> Result<(), StoreError> {
        let sql = "INSERT INTO generation (one, number) VALUES (1, 1)
                   ON CONFLICT (one) DO UPDATE SET number = generation.number + 1";
        self.execute(sql, &[])?;
        Ok(())
    }

    /// What is sealed under a name.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn sealed(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "SELECT name, value FROM sealed WHERE name = ?";
        Ok(self.rows(("sealed", "name"), sql, &[text(name)], |row| row.get("value"))?.pop())
    }

    /// Keeps it, in the place of what there was.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn put_sealed(&self, name: &str, value: &[u8]) -> Result<(), StoreError> {
        let sql = "INSERT INTO sealed (name, value) VALUES (?, ?)
                   ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        self.execute(sql, &[text(name), Value::Blob(value.to_vec())])?;
        Ok(())
    }
}
