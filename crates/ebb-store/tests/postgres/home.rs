//! Where a store of these tests lives: a schema of its own in the database of the run.

use std::process;
use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering};

use ebb_store::{PostgresUrl, Store};
use tokio_postgres::{Client, NoTls};

/// A schema; it goes when it is dropped.
pub(crate) struct Home {
    pub(crate) schema: String,
}

pub(crate) fn fresh() -> (Home, Store) {
    let home = Home::new();
    let store = home.open();
    (home, store)
}

/// The address of the run's database.
pub(crate) fn server() -> String {
    std::env::var("EBB_TEST_POSTGRES").expect(
        "EBB_TEST_POSTGRES is not set: `cargo xtask test --only postgres` starts a server for it",
    )
}

impl Home {
    pub(crate) fn new() -> Self {
        static LAST: AtomicU32 = AtomicU32::new(0);
        let number = LAST.fetch_add(1, Ordering::Relaxed);
        let home = Self { schema: format!("t{}_{number}", process::id()) };
        home.sql(&format!("CREATE SCHEMA {}", home.schema));
        home
    }

    /// The address of the schema, on the server at `server`.
    pub(crate) fn at(&self, server: &str) -> String {
        format!("{server}?options=-c%20search_path%3D{}", self.schema)
    }

    pub(crate) fn url(&self) -> PostgresUrl {
        PostgresUrl::from_str(&self.at(&server())).unwrap()
    }

    pub(crate) fn open(&self) -> Store {
        Store::connect(&self.url()).unwrap()
    }

    /// Statements as an operator would give them; what the last one gives, as text.
    pub(crate) fn sql(&self, sql: &str) -> Vec<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let url = self.at(&server());
        runtime.block_on(async {
            let (client, connection): (Client, _) =
                tokio_postgres::connect(&url, NoTls).await.unwrap();
            tokio::spawn(connection);
            let mut rows = Vec::new();
            for message in client.simple_query(sql).await.unwrap() {
                if let tokio_postgres::SimpleQueryMessage::Row(row) = message {
                    rows.push(row.get(0).unwrap_or_default().to_owned());
                }
            }
            rows
        })
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        self.sql(&format!(
            "SET client_min_messages = warning; DROP SCHEMA {} CASCADE",
            self.schema
        ));
    }
}
