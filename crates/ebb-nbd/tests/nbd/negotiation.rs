//! Option haggling, byte by byte.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use ebb_nbd::wire::{
    Choice, Command, OPTION_MAGIC, OptionKind, decode_server, info, rep,
    transmission_flags as flags,
};
use ebb_nbd::{Exports, Limits};

use crate::fixture::{Fixture, SIZE};
use crate::volume::MemoryVolume;

const ALWAYS: u16 = flags::HAS_FLAGS
    | flags::SEND_FLUSH
    | flags::SEND_FUA
    | flags::SEND_TRIM
    | flags::SEND_WRITE_ZEROES
    | flags::SEND_CACHE
    | flags::SEND_FAST_ZERO
    | flags::CAN_MULTI_CONN;

fn choice(name: &str, wants: &[u16]) -> Vec<u8> {
    Choice { name: name.into(), wants: wants.to_vec() }.encode()
}

fn export_fact(flags: u16) -> Vec<u8> {
    [&[0, 0][..], &(SIZE as u64).to_be_bytes(), &flags.to_be_bytes()].concat()
}

#[test]
fn export_name_sends_zeroes_unless_the_client_wants_none() {
    let fixture = Fixture::new();
    for (client_flags, zeroes) in [(0, 124), (1, 124), (3, 0), (2, 0)] {
        let mut raw = fixture.raw();
        raw.greet(client_flags);
        raw.option(OptionKind::ExportName, b"disk");
        assert_eq!(u64::from_be_bytes(raw.array()), SIZE as u64);
        assert_eq!(u16::from_be_bytes(raw.array()), ALWAYS);
        assert_eq!(raw.bytes(zeroes), vec![0; zeroes as usize]);
        raw.request(Command::Flush, 0, 5, 0, 0);
        assert_eq!(raw.simple_reply().cookie, 5);
    }
}

#[test]
fn an_export_name_that_is_not_there_ends_the_session() {
    let fixture = Fixture::new();
    for name in [&b"nothing"[..], b"", b"\xff\xfe"] {
        let mut raw = fixture.raw();
        raw.greet(3);
        raw.option(OptionKind::ExportName, name);
        assert_eq!(raw.rest(), b"");
    }
}

#[test]
fn options_that_are_refused_do_not_end_the_session() {
    let fixture = Fixture::new();
    let mut raw = fixture.raw();
    raw.greet(3);
    for (kind, data, reply) in [
        (OptionKind::StartTls, &b""[..], rep::ERR_UNSUP),
        (OptionKind::Unknown(4), b"", rep::ERR_UNSUP),
        (OptionKind::Unknown(12), b"", rep::ERR_UNSUP),
        (OptionKind::ExtendedHeaders, b"data", rep::ERR_INVALID),
        (OptionKind::Unknown(0xffff_ffff), b"some data", rep::ERR_UNSUP),
        (OptionKind::List, b"data", rep::ERR_INVALID),
        (OptionKind::StructuredReply, b"data", rep::ERR_INVALID),
        (OptionKind::Go, b"", rep::ERR_INVALID),
        (OptionKind::Go, &[255; 20], rep::ERR_INVALID),
        (OptionKind::Info, &choice("other", &[]), rep::ERR_UNKNOWN),
        (OptionKind::Go, &choice("other", &[]), rep::ERR_UNKNOWN),
        (OptionKind::Go, &choice("", &[]), rep::ERR_UNKNOWN),
        (OptionKind::Unknown(77), &[0; 65_537], rep::ERR_TOO_BIG),
        (OptionKind::Go, &[0; 300_000], rep::ERR_TOO_BIG),
    ] {
        assert_eq!(raw.ask(kind, data).0, reply, "{kind:?}");
    }
    raw.option(OptionKind::Go, &choice("disk", &[]));
    assert_eq!(raw.option_reply(OptionKind::Go), (rep::INFO, export_fact(ALWAYS)));
    assert_eq!(raw.option_reply(OptionKind::Go), (rep::ACK, vec![]));
    raw.request(Command::Flush, 0, 1, 0, 0);
    assert_eq!(raw.simple_reply().error, None);
}

#[test]
fn info_tells_what_is_asked_and_go_enters() {
    let fixture = Fixture::new();
    let mut raw = fixture.raw();
    raw.greet(3);
    assert_eq!(raw.ask(OptionKind::StructuredReply, &[]).0, rep::ACK);
    for kind in [OptionKind::Info, OptionKind::Go] {
        raw.option(kind, &choice("disk", &[info::BLOCK_SIZE, info::NAME, 4711]));
        assert_eq!(raw.option_reply(kind), (rep::INFO, export_fact(ALWAYS | flags::SEND_DF)));
        assert_eq!(raw.option_reply(kind), (rep::INFO, b"\0\x01disk".to_vec()));
        let sizes = [0, 3, 0, 0, 2, 0, 0, 0, 16, 0, 2, 0, 0, 0];
        assert_eq!(raw.option_reply(kind), (rep::INFO, sizes.to_vec()));
        assert_eq!(raw.option_reply(kind), (rep::ACK, vec![]));
    }
    raw.request(Command::Flush, 0, 1, 0, 0);
    assert_eq!(raw.simple_reply().error, None);
}

#[test]
fn list_names_every_export() {
    let fixture = Fixture::new();
    fixture.exports.publish("another", MemoryVolume::new(4096));
    let mut raw = fixture.raw();
    raw.greet(3);
    raw.option(OptionKind::List, &[]);
    for expected in ["another", "disk"] {
        let (kind, data) = raw.option_reply(OptionKind::List);
        assert_eq!((kind, decode_server(&data)), (rep::SERVER, Ok(expected)));
    }
    assert_eq!(raw.option_reply(OptionKind::List), (rep::ACK, vec![]));
}

#[test]
fn abort_is_answered_and_ends() {
    let fixture = Fixture::new();
    let mut raw = fixture.raw();
    raw.greet(3);
    assert_eq!(raw.ask(OptionKind::Abort, &[]).0, rep::ACK);
    assert_eq!(raw.rest(), b"");
}

#[test]
fn what_has_no_possible_answer_ends_the_session() {
    let fixture = Fixture::new();
    let mut unknown_flag = fixture.raw();
    unknown_flag.greet(7);
    assert_eq!(unknown_flag.rest(), b"");

    let mut not_fixed = fixture.raw();
    not_fixed.greet(0);
    not_fixed.option(OptionKind::List, &[]);
    assert_eq!(not_fixed.rest(), b"");

    let mut bad_magic = fixture.raw();
    bad_magic.greet(3);
    bad_magic.send(&[&(OPTION_MAGIC + 1).to_be_bytes()[..], &[0; 8]].concat());
    assert_eq!(bad_magic.rest(), b"");

    let mut long_name = fixture.raw();
    long_name.greet(3);
    long_name.option(OptionKind::ExportName, &[b'x'; 70_000]);
    assert_eq!(long_name.rest(), b"");
}

#[test]
fn a_client_that_dawdles_is_let_go() {
    let handshake = Duration::from_millis(300);
    let fixture = Fixture::with(Exports::new(), Limits { handshake, ..Limits::default() });
    let mut silent = fixture.raw();
    let began = Instant::now();
    let mut dripping = fixture.raw();
    dripping.greet(3);
    // One byte now and then of an option that is never complete.
    let drips = (0..60).take_while(|_| {
        std::thread::sleep(Duration::from_millis(50));
        std::io::Write::write_all(&mut dripping.stream, b"I").is_ok()
    });
    assert!(drips.count() < 59, "each byte has bought more time");
    assert_eq!(silent.rest().len(), 18, "the greeting alone");
    assert!(began.elapsed() >= handshake);

    // A client in transmission may be idle for longer.
    let mut idle = fixture.transmission(false);
    std::thread::sleep(2 * handshake);
    idle.request(Command::Flush, 0, 1, 0, 0);
    assert_eq!(idle.simple_reply().error, None);
}

#[test]
fn a_connection_too_many_is_closed_and_makes_room_again() {
    let fixture = Fixture::with(Exports::new(), Limits { connections: 2, ..Limits::default() });
    let first = fixture.transmission(false);
    let _second = fixture.transmission(false);
    assert_eq!(fixture.raw().rest(), b"");
    drop(first);
    fixture.connect_when_there_is_room();
}

#[test]
fn one_table_may_be_served_by_two_listeners() {
    let fixture = Fixture::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    fixture.server.listen_tcp(listener).unwrap();
    fixture.client().write(0, b"here").unwrap();
    let mut read = [0; 4];
    ebb_nbd::client::Client::connect_tcp(address, "disk").unwrap().read(0, &mut read).unwrap();
    assert_eq!(&read, b"here");
}
