//! The life of the server and of its connections.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use common::{Answer, Server, V1};
use ebb_api::Nonces;

#[test]
fn health_is_told_without_a_signature() {
    let server = Server::start();
    let answer = server.raw(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!((answer.status, answer.body.as_str()), (200, "ok\n"));
    let sick = Server::with(None, Nonces::in_memory(), Err("NBD is down".to_owned()));
    let answer = sick.raw(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!((answer.status, answer.body.as_str()), (503, "NBD is down\n"));
    let answer = server.raw(b"POST /healthz HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(answer.outcome(), (404, "InvalidAction.NotFound".to_owned()));
}

#[test]
fn a_connection_serves_many_requests() {
    let server = Server::start();
    let mut stream = server.connect();
    for _ in 0..3 {
        stream.write_all(&V1::new("Echo", &[]).bytes()).unwrap();
        assert_eq!(Answer::read(&mut stream).status, 200);
        stream.write_all(&V1::new("NeedsDisk", &[]).bytes()).unwrap();
        assert_eq!(Answer::read(&mut stream).status, 400);
    }
}

#[test]
fn a_panic_is_an_internal_error_and_the_server_goes_on() {
    let server = Server::start();
    let mut stream = server.connect();
    stream.write_all(&V1::new("Panic", &[]).bytes()).unwrap();
    let answer = Answer::read(&mut stream);
    assert_eq!(answer.outcome(), (500, "InternalError".to_owned()));
    let message = "The request processing has failed due to some unknown error.";
    assert_eq!(answer.json()["Message"], message);
    stream.write_all(&V1::new("Echo", &[]).bytes()).unwrap();
    assert_eq!(Answer::read(&mut stream).status, 200);
}

#[test]
fn at_the_end_idle_connections_close_at_once() {
    let mut server = Server::start();
    let mut fresh = server.connect();
    let mut half = server.connect();
    half.write_all(b"GET / HTTP/1.1\r\nHo").unwrap();
    let mut used = server.connect();
    used.write_all(&V1::new("Echo", &[]).bytes()).unwrap();
    assert_eq!(Answer::read(&mut used).status, 200);
    let started = Instant::now();
    server.join();
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    assert_eq!(used.read(&mut [0]).unwrap(), 0);
    // With half a request unread, the kernel may say so with a reset.
    for stream in [&mut fresh, &mut half] {
        assert!(matches!(stream.read(&mut [0]), Ok(0) | Err(_)));
    }
    assert!(std::net::TcpStream::connect(server.address).is_err());
}

#[test]
fn at_the_end_requests_under_way_are_answered() {
    let mut server = Server::start();
    let mut stream = server.connect();
    stream.write_all(&V1::new("Sleep", &[("Milliseconds", "1000")]).bytes()).unwrap();
    while server.calls() == 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    server.signal();
    let answer = Answer::read(&mut stream);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["connection"], "close");
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    let started = Instant::now();
    server.join();
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
}

#[test]
fn at_the_end_a_body_that_does_not_come_is_not_waited_for_for_ever() {
    let mut server = Server::start();
    let mut stream = server.connect();
    let head = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\
                Content-Type: application/x-www-form-urlencoded\r\n\r\na";
    stream.write_all(head.as_bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let started = Instant::now();
    server.join();
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[test]
fn many_at_once() {
    let server = Server::start();
    std::thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| {
                let mut stream = server.connect();
                for _ in 0..20 {
                    stream.write_all(&V1::new("Echo", &[]).bytes()).unwrap();
                    assert_eq!(Answer::read(&mut stream).status, 200);
                }
            });
        }
    });
    assert_eq!(server.calls(), 32 * 20);
}
