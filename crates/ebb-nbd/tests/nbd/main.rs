//! The server from the outside: over its sockets, with a volume that the tests control.

#![allow(clippy::unwrap_used, reason = "tests")]

mod bounds;
mod codec;
mod counters;
mod ending;
mod extended;
mod fixture;
mod fuzz;
mod hostile;
mod negotiation;
mod replies;
mod requests;
mod status;
mod tls;
mod together;
mod volume;
