//! Accounts.

use ebb_domain::{Account, AccountId};

use crate::tx::text;
use crate::{StoreError, Tx};

impl Tx<'_> {
    /// The account of that id.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn account(&self, id: &AccountId) -> Result<Option<Account>, StoreError> {
        let sql = "SELECT * FROM accounts WHERE id = ?";
        let mut found = self.rows(("accounts", "id"), sql, &[text(id.as_str())], |row| {
            Ok(Account {
                id: row.id("id", AccountId::new)?,
                balance_fen: row.get("balance_fen")?,
                arrears: row.get("arrears")?,
                snapshot_service: row.get("snapshot_service")?,
            })
        })?;
        Ok(found.pop())
    }

    /// Makes an account what it is given as, a new one where there is none of its id.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn put_account(&self, account: &Account) -> Result<(), StoreError> {
        let Account { id, balance_fen, arrears, snapshot_service } = account;
        self.execute(
            "INSERT INTO accounts (id, balance_fen, arrears, snapshot_service) VALUES (?, ?, ?, ?)
             ON CONFLICT (id) DO UPDATE SET balance_fen = excluded.balance_fen,
                 arrears = excluded.arrears, snapshot_service = excluded.snapshot_service",
            &[
                text(id.as_str()),
                (*balance_fen).into(),
                (*arrears).into(),
                (*snapshot_service).into(),
            ],
        )?;
        Ok(())
    }
}
