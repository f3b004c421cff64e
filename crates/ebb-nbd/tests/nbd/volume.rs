//! A volume in memory whose completions can be made to fail, or to come later from another thread.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread;

use bytes::Bytes;
use ebb_volume::{
    BLOCK_BYTES, Completion, Difference, Extent, ExtentList, Io, IoError, SnapshotId, Volume,
    VolumeId,
};

/// The one snapshot that there is: all of it reads zero, and is a hole.
pub(crate) const EMPTY: SnapshotId = SnapshotId(7);

/// When a request completes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum When {
    /// Before `submit` returns.
    #[default]
    AtOnce,
    /// Flushes soon, from another thread; all else before `submit` returns.
    FlushElsewhere,
    /// Soon, from another thread.
    Elsewhere,
    /// Flushes not until released; all else before `submit` returns.
    HoldFlush,
    /// Not until released.
    Hold,
}

#[derive(Default)]
struct Control {
    when: When,
    fails: Option<IoError>,
    loses: bool,
    held: Vec<(Completion, Result<Bytes, IoError>)>,
}

pub(crate) struct MemoryVolume {
    content: Mutex<Vec<u8>>,
    control: Mutex<Control>,
    changed: Condvar,
    elsewhere: mpsc::Sender<(Completion, Result<Bytes, IoError>)>,
    /// Bytes of the longest read submitted.
    pub(crate) longest_read: AtomicU64,
    /// Requests submitted.
    pub(crate) submitted: AtomicUsize,
    /// The most that were submitted together.
    pub(crate) most_together: AtomicUsize,
}

impl MemoryVolume {
    pub(crate) fn new(size_bytes: usize) -> Arc<Self> {
        let (elsewhere, completions) = mpsc::channel::<(Completion, _)>();
        thread::spawn(move || completions.iter().for_each(|(done, outcome)| done(outcome)));
        Arc::new(Self {
            content: Mutex::new(vec![0; size_bytes]),
            control: Mutex::default(),
            changed: Condvar::new(),
            elsewhere,
            longest_read: AtomicU64::new(0),
            submitted: AtomicUsize::new(0),
            most_together: AtomicUsize::new(0),
        })
    }

    pub(crate) fn completes(&self, when: When) {
        self.control.lock().unwrap().when = when;
    }

    /// From now on every request answers this; `None` ends it.
    pub(crate) fn fails(&self, error: Option<IoError>) {
        self.control.lock().unwrap().fails = error;
    }

    /// From now on completions are dropped without being called.
    pub(crate) fn loses(&self) {
        self.control.lock().unwrap().loses = true;
    }

    /// Returns once at least `count` requests are held.
    pub(crate) fn wait_until_held(&self, count: usize) {
        let mut control = self.control.lock().unwrap();
        while control.held.len() < count {
            control = self.changed.wait(control).unwrap();
        }
    }

    /// Completes what is held, on the calling thread.
    pub(crate) fn release(&self) {
        let held = std::mem::take(&mut self.control.lock().unwrap().held);
        for (done, outcome) in held {
            done(outcome);
        }
    }

    pub(crate) fn content(&self) -> Vec<u8> {
        self.content.lock().unwrap().clone()
    }

    fn hold(&self, control: &mut Control, done: Completion, outcome: Result<Bytes, IoError>) {
        control.held.push((done, outcome));
        self.changed.notify_all();
    }

    fn apply(&self, io: &Io) -> Result<Bytes, IoError> {
        let mut content = self.content.lock().unwrap();
        let (offset, length) = match io {
            Io::Read { offset, length } => {
                self.longest_read.fetch_max(u64::from(*length), Ordering::SeqCst);
                (*offset, u64::from(*length))
            }
            Io::Write { offset, data, .. } => (*offset, data.len() as u64),
            Io::Zero { offset, length, .. } | Io::Discard { offset, length, .. } => {
                (*offset, *length)
            }
            Io::Flush => return Ok(Bytes::new()),
        };
        let end = offset.checked_add(length).ok_or(IoError::OutOfRange)?;
        if end > content.len() as u64 {
            return Err(IoError::OutOfRange);
        }
        let (start, end) = (offset as usize, end as usize);
        match io {
            Io::Read { .. } => return Ok(Bytes::copy_from_slice(&content[start..end])),
            Io::Write { data, .. } => content[start..end].copy_from_slice(data),
            Io::Zero { .. } => content[start..end].fill(0),
            Io::Discard { .. } => {
                let block = BLOCK_BYTES as usize;
                let (first, last) = (start.next_multiple_of(block), end / block * block);
                if first < last {
                    content[first..last].fill(0);
                }
            }
            Io::Flush => {}
        }
        Ok(Bytes::new())
    }
}

impl Volume for MemoryVolume {
    fn id(&self) -> VolumeId {
        VolumeId(1)
    }

    fn size_bytes(&self) -> u64 {
        self.content.lock().unwrap().len() as u64
    }

    fn submit(&self, io: Io, done: Completion) {
        self.submitted.fetch_add(1, Ordering::SeqCst);
        let flush = matches!(io, Io::Flush);
        let mut control = self.control.lock().unwrap();
        if control.loses {
            return;
        }
        let outcome = control.fails.map_or_else(|| self.apply(&io), Err);
        match control.when {
            When::Hold => self.hold(&mut control, done, outcome),
            When::HoldFlush if flush => self.hold(&mut control, done, outcome),
            When::Elsewhere => self.elsewhere.send((done, outcome)).unwrap(),
            When::FlushElsewhere if flush => self.elsewhere.send((done, outcome)).unwrap(),
            When::AtOnce | When::HoldFlush | When::FlushElsewhere => {
                drop(control);
                done(outcome);
            }
        }
    }

    fn submit_all(&self, requests: Vec<(Io, Completion)>) {
        self.most_together.fetch_max(requests.len(), Ordering::SeqCst);
        for (io, done) in requests {
            self.submit(io, done);
        }
    }

    /// A block of zeroes is a hole.
    fn extents(
        &self,
        offset: u64,
        length: u64,
        most: NonZeroUsize,
    ) -> Result<Vec<Extent>, IoError> {
        if let Some(error) = self.control.lock().unwrap().fails {
            return Err(error);
        }
        let content = self.content.lock().unwrap();
        let end = offset.checked_add(length).ok_or(IoError::OutOfRange)?;
        if end > content.len() as u64 {
            return Err(IoError::OutOfRange);
        }
        let mut extents = ExtentList::new(offset, length, most);
        for (index, block) in content.chunks(BLOCK_BYTES as usize).enumerate() {
            // What lies before the offset changes nothing.
            let stored = block.iter().any(|byte| *byte != 0);
            extents.reach((index as u64 + 1) * BLOCK_BYTES, stored);
        }
        Ok(extents.into_extents())
    }

    /// From [`EMPTY`] differs what is stored.
    fn changed(
        &self,
        since: SnapshotId,
        offset: u64,
        length: u64,
        most: NonZeroUsize,
    ) -> Result<Vec<Difference>, IoError> {
        if since != EMPTY {
            return Err(IoError::NoSnapshot);
        }
        let extents = self.extents(offset, length, most)?;
        let difference = |Extent { length, stored }| Difference { length, changed: stored };
        Ok(extents.into_iter().map(difference).collect())
    }
}
