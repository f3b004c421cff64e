//! What the core needs of a file: the seam between it and the disk or the simulator.

use std::io;

/// What a file grows for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Growth {
    /// More room: not into what is kept for others, and not into the last of what it may have.
    Usual,
    /// What a start, or a checkpoint that would free space, can not do without. It is given back
    /// soon, and without it nothing would be.
    InNeed,
}

/// Reads of so many bytes the host reads ahead of by itself, where they are in order in the file.
pub(crate) const LONG_BYTES: u64 = 64 << 10;

/// A file of bytes with a cache before it. A write is durable only once a [`Storage::sync`] that
/// was called after the write returned has itself returned `Ok`.
pub(crate) trait Storage: Send + Sync {
    /// Reads some bytes, 0 at the end of the file.
    fn read_some(&self, offset: u64, into: &mut [u8]) -> io::Result<usize>;

    /// Writes some bytes of `parts`, one after the other. Makes the file longer where need be.
    fn write_some(&self, offset: u64, parts: &[&[u8]]) -> io::Result<usize>;

    /// Makes durable every write that returned before this call. Never called again after it
    /// failed.
    fn sync(&self) -> io::Result<()>;

    /// The file's length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Takes space for a range: writing it does not fail for lack of space, and after a sync not
    /// after a crash either. False: the file system has no such call, and only writing it tells.
    fn allocate(&self, offset: u64, length: u64, growth: Growth) -> io::Result<bool>;

    /// Gives the space of a range back to the host; it reads as zeros from now on. Where that can
    /// not be had, nothing happens.
    fn punch(&self, offset: u64, length: u64) -> io::Result<()>;

    /// Forgets what is cached and not dirty: after a failed sync the cache may hold clean pages
    /// that never reached the disk, and recovery must not build on them.
    fn forget_cached(&self) -> io::Result<()>;

    /// The same for a range, so that the next read comes from the disk where that can be had.
    fn forget_range(&self, _offset: u64, _length: u64) -> io::Result<()> {
        Ok(())
    }

    /// Lets another open the file.
    fn unlock(&self);

    /// Reads all of `into` without waiting for a disk. False: it is not all there, and what `into`
    /// holds now means nothing.
    fn read_cached(&self, offset: u64, into: &mut [u8]) -> io::Result<bool> {
        self.read_at(offset, into).map(|()| true)
    }

    /// Says that a range will be read: where there is a cache, it may be filled from now on.
    fn will_read(&self, _offset: u64, _length: u64) {}

    /// Reads all of `into`.
    fn read_at(&self, mut offset: u64, mut into: &mut [u8]) -> io::Result<()> {
        while !into.is_empty() {
            match self.read_some(offset, into)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => {
                    into = &mut into[n..];
                    offset += n as u64;
                }
            }
        }
        Ok(())
    }

    /// Writes all of `parts`, going on after a short write.
    fn write_at(&self, mut offset: u64, parts: &[&[u8]]) -> io::Result<()> {
        let mut rest: Vec<&[u8]> = parts.iter().copied().filter(|p| !p.is_empty()).collect();
        let mut first = 0;
        while first < rest.len() {
            let mut written = self.write_some(offset, &rest[first..])?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            offset += written as u64;
            while written > 0 {
                let part = rest[first];
                let taken = written.min(part.len());
                rest[first] = &part[taken..];
                written -= taken;
                if rest[first].is_empty() {
                    first += 1;
                }
            }
        }
        Ok(())
    }
}
