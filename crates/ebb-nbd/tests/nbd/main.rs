//! The server from the outside: over its sockets, with a volume that the tests control.

#![allow(clippy::unwrap_used, reason = "tests")]

mod bounds;
mod codec;
mod ending;
mod extended;
mod fixture;
mod hostile;
mod negotiation;
mod replies;
mod requests;
mod tls;
mod volume;
