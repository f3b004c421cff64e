//! Whether the cluster answers, and whether it still wants to hear from this engine.
//!
//! Two threads ask it something small every second, one the OSDs and one the monitors, and wait for
//! as long as it takes. How long they have been waiting tells how long the cluster has been silent,
//! so nobody has to wait to know. An engine that is shut out learns it here, if it does nothing
//! else.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ebb_volume::EngineError;

use crate::ffi::{ESHUTDOWN, ETIMEDOUT, Error, Pool, SHUT_OUT};

const BETWEEN_BEATS: Duration = Duration::from_secs(1);

/// Silence that is no reason to worry.
const SHORT: Duration = Duration::from_secs(1);

/// How long the one who asks for the health waits for a silence to end.
const HEALTH_WAITS: Duration = Duration::from_secs(2);

/// Which part of the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Osds,
    Monitors,
}

#[derive(Default)]
pub(crate) struct Heart {
    state: Mutex<State>,
    beat: Condvar,
}

#[derive(Default)]
struct State {
    /// Since when each is waited for.
    waiting: [Option<Instant>; 2],
    shut_out: bool,
    stopped: bool,
}

impl Part {
    fn what(self) -> &'static str {
        match self {
            Self::Osds => "the Ceph cluster does not answer: its OSDs are silent",
            Self::Monitors => "the Ceph cluster does not answer: its monitors are silent",
        }
    }
}

impl Heart {
    /// Starts to ask. `object` is one that is there.
    pub(crate) fn spawn(
        self: &Arc<Self>,
        pool: &Arc<Pool>,
        object: &str,
    ) -> std::io::Result<[JoinHandle<()>; 2]> {
        let start = |part, ask: Box<dyn Fn() -> Result<(), Error> + Send>| {
            let this = Arc::clone(self);
            let beat = move || this.run(part, &*ask);
            thread::Builder::new().name("ebb-rbd-heart".into()).spawn(beat)
        };
        let (osds, monitors, object) = (Arc::clone(pool), Arc::clone(pool), object.to_owned());
        Ok([
            start(Part::Osds, Box::new(move || osds.exists(&object).map(drop)))?,
            start(Part::Monitors, Box::new(move || monitors.newest_map()))?,
        ])
    }

    fn run(&self, part: Part, ask: &dyn Fn() -> Result<(), Error>) {
        let mut state = self.lock();
        while !state.stopped {
            state.waiting[part as usize].get_or_insert_with(Instant::now);
            drop(state);
            let answer = ask();
            if answer.as_ref().is_err_and(|error| error.is(ESHUTDOWN)) {
                self.shut_out();
            }
            state = self.lock();
            if answer.is_err_and(|error| error.is(ETIMEDOUT)) {
                continue;
            }
            state.waiting[part as usize] = None;
            self.beat.notify_all();
            let next = Instant::now() + BETWEEN_BEATS;
            while let Some(left) = next.checked_duration_since(Instant::now())
                && !state.stopped
            {
                state = self.wait(state, left);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code under this lock panics between two related changes.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, most: Duration) -> MutexGuard<'a, State> {
        self.beat.wait_timeout(state, most).unwrap_or_else(PoisonError::into_inner).0
    }

    /// The cluster refuses everything that this engine does, for ever.
    pub(crate) fn shut_out(&self) {
        let mut state = self.lock();
        if !std::mem::replace(&mut state.shut_out, true) {
            tracing::error!("{SHUT_OUT}; what it serves answers errors, start it again");
        }
        self.beat.notify_all();
    }

    pub(crate) fn stop(&self) {
        self.lock().stopped = true;
        self.beat.notify_all();
    }

    pub(crate) fn serving(&self) -> Result<(), EngineError> {
        match self.lock().shut_out {
            false => Ok(()),
            true => Err(EngineError::Stopped(SHUT_OUT.into())),
        }
    }

    /// The part that has been silent for so long.
    pub(crate) fn silent(&self, long: Duration) -> Option<Part> {
        silent(&self.lock(), long)
    }

    /// Refuses where the part has been silent for so long.
    pub(crate) fn answers(&self, part: Part, long: Duration) -> Result<(), EngineError> {
        let silent =
            self.lock().waiting[part as usize].is_some_and(|since| since.elapsed() >= long);
        match silent {
            false => Ok(()),
            true => Err(part.error()),
        }
    }

    /// Whether the cluster answers; it may take two seconds to tell.
    pub(crate) fn health(&self) -> Result<(), EngineError> {
        let until = Instant::now() + HEALTH_WAITS;
        let mut state = self.lock();
        loop {
            if state.shut_out {
                return Err(EngineError::Stopped(SHUT_OUT.into()));
            }
            let Some(part) = silent(&state, SHORT) else { return Ok(()) };
            let Some(left) = until.checked_duration_since(Instant::now()) else {
                return Err(part.error());
            };
            state = self.wait(state, left);
        }
    }
}

impl Part {
    pub(crate) fn error(self) -> EngineError {
        EngineError::Failed(self.what().into())
    }
}

fn silent(state: &State, long: Duration) -> Option<Part> {
    let parts = [Part::Osds, Part::Monitors];
    parts
        .into_iter()
        .find(|part| state.waiting[*part as usize].is_some_and(|since| since.elapsed() >= long))
}
