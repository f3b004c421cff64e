//! Memory of the largest disk with many snapshots: a budget for pages, and little besides.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::bed::{Bed, served};
use crate::load::Guest;
use crate::report::{row, size};
use crate::{Failure, KIB, MIB, Scale, TIB};

/// What is allowed on top of the budget for pages.
const BESIDES: u64 = 128 * MIB;
/// What each snapshot adds, scattered over the disk.
const CHANGED: u64 = 2 * MIB;

/// Runs first: what other groups leave in the allocator would count.
pub(crate) fn rows(scale: &Scale) -> Result<(), Failure> {
    let (snapshots, size_bytes) = (5 * scale.operations as u64, 64 * TIB);
    let mut bed = Bed::new(served())?;
    let volume = bed.create(size_bytes)?;
    let mut guest = Guest::new(&*volume, size_bytes, 1);
    forget_peak()?;
    for n in 0..snapshots {
        guest.write_bytes(CHANGED)?;
        bed.snapshot(n)?;
    }
    let what =
        format!("peak of resident memory: 64 TiB, {snapshots} snapshots of scattered blocks");
    let target = size(served().cache_bytes + BESIDES);
    row(&format!("{what}, made"), &size(peak()?), &target);
    drop(volume);

    // In a process of its own, as a start is: an allocator keeps what another engine gave back.
    let folder = bed.close();
    let child = Command::new(std::env::current_exe()?).arg("--reopened").arg(&folder).output()?;
    if !child.status.success() {
        return Err(String::from_utf8_lossy(&child.stderr).into_owned().into());
    }
    let reopened: u64 = String::from_utf8_lossy(&child.stdout).trim().parse()?;
    row(&format!("{what}, opened again, read, written and reset"), &size(reopened), &target);
    Ok(())
}

/// The peak of a process that opens what another made, and uses it.
pub(crate) fn reopened(folder: &Path, operations: u64) -> Result<(), Failure> {
    let size_bytes = 64 * TIB;
    let mut bed = Bed::of(folder, served())?;
    let volume = bed.open()?;
    let mut guest = Guest::new(&*volume, size_bytes, 2);
    guest.read_bytes(64 * CHANGED)?;
    guest.write_bytes(64 * CHANGED)?;
    guest.flush()?;
    drop(volume);
    for n in 0..operations {
        bed.reset(n * 5)?;
        let volume = bed.open()?;
        Guest::new(&*volume, size_bytes, n).read_bytes(MIB)?;
    }
    println!("{}", peak()?);
    Ok(())
}

/// The highest that resident memory was since [`forget_peak`], in bytes.
fn peak() -> Result<u64, Failure> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")).ok_or("no VmHWM")?;
    Ok(kib.trim().parse::<u64>()? * KIB)
}

fn forget_peak() -> Result<(), Failure> {
    Ok(fs::write("/proc/self/clear_refs", "5")?)
}
