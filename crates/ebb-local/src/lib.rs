//! The embedded engine: one log file, checksummed from write to read.
//!
//! ```text
//!   engine   LocalEngine, its threads          volume   a handle: Io in, completion out
//!      └────────────┬───────────────────────────────┘
//!   pool     the state machine: write_step, sync_step, stock_step, checkpoint_step; open
//!      ├── session   who may write: generations, claims
//!      ├── catalog   the version tree: volumes, snapshots ── map   where each block is
//!      │                              memtable, merge, page ────┘     └── cache   pages in memory
//!      ├── log       packs requests into records ── stock   segments for it, written ahead
//!      ├── segments  where segments are ── meta   fills those of pages and tables
//!      └── recovery  from a checkpoint (tables) and the log behind it to the catalog
//!   record, superblock, page, tables   the bytes      layout   where they are
//!   cipher   encrypts a volume's blocks on the way to the file and back
//!   storage  what is asked of a file ── file   a real one (the simulator has another)
//! ```
//! Every change is a record in the log, and becomes durable with it. In memory it goes into the
//! memtable of its version. From time to time a checkpoint merges the memtables into pages on disk,
//! and says so in the superblock; from then on recovery reads only the log behind it. Pages are
//! read when a block below them is, and kept up to a budget.
//!
//! What an answer promises, and what makes it true:
//! - a flush, a write with FUA, an engine call: a sync that began after its record was written;
//! - a plain write: its record is written, and every reader of the volume sees it.
//!
//! A checkpoint answers nobody: it only moves the place from which recovery begins.
//!
//! Deliberately not here: a record of what is free. What is alive follows from the pages, and is in
//! the tables of each checkpoint.

mod ahead;
mod blocks;
mod cache;
mod catalog;
mod check;
mod cipher;
mod engine;
mod file;
#[cfg(test)]
mod fixture;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod layout;
mod log;
mod map;
mod meta;
mod planted;
mod pool;
mod readers;
mod record;
mod recovery;
mod request;
mod segments;
mod session;
#[cfg(test)]
mod sim;
mod space;
mod stock;
mod storage;
mod superblock;
mod tables;
mod volume;

pub use check::{Report, check};
pub use engine::{LocalEngine, Options, Stats};
