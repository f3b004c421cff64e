//! Reading a row's columns: every failure names the table, the row and the column.

use std::cell::Cell;

use ebb_domain::Timestamp;
use rusqlite::types::FromSql;

use crate::{StoreError, postgres};

/// A row of either database.
#[derive(Clone, Copy)]
pub(crate) enum RowOf<'r> {
    Sqlite(&'r rusqlite::Row<'r>),
    Postgres(&'r tokio_postgres::Row),
}

impl RowOf<'_> {
    fn count(self) -> usize {
        match self {
            Self::Sqlite(row) => row.as_ref().column_count(),
            Self::Postgres(row) => row.columns().len(),
        }
    }

    fn is_named(self, index: usize, column: &str) -> bool {
        match self {
            Self::Sqlite(row) => row.as_ref().column_name(index).is_ok_and(|name| name == column),
            Self::Postgres(row) => row.columns()[index].name() == column,
        }
    }

    fn get<T: FromSql>(self, index: usize) -> Option<T> {
        match self {
            Self::Sqlite(row) => row.get(index).ok(),
            Self::Postgres(row) => postgres::column(row, index),
        }
    }
}

/// One row of `table`.
pub(crate) struct Row<'r> {
    table: &'static str,
    key: &'static str,
    row: RowOf<'r>,
    /// The column after the one that was read last.
    next: Cell<usize>,
}

impl<'r> Row<'r> {
    pub(crate) fn new(table: &'static str, key: &'static str, row: RowOf<'r>) -> Self {
        Self { table, key, row, next: Cell::new(0) }
    }

    /// Where a column is. Records read theirs nearly in the order of the table, so it is looked for
    /// from the last one on: to find each from the start was a tenth of the time of a list.
    fn index(&self, column: &str) -> Option<usize> {
        let (next, count) = (self.next.get(), self.row.count());
        let is_it = |index: &usize| self.row.is_named(*index, column);
        let found = (next..count).chain(0..next).find(is_it)?;
        self.next.set(found + 1);
        Some(found)
    }

    pub(crate) fn corrupt(&self, column: &'static str) -> StoreError {
        let id = self.index(self.key).and_then(|index| self.row.get(index));
        let id = id.unwrap_or_else(|| "of no id".to_owned());
        StoreError::Corrupt { table: self.table, id, column }
    }

    /// A value of that type; an `Option` where the column may be empty.
    pub(crate) fn get<T: FromSql>(&self, column: &'static str) -> Result<T, StoreError> {
        let value = self.index(column).and_then(|index| self.row.get(index));
        value.ok_or_else(|| self.corrupt(column))
    }

    /// An id or a name that is kept as it is.
    pub(crate) fn id<T>(
        &self,
        column: &'static str,
        new: impl FnOnce(String) -> T,
    ) -> Result<T, StoreError> {
        self.get(column).map(new)
    }

    pub(crate) fn id_if_any<T>(
        &self,
        column: &'static str,
        new: impl FnOnce(String) -> T,
    ) -> Result<Option<T>, StoreError> {
        Ok(self.get::<Option<String>>(column)?.map(new))
    }

    /// One of the names that `parse` knows.
    pub(crate) fn name<T>(
        &self,
        column: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, StoreError> {
        parse(&self.get::<String>(column)?).ok_or_else(|| self.corrupt(column))
    }

    pub(crate) fn name_if_any<T>(
        &self,
        column: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, StoreError> {
        let name: Option<String> = self.get(column)?;
        name.map(|name| parse(&name).ok_or_else(|| self.corrupt(column))).transpose()
    }

    pub(crate) fn time(&self, column: &'static str) -> Result<Timestamp, StoreError> {
        self.get(column).map(Timestamp::from_unix_millis)
    }

    pub(crate) fn time_if_any(
        &self,
        column: &'static str,
    ) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.get::<Option<i64>>(column)?.map(Timestamp::from_unix_millis))
    }

    /// An engine's id: 64 bits without a sign, in a column that has one.
    pub(crate) fn engine_id(&self, column: &'static str) -> Result<u64, StoreError> {
        self.get(column).map(i64::cast_unsigned)
    }
}
