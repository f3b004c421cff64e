//! The transmission phase: requests against an empty disk, and what it must read as after them.
//!
//! An input is one byte for what was agreed on, then what a client sends once it uses the export.
//! The whole of it goes to a real connection over a disk that answers at once: once so that one
//! request waits for the other, to compare each reply with a model of the disk that reads them too,
//! and once all together.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use ebb_nbd::fuzzing::converse;
use ebb_nbd::wire::{
    BASE_ALLOCATION, CHUNK_BYTES, Choice, Chunk, ChunkKind, Command, Descriptor,
    EXTENDED_CHUNK_BYTES, EXTENDED_REQUEST_BYTES, ErrorChunk, Framing, MAX_PAYLOAD, MetaQuery,
    OptionHeader, OptionKind, REQUEST_BYTES, Request, SIMPLE_REPLY_BYTES, SimpleReply,
    command_flags, decode_status, state,
};
use ebb_nbd::{Exports, Limits};
use ebb_volume::BLOCK_BYTES;

use crate::{EXPORT, changed, exports, limits, take, take_array};

/// Small enough to be hit and read in whole, and enough for a read that may be answered as a hole.
const SIZE: usize = 66 * BLOCK_BYTES as usize;

/// How requests and replies are framed, and which contexts are chosen.
type Agreed = (Framing, &'static [Told]);

/// What a context tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Allocation,
    /// What differs from the snapshot of the empty disk.
    Changed,
}

const BOTH: &[Told] = &[Told::Changed, Told::Allocation];

const AGREED: [Agreed; 7] = [
    (Framing::Simple, &[]),
    (Framing::Structured, &[]),
    (Framing::Extended, &[]),
    (Framing::Structured, &[Told::Allocation]),
    (Framing::Extended, &[Told::Allocation]),
    (Framing::Structured, BOTH),
    (Framing::Extended, BOTH),
];

/// What the server sends before the first reply: the same for every input.
static PREFACE_BYTES: LazyLock<[usize; AGREED.len()]> =
    LazyLock::new(|| AGREED.map(|agreed| answers(&agreement(agreed), &disk(), &limits()).len()));

/// Every request that arrived whole has one reply, with its cookie and of the framing agreed on;
/// a request that asks for nothing unusual succeeds; what is read is what was written.
///
/// # Panics
/// Where that is not so.
pub fn check(input: &[u8]) {
    let Some((number, sent)) = input.split_first() else { return };
    let number = usize::from(*number) % AGREED.len();
    let requests = requests(AGREED[number].0, sent);
    let disk = check_in_turn(number, sent, &requests);
    check_together(number, &requests, &disk);
}

/// One request after the other, so that replies come in their order: each is compared with a model
/// of the disk. Says what the disk holds in the end.
fn check_in_turn(number: usize, sent: &[u8], requests: &[(Request, &[u8])]) -> Vec<u8> {
    let agreed @ (framing, _) = AGREED[number];
    let in_turn = Limits { requests_under_way: 1, ..limits() };
    let answers = answers(&[&agreement(agreed), sent].concat(), &disk(), &in_turn);
    let mut answers = answers.get(PREFACE_BYTES[number]..).expect("the agreement's replies");

    let mut disk = vec![0; SIZE];
    for (request, payload) in requests {
        let reply = Answer::take(&mut answers, framing, request);
        apply(&mut disk, agreed, request, payload, reply);
    }
    assert!(answers.is_empty(), "{} bytes behind the last reply", answers.len());
    disk
}

/// As many at a time as the server takes, each with a cookie of its own, by which its reply is
/// known: replies come in any order, and what is read at the same time as it is written may be
/// either. In the end the disk is the same.
fn check_together(number: usize, requests: &[(Request, &[u8])], expected: &[u8]) {
    let agreed @ (framing, _) = AGREED[number];
    let mut sent = agreement(agreed);
    let mut by_cookie = BTreeMap::new();
    for (cookie, (request, payload)) in (0..).zip(requests) {
        let request = Request { cookie, ..*request };
        sent.extend(encode(framing, &request, payload));
        by_cookie.insert(cookie, request);
    }
    let exports = disk();
    let answers = answers(&sent, &exports, &limits());
    let mut answers = answers.get(PREFACE_BYTES[number]..).expect("the agreement's replies");
    while !answers.is_empty() {
        let cookie = Answer::cookie(answers);
        let request = by_cookie.remove(&cookie).expect("a request that has no reply yet");
        let reply = Answer::take(&mut answers, framing, &request);
        check_refusal(agreed, &request, matches!(reply, Answer::Failed));
    }
    assert!(by_cookie.is_empty(), "no replies to {by_cookie:?}");
    assert!(whole(&exports) == expected, "the disk differs after the same changes at once");
}

fn disk() -> Exports {
    exports(SIZE as u64)
}

/// What a disk holds.
fn whole(exports: &Exports) -> Vec<u8> {
    let agreed = AGREED[0];
    let length = SIZE as u64;
    let all = Request { flags: 0, command: Command::Read, cookie: 0, offset: 0, length };
    let sent = [agreement(agreed), encode(agreed.0, &all, &[])].concat();
    let mut answers = answers(&sent, exports, &limits());
    answers.split_off(PREFACE_BYTES[0] + SIMPLE_REPLY_BYTES)
}

fn answers(sent: &[u8], exports: &Exports, limits: &Limits) -> Vec<u8> {
    converse(sent, exports, limits).expect("a socket and a thread")
}

fn agreement((framing, contexts): Agreed) -> Vec<u8> {
    let mut sent = 3_u32.to_be_bytes().to_vec();
    let mut ask = |kind, data: &[u8]| {
        sent.extend(OptionHeader { kind, length: data.len() as u32 }.encode());
        sent.extend(data);
    };
    match framing {
        Framing::Simple => {}
        Framing::Structured => ask(OptionKind::StructuredReply, &[]),
        Framing::Extended => ask(OptionKind::ExtendedHeaders, &[]),
    }
    if !contexts.is_empty() {
        let name = |told: &Told| match told {
            Told::Allocation => BASE_ALLOCATION.into(),
            Told::Changed => changed(),
        };
        let queries = contexts.iter().map(name).collect();
        let query = MetaQuery { name: EXPORT.into(), queries };
        ask(OptionKind::SetMetaContext, &query.encode());
    }
    ask(OptionKind::Go, &Choice { name: EXPORT.into(), wants: vec![] }.encode());
    sent
}

/// The requests that must be answered, with the data of writes: all until the client ends it,
/// breaks the protocol, or stops in the middle of one.
fn requests(framing: Framing, mut sent: &[u8]) -> Vec<(Request, &[u8])> {
    let mut requests = Vec::new();
    while let Some(request) = take_request(framing, &mut sent) {
        let has_payload = if framing == Framing::Extended {
            request.flags & command_flags::PAYLOAD_LEN != 0
        } else {
            request.command == Command::Write
        };
        let denied = request.command == Command::Write && !has_payload;
        if denied || request.command == Command::Disconnect {
            break;
        }
        let length = if has_payload { request.length } else { 0 };
        if length > MAX_PAYLOAD.into() {
            break;
        }
        let Some(payload) = take(&mut sent, length as usize) else { break };
        requests.push((request, payload));
    }
    requests
}

fn take_request(framing: Framing, sent: &mut &[u8]) -> Option<Request> {
    if framing == Framing::Extended {
        Request::decode_extended(&take_array::<EXTENDED_REQUEST_BYTES>(sent)?).ok()
    } else {
        Request::decode(&take_array::<REQUEST_BYTES>(sent)?).ok()
    }
}

/// What a reply says.
enum Answer<'a> {
    /// It is done; of a read, here is the data.
    Done(&'a [u8]),
    /// A read of zeroes.
    Hole,
    /// By the contexts' ids.
    Status(Vec<(u32, Vec<Descriptor>)>),
    Failed,
}

impl<'a> Answer<'a> {
    /// The cookie of the reply that comes next, which is in the same place in each kind.
    fn cookie(answers: &[u8]) -> u64 {
        let bytes = answers.get(8..16).expect("a whole reply");
        u64::from_be_bytes(bytes.try_into().expect("as many as were asked for"))
    }

    fn take(answers: &mut &'a [u8], framing: Framing, request: &Request) -> Self {
        let wanted = if request.command == Command::Read { request.length as usize } else { 0 };
        match framing {
            Framing::Simple => Self::simple(answers, request, wanted),
            // A chunk may carry any error; without one, only reads have chunks.
            Framing::Structured if answers.starts_with(&[0x66]) => {
                let reply = Self::chunks(answers, request, framing, wanted);
                let chunks = matches!(request.command, Command::Read | Command::BlockStatus);
                assert!(chunks || matches!(reply, Self::Failed), "a chunk where none belongs");
                reply
            }
            Framing::Structured => {
                let chunks = matches!(request.command, Command::Read | Command::BlockStatus);
                assert!(!chunks, "a reply without chunks: {request:?}");
                Self::simple(answers, request, 0)
            }
            Framing::Extended => Self::chunks(answers, request, framing, wanted),
        }
    }

    /// All chunks of a reply. Only a status has more than one.
    fn chunks(answers: &mut &'a [u8], request: &Request, framing: Framing, wanted: usize) -> Self {
        let mut status = Vec::new();
        loop {
            let chunk = Self::take_chunk(answers, request, framing);
            assert_eq!(chunk.cookie, request.cookie);
            match Self::chunk(answers, request, &chunk, wanted) {
                Self::Status(told) => status.extend(told),
                reply => {
                    assert!(chunk.done && status.is_empty(), "{chunk:?}");
                    return reply;
                }
            }
            if chunk.done {
                return Self::Status(status);
            }
        }
    }

    fn take_chunk(answers: &mut &'a [u8], request: &Request, framing: Framing) -> Chunk {
        if framing == Framing::Extended {
            let header = take_array::<EXTENDED_CHUNK_BYTES>(answers).expect("a whole chunk");
            let (chunk, offset) = Chunk::decode_extended(&header).expect("a chunk");
            assert_eq!(offset, request.offset);
            chunk
        } else {
            let header = take_array::<CHUNK_BYTES>(answers).expect("a whole chunk");
            Chunk::decode(&header).expect("a chunk")
        }
    }

    fn simple(answers: &mut &'a [u8], request: &Request, wanted: usize) -> Self {
        let header = take_array::<SIMPLE_REPLY_BYTES>(answers).expect("a whole reply");
        let reply = SimpleReply::decode(&header).expect("a reply");
        assert_eq!(reply.cookie, request.cookie);
        if reply.error.is_some() {
            return Self::Failed;
        }
        Self::Done(take(answers, wanted).expect("the data that was read"))
    }

    fn chunk(answers: &mut &'a [u8], request: &Request, chunk: &Chunk, wanted: usize) -> Self {
        let mut payload = take(answers, chunk.length as usize).expect("the chunk's payload");
        match chunk.kind {
            ChunkKind::None => {
                assert!(payload.is_empty() && wanted == 0);
                Self::Done(payload)
            }
            ChunkKind::OffsetData => {
                let offset = take_array(&mut payload).map(u64::from_be_bytes);
                assert_eq!((offset, payload.len()), (Some(request.offset), wanted));
                Self::Done(payload)
            }
            ChunkKind::OffsetHole => {
                let offset = take_array(&mut payload).map(u64::from_be_bytes);
                let length = take_array(&mut payload).map(u32::from_be_bytes);
                assert_eq!((offset, length), (Some(request.offset), Some(wanted as u32)));
                assert!(payload.is_empty() && request.flags & command_flags::DF == 0);
                Self::Hole
            }
            ChunkKind::BlockStatus | ChunkKind::BlockStatusExtended => {
                assert_eq!(request.command, Command::BlockStatus);
                let extended = chunk.kind == ChunkKind::BlockStatusExtended;
                Self::Status(vec![decode_status(payload, extended).expect("a status")])
            }
            ChunkKind::Error | ChunkKind::ErrorOffset => {
                ErrorChunk::decode(chunk.kind, payload).expect("an error");
                Self::Failed
            }
            other => panic!("a chunk that nobody asked for: {other:?}"),
        }
    }
}

/// Compares a reply with the disk, and does there what was done.
fn apply(disk: &mut [u8], agreed: Agreed, request: &Request, payload: &[u8], reply: Answer<'_>) {
    let Request { command, offset, length, .. } = *request;
    let failed = matches!(reply, Answer::Failed);
    check_refusal(agreed, request, failed);
    if failed || command == Command::Flush {
        return;
    }
    let (start, end) = (offset as usize, (offset + length) as usize);
    match (command, reply) {
        (Command::Read, Answer::Done(data)) => assert!(data == &disk[start..end], "{request:?}"),
        (Command::Read, Answer::Hole) => assert!(is_zero(&disk[start..end]), "{request:?}"),
        (Command::BlockStatus, Answer::Status(all)) => {
            let ids: Vec<u32> = all.iter().map(|(id, _)| *id).collect();
            assert_eq!(ids, (1..=agreed.1.len() as u32).collect::<Vec<_>>());
            for (told_of, (_, told)) in agreed.1.iter().zip(&all) {
                check_status(disk, *told_of, request, told);
            }
        }
        (Command::Write, Answer::Done(_)) => disk[start..end].copy_from_slice(payload),
        (Command::WriteZeroes, Answer::Done(_)) => disk[start..end].fill(0),
        (Command::Trim, Answer::Done(_)) => {
            let block = BLOCK_BYTES as usize;
            let (first, last) = (start.next_multiple_of(block), end / block * block);
            if first < last {
                disk[first..last].fill(0);
            }
        }
        (Command::Cache, Answer::Done(_)) => {}
        _ => panic!("another command was done: {request:?}"),
    }
}

/// What fits and is usual is done, and what reaches past the end is not.
fn check_refusal(agreed: Agreed, request: &Request, refused: bool) {
    let end = request.offset.checked_add(request.length);
    let fits = request.command == Command::Flush || end.is_some_and(|end| end <= SIZE as u64);
    match refused {
        true => assert!(!fits || !is_usual(agreed, request), "refused: {request:?}"),
        false => assert!(fits, "done past the end: {request:?}"),
    }
}

/// Nothing about it gives a reason to refuse it, if it does not reach past the end.
fn is_usual((framing, contexts): Agreed, request: &Request) -> bool {
    let Request { command, flags, length, .. } = *request;
    // On a compact request the flag of a payload is one that no command has.
    let payload = command == Command::Write && framing == Framing::Extended;
    let allowed = command_flags::FUA | if payload { command_flags::PAYLOAD_LEN } else { 0 };
    let known = match command {
        Command::Unknown(_) => false,
        Command::BlockStatus => !contexts.is_empty() && length > 0,
        _ => true,
    };
    known && flags & !allowed == 0
}

fn check_status(disk: &[u8], told_of: Told, request: &Request, told: &[Descriptor]) {
    assert!(!told.is_empty(), "{request:?}");
    assert!(told.len() == 1 || request.flags & command_flags::REQ_ONE == 0, "{told:?}");
    let mut at = request.offset;
    for Descriptor { length, state } in told {
        let end = at + length;
        assert!(*length > 0 && end <= request.offset + request.length, "{told:?}");
        let says_zero = match told_of {
            Told::Allocation => state & state::ZERO != 0,
            Told::Changed => state & state::DIFFERS == 0,
        };
        let zero = is_zero(&disk[at as usize..end as usize]);
        assert!(zero || !says_zero, "{told_of:?}: {told:?} from {}", request.offset);
        at = end;
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

/// Each command under each agreement, and all of them together.
pub fn seeds() -> Vec<Vec<u8>> {
    let usual = [
        (Command::Write, 0, 4096, 8),
        (Command::Read, 0, 4096, 8),
        (Command::Write, command_flags::FUA, 0, 300),
        (Command::Flush, 0, 0, 0),
        (Command::Trim, 0, 0, 4096),
        (Command::Cache, 0, 0, 8192),
        (Command::WriteZeroes, command_flags::NO_HOLE, 4000, 200),
        (Command::WriteZeroes, command_flags::FAST_ZERO, 4096, 8192),
        (Command::Read, command_flags::DF, 0, 512),
        (Command::Read, 0, 8192, 256 << 10),
        (Command::BlockStatus, 0, 0, SIZE as u64),
        (Command::BlockStatus, command_flags::REQ_ONE, 0, 8192),
        (Command::Read, 0, 0, 16 << 10),
    ];
    let mut seeds = Vec::new();
    for number in 0..AGREED.len() {
        let mut all = vec![number as u8];
        for asked in usual {
            let bytes = seed(AGREED[number].0, asked);
            seeds.push([&[number as u8], &bytes[..]].concat());
            all.extend(bytes);
        }
        all.extend(seed(AGREED[number].0, (Command::Disconnect, 0, 0, 0)));
        seeds.push(all);
    }
    seeds
}

fn seed(framing: Framing, asked: (Command, u16, u64, u64)) -> Vec<u8> {
    let (command, mut flags, offset, length) = asked;
    let mut payload = Vec::new();
    if command == Command::Write {
        payload.extend((0..length).map(|byte| byte as u8));
        flags |= if framing == Framing::Extended { command_flags::PAYLOAD_LEN } else { 0 };
    }
    let request = Request { flags, command, cookie: 0x0102_0304, offset, length };
    encode(framing, &request, &payload)
}

fn encode(framing: Framing, request: &Request, payload: &[u8]) -> Vec<u8> {
    let mut bytes = match framing {
        Framing::Extended => request.encode_extended().to_vec(),
        _ => request.encode().to_vec(),
    };
    bytes.extend(payload);
    bytes
}
