//! The ECS API over HTTP: signatures, parameters, replies, error codes.
//!
//! ```text
//! server ─ pipeline ─ wire: bytes to names and values
//!              │    ├ signature, auth, nonce: whose request it is
//!              │    ├ authorize: whether they may
//!              │    ├ ops: one struct an operation, read by params
//!              │    └ render: JSON or XML
//! tls: the certificate under the server, where it has one
//! client: the same signatures from the other side, for `ebb demo` and `ebb call`
//! ```
//!
//! Only this crate knows HTTP, ECS names and error codes. Deliberately not here: rules (ebb-domain)
//! and use cases (ebb-control).

// The derived code names the crate from outside.
extern crate self as ebb_api;

pub mod admin;
mod auth;
mod authorize;
pub mod client;
mod error;
#[cfg(fuzzing)]
pub mod fuzzing;
mod linger;
mod need_ssl;
mod nonce;
mod operation;
pub mod ops;
mod params;
mod peer;
mod percent;
mod pipeline;
mod refusals;
mod render;
mod server;
mod signature;
mod throttle;
mod time;
mod tls;
mod uuid;
mod wire;

pub use auth::Authority;
pub use ebb_api_derive::Params;
pub use error::ApiError;
pub use nonce::Nonces;
pub use operation::{Context, Operation, OperationDef, Product, RequestId};
pub use params::{
    Field, FlatField, FromParams, JsonList, Kind, ParamDef, Params, Repeat, Scalar, integer_in,
};
pub use pipeline::{Api, Health, Metrics};
pub use refusals::{INTERNAL_ERROR, Refusal, refusals};
pub use server::{serve, serve_tls};
pub use throttle::{DOCUMENTED_LIMITS, Limit, RetryAfterMillis, Throttle};
pub use tls::{Tls, TlsError};
