//! The embedded engine keeps the promises of every engine.
#![allow(clippy::unwrap_used, reason = "tests")]

use ebb_local::{LocalEngine, Options};
use ebb_volume::conformance::Store;
use ebb_volume::{Engine, EngineError};
use tempfile::TempDir;

struct Directory(TempDir);

impl Store for Directory {
    fn open(&self) -> Result<Box<dyn Engine>, EngineError> {
        let options = Options { warm_segments: 1, ..Options::default() };
        Ok(Box::new(LocalEngine::open(self.0.path(), options)?))
    }
}

ebb_volume::conformance_suite!(Directory(tempfile::tempdir().unwrap()));
ebb_volume::encrypted_conformance_suite!(Directory(tempfile::tempdir().unwrap()));
