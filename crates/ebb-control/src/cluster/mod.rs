//! The servers that share the records, this one among them.
//!
//! ```text
//!   this server ──beat──► servers ◄──beat── that server
//!        └──────── watches ────────────────────┘
//!
//!   its beat stands still for a lease:  mark dead ──► shut its engine out ──► forget it
//!                                       no write      no byte                 what it had in
//!                                       is taken      is taken                hand is claimed
//! ```
//!
//! - Being slow and being gone cannot be told apart. So one that is taken for gone is made so: from
//!   the first step on the records take nothing of it, from the second on the volumes neither, and
//!   only then does anybody go on with what it had. One that wakes up finds that out by its next
//!   beat, and its process ends.
//! - Each step is done again by whoever finds it half done, so this server may end in the middle.
//! - What a dead server had under way is claimed in one transaction, so one server goes on with it.
//! - A server that begins again on its own data directory is known to be gone, since that is
//!   locked, and so is every other where the records are a file in it ([`Place::is_alone`]).
//!
//! Deliberately not here: a leader. Nobody decides for the others; work that one does for all is a
//! duty, which the next one takes when its server is gone.

mod beat;
mod epochs;
mod watch;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ebb_store::{Durability, Member, Server, ServerId, Store, Tx};
use ebb_volume::Engine;

use crate::mutex::lock;
use crate::{Control, ControlError, Entropy};

pub use epochs::Entry;
use epochs::Epochs;
use watch::Watch;

/// Bits of a scratch volume's id that count. What is before them is the server's.
const SCRATCH_BITS: u32 = 24;

/// Looks at the beats of others in a lease.
const LOOKS: u32 = 5;

/// Where a server is.
#[derive(Clone)]
pub struct Place {
    /// Its data directory, by an id that stays with it and that no two servers have at a time.
    pub home: String,
    /// Where its exports are, `nbd://HOST:PORT` or `nbds`, for clients.
    pub nbd: String,
    /// Where its API is, `HOST:PORT`.
    pub api: String,
    /// Whether no other server can use the records while this one does.
    pub is_alone: bool,
    /// How long a beat may stand still.
    pub lease: Duration,
    /// Called once others have taken this server for gone: it must end.
    pub shut_out: Arc<dyn Fn() + Send + Sync>,
}

pub(crate) struct Cluster {
    pub(crate) id: ServerId,
    scratch: u64,
    next_scratch: AtomicU64,
    place: Place,
    epochs: Mutex<Epochs>,
    is_shut_out: AtomicBool,
    /// Dropped to end the threads.
    going: Mutex<Option<Sender<()>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Cluster {
    /// Joins the servers that share a store. Those that this one is sure to have come after are
    /// marked as dead.
    pub(crate) fn join(
        store: &Store,
        engine: &dyn Engine,
        place: Place,
        entropy: &dyn Entropy,
    ) -> Result<(Self, Receiver<()>), ControlError> {
        let me = Server {
            id: ServerId::new(random(entropy)),
            home: place.home.clone(),
            volumes: engine.shared_as(),
            client: engine.client(),
            nbd: place.nbd.clone(),
            api: place.api.clone(),
            scratch: random(entropy) >> (SCRATCH_BITS + 1),
            beat: 0,
            is_dead: false,
        };
        outlive_strangers(store, &me, &place)?;
        store.write::<_, ControlError>(Durability::Recoverable, |tx| {
            let others = tx.servers()?;
            if let Some(other) = others.iter().find(|other| is_stranger(&me, other, &place)) {
                return Err(stranger(other));
            }
            for other in others.iter().filter(|other| came_before(other, &place)) {
                tx.mark_dead(&other.id)?;
            }
            Ok(tx.insert_server(&me)?)
        })?;
        store.write_as(Member { server: me.id.clone(), epoch: 0 });
        let (going, gone) = mpsc::channel();
        let cluster = Self {
            id: me.id,
            scratch: me.scratch,
            next_scratch: AtomicU64::new(0),
            place,
            epochs: Mutex::new(Epochs::new(store.times_missed())),
            is_shut_out: AtomicBool::new(false),
            going: Mutex::new(Some(going)),
            threads: Mutex::default(),
        };
        Ok((cluster, gone))
    }

    /// An id for what has no row: while this server lives, nobody takes it for left over.
    pub(crate) fn scratch_id(&self) -> u64 {
        let count = self.next_scratch.fetch_add(1, Ordering::Relaxed);
        assert!(count < 1 << SCRATCH_BITS, "a server has used up the ids of scratch volumes");
        (self.scratch << SCRATCH_BITS) | count
    }

    /// Whether no other can be there.
    pub(crate) fn is_alone(&self) -> bool {
        self.place.is_alone
    }

    pub(crate) fn is_shut_out(&self) -> bool {
        self.is_shut_out.load(Ordering::Acquire)
    }
}

/// Whether an id is one of those that a server gives to what has no row.
pub(crate) fn is_scratch_of(server: &Server, id: u64) -> bool {
    id >> SCRATCH_BITS == server.scratch
}

/// Whether a server is gone for certain, as this one is there.
fn came_before(other: &Server, place: &Place) -> bool {
    place.is_alone || other.home == place.home
}

/// Whether a server, if it lives, has other volumes than this one, or keeps them to itself.
fn is_stranger(me: &Server, other: &Server, place: &Place) -> bool {
    let shares = me.volumes.is_some() && me.volumes == other.volumes;
    !shares && !other.is_dead && !came_before(other, place)
}

/// Waits until it is certain that no server is there which uses other volumes.
fn outlive_strangers(store: &Store, me: &Server, place: &Place) -> Result<(), ControlError> {
    let (mut watch, mut first) = (Watch::new(place.lease), Vec::new());
    loop {
        let servers = store.read::<_, ControlError>(|tx| Ok(tx.servers()?))?;
        let strangers: Vec<Server> =
            servers.into_iter().filter(|other| is_stranger(me, other, place)).collect();
        if first.is_empty() {
            first.clone_from(&strangers);
            if let Some(other) = first.first() {
                tracing::info!(api = other.api, "waiting to see whether another server lives");
            }
        }
        let lives =
            |now: &&Server| first.iter().all(|then| then.id != now.id || then.beat != now.beat);
        if let Some(other) = strangers.iter().find(lives) {
            return Err(stranger(other));
        }
        for gone in watch.look(strangers.iter(), Instant::now()).gone {
            mark_dead(store, &gone)?;
        }
        if strangers.is_empty() {
            return Ok(());
        }
        thread::sleep(place.lease / LOOKS);
    }
}

fn stranger(other: &Server) -> ControlError {
    let its = other.volumes.as_deref().unwrap_or("volumes of its own, in its data directory");
    ControlError::Mismatch(format!(
        "a server at {} uses these records, with {its}; servers that share records have to share \
         their volumes too: give each the same --engine, or each its own --store",
        other.api
    ))
}

/// Marks a server as dead, unless its beat has gone on.
fn mark_dead(store: &Store, gone: &Server) -> Result<(), ControlError> {
    let marked = store.write::<_, ControlError>(Durability::Durable, |tx| {
        let stands = |now: &Server| now.id == gone.id && now.beat == gone.beat && !now.is_dead;
        let still = tx.servers()?.iter().any(stands);
        if still {
            tx.mark_dead(&gone.id)?;
        }
        Ok(still)
    })?;
    if marked {
        tracing::warn!(server = %gone.id, api = gone.api, "a server is gone");
    }
    Ok(())
}

fn random(entropy: &dyn Entropy) -> u64 {
    let mut bytes = [0; 8];
    entropy.fill(&mut bytes);
    u64::from_be_bytes(bytes)
}

impl Control {
    /// To be held by each call, from before it reads anything until it has ended.
    #[must_use]
    pub fn enter(&self) -> Entry {
        lock(&self.cluster.epochs).enter()
    }

    /// The server's id among those that share its records.
    #[must_use]
    pub fn server_id(&self) -> &ServerId {
        &self.cluster.id
    }

    /// Whether it is this server that does `name` for all. It is, where nobody is there who does.
    ///
    /// # Errors
    /// The store fails.
    pub fn has_duty(&self, name: &str) -> Result<bool, ControlError> {
        let id = &self.cluster.id;
        if self.store.read(|tx| tx.has_duty(name, id))? {
            return Ok(true);
        }
        self.store.write(Durability::Recoverable, |tx| Ok(tx.take_duty(name, id)?))
    }

    /// Shuts out and forgets every server that is marked as dead. Says whether there was one.
    pub(crate) fn expel_dead(&self) -> Result<bool, ControlError> {
        let dead = |tx: &Tx<'_>| Ok::<_, ControlError>(tx.servers()?);
        let servers = self.store.read(dead)?;
        let mut expelled = false;
        for server in servers.iter().filter(|server| server.is_dead) {
            if server.volumes.is_some() && server.volumes == self.engine.shared_as() {
                self.engine.fence(&server.client)?;
            }
            self.store.write::<_, ControlError>(Durability::Durable, |tx| {
                Ok(tx.remove_server(&server.id)?)
            })?;
            expelled = true;
        }
        Ok(expelled)
    }

    /// Leaves the others: what is under way still is theirs.
    pub(crate) fn leave(&self) -> Result<(), ControlError> {
        self.store.write(Durability::Durable, |tx| Ok(tx.remove_server(&self.cluster.id)?))
    }
}
