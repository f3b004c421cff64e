//! What guests submit: one request, or all that a connection has read at once.
//!
//! ```text
//!   requests ─┬─ changes of whole blocks ─► one turn under the lock ─► as few records as they fit
//!             ├─ changes of parts of blocks ─► one by one, in their place among the others
//!             ├─ reads ─► looked up in one turn under the lock, after the changes
//!             └─ flushes ─► last
//! ```
//! Requests under way at the same time may take effect in any order, so this order is as good as
//! theirs; it has reads see the changes that came before them, and flushes cover those. Changes
//! keep their order.
//!
//! Deliberately not here: waiting for more requests. What is submitted is done at once.

use ebb_volume::{Completion, Io};

use super::Pool;
use super::read::Read;
use super::write::{Asked, Guest};
use crate::session::Opened;
use crate::storage::Storage;

/// Reads looked up in one turn under the lock.
const READS_AT_ONCE: usize = 64;

/// What a request is to the pool.
enum Kind {
    Change(Asked),
    Read(Read),
    Flush(Completion),
}

impl<S: Storage> Pool<S> {
    /// Reads complete on this thread; so do changes, unless another thread is writing. Only what
    /// has to be durable completes on the sync thread.
    pub(crate) fn submit(&self, opened: &Opened, io: Io, done: Completion) {
        match Kind::of(io, done) {
            Kind::Change(asked) => self.change_bytes(opened, asked),
            Kind::Read(read) => self.read_all(opened, [read]),
            Kind::Flush(done) => self.flush(opened, done),
        }
    }

    /// The same for several, in as few records as they fit into.
    pub(crate) fn submit_all(&self, opened: &Opened, requests: Vec<(Io, Completion)>) {
        let (mut changes, mut reads, mut flushes) = (Vec::new(), Vec::new(), Vec::new());
        for (io, done) in requests {
            match Kind::of(io, done) {
                Kind::Read(read) => reads.push(read),
                Kind::Flush(done) => flushes.push(done),
                Kind::Change(asked) => match self.whole(opened, asked) {
                    Ok(whole) => changes.push(whole),
                    Err(asked) => {
                        // It may wait for the blocks of those before it.
                        self.change_whole(opened, changes.drain(..));
                        self.change_in_part(opened, asked);
                    }
                },
            }
        }
        self.change_whole(opened, changes);
        while !reads.is_empty() {
            let rest = reads.split_off(reads.len().min(READS_AT_ONCE));
            self.read_all(opened, std::mem::replace(&mut reads, rest));
        }
        for done in flushes {
            self.flush(opened, done);
        }
    }
}

impl Kind {
    fn of(io: Io, done: Completion) -> Self {
        let (offset, guest, durable) = match io {
            Io::Read { offset, length } => return Self::Read(Read { offset, length, done }),
            Io::Flush => return Self::Flush(done),
            Io::Write { offset, data, fua } => (offset, Guest::Write(data), fua),
            Io::Zero { offset, length, fua } => (offset, Guest::Zero(length), fua),
            Io::Discard { offset, length, fua } => (offset, Guest::Discard(length), fua),
        };
        Self::Change(Asked { offset, guest, durable, done })
    }
}
