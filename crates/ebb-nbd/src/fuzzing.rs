//! A door for the fuzz targets, which are a workspace of their own: only their build opens it.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;

use crate::budget::Budget;
use crate::connection;
use crate::exports::Exports;
use crate::limits::Limits;
use crate::link::Link;
use crate::server::Security;
use crate::socket::Socket;
use crate::stream::Stream;

/// Serves a client that sends `input`, then nothing more, and returns all that it is sent: one
/// connection without TLS, on this thread, so that a panic ends the caller too.
///
/// # Errors
/// Where there is no socket or thread to be had, or `input` is longer than a socket's buffer.
pub fn converse(input: &[u8], exports: &Exports, limits: &Limits) -> io::Result<Vec<u8>> {
    let (server, mut client) = UnixStream::pair()?;
    client.set_nonblocking(true)?;
    client.write_all(input)?;
    client.set_nonblocking(false)?;
    client.shutdown(Shutdown::Write)?;
    // The answers may be more than a socket holds.
    let answers = thread::Builder::new().spawn(move || {
        let mut answers = Vec::new();
        client.read_to_end(&mut answers).map(|_| answers)
    })?;
    let stream = Stream::new(Socket::Unix(server));
    let link = Arc::new(Link::new(stream, limits, Arc::new(Budget::new(limits))));
    connection::serve(link, &Security::Plain, exports, limits);
    answers.join().map_err(|_| io::Error::other("reading the answers panicked"))?
}
