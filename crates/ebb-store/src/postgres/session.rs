//! One connection, its prepared statements, and what is known of its state.
//!
//! A connection has a small runtime of its own that runs on whatever thread calls, so that a
//! statement costs no change of threads, and that has a clock, so that a server which does not
//! answer is given up: nothing that PostgreSQL itself limits helps against one that is stopped.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::error::Error as _;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio_postgres::error::{Error, SqlState};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, Statement};

use super::outage::Outage;
use super::value::Bound;
use super::{PostgresUrl, dialect};
use crate::StoreError;
use crate::error::SqlError;
use crate::pool::Pooled;
use crate::tx::Value;

/// Statements that a connection keeps prepared. Lists have as many forms as they have filters, so
/// there is no natural number; past it all are forgotten.
const STATEMENTS: usize = 256;

/// How long an answer may take. The server gives up a little earlier, and then says so.
const ANSWER: Duration = Duration::from_secs(10);

/// Turns of a connection's runtime in which it sees that it was ended: one for the socket, one for
/// what reads from it, and one to spare.
const LOOKS: u32 = 3;

/// What every session is set to.
///
/// - A statement ends before its caller gives up.
/// - A transaction that an Ebbtide has left lying, with the lock of writers, is ended for it,
///   before those that wait for the lock give up.
/// - A commit is synced, whatever the database's own setting: `off` is the only value that lets
///   COMMIT return before. Those that wait for standbys stay.
const SETTINGS: &str = "SET statement_timeout = '8s'; \
     SET idle_in_transaction_session_timeout = '5s'; \
     SELECT set_config('synchronous_commit', 'on', false) \
     WHERE current_setting('synchronous_commit') = 'off'";

pub(crate) struct Session {
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
    client: Client,
    statements: RefCell<HashMap<String, Statement>>,
    /// Whether a transaction is under way.
    open: Cell<bool>,
    /// Nothing more is asked of it: it is gone, or what it would answer is not known.
    lost: Cell<bool>,
    /// It is lost because it did not answer.
    silent: Cell<bool>,
    /// Why the transaction under way can only be rolled back.
    failed: RefCell<Option<SqlError>>,
}

impl Session {
    pub(super) fn connect(
        url: &PostgresUrl,
        settings: &str,
        outage: &Outage,
        deadline: Instant,
    ) -> Result<Self, StoreError> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let connected = runtime.block_on(async {
            tokio::time::timeout(left(deadline), async {
                let (client, connection) = url.connect().await?;
                tokio::spawn(async move {
                    // Whoever asks something of the client is told.
                    let _ = connection.await;
                });
                client.batch_execute(&format!("{SETTINGS}; {settings}")).await?;
                Ok(client)
            })
            .await
        });
        let unavailable = |silent, why: String| {
            outage.goes_on(silent);
            StoreError::Unavailable(format!("{url}: {why}"))
        };
        let client = connected
            .map_err(|_| unavailable(true, "it does not answer".into()))?
            .map_err(|error: Error| unavailable(false, told(&error)))?;
        Ok(Self {
            runtime: Some(runtime),
            client,
            statements: RefCell::default(),
            open: Cell::new(false),
            lost: Cell::new(false),
            silent: Cell::new(false),
            failed: RefCell::default(),
        })
    }

    pub(super) fn is_lost(&self) -> bool {
        self.lost.get() || self.client.is_closed()
    }

    /// Whether it is lost because the server did not answer.
    pub(super) fn is_silent(&self) -> bool {
        self.silent.get()
    }

    /// Begins a transaction; without a text none, and then only looks whether the server has ended
    /// the connection meanwhile.
    pub(super) fn begin(&self, begin: &str, deadline: Instant) -> Result<(), StoreError> {
        self.failed.take();
        if begin.is_empty() {
            return self.look();
        }
        self.open.set(true);
        let begun = self.answer(left(deadline), self.client.batch_execute(begin));
        if begun.is_err() {
            self.roll_back();
        }
        begun
    }

    /// What carries the connection runs only while somebody waits: it is given the time to see what
    /// has come, which nobody else would before it is too late to tell what has happened.
    fn look(&self) -> Result<(), StoreError> {
        self.runtime().block_on(async {
            for _ in 0..LOOKS {
                tokio::task::yield_now().await;
            }
        });
        if self.is_lost() { Err(gone()) } else { Ok(()) }
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("a session has its runtime until it is dropped")
    }

    /// COMMIT of a transaction in which a statement has failed would be answered as if all were
    /// well, with a roll-back: it is not tried.
    pub(super) fn commit(&self) -> Result<(), StoreError> {
        if let Some(error) = self.failed.take() {
            return Err(error.into());
        }
        if self.is_lost() {
            return Err(gone());
        }
        let committed = self.answer(ANSWER, self.client.batch_execute("COMMIT"));
        if committed.is_ok() {
            self.open.set(false);
        }
        match committed {
            // From here on nobody knows.
            Err(StoreError::Unavailable(why)) => Err(StoreError::OutcomeUnknown(why)),
            other => other,
        }
    }

    /// Ends the transaction under way, if there is one.
    pub(super) fn roll_back(&self) {
        if !self.open.replace(false) || self.is_lost() {
            return;
        }
        if self.answer(ANSWER, self.client.batch_execute("ROLLBACK")).is_err() {
            self.lost.set(true);
        }
    }

    /// Several statements in one text, without values.
    pub(super) fn batch(&self, sql: &str, most: Duration) -> Result<(), StoreError> {
        self.answer(most, self.client.batch_execute(sql))
    }

    pub(crate) fn query(&self, sql: &str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        let statement = self.prepared(sql)?;
        let bound: Vec<Bound<'_>> = values.iter().map(Bound).collect();
        let bound: Vec<&(dyn ToSql + Sync)> = bound.iter().map(|value| value as _).collect();
        self.answer(ANSWER, self.client.query(&statement, &bound))
    }

    pub(crate) fn execute(&self, sql: &str, values: &[Value]) -> Result<usize, StoreError> {
        let statement = self.prepared(sql)?;
        let bound: Vec<Bound<'_>> = values.iter().map(Bound).collect();
        let bound: Vec<&(dyn ToSql + Sync)> = bound.iter().map(|value| value as _).collect();
        Ok(self.answer(ANSWER, self.client.execute(&statement, &bound))? as usize)
    }

    /// The number in the only row and column.
    pub(crate) fn number(&self, sql: &str, values: &[Value]) -> Result<i64, StoreError> {
        let rows = self.query(sql, values)?;
        Ok(rows.first().and_then(|row| super::column(row, 0)).unwrap_or(0))
    }

    /// Without EXISTS every row would be fetched.
    pub(crate) fn exists(&self, sql: &str, values: &[Value]) -> Result<bool, StoreError> {
        Ok(self.number(&format!("SELECT EXISTS ({sql})"), values)? != 0)
    }

    /// What is prepared is kept under the text with `?`, so placeholders are numbered once.
    fn prepared(&self, sql: &str) -> Result<Statement, StoreError> {
        if let Some(statement) = self.statements.borrow().get(sql) {
            return Ok(statement.clone());
        }
        let numbered = dialect::numbered(sql);
        let statement = self.answer(ANSWER, self.client.prepare(&numbered))?;
        let mut statements = self.statements.borrow_mut();
        if statements.len() >= STATEMENTS {
            statements.clear();
        }
        statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    fn answer<T>(
        &self,
        most: Duration,
        asked: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, StoreError> {
        if self.is_lost() {
            return Err(gone());
        }
        let answered = self.runtime().block_on(async { tokio::time::timeout(most, asked).await });
        let Ok(answered) = answered else {
            self.lost.set(true);
            self.silent.set(true);
            return Err(StoreError::Unavailable("it has stopped answering".into()));
        };
        answered.map_err(|error| self.blame(&error))
    }

    /// What an error means for the connection, the transaction and the caller.
    fn blame(&self, error: &Error) -> StoreError {
        let message = told(error);
        let code = error.code();
        if ends_the_session(error) {
            self.lost.set(true);
            return StoreError::Unavailable(message);
        }
        let code = code.map_or("", SqlState::code).to_owned();
        let failure = || SqlError::Postgres { message: message.clone(), code: code.clone() };
        if self.open.get() {
            self.failed.borrow_mut().get_or_insert_with(failure);
        }
        if error.code().is_some_and(is_a_wait_too_long) {
            return StoreError::Unavailable(message);
        }
        failure().into()
    }
}

impl Pooled for Session {
    fn is_well(&self) -> bool {
        !self.open.get() && !self.is_lost()
    }
}

/// The socket is closed with the runtime. Unlike a plain drop this may happen anywhere.
impl Drop for Session {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

fn gone() -> StoreError {
    StoreError::Unavailable("the connection was lost".into())
}

/// Whether nothing more can be had from the connection: it is closed, or about to be, or it leads
/// to a server that cannot be written to, or what it has prepared is of an older schema.
fn ends_the_session(error: &Error) -> bool {
    let Some(said) = error.as_db_error() else { return true };
    let fatal = matches!(said.severity(), "FATAL" | "PANIC");
    fatal || *said.code() == SqlState::FEATURE_NOT_SUPPORTED
}

/// `statement_timeout` and `lock_timeout`.
fn is_a_wait_too_long(code: &SqlState) -> bool {
    *code == SqlState::QUERY_CANCELED || *code == SqlState::LOCK_NOT_AVAILABLE
}

/// What an error says, with what is beneath it.
fn told(error: &Error) -> String {
    if let Some(said) = error.as_db_error() {
        let detail = said.detail().map_or(String::new(), |detail| format!(" ({detail})"));
        return format!("{}: {}{detail}", said.severity(), said.message());
    }
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
