//! An engine in a folder of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ebb_local::{LocalEngine, Options, Stats};
use ebb_volume::{DataKey, Engine, Io, OpId, SnapshotId, Volume, VolumeId, run};
use tempfile::TempDir;

use crate::{Failure, MIB};

/// The one volume of most beds.
pub(crate) const VOLUME: VolumeId = VolumeId(1);

const SEGMENT_BYTES: u64 = 16 * MIB;

pub(crate) struct Bed {
    engine: Option<LocalEngine>,
    folder: TempDir,
    last_op: u128,
}

/// As a server has it, but that nothing is read in the background.
pub(crate) fn served() -> Options {
    Options { scrub_bytes_per_second: 0, ..Options::default() }
}

/// Nothing is checkpointed by itself.
pub(crate) fn never() -> Options {
    let checkpoint_interval = Duration::from_secs(1 << 30);
    Options {
        checkpoint_log_bytes: u64::MAX,
        checkpoint_memory_bytes: u64::MAX,
        checkpoint_interval,
        ..served()
    }
}

/// Everything is checkpointed as soon as it is there.
pub(crate) fn at_once() -> Options {
    Options { checkpoint_interval: Duration::from_millis(1), ..never() }
}

impl Bed {
    /// A new pool.
    pub(crate) fn new(options: Options) -> Result<Self, Failure> {
        Self::new_in(".", options)
    }

    fn new_in(place: &str, options: Options) -> Result<Self, Failure> {
        let folder = tempfile::tempdir_in(place)?;
        let mut bed = Self { engine: None, folder, last_op: 0 };
        bed.reopen(options)?;
        Ok(bed)
    }

    /// A pool with so many bytes of segments that were written before and are free, as one has that
    /// recycles them: none is written ahead while they last.
    pub(crate) fn recycled(bytes: u64, options: Options) -> Result<Self, Failure> {
        Self::recycled_in(".", bytes, options)
    }

    /// The same on a file system in memory: no disk is behind, and none is measured.
    pub(crate) fn recycled_in_memory(bytes: u64, options: Options) -> Result<Self, Failure> {
        Self::recycled_in("/dev/shm", bytes, options)
    }

    fn recycled_in(place: &str, bytes: u64, options: Options) -> Result<Self, Failure> {
        let warm_segments = bytes.div_ceil(SEGMENT_BYTES) as usize + options.warm_segments;
        let mut bed = Self::new_in(place, Options { warm_segments, ..never() })?;
        while bed.stats().segments_made < warm_segments as u64 {
            bed.engine().health()?;
            std::thread::sleep(Duration::from_millis(1));
        }
        bed.reopen(options)?;
        Ok(bed)
    }

    /// Opens the pool as it is after a kill: the engine is not closed before. Says how long it
    /// takes.
    pub(crate) fn reopen(&mut self, options: Options) -> Result<Duration, Failure> {
        self.engine = None;
        let begun = Instant::now();
        self.engine = Some(LocalEngine::open(self.folder.path(), options)?);
        Ok(begun.elapsed())
    }

    /// A pool that is there already. The folder is another's.
    pub(crate) fn of(folder: &Path, options: Options) -> Result<Self, Failure> {
        let engine = Some(LocalEngine::open(folder, options)?);
        // Operations of another process have lower numbers.
        Ok(Self { engine, folder: tempfile::tempdir_in(".")?, last_op: 1 << 64 })
    }

    /// Ends the engine as a kill would. Its folder stays as long as the bed.
    pub(crate) fn close(&mut self) -> PathBuf {
        self.engine = None;
        self.folder.path().into()
    }

    /// Waits for so many checkpoints since the engine was opened.
    pub(crate) fn wait_checkpoints(&self, checkpoints: u64) -> Result<(), Failure> {
        while self.stats().checkpoints < checkpoints {
            self.engine().health()?;
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Waits until nothing was written for some intervals between checkpoints.
    pub(crate) fn settle(&self, interval: Duration) -> Result<(), Failure> {
        let mut before = None;
        while before != Some(self.stats()) {
            self.engine().health()?;
            before = Some(self.stats());
            std::thread::sleep(3 * interval);
        }
        Ok(())
    }

    pub(crate) fn engine(&self) -> &LocalEngine {
        self.engine.as_ref().expect("it is open but within reopen")
    }

    pub(crate) fn stats(&self) -> Stats {
        self.engine().stats()
    }

    /// An operation never asked for before.
    fn op(&mut self) -> OpId {
        self.last_op += 1;
        OpId(self.last_op.to_le_bytes())
    }

    pub(crate) fn create(&mut self, size_bytes: u64) -> Result<Arc<dyn Volume>, Failure> {
        self.create_with(size_bytes, false)
    }

    pub(crate) fn create_with(
        &mut self,
        size_bytes: u64,
        encrypted: bool,
    ) -> Result<Arc<dyn Volume>, Failure> {
        let op = self.op();
        self.engine().create_volume(op, VOLUME, size_bytes, key(encrypted).as_ref())?;
        self.open_with(encrypted)
    }

    pub(crate) fn open(&self) -> Result<Arc<dyn Volume>, Failure> {
        self.open_with(false)
    }

    pub(crate) fn open_with(&self, encrypted: bool) -> Result<Arc<dyn Volume>, Failure> {
        Ok(self.engine().open(VOLUME, key(encrypted).as_ref())?)
    }

    pub(crate) fn snapshot(&mut self, snapshot: u64) -> Result<Duration, Failure> {
        let op = self.op();
        let begun = Instant::now();
        self.engine().create_snapshots(op, &[(VOLUME, SnapshotId(snapshot))])?;
        Ok(begun.elapsed())
    }

    /// No handle may be open.
    pub(crate) fn reset(&mut self, snapshot: u64) -> Result<Duration, Failure> {
        let op = self.op();
        let begun = Instant::now();
        self.engine().reset(op, VOLUME, SnapshotId(snapshot))?;
        Ok(begun.elapsed())
    }

    pub(crate) fn delete_snapshot(&mut self, snapshot: u64) -> Result<Duration, Failure> {
        let op = self.op();
        let begun = Instant::now();
        self.engine().delete_snapshot(op, SnapshotId(snapshot))?;
        Ok(begun.elapsed())
    }
}

fn key(encrypted: bool) -> Option<DataKey> {
    encrypted.then(|| DataKey::new([5; 32]))
}

/// Writes the first bytes of a volume in order, a MiB at a time.
pub(crate) fn fill(volume: &dyn Volume, bytes: u64) -> Result<(), Failure> {
    let data = Bytes::from(vec![7; MIB as usize]);
    for offset in (0..bytes).step_by(MIB as usize) {
        run(volume, Io::Write { offset, data: data.clone(), fua: false })?;
    }
    run(volume, Io::Flush)?;
    Ok(())
}
