//! Connections: one that writes, a few that read, and which commits are synced.
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
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::hooks::Wal;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use crate::{StoreError, Tx, schema};

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

/// What has happened when a write returned `Ok`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// It and every write before it survive a power loss.
    Durable,
    /// It survives the end of the process, `kill -9` included. A power loss may take it back
    /// together with every write after it, up to the next durable one; never it alone. For steps
    /// that recovery can prove to have happened or not.
    Recoverable,
}

/// The metadata of a server: one SQLite file and its log.
///
/// Closures must not call the store again: they hold its only writer, or one of its readers.
pub struct Store {
    writer: Mutex<Writer>,
    readers: Readers,
    stopped: Arc<AtomicBool>,
}

struct Writer {
    connection: Connection,
    level: Durability,
}

impl Store {
    /// Opens the store in the file at `path`, which is made with mode 0600 if it is not there, and
    /// brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError::Newer`] where a newer Ebbtide has changed the schema, [`StoreError::File`],
    /// [`StoreError::NoLog`], [`StoreError::Sql`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
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
            readers: Readers::new(path),
            stopped,
        })
    }

    /// Runs `f` on one unchanging state of the store. Writing in it fails.
    ///
    /// # Errors
    /// Those of `f`, and [`StoreError::Sql`] where the state cannot be had.
    pub fn read<T, E: From<StoreError>>(
        &self,
        f: impl FnOnce(&Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let reader = self.readers.take()?;
        let transaction = reader.connection().unchecked_transaction().map_err(StoreError::Sql)?;
        // Dropping the transaction ends it; there is nothing to commit.
        f(&Tx::new(&transaction))
    }

    /// Runs `f` alone and commits what it did; nothing of it where it fails or panics.
    ///
    /// Where the commit itself fails, a full disk has undone it; any other failure leaves open
    /// whether it happened: the store has then [stopped](StoreError::Stopped), and opening it again
    /// shows.
    ///
    /// # Errors
    /// Those of `f`; [`StoreError::Sql`]; [`StoreError::Stopped`].
    pub fn write<T, E: From<StoreError>>(
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
            .map_err(StoreError::Sql)?;
        // An early return and a panic both drop the transaction, which rolls it back.
        let result = f(&Tx::new(&transaction))?;
        if let Err(error) = transaction.commit() {
            if !undoes_cleanly(&error) {
                stop(&self.stopped, &error);
            }
            return Err(StoreError::Sql(error).into());
        }
        Ok(result)
    }

    /// Waits for the write under way, makes everything durable and empties the log. The store can
    /// still be used; its files are closed when it is dropped.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Stopped`].
    pub fn close(&self) -> Result<(), StoreError> {
        let writer = lock(&self.writer);
        if self.stopped.load(Ordering::Relaxed) {
            return Err(StoreError::Stopped);
        }
        self.readers.close_idle();
        empty_log(&writer.connection).map_err(|error| {
            if !undoes_cleanly(&error) {
                stop(&self.stopped, &error);
            }
            StoreError::Sql(error)
        })
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

/// A panic in a transaction has rolled it back before the lock is released, so a poisoned lock
/// guards nothing broken.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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

/// Reading connections, made when they are first needed.
struct Readers {
    path: PathBuf,
    pool: Mutex<Pool>,
    returned: Condvar,
}

#[derive(Default)]
struct Pool {
    idle: Vec<Connection>,
    /// Those taken.
    busy: usize,
}

impl Readers {
    fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), pool: Mutex::default(), returned: Condvar::new() }
    }

    fn take(&self) -> Result<Reader<'_>, StoreError> {
        let mut pool = lock(&self.pool);
        while pool.busy >= READERS {
            pool = self.returned.wait(pool).unwrap_or_else(PoisonError::into_inner);
        }
        pool.busy += 1;
        let idle = pool.idle.pop();
        drop(pool);
        let mut reader = Reader { readers: self, connection: idle };
        if reader.connection.is_none() {
            let connection = connect(&self.path)?;
            connection.pragma_update(None, "query_only", true)?;
            reader.connection = Some(connection);
        }
        Ok(reader)
    }

    fn close_idle(&self) {
        lock(&self.pool).idle.clear();
    }
}

/// A reading connection; it goes back to the pool when it is dropped.
struct Reader<'a> {
    readers: &'a Readers,
    /// `None` only until it is made, or where it could not be.
    connection: Option<Connection>,
}

impl Reader<'_> {
    fn connection(&self) -> &Connection {
        self.connection.as_ref().expect("a reader that was taken has its connection")
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        let mut pool = lock(&self.readers.pool);
        pool.busy -= 1;
        // One that could not end its transaction would show the same old state for ever.
        pool.idle.extend(self.connection.take().filter(Connection::is_autocommit));
        drop(pool);
        self.readers.returned.notify_one();
    }
}
