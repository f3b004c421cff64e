//! What of an export is stored, or differs from a snapshot: block status, and reads of what is not
//! stored.
//!
//! All ask [`Volume::extents`] or [`Volume::changed`], on the connection's thread, as reads are
//! read there. A reply to block status is bounded, and counts as data under way while it is.

use std::num::NonZeroUsize;

use ebb_volume::{Difference, Extent, IoError, Volume};

use crate::contexts::Context;

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
pub(crate) fn reply_bytes(contexts: &[Context], request: &Request) -> u32 {
    contexts.len() as u32 * (32 + 8 + 16 * most(request).get() as u32)
}

/// What each of the chosen contexts says of the range of a request, with its id.
pub(crate) fn block_status(
    volume: &dyn Volume,
    contexts: &[Context],
    request: &Request,
) -> Result<Vec<(u32, Vec<Descriptor>)>, IoError> {
    let all = (1..).zip(contexts);
    all.map(|(id, context)| Ok((id, says(volume, *context, request)?))).collect()
}

fn says(
    volume: &dyn Volume,
    context: Context,
    request: &Request,
) -> Result<Vec<Descriptor>, IoError> {
    let Request { offset, length, .. } = *request;
    match context {
        Context::Allocation => {
            let extents = volume.extents(offset, length, most(request))?;
            let descriptor = |Extent { length, stored }| {
                let state = if stored { 0 } else { state::HOLE | state::ZERO };
                Descriptor { length, state }
            };
            Ok(extents.into_iter().map(descriptor).collect())
        }
        Context::Changed(since) => {
            let differences = volume.changed(since, offset, length, most(request))?;
            let descriptor = |Difference { length, changed }| {
                let state = if changed { state::DIFFERS } else { 0 };
                Descriptor { length, state }
            };
            Ok(differences.into_iter().map(descriptor).collect())
        }
    }
}

/// Whether a long read is of one hole. Where that is not known, it is read.
pub(crate) fn is_long_hole(volume: &dyn Volume, request: &Request) -> bool {
    let Request { offset, length, .. } = *request;
    let hole = Extent { length, stored: false };
    length >= LOOKED_UP_BYTES && volume.extents(offset, length, ONE).is_ok_and(|of| of == [hole])
}
