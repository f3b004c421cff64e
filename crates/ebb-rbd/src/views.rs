//! Versions to look at: a head or a snapshot with the object maps that say where it may have bytes,
//! and which objects of two versions may differ.
//!
//! ```text
//!   head of C ── C's map ── parent B@7 ── B's map at 7 ── parent A@3 ── A's map at 3
//! ```
//! An object that no map of this chain has is a hole. Two versions that meet in an image differ at
//! most in the objects of the maps on the way there, and in those that the maps of that image's
//! snapshots between the two say were written. Both are more than what differs: librbd copies a
//! whole object up before it writes a block of it. What differs is told by the bytes.

use std::collections::VecDeque;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use ebb_volume::{EngineError, SnapshotId};

use crate::ffi::{Done, EINVAL, Image, Pool};
use crate::map::{OBJECT_BYTES, ObjectMap};
use crate::records::{ImageRow, Records, SnapshotRow};

/// Snapshots that are kept open for who compares with them.
const KEPT: usize = 16;

/// Objects that are zeroed by one request, and requests at a time.
const ZERO_OBJECTS: u64 = 64;
const ZEROS_AT_ONCE: usize = 16;

/// An image in the chain of a version.
#[derive(Clone)]
pub(crate) struct Level {
    pub(crate) image: String,
    id: String,
    /// The number of the snapshot. None: the head.
    at: Option<u64>,
    rolled: Vec<u64>,
    root: String,
    pub(crate) map: Arc<ObjectMap>,
}

/// A version, open.
pub(crate) struct Version {
    pub(crate) image: Arc<Image>,
    pub(crate) size_bytes: u64,
    levels: Vec<Level>,
}

/// Where two versions may differ.
pub(crate) enum Between {
    /// They never had anything in common.
    Unrelated,
    /// In the objects of these.
    Parts(Vec<Part>),
}

pub(crate) enum Part {
    /// All that are there.
    There(Arc<ObjectMap>),
    /// Those that were written between two snapshots.
    Written(Arc<ObjectMap>, Arc<ObjectMap>),
}

impl Version {
    /// The first object from `object` on that may have bytes.
    pub(crate) fn next(&self, object: u64) -> Option<u64> {
        self.levels.iter().filter_map(|level| level.map.next(object)).min()
    }

    pub(crate) fn may_have(&self, object: u64) -> bool {
        self.levels.iter().any(|level| level.map.exists(object))
    }

    /// The image that its lineage began with.
    pub(crate) fn root(&self) -> &str {
        self.levels.last().map_or("", |level| level.root.as_str())
    }

    /// Bytes of it; zero beyond its end.
    pub(crate) fn read(&self, offset: u64, length: u64) -> Result<Bytes, EngineError> {
        let within = self.size_bytes.saturating_sub(offset).min(length);
        if within == 0 || !self.may_have(offset / OBJECT_BYTES) {
            return Ok(vec![0; length as usize].into());
        }
        let bytes = self.image.read_now(offset, within as u32)?;
        if within == length {
            return Ok(bytes);
        }
        let mut padded = bytes.to_vec();
        padded.resize(length as usize, 0);
        Ok(padded.into())
    }
}

impl Part {
    fn next(&self, object: u64) -> Option<u64> {
        let (before, after) = match self {
            Self::There(map) => return map.next(object),
            Self::Written(before, after) => (before, after),
        };
        let mut at = object;
        loop {
            let next = [before.next(at), after.next(at)].into_iter().flatten().min()?;
            if after.changed_since(before, next) {
                return Some(next);
            }
            at = next + 1;
        }
    }
}

impl Between {
    /// The first object from `object` on in which they may differ; of two that have nothing in
    /// common the caller knows.
    pub(crate) fn next(&self, object: u64) -> Option<u64> {
        match self {
            Self::Unrelated => None,
            Self::Parts(parts) => parts.iter().filter_map(|part| part.next(object)).min(),
        }
    }
}

/// The image, and the number of its snapshot, that an image hangs on.
type Parent = Option<(String, u64)>;

/// Opens versions.
///
/// An image that is open at a snapshot never hears that it was flattened: it goes on with the
/// object map of when it was opened, and reads what is not in it from a parent that may be gone. So
/// it is kept for as long as its image hangs on the same, and what was read holds if its image
/// still does then ([`Views::holds`]): a row says that an image hangs on nothing after all is
/// copied, and before its parent may go.
pub(crate) struct Views {
    records: Records,
    kept: Mutex<VecDeque<(SnapshotId, Parent, Arc<Image>)>>,
}

impl Views {
    pub(crate) fn new(records: Records) -> Self {
        Self { records, kept: Mutex::default() }
    }

    /// The head that `image` is open at.
    pub(crate) fn head(&self, image: Arc<Image>, size_bytes: u64) -> Result<Version, EngineError> {
        if !image.maps_are_valid()? {
            let name = image.name();
            let what = format!("image {name} has no valid object map: rbd object-map rebuild");
            return Err(EngineError::Failed(what));
        }
        let levels = levels(&self.records, image.name(), None)?;
        Ok(Version { image, size_bytes, levels })
    }

    pub(crate) fn snapshot(
        &self,
        id: SnapshotId,
        row: &SnapshotRow,
    ) -> Result<Version, EngineError> {
        let levels = levels(&self.records, &row.image, Some(row.id))?;
        let image = self.open(id, row, parent(&levels))?;
        Ok(Version { image, size_bytes: row.size, levels })
    }

    /// Whether what was read of a version is right: its image hangs on what it hung on when it was
    /// opened.
    pub(crate) fn holds(&self, version: &Version) -> Result<bool, EngineError> {
        let Some(first) = version.levels.first() else { return Ok(true) };
        Ok(self.records.image(&first.image)?.parent == parent(&version.levels))
    }

    fn open(
        &self,
        id: SnapshotId,
        row: &SnapshotRow,
        parent: Parent,
    ) -> Result<Arc<Image>, EngineError> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let place = kept.iter().position(|(other, _, _)| *other == id);
        let found = place.and_then(|place| kept.remove(place));
        match found {
            Some(found) if found.1 == parent => {
                let image = Arc::clone(&found.2);
                kept.push_back(found);
                return Ok(image);
            }
            _ => drop(kept),
        }
        // One that hung on something else is closed here, outside of the lock.
        drop(found);
        let image = Arc::new(Image::open_snap(&self.records.pool, &row.image, &row.snap)?);
        kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_back((id, parent, Arc::clone(&image)));
        let oldest = (kept.len() > KEPT).then(|| kept.pop_front()).flatten();
        drop(kept);
        drop(oldest);
        Ok(image)
    }

    /// Closes a snapshot, or all.
    pub(crate) fn forget(&self, snapshot: Option<SnapshotId>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = |(id, _, _): &(SnapshotId, _, _)| snapshot.is_none_or(|wanted| *id == wanted);
        let (closed, others): (Vec<_>, Vec<_>) = kept.drain(..).partition(wanted);
        kept.extend(others);
        drop(kept);
        drop(closed);
    }

    /// Where two versions may differ.
    pub(crate) fn between(&self, a: &Version, b: &Version) -> Result<Between, EngineError> {
        if a.root() != b.root() {
            return Ok(Between::Unrelated);
        }
        let there = |levels: &[Level]| -> Vec<Part> {
            levels.iter().map(|level| Part::There(Arc::clone(&level.map))).collect()
        };
        let meeting = a.levels.iter().enumerate().find_map(|(n, level)| {
            let same = |other: &Level| other.image == level.image;
            b.levels.iter().position(same).map(|other| (n, other))
        });
        let Some((n, m)) = meeting else {
            // The images between them are gone.
            let parts = there(&a.levels).into_iter().chain(there(&b.levels)).collect();
            return Ok(Between::Parts(parts));
        };
        let mut parts = there(&a.levels[..n]);
        parts.extend(there(&b.levels[..m]));
        self.written(&a.levels[n], &b.levels[m], &mut parts)?;
        Ok(Between::Parts(parts))
    }

    /// What was written between two versions of one image.
    fn written(&self, a: &Level, b: &Level, parts: &mut Vec<Part>) -> Result<(), EngineError> {
        let place = |level: &Level| level.at.unwrap_or(u64::MAX);
        let (first, last) = if place(a) <= place(b) { (a, b) } else { (b, a) };
        if place(first) == place(last) {
            return Ok(());
        }
        let pool = &self.records.pool;
        let snaps = snaps(pool, &a.id)?;
        // A snapshot that is removed leaves what it says in the next one's map. So maps are loaded
        // after the snapshots were listed: none then lacks what one that is not listed said.
        let within = |id: &u64| place(first) < *id && *id < place(last);
        let mut before = (place(first), Arc::clone(&first.map));
        for id in snaps.into_iter().filter(within).chain([place(last)]) {
            let at = (id != u64::MAX).then_some(id);
            let Some(map) = ObjectMap::find(pool, &a.id, at)? else {
                return self.everything(first, last, parts);
            };
            let map = Arc::new(map);
            // A rollback in between changed what no map says was written.
            if last.rolled.iter().any(|newest| before.0 <= *newest && *newest < id) {
                parts.extend([&before.1, &map].map(|map| Part::There(Arc::clone(map))));
            } else {
                parts.push(Part::Written(before.1, Arc::clone(&map)));
            }
            before = (id, map);
        }
        Ok(())
    }

    /// Of two versions between which a snapshot is being removed.
    fn everything(
        &self,
        first: &Level,
        last: &Level,
        parts: &mut Vec<Part>,
    ) -> Result<(), EngineError> {
        let now = ObjectMap::load(&self.records.pool, &last.id, last.at)?;
        parts.extend([Part::There(Arc::clone(&first.map)), Part::There(Arc::new(now))]);
        Ok(())
    }
}

fn parent(levels: &[Level]) -> Parent {
    let level = levels.get(1)?;
    Some((level.image.clone(), level.at?))
}

/// The numbers of an image's snapshots, in order, with those that are kept for clones only. From
/// its header: an image that is open at a snapshot knows those that there were when it was opened.
fn snaps(pool: &Pool, id: &str) -> Result<Vec<u64>, EngineError> {
    let (header, prefix) = (format!("rbd_header.{id}"), "snapshot_");
    let (mut ids, mut after) = (Vec::new(), String::new());
    loop {
        let (rows, more) = pool.rows_after(&header, prefix, &after)?;
        for (key, _) in &rows {
            let id = u64::from_str_radix(key.trim_start_matches(prefix), 16);
            let strange = |_| EngineError::Corrupt(format!("{header} has a row {key:?}"));
            ids.push(id.map_err(strange)?);
        }
        match rows.last() {
            Some((last, _)) if more => after.clone_from(last),
            _ => return Ok(ids),
        }
    }
}

/// The chain of an image's head or snapshot.
pub(crate) fn levels(
    records: &Records,
    image: &str,
    at: Option<u64>,
) -> Result<Vec<Level>, EngineError> {
    let mut row = records.image(image)?;
    loop {
        let parent = row.parent.clone();
        let walked = walk(records, image, at, row);
        row = records.image(image)?;
        // It was flattened meanwhile, and its parent may be gone.
        if walked.is_ok() || row.parent == parent {
            return walked;
        }
    }
}

fn walk(
    records: &Records,
    image: &str,
    at: Option<u64>,
    row: ImageRow,
) -> Result<Vec<Level>, EngineError> {
    let (mut levels, mut next) = (Vec::new(), Some((image.to_owned(), at, row)));
    while let Some((image, at, row)) = next {
        let map = Arc::new(ObjectMap::load(&records.pool, &row.id, at)?);
        let parent = row.parent.clone();
        let (id, rolled, root) = (row.id, row.rolled, row.root);
        levels.push(Level { image, id, at, rolled, root, map });
        next = match parent {
            None => None,
            Some((image, at)) => Some((image.clone(), Some(at), records.image(&image)?)),
        };
    }
    Ok(levels)
}

/// Zeroes of many objects, of which most may be holes: on a thread of their own, which asks the
/// object maps first.
#[derive(Clone)]
pub(crate) struct LongZeros(Sender<Option<Zeros>>);

struct Zeros {
    image: Arc<Image>,
    offset: u64,
    length: u64,
    done: Done,
}

impl LongZeros {
    pub(crate) fn spawn(records: Records) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (sender, receiver) = channel::<Option<Zeros>>();
        let work = move || {
            while let Ok(Some(Zeros { image, offset, length, done })) = receiver.recv() {
                let outcome = zero_what_is_there(&records, &image, offset, length);
                // Closing it is not for who takes the outcome.
                drop(image);
                done(outcome.map(|()| Bytes::new()));
            }
        };
        let thread = thread::Builder::new().name("ebb-rbd-zero".into()).spawn(work)?;
        Ok((Self(sender), thread))
    }

    pub(crate) fn start(&self, image: Arc<Image>, offset: u64, length: u64, done: Done) {
        let job = Some(Zeros { image, offset, length, done });
        if let Err(refused) = self.0.send(job)
            && let Some(Zeros { image, done, .. }) = refused.0
        {
            drop(image);
            done(Err(EINVAL));
        }
    }

    /// Ends the thread, after what is in its queue.
    pub(crate) fn stop(&self) {
        // It may have ended already.
        let _ = self.0.send(None);
    }
}

fn zero_what_is_there(
    records: &Records,
    image: &Image,
    offset: u64,
    length: u64,
) -> Result<(), i32> {
    let levels = levels(records, image.name(), None).map_err(|error| {
        tracing::warn!(image = image.name(), "a long zero failed: {error}");
        EINVAL
    })?;
    let next = |object| levels.iter().filter_map(|level| level.map.next(object)).min();
    let (sender, outcomes) = channel();
    let (mut under_way, mut at, end) = (0, offset, offset + length);
    let mut outcome = Ok(());
    while let Some(object) = next(at / OBJECT_BYTES) {
        let first = at.max(object * OBJECT_BYTES);
        if first >= end || outcome.is_err() {
            break;
        }
        let mut last = object + 1;
        while last < object + ZERO_OBJECTS && next(last) == Some(last) {
            last += 1;
        }
        at = end.min(last * OBJECT_BYTES);
        let sender = sender.clone();
        // The receiver below is there until all have been sent.
        let done = move |outcome: Result<Bytes, i32>| drop(sender.send(outcome));
        image.zero(first, at - first, Box::new(done));
        under_way += 1;
        if under_way == ZEROS_AT_ONCE {
            outcome = outcome.and(outcomes.recv().unwrap_or(Err(EINVAL)).map(drop));
            under_way -= 1;
        }
        if at == end {
            break;
        }
    }
    for _ in 0..under_way {
        outcome = outcome.and(outcomes.recv().unwrap_or(Err(EINVAL)).map(drop));
    }
    outcome
}
