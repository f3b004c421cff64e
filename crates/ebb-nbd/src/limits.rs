//! What one server lets its clients use.

use std::time::Duration;

/// Bounds on what clients can make the server hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at one time; further ones are closed as they come.
    pub connections: usize,
    /// How long a client may take until it uses an export.
    pub handshake: Duration,
    /// The most bytes of data of one option; longer data is skipped and answered with an error.
    pub option_bytes: u32,
    /// Requests under way on one connection; while there are as many, none is read.
    pub requests_under_way: usize,
    /// Bytes that the requests under way on one connection read or write. One request may exceed
    /// it alone.
    pub bytes_under_way: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            handshake: Duration::from_secs(10),
            option_bytes: 64 << 10,
            requests_under_way: 128,
            bytes_under_way: 64 << 20,
        }
    }
}
