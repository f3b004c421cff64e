//! Metadata contexts, block status, and holes in reads.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ebb_nbd::wire::{
    ChunkKind, Command, Descriptor, Errno, ErrorChunk, MetaQuery, OPTION_MAGIC, OptionKind,
    Request, command_flags as flag, decode_meta_context, decode_status, rep, state,
};
use ebb_nbd::{Exports, Limits, Server};
use ebb_volume::{Engine, IoError, MemoryEngine, OpId, SnapshotId, SnapshotNames, VolumeId};

use crate::fixture::{Fixture, Raw, SIZE};
use crate::volume::{EMPTY, MemoryVolume, When};

const HOLE: u32 = state::HOLE | state::ZERO;
const GIB: u64 = 1 << 30;

fn query(name: &str, queries: &[&str]) -> Vec<u8> {
    let queries = queries.iter().map(|query| (*query).to_owned()).collect();
    MetaQuery { name: name.into(), queries }.encode()
}

/// The contexts in the replies to an option, or its error.
fn contexts(raw: &mut Raw, kind: OptionKind, data: &[u8]) -> Result<Vec<(u32, String)>, u32> {
    raw.option(kind, data);
    let mut contexts = Vec::new();
    loop {
        match raw.option_reply(kind) {
            (rep::ACK, _) => return Ok(contexts),
            (rep::META_CONTEXT, data) => {
                let (id, name) = decode_meta_context(&data).unwrap();
                contexts.push((id, name.to_owned()));
            }
            (error, _) => return Err(error),
        }
    }
}

/// The states that a reply tells, with their lengths.
fn status(raw: &mut Raw) -> Vec<(u64, u32)> {
    let (chunk, payload) = raw.chunk();
    assert_eq!((chunk.kind, chunk.done), (ChunkKind::BlockStatus, true));
    told(&payload, false)
}

fn told(payload: &[u8], extended: bool) -> Vec<(u64, u32)> {
    let (context, told) = decode_status(payload, extended).unwrap();
    assert_eq!(context, 1);
    told.into_iter().map(|Descriptor { length, state }| (length, state)).collect()
}

#[test]
fn contexts_are_listed_and_chosen() {
    use OptionKind::{ListMetaContext as List, SetMetaContext as Set};
    let fixture = Fixture::new();
    let mut raw = fixture.raw();
    raw.greet(3);
    for kind in [List, Set] {
        let early = contexts(&mut raw, kind, &query("disk", &["base:allocation"]));
        assert_eq!(early, Err(rep::ERR_INVALID), "structured replies first");
    }
    assert_eq!(raw.ask(OptionKind::StructuredReply, &[]).0, rep::ACK);
    let name = || "base:allocation".to_owned();
    for (kind, queries, expected) in [
        (List, &[][..], Ok(vec![(0, name())])),
        (List, &["base:"], Ok(vec![(0, name())])),
        (List, &["base:allocation"], Ok(vec![(0, name())])),
        (List, &["qemu:dirty-bitmap:x", "base:other", "base:allocation "], Ok(vec![])),
        (List, &["base"], Err(rep::ERR_INVALID)),
        (List, &[""], Err(rep::ERR_INVALID)),
        (Set, &[], Ok(vec![])),
        (Set, &["base:"], Ok(vec![])),
        (Set, &["base:allocation"], Ok(vec![(1, name())])),
        (Set, &["x:y", "base:allocation", "base:allocation"], Ok(vec![(1, name())])),
        (Set, &["qemu:allocation-depth"], Ok(vec![])),
        (Set, &["allocation"], Err(rep::ERR_INVALID)),
    ] {
        assert_eq!(contexts(&mut raw, kind, &query("disk", queries)), expected, "{queries:?}");
        let unknown = contexts(&mut raw, kind, &query("other", queries));
        assert_eq!(unknown, Err(rep::ERR_UNKNOWN));
        assert_eq!(contexts(&mut raw, kind, b"junk"), Err(rep::ERR_INVALID));
    }
}

/// Two snapshots, of which the volume knows one.
struct Names;

impl SnapshotNames for Names {
    fn names(&self) -> Vec<String> {
        ["s-empty", "s-gone"].map(str::to_owned).to_vec()
    }

    fn find(&self, name: &str) -> Option<SnapshotId> {
        match name {
            "s-empty" => Some(EMPTY),
            "s-gone" => Some(SnapshotId(8)),
            _ => None,
        }
    }
}

fn with_names() -> Fixture {
    let fixture = Fixture::new();
    fixture.exports.publish_with("disk", fixture.volume.clone(), Arc::new(Names), None);
    fixture
}

const EMPTY_NAME: &str = "ebbtide:changed:s-empty";
const GONE_NAME: &str = "ebbtide:changed:s-gone";

#[test]
fn snapshots_are_listed_and_chosen_by_name() {
    use OptionKind::{ListMetaContext as List, SetMetaContext as Set};
    let fixture = with_names();
    let mut raw = fixture.raw();
    raw.greet(3);
    assert_eq!(raw.ask(OptionKind::StructuredReply, &[]).0, rep::ACK);
    let stored = "base:allocation";
    let many: Vec<String> = (0..1000).map(|n| format!("ebbtide:changed:s-{n}")).collect();
    let many: Vec<&str> = many.iter().map(|name| &**name).chain([GONE_NAME, stored]).collect();
    for (kind, queries, expected) in [
        (List, &[][..], &[stored, EMPTY_NAME, GONE_NAME][..]),
        (List, &["ebbtide:"], &[EMPTY_NAME, GONE_NAME]),
        (List, &["ebbtide:changed:"], &[EMPTY_NAME, GONE_NAME]),
        (List, &[GONE_NAME], &[GONE_NAME]),
        (List, &["ebbtide:changed:s-other", "ebbtide:other:", "ebb:"], &[]),
        (Set, &["ebbtide:changed:"], &[]),
        (Set, &[EMPTY_NAME, "ebbtide:changed:s-other", stored], &[EMPTY_NAME, stored]),
        (Set, &many, &[GONE_NAME, stored]),
    ] {
        let found = contexts(&mut raw, kind, &query("disk", queries)).unwrap();
        let (ids, names): (Vec<u32>, Vec<String>) = found.into_iter().unzip();
        assert_eq!(names, expected, "{queries:?}");
        let expected: Vec<u32> = (1..).zip(&names).map(|(n, _)| n).collect();
        assert!(ids == expected || (kind == List && ids.iter().all(|id| *id == 0)));
    }
}

#[test]
fn each_chosen_context_has_a_chunk() {
    let fixture = with_names();
    fixture.client().write(8192, &[1; 4096]).unwrap();
    let rest = SIZE as u64 - 12_288;
    for framing in [OptionKind::StructuredReply, OptionKind::ExtendedHeaders] {
        let extended = framing == OptionKind::ExtendedHeaders;
        let mut raw = fixture.raw();
        raw.greet(3);
        assert_eq!(raw.ask(framing, &[]).0, rep::ACK);
        let wanted = query("disk", &[EMPTY_NAME, "base:allocation"]);
        contexts(&mut raw, OptionKind::SetMetaContext, &wanted).unwrap();
        let mut raw = raw.go();
        let mut ask = |flags: u16| {
            let request = Request {
                flags,
                command: Command::BlockStatus,
                cookie: 5,
                offset: 0,
                length: SIZE as u64,
            };
            match extended {
                true => raw.send(&request.encode_extended()),
                false => raw.send(&request.encode()),
            }
            let (mut all, mut done) = (Vec::new(), false);
            while !done {
                let (chunk, payload) =
                    if extended { raw.next_extended_chunk(0) } else { raw.chunk() };
                let (context, told) = decode_status(&payload, extended).unwrap();
                let told: Vec<_> = told.iter().map(|d| (d.length, d.state)).collect();
                all.push((context, told));
                done = chunk.done;
            }
            all
        };
        let changed = vec![(8192, 0), (4096, state::DIFFERS), (rest, 0)];
        let stored = vec![(8192, HOLE), (4096, 0), (rest, HOLE)];
        assert_eq!(ask(0), [(1, changed), (2, stored)]);
        assert_eq!(ask(flag::REQ_ONE), [(1, vec![(8192, 0)]), (2, vec![(8192, HOLE)])]);
    }
}

#[test]
fn a_snapshot_that_is_gone_is_an_error_of_the_request() {
    let fixture = with_names();
    let mut raw = fixture.raw();
    raw.greet(3);
    assert_eq!(raw.ask(OptionKind::StructuredReply, &[]).0, rep::ACK);
    contexts(&mut raw, OptionKind::SetMetaContext, &query("disk", &[GONE_NAME])).unwrap();
    let mut raw = raw.go();
    raw.request(Command::BlockStatus, 0, 1, 0, 4096);
    let (chunk, payload) = raw.chunk();
    let error = ErrorChunk::decode(chunk.kind, &payload).unwrap();
    assert_eq!((error.error, chunk.done), (Errno::Inval, true));
    raw.request(Command::Flush, 0, 2, 0, 0);
    assert_eq!(raw.simple_reply().error, None, "the connection goes on");
}

/// Options, and whether block status is served after them.
fn serves(fixture: &Fixture, options: &[(OptionKind, Vec<u8>)]) -> bool {
    let mut raw = fixture.raw();
    raw.greet(3);
    assert_eq!(raw.ask(OptionKind::StructuredReply, &[]).0, rep::ACK);
    for (kind, data) in options {
        let _ = contexts(&mut raw, *kind, data);
    }
    let mut raw = raw.go();
    raw.request(Command::BlockStatus, 0, 1, 0, 4096);
    let (chunk, payload) = raw.chunk();
    if chunk.kind == ChunkKind::BlockStatus {
        return true;
    }
    assert_eq!(ErrorChunk::decode(chunk.kind, &payload).unwrap().error, Errno::Inval);
    raw.request(Command::Flush, 0, 2, 0, 0);
    assert_eq!(raw.simple_reply().error, None, "the connection goes on");
    false
}

#[test]
fn the_last_choice_counts_and_only_for_its_export() {
    use OptionKind::{ListMetaContext as List, SetMetaContext as Set};
    let fixture = Fixture::new();
    fixture.exports.publish("another", MemoryVolume::new(4096));
    let wanted = |name| query(name, &["base:allocation"]);
    let disk = || (Set, wanted("disk"));
    assert!(!serves(&fixture, &[]));
    assert!(!serves(&fixture, &[(List, wanted("disk"))]));
    assert!(serves(&fixture, &[disk()]));
    assert!(serves(&fixture, &[disk(), (List, query("another", &[]))]));
    assert!(!serves(&fixture, &[disk(), (Set, wanted("another"))]));
    assert!(serves(&fixture, &[(Set, wanted("another")), disk()]));
    // A choice that fails is one of nothing.
    for failing in [wanted("nowhere"), query("disk", &[]), b"junk".to_vec(), vec![0; 70_000]] {
        assert!(!serves(&fixture, &[disk(), (Set, failing)]));
    }
}

#[test]
fn block_status_tells_what_is_stored() {
    let fixture = Fixture::new();
    fixture.client().write(8192, &[1; 5000]).unwrap();
    let mut raw = fixture.with_allocation(OptionKind::StructuredReply);
    let size = SIZE as u64;
    for (flags, offset, length, expected) in [
        (0, 0, size, &[(8192, HOLE), (8192, 0), (size - 16_384, HOLE)][..]),
        (flag::REQ_ONE, 0, size, &[(8192, HOLE)]),
        (flag::REQ_ONE | flag::FUA, 8192, size - 8192, &[(8192, 0)]),
        (flag::FUA, 100, 8092, &[(8092, HOLE)]),
        (0, 8191, 2, &[(1, HOLE), (1, 0)]),
        (0, size - 1, 1, &[(1, HOLE)]),
    ] {
        raw.request(Command::BlockStatus, flags, 7, offset, length as u32);
        assert_eq!(status(&mut raw), expected, "{offset} {length}");
    }
    let submitted = fixture.volume.submitted.load(Ordering::SeqCst);
    assert_eq!(submitted, 1, "the write; nothing was read");
}

#[test]
fn replies_are_bounded_and_told_on_from_where_they_end() {
    let fixture = Fixture::sized(40 << 20);
    let mut content = vec![0; 40 << 20];
    content.iter_mut().step_by(8192).for_each(|byte| *byte = 1);
    fixture.client().write(0, &content).unwrap();
    let mut raw = fixture.with_allocation(OptionKind::StructuredReply);
    let (mut offset, mut replies) = (0, 0);
    while offset < content.len() as u64 {
        raw.request(Command::BlockStatus, 0, 1, offset, (content.len() as u64 - offset) as u32);
        let told = status(&mut raw);
        assert!(told.len() <= 4096);
        for (length, state) in told {
            let expected = if offset.is_multiple_of(8192) { 0 } else { HOLE };
            assert_eq!((length, state), (4096, expected), "{offset}");
            offset += length;
        }
        replies += 1;
    }
    assert_eq!((offset, replies), (40 << 20, 3));
}

#[test]
fn what_can_not_be_told_is_refused_and_the_connection_goes_on() {
    let fixture = Fixture::new();
    let mut raw = fixture.with_allocation(OptionKind::StructuredReply);
    for (flags, offset, length) in [
        (0, 0, 0),
        (0, 0, SIZE as u32 + 1),
        (0, SIZE as u64, 1),
        (0, u64::MAX, u32::MAX),
        (flag::DF, 0, 4096),
        (flag::PAYLOAD_LEN, 0, 4096),
        (1 << 9, 0, 4096),
    ] {
        raw.request(Command::BlockStatus, flags, 7, offset, length);
        assert_eq!(raw.error_chunk().1.error, Errno::Inval, "{flags:#x} {offset} {length}");
    }
    for (error, expected, offset) in [
        (IoError::Corrupt, Errno::Io, Some(4096)),
        (IoError::Failed, Errno::Io, Some(4096)),
        (IoError::Stale, Errno::Shutdown, None),
    ] {
        fixture.volume.fails(Some(error));
        raw.request(Command::BlockStatus, 0, 7, 4096, 4096);
        let (_, payload) = raw.error_chunk();
        assert_eq!((payload.error, payload.offset), (expected, offset));
    }
    fixture.volume.fails(None);
    raw.request(Command::BlockStatus, 0, 7, 4096, 4096);
    assert_eq!(status(&mut raw), [(4096, HOLE)]);
}

#[test]
fn extended_replies_tell_of_more_than_4_gib() {
    const SIZE: u64 = 64 << 40;
    let engine = MemoryEngine::new();
    engine.create_volume(OpId([1; 16]), VolumeId(1), SIZE, None).unwrap();
    let exports = Arc::new(Exports::new());
    exports.publish("disk", engine.open(VolumeId(1), None).unwrap());
    let server = Server::start(exports, Limits::default());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    server.listen_tcp(listener).unwrap();
    let mut client = ebb_nbd::client::Client::connect_tcp(address, "disk").unwrap();
    client.write(5 * GIB, &[1; 4096]).unwrap();

    let mut raw = Raw::connect(address).with_allocation(OptionKind::ExtendedHeaders);
    let mut ask = |flags, offset, length| {
        let command = Command::BlockStatus;
        raw.send(&Request { flags, command, cookie: 5, offset, length }.encode_extended());
        let (chunk, payload) = raw.extended_chunk(offset);
        assert_eq!(chunk.kind, ChunkKind::BlockStatusExtended);
        told(&payload, true)
    };
    let rest = SIZE - 5 * GIB - 4096;
    assert_eq!(ask(0, 0, SIZE), [(5 * GIB, HOLE), (4096, 0), (rest, HOLE)]);
    assert_eq!(ask(flag::REQ_ONE, 0, SIZE), [(5 * GIB, HOLE)]);
    assert_eq!(ask(0, 5 * GIB, 1), [(1, 0)]);
    // A compact request reaches less than 4 GiB far.
    let mut raw = Raw::connect(address).with_allocation(OptionKind::StructuredReply);
    raw.request(Command::BlockStatus, 0, 1, 2 * GIB, u32::MAX);
    let hole = 3 * GIB;
    let rest = u64::from(u32::MAX) - hole - 4096;
    assert_eq!(status(&mut raw), [(hole, HOLE), (4096, 0), (rest, HOLE)]);
    raw.request(Command::BlockStatus, 0, 1, 6 * GIB, u32::MAX);
    assert_eq!(status(&mut raw), [(u32::MAX.into(), HOLE)]);
}

#[test]
fn a_payload_of_a_block_status_is_refused() {
    let fixture = Fixture::new();
    let mut raw = fixture.with_allocation(OptionKind::ExtendedHeaders);
    let flags = flag::PAYLOAD_LEN;
    let command = Command::BlockStatus;
    raw.send(&Request { flags, command, cookie: 5, offset: 0, length: 12 }.encode_extended());
    raw.send(&[1; 12]);
    let (chunk, payload) = raw.extended_chunk(0);
    assert_eq!(ErrorChunk::decode(chunk.kind, &payload).unwrap().error, Errno::Inval);
}

#[test]
fn options_of_hostile_lengths_are_refused() {
    let fixture = Fixture::new();
    for kind in [OptionKind::ListMetaContext, OptionKind::SetMetaContext] {
        let mut raw = fixture.raw();
        raw.greet(3);
        assert_eq!(raw.ask(OptionKind::StructuredReply, &[]).0, rep::ACK);
        let full = query("disk", &["base:allocation"]);
        for end in 0..full.len() {
            assert_eq!(contexts(&mut raw, kind, &full[..end]), Err(rep::ERR_INVALID), "{end}");
        }
        let long_name = query(&"d".repeat(5000), &[]);
        let long_query = query("disk", &[&format!("base:{}", "a".repeat(5000))]);
        let mut many = query("disk", &[]);
        many[8..].copy_from_slice(&u32::MAX.to_be_bytes());
        let trailing = [&full[..], &[0]].concat();
        for data in [&long_name, &long_query, &many, &trailing] {
            assert_eq!(contexts(&mut raw, kind, data), Err(rep::ERR_INVALID));
        }
        assert_eq!(contexts(&mut raw, kind, &vec![0; 65_537]), Err(rep::ERR_TOO_BIG));
        // As many queries as fit: all of them ignored.
        let queries = vec!["x:"; (65_536 - 12) / 6];
        assert_eq!(contexts(&mut raw, kind, &query("disk", &queries)), Ok(vec![]));
        raw.send(&OPTION_MAGIC.to_be_bytes());
        raw.send(&kind.code().to_be_bytes());
        raw.send(&u32::MAX.to_be_bytes());
        raw.send(&[0; 100_000]);
        raw.stream.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(raw.rest(), b"");
    }
}

#[test]
fn a_long_read_of_a_hole_is_a_hole() {
    let fixture = Fixture::new();
    fixture.client().write(SIZE as u64 - 1, b"x").unwrap();
    let length = 256 << 10;
    let submitted = || fixture.volume.submitted.load(Ordering::SeqCst);
    for when in [When::AtOnce, When::Elsewhere] {
        fixture.volume.completes(when);
        let mut raw = fixture.transmission(true);
        let before = submitted();
        raw.request(Command::Read, 0, 9, 4097, length);
        let (chunk, payload) = raw.chunk();
        assert_eq!((chunk.kind, chunk.done, chunk.cookie), (ChunkKind::OffsetHole, true, 9));
        assert_eq!(payload, [0, 0, 0, 0, 0, 0, 0x10, 1, 0, 4, 0, 0]);
        assert_eq!(submitted(), before);
        // Not where it must not be fragmented, nor what is short, nor what is partly stored.
        let last = SIZE as u64 - u64::from(length);
        for (flags, offset, length) in
            [(flag::DF, 0, length), (0, 0, length - 1), (0, last, length), (0, 0, 512)]
        {
            raw.request(Command::Read, flags, 9, offset, length);
            let (chunk, payload) = raw.chunk();
            assert_eq!((chunk.kind, chunk.done), (ChunkKind::OffsetData, true));
            assert_eq!(payload.len(), 8 + length as usize);
        }
    }
    // A client without chunks gets zeroes.
    let mut raw = fixture.transmission(false);
    raw.request(Command::Read, 0, 9, 0, length);
    assert_eq!(raw.simple_reply().error, None);
    assert_eq!(raw.bytes(length), vec![0; length as usize]);
    // What can not be looked up is read, and says what is wrong.
    fixture.volume.fails(Some(IoError::Corrupt));
    let mut raw = fixture.transmission(true);
    raw.request(Command::Read, 0, 9, 0, length);
    assert_eq!(raw.error_chunk().1.error, Errno::Io);
    fixture.volume.fails(None);
    let mut read = vec![1; length as usize];
    fixture.client().read(0, &mut read).unwrap();
    assert_eq!(read, vec![0; length as usize]);
}
