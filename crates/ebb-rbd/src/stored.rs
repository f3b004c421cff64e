//! What is stored for snapshots together.
//!
//! Of one lineage, each block counts once for each content that one of the snapshots has there: an
//! object is read again only where the object maps say that it may differ from the snapshot before.
//! Lineages have nothing in common, and are added up.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use ebb_volume::{BLOCK_BYTES, EngineError, SnapshotId};

use crate::extents::{blocks, is_zero};
use crate::map::OBJECT_BYTES;
use crate::records::{Records, SnapshotRow, snapshot_key};
use crate::views::{Between, Version, Views};

pub(crate) fn stored_bytes(
    records: &Records,
    views: &Views,
    snapshots: &[SnapshotId],
) -> Result<u64, EngineError> {
    let mut rows: Vec<(SnapshotId, SnapshotRow)> = Vec::new();
    for id in snapshots {
        let row = records.row(&snapshot_key(*id))?;
        rows.push((*id, row.ok_or(EngineError::NoSuchSnapshot(*id))?));
    }
    // Those that were taken of one image, one after the other.
    rows.sort_by(|(_, a), (_, b)| (&a.image, a.id).cmp(&(&b.image, b.id)));
    rows.dedup_by(|(_, a), (_, b)| (&a.image, a.id) == (&b.image, b.id));
    loop {
        let (total, hold) = count_all(records, views, &rows)?;
        if hold {
            return Ok(total * BLOCK_BYTES);
        }
    }
}

/// Blocks of all of them, and whether what was read of them holds.
fn count_all(
    records: &Records,
    views: &Views,
    rows: &[(SnapshotId, SnapshotRow)],
) -> Result<(u64, bool), EngineError> {
    let mut lineages: BTreeMap<String, Vec<Version>> = BTreeMap::new();
    for (id, row) in rows {
        let version = views.snapshot(*id, row).map_err(|error| gone(records, *id, error))?;
        lineages.entry(version.root().to_owned()).or_default().push(version);
    }
    let counted = lineages.values().map(|versions| count(views, versions));
    let total = counted.sum::<Result<u64, _>>()?;
    let mut hold = true;
    for version in lineages.values().flatten() {
        hold &= views.holds(version)?;
    }
    Ok((total, hold))
}

/// A snapshot that was deleted meanwhile is not there; any other failure is one.
fn gone(records: &Records, id: SnapshotId, error: EngineError) -> EngineError {
    match records.row::<SnapshotRow>(&snapshot_key(id)) {
        Ok(None) => EngineError::NoSuchSnapshot(id),
        _ => error,
    }
}

/// Blocks of the versions of one lineage.
fn count(views: &Views, versions: &[Version]) -> Result<u64, EngineError> {
    let pairs = versions.windows(2).map(|pair| views.between(&pair[0], &pair[1]));
    let steps = pairs.collect::<Result<Vec<Between>, _>>()?;
    // Not to be guessed, so that no guest can make two blocks look alike.
    let hasher = RandomState::new();
    let (mut total, mut object) = (0, 0);
    while let Some(next) = versions.iter().filter_map(|version| version.next(object)).min() {
        let mut seen = HashSet::new();
        for (n, version) in versions.iter().enumerate() {
            let step = n.checked_sub(1).and_then(|before| steps.get(before));
            let as_before = step.is_some_and(|step| step.next(next) != Some(next));
            if as_before || !version.may_have(next) {
                continue;
            }
            let bytes = version.read(next * OBJECT_BYTES, OBJECT_BYTES)?;
            let stored = blocks(&bytes).enumerate().filter(|(_, block)| !is_zero(block));
            seen.extend(stored.map(|(at, block)| (at, hasher.hash_one(block))));
        }
        total += seen.len() as u64;
        object = next + 1;
    }
    Ok(total)
}
