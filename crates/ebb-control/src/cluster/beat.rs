//! What a server does again and again for as long as it lives: it says so, it watches the others,
//! it takes up what they and it itself have left, and it looks at the exports that others ask it
//! about.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use ebb_domain::DiskId;
use ebb_store::{Claimed, Durability, Member, Server, StoreError, Tx, Whose};
use ebb_volume::EngineError;

use super::watch::Watch;
use super::{LOOKS, mark_dead};
use crate::mutex::lock;
use crate::work::Job;
use crate::{Control, ControlError};

/// How soon a question about an export is heard. A read each time, while nobody asks.
const LISTENS: Duration = Duration::from_millis(50);

/// A server that cannot read the records need not ask as often.
const PAUSE: Duration = Duration::from_secs(1);

/// Beats between two looks for what a server left that ended between forgetting a dead one and
/// claiming what it had.
const SWEEPS: u32 = 5;

impl Control {
    /// Starts to beat, and to listen where there can be others. The threads hold the control
    /// weakly, so they end when it does, or when `gone` says so.
    pub(crate) fn start_beating(self: &Arc<Self>, gone: Receiver<()>) {
        let place = &self.cluster.place;
        let (control, lease) = (Arc::downgrade(self), place.lease);
        let mut threads = lock(&self.cluster.threads);
        threads.push(started("watch", move || watch(&control, lease, &gone)));
        if !place.is_alone {
            let control = Arc::downgrade(self);
            threads.push(started("beat", move || beat(&control, lease / LOOKS)));
            let control = Arc::downgrade(self);
            threads.push(started("listen", move || listen(&control)));
        }
    }

    /// Ends the threads, and returns.
    pub(crate) fn stop_beating(&self) {
        lock(&self.cluster.going).take();
        for thread in lock(&self.cluster.threads).drain(..) {
            // Whatever it died of was logged.
            let _ = thread.join();
        }
    }

    /// Apart from what else there is to do: shutting an engine out can take longer than a lease.
    fn beat(&self) -> Result<(), ControlError> {
        Ok(self.store.beat(&self.cluster.id)?)
    }

    fn watch(&self, watch: &mut Watch, count: u32) -> Result<(), ControlError> {
        let cluster = &self.cluster;
        let mut sweeps = count.is_multiple_of(SWEEPS);
        if !cluster.is_alone() {
            if let Err(EngineError::Stopped(why)) = self.engine.health() {
                // The others can serve its disks, and it can not.
                self.must_end(&why);
            }
            let servers = self.store.read::<_, ControlError>(|tx| Ok(tx.servers()?))?;
            let others = |other: &&Server| other.id != cluster.id && !other.is_dead;
            let seen = watch.look(servers.iter().filter(others), Instant::now());
            for gone in &seen.gone {
                mark_dead(&self.store, gone)?;
            }
            sweeps |= self.expel_dead()? | seen.somebody_left;
        }
        if sweeps {
            self.claim(Whose::Orphans)?;
            self.spread_orphan_exports()?;
        }
        self.settle_the_past()
    }

    /// Makes rows that nobody carries this server's.
    pub(crate) fn claim_rows(&self, whose: Whose<'_>) -> Result<Claimed, ControlError> {
        self.store.write(Durability::Durable, |tx| {
            let me = tx.member().expect("a control writes as a member").clone();
            Ok(tx.claim(&me, whose)?)
        })
    }

    fn claim(&self, whose: Whose<'_>) -> Result<(), ControlError> {
        let claimed = self.work.leave_out_held(self.claim_rows(whose)?);
        // A volume that was to grow is told by no status.
        if !claimed.is_empty() || matches!(whose, Whose::Past(_)) {
            let claimed = Box::new(claimed);
            self.work.add(match whose {
                Whose::Past(_) => Job::Own(claimed),
                Whose::Orphans | Whose::All => Job::Claimed(claimed),
            });
        }
        Ok(())
    }

    /// Takes up what this server itself has left under way.
    fn settle_the_past(&self) -> Result<(), ControlError> {
        let cluster = &self.cluster;
        if let Some(epoch) = lock(&cluster.epochs).turn(self.store.times_missed()) {
            self.store.write_as(Member { server: cluster.id.clone(), epoch });
        }
        loop {
            let Some(epoch) = lock(&cluster.epochs).over() else { return Ok(()) };
            let past = Member { server: cluster.id.clone(), epoch };
            if let Err(error) = self.claim(Whose::Past(&past)) {
                lock(&cluster.epochs).again(epoch);
                return Err(error);
            }
        }
    }

    /// Gives the exports of servers that are gone to those that are there, to each its part.
    pub(crate) fn spread_orphan_exports(&self) -> Result<(), ControlError> {
        let orphans = self.store.read::<_, ControlError>(|tx| Ok(tx.orphan_exports()?))?;
        if orphans.is_empty() {
            return Ok(());
        }
        self.store.write(Durability::Durable, |tx| {
            let servers = tx.servers()?;
            let heirs = servers.iter().filter(|server| !server.is_dead).cycle();
            for (disk, heir) in tx.orphan_exports()?.iter().zip(heirs) {
                tx.put_export(disk, &heir.id)?;
                tx.ask_export(disk)?;
            }
            Ok(())
        })
    }

    /// What others ask about.
    fn asked(&self) -> Result<Vec<(DiskId, u64)>, ControlError> {
        Ok(self.store.read(|tx: &Tx<'_>| tx.asked_exports(&self.cluster.id))?)
    }

    /// Whether to go on after one round.
    fn goes_on(&self, what: &str, outcome: Result<(), ControlError>) -> bool {
        match outcome {
            Ok(()) => {}
            Err(ControlError::Unavailable(StoreError::ShutOut)) => {
                let lease = self.cluster.place.lease;
                self.must_end(&format!("its beat stood still for {lease:?}"));
                return false;
            }
            // What is away says so in the log itself.
            Err(ControlError::Unavailable(error) | ControlError::OutcomeUnknown(error)) => {
                tracing::info!(what, %error, "not now");
            }
            Err(error) => tracing::error!(what, %error, "not now"),
        }
        !self.work.is_stopping()
    }

    /// This server can do nothing any more, and others do what it did.
    fn must_end(&self, why: &str) {
        if !self.cluster.is_shut_out.swap(true, Ordering::AcqRel) {
            tracing::error!("this server is shut out, and has to start again: {why}");
            (self.cluster.place.shut_out)();
        }
    }
}

fn started(name: &str, run: impl FnOnce() + Send + 'static) -> thread::JoinHandle<()> {
    let spawned = thread::Builder::new().name(name.into()).spawn(run);
    spawned.expect("the system lets us start a thread")
}

fn watch(control: &Weak<Control>, lease: Duration, gone: &Receiver<()>) {
    let (mut watch, mut count) = (Watch::new(lease), 0_u32);
    while let Err(RecvTimeoutError::Timeout) = gone.recv_timeout(lease / LOOKS) {
        let Some(control) = control.upgrade() else { return };
        count = count.wrapping_add(1);
        if !control.goes_on("watch", control.watch(&mut watch, count)) {
            return;
        }
    }
}

fn beat(control: &Weak<Control>, every: Duration) {
    while let Some(control) = control.upgrade() {
        if !control.goes_on("beat", control.beat()) {
            return;
        }
        drop(control);
        thread::sleep(every);
    }
}

fn listen(control: &Weak<Control>) {
    let mut heard = HashSet::new();
    loop {
        let Some(control) = control.upgrade().filter(|control| !control.work.is_stopping()) else {
            return;
        };
        let pause = match control.asked() {
            Ok(asked) => {
                for question in asked.iter().filter(|question| !heard.contains(*question)) {
                    control.work.add(Job::Export(question.0.clone(), question.1));
                }
                heard = asked.into_iter().collect();
                LISTENS
            }
            Err(_) => PAUSE,
        };
        drop(control);
        thread::sleep(pause);
    }
}
