//! Mutated conversations, the same in every run, thrown at the decoders and at a live server.

use std::io::Write;
use std::net::Shutdown;
use std::panic;
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ebb_nbd::negotiation::{Negotiation, Step, TlsMode};
use ebb_nbd::wire::{
    CHUNK_BYTES, Choice, Chunk, ChunkKind, Command, EXTENDED_CHUNK_BYTES, ErrorChunk, Framing,
    MetaQuery, OPTION_BYTES, OPTION_REPLY_BYTES, OptionHeader, OptionKind, OptionReply, Request,
    SIMPLE_REPLY_BYTES, SimpleReply, command_flags, decode_server, decode_status,
};
use ebb_nbd::{Exports, Limits};

use crate::fixture::{Fixture, PATIENCE};
use crate::volume::{MemoryVolume, When};

/// A bound on time, so that a slow machine tests less rather than longer.
const AT_MOST: Duration = Duration::from_secs(8);

/// xorshift.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() >> 33) as usize % end.max(1)
    }
}

/// Sizes and offsets at which code tends to be wrong.
const EDGES: [u64; 12] = [
    0,
    1,
    4095,
    1 << 20,
    (32 << 20) + 1,
    i32::MAX as u64,
    u32::MAX as u64,
    1 << 32,
    i64::MAX as u64,
    u64::MAX - 4095,
    u64::MAX - 1,
    u64::MAX,
];

fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        let span = random.below(40).min(bytes.len() - at);
        match random.below(7) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.next() as u8,
            2 => drop(bytes.drain(at..at + span)),
            3 => {
                let again = bytes[at..at + span].to_vec();
                bytes.splice(at..at, again);
            }
            4 => bytes.truncate(at.max(1)),
            wide => {
                let edge = EDGES[random.below(EDGES.len())].to_be_bytes();
                let edge = if wide == 5 { &edge[..] } else { &edge[4..] };
                let span = edge.len().min(bytes.len() - at);
                bytes[at..at + span].copy_from_slice(&edge[..span]);
            }
        }
        if bytes.is_empty() {
            bytes.push(0);
        }
    }
}

fn options(framing: Framing) -> Vec<(OptionKind, Vec<u8>)> {
    let choice = Choice { name: "disk".into(), wants: vec![1, 3] }.encode();
    let query = MetaQuery { name: "disk".into(), queries: vec!["base:allocation".into()] }.encode();
    let frame = match framing {
        Framing::Simple => OptionKind::Unknown(4),
        Framing::Structured => OptionKind::StructuredReply,
        Framing::Extended => OptionKind::ExtendedHeaders,
    };
    vec![
        (OptionKind::StartTls, vec![]),
        (frame, vec![]),
        (OptionKind::List, vec![]),
        (OptionKind::SetMetaContext, query),
        (OptionKind::Info, choice.clone()),
        (OptionKind::Go, choice),
    ]
}

fn requests(framing: Framing, random: &mut Random) -> Vec<u8> {
    let mut bytes = Vec::new();
    for cookie in 0..12 {
        let command = Command::from_code([0, 1, 3, 4, 5, 6, 7, 9][random.below(8)]);
        let length = random.below(5000) as u64;
        let write = command == Command::Write;
        let mut request =
            Request { flags: 0, command, cookie, offset: random.below(60_000) as u64, length };
        if framing == Framing::Extended {
            request.flags = if write { command_flags::PAYLOAD_LEN } else { 0 };
            bytes.extend(request.encode_extended());
        } else {
            bytes.extend(request.encode());
        }
        if write {
            bytes.extend(std::iter::repeat_n(cookie as u8, length as usize));
        }
    }
    bytes
}

/// A session in two parts: what is agreed on, and what is asked then.
fn conversation(framing: Framing, random: &mut Random) -> [Vec<u8>; 2] {
    let mut bytes = 3_u32.to_be_bytes().to_vec();
    for (kind, data) in options(framing) {
        bytes.extend(OptionHeader { kind, length: data.len() as u32 }.encode());
        bytes.extend(data);
    }
    [bytes, requests(framing, random)]
}

/// Reads what a server sent, as far as it can be told without its input. Panics where a message
/// is none.
fn check_answers(mut bytes: &[u8]) {
    fn take<'a>(from: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = from.split_at_checked(length)?;
        *from = rest;
        Some(taken)
    }
    // The last message may be cut off, as a reset overtakes it.
    let mut next = || -> Option<()> {
        match bytes.get(..4)? {
            [0x00, 0x03, 0xe8, 0x89] => {
                let header = take(&mut bytes, OPTION_REPLY_BYTES)?;
                let reply = OptionReply::decode(header.try_into().unwrap()).unwrap();
                assert!(reply.length < 1 << 16);
                take(&mut bytes, reply.length as usize)?;
            }
            [0x66, 0x8e, 0x33, 0xef] => {
                let header = take(&mut bytes, CHUNK_BYTES)?;
                let chunk = Chunk::decode(header.try_into().unwrap()).unwrap();
                check_chunk(&chunk, take(&mut bytes, chunk.length as usize)?);
            }
            [0x6e, 0x8a, 0x27, 0x8c] => {
                let header = take(&mut bytes, EXTENDED_CHUNK_BYTES)?;
                let (chunk, _) = Chunk::decode_extended(header.try_into().unwrap()).unwrap();
                check_chunk(&chunk, take(&mut bytes, chunk.length as usize)?);
            }
            _ => {
                // Only a simple reply is left, and what follows one to a read is not known.
                let header = take(&mut bytes, SIMPLE_REPLY_BYTES)?;
                SimpleReply::decode(header.try_into().unwrap()).unwrap();
                return None;
            }
        }
        Some(())
    };
    while next().is_some() {}
}

fn check_chunk(chunk: &Chunk, payload: &[u8]) {
    assert!(chunk.done, "{chunk:?}");
    match chunk.kind {
        ChunkKind::None => assert!(payload.is_empty()),
        ChunkKind::OffsetData => assert!(payload.len() > 8),
        ChunkKind::OffsetHole => assert_eq!(payload.len(), 12),
        ChunkKind::BlockStatus | ChunkKind::BlockStatusExtended => {
            let extended = chunk.kind == ChunkKind::BlockStatusExtended;
            let (context, told) = decode_status(payload, extended).unwrap();
            assert_eq!(context, 1);
            assert!(!told.is_empty() && told.iter().all(|told| told.length > 0), "{told:?}");
        }
        ChunkKind::Error | ChunkKind::ErrorOffset => {
            ErrorChunk::decode(chunk.kind, payload).unwrap();
        }
        other => panic!("a chunk that nobody asked for: {other:?}"),
    }
}

static PANICS: AtomicUsize = AtomicUsize::new(0);

/// Counts panics in the server's threads, which end only a connection.
fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |information| {
            if std::thread::current().name().is_some_and(|name| name.starts_with("nbd")) {
                PANICS.fetch_add(1, Ordering::SeqCst);
            }
            before(information);
        }));
    });
}

#[test]
fn mutated_options_are_answered_or_end_the_session() {
    let exports = Exports::new();
    exports.publish("disk", MemoryVolume::new(4096));
    let mut random = Random(0x5eed_0001);
    let began = Instant::now();
    let mut entered = 0;
    for round in 0..40_000 {
        let mode = [TlsMode::Absent, TlsMode::Offered, TlsMode::Required][round % 3];
        let Some(mut negotiation) = Negotiation::new(3, mode) else { unreachable!() };
        for (kind, mut data) in options(Framing::Structured) {
            if random.below(3) == 0 {
                data.push(0);
                mutate(&mut data, &mut random);
            }
            let kind = if random.below(9) == 0 {
                OptionKind::from_code(random.below(13) as u32)
            } else {
                kind
            };
            let mut out = Vec::new();
            let step = negotiation.option(kind, &data, &exports, &mut out);
            match step {
                Step::Enter(session) => {
                    assert_ne!(mode, TlsMode::Required, "without {:?}", OptionKind::StartTls);
                    assert_eq!(session.export.name(), "disk");
                    entered += 1;
                    break;
                }
                Step::End => break,
                // TLS changes what is allowed; here every session begins without.
                Step::Secure => break,
                Step::More => assert!(out.len() >= OPTION_REPLY_BYTES, "{kind:?} has no answer"),
            }
        }
        if began.elapsed() > AT_MOST {
            break;
        }
    }
    assert!(entered > 0, "everything was refused, so little was tested");
}

#[test]
fn mutated_messages_are_decoded_or_refused() {
    let mut random = Random(0x5eed_0002);
    let began = Instant::now();
    for _ in 0..15_000 {
        if began.elapsed() > AT_MOST {
            break;
        }
        for framing in [Framing::Structured, Framing::Extended] {
            let [mut agreed, mut asked] = conversation(framing, &mut random);
            mutate(&mut agreed, &mut random);
            mutate(&mut asked, &mut random);
            for bytes in [agreed, asked] {
                let at = random.below(bytes.len());
                let part = &bytes[at..bytes.len().min(at + 64)];
                let _ = Choice::decode(part);
                let _ = MetaQuery::decode(part);
                let _ = decode_server(part);
                let _ = decode_status(part, false);
                let _ = decode_status(part, true);
                let _ = ErrorChunk::decode(ChunkKind::from_code(random.next() as u16), part);
                if let Some(header) = part.first_chunk::<OPTION_BYTES>() {
                    let _ = OptionHeader::decode(header);
                }
                if let Some(header) = part.first_chunk() {
                    let _ = Request::decode(header);
                    let _ = Chunk::decode(part.first_chunk().unwrap());
                }
                if let Some(header) = part.first_chunk() {
                    let _ = Request::decode_extended(header);
                    let _ = Chunk::decode_extended(header);
                }
            }
        }
    }
}

#[test]
fn a_server_survives_mutated_conversations_and_its_answers_stay_well_formed() {
    count_panics();
    // A connection that leaked would soon be one of too many; so would room in the budget.
    let limits = Limits {
        connections: 4,
        server_requests_under_way: 8,
        server_bytes_under_way: 1 << 20,
        ..Limits::default()
    };
    let fixture = Fixture::with(Exports::new(), limits);
    let mut random = Random(0x5eed_0003);
    let began = Instant::now();
    let mut answered = 0;
    for round in 0..1_500 {
        let when = [When::AtOnce, When::Elsewhere, When::FlushElsewhere][round % 3];
        fixture.volume.completes(when);
        let framing = [Framing::Extended, Framing::Structured, Framing::Simple][round / 3 % 3];
        let [mut agreed, mut asked] = conversation(framing, &mut random);
        // Mostly what comes after an agreement, as few mutated agreements come to anything.
        let which = if random.below(4) == 0 { &mut agreed } else { &mut asked };
        mutate(which, &mut random);
        let bytes = [agreed, asked].concat();
        let cut = random.below(bytes.len());
        let mut raw = fixture.connect_when_there_is_room();
        // The server may have closed before all is sent.
        for part in [&bytes[..cut], &bytes[cut..]] {
            let _ = raw.stream.write_all(part);
        }
        let _ = raw.stream.shutdown(Shutdown::Write);
        let answers = raw.rest();
        check_answers(&answers);
        answered += usize::from(answers.len() > 300);
        if began.elapsed() > AT_MOST {
            break;
        }
    }
    assert!(answered > 0, "everything was refused, so little was tested");
    assert_eq!(PANICS.load(Ordering::SeqCst), 0);
    fixture.volume.completes(When::AtOnce);
    fixture.connect_when_there_is_room();
    // A connection whose client was gone first may still be completing.
    let began = Instant::now();
    while fixture.exports.counters("disk").unwrap().in_flight > 0 {
        assert!(began.elapsed() < PATIENCE, "a request was lost");
    }
}
