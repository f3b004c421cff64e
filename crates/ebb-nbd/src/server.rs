//! Listeners and the connections they accept.

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::budget::Budget;
use crate::connection;
use crate::exports::Exports;
use crate::limits::Limits;
use crate::link::{Link, STACK_BYTES};
use crate::negotiation::TlsMode;
use crate::registry::Registry;
use crate::security::{Plaintext, TlsServer};
use crate::socket::Socket;
use crate::stream::Stream;

/// How long accepting rests after it failed, for want of file descriptors for one.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves the exports of one table on any number of sockets. Dropping it cuts every connection.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    listening: Mutex<Vec<Listening>>,
}

#[derive(Debug)]
struct Shared {
    exports: Arc<Exports>,
    limits: Limits,
    connections: Arc<Registry>,
    budget: Arc<Budget>,
    stopping: AtomicBool,
}

#[derive(Debug)]
struct Listening {
    /// A second handle on the listening socket, to shut it down.
    socket: TcpStream,
    thread: JoinHandle<()>,
}

enum Listener {
    Tcp(TcpListener, Option<(TlsServer, Plaintext)>),
    Unix(UnixListener),
}

/// What a connection may use of TLS, and whether it must.
#[derive(Debug, Clone)]
pub(crate) enum Security {
    Plain,
    Offered(TlsServer),
    Required(TlsServer),
}

impl Security {
    pub(crate) fn mode(&self) -> TlsMode {
        match self {
            Self::Plain => TlsMode::Absent,
            Self::Offered(_) => TlsMode::Offered,
            Self::Required(_) => TlsMode::Required,
        }
    }
}

impl Server {
    /// A server that listens nowhere yet.
    #[must_use]
    pub fn start(exports: Arc<Exports>, limits: Limits) -> Self {
        let shared = Shared {
            exports,
            limits,
            connections: Arc::default(),
            budget: Arc::new(Budget::new(&limits)),
            stopping: AtomicBool::new(false),
        };
        Self { shared: Arc::new(shared), listening: Mutex::default() }
    }

    /// Accepts connections from `listener`, on a thread of its own, and knows no TLS. Whether
    /// that may be is the caller's to decide.
    ///
    /// # Errors
    /// Where the socket can not be duplicated or the thread not be started.
    pub fn listen_tcp(&self, listener: TcpListener) -> io::Result<()> {
        let socket = listener.try_clone()?.into();
        self.listen(Listener::Tcp(listener, None), socket)
    }

    /// Accepts connections from `listener`, on a thread of its own, offers TLS, and insists on it
    /// where `plaintext` does not allow to go without.
    ///
    /// # Errors
    /// Where the socket can not be duplicated or the thread not be started.
    pub fn listen_tls(
        &self,
        listener: TcpListener,
        tls: TlsServer,
        plaintext: Plaintext,
    ) -> io::Result<()> {
        let socket = listener.try_clone()?.into();
        self.listen(Listener::Tcp(listener, Some((tls, plaintext))), socket)
    }

    /// Accepts connections from `listener`, on a thread of its own. The socket's file stays the
    /// caller's to remove.
    ///
    /// # Errors
    /// Where the socket can not be duplicated or the thread not be started.
    pub fn listen_unix(&self, listener: UnixListener) -> io::Result<()> {
        let socket = listener.try_clone()?.into();
        self.listen(Listener::Unix(listener), socket)
    }

    /// Stops accepting and ends every connection as [`Exports::withdraw`] does, cutting those that
    /// still have something under way after `deadline`. Idle connections do not delay it. Returns
    /// at the latest about one second after the deadline.
    pub fn shutdown(&self, deadline: Duration) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        let listening = std::mem::take(&mut *self.listening());
        for Listening { socket, thread } in listening {
            // On Linux this wakes a thread that waits in accept, and refuses further clients.
            // Where it fails, the socket was no longer listening.
            let _ = socket.shutdown(Shutdown::Both);
            drop(socket);
            if thread.join().is_err() {
                tracing::error!("a thread that accepts NBD connections has panicked");
            }
        }
        let remaining = self.shared.connections.close(deadline);
        if remaining > 0 {
            tracing::warn!(remaining, "cut connections await the volume");
        }
    }

    fn listen(&self, listener: Listener, socket: OwnedFd) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        let thread = thread::Builder::new()
            .name("nbd-accept".into())
            .stack_size(STACK_BYTES)
            .spawn(move || shared.accept_until_stopped(&listener))?;
        // The type says TCP, but shutdown is the same call for every kind of socket.
        self.listening().push(Listening { socket: TcpStream::from(socket), thread });
        Ok(())
    }

    fn listening(&self) -> std::sync::MutexGuard<'_, Vec<Listening>> {
        self.listening.lock().expect("nothing panics while it holds the list of listeners")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown(Duration::ZERO);
    }
}

impl Listener {
    fn accept(&self) -> io::Result<(Stream, Security)> {
        match self {
            Self::Tcp(listener, tls) => {
                let (stream, peer) = listener.accept()?;
                let security = match tls {
                    None => Security::Plain,
                    Some((tls, plaintext)) if plaintext.allows(peer.ip()) => {
                        Security::Offered(tls.clone())
                    }
                    Some((tls, _)) => Security::Required(tls.clone()),
                };
                Ok((Stream::new(Socket::tcp(stream)?), security))
            }
            // Its file's mode says who may use it.
            Self::Unix(listener) => {
                Ok((Stream::new(Socket::Unix(listener.accept()?.0)), Security::Plain))
            }
        }
    }
}

impl Shared {
    fn accept_until_stopped(self: &Arc<Self>, listener: &Listener) {
        loop {
            let accepted = listener.accept();
            if self.stopping.load(Ordering::SeqCst) {
                return;
            }
            match accepted {
                Ok((stream, security)) => self.connect(stream, security),
                Err(error) => {
                    tracing::warn!(%error, "an NBD connection could not be accepted");
                    thread::sleep(ACCEPT_PAUSE);
                }
            }
        }
    }

    fn connect(self: &Arc<Self>, stream: Stream, security: Security) {
        let link = Arc::new(Link::new(stream, &self.limits, Arc::clone(&self.budget)));
        let Ok(entry) = self.connections.enter(&link, self.limits.connections) else {
            tracing::warn!(limit = self.limits.connections, "an NBD connection is one too many");
            return;
        };
        let shared = Arc::clone(self);
        let started =
            thread::Builder::new().name("nbd".into()).stack_size(STACK_BYTES).spawn(move || {
                connection::serve(link, &security, &shared.exports, &shared.limits);
                drop(entry);
            });
        if let Err(error) = started {
            tracing::error!(%error, "an NBD connection gets no thread");
        }
    }
}
