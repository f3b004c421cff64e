//! What a server has left under way itself.
//!
//! A call that fails in its middle, because the database was lost or it panicked, leaves a row
//! whose status ends in -ing. Nobody goes on with it, and no start comes. So this server's time is
//! cut into epochs, and a row names the one in which it was put under way. When something may have
//! gone wrong a new epoch begins. When the last call that began in an old one, or before, has
//! ended, what still names that epoch is nobody's, and is claimed as if a dead server had left it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const TURNS_AT_MOST_EVERY: Duration = Duration::from_secs(if cfg!(test) { 0 } else { 5 });

/// Held by whatever may put something under way, from its beginning to its end.
pub struct Entry {
    /// Counted, not read.
    _epoch: Arc<u64>,
    failed: Arc<AtomicBool>,
}

impl Entry {
    /// It has ended with a failure, and may have left something under way.
    pub fn failed(&self) {
        self.failed.store(true, Ordering::Release);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if thread::panicking() {
            self.failed();
        }
    }
}

pub(crate) struct Epochs {
    current: Arc<u64>,
    /// Those in which something may still be going on, the oldest first.
    past: VecDeque<Arc<u64>>,
    failed: Arc<AtomicBool>,
    missed: u64,
    turned: Option<Instant>,
}

impl Epochs {
    pub(crate) fn new(missed: u64) -> Self {
        Self {
            current: Arc::new(0),
            past: VecDeque::new(),
            failed: Arc::default(),
            missed,
            turned: None,
        }
    }

    pub(crate) fn enter(&self) -> Entry {
        Entry { _epoch: Arc::clone(&self.current), failed: Arc::clone(&self.failed) }
    }

    /// Begins a new epoch where something may have gone wrong in this one, which the database was
    /// missed so many times before; which it is.
    pub(crate) fn turn(&mut self, missed: u64) -> Option<u64> {
        // To settle an epoch takes work, of which a database that is missed has too much already.
        if self.turned.is_some_and(|then| then.elapsed() < TURNS_AT_MOST_EVERY) {
            return None;
        }
        let failed = self.failed.swap(false, Ordering::AcqRel);
        if !failed && missed == self.missed {
            return None;
        }
        self.missed = missed;
        self.turned = Some(Instant::now());
        let next = Arc::new(*self.current + 1);
        self.past.push_back(std::mem::replace(&mut self.current, next));
        Some(*self.current)
    }

    /// An old epoch in which nothing goes on any more, once.
    pub(crate) fn over(&mut self) -> Option<u64> {
        // Nobody can enter it any more, so one is one for good.
        let is_over = self.past.front().is_some_and(|epoch| Arc::strong_count(epoch) == 1);
        if is_over { self.past.pop_front().map(|epoch| *epoch) } else { None }
    }

    /// It is to be looked at again.
    pub(crate) fn again(&mut self, epoch: u64) {
        self.past.push_front(Arc::new(epoch));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_is_over_when_its_last_call_and_all_before_have_ended() {
        let mut epochs = Epochs::new(0);
        let first = epochs.enter();
        assert_eq!(epochs.turn(0), None);
        assert_eq!(epochs.turn(1), Some(1));
        let second = epochs.enter();
        second.failed();
        assert_eq!(epochs.turn(1), Some(2));
        assert_eq!(epochs.turn(1), None);
        drop(second);
        assert_eq!(epochs.over(), None, "what began before may have written in it");
        drop(first);
        assert_eq!((epochs.over(), epochs.over(), epochs.over()), (Some(0), Some(1), None));
    }

    #[test]
    fn a_panic_is_a_failure() {
        let mut epochs = Epochs::new(0);
        let entry = epochs.enter();
        let panicked = thread::spawn(move || {
            let _entry = entry;
            panic!("as a call may");
        });
        assert!(panicked.join().is_err());
        assert_eq!((epochs.turn(0), epochs.over()), (Some(1), Some(0)));
    }
}
