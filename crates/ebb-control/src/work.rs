//! Transitions that go on after the call was answered.
//!
//! A job names what is under way, not what to do: what to do stands in the record. So a job may be
//! lost (the next start finds the record), done twice, or come late.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use ebb_domain::{DiskId, InstanceId};

use crate::Control;

/// Threads that carry transitions. Ending a stuck connection takes seconds, so one would not do.
const THREADS: usize = 8;

/// What is under way.
#[derive(Debug, Clone)]
pub(crate) enum Job {
    Instance(InstanceId),
    Detach(DiskId),
}

pub(crate) struct Work {
    sender: Mutex<Option<Sender<Job>>>,
}

impl Work {
    pub(crate) fn new() -> (Self, Receiver<Job>) {
        let (sender, receiver) = mpsc::channel();
        (Self { sender: Mutex::new(Some(sender)) }, receiver)
    }

    /// Starts the threads. They hold the control weakly, so they end when it does.
    pub(crate) fn start(&self, control: &Arc<Control>, inbox: Receiver<Job>) {
        let inbox = Arc::new(Mutex::new(inbox));
        for n in 0..THREADS {
            let (inbox, control) = (Arc::clone(&inbox), Arc::downgrade(control));
            let carry = move || {
                loop {
                    let next = inbox.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let (Ok(job), Some(control)) = (next, control.upgrade()) else { break };
                    control.carry(&job);
                }
            };
            let spawned = thread::Builder::new().name(format!("work-{n}")).spawn(carry);
            spawned.expect("the system lets us start a thread");
        }
    }

    pub(crate) fn add(&self, job: Job) {
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = sender.as_ref() {
            // A closed inbox means that the server is stopping; the record keeps the work.
            let _ = sender.send(job);
        }
    }

    /// No more jobs are taken; those under way stay in the records.
    pub(crate) fn stop(&self) {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Control {
    fn carry(&self, job: &Job) {
        // What is half done stands in the record, so the thread may go on after a panic.
        let outcome = catch_unwind(AssertUnwindSafe(|| match job {
            Job::Instance(id) => self.carry_instance(id),
            Job::Detach(id) => self.finish_detach(id),
        }));
        match outcome {
            Ok(Ok(())) => {}
            Ok(Err(error)) => log_stuck(job, &error.to_string()),
            Err(_) => log_stuck(job, "it panicked"),
        }
    }
}

fn log_stuck(job: &Job, error: &str) {
    tracing::error!(
        ?job,
        error,
        "a transition could not be carried to its end; it stays in the \
        record and is carried on at the next start"
    );
}
