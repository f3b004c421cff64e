//! A connected socket, TCP or Unix.

use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::net::sockopt;

/// After this much silence TCP asks whether the peer is still there.
const PROBE_AFTER: Duration = Duration::from_secs(60);
/// How long TCP waits for an answer to one probe.
const PROBE_EVERY: Duration = Duration::from_secs(15);
/// Probes without an answer until the peer is taken for gone.
const PROBES: u32 = 6;
/// How long the peer's machine may leave data unacknowledged, or probes unanswered. A client that
/// is there but does not read acknowledges all the same.
const GONE_AFTER: Duration = Duration::from_secs(150);

/// A connected socket. Reading and writing go through `&Stream`, from two threads at a time.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
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

impl Read for &Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => (&*stream).read(buffer),
            Stream::Unix(stream) => (&*stream).read(buffer),
        }
    }
}

impl Write for &Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => (&*stream).write(buffer),
            Stream::Unix(stream) => (&*stream).write(buffer),
        }
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => (&*stream).write_vectored(slices),
            Stream::Unix(stream) => (&*stream).write_vectored(slices),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes all of `slices`, in one system call unless the socket's buffer is full. Each time that
/// the socket's timeout passes, `give_up` is asked with the moment of the last progress.
pub(crate) fn write_all_vectored(
    mut to: &Stream,
    mut slices: &mut [IoSlice<'_>],
    give_up: impl Fn(Instant) -> bool,
) -> io::Result<()> {
    let mut since = None;
    // Drops empty slices at the front, so that an end of all slices is seen as such.
    IoSlice::advance_slices(&mut slices, 0);
    while !slices.is_empty() {
        match to.write_vectored(slices) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                IoSlice::advance_slices(&mut slices, written);
                // Beyond the first call the socket's buffer is full, and time counts.
                since = Some(Instant::now());
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if give_up(*since.get_or_insert_with(Instant::now)) {
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// How long a read waits.
#[derive(Debug, Clone, Copy)]
enum Patience {
    /// Until then. A timeout on the socket alone would start anew with each byte that a slow
    /// client sends.
    Until(Instant),
    /// Until the question below is answered with yes, asked whenever the socket's timeout passes.
    Asking,
}

/// Reads that a client can not draw out at will.
pub(crate) struct Timed<'a> {
    stream: &'a Stream,
    patience: Patience,
    give_up: Box<dyn Fn() -> bool + 'a>,
}

impl<'a> Timed<'a> {
    /// Reads that end at `deadline`, until [`Timed::lift`].
    pub(crate) fn new(stream: &'a Stream, deadline: Instant) -> Self {
        Self { stream, patience: Patience::Until(deadline), give_up: Box::new(|| false) }
    }

    /// From now on there is no deadline, but `give_up` is asked every `tick` of waiting.
    pub(crate) fn lift(
        &mut self,
        tick: Duration,
        give_up: impl Fn() -> bool + 'a,
    ) -> io::Result<()> {
        self.patience = Patience::Asking;
        self.give_up = Box::new(give_up);
        self.stream.set_read_timeout(Some(tick))
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Patience::Until(deadline) = self.patience {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                self.stream.set_read_timeout(Some(left))?;
            }
            match self.stream.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if (self.give_up)() {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                }
                outcome => return outcome,
            }
        }
    }
}
