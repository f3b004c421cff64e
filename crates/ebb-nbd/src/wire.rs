//! The NBD protocol's bytes: constants, messages, and their encoding. No sockets, no state.
//!
//! ```text
//!   server ─ greeting ─►   ◄─ client flags ─      handshake   (option.rs)
//!   client ─ option, option, …, GO ─►  ◄─ option replies ─
//!   client ─ request ─►    ◄─ reply ─             transmission (transmission.rs)
//! ```
//!
//! All integers are big-endian. Every fact here is from `doc/proto.md` of the NetworkBlockDevice
//! project, and the names are its names, shortened. Decoding never panics and never allocates more
//! than a small multiple of its input.
//!
//! Deliberately not here: oldstyle negotiation, what TLS sends.

mod option;
mod reply;
mod status;
mod transmission;

use bytes::Buf;

pub use option::{
    BlockSizes, Choice, MetaQuery, OPTION_BYTES, OPTION_REPLY_BYTES, OptionHeader, OptionKind,
    OptionReply, decode_server, encode_export_info, encode_server, info, rep,
};
pub use reply::{Reply, ReplyTo};
pub use status::{
    BASE_ALLOCATION, CHANGED, Descriptor, decode_meta_context, decode_status, encode_meta_context,
    encode_status, state,
};
pub use transmission::{
    CHUNK_BYTES, Chunk, ChunkKind, Command, EXTENDED_CHUNK_BYTES, EXTENDED_REQUEST_BYTES,
    ErrorChunk, Framing, REQUEST_BYTES, Request, SIMPLE_REPLY_BYTES, SimpleReply, command_flags,
};

/// The first 8 bytes from a server: `NBDMAGIC`.
pub const MAGIC: u64 = 0x4e42_444d_4147_4943;
/// The next 8 bytes from a newstyle server, and the first 8 of every option: `IHAVEOPT`.
pub const OPTION_MAGIC: u64 = 0x4948_4156_454f_5054;
/// The first 8 bytes of every reply to an option.
pub const OPTION_REPLY_MAGIC: u64 = 0x0003_e889_0455_65a9;
/// The first 4 bytes of every request.
pub const REQUEST_MAGIC: u32 = 0x2560_9513;
/// The first 4 bytes of a simple reply.
pub const SIMPLE_REPLY_MAGIC: u32 = 0x6744_6698;
/// The first 4 bytes of every chunk of a structured reply.
pub const CHUNK_MAGIC: u32 = 0x668e_33ef;

/// The first 4 bytes of every extended request.
pub const EXTENDED_REQUEST_MAGIC: u32 = 0x21e4_1c71;
/// The first 4 bytes of every chunk of an extended reply.
pub const EXTENDED_CHUNK_MAGIC: u32 = 0x6e8a_278c;

/// The most data that one read or write carries: 32 MiB, what proto.md tells clients to assume.
pub const MAX_PAYLOAD: u32 = 32 << 20;

/// The longest string that proto.md allows: 4096 bytes.
pub const MAX_STRING: usize = 4096;

/// Server and client flags of the handshake: fixed newstyle negotiation.
pub const FIXED_NEWSTYLE: u16 = 1 << 0;
/// Server and client flags of the handshake: no 124 zeroes after `EXPORT_NAME`.
pub const NO_ZEROES: u16 = 1 << 1;

/// What an export can do: the transmission flags.
pub mod transmission_flags {
    /// The field is meaningful; always set.
    pub const HAS_FLAGS: u16 = 1 << 0;
    /// `FLUSH` is supported.
    pub const SEND_FLUSH: u16 = 1 << 2;
    /// `FUA` is supported, on every command.
    pub const SEND_FUA: u16 = 1 << 3;
    /// `TRIM` is supported.
    pub const SEND_TRIM: u16 = 1 << 5;
    /// `WRITE_ZEROES` is supported.
    pub const SEND_WRITE_ZEROES: u16 = 1 << 6;
    /// `DF` is supported; only with structured replies.
    pub const SEND_DF: u16 = 1 << 7;
    /// A flush on one connection covers the writes of all.
    pub const CAN_MULTI_CONN: u16 = 1 << 8;
    /// `CACHE` is supported.
    pub const SEND_CACHE: u16 = 1 << 10;
    /// `FAST_ZERO` is supported.
    pub const SEND_FAST_ZERO: u16 = 1 << 11;
}

/// An error number on the wire. The protocol fixes the values; they happen to be Linux's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Errno {
    /// Not permitted.
    Perm = 1,
    /// Input or output failed.
    Io = 5,
    /// Out of memory.
    NoMem = 12,
    /// The request is not valid.
    Inval = 22,
    /// No space is left, or a write reaches past the end.
    NoSpc = 28,
    /// The reply would be too large.
    Overflow = 75,
    /// Not supported.
    NotSup = 95,
    /// The export is going away.
    Shutdown = 108,
}

impl Errno {
    /// The error for a number from the wire; proto.md has unknown ones read as `EINVAL`.
    #[must_use]
    pub fn from_wire(number: u32) -> Self {
        [Self::Perm, Self::Io, Self::NoMem, Self::NoSpc, Self::Overflow, Self::NotSup]
            .into_iter()
            .chain([Self::Shutdown])
            .find(|known| *known as u32 == number)
            .unwrap_or(Self::Inval)
    }

    /// A short sentence for people.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Self::Perm => "not permitted",
            Self::Io => "input/output error",
            Self::NoMem => "out of memory",
            Self::Inval => "invalid request",
            Self::NoSpc => "no space left, or past the end of the export",
            Self::Overflow => "the reply would be too large",
            Self::NotSup => "not supported",
            Self::Shutdown => "the export is going away",
        }
    }
}

/// Why bytes are not a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It does not begin with the magic number that belongs there.
    #[error("wrong magic number {0:#x}")]
    Magic(u64),
    /// It ends before its last field.
    #[error("it ends before its last field")]
    Short,
    /// Bytes follow its last field.
    #[error("bytes follow its last field")]
    Long,
    /// A length does not fit what it is the length of.
    #[error("a length of {0} bytes")]
    Length(u64),
    /// A string is longer than [`MAX_STRING`].
    #[error("a string is longer than 4096 bytes")]
    LongString,
    /// A string is not UTF-8.
    #[error("a string is not UTF-8")]
    Text,
}

impl From<bytes::TryGetError> for Malformed {
    fn from(_: bytes::TryGetError) -> Self {
        Self::Short
    }
}

/// Takes a string of `length` bytes off the front.
fn take_text<'a>(from: &mut &'a [u8], length: usize) -> Result<&'a str, Malformed> {
    if length > MAX_STRING {
        return Err(Malformed::LongString);
    }
    let (text, rest) = from.split_at_checked(length).ok_or(Malformed::Short)?;
    *from = rest;
    std::str::from_utf8(text).map_err(|_| Malformed::Text)
}

/// Takes a string with a 32-bit length before it off the front.
fn take_counted_text<'a>(from: &mut &'a [u8]) -> Result<&'a str, Malformed> {
    let length = from.try_get_u32()?;
    take_text(from, usize::try_from(length).unwrap_or(usize::MAX))
}

fn ends(rest: &[u8]) -> Result<(), Malformed> {
    if rest.is_empty() { Ok(()) } else { Err(Malformed::Long) }
}
