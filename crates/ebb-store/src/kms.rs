//! Keys, their versions, aliases and tags.

use ebb_domain::{AccountId, Key, KeyState, KeyVersion, Tag, Timestamp};

use crate::row::Row;
use crate::tx::{Value, text};
use crate::{StoreError, Tx};

const KEYS: (&str, &str) = ("kms_keys", "id");
const VERSIONS: (&str, &str) = ("kms_versions", "id");

/// A name for a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// `alias/…`.
    pub name: String,
    /// The key's id.
    pub key: String,
}

fn key(row: &Row<'_>) -> Result<Key, StoreError> {
    Ok(Key {
        id: row.get("id")?,
        account: row.id("account", AccountId::new)?,
        region: row.get("region")?,
        creator: row.get("creator")?,
        description: row.get("description")?,
        state: row.name("state", KeyState::parse)?,
        delete_at: row.time_if_any("delete_at")?,
        rotation_days: row.get("rotation_days")?,
        primary: row.get("primary_version")?,
        created_at: row.time("created_at")?,
        rotated_at: row.time("rotated_at")?,
    })
}

fn version(row: &Row<'_>) -> Result<KeyVersion, StoreError> {
    Ok(KeyVersion {
        id: row.get("id")?,
        number: row.get("number")?,
        sealed: row.get("sealed")?,
        created_at: row.time("created_at")?,
    })
}

fn alias(row: &Row<'_>) -> Result<Alias, StoreError> {
    Ok(Alias { name: row.get("name")?, key: row.get("key")? })
}

fn millis(time: Option<Timestamp>) -> Value {
    time.map_or(Value::Null, |time| time.unix_millis().into())
}

impl Tx<'_> {
    /// The key of that id, whosever it is.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn key(&self, id: &str) -> Result<Option<Key>, StoreError> {
        Ok(self.rows(KEYS, "SELECT * FROM kms_keys WHERE id = ?", &[text(id)], key)?.pop())
    }

    /// The keys of an account, the oldest first.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn keys(&self, account: &AccountId) -> Result<Vec<Key>, StoreError> {
        let sql = "SELECT * FROM kms_keys WHERE account = ? ORDER BY created_at, id";
        self.rows(KEYS, sql, &[text(account.as_str())], key)
    }

    /// Those of all accounts that wait for their deletion or for their next version.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn keys_with_a_time(&self) -> Result<Vec<Key>, StoreError> {
        let sql = "SELECT * FROM kms_keys
                   WHERE delete_at IS NOT NULL OR rotation_days IS NOT NULL ORDER BY id";
        self.rows(KEYS, sql, &[], key)
    }

    /// Makes a key what it is given as, a new one where there is none of its id.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn put_key(&self, one: &Key) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO kms_keys (id, account, region, creator, description, state, delete_at,
                 rotation_days, primary_version, created_at, rotated_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (id) DO UPDATE SET description = excluded.description,
                 state = excluded.state, delete_at = excluded.delete_at,
                 rotation_days = excluded.rotation_days,
                 primary_version = excluded.primary_version, rotated_at = excluded.rotated_at",
            &[
                text(&one.id),
                text(one.account.as_str()),
                text(&one.region),
                text(&one.creator),
                text(&one.description),
                text(one.state.as_str()),
                millis(one.delete_at),
                one.rotation_days.map_or(Value::Null, Value::from),
                one.primary.into(),
                one.created_at.unix_millis().into(),
                one.rotated_at.unix_millis().into(),
            ],
        )?;
        Ok(())
    }

    /// Removes a key with its versions, aliases and tags.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn remove_key(&self, id: &str) -> Result<(), StoreError> {
        for sql in [
            "DELETE FROM kms_versions WHERE key = ?",
            "DELETE FROM kms_aliases WHERE key = ?",
            "DELETE FROM kms_tags WHERE key = ?",
            "DELETE FROM kms_keys WHERE id = ?",
        ] {
            self.execute(sql, &[text(id)])?;
        }
        Ok(())
    }

    /// The versions of a key, the oldest first.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn key_versions(&self, key: &str) -> Result<Vec<KeyVersion>, StoreError> {
        let sql = "SELECT * FROM kms_versions WHERE key = ? ORDER BY number";
        self.rows(VERSIONS, sql, &[text(key)], version)
    }

    /// Adds a version of a key.
    ///
    /// # Errors
    /// [`StoreError::Sql`], also where there is one of its number.
    pub fn insert_key_version(&self, key: &str, one: &KeyVersion) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO kms_versions (key, number, id, sealed, created_at) VALUES (?, ?, ?, ?, ?)",
            &[
                text(key),
                one.number.into(),
                text(&one.id),
                one.sealed.clone().map_or(Value::Null, Value::Blob),
                one.created_at.unix_millis().into(),
            ],
        )?;
        Ok(())
    }

    /// The aliases of an account, in the order of their names.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn aliases(&self, account: &AccountId) -> Result<Vec<Alias>, StoreError> {
        let sql = "SELECT * FROM kms_aliases WHERE account = ? ORDER BY name";
        self.rows(("kms_aliases", "name"), sql, &[text(account.as_str())], alias)
    }

    /// The key that an alias of an account names.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn alias(&self, account: &AccountId, name: &str) -> Result<Option<String>, StoreError> {
        let sql = "SELECT * FROM kms_aliases WHERE account = ? AND name = ?";
        let values = [text(account.as_str()), text(name)];
        let found = self.rows(("kms_aliases", "name"), sql, &values, alias)?.pop();
        Ok(found.map(|alias| alias.key))
    }

    /// Names a key; an alias that is there names it from now on.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn put_alias(&self, account: &AccountId, name: &str, key: &str) -> Result<(), StoreError> {
        let sql = "INSERT INTO kms_aliases (account, name, key) VALUES (?, ?, ?)
                   ON CONFLICT (account, name) DO UPDATE SET key = excluded.key";
        self.execute(sql, &[text(account.as_str()), text(name), text(key)])?;
        Ok(())
    }

    /// Removes an alias; `false` where there is none.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn remove_alias(&self, account: &AccountId, name: &str) -> Result<bool, StoreError> {
        let sql = "DELETE FROM kms_aliases WHERE account = ? AND name = ?";
        Ok(self.execute(sql, &[text(account.as_str()), text(name)])? > 0)
    }

    /// The tags of a key, in the order of their names.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn key_tags(&self, key: &str) -> Result<Vec<Tag>, StoreError> {
        let sql = "SELECT * FROM kms_tags WHERE key = ? ORDER BY name";
        self.rows(("kms_tags", "key"), sql, &[text(key)], |row| {
            Ok(Tag { key: row.get("name")?, value: row.get("value")? })
        })
    }

    /// Tags a key; a tag that is there gets the value.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn put_key_tag(&self, key: &str, tag: &Tag) -> Result<(), StoreError> {
        let sql = "INSERT INTO kms_tags (key, name, value) VALUES (?, ?, ?)
                   ON CONFLICT (key, name) DO UPDATE SET value = excluded.value";
        self.execute(sql, &[text(key), text(&tag.key), text(&tag.value)])?;
        Ok(())
    }

    /// Takes a tag from a key. One that is not there is no error.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn remove_key_tag(&self, key: &str, name: &str) -> Result<(), StoreError> {
        let sql = "DELETE FROM kms_tags WHERE key = ? AND name = ?";
        self.execute(sql, &[text(key), text(name)])?;
        Ok(())
    }
}
