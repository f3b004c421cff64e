//! Keys, and what is sealed with them.
//!
//! ```text
//!   master key ──seals──► secrets of access keys, in the records
//! ```
//! A copy of the records alone tells no secret: the master key is not among them. Nothing here
//! reads a file, a clock or a random number: who calls gives them.

mod master;

pub use master::{MasterKey, NONCE_BYTES};
