//! What engines on one pool and namespace say to each other about volumes that one of them has
//! open.
//!
//! Each engine watches an object that is named after its client's address, and the lock of an image
//! tells the address of who has it; so who needs something of a volume that another has open
//! notifies that engine's object, and the answer comes back with the notification.
//!
//! ```text
//!   let go    close the volume, unless a handle is open      before this one takes its lock
//!   revoke    end its handles and close it                   revoke, from elsewhere
//!   freeze    hold its requests back, until thawed           a snapshot, from elsewhere
//!   thaw      go on; were they held back all the time?
//!   grow      grow it                                        grow, from elsewhere
//! ```
//! What is asked for is done on a thread of its own. Who asks waits for a bounded time. A freeze
//! ends by itself, so that nobody is held up by one who has died; whether it had, is what the
//! answer to `thaw` is for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ebb_volume::{EngineError, OpId, VolumeId};
use serde::{Deserialize, Serialize};

use crate::engine::{Busy, Shared, lock};
use crate::ffi::{ESHUTDOWN, ETIMEDOUT, Error, Heard, Note, Pool, Watch};

/// How long an engine may be silent before nobody is taken to watch its object.
const WATCH_PATIENCE: Duration = Duration::from_secs(10);

/// How long who is asked waits for a call of its own on the volume.
const BUSY_PATIENCE: Duration = Duration::from_secs(3);

/// When a freeze ends by itself.
const FROZEN_AT_MOST: Duration = Duration::from_secs(10);

/// What one engine asks of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Ask {
    LetGo { volume: u64 },
    Close { image: String },
    Revoke { volume: u64 },
    Freeze { volume: u64, freeze: String },
    Thaw { freeze: String },
    Grow { op: [u8; 16], volume: u64, size_bytes: u64 },
}

/// What it answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Answer {
    Done,
    /// A handle is open.
    InUse,
    /// A call is under way that takes longer.
    Busy,
    /// The volume is not open here, or the freeze has ended.
    NotHere,
    /// The call was refused.
    BadSize,
    IdTaken,
    NoSpace,
    NoSuchVolume,
    Failed(String),
    Unknown(String),
}

/// What became of asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    Answer(Answer),
    /// It does not answer in time.
    Silent,
    /// No engine of Ebbtide watches there.
    Nobody,
}

enum Word {
    Heard(Heard),
    Stop,
}

/// The engine's place among others.
pub(crate) struct Peers {
    /// This engine's.
    pub(crate) address: String,
    pool: Arc<Pool>,
    watch: Mutex<Option<Arc<Watch>>>,
    sender: Sender<Word>,
    /// Freezes that hold, by their names.
    freezes: Mutex<BTreeMap<String, SyncSender<()>>>,
    last_freeze: AtomicU64,
    /// Whom this engine has had blocklisted.
    shut_out: Mutex<BTreeSet<String>>,
}

/// What is heard, for the thread that answers.
pub(crate) struct Words(Receiver<Word>);

/// The object that an engine watches.
pub(crate) fn object_of(address: &str) -> String {
    format!("ebb_engine.{address}")
}

impl Peers {
    /// Makes the engine's object and watches it.
    pub(crate) fn begin(pool: &Arc<Pool>) -> Result<(Self, Words), Error> {
        let (sender, receiver) = channel();
        let this = Self {
            address: pool.address()?,
            pool: Arc::clone(pool),
            watch: Mutex::default(),
            sender,
            freezes: Mutex::default(),
            last_freeze: AtomicU64::new(0),
            shut_out: Mutex::default(),
        };
        this.watch()?;
        Ok((this, Words(receiver)))
    }

    fn watch(&self) -> Result<(), Error> {
        let object = object_of(&self.address);
        self.pool.change_rows(&object, &[], &[], &[])?;
        let sender = Mutex::new(self.sender.clone());
        let ear = move |heard| {
            // The thread has ended if the engine has.
            let _ = lock(&sender).send(Word::Heard(heard));
        };
        let old = lock(&self.watch).take();
        drop(old);
        let watch = Watch::begin(&self.pool, &object, WATCH_PATIENCE, ear)?;
        *lock(&self.watch) = Some(Arc::new(watch));
        Ok(())
    }

    pub(crate) fn stop(&self) {
        let _ = self.sender.send(Word::Stop);
    }

    /// Asks an engine. It takes a second longer than `patience` at most.
    pub(crate) fn ask(
        &self,
        address: &str,
        ask: &Ask,
        patience: Duration,
    ) -> Result<Said, EngineError> {
        let object = object_of(address);
        let bytes = serde_json::to_vec(ask).map_err(|error| failed(&error))?;
        match self.pool.notify(&object, &bytes, patience) {
            Ok(None) => Ok(Said::Nobody),
            Ok(Some(answer)) => {
                serde_json::from_slice(&answer).map(Said::Answer).map_err(|error| failed(&error))
            }
            Err(error) if error.is(ETIMEDOUT) => Ok(Said::Silent),
            Err(error) => Err(error.into()),
        }
    }

    /// A name for a freeze that no other has.
    pub(crate) fn freeze_name(&self) -> String {
        format!("{}-{}", self.address, self.last_freeze.fetch_add(1, Relaxed))
    }

    pub(crate) fn has_shut_out(&self, address: &str) -> bool {
        lock(&self.shut_out).contains(address)
    }

    pub(crate) fn shuts_out(&self, address: &str) {
        lock(&self.shut_out).insert(address.to_owned());
    }
}

fn failed(error: &serde_json::Error) -> EngineError {
    EngineError::Failed(format!("another engine's answer can not be read: {error}"))
}

/// Starts the thread that answers.
pub(crate) fn spawn(shared: Arc<Shared>, words: Words) -> std::io::Result<JoinHandle<()>> {
    let work = move || run(&shared, &words.0);
    thread::Builder::new().name("ebb-rbd-peers".into()).spawn(work)
}

fn run(shared: &Arc<Shared>, words: &Receiver<Word>) {
    const AGAIN: Duration = Duration::from_secs(1);
    let mut lost = false;
    loop {
        let word = match lost {
            false => words.recv().map_err(|_| RecvTimeoutError::Disconnected),
            true => words.recv_timeout(AGAIN),
        };
        match word {
            Ok(Word::Heard(Heard::Note(note))) => hear(shared, note),
            Ok(Word::Heard(Heard::Lost(code))) => {
                tracing::info!("the engine's watch is lost (error {code}); it begins another");
                lost = true;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Ok(Word::Stop) | Err(RecvTimeoutError::Disconnected) => break,
        }
        if lost {
            match shared.peers.watch() {
                Ok(()) => lost = false,
                Err(error) if error.is(ESHUTDOWN) => {
                    shared.heart.shut_out();
                    break;
                }
                Err(error) => tracing::info!("the engine cannot watch yet: {error}"),
            }
        }
    }
    let watch = lock(&shared.peers.watch).take();
    drop(watch);
    if shared.heart.serving().is_ok()
        && let Err(error) = shared.peers.pool.remove_object(&object_of(&shared.peers.address))
    {
        tracing::info!("the engine's object stays: {error}");
    }
}

fn hear(shared: &Arc<Shared>, note: Note) {
    let Some(watch) = lock(&shared.peers.watch).clone() else { return };
    let ask = match serde_json::from_slice(&note.bytes) {
        Ok(ask) => ask,
        Err(error) => {
            let answer = Answer::Failed(format!("not understood: {error}"));
            return reply(&watch, &note, &answer);
        }
    };
    let shared = Arc::clone(shared);
    let serve = move || shared.serve(ask, |answer| reply(&watch, &note, &answer));
    let started = thread::Builder::new().name("ebb-rbd-asked".into()).spawn(serve);
    if let Err(error) = started {
        tracing::warn!("no thread could be started to answer another engine: {error}");
    }
}

fn reply(watch: &Watch, note: &Note, answer: &Answer) {
    match serde_json::to_vec(answer) {
        Ok(bytes) => watch.answer(note, &bytes),
        Err(error) => tracing::warn!("an answer to another engine: {error}"),
    }
}

impl Shared {
    /// Does what another engine asks for.
    fn serve(&self, ask: Ask, answer: impl FnOnce(Answer)) {
        tracing::debug!("another engine asks: {ask:?}");
        if self.serving().is_err() {
            return answer(Answer::Failed("this engine has stopped".into()));
        }
        match ask {
            Ask::LetGo { volume } => answer(self.let_go(VolumeId(volume))),
            Ask::Close { image } => answer(self.close_image(&image)),
            Ask::Revoke { volume } => answer(self.revoke_here(VolumeId(volume))),
            Ask::Freeze { volume, freeze } => self.freeze_here(VolumeId(volume), freeze, answer),
            Ask::Thaw { freeze } => answer(self.thaw_here(&freeze)),
            Ask::Grow { op, volume, size_bytes } => {
                answer(self.grow_here(OpId(op), VolumeId(volume), size_bytes));
            }
        }
    }

    /// Closes a volume that nobody here uses.
    fn let_go(&self, volume: VolumeId) -> Answer {
        if self.in_use(volume) {
            return Answer::InUse;
        }
        let Some(_busy) = self.busy_within(volume, BUSY_PATIENCE) else { return Answer::Busy };
        if self.in_use(volume) {
            return Answer::InUse;
        }
        self.shut(volume);
        Answer::Done
    }

    /// Closes an image that is to be removed.
    fn close_image(&self, image: &str) -> Answer {
        match self.head_of_image(image) {
            Some(volume) => self.let_go(volume),
            None => Answer::Done,
        }
    }

    fn revoke_here(&self, volume: VolumeId) -> Answer {
        if let Some(head) = self.open_head(volume) {
            tracing::info!("another server ends the use of {volume:?}");
            head.revoke();
        }
        match self.let_go(volume) {
            // Whoever opened it since.
            Answer::InUse => Answer::Done,
            answer => answer,
        }
    }

    /// Holds the requests to a volume back, and all calls on it, until it is thawed or too late.
    fn freeze_here(&self, volume: VolumeId, name: String, answer: impl FnOnce(Answer)) {
        let ends = Instant::now() + FROZEN_AT_MOST;
        let Some(busy) = self.busy_within(volume, BUSY_PATIENCE) else {
            return answer(Answer::Busy);
        };
        let head = self.open_head(volume).filter(|head| head.in_use());
        let Some(head) = head else { return answer(Answer::NotHere) };
        let frozen = head.freeze();
        let (thaw, thawed) = sync_channel(1);
        lock(&self.peers.freezes).insert(name.clone(), thaw);
        answer(Answer::Done);
        let left = ends.saturating_duration_since(Instant::now());
        if thawed.recv_timeout(left).is_err() && lock(&self.peers.freezes).remove(&name).is_some() {
            tracing::info!("{volume:?} was frozen for another engine, which has not thawed it");
        }
        drop((frozen, busy));
    }

    /// Whoever takes the freeze's row away is the one who ended it.
    fn thaw_here(&self, name: &str) -> Answer {
        match lock(&self.peers.freezes).remove(name) {
            None => Answer::NotHere,
            Some(thaw) => {
                // It waits, and there is room for one.
                let _ = thaw.send(());
                Answer::Done
            }
        }
    }

    fn grow_here(&self, op: OpId, volume: VolumeId, size_bytes: u64) -> Answer {
        if !self.in_use(volume) {
            return Answer::NotHere;
        }
        match self.make_larger_here(op, volume, size_bytes) {
            Ok(()) => Answer::Done,
            Err(EngineError::BadSize(_)) => Answer::BadSize,
            Err(EngineError::IdTaken) => Answer::IdTaken,
            Err(EngineError::NoSpace) => Answer::NoSpace,
            Err(EngineError::InUse(_)) => Answer::NotHere,
            Err(EngineError::NoSuchVolume(_)) => Answer::NoSuchVolume,
            Err(EngineError::Failed(reason)) => Answer::Failed(reason),
            Err(other) => Answer::Unknown(other.to_string()),
        }
    }

    /// Makes the volume busy, unless a call has it for longer.
    fn busy_within(&self, volume: VolumeId, patience: Duration) -> Option<Busy<'_>> {
        const LOOK_EVERY: Duration = Duration::from_millis(10);
        let until = Instant::now() + patience;
        loop {
            if let Some(busy) = self.try_busy(volume) {
                return Some(busy);
            }
            if Instant::now() > until {
                return None;
            }
            thread::sleep(LOOK_EVERY);
        }
    }
}
