//! What one server lets its clients use.

use std::time::Duration;

/// Bounds on what clients can make the server hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at one time; further ones are closed as they come.
    pub connections: usize,
    /// Connections that use one export at one time; further ones are refused by `ERR_POLICY`.
    pub connections_per_export: usize,
    /// How long a client may take until it uses an export.
    pub handshake: Duration,
    /// How long a connection that uses an export may ask nothing. `None`, the default, is for
    /// ever, as a disk that nobody reads is no fault; clients whose machine is gone are noticed
    /// within three minutes all the same, by TCP's keepalive.
    pub idle: Option<Duration>,
    /// How long a connection may keep what other connections wait for: by not sending the rest of
    /// a write, or by not taking any part of its replies. It is cut then. While nobody waits, it
    /// may take as long as it likes.
    pub stall: Duration,
    /// The most bytes of data of one option; longer data is skipped and answered with an error.
    pub option_bytes: u32,
    /// Requests under way on one connection; while there are as many, none is read.
    pub requests_under_way: usize,
    /// Bytes that the requests under way on one connection read or write. One request may exceed
    /// it alone.
    pub bytes_under_way: u64,
    /// Requests under way on all connections together.
    pub server_requests_under_way: usize,
    /// Bytes that the requests under way on all connections read or write. One request may exceed
    /// it alone.
    pub server_bytes_under_way: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            connections_per_export: 64,
            handshake: Duration::from_secs(10),
            idle: None,
            stall: Duration::from_secs(30),
            option_bytes: 64 << 10,
            requests_under_way: 128,
            bytes_under_way: 64 << 20,
            server_requests_under_way: 16 << 10,
            server_bytes_under_way: 512 << 20,
        }
    }
}

impl Limits {
    /// How often a thread that waits for a client looks whether it has waited too long.
    pub(crate) fn tick(&self) -> Duration {
        const LEAST: Duration = Duration::from_millis(10);
        let shortest = self.idle.map_or(self.stall, |idle| idle.min(self.stall));
        (shortest / 4).max(LEAST)
    }
}
