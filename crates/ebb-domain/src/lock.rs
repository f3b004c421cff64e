//! A snapshot's lock: until it ends nobody deletes the snapshot (api.md §3.4, LockSnapshot).
//!
//! ```text
//!  locked      + CoolOffPeriod                          + LockDuration
//!  |-------------------|----------------------------------------|-------------
//!   compliance-cooloff  compliance                               expired
//!   set anew, unlocked  made longer, and nothing else            locked again
//! ```
//!
//! The status is told by the clock and nothing else, so no work is due when one ends. Deliberately
//! not here: a lock for a snapshot that is still being taken.

use crate::{Denied, Snapshot, SnapshotStatus, Timestamp};

const HOUR_SECONDS: i64 = 60 * 60;
const DAY_SECONDS: i64 = 24 * HOUR_SECONDS;

/// A lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotLock {
    /// When it began.
    pub created_at: Timestamp,
    /// How long it lasts from then: LockDuration.
    pub days: u32,
    /// How long from then it may be taken back: CoolOffPeriod.
    pub cool_off_hours: u32,
}

/// What a lock does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockStatus {
    /// It holds, and can be taken back.
    CoolOff,
    /// It holds, and can be made longer.
    Compliance,
    /// It does nothing any more.
    Expired,
}

impl LockStatus {
    /// The wire name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CoolOff => "compliance-cooloff",
            Self::Compliance => "compliance",
            Self::Expired => "expired",
        }
    }

    /// The status of that wire name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::CoolOff, Self::Compliance, Self::Expired]
            .into_iter()
            .find(|status| status.name() == name)
    }
}

impl SnapshotLock {
    /// When the snapshot may be deleted again.
    #[must_use]
    pub const fn ends_at(&self) -> Timestamp {
        self.created_at.plus_seconds(self.days as i64 * DAY_SECONDS)
    }

    /// When it cannot be taken back any more.
    #[must_use]
    pub const fn cool_off_ends_at(&self) -> Timestamp {
        self.created_at.plus_seconds(self.cool_off_hours as i64 * HOUR_SECONDS)
    }

    /// What it does at a time.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> LockStatus {
        if self.ends_at() <= now {
            LockStatus::Expired
        } else if self.cool_off_ends_at() <= now {
            LockStatus::Compliance
        } else {
            LockStatus::CoolOff
        }
    }
}

impl Snapshot {
    /// Whether a lock keeps it.
    #[must_use]
    pub fn is_locked(&self, now: Timestamp) -> bool {
        self.lock.is_some_and(|lock| lock.status(now) != LockStatus::Expired)
    }

    /// Locks it, sets a lock that is cooling off anew, or makes one that holds longer: counted from
    /// its beginning, which stays.
    ///
    /// # Errors
    /// [`Denied::SnapshotNotReady`], [`Denied::LockNotLonger`], [`Denied::LockOutlivesSnapshot`];
    /// then the snapshot is as it was.
    pub fn lock(&mut self, days: u32, cool_off_hours: u32, now: Timestamp) -> Result<(), Denied> {
        if self.status != SnapshotStatus::Accomplished {
            return Err(Denied::SnapshotNotReady);
        }
        let held = self.lock.filter(|lock| lock.status(now) == LockStatus::Compliance);
        let lock = match held {
            Some(held) if cool_off_hours > 0 || days <= held.days => {
                return Err(Denied::LockNotLonger);
            }
            Some(held) => SnapshotLock { days, ..held },
            None => SnapshotLock { created_at: now, days, cool_off_hours },
        };
        if self.expires_at().is_some_and(|end| end < lock.ends_at()) {
            return Err(Denied::LockOutlivesSnapshot);
        }
        self.lock = Some(lock);
        Ok(())
    }

    /// Takes its lock back.
    ///
    /// # Errors
    /// [`Denied::SnapshotNotLocked`], [`Denied::SnapshotLocked`] once it has cooled off.
    pub fn unlock(&mut self, now: Timestamp) -> Result<(), Denied> {
        match self.lock.map(|lock| lock.status(now)) {
            None | Some(LockStatus::Expired) => Err(Denied::SnapshotNotLocked),
            Some(LockStatus::Compliance) => Err(Denied::SnapshotLocked),
            Some(LockStatus::CoolOff) => {
                self.lock = None;
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::sample;

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_unix_millis(0).plus_seconds(hours * HOUR_SECONDS)
    }

    fn locked(days: u32, cool_off_hours: u32) -> Snapshot {
        let mut snapshot = sample(None);
        snapshot.lock(days, cool_off_hours, at(0)).unwrap();
        snapshot
    }

    fn status(snapshot: &Snapshot, hours: i64) -> LockStatus {
        snapshot.lock.unwrap().status(at(hours))
    }

    #[test]
    fn a_lock_cools_off_holds_and_ends() {
        let snapshot = locked(2, 3);
        assert_eq!(status(&snapshot, 2), LockStatus::CoolOff);
        assert_eq!(status(&snapshot, 3), LockStatus::Compliance);
        assert_eq!(status(&snapshot, 47), LockStatus::Compliance);
        assert_eq!(status(&snapshot, 48), LockStatus::Expired);
        assert_eq!([0, 3, 47, 48].map(|h| snapshot.is_locked(at(h))), [true, true, true, false]);
        assert_eq!(status(&locked(1, 0), 0), LockStatus::Compliance);
        assert!(!sample(None).is_locked(at(0)));
    }

    #[test]
    fn one_that_is_cooling_off_is_set_anew() {
        let mut snapshot = locked(2, 3);
        snapshot.lock(1, 1, at(2)).unwrap();
        let anew = SnapshotLock { created_at: at(2), days: 1, cool_off_hours: 1 };
        assert_eq!(snapshot.lock, Some(anew));
    }

    #[test]
    fn one_that_holds_is_made_longer_and_nothing_else() {
        let mut snapshot = locked(2, 3);
        let before = snapshot.clone();
        for (days, cool_off_hours) in [(1, 0), (2, 0), (3, 1)] {
            let refused = snapshot.lock(days, cool_off_hours, at(3));
            assert_eq!(refused, Err(Denied::LockNotLonger), "{days}, {cool_off_hours}");
            assert_eq!(snapshot, before);
        }
        snapshot.lock(3, 0, at(3)).unwrap();
        let longer = SnapshotLock { created_at: at(0), days: 3, cool_off_hours: 3 };
        assert_eq!(snapshot.lock, Some(longer));
    }

    #[test]
    fn one_that_ended_leaves_room_for_another() {
        let mut snapshot = locked(2, 0);
        snapshot.lock(1, 1, at(48)).unwrap();
        assert_eq!(status(&snapshot, 48), LockStatus::CoolOff);
    }

    #[test]
    fn a_lock_is_taken_back_while_it_cools_off() {
        let mut snapshot = locked(2, 3);
        assert_eq!(snapshot.unlock(at(3)), Err(Denied::SnapshotLocked));
        assert_eq!(snapshot.unlock(at(48)), Err(Denied::SnapshotNotLocked));
        assert!(snapshot.lock.is_some());
        snapshot.unlock(at(2)).unwrap();
        assert_eq!(snapshot.lock, None);
        assert_eq!(snapshot.unlock(at(2)), Err(Denied::SnapshotNotLocked));
    }

    #[test]
    fn a_lock_ends_with_its_snapshot_at_the_latest() {
        let mut snapshot = sample(Some(3));
        assert_eq!(snapshot.lock(3, 0, at(1)), Err(Denied::LockOutlivesSnapshot));
        assert_eq!(snapshot.lock, None);
        snapshot.lock(2, 0, at(1)).unwrap();
        assert_eq!(snapshot.lock(4, 0, at(1)), Err(Denied::LockOutlivesSnapshot));
    }

    #[test]
    fn what_is_not_there_yet_is_not_locked() {
        let mut snapshot = Snapshot { status: SnapshotStatus::Progressing, ..sample(None) };
        assert_eq!(snapshot.lock(1, 0, at(0)), Err(Denied::SnapshotNotReady));
    }
}
