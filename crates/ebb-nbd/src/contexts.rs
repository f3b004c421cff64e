//! Metadata contexts: which there are of an export, and which a client chose.
//!
//! `base:allocation` is of every export; `ebbtide:changed:NAME` is there for each snapshot that the
//! export's volume can be compared with. A name is looked up when it is chosen. If the snapshot is
//! deleted afterwards, block status answers `EINVAL`, and the connection goes on.

use ebb_volume::SnapshotId;

use crate::exports::Export;
use crate::wire::{BASE_ALLOCATION, CHANGED};

/// Contexts chosen at a time: each makes every reply longer, and costs another walk.
pub(crate) const MOST: usize = 8;

/// Something that a block status tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Context {
    /// What is stored.
    Allocation,
    /// What differs from a snapshot.
    Changed(SnapshotId),
}

/// The context of this name, if the export has it.
pub(crate) fn find(export: &Export, name: &str) -> Option<Context> {
    if name == BASE_ALLOCATION {
        return Some(Context::Allocation);
    }
    let snapshot = export.snapshots().find(name.strip_prefix(CHANGED)?)?;
    Some(Context::Changed(snapshot))
}

/// The names that queries of a list stand for, each once: a namespace, or a part of one that ends
/// in a colon, stands for all in it, and no query for all there are.
pub(crate) fn list(export: &Export, queries: &[String]) -> Vec<String> {
    let is_asked = |name: &str| {
        let asks =
            |query: &String| query == name || (query.ends_with(':') && name.starts_with(query));
        queries.is_empty() || queries.iter().any(asks)
    };
    let mut names = Vec::new();
    if is_asked(BASE_ALLOCATION) {
        names.push(BASE_ALLOCATION.to_owned());
    }
    // Listing them takes a look at the records: only for who speaks of them.
    if queries.is_empty() || queries.iter().any(|query| is_of_changes(query)) {
        let all = export.snapshots().names().into_iter().map(|name| format!("{CHANGED}{name}"));
        names.extend(all.filter(|name| is_asked(name)));
    }
    names
}

fn is_of_changes(query: &str) -> bool {
    query.starts_with(CHANGED) || (query.ends_with(':') && CHANGED.starts_with(query))
}
