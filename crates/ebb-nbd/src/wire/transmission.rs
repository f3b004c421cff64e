//! Requests and replies.

use bytes::{Buf, BufMut};

use super::{
    CHUNK_MAGIC, EXTENDED_CHUNK_MAGIC, EXTENDED_REQUEST_MAGIC, Errno, Malformed, REQUEST_MAGIC,
    SIMPLE_REPLY_MAGIC, ends, take_text,
};

/// The size of a request in bytes; the data of a write follows.
pub const REQUEST_BYTES: usize = 28;
/// The size of an extended request in bytes; its payload follows, if it has one.
pub const EXTENDED_REQUEST_BYTES: usize = 32;
/// The size of a simple reply in bytes; the data of a successful read follows.
pub const SIMPLE_REPLY_BYTES: usize = 16;
/// The size of a chunk's header in bytes; its payload follows.
pub const CHUNK_BYTES: usize = 20;
/// The size of an extended chunk's header in bytes; its payload follows.
pub const EXTENDED_CHUNK_BYTES: usize = 32;

/// How requests and replies are framed, as negotiated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Framing {
    /// Requests are compact, replies simple.
    #[default]
    Simple,
    /// Requests are compact, replies to reads are made of chunks.
    Structured,
    /// Requests and the chunks of all replies have headers of 32 bytes, with lengths of 64 bits.
    Extended,
}

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Read `length` bytes.
    Read,
    /// Write the `length` bytes that follow.
    Write,
    /// End the session; there is no reply.
    Disconnect,
    /// Make all completed writes durable.
    Flush,
    /// The range is not needed.
    Trim,
    /// The range will be read soon.
    Cache,
    /// Make the range read zero.
    WriteZeroes,
    /// Tell what the chosen metadata contexts say of the range.
    BlockStatus,
    /// Any other.
    Unknown(u16),
}

impl Command {
    /// The command's number.
    #[must_use]
    pub fn code(self) -> u16 {
        match self {
            Self::Read => 0,
            Self::Write => 1,
            Self::Disconnect => 2,
            Self::Flush => 3,
            Self::Trim => 4,
            Self::Cache => 5,
            Self::WriteZeroes => 6,
            Self::BlockStatus => 7,
            Self::Unknown(code) => code,
        }
    }

    /// The command with this number.
    #[must_use]
    pub fn from_code(code: u16) -> Self {
        match code {
            0 => Self::Read,
            1 => Self::Write,
            2 => Self::Disconnect,
            3 => Self::Flush,
            4 => Self::Trim,
            5 => Self::Cache,
            6 => Self::WriteZeroes,
            7 => Self::BlockStatus,
            other => Self::Unknown(other),
        }
    }
}

/// Flags of a request.
pub mod command_flags {
    /// Durable before it is answered; accepted on every command.
    pub const FUA: u16 = 1 << 0;
    /// On `WRITE_ZEROES`: keep the range allocated.
    pub const NO_HOLE: u16 = 1 << 1;
    /// On `READ`: answer in one chunk.
    pub const DF: u16 = 1 << 2;
    /// On `BLOCK_STATUS`: answer with one descriptor.
    pub const REQ_ONE: u16 = 1 << 3;
    /// On `WRITE_ZEROES`: fail rather than be as slow as a write.
    pub const FAST_ZERO: u16 = 1 << 4;
    /// On extended requests: `length` bytes of payload follow. Every write has it.
    pub const PAYLOAD_LEN: u16 = 1 << 5;
}

/// One request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// Of [`command_flags`].
    pub flags: u16,
    /// What is asked.
    pub command: Command,
    /// The client's name for it, which its reply repeats.
    pub cookie: u64,
    /// First byte.
    pub offset: u64,
    /// Bytes. Of a compact request, less than 4 GiB.
    pub length: u64,
}

impl Request {
    /// As the bytes of a compact request.
    ///
    /// # Panics
    /// If `length` is 4 GiB or more.
    #[must_use]
    pub fn encode(&self) -> [u8; REQUEST_BYTES] {
        let length = u32::try_from(self.length).expect("longer ranges need extended requests");
        let mut out = [0; REQUEST_BYTES];
        let mut to = &mut out[..];
        to.put_u32(REQUEST_MAGIC);
        to.put_u16(self.flags);
        to.put_u16(self.command.code());
        to.put_u64(self.cookie);
        to.put_u64(self.offset);
        to.put_u32(length);
        out
    }

    /// As the bytes of an extended request.
    #[must_use]
    pub fn encode_extended(&self) -> [u8; EXTENDED_REQUEST_BYTES] {
        let mut out = [0; EXTENDED_REQUEST_BYTES];
        let mut to = &mut out[..];
        to.put_u32(EXTENDED_REQUEST_MAGIC);
        to.put_u16(self.flags);
        to.put_u16(self.command.code());
        to.put_u64(self.cookie);
        to.put_u64(self.offset);
        to.put_u64(self.length);
        out
    }

    /// From the bytes of an extended request.
    ///
    /// # Errors
    /// [`Malformed::Magic`].
    pub fn decode_extended(bytes: &[u8; EXTENDED_REQUEST_BYTES]) -> Result<Self, Malformed> {
        let mut from = &bytes[..];
        let magic = from.get_u32();
        if magic != EXTENDED_REQUEST_MAGIC {
            return Err(Malformed::Magic(magic.into()));
        }
        Ok(Self {
            flags: from.get_u16(),
            command: Command::from_code(from.get_u16()),
            cookie: from.get_u64(),
            offset: from.get_u64(),
            length: from.get_u64(),
        })
    }

    /// From the bytes of a compact request.
    ///
    /// # Errors
    /// [`Malformed::Magic`].
    pub fn decode(bytes: &[u8; REQUEST_BYTES]) -> Result<Self, Malformed> {
        let mut from = &bytes[..];
        let magic = from.get_u32();
        if magic != REQUEST_MAGIC {
            return Err(Malformed::Magic(magic.into()));
        }
        Ok(Self {
            flags: from.get_u16(),
            command: Command::from_code(from.get_u16()),
            cookie: from.get_u64(),
            offset: from.get_u64(),
            length: from.get_u32().into(),
        })
    }
}

/// A simple reply: an outcome, and after it the data if it is that of a successful read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SimpleReply {
    /// `None` for success.
    pub error: Option<Errno>,
    /// The request's.
    pub cookie: u64,
}

impl SimpleReply {
    /// As bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; SIMPLE_REPLY_BYTES] {
        let mut out = [0; SIMPLE_REPLY_BYTES];
        let mut to = &mut out[..];
        to.put_u32(SIMPLE_REPLY_MAGIC);
        to.put_u32(self.error.map_or(0, |error| error as u32));
        to.put_u64(self.cookie);
        out
    }

    /// From bytes.
    ///
    /// # Errors
    /// [`Malformed::Magic`].
    pub fn decode(bytes: &[u8; SIMPLE_REPLY_BYTES]) -> Result<Self, Malformed> {
        let mut from = &bytes[..];
        let magic = from.get_u32();
        if magic != SIMPLE_REPLY_MAGIC {
            return Err(Malformed::Magic(magic.into()));
        }
        let number = from.get_u32();
        let error = (number != 0).then(|| Errno::from_wire(number));
        Ok(Self { error, cookie: from.get_u64() })
    }
}

/// What a chunk of a structured reply carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChunkKind {
    /// Nothing.
    None,
    /// An offset (8 bytes) and data.
    OffsetData,
    /// An offset (8 bytes) and a length (4 bytes) that reads zero.
    OffsetHole,
    /// A context's id (4 bytes), and descriptors: a length (4 bytes) and a state (4 bytes) each.
    BlockStatus,
    /// A context's id and a count (4 bytes each), and descriptors: a length and a state (8 bytes
    /// each).
    BlockStatusExtended,
    /// [`ErrorChunk`] without an offset.
    Error,
    /// [`ErrorChunk`] with an offset.
    ErrorOffset,
    /// Any other; the highest bit says that it is an error.
    Unknown(u16),
}

impl ChunkKind {
    /// The kind's number.
    #[must_use]
    pub fn code(self) -> u16 {
        match self {
            Self::None => 0,
            Self::OffsetData => 1,
            Self::OffsetHole => 2,
            Self::BlockStatus => 5,
            Self::BlockStatusExtended => 6,
            Self::Error => 0x8001,
            Self::ErrorOffset => 0x8002,
            Self::Unknown(code) => code,
        }
    }

    /// The kind with this number.
    #[must_use]
    pub fn from_code(code: u16) -> Self {
        match code {
            0 => Self::None,
            1 => Self::OffsetData,
            2 => Self::OffsetHole,
            5 => Self::BlockStatus,
            6 => Self::BlockStatusExtended,
            0x8001 => Self::Error,
            0x8002 => Self::ErrorOffset,
            other => Self::Unknown(other),
        }
    }
}

/// What precedes a chunk's payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// It is the last of its reply.
    pub done: bool,
    /// What the payload is.
    pub kind: ChunkKind,
    /// The request's.
    pub cookie: u64,
    /// Bytes of payload that follow.
    pub length: u32,
}

impl Chunk {
    /// As bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; CHUNK_BYTES] {
        let mut out = [0; CHUNK_BYTES];
        let mut to = &mut out[..];
        to.put_u32(CHUNK_MAGIC);
        to.put_u16(u16::from(self.done));
        to.put_u16(self.kind.code());
        to.put_u64(self.cookie);
        to.put_u32(self.length);
        out
    }

    /// From bytes.
    ///
    /// # Errors
    /// [`Malformed::Magic`].
    pub fn decode(bytes: &[u8; CHUNK_BYTES]) -> Result<Self, Malformed> {
        let mut from = &bytes[..];
        let magic = from.get_u32();
        if magic != CHUNK_MAGIC {
            return Err(Malformed::Magic(magic.into()));
        }
        let done = from.get_u16() & 1 != 0;
        let kind = ChunkKind::from_code(from.get_u16());
        Ok(Self { done, kind, cookie: from.get_u64(), length: from.get_u32() })
    }

    /// As the bytes of an extended chunk, which repeats the `offset` of the request.
    #[must_use]
    pub fn encode_extended(&self, offset: u64) -> [u8; EXTENDED_CHUNK_BYTES] {
        let mut out = [0; EXTENDED_CHUNK_BYTES];
        let mut to = &mut out[..];
        to.put_u32(EXTENDED_CHUNK_MAGIC);
        to.put_u16(u16::from(self.done));
        to.put_u16(self.kind.code());
        to.put_u64(self.cookie);
        to.put_u64(offset);
        to.put_u64(self.length.into());
        out
    }

    /// From the bytes of an extended chunk: the chunk, and the offset of the request.
    ///
    /// # Errors
    /// [`Malformed::Magic`]; [`Malformed::Length`], as no chunk carries 4 GiB.
    pub fn decode_extended(bytes: &[u8; EXTENDED_CHUNK_BYTES]) -> Result<(Self, u64), Malformed> {
        let mut from = &bytes[..];
        let magic = from.get_u32();
        if magic != EXTENDED_CHUNK_MAGIC {
            return Err(Malformed::Magic(magic.into()));
        }
        let done = from.get_u16() & 1 != 0;
        let kind = ChunkKind::from_code(from.get_u16());
        let (cookie, offset, length) = (from.get_u64(), from.get_u64(), from.get_u64());
        let length = u32::try_from(length).map_err(|_| Malformed::Length(length))?;
        Ok((Self { done, kind, cookie, length }, offset))
    }
}

/// The payload of an error chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorChunk {
    /// What went wrong.
    pub error: Errno,
    /// The same for people.
    pub message: String,
    /// Where, for [`ChunkKind::ErrorOffset`].
    pub offset: Option<u64>,
}

impl ErrorChunk {
    /// As bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut to = Vec::with_capacity(14 + self.message.len());
        to.put_u32(self.error as u32);
        to.put_u16(u16::try_from(self.message.len()).expect("messages are short sentences"));
        to.put_slice(self.message.as_bytes());
        if let Some(offset) = self.offset {
            to.put_u64(offset);
        }
        to
    }

    /// From the payload of a chunk of `kind`.
    ///
    /// # Errors
    /// [`Malformed`], where it is not of that form. Other kinds are read as [`ChunkKind::Error`]
    /// with anything after it.
    pub fn decode(kind: ChunkKind, payload: &[u8]) -> Result<Self, Malformed> {
        let mut from = payload;
        let error = Errno::from_wire(from.try_get_u32()?);
        let length = from.try_get_u16()?;
        let message = take_text(&mut from, length.into())?.to_owned();
        let offset = if kind == ChunkKind::ErrorOffset { Some(from.try_get_u64()?) } else { None };
        if matches!(kind, ChunkKind::Error | ChunkKind::ErrorOffset) {
            ends(from)?;
        }
        Ok(Self { error, message, offset })
    }
}
