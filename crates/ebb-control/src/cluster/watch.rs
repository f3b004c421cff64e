//! Which of the other servers are gone.
//!
//! A server is gone when its beat has stood still for as long as a lease, by the clock of who
//! watches: no two clocks are compared. What counts is only time in which the watcher itself read
//! the records again and again. Otherwise a database that was away for a minute would make every
//! server take every other for gone.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use ebb_store::{Server, ServerId};

pub(crate) struct Watch {
    lease: Duration,
    /// What each one's beat was, and since when.
    seen: HashMap<ServerId, (u64, Instant)>,
    looked: Option<Instant>,
}

/// What was seen of the others.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Those that are gone.
    pub(crate) gone: Vec<Server>,
    /// Whether somebody was there at the last look and is not any more.
    pub(crate) somebody_left: bool,
}

impl Watch {
    pub(crate) fn new(lease: Duration) -> Self {
        Self { lease, seen: HashMap::new(), looked: None }
    }

    /// What the records say of the others now.
    pub(crate) fn look<'a>(
        &mut self,
        others: impl Iterator<Item = &'a Server>,
        now: Instant,
    ) -> Seen {
        let was_away = self.looked.is_none_or(|then| now - then > self.lease / 2);
        self.looked = Some(now);
        let before = std::mem::take(&mut self.seen);
        let mut found = Seen::default();
        for other in others {
            let since = match before.get(&other.id) {
                Some((beat, since)) if *beat == other.beat && !was_away => *since,
                _ => now,
            };
            self.seen.insert(other.id.clone(), (other.beat, since));
            if now - since >= self.lease {
                found.gone.push(other.clone());
            }
        }
        found.somebody_left = before.keys().any(|id| !self.seen.contains_key(id));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(10);

    fn other(beat: u64) -> Server {
        Server {
            id: ServerId::new(1),
            home: String::new(),
            volumes: None,
            client: String::new(),
            nbd: String::new(),
            api: String::new(),
            scratch: 0,
            beat,
            is_dead: false,
        }
    }

    /// Looks each second, at the beat of that second; the second in which it is found to be gone.
    fn gone_at(beats: impl IntoIterator<Item = Option<u64>>) -> Option<usize> {
        let (mut watch, start) = (Watch::new(LEASE), Instant::now());
        beats.into_iter().zip(0_u64..).position(|(beat, second)| {
            let now = start + Duration::from_secs(second);
            beat.is_some_and(|beat| !watch.look([other(beat)].iter(), now).gone.is_empty())
        })
    }

    #[test]
    fn it_is_gone_when_its_beat_has_stood_still_for_a_lease() {
        assert_eq!(gone_at((0..100).map(|second| Some(second / 9))), None);
        assert_eq!(gone_at([Some(1); 100]), Some(10));
        assert_eq!(gone_at([1, 2, 2, 2].map(Some).into_iter().chain([Some(3); 50])), Some(14));
    }

    #[test]
    fn who_leaves_is_seen_once() {
        let (mut watch, now) = (Watch::new(LEASE), Instant::now());
        assert!(!watch.look([other(1)].iter(), now).somebody_left);
        assert!(watch.look([].iter(), now).somebody_left);
        assert!(!watch.look([].iter(), now).somebody_left);
    }

    #[test]
    fn time_in_which_nobody_could_look_does_not_count() {
        let away = |from, to| (0..60).map(move |at| (!(from..to).contains(&at)).then_some(1));
        assert_eq!(gone_at(away(3, 30)), Some(40), "a whole lease after it is back");
        assert_eq!(gone_at(away(3, 7)), Some(10), "a short gap is none");
    }
}
