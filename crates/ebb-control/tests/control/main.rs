//! What the control plane promises: whole calls, whatever fails, collides or is killed.
//!
//! Everything runs on a real store in a folder of its own and on the engine in memory; `world`
//! has the edges that a test can bend.
#![allow(clippy::unwrap_used, reason = "tests")]

mod auto;
mod cluster;
mod concurrency;
mod deletion;
mod engine;
mod expiry;
mod exports;
mod failures;
mod import;
mod key_store;
mod kill;
mod locks;
mod objects;
mod records;
mod reinit;
mod reset;
mod restart;
mod scenarios;
mod sealed;
mod story;
mod tokens;
mod universe;
mod usage;
mod world;
