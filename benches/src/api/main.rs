//! The API with many records, and how many calls it takes in a second: `cargo xtask bench api`.
//!
//! ```text
//!   an empty server   ─► DryRun ResetDisk, signed, over kept connections ─┐ round by round, beside
//!   moto's server     ─► EC2 DescribeVolumes, unsigned, as fast as it can ┘ each other
//!   the store, filled ─► a start, its memory, Describe… one caller at a time
//! ```
//!
//! Client and server share the machine. Requests are signed before the clock starts, so that what
//! is measured is the server's side and the sending of bytes. The store is filled directly: records
//! without volumes, which no Describe looks at.
//!
//! Deliberately not here: assertions. A benchmark is read; nothing fails because it was slow.

mod fill;
mod listing;
mod moto;
mod wire;

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Parser;
use ebb_bench::Failure;
use ebb_bench::cloud::Machine;
use ebb_bench::server::Server;

use crate::moto::Moto;

/// What is measured.
#[derive(Debug, Parser)]
struct Args {
    /// The program.
    program: PathBuf,
    /// The Python interpreter that has moto's server; without one nothing is beside Ebbtide.
    #[arg(long)]
    moto: Option<PathBuf>,
    /// A tenth of everything.
    #[arg(long)]
    quick: bool,
}

/// Times around both servers.
const ROUNDS: usize = 5;

/// Kept connections, each with its thread.
const CONNECTIONS: usize = 4;

fn main() -> Result<(), Failure> {
    let args = Args::parse();
    let program = args.program.to_str().ok_or("the program's path is no text")?;
    let folder = tempfile::tempdir_in(".")?;
    let part: u32 = if args.quick { 10 } else { 1 };
    throughput(program, folder.path(), args.moto.as_deref(), 20_000 / part as usize)?;
    let size = fill::Size { disks: 100_000 / part, snapshots_a_disk: 10 };
    fill::fill(&folder.path().join("data"), size)?;
    let begun = Instant::now();
    let server = Server::start(program, folder.path())?;
    println!("\nready after {:.2?} with {} disks", begun.elapsed(), size.disks);
    println!("{} MiB resident then", server.resident_kib()? >> 10);
    listing::measure(&server, size)?;
    println!("\n{} MiB resident after that", server.resident_kib()? >> 10);
    Ok(())
}

fn throughput(
    program: &str,
    folder: &Path,
    moto: Option<&Path>,
    calls: usize,
) -> Result<(), Failure> {
    let server = Server::start(program, folder)?;
    let (disk, snapshot) = stopped_disk(&server)?;
    let reset = [("DiskId", disk.as_str()), ("SnapshotId", &snapshot), ("DryRun", "true")];
    let moto = moto.map(|python| Moto::start(python, folder)).transpose()?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let sign = || server.wire_request("ResetDisk", &reset);
        let requests = (0..calls).map(|_| sign()).collect::<Result<Vec<_>, _>>()?;
        let address = server.api_address();
        ours.push(wire::calls_a_second(address, &requests, CONNECTIONS, 400)?);
        if let Some(moto) = &moto {
            // It is much slower.
            let requests = vec![Moto::request(moto.address()); calls / 20];
            theirs.push(wire::calls_a_second(moto.address(), &requests, CONNECTIONS, 200)?);
        }
    }
    println!("| calls a second, {CONNECTIONS} connections | median | least | most |");
    println!("|---|---|---|---|");
    row("Ebbtide: ResetDisk with DryRun, signed", ours);
    if !theirs.is_empty() {
        row("moto's server: EC2 DescribeVolumes of one volume", theirs);
    }
    Ok(())
}

fn row(name: &str, mut rates: Vec<f64>) {
    rates.sort_by(f64::total_cmp);
    let (median, last) = (rates[rates.len() / 2], rates.len() - 1);
    println!("| {name} | {median:.0} | {:.0} | {:.0} |", rates[0], rates[last]);
}

/// A disk that could be reset, and to what.
fn stopped_disk(server: &Server) -> Result<(String, String), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let machine = Machine::new(server, 20).await?;
        let snapshot = machine.snapshot(server).await?;
        machine.stop(server).await?;
        Ok((machine.disk, snapshot))
    })
}
