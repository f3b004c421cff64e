//! One connection's thread: negotiation, then requests until either side ends it.
//!
//! ```text
//!   socket ─► input buffer ─► request ─► begin: counted ─► gathered ─► the volume, together
//!                 ▲                                            │
//!                 └── more of them have come in already ───────┘
//! ```
//! Requests that came in together go to the volume together. None waits for others to come: what
//! is gathered is submitted before the thread waits for anything, be it input or room.

use std::cell::Cell;
use std::io::{self, BufRead, BufReader, IoSlice, Read};
use std::net::Shutdown;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ebb_volume::{BLOCK_BYTES, Completion, Io, IoError};

use crate::exports::Exports;
use crate::limits::Limits;
use crate::link::{Ended, Link};
use crate::negotiation::{Negotiation, Session, Step, greeting};
use crate::rate::Direction;
use crate::registry::{Entry, NoEntry};
use crate::server::Security;
use crate::status;
use crate::stream::{Timed, write_all_vectored};
use crate::ticket::Ticket;
use crate::wire::{
    Command, EXTENDED_REQUEST_BYTES, Errno, Framing, MAX_PAYLOAD, OPTION_BYTES, OptionHeader,
    REQUEST_BYTES, Request, command_flags,
};

/// Input is read ahead this far: some 15 writes of 4 KiB, or 2,000 reads, in one system call.
const INPUT_BYTES: usize = 64 << 10;

/// What is read away at most before a socket is closed.
const DISCARDED_BYTES: u64 = 8 << 20;

/// Requests submitted together at most: some more than the engine writes in one record.
const GATHERED: usize = 128;

/// Of longer reads so much is read at a time: what a socket takes without waiting for its client.
const READ_AT_ONCE: u64 = 128 << 10;

/// With fewer gathered the socket is asked for more, where that does not wait.
const FEW: usize = 32;

type Input<'a> = BufReader<Timed<'a>>;

/// Ends the socket however the thread ends, a panic of the volume's included.
struct HangUp(Arc<Link>);

impl Drop for HangUp {
    fn drop(&mut self) {
        self.0.cut();
    }
}

/// Serves one client until the connection has ended and everything under way has completed.
pub(crate) fn serve(link: Arc<Link>, security: &Security, exports: &Exports, limits: &Limits) {
    let hang_up = HangUp(Arc::clone(&link));
    let pause = Pause::default();
    let timed = Timed::new(link.stream(), Instant::now() + limits.handshake);
    let mut input = BufReader::with_capacity(INPUT_BYTES, timed);
    let (session, entry) = match negotiate(&link, security, &mut input, exports, limits) {
        Ok(Some(admitted)) => admitted,
        Ok(None) => return,
        Err(error) => {
            tracing::debug!(%error, "a negotiation failed");
            return;
        }
    };
    tracing::debug!(export = session.export.name(), "a client has connected");
    if lift_deadlines(&link, &mut input, limits, &pause).is_ok() {
        let mut transmission = Transmission::new(&link, &session, &mut input, &pause);
        let outcome = transmission.run();
        tracing::debug!(export = session.export.name(), ?outcome, "a client is going");
        link.finish();
        link.stream().say_goodbye();
        discard_input(&link, &mut input);
    }
    // In this order: whoever waits for the connection to be gone finds the socket ended and the
    // volume's handle let go.
    drop(hang_up);
    drop(session);
    drop(entry);
}

fn negotiate(
    link: &Arc<Link>,
    security: &Security,
    input: &mut Input<'_>,
    exports: &Exports,
    limits: &Limits,
) -> io::Result<Option<(Session, Entry)>> {
    link.stream().set_write_timeout(Some(limits.handshake))?;
    send(link, &greeting())?;
    let flags = u32::from_be_bytes(read_array(input)?);
    let Some(mut negotiation) = Negotiation::new(flags, security.mode()) else {
        return Ok(None);
    };
    let mut out = Vec::new();
    loop {
        let header = OptionHeader::decode(&read_array::<OPTION_BYTES>(input)?)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let mut step = if header.length > limits.option_bytes {
            skip(input, header.length.into())?;
            negotiation.too_long(header.kind, &mut out)
        } else {
            let mut data = vec![0; header.length as usize];
            input.read_exact(&mut data)?;
            negotiation.option(header.kind, &data, exports, &mut out)
        };
        let mut admitted = None;
        if let Step::Enter(session) = step {
            // Before the client is told that it may, as nothing can be refused after that.
            step = match session.export.connections().enter(link, limits.connections_per_export) {
                // Whose it is may have changed before the connection was in.
                Ok(_) if !session.export.admits(link.owner()) => {
                    out.clear();
                    negotiation.refused(header.kind, NoEntry::Closed, &mut out)
                }
                Ok(entry) => {
                    admitted = Some((session, entry));
                    Step::More
                }
                Err(why) => {
                    out.clear();
                    negotiation.refused(header.kind, why, &mut out)
                }
            };
        }
        send(link, &out)?;
        out.clear();
        if matches!(step, Step::Secure)
            && let Some(owner) = secure(link, input, security)?
        {
            negotiation.show_owner(owner);
        }
        if admitted.is_some() || matches!(step, Step::End) {
            return Ok(admitted);
        }
    }
}

fn send(link: &Link, bytes: &[u8]) -> io::Result<()> {
    write_all_vectored(link.stream(), &mut [IoSlice::new(bytes)], |_| true)
}

/// Begins TLS. Says whose the client is, where its certificate is asked for that.
fn secure(link: &Link, input: &mut Input<'_>, security: &Security) -> io::Result<Option<String>> {
    let (Security::Offered(tls) | Security::Required(tls)) = security else {
        return Err(io::Error::other("TLS was agreed on without being offered"));
    };
    if !input.buffer().is_empty() {
        // Whoever sent it need not be the client that TLS will speak of.
        return Err(io::Error::new(io::ErrorKind::InvalidData, "input between STARTTLS and TLS"));
    }
    let session = rustls::ServerConnection::new(tls.config()).map_err(io::Error::other)?;
    input.get_ref().secure(session.into())?;
    let owner = tls.owner(link.stream().peer_certificate().as_ref()).map_err(io::Error::other)?;
    if let Some(owner) = &owner {
        link.belongs_to(owner.clone());
    }
    Ok(owner)
}

/// Where a connection's thread waits for input, and since when.
#[derive(Default)]
struct Pause(Cell<Option<(Instant, Place)>>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before or in a request's header: what is waited for costs nothing.
    BetweenRequests,
    /// In the data of a write, which counts as under way.
    InData,
}

impl Pause {
    /// It has lasted too long.
    fn is_over(&self, link: &Link, idle: Option<Duration>) -> bool {
        match self.0.get() {
            Some((since, Place::BetweenRequests)) => {
                idle.is_some_and(|idle| since.elapsed() >= idle) && link.is_idle()
            }
            Some((since, Place::InData)) => link.is_stalled(since),
            None => false,
        }
    }
}

fn lift_deadlines<'a>(
    link: &'a Link,
    input: &mut Input<'a>,
    limits: &Limits,
    pause: &'a Pause,
) -> io::Result<()> {
    let idle = limits.idle;
    input.get_mut().lift(limits.tick(), move || pause.is_over(link, idle))?;
    link.stream().set_write_timeout(Some(limits.tick()))
}

fn read_array<const N: usize>(input: &mut Input<'_>) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn skip(input: &mut Input<'_>, bytes: u64) -> io::Result<()> {
    let skipped = io::copy(&mut input.take(bytes), &mut io::sink())?;
    if skipped == bytes { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// Reads away what has come in already. Closing a TCP socket with unread input resets it, and a
/// reset may overtake answers that the client has not received yet.
fn discard_input(link: &Link, input: &mut Input<'_>) {
    // After this a read returns what is there, then the end.
    link.stream().shutdown(Shutdown::Read);
    let _ = skip(input, DISCARDED_BYTES);
}

/// Why a connection takes no more requests.
#[derive(Debug)]
#[expect(dead_code, reason = "the fields are logged")]
enum End {
    /// The client said so.
    Disconnected,
    /// The server stops it, or can not send to it.
    Stopped,
    /// Input ended or failed.
    Input(io::Error),
    /// Input is not the protocol's, so where the next request begins is not known.
    Violation(&'static str),
}

impl From<Ended> for End {
    fn from(_: Ended) -> Self {
        Self::Stopped
    }
}

struct Transmission<'a, 'b> {
    link: &'a Arc<Link>,
    session: &'a Session,
    input: &'a mut Input<'b>,
    pause: &'a Pause,
    /// Requests read and not submitted yet, as more of them have come in.
    gathered: Vec<(Io, Completion)>,
    /// What they read.
    gathered_bytes: u64,
}

impl<'a, 'b> Transmission<'a, 'b> {
    fn new(
        link: &'a Arc<Link>,
        session: &'a Session,
        input: &'a mut Input<'b>,
        pause: &'a Pause,
    ) -> Self {
        Self { link, session, input, pause, gathered: Vec::new(), gathered_bytes: 0 }
    }

    fn run(&mut self) -> End {
        loop {
            if let Err(end) = self.next_request().and_then(|request| self.handle(request)) {
                // They came in whole before the end did.
                self.submit_gathered();
                return end;
            }
        }
    }

    /// Hands the volume all that was read. Comes before everything that may wait.
    fn submit_gathered(&mut self) {
        if std::mem::take(&mut self.gathered_bytes) > READ_AT_ONCE {
            self.submit_long_reads();
        }
        submit_all(self.session, &mut self.gathered);
    }

    /// Reads some and sends them, before more is read: what is sent is in the processor's cache
    /// still, and the client has something to do. Leaves what goes together.
    fn submit_long_reads(&mut self) {
        let ranges: Vec<Range<u64>> = self.gathered.iter().filter_map(read_range).collect();
        self.session.export.volume().will_read(&ranges);
        while let Some(count) = first_to_send(&self.gathered) {
            let rest = self.gathered.split_off(count);
            submit_all(self.session, &mut self.gathered);
            self.gathered = rest;
            self.link.send_queued();
        }
    }

    fn begin(&mut self, request: Request, cost: u32) -> Result<Ticket, End> {
        self.keep_to_the_rate(&request)?;
        let Self { link, session, gathered, .. } = self;
        Ok(Ticket::begin(link, request, cost, session, || submit_all(session, gathered))?)
    }

    /// Waits where the export has done so much already that it has to. Before a write's data is
    /// read, so that nothing is held meanwhile.
    fn keep_to_the_rate(&mut self, request: &Request) -> Result<(), End> {
        if matches!(request.command, Command::Flush | Command::Disconnect) {
            return Ok(());
        }
        let is_data = matches!(request.command, Command::Read | Command::Write);
        let bytes = if is_data { request.length.min(MAX_PAYLOAD.into()) } else { 0 };
        let reads =
            matches!(request.command, Command::Read | Command::Cache | Command::BlockStatus);
        let direction = if reads { Direction::Read } else { Direction::Write };
        let limiter = self.session.export.limiter();
        if let Some(moment) = limiter.charge(direction, bytes, Instant::now()) {
            self.submit_gathered();
            self.link.wait_until(moment)?;
        }
        Ok(())
    }

    fn next_request(&mut self) -> Result<Request, End> {
        let request = if self.session.framing == Framing::Extended {
            let mut bytes = [0; EXTENDED_REQUEST_BYTES];
            self.read(&mut bytes, Place::BetweenRequests)?;
            Request::decode_extended(&bytes)
        } else {
            let mut bytes = [0; REQUEST_BYTES];
            self.read(&mut bytes, Place::BetweenRequests)?;
            Request::decode(&bytes)
        };
        request.map_err(|_| End::Violation("wrong magic number"))
    }

    /// Fills `buffer`. If that may wait, what was gathered and the replies go out before.
    fn read(&mut self, buffer: &mut [u8], place: Place) -> Result<(), End> {
        if self.input.buffer().len() >= buffer.len() {
            return self.input.read_exact(buffer).map_err(End::Input);
        }
        if self.goes_on(buffer.len() - self.input.buffer().len()) {
            return self.input.read_exact(buffer).map_err(End::Input);
        }
        self.submit_gathered();
        self.link.rest()?;
        self.pause.0.set(Some((Instant::now(), place)));
        let outcome = self.input.read_exact(buffer);
        self.link.wake();
        outcome.map_err(End::Input)
    }

    /// Whether so many bytes more are in the socket already, and worth taking in before what was
    /// gathered is submitted: one buffer of input is less than a guest with 32 writes under way
    /// sends at once.
    fn goes_on(&self, bytes: usize) -> bool {
        let few = (1..FEW).contains(&self.gathered.len());
        few && self.link.stream().readable_bytes() >= bytes
    }

    fn handle(&mut self, mut request: Request) -> Result<(), End> {
        let flagged = request.flags & command_flags::PAYLOAD_LEN != 0;
        match request.command {
            Command::Disconnect => return Err(End::Disconnected),
            Command::Write if self.session.framing != Framing::Extended => {
                return self.write(request);
            }
            Command::Write if flagged => {
                request.flags &= !command_flags::PAYLOAD_LEN;
                return self.write(request);
            }
            Command::Write => return Err(End::Violation("a write that denies its payload")),
            _ if flagged && self.session.framing == Framing::Extended => {
                return self.unasked_payload(request);
            }
            Command::BlockStatus if !self.session.contexts.is_empty() => {
                return self.block_status(&request);
            }
            _ => {}
        }
        let cost = match request.command {
            Command::Read if request.length <= MAX_PAYLOAD.into() => request.length,
            Command::Cache => request.length.min(MAX_PAYLOAD.into()),
            _ => 0,
        };
        let ticket = self.begin(request, cost as u32)?;
        match self.io(&request) {
            Err((error, why)) => ticket.refuse(error, why),
            Ok(io) => self.submit(&request, io, ticket),
        }
        Ok(())
    }

    fn block_status(&mut self, request: &Request) -> Result<(), End> {
        let contexts = &self.session.contexts;
        let cost = status::reply_bytes(contexts, request);
        let ticket = self.begin(*request, cost)?;
        if request.flags & !(command_flags::REQ_ONE | command_flags::FUA) != 0 {
            ticket.refuse(Errno::Inval, "a flag that this command does not have");
        } else if request.length == 0 {
            // A reply has to say something of some byte.
            ticket.refuse(Errno::Inval, "a status of no bytes");
        } else {
            // It may wait for pages of the map.
            self.submit_gathered();
            let volume = self.session.export.volume();
            ticket.complete_status(status::block_status(volume, contexts, request));
        }
        Ok(())
    }

    /// Reads away a payload of a command that has none.
    fn unasked_payload(&mut self, request: Request) -> Result<(), End> {
        if request.length > MAX_PAYLOAD.into() {
            return Err(End::Violation("a payload of more than 32 MiB"));
        }
        let mut left = request.length as usize;
        let mut piece = [0; 4096];
        while left > 0 {
            let length = left.min(piece.len());
            self.read(&mut piece[..length], Place::BetweenRequests)?;
            left -= length;
        }
        let ticket = self.begin(request, 0)?;
        ticket.refuse(Errno::Inval, "this command has no payload");
        Ok(())
    }

    fn write(&mut self, request: Request) -> Result<(), End> {
        if request.length > MAX_PAYLOAD.into() {
            // Reading away up to 4 GiB to refuse it would serve no honest client.
            return Err(End::Violation("a write of more than 32 MiB"));
        }
        let length = request.length as u32;
        let ticket = self.begin(request, length)?;
        let data = match self.payload(length as usize) {
            Ok(data) => data,
            Err(end) => {
                ticket.forget();
                return Err(end);
            }
        };
        if request.flags & !command_flags::FUA != 0 {
            ticket.refuse(Errno::Inval, "a flag that this command does not have");
            return Ok(());
        }
        let fua = request.flags & command_flags::FUA != 0;
        self.submit(&request, Io::Write { offset: request.offset, data, fua }, ticket);
        Ok(())
    }

    fn payload(&mut self, length: usize) -> Result<Bytes, End> {
        if self.input.buffer().len() >= length {
            let data = Bytes::copy_from_slice(&self.input.buffer()[..length]);
            self.input.consume(length);
            return Ok(data);
        }
        let mut data = vec![0; length];
        self.read(&mut data, Place::InData)?;
        Ok(data.into())
    }

    fn submit(&mut self, request: &Request, io: Io, ticket: Ticket) {
        let volume = self.session.export.volume();
        if request.length == 0 && request.command != Command::Flush {
            // The protocol leaves open what this means; nothing is read or changed.
            let inside = request.offset <= volume.size_bytes();
            let outcome = if inside { Ok(Bytes::new()) } else { Err(IoError::OutOfRange) };
            return ticket.complete(outcome);
        }
        let may_be_hole = self.session.framing != Framing::Simple
            && request.command == Command::Read
            && request.flags & command_flags::DF == 0;
        if may_be_hole && status::is_long_hole(volume, request) {
            return ticket.complete_hole();
        }
        // The answer acknowledges just what the volume promises of a completed request: a flush,
        // or one with `fua`, is durable; any other is not until a later flush completes.
        if request.command == Command::Read {
            self.gathered_bytes += request.length;
        }
        self.gathered.push((io, Box::new(move |outcome| ticket.complete(outcome))));
        if self.gathered.len() >= GATHERED {
            self.submit_gathered();
        }
    }

    /// What a request without a payload asks of the volume.
    fn io(&self, request: &Request) -> Result<Io, (Errno, &'static str)> {
        let Request { flags, command, offset, length, .. } = *request;
        let allowed = match command {
            Command::Read if self.session.framing != Framing::Simple => command_flags::DF,
            Command::WriteZeroes => command_flags::NO_HOLE | command_flags::FAST_ZERO,
            Command::BlockStatus => command_flags::REQ_ONE,
            _ => 0,
        };
        if flags & !(allowed | command_flags::FUA) != 0 {
            return Err((Errno::Inval, "a flag that this command does not have"));
        }
        let fua = flags & command_flags::FUA != 0;
        match command {
            Command::Read if length > MAX_PAYLOAD.into() => {
                let error =
                    if flags & command_flags::DF != 0 { Errno::Overflow } else { Errno::Inval };
                Err((error, "a read of more than 32 MiB"))
            }
            Command::Read => Ok(Io::Read { offset, length: length as u32 }),
            Command::Cache => self.prefetch(offset, length),
            Command::WriteZeroes
                if flags & command_flags::FAST_ZERO != 0 && !zeroes_fast(offset, length) =>
            {
                Err((Errno::NotSup, "zeroing less than a block is a write"))
            }
            // NO_HOLE asks that a later write can not fail for want of space. Volumes reserve
            // nothing for data either, so it asks for no more than any write gets.
            Command::WriteZeroes => Ok(Io::Zero { offset, length, fua }),
            Command::Trim => Ok(Io::Discard { offset, length, fua }),
            Command::Flush => Ok(Io::Flush),
            Command::BlockStatus => Err((Errno::Inval, "no metadata context was chosen")),
            Command::Write | Command::Disconnect | Command::Unknown(_) => {
                Err((Errno::Inval, "this server does not know the command"))
            }
        }
    }

    /// A read whose data is dropped. The protocol leaves open how much of the range is cached, so
    /// a long one is cached from its start and holds no more than a read may.
    fn prefetch(&self, offset: u64, length: u64) -> Result<Io, (Errno, &'static str)> {
        let end = offset.checked_add(length);
        if end.is_none_or(|end| end > self.session.export.size_bytes()) {
            return Err((Errno::Inval, "the request reaches past the end of the volume"));
        }
        Ok(Io::Read { offset, length: length.min(MAX_PAYLOAD.into()) as u32 })
    }
}

fn read_range((io, _): &(Io, Completion)) -> Option<Range<u64>> {
    match io {
        Io::Read { offset, length } => Some(*offset..offset.saturating_add((*length).into())),
        _ => None,
    }
}

/// How many of these to submit and send first. None: all that is left goes together.
///
/// A read that is longer than that itself is not sent alone: its reply would be waited for in any
/// case, and then it is better that many are.
fn first_to_send(gathered: &[(Io, Completion)]) -> Option<usize> {
    let mut bytes = 0;
    for (n, request) in gathered.iter().enumerate() {
        let length = read_range(request).map_or(0, |range| range.end - range.start);
        bytes += length;
        if bytes >= READ_AT_ONCE && length <= READ_AT_ONCE {
            return Some(n + 1);
        }
    }
    None
}

fn submit_all(session: &Session, gathered: &mut Vec<(Io, Completion)>) {
    let volume = session.export.volume();
    match gathered.len() {
        // As most come where a guest waits for each.
        1 => {
            if let Some((io, done)) = gathered.pop() {
                volume.submit(io, done);
            }
        }
        0 => {}
        _ => volume.submit_all(std::mem::take(gathered)),
    }
}

/// Whole blocks become holes, whatever was in them; where there is none in the range, zeroes are
/// written like any other bytes, and `FAST_ZERO` forbids just that.
fn zeroes_fast(offset: u64, length: u64) -> bool {
    let first = offset.checked_next_multiple_of(BLOCK_BYTES);
    let end = offset.saturating_add(length);
    length == 0 || first.is_some_and(|first| first.saturating_add(BLOCK_BYTES) <= end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(length: u32) -> (Io, Completion) {
        (Io::Read { offset: 0, length }, Box::new(|_| {}))
    }

    #[test]
    fn long_reads_are_sent_before_more_is_read() {
        let most = READ_AT_ONCE as u32;
        let counts = |lengths: &[u32]| {
            let gathered: Vec<_> = lengths.iter().map(|length| read(*length)).collect();
            first_to_send(&gathered)
        };
        assert_eq!(counts(&[most, most, most]), Some(1));
        assert_eq!(counts(&[most / 2, most / 2, most]), Some(2));
        assert_eq!(counts(&[most / 2, most / 4]), None);
        assert_eq!(counts(&[8 * most, 8 * most]), None);
        assert_eq!(counts(&[8 * most, 4096, 4096]), Some(2));
    }
}
