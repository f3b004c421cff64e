//! One connection's socket, what it has under way, and the replies that wait to be sent.
//!
//! Two threads send: the reader, which is the connection's own thread, whenever it is about to
//! wait; and the writer, which exists only once the reader has waited for input with requests under
//! way, and sends what completes meanwhile. Where that is the only request under way, whoever
//! completes it sends its reply, as much of it as the socket takes at once: a client that waits for
//! each of its requests does not wait for another thread as well.
//!
//! ```text
//!   reader  Awake ──about to read, queue empty──► OnSocket ──input──► Awake
//!           Awake ──too much under way, or ending──► Waiting ──reply or room──► Awake
//!   queue(reply):  Awake: nothing, the reader sends before it waits
//!                  OnSocket: send it, or wake the writer      Waiting: wake the reader
//! ```
//!
//! Invariants:
//! - A queued reply is never left alone: the reader is awake, or somebody has been woken.
//! - `queue` takes one short lock and never waits for a socket. `sending` is held while writing to
//!   it, so that replies do not mix; no other lock is taken before it by whoever waits for it.
//! - Requests count as under way from `begin` until their reply was written, or dropped because
//!   the socket is dead; so they do in the server's budget, which is told when no lock is held.

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use crate::budget::{Budget, Taken};
use crate::limits::Limits;
use crate::stream::{Stream, write_all_vectored};
use crate::wire::Reply;

/// Volumes complete requests on a connection's stack; half a MiB is reserved, not used.
pub(crate) const STACK_BYTES: usize = 512 << 10;

/// Replies written by one system call.
const BATCH: usize = 32;

/// The connection reads no more requests: it was stopped, or its socket is dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended;

#[derive(Debug)]
pub(crate) struct Link {
    stream: Stream,
    /// Whose the client's certificate says that it is, where that is asked.
    owner: OnceLock<String>,
    requests_limit: usize,
    bytes_limit: u64,
    stall: Duration,
    budget: Arc<Budget>,
    state: Mutex<State>,
    /// The reader waits here.
    room: Condvar,
    /// The writer waits here.
    work: Condvar,
    /// Held while writing to the socket; the batch being written, kept for its memory.
    sending: Mutex<Vec<Queued>>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    requests: usize,
    bytes: u64,
    queue: Vec<Queued>,
    reader: Reader,
    writer: Writer,
}

#[derive(Debug)]
struct Queued {
    reply: Reply,
    cost: u32,
    /// So many bytes of it are on their way already.
    sent: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Serving,
    /// No new request; what is under way is answered.
    Stopping,
    /// Nothing can be sent; replies are dropped.
    Dead,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    Awake,
    OnSocket,
    Waiting,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writer {
    Absent,
    Busy,
    Waiting,
}

impl Link {
    pub(crate) fn new(stream: Stream, limits: &Limits, budget: Arc<Budget>) -> Self {
        Self {
            stream,
            owner: OnceLock::new(),
            requests_limit: limits.requests_under_way,
            bytes_limit: limits.bytes_under_way,
            stall: limits.stall,
            budget,
            state: Mutex::new(State {
                phase: Phase::Serving,
                requests: 0,
                bytes: 0,
                queue: Vec::new(),
                reader: Reader::Awake,
                writer: Writer::Absent,
            }),
            room: Condvar::new(),
            work: Condvar::new(),
            sending: Mutex::default(),
        }
    }

    pub(crate) fn stream(&self) -> &Stream {
        &self.stream
    }

    /// The client is this owner's. TLS begins once, so this is said once.
    pub(crate) fn belongs_to(&self, owner: String) {
        self.owner.get_or_init(|| owner);
    }

    pub(crate) fn owner(&self) -> Option<&str> {
        self.owner.get().map(String::as_str)
    }

    /// Ends reading; what is under way is still answered.
    pub(crate) fn stop(&self) {
        let mut state = self.state();
        if state.phase == Phase::Serving {
            state.phase = Phase::Stopping;
        }
        drop(state);
        self.room.notify_one();
        self.stream.shutdown(Shutdown::Read);
    }

    /// Ends the socket; replies that are not sent yet are dropped.
    pub(crate) fn cut(&self) {
        let mut state = self.state();
        state.phase = Phase::Dead;
        let dropped = std::mem::take(&mut state.queue);
        let released = state.release(&dropped);
        drop(state);
        self.give(released);
        self.room.notify_one();
        self.work.notify_one();
        self.stream.shutdown(Shutdown::Both);
    }

    /// Reader: counts one more request that reads or writes `cost` bytes, when there is room on
    /// this connection and in the server's budget. What is counted already must be submitted, or
    /// it would never make room.
    pub(crate) fn begin(self: &Arc<Self>, cost: u32) -> Result<(), Ended> {
        while let Some(state) = self.count_in(cost)? {
            self.send_or_wait(state);
        }
        Ok(())
    }

    /// Reader: the same, but false instead of waiting.
    pub(crate) fn try_begin(self: &Arc<Self>, cost: u32) -> Result<bool, Ended> {
        Ok(self.count_in(cost)?.is_none())
    }

    /// Counts a request in, or gives the lock under which there was no room.
    fn count_in(self: &Arc<Self>, cost: u32) -> Result<Option<MutexGuard<'_, State>>, Ended> {
        let mut state = self.state();
        if state.phase != Phase::Serving {
            drop(state);
            wake(self.budget.leave(self));
            return Err(Ended);
        }
        let fits = state.requests < self.requests_limit
            && state.bytes + u64::from(cost) <= self.bytes_limit;
        if (fits || state.requests == 0)
            && let Taken::Yes(next) = self.budget.take(self, cost)
        {
            state.requests += 1;
            state.bytes += u64::from(cost);
            drop(state);
            wake(next);
            return Ok(None);
        }
        Ok(Some(state))
    }

    /// Reader: to be called before waiting for input. Sends all replies; those that come later go
    /// to the writer, until [`Link::wake`].
    pub(crate) fn rest(self: &Arc<Self>) -> Result<(), Ended> {
        loop {
            let mut state = self.state();
            if state.phase != Phase::Serving {
                return Err(Ended);
            }
            if state.queue.is_empty() {
                state.reader = Reader::OnSocket;
                let wants_writer = state.requests > 0 && state.writer == Writer::Absent;
                return if wants_writer { self.start_writer(state) } else { Ok(()) };
            }
            drop(state);
            self.send_queued();
        }
    }

    /// Reader: waits until a moment, with all replies sent. `Err` as soon as the connection ends.
    pub(crate) fn wait_until(self: &Arc<Self>, moment: Instant) -> Result<(), Ended> {
        self.rest()?;
        let time = moment.saturating_duration_since(Instant::now());
        let serves = |state: &mut State| state.phase == Phase::Serving;
        let waited = self.room.wait_timeout_while(self.state(), time, serves);
        let (mut state, _) = waited.expect(NOT_POISONED);
        state.reader = Reader::Awake;
        if state.phase == Phase::Serving { Ok(()) } else { Err(Ended) }
    }

    /// Reader: input has come.
    pub(crate) fn wake(&self) {
        self.state().reader = Reader::Awake;
    }

    /// Reader: waits until everything under way is answered, or completed if the socket is dead.
    pub(crate) fn finish(&self) {
        loop {
            let mut state = self.state();
            if state.phase == Phase::Serving {
                state.phase = Phase::Stopping;
            }
            if state.requests == 0 {
                return;
            }
            self.send_or_wait(state);
        }
    }

    /// Takes the answer of one request that was begun with `cost`. Does not block.
    pub(crate) fn queue(&self, reply: Reply, cost: u32) {
        let mut state = self.state();
        let queued = Queued { reply, cost, sent: 0 };
        if state.is_alone()
            && let Ok(sending) = self.sending.try_lock()
        {
            drop(state);
            self.send_alone(queued);
            return drop(sending);
        }
        let mut released = Released::default();
        if state.phase == Phase::Dead {
            released = state.release(&[queued]);
        } else {
            state.queue.push(queued);
        }
        self.tell(&mut state);
        drop(state);
        self.give(released);
    }

    /// For who holds `sending`.
    fn send_alone(&self, mut queued: Queued) {
        let slices = [IoSlice::new(queued.reply.head()), IoSlice::new(queued.reply.body())];
        let outcome = self.stream.send_now(&slices);
        let mut state = self.state();
        if let Ok(sent) = outcome
            && sent < queued.reply.bytes()
            && state.phase != Phase::Dead
        {
            queued.sent = sent;
            state.queue.insert(0, queued);
            return self.tell(&mut state);
        }
        self.end_sending(state, &[queued], outcome.map(drop));
    }

    /// Tells whoever has to know that one more has completed: who sends it, or waits for an end.
    fn tell(&self, state: &mut State) {
        match state.reader {
            Reader::Awake => {}
            Reader::Waiting => self.room.notify_one(),
            Reader::OnSocket => {
                if state.writer == Writer::Waiting {
                    state.writer = Writer::Busy;
                    self.work.notify_one();
                }
            }
        }
    }

    /// Reader: takes back what `begin` counted; the request gets no answer.
    pub(crate) fn forget(&self, cost: u32) {
        let mut state = self.state();
        state.requests -= 1;
        state.bytes -= u64::from(cost);
        drop(state);
        self.give(Released { requests: 1, bytes: cost.into() });
    }

    /// Nothing is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.state().requests == 0
    }

    /// The client has made no use of its turn since `since`, and others wait for theirs.
    pub(crate) fn is_stalled(&self, since: Instant) -> bool {
        since.elapsed() >= self.stall && self.budget.is_short()
    }

    fn give(&self, released: Released) {
        if released.requests > 0 {
            wake(self.budget.give(released.requests, released.bytes));
        }
    }

    /// Reader: sends what is queued, or waits for more to be queued or less to be under way.
    fn send_or_wait(&self, mut state: MutexGuard<'_, State>) {
        if state.queue.is_empty() {
            state.reader = Reader::Waiting;
            let mut state = self.room.wait(state).expect(NOT_POISONED);
            state.reader = Reader::Awake;
        } else {
            drop(state);
            self.send_queued();
        }
    }

    /// Sends until the queue is empty. Where the socket fails, it is cut.
    pub(crate) fn send_queued(&self) {
        let mut batch = self.sending.lock().expect(NOT_POISONED);
        loop {
            std::mem::swap(&mut *batch, &mut self.state().queue);
            if batch.is_empty() {
                return;
            }
            let outcome = self.write_replies(&batch);
            self.end_sending(self.state(), &batch, outcome);
            batch.clear();
        }
    }

    fn end_sending(
        &self,
        mut state: MutexGuard<'_, State>,
        replies: &[Queued],
        outcome: io::Result<()>,
    ) {
        let released = state.release(replies);
        if state.reader == Reader::Waiting {
            self.room.notify_one();
        }
        drop(state);
        self.give(released);
        if let Err(error) = outcome {
            tracing::debug!(%error, "a client does not take its replies");
            self.cut();
        }
    }

    fn start_writer(self: &Arc<Self>, mut state: MutexGuard<'_, State>) -> Result<(), Ended> {
        let link = Arc::clone(self);
        let started = thread::Builder::new()
            .name("nbd-writer".into())
            .stack_size(STACK_BYTES)
            .spawn(move || link.write_until_dead());
        match started {
            Ok(_) => {
                state.writer = Writer::Busy;
                Ok(())
            }
            Err(error) => {
                tracing::error!(%error, "a connection ends: it gets no writer thread");
                state.reader = Reader::Awake;
                Err(Ended)
            }
        }
    }

    fn write_until_dead(&self) {
        loop {
            self.send_queued();
            let mut state = self.state();
            while state.queue.is_empty() {
                if state.phase == Phase::Dead {
                    return;
                }
                state.writer = Writer::Waiting;
                state = self.work.wait(state).expect(NOT_POISONED);
            }
            state.writer = Writer::Busy;
        }
    }

    fn write_replies(&self, replies: &[Queued]) -> io::Result<()> {
        for batch in replies.chunks(BATCH) {
            let mut slices = [IoSlice::new(&[]); 2 * BATCH];
            for (pair, queued) in slices.chunks_exact_mut(2).zip(batch) {
                pair[0] = IoSlice::new(queued.reply.head());
                pair[1] = IoSlice::new(queued.reply.body());
            }
            let mut slices = &mut slices[..2 * batch.len()];
            // Of no other than the first of all has something been sent.
            IoSlice::advance_slices(&mut slices, batch[0].sent);
            write_all_vectored(&self.stream, slices, |since| self.is_stalled(since))?;
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect(NOT_POISONED)
    }
}

const NOT_POISONED: &str = "nothing panics while it holds a connection's lock";

/// What the budget has yet to be told.
#[derive(Default)]
struct Released {
    requests: usize,
    bytes: u64,
}

impl State {
    /// The only request under way completes while nobody sends and the reader waits for input.
    fn is_alone(&self) -> bool {
        let nobody_sends = self.reader == Reader::OnSocket && self.writer == Writer::Waiting;
        nobody_sends && self.requests == 1 && self.phase == Phase::Serving
    }

    fn release(&mut self, replies: &[Queued]) -> Released {
        let requests = replies.len();
        let bytes = replies.iter().map(|queued| u64::from(queued.cost)).sum();
        self.requests -= requests;
        self.bytes -= bytes;
        Released { requests, bytes }
    }
}

/// Wakes a reader that waits for room. Its lock is taken so that it is not between looking for
/// room and waiting.
fn wake(link: Option<Arc<Link>>) {
    if let Some(link) = link {
        drop(link.state());
        link.room.notify_one();
    }
}
