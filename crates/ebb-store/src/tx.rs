//! A transaction: the few ways in which the rest of this crate speaks to the database.
//!
//! Which of the two databases it is, only these methods, row.rs and the modules of the databases
//! know. Placeholders are `?`, in the order of the values; values are SQLite's, and PostgreSQL's
//! module has them in its own form.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::params_from_iter;

pub(crate) use rusqlite::types::Value;

use crate::StoreError;
use crate::postgres::Session;
use crate::row::{Row, RowOf};
use crate::server::Member;

/// Where a transaction is under way.
#[derive(Clone, Copy)]
pub(crate) enum Database<'a> {
    Sqlite(&'a rusqlite::Connection),
    Postgres(&'a Session),
}

/// What a closure given to [`Store::read`](crate::Store::read) or
/// [`Store::write`](crate::Store::write) sees.
///
/// Ids are looked up as they are, whosever they are: whether an account may see a resource is for
/// the caller to decide. The lists have the account in their query.
pub struct Tx<'a> {
    database: Database<'a>,
    member: Option<Arc<Member>>,
    /// The version of each row that was read, by table and id.
    versions: RefCell<HashMap<(&'static str, String), i64>>,
}

impl<'a> Tx<'a> {
    pub(crate) fn new(database: Database<'a>) -> Self {
        Self { database, member: None, versions: RefCell::default() }
    }

    /// The same transaction, as that member's.
    pub(crate) fn of(&self, member: Option<Arc<Member>>) -> Self {
        Self { database: self.database, member, versions: RefCell::default() }
    }

    /// Whose it is.
    #[must_use]
    pub fn member(&self) -> Option<&Member> {
        self.member.as_deref()
    }

    /// Who carries what is put under way in it.
    pub(crate) fn carrier(&self) -> Value {
        self.member().map(Member::carrier).into()
    }

    pub(crate) fn database(&self) -> Database<'a> {
        self.database
    }

    /// All rows at once: a statement that is still running would be in the way of the next one in
    /// some databases. `key` is the column that names a row of `table` in errors.
    pub(crate) fn rows<T>(
        &self,
        (table, key): (&'static str, &'static str),
        sql: &str,
        values: &[Value],
        read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut found = Vec::new();
        match self.database {
            Database::Sqlite(connection) => {
                let mut statement = connection.prepare_cached(sql)?;
                let mut rows = statement.query(params_from_iter(values))?;
                while let Some(row) = rows.next()? {
                    found.push(read(&Row::new(table, key, RowOf::Sqlite(row)))?);
                }
            }
            Database::Postgres(session) => {
                for row in session.query(sql, values)? {
                    found.push(read(&Row::new(table, key, RowOf::Postgres(&row)))?);
                }
            }
        }
        Ok(found)
    }

    /// The number that a statement counts.
    pub(crate) fn count(&self, sql: &str, values: &[Value]) -> Result<u64, StoreError> {
        let count: i64 = match self.database {
            Database::Sqlite(connection) => connection
                .prepare_cached(sql)?
                .query_row(params_from_iter(values), |row| row.get(0))?,
            Database::Postgres(session) => session.number(sql, values)?,
        };
        Ok(count.cast_unsigned())
    }

    /// Whether a statement finds any row.
    pub(crate) fn exists(&self, sql: &str, values: &[Value]) -> Result<bool, StoreError> {
        match self.database {
            Database::Sqlite(connection) => {
                Ok(connection.prepare_cached(sql)?.exists(params_from_iter(values))?)
            }
            Database::Postgres(session) => session.exists(sql, values),
        }
    }

    /// How many rows a statement changed.
    pub(crate) fn execute(&self, sql: &str, values: &[Value]) -> Result<usize, StoreError> {
        match self.database {
            Database::Sqlite(connection) => {
                Ok(connection.prepare_cached(sql)?.execute(params_from_iter(values))?)
            }
            Database::Postgres(session) => session.execute(sql, values),
        }
    }

    pub(crate) fn remember(&self, table: &'static str, id: &str, version: i64) {
        self.versions.borrow_mut().insert((table, id.to_owned()), version);
    }

    pub(crate) fn forget(&self, table: &'static str, id: &str) -> Option<i64> {
        self.versions.borrow_mut().remove(&(table, id.to_owned()))
    }
}

pub(crate) fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}
