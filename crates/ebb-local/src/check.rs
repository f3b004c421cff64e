//! The offline check: everything that a pool's file says of itself, compared.
//!
//! ```text
//!   superblocks ─► tables ─► the log's tail        as a start reads them; nothing is written
//!        └─► every version's pages, every block    read once, against their checksums
//!               └─► what they lead to              must be what counts as alive, to the block
//! ```
//! Findings are sentences; none means that the pool is whole. A finding of "not alive" is the
//! worst: the block could be overwritten. One of "alive" costs only space.
//!
//! Deliberately not here: repair. What is damaged is damaged, and everything else is readable.

mod alive;
mod trees;

use std::path::Path;

use ebb_volume::EngineError;

use crate::file::PoolFile;
use crate::layout::SLOTS;
use crate::planted::Planted;
use crate::recovery::recover;
use crate::storage::Storage;
use crate::superblock::Superblock;

/// So many findings are told of each kind of check; of more only the number.
const TOLD: usize = 100;

/// What a check came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// What is wrong, one sentence each.
    pub findings: Vec<String>,
    /// Volumes that there are.
    pub volumes: u64,
    /// Snapshots that there are.
    pub snapshots: u64,
    /// Versions, with those that only others stand on.
    pub versions: u64,
    /// Pages of maps that were read, of 4 KiB each.
    pub pages: u64,
    /// Blocks of data that were read and compared, of 4 KiB each.
    pub blocks: u64,
    /// Segments that hold something.
    pub segments: u64,
    /// Walks through dropped versions that are not done.
    pub unfinished_walks: u64,
}

impl Report {
    pub(crate) fn found(&mut self, what: String) {
        if self.findings.len() < TOLD {
            self.findings.push(what);
        } else if self.findings.len() == TOLD {
            self.findings.push("and more".into());
        }
    }
}

/// Checks the pool in `directory`, which no engine may have open. Writes nothing.
///
/// # Errors
/// [`EngineError::Stopped`] where the file is not there, can not be read, or is open. Damage is no
/// error but a finding.
pub fn check(directory: &Path) -> Result<Report, EngineError> {
    let file = PoolFile::open_for_reading(directory).map_err(|error| {
        EngineError::Stopped(format!("{}: {error}", directory.join("pool.dat").display()))
    })?;
    check_storage(&file)
}

pub(crate) fn check_storage(storage: &impl Storage) -> Result<Report, EngineError> {
    storage
        .forget_cached()
        .map_err(|error| EngineError::Stopped(format!("reading pool.dat: {error}")))?;
    let mut report = Report::default();
    let superblock = match Superblock::read(storage) {
        Ok(Some(superblock)) => superblock,
        Ok(None) => return Ok(report),
        Err(EngineError::Corrupt(what)) => {
            report.found(what);
            return Ok(report);
        }
        Err(error) => return Err(error),
    };
    for slot in SLOTS {
        // One of them is written after the other, and a process may be killed in between.
        if !superblock.is_at(storage, slot) && !superblock.follows(storage, slot) {
            report
                .found(format!("the superblock at byte {slot} is damaged or older than the other"));
        }
    }
    let recovered = match recover(storage, &superblock, Planted::default()) {
        Ok(recovered) => recovered,
        Err(EngineError::Corrupt(what)) => {
            report.found(what);
            return Ok(report);
        }
        Err(error) => return Err(error),
    };
    let inventory = recovered.catalog.inventory();
    report.volumes = inventory.volumes.len() as u64;
    report.snapshots = inventory.snapshots.len() as u64;
    report.versions = recovered.catalog.versions().count() as u64;
    report.segments = recovered.segments.rows().len() as u64;
    report.unfinished_walks = recovered.catalog.walks.len() as u64;
    recovered.catalog.check_tree(&mut report);
    let reached = trees::reach(storage, &superblock, &recovered, &mut report)?;
    alive::compare(&superblock, &recovered, &reached, &mut report);
    Ok(report)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    use ebb_volume::Engine;
    use tempfile::TempDir;

    use super::*;
    use crate::{LocalEngine, Options};

    /// A pool of which one superblock is so many generations behind the other.
    fn behind(generations: u64, slot: u64) -> Vec<String> {
        let folder = TempDir::new().unwrap();
        LocalEngine::open(folder.path(), Options::default()).unwrap().close().unwrap();
        let pool = PoolFile::open_for_reading(folder.path()).unwrap();
        let mut superblock = Superblock::read(&pool).unwrap().unwrap();
        drop(pool);
        superblock.generation -= generations;
        let file = File::options().write(true).open(folder.path().join("pool.dat")).unwrap();
        file.write_all_at(&superblock.encode(), slot).unwrap();
        check(folder.path()).unwrap().findings
    }

    #[test]
    fn a_process_that_was_killed_between_two_superblocks_has_damaged_nothing() {
        for slot in SLOTS {
            assert_eq!(behind(1, slot), [] as [String; 0]);
        }
    }

    #[test]
    fn a_superblock_that_was_left_out_is_found() {
        let [finding] = behind(2, SLOTS[1]).try_into().unwrap();
        assert!(finding.contains("older than the other"), "{finding}");
    }
}
