//! The schema and its versions.
//!
//! Version n is what the first n migrations have made. Migrations only go forward and never change
//! once released. All that are missing are one transaction, so a start that is cut off leaves the
//! old schema whole.
//!
//! Both databases have the same migrations. They are written for SQLite; PostgreSQL is given them
//! with its names of the types (postgres/dialect.rs), and has a text of its own where that is not
//! enough.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use crate::StoreError;

/// A step from one version of the schema to the next.
pub(crate) struct Migration {
    /// For SQLite, and for PostgreSQL once types are translated.
    pub(crate) sqlite: &'static str,
    /// Where PostgreSQL needs a text of its own.
    pub(crate) postgres: Option<&'static str>,
}

const fn same(sqlite: &'static str) -> Migration {
    Migration { sqlite, postgres: None }
}

pub(crate) const MIGRATIONS: &[Migration] = &[
    same(include_str!("schema/0001_first.sql")),
    same(include_str!("schema/0002_snapshot_retention.sql")),
    same(include_str!("schema/0003_snapshot_lock.sql")),
    same(include_str!("schema/0004_tasks.sql")),
    same(include_str!("schema/0005_snapshot_groups.sql")),
    same(include_str!("schema/0006_snapshot_copies.sql")),
    same(include_str!("schema/0007_auto_snapshots.sql")),
    same(include_str!("schema/0008_networks.sql")),
    // Triggers and the planner's statistics have no common form.
    Migration {
        sqlite: include_str!("schema/0009_large_lists.sql"),
        postgres: Some(include_str!("schema/0009_large_lists.postgres.sql")),
    },
    same(include_str!("schema/0010_images.sql")),
    same(include_str!("schema/0011_disk_quota.sql")),
    same(include_str!("schema/0012_clones_and_encryption.sql")),
    same(include_str!("schema/0013_objects.sql")),
    same(include_str!("schema/0014_access_keys.sql")),
    same(include_str!("schema/0015_ram.sql")),
    same(include_str!("schema/0016_kms.sql")),
    same(include_str!("schema/0017_encryption.sql")),
    same(include_str!("schema/0018_encrypted_copies.sql")),
    same(include_str!("schema/0019_servers.sql")),
    same(include_str!("schema/0020_shared.sql")),
];

pub(crate) const SET_VERSION: &str = "INSERT INTO meta (key, value) VALUES ('schema_version', ?)
    ON CONFLICT (key) DO UPDATE SET value = excluded.value";

/// The migrations that a schema of that version has not had.
pub(crate) fn missing(found: u32) -> Result<&'static [Migration], StoreError> {
    MIGRATIONS.get(found as usize..).ok_or(StoreError::Newer {
        found,
        known: u32::try_from(MIGRATIONS.len()).expect("there are few migrations"),
    })
}

/// The version that the store says it has.
pub(crate) fn version(kept: Option<String>) -> Result<u32, StoreError> {
    let Some(text) = kept else { return Ok(0) };
    text.parse().map_err(|_| StoreError::Corrupt {
        table: "meta",
        id: "schema_version".into(),
        column: "value",
    })
}

/// Brings the schema in SQLite up to date.
pub(crate) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(
        "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT",
    )?;
    let sql = "SELECT value FROM meta WHERE key = 'schema_version'";
    let found = version(transaction.query_row(sql, [], |row| row.get(0)).optional()?)?;
    let missing = missing(found)?;
    if missing.is_empty() {
        return Ok(());
    }
    for migration in missing {
        transaction.execute_batch(migration.sqlite)?;
    }
    transaction.execute(SET_VERSION, [MIGRATIONS.len().to_string()])?;
    // Durable before anything is written by the new schema: the level is FULL here.
    transaction.commit()?;
    tracing::info!(from = found, to = MIGRATIONS.len(), "brought the metadata schema up to date");
    Ok(())
}
