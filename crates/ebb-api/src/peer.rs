//! The other end of a connection.

use std::net::SocketAddr;

/// Who a request comes from, as far as the connection says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer {
    /// Where from.
    pub(crate) address: SocketAddr,
    /// Whether nobody on the way can read it.
    pub(crate) tls: bool,
}
