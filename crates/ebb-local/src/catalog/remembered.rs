//! The operations that were made, so that one asked for again is not made again.
//!
//! An operation is remembered while what it made is there: a volume's creation while there is the
//! volume, its last reset while there was none since. The others are *superseded*, and of them only
//! the newest are kept, so that memory does not grow with every reset.

use std::collections::{HashMap, VecDeque};

use ebb_volume::OpId;

/// Superseded operations that are remembered.
const SUPERSEDED: usize = 4096;

#[derive(Debug, Clone, Default)]
pub(super) struct Remembered {
    /// What each was asked to do.
    made: HashMap<OpId, u32>,
    /// The oldest first.
    superseded: VecDeque<OpId>,
}

impl Remembered {
    pub(super) fn get(&self, op: OpId) -> Option<u32> {
        self.made.get(&op).copied()
    }

    pub(super) fn insert(&mut self, op: OpId, fingerprint: u32) {
        self.made.insert(op, fingerprint);
    }

    /// What it made is not there any more.
    pub(super) fn supersede(&mut self, op: Option<OpId>) {
        self.superseded.extend(op);
        if self.superseded.len() > SUPERSEDED
            && let Some(oldest) = self.superseded.pop_front()
        {
            self.made.remove(&oldest);
        }
    }

    /// All of them, with what each was asked to do, and which are superseded.
    pub(super) fn list(&self) -> Vec<(OpId, u32, bool)> {
        let mut live = self.made.clone();
        let mut list = Vec::with_capacity(live.len());
        for op in &self.superseded {
            list.extend(live.remove(op).map(|fingerprint| (*op, fingerprint, true)));
        }
        let superseded = list.len();
        list.extend(live.into_iter().map(|(op, fingerprint)| (op, fingerprint, false)));
        list[superseded..].sort_unstable_by_key(|(op, _, _)| op.0);
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_resets_are_not_remembered_for_ever() {
        let op = |n: usize| OpId(std::array::from_fn(|i| (n >> (8 * i.min(7))) as u8));
        let mut remembered = Remembered::default();
        remembered.insert(op(0), 7);
        for n in 1..3 * SUPERSEDED {
            remembered.insert(op(n), n as u32);
            remembered.supersede(Some(op(n)));
        }
        assert_eq!(remembered.list().len(), SUPERSEDED + 1);
        assert_eq!(remembered.get(op(0)), Some(7), "what it made is there");
        assert_eq!(remembered.get(op(1)), None);
        let newest = 3 * SUPERSEDED - 1;
        assert_eq!(remembered.get(op(newest)), Some(newest as u32));
    }
}
