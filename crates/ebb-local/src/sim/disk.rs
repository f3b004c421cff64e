//! A disk in memory that keeps only what was synced, and not always what it was told.
//!
//! Sectors are 512 bytes. Each has what is durable, and each version written since the last sync: a
//! crash leaves any one of them, for each sector on its own. So writes are lost, torn and
//! reordered.

mod image;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use self::image::{Image, SECTOR, Sector};
use super::Random;
use crate::layout::{BLOCK, crc32c};
use crate::storage::{Growth, Storage};

/// What is left of the unsynced sectors after a crash.
#[derive(Debug, Clone, Copy)]
pub(super) enum Loss {
    All,
    /// Each sector keeps any of its versions.
    Some,
    /// One sector goes back to what is durable, the others are kept.
    One,
    /// The process ended and the machine did not: the cache stays, unsynced.
    None,
}

#[derive(Clone, Default)]
struct Inner {
    /// What a read finds.
    cached: Image,
    durable: Image,
    /// Versions written since the last sync. None where it failed: then the cache lies.
    unsynced: BTreeMap<u64, Vec<Sector>>,
    length: u64,
    /// Operations until the power fails. None: it stays.
    fuse: Option<u64>,
    dead: bool,
    capacity: Option<u64>,
    fail_next_sync: bool,
    fail_next_write: bool,
    fail_next_read: bool,
    lose_next_write: bool,
    misdirect_next_write: Option<i64>,
    /// Writes that were lost: what they should have written, and what is there instead.
    strays: Vec<Stray>,
    short: Option<Random>,
    trace: u32,
    asked: u64,
    writes: u64,
    syncs: u64,
}

/// A write that was lost or went elsewhere.
#[derive(Clone)]
struct Stray {
    offset: u64,
    bytes: Vec<u8>,
    /// Where it went, and what was there.
    over: Option<(u64, Vec<u8>)>,
}

type Hook = Box<dyn FnOnce() + Send>;

/// One disk, held by the pool and by the world.
#[derive(Clone, Default)]
pub(super) struct SimDisk {
    inner: Arc<Mutex<Inner>>,
    before_punch: Arc<Mutex<Option<Hook>>>,
}

fn error(message: &str) -> io::Error {
    io::Error::other(message.to_owned())
}

impl Inner {
    /// Counts an operation; after the last one before a crash every other fails.
    fn live(&mut self) -> io::Result<()> {
        self.asked += 1;
        if let Some(left) = &mut self.fuse {
            match left.checked_sub(1) {
                Some(less) => *left = less,
                None => self.dead = true,
            }
        }
        match self.dead {
            true => Err(error("the power has failed")),
            false => Ok(()),
        }
    }

    fn note(&mut self, what: &[u64]) {
        let mut bytes = self.trace.to_le_bytes().to_vec();
        what.iter().for_each(|n| bytes.extend(n.to_le_bytes()));
        self.trace = crc32c(&bytes);
    }

    /// Undoes a write of whole sectors since which none was synced.
    fn take_back(&mut self, offset: u64, before: &[u8]) {
        for (number, sector) in (offset / SECTOR as u64..).zip(before.as_chunks().0) {
            *self.cached.sector_mut(number) = *sector;
            if let Some(versions) = self.unsynced.get_mut(&number) {
                versions.pop();
                if versions.is_empty() {
                    self.unsynced.remove(&number);
                }
            }
        }
    }

    /// What has no space yet is zero from now on; until a sync a crash may take it back.
    fn take_space(&mut self, offset: u64, length: u64) {
        for number in offset / SECTOR as u64..(offset + length) / SECTOR as u64 {
            if self.cached.sector(number).is_none() {
                let zero = *self.cached.sector_mut(number);
                self.unsynced.entry(number).or_default().push(zero);
            }
        }
    }

    fn write_sectors(&mut self, offset: u64, bytes: &[u8]) {
        let mut at = 0;
        while at < bytes.len() {
            let position = offset + at as u64;
            let (number, within) = (position / SECTOR as u64, position as usize % SECTOR);
            let length = (SECTOR - within).min(bytes.len() - at);
            let sector = self.cached.sector_mut(number);
            sector[within..within + length].copy_from_slice(&bytes[at..at + length]);
            let version = *sector;
            self.unsynced.entry(number).or_default().push(version);
            at += length;
        }
        self.length = self.length.max(offset + bytes.len() as u64);
    }
}

impl SimDisk {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// The power fails `after` so many operations.
    pub(super) fn set_fuse(&self, after: u64) {
        self.inner().fuse = Some(after);
    }

    pub(super) fn set_capacity(&self, bytes: Option<u64>) {
        self.inner().capacity = bytes;
    }

    /// Writes and reads are cut short at random from now on.
    pub(super) fn set_short(&self, random: Random) {
        self.inner().short = Some(random);
    }

    pub(super) fn fail_next_sync(&self) {
        self.inner().fail_next_sync = true;
    }

    pub(super) fn fail_next_write(&self) {
        self.inner().fail_next_write = true;
    }

    pub(super) fn fail_next_read(&self, fail: bool) {
        self.inner().fail_next_read = fail;
    }

    pub(super) fn lose_next_write(&self) {
        self.inner().lose_next_write = true;
    }

    pub(super) fn misdirect_next_write(&self, by: i64) {
        self.inner().misdirect_next_write = Some(by);
    }

    /// What another thread does once a punch is asked for and before it is done.
    pub(super) fn before_next_punch(&self, hook: Hook) {
        *self.before_punch.lock().unwrap() = Some(hook);
    }

    /// Does what was not done where writes were lost, and undoes what was done elsewhere.
    pub(super) fn mend(&self) {
        let mut inner = self.inner();
        inner.lose_next_write = false;
        inner.misdirect_next_write = None;
        for Stray { offset, bytes, over } in std::mem::take(&mut inner.strays).into_iter().rev() {
            if let Some((at, before)) = over {
                inner.take_back(at, &before);
            }
            inner.write_sectors(offset, &bytes);
        }
    }

    /// Flips a bit, in the cache and below it.
    pub(super) fn flip(&self, offset: u64, bit: u32) {
        let mut inner = self.inner();
        let (number, within) = (offset / SECTOR as u64, offset as usize % SECTOR);
        let Inner { cached, durable, .. } = &mut *inner;
        for image in [cached, durable] {
            if image.sector(number).is_some() {
                image.sector_mut(number)[within] ^= 1 << bit;
            }
        }
    }

    /// A block as it is read.
    pub(super) fn block(&self, offset: u64) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        self.inner().cached.read(offset, &mut block);
        block
    }

    /// Puts another block in the place of one, in the cache and below it.
    pub(super) fn replace(&self, offset: u64, block: &[u8; BLOCK]) {
        let mut inner = self.inner();
        let Inner { cached, durable, .. } = &mut *inner;
        for (number, sector) in (offset / SECTOR as u64..).zip(block.chunks_exact(SECTOR)) {
            for image in [&mut *cached, &mut *durable] {
                if image.sector(number).is_some() {
                    image.sector_mut(number).copy_from_slice(sector);
                }
            }
        }
    }

    /// Ends the process, and the machine unless `loss` is [`Loss::None`]. The disk then serves
    /// again.
    pub(super) fn crash(&self, random: &mut Random, loss: Loss) {
        let unsynced: Vec<u64> = self.inner().unsynced.keys().copied().collect();
        if !matches!(loss, Loss::None) {
            let spared = random.pick(&unsynced).copied();
            self.lose_power(|number, versions| match loss {
                Loss::All | Loss::None => None,
                Loss::Some => {
                    let version = random.below(versions.len() as u64 + 1) as usize;
                    version.checked_sub(1).map(|v| versions[v])
                }
                Loss::One if Some(number) == spared => None,
                Loss::One => versions.last().copied(),
            });
        }
        self.serve_again();
    }

    /// The power fails and comes back: of each unsynced sector there is what `left` says, of its
    /// versions or else what is durable.
    pub(super) fn lose_power(&self, mut left: impl FnMut(u64, &[Sector]) -> Option<Sector>) {
        let mut inner = self.inner();
        let Inner { cached, durable, unsynced, .. } = &mut *inner;
        for (number, versions) in std::mem::take(unsynced) {
            if let Some(sector) = left(number, &versions) {
                *durable.sector_mut(number) = sector;
            }
        }
        *cached = durable.clone();
        drop(inner);
        self.serve_again();
    }

    /// After the process ended; the cache stays.
    pub(super) fn serve_again(&self) {
        let mut inner = self.inner();
        inner.fuse = None;
        inner.dead = false;
        inner.fail_next_sync = false;
        inner.fail_next_write = false;
        inner.fail_next_read = false;
        inner.lose_next_write = false;
        inner.misdirect_next_write = None;
    }

    /// Writes and syncs that were asked for so far, also those that a dead disk refused.
    pub(super) fn asked(&self) -> u64 {
        self.inner().asked
    }

    /// Another disk with the same on it.
    pub(super) fn fork(&self) -> Self {
        Self { inner: Arc::new(Mutex::new(self.inner().clone())), ..Self::default() }
    }

    /// The sectors that a crash may leave in more than one way, in their order.
    pub(super) fn at_stake(&self) -> Vec<u64> {
        let inner = self.inner();
        let zero = [0; SECTOR];
        let differs = |(number, versions): (&u64, &Vec<Sector>)| {
            let durable = inner.durable.sector(*number).unwrap_or(&zero);
            versions.iter().any(|version| version != durable).then_some(*number)
        };
        inner.unsynced.iter().filter_map(differs).collect()
    }

    /// Whether every sector of a range has space of its own.
    pub(super) fn has_space(&self, begin: u64, end: u64) -> bool {
        let (first, end) = (begin / SECTOR as u64, end / SECTOR as u64);
        let inner = self.inner();
        (first..end).all(|number| inner.cached.sector(number).is_some())
    }

    pub(super) fn is_dead(&self) -> bool {
        self.inner().dead
    }

    /// A digest of every operation so far.
    pub(super) fn trace(&self) -> u32 {
        self.inner().trace
    }

    /// Writes and syncs so far.
    pub(super) fn counts(&self) -> (u64, u64) {
        let inner = self.inner();
        (inner.writes, inner.syncs)
    }
}

impl Storage for SimDisk {
    fn read_some(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut inner = self.inner();
        if inner.dead {
            return Err(error("the power has failed"));
        }
        if std::mem::take(&mut inner.fail_next_read) {
            return Err(error("a bad sector"));
        }
        let there = inner.length.saturating_sub(offset).min(into.len() as u64) as usize;
        let short = inner.short.as_mut().filter(|_| there > 1);
        let length = match short.map(|random| (random.one_in(4), random)) {
            Some((true, random)) => 1 + random.below(there as u64 - 1) as usize,
            _ => there,
        };
        inner.cached.read(offset, &mut into[..length]);
        Ok(length)
    }

    /// A third of all blocks is never in the host's cache.
    fn read_cached(&self, offset: u64, into: &mut [u8]) -> io::Result<bool> {
        if (offset / BLOCK as u64).is_multiple_of(3) {
            into.fill(0xee);
            return Ok(false);
        }
        self.read_at(offset, into).map(|()| true)
    }

    fn write_some(&self, offset: u64, parts: &[&[u8]]) -> io::Result<usize> {
        let mut inner = self.inner();
        let dying = inner.fuse == Some(0) && !inner.dead;
        let alive = inner.live();
        let mut bytes = parts.concat();
        if dying {
            // The last write may get in part of the way.
            let sectors = (bytes.len() / SECTOR) as u64;
            bytes.truncate(((offset ^ sectors) % (sectors + 1)) as usize * SECTOR);
            inner.write_sectors(offset, &bytes);
        }
        alive?;
        if std::mem::take(&mut inner.fail_next_write) {
            return Err(error("a failed write"));
        }
        if inner.capacity.is_some_and(|c| offset + bytes.len() as u64 > c) {
            return Err(rustix::io::Errno::NOSPC.into());
        }
        let is_lost = inner.lose_next_write || inner.misdirect_next_write.is_some();
        if !is_lost
            && let Some(random) = &mut inner.short
            && bytes.len() > SECTOR
            && random.one_in(4)
        {
            bytes.truncate(1 + random.below(bytes.len() as u64 - 1) as usize);
        }
        inner.writes += 1;
        let digest = u64::from(crc32c(&bytes));
        inner.note(&[1, offset, bytes.len() as u64, digest]);
        if std::mem::take(&mut inner.lose_next_write) {
            inner.strays.push(Stray { offset, bytes: bytes.clone(), over: None });
            return Ok(bytes.len());
        }
        let mut at = offset;
        if let Some(by) = inner.misdirect_next_write.take() {
            at = offset.wrapping_add_signed(by);
            let mut before = vec![0; bytes.len()];
            inner.cached.read(at, &mut before);
            inner.strays.push(Stray { offset, bytes: bytes.clone(), over: Some((at, before)) });
        }
        inner.write_sectors(at, &bytes);
        Ok(bytes.len())
    }

    fn sync(&self) -> io::Result<()> {
        let mut inner = self.inner();
        inner.live()?;
        inner.syncs += 1;
        inner.note(&[2]);
        let unsynced = std::mem::take(&mut inner.unsynced);
        if std::mem::take(&mut inner.fail_next_sync) {
            // The pages count as clean now, and the disk does not have them.
            return Err(error("a failed sync"));
        }
        let Inner { cached, durable, .. } = &mut *inner;
        for number in unsynced.into_keys() {
            if let Some(sector) = cached.sector(number) {
                *durable.sector_mut(number) = *sector;
            }
        }
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.inner().length)
    }

    /// Also in need there is no more than there is. A third of the disk can not say that it has
    /// space without being written.
    fn allocate(&self, offset: u64, length: u64, _: Growth) -> io::Result<bool> {
        let mut inner = self.inner();
        if inner.capacity.is_some_and(|c| offset + length > c) {
            return Err(rustix::io::Errno::NOSPC.into());
        }
        inner.length = inner.length.max(offset + length);
        let can = !(offset / length).is_multiple_of(3);
        if can {
            inner.note(&[4, offset, length]);
            inner.take_space(offset, length);
        }
        Ok(can)
    }

    fn punch(&self, offset: u64, length: u64) -> io::Result<()> {
        let hook = self.before_punch.lock().unwrap().take();
        hook.into_iter().for_each(|hook| hook());
        let mut inner = self.inner();
        inner.live()?;
        inner.note(&[3, offset, length]);
        let sectors = offset / SECTOR as u64..(offset + length) / SECTOR as u64;
        let Inner { cached, durable, unsynced, .. } = &mut *inner;
        for number in sectors {
            unsynced.remove(&number);
            cached.forget(number);
            durable.forget(number);
        }
        Ok(())
    }

    fn unlock(&self) {}

    fn forget_cached(&self) -> io::Result<()> {
        let mut inner = self.inner();
        let Inner { cached, durable, unsynced, .. } = &mut *inner;
        let lying = std::mem::replace(cached, durable.clone());
        for number in unsynced.keys() {
            if let Some(sector) = lying.sector(*number) {
                *cached.sector_mut(*number) = *sector;
            }
        }
        Ok(())
    }
}
