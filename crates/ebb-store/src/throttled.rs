//! Calls that are counted, where servers count them together.

use ebb_domain::{AccountId, Timestamp};

use crate::tx::{Value, text};
use crate::{StoreError, Tx};

impl Tx<'_> {
    /// How many of an account's calls of an operation came after that time, and when the first of
    /// them did. Those before it are forgotten; those after `now`, of a clock that was set back or
    /// is ahead, are taken for calls of now.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn throttled_calls(
        &self,
        account: &AccountId,
        operation: &str,
        now: Timestamp,
        after: Timestamp,
    ) -> Result<Option<(u64, Timestamp)>, StoreError> {
        self.forget_calls(account, operation, after)?;
        let key = [text(account.as_str()), text(operation)];
        let sql = "SELECT operation, count(*) AS count, min(called_at) AS first,
                       max(called_at) AS last
                   FROM throttled_calls WHERE account = ? AND operation = ? GROUP BY operation";
        let found = self.rows(("throttled_calls", "operation"), sql, &key, |row| {
            let count = row.get::<i64>("count")?.cast_unsigned();
            Ok((count, row.time("first")?, row.time("last")?))
        })?;
        let Some(&(count, first, last)) = found.first() else { return Ok(None) };
        if last > now {
            let sql = "UPDATE throttled_calls SET called_at = ?
                       WHERE called_at > ? AND account = ? AND operation = ?";
            let (at, [account, operation]) = (Value::from(now.unix_millis()), key);
            self.execute(sql, &[at.clone(), at, account, operation])?;
        }
        Ok(Some((count, first.min(now))))
    }

    /// Counts a call.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn count_call(
        &self,
        account: &AccountId,
        operation: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = "SELECT coalesce(max(number), 0) FROM throttled_calls
                   WHERE account = ? AND operation = ?";
        let key = [text(account.as_str()), text(operation)];
        let last = self.count(sql, &key)?.cast_signed();
        let sql = "INSERT INTO throttled_calls (account, operation, number, called_at)
                   VALUES (?, ?, ?, ?)";
        let [account, operation] = key;
        self.execute(sql, &[account, operation, (last + 1).into(), now.unix_millis().into()])?;
        Ok(())
    }

    /// Forgets calls up to that time.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn forget_calls(
        &self,
        account: &AccountId,
        operation: &str,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = "DELETE FROM throttled_calls
                   WHERE account = ? AND operation = ? AND called_at <= ?";
        let until = until.unix_millis().into();
        self.execute(sql, &[text(account.as_str()), text(operation), until])?;
        Ok(())
    }

    /// An account and an operation that have calls from before that time.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn stale_calls(
        &self,
        before: Timestamp,
    ) -> Result<Option<(AccountId, String)>, StoreError> {
        let sql = "SELECT account, operation FROM throttled_calls
                   WHERE called_at < ? ORDER BY called_at LIMIT 1";
        let mut found = self.rows(
            ("throttled_calls", "operation"),
            sql,
            &[before.unix_millis().into()],
            |row| Ok((row.id("account", AccountId::new)?, row.get("operation")?)),
        )?;
        Ok(found.pop())
    }
}
