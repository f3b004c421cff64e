//! What can go wrong with the store.

use std::io;
use std::path::PathBuf;

/// What a database said.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// SQLite.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// PostgreSQL: its message and what it says beside it.
    #[error("{message}")]
    Postgres {
        /// The message, and the detail where there is one.
        message: String,
        /// PostgreSQL's five letters for what it is.
        code: String,
    },
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error.into())
    }
}

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused or failed.
    #[error("the metadata store failed: {0}")]
    Sql(#[from] SqlError),
    /// The database cannot be reached, or does not answer: nothing has happened, and the same may
    /// succeed later.
    #[error("the metadata store cannot be reached: {0}")]
    Unavailable(String),
    /// The database was lost while it committed. Whether it has, the records say once it is back.
    #[error(
        "whether the change was made is not known: the metadata store was lost in the middle: {0}"
    )]
    OutcomeUnknown(String),
    /// Another server has taken the one that writes for gone. Nothing that it writes is taken any
    /// more; it has to start again.
    #[error("this server was taken for gone by another, and has to start again")]
    ShutOut,
    /// A database that cannot keep what is to be kept in it, or an address that is none.
    #[error("the metadata store cannot be used: {0}")]
    Unsuitable(String),
    /// The file cannot be made or given its mode.
    #[error("cannot prepare the metadata store {}: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file system cannot keep a write-ahead log, which the promises rest on.
    #[error("the metadata store needs a local file system: its journal mode is {mode}, not wal")]
    NoLog {
        /// What SQLite took instead.
        mode: String,
    },
    /// A newer Ebbtide has been here.
    #[error(
        "the metadata store has schema version {found}, but this Ebbtide knows only up to {known}: \
         start the newer Ebbtide that wrote it"
    )]
    Newer {
        /// The version in the file.
        found: u32,
        /// The newest that this program knows.
        known: u32,
    },
    /// The row has changed or gone since this transaction read it, or was not read in it at all.
    #[error("{table} {id} was changed by another call, or not read before it was saved")]
    Stale {
        /// The table.
        table: &'static str,
        /// The row's id.
        id: String,
    },
    /// A row that no Ebbtide has written.
    #[error("the metadata store is damaged: {table} {id} has no valid {column}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The row's id.
        id: String,
        /// The column.
        column: &'static str,
    },
    /// A page token that no list gave.
    #[error("the page token is of no page of this list")]
    BadToken,
    /// An earlier write failed in a way that leaves open what is on the disk. Nothing is written
    /// any more until the store is opened again; reading goes on.
    #[error("the metadata store has stopped writing after a failure of its disk; start again")]
    Stopped,
}
