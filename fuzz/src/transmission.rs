//! The transmission phase: requests against an empty disk, and what it must read as after them.
//!
//! An input is one byte for what was agreed on, then what a client sends once it uses the export.
//! The whole of it goes to a real connection over a disk that answers at once, so that replies come
//! in the order of the requests; each is compared with a model of the disk that reads them too.

use std::sync::LazyLock;

use ebb_nbd::fuzzing::converse;
use ebb_nbd::wire::{
    BASE_ALLOCATION, CHUNK_BYTES, Choice, Chunk, ChunkKind, Command, Descriptor,
    EXTENDED_CHUNK_BYTES, EXTENDED_REQUEST_BYTES, ErrorChunk, Framing, MAX_PAYLOAD, MetaQuery,
    OptionHeader, OptionKind, REQUEST_BYTES, Request, SIMPLE_REPLY_BYTES, SimpleReply,
    command_flags, decode_status, state,
};
use ebb_volume::BLOCK_BYTES;

use crate::{EXPORT, exports, limits, take, take_array};

/// Small enough to be hit and read in whole, and enough for a read that may be answered as a hole.
const SIZE: usize = 66 * BLOCK_BYTES as usize;

/// How requests and replies are framed, and whether `base:allocation` is chosen.
type Agreed = (Framing, bool);

const AGREED: [Agreed; 5] = [
    (Framing::Simple, false),
    (Framing::Structured, false),
    (Framing::Extended, false),
    (Framing::Structured, true),
    (Framing::Extended, true),
];

/// What the server sends before the first reply: the same for every input.
static PREFACE_BYTES: LazyLock<[usize; AGREED.len()]> =
    LazyLock::new(|| AGREED.map(|agreed| answers(&agreement(agreed)).len()));

/// Every request that arrived whole has one reply, with its cookie and of the framing agreed on;
/// a request that asks for nothing unusual succeeds; what is read is what was written.
///
/// # Panics
/// Where that is not so.
pub fn check(input: &[u8]) {
    let Some((number, sent)) = input.split_first() else { return };
    let number = usize::from(*number) % AGREED.len();
    let agreed @ (framing, _) = AGREED[number];
    let answers = answers(&[&agreement(agreed), sent].concat());
    let mut answers = answers.get(PREFACE_BYTES[number]..).expect("the agreement's replies");

    let mut disk = vec![0; SIZE];
    for (request, payload) in requests(framing, sent) {
        let reply = Answer::take(&mut answers, framing, &request);
        apply(&mut disk, agreed, &request, payload, reply);
    }
    assert!(answers.is_empty(), "{} bytes behind the last reply", answers.len());
}

fn answers(sent: &[u8]) -> Vec<u8> {
    converse(sent, &exports(SIZE as u64), &limits()).expect("a socket and a thread")
}

fn agreement((framing, allocation): Agreed) -> Vec<u8> {
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
    if allocation {
        let queries = vec![BASE_ALLOCATION.into()];
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
    Status(Vec<Descriptor>),
    Failed,
}

impl<'a> Answer<'a> {
    fn take(answers: &mut &'a [u8], framing: Framing, request: &Request) -> Self {
        let wanted = if request.command == Command::Read { request.length as usize } else { 0 };
        match framing {
            Framing::Simple => Self::simple(answers, request, wanted),
            // A chunk may carry any error; without one, only reads have chunks.
            Framing::Structured if answers.starts_with(&[0x66]) => {
                let header = take_array::<CHUNK_BYTES>(answers).expect("a whole chunk");
                let chunk = Chunk::decode(&header).expect("a chunk");
                let reply = Self::chunk(answers, request, &chunk, wanted);
                let chunks = matches!(request.command, Command::Read | Command::BlockStatus);
                assert!(chunks || matches!(reply, Self::Failed), "a chunk where none belongs");
                reply
            }
            Framing::Structured => {
                let chunks = matches!(request.command, Command::Read | Command::BlockStatus);
                assert!(!chunks, "a reply without chunks: {request:?}");
                Self::simple(answers, request, 0)
            }
            Framing::Extended => {
                let header = take_array::<EXTENDED_CHUNK_BYTES>(answers).expect("a whole chunk");
                let (chunk, offset) = Chunk::decode_extended(&header).expect("a chunk");
                assert_eq!(offset, request.offset);
                Self::chunk(answers, request, &chunk, wanted)
            }
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
        assert!(chunk.done && chunk.cookie == request.cookie, "{chunk:?}");
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
                let (_, told) = decode_status(payload, extended).expect("a status");
                Self::Status(told)
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
    let end = offset.checked_add(length).filter(|end| *end <= SIZE as u64);
    if matches!(reply, Answer::Failed) {
        let fits = end.is_some() || command == Command::Flush;
        return assert!(!fits || !is_usual(agreed, request), "refused: {request:?}");
    }
    if command == Command::Flush {
        return;
    }
    let end = end.unwrap_or_else(|| panic!("done past the end: {request:?}")) as usize;
    let start = offset as usize;
    match (command, reply) {
        (Command::Read, Answer::Done(data)) => assert!(data == &disk[start..end], "{request:?}"),
        (Command::Read, Answer::Hole) => assert!(is_zero(&disk[start..end]), "{request:?}"),
        (Command::BlockStatus, Answer::Status(told)) => check_status(disk, agreed, request, &told),
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

/// Nothing about it gives a reason to refuse it, if it does not reach past the end.
fn is_usual((framing, allocation): Agreed, request: &Request) -> bool {
    let Request { command, flags, length, .. } = *request;
    // On a compact request the flag of a payload is one that no command has.
    let payload = command == Command::Write && framing == Framing::Extended;
    let allowed = command_flags::FUA | if payload { command_flags::PAYLOAD_LEN } else { 0 };
    let known = match command {
        Command::Unknown(_) => false,
        Command::BlockStatus => allocation && length > 0,
        _ => true,
    };
    known && flags & !allowed == 0
}

fn check_status(disk: &[u8], (_, allocation): Agreed, request: &Request, told: &[Descriptor]) {
    assert!(allocation && !told.is_empty(), "{request:?}");
    assert!(told.len() == 1 || request.flags & command_flags::REQ_ONE == 0, "{told:?}");
    let mut at = request.offset;
    for Descriptor { length, state } in told {
        let end = at + length;
        assert!(*length > 0 && end <= request.offset + request.length, "{told:?}");
        let zero = is_zero(&disk[at as usize..end as usize]);
        assert!(zero || state & state::ZERO == 0, "{told:?} from {}", request.offset);
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
        for request in usual {
            let bytes = encode(AGREED[number].0, request);
            seeds.push([&[number as u8], &bytes[..]].concat());
            all.extend(bytes);
        }
        all.extend(encode(AGREED[number].0, (Command::Disconnect, 0, 0, 0)));
        seeds.push(all);
    }
    seeds
}

fn encode(framing: Framing, asked: (Command, u16, u64, u64)) -> Vec<u8> {
    let (command, flags, offset, length) = asked;
    let write = command == Command::Write;
    let mut request = Request { flags, command, cookie: 0x0102_0304, offset, length };
    let mut bytes = if framing == Framing::Extended {
        request.flags |= if write { command_flags::PAYLOAD_LEN } else { 0 };
        request.encode_extended().to_vec()
    } else {
        request.encode().to_vec()
    };
    if write {
        bytes.extend((0..length).map(|byte| byte as u8));
    }
    bytes
}
