//! A connected socket, TCP or Unix.

use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg, sockopt};

/// After this much silence TCP asks whether the peer is still there.
const PROBE_AFTER: Duration = Duration::from_secs(60);
/// How long TCP waits for an answer to one probe.
const PROBE_EVERY: Duration = Duration::from_secs(15);
/// Probes without an answer until the peer is taken for gone.
const PROBES: u32 = 6;
/// How long the peer's machine may leave data unacknowledged, or probes unanswered. A client that
/// is there but does not read acknowledges all the same.
const GONE_AFTER: Duration = Duration::from_secs(150);

/// A connected socket. Reading and writing go through `&Socket`, from two threads at a time.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    /// A TCP connection, which sends each reply at once rather than wait for more. A peer whose
    /// machine is gone is noticed: after [`PROBE_AFTER`] of silence and some probes, and where
    /// something is to be sent, when nothing was acknowledged for [`GONE_AFTER`].
    pub(crate) fn tcp(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        sockopt::set_socket_keepalive(&stream, true)?;
        sockopt::set_tcp_keepidle(&stream, PROBE_AFTER)?;
        sockopt::set_tcp_keepintvl(&stream, PROBE_EVERY)?;
        sockopt::set_tcp_keepcnt(&stream, PROBES)?;
        sockopt::set_tcp_user_timeout(&stream, GONE_AFTER.as_millis() as u32)?;
        Ok(Self::Tcp(stream))
    }

    /// Ends one direction or both; a thread that waits on it wakes.
    pub(crate) fn shutdown(&self, how: Shutdown) {
        // It fails only where the connection is gone already, which is what is asked for.
        let _ = match self {
            Self::Tcp(stream) => stream.shutdown(how),
            Self::Unix(stream) => stream.shutdown(how),
        };
    }

    /// Bytes that a read would return at once; none where the system does not say.
    pub(crate) fn readable_bytes(&self) -> usize {
        let bytes = match self {
            Self::Tcp(stream) => rustix::io::ioctl_fionread(stream),
            Self::Unix(stream) => rustix::io::ioctl_fionread(stream),
        };
        bytes.map_or(0, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX))
    }

    /// Sends what the socket takes without waiting. Says how many bytes that were.
    pub(crate) fn send_now(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let nothing = &mut SendAncillaryBuffer::default();
        let sent = match self {
            Self::Tcp(stream) => sendmsg(stream, slices, nothing, flags),
            Self::Unix(stream) => sendmsg(stream, slices, nothing, flags),
        };
        match sent {
            Err(Errno::AGAIN | Errno::INTR) => Ok(0),
            sent => Ok(sent?),
        }
    }

    pub(crate) fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_read_timeout(timeout),
            Self::Unix(stream) => stream.set_read_timeout(timeout),
        }
    }

    pub(crate) fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_write_timeout(timeout),
            Self::Unix(stream) => stream.set_write_timeout(timeout),
        }
    }
}

impl Read for &Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => (&*stream).read(buffer),
            Socket::Unix(stream) => (&*stream).read(buffer),
        }
    }
}

impl Write for &Socket {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => (&*stream).write(buffer),
            Socket::Unix(stream) => (&*stream).write(buffer),
        }
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => (&*stream).write_vectored(slices),
            Socket::Unix(stream) => (&*stream).write_vectored(slices),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
