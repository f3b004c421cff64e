//! Replies as they are sent: a head on the stack, and a body that is not copied.

use bytes::Bytes;

use super::{
    Chunk, ChunkKind, Descriptor, EXTENDED_CHUNK_BYTES, Errno, ErrorChunk, SimpleReply,
    encode_status,
};

/// The largest head of a reply: an extended chunk's header, and the offset of its data.
const HEAD_BYTES: usize = EXTENDED_CHUNK_BYTES + 8;

/// A reply ready to be sent.
#[derive(Debug)]
pub struct Reply {
    head: [u8; HEAD_BYTES],
    head_bytes: usize,
    body: Bytes,
}

/// What a reply made of chunks repeats of its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplyTo {
    /// The request's cookie.
    pub cookie: u64,
    /// The request's offset.
    pub offset: u64,
    /// Extended headers are in use.
    pub extended: bool,
}

/// What differs from chunk to chunk of a reply.
struct ChunkHead {
    done: bool,
    kind: ChunkKind,
    length: usize,
}

impl ChunkHead {
    fn encode(&self, to: ReplyTo) -> Vec<u8> {
        let Self { done, kind, .. } = *self;
        let length =
            u32::try_from(self.length).expect("a payload is at most 32 MiB of data, or shorter");
        let chunk = Chunk { done, kind, cookie: to.cookie, length };
        match to.extended {
            true => chunk.encode_extended(to.offset).to_vec(),
            false => chunk.encode().to_vec(),
        }
    }
}

impl Reply {
    /// A simple reply; `body` is the data of a read.
    #[must_use]
    pub fn simple(cookie: u64, error: Option<Errno>, body: Bytes) -> Self {
        Self::new(&[&SimpleReply { error, cookie }.encode()], body)
    }

    /// A reply of one chunk without a payload.
    #[must_use]
    pub fn none(to: ReplyTo) -> Self {
        Self::chunk(to, ChunkKind::None, &[], Bytes::new())
    }

    /// A reply of one chunk of data, read from the request's offset on.
    #[must_use]
    pub fn data(to: ReplyTo, body: Bytes) -> Self {
        Self::chunk(to, ChunkKind::OffsetData, &to.offset.to_be_bytes(), body)
    }

    /// A reply of one hole: `length` bytes that read zero, from the request's offset on.
    #[must_use]
    pub fn hole(to: ReplyTo, length: u32) -> Self {
        let payload = [&to.offset.to_be_bytes()[..], &length.to_be_bytes()].concat();
        Self::chunk(to, ChunkKind::OffsetHole, &[], payload.into())
    }

    /// A reply of what metadata contexts say, at least one: a chunk for each.
    ///
    /// # Panics
    /// If a length is of 4 GiB or more and headers are not extended.
    #[must_use]
    pub fn status(to: ReplyTo, contexts: &[(u32, Vec<Descriptor>)]) -> Self {
        let kind =
            if to.extended { ChunkKind::BlockStatusExtended } else { ChunkKind::BlockStatus };
        let (mut first, mut body) = (None, Vec::new());
        for (n, (context, descriptors)) in contexts.iter().enumerate() {
            let payload = encode_status(*context, descriptors, to.extended);
            let done = n + 1 == contexts.len();
            let head = ChunkHead { done, kind, length: payload.len() };
            // The first one goes where every reply's does; the others are part of what follows it.
            match first {
                None => first = Some(head),
                Some(_) => body.extend_from_slice(&head.encode(to)),
            }
            body.extend_from_slice(&payload);
        }
        let first = first.expect("at least one context was chosen");
        Self::new(&[&first.encode(to)], body.into())
    }

    /// A reply of one error chunk.
    #[must_use]
    pub fn error(to: ReplyTo, error: &ErrorChunk) -> Self {
        let kind = if error.offset.is_some() { ChunkKind::ErrorOffset } else { ChunkKind::Error };
        Self::chunk(to, kind, &[], error.encode().into())
    }

    fn chunk(to: ReplyTo, kind: ChunkKind, prefix: &[u8], body: Bytes) -> Self {
        let head = ChunkHead { done: true, kind, length: prefix.len() + body.len() };
        Self::new(&[&head.encode(to), prefix], body)
    }

    fn new(parts: &[&[u8]], body: Bytes) -> Self {
        let mut head = [0; HEAD_BYTES];
        let mut head_bytes = 0;
        for part in parts {
            head[head_bytes..head_bytes + part.len()].copy_from_slice(part);
            head_bytes += part.len();
        }
        Self { head, head_bytes, body }
    }

    /// The first bytes.
    #[must_use]
    pub fn head(&self) -> &[u8] {
        &self.head[..self.head_bytes]
    }

    /// How many bytes it has.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.head_bytes + self.body.len()
    }

    /// The bytes after those.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}
