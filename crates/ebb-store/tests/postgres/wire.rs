//! A wire between a store and its server that can be cut and held.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::home::{Home, server};

/// What becomes of what goes over the wire.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Way {
    Open,
    /// Connections are refused, and those that were there are cut.
    Cut,
    /// Nothing arrives at either end, and nothing is closed.
    Held,
    /// Commits arrive, and the wire is cut before the answer.
    CutAfterCommit,
    /// The wire is cut before a commit arrives.
    CutBeforeCommit,
}

pub(crate) struct Wire {
    port: u16,
    state: Arc<State>,
}

struct State {
    way: AtomicU8,
    ended: AtomicBool,
    connections: Mutex<Vec<TcpStream>>,
}

impl State {
    fn is(&self, way: Way) -> bool {
        self.way.load(Ordering::SeqCst) == way as u8
    }

    fn cut(&self) {
        for connection in self.connections.lock().unwrap().drain(..) {
            // It may be closed already.
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

impl Wire {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            way: AtomicU8::new(Way::Open as u8),
            ended: AtomicBool::new(false),
            connections: Mutex::default(),
        });
        let accepting = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if accepting.ended.load(Ordering::SeqCst) {
                    return;
                }
                let stream = stream.unwrap();
                // Dropped, a connection is closed: it is as if it had been refused.
                if !accepting.is(Way::Cut) {
                    join(stream, &accepting);
                }
            }
        });
        Self { port, state }
    }

    /// The address of a schema, by this wire.
    pub(crate) fn to(&self, home: &Home) -> String {
        home.at(&format!("postgres://ebb@127.0.0.1:{}/postgres", self.port))
    }

    pub(crate) fn set(&self, way: Way) {
        self.state.way.store(way as u8, Ordering::SeqCst);
        if way == Way::Cut {
            self.state.cut();
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::SeqCst);
        self.state.cut();
        // So that it looks up.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// The server's socket: the folder and the port in `postgres://ebb@%2Ffolder:port/…`.
fn socket() -> UnixStream {
    let address = server();
    let host = address.split_once('@').unwrap().1.split('/').next().unwrap();
    let (folder, port) = host.rsplit_once(':').unwrap();
    UnixStream::connect(format!("{}/.s.PGSQL.{port}", folder.replace("%2F", "/"))).unwrap()
}

fn join(client: TcpStream, state: &Arc<State>) {
    let server = socket();
    state.connections.lock().unwrap().push(client.try_clone().unwrap());
    let (from_client, to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let (there, back) = (Arc::clone(state), Arc::clone(state));
    let end = server.try_clone().unwrap();
    thread::spawn(move || {
        carry(from_client, to_server, &there, true);
        // Whoever ended it, the server sees an end.
        let _ = end.shutdown(Shutdown::Both);
    });
    thread::spawn(move || {
        carry(server, &client, &back, false);
        let _ = client.shutdown(Shutdown::Both);
    });
}

fn carry(mut from: impl Read, mut to: impl Write, state: &State, to_server: bool) {
    let mut bytes = [0; 8192];
    loop {
        let Ok(length @ 1..) = from.read(&mut bytes) else { break };
        while state.is(Way::Held) && !state.ended.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(5));
        }
        // A simple query: Q, its length, its text.
        let commits = to_server && bytes[0] == b'Q' && bytes[5..length].starts_with(b"COMMIT");
        if commits && state.is(Way::CutBeforeCommit) {
            state.cut();
            break;
        }
        if commits && state.is(Way::CutAfterCommit) {
            // First the answer's way is closed, then the question sent.
            state.cut();
        }
        if pass(&mut to, &bytes[..length]).is_err() {
            break;
        }
    }
}

fn pass(to: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    to.write_all(bytes)?;
    to.flush()
}
