//! The schema and its versions.
//!
//! Version n is what the first n migrations have made. Migrations only go forward and never change
//! once released. All that are missing are one transaction, so a start that is cut off leaves the
//! old schema whole.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use crate::StoreError;

const MIGRATIONS: &[&str] = &[
    include_str!("schema/0001_first.sql"),
    include_str!("schema/0002_snapshot_retention.sql"),
    include_str!("schema/0003_snapshot_lock.sql"),
    include_str!("schema/0004_tasks.sql"),
    include_str!("schema/0005_snapshot_groups.sql"),
    include_str!("schema/0006_snapshot_copies.sql"),
    include_str!("schema/0007_auto_snapshots.sql"),
    include_str!("schema/0008_networks.sql"),
    include_str!("schema/0009_large_lists.sql"),
    include_str!("schema/0010_images.sql"),
    include_str!("schema/0011_disk_quota.sql"),
    include_str!("schema/0012_clones_and_encryption.sql"),
    include_str!("schema/0013_objects.sql"),
    include_str!("schema/0014_access_keys.sql"),
    include_str!("schema/0015_ram.sql"),
    include_str!("schema/0016_kms.sql"),
    include_str!("schema/0017_encryption.sql"),
    include_str!("schema/0018_encrypted_copies.sql"),
];

/// Brings the schema up to date.
pub(crate) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(
        "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT",
    )?;
    let found = version(&transaction)?;
    let missing = MIGRATIONS.get(found as usize..).ok_or(StoreError::Newer {
        found,
        known: u32::try_from(MIGRATIONS.len()).expect("there are few migrations"),
    })?;
    if missing.is_empty() {
        return Ok(());
    }
    for migration in missing {
        transaction.execute_batch(migration)?;
    }
    transaction.execute(
        "INSERT INTO meta (key, value) VALUES ('schema_version', ?)
         ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        [MIGRATIONS.len().to_string()],
    )?;
    // Durable before anything is written by the new schema: the level is FULL here.
    transaction.commit()?;
    tracing::info!(from = found, to = MIGRATIONS.len(), "brought the metadata schema up to date");
    Ok(())
}

fn version(connection: &Connection) -> Result<u32, StoreError> {
    let text: Option<String> = connection
        .query_row("SELECT value FROM meta WHERE key = 'schema_version'", [], |row| row.get(0))
        .optional()?;
    let Some(text) = text else { return Ok(0) };
    text.parse().map_err(|_| StoreError::Corrupt {
        table: "meta",
        id: "schema_version".into(),
        column: "value",
    })
}
