//! The reference engine.

/// An engine in memory: the plainest code that keeps the promises.
#[derive(Debug, Default)]
pub struct MemoryEngine {}
