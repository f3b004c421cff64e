//! The seam between disks and engines: what an engine is asked, and what it promises.
//!
//! ```text
//!   ebb-control ──► Engine   create, snapshot, fork, reset, delete      (rare, synchronous,
//! durable)
//!   ebb-nbd ──────► Volume   read, write, zero, discard, flush          (often, asynchronous)
//!                          extents                                    (by who copies a volume)
//! ```
//!
//! Promises, the same for every engine and checked by [`conformance`]:
//! - An [`Engine`] call that returned `Ok` survives a crash and a power loss, whole.
//!   One that did not return happened wholly or not at all.
//! - A snapshot never changes. Reset makes the volume read exactly as the snapshot.
//! - A completed [`Io::Flush`] makes every write durable that completed before it was submitted,
//!   on any handle of the volume; a write with `fua` is durable when it completes.
//! - A block that is read is the block that was written, or an error.
//! - A volume that was made with a key is encrypted, and so is all that comes of it; it is opened
//!   with that key, which the engine does not keep. Everything else needs none.
//! - Every call is idempotent: the same [`OpId`] with the same arguments again changes nothing.
//!
//! Deliberately not here: disks, instances, accounts, times, names. The ids are opaque numbers that
//! the caller chooses and never uses twice.

#[cfg(feature = "conformance")]
pub mod conformance;
mod engine;
mod extent;
mod key;
mod memory;
mod volume;

pub use engine::{
    Engine, EngineError, Inventory, OpId, SnapshotId, SnapshotInfo, SnapshotNames, VolumeId,
    VolumeInfo,
};
pub use extent::{Difference, Extent, ExtentList};
pub use key::DataKey;
pub use memory::MemoryEngine;
pub use volume::{Completion, Io, IoError, Volume, run};

/// The engine's block: writes of whole, aligned blocks need no read before them.
pub const BLOCK_BYTES: u64 = 4096;

/// The largest volume: 64 TiB, the largest disk that ECS documents.
pub const MAX_VOLUME_BYTES: u64 = 64 << 40;
