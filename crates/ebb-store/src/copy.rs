//! Moves all records from a file to PostgreSQL, and shows that they are the same there.
//!
//! Tables and their columns are those that the file has: both databases have the same migrations,
//! and what is not the same is found by the comparison at the end. All of it is one transaction of
//! the target, which must be empty, so a copy that is cut off has copied nothing.

use std::collections::BTreeSet;

use ring::digest::{Context, SHA256};
use rusqlite::Connection;

use crate::postgres::{self, Session};
use crate::tx::{Database, Value};
use crate::{Durability, Store, StoreError};

/// Rows that go at once.
const BATCH: usize = 500;

/// Values that a statement of PostgreSQL may have, with some to spare: it counts them in 16 bits.
const VALUES: usize = 30_000;

/// A table that was copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopiedTable {
    /// Its name.
    pub name: String,
    /// How many rows it has.
    pub rows: u64,
    /// SHA-256 over its rows in the order of their keys: the same in both databases.
    pub hash: [u8; 32],
}

impl Store {
    /// Copies all records of this store, which is in a file, to one in PostgreSQL that has none.
    /// `progress` is told how many rows of how many are done: each is written, then read again.
    ///
    /// # Errors
    /// [`StoreError::Unsuitable`] where a store is of the wrong kind, the target has records, or
    /// they are not the same there; those of [`Store::read`] and [`Store::write`].
    pub fn copy_to(
        &self,
        target: &Self,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Vec<CopiedTable>, StoreError> {
        self.read(|from| {
            target.write(Durability::Durable, |to| match (from.database(), to.database()) {
                (Database::Sqlite(connection), Database::Postgres(session)) => {
                    Copy { connection, session }.run(progress)
                }
                _ => Err(unsuitable("records are copied from a file to PostgreSQL".into())),
            })
        })
    }
}

fn unsuitable(why: String) -> StoreError {
    StoreError::Unsuitable(why)
}

struct Table {
    name: String,
    columns: Vec<String>,
    /// Columns that order it.
    key: Vec<String>,
}

impl Table {
    fn select(&self) -> String {
        let condition = match self.name.as_str() {
            // Each database's own.
            "meta" => "WHERE key <> 'schema_version'",
            // A list that has become empty may be there or not.
            "list_sizes" => "WHERE size <> 0",
            _ => "",
        };
        let (columns, key) = (self.columns.join(", "), self.key.join(", "));
        format!("SELECT {columns} FROM {} {condition} ORDER BY {key}", self.name)
    }

    /// Triggers write it when they see the rows of the others.
    fn comes_by_itself(&self) -> bool {
        self.name == "list_sizes"
    }
}

/// What rows come to.
struct Sum {
    rows: u64,
    hash: Context,
}

impl Sum {
    fn new() -> Self {
        Self { rows: 0, hash: Context::new(&SHA256) }
    }

    fn add(&mut self, row: &[Value]) -> Result<(), StoreError> {
        self.rows += 1;
        for value in row {
            let (kind, bytes) = match value {
                Value::Null => (0, Vec::new()),
                Value::Integer(number) => (1, number.to_be_bytes().to_vec()),
                Value::Text(text) => (2, text.as_bytes().to_vec()),
                Value::Blob(bytes) => (3, bytes.clone()),
                Value::Real(_) => return Err(unsuitable("a number is not whole".into())),
            };
            self.hash.update(&[kind]);
            self.hash.update(&(bytes.len() as u64).to_be_bytes());
            self.hash.update(&bytes);
        }
        Ok(())
    }

    fn of(self, name: &str) -> CopiedTable {
        let mut hash = [0; 32];
        hash.copy_from_slice(self.hash.finish().as_ref());
        CopiedTable { name: name.to_owned(), rows: self.rows, hash }
    }
}

struct Copy<'a> {
    connection: &'a Connection,
    session: &'a Session,
}

impl Copy<'_> {
    fn run(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<Vec<CopiedTable>, StoreError> {
        let tables = self.tables()?;
        let mut rows = 0;
        for table in &tables {
            if self.session.exists(&table.select(), &[])? {
                let name = &table.name;
                return Err(unsuitable(format!("{name} has rows already: give an empty database")));
            }
            let count = format!("SELECT count(*) FROM ({}) AS counted", table.select());
            let found: i64 = self.connection.query_row(&count, [], |row| row.get(0))?;
            rows += found.cast_unsigned();
        }
        let (mut done, all) = (0, rows * 2);
        let mut step = |rows: usize| {
            done += rows as u64;
            progress(done, all);
        };
        let mut sums = Vec::new();
        for table in &tables {
            sums.push(self.write(table, &mut step)?);
        }
        for (table, sum) in tables.iter().zip(&sums) {
            if self.read_again(table, &mut step)? != *sum {
                let name = &table.name;
                return Err(unsuitable(format!("{name} is not the same in both databases")));
            }
        }
        Ok(sums)
    }

    /// All tables, none before those that it names.
    fn tables(&self) -> Result<Vec<Table>, StoreError> {
        let names = self.words(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'
             ORDER BY name",
            "",
        )?;
        let mut left: BTreeSet<String> = names.into_iter().collect();
        let mut tables = Vec::new();
        while !left.is_empty() {
            let mut next = None;
            for name in &left {
                let named = self.words("SELECT \"table\" FROM pragma_foreign_key_list(?)", name)?;
                if named.iter().all(|other| other == name || !left.contains(other)) {
                    next = Some(name.clone());
                    break;
                }
            }
            let Some(name) = next else {
                return Err(unsuitable("tables name each other in a circle".into()));
            };
            left.remove(&name);
            let columns =
                self.words("SELECT name FROM pragma_table_info(?) ORDER BY cid", &name)?;
            let key = "SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk";
            let key = self.words(key, &name)?;
            tables.push(Table { name, columns, key });
        }
        Ok(tables)
    }

    fn words(&self, sql: &str, about: &str) -> Result<Vec<String>, StoreError> {
        let mut statement = self.connection.prepare(sql)?;
        let values: &[&str] = if about.is_empty() { &[] } else { &[about] };
        let found = statement.query_map(rusqlite::params_from_iter(values), |row| row.get(0))?;
        Ok(found.collect::<Result<_, _>>()?)
    }

    fn write(&self, table: &Table, step: &mut dyn FnMut(usize)) -> Result<CopiedTable, StoreError> {
        let width = table.columns.len();
        let batch = BATCH.min(VALUES / width);
        let mut statement = self.connection.prepare(&table.select())?;
        let mut rows = statement.query([])?;
        let (mut sum, mut waiting) = (Sum::new(), Vec::with_capacity(batch * width));
        while let Some(row) = rows.next()? {
            let values: Vec<Value> =
                (0..width).map(|index| row.get(index)).collect::<Result<_, _>>()?;
            sum.add(&values)?;
            waiting.extend(values);
            if waiting.len() == batch * width {
                self.insert(table, &waiting)?;
                step(batch);
                waiting.clear();
            }
        }
        if !waiting.is_empty() {
            self.insert(table, &waiting)?;
            step(waiting.len() / width);
        }
        Ok(sum.of(&table.name))
    }

    fn insert(&self, table: &Table, values: &[Value]) -> Result<(), StoreError> {
        if table.comes_by_itself() {
            return Ok(());
        }
        let width = table.columns.len();
        let row = format!("({})", vec!["?"; width].join(", "));
        let sql = format!(
            "INSERT INTO {} ({}) VALUES {}",
            table.name,
            table.columns.join(", "),
            vec![row; values.len() / width].join(", ")
        );
        self.session.execute(&sql, values)?;
        Ok(())
    }

    /// By a cursor: a table may be larger than memory.
    fn read_again(
        &self,
        table: &Table,
        step: &mut dyn FnMut(usize),
    ) -> Result<CopiedTable, StoreError> {
        let cursor = format!("again_{}", table.name);
        let declare = format!("DECLARE {cursor} NO SCROLL CURSOR FOR {}", table.select());
        self.session.execute(&declare, &[])?;
        let mut sum = Sum::new();
        loop {
            let rows = self.session.query(&format!("FETCH {BATCH} FROM {cursor}"), &[])?;
            for row in &rows {
                let read = |index| {
                    let value: Option<Value> = postgres::column(row, index);
                    value.ok_or_else(|| unsuitable(format!("{} cannot be read", table.name)))
                };
                let values: Vec<Value> =
                    (0..table.columns.len()).map(read).collect::<Result<_, _>>()?;
                sum.add(&values)?;
            }
            step(rows.len());
            if rows.len() < BATCH {
                self.session.execute(&format!("CLOSE {cursor}"), &[])?;
                return Ok(sum.of(&table.name));
            }
        }
    }
}
