//! Transitions that go on after the call was answered.
//!
//! A job names what is under way, not what to do: what to do stands in the record. So a job may be
//! lost (the record is found again), done twice, or come late.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use ebb_domain::{DiskId, InstanceId, TaskId};
use ebb_store::Claimed;

use crate::Control;
use crate::mutex::lock;

/// Threads that carry transitions. Ending a stuck connection takes seconds, so one would not do.
const THREADS: usize = 8;

/// Threads that see to exports which other servers ask about. They are apart, and wait for no other
/// server: two servers whose threads all waited for each other would wait for ever. Each waits for
/// clients to end and for a last flush, so there are many.
const EXPORT_THREADS: usize = 16;

/// Threads that carry tasks, which can take hours: they are apart, so that no instance waits for
/// one.
const TASK_THREADS: usize = 2;

/// What is under way.
#[derive(Debug, Clone)]
pub(crate) enum Job {
    Instance(InstanceId),
    Detach(DiskId),
    Task(TaskId),
    /// What others have left.
    Claimed(Box<Claimed>),
    /// What this server itself has left.
    Own(Box<Claimed>),
    /// The export of a disk is to be looked at; another server asks, for the time of that number.
    Export(DiskId, u64),
}

pub(crate) struct Work {
    transitions: Mutex<Option<Sender<Job>>>,
    tasks: Mutex<Option<Sender<Job>>>,
    exports: Mutex<Option<Sender<Job>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    stopping: Arc<AtomicBool>,
    /// Tasks, and snapshots that are imported, which a thread has in hand: they can take hours, and
    /// belong to no epoch.
    held: Mutex<HashSet<String>>,
}

/// Where the threads take their jobs from.
pub(crate) struct Inboxes {
    transitions: Receiver<Job>,
    tasks: Receiver<Job>,
    exports: Receiver<Job>,
}

impl Work {
    pub(crate) fn new() -> (Self, Inboxes) {
        let (transitions, transition_inbox) = mpsc::channel();
        let (tasks, task_inbox) = mpsc::channel();
        let (exports, export_inbox) = mpsc::channel();
        let (threads, stopping) = Default::default();
        let work = Self {
            transitions: Mutex::new(Some(transitions)),
            tasks: Mutex::new(Some(tasks)),
            exports: Mutex::new(Some(exports)),
            threads,
            stopping,
            held: Mutex::default(),
        };
        let inboxes =
            Inboxes { transitions: transition_inbox, tasks: task_inbox, exports: export_inbox };
        (work, inboxes)
    }

    /// Starts the threads. They hold the control weakly, so they end when it does.
    pub(crate) fn start(&self, control: &Arc<Control>, inboxes: Inboxes) {
        self.start_some("work", THREADS, control, inboxes.transitions);
        self.start_some("task", TASK_THREADS, control, inboxes.tasks);
        self.start_some("export", EXPORT_THREADS, control, inboxes.exports);
    }

    fn start_some(&self, name: &str, count: usize, control: &Arc<Control>, inbox: Receiver<Job>) {
        let inbox = Arc::new(Mutex::new(inbox));
        for n in 0..count {
            let (inbox, control) = (Arc::clone(&inbox), Arc::downgrade(control));
            let stopping = Arc::clone(&self.stopping);
            let carry = move || {
                loop {
                    let next = lock(&inbox).recv();
                    let (Ok(job), Some(control)) = (next, control.upgrade()) else { break };
                    if stopping.load(Ordering::Acquire) {
                        break;
                    }
                    control.carry(&job);
                }
            };
            let spawned = thread::Builder::new().name(format!("{name}-{n}")).spawn(carry);
            lock(&self.threads).push(spawned.expect("the system lets us start a thread"));
        }
    }

    pub(crate) fn add(&self, job: Job) {
        let lane = match job {
            Job::Task(_) => &self.tasks,
            Job::Export(..) => &self.exports,
            Job::Instance(_) | Job::Detach(_) | Job::Claimed(_) | Job::Own(_) => &self.transitions,
        };
        if let Some(sender) = lock(lane).as_ref() {
            // A closed inbox means that the server is stopping; the record keeps the work.
            let _ = sender.send(job);
        }
    }

    /// Says that a thread has a task in hand, or an import.
    pub(crate) fn hold(&self, id: &str) {
        lock(&self.held).insert(id.to_owned());
    }

    /// It has not any more.
    pub(crate) fn let_go(&self, id: &str) {
        lock(&self.held).remove(id);
    }

    /// What was claimed, but for what a thread here has in hand.
    pub(crate) fn leave_out_held(&self, mut claimed: Claimed) -> Claimed {
        let held = lock(&self.held);
        claimed.tasks.retain(|task| !held.contains(task.as_str()));
        claimed.snapshots.retain(|snapshot| !held.contains(snapshot.as_str()));
        claimed
    }

    /// Whether what takes long is to end now.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Has what takes long end soon.
    pub(crate) fn begin_to_stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Ends what is being carried, and returns: the engine is closed after it. Jobs that nobody has
    /// begun stay in the records.
    pub(crate) fn stop(&self) {
        self.begin_to_stop();
        lock(&self.transitions).take();
        lock(&self.tasks).take();
        lock(&self.exports).take();
        for thread in lock(&self.threads).drain(..) {
            // A thread outlives the panic of a job, so this cannot fail.
            let _ = thread.join();
        }
    }
}

impl Control {
    fn carry(self: &Arc<Self>, job: &Job) {
        let entry = match job {
            Job::Task(id) => {
                self.work.hold(id.as_str());
                None
            }
            _ => Some(self.enter()),
        };
        // What is half done stands in the record, so the thread may go on after a panic.
        let outcome = catch_unwind(AssertUnwindSafe(|| match job {
            Job::Instance(id) => self.carry_instance(id),
            Job::Detach(id) => self.finish_detach(id),
            Job::Task(id) => self.carry_task(id),
            Job::Claimed(claimed) => self.take_up(claimed),
            Job::Own(claimed) => self.settle_claimed(claimed),
            Job::Export(disk, asked) => self.answer_export(disk, *asked),
        }));
        if let Job::Task(id) = job {
            self.work.let_go(id.as_str());
        }
        match outcome {
            Ok(Ok(())) => return,
            Ok(Err(error)) => log_stuck(job, &error.to_string()),
            Err(_) => log_stuck(job, "it panicked"),
        }
        entry.unwrap_or_else(|| self.enter()).failed();
    }
}

fn log_stuck(job: &Job, error: &str) {
    tracing::error!(
        ?job,
        error,
        "a transition could not be carried to its end; it stays in the \
        record and is carried on soon"
    );
}
