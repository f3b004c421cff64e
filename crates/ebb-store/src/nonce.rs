//! Nonces that signed requests have used up, where servers share them.

use ebb_domain::Timestamp;

use crate::tx::Value;
use crate::{StoreError, Tx};

/// What a used nonce is kept as.
pub type Nonce = [u8; 16];

impl Tx<'_> {
    /// Uses a nonce; `false` where somebody has, not before `since`. One statement.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn use_nonce(
        &self,
        nonce: &Nonce,
        now: Timestamp,
        since: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = "INSERT INTO nonces (nonce, used_at) VALUES (?, ?)
                   ON CONFLICT (nonce) DO UPDATE SET used_at = excluded.used_at
                   WHERE nonces.used_at < ?";
        let values = [blob(nonce), now.unix_millis().into(), since.unix_millis().into()];
        Ok(self.execute(sql, &values)? > 0)
    }

    /// Whether a nonce was used, not before `since`.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn nonce_is_used(&self, nonce: &Nonce, since: Timestamp) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM nonces WHERE nonce = ? AND used_at >= ?";
        self.exists(sql, &[blob(nonce), since.unix_millis().into()])
    }

    /// Forgets the oldest of the nonces used before that time; how many.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn purge_nonces(&self, before: Timestamp, most: u64) -> Result<usize, StoreError> {
        let sql = "DELETE FROM nonces WHERE nonce IN (
                       SELECT nonce FROM nonces WHERE used_at < ? ORDER BY used_at LIMIT ?)";
        self.execute(sql, &[before.unix_millis().into(), most.cast_signed().into()])
    }

    /// How many there are.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn nonces(&self) -> Result<u64, StoreError> {
        self.count("SELECT count(*) FROM nonces", &[])
    }
}

fn blob(nonce: &Nonce) -> Value {
    Value::Blob(nonce.to_vec())
}
