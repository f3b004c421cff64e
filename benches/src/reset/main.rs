//! What Ebbtide takes, measured on the built program from outside: `cargo xtask bench`.
//!
//! One server process on a temporary directory; signed calls over HTTP, data over NBD. The cases
//! take turns, round by round, so that what the machine does meanwhile falls on all alike. Times
//! are the client's; what a bare `fdatasync` takes on the same file system stands beside them.
//!
//! Deliberately not here: assertions. A benchmark is read; nothing fails because it was slow.

mod disks;

use std::time::{Duration, Instant};

use ebb_bench::server::Server;
use ebb_bench::{Failure, machine};

use crate::disks::{CASES, Case};

/// Times around all cases.
const ROUNDS: usize = 10;

/// Resets of one case in one round.
const RESETS: usize = 20;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let program = std::env::args().nth(1).ok_or("usage: ebb-bench PATH-OF-EBB")?;
    let folder = tempfile::tempdir_in(".")?;
    let sync = machine::fdatasync(folder.path())?;
    let begun = Instant::now();
    let server = Server::start(&program, folder.path())?;
    let ready = begun.elapsed();
    let idle_kib = server.resident_kib()?;

    println!("| | median | p99 |\n|---|---|---|");
    row("4 KiB write + fdatasync, bare", sync);
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); CASES.len()];
    let mut idle = Vec::new();
    let mut prepared = Vec::new();
    for case in CASES {
        prepared.push(disks::prepare(&server, case).await?);
    }
    for _ in 0..ROUNDS {
        for _ in 0..RESETS {
            let begun = Instant::now();
            server.call("DescribeRegions", &[]).await?;
            idle.push(begun.elapsed());
        }
        for (case, times) in prepared.iter().zip(&mut times) {
            for n in 0..RESETS {
                times.push(case.reset(&server, n).await?);
            }
        }
    }
    row("DescribeRegions: a call that neither reads nor changes anything", idle);
    for (Case { name, .. }, times) in CASES.iter().zip(times) {
        row(&format!("ResetDisk, {name}"), times);
    }
    println!("\nready after {ready:.1?}; {idle_kib} KiB resident when idle");
    println!("{} KiB resident with all of these disks", server.resident_kib()?);
    Ok(())
}

fn row(name: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1000.0;
    println!("| {name} | {:.2} ms | {:.2} ms |", at(0.5), at(0.99));
}
