//! The disks that are reset: small and large, empty and full.

use std::time::{Duration, Instant};

use ebb_nbd::client::Client;
use serde_json::Value;

use crate::Failure;
use crate::server::Server;

const REGION: &str = "cn-hangzhou";

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
    disk: String,
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
    let run =
        [("RegionId", REGION), ("ImageId", "ebb_blank_20G.raw"), ("InstanceType", "ecs.g7.large")];
    let reply = server.call("RunInstances", &run).await?;
    let instance = text(&reply["InstanceIdSets"]["InstanceIdSet"][0])?;
    await_instance(server, &instance, "Running").await?;
    let (zone, size) = (format!("{REGION}-a"), case.size_gib.to_string());
    let new = [
        ("RegionId", REGION),
        ("ZoneId", zone.as_str()),
        ("Size", size.as_str()),
        ("DiskCategory", "cloud_essd"),
        ("PerformanceLevel", "PL0"),
    ];
    let disk = text(&server.call("CreateDisk", &new).await?["DiskId"])?;
    server.call("AttachDisk", &[("InstanceId", &instance), ("DiskId", &disk)]).await?;
    let mut client = server.export(&disk)?;
    (case.fill)(&mut client, case.size_gib * GIB)?;
    client.flush()?;
    let first = snapshot(server, &disk).await?;
    client.write(4096, &[1; 4096])?;
    client.flush()?;
    let second = snapshot(server, &disk).await?;
    client.disconnect()?;
    server.call("StopInstance", &[("InstanceId", &instance)]).await?;
    await_instance(server, &instance, "Stopped").await?;
    Ok(Prepared { disk, snapshots: [first, second] })
}

async fn snapshot(server: &Server, disk: &str) -> Result<String, Failure> {
    text(&server.call("CreateSnapshot", &[("DiskId", disk)]).await?["SnapshotId"])
}

async fn await_instance(server: &Server, id: &str, status: &str) -> Result<(), Failure> {
    let params = [("RegionId", REGION), ("InstanceId.1", id)];
    for _ in 0..10_000 {
        let reply = server.call("DescribeInstanceStatus", &params).await?;
        if reply["InstanceStatuses"]["InstanceStatus"][0]["Status"] == status {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Err(format!("{id} did not become {status}").into())
}

fn text(value: &Value) -> Result<String, Failure> {
    Ok(value.as_str().ok_or_else(|| format!("expected a text, got {value}"))?.to_owned())
}

impl Prepared {
    /// One reset, back and forth between the two snapshots.
    pub(crate) async fn reset(&self, server: &Server, n: usize) -> Result<Duration, Failure> {
        let params =
            [("DiskId", self.disk.as_str()), ("SnapshotId", self.snapshots[n % 2].as_str())];
        let begun = Instant::now();
        server.call("ResetDisk", &params).await?;
        Ok(begun.elapsed())
    }
}
