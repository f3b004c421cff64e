//! What the machine itself takes.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::Failure;

/// 4 KiB written into a file that is there already, then `fdatasync`: what every durable answer
/// takes at least.
///
/// # Errors
/// The file system refuses.
pub fn fdatasync(folder: &Path) -> Result<Vec<Duration>, Failure> {
    let path = folder.join("sync");
    let file = File::create(&path)?;
    file.write_all_at(&vec![1; 8 << 20], 0)?;
    file.sync_all()?;
    let block = [2; 4096];
    let mut times = Vec::new();
    for n in 0..400_u64 {
        let begun = Instant::now();
        file.write_all_at(&block, n * 4096)?;
        file.sync_data()?;
        times.push(begun.elapsed());
    }
    std::fs::remove_file(path)?;
    Ok(times)
}
