//! What must be there: disks and snapshots by what was answered, and the one call that was not.

use std::sync::Arc;

use crate::disk::{Disk, Shape};
use crate::ledger::{Candidates, Floors};

#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) name: String,
    pub(crate) id: String,
    /// The number of its disk.
    pub(crate) of: u64,
    /// What it may hold; once it was read, exactly one event for each block.
    pub(crate) image: Vec<Candidates>,
    pub(crate) checked: bool,
}

/// A call without an answer: it happened, or it did not.
pub(crate) enum Pending {
    CreateDisk { number: u64, name: String, image: Vec<Candidates> },
    DeleteDisk { name: String },
    CreateSnapshot { name: String, of: Arc<Disk>, floors: Floors },
    DeleteSnapshot { name: String },
    Reset { number: u64, image: Vec<Candidates> },
}

/// What one data directory holds.
pub(crate) struct World {
    pub(crate) shape: Shape,
    /// What the disks are attached to.
    pub(crate) instance: String,
    pub(crate) disks: Vec<Arc<Disk>>,
    pub(crate) snapshots: Vec<Snapshot>,
    pub(crate) pending: Option<Pending>,
}
