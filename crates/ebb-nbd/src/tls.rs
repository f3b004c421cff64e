//! One TLS session over a socket, read by one thread and written by another.
//!
//! ```text
//!   reader:  socket ─► inbound ─┐ lock            ┌─► plain bytes
//!                               └► the session ───┘
//!   writer:  plain bytes ─► the session ─► outbound ─► socket
//! ```
//!
//! Invariants:
//! - The session's lock is never held while waiting for the socket, so the reader can wait for
//!   input while the writer sends.
//! - Records are taken out of the session only under the lock of `outbound`, and sent before
//!   others are taken out: their order is the order of their encryption.
//! - What was encrypted stays in `outbound` until it is sent; a timeout loses nothing.

use std::io::{self, IoSlice, Read, Write};
use std::sync::{Mutex, MutexGuard};

use rustls::Connection;
use rustls::pki_types::CertificateDer;

use crate::socket::Socket;

/// Records are read ahead this far.
const INBOUND_BYTES: usize = 64 << 10;

#[derive(Debug)]
pub(crate) struct Tls {
    session: Mutex<Connection>,
    /// Only the reader takes it.
    inbound: Mutex<Inbound>,
    /// Records not sent yet.
    outbound: Mutex<Vec<u8>>,
}

/// Records read from the socket and not given to the session yet.
#[derive(Debug)]
struct Inbound {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Tls {
    pub(crate) fn new(session: Connection) -> Self {
        let bytes = vec![0; INBOUND_BYTES].into();
        Self {
            session: Mutex::new(session),
            inbound: Mutex::new(Inbound { bytes, start: 0, end: 0 }),
            outbound: Mutex::default(),
        }
    }

    /// Performs the handshake. `before_read` is called before each wait for the peer.
    pub(crate) fn handshake(
        &self,
        socket: &Socket,
        before_read: impl Fn() -> io::Result<()>,
    ) -> io::Result<()> {
        while self.session().is_handshaking() {
            self.flush(socket)?;
            if !self.session().is_handshaking() {
                break;
            }
            before_read()?;
            let mut inbound = self.inbound();
            if inbound.fill(socket)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let outcome = inbound.feed(&mut self.session());
            if outcome.is_err() {
                // The peer is told why; that it can not be told changes nothing.
                let _ = self.flush(socket);
            }
            outcome?;
        }
        self.flush(socket)
    }

    pub(crate) fn peer_certificate(&self) -> Option<CertificateDer<'static>> {
        let session = self.session();
        session.peer_certificates()?.first().map(|certificate| certificate.clone().into_owned())
    }

    pub(crate) fn read(&self, socket: &Socket, buffer: &mut [u8]) -> io::Result<usize> {
        let mut inbound = self.inbound();
        loop {
            let mut session = self.session();
            inbound.feed(&mut session)?;
            match session.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                outcome => return outcome,
            }
            drop(session);
            if inbound.fill(socket)? == 0 {
                // From now on the session tells a proper end from a cut.
                self.session().read_tls(&mut io::empty())?;
                return self.session().reader().read(buffer);
            }
        }
    }

    /// Encrypts some of `slices`; [`Tls::flush`] sends the rest of what it could not send.
    pub(crate) fn write_vectored(
        &self,
        socket: &Socket,
        slices: &[IoSlice<'_>],
    ) -> io::Result<usize> {
        let mut outbound = self.outbound();
        send(&mut outbound, socket)?;
        let mut session = self.session();
        let taken = session.writer().write_vectored(slices)?;
        take_records(&mut session, &mut outbound)?;
        drop(session);
        match send(&mut outbound, socket) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(taken),
        }
    }

    /// Sends all records.
    pub(crate) fn flush(&self, socket: &Socket) -> io::Result<()> {
        let mut outbound = self.outbound();
        send(&mut outbound, socket)?;
        take_records(&mut self.session(), &mut outbound)?;
        send(&mut outbound, socket)
    }

    /// Tells the peer that nothing follows, if it takes that without delay.
    pub(crate) fn close(&self, socket: &Socket) {
        self.session().send_close_notify();
        // The peer sees the end of the socket in any case.
        let _ = self.flush(socket);
    }

    fn session(&self) -> MutexGuard<'_, Connection> {
        self.session.lock().expect(NOT_POISONED)
    }

    fn inbound(&self) -> MutexGuard<'_, Inbound> {
        self.inbound.lock().expect(NOT_POISONED)
    }

    fn outbound(&self) -> MutexGuard<'_, Vec<u8>> {
        self.outbound.lock().expect(NOT_POISONED)
    }
}

const NOT_POISONED: &str = "nothing panics while it holds a session's lock";

impl Inbound {
    /// Reads from the socket once; everything before has been fed.
    fn fill(&mut self, mut socket: &Socket) -> io::Result<usize> {
        (self.start, self.end) = (0, 0);
        self.end = socket.read(&mut self.bytes)?;
        Ok(self.end)
    }

    /// Gives records to the session until it has plain bytes, of which it holds only some.
    fn feed(&mut self, session: &mut Connection) -> io::Result<()> {
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        let mut state = session.process_new_packets().map_err(invalid)?;
        while self.start < self.end && state.plaintext_bytes_to_read() == 0 {
            let mut records = &self.bytes[self.start..self.end];
            let before = records.len();
            session.read_tls(&mut records)?;
            self.start += before - records.len();
            state = session.process_new_packets().map_err(invalid)?;
            if state.peer_has_closed() {
                break;
            }
        }
        Ok(())
    }
}

fn take_records(session: &mut Connection, outbound: &mut Vec<u8>) -> io::Result<()> {
    while session.wants_write() {
        session.write_tls(outbound)?;
    }
    Ok(())
}

fn send(outbound: &mut Vec<u8>, mut socket: &Socket) -> io::Result<()> {
    let mut sent = 0;
    let outcome = loop {
        if sent == outbound.len() {
            break Ok(());
        }
        match socket.write(&outbound[sent..]) {
            Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => sent += written,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => break Err(error),
        }
    };
    outbound.drain(..sent);
    outcome
}
