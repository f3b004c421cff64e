//! Ebbtide on Ceph RBD, beside Ceph's own ways: `cargo xtask bench rbd`, on a cluster of its own.
//!
//! ```text
//!   resets    a reset by the engine as it decides, by a clone, and `rbd snap rollback`, on images
//!             that were made and filled alike; and what is written in the first 5 s after it
//!   flatten   what is written to a clone while it is flattened, at some rates
//!   nbd       a disk over NBD, beside fio's own rbd engine and qemu-nbd's rbd driver
//! ```
//! What is compared takes turns, so that what the machine does meanwhile falls on all alike: ratios
//! within one run count, and nothing else.
//!
//! Deliberately not here: assertions, and rbd-nbd where the kernel has no network block device.

mod flatten;
mod nbd;
mod resets;
mod volumes;

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use ebb_bench::Failure;

/// What is measured, and how long.
#[derive(Parser)]
pub(crate) struct Args {
    /// The built program.
    pub(crate) program: String,
    /// A minute or two instead of a quarter of an hour: it shows that all works.
    #[arg(long)]
    pub(crate) quick: bool,
    /// One part alone.
    #[arg(long)]
    only: Option<Part>,
    /// The cluster's configuration file.
    #[arg(long, env = "EBB_TEST_CEPH_CONF")]
    pub(crate) conf: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Resets,
    Flatten,
    Nbd,
}

fn main() -> Result<(), Failure> {
    let args = Args::parse();
    let wanted = |part| args.only.is_none_or(|only| only == part);
    if wanted(Part::Resets) {
        resets::run(&args)?;
    }
    if wanted(Part::Flatten) {
        flatten::run(&args)?;
    }
    if wanted(Part::Nbd) {
        tokio::runtime::Runtime::new()?.block_on(nbd::run(&args))?;
    }
    Ok(())
}

/// The middle one; of an even number the lower.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or_default()
}
