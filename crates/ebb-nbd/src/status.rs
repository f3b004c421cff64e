//! What of an export is stored: block status, and reads of what is not.
//!
//! Both ask [`Volume::extents`], on the connection's thread, as reads are read there. A reply to
//! block status is bounded, and counts as data under way while it is.

use std::num::NonZeroUsize;

use ebb_volume::{Extent, IoError, Volume};

use crate::wire::{Descriptor, Request, command_flags, state};

/// Descriptors in one reply: 64 KiB of them with extended headers. A client asks for the rest, as
/// for the rest of a range that took too long.
const DESCRIPTORS: NonZeroUsize = NonZeroUsize::new(4096).expect("it is not zero");
const ONE: NonZeroUsize = NonZeroUsize::MIN;

/// Reads of at least this are looked up first: a look costs what a small read does.
const LOOKED_UP_BYTES: u64 = 256 << 10;

/// Descriptors in the reply to a request, at most.
fn most(request: &Request) -> NonZeroUsize {
    if request.flags & command_flags::REQ_ONE != 0 { ONE } else { DESCRIPTORS }
}

/// The bytes that the reply to a request holds, at most.
pub(crate) fn reply_bytes(request: &Request) -> u32 {
    8 + 16 * most(request).get() as u32
}

/// What `base:allocation` says of the range of a request.
pub(crate) fn block_status(
    volume: &dyn Volume,
    request: &Request,
) -> Result<Vec<Descriptor>, IoError> {
    let extents = volume.extents(request.offset, request.length, most(request))?;
    let descriptor = |Extent { length, stored }| {
        let state = if stored { 0 } else { state::HOLE | state::ZERO };
        Descriptor { length, state }
    };
    Ok(extents.into_iter().map(descriptor).collect())
}

/// Whether a long read is of one hole. Where that is not known, it is read.
pub(crate) fn is_long_hole(volume: &dyn Volume, request: &Request) -> bool {
    let Request { offset, length, .. } = *request;
    let hole = Extent { length, stored: false };
    length >= LOOKED_UP_BYTES && volume.extents(offset, length, ONE).is_ok_and(|of| of == [hole])
}
