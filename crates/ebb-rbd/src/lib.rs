//! The Ceph engine: volumes are RBD images, and what the engine knows of them is in one RADOS
//! object beside them.
//!
//! ```text
//!   RbdEngine (engine.rs, versions.rs, reset.rs)   calls, each committed by one change of rows
//!      │          │
//!      │       Records (records.rs)                which image is what: the object `ebb_volumes`
//!   Head (head.rs) ◄── Handle (handle.rs)          an open image, and who may use it
//!      │                                           what differs, and what is stored: views.rs,
//!      │                                           extents.rs, stored.rs, map.rs
//!   ffi                                            librados and librbd, loaded when needed
//!
//!   behind the calls: Reaper (reaper.rs, forget.rs), Flattener (flatten.rs)
//! ```
//!
//! Invariants:
//! - A call has happened when its rows are committed, and not before. Images and snapshots are made
//!   ahead of that under names that come from the operation's id, so what a crash leaves is found
//!   again by the repetition; what is not needed any more goes after it, by the reaper's rows.
//! - Which image is a volume's head is said by its row alone.
//! - A rollback in place stands in the volume's row from before it begins until it is done; whoever
//!   opens the volume finishes it first.
//!
//! Deliberately not here: encryption (a volume with a key is refused), and records of single
//! blocks: which of an object's are stored is told by reading them.

mod counters;
#[cfg(test)]
mod crashes;
mod deadline;
mod engine;
mod extents;
mod ffi;
mod flatten;
#[cfg(test)]
mod flattens;
mod forget;
mod group;
mod handle;
mod head;
mod heart;
mod locate;
mod map;
mod owner;
mod peers;
mod rate;
mod reaper;
mod records;
mod reset;
mod stored;
mod versions;
mod views;

use std::path::PathBuf;

pub use counters::Stats;
pub use engine::RbdEngine;
pub use locate::{Flattening, Place, Snap};

/// Where the volumes are, and how they are reset.
#[derive(Debug, Clone)]
pub struct Options {
    /// The cluster's configuration file; it names the monitors and the keyring.
    pub conf: PathBuf,
    /// The name of the pool.
    pub pool: String,
    /// The namespace in the pool; the empty one if it is empty. It is made if it is not there.
    pub namespace: String,
    /// The user, without `client.`.
    pub user: String,
    /// How a volume goes back.
    pub reset: ResetMode,
    /// Objects of 4 MiB a second that clones are made independent of their parents with, in the
    /// background; none at 0.
    pub flatten_rate: u32,
}

/// The rate of flattening where none is given.
pub const FLATTEN_RATE: u32 = 16;

/// How a volume goes back to a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ResetMode {
    /// In place where that takes a few seconds at most, by a clone otherwise.
    #[default]
    Auto,
    /// By a clone, always: in constant time, and slower to write for a while.
    Clone,
}
