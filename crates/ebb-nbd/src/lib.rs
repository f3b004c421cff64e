//! The NBD server: volumes on sockets.
//!
//! ```text
//!  listener ─► accept thread ─► one thread a connection ──────────────► Volume::submit
//!                               negotiation, then requests                  │
//!                                  ▲            │ answered at once          │ completed later,
//!                                  │            ▼                           ▼ on another thread
//!                               socket ◄── Link: queue of replies ◄─────────┘
//!                                               ▲
//!                                               └─ writer thread, only where a reply may come
//!                                                  while the connection's thread waits for input
//! ```
//!
//! Invariants:
//! - A request that the volume answers before `submit` returns is answered by the connection's own
//!   thread. A completion on any other thread only queues: it never waits for a socket, so a client
//!   that does not read its replies holds up nobody but itself.
//! - A request is under way until its reply is handed to the kernel, and what is under way on one
//!   connection, and on all of them together, is bounded ([`Limits`]); so is all memory that
//!   clients can make the server use. Who holds what others wait for, and stands still, is cut.
//! - Replies are acknowledgements of the volume: none is sent before the volume completed the
//!   request. What is durable then is [`ebb_volume`]'s promise; this crate adds no cache, so a
//!   flush covers the completed writes of all connections (`CAN_MULTI_CONN`).
//! - After [`Exports::withdraw`] no request of that export is read any more.
//! - Where TLS is required, nothing about exports is told or taken before it; nothing sent before
//!   it is taken for something sent under it.
//! - Where certificates name owners, a client is told of no export but its owner's, and uses none;
//!   when the export is that owner's no more, its connections end.
//!
//! Deliberately not here: what an owner is, and whose which export is.

mod budget;
pub mod client;
mod connection;
mod contexts;
mod counters;
mod exports;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod limits;
mod link;
pub mod negotiation;
mod rate;
mod registry;
mod security;
mod server;
mod socket;
mod status;
mod stream;
mod ticket;
mod tls;
pub mod wire;

pub use contexts::Context;
pub use counters::{ExportCounters, LATENCY_CLASSES, OperationCounters, latency_class_ends};
pub use exports::{Export, Exports};
pub use limits::Limits;
pub use rate::{Rate, RateLimit};
pub use security::{Plaintext, TlsClient, TlsError, TlsServer};
pub use server::Server;
