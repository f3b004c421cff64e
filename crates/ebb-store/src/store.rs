//! The store, whichever database it is in.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use crate::postgres::Postgres;
use crate::sqlite::Sqlite;
use crate::{Member, PostgresUrl, ServerId, StoreError, Tx};

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

/// The metadata of a server: one SQLite file and its log, or a schema of a PostgreSQL database.
///
/// Closures must not call the store again: they hold its only writer, or one of its readers.
pub struct Store {
    backend: Backend,
    member: RwLock<Option<Arc<Member>>>,
}

#[expect(clippy::large_enum_variant, reason = "a process has one")]
enum Backend {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

impl Store {
    /// Opens the store in the file at `path`, which is made with mode 0600 if it is not there, and
    /// brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError::Newer`] where a newer Ebbtide has changed the schema, [`StoreError::File`],
    /// [`StoreError::NoLog`], [`StoreError::Sql`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self::of(Backend::Sqlite(Sqlite::open(path)?)))
    }

    /// Opens the store in a PostgreSQL database, and brings its schema up to date. Any number of
    /// servers may have it open.
    ///
    /// As everything else here it blocks, and must not be called where that is not allowed.
    ///
    /// # Errors
    /// [`StoreError::Newer`] where a newer Ebbtide has changed the schema,
    /// [`StoreError::Unavailable`], [`StoreError::Unsuitable`], [`StoreError::Sql`].
    pub fn connect(url: &PostgresUrl) -> Result<Self, StoreError> {
        Ok(Self::of(Backend::Postgres(Postgres::open(url)?)))
    }

    fn of(backend: Backend) -> Self {
        Self { backend, member: RwLock::default() }
    }

    /// Whether other servers may use it at the same time.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        matches!(self.backend, Backend::Postgres(_))
    }

    /// Writes as that member from now on: what it puts under way it carries, and nothing of it is
    /// taken once it is [shut out](StoreError::ShutOut).
    pub fn write_as(&self, member: Member) {
        *self.member.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(member));
    }

    fn member(&self) -> Option<Arc<Member>> {
        self.member.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says that a server lives. It waits for nobody who writes: a server that has much to do must
    /// not be taken for gone.
    ///
    /// # Errors
    /// [`StoreError::ShutOut`] where it was taken for gone; [`StoreError::Sql`],
    /// [`StoreError::Unavailable`].
    pub fn beat(&self, id: &ServerId) -> Result<(), StoreError> {
        match &self.backend {
            Backend::Sqlite(sqlite) => sqlite.write(Durability::Recoverable, |tx| tx.beat(id)),
            Backend::Postgres(postgres) => postgres.beat(|tx| tx.beat(id)),
        }
    }

    /// How often the database was missed by somebody who wanted to read or write. Where that
    /// changes, a call may have ended without writing down how.
    #[must_use]
    pub fn times_missed(&self) -> u64 {
        match &self.backend {
            Backend::Sqlite(_) => 0,
            Backend::Postgres(postgres) => postgres.times_missed(),
        }
    }

    /// Runs `f` on one unchanging state of the store. Writing in it fails.
    ///
    /// # Errors
    /// Those of `f`; [`StoreError::Sql`] and [`StoreError::Unavailable`] where the state cannot be
    /// had.
    pub fn read<T, E: From<StoreError>>(
        &self,
        f: impl FnOnce(&Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        match &self.backend {
            Backend::Sqlite(sqlite) => sqlite.read(f),
            Backend::Postgres(postgres) => postgres.read(f),
        }
    }

    /// Runs `f` alone and commits what it did; nothing of it where it fails or panics.
    ///
    /// Where the commit itself fails, a full disk has undone it. Any other failure leaves open
    /// whether it happened. SQLite's store has then [stopped](StoreError::Stopped), and opening it
    /// again shows; PostgreSQL's goes on, and the records say.
    ///
    /// # Errors
    /// Those of `f`; [`StoreError::ShutOut`]; [`StoreError::Sql`]; [`StoreError::Stopped`];
    /// [`StoreError::Unavailable`]
    /// where nothing has happened, and [`StoreError::OutcomeUnknown`] where it may have.
    pub fn write<T, E: From<StoreError>>(
        &self,
        durability: Durability,
        f: impl FnOnce(&Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let member = self.member();
        let f = |tx: &Tx<'_>| {
            let tx = tx.of(member);
            tx.must_be_member()?;
            f(&tx)
        };
        match &self.backend {
            Backend::Sqlite(sqlite) => sqlite.write(durability, f),
            // Every commit is durable: docs/decisions/0101.
            Backend::Postgres(postgres) => postgres.write(f),
        }
    }

    /// Runs `f` for what is small, often and worth little: nothing waits for a sync, and a power
    /// loss of the database may take back what was done in the last second. Where the store is
    /// shared it does not wait for [writers](Store::write) either, and each statement is a
    /// transaction of its own.
    ///
    /// # Errors
    /// Those of [`Store::write`].
    pub fn light<T, E: From<StoreError>>(
        &self,
        f: impl FnOnce(&Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        match &self.backend {
            Backend::Sqlite(sqlite) => sqlite.write(Durability::Recoverable, f),
            Backend::Postgres(postgres) => postgres.light(f),
        }
    }

    /// The same in one transaction, alone among all that name the same lock, on whichever server.
    ///
    /// # Errors
    /// Those of [`Store::write`].
    pub fn light_alone<T, E: From<StoreError>>(
        &self,
        lock: &str,
        f: impl FnOnce(&Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        match &self.backend {
            Backend::Sqlite(sqlite) => sqlite.write(Durability::Recoverable, f),
            Backend::Postgres(postgres) => postgres.light_alone(lock, f),
        }
    }

    /// Whether it can be read and written.
    ///
    /// # Errors
    /// [`StoreError::Stopped`], [`StoreError::Unavailable`].
    pub fn check(&self) -> Result<(), StoreError> {
        match &self.backend {
            Backend::Sqlite(sqlite) => sqlite.check(),
            Backend::Postgres(postgres) => postgres.check(),
        }
    }

    /// Waits for the write under way and makes everything durable; SQLite's log is then empty. The
    /// store can still be used; its files and connections are closed when it is dropped.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Stopped`], [`StoreError::Unavailable`].
    pub fn close(&self) -> Result<(), StoreError> {
        match &self.backend {
            Backend::Sqlite(sqlite) => sqlite.close(),
            Backend::Postgres(postgres) => postgres.close(),
        }
    }
}
