//! What the fuzz targets share.
//!
//! ```text
//!   src/bin/<target>.rs   one program for each target, made by libFuzzer's macro
//!   handshake, transmission   what NBD's targets check; those of the pool's codecs are in
//!                             `ebb_local::fuzzing`, as the codecs are nobody else's
//! ```
//! `cargo xtask fuzz` builds and runs them; docs/internals/fuzzing.md says how, and what was run.

pub mod handshake;
pub mod transmission;

use std::path::PathBuf;
use std::{env, fs};

use ebb_nbd::{Exports, Limits};
use ebb_volume::{Engine, MemoryEngine, OpId, VolumeId};

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

/// A table with one export, an empty disk in memory.
fn exports(size_bytes: u64) -> Exports {
    let engine = MemoryEngine::new();
    engine.create_volume(OpId([1; 16]), VolumeId(1), size_bytes).expect("the engine is empty");
    let volume = engine.open(VolumeId(1)).expect("the volume is there");
    let exports = Exports::new();
    exports.publish(EXPORT, volume);
    exports
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
