//! What clients can make the server hold, and what it does about those that hold on to it.

use std::net::Shutdown;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use ebb_nbd::wire::{Choice, Command, OptionKind, rep};
use ebb_nbd::{Exports, Limits};

use crate::fixture::{Fixture, PATIENCE, Raw, SIZE};
use crate::volume::{MemoryVolume, When};

/// Long enough that a thread which could go on would have.
const A_WHILE: Duration = Duration::from_millis(200);

fn fixture(limits: Limits) -> Fixture {
    Fixture::with(Exports::new(), limits)
}

fn wait_until(what: &str, done: impl Fn() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn go(raw: &mut Raw, export: &str) -> u32 {
    raw.option(OptionKind::Go, &Choice { name: export.into(), wants: vec![] }.encode());
    let (kind, _) = raw.option_reply(OptionKind::Go);
    if kind == rep::INFO { raw.option_reply(OptionKind::Go).0 } else { kind }
}

#[test]
fn requests_under_way_are_bounded_over_all_connections() {
    let fixture = fixture(Limits { server_requests_under_way: 3, ..Limits::default() });
    fixture.volume.completes(When::Hold);
    let mut clients: Vec<_> = (0..3).map(|_| fixture.transmission(false)).collect();
    for raw in &mut clients {
        raw.request(Command::Read, 0, 1, 0, 8);
        raw.request(Command::Read, 0, 2, 8, 8);
    }
    fixture.volume.wait_until_held(3);
    thread::sleep(A_WHILE);
    assert_eq!(fixture.volume.submitted.load(Ordering::SeqCst), 3);
    fixture.volume.completes(When::Elsewhere);
    fixture.volume.release();
    for raw in &mut clients {
        for _ in 0..2 {
            assert_eq!(raw.simple_reply().error, None);
            raw.bytes(8);
        }
    }
}

#[test]
fn bytes_under_way_are_bounded_over_all_connections_and_one_may_exceed_them_alone() {
    let fixture = fixture(Limits { server_bytes_under_way: 10_000, ..Limits::default() });
    fixture.volume.completes(When::Hold);
    let mut first = fixture.transmission(false);
    first.request(Command::Read, 0, 1, 0, 20_000);
    fixture.volume.wait_until_held(1);
    // In the order in which they come to wait: the long one is not passed by the short one.
    let mut long = fixture.transmission(false);
    long.request(Command::Read, 0, 2, 0, 9_000);
    thread::sleep(A_WHILE);
    let mut short = fixture.transmission(false);
    short.request(Command::Read, 0, 3, 0, 2_000);
    thread::sleep(A_WHILE);
    assert_eq!(fixture.volume.submitted.load(Ordering::SeqCst), 1);
    fixture.volume.release();
    fixture.volume.wait_until_held(1);
    thread::sleep(A_WHILE);
    assert_eq!(fixture.volume.submitted.load(Ordering::SeqCst), 2);
    fixture.volume.release();
    assert_eq!(long.simple_reply().cookie, 2);
    fixture.volume.wait_until_held(1);
    fixture.volume.release();
    assert_eq!(short.simple_reply().cookie, 3);
}

#[test]
fn a_client_that_takes_no_replies_is_cut_once_others_wait_for_what_it_holds() {
    let stall = Duration::from_millis(300);
    let limits = Limits { server_bytes_under_way: 12 << 20, stall, ..Limits::default() };
    let fixture = fixture(limits);
    let mut stuck = fixture.transmission(false);
    for cookie in 0..100 {
        stuck.request(Command::Read, 0, cookie, 0, SIZE as u32);
    }
    // Nobody waits for anything yet, so it may take its time.
    thread::sleep(4 * stall);
    let mut other = fixture.client();
    for _ in 0..3 {
        other.read(0, &mut vec![0; SIZE]).unwrap();
    }
    assert!(stuck.rest().len() < 100 * SIZE, "it has been served to the end");
}

#[test]
fn a_client_that_sends_half_a_write_is_cut_once_others_wait_for_what_it_holds() {
    let stall = Duration::from_millis(300);
    let fixture = fixture(Limits { server_bytes_under_way: 1 << 20, stall, ..Limits::default() });
    let mut slow = fixture.transmission(false);
    slow.request(Command::Write, 0, 1, 0, SIZE as u32);
    slow.send(&[1; 500_000]);
    thread::sleep(4 * stall);
    slow.send(&[1; 10]);
    fixture.client().read(0, &mut [0; 4096]).unwrap();
    assert_eq!(slow.rest(), b"");
    assert_eq!(fixture.volume.content(), vec![0; SIZE]);
}

#[test]
fn connections_of_one_export_are_bounded_and_the_client_is_told() {
    let fixture = fixture(Limits { connections_per_export: 2, ..Limits::default() });
    fixture.exports.publish("another", MemoryVolume::new(4096));
    let first = fixture.transmission(false);
    let _second = fixture.transmission(false);
    let mut third = fixture.raw();
    third.greet(3);
    assert_eq!(go(&mut third, "disk"), rep::ERR_POLICY);
    assert_eq!(go(&mut third, "another"), rep::ACK, "the refusal ends nothing");
    let mut old = fixture.raw();
    old.greet(3);
    old.option(OptionKind::ExportName, b"disk");
    assert_eq!(old.rest(), b"", "EXPORT_NAME has no refusal");
    drop(first);
    let mut fourth = fixture.raw();
    fourth.greet(3);
    let began = Instant::now();
    while go(&mut fourth, "disk") != rep::ACK {
        assert!(began.elapsed() < PATIENCE, "a connection that has ended keeps its place");
    }
}

#[test]
fn an_idle_connection_is_ended_only_where_that_is_asked_for() {
    let idle = Some(Duration::from_millis(300));
    let fixture = fixture(Limits { idle, ..Limits::default() });
    let mut raw = fixture.transmission(false);
    let began = Instant::now();
    // A request that takes longer is not idleness.
    fixture.volume.completes(When::HoldFlush);
    raw.request(Command::Flush, 0, 1, 0, 0);
    thread::sleep(Duration::from_millis(900));
    fixture.volume.release();
    assert_eq!(raw.simple_reply().cookie, 1);
    raw.request(Command::Read, 0, 2, 0, 0);
    assert_eq!(raw.simple_reply().cookie, 2);
    assert!(began.elapsed() > Duration::from_millis(900));
    let asked = Instant::now();
    assert_eq!(raw.rest(), b"");
    assert!(asked.elapsed() >= Duration::from_millis(250));
}

/// TCP's timer of the server's end of this connection, from `/proc/net/tcp`: `02` is keepalive.
fn keepalive_timer(raw: &Raw) -> String {
    let [server, client] = [raw.stream.peer_addr(), raw.stream.local_addr()]
        .map(|address| format!(":{:04X}", address.unwrap().port()));
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let mut lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let line = lines.find(|line| line[1].ends_with(&server) && line[2].ends_with(&client)).unwrap();
    line[5].to_owned()
}

#[test]
fn tcp_asks_whether_a_silent_client_is_still_there() {
    let fixture = Fixture::new();
    let raw = fixture.transmission(false);
    wait_until("no keepalive timer", || keepalive_timer(&raw).starts_with("02:"));
    // In hundredths of a second, within the minute after which the first probe is due.
    let due = u64::from_str_radix(&keepalive_timer(&raw)[3..], 16).unwrap();
    assert!(due <= 6_000, "{due}");
}

#[test]
fn a_client_that_vanishes_in_a_request_leaves_nothing_behind() {
    let limits = Limits { connections: 4, server_bytes_under_way: 1 << 20, ..Limits::default() };
    let fixture = fixture(limits);
    for _ in 0..40 {
        let mut raw = fixture.transmission_when_there_is_room();
        raw.request(Command::Write, 0, 1, 4096, 100_000);
        raw.send(&[5; 30_000]);
        // One end with a reset, as of a machine that came back without its memory.
        raw.request(Command::Read, 0, 2, 0, 1000);
        raw.stream.shutdown(Shutdown::Both).unwrap();
    }
    // Its share of the budget is free again: this takes all of it.
    let mut other = fixture.transmission_when_there_is_room();
    other.request(Command::Write, 0, 7, 0, SIZE as u32);
    other.send(&vec![3; SIZE]);
    assert_eq!(other.simple_reply().error, None);
    assert!(fixture.volume.content() == vec![3; SIZE]);
    assert_eq!(fixture.volume.submitted.load(Ordering::SeqCst), 1, "half a write was made");
}

#[test]
fn a_client_that_vanishes_before_its_answer_leaves_its_write_whole() {
    let limits = Limits { server_bytes_under_way: 1 << 20, ..Limits::default() };
    let fixture = fixture(limits);
    fixture.volume.completes(When::Hold);
    let mut raw = fixture.transmission(false);
    raw.request(Command::Write, 0, 1, 0, 500_000);
    raw.send(&vec![5; 500_000]);
    fixture.volume.wait_until_held(1);
    drop(raw);
    thread::sleep(Duration::from_millis(50));
    fixture.volume.completes(When::AtOnce);
    fixture.volume.release();
    let content = fixture.volume.content();
    assert!(content[..500_000].iter().all(|byte| *byte == 5));
    assert!(content[500_000..].iter().all(|byte| *byte == 0));
    let mut all = vec![0; SIZE];
    fixture.client().read(0, &mut all).unwrap();
}
