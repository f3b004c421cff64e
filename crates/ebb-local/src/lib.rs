//! The embedded engine: one log file, checksummed from write to read.
//!
//! ```text
//!   engine   LocalEngine, its threads          volume   a handle: Io in, completion out
//!      └────────────┬───────────────────────────────┘
//!   pool     the state machine: write_step, sync_step, stock_step; open
//!      ├── session   who may write: generations, claims
//!      ├── catalog   the version tree: volumes, snapshots ── map   where each block is
//!      ├── log       packs requests into records ── stock   segments for it, written ahead
//!      └── recovery  from the log to the catalog
//!   record, superblock   the bytes             layout   where they are
//!   storage  what is asked of a file ── file   a real one (the simulator has another)
//! ```
//! Every change is a record in the log, and becomes durable with it. The map from blocks to places
//! in the log is in memory; recovery makes it again from the log.
//!
//! What an answer promises, and what makes it true:
//! - a flush, a write with FUA, an engine call: a sync that began after its record was written;
//! - a plain write: its record is written, and every reader of the volume sees it.
//!
//! Deliberately not here yet: the checkpoint, and taking space back. The log only grows.

mod catalog;
mod engine;
mod file;
mod layout;
mod log;
mod map;
mod planted;
mod pool;
mod record;
mod recovery;
mod request;
mod session;
#[cfg(test)]
mod sim;
mod stock;
mod storage;
mod superblock;
mod volume;

pub use engine::{LocalEngine, Options, Stats};
