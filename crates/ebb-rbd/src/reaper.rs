//! The reaper: removes, behind the calls, what their commits left in rows for it.
//!
//! It goes through those rows when it is woken and when it starts, and takes a row away when what
//! it says is done. All of it may be done again from its beginning, so a crash loses nothing. What
//! can not be done yet, because clones hang on a snapshot or somebody has the image open, stays for
//! the next time.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ebb_volume::{EngineError, VolumeId};

use crate::engine::Shared;
use crate::ffi::{self, EBUSY, ENOENT, ENOTEMPTY, Image};
use crate::records::{ImageRow, Reap, ReapRow, flatten_key, image_key, reap_key};

/// What is left unfinished for so long, is left by a crash.
const UNFINISHED_SECONDS: u64 = 3600;

/// How long an engine is open before it forgets operations, and how often it looks for them.
const FORGETS_EVERY: Duration = Duration::from_secs(3600);

/// How long what could not be done yet waits, if nothing else comes.
const AGAIN_AFTER: Duration = Duration::from_secs(60);

enum Word {
    Look,
    Stop,
}

#[derive(Clone)]
pub(crate) struct Reaper(Sender<Word>);

impl Reaper {
    pub(crate) fn spawn(shared: Arc<Shared>) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (sender, receiver) = channel();
        let work = move || run(&shared, &receiver);
        let thread = thread::Builder::new().name("ebb-rbd-reap".into()).spawn(work)?;
        Ok((Self(sender), thread))
    }

    pub(crate) fn wake(&self) {
        // It has ended if the engine has.
        let _ = self.0.send(Word::Look);
    }

    pub(crate) fn stop(&self) {
        let _ = self.0.send(Word::Stop);
    }
}

fn run(shared: &Shared, words: &Receiver<Word>) {
    let mut forgot = Instant::now();
    loop {
        if forgot.elapsed() >= FORGETS_EVERY {
            forgot = Instant::now();
            if let Err(error) = shared.forget_operations() {
                tracing::info!("operations are forgotten later: {error}");
            }
        }
        match reap_all(shared) {
            // What is gone may be what the rest waited for.
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => tracing::info!("the reaper begins again later: {error}"),
        }
        match words.recv_timeout(AGAIN_AFTER) {
            Ok(Word::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            Ok(Word::Look) | Err(RecvTimeoutError::Timeout) => {}
        }
        loop {
            match words.try_recv() {
                Ok(Word::Look) => {}
                Ok(Word::Stop) => return,
                Err(_) => break,
            }
        }
    }
}

/// Goes through the rows once. Whether one was done.
fn reap_all(shared: &Shared) -> Result<bool, EngineError> {
    let mut any = false;
    let mut rows = shared.records().all::<ReapRow>("d/")?;
    // An image's snapshots are removed before it.
    rows.sort_by_key(|(key, _)| !key.contains('@'));
    shared.counters.backlog.store(rows.len() as u64, Relaxed);
    for (key, row) in rows {
        if shared.serving().is_err() {
            return Ok(false);
        }
        let what = key.trim_start_matches("d/");
        let (image, snap) = match what.split_once('@') {
            Some((image, snap)) => (image, Some(snap)),
            None => (what, None),
        };
        match reap(shared, image, snap, &row) {
            Ok(done) => any |= done,
            Err(error) => tracing::info!("{what} could not be reaped yet: {error}"),
        }
    }
    Ok(any)
}

fn reap(
    shared: &Shared,
    image: &str,
    snap: Option<&str>,
    row: &ReapRow,
) -> Result<bool, EngineError> {
    let done = match (row.what, snap) {
        (Reap::Unfinished, _) => return give_up(shared, reap_key(image, snap), row),
        (_, Some(snap)) => with_head(shared, image, |head| head.remove_snap(snap))?,
        (Reap::Shrink, None) => with_head(shared, image, |head| head.resize(0))?,
        (Reap::Remove, None) => match ffi::remove(&shared.records().pool, image) {
            Ok(()) => true,
            Err(error) if error.is(ENOENT) => true,
            Err(error) if error.is(EBUSY) => {
                shared.have_closed(image)?;
                false
            }
            Err(error) if error.is(ENOTEMPTY) => false,
            Err(error) => return Err(error.into()),
        },
    };
    if !done {
        return Ok(false);
    }
    let settled = shared.settle(|change| {
        let key = reap_key(image, snap);
        // Another row may have taken its place meanwhile.
        if change.get::<ReapRow>(key.clone())?.as_ref() == Some(row) {
            change.remove(key);
            if snap.is_none() && row.what == Reap::Remove {
                change.remove(image_key(image));
                change.remove(flatten_key(image));
            }
        }
        Ok(())
    });
    settled.map(|()| true)
}

/// What is unfinished for long is to be removed; from then on its call can not commit any more.
fn give_up(shared: &Shared, key: String, row: &ReapRow) -> Result<bool, EngineError> {
    let now = ReapRow::now(Reap::Remove);
    if now.since < row.since + UNFINISHED_SECONDS {
        return Ok(false);
    }
    let mut change = shared.records().change();
    match change.get::<ReapRow>(key.clone())? {
        Some(found) if found == *row => change.set(key, &now)?,
        _ => return Ok(false),
    }
    change.commit()
}

/// Does something to an image: by its volume's head, if it is one, so that this engine has no image
/// open twice, of which one would wait for the other's lock. Whether it is done: what is not there
/// is.
fn with_head(
    shared: &Shared,
    image: &str,
    act: impl FnOnce(&Image) -> Result<(), ffi::Error>,
) -> Result<bool, EngineError> {
    let row: Option<ImageRow> = shared.records().row(&image_key(image))?;
    let outcome = match row.and_then(|row| row.head_of).map(VolumeId) {
        Some(volume) => {
            let _busy = shared.busy(&[volume]);
            match shared.settled_row(volume) {
                Ok(row) if row.image == image => {
                    shared.head(volume, &row).map(|(_, head)| act(&head))?
                }
                // It was reset or deleted meanwhile; the next time finds it as it is then.
                Ok(_) | Err(EngineError::NoSuchVolume(_)) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        None => Image::open(&shared.records().pool, image).and_then(|head| act(&head)),
    };
    match outcome {
        Ok(()) => Ok(true),
        Err(error) if error.is(ENOENT) => Ok(true),
        Err(error) if error.is(EBUSY) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
