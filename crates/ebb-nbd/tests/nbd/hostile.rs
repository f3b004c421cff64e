//! Input that no honest client sends.

use std::net::Shutdown;
use std::sync::atomic::Ordering;

use ebb_nbd::wire::{
    Choice, Command, MAX_PAYLOAD, MetaQuery, OPTION_MAGIC, OptionHeader, OptionKind, Request,
};
use ebb_nbd::{Exports, Limits};

use crate::fixture::Fixture;

/// All that a client sends in a session with every option and every command.
fn conversation() -> Vec<u8> {
    let mut bytes = 3_u32.to_be_bytes().to_vec();
    let choice = Choice { name: "disk".into(), wants: vec![1, 3] }.encode();
    let query = MetaQuery { name: "disk".into(), queries: vec!["base:allocation".into()] }.encode();
    for (kind, data) in [
        (OptionKind::StartTls, &[][..]),
        (OptionKind::StructuredReply, &[]),
        (OptionKind::List, &[]),
        (OptionKind::ListMetaContext, &query),
        (OptionKind::SetMetaContext, &query),
        (OptionKind::Unknown(99), b"data"),
        (OptionKind::Info, &choice),
        (OptionKind::Go, &choice),
    ] {
        bytes.extend(OptionHeader { kind, length: data.len() as u32 }.encode());
        bytes.extend(data);
    }
    for (cookie, command) in [
        Command::Write,
        Command::Read,
        Command::Flush,
        Command::Trim,
        Command::WriteZeroes,
        Command::Cache,
        Command::BlockStatus,
        Command::Unknown(8),
        Command::Disconnect,
    ]
    .into_iter()
    .enumerate()
    {
        let request = Request { flags: 0, command, cookie: cookie as u64, offset: 5, length: 50 };
        bytes.extend(request.encode());
        if command == Command::Write {
            bytes.extend([7; 50]);
        }
    }
    bytes
}

#[test]
fn every_prefix_of_a_conversation_ends_in_a_close() {
    // A connection that leaked would soon be one of too many.
    let fixture = Fixture::with(Exports::new(), Limits { connections: 3, ..Limits::default() });
    let conversation = conversation();
    for end in 0..=conversation.len() {
        let mut raw = fixture.connect_when_there_is_room();
        raw.send(&conversation[..end]);
        raw.stream.shutdown(Shutdown::Write).unwrap();
        raw.rest();
    }
    assert_eq!(fixture.volume.content()[5..55], [0; 50], "the zeroes came after the write");
    let before = fixture.volume.submitted.load(Ordering::SeqCst);
    fixture.client().flush().unwrap();
    assert_eq!(fixture.volume.submitted.load(Ordering::SeqCst), before + 1);
}

#[test]
fn a_write_that_never_arrives_whole_is_not_made() {
    let fixture = Fixture::new();
    let mut raw = fixture.transmission(false);
    raw.request(Command::Write, 0, 1, 0, 4096);
    raw.send(&[9; 4095]);
    raw.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(raw.rest(), b"");
    assert_eq!(fixture.volume.submitted.load(Ordering::SeqCst), 0);
}

#[test]
fn a_write_over_the_largest_payload_ends_the_connection() {
    let fixture = Fixture::new();
    for length in [MAX_PAYLOAD + 1, u32::MAX] {
        let mut raw = fixture.transmission(true);
        raw.request(Command::Write, 0, 1, 0, length);
        assert_eq!(raw.rest(), b"");
    }
    assert_eq!(fixture.volume.submitted.load(Ordering::SeqCst), 0);
}

#[test]
fn a_request_without_its_magic_number_ends_the_connection_after_the_answers() {
    let fixture = Fixture::new();
    let mut raw = fixture.transmission(false);
    raw.request(Command::Flush, 0, 8, 0, 0);
    raw.send(&[0xaa; 28]);
    assert_eq!(raw.simple_reply().cookie, 8);
    assert_eq!(raw.rest(), b"");
}

#[test]
fn an_option_of_4_gib_is_never_held() {
    // The client promises 4 GiB, sends some, and goes; memory for it would be seen as an abort.
    let fixture = Fixture::new();
    for kind in [7, 1, 12_345_u32] {
        let mut raw = fixture.raw();
        raw.greet(3);
        raw.send(&OPTION_MAGIC.to_be_bytes());
        raw.send(&kind.to_be_bytes());
        raw.send(&u32::MAX.to_be_bytes());
        raw.send(&[0; 100_000]);
        raw.stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(raw.rest(), b"");
    }
    fixture.client().flush().unwrap();
}

#[test]
fn noise_is_survived() {
    let fixture = Fixture::with(Exports::new(), Limits { connections: 3, ..Limits::default() });
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let conversation = conversation();
    for _ in 0..300 {
        let mut bytes = conversation.clone();
        for _ in 0..3 {
            // xorshift: the same noise in every run.
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let at = (seed >> 8) as usize % bytes.len();
            bytes[at] ^= seed as u8;
        }
        let mut raw = fixture.connect_when_there_is_room();
        // The server may have closed before all is sent.
        let _ = std::io::Write::write_all(&mut raw.stream, &bytes);
        let _ = raw.stream.shutdown(Shutdown::Write);
        raw.rest();
    }
    fixture.connect_when_there_is_room();
}
