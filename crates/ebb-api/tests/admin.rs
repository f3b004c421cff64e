//! The admin socket: a refusal reaches whoever still sends.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;
mod plane;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ebb_api::admin::{AdminClient, AdminError, Helpers, ImportCommand, serve_admin};
use plane::Plane;
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::runtime::Runtime;

/// More than both ends of a socket hold.
const LARGE: usize = 16 << 20;
const SMALL: usize = 4096;
const REFUSAL: &str = "there is no such disk";

/// The admin socket of a server; ends when dropped.
struct Admin {
    socket: PathBuf,
    runtime: Runtime,
    _plane: Plane,
    _folder: TempDir,
}

impl Admin {
    fn start() -> Self {
        let (plane, folder) = (Plane::start(), TempDir::new().unwrap());
        let socket = folder.path().join("admin.sock");
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let guard = runtime.enter();
        let listener = UnixListener::bind(&socket).unwrap();
        let helpers = Helpers {
            issue: Arc::new(|_, _| Err("nothing is issued here".into())),
            locate: Arc::new(|_| Err("nothing is anywhere here".into())),
        };
        runtime.spawn(serve_admin(listener, Arc::clone(&plane.control), helpers));
        drop(guard);
        Self { socket, runtime, _plane: plane, _folder: folder }
    }

    fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(&self.socket).unwrap();
        let patience = Some(Duration::from_secs(20));
        stream.set_read_timeout(patience).unwrap();
        stream.set_write_timeout(patience).unwrap();
        stream
    }

    /// What the operator is told of an import of these bytes.
    fn import(&self, image: impl tokio::io::AsyncRead + Unpin + Send + 'static) -> String {
        let command = ImportCommand {
            disk: "d-no-such-disk".into(),
            created_at: "2026-01-01T00:00:00Z".into(),
            name: String::new(),
            category: "standard".into(),
            length_bytes: None,
        };
        let client = AdminClient::new(&self.socket);
        match self.runtime.block_on(client.import(&command, image)) {
            Err(AdminError::Refused(why)) => why,
            other => panic!("not refused but {other:?}"),
        }
    }
}

/// Of an import that is refused before its body is looked at.
fn head(length: usize) -> String {
    let command = common::pct(
        r#"{"disk":"d-no","created_at":"2026-01-01T00:00:00Z","name":"","category":"standard"}"#,
    );
    // Otherwise a body that is there in time is passed over, and the next request is waited for.
    let more = "host: admin\r\nconnection: close";
    format!("POST /import?{command} HTTP/1.1\r\n{more}\r\ncontent-length: {length}\r\n\r\n")
}

#[test]
fn a_client_that_first_sends_all_can_do_so_and_reads_the_refusal() {
    let admin = Admin::start();
    let mut stream = admin.connect();
    stream.write_all(head(LARGE).as_bytes()).unwrap();
    stream.write_all(&vec![7; LARGE]).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains(REFUSAL), "{answer}");
}

#[test]
fn a_body_may_come_after_its_refusal() {
    let admin = Admin::start();
    let mut stream = admin.connect();
    stream.write_all(head(SMALL).as_bytes()).unwrap();
    let mut answer = vec![0];
    stream.read_exact(&mut answer).unwrap();
    stream.write_all(&[7; SMALL]).unwrap();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains(REFUSAL), "{answer}");
}

#[test]
fn an_operator_is_told_the_refusal_however_much_there_is_to_send() {
    let admin = Admin::start();
    for _ in 0..200 {
        assert_eq!(admin.import(&[7; SMALL][..]), REFUSAL);
    }
    for _ in 0..10 {
        assert_eq!(admin.import(tokio::io::repeat(7)), REFUSAL);
    }
}

#[test]
fn an_operator_is_told_the_refusal_before_there_is_anything_to_send() {
    let admin = Admin::start();
    let (silent, _kept) = tokio::io::duplex(1);
    assert_eq!(admin.import(silent), REFUSAL);
}

#[test]
fn a_client_that_goes_on_for_ever_is_let_go() {
    let admin = Admin::start();
    let mut stream = admin.connect();
    stream.write_all(head(usize::MAX).as_bytes()).unwrap();
    let started = Instant::now();
    while stream.write_all(b"7").is_ok() {
        assert!(started.elapsed() < Duration::from_secs(20), "it is still listened to");
        std::thread::sleep(Duration::from_millis(20));
    }
}
