//! The log, open for writing.
//!
//! ```text
//! append ──► state (one mutex): write(2) ──► file ◄── sync each second: a thread of the log
//!                │ file is full: sync it, open the next, delete the oldest
//! ```
//!
//! After a write or a sync that failed nothing more is written: what the file ends with is not
//! known then, and a log with a hole would look whole. The next start cuts off what is half
//! written and says so in a line.

use std::fs::{self, File};
use std::io::{self, Write};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::line::{self, Line, Link, event};
use crate::tail::Tail;
use crate::{Entry, Error, files};

/// What a power loss may take.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// How files come and go.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// A file does not grow beyond this, but for a single line that is longer.
    pub file_bytes: u64,
    /// How many files are kept, the one being written among them; `None` for all.
    pub keep: Option<NonZeroU64>,
}

impl Default for Options {
    fn default() -> Self {
        Self { file_bytes: 64 << 20, keep: None }
    }
}

/// An audit log. Dropped, it is synced.
pub struct Log {
    shared: Arc<Shared>,
    syncing: Option<JoinHandle<()>>,
}

struct Shared {
    dir: PathBuf,
    options: Options,
    state: Mutex<State>,
    /// Told when the log is closed.
    wake: Condvar,
}

struct State {
    file: Arc<File>,
    number: u64,
    length: u64,
    last: Link,
    /// Whether there is anything to sync.
    dirty: bool,
    failed: Option<String>,
    closed: bool,
    /// A line on its way; kept for its memory.
    line: Vec<u8>,
}

impl Log {
    /// Opens the log in the folder `dir`, which is made if it is not there, and goes on where it
    /// ends. A last line that a crash cut short is cut off, and a line says so. There must be no
    /// other writer.
    ///
    /// # Errors
    /// The folder or a file cannot be used; the log does not end with a line that a log wrote.
    pub fn open(dir: &Path, options: Options, now_unix_millis: i64) -> Result<Self, Error> {
        files::make_folder(dir).map_err(Error::io(dir))?;
        let newest = files::numbers(dir).map_err(Error::io(dir))?.last().copied();
        let number = newest.unwrap_or(1);
        let path = files::path(dir, number);
        let file = match newest {
            None => create(dir, number)?,
            Some(_) => files::open(&path).map_err(Error::io(&path))?,
        };
        let tail = Tail::of(&file).map_err(Error::io(&path))?;
        let last = match end(&path, &tail)? {
            Some(last) => last,
            None => end_before(dir, number)?,
        };
        if tail.torn > 0 {
            file.set_len(tail.end).map_err(Error::io(&path))?;
        }
        let mut state = State {
            file: Arc::new(file),
            number,
            length: tail.end,
            last,
            dirty: false,
            failed: None,
            closed: false,
            line: Vec::new(),
        };
        let said = |error| Error::io(&path)(error);
        if tail.line.is_empty() {
            state.write(now_unix_millis, &event::opened(number)).map_err(said)?;
        }
        if tail.torn > 0 {
            state.write(now_unix_millis, &event::cut(tail.torn)).map_err(said)?;
        }
        state.file.sync_data().map_err(said)?;
        state.dirty = false;
        let dir = dir.to_owned();
        let (state, wake) = (Mutex::new(state), Condvar::new());
        let shared = Arc::new(Shared { dir, options, state, wake });
        let syncing = Arc::clone(&shared);
        let name = std::thread::Builder::new().name("audit-sync".to_owned());
        let syncing = name.spawn(move || syncing.sync_each_second()).map_err(said)?;
        Ok(Self { shared, syncing: Some(syncing) })
    }

    /// Writes a call down. When this returns, no end of the process takes it back.
    ///
    /// # Errors
    /// It is not written down; nor is any call after it, until the log is opened again.
    pub fn append(&self, now_unix_millis: i64, entry: &Entry) -> Result<(), Error> {
        let members = entry.members();
        let mut state = self.shared.lock();
        if let Some(why) = &state.failed {
            return Err(Error::Failed(why.clone()));
        }
        let outcome = self.shared.write(&mut state, now_unix_millis, &members);
        outcome.inspect_err(|error| state.fail(error))
    }

    /// Makes durable what was written.
    ///
    /// # Errors
    /// It may not be durable; nothing is written from now on.
    pub fn sync(&self) -> Result<(), Error> {
        self.shared.sync()
    }

    /// Whether calls are written down, and if not, why.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn health(&self) -> Result<(), String> {
        let state = self.shared.lock();
        state.failed.as_ref().map_or(Ok(()), |why| Err(format!("the audit log has failed: {why}")))
    }

    /// The hash of the newest line: noted down elsewhere, it shows later that nothing up to here
    /// was taken away or changed.
    #[must_use]
    pub fn newest_hash(&self) -> String {
        self.shared.lock().last.hash.as_str().to_owned()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.wake.notify_all();
        // A panic of it was said already, and the sync is made up for here.
        let _ = self.syncing.take().map(JoinHandle::join);
        // Said in the log of the server already, and nobody is left to be told otherwise.
        let _ = self.shared.sync();
    }
}

impl Shared {
    /// Every change is whole before the lock is let go, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, state: &mut State, now: i64, members: &str) -> Result<(), Error> {
        let next = line::write(&mut state.line, state.last, now, members);
        if state.length + state.line.len() as u64 > self.options.file_bytes {
            self.rotate(state, now)?;
            return state.write(now, members).map_err(Error::io(&self.path(state)));
        }
        state.put(next).map_err(Error::io(&self.path(state)))
    }

    /// The old file is durable before the new one is there: no power loss leaves a gap between.
    fn rotate(&self, state: &mut State, now: i64) -> Result<(), Error> {
        state.file.sync_data().map_err(Error::io(&self.path(state)))?;
        let number = state.number + 1;
        state.file = Arc::new(create(&self.dir, number)?);
        (state.number, state.length) = (number, 0);
        let path = self.path(state);
        state.write(now, &event::opened(number)).map_err(Error::io(&path))?;
        let keep = self.options.keep.map_or(u64::MAX, NonZeroU64::get);
        let old = self.numbers_until(number.saturating_sub(keep))?;
        if let Some(until) = old.last() {
            state.write(now, &event::deleted(*until)).map_err(Error::io(&path))?;
            // What goes is named by what stays, so that stays for certain first.
            state.file.sync_data().map_err(Error::io(&path))?;
            self.delete(&old);
        }
        Ok(())
    }

    fn numbers_until(&self, number: u64) -> Result<Vec<u64>, Error> {
        let mut all = files::numbers(&self.dir).map_err(Error::io(&self.dir))?;
        all.retain(|found| *found <= number);
        Ok(all)
    }

    /// From the oldest on, so that what is left has no gap. A file too many does no harm, and is
    /// tried again when the next one is opened.
    fn delete(&self, old: &[u64]) {
        let delete = |number: &u64| fs::remove_file(files::path(&self.dir, *number));
        if let Err(error) = old.iter().try_for_each(delete) {
            tracing::warn!(%error, "cannot delete old files of the audit log");
        }
    }

    fn path(&self, state: &State) -> PathBuf {
        files::path(&self.dir, state.number)
    }

    fn sync(&self) -> Result<(), Error> {
        let mut state = self.lock();
        if let Some(why) = &state.failed {
            return Err(Error::Failed(why.clone()));
        }
        if !std::mem::take(&mut state.dirty) {
            return Ok(());
        }
        let (file, path) = (Arc::clone(&state.file), self.path(&state));
        drop(state); // calls need not wait for a disk
        let outcome = file.sync_data().map_err(Error::io(&path));
        outcome.inspect_err(|error| self.lock().fail(error))
    }

    fn sync_each_second(&self) {
        loop {
            let state = self.lock();
            let waited = self.wake.wait_timeout_while(state, SYNC_EVERY, |state| !state.closed);
            let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
            if state.closed || state.failed.is_some() {
                return;
            }
            drop(state);
            // What went wrong is kept in the state.
            let _ = self.sync();
        }
    }
}

impl State {
    fn write(&mut self, now: i64, members: &str) -> io::Result<()> {
        let next = line::write(&mut self.line, self.last, now, members);
        self.put(next)
    }

    /// One write: what was written of half a line is not known to anyone but the file.
    fn put(&mut self, next: Link) -> io::Result<()> {
        let mut file = &*self.file;
        let written = file.write(&self.line)?;
        if written < self.line.len() {
            let why = format!("only {written} of {} bytes were written", self.line.len());
            return Err(io::Error::new(io::ErrorKind::WriteZero, why));
        }
        self.length += self.line.len() as u64;
        (self.last, self.dirty) = (next, true);
        Ok(())
    }

    fn fail(&mut self, error: &Error) {
        tracing::error!(%error, "no call is written down from now on");
        self.failed = Some(error.to_string());
    }
}

fn create(dir: &Path, number: u64) -> Result<File, Error> {
    let path = files::path(dir, number);
    let file = files::create(&path).map_err(Error::io(&path))?;
    files::sync_folder(dir).map_err(Error::io(dir))?;
    Ok(file)
}

/// Where the chain ends in the file at `path`; `None` if it has no whole line.
fn end(path: &Path, tail: &Tail) -> Result<Option<Link>, Error> {
    if tail.line.is_empty() {
        return Ok(None);
    }
    let read = Line::read(&tail.line);
    let line = read.map_err(|what| Error::damaged(path, format!("of its last line, {what}")))?;
    Ok(Some(line.link))
}

/// Where the chain ends before file `number`, which a crash left without a line.
fn end_before(dir: &Path, number: u64) -> Result<Link, Error> {
    if number == 1 {
        return Ok(Link::START);
    }
    let path = files::path(dir, number - 1);
    let file = File::open(&path).map_err(Error::io(&path))?;
    let tail = Tail::of(&file).map_err(Error::io(&path))?;
    if tail.torn > 0 {
        return Err(Error::damaged(&path, "it ends in the middle of a line"));
    }
    end(&path, &tail)?.ok_or_else(|| Error::damaged(&path, "it holds no line"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_write_that_failed_nothing_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::open(folder.path(), Options::default(), 0).unwrap();
        log.append(0, &Entry::default()).unwrap();
        let good = std::mem::replace(
            &mut log.shared.lock().file,
            Arc::new(File::options().write(true).open("/dev/full").unwrap()),
        );
        assert_eq!(log.health(), Ok(()));
        assert!(matches!(log.append(0, &Entry::default()), Err(Error::Io { .. })));
        assert!(log.health().unwrap_err().contains("00000001.jsonl"), "{:?}", log.health());
        log.shared.lock().file = good;
        assert!(matches!(log.append(0, &Entry::default()), Err(Error::Failed(_))));
        assert!(matches!(log.sync(), Err(Error::Failed(_))));
        drop(log);
        assert_eq!(crate::verify(folder.path(), None).unwrap().lines, 2);
        let again = Log::open(folder.path(), Options::default(), 0).unwrap();
        again.append(0, &Entry::default()).unwrap();
        assert_eq!(again.health(), Ok(()));
    }
}
