//! The data side of an engine: bytes in and out of one volume.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::mpsc;

use bytes::Bytes;

use crate::{Difference, Extent, SnapshotId, VolumeId};

/// One request to a volume. Offsets and lengths are in bytes and need no alignment; a request that
/// reaches past the volume's end answers [`IoError::OutOfRange`] and changes nothing.
#[derive(Debug, Clone)]
pub enum Io {
    /// Completes with `length` bytes.
    Read {
        /// First byte.
        offset: u64,
        /// Bytes to read.
        length: u32,
    },
    /// Completes with no bytes.
    Write {
        /// First byte.
        offset: u64,
        /// What to write.
        data: Bytes,
        /// Durable when it completes.
        fua: bool,
    },
    /// Makes the range read zero, exactly. Completes with no bytes.
    Zero {
        /// First byte.
        offset: u64,
        /// Bytes to zero.
        length: u64,
        /// Durable when it completes.
        fua: bool,
    },
    /// Says that the range is not needed: the whole blocks inside it read zero afterwards, a part
    /// of a block at either end stays as it was. Completes with no bytes.
    Discard {
        /// First byte.
        offset: u64,
        /// Bytes to discard.
        length: u64,
        /// Durable when it completes.
        fua: bool,
    },
    /// Makes durable all that completed before, on any handle. Completes with no bytes.
    Flush,
}

/// Called once with the outcome: on the submitting thread before `submit` returns, or later on
/// another. It must not block.
pub type Completion = Box<dyn FnOnce(Result<Bytes, IoError>) + Send>;

/// A handle on an open volume.
pub trait Volume: Send + Sync {
    /// The volume's id.
    fn id(&self) -> VolumeId;

    /// Its size now; it only ever grows.
    fn size_bytes(&self) -> u64;

    /// Starts `io`. Requests under way at the same time may take effect in any order; of two that
    /// overlap, each byte ends as one or the other wrote it.
    fn submit(&self, io: Io, done: Completion);

    /// Starts several requests, as [`Volume::submit`] does each: an engine may do together what
    /// they have in common. They are under way at the same time, so a flush among them promises
    /// nothing of the others, and none waits for more requests to come.
    fn submit_all(&self, requests: Vec<(Io, Completion)>) {
        for (io, done) in requests {
            self.submit(io, done);
        }
    }

    /// Says that these ranges of bytes will be read at once, one after the other: an engine that
    /// would wait for each may begin with all of them. It is advice; nothing depends on it.
    fn will_read(&self, _ranges: &[Range<u64>]) {}

    /// What of `length` bytes from `offset` on is stored, and what is a hole: extents in order, the
    /// first from `offset` on, none like the one before it. They are those of one instant, with
    /// every change in them that completed before the call.
    ///
    /// What was never written is a hole; so is a whole block that was zeroed or discarded since.
    ///
    /// At most `most` extents are told. There may be fewer than would cover the range, and the last
    /// may end before what it is part of does, so that a call takes a bounded time; there is at
    /// least one, unless `length` is zero. May wait for the engine's own pages, as a read does.
    ///
    /// # Errors
    /// [`IoError::OutOfRange`], [`IoError::Stale`], [`IoError::Corrupt`], [`IoError::Failed`].
    fn extents(&self, offset: u64, length: u64, most: NonZeroUsize)
    -> Result<Vec<Extent>, IoError>;

    /// What of `length` bytes from `offset` on differs from a snapshot, of this volume or of any
    /// other, as [`Volume::extents`] tells what is stored, and bounded as that is.
    ///
    /// A run that is not changed reads as the snapshot does, and zero behind its end. A block that
    /// both have from the time before they parted is not changed, and neither is a hole in both.
    /// Any other is; but of one that was written with the same bytes again, or with zeroes where
    /// there was a hole, an engine that compares bytes may say that it is not.
    ///
    /// # Errors
    /// Those of [`Volume::extents`], and [`IoError::NoSnapshot`].
    fn changed(
        &self,
        since: SnapshotId,
        offset: u64,
        length: u64,
        most: NonZeroUsize,
    ) -> Result<Vec<Difference>, IoError>;
}

/// Submits `io` and waits for it.
///
/// # Errors
/// What the volume answered; [`IoError::Failed`] if it dropped the request unanswered.
pub fn run(volume: &dyn Volume, io: Io) -> Result<Bytes, IoError> {
    let (sender, receiver) = mpsc::sync_channel(1);
    volume.submit(
        io,
        Box::new(move |outcome| {
            // The receiver waits below, so this send has a taker.
            let _ = sender.send(outcome);
        }),
    );
    receiver.recv().unwrap_or(Err(IoError::Failed))
}

/// Why a request to a volume failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IoError {
    /// The range is not within the volume.
    #[error("the request reaches past the end of the volume")]
    OutOfRange,
    /// The handle was revoked, or its volume was deleted.
    #[error("the handle has been revoked")]
    Stale,
    /// There is no space for the write; nothing changed.
    #[error("no space is left in the pool")]
    NoSpace,
    /// What is stored does not match its checksum. It is never returned as data.
    #[error("a block does not match its checksum")]
    Corrupt,
    /// The snapshot that it is compared with is not there.
    #[error("the snapshot is not there")]
    NoSnapshot,
    /// The engine could not read or write, or has stopped.
    #[error("the engine could not do it")]
    Failed,
}
