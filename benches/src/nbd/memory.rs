//! Memory that is there when a run begins.
//!
//! A hypervisor takes free memory back within seconds, and fetches each page again when it is next
//! touched: that took three quarters of the time of whoever wrote into a file that grows, and
//! nothing of whoever overwrites what is cached. So almost no memory is left free: the page cache
//! is filled from a file of holes, and whoever needs pages is given some of those, at once.
//!
//! Deliberately not here: cold runs. They begin with dropped caches, and all peers pay alike.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use ebb_bench::Failure;

/// So much is left free, in MiB.
const LEFT_FREE: u64 = 512;

/// What is read at a time, in bytes.
const CHUNK: usize = 1 << 20;

pub(crate) struct Memory {
    holes: File,
    /// In chunks.
    size: u64,
    next: u64,
}

impl Memory {
    /// As many holes as there is memory, in a file in `folder`.
    pub(crate) fn new(folder: &Path) -> Result<Self, Failure> {
        let holes = File::create_new(folder.join("holes"))?;
        let holes_mib = mebibytes("MemTotal")?;
        holes.set_len(holes_mib << 20)?;
        let holes = File::open(folder.join("holes"))?;
        Ok(Self { holes, size: holes_mib, next: 0 })
    }

    /// Leaves little memory free. What was cached first is the first to be cached again.
    pub(crate) fn occupy(&mut self) -> Result<(), Failure> {
        let mut chunk = vec![0; CHUNK];
        for _ in 0..self.size {
            if self.next.is_multiple_of(64) && mebibytes("MemFree")? <= LEFT_FREE {
                break;
            }
            self.holes.read_exact_at(&mut chunk, self.next * CHUNK as u64)?;
            self.next = (self.next + 1) % self.size;
        }
        Ok(())
    }
}

/// A line of /proc/meminfo.
fn mebibytes(name: &str) -> Result<u64, Failure> {
    let text = std::fs::read_to_string("/proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kibibytes =
        line.and_then(|rest| rest.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    Ok(kibibytes.ok_or_else(|| format!("/proc/meminfo does not tell {name}"))? >> 10)
}
