//! What every store must do, on PostgreSQL: the suite of `tests/store`, and what only a database
//! behind a network can do wrong.
//!
//! It needs a server, which `cargo xtask test --only postgres` starts; `EBB_TEST_POSTGRES` is its
//! address.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "../store/access_keys.rs"]
mod access_keys;
#[path = "../store/chains.rs"]
mod chains;
mod copy;
#[path = "../store/encryption.rs"]
mod encryption;
mod faults;
mod home;
#[path = "../store/lists.rs"]
mod lists;
#[path = "../store/paging.rs"]
mod paging;
#[path = "../store/round_trip.rs"]
mod round_trip;
#[path = "../store/rules.rs"]
mod rules;
#[path = "../store/sample.rs"]
mod sample;
#[path = "../store/schedules.rs"]
mod schedules;
mod schema;
#[path = "../store/servers.rs"]
mod servers;
#[path = "../store/tasks.rs"]
mod tasks;
mod tls;
#[path = "../store/transactions.rs"]
mod transactions;
mod wire;
