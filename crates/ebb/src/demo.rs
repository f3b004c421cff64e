//! `ebb demo`: the whole story on a real file, through the real signed API and real NBD.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use ebb_api::client::{Client, ClientError};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::task::spawn_blocking;

use crate::Failure;
use crate::config::{Config, ServeArgs};
use crate::data_dir::read_root_key;
use crate::server::Server;

/// The region of every server that was given none.
const REGION: &str = "cn-hangzhou";

/// Bytes of the file in one NBD request.
const PIECE: usize = 1 << 20;

/// What to put on the disk.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// A file to put on the disk [default: this program].
    file: Option<PathBuf>,
}

/// Runs the story; fails if anything differed.
pub(crate) async fn demo(args: DemoArgs) -> Result<(), Failure> {
    let file = match args.file {
        Some(file) => file,
        None => std::env::current_exe()?,
    };
    let folder = tempfile::Builder::new().prefix("ebb-demo-").tempdir()?;
    let begun = Instant::now();
    let server = Server::start(&config(folder.path())?).await?;
    say(begun, &format!("a server on {}", folder.path().display()));
    let outcome = story(&server, folder.path(), &file).await;
    server.stop().await?;
    outcome?;
    println!("\n{GO_ON}");
    Ok(())
}

const GO_ON: &str = "\
The disk reads as it did before it was ruined. To go on:

    ebb serve --data-dir ./ebb-data

    from alibabacloud_ecs20140526.client import Client
    from alibabacloud_tea_openapi.models import Config
    client = Client(Config(access_key_id=…, access_key_secret=…,   # ./ebb-data/credentials
                           endpoint=\"127.0.0.1:8080\", protocol=\"http\"))

    nbdinfo nbd://127.0.0.1:10809/d-…";

fn config(folder: &Path) -> Result<Config, Failure> {
    let any_port = "127.0.0.1:0".parse()?;
    let args = ServeArgs {
        data_dir: Some(folder.to_owned()),
        listen: Some(any_port),
        nbd_listen: Some(any_port),
        region: vec![REGION.to_owned()],
        ..ServeArgs::default()
    };
    args.resolve()
}

async fn story(server: &Server, folder: &Path, file: &Path) -> Result<(), Failure> {
    let (id, secret) = read_root_key(folder)?;
    let cloud = Cloud { client: Client::new(server.api_address.to_string(), id, secret) };
    let length = std::fs::metadata(file)?.len();
    println!("            the file is {} ({length} bytes)", file.display());
    if length == 0 || length > 20 << 30 {
        return Err("the demo needs a file of 1 byte to 20 GiB".into());
    }
    let nbd = Nbd { address: server.nbd_address, length };

    let image = "ebb_blank_20G.raw";
    let run = [("RegionId", REGION), ("ImageId", image), ("InstanceType", "ecs.g7.large")];
    let reply = cloud.call("RunInstances", &run).await?;
    let instance = text(&reply["InstanceIdSets"]["InstanceIdSet"][0])?;
    cloud.await_instance(&instance, "Running").await?;
    let zone = format!("{REGION}-a");
    let new = [
        ("RegionId", REGION),
        ("ZoneId", zone.as_str()),
        ("Size", "20"),
        ("DiskCategory", "cloud_essd"),
    ];
    let disk = text(&cloud.call("CreateDisk", &new).await?["DiskId"])?;
    cloud.call("AttachDisk", &[("InstanceId", &instance), ("DiskId", &disk)]).await?;

    let before = nbd.put(&disk, file).await?;
    println!("            SHA-256 {before}");
    let reply = cloud.call("CreateSnapshot", &[("DiskId", &disk)]).await?;
    let snapshot = text(&reply["SnapshotId"])?;
    let ruined = nbd.ruin(&disk).await?;
    if ruined == before {
        return Err("the disk reads as before although it was overwritten".into());
    }
    println!("            SHA-256 {ruined}");

    let reset = [("DiskId", disk.as_str()), ("SnapshotId", snapshot.as_str())];
    cloud.refused("ResetDisk", &reset, "IncorrectInstanceStatus").await?;
    cloud.call("StopInstance", &[("InstanceId", &instance)]).await?;
    cloud.await_instance(&instance, "Stopped").await?;
    let dry = [reset[0], reset[1], ("DryRun", "true")];
    cloud.refused("ResetDisk", &dry, "DryRunOperation").await?;
    cloud.call("ResetDisk", &reset).await?;
    cloud.call("StartInstance", &[("InstanceId", &instance)]).await?;
    cloud.await_instance(&instance, "Running").await?;

    let after = nbd.get(&disk, "read back").await?;
    println!("            SHA-256 {after}");
    if after != before {
        return Err(format!("the disk differs after the reset: {after} is not {before}").into());
    }
    Ok(())
}

fn say(begun: Instant, what: &str) {
    println!("{:>8.1} ms  {what}", begun.elapsed().as_secs_f64() * 1000.0);
}

fn text(value: &Value) -> Result<String, Failure> {
    Ok(value.as_str().ok_or_else(|| format!("expected a text, got {value}"))?.to_owned())
}

/// The API, step by step with its time.
struct Cloud {
    client: Client,
}

impl Cloud {
    async fn call(&self, action: &str, params: &[(&str, &str)]) -> Result<Value, Failure> {
        let begun = Instant::now();
        let reply = self.client.call(action, params).await?;
        say(begun, action);
        Ok(reply)
    }

    async fn refused(
        &self,
        action: &str,
        params: &[(&str, &str)],
        expected: &str,
    ) -> Result<(), Failure> {
        let begun = Instant::now();
        match self.client.call(action, params).await {
            Err(error @ ClientError::Refused { .. }) if error.code() == Some(expected) => {
                say(begun, &format!("{action} is refused: {expected}"));
                Ok(())
            }
            Err(error) => Err(error.into()),
            Ok(_) => Err(format!("{action} should have been refused with {expected}").into()),
        }
    }

    async fn await_instance(&self, id: &str, status: &str) -> Result<(), Failure> {
        let begun = Instant::now();
        let params = [("RegionId", REGION), ("InstanceId.1", id)];
        while begun.elapsed() < Duration::from_secs(30) {
            let reply = self.client.call("DescribeInstanceStatus", &params).await?;
            if reply["InstanceStatuses"]["InstanceStatus"][0]["Status"] == status {
                say(begun, &format!("the instance is {status}"));
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Err(format!("the instance was not {status} within 30 s").into())
    }
}

/// The data, over NBD.
#[derive(Clone, Copy)]
struct Nbd {
    address: std::net::SocketAddr,
    length: u64,
}

impl Nbd {
    /// Writes the file and makes it durable; answers its digest.
    async fn put(self, disk: &str, file: &Path) -> Result<String, Failure> {
        let (disk, file) = (disk.to_owned(), file.to_owned());
        spawn_blocking(move || {
            let begun = Instant::now();
            let mut client = self.connect(&disk)?;
            let mut file = std::fs::File::open(file)?;
            file.seek(SeekFrom::Start(0))?;
            let mut digest = Sha256::new();
            self.pieces(|offset, piece| {
                file.read_exact(piece)?;
                digest.update(&*piece);
                Ok(client.write(offset, piece)?)
            })?;
            client.flush()?;
            client.disconnect()?;
            say(begun, "the file is on the disk, and flushed");
            Ok(hex(&digest.finalize()))
        })
        .await?
    }

    /// Overwrites what was written; answers the digest of what is there now.
    async fn ruin(self, disk: &str) -> Result<String, Failure> {
        let name = disk.to_owned();
        spawn_blocking(move || -> Result<(), Failure> {
            let begun = Instant::now();
            let mut client = self.connect(&name)?;
            self.pieces(|offset, piece| {
                piece.fill(0xA5);
                Ok(client.write(offset, piece)?)
            })?;
            client.flush()?;
            client.disconnect()?;
            say(begun, "the disk is ruined");
            Ok(())
        })
        .await??;
        self.get(disk, "read the ruin").await
    }

    /// The digest of what is on the disk.
    async fn get(self, disk: &str, what: &'static str) -> Result<String, Failure> {
        let disk = disk.to_owned();
        spawn_blocking(move || {
            let begun = Instant::now();
            let mut client = self.connect(&disk)?;
            let mut digest = Sha256::new();
            self.pieces(|offset, piece| {
                client.read(offset, piece)?;
                digest.update(&*piece);
                Ok(())
            })?;
            client.disconnect()?;
            say(begun, what);
            Ok(hex(&digest.finalize()))
        })
        .await?
    }

    fn connect(self, disk: &str) -> Result<ebb_nbd::client::Client, Failure> {
        Ok(ebb_nbd::client::Client::connect_tcp(self.address, disk)?)
    }

    fn pieces(
        self,
        mut each: impl FnMut(u64, &mut [u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut piece = vec![0; PIECE];
        let mut offset = 0;
        while offset < self.length {
            let left = usize::try_from(self.length - offset).unwrap_or(PIECE);
            let length = left.min(PIECE);
            each(offset, &mut piece[..length])?;
            offset += length as u64;
        }
        Ok(())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
