//! One request under way: it is answered exactly once, whatever becomes of it.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use ebb_volume::IoError;

use crate::counters::Counters;
use crate::link::{Ended, Link};
use crate::negotiation::Session;
use crate::wire::{Command, Descriptor, Errno, ErrorChunk, Framing, Reply, ReplyTo, Request};

/// A request that counts as under way. Dropping it unanswered, as a volume that fails might,
/// answers `EIO`: a client must not wait for ever, nor a withdrawal.
#[derive(Debug)]
pub(crate) struct Ticket {
    request: Request,
    framing: Framing,
    cost: u32,
    counters: Arc<Counters>,
    began: Instant,
    link: Option<Arc<Link>>,
}

impl Ticket {
    /// Waits for room on the connection, then counts `request` in. `cost` is the bytes of data
    /// that it holds while it is under way. If there is none, `submit` comes first: requests that
    /// are counted and not submitted would never make room.
    pub(crate) fn begin(
        link: &Arc<Link>,
        request: Request,
        cost: u32,
        session: &Session,
        submit: impl FnOnce(),
    ) -> Result<Self, Ended> {
        if !link.try_begin(cost)? {
            submit();
            link.begin(cost)?;
        }
        let counters = Arc::clone(session.export.counters());
        counters.begin();
        let (framing, began) = (session.framing, Instant::now());
        Ok(Self { request, framing, cost, counters, began, link: Some(Arc::clone(link)) })
    }

    /// Answers with what the volume completed.
    pub(crate) fn complete(self, outcome: Result<Bytes, IoError>) {
        match outcome {
            // What was read is where the volume keeps such things now; the client wants none of it.
            Ok(_) if self.request.command == Command::Cache => self.succeed(Bytes::new()),
            Ok(data) => self.succeed(data),
            Err(error) => self.fail(error),
        }
    }

    /// Answers a read with a hole of its length. Only where replies are made of chunks.
    pub(crate) fn complete_hole(self) {
        let length = self.request.length;
        // A read is of 32 MiB at most.
        let reply = Reply::hole(self.reply_to(), length as u32);
        self.answer(reply, length);
    }

    /// Answers what metadata contexts say. Only where replies are made of chunks.
    pub(crate) fn complete_status(self, outcome: Result<Vec<(u32, Vec<Descriptor>)>, IoError>) {
        match outcome {
            Ok(contexts) => {
                let mut least = self.request.length;
                for (_, descriptors) in &contexts {
                    let covered = descriptors.iter().map(|descriptor| descriptor.length).sum();
                    if !(1..=self.request.length).contains(&covered) {
                        tracing::error!(covered, "a volume broke its promise");
                        return self.reject(Errno::Io, "wrong length".into(), None);
                    }
                    least = least.min(covered);
                }
                let reply = Reply::status(self.reply_to(), &contexts);
                self.answer(reply, least);
            }
            Err(error) => self.fail(error),
        }
    }

    /// Refuses the request.
    pub(crate) fn refuse(self, error: Errno, why: &str) {
        self.reject(error, why.to_owned(), None);
    }

    /// Gives no answer: the request never arrived whole. An error would look like a bad disk to a
    /// client that should see a lost connection.
    pub(crate) fn forget(mut self) {
        if let Some(link) = self.link.take() {
            self.counters.forget();
            link.forget(self.cost);
        }
    }

    fn succeed(self, data: Bytes) {
        let Request { command, cookie, length, .. } = self.request;
        let expected = if command == Command::Read { length as usize } else { 0 };
        if data.len() != expected {
            // A reply of another length would shift every byte after it.
            tracing::error!(?command, expected, got = data.len(), "a volume broke its promise");
            return self.reject(Errno::Io, "wrong length".into(), None);
        }
        let chunks = match self.framing {
            Framing::Simple => false,
            Framing::Structured => command == Command::Read,
            Framing::Extended => true,
        };
        let reply = match (chunks, data.is_empty()) {
            (true, true) => Reply::none(self.reply_to()),
            (true, false) => Reply::data(self.reply_to(), data),
            (false, _) => Reply::simple(cookie, None, data),
        };
        self.answer(reply, length);
    }

    fn answer(mut self, reply: Reply, bytes: u64) {
        // Before the reply: whoever has it finds the request counted.
        self.counters.succeed(self.request.command, bytes, self.began.elapsed());
        self.send(reply);
    }

    fn fail(self, error: IoError) {
        // What can not be read is somewhere in the range; a client that asks for less at a time
        // finds it.
        let damage = matches!(error, IoError::Corrupt | IoError::Failed);
        let reads = matches!(self.request.command, Command::Read | Command::BlockStatus);
        let offset = (damage && reads).then_some(self.request.offset);
        let errno = errno(error, self.request.command);
        self.reject(errno, error.to_string(), offset);
    }

    fn reject(mut self, error: Errno, message: String, offset: Option<u64>) {
        let reply = self.rejection(error, message, offset);
        self.counters.fail(self.request.command);
        self.send(reply);
    }

    fn rejection(&self, error: Errno, message: String, offset: Option<u64>) -> Reply {
        if self.framing == Framing::Simple {
            Reply::simple(self.request.cookie, Some(error), Bytes::new())
        } else {
            Reply::error(self.reply_to(), &ErrorChunk { error, message, offset })
        }
    }

    fn reply_to(&self) -> ReplyTo {
        let Request { cookie, offset, .. } = self.request;
        ReplyTo { cookie, offset, extended: self.framing == Framing::Extended }
    }

    fn send(&mut self, reply: Reply) {
        if let Some(link) = self.link.take() {
            link.queue(reply, self.cost);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.link.is_some() {
            let reply = self.rejection(Errno::Io, "the request was lost".into(), None);
            self.counters.fail(self.request.command);
            self.send(reply);
        }
    }
}

/// The number for a volume's error. proto.md asks for `ENOSPC` where a write reaches past the end
/// and `EINVAL` where anything else does.
fn errno(error: IoError, command: Command) -> Errno {
    match error {
        IoError::OutOfRange if matches!(command, Command::Write | Command::WriteZeroes) => {
            Errno::NoSpc
        }
        IoError::OutOfRange | IoError::NoSnapshot => Errno::Inval,
        IoError::NoSpace => Errno::NoSpc,
        IoError::Stale => Errno::Shutdown,
        IoError::Corrupt | IoError::Failed => Errno::Io,
    }
}
