//! What the fuzz targets share.
//!
//! ```text
//!   src/bin/<target>.rs   one program for each target, made by libFuzzer's macro
//!   handshake, transmission   what NBD's targets check; those of the pool's codecs are in
//!                             `ebb_local::fuzzing`, as the codecs are nobody else's
//!   policy                    what the target of policies checks
//!                             (what that of requests checks is in `ebb_api::fuzzing`)
//! ```
//! `cargo xtask fuzz` builds and runs them; docs/internals/fuzzing.md says how, and what was run.

pub mod handshake;
pub mod policy;
pub mod transmission;

use std::path::PathBuf;
use std::sync::Arc;
use std::{env, fs};

use ebb_nbd::wire::CHANGED;
use ebb_nbd::{Exports, Limits};
use ebb_volume::{Engine, MemoryEngine, OpId, SnapshotId, SnapshotNames, VolumeId};

/// The folder into which a target writes its seeds before it begins, if it is to.
pub const SEEDS_VARIABLE: &str = "EBB_FUZZ_SEEDS";

/// The name of the export.
const EXPORT: &str = "disk";

/// Writes `seeds` where [`SEEDS_VARIABLE`] says.
///
/// # Panics
/// Where they can not be written: what follows would be a run without them.
pub fn write_seeds(seeds: &[Vec<u8>]) {
    let Some(folder) = env::var_os(SEEDS_VARIABLE).map(PathBuf::from) else { return };
    for (number, seed) in seeds.iter().enumerate() {
        let path = folder.join(format!("seed-{number:03}"));
        fs::write(&path, seed).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

/// The name of its only snapshot, taken while it was empty.
const SNAPSHOT: &str = "empty";
const SNAPSHOT_ID: SnapshotId = SnapshotId(1);

struct OneSnapshot;

impl SnapshotNames for OneSnapshot {
    fn find(&self, name: &str) -> Option<SnapshotId> {
        (name == SNAPSHOT).then_some(SNAPSHOT_ID)
    }

    fn names(&self) -> Vec<String> {
        vec![SNAPSHOT.into()]
    }
}

/// A table with one export, an empty disk in memory, and a snapshot of it.
fn exports(size_bytes: u64) -> Exports {
    let engine = MemoryEngine::new();
    let volume = VolumeId(1);
    engine.create_volume(OpId([1; 16]), volume, size_bytes, None).expect("the engine is empty");
    let pairs = [(volume, SNAPSHOT_ID)];
    engine.create_snapshots(OpId([2; 16]), &pairs).expect("the volume is there");
    let exports = Exports::new();
    let volume = engine.open(volume, None).expect("the volume is there");
    exports.publish_with(EXPORT, volume, Arc::new(OneSnapshot), None);
    exports
}

/// The name of what tells of changes since the snapshot.
fn changed() -> String {
    format!("{CHANGED}{SNAPSHOT}")
}

fn limits() -> Limits {
    // Short enough for an input to exceed it.
    Limits { option_bytes: 512, ..Limits::default() }
}

/// The next `length` bytes, if there are as many.
fn take<'a>(from: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = from.split_at_checked(length)?;
    *from = rest;
    Some(taken)
}

fn take_array<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    take(from, N).map(|bytes| bytes.try_into().expect("as long as was asked for"))
}
