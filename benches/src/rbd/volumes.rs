//! Volumes of an engine that is opened here, filled and written to.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use ebb_bench::Failure;
use ebb_rbd::{Options, RbdEngine, ResetMode};
use ebb_volume::{Engine, Io, OpId, SnapshotId, Volume, VolumeId, run};

pub(crate) const POOL: &str = "rbd";

pub(crate) const OBJECT: u64 = 4 << 20;
const BLOCK: u64 = 4096;

/// Requests at a time.
const DEPTH: u64 = 16;

/// One of this run's own.
pub(crate) fn namespace() -> String {
    format!("bench-{}", std::process::id())
}

/// An engine on the cluster.
pub(crate) fn open(conf: &Path, reset: ResetMode, flatten: u32) -> Result<RbdEngine, Failure> {
    let (pool, namespace, user) = (POOL.into(), namespace(), "admin".into());
    let conf = conf.to_owned();
    let options = Options { conf, pool, namespace, user, reset, flatten_rate: flatten };
    Ok(RbdEngine::open(&options)?)
}

/// One that was never used.
pub(crate) fn op() -> OpId {
    OpId(u128::from(next()).to_be_bytes())
}

/// A number that was never used.
pub(crate) fn next() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(1);
    LAST.fetch_add(1, Relaxed)
}

/// A volume with a block in each of its objects, a snapshot of that, and other blocks there since.
pub(crate) fn prepared(
    engine: &RbdEngine,
    size_bytes: u64,
) -> Result<(VolumeId, SnapshotId), Failure> {
    let (volume, snapshot) = (VolumeId(next()), SnapshotId(next()));
    engine.create_volume(op(), volume, size_bytes, None)?;
    fill(engine, volume, size_bytes, 1)?;
    engine.create_snapshots(op(), &[(volume, snapshot)])?;
    fill(engine, volume, size_bytes, 2)?;
    Ok((volume, snapshot))
}

fn fill(engine: &RbdEngine, volume: VolumeId, size_bytes: u64, byte: u8) -> Result<(), Failure> {
    let handle = engine.open(volume, None)?;
    let object = AtomicU64::new(0);
    at_once(&*handle, &|_| {
        let next = object.fetch_add(1, Relaxed);
        (next < size_bytes / OBJECT).then_some((next * OBJECT, byte))
    })?;
    Ok(engine.revoke(volume)?)
}

/// Random blocks of 4 KiB, 16 at a time, for some time: how many a second, in each of `windows`.
pub(crate) fn random_writes(
    engine: &RbdEngine,
    volume: VolumeId,
    window: Duration,
    windows: usize,
) -> Result<Vec<f64>, Failure> {
    let handle = engine.open(volume, None)?;
    let blocks = handle.size_bytes() / BLOCK;
    let counts: Vec<AtomicU64> = (0..windows).map(|_| AtomicU64::new(0)).collect();
    let begun = Instant::now();
    // One answer late belongs to the window in which it came.
    let at = || (begun.elapsed().as_nanos() / window.as_nanos()) as usize;
    let state = AtomicU64::new(0x9e37_79b9_7f4a_7c15);
    at_once(&*handle, &|answered| {
        if answered && let Some(count) = counts.get(at()) {
            count.fetch_add(1, Relaxed);
        }
        // A Weyl sequence, mixed: it is random enough, and the same in each run.
        let mut word = state.fetch_add(0x9e37_79b9_7f4a_7c15, Relaxed);
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (at() < windows).then_some(((word ^ (word >> 27)) % blocks * BLOCK, word as u8 | 1))
    })?;
    engine.revoke(volume)?;
    let of = |count: AtomicU64| count.into_inner() as f64 / window.as_secs_f64();
    Ok(counts.into_iter().map(of).collect())
}

/// What is written next: where, and which byte. Told whether the one before was answered.
type Next<'a> = dyn Fn(bool) -> Option<(u64, u8)> + Sync + 'a;

fn at_once(handle: &dyn Volume, next: &Next<'_>) -> Result<(), Failure> {
    let one = || -> Result<(), Failure> {
        let mut answered = false;
        while let Some((offset, byte)) = next(answered) {
            let data = vec![byte; BLOCK as usize].into();
            run(handle, Io::Write { offset, data, fua: false })?;
            answered = true;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..DEPTH).map(|_| scope.spawn(one)).collect();
        threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(outcome) => outcome,
            Err(_) => Err("a thread ended in a panic".into()),
        })
    })
}
