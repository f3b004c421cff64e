//! `pool.dat` on a file system.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, IoSliceMut};
use std::num::NonZeroU64;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rustix::fs::{Advice, FallocateFlags, FlockOperation, SeekFrom};
use rustix::io::{Errno, ReadWriteFlags};

use crate::storage::{Growth, LONG_BYTES, Storage};

/// At most so many parts in one write: IOV_MAX on Linux.
const PARTS_MAX: usize = 1024;

pub(crate) struct PoolFile {
    file: File,
    /// The same file for long reads: what was written in order lies in order, and of that the host
    /// reads ahead by itself.
    in_order: File,
    /// None: as much as is usual for a file system of its size.
    keep_free: Option<u64>,
    /// Held through a sync. True: one has failed.
    sync_failed: Mutex<bool>,
}

impl PoolFile {
    /// Opens `pool.dat`, made empty where it is not there, and locks it against a second opener.
    /// `keep_free`: what it leaves of its file system.
    pub(crate) fn open(directory: &Path, keep_free: Option<u64>) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(directory.join("pool.dat"))?;
        lock(&file)?;
        // The name must be as durable as what will be synced into the file.
        File::open(directory)?.sync_all()?;
        let in_order = File::open(directory.join("pool.dat"))?;
        // Short reads jump about; to read ahead of them would fill the cache with blocks of other
        // versions.
        rustix::fs::fadvise(&file, 0, None, Advice::Random)?;
        Ok(Self { file, in_order, keep_free, sync_failed: Mutex::new(false) })
    }
}

impl PoolFile {
    fn for_reading(&self, bytes: usize) -> &File {
        if bytes as u64 >= LONG_BYTES { &self.in_order } else { &self.file }
    }

    /// Whether a range has space of its own already: all of it is data to the file system.
    fn has(&self, offset: u64, length: u64) -> io::Result<bool> {
        match rustix::fs::seek(&self.file, SeekFrom::Hole(offset)) {
            Ok(hole) => Ok(hole >= offset + length),
            // It begins behind the end of the file.
            Err(Errno::NXIO) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens a `pool.dat` that is there, for reading only, and locks it.
    pub(crate) fn open_for_reading(directory: &Path) -> io::Result<Self> {
        let file = File::open(directory.join("pool.dat"))?;
        lock(&file)?;
        let in_order = File::open(directory.join("pool.dat"))?;
        Ok(Self { file, in_order, keep_free: None, sync_failed: Mutex::new(false) })
    }
}

fn lock(file: &File) -> io::Result<()> {
    match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => {
            let message = "pool.dat is locked: another engine has it open";
            Err(io::Error::new(io::ErrorKind::WouldBlock, message))
        }
        outcome => Ok(outcome?),
    }
}

impl Storage for PoolFile {
    fn read_some(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        retry(|| self.for_reading(into.len()).read_at(into, offset))
    }

    fn read_cached(&self, offset: u64, into: &mut [u8]) -> io::Result<bool> {
        let wanted = into.len();
        let parts = &mut [IoSliceMut::new(into)];
        match rustix::io::preadv2(self.for_reading(wanted), parts, offset, ReadWriteFlags::NOWAIT) {
            Ok(read) => Ok(read == wanted),
            // Not every file system can say; there it is read as ever.
            Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn will_read(&self, offset: u64, length: u64) {
        // It is advice: what comes of it shows when the range is read.
        let advice = Advice::WillNeed;
        let _ = rustix::fs::fadvise(&self.file, offset, NonZeroU64::new(length), advice);
    }

    fn write_some(&self, offset: u64, parts: &[&[u8]]) -> io::Result<usize> {
        if let [part] = parts {
            return retry(|| self.file.write_at(part, offset));
        }
        let parts = &parts[..parts.len().min(PARTS_MAX)];
        let slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
        retry(|| Ok(rustix::io::pwritev(&self.file, &slices, offset)?))
    }

    fn sync(&self) -> io::Result<()> {
        // The system tells of a failed write-back once: of two syncs at a time one would succeed,
        // and answer for what the other knows to be lost.
        let mut failed = self.sync_failed.lock().unwrap_or_else(PoisonError::into_inner);
        if *failed {
            return Err(io::Error::other("a sync has failed before"));
        }
        let outcome = self.file.sync_data();
        *failed = outcome.is_err();
        outcome
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn allocate(&self, offset: u64, length: u64, growth: Growth) -> io::Result<bool> {
        let old_length = self.len()?;
        let host = rustix::fs::fstatvfs(&self.file)?;
        let (total, available) = (host.f_blocks * host.f_frsize, host.f_bavail * host.f_frsize);
        // A hole may be filled up again, but not with what others need.
        let keep_free = self.keep_free.unwrap_or_else(|| usually_kept_free(total));
        let keep_free = match growth {
            Growth::Usual => keep_free,
            Growth::InNeed => keep_free / 2,
        };
        if available < length + keep_free && !self.has(offset, length)? {
            return Err(Errno::NOSPC.into());
        }
        match rustix::fs::fallocate(&self.file, FallocateFlags::empty(), offset, length) {
            Ok(()) => Ok(true),
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(false),
            Err(Errno::NOSPC) if offset >= old_length => {
                // It may have taken what there was, and others need that.
                self.file.set_len(old_length)?;
                Err(Errno::NOSPC.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn punch(&self, offset: u64, length: u64) -> io::Result<()> {
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        match rustix::fs::fallocate(&self.file, hole, offset, length) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
            outcome => Ok(outcome?),
        }
    }

    fn unlock(&self) {
        // It fails on no lock that is held; and closing the file unlocks it in any case.
        let _ = rustix::fs::flock(&self.file, FlockOperation::Unlock);
    }

    fn forget_range(&self, offset: u64, length: u64) -> io::Result<()> {
        Ok(rustix::fs::fadvise(&self.file, offset, NonZeroU64::new(length), Advice::DontNeed)?)
    }

    fn forget_cached(&self) -> io::Result<()> {
        Ok(rustix::fs::fadvise(&self.file, 0, None, Advice::DontNeed)?)
    }
}

/// What the pool leaves of a file system of `total` bytes, so that the database beside it commits
/// when the pool is full: 2 %, at least 1 GiB, but of a small one no more than an eighth.
fn usually_kept_free(total: u64) -> u64 {
    (total / 50).max(1 << 30).min(total / 8)
}

/// A signal that interrupts a read or write is no failure of the disk.
fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}
