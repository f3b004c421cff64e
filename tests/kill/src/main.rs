//! The built server, killed with SIGKILL again and again under real clients: `cargo xtask kill`.
//!
//! ```text
//!   round:  start ─► verify all that was there ─► clients write and call ─► SIGKILL, 50..500 ms
//!             ▲                                                               │
//!             └───────────────────── the same data directory ◄────────────────┘
//! ```
//! Several disks have several NBD writers each, which stamp (disk, place, number) into every block
//! they write, beside one caller of the API. After each kill every block must hold one of its own
//! stamps, of the last flushed write or of a later one that was sent; every snapshot what its disk
//! held when it was taken; and every call that was answered must be true. With `--full` all of it
//! happens on a small ext4 that is full: writers are told ENOSPC, and whatever frees space works.
//!
//! All choices follow from a seed. What threads and the kernel do meanwhile does not, so a seed
//! that failed fails often again, but not always; that is why the data directory is kept.
//!
//! Deliberately not here: power loss. A kill leaves the page cache as it is; that the syncs are in
//! the right places is shown by the engine's simulator and by the tests that count syncs.

mod actor;
mod cloud;
mod counts;
mod disk;
mod filesystem;
mod ledger;
mod rng;
mod round;
mod run;
mod server;
mod verify;
mod world;
mod writer;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use clap::Parser;

use crate::run::Run;
use crate::server::Program;

/// Kills the server under its clients, and looks what is left.
#[derive(Debug, Parser)]
struct Cli {
    /// The built server.
    ebb: PathBuf,
    /// Where data directories are made.
    #[arg(long, default_value = ".")]
    folder: PathBuf,
    /// Kills.
    #[arg(long, default_value_t = 500)]
    rounds: u64,
    /// What all choices follow from [default: the time].
    #[arg(long)]
    seed: Option<u64>,
    /// On a small file system, full.
    #[arg(long)]
    full: bool,
    /// Full: space that was deleted has to come back.
    #[arg(long, requires = "full")]
    expect_space_back: bool,
    /// More arguments for `ebb serve`.
    #[arg(last = true)]
    serve: Vec<String>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let seed = cli.seed.unwrap_or_else(from_the_time);
    let program = Program { path: cli.ebb, args: cli.serve };
    let begun = Instant::now();
    let mut run = Run::new(program, cli.folder, seed, cli.full, cli.expect_space_back);
    println!("seed {seed}");
    let outcome = run.rounds(cli.rounds);
    println!("{:.0} s: {}", begun.elapsed().as_secs_f64(), run.counts);
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("FAILED: --seed {seed}, round {}: {error:#}", run.round);
            eprintln!("{}", run.what_is_kept());
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a program at the edge, in want of any number")]
fn from_the_time() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::from(since_1970.subsec_nanos()) ^ (since_1970.as_secs() << 30)
}
