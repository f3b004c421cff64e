//! Scrubbing: reading everything that is stored, and comparing it with its checksums, before
//! somebody needs it.
//!
//! ```text
//!   version by version, the oldest first:   its pages, and the blocks in them, that it owns
//! ```
//! What a version does not own is older, and was compared with the version that does. So a pass
//! reads each page and block once, whatever shares it. It is done in small pieces, and each looks
//! at the maps as they are then: nothing waits for a pass. What is written behind its back is for
//! the next one.
//!
//! Of encrypted volumes too: a checksum is that of the bytes in the file.
//!
//! Deliberately not here: repair. There is one copy; what is damaged is told, and reads of it fail.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{PoisonError, TryLockError};
use std::time::{Duration, Instant};

use ebb_volume::{BLOCK_BYTES, IoError};

use super::Pool;
use crate::catalog::VersionId;
use crate::catalog::drops::{Target, owns};
use crate::layout::{Address, BLOCK, crc32c};
use crate::map::page::{Block, Identity, PageRef, child, stored};
use crate::map::{HEIGHT, Stored, WAYS, span};
use crate::storage::Storage;

/// Pages and blocks of one piece.
const AT_ONCE: u64 = 256;
/// A pass begins so long after the one before did, or when that has ended.
const PASS_EVERY: Duration = Duration::from_secs(24 * 60 * 60);
/// Progress is told at most so often.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// A pass under way.
#[derive(Debug, Default)]
pub(crate) struct Scrub {
    /// The version that it has come to, and the next place in its map.
    at: Option<(VersionId, u64)>,
    pub(crate) compared: u64,
    pub(crate) damaged: u64,
}

/// One piece of a pass.
struct Piece<'a, S> {
    pool: &'a Pool<S>,
    scrub: &'a mut Scrub,
    target: &'a Target,
    next: u64,
    left: u64,
}

impl<S: Storage> Pool<S> {
    /// Compares some more. True: the pass has come to its end.
    pub(crate) fn scrub_step(&self, scrub: &mut Scrub) -> bool {
        // Before the maps are looked at: what they lead to stays until this is dropped.
        let _reading = self.readers.enter();
        let (from, next) = match scrub.at {
            Some((version, next)) => (Some(version), next),
            None => (None, 0),
        };
        let Some(target) = self.lock().catalog.target(from) else {
            return true;
        };
        let next = if from == Some(target.version) { next } else { 0 };
        let mut piece = Piece { pool: self, scrub, target: &target, next, left: AT_ONCE };
        let through = piece.run();
        let next = piece.next;
        scrub.at = match through {
            true => Some((target.version.next(), 0)),
            false => Some((target.version, next)),
        };
        false
    }

    /// The scrubbing thread: until the pool stops.
    pub(crate) fn run_scrub(&self, bytes_per_second: u64) {
        let piece_bytes = AT_ONCE * BLOCK_BYTES;
        let pause = Duration::from_secs_f64(piece_bytes as f64 / bytes_per_second as f64);
        loop {
            let (began, mut told) = (Instant::now(), Instant::now());
            let mut scrub = Scrub::default();
            while !self.scrub_step(&mut scrub) {
                if told.elapsed() >= TELL_EVERY {
                    told = Instant::now();
                    self.tell(&scrub, "goes on");
                }
                if self.pause(pause) {
                    return;
                }
            }
            if scrub.compared > 0 {
                self.tell(&scrub, "has come to the end of a pass");
            }
            if self.pause(PASS_EVERY.saturating_sub(began.elapsed())) {
                return;
            }
        }
    }

    fn tell(&self, scrub: &Scrub, what: &str) {
        tracing::info!(
            compared_bytes = scrub.compared * BLOCK_BYTES,
            damaged_blocks = scrub.damaged,
            "scrubbing {what}"
        );
    }

    /// Of what a ghost owns some is gone. Who reads must not wait for a checkpoint, which at its
    /// end waits for readers: where one is at work, the block is left to the next pass.
    fn is_surely_alive(&self, address: Address) -> bool {
        let checkpointer = match self.checkpointer.try_lock() {
            Ok(checkpointer) => checkpointer,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return false,
        };
        checkpointer.space.is_alive(address)
    }

    /// True: the pool has stopped meanwhile.
    fn pause(&self, length: Duration) -> bool {
        let stopped = |state: &mut super::State| state.stopped.is_none();
        let waited = self.scrub_paused.wait_timeout_while(self.lock(), length, stopped);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.stopped.is_some()
    }
}

impl<S: Storage> Piece<'_, S> {
    /// True: the version is through.
    fn run(&mut self) -> bool {
        let Some(root) = self.target.root else { return true };
        let (pool_id, lineage) = (self.pool.pool_id, self.target.lineage);
        self.page(root, Identity { pool_id, lineage, level: HEIGHT, index: 0 })
    }

    /// True: all under the page is through.
    fn page(&mut self, page: PageRef, identity: Identity) -> bool {
        if !owns(self.target.limit, page.birth) {
            return true;
        }
        if self.left == 0 {
            self.next = self.next.max(identity.first());
            return false;
        }
        self.left -= 1;
        self.count();
        let block = match self.load(page, identity) {
            Ok(block) => block,
            Err(error) => {
                // What is under it can not be found; the reason was logged when it was read.
                self.damaged(identity.first(), &format!("a page is not readable: {error}"));
                return true;
            }
        };
        if identity.level == 0 {
            self.leaf(&block, identity.first());
            return true;
        }
        let (first, span) = (identity.first(), span(identity.level));
        (0..WAYS).all(|i| {
            let done = first + (i as u64 + 1) * span <= self.next;
            let below = child(&block, i).filter(|_| !done);
            below.is_none_or(|below| self.page(below, identity.child(i)))
        })
    }

    /// From the disk, not from a cache.
    fn load(&self, page: PageRef, identity: Identity) -> Result<Arc<Block>, IoError> {
        if let Some(offset) = self.pool.segments.offset(self.pool.geometry, page.address) {
            self.pool.storage.forget_range(offset, BLOCK_BYTES).map_err(|_| IoError::Failed)?;
        }
        Ok(Arc::new(self.pool.read_page(page, identity)?))
    }

    fn leaf(&mut self, block: &Block, first: u64) {
        for i in 0..WAYS {
            let found = stored(block, i).filter(|found| owns(self.target.limit, found.birth));
            if let Some(found) = found {
                self.left = self.left.saturating_sub(1);
                self.block(first + i as u64, found);
            }
        }
    }

    fn block(&mut self, place: u64, found: Stored) {
        if self.target.is_ghost && !self.pool.is_surely_alive(found.address) {
            return;
        }
        self.count();
        let segment = found.address.segment_id();
        let Some(offset) = self.pool.segments.offset(self.pool.geometry, found.address) else {
            return self.damaged(place, &format!("segment {segment} is not known"));
        };
        let mut bytes = [0; BLOCK];
        let storage = &self.pool.storage;
        let read = storage.forget_range(offset, BLOCK_BYTES);
        match read.and_then(|()| storage.read_at(offset, &mut bytes)) {
            Ok(()) if crc32c(&bytes) == found.crc => {}
            Ok(()) => {
                let whence = format!("segment {segment}, block {}", found.address.block());
                self.damaged(place, &format!("it does not match its checksum: {whence}"));
            }
            Err(error) => self.damaged(place, &format!("reading segment {segment}: {error}")),
        }
    }

    fn count(&mut self) {
        self.scrub.compared += 1;
        self.pool.counters.blocks_scrubbed.fetch_add(1, Relaxed);
    }

    fn damaged(&mut self, place: u64, why: &str) {
        self.scrub.damaged += 1;
        self.pool.counters.blocks_damaged.fetch_add(1, Relaxed);
        let (whose, byte) = (&self.target.name, self.target.places.before(place) * BLOCK_BYTES);
        tracing::error!("scrubbing: {whose}: the block at byte {byte} is damaged: {why}");
    }
}
