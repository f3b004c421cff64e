//! What every store must do. It is one suite whatever the database: only `sample::fresh` and the
//! module `file` know that it is SQLite.
#![allow(clippy::unwrap_used, reason = "tests")]

mod access_keys;
mod chains;
mod encryption;
mod file;
mod lists;
mod paging;
mod round_trip;
mod rules;
mod sample;
mod schedules;
mod tasks;
mod transactions;
