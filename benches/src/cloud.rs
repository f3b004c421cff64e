//! Instances, disks and snapshots, by signed calls.

use std::time::Duration;

use serde_json::Value;

use crate::Failure;
use crate::server::Server;

const REGION: &str = "cn-hangzhou";

/// An instance and one disk attached to it.
pub struct Machine {
    /// `i-…`
    pub instance: String,
    /// `d-…`, which is also its export's name.
    pub disk: String,
}

impl Machine {
    /// Running, with a disk of so many GiB.
    ///
    /// # Errors
    /// A call is refused, or the instance does not start.
    pub async fn new(server: &Server, size_gib: u64) -> Result<Self, Failure> {
        let run = [
            ("RegionId", REGION),
            ("ImageId", "ebb_blank_20G.raw"),
            ("InstanceType", "ecs.g7.large"),
        ];
        let reply = server.call("RunInstances", &run).await?;
        let instance = text(&reply["InstanceIdSets"]["InstanceIdSet"][0])?;
        await_status(server, &instance, "Running").await?;
        let (zone, size) = (format!("{REGION}-a"), size_gib.to_string());
        let new = [
            ("RegionId", REGION),
            ("ZoneId", zone.as_str()),
            ("Size", size.as_str()),
            ("DiskCategory", "cloud_essd"),
            ("PerformanceLevel", "PL0"),
        ];
        let disk = text(&server.call("CreateDisk", &new).await?["DiskId"])?;
        server.call("AttachDisk", &[("InstanceId", &instance), ("DiskId", &disk)]).await?;
        Ok(Self { instance, disk })
    }

    /// Takes a snapshot of the disk.
    ///
    /// # Errors
    /// The call is refused.
    pub async fn snapshot(&self, server: &Server) -> Result<String, Failure> {
        text(&server.call("CreateSnapshot", &[("DiskId", &self.disk)]).await?["SnapshotId"])
    }

    /// Stops the instance, which takes its disks off their clients.
    ///
    /// # Errors
    /// The call is refused, or the instance does not stop.
    pub async fn stop(&self, server: &Server) -> Result<(), Failure> {
        server.call("StopInstance", &[("InstanceId", &self.instance)]).await?;
        await_status(server, &self.instance, "Stopped").await
    }

    /// Starts it again.
    ///
    /// # Errors
    /// The call is refused, or the instance does not start.
    pub async fn start(&self, server: &Server) -> Result<(), Failure> {
        server.call("StartInstance", &[("InstanceId", &self.instance)]).await?;
        await_status(server, &self.instance, "Running").await
    }

    /// Sets the disk back. The instance is stopped.
    ///
    /// # Errors
    /// The call is refused.
    pub async fn reset(&self, server: &Server, snapshot: &str) -> Result<(), Failure> {
        let params = [("DiskId", self.disk.as_str()), ("SnapshotId", snapshot)];
        server.call("ResetDisk", &params).await.map(drop)
    }
}

async fn await_status(server: &Server, id: &str, status: &str) -> Result<(), Failure> {
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
