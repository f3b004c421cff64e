//! A disk under test: what it may hold, and whether its writers may use it now.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::ledger::{BLOCK, Candidates, Event, Ledger};
use crate::round::Round;

/// Where the next writer's blocks begin: far away, so that they are in other parts of the map.
const REGION_BYTES: u64 = 256 << 20;

/// How long writers may need to notice that their disk was detached.
const PATIENCE: Duration = Duration::from_secs(20);

/// How disks are used; all of a run alike.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) writers: usize,
    /// Blocks of each writer.
    pub(crate) places: usize,
}

impl Shape {
    pub(crate) fn blocks(self) -> usize {
        self.writers * self.places
    }

    pub(crate) fn offset(self, place: usize) -> u64 {
        let region = (place / self.places) as u64 * REGION_BYTES;
        region + (place % self.places * BLOCK) as u64
    }

    /// A disk that nobody ever wrote.
    pub(crate) fn empty(self) -> Vec<Candidates> {
        vec![vec![Event::NEVER]; self.blocks()]
    }
}

/// Numbers that rise over a whole run.
#[derive(Debug, Default)]
pub(crate) struct Numbers(AtomicU64);

impl Numbers {
    pub(crate) fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    /// Its writers use it, and nothing may break.
    Open,
    /// It is being detached under its writers: connections break.
    Closing,
    /// Writers stay away.
    Shut,
}

#[derive(Debug)]
struct Use {
    gate: Gate,
    writers: usize,
    parked: usize,
}

#[derive(Debug)]
pub(crate) struct Disk {
    pub(crate) number: u64,
    pub(crate) name: String,
    pub(crate) id: String,
    ledger: Mutex<Ledger>,
    used: Mutex<Use>,
    moved: Condvar,
}

impl Disk {
    pub(crate) fn new(number: u64, name: String, id: String, image: Vec<Candidates>) -> Arc<Self> {
        let used = Use { gate: Gate::Open, writers: 0, parked: 0 };
        let ledger = Mutex::new(Ledger::new(image));
        Arc::new(Self { number, name, id, ledger, used: Mutex::new(used), moved: Condvar::new() })
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn used(&self) -> MutexGuard<'_, Use> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn gate(&self) -> Gate {
        self.used().gate
    }

    pub(crate) fn set_gate(&self, gate: Gate) {
        self.used().gate = gate;
        self.moved.notify_all();
    }

    /// Before a round: nobody uses it yet, and everyone may.
    pub(crate) fn begin_round(&self, writers: usize) {
        *self.used() = Use { gate: Gate::Open, writers, parked: 0 };
    }

    pub(crate) fn writer_ended(&self) {
        self.used().writers -= 1;
        self.moved.notify_all();
    }

    /// Waits until the disk may be used. False: the server is killed.
    pub(crate) fn admit(&self, round: &Round) -> bool {
        let mut used = self.used();
        used.parked += 1;
        self.moved.notify_all();
        while used.gate != Gate::Open && !round.is_killing() {
            used = self.wait(used);
        }
        used.parked -= 1;
        !round.is_killing()
    }

    /// Waits until no writer uses the disk.
    pub(crate) fn await_parked(&self, round: &Round) -> Result<()> {
        let begun = Instant::now();
        let mut used = self.used();
        while used.parked < used.writers && !round.is_killing() {
            if begun.elapsed() > PATIENCE {
                bail!("a writer of {} hangs after its disk was detached", self.id);
            }
            used = self.wait(used);
        }
        Ok(())
    }

    /// For a moment only: a kill notifies nobody.
    fn wait<'a>(&self, used: MutexGuard<'a, Use>) -> MutexGuard<'a, Use> {
        let waited = self.moved.wait_timeout(used, Duration::from_millis(5));
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}
