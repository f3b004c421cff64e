//! The ECS API, as this program needs it: blocking calls, one after the other.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use ebb_api::client::{Client, ClientError};
use serde_json::Value;
use tokio::runtime::Runtime;

const REGION: (&str, &str) = ("RegionId", "cn-hangzhou");

/// Disks and snapshots of ours are called so, with a number behind.
pub(crate) const PREFIX: &str = "kill-";

/// How long something may be on its way to another state.
const PATIENCE: Duration = Duration::from_secs(20);

/// How a call went.
pub(crate) enum Answer {
    Done(Value),
    /// The server said no: nothing may have changed.
    Refused(String),
    /// No answer: it may have happened, or not.
    Gone(String),
}

/// A disk or a snapshot as it is listed.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    pub(crate) id: String,
    pub(crate) status: String,
}

pub(crate) struct Cloud {
    client: Client,
    runtime: Runtime,
}

impl Cloud {
    pub(crate) fn new(api: &str, data_dir: &Path) -> Result<Self> {
        let path = data_dir.join("credentials");
        let credentials: toml::Table = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?
            .parse()?;
        let text = |key: &str| credentials[key].as_str().unwrap_or_default().to_owned();
        let client = Client::new(api, text("access_key_id"), text("access_key_secret"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { client, runtime })
    }

    pub(crate) fn ask(&self, action: &str, params: &[(&str, &str)]) -> Answer {
        match self.runtime.block_on(self.client.call(action, params)) {
            Ok(reply) => Answer::Done(reply),
            Err(error @ ClientError::Refused { .. }) => {
                Answer::Refused(format!("{action}: {error}"))
            }
            Err(error) => Answer::Gone(format!("{action}: {error}")),
        }
    }

    /// A call that must succeed.
    pub(crate) fn call(&self, action: &str, params: &[(&str, &str)]) -> Result<Value> {
        match self.ask(action, params) {
            Answer::Done(reply) => Ok(reply),
            Answer::Refused(reason) | Answer::Gone(reason) => Err(anyhow!(reason)),
        }
    }

    /// A Running instance.
    pub(crate) fn run_instance(&self) -> Result<String> {
        let wanted = [REGION, ("ImageId", "ebb_blank_20G.raw"), ("InstanceType", "ecs.g7.large")];
        let reply = self.call("RunInstances", &wanted)?;
        let id = text(&reply["InstanceIdSets"]["InstanceIdSet"][0])?;
        until(|| {
            let asked = [REGION, ("InstanceId.1", id.as_str())];
            let reply = self.call("DescribeInstanceStatus", &asked)?;
            let status = &reply["InstanceStatuses"]["InstanceStatus"][0]["Status"];
            Ok((status == "Running").then_some(()).ok_or_else(|| format!("{id} is {status}")))
        })?;
        Ok(id)
    }

    pub(crate) fn create_disk(&self, name: &str, snapshot: Option<&str>) -> Answer {
        let mut wanted = vec![
            REGION,
            ("ZoneId", "cn-hangzhou-a"),
            ("DiskName", name),
            ("DiskCategory", "cloud_essd"),
            ("PerformanceLevel", "PL0"),
        ];
        match snapshot {
            Some(snapshot) => wanted.push(("SnapshotId", snapshot)),
            None => wanted.push(("Size", "1")),
        }
        self.ask("CreateDisk", &wanted)
    }

    pub(crate) fn create_snapshot(&self, disk: &str, name: &str) -> Answer {
        self.ask("CreateSnapshot", &[("DiskId", disk), ("SnapshotName", name)])
    }

    pub(crate) fn delete_snapshot(&self, id: &str) -> Answer {
        self.ask("DeleteSnapshot", &[("SnapshotId", id), ("Force", "true")])
    }

    /// Ours, by name.
    pub(crate) fn disks(&self) -> Result<BTreeMap<String, Listed>> {
        let reply = self.call("DescribeDisks", &[REGION, ("PageSize", "100")])?;
        listed(&reply["Disks"]["Disk"], "DiskName", "DiskId")
    }

    /// Ours, by name.
    pub(crate) fn snapshots(&self) -> Result<BTreeMap<String, Listed>> {
        let reply = self.call("DescribeSnapshots", &[REGION, ("PageSize", "100")])?;
        listed(&reply["Snapshots"]["Snapshot"], "SnapshotName", "SnapshotId")
    }

    /// Waits until disks and snapshots are in states that last.
    pub(crate) fn settled(&self) -> Result<(BTreeMap<String, Listed>, BTreeMap<String, Listed>)> {
        until(|| {
            let (disks, snapshots) = (self.disks()?, self.snapshots()?);
            let moving = |all: &BTreeMap<String, Listed>, last: &[&str]| {
                all.values().find(|each| !last.contains(&each.status.as_str())).cloned()
            };
            let moving = moving(&disks, &["Available", "In_use"])
                .or_else(|| moving(&snapshots, &["accomplished", "failed"]));
            Ok(match moving {
                None => Ok((disks, snapshots)),
                Some(each) => Err(format!("{} stays {}", each.id, each.status)),
            })
        })
    }

    pub(crate) fn await_disk(&self, name: &str, status: &str) -> Result<String> {
        until(|| {
            let found = self.disks()?.remove(name);
            Ok(match found {
                Some(disk) if disk.status == status => Ok(disk.id),
                other => Err(format!("disk {name} is not {status} but {other:?}")),
            })
        })
    }
}

fn listed(all: &Value, name: &str, id: &str) -> Result<BTreeMap<String, Listed>> {
    let mut found = BTreeMap::new();
    for each in all.as_array().context("a list was expected")? {
        let (name, id, status) = (text(&each[name])?, text(&each[id])?, text(&each["Status"])?);
        if name.starts_with(PREFIX) && found.insert(name.clone(), Listed { id, status }).is_some() {
            bail!("there are two of the name {name}");
        }
    }
    Ok(found)
}

pub(crate) fn text(value: &Value) -> Result<String> {
    Ok(value.as_str().with_context(|| format!("expected a text, got {value}"))?.to_owned())
}

/// Polls until there is a value; what was in the way last is the error.
pub(crate) fn until<T>(mut poll: impl FnMut() -> Result<Result<T, String>>) -> Result<T> {
    let begun = Instant::now();
    loop {
        match poll()? {
            Ok(value) => return Ok(value),
            Err(why) if begun.elapsed() > PATIENCE => bail!("not within {PATIENCE:?}: {why}"),
            Err(_) => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}
