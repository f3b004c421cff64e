//! Opening a pool: recovery, then a generation of its own.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Condvar, Mutex, mpsc};

use ebb_volume::EngineError;

use super::checkpoint::{CheckpointWhen, Checkpointer};
use super::{Counters, Pool, Reaped, State};
use crate::cache::Cache;
use crate::layout::{Geometry, Link, Segment};
use crate::log::Log;
use crate::planted::{Bug, Planted};
use crate::readers::Readers;
use crate::record::{Entry, Header, Place};
use crate::recovery::{Recovered, recover};
use crate::segments::Class;
use crate::session::Sessions;
use crate::stock::{IDS_AT_ONCE, Limits, Stock};
use crate::storage::{Growth, Storage};
use crate::superblock::Superblock;

/// How a pool is to be opened.
pub(crate) struct Setup {
    /// For a pool that is not there yet.
    pub(crate) pool_id: [u8; 16],
    pub(crate) geometry: Geometry,
    pub(crate) warm_segments: usize,
    /// Ready segments that guests leave.
    pub(crate) reserve_segments: usize,
    pub(crate) max_bytes: Option<u64>,
    /// For pages of maps in memory.
    pub(crate) cache_bytes: u64,
    pub(crate) checkpoint_when: CheckpointWhen,
    /// Pages that the walks of one checkpoint look at. A walk of a few needs ten to get ahead.
    pub(crate) walk_pages: u64,
    /// Where cut off pages go. None: no threads, the caller takes every step.
    pub(crate) reaper: Option<mpsc::Sender<Reaped>>,
    pub(crate) planted: Planted,
}

#[cfg(test)]
impl Setup {
    /// A small pool that does nothing by itself: no threads, and no checkpoint is ever due.
    pub(crate) fn by_hand(segment_blocks: u32) -> Self {
        let never = CheckpointWhen {
            log_bytes: u64::MAX,
            memtable_bytes: u64::MAX,
            after: std::time::Duration::MAX,
        };
        Self {
            pool_id: [1; 16],
            geometry: Geometry { segment_blocks },
            warm_segments: 2,
            reserve_segments: 0,
            max_bytes: None,
            cache_bytes: 1 << 20,
            checkpoint_when: never,
            walk_pages: 1000,
            reaper: None,
            planted: Planted::default(),
        }
    }
}

impl<S: Storage> Pool<S> {
    /// Opens the pool in `storage`; makes one where it has never held any.
    ///
    /// When it returns, everything it recovered is durable, and so is the start of the generation
    /// in which it goes on: nothing that is written from here on can be taken for a part of the old
    /// one.
    pub(crate) fn open(storage: S, setup: Setup) -> Result<Self, EngineError> {
        storage.forget_cached().map_err(unreadable)?;
        let planted = setup.planted;
        let old = match Superblock::read(&storage)? {
            Some(found) => found,
            None => format(&storage, &setup)?,
        };
        let geometry = old.geometry;
        let mut recovered = recover(&storage, &old, planted)?;
        // What it says is free is written over from here on.
        if !planted.has(Bug::SlotsNotSettled) {
            old.settle(&storage, planted)?;
        }
        let (mut stock, named) = stock(&storage, &setup, &old, &recovered)?;
        let first = stock.plan().ok_or_else(no_ids)?;
        stock.plan_line();
        let next = *stock.line.front().ok_or_else(no_ids)?;

        if stock.must_write(first.extent) {
            // Synced below, before the superblock says that it is written.
            let growth = Growth::InNeed;
            let (most, extent) = (setup.max_bytes, first.extent);
            super::steps::make_extent(&storage, geometry, most, growth, extent, false)?;
            stock.was_written(first.extent);
        }
        let log_gen = old.log_gen + u64::from(!planted.has(Bug::SameLogGeneration));
        let start = start_record(&old, &recovered, log_gen, first, next);
        let (block, crc) = start.encode();
        let offset = geometry.offset(first.extent, 0);
        storage.write_at(offset, &[&block]).map_err(unwritable)?;
        // Makes the start durable, before the superblock below says so.
        if !(planted.has(Bug::StartNotSynced) || planted.has(Bug::RecoveryNotSynced)) {
            storage.sync().map_err(unwritable)?;
        }
        let superblock = Superblock {
            log_gen,
            start: Some(first),
            generation: old.generation + 1,
            segment_id_limit: stock.limits.segment_id,
            written_extents: stock.limits.written_extents,
            ..old
        };
        superblock.write(&storage, planted)?;

        let segments = std::mem::take(&mut recovered.segments);
        let space = std::mem::take(&mut recovered.space);
        segments.insert(first, Class::Log);
        // From now on nobody looks in them for what the old log named.
        let (cold, free) = named.into_iter().partition(|extent| recovered.cold.contains(extent));
        stock.give_back(free, &cold);
        let checkpointer = Checkpointer::new(space, &stock.cold);
        let last = Link { seq: start.place.seq, crc };
        let log = Log {
            geometry,
            pool_id: superblock.pool_id,
            log_gen,
            segment: first,
            block: 1,
            next,
            last,
        };
        Ok(Self {
            storage,
            geometry,
            max_bytes: setup.max_bytes,
            checkpoint_when: setup.checkpoint_when,
            walk_pages: setup.walk_pages,
            planted,
            pool_id: superblock.pool_id,
            state: Mutex::new(state(recovered, stock, log, planted)),
            superblock: Mutex::new(superblock),
            segments,
            cache: Mutex::new(Cache::new(setup.cache_bytes)),
            checkpointer: Mutex::new(checkpointer),
            readers: Readers::default(),
            control: Mutex::default(),
            released: Condvar::new(),
            sync_wanted: Condvar::new(),
            segment_wanted: Condvar::new(),
            checkpoint_wanted: Condvar::new(),
            scrub_paused: Condvar::new(),
            reaper: setup.reaper.map(Mutex::new),
            counters: Counters::default(),
        })
    }
}

fn format(storage: &impl Storage, setup: &Setup) -> Result<Superblock, EngineError> {
    let superblock = Superblock {
        pool_id: setup.pool_id,
        generation: 1,
        log_gen: 0,
        start: None,
        segment_id_limit: 0,
        written_extents: 0,
        geometry: setup.geometry,
        checkpoint: None,
    };
    superblock.write(storage, setup.planted)?;
    Ok(superblock)
}

/// The segments to go on in, and the extents that the log named and holds nothing of itself in.
/// Ids begin at the old limit: whatever a lost tail used lies below it.
fn stock(
    storage: &impl Storage,
    setup: &Setup,
    old: &Superblock,
    recovered: &Recovered,
) -> Result<(Stock, BTreeSet<u64>), EngineError> {
    let end = old.geometry.extents_in(storage.len().map_err(unreadable)?);
    let mut used = recovered.used_extents.clone();
    // A segment that was only named holds nothing, and must be written before those behind it.
    used.retain(|extent| *extent < old.written_extents);
    if setup.planted.has(Bug::ReuseCutSegment)
        && let Some(tail) = recovered.tail
    {
        used.remove(&tail.extent);
    }
    let (cold, free): (BTreeSet<u64>, BTreeSet<u64>) = (0..end)
        .filter(|extent| !used.contains(extent))
        .partition(|extent| recovered.cold.contains(extent));
    let named = used.difference(&recovered.segments.extents()).copied().collect();
    let next_id = match setup.planted.has(Bug::SegmentIdsReused) {
        true => recovered.segments.last_id().map_or(0, |id| id + 1),
        false => old.segment_id_limit,
    };
    let segment_id = next_id + IDS_AT_ONCE;
    let stock = Stock {
        line: VecDeque::new(),
        ready: 0,
        warm: setup.warm_segments,
        reserve: setup.reserve_segments,
        next_id,
        limits: Limits { segment_id, written_extents: old.written_extents },
        free,
        cold,
        cold_in_line: BTreeSet::new(),
        punching: None,
        end,
        taken: 0,
        promised: 0,
        making: false,
        was_used: false,
        syncs: 0,
        full: false,
        waited_for: None,
        hopeless: None,
        in_need: false,
    };
    Ok((stock, named))
}

fn start_record(
    old: &Superblock,
    recovered: &Recovered,
    log_gen: u64,
    first: Segment,
    next: Segment,
) -> Header {
    Header {
        place: Place {
            pool_id: old.pool_id,
            log_gen,
            seq: recovered.last.seq + 1,
            prev_crc: recovered.last.crc,
            segment_id: first.id,
            block: 0,
        },
        epoch: recovered.catalog.epoch(),
        durable_seq: recovered.last.seq,
        next,
        entries: vec![Entry::Start(old.start)],
        data_crcs: Vec::new(),
        tags: Vec::new(),
    }
}

fn state(recovered: Recovered, stock: Stock, log: Log, planted: Planted) -> State {
    State {
        catalog: recovered.catalog,
        sessions: Sessions::new(planted),
        written: log.end(),
        durable_seq: log.last.seq,
        log,
        changes: VecDeque::new(),
        queue: VecDeque::new(),
        writing: false,
        sync_waiters: Vec::new(),
        syncing: false,
        unsynced_bytes: 0,
        // What was replayed now would be replayed again.
        uncheckpointed_bytes: recovered.replayed_bytes,
        tail_bytes: recovered.replayed_bytes,
        frozen_bytes: 0,
        checkpointing: false,
        checkpoint_asked: false,
        no_checkpoints: false,
        // A crash may have come before what was free was known to be.
        work_left: true,
        stock,
        closing: false,
        give_up_at: None,
        stopped: None,
    }
}

fn unreadable(error: std::io::Error) -> EngineError {
    EngineError::Stopped(format!("reading pool.dat: {error}"))
}

fn unwritable(error: std::io::Error) -> EngineError {
    EngineError::Stopped(format!("writing pool.dat: {error}"))
}

fn no_ids() -> EngineError {
    EngineError::Stopped("segment ids are used up".into())
}
