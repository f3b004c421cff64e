//! PostgreSQL: one transaction that writes among all servers, and a few at a time that read.
//!
//! ```text
//!   write ──place──► BEGIN; take the lock of writers ──► closure ──► COMMIT
//!   read ───place──► BEGIN REPEATABLE READ READ ONLY ──► closure ──► ROLLBACK
//!   light ──place──► closure, each statement by itself    alone: BEGIN; take its lock … COMMIT
//! ```
//!
//! - A write begins by taking a lock that the schema's writers share (`pg_advisory_xact_lock`), so
//!   writes of all servers come one after the other, as with SQLite. The transaction is READ
//!   COMMITTED: each of its statements sees what is committed, and all that it can see was
//!   committed before the lock was had. With REPEATABLE READ the state would be that from before
//!   the wait for the lock.
//! - A connection that was lost, or in whose state there is any doubt, is closed and not used again
//!   (session.rs). The next transaction makes a new one.
//! - What is light has connections of its own, whose commits do not wait for a sync
//!   (docs/decisions/0104-what-servers-share.md).
//! - Every wait has an end: for a place in the pool, for a connection, for each answer.
//!
//! Why so, and what was measured: docs/decisions/0101-postgresql.md.
//!
//! Deliberately not here: transactions that are tried again. A closure runs once.

mod dialect;
mod outage;
mod schema;
mod session;
mod url;
mod value;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ring::digest::{SHA256, digest};

use crate::pool::{Place, Pool};
use crate::tx::Database;
use crate::{StoreError, Tx};

use outage::Outage;
pub(crate) use session::Session;
pub use url::PostgresUrl;
pub(crate) use value::column;

/// Reads at the same time; one more waits.
const READERS: usize = 8;

/// Light ones at the same time.
const LIGHT: usize = 4;

/// How long a transaction has to begin: to get its place, its connection and its lock.
const PATIENCE: Duration = Duration::from_secs(10);

/// The same for a question whether all is well.
const CHECK: Duration = Duration::from_secs(2);

/// The lock has the schema in its name: what else is in the database does not wait.
const BEGIN_WRITE: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; \
     SELECT pg_advisory_xact_lock(1700946796, hashtext(current_schema()))";

/// Of a beat, which concerns one row: it waits for no writer.
const BEGIN_BEAT: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";

const BEGIN_READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// No statement: what comes is a transaction each.
const BEGIN_NOTHING: &str = "";

/// Of a session whose commits need not last.
const NOT_SYNCED: &str = "SET synchronous_commit = off";

/// A schema of a PostgreSQL database.
pub(crate) struct Postgres {
    url: PostgresUrl,
    /// One: more would wait for each other in the database.
    writers: Lane,
    readers: Lane,
    light: Lane,
    /// A server that has much to write still has to say that it lives.
    beats: Lane,
    outage: Outage,
    /// Transactions that came to nothing for want of the database.
    missed: AtomicU64,
}

/// Sessions of one kind.
struct Lane {
    pool: Pool<Session>,
    /// What they are set to beside what all are.
    settings: &'static str,
}

impl Lane {
    fn new(most: usize, settings: &'static str) -> Self {
        Self { pool: Pool::new(most), settings }
    }
}

impl Postgres {
    pub(crate) fn open(url: &PostgresUrl) -> Result<Self, StoreError> {
        let opened = Self {
            url: url.clone(),
            writers: Lane::new(1, ""),
            readers: Lane::new(READERS, ""),
            light: Lane::new(LIGHT, NOT_SYNCED),
            beats: Lane::new(1, ""),
            outage: Outage::default(),
            missed: AtomicU64::new(0),
        };
        let deadline = Instant::now() + PATIENCE;
        let mut writer =
            opened.writers.pool.take(None).expect("without a deadline there is a place");
        opened.begin_in(&mut writer, &opened.writers, BEGIN_WRITE, deadline)?;
        let transaction = Transaction { session: writer.get() };
        schema::migrate(transaction.session)?;
        transaction.commit()?;
        drop(writer);
        Ok(opened)
    }

    pub(crate) fn read<T, E: From<StoreError>>(
        &self,
        f: impl FnOnce(&Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let reader = self.begin(&self.readers, BEGIN_READ).map_err(|error| self.miss(error))?;
        // Dropping the transaction ends it; there is nothing to commit.
        let transaction = Transaction { session: reader.get() };
        let result = f(&Tx::new(Database::Postgres(transaction.session)));
        if transaction.session.is_lost() {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
        result
    }

    pub(crate) fn write<T, E: From<StoreError>>(
        &self,
        f: impl FnOnce(&Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let writer = self.begin(&self.writers, BEGIN_WRITE).map_err(|error| self.miss(error))?;
        // An early return and a panic both drop the transaction, which rolls it back.
        let transaction = Transaction { session: writer.get() };
        let result = f(&Tx::new(Database::Postgres(transaction.session)));
        if transaction.session.is_lost() {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
        let result = result?;
        transaction.commit().map_err(|error| self.miss(error))?;
        Ok(result)
    }

    /// Runs `f` beside the writers, for a statement of its own that none of them is in the way of.
    pub(crate) fn beat<T>(
        &self,
        f: impl FnOnce(&Tx<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let place = self.begin(&self.beats, BEGIN_BEAT)?;
        let transaction = Transaction { session: place.get() };
        let result = f(&Tx::new(Database::Postgres(transaction.session)))?;
        transaction.commit()?;
        Ok(result)
    }

    fn miss(&self, error: StoreError) -> StoreError {
        self.missed.fetch_add(1, Ordering::Relaxed);
        error
    }

    pub(crate) fn times_missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    pub(crate) fn light<T, E: From<StoreError>>(
        &self,
        f: impl FnOnce(&Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let session = self.begin(&self.light, BEGIN_NOTHING)?;
        f(&Tx::new(Database::Postgres(session.get())))
    }

    pub(crate) fn light_alone<T, E: From<StoreError>>(
        &self,
        lock: &str,
        f: impl FnOnce(&Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let session = self.begin(&self.light, &begin_alone(lock))?;
        let transaction = Transaction { session: session.get() };
        let result = f(&Tx::new(Database::Postgres(transaction.session)))?;
        transaction.commit()?;
        Ok(result)
    }

    pub(crate) fn check(&self) -> Result<(), StoreError> {
        let deadline = Instant::now() + CHECK;
        let mut reader = self.readers.pool.take(Some(deadline)).ok_or_else(busy)?;
        self.begin_in(&mut reader, &self.readers, BEGIN_READ, deadline)?;
        drop(Transaction { session: reader.get() });
        Ok(())
    }

    pub(crate) fn close(&self) -> Result<(), StoreError> {
        let under_way = self.writers.pool.take(Some(Instant::now() + PATIENCE));
        drop(under_way.ok_or_else(busy)?);
        for lane in [&self.writers, &self.readers, &self.light, &self.beats] {
            lane.pool.close_idle();
        }
        Ok(())
    }

    /// A connection on which a transaction has begun. A server that has just gone away is waited
    /// for: nothing has happened yet.
    fn begin<'a>(&self, lane: &'a Lane, begin: &str) -> Result<Place<'a, Session>, StoreError> {
        let deadline = Instant::now() + PATIENCE;
        let mut place = lane.pool.take(Some(deadline)).ok_or_else(busy)?;
        loop {
            let begun = self.begin_in(&mut place, lane, begin, deadline);
            if begun.is_ok() || place.has_one() || !self.outage.wait(deadline) {
                return begun.map(|()| place);
            }
        }
    }

    /// Begins one, on a new connection where the old one is lost. After a failure the place has
    /// none, but where the server itself has refused.
    fn begin_in(
        &self,
        place: &mut Place<'_, Session>,
        lane: &Lane,
        begin: &str,
        deadline: Instant,
    ) -> Result<(), StoreError> {
        self.outage.check()?;
        if place.has_one() {
            let begun = place.get().begin(begin, deadline);
            if begun.is_ok() || !place.get().is_lost() {
                self.outage.is_over();
                return begun;
            }
            // It was lost while nobody used it, and then so were the others.
            self.outage.goes_on(place.get().is_silent());
            place.clear();
            lane.pool.close_idle();
        }
        place.set(Session::connect(&self.url, lane.settings, &self.outage, deadline)?);
        let begun = place.get().begin(begin, deadline);
        if begun.is_err() && place.get().is_lost() {
            self.outage.goes_on(place.get().is_silent());
            place.clear();
        } else {
            self.outage.is_over();
        }
        begun
    }
}

/// The lock has a number of 32 bits: two names that share one wait for each other in vain, no more.
fn begin_alone(lock: &str) -> String {
    let hash = digest(&SHA256, lock.as_bytes());
    let number = hash.as_ref().first_chunk().map_or(0, |bytes| i32::from_be_bytes(*bytes));
    format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; \
         SELECT pg_advisory_xact_lock(1700946797, hashtext(current_schema()) # {number})"
    )
}

fn busy() -> StoreError {
    StoreError::Unavailable("all its connections have been in use for too long".into())
}

/// What ends when it is dropped: by a roll-back, but for [`Transaction::commit`].
struct Transaction<'a> {
    session: &'a Session,
}

impl Transaction<'_> {
    fn commit(self) -> Result<(), StoreError> {
        self.session.commit()
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        self.session.roll_back();
    }
}
