//! The other end of a connection.

use std::net::SocketAddr;

/// The other end of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer {
    /// From where.
    pub(crate) address: SocketAddr,
    /// Whether by TLS.
    pub(crate) tls: bool,
}
