//! One round: a server, its clients, a kill.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::actor::Actor;
use crate::cloud::Cloud;
use crate::counts::Counts;
use crate::disk::{Disk, Gate, Numbers};
use crate::rng::Rng;
use crate::server::Server;
use crate::world::World;
use crate::writer::Writer;

/// How long a client may need to notice that its server is gone.
const GONE: Duration = Duration::from_secs(20);
/// How long filling the small file system may take.
const FILLING: Duration = Duration::from_secs(120);

/// What all clients of a round share.
#[derive(Debug)]
pub(crate) struct Round {
    pub(crate) nbd: String,
    pub(crate) numbers: Arc<Numbers>,
    /// The file system is a small one: an answer may be that there is no space.
    small: bool,
    /// Set before the kill: from then on nothing has to be answered.
    killing: AtomicBool,
    /// The writers that have been told so, by disk and first block.
    without_space: Mutex<BTreeSet<(u64, usize)>>,
    full: AtomicBool,
}

impl Round {
    pub(crate) fn new(nbd: String, numbers: Arc<Numbers>, small: bool) -> Arc<Self> {
        Arc::new(Self {
            nbd,
            numbers,
            small,
            killing: AtomicBool::new(false),
            without_space: Mutex::default(),
            full: AtomicBool::new(false),
        })
    }

    pub(crate) fn is_killing(&self) -> bool {
        self.killing.load(Ordering::SeqCst)
    }

    pub(crate) fn is_small(&self) -> bool {
        self.small
    }

    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::SeqCst)
    }

    pub(crate) fn saw_no_space(&self, disk: &Disk, first: usize) {
        self.full.store(true, Ordering::SeqCst);
        let mut seen = self.without_space.lock().unwrap_or_else(PoisonError::into_inner);
        seen.insert((disk.number, first));
    }

    fn await_full(&self, writers: usize, clients: &Clients) -> Result<()> {
        let begun = Instant::now();
        loop {
            let seen = self.without_space.lock().unwrap_or_else(PoisonError::into_inner).len();
            if seen == writers {
                return Ok(());
            }
            clients.check()?;
            if begun.elapsed() > FILLING {
                bail!("after {FILLING:?} only {seen} of {writers} writers were told ENOSPC");
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}

/// How a round goes.
pub(crate) struct Plan {
    pub(crate) small: bool,
    /// Kill only after every writer was told that there is no space.
    pub(crate) fill: bool,
    pub(crate) seed: u64,
    pub(crate) number: u64,
}

/// Lets clients loose on the server, and kills it at a random moment.
pub(crate) fn run(
    plan: &Plan,
    server: Server,
    cloud: Cloud,
    world: World,
    numbers: Arc<Numbers>,
) -> Result<(World, Counts)> {
    let round = Round::new(server.nbd.clone(), numbers, plan.small);
    let rng = |part, n| Rng::new(plan.seed, [plan.number, part, n]);
    let shape = world.shape;
    let clients = Clients::new();
    let disks = world.disks.clone();
    for (d, disk) in (0..).zip(&disks) {
        disk.begin_round(shape.writers);
        for w in 0..shape.writers {
            let writer = Writer {
                disk: Arc::clone(disk),
                round: Arc::clone(&round),
                shape,
                first: w * shape.places,
                rng: rng(1 + d, w as u64),
                counts: Counts::default(),
                filling: plan.fill.then_some(0),
            };
            clients.spawn(move || Ok((writer.run()?, None)));
        }
    }
    if plan.fill {
        round.await_full(disks.len() * shape.writers, &clients)?;
    }
    let counts = Counts::default();
    let mut actor = Actor { world, cloud, round: Arc::clone(&round), rng: rng(0, 0), counts };
    clients.spawn(move || {
        actor.run().context("calling the API")?;
        Ok((actor.counts, Some(actor.world)))
    });
    let end = Instant::now() + rng(0, 1).millis(50, 500);
    while Instant::now() < end {
        clients.check()?;
        thread::sleep(Duration::from_millis(1));
    }
    round.killing.store(true, Ordering::SeqCst);
    server.kill()?;
    let (world, mut counts) = clients.join()?;
    counts.kills += 1;
    Ok((world, counts))
}

type Ended = Result<(Counts, Option<World>)>;

/// Threads that end by themselves once the server is gone.
struct Clients {
    sender: mpsc::Sender<Ended>,
    ended: mpsc::Receiver<Ended>,
    started: std::cell::Cell<usize>,
}

impl Clients {
    fn new() -> Self {
        let (sender, ended) = mpsc::channel();
        Self { sender, ended, started: std::cell::Cell::new(0) }
    }

    fn spawn(&self, run: impl FnOnce() -> Ended + Send + 'static) {
        self.started.set(self.started.get() + 1);
        let sender = self.sender.clone();
        thread::spawn(move || {
            // Nobody listens after another one has failed.
            let _ = sender.send(run());
        });
    }

    /// While the server runs: no client ends but by a failure.
    fn check(&self) -> Result<()> {
        match self.ended.try_recv() {
            Ok(Err(error)) => Err(error),
            Ok(Ok(_)) => bail!("a client ended before its server"),
            Err(_) => Ok(()),
        }
    }

    fn join(self) -> Result<(World, Counts)> {
        let (mut world, mut counts) = (None, Counts::default());
        for _ in 0..self.started.get() {
            let Ok(ended) = self.ended.recv_timeout(GONE) else {
                bail!("a client hangs (or panicked) after its server was killed");
            };
            let (more, its_world) = ended?;
            counts += more;
            world = world.or(its_world);
        }
        Ok((world.context("the caller of the API gives the world back")?, counts))
    }
}

/// Opens every disk again, for clients that come after a round.
pub(crate) fn open_gates(world: &World) {
    world.disks.iter().for_each(|disk| disk.set_gate(Gate::Open));
}
