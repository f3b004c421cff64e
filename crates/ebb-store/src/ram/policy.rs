//! Policies, their versions, and what they are attached to.

use ebb_domain::{AccountId, Policy, PolicyKind, PolicyName, PolicyVersion, Timestamp};

use super::{IdentitySince, PolicySince};
use crate::row::Row;
use crate::tx::text;
use crate::{StoreError, Tx};

const POLICIES: (&str, &str) = ("ram_policies", "name");
const VERSIONS: (&str, &str) = ("ram_policy_versions", "policy");
const ATTACHMENTS: (&str, &str) = ("ram_attachments", "identity");

fn policy(row: &Row<'_>) -> Result<Policy, StoreError> {
    Ok(Policy {
        account: row.id("account", AccountId::new)?,
        name: row.get("name")?,
        description: row.get("description")?,
        default_version: row.get("default_version")?,
        newest_version: row.get("newest_version")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

fn version(row: &Row<'_>) -> Result<PolicyVersion, StoreError> {
    Ok(PolicyVersion {
        version: row.get("version")?,
        document: row.get("document")?,
        created_at: row.time("created_at")?,
    })
}

fn policy_since(row: &Row<'_>) -> Result<PolicySince, StoreError> {
    let kind = row.name("policy_kind", PolicyKind::parse)?;
    let policy = PolicyName { kind, name: row.get("policy")? };
    Ok(PolicySince { policy, since: row.time("since")? })
}

impl Tx<'_> {
    /// An account's own policy of that name.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn policy(&self, account: &AccountId, name: &str) -> Result<Option<Policy>, StoreError> {
        let sql = "SELECT * FROM ram_policies WHERE account = ? AND name = ?";
        let values = [text(account.as_str()), text(name)];
        Ok(self.rows(POLICIES, sql, &values, policy)?.pop())
    }

    /// An account's own policies, in the order of their names.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn policies(&self, account: &AccountId) -> Result<Vec<Policy>, StoreError> {
        let sql = "SELECT * FROM ram_policies WHERE account = ? ORDER BY name";
        self.rows(POLICIES, sql, &[text(account.as_str())], policy)
    }

    /// Makes a policy what it is given as, a new one where there is none of its name.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn put_policy(&self, one: &Policy) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO ram_policies (account, name, description, default_version,
                 newest_version, created_at, updated_at)
             VALUES (?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (account, name) DO UPDATE SET
                 default_version = excluded.default_version,
                 newest_version = excluded.newest_version, updated_at = excluded.updated_at",
            &[
                text(one.account.as_str()),
                text(&one.name),
                text(&one.description),
                one.default_version.into(),
                one.newest_version.into(),
                one.created_at.unix_millis().into(),
                one.updated_at.unix_millis().into(),
            ],
        )?;
        Ok(())
    }

    /// Removes a policy and its versions.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn remove_policy(&self, account: &AccountId, name: &str) -> Result<(), StoreError> {
        let values = [text(account.as_str()), text(name)];
        let versions = "DELETE FROM ram_policy_versions WHERE account = ? AND policy = ?";
        self.execute(versions, &values)?;
        self.execute("DELETE FROM ram_policies WHERE account = ? AND name = ?", &values)?;
        Ok(())
    }

    /// The versions of a policy, the oldest first.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn policy_versions(
        &self,
        account: &AccountId,
        name: &str,
    ) -> Result<Vec<PolicyVersion>, StoreError> {
        let sql = "SELECT * FROM ram_policy_versions WHERE account = ? AND policy = ?
                   ORDER BY version";
        self.rows(VERSIONS, sql, &[text(account.as_str()), text(name)], version)
    }

    /// Adds a version of a policy.
    ///
    /// # Errors
    /// [`StoreError::Sql`], also where there is one of its number.
    pub fn insert_policy_version(
        &self,
        account: &AccountId,
        name: &str,
        one: &PolicyVersion,
    ) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO ram_policy_versions (account, policy, version, document, created_at)
             VALUES (?, ?, ?, ?, ?)",
            &[
                text(account.as_str()),
                text(name),
                one.version.into(),
                text(&one.document),
                one.created_at.unix_millis().into(),
            ],
        )?;
        Ok(())
    }

    /// Removes a version; `false` where there is none of that number.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn remove_policy_version(
        &self,
        account: &AccountId,
        name: &str,
        version: u32,
    ) -> Result<bool, StoreError> {
        let sql =
            "DELETE FROM ram_policy_versions WHERE account = ? AND policy = ? AND version = ?";
        let values = [text(account.as_str()), text(name), version.into()];
        Ok(self.execute(sql, &values)? > 0)
    }

    /// Attaches a policy; `false` where it is attached.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn attach_policy(
        &self,
        identity: &str,
        policy: &PolicyName,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = "INSERT INTO ram_attachments (identity, policy_kind, policy, since)
                   VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING";
        let (kind, name) = (text(policy.kind.as_str()), text(&policy.name));
        Ok(self.execute(sql, &[text(identity), kind, name, now.unix_millis().into()])? > 0)
    }

    /// Detaches a policy; `false` where it is not attached.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn detach_policy(&self, identity: &str, policy: &PolicyName) -> Result<bool, StoreError> {
        let sql =
            "DELETE FROM ram_attachments WHERE identity = ? AND policy_kind = ? AND policy = ?";
        let (kind, name) = (text(policy.kind.as_str()), text(&policy.name));
        Ok(self.execute(sql, &[text(identity), kind, name])? > 0)
    }

    /// What is attached to an identity, in the order of the policies' names.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn attached(&self, identity: &str) -> Result<Vec<PolicySince>, StoreError> {
        let sql = "SELECT * FROM ram_attachments WHERE identity = ? ORDER BY policy, policy_kind";
        self.rows(ATTACHMENTS, sql, &[text(identity)], policy_since)
    }

    /// Those of an account who have a policy, in the order of their names.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn who_has(
        &self,
        account: &AccountId,
        policy: &PolicyName,
    ) -> Result<Vec<IdentitySince>, StoreError> {
        let sql = "SELECT ram_identities.*, since FROM ram_attachments
                   JOIN ram_identities ON ram_identities.id = identity
                   WHERE account = ? AND policy_kind = ? AND policy = ? ORDER BY name";
        let values = [text(account.as_str()), text(policy.kind.as_str()), text(&policy.name)];
        self.rows(("ram_identities", "id"), sql, &values, super::identity::since)
    }
}
