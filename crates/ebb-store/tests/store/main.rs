//! What every store must do, on SQLite. It is one suite whatever the database: only `home` and the
//! module `file` know that it is SQLite. `tests/postgres` is the same on PostgreSQL.
#![allow(clippy::unwrap_used, reason = "tests")]

mod access_keys;
mod chains;
mod encryption;
mod file;
mod home;
mod lists;
mod paging;
mod round_trip;
mod rules;
mod sample;
mod schedules;
mod servers;
mod tasks;
mod transactions;

/// Here only to be seen among the others: that target is not run by itself.
#[test]
#[ignore = "needs a PostgreSQL server, which `cargo xtask test --only postgres` starts"]
fn the_same_on_postgresql() {
    panic!("it is another target: cargo xtask test --only postgres");
}
