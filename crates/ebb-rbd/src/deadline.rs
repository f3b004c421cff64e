//! Calls end within a bounded time, also where the cluster does not answer.
//!
//! librbd waits for its cluster as long as it takes, and to interrupt it would leave unknown what
//! it has done. So a call is done on a thread of its own, and when the cluster has been silent for
//! long the one who asked is answered, while the thread waits on:
//!
//! ```text
//!   before the commit      the call is given up: `Failed`. The thread does not commit it any more,
//!                          and takes back what it made, when the cluster is there again
//!   from the commit on     it may be done, or be done yet: `OutcomeUnknown`
//! ```
//! What decides is the cluster's silence, not how long a call takes: one that is slow is waited for
//! as long as something answers. Requests to volumes have no deadline: a write that was given up
//! could still be done later.

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use ebb_volume::EngineError;

use crate::engine::RbdEngine;
use crate::heart::Part;

/// How long a silence may be before calls are given up.
const SILENCE: Duration = Duration::from_secs(8);

/// Before calls are not begun.
const SHORT_SILENCE: Duration = Duration::from_secs(3);

const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How long a connection may take, with what is read and written to begin.
const OPEN_WITHIN: Duration = Duration::from_secs(15);

const OPEN: u8 = 0;
const COMMITS: u8 = 1;
const GIVEN_UP: u8 = 2;

thread_local! {
    /// How far the call is that this thread does.
    static CALL: RefCell<Option<Arc<AtomicU8>>> = const { RefCell::new(None) };
}

/// Says that the call of this thread commits now, if it has one.
///
/// # Errors
/// Where it was given up: it must not.
pub(crate) fn commits() -> Result<(), EngineError> {
    let call = CALL.with_borrow(Clone::clone);
    match call.map(|call| call.compare_exchange(OPEN, COMMITS, SeqCst, SeqCst)) {
        Some(Err(GIVEN_UP)) => Err(EngineError::Failed("the call was given up".into())),
        _ => Ok(()),
    }
}

impl RbdEngine {
    /// Does a call, as the module says.
    pub(crate) fn bounded<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Self) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        self.shared.serving()?;
        self.shared.heart.answers(Part::Osds, SHORT_SILENCE)?;
        self.bounded_once_begun(call)
    }

    /// The same, whether the cluster answers when it begins or not.
    pub(crate) fn bounded_once_begun<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Self) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let (engine, state) = (self.share(), Arc::new(AtomicU8::new(OPEN)));
        let own = Arc::clone(&state);
        let work = move || {
            CALL.set(Some(own));
            call(&engine)
        };
        let (thread, outcomes) = start("ebb-rbd-call", work)?;
        loop {
            match outcomes.recv_timeout(LOOK_EVERY) {
                Ok(outcome) => return outcome,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let Some(part) = self.shared.heart.silent(SILENCE) else { continue };
            return Err(match state.compare_exchange(OPEN, GIVEN_UP, SeqCst, SeqCst) {
                Ok(_) => part.error(),
                Err(_) => EngineError::OutcomeUnknown(part.error().to_string()),
            });
        }
        match thread.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(()) => Err(EngineError::Failed("a call ended without an outcome".into())),
        }
    }
}

/// Opens an engine: where that takes long, the cluster's monitors answer and its OSDs do not.
pub(crate) fn open_within<T: Send + 'static>(
    pool: &str,
    conf: &Path,
    open: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
) -> Result<T, EngineError> {
    let (thread, outcomes) = start("ebb-rbd-open", open)?;
    match outcomes.recv_timeout(OPEN_WITHIN) {
        Ok(outcome) => outcome,
        Err(RecvTimeoutError::Timeout) => Err(EngineError::Failed(format!(
            "the OSDs of the Ceph pool {pool} do not answer, but the monitors that {} names do: \
             see what `ceph -s` and `ceph health detail` say",
            conf.display(),
        ))),
        Err(RecvTimeoutError::Disconnected) => match thread.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(()) => Err(EngineError::Failed("an engine was not opened".into())),
        },
    }
}

type Started<T> = (thread::JoinHandle<()>, Receiver<Result<T, EngineError>>);

fn start<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
) -> Result<Started<T>, EngineError> {
    let (sender, receiver) = channel();
    let work = move || {
        let outcome = work();
        // Whoever asked may have been answered already: what was opened is closed then.
        let _ = sender.send(outcome);
    };
    let started = thread::Builder::new().name(name.into()).spawn(work);
    let no_thread = |error| EngineError::Failed(format!("no thread could be started: {error}"));
    Ok((started.map_err(no_thread)?, receiver))
}
