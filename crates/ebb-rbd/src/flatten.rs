//! Flattening: clones become independent of what they were cloned from, behind the calls.
//!
//! A clone is slow to write where it has nothing of its own yet (librbd copies four megabytes up
//! for a block), each parent more makes reads of holes longer, and what it hangs on takes space.
//!
//! ```text
//!   survey of the rows ─► an image, claimed by a row ─► bursts ─► row of the image: no parent
//!        each minute        f/<image>: by, beat, left     │       librbd gives the parent up
//!                                                         │       the reaper removes it
//!                                                         └ librbd flattens until so many objects
//!                                                           are copied, and is told to stop
//! ```
//! Which: heads that are clones, and
//! - hang on a snapshot that was deleted: what it takes comes back;
//! - have three parents or more;
//! - are open at this engine and have been written to since it opened them;
//! - or hang on a head that was left, by a reset, a day ago or more, and are in no use here.
//!   (Forks of what is a head still stay thin until they are written to: a copy of each would cost
//!   space and give none back. When an image was written last is not known, only when it was made.)
//!
//! Invariants:
//! - Bytes are copied by librbd's own flattening alone. It writes an object by a method of the
//!   OSD's that does nothing where the object exists, and it holds the image's lock, so a client
//!   that writes meanwhile, of this engine or of another, never loses what it wrote.
//! - The rate is that of bursts: librbd tells of each object before the next one, and ends when it
//!   is answered with an error. What was copied stays; the next burst passes over it by the map.
//! - A burst has the volume for itself, so no rollback takes back what it has passed; it ends at
//!   once when a call waits for the volume.
//! - Only heads are flattened. One that was left has been shrunk, and librbd would take its
//!   snapshots' parent away without copying what only they still see.
//! - Only what nobody hangs on is flattened: an image that is open knows its parent's object map
//!   and its parent's parent as they were when it was opened, and is told of no change. Where a
//!   clone is made meanwhile, the image is left as it is (`ImageRow::clones`).
//! - The image's row says that it has no parent after all is copied and before librbd gives the
//!   parent up, so that nobody looks into one that is gone (`Views`).
//!
//! An image is flattened by the engine whose claim is in the rows; a claim that has not changed for
//! a minute is a dead engine's. One that is open elsewhere and not here is left to that engine.
//! After a crash the next engine begins where the objects end.
//!
//! Deliberately not here: a wish of the caller's to flatten one volume now.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ebb_volume::{EngineError, VolumeId};

use crate::engine::Shared;
use crate::ffi::{ECANCELED, EINVAL, Image};
use crate::reaper::Reaper;
use crate::records::{self, FlattenRow, ImageRow, SnapshotRow, flatten_key, image_key};
use crate::views::{Level, levels};

/// No image that a call makes has more parents. The kernel's client refuses more than 16.
pub(crate) const MAX_DEPTH: usize = 8;

/// So many parents are too many.
const DEEP: usize = 3;

const IDLE_SECONDS: u64 = 24 * 3600;

/// How often the rows are looked through, and how often at most where calls ask for it.
const SURVEY_EVERY: Duration = Duration::from_secs(60);
const SURVEY_AT_MOST_EVERY: Duration = Duration::from_secs(1);

/// How often a claim is renewed, and from when on one is a dead engine's.
const BEAT_EVERY: Duration = Duration::from_millis(if cfg!(test) { 200 } else { 5000 });
const DEAD_AFTER: Duration = Duration::from_secs(if cfg!(test) { 2 } else { 60 });

/// What passing over objects may take of all the time, as one of so many parts.
const PASSING_PART: u32 = 5;

/// How long a burst waits for a call that has the volume.
const CALL_PAUSE: Duration = Duration::from_millis(50);

/// Nothing is copied into a cluster with less space free, in percent.
const LEAST_FREE: u64 = 20;

enum Word {
    Look,
    Stop,
}

/// The way to the thread.
#[derive(Clone)]
pub(crate) struct Flattener(Sender<Word>);

impl Flattener {
    pub(crate) fn spawn(
        shared: Arc<Shared>,
        rate: u32,
        reaper: Reaper,
    ) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (sender, words) = channel();
        let name = format!("{:016x}", RandomState::new().build_hasher().finish());
        let (again, seen) = Default::default();
        let mut work = Work { shared, rate, reaper, words, again, name, seen };
        let thread =
            thread::Builder::new().name("ebb-rbd-flat".into()).spawn(move || work.run())?;
        Ok((Self(sender), thread))
    }

    /// Says that there may be something to flatten.
    pub(crate) fn wake(&self) {
        // It has ended if the engine has.
        let _ = self.0.send(Word::Look);
    }

    pub(crate) fn stop(&self) {
        let _ = self.0.send(Word::Stop);
    }
}

/// What the thread has.
struct Work {
    shared: Arc<Shared>,
    /// Objects a second.
    rate: u32,
    reaper: Reaper,
    words: Receiver<Word>,
    /// A survey was asked for.
    again: Cell<bool>,
    /// What its claims are signed with.
    name: String,
    /// Others' claims, and since when they have been what they are.
    seen: HashMap<String, (FlattenRow, Instant)>,
}

/// An image to flatten.
struct Job {
    volume: VolumeId,
    image: String,
    /// How many clones were made of it.
    clones: u64,
    why: String,
}

/// What is known of a clone that is a head.
#[derive(Clone, Copy)]
struct Facts {
    depth: usize,
    /// The snapshot that it hangs on is one of a user's.
    hangs_on_kept: bool,
    /// The image that it hangs on is no head any more.
    hangs_on_left: bool,
    is_written: bool,
    in_use: bool,
    age_seconds: u64,
}

/// How a burst ended.
enum Burst {
    /// All is copied, and the image has no parent.
    Done,
    /// There is more, after what was copied, which took some time to come to.
    More { copied: u64, left: u64, passing: Duration },
    /// A call has the volume, or wants it.
    Later,
    /// It is not for this engine, or not any more.
    Leave(&'static str),
}

/// The engine is being closed.
struct Stopped;

/// Why a clone is to be flattened, if it is.
fn reason(facts: Facts) -> Option<String> {
    let Facts { depth, hangs_on_kept, hangs_on_left, is_written, in_use, age_seconds } = facts;
    if !hangs_on_kept {
        return Some("the snapshot that it hangs on was deleted".into());
    }
    if depth >= DEEP {
        return Some(format!("it has {depth} parents"));
    }
    if is_written {
        return Some("it is written to".into());
    }
    let is_idle = hangs_on_left && !in_use && age_seconds >= IDLE_SECONDS;
    is_idle.then(|| "it has hung on a head that was left for a day".into())
}

/// How many parents an image has, by the rows.
fn depth_in(rows: &HashMap<String, ImageRow>, image: &str) -> usize {
    let parent =
        |image: &String| rows.get(image)?.parent.as_ref().map(|(parent, _)| parent.clone());
    std::iter::successors(parent(&image.to_owned()), parent).take(rows.len()).count()
}

impl Work {
    fn run(&mut self) {
        loop {
            let surveyed = Instant::now();
            let before = self.shared.counters.flattened.load(Relaxed);
            let jobs = self.survey().unwrap_or_else(|error| {
                tracing::info!("what to flatten is looked for again later: {error}");
                Vec::new()
            });
            for job in jobs {
                match self.flatten(&job) {
                    Ok(Ok(())) => {}
                    Ok(Err(Stopped)) => return,
                    Err(error) => {
                        let (image, volume) = (&job.image, job.volume);
                        tracing::info!(image, ?volume, "flattening goes on later: {error}");
                    }
                }
                self.shared.counters.objects_left.store(0, Relaxed);
            }
            let flattened = &self.shared.counters.flattened;
            // What hung on another may be what that one waited for.
            let again = flattened.load(Relaxed) != before || self.again.take();
            let wait = if again { Duration::ZERO } else { SURVEY_EVERY };
            match self.words.recv_timeout(wait) {
                Ok(Word::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(Word::Look) | Err(RecvTimeoutError::Timeout) => {}
            }
            let pause = SURVEY_AT_MOST_EVERY.saturating_sub(surveyed.elapsed());
            if self.pause(pause).is_err() {
                return;
            }
        }
    }

    /// Waits; a survey that is asked for meanwhile comes next.
    fn pause(&self, time: Duration) -> Result<(), Stopped> {
        let until = Instant::now() + time;
        loop {
            match self.words.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Word::Look) => self.again.set(true),
                Err(RecvTimeoutError::Timeout) => return Ok(()),
                Ok(Word::Stop) | Err(RecvTimeoutError::Disconnected) => return Err(Stopped),
            }
        }
    }

    /// Looks through the rows, and finds what is to be flattened: what gives space back first.
    fn survey(&self) -> Result<Vec<Job>, EngineError> {
        let shared = &self.shared;
        let rows = shared.records().all::<ImageRow>("i/")?.into_iter();
        let rows: HashMap<String, ImageRow> =
            rows.map(|(key, row)| (key.trim_start_matches("i/").to_owned(), row)).collect();
        let clones: Vec<&String> =
            rows.iter().filter(|(_, row)| row.parent.is_some()).map(|(image, _)| image).collect();
        let hung_on: HashSet<&String> =
            rows.values().filter_map(|row| row.parent.as_ref()).map(|(parent, _)| parent).collect();
        let depths = clones.iter().map(|image| depth_in(&rows, image));
        let counters = &shared.counters;
        counters.images.store(rows.len() as u64, Relaxed);
        counters.clones.store(clones.len() as u64, Relaxed);
        counters.deepest.store(depths.max().unwrap_or_default() as u64, Relaxed);
        if self.rate == 0 {
            return Ok(Vec::new());
        }
        let now = records::now();
        let job = |image: &String| {
            let row = rows.get(image).filter(|_| !hung_on.contains(image))?;
            let (parent, snap) = row.parent.as_ref()?;
            let volume = VolumeId(row.head_of?);
            let head = shared.open_head(volume);
            let hangs_on = rows.get(parent);
            let facts = Facts {
                depth: depth_in(&rows, image),
                hangs_on_kept: hangs_on.is_some_and(|row| row.snaps.contains_key(snap)),
                hangs_on_left: hangs_on.is_none_or(|row| row.head_of.is_none()),
                is_written: head.as_ref().is_some_and(|head| head.is_written()),
                in_use: head.is_some_and(|head| head.in_use()),
                age_seconds: now.saturating_sub(row.since),
            };
            let why = reason(facts)?;
            let (image, clones) = (image.clone(), row.clones);
            Some((facts.hangs_on_kept, Job { volume, image, clones, why }))
        };
        let mut jobs: Vec<(bool, Job)> = clones.iter().copied().filter_map(job).collect();
        for (key, _) in shared.records().all::<FlattenRow>("f/")? {
            let image = key.trim_start_matches("f/").to_owned();
            let Some(row) = rows.get(&image).filter(|row| row.parent.is_none()) else { continue };
            let Some(volume) = row.head_of.map(VolumeId) else { continue };
            let why = "all is copied, and its parent was not given up yet".into();
            jobs.push((false, Job { volume, image, clones: row.clones, why }));
        }
        jobs.sort_by(|(kept, a), (other, b)| (kept, &a.image).cmp(&(other, &b.image)));
        Ok(jobs.into_iter().map(|(_, job)| job).collect())
    }

    /// Flattens one image, burst by burst.
    fn flatten(&mut self, job: &Job) -> Result<Result<(), Stopped>, EngineError> {
        let Some(mut claim) = self.claim(job)? else { return Ok(Ok(())) };
        let outcome = self.bursts(job, &mut claim);
        if !matches!(outcome, Ok(Ok(()))) {
            self.release(job)?;
        }
        outcome
    }

    fn bursts(
        &self,
        job: &Job,
        claim: &mut FlattenRow,
    ) -> Result<Result<(), Stopped>, EngineError> {
        let Job { volume, image, why, .. } = job;
        let (begun, mut beaten) = (Instant::now(), Instant::now());
        let mut most = u64::from(self.rate);
        loop {
            if !self.shared.records().pool.has_free(LEAST_FREE)? {
                tracing::info!(image, "less than {LEAST_FREE} % is free: it is not flattened");
                self.release(job)?;
                return Ok(Ok(()));
            }
            let burst = Instant::now();
            let mut pause = CALL_PAUSE;
            match self.burst(job, most)? {
                Burst::Done => {
                    let seconds = begun.elapsed().as_secs_f64();
                    tracing::info!(?volume, image, "is flattened after {seconds:.1} s");
                    self.shared.counters.flattened.fetch_add(1, Relaxed);
                    self.reaper.wake();
                    return Ok(Ok(()));
                }
                Burst::Leave(because) => {
                    tracing::info!(?volume, image, "is not flattened here: {because}");
                    self.release(job)?;
                    return Ok(Ok(()));
                }
                Burst::Later => {}
                Burst::More { copied, left, passing } => {
                    let took = Duration::from_secs_f64(copied as f64 / f64::from(self.rate));
                    pause = took.saturating_sub(burst.elapsed()).max(CALL_PAUSE);
                    let period = (passing * (PASSING_PART - 1)).max(Duration::from_secs(1));
                    most = (f64::from(self.rate) * period.as_secs_f64()) as u64;
                    self.shared.counters.objects_left.store(left, Relaxed);
                    if claim.beat == 0 {
                        claim.objects = left + copied;
                        let objects = claim.objects;
                        tracing::info!(?volume, image, objects, "is being flattened: {why}");
                    }
                    claim.left = left;
                }
            }
            if claim.beat == 0 || beaten.elapsed() >= BEAT_EVERY {
                beaten = Instant::now();
                claim.beat += 1;
                if !self.beat(job, claim)? {
                    return Ok(Ok(()));
                }
            }
            if self.pause(pause).is_err() {
                return Ok(Err(Stopped));
            }
        }
    }

    /// Says in a row that this engine flattens the image. None: another one does.
    fn claim(&mut self, job: &Job) -> Result<Option<FlattenRow>, EngineError> {
        let (key, mut change) = (flatten_key(&job.image), self.shared.records().change());
        let found: Option<FlattenRow> = change.get(key.clone())?;
        if let Some(other) = found.filter(|row| row.by != self.name) {
            let seen = self.seen.get(&job.image).filter(|(row, _)| *row == other);
            match seen {
                Some((_, since)) if since.elapsed() >= DEAD_AFTER => {}
                Some(_) => return Ok(None),
                None => {
                    self.seen.insert(job.image.clone(), (other, Instant::now()));
                    return Ok(None);
                }
            }
        }
        self.seen.remove(&job.image);
        if change.get::<ImageRow>(image_key(&job.image))?.is_none_or(|row| row.head_of.is_none()) {
            return Ok(None);
        }
        let claim = FlattenRow { by: self.name.clone(), beat: 0, objects: 0, left: 0 };
        change.set(key, &claim)?;
        Ok(change.commit()?.then_some(claim))
    }

    /// Renews the claim. False: it is another's.
    fn beat(&self, job: &Job, claim: &FlattenRow) -> Result<bool, EngineError> {
        let mut is_own = false;
        self.shared.settle(|change| {
            let found: Option<FlattenRow> = change.get(flatten_key(&job.image))?;
            is_own = found.is_some_and(|row| row.by == self.name);
            match is_own {
                true => change.set(flatten_key(&job.image), claim),
                false => Ok(()),
            }
        })?;
        Ok(is_own)
    }

    fn release(&self, job: &Job) -> Result<(), EngineError> {
        self.shared.settle(|change| {
            let found: Option<FlattenRow> = change.get(flatten_key(&job.image))?;
            if found.is_some_and(|row| row.by == self.name) {
                change.remove(flatten_key(&job.image));
            }
            Ok(())
        })
    }

    /// Copies so many objects, or all that are left.
    fn burst(&self, job: &Job, most: u64) -> Result<Burst, EngineError> {
        let shared = &*self.shared;
        let Some(_busy) = shared.try_busy(job.volume) else { return Ok(Burst::Later) };
        let found: Option<ImageRow> = shared.records().row(&image_key(&job.image))?;
        let Some(row) = found else { return Ok(Burst::Leave("it was removed")) };
        let image = match self.open(job) {
            Ok(Ok(image)) => image,
            Ok(Err(because)) => return Ok(Burst::Leave(because)),
            Err(error) => return Err(error),
        };
        if row.parent.is_none() {
            return self.detach(job, &image);
        }
        if row.clones != job.clones {
            return Ok(Burst::Leave("a clone was made of it"));
        }
        let size_bytes = image.size_bytes()?;
        if image.snaps()?.iter().any(|snap| snap.size > size_bytes) {
            return Ok(Burst::Leave("it has a snapshot that is larger than it"));
        }
        let begun = Instant::now();
        let chain = levels(shared.records(), &job.image, None)?;
        let progress = Progress { chain: &chain, begun, ..Progress::default() };
        let flattened = image.flatten(&|object, of| {
            // It always ends before the parent is given up.
            progress.passes(object) < most && object + 1 < of && shared.goes_on(job)
        });
        let copied = progress.copied.into_inner();
        shared.counters.objects_copied.fetch_add(copied, Relaxed);
        match flattened {
            Err(error) if error.is(ECANCELED) => {}
            Err(error) => return Err(error.into()),
            Ok(()) => return Err(EngineError::Failed(format!("{} ended early", job.image))),
        }
        let left = missing(&levels(shared.records(), &job.image, None)?);
        if left > 0 {
            let passing = Duration::from_micros(progress.passing.into_inner());
            return Ok(Burst::More { copied, left, passing });
        }
        shared.step("copied");
        if !self.make_independent(job, &row)? {
            return Ok(Burst::Leave("it was changed by a call"));
        }
        shared.step("independent");
        self.detach(job, &image)
    }

    /// The image, by its volume's head. Or why not: it is for another engine.
    fn open(&self, job: &Job) -> Result<Result<Arc<Image>, &'static str>, EngineError> {
        let shared = &*self.shared;
        match shared.own(job.volume) {
            Ok((row, _, image)) if row.image == job.image => Ok(Ok(image)),
            Ok(_) => Ok(Err("the volume was reset")),
            Err(EngineError::NoSuchVolume(_)) => Ok(Err("the volume was deleted")),
            Err(EngineError::InUse(_)) => Ok(Err("it is open elsewhere")),
            Err(error) => Err(error),
        }
    }

    /// Writes down that an image hangs on nothing any more, as all is copied. False: it is not what
    /// it was.
    fn make_independent(&self, job: &Job, was: &ImageRow) -> Result<bool, EngineError> {
        let mut change = self.shared.records().change();
        let row = change.image(&job.image)?;
        let claim: Option<FlattenRow> = change.get(flatten_key(&job.image))?;
        let is_own = claim.is_some_and(|claim| claim.by == self.name);
        if !is_own || row.clones != was.clones || row.head_of != was.head_of {
            return Ok(false);
        }
        change.set(image_key(&job.image), &ImageRow { parent: None, ..row })?;
        change.commit()
    }

    /// Has librbd forget the parent of an image that has everything of its own.
    fn detach(&self, job: &Job, image: &Image) -> Result<Burst, EngineError> {
        let shared = &*self.shared;
        match image.flatten(&|_, _| shared.goes_on(job)) {
            Err(error) if error.is(ECANCELED) => return Ok(Burst::Later),
            // A crash came before its claim was taken away.
            Err(error) if error.is(EINVAL) && image.overlap()? == 0 => {}
            other => other?,
        }
        self.release(job).map(|()| Burst::Done)
    }
}

/// How far a burst is.
struct Progress<'a> {
    /// As it was when the burst began.
    chain: &'a [Level],
    begun: Instant,
    copied: AtomicU64,
    /// Microseconds until the first object that had to be copied.
    passing: AtomicU64,
}

impl Default for Progress<'_> {
    fn default() -> Self {
        let (copied, passing) = Default::default();
        Self { chain: &[], begun: Instant::now(), copied, passing }
    }
}

impl Progress<'_> {
    /// librbd has come to an object. How many were copied.
    fn passes(&self, object: u64) -> u64 {
        if !is_missing(self.chain, object) {
            return self.copied.load(Relaxed);
        }
        let copied = self.copied.fetch_add(1, Relaxed) + 1;
        if copied == 1 {
            self.passing.store(self.begun.elapsed().as_micros() as u64, Relaxed);
        }
        copied
    }
}

/// Whether the head does not have an object that a parent has.
fn is_missing(chain: &[Level], object: u64) -> bool {
    let Some((head, parents)) = chain.split_first() else { return false };
    !head.map.exists(object) && parents.iter().any(|level| level.map.exists(object))
}

/// How many there are.
fn missing(chain: &[Level]) -> u64 {
    let (mut count, mut object) = (0, 0);
    let parents = chain.get(1..).unwrap_or_default();
    while let Some(next) = parents.iter().filter_map(|level| level.map.next(object)).min() {
        count += u64::from(is_missing(chain, next));
        object = next + 1;
    }
    count
}

impl Shared {
    /// Whether a burst does, after an object.
    fn goes_on(&self, job: &Job) -> bool {
        self.serving().is_ok() && !self.is_wanted(job.volume)
    }

    /// How many parents an image has.
    pub(crate) fn depth(&self, image: &str) -> Result<usize, EngineError> {
        let mut depth = 0;
        let mut row: Option<ImageRow> = self.records().row(&image_key(image))?;
        while let Some((parent, _)) = row.and_then(|row| row.parent) {
            depth += 1;
            row = self.records().row(&image_key(&parent))?;
        }
        Ok(depth)
    }

    /// Flattens a clone that a call makes of a snapshot where it would have too many parents, all
    /// at once; nothing names it yet. Whether it did.
    pub(crate) fn flatten_the_deep(
        &self,
        image: &Image,
        parent: &SnapshotRow,
    ) -> Result<bool, EngineError> {
        let depth = self.depth(&parent.image)? + 1;
        if depth <= MAX_DEPTH {
            return Ok(false);
        }
        let (name, begun) = (image.name(), Instant::now());
        tracing::info!(image = name, "would have {depth} parents, and is flattened first");
        match image.flatten(&|_, _| self.serving().is_ok()) {
            Err(error) if error.is(ECANCELED) => self.serving().map(|()| false),
            other => {
                other?;
                let seconds = begun.elapsed().as_secs_f64();
                tracing::info!(image = name, "is flattened after {seconds:.1} s");
                self.counters.flattened.fetch_add(1, Relaxed);
                Ok(true)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THIN: Facts = Facts {
        depth: 1,
        hangs_on_kept: true,
        hangs_on_left: false,
        is_written: false,
        in_use: false,
        age_seconds: 100 * IDLE_SECONDS,
    };

    #[test]
    fn what_costs_is_flattened_and_a_thin_fork_is_not() {
        assert_eq!(reason(THIN), None);
        assert!(reason(Facts { hangs_on_kept: false, ..THIN }).is_some());
        assert!(reason(Facts { depth: 3, ..THIN }).is_some());
        assert!(reason(Facts { is_written: true, in_use: true, ..THIN }).is_some());
    }

    #[test]
    fn a_reset_clone_is_flattened_when_it_has_been_idle_for_a_day() {
        let left = Facts { hangs_on_left: true, ..THIN };
        assert!(reason(left).is_some());
        assert_eq!(reason(Facts { in_use: true, ..left }), None);
        assert_eq!(reason(Facts { age_seconds: IDLE_SECONDS - 1, ..left }), None);
    }
}
