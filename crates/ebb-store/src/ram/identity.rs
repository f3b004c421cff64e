//! Users, groups and roles.

use ebb_domain::{AccountId, Identity, IdentityKind, Timestamp};

use super::IdentitySince;
use crate::row::Row;
use crate::tx::text;
use crate::{StoreError, Tx};

const TABLE: (&str, &str) = ("ram_identities", "id");

fn identity(row: &Row<'_>) -> Result<Identity, StoreError> {
    Ok(Identity {
        id: row.get("id")?,
        account: row.id("account", AccountId::new)?,
        kind: row.name("kind", IdentityKind::parse)?,
        name: row.get("name")?,
        display_name: row.get("display_name")?,
        comments: row.get("comments")?,
        trust: row.get("trust")?,
        max_session_seconds: row.get("max_session_seconds")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

pub(super) fn since(row: &Row<'_>) -> Result<IdentitySince, StoreError> {
    Ok(IdentitySince { identity: identity(row)?, since: row.time("since")? })
}

impl Tx<'_> {
    /// The identity of that name.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn identity(
        &self,
        account: &AccountId,
        kind: IdentityKind,
        name: &str,
    ) -> Result<Option<Identity>, StoreError> {
        let sql = "SELECT * FROM ram_identities WHERE account = ? AND kind = ? AND name = ?";
        let values = [text(account.as_str()), text(kind.as_str()), text(name)];
        Ok(self.rows(TABLE, sql, &values, identity)?.pop())
    }

    /// The identity of that id.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn identity_by_id(&self, id: &str) -> Result<Option<Identity>, StoreError> {
        let sql = "SELECT * FROM ram_identities WHERE id = ?";
        Ok(self.rows(TABLE, sql, &[text(id)], identity)?.pop())
    }

    /// Those of a kind behind a name, in the order of their names.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn identities(
        &self,
        account: &AccountId,
        kind: IdentityKind,
        behind: &str,
        most: usize,
    ) -> Result<Vec<Identity>, StoreError> {
        let sql = "SELECT * FROM ram_identities WHERE account = ? AND kind = ? AND name > ?
                   ORDER BY name LIMIT ?";
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let values = [text(account.as_str()), text(kind.as_str()), text(behind), most.into()];
        self.rows(TABLE, sql, &values, identity)
    }

    /// How many of a kind there are.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn count_identities(
        &self,
        account: &AccountId,
        kind: IdentityKind,
    ) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM ram_identities WHERE account = ? AND kind = ?";
        self.count(sql, &[text(account.as_str()), text(kind.as_str())])
    }

    /// Makes an identity what it is given as, a new one where there is none of its id.
    ///
    /// # Errors
    /// [`StoreError::Sql`], also where another has its name.
    pub fn put_identity(&self, one: &Identity) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO ram_identities (id, account, kind, name, display_name, comments, trust,
                 max_session_seconds, created_at, updated_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (id) DO UPDATE SET name = excluded.name,
                 display_name = excluded.display_name, comments = excluded.comments,
                 trust = excluded.trust, max_session_seconds = excluded.max_session_seconds,
                 updated_at = excluded.updated_at",
            &[
                text(&one.id),
                text(one.account.as_str()),
                text(one.kind.as_str()),
                text(&one.name),
                text(&one.display_name),
                text(&one.comments),
                text(&one.trust),
                one.max_session_seconds.into(),
                one.created_at.unix_millis().into(),
                one.updated_at.unix_millis().into(),
            ],
        )?;
        Ok(())
    }

    /// Removes an identity.
    ///
    /// # Errors
    /// [`StoreError::Sql`], also where it has keys, policies or members.
    pub fn remove_identity(&self, id: &str) -> Result<(), StoreError> {
        self.execute("DELETE FROM ram_identities WHERE id = ?", &[text(id)])?;
        Ok(())
    }

    /// Puts a user into a group; `false` where they are in it.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn add_member(&self, group: &str, user: &str, now: Timestamp) -> Result<bool, StoreError> {
        let sql = "INSERT INTO ram_members (group_id, user_id, since) VALUES (?, ?, ?)
                   ON CONFLICT DO NOTHING";
        let values = [text(group), text(user), now.unix_millis().into()];
        Ok(self.execute(sql, &values)? > 0)
    }

    /// Takes a user out of a group; `false` where they are not in it.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn remove_member(&self, group: &str, user: &str) -> Result<bool, StoreError> {
        let sql = "DELETE FROM ram_members WHERE group_id = ? AND user_id = ?";
        Ok(self.execute(sql, &[text(group), text(user)])? > 0)
    }

    /// The users of a group, in the order of their names.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn members(&self, group: &str) -> Result<Vec<IdentitySince>, StoreError> {
        let sql = "SELECT ram_identities.*, since FROM ram_members
                   JOIN ram_identities ON ram_identities.id = user_id
                   WHERE group_id = ? ORDER BY name";
        self.rows(TABLE, sql, &[text(group)], since)
    }

    /// The groups of a user, in the order of their names.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn groups_of(&self, user: &str) -> Result<Vec<IdentitySince>, StoreError> {
        let sql = "SELECT ram_identities.*, since FROM ram_members
                   JOIN ram_identities ON ram_identities.id = group_id
                   WHERE user_id = ? ORDER BY name";
        self.rows(TABLE, sql, &[text(user)], since)
    }
}
