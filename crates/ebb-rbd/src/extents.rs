//! Which blocks of a version are stored, and which differ from a snapshot's.
//!
//! Object maps say where to look, four megabytes at a time; the bytes decide, block by block. A
//! block of zeroes is a hole, whoever wrote it. Of two versions of one lineage a block is changed
//! where it reads differently; of two that have nothing in common wherever one of them has bytes.

use std::num::NonZeroUsize;

use ebb_volume::{BLOCK_BYTES, EngineError, ExtentList};

use crate::map::OBJECT_BYTES;
use crate::views::{Between, Version};

/// What is read at a time, and by one call.
const PIECE_BYTES: u64 = 256 << 10;
const MOST_BYTES: u64 = 32 << 20;

/// A range, and how many runs of it may be told.
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) offset: u64,
    pub(crate) length: u64,
    pub(crate) most: NonZeroUsize,
}

/// What of a version is stored.
pub(crate) fn stored(version: &Version, asked: Asked) -> Result<ExtentList, EngineError> {
    walk(
        asked,
        |object| version.next(object),
        |offset, length| {
            let bytes = version.read(offset, length)?;
            Ok(blocks(&bytes).map(|block| !is_zero(block)).collect())
        },
    )
}

/// What of a version differs from another.
pub(crate) fn changed(
    version: &Version,
    since: &Version,
    between: &Between,
    asked: Asked,
) -> Result<ExtentList, EngineError> {
    let unrelated = matches!(between, Between::Unrelated);
    let next = |object| match unrelated {
        true => [version.next(object), since.next(object)].into_iter().flatten().min(),
        false => between.next(object),
    };
    walk(asked, next, |offset, length| {
        let (now, then) = (version.read(offset, length)?, since.read(offset, length)?);
        let pairs = blocks(&now).zip(blocks(&then));
        let differs = |(now, then): (&[u8], &[u8])| match unrelated {
            true => !is_zero(now) || !is_zero(then),
            false => now != then,
        };
        Ok(pairs.map(differs).collect())
    })
}

/// Goes through a range: holes between the objects that `next` names, and in them what `look` says
/// of each block.
fn walk(
    asked: Asked,
    next: impl Fn(u64) -> Option<u64>,
    look: impl Fn(u64, u64) -> Result<Vec<bool>, EngineError>,
) -> Result<ExtentList, EngineError> {
    let end = asked.offset + asked.length;
    let mut list = ExtentList::new(asked.offset, asked.length, asked.most);
    let (mut at, mut bytes) = (asked.offset / BLOCK_BYTES * BLOCK_BYTES, 0);
    while at < end && !list.is_full() && bytes < MOST_BYTES {
        let object = next(at / OBJECT_BYTES).unwrap_or(u64::MAX);
        let first = at.max(object.saturating_mul(OBJECT_BYTES));
        list.reach(first, false);
        if first >= end {
            break;
        }
        let last = (object + 1).saturating_mul(OBJECT_BYTES).min(end.next_multiple_of(BLOCK_BYTES));
        let piece = PIECE_BYTES.min(last - first);
        at = first;
        for told in look(first, piece)? {
            at += BLOCK_BYTES;
            list.reach(at, told);
        }
        bytes += piece;
    }
    Ok(list)
}

pub(crate) fn blocks(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.chunks(BLOCK_BYTES as usize)
}

pub(crate) fn is_zero(block: &[u8]) -> bool {
    let words = block.chunks_exact(16);
    let rest = words.remainder();
    words.into_iter().all(|word| *word == [0; 16]) && rest.iter().all(|byte| *byte == 0)
}
