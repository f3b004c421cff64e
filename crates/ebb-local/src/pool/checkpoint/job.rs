//! A checkpoint under way: what it captured, and what it came to so far.

use std::collections::{BTreeSet, VecDeque};

use super::super::State;
use super::packing::Packing;
use super::tables::Tables;
use crate::catalog::drops::{Lost, Walk};
use crate::catalog::{Catalog, VersionId};
use crate::layout::LogPlace;
use crate::map::merge::Memo;
use crate::map::{Map, Merged};

pub(super) struct Job {
    pub(super) stage: Stage,
    /// Memory that is free again when this is installed.
    pub(super) memtable_bytes: u64,
    /// Bytes of the log that are not in a start's way any more when this is durable.
    pub(super) covered_bytes: u64,
    pub(super) log_gen: u64,
    /// J: all before it is in the checkpoint, nothing behind.
    pub(super) at: LogPlace,
    /// The catalog at that place; with the new roots once they are there.
    pub(super) captured: Catalog,
    /// Versions that were taken out. They hold memory until the end.
    pub(super) gone: Vec<Map>,
    /// Versions to be merged, parents before children.
    pub(super) left: VecDeque<VersionId>,
    pub(super) memo: Memo,
    pub(super) merged: Merged,
    /// Blocks that versions on ghosts see no more.
    pub(super) lost: Vec<Lost>,
    pub(super) cuts: Vec<Walk>,
    /// Walks that have to go back to a block, as what is before their place was cut off.
    pub(super) rewinds: Vec<(VersionId, u64)>,
    /// Versions on ghosts from which a part was cut that they do not own.
    pub(super) cut_on_ghosts: BTreeSet<VersionId>,
    /// Pages that the walks may look at.
    pub(super) pages_left: u64,
    pub(super) packing: Packing,
    /// Segments of pages that it wrote to.
    pub(super) wrote: BTreeSet<u64>,
    pub(super) tables: Option<Tables>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Merge,
    Lost,
    Walk,
    Pack,
    Tables,
    Sync,
    Superblock,
}

impl Stage {
    pub(super) fn next(self) -> Self {
        match self {
            Self::Merge => Self::Lost,
            Self::Lost => Self::Walk,
            Self::Walk => Self::Pack,
            Self::Pack => Self::Tables,
            Self::Tables => Self::Sync,
            Self::Sync | Self::Superblock => Self::Superblock,
        }
    }
}

impl Job {
    /// The state of the pool now. Takes time in the number of versions and of operations
    /// remembered, not in what was written.
    pub(super) fn capture(state: &mut State, pages_left: u64) -> Self {
        let (captured, gone) = state.catalog.capture();
        let memtable_bytes = captured.memtable_bytes - state.frozen_bytes;
        state.frozen_bytes += memtable_bytes;
        state.uncheckpointed_bytes = 0;
        state.catalog.discarded_blocks = 0;
        state.catalog.has_dropped = false;
        state.checkpoint_asked = false;
        state.work_left = false;
        let changed = captured.versions().filter(|(_, version)| version.map.frozen.is_some());
        let left = changed.map(|(id, _)| id).collect();
        Self {
            stage: Stage::Merge,
            memtable_bytes,
            covered_bytes: state.tail_bytes,
            log_gen: state.log.log_gen,
            at: state.written,
            captured,
            gone,
            left,
            memo: Memo::default(),
            merged: Merged::new(),
            lost: Vec::new(),
            cuts: Vec::new(),
            rewinds: Vec::new(),
            cut_on_ghosts: BTreeSet::new(),
            pages_left,
            packing: Packing::default(),
            wrote: BTreeSet::new(),
            tables: None,
        }
    }
}
