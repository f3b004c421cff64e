//! The engine on a real file: the pool, and the threads that take its steps.

use std::io;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ebb_volume::{DataKey, Engine, EngineError, Inventory, OpId, SnapshotId, Volume, VolumeId};

use crate::cipher::Cipher;
use crate::file::PoolFile;
use crate::layout::{BLOCK, Geometry, SEGMENT_BLOCKS};
use crate::planted::Planted;
use crate::pool::{CheckpointWhen, Pool, Reaped, Setup, WALK_PAGES};
use crate::record::Change;
use crate::volume::Handle;

const SEGMENT_BYTES: u64 = SEGMENT_BLOCKS as u64 * BLOCK as u64;

/// How an engine is opened. The default is good for serving.
#[derive(Debug, Clone)]
pub struct Options {
    /// Segments of 16 MiB that are kept written ahead of the log, on top of the reserve.
    pub warm_segments: usize,
    /// Space that guests' data leaves in the pool, in bytes, so that a full pool can be made less
    /// full: deletions, resets and discards work. Whole segments of 16 MiB, at least two.
    pub reserve_bytes: u64,
    /// The largest length of `pool.dat`, in bytes. None: as long as the file system lets it grow.
    pub max_pool_bytes: Option<u64>,
    /// What the pool leaves of its file system, in bytes, for whoever lives beside it. None: 2 %,
    /// at least 1 GiB, but of a small file system no more than an eighth.
    pub keep_free_bytes: Option<u64>,
    /// Bytes that are read and compared with their checksums in each second, in the background. 0:
    /// none are.
    pub scrub_bytes_per_second: u64,
    /// Memory for pages of maps, in bytes.
    pub cache_bytes: u64,
    /// Bytes of the log after which a checkpoint is made. Guests wait at twice as much, so an
    /// opening reads no more than that.
    pub checkpoint_log_bytes: u64,
    /// Memory that changes take which no checkpoint has yet, after which one is made. Guests wait
    /// at twice as much.
    pub checkpoint_memory_bytes: u64,
    /// How long a change waits for a checkpoint at most.
    pub checkpoint_interval: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            warm_segments: 1,
            reserve_bytes: 8 * SEGMENT_BYTES,
            max_pool_bytes: None,
            keep_free_bytes: None,
            scrub_bytes_per_second: 16 << 20,
            cache_bytes: 256 << 20,
            // A start reads twice as much in at most 2 s.
            checkpoint_log_bytes: 512 << 20,
            checkpoint_memory_bytes: 24 << 20,
            checkpoint_interval: Duration::from_secs(60),
        }
    }
}

/// What an engine did to its file since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Records written to the log, one write each.
    pub log_writes: u64,
    /// Bytes of those records.
    pub log_bytes: u64,
    /// Syncs of the log.
    pub log_syncs: u64,
    /// Segments written ahead.
    pub segments_made: u64,
    /// Checkpoints that are durable.
    pub checkpoints: u64,
    /// Blocks that checkpoints wrote, of 4 KiB each.
    pub pages_written: u64,
    /// Pages of maps that were read from the file.
    pub pages_read: u64,
    /// Blocks that packing copied, of 4 KiB each.
    pub blocks_packed: u64,
    /// Extents of 16 MiB that were given back to the host.
    pub extents_punched: u64,
    /// Pages and blocks that scrubbing compared, of 4 KiB each.
    pub blocks_scrubbed: u64,
    /// Those of them that did not match.
    pub blocks_damaged: u64,
}

/// The embedded engine: every volume and snapshot in one file, `pool.dat`.
///
/// Dropping it without [`Engine::close`] is like a crash of the process: what was flushed is safe.
pub struct LocalEngine {
    pool: Arc<Pool<PoolFile>>,
    reaper: mpsc::Sender<Reaped>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl LocalEngine {
    /// Opens the pool in `directory`, an existing directory; makes an empty one where there is
    /// none.
    /// `pool.dat` has mode 0600.
    ///
    /// # Errors
    /// [`EngineError::Stopped`] where the file can not be opened, read or written, or another
    /// engine has it open; [`EngineError::Corrupt`] where something is missing that was durable;
    /// [`EngineError::NoSpace`] where there is no space for the first segment.
    pub fn open(directory: &Path, options: Options) -> Result<Self, EngineError> {
        let file = PoolFile::open(directory, options.keep_free_bytes)
            .map_err(|error| cannot_open(directory, &error))?;
        let mut pool_id = [0; 16];
        getrandom::fill(&mut pool_id)
            .map_err(|error| EngineError::Stopped(format!("no random pool id: {error}")))?;
        let (reaper, trash) = mpsc::channel();
        let reserve_segments = options.reserve_bytes.div_ceil(SEGMENT_BYTES).max(2) as usize;
        let setup = Setup {
            pool_id,
            geometry: Geometry { segment_blocks: SEGMENT_BLOCKS },
            warm_segments: options.warm_segments + reserve_segments,
            reserve_segments,
            max_bytes: options.max_pool_bytes,
            cache_bytes: options.cache_bytes,
            checkpoint_when: CheckpointWhen {
                log_bytes: options.checkpoint_log_bytes,
                memtable_bytes: options.checkpoint_memory_bytes,
                after: options.checkpoint_interval,
            },
            walk_pages: WALK_PAGES,
            reaper: Some(reaper.clone()),
            planted: Planted::default(),
        };
        let engine =
            Self { pool: Arc::new(Pool::open(file, setup)?), reaper, threads: Mutex::default() };
        engine.start(trash, options.scrub_bytes_per_second)?;
        Ok(engine)
    }

    fn start(&self, trash: mpsc::Receiver<Reaped>, scrub: u64) -> Result<(), EngineError> {
        let [syncs, stock, checkpoints, scrubs, reaps] =
            std::array::from_fn(|_| Arc::clone(&self.pool));
        self.spawn("ebb-sync", move || syncs.run_syncs())?;
        self.spawn("ebb-segments", move || stock.run_stock())?;
        self.spawn("ebb-checkpoint", move || checkpoints.run_checkpoints())?;
        if scrub > 0 {
            self.spawn("ebb-scrub", move || scrubs.run_scrub(scrub))?;
        }
        self.spawn("ebb-reaper", move || {
            // Dropping pages is never urgent, and those who serve guests need the cores: of two
            // that want the same one it gets a tenth. Where it is not allowed it runs like any
            // other.
            let _ = rustix::process::setpriority_process(None, 10);
            while let Ok(Reaped::Trash(trash, bytes)) = trash.recv() {
                drop(trash);
                reaps.is_free(bytes);
            }
        })
    }

    fn spawn(&self, name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), EngineError> {
        let builder = thread::Builder::new().name(name.into());
        let thread = builder
            .spawn(run)
            .map_err(|error| EngineError::Stopped(format!("no thread: {error}")))?;
        self.threads().push(thread);
        Ok(())
    }

    fn threads(&self) -> std::sync::MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes and syncs so far.
    pub fn stats(&self) -> Stats {
        let counters = &self.pool.counters;
        Stats {
            log_writes: counters.log_writes.load(Relaxed),
            log_bytes: counters.log_bytes.load(Relaxed),
            log_syncs: counters.log_syncs.load(Relaxed),
            segments_made: counters.segments_made.load(Relaxed),
            checkpoints: counters.checkpoints.load(Relaxed),
            pages_written: counters.pages_written.load(Relaxed),
            pages_read: counters.pages_read.load(Relaxed),
            blocks_packed: counters.blocks_packed.load(Relaxed),
            extents_punched: counters.extents_punched.load(Relaxed),
            blocks_scrubbed: counters.blocks_scrubbed.load(Relaxed),
            blocks_damaged: counters.blocks_damaged.load(Relaxed),
        }
    }
}

impl Engine for LocalEngine {
    fn create_volume(
        &self,
        op: OpId,
        volume: VolumeId,
        size_bytes: u64,
        key: Option<&DataKey>,
    ) -> Result<(), EngineError> {
        let key_check = key.map(|key| Cipher::new(key).check());
        self.pool.change(op, Change::CreateVolume { volume, size_bytes, key_check })
    }

    fn fork(
        &self,
        op: OpId,
        source: SnapshotId,
        volume: VolumeId,
        size_bytes: u64,
    ) -> Result<(), EngineError> {
        let change = Change::Fork { source, volume, size_bytes };
        self.pool.change(op, change)
    }

    fn create_snapshots(
        &self,
        op: OpId,
        pairs: &[(VolumeId, SnapshotId)],
    ) -> Result<(), EngineError> {
        let pairs = pairs.to_vec();
        self.pool.change(op, Change::CreateSnapshots { pairs })
    }

    fn reset(&self, op: OpId, volume: VolumeId, target: SnapshotId) -> Result<(), EngineError> {
        self.pool.change(op, Change::Reset { volume, target })
    }

    fn grow(&self, op: OpId, volume: VolumeId, size_bytes: u64) -> Result<(), EngineError> {
        self.pool.change(op, Change::Grow { volume, size_bytes })
    }

    fn delete_volume(&self, op: OpId, volume: VolumeId) -> Result<(), EngineError> {
        self.pool.change(op, Change::DeleteVolume { volume })
    }

    fn delete_snapshot(&self, op: OpId, snapshot: SnapshotId) -> Result<(), EngineError> {
        self.pool.change(op, Change::DeleteSnapshot { snapshot })
    }

    fn open(
        &self,
        volume: VolumeId,
        key: Option<&DataKey>,
    ) -> Result<Arc<dyn Volume>, EngineError> {
        let cipher = key.map(|key| Arc::new(Cipher::new(key)));
        let opened = self.pool.open_handle(volume, cipher)?;
        Ok(Arc::new(Handle::new(&self.pool, opened)))
    }

    fn revoke(&self, volume: VolumeId) -> Result<(), EngineError> {
        self.pool.revoke(volume)
    }

    fn stored_bytes(&self, snapshots: &[SnapshotId]) -> Result<u64, EngineError> {
        self.pool.stored_bytes(snapshots)
    }

    fn inventory(&self) -> Result<Inventory, EngineError> {
        self.pool.inventory()
    }

    fn health(&self) -> Result<(), EngineError> {
        self.pool.health()
    }

    fn close(&self) -> Result<(), EngineError> {
        self.pool.close()
    }
}

impl Drop for LocalEngine {
    fn drop(&mut self) {
        // Handles may live longer; they find the pool stopped.
        self.pool.stop("it was dropped");
        // Fails only where the reaper has gone already.
        let _ = self.reaper.send(Reaped::Nothing);
        for thread in self.threads().drain(..) {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}

fn cannot_open(directory: &Path, error: &io::Error) -> EngineError {
    let path = directory.join("pool.dat");
    EngineError::Stopped(format!("{}: {error}", path.display()))
}
