//! Connections that are used by one at a time, made when they are first needed.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// A connection that a pool keeps.
pub(crate) trait Pooled {
    /// Whether the next one can use it as if it were new.
    fn is_well(&self) -> bool;
}

pub(crate) struct Pool<C> {
    /// In use at the same time; one more waits.
    most: usize,
    state: Mutex<State<C>>,
    returned: Condvar,
}

struct State<C> {
    /// The one used last is in front: it is the most likely to be well still.
    idle: VecDeque<C>,
    /// Those taken.
    busy: usize,
}

impl<C: Pooled> Pool<C> {
    pub(crate) fn new(most: usize) -> Self {
        let state = Mutex::new(State { idle: VecDeque::new(), busy: 0 });
        Self { most, state, returned: Condvar::new() }
    }

    /// A place in the pool, with a connection where one is idle; `None` where every place is taken
    /// until the deadline.
    pub(crate) fn take(&self, deadline: Option<Instant>) -> Option<Place<'_, C>> {
        let mut state = lock(&self.state);
        while state.busy >= self.most {
            let Some(deadline) = deadline else {
                state = self.returned.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = deadline.checked_duration_since(Instant::now())?;
            let woken = self.returned.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.busy += 1;
        Some(Place { pool: self, connection: state.idle.pop_front() })
    }

    /// Closes the connections that nobody uses.
    pub(crate) fn close_idle(&self) {
        let idle = std::mem::take(&mut lock(&self.state).idle);
        drop(idle);
    }
}

/// A place in a pool; its connection goes back when it is dropped.
pub(crate) struct Place<'a, C: Pooled> {
    pool: &'a Pool<C>,
    /// `None` only until it is made, or where it could not be.
    connection: Option<C>,
}

impl<C: Pooled> Place<'_, C> {
    /// Whether there is a connection, which somebody has used before.
    pub(crate) fn has_one(&self) -> bool {
        self.connection.is_some()
    }

    pub(crate) fn set(&mut self, connection: C) {
        self.connection = Some(connection);
    }

    /// Closes the connection.
    pub(crate) fn clear(&mut self) {
        self.connection = None;
    }

    pub(crate) fn get(&self) -> &C {
        self.connection.as_ref().expect("a place is given its connection before it is used")
    }
}

impl<C: Pooled> Drop for Place<'_, C> {
    fn drop(&mut self) {
        let connection = self.connection.take().filter(Pooled::is_well);
        let mut state = lock(&self.pool.state);
        state.busy -= 1;
        if let Some(connection) = connection {
            state.idle.push_front(connection);
        }
        drop(state);
        self.pool.returned.notify_one();
    }
}

/// A panic in a transaction has rolled it back before the lock is released, so a poisoned lock
/// guards nothing broken.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
