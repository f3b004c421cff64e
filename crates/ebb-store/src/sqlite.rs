//! SQLite: one connection that writes, a few that read, and which commits are synced.
//!
//! ```text
//!   write ──Mutex──► the writer ──► metadata.db-wal ──checkpoint──► metadata.db
//!   read ──pool───► a reader ◄───────────┴─────────────────────────────┘
//! ```
//!
//! What makes a commit last (docs/decisions/0011): the log is write-ahead (`PRAGMA
//! journal_mode=WAL`), and a commit has happened once its frames are in the log. With `PRAGMA
//! synchronous=FULL` COMMIT returns only after an `fsync` of the log, which covers every commit
//! before it too; with `NORMAL` it does not sync. A log that was made or begins anew syncs its
//! header first, and the directory where it was made. A checkpoint syncs the log, then copies, then
//! syncs the database, whatever the level, and only then is the log written from its start again.
//!
//! A sync that failed may have dropped what it was to write, and the next one would succeed without
//! it: a later commit would be answered, with a hole before it in the log. So after such a failure
//! the store writes nothing more until it is opened again. SQLite hides failures of its automatic
//! checkpoints; this is why they are started here.
//!
//! Deliberately not here: a queue of writers. They wait for the mutex; a write takes microseconds
//! and its sync.

use std::fs::{OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::hooks::Wal;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use crate::pool::{Place, Pool, Pooled, lock};
use crate::tx::Database;
use crate::{Durability, StoreError, Tx, schema};

/// Reads at the same time; one more waits.
const READERS: usize = 8;

/// Pages in the log that make a checkpoint worthwhile, 4 MiB: SQLite's own default.
const CHECKPOINT_PAGES: i32 = 1000;

/// What a checkpoint leaves of a log that once grew larger.
const LOG_KEPT_BYTES: i64 = 64 << 20;

/// Only another process can hold the file, such as an operator's backup.
const PATIENCE: Duration = Duration::from_secs(5);

/// Statements that a connection keeps compiled: about as many as there are in this crate.
const STATEMENTS: usize = 128;

/// One SQLite file and its log.
pub(crate) struct Sqlite {
    writer: Mutex<Writer>,
    path: PathBuf,
    readers: Pool<Connection>,
    stopped: Arc<AtomicBool>,
}

struct Writer {
    connection: Connection,
    level: Durability,
}

impl Sqlite {
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        make_private(path).map_err(|source| StoreError::File { path: path.to_owned(), source })?;
        let mut connection = connect(path)?;
        let mode: String = connection.query_row("PRAGMA journal_mode=WAL", [], |row| row.get(0))?;
        if mode != "wal" {
            return Err(StoreError::NoLog { mode });
        }
        connection.pragma_update(None, "journal_size_limit", LOG_KEPT_BYTES)?;
        set_level(&connection, Durability::Durable)?;
        // What an earlier process could not sync may be in the page cache only, and looks whole.
        // Once it is copied and synced, no later commit depends on that log.
        empty_log(&connection)?;
        schema::migrate(&mut connection)?;
        let stopped = Arc::new(AtomicBool::new(false));
        checkpoint_long_logs(&mut connection, &stopped)?;
        Ok(Self {
            writer: Mutex::new(Writer { connection, level: Durability::Durable }),
            path: path.to_owned(),
            readers: Pool::new(READERS),
            stopped,
        })
    }

    pub(crate) fn read<T, E: From<StoreError>>(
        &self,
        f: impl FnOnce(&Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let reader = self.reader()?;
        let transaction = reader.get().unchecked_transaction().map_err(StoreError::from)?;
        // Dropping the transaction ends it; there is nothing to commit.
        f(&Tx::new(Database::Sqlite(&transaction)))
    }

    pub(crate) fn write<T, E: From<StoreError>>(
        &self,
        durability: Durability,
        f: impl FnOnce(&Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut writer = lock(&self.writer);
        if self.stopped.load(Ordering::Relaxed) {
            return Err(StoreError::Stopped.into());
        }
        writer.prepare(durability)?;
        let transaction = writer
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(StoreError::from)?;
        // An early return and a panic both drop the transaction, which rolls it back.
        let result = f(&Tx::new(Database::Sqlite(&transaction)))?;
        if let Err(error) = transaction.commit() {
            if !undoes_cleanly(&error) {
                stop(&self.stopped, &error);
            }
            return Err(StoreError::from(error).into());
        }
        Ok(result)
    }

    pub(crate) fn check(&self) -> Result<(), StoreError> {
        if self.stopped.load(Ordering::Relaxed) {
            return Err(StoreError::Stopped);
        }
        Ok(())
    }

    pub(crate) fn close(&self) -> Result<(), StoreError> {
        let writer = lock(&self.writer);
        if self.stopped.load(Ordering::Relaxed) {
            return Err(StoreError::Stopped);
        }
        self.readers.close_idle();
        empty_log(&writer.connection).map_err(|error| {
            if !undoes_cleanly(&error) {
                stop(&self.stopped, &error);
            }
            error.into()
        })
    }
}

impl Sqlite {
    fn reader(&self) -> Result<Place<'_, Connection>, StoreError> {
        let mut reader = self.readers.take(None).expect("without a deadline there is a place");
        if !reader.has_one() {
            let connection = connect(&self.path)?;
            connection.pragma_update(None, "query_only", true)?;
            reader.set(connection);
        }
        Ok(reader)
    }
}

impl Pooled for Connection {
    /// One that could not end its transaction would show the same old state for ever.
    fn is_well(&self) -> bool {
        self.is_autocommit()
    }
}

impl Writer {
    /// SQLite takes the level between transactions only.
    fn prepare(&mut self, durability: Durability) -> Result<(), StoreError> {
        if self.level != durability {
            set_level(&self.connection, durability)?;
            self.level = durability;
        }
        Ok(())
    }
}

/// SQLite gives the log the mode of the database. Closing the file here would let go of the locks
/// of a store that this process has open on it; the server's lock on its directory forbids two.
fn make_private(path: &Path) -> std::io::Result<()> {
    let file =
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    if file.metadata()?.permissions().mode() & 0o777 != 0o600 {
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    Ok(())
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    // Not SQLITE_OPEN_URI: a path is a path, even one that begins with `file:`.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(PATIENCE)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // What is deleted is overwritten with zeros: a key that is shredded is in no free page either.
    connection.pragma_update(None, "secure_delete", true)?;
    // As in PostgreSQL.
    connection.pragma_update(None, "case_sensitive_like", true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Otherwise SQLite plans a statement anew whenever a value bound to it has changed, which is
    // every time: a third of the time of a small write.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(connection)
}

fn set_level(connection: &Connection, durability: Durability) -> Result<(), StoreError> {
    let level = match durability {
        Durability::Durable => "FULL",
        Durability::Recoverable => "NORMAL",
    };
    connection.pragma_update(None, "synchronous", level)?;
    Ok(())
}

/// Copies the log into the database, syncs both, and truncates the log. Where a read is going on
/// the log keeps its length; the row that says so is of no use here.
fn empty_log(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

/// SQLite's own automatic checkpoint, but for what becomes of its errors. The commit that it runs
/// after has been made and synced, so it is answered either way.
fn checkpoint_long_logs(
    connection: &mut Connection,
    stopped: &Arc<AtomicBool>,
) -> Result<(), StoreError> {
    let stopped = Arc::clone(stopped);
    connection.wal_hook(Some(move |log: &mut Wal, pages| {
        if pages >= CHECKPOINT_PAGES
            && let Err(error) = log.checkpoint()
            && !undoes_cleanly(&error)
        {
            stop(&stopped, &error);
        }
        Ok(())
    }))?;
    Ok(())
}

/// Whether after this failure everything is as it was before: there was no room, or another process
/// was at it. Of any other it is not known what reached the disk.
fn undoes_cleanly(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy | ErrorCode::ConstraintViolation)
    )
}

fn stop(stopped: &AtomicBool, error: &rusqlite::Error) {
    tracing::error!(%error, "the metadata store stops writing: what is on its disk is not known");
    stopped.store(true, Ordering::Relaxed);
}
