//! A connection's bytes: a socket, and TLS over it once that was asked for.

use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustls::pki_types::CertificateDer;

use crate::socket::Socket;
use crate::tls::Tls;

/// A connection. Reading and writing go through `&Stream`, from two threads at a time.
#[derive(Debug)]
pub(crate) struct Stream {
    socket: Socket,
    tls: OnceLock<Tls>,
}

impl Stream {
    pub(crate) fn new(socket: Socket) -> Self {
        Self { socket, tls: OnceLock::new() }
    }

    /// Goes over to TLS, by `deadline`. Nothing of the peer's may have been read ahead.
    pub(crate) fn secure(&self, session: rustls::Connection, deadline: Instant) -> io::Result<()> {
        let tls = Tls::new(session);
        tls.handshake(&self.socket, || self.set_read_timeout(Some(time_left(deadline)?)))?;
        self.tls.set(tls).map_err(|_| io::Error::other("TLS over TLS"))
    }

    /// The certificate that the peer proved to have.
    pub(crate) fn peer_certificate(&self) -> Option<CertificateDer<'static>> {
        self.tls.get().and_then(Tls::peer_certificate)
    }

    /// Ends one direction or both; a thread that waits on it wakes.
    pub(crate) fn shutdown(&self, how: Shutdown) {
        self.socket.shutdown(how);
    }

    /// Tells a TLS peer that nothing follows.
    pub(crate) fn say_goodbye(&self) {
        if let Some(tls) = self.tls.get() {
            tls.close(&self.socket);
        }
    }

    /// Bytes that a read would return at once, as far as is known: of TLS nothing is.
    pub(crate) fn readable_bytes(&self) -> usize {
        self.tls.get().map_or_else(|| self.socket.readable_bytes(), |_| 0)
    }

    /// Sends what goes out without waiting. Says how many bytes that were: over TLS, none.
    pub(crate) fn send_now(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.tls.get().map_or_else(|| self.socket.send_now(slices), |_| Ok(0))
    }

    pub(crate) fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.socket.set_read_timeout(timeout)
    }

    pub(crate) fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.socket.set_write_timeout(timeout)
    }
}

impl Read for &Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.tls.get() {
            None => (&self.socket).read(buffer),
            Some(tls) => tls.read(&self.socket, buffer),
        }
    }
}

impl Write for &Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(buffer)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.tls.get() {
            None => (&self.socket).write_vectored(slices),
            Some(tls) => tls.write_vectored(&self.socket, slices),
        }
    }

    /// Sends what TLS holds back; a socket holds nothing back.
    fn flush(&mut self) -> io::Result<()> {
        self.tls.get().map_or(Ok(()), |tls| tls.flush(&self.socket))
    }
}

fn time_left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
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
    loop {
        let outcome = if slices.is_empty() {
            to.flush().map(|()| None)
        } else {
            to.write_vectored(slices).map(Some)
        };
        match outcome {
            Ok(None) => return Ok(()),
            Ok(Some(0)) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(Some(written)) => {
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

    /// Goes over to TLS within what is left of the time.
    pub(crate) fn secure(&self, session: rustls::Connection) -> io::Result<()> {
        match self.patience {
            Patience::Until(deadline) => self.stream.secure(session, deadline),
            Patience::Asking => Err(io::Error::other("TLS begins while options are agreed on")),
        }
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
                self.stream.set_read_timeout(Some(time_left(deadline)?))?;
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
