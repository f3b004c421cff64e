//! Client tokens: what a call that had one was, and what it led to, so that the same call again is
//! answered and not done.

use ebb_domain::{AccountId, Timestamp};

use crate::tx::{Value, text};
use crate::{StoreError, Tx};

/// What is known of a call by its token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    /// A hash of the call's parameters: another call must not use the token.
    pub fingerprint: [u8; 32],
    /// The ids that it was answered with, in their order.
    pub result: Vec<String>,
    /// When it was made.
    pub at: Timestamp,
}

impl Tx<'_> {
    /// What the account's `action` with that token was.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn token(
        &self,
        account: &AccountId,
        action: &str,
        token: &str,
    ) -> Result<Option<TokenRow>, StoreError> {
        let key = [text(account.as_str()), text(action), text(token)];
        let sql = "SELECT * FROM client_tokens WHERE account = ? AND action = ? AND token = ?";
        let mut found = self.rows(("client_tokens", "token"), sql, &key, |row| {
            Ok(TokenRow {
                fingerprint: row.get("fingerprint")?,
                result: Vec::new(),
                at: row.time("used_at")?,
            })
        })?;
        let Some(mut found) = found.pop() else { return Ok(None) };
        let sql = "SELECT * FROM client_token_results
                   WHERE account = ? AND action = ? AND token = ? ORDER BY position";
        found.result =
            self.rows(("client_token_results", "token"), sql, &key, |row| row.get("value"))?;
        Ok(Some(found))
    }

    /// Keeps what a call with a token was, in place of any before with the same token.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn put_token(
        &self,
        account: &AccountId,
        action: &str,
        token: &str,
        row: &TokenRow,
    ) -> Result<(), StoreError> {
        self.remove_token(account, action, token)?;
        let key = [text(account.as_str()), text(action), text(token)];
        let mut values = key.to_vec();
        values.extend([Value::Blob(row.fingerprint.to_vec()), row.at.unix_millis().into()]);
        self.execute(
            "INSERT INTO client_tokens (account, action, token, fingerprint, used_at)
             VALUES (?, ?, ?, ?, ?)",
            &values,
        )?;
        for (position, value) in (0_i64..).zip(&row.result) {
            let mut values = key.to_vec();
            values.extend([position.into(), text(value)]);
            self.execute(
                "INSERT INTO client_token_results (account, action, token, position, value)
                 VALUES (?, ?, ?, ?, ?)",
                &values,
            )?;
        }
        Ok(())
    }

    /// Forgets a token, as if the call with it had never been; one that is not there is no error.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn remove_token(
        &self,
        account: &AccountId,
        action: &str,
        token: &str,
    ) -> Result<(), StoreError> {
        // Its results go with it: ON DELETE CASCADE.
        self.execute(
            "DELETE FROM client_tokens WHERE account = ? AND action = ? AND token = ?",
            &[text(account.as_str()), text(action), text(token)],
        )?;
        Ok(())
    }

    /// Forgets the tokens whose call made this, which was undone before anybody was answered.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn remove_tokens_of(&self, made: &str) -> Result<(), StoreError> {
        // Their results go with them: ON DELETE CASCADE.
        self.execute(
            "DELETE FROM client_tokens WHERE EXISTS (
                 SELECT 1 FROM client_token_results AS made
                 WHERE made.account = client_tokens.account
                   AND made.action = client_tokens.action
                   AND made.token = client_tokens.token AND made.value = ?)",
            &[text(made)],
        )?;
        Ok(())
    }

    /// Forgets the tokens used before that time; how many there were.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn purge_tokens(&self, before: Timestamp) -> Result<usize, StoreError> {
        // Their results go with them: ON DELETE CASCADE.
        self.execute("DELETE FROM client_tokens WHERE used_at < ?", &[before.unix_millis().into()])
    }
}
