//! An open head: the image that a volume is now, and the gate that every request passes.
//!
//! ```text
//!   request ─► gate: stopped? stale? past the end? held? ─► librbd ─► completion ─► gate: one less
//! ```
//! The gate counts what is under way by the generation of the handle, so that `revoke` can wait for
//! the old ones alone, and holds requests back while it is frozen: a freeze waits until nothing is
//! under way, and what comes meanwhile goes on when it ends. The image is closed only by `shut`,
//! after everything under way is complete, so it never is on a thread of the library.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use ebb_volume::{BLOCK_BYTES, Completion, Io, IoError, VolumeId};

use crate::counters::Counters;
use crate::ffi::{Image, io_error};
use crate::map::OBJECT_BYTES;
use crate::views::LongZeros;

/// What is zeroed by one request, whether it is there or not: librbd looks at each object.
const SHORT_ZERO: u64 = 64 * OBJECT_BYTES;

pub(crate) struct Head {
    pub(crate) volume: VolumeId,
    size_bytes: AtomicU64,
    gate: Mutex<Gate>,
    changed: Condvar,
    zeros: LongZeros,
    counters: Arc<Counters>,
}

#[derive(Default)]
struct Gate {
    /// None once it was shut.
    image: Option<Arc<Image>>,
    /// The engine was closed.
    stopped: bool,
    /// Handles of another one are stale.
    generation: u64,
    /// Open handles of this generation.
    open: usize,
    /// Requests under way, by generation.
    under_way: BTreeMap<u64, usize>,
    frozen: usize,
    held: Vec<Held>,
    /// How many requests that change bytes have begun.
    changes: u64,
    /// How many of them are under way.
    changing: usize,
}

struct Held {
    generation: u64,
    io: Io,
    done: Completion,
}

/// What lets a request through.
struct Pass {
    image: Arc<Image>,
    generation: u64,
    changes: bool,
}

/// A freeze, until it is dropped.
pub(crate) struct Frozen(Arc<Head>);

impl Head {
    pub(crate) fn new(
        volume: VolumeId,
        image: Image,
        size_bytes: u64,
        zeros: LongZeros,
        counters: &Arc<Counters>,
    ) -> (Arc<Self>, Arc<Image>) {
        let image = Arc::new(image);
        let gate = Gate { image: Some(Arc::clone(&image)), generation: 1, ..Gate::default() };
        let (size_bytes, gate) = (AtomicU64::new(size_bytes), Mutex::new(gate));
        let (changed, counters) = (Condvar::new(), Arc::clone(counters));
        (Arc::new(Self { volume, size_bytes, gate, changed, zeros, counters }), image)
    }

    fn lock(&self) -> MutexGuard<'_, Gate> {
        // No code under this lock panics between two related changes.
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, gate: MutexGuard<'a, Gate>) -> MutexGuard<'a, Gate> {
        self.changed.wait(gate).unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        self.size_bytes.load(Relaxed)
    }

    pub(crate) fn grown(&self, size_bytes: u64) {
        self.size_bytes.fetch_max(size_bytes, Relaxed);
    }

    /// The generation of a new handle; none once it was shut.
    pub(crate) fn open(&self) -> Option<u64> {
        let mut gate = self.lock();
        gate.image.as_ref()?;
        gate.open += 1;
        Some(gate.generation)
    }

    /// A handle ends.
    pub(crate) fn dropped(&self, generation: u64) {
        let mut gate = self.lock();
        if gate.generation == generation {
            gate.open -= 1;
        }
    }

    pub(crate) fn in_use(&self) -> bool {
        self.lock().open > 0
    }

    /// Whether a client has it and has written to it.
    pub(crate) fn is_written(&self) -> bool {
        let gate = self.lock();
        gate.open > 0 && gate.changes > 0
    }

    /// The image, for a change of the whole volume.
    pub(crate) fn image(&self) -> Option<Arc<Image>> {
        self.lock().image.clone()
    }

    /// Whether this is its image.
    pub(crate) fn is_of(&self, image: &Arc<Image>) -> bool {
        self.lock().image.as_ref().is_some_and(|own| Arc::ptr_eq(own, image))
    }

    /// Ends every handle, and waits for what they have under way.
    pub(crate) fn revoke(&self) {
        let mut gate = self.lock();
        gate.generation += 1;
        gate.open = 0;
        let newest = gate.generation;
        let stale = std::mem::take(&mut gate.held);
        while gate.under_way.range(..newest).next().is_some() {
            gate = self.wait(gate);
        }
        drop(gate);
        stale.into_iter().for_each(|held| (held.done)(Err(IoError::Stale)));
    }

    /// Ends every handle and closes the image. With `stopped`, handles answer that they failed
    /// instead of that they are stale.
    pub(crate) fn shut(&self, stopped: bool) {
        let mut gate = self.lock();
        gate.stopped |= stopped;
        gate.generation += 1;
        gate.open = 0;
        let refused = std::mem::take(&mut gate.held);
        while !gate.under_way.is_empty() || gate.frozen > 0 {
            gate = self.wait(gate);
        }
        let image = gate.image.take();
        drop(gate);
        drop(image);
        let error = if stopped { IoError::Failed } else { IoError::Stale };
        refused.into_iter().for_each(|held| (held.done)(Err(error)));
    }

    /// Waits until nothing is under way, and lets nothing begin until the freeze is dropped.
    pub(crate) fn freeze(self: &Arc<Self>) -> Frozen {
        let mut gate = self.lock();
        gate.frozen += 1;
        while !gate.under_way.is_empty() {
            gate = self.wait(gate);
        }
        Frozen(Arc::clone(self))
    }

    /// What tells whether bytes changed between two times: none while some are changing.
    pub(crate) fn quiet(&self) -> Option<u64> {
        let gate = self.lock();
        (gate.changing == 0).then_some(gate.changes)
    }

    /// Checks what a request of a handle would be refused for.
    pub(crate) fn check(&self, generation: u64, offset: u64, length: u64) -> Result<(), IoError> {
        self.refusal(&self.lock(), generation, Some((offset, length)))
    }

    fn refusal(
        &self,
        gate: &Gate,
        generation: u64,
        range: Option<(u64, u64)>,
    ) -> Result<(), IoError> {
        if gate.stopped {
            return Err(IoError::Failed);
        }
        if gate.image.is_none() || gate.generation != generation {
            return Err(IoError::Stale);
        }
        let Some((offset, length)) = range else { return Ok(()) };
        match offset.checked_add(length) {
            Some(end) if end <= self.size_bytes() => Ok(()),
            _ => Err(IoError::OutOfRange),
        }
    }

    /// A request of a handle of this generation.
    pub(crate) fn submit(self: &Arc<Self>, generation: u64, io: Io, done: Completion) {
        let mut gate = self.lock();
        let refusal = self.refusal(&gate, generation, range(&io));
        let image = match (refusal, &gate.image) {
            (Ok(()), Some(image)) => Arc::clone(image),
            (refusal, _) => {
                drop(gate);
                return done(Err(refusal.err().unwrap_or(IoError::Stale)));
            }
        };
        if gate.frozen > 0 {
            gate.held.push(Held { generation, io, done });
            return;
        }
        let changes = matches!(io, Io::Write { .. } | Io::Zero { .. } | Io::Discard { .. });
        gate.changes += u64::from(changes);
        gate.changing += usize::from(changes);
        // One for the request, and one for its submission, which uses the image too.
        *gate.under_way.entry(generation).or_default() += 2;
        drop(gate);
        self.begin(Pass { image, generation, changes }, io, done);
    }

    fn begin(self: &Arc<Self>, pass: Pass, io: Io, done: Completion) {
        let Pass { image, generation, changes } = pass;
        let this = Arc::clone(self);
        self.counters.begun();
        let completed = move |outcome: Result<Bytes, i32>| {
            this.counters.ended(outcome.is_err());
            done(outcome.map_err(io_error));
            this.complete(generation, changes);
        };
        match io {
            Io::Read { length: 0, .. } => completed(Ok(Bytes::new())),
            Io::Read { offset, length } => image.read(offset, length, Box::new(completed)),
            Io::Write { data, .. } if data.is_empty() => completed(Ok(Bytes::new())),
            Io::Write { offset, data, .. } => image.write(offset, data, Box::new(completed)),
            Io::Zero { offset, length, .. } => self.zero(&image, offset, length, completed),
            Io::Discard { offset, length, .. } => {
                let end = (offset + length) / BLOCK_BYTES * BLOCK_BYTES;
                let first = offset.next_multiple_of(BLOCK_BYTES).min(end);
                self.zero(&image, first, end - first, completed);
            }
            Io::Flush => image.flush(Box::new(completed)),
        }
        drop(image);
        self.complete(generation, false);
    }

    fn zero(
        self: &Arc<Self>,
        image: &Arc<Image>,
        offset: u64,
        length: u64,
        completed: impl FnOnce(Result<Bytes, i32>) + Send + 'static,
    ) {
        match length {
            0 => completed(Ok(Bytes::new())),
            1..=SHORT_ZERO => image.zero(offset, length, Box::new(completed)),
            // The request counts as under way until it is completed, so the image stays open.
            _ => self.zeros.start(Arc::clone(image), offset, length, Box::new(completed)),
        }
    }

    /// One thing less is under way.
    fn complete(&self, generation: u64, changes: bool) {
        let mut gate = self.lock();
        gate.changing -= usize::from(changes);
        if let Some(count) = gate.under_way.get_mut(&generation) {
            *count -= 1;
            if *count == 0 {
                gate.under_way.remove(&generation);
                self.changed.notify_all();
            }
        }
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        let head = &self.0;
        let mut gate = head.lock();
        gate.frozen -= 1;
        let held = match gate.frozen {
            0 => std::mem::take(&mut gate.held),
            _ => Vec::new(),
        };
        head.changed.notify_all();
        drop(gate);
        held.into_iter().for_each(|held| head.submit(held.generation, held.io, held.done));
    }
}

fn range(io: &Io) -> Option<(u64, u64)> {
    match io {
        Io::Read { offset, length } => Some((*offset, u64::from(*length))),
        Io::Write { offset, data, .. } => Some((*offset, data.len() as u64)),
        Io::Zero { offset, length, .. } | Io::Discard { offset, length, .. } => {
            Some((*offset, *length))
        }
        Io::Flush => None,
    }
}
