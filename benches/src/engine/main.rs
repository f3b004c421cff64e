//! What the embedded engine takes, without a server or a socket: `cargo xtask bench engine`.
//!
//! ```text
//!   main ─► memory, resets, snapshots, rates, amplification, starts, …     groups of rows
//!              └────────┬─────────┘
//!             bed  an engine in a folder of its own      load  requests under way, latencies
//! ```
//! The engine runs in this process, over its public interface only. A row is the median of several
//! rounds where it is a rate, and says what was aimed at.
//!
//! Deliberately not here: assertions. A benchmark is read; nothing fails because it was slow.

mod amplification;
mod bed;
mod deletes;
mod encryption;
mod load;
mod memory;
mod metadata;
mod rates;
mod report;
mod resets;
mod snapshots;
mod starts;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use ebb_bench::{Failure, machine};
use mimalloc::MiMalloc;

/// As in the program.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

/// Measures the embedded engine in folders below the current one, and prints a table.
#[derive(Parser)]
struct Cli {
    /// Small sizes and few rounds: shows in under a minute that everything runs, and no more.
    #[arg(long)]
    quick: bool,
    /// What the memory group starts: uses a pool that is there, and says what memory that took.
    #[arg(long, value_name = "FOLDER", hide = true)]
    reopened: Option<PathBuf>,
    /// Only this group of rows. May be given again.
    #[arg(long, value_name = "GROUP")]
    only: Vec<String>,
}

/// How much is done.
struct Scale {
    rounds: usize,
    /// Of one measurement of a rate.
    window: Duration,
    /// Data of a volume that is filled.
    fill_bytes: u64,
    /// The log behind which a checkpoint begins, where checkpoints are waited for.
    checkpoint_log_bytes: u64,
    /// Data that makes a volume differ much from its snapshot.
    heavy_bytes: u64,
    /// Operations timed one by one: resets with little between them, snapshots.
    operations: usize,
}

impl Scale {
    fn of(cli: &Cli) -> Self {
        match cli.quick {
            true => Self {
                rounds: 3,
                window: Duration::from_millis(100),
                fill_bytes: 64 * MIB,
                checkpoint_log_bytes: 16 * MIB,
                heavy_bytes: 2 * MIB,
                operations: 10,
            },
            false => Self {
                rounds: 5,
                window: Duration::from_secs(2),
                fill_bytes: 2 * GIB,
                checkpoint_log_bytes: 512 * MIB,
                heavy_bytes: 32 * MIB,
                operations: 200,
            },
        }
    }
}

type Group = fn(&Scale) -> Result<(), Failure>;

const GROUPS: &[(&str, Group)] = &[
    ("memory", memory::rows),
    ("resets", resets::rows),
    ("snapshots", snapshots::rows),
    ("rates", rates::rows),
    ("encryption", encryption::rows),
    ("amplification", amplification::rows),
    ("starts", starts::rows),
    ("metadata", metadata::rows),
    ("deletes", deletes::rows),
];

fn main() -> Result<(), Failure> {
    let cli = Cli::parse();
    for name in &cli.only {
        if GROUPS.iter().all(|(group, _)| group != name) {
            let names: Vec<&str> = GROUPS.iter().map(|(group, _)| *group).collect();
            return Err(format!("there is no group {name}; there are: {}", names.join(", ")).into());
        }
    }
    let scale = Scale::of(&cli);
    if let Some(folder) = &cli.reopened {
        return memory::reopened(folder, scale.operations as u64);
    }
    report::head();
    let sync = machine::fdatasync(Path::new("."))?;
    report::row("a bare 4 KiB write + fdatasync: p50, p99", &report::p50_p99(&sync), "");
    for (name, run) in GROUPS {
        if cli.only.is_empty() || cli.only.iter().any(|only| only == name) {
            run(&scale)?;
        }
    }
    Ok(())
}
