//! The white list of a disk category: who may use it once it is restricted.

use ebb_domain::{AccountId, Category};

use crate::tx::text;
use crate::{StoreError, Tx};

impl Tx<'_> {
    /// Restricts a category to these accounts, in place of any it was restricted to before.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn restrict_category(
        &self,
        category: Category,
        allowed: &[AccountId],
    ) -> Result<(), StoreError> {
        self.unrestrict_category(category)?;
        let category = text(category.name());
        self.execute(
            "INSERT INTO restricted_categories (category) VALUES (?)",
            std::slice::from_ref(&category),
        )?;
        for account in allowed {
            self.execute(
                "INSERT INTO allowed_accounts (category, account) VALUES (?, ?)
                 ON CONFLICT (category, account) DO NOTHING",
                &[category.clone(), text(account.as_str())],
            )?;
        }
        Ok(())
    }

    /// Opens a category to everybody again; whether it was restricted.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn unrestrict_category(&self, category: Category) -> Result<bool, StoreError> {
        // The accounts go with it: ON DELETE CASCADE.
        let sql = "DELETE FROM restricted_categories WHERE category = ?";
        Ok(self.execute(sql, &[text(category.name())])? > 0)
    }

    /// Whether this account may not use the category.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn is_restricted(
        &self,
        category: Category,
        account: &AccountId,
    ) -> Result<bool, StoreError> {
        self.exists(
            "SELECT 1 FROM restricted_categories r WHERE r.category = ? AND NOT EXISTS (
                 SELECT 1 FROM allowed_accounts a WHERE a.category = r.category AND a.account = ?)",
            &[text(category.name()), text(account.as_str())],
        )
    }
}
