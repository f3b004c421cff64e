//! Option haggling: what a client asks before it uses an export, and the replies.

use bytes::{Buf, BufMut};

use super::{MAX_PAYLOAD, Malformed, OPTION_MAGIC, OPTION_REPLY_MAGIC};
use super::{ends, take_counted_text};

/// The size of an option's header in bytes; its data follows.
pub const OPTION_BYTES: usize = 16;
/// The size of an option reply's header in bytes; its data follows.
pub const OPTION_REPLY_BYTES: usize = 20;

/// The options that this server knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptionKind {
    /// Use the export named, without an answer if there is none. Data: the name.
    ExportName,
    /// End the session.
    Abort,
    /// List the exports.
    List,
    /// Begin TLS.
    StartTls,
    /// Tell about an export. Data: [`Choice`].
    Info,
    /// Tell about an export and use it. Data: [`Choice`].
    Go,
    /// Use structured replies.
    StructuredReply,
    /// List metadata contexts. Data: [`MetaQuery`].
    ListMetaContext,
    /// Choose metadata contexts. Data: [`MetaQuery`].
    SetMetaContext,
    /// Use extended headers: requests and replies with lengths of 64 bits.
    ExtendedHeaders,
    /// Any other.
    Unknown(u32),
}

impl OptionKind {
    const KNOWN: [(u32, Self); 10] = [
        (1, Self::ExportName),
        (2, Self::Abort),
        (3, Self::List),
        (5, Self::StartTls),
        (6, Self::Info),
        (7, Self::Go),
        (8, Self::StructuredReply),
        (9, Self::ListMetaContext),
        (10, Self::SetMetaContext),
        (11, Self::ExtendedHeaders),
    ];

    /// The option's number.
    #[must_use]
    pub fn code(self) -> u32 {
        match self {
            Self::Unknown(code) => code,
            known => Self::KNOWN
                .iter()
                .find(|(_, kind)| *kind == known)
                .map(|(code, _)| *code)
                .expect("every known option is in the table"),
        }
    }

    /// The option with this number.
    #[must_use]
    pub fn from_code(code: u32) -> Self {
        Self::KNOWN
            .iter()
            .find(|(known, _)| *known == code)
            .map_or(Self::Unknown(code), |(_, kind)| *kind)
    }
}

/// What precedes an option's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionHeader {
    /// Which option.
    pub kind: OptionKind,
    /// Bytes of data that follow.
    pub length: u32,
}

impl OptionHeader {
    /// As bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; OPTION_BYTES] {
        let mut out = [0; OPTION_BYTES];
        let mut to = &mut out[..];
        to.put_u64(OPTION_MAGIC);
        to.put_u32(self.kind.code());
        to.put_u32(self.length);
        out
    }

    /// From bytes.
    ///
    /// # Errors
    /// [`Malformed::Magic`].
    pub fn decode(bytes: &[u8; OPTION_BYTES]) -> Result<Self, Malformed> {
        let mut from = &bytes[..];
        let magic = from.get_u64();
        if magic != OPTION_MAGIC {
            return Err(Malformed::Magic(magic));
        }
        Ok(Self { kind: OptionKind::from_code(from.get_u32()), length: from.get_u32() })
    }
}

/// The types of replies to options.
pub mod rep {
    /// Done.
    pub const ACK: u32 = 1;
    /// One export of a list.
    pub const SERVER: u32 = 2;
    /// One fact about an export.
    pub const INFO: u32 = 3;
    /// One metadata context.
    pub const META_CONTEXT: u32 = 4;
    /// Set in every error's type.
    pub const ERROR_BIT: u32 = 1 << 31;
    /// The option is not known, or not supported.
    pub const ERR_UNSUP: u32 = ERROR_BIT + 1;
    /// The server does not allow it.
    pub const ERR_POLICY: u32 = ERROR_BIT + 2;
    /// The option's data is malformed, or it may not be used now.
    pub const ERR_INVALID: u32 = ERROR_BIT + 3;
    /// TLS comes first.
    pub const ERR_TLS_REQD: u32 = ERROR_BIT + 5;
    /// There is no such export.
    pub const ERR_UNKNOWN: u32 = ERROR_BIT + 6;
    /// The option's data is too long.
    pub const ERR_TOO_BIG: u32 = ERROR_BIT + 9;
    /// Extended headers are in use, or would have to be.
    pub const ERR_EXT_HEADER_REQD: u32 = ERROR_BIT + 10;
}

/// The types of facts in [`rep::INFO`].
pub mod info {
    /// Size and transmission flags; always sent.
    pub const EXPORT: u16 = 0;
    /// Its name.
    pub const NAME: u16 = 1;
    /// [`BlockSizes`](super::BlockSizes).
    pub const BLOCK_SIZE: u16 = 3;
}

/// What precedes the data of a reply to an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionReply {
    /// The option that it answers.
    pub option: OptionKind,
    /// One of [`rep`].
    pub kind: u32,
    /// Bytes of data that follow.
    pub length: u32,
}

impl OptionReply {
    /// As bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; OPTION_REPLY_BYTES] {
        let mut out = [0; OPTION_REPLY_BYTES];
        let mut to = &mut out[..];
        to.put_u64(OPTION_REPLY_MAGIC);
        to.put_u32(self.option.code());
        to.put_u32(self.kind);
        to.put_u32(self.length);
        out
    }

    /// From bytes.
    ///
    /// # Errors
    /// [`Malformed::Magic`].
    pub fn decode(bytes: &[u8; OPTION_REPLY_BYTES]) -> Result<Self, Malformed> {
        let mut from = &bytes[..];
        let magic = from.get_u64();
        if magic != OPTION_REPLY_MAGIC {
            return Err(Malformed::Magic(magic));
        }
        let option = OptionKind::from_code(from.get_u32());
        Ok(Self { option, kind: from.get_u32(), length: from.get_u32() })
    }
}

/// The data of [`OptionKind::Info`] and [`OptionKind::Go`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The export's name.
    pub name: String,
    /// Which facts of [`info`] the client wants.
    pub wants: Vec<u16>,
}

impl Choice {
    /// As bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut to = Vec::with_capacity(6 + self.name.len() + 2 * self.wants.len());
        put_counted_text(&mut to, &self.name);
        to.put_u16(u16::try_from(self.wants.len()).expect("a client wants a few facts"));
        for want in &self.wants {
            to.put_u16(*want);
        }
        to
    }

    /// From bytes.
    ///
    /// # Errors
    /// [`Malformed`], where the lengths inside do not add up to the length of `data`.
    pub fn decode(data: &[u8]) -> Result<Self, Malformed> {
        let mut from = data;
        let name = take_counted_text(&mut from)?.to_owned();
        let count = from.try_get_u16()?;
        let mut wants = Vec::new();
        for _ in 0..count {
            wants.push(from.try_get_u16()?);
        }
        ends(from)?;
        Ok(Self { name, wants })
    }
}

/// The data of [`OptionKind::ListMetaContext`] and [`OptionKind::SetMetaContext`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetaQuery {
    /// The export's name.
    pub name: String,
    /// The contexts asked for.
    pub queries: Vec<String>,
}

impl MetaQuery {
    /// As bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut to = Vec::new();
        put_counted_text(&mut to, &self.name);
        to.put_u32(u32::try_from(self.queries.len()).expect("a client asks a few queries"));
        for query in &self.queries {
            put_counted_text(&mut to, query);
        }
        to
    }

    /// From bytes.
    ///
    /// # Errors
    /// [`Malformed`], where the lengths inside do not add up to the length of `data`.
    pub fn decode(data: &[u8]) -> Result<Self, Malformed> {
        let mut from = data;
        let name = take_counted_text(&mut from)?.to_owned();
        let count = from.try_get_u32()?;
        let mut queries = Vec::new();
        for _ in 0..count {
            queries.push(take_counted_text(&mut from)?.to_owned());
        }
        ends(from)?;
        Ok(Self { name, queries })
    }
}

/// The fact [`info::BLOCK_SIZE`], in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockSizes {
    /// Offsets and lengths should be multiples of it.
    pub minimum: u32,
    /// Best for speed.
    pub preferred: u32,
    /// The most data in one request.
    pub maximum: u32,
}

impl BlockSizes {
    /// What this server advertises. It answers any alignment all the same, as a client that does
    /// not ask may send any.
    pub const SERVED: Self = Self { minimum: 512, preferred: 4096, maximum: MAX_PAYLOAD };

    /// The data of the reply, its type included.
    #[must_use]
    pub fn encode(&self) -> [u8; 14] {
        let mut out = [0; 14];
        let mut to = &mut out[..];
        to.put_u16(info::BLOCK_SIZE);
        to.put_u32(self.minimum);
        to.put_u32(self.preferred);
        to.put_u32(self.maximum);
        out
    }
}

/// The data of the fact [`info::EXPORT`], its type included.
#[must_use]
pub fn encode_export_info(size_bytes: u64, flags: u16) -> [u8; 12] {
    let mut out = [0; 12];
    let mut to = &mut out[..];
    to.put_u16(info::EXPORT);
    to.put_u64(size_bytes);
    to.put_u16(flags);
    out
}

/// The data of [`rep::SERVER`].
#[must_use]
pub fn encode_server(name: &str) -> Vec<u8> {
    let mut to = Vec::with_capacity(4 + name.len());
    put_counted_text(&mut to, name);
    to
}

/// The name in the data of [`rep::SERVER`]; what follows it is for people, and is left out.
///
/// # Errors
/// [`Malformed`], where the name's length is not right.
pub fn decode_server(data: &[u8]) -> Result<&str, Malformed> {
    let mut from = data;
    take_counted_text(&mut from)
}

fn put_counted_text(to: &mut Vec<u8>, text: &str) {
    to.put_u32(u32::try_from(text.len()).expect("names are at most 4096 bytes"));
    to.put_slice(text.as_bytes());
}
