//! Extended headers: lengths of 64 bits in requests and replies.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ebb_nbd::client::{Client, ClientOptions};
use ebb_nbd::wire::{
    Choice, ChunkKind, Command, Errno, ErrorChunk, Framing, MAX_PAYLOAD, MetaQuery, OptionKind,
    Request, command_flags as flag, rep,
};
use ebb_nbd::{Exports, Limits, Server};
use ebb_volume::{Engine, MemoryEngine, OpId, VolumeId};

use crate::fixture::{Fixture, Raw, SIZE};

const EXTENDED: ClientOptions = ClientOptions { extended: true, tls: None };

fn send(raw: &mut Raw, flags: u16, command: Command, offset: u64, length: u64) {
    raw.send(&Request { flags, command, cookie: 5, offset, length }.encode_extended());
}

fn error(raw: &mut Raw, offset: u64) -> Errno {
    let (chunk, payload) = raw.extended_chunk(offset);
    assert!(matches!(chunk.kind, ChunkKind::Error | ChunkKind::ErrorOffset), "{chunk:?}");
    ErrorChunk::decode(chunk.kind, &payload).unwrap().error
}

#[test]
fn what_is_written_is_read() {
    let fixture = Fixture::new();
    let mut client = Client::connect_tcp_with(fixture.address, "disk", &EXTENDED).unwrap();
    assert_eq!(client.framing(), Framing::Extended);
    let data: Vec<u8> = (0..200_000_u32).map(|index| (index % 251) as u8).collect();
    client.write(4097, &data).unwrap();
    client.write_durably(10, b"head").unwrap();
    client.cache(0, 4096).unwrap();
    client.flush().unwrap();
    let mut read = vec![0; data.len()];
    client.read(4097, &mut read).unwrap();
    assert!(read == data);
    client.write_zeroes(4097, 1000).unwrap();
    assert!(client.read(SIZE as u64, &mut [0; 1]).is_err());
    client.read(5096, &mut read[..2]).unwrap();
    assert_eq!(read[..2], [0, data[1000]]);
    client.disconnect().unwrap();
}

#[test]
fn ranges_beyond_4_gib_are_one_request() {
    const GIB: u64 = 1 << 30;
    let engine = MemoryEngine::new();
    engine.create_volume(OpId([1; 16]), VolumeId(1), 6 << 40, None).unwrap();
    let exports = Arc::new(Exports::new());
    exports.publish("disk", engine.open(VolumeId(1), None).unwrap());
    let server = Server::start(exports, Limits::default());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    server.listen_tcp(listener).unwrap();

    let mut client = Client::connect_tcp_with(address, "disk", &EXTENDED).unwrap();
    assert_eq!(client.size_bytes(), 6 << 40);
    let marks = [0, 4 * GIB + 4096, 9 * GIB, 5 << 40];
    let clear = |client: &mut Client, zero: bool| {
        for at in marks {
            client.write(at, &[7; 4096]).unwrap();
        }
        let outcome =
            if zero { client.write_zeroes(4096, 10 * GIB) } else { client.trim(4096, 10 * GIB) };
        outcome.unwrap();
        let mut first_bytes = [0; 4];
        for (index, at) in marks.into_iter().enumerate() {
            client.read(at, &mut first_bytes[index..=index]).unwrap();
        }
        first_bytes
    };
    assert_eq!(clear(&mut client, true), [7, 0, 0, 7]);
    assert_eq!(clear(&mut client, false), [7, 0, 0, 7]);
    assert!(client.trim(0, u64::MAX).is_err());
    assert!(client.write_zeroes(4096, u64::MAX).is_err());
    assert_eq!(clear(&mut client, true), [7, 0, 0, 7]);
}

#[test]
fn every_reply_has_the_extended_header() {
    let fixture = Fixture::new();
    let mut raw = fixture.extended();
    send(&mut raw, flag::PAYLOAD_LEN | flag::FUA, Command::Write, 100, 7);
    raw.send(b"content");
    assert_eq!(raw.extended_chunk(100).0.kind, ChunkKind::None);
    send(&mut raw, flag::DF, Command::Read, 100, 7);
    let (chunk, payload) = raw.extended_chunk(100);
    assert_eq!((chunk.kind, chunk.cookie), (ChunkKind::OffsetData, 5));
    assert_eq!(payload, b"\0\0\0\0\0\0\0\x64content");
    for command in [Command::Flush, Command::Trim, Command::Cache, Command::WriteZeroes] {
        let length = if command == Command::Flush { 0 } else { 4096 };
        send(&mut raw, 0, command, 0, length);
        assert_eq!(raw.extended_chunk(0).0.kind, ChunkKind::None, "{command:?}");
    }
    for (flags, command, length, expected) in [
        (0, Command::Read, u64::from(MAX_PAYLOAD) + 1, Errno::Inval),
        (0, Command::Read, (1 << 32) + 7, Errno::Inval),
        (0, Command::Trim, 1 << 40, Errno::Inval),
        (0, Command::WriteZeroes, u64::MAX, Errno::NoSpc),
        (0, Command::Cache, u64::MAX, Errno::Inval),
        (0, Command::Unknown(77), u64::MAX, Errno::Inval),
    ] {
        send(&mut raw, flags, command, 100, length);
        assert_eq!(error(&mut raw, 100), expected, "{command:?} {length}");
    }
}

#[test]
fn a_payload_nobody_asked_for_is_read_away_and_refused() {
    let fixture = Fixture::new();
    let mut raw = fixture.extended();
    let submitted = || fixture.volume.submitted.load(Ordering::SeqCst);
    for command in [Command::Read, Command::Trim, Command::Flush, Command::Unknown(9)] {
        send(&mut raw, flag::PAYLOAD_LEN, command, 0, 10_000);
        raw.send(&[0x21; 10_000]);
        assert_eq!(error(&mut raw, 0), Errno::Inval);
    }
    assert_eq!(submitted(), 0);
    send(&mut raw, 0, Command::Flush, 0, 0);
    assert_eq!(raw.extended_chunk(0).0.kind, ChunkKind::None);
}

#[test]
fn what_can_not_be_followed_ends_the_connection() {
    let fixture = Fixture::new();
    for (flags, command, length) in [
        (0, Command::Write, 100),
        (flag::PAYLOAD_LEN, Command::Write, u64::from(MAX_PAYLOAD) + 1),
        (flag::PAYLOAD_LEN, Command::Write, (1 << 32) + 1),
        (flag::PAYLOAD_LEN, Command::Read, u64::MAX),
    ] {
        let mut raw = fixture.extended();
        send(&mut raw, flags, command, 0, length);
        assert_eq!(raw.rest(), b"", "{command:?} {length}");
    }
    let mut compact = fixture.extended();
    compact.request(Command::Flush, 0, 1, 0, 0);
    compact.send(&[0; 4]);
    assert_eq!(compact.rest(), b"");
    assert_eq!(fixture.volume.submitted.load(Ordering::SeqCst), 0);
}

#[test]
fn extended_headers_are_agreed_on_once_and_take_precedence() {
    let fixture = Fixture::new();
    let mut raw = fixture.raw();
    raw.greet(3);
    assert_eq!(raw.ask(OptionKind::StructuredReply, &[]).0, rep::ACK);
    assert_eq!(raw.ask(OptionKind::ExtendedHeaders, &[]).0, rep::ACK);
    assert_eq!(raw.ask(OptionKind::ExtendedHeaders, &[]).0, rep::ERR_INVALID);
    assert_eq!(raw.ask(OptionKind::StructuredReply, &[]).0, rep::ERR_EXT_HEADER_REQD);
    let query = MetaQuery { name: "disk".into(), queries: vec![] }.encode();
    assert_eq!(raw.ask(OptionKind::SetMetaContext, &query).0, rep::ACK);
    let choice = Choice { name: "disk".into(), wants: vec![] }.encode();
    raw.option(OptionKind::Go, &choice);
    raw.option_reply(OptionKind::Go);
    assert_eq!(raw.option_reply(OptionKind::Go).0, rep::ACK);
    send(&mut raw, 0, Command::Flush, 0, 0);
    assert_eq!(raw.extended_chunk(0).0.kind, ChunkKind::None);

    let mut old = fixture.raw();
    old.greet(3);
    assert_eq!(old.ask(OptionKind::ExtendedHeaders, &[]).0, rep::ACK);
    old.option(OptionKind::ExportName, b"disk");
    assert_eq!(old.rest(), b"", "EXPORT_NAME is not for clients with extended headers");
}
