//! Memory that is there when a run begins.
//!
//! A hypervisor takes free memory back within seconds, and fetches each page again when it is next
//! touched: that took three quarters of the time of whoever wrote into a file that grows, and
//! nothing of whoever overwrites what is cached (docs/decisions/0078). So the benchmark touches as
//! much as a run may write, holds it, and frees it at the moment the run begins.
//!
//! Deliberately not here: runs that only read. Warm ones find what they read in the page cache,
//! and cold ones begin with dropped caches, where all peers pay alike.

use crate::workloads::Workload;

/// The step between two bytes that are touched.
const PAGE: usize = 4096;

/// Memory that was touched, in portions of one run each.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    portions: Vec<Vec<u8>>,
}

impl Memory {
    /// What `runs` runs of `workload` may write. Takes a second or so for each GiB.
    pub(crate) fn touched(workload: &Workload, runs: usize) -> Self {
        Self { portions: (0..runs).map(|_| touched(may_write(workload))).collect() }
    }

    /// Frees what the run that begins now may write.
    pub(crate) fn free_portion(&mut self) {
        self.portions.pop();
    }
}

fn touched(bytes: usize) -> Vec<u8> {
    let mut portion = vec![0; bytes];
    portion.iter_mut().step_by(PAGE).for_each(|byte| *byte = 1);
    std::hint::black_box(portion)
}

/// In the two seconds of a run, with room to spare.
fn may_write(workload: &Workload) -> usize {
    match (workload.writes(), workload.in_bytes) {
        (false, _) => 0,
        (true, false) => 3 << 29,
        (true, true) => 4 << 30,
    }
}
