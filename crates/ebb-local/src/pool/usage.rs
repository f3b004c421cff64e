//! What is stored for several snapshots together: their maps, walked at once from their roots down.
//!
//! ```text
//!   snapshot 1   a ─ b ─ c       of what is at one place, in memory and on disk, each page is
//!   snapshot 2   a ─ b' ─ c      looked at once: a, b, b' and c, and a leaf's blocks are counted
//!   snapshot 3   a ─ b' ─ c      by their addresses, each once
//! ```
//! A block keeps its place in every map that has it, so what is at one place is all there is to
//! compare; those of encrypted volumes have other places, and nothing in common with the rest, so
//! they are counted by themselves. A walk of a large volume is cut into parts: what is read by one
//! stays where it is while that part is walked, and no longer, so that no space waits for it.
//!
//! Deliberately not here: a number kept up to date with every write.

use std::ops::Range;

use ebb_volume::{BLOCK_BYTES, EngineError, IoError, SnapshotId};

use super::Pool;
use super::node::Node;
use crate::layout::Address;
use crate::map::{HEIGHT, Map, Places, span, touched};
use crate::storage::Storage;

/// Pages after which a part ends: they take some 20 ms to read.
const PAGES: usize = 1024;

struct Walk<'a, S> {
    pool: &'a Pool<S>,
    /// Of the maps.
    range: Range<u64>,
    pages: usize,
    /// All before this place is counted.
    reached: u64,
    counted: u64,
}

impl<S: Storage> Pool<S> {
    pub(crate) fn stored_bytes(&self, snapshots: &[SnapshotId]) -> Result<u64, EngineError> {
        let plain = self.stored_blocks(snapshots, Places::Dense)?;
        let sealed = self.stored_blocks(snapshots, Places::Spread)?;
        Ok((plain + sealed) * BLOCK_BYTES)
    }

    /// Of those with such places.
    fn stored_blocks(&self, snapshots: &[SnapshotId], places: Places) -> Result<u64, EngineError> {
        let (mut from, mut counted) = (0, 0);
        loop {
            let _reading = self.readers.enter();
            // Where pages are may have changed since the last part.
            let (maps, end) = self.maps(snapshots, places)?;
            if from >= end {
                return Ok(counted);
            }
            let range = from..end;
            let mut walk = Walk { pool: self, range, pages: 0, reached: from, counted: 0 };
            let roots = maps.iter().filter_map(|map| Node::root(self.pool_id, map));
            walk.entry(0, HEIGHT + 1, distinct(roots))?;
            (from, counted) = (walk.reached, counted + walk.counted);
        }
    }

    /// The maps with such places, and the place behind the last that any of them may have.
    fn maps(
        &self,
        snapshots: &[SnapshotId],
        places: Places,
    ) -> Result<(Vec<Map>, u64), EngineError> {
        let state = self.serving()?;
        let (mut maps, mut end) = (Vec::with_capacity(snapshots.len()), 0);
        for snapshot in snapshots {
            let found = state.catalog.snapshot_map(*snapshot);
            let (map, size_bytes) = found.ok_or(EngineError::NoSuchSnapshot(*snapshot))?;
            if map.places() == places {
                maps.push(map.clone());
                end = end.max(places.of(size_bytes.div_ceil(BLOCK_BYTES)));
            }
        }
        Ok((maps, end))
    }
}

/// Each once.
fn distinct<'a>(nodes: impl Iterator<Item = Node<'a>>) -> Vec<Node<'a>> {
    let mut kept: Vec<Node<'a>> = Vec::new();
    for node in nodes {
        if !kept.iter().any(|other| other.is_same(&node)) {
            kept.push(node);
        }
    }
    kept
}

impl<S: Storage> Walk<'_, S> {
    /// What is under an entry at `level`, which begins at block `first`.
    fn entry(&mut self, first: u64, level: u32, nodes: Vec<Node<'_>>) -> Result<(), IoError> {
        if nodes.is_empty() {
            self.reached = first.saturating_add(span(level)).min(self.range.end);
            return Ok(());
        }
        self.pages += nodes.len();
        match level - 1 {
            0 => self.leaves(first, nodes),
            level => self.inner(first, level, nodes),
        }
    }

    fn inner(&mut self, first: u64, level: u32, mut nodes: Vec<Node<'_>>) -> Result<(), IoError> {
        for i in touched(first, level, &self.range) {
            let mut children = Vec::with_capacity(nodes.len());
            for node in &mut nodes {
                children.extend(node.child(self.pool, i)?);
            }
            let start = first + i as u64 * span(level);
            self.entry(start, level, distinct(children.into_iter()))?;
            if self.pages >= PAGES {
                break;
            }
        }
        Ok(())
    }

    fn leaves(&mut self, first: u64, mut nodes: Vec<Node<'_>>) -> Result<(), IoError> {
        let mut addresses: Vec<Address> = Vec::with_capacity(nodes.len());
        for i in touched(first, 0, &self.range) {
            addresses.clear();
            for node in &mut nodes {
                if let Some(address) = node.stored(self.pool, i)?
                    && !addresses.contains(&address)
                {
                    addresses.push(address);
                }
            }
            self.counted += addresses.len() as u64;
            self.reached = first + i as u64 + 1;
        }
        Ok(())
    }
}
