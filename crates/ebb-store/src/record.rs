//! What disks, snapshots and instances have in common as rows: an id, a version, tags, and the time
//! that lists are ordered by.
//!
//! A transaction remembers the version of each row that it read, and saves over that version only.
//! With SQLite and its one writer no other version can be there; with PostgreSQL two transactions
//! may have read the same row, and the second to save it finds it [stale](StoreError::Stale).
//! Either way a row cannot be saved by a transaction that has not read or inserted it.

use std::iter;

use ebb_domain::{Tag, Timestamp};

use crate::page::{self, Cursor};
use crate::row::Row;
use crate::tx::{Value, text};
use crate::{Page, PageRequest, ResourceKind, StoreError, Tx, filter::Filter};

/// A column and its value.
pub(crate) type Field = (&'static str, Value);

/// A row with an id and a version.
pub(crate) trait Record: Sized {
    /// Its tags are filed under it.
    const KIND: ResourceKind;

    fn id(&self) -> &str;
    fn created_at(&self) -> Timestamp;
    /// The status, while it is one in which a server has something to do; `None` at rest.
    fn under_way(&self) -> Option<&'static str> {
        None
    }
    /// Whether it has a status of that kind at all.
    const IS_CARRIED: bool = false;
    /// Does nothing for what has no tags.
    fn set_tags(&mut self, _: Vec<Tag>) {}

    /// Every column but the version: what is inserted is what is saved.
    fn fields(&self) -> Vec<Field>;
    /// The row alone, with neither tags nor parts.
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError>;
    /// Reads what lies in tables of its own, but for tags.
    fn load_parts(&mut self, _: &Tx<'_>) -> Result<(), StoreError> {
        Ok(())
    }
    /// Writes what lies in tables of its own, but for tags.
    fn save_parts(&self, _: &Tx<'_>) -> Result<(), StoreError> {
        Ok(())
    }
}

impl Tx<'_> {
    pub(crate) fn find<R: Record>(&self, id: &str) -> Result<Option<R>, StoreError> {
        Ok(self.select("WHERE id = ?", &[text(id)])?.pop())
    }

    /// The whole records of the rows that `tail` chooses and orders.
    pub(crate) fn select<R: Record>(
        &self,
        tail: &str,
        values: &[Value],
    ) -> Result<Vec<R>, StoreError> {
        let table = R::KIND.table();
        let sql = format!("SELECT {table}.* FROM {table} {tail}");
        let mut records = self.rows((table, "id"), &sql, values, |row| {
            let record = R::from_row(row)?;
            self.remember(table, record.id(), row.get("row_version")?);
            Ok(record)
        })?;
        for record in &mut records {
            let tags = self.tags_of(R::KIND, record.id())?;
            record.set_tags(tags);
            record.load_parts(self)?;
        }
        Ok(records)
    }

    pub(crate) fn insert<R: Record>(&self, record: &R, tags: &[Tag]) -> Result<(), StoreError> {
        let (mut columns, mut values): (Vec<_>, Vec<_>) = record.fields().into_iter().unzip();
        if record.under_way().is_some() {
            columns.push("carrier");
            values.push(self.carrier());
        }
        values.push(Value::Integer(1));
        let sql = format!(
            "INSERT INTO {} ({}, row_version) VALUES ({})",
            R::KIND.table(),
            columns.join(", "),
            iter::repeat_n("?", values.len()).collect::<Vec<_>>().join(", ")
        );
        self.execute(&sql, &values)?;
        self.remember(R::KIND.table(), record.id(), 1);
        self.put_tags(R::KIND, record.id(), tags)?;
        record.save_parts(self)
    }

    pub(crate) fn save<R: Record>(&self, record: &R) -> Result<(), StoreError> {
        let table = R::KIND.table();
        // Taken, so that a save that failed cannot be tried again without reading.
        let version = self.forget(table, record.id()).ok_or_else(|| stale(table, record.id()))?;
        let (columns, mut values): (Vec<_>, Vec<_>) = record.fields().into_iter().unzip();
        let carrier = match record.under_way() {
            // Whoever carries it goes on, whoever else changes something of it.
            Some(status) => {
                values.extend([text(status), self.carrier()]);
                "carrier = CASE WHEN status = ? THEN carrier ELSE ? END, "
            }
            None if R::IS_CARRIED => "carrier = NULL, ",
            None => "",
        };
        values.extend([Value::Integer(version + 1), text(record.id()), Value::Integer(version)]);
        let sql = format!(
            "UPDATE {table} SET {} = ?, {carrier}row_version = ? WHERE id = ? AND row_version = ?",
            columns.join(" = ?, ")
        );
        if self.execute(&sql, &values)? != 1 {
            return Err(stale(table, record.id()));
        }
        self.remember(table, record.id(), version + 1);
        record.save_parts(self)
    }

    /// One that is not there is no error. Unlike what is saved, what is removed need not have been
    /// read: nothing of another's change can be lost by it but what is to go anyway.
    pub(crate) fn remove(&self, kind: ResourceKind, id: &str) -> Result<(), StoreError> {
        let table = kind.table();
        let known = self.forget(table, id);
        let mut filter = Filter::default();
        filter.and("id = ?", [text(id)]);
        if let Some(version) = known {
            filter.and("row_version = ?", [version.into()]);
        }
        let removed = self.execute(&format!("DELETE FROM {table} {filter}"), filter.values())?;
        if known.is_some() && removed != 1 {
            return Err(stale(table, id));
        }
        self.remove_tags(kind, id, None)
    }

    /// A part of a list, newest first and then by id.
    pub(crate) fn page<R: Record>(
        &self,
        mut filter: Filter,
        request: &PageRequest,
    ) -> Result<Page<R>, StoreError> {
        let table = R::KIND.table();
        let total = match R::KIND.list_size() {
            Some(sql) if filter.is_whole() => {
                let mut values = vec![text(table)];
                values.extend_from_slice(filter.values());
                self.count(sql, &values)?
            }
            _ => self.count(&format!("SELECT count(*) FROM {table} {filter}"), filter.values())?,
        };
        if let PageRequest::Token { after: Some(token), .. } = request {
            let Cursor(created_at, id) = page::decode(table, token)?;
            let created_at: i64 = created_at.parse().map_err(|_| StoreError::BadToken)?;
            // The first half is what the index can use.
            filter.and(
                "created_at <= ? AND (created_at < ? OR id > ?)",
                [created_at.into(), created_at.into(), Value::Text(id)],
            );
        }
        let [limit, offset] = page::range(request);
        let mut tail = format!("{filter} ORDER BY created_at DESC, id LIMIT ? OFFSET ?");
        if offset > 0 {
            // What is passed over is counted in an index, and its rows are not looked at.
            tail =
                format!("WHERE id IN (SELECT id FROM {table} {tail}) ORDER BY created_at DESC, id");
        }
        let mut values = filter.into_values();
        values.extend([limit.into(), offset.into()]);
        let mut items: Vec<R> = self.select(&tail, &values)?;
        let next = page::cut(&mut items, request).map(|last| {
            page::encode(table, &last.created_at().unix_millis().to_string(), last.id())
        });
        Ok(Page { items, total, next })
    }
}

fn stale(table: &'static str, id: &str) -> StoreError {
    StoreError::Stale { table, id: id.to_owned() }
}
