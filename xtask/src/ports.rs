//! Ports for servers of tests.

use std::net::TcpListener;

use anyhow::Result;

/// One that nothing listens on now, with numbers for `more` behind it.
pub(crate) fn free(more: u16) -> Result<u16> {
    loop {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        if port < u16::MAX - more {
            return Ok(port);
        }
    }
}
