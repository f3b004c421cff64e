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
                disk_quota_gib: row.get::<Option<i64>>("disk_quota_gib")?.map(i64::cast_unsigned),
            })
        })?;
        Ok(found.pop())
    }

    /// The ids of all accounts, in order.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn accounts(&self) -> Result<Vec<AccountId>, StoreError> {
        let sql = "SELECT id FROM accounts ORDER BY id";
        self.rows(("accounts", "id"), sql, &[], |row| row.id("id", AccountId::new))
    }

    /// Makes an account what it is given as, a new one where there is none of its id.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn put_account(&self, account: &Account) -> Result<(), StoreError> {
        let quota = account.disk_quota_gib.map(u64::cast_signed);
        self.execute(
            "INSERT INTO accounts (id, balance_fen, arrears, snapshot_service, disk_quota_gib)
             VALUES (?, ?, ?, ?, ?)
             ON CONFLICT (id) DO UPDATE SET balance_fen = excluded.balance_fen,
                 arrears = excluded.arrears, snapshot_service = excluded.snapshot_service,
                 disk_quota_gib = excluded.disk_quota_gib",
            &[
                text(account.id.as_str()),
                account.balance_fen.into(),
                account.arrears.into(),
                account.snapshot_service.into(),
                quota.into(),
            ],
        )?;
        Ok(())
    }

    /// How many GiB an account's disks are together, but for those on their way out.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn disk_gib(&self, id: &AccountId) -> Result<u64, StoreError> {
        let sql = "SELECT CAST(coalesce(sum(size_gib), 0) AS BIGINT) FROM disks
                   WHERE account = ? AND status <> 'Deleting'";
        self.count(sql, &[text(id.as_str())])
    }

    /// How many instances of each type an account has.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn instance_types_of(&self, id: &AccountId) -> Result<Vec<(String, u32)>, StoreError> {
        let sql = "SELECT instance_type, count(*) AS instances FROM instances
                   WHERE account = ? GROUP BY instance_type ORDER BY instance_type";
        self.rows(("instances", "instance_type"), sql, &[text(id.as_str())], |row| {
            Ok((row.get("instance_type")?, row.get("instances")?))
        })
    }
}
