//! The reference engine keeps the promises.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Mutex;

use ebb_volume::conformance::Store;
use ebb_volume::{Engine, EngineError, MemoryEngine};

/// Holds a second engine on the content of the one that was opened last.
#[derive(Default)]
struct Memory {
    last: Mutex<MemoryEngine>,
}

impl Store for Memory {
    fn open(&self) -> Result<Box<dyn Engine>, EngineError> {
        let mut last = self.last.lock().unwrap();
        let engine = last.reopen();
        *last = engine.share();
        Ok(Box::new(engine))
    }
}

ebb_volume::conformance_suite!(Memory::default());
ebb_volume::encrypted_conformance_suite!(Memory::default());
