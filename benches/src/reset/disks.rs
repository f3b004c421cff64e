//! The disks that are reset: small and large, empty and full.

use std::time::{Duration, Instant};

use ebb_bench::Failure;
use ebb_bench::cloud::Machine;
use ebb_bench::server::Server;
use ebb_nbd::client::Client;

const GIB: u64 = 1 << 30;

/// A disk to reset.
pub(crate) struct Case {
    pub name: &'static str,
    size_gib: u64,
    fill: fn(&mut Client, u64) -> Result<(), Failure>,
}

/// What is compared: the same time is what is promised.
pub(crate) const CASES: &[Case] = &[
    Case { name: "1 GiB, empty", size_gib: 1, fill: |_, _| Ok(()) },
    Case { name: "1 GiB, full", size_gib: 1, fill: full },
    Case { name: "64 TiB, empty", size_gib: 65_536, fill: |_, _| Ok(()) },
    Case { name: "64 TiB, 1 GiB in scattered 4 KiB blocks", size_gib: 65_536, fill: scattered },
];

/// A disk at rest with two snapshots that differ.
pub(crate) struct Prepared {
    machine: Machine,
    snapshots: [String; 2],
}

fn full(client: &mut Client, size_bytes: u64) -> Result<(), Failure> {
    let piece = vec![7; 1 << 20];
    for at in (0..size_bytes).step_by(piece.len()) {
        client.write(at, &piece)?;
    }
    Ok(())
}

/// 262,144 blocks, each at a place of its own all over the disk: an odd stride visits every block
/// once before any twice.
fn scattered(client: &mut Client, size_bytes: u64) -> Result<(), Failure> {
    let blocks = size_bytes / 4096;
    let block = [9; 4096];
    for n in 0..GIB / 4096 {
        let at = n.wrapping_mul(0x9E37_79B9_7F4A_7C15) % blocks;
        client.write(at * 4096, &block)?;
    }
    Ok(())
}

/// Makes the disk, fills it, takes a snapshot, writes on, takes another, and stops the instance.
pub(crate) async fn prepare(server: &Server, case: &Case) -> Result<Prepared, Failure> {
    let machine = Machine::new(server, case.size_gib).await?;
    let mut client = server.export(&machine.disk)?;
    (case.fill)(&mut client, case.size_gib * GIB)?;
    client.flush()?;
    let first = machine.snapshot(server).await?;
    client.write(4096, &[1; 4096])?;
    client.flush()?;
    let second = machine.snapshot(server).await?;
    client.disconnect()?;
    machine.stop(server).await?;
    Ok(Prepared { machine, snapshots: [first, second] })
}

impl Prepared {
    /// One reset, back and forth between the two snapshots.
    pub(crate) async fn reset(&self, server: &Server, n: usize) -> Result<Duration, Failure> {
        let begun = Instant::now();
        self.machine.reset(server, &self.snapshots[n % 2]).await?;
        Ok(begun.elapsed())
    }
}
