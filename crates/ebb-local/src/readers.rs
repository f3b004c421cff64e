//! Waiting until nobody reads any more what was taken out of the maps.
//!
//! ```text
//!   reader:      enter ─ look up ─ read ─ leave
//!   checkpoint:           new maps ─ turn ─ wait for those who entered before ─ give extents away
//! ```
//! Who enters counts on the side that the turn points to. After a turn newcomers count on the other
//! one, and find only the new maps; once the old side is empty, the extents that only old maps lead
//! to are nobody's.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

/// How long to sleep between two looks at a reader that is still there.
const PAUSE: Duration = Duration::from_micros(200);

#[derive(Debug, Default)]
pub(crate) struct Readers {
    turn: AtomicU64,
    under_way: [AtomicU64; 2],
}

/// A reader; dropping it is leaving.
#[derive(Debug)]
pub(crate) struct Reading<'a> {
    side: &'a AtomicU64,
}

impl Readers {
    /// To be called before anything is looked up.
    pub(crate) fn enter(&self) -> Reading<'_> {
        loop {
            let turn = self.turn.load(SeqCst);
            let side = &self.under_way[(turn & 1) as usize];
            side.fetch_add(1, SeqCst);
            if self.turn.load(SeqCst) == turn {
                return Reading { side };
            }
            side.fetch_sub(1, SeqCst);
        }
    }

    /// Waits for all who entered before this call. One thread at a time.
    pub(crate) fn wait(&self) {
        let turn = self.turn.fetch_add(1, SeqCst);
        while self.under_way[(turn & 1) as usize].load(SeqCst) > 0 {
            thread::sleep(PAUSE);
        }
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.side.fetch_sub(1, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[test]
    fn it_waits_for_those_before_and_not_for_those_behind() {
        let readers = Readers::default();
        let before = readers.enter();
        let waited = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                readers.wait();
                waited.store(true, SeqCst);
            });
            while readers.turn.load(SeqCst) == 0 {
                thread::yield_now();
            }
            let behind = readers.enter();
            thread::sleep(Duration::from_millis(5));
            assert!(!waited.load(SeqCst), "one is there that entered before");
            drop(before);
            while !waited.load(SeqCst) {
                thread::yield_now();
            }
            drop(behind);
        });
        readers.wait();
    }
}
