//! What the benchmarks of the built program have in common: a server process, and a guest's machine
//! on it.

pub mod cloud;
pub mod machine;
pub mod server;

/// What a benchmark fails with.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
