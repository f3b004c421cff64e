//! Block status: metadata contexts, and what a reply says in them.

use bytes::{Buf, BufMut};

use super::{Malformed, ends};

/// The one context of proto.md itself: what is allocated, and what reads zero.
pub const BASE_ALLOCATION: &str = "base:allocation";

/// Contexts of this server: what differs from the snapshot whose name follows.
pub const CHANGED: &str = "ebbtide:changed:";

/// What contexts say of a range.
pub mod state {
    /// `base:allocation`: nothing is kept for it; a write there may fail for want of space.
    pub const HOLE: u32 = 1 << 0;
    /// `base:allocation`: it reads zero.
    pub const ZERO: u32 = 1 << 1;
    /// [`CHANGED`](super::CHANGED): it may differ from the snapshot. As in `qemu:dirty-bitmap`.
    pub const DIFFERS: u32 = 1 << 0;
}

/// A range in a context; it begins where the one before it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptor {
    /// Bytes.
    pub length: u64,
    /// Of [`state`].
    pub state: u32,
}

/// The data of [`rep::META_CONTEXT`](super::rep::META_CONTEXT).
#[must_use]
pub fn encode_meta_context(id: u32, name: &str) -> Vec<u8> {
    [&id.to_be_bytes(), name.as_bytes()].concat()
}

/// The id and the name in the data of [`rep::META_CONTEXT`](super::rep::META_CONTEXT).
///
/// # Errors
/// [`Malformed`].
pub fn decode_meta_context(data: &[u8]) -> Result<(u32, &str), Malformed> {
    let mut from = data;
    let id = from.try_get_u32()?;
    Ok((id, std::str::from_utf8(from).map_err(|_| Malformed::Text)?))
}

/// The payload of [`ChunkKind::BlockStatus`](super::ChunkKind::BlockStatus), or where `extended` of
/// [`ChunkKind::BlockStatusExtended`](super::ChunkKind::BlockStatusExtended).
///
/// # Panics
/// If a length is of 4 GiB or more and `extended` is false.
#[must_use]
pub fn encode_status(context: u32, descriptors: &[Descriptor], extended: bool) -> Vec<u8> {
    let mut to = Vec::with_capacity(8 + 16 * descriptors.len());
    to.put_u32(context);
    if extended {
        to.put_u32(u32::try_from(descriptors.len()).expect("a reply has some thousand"));
    }
    for Descriptor { length, state } in descriptors {
        if extended {
            to.put_u64(*length);
            to.put_u64((*state).into());
        } else {
            to.put_u32(u32::try_from(*length).expect("a compact request is for less than 4 GiB"));
            to.put_u32(*state);
        }
    }
    to
}

/// The context and its descriptors in a payload that [`encode_status`] made.
///
/// # Errors
/// [`Malformed`], where the payload is not of that form.
pub fn decode_status(payload: &[u8], extended: bool) -> Result<(u32, Vec<Descriptor>), Malformed> {
    let mut from = payload;
    let context = from.try_get_u32()?;
    let bytes = if extended { 16 } else { 8 };
    let count = if extended { from.try_get_u32()? as usize } else { from.len() / bytes };
    let mut descriptors = Vec::new();
    for _ in 0..count {
        let (length, state) = if extended {
            let (length, state) = (from.try_get_u64()?, from.try_get_u64()?);
            (length, u32::try_from(state).map_err(|_| Malformed::Length(state))?)
        } else {
            (from.try_get_u32()?.into(), from.try_get_u32()?)
        };
        descriptors.push(Descriptor { length, state });
    }
    ends(from)?;
    Ok((context, descriptors))
}
