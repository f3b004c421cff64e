//! The schema in PostgreSQL: the same migrations, in the same order, under the same versions.

use std::borrow::Cow;
use std::time::Duration;

use super::{Session, dialect};
use crate::StoreError;
use crate::schema::{self, MIGRATIONS, Migration};
use crate::tx::text;

/// An index of a large table takes as long as it takes.
const PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// Brings the schema up to date, in a transaction that has begun. It has the lock of writers: of
/// two servers that start at once the second finds the work done, and no older one writes in
/// between.
pub(super) fn migrate(session: &Session) -> Result<(), StoreError> {
    must_be_utf8(session)?;
    // That the table is there is a notice each time.
    session.batch(
        "SET LOCAL statement_timeout = 0; SET LOCAL client_min_messages = warning; \
         CREATE TABLE IF NOT EXISTS meta (key TEXT COLLATE \"C\" PRIMARY KEY, \
         value TEXT COLLATE \"C\" NOT NULL)",
        PATIENCE,
    )?;
    let sql = "SELECT value FROM meta WHERE key = 'schema_version'";
    let rows = session.query(sql, &[])?;
    let found = schema::version(rows.first().and_then(|row| super::column(row, 0)))?;
    let missing = schema::missing(found)?;
    if missing.is_empty() {
        return Ok(());
    }
    for migration in missing {
        session.batch(&text_of(migration), PATIENCE)?;
    }
    session.execute(schema::SET_VERSION, &[text(&MIGRATIONS.len().to_string())])?;
    tracing::info!(from = found, to = MIGRATIONS.len(), "brought the metadata schema up to date");
    Ok(())
}

fn text_of(migration: &Migration) -> Cow<'static, str> {
    match migration.postgres {
        Some(own) => own.into(),
        None => dialect::schema(migration.sqlite).into(),
    }
}

/// A database of another encoding cannot have every name that a client may give.
fn must_be_utf8(session: &Session) -> Result<(), StoreError> {
    let rows = session.query("SELECT current_setting('server_encoding')", &[])?;
    let encoding: Option<String> = rows.first().and_then(|row| super::column(row, 0));
    match encoding.as_deref() {
        Some("UTF8") => Ok(()),
        other => Err(StoreError::Unsuitable(format!(
            "its encoding is {}, not UTF8: make one with CREATE DATABASE … ENCODING 'UTF8' \
             TEMPLATE template0",
            other.unwrap_or("not known")
        ))),
    }
}
