//! The connections of one export, or of one server, so that they can be ended together.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::link::Link;

/// How long [`Registry::close`] waits for threads whose sockets it has cut.
const CUT_MARGIN: Duration = Duration::from_secs(1);

/// A set of connections, open to more until it is closed for good.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    state: Mutex<State>,
    left: Condvar,
}

#[derive(Debug, Default)]
struct State {
    closed: bool,
    next: u64,
    links: HashMap<u64, Arc<Link>>,
}

/// A connection's place in a registry; dropping it leaves.
#[derive(Debug)]
pub(crate) struct Entry {
    registry: Arc<Registry>,
    key: u64,
}

/// Why a connection does not enter a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoEntry {
    /// It is closed for good.
    Closed,
    /// It holds as many as it may.
    Full,
}

impl Registry {
    /// Enters a connection, unless the registry is closed or holds `limit` of them.
    pub(crate) fn enter(
        self: &Arc<Self>,
        link: &Arc<Link>,
        limit: usize,
    ) -> Result<Entry, NoEntry> {
        let mut state = self.state();
        if state.closed {
            return Err(NoEntry::Closed);
        }
        if state.links.len() >= limit {
            return Err(NoEntry::Full);
        }
        let key = state.next;
        state.next += 1;
        state.links.insert(key, Arc::clone(link));
        Ok(Entry { registry: Arc::clone(self), key })
    }

    /// How many are in it.
    pub(crate) fn len(&self) -> usize {
        self.state().links.len()
    }

    /// Lets nobody enter any more, has every connection answer what it has under way, cuts those
    /// that have not done so after `grace`, and returns when all have left.
    ///
    /// Returns how many are still there: threads that wait for the volume. Their sockets are cut.
    pub(crate) fn close(&self, grace: Duration) -> usize {
        self.state().closed = true;
        self.end(grace, |_| true)
    }

    /// Ends those that are `meant` in the same way. Others stay, and may enter.
    pub(crate) fn end(&self, grace: Duration, meant: impl Fn(&Link) -> bool) -> usize {
        let state = self.state();
        state.meant(&meant).for_each(|link| link.stop());
        let state = self.wait_until_gone(state, grace, &meant);
        state.meant(&meant).for_each(|link| link.cut());
        self.wait_until_gone(state, CUT_MARGIN, &meant).meant(&meant).count()
    }

    fn wait_until_gone<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        at_most: Duration,
        meant: &impl Fn(&Link) -> bool,
    ) -> MutexGuard<'a, State> {
        let began = Instant::now();
        while state.meant(meant).next().is_some() {
            let Some(left) = at_most.checked_sub(began.elapsed()) else { break };
            (state, _) = self.left.wait_timeout(state, left).expect(NOT_POISONED);
        }
        state
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect(NOT_POISONED)
    }
}

const NOT_POISONED: &str = "nothing panics while it holds a registry's lock";

impl State {
    fn meant(&self, meant: &impl Fn(&Link) -> bool) -> impl Iterator<Item = &Link> {
        self.links.values().map(|link| &**link).filter(|link| meant(link))
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.registry.state().links.remove(&self.key);
        self.registry.left.notify_all();
    }
}
