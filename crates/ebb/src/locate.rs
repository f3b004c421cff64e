//! `ebb volume locate`: where a disk's bytes are, told by the running server over its admin socket.
//!
//! The server says it, as it has the records and the engine open; nothing is opened twice. What it
//! says ends with how to use the disk without it.
//!
//! ```text
//!   disk, volume, instances                          of the records
//!   engine: local   pool                             or
//!   engine: rbd     image, parents, snapshots, …     of the engine
//! ```

use std::path::{Path, PathBuf};

use clap::Args;
use ebb_api::admin::{AdminClient, Command};
use ebb_control::DiskVolume;
use ebb_rbd::{Options, Place, RbdEngine};
use ebb_volume::VolumeId;
use serde_json::{Value, json};

use crate::Failure;
use crate::engine_args::{EngineConfig, OpenEngine};

/// The command.
#[derive(Debug, Args)]
pub(crate) struct LocateArgs {
    /// Which disk.
    #[arg(value_name = "D-ID")]
    disk: String,
    /// Whose server is meant.
    #[arg(long, env = "EBB_DATA_DIR", value_name = "DIR")]
    data_dir: PathBuf,
    /// Print it as JSON.
    #[arg(long)]
    json: bool,
}

/// Asks the server, and prints what it says.
pub(crate) async fn locate(args: LocateArgs) -> Result<(), Failure> {
    let client = AdminClient::new(&args.data_dir.join("admin.sock"));
    let found = client.run(&Command::LocateDisk { disk: args.disk }).await?;
    match args.json {
        true => println!("{found}"),
        false => print!("{}", words(&found)),
    }
    Ok(())
}

/// What the server says of a disk.
pub(crate) fn told(
    engine: &OpenEngine,
    config: &EngineConfig,
    data_dir: &Path,
    disk: &DiskVolume,
) -> Result<Value, Failure> {
    let instances: Vec<&str> = disk.instances.iter().map(|id| id.as_str()).collect();
    let mut said = json!({
        "disk": disk.disk.as_str(),
        "volume": format!("{:016x}", disk.volume),
        "attached_to": instances,
        "served_at": disk.export_url,
    });
    let more = match (engine, config) {
        (OpenEngine::Rbd(engine), EngineConfig::Rbd(options)) => of_rbd(engine, options, disk)?,
        _ => json!({ "engine": "local", "pool": data_dir.join("pool.dat") }),
    };
    if let (Value::Object(said), Value::Object(more)) = (&mut said, more) {
        said.extend(more);
    }
    Ok(said)
}

fn of_rbd(engine: &RbdEngine, options: &Options, disk: &DiskVolume) -> Result<Value, Failure> {
    let place = engine.locate(VolumeId(disk.volume))?;
    let Options { pool, namespace, conf, user, .. } = options;
    let in_pool = match namespace.as_str() {
        "" => format!("{pool}/{}", place.image),
        namespace => format!("{pool}/{namespace}/{}", place.image),
    };
    let may_write = disk.instances.is_empty() && !place.in_use;
    let conf = conf.display();
    let map = match may_write {
        true => format!("rbd --conf {conf} --id {user} map {in_pool}"),
        false => format!("rbd --conf {conf} --id {user} map --read-only {in_pool}"),
    };
    let read_only = if may_write { "" } else { ",readonly=on" };
    let qemu = format!(
        "qemu-system-x86_64 -drive \
         file=rbd:{in_pool}:id={user}:conf={conf},format=raw,if=virtio{read_only}"
    );
    let warning = match may_write {
        true => "the server must not use the disk meanwhile: attach it to nothing",
        false => "the disk is in use: whoever writes to the image beside it destroys it",
    };
    let Place { image, id, features, size_bytes, parents, snapshots, flattening, watchers, .. } =
        place;
    let snapshots: Vec<Value> = snapshots
        .iter()
        .map(|snap| {
            let known = disk.snapshots.iter().find(|(_, version)| *version == snap.snapshot);
            json!({
                "snapshot": known.map(|(id, _)| id.as_str()),
                "image": snap.name,
                "size_bytes": snap.size_bytes,
            })
        })
        .collect();
    Ok(json!({
        "engine": "rbd",
        "pool": pool,
        "namespace": namespace,
        "image": image,
        "image_id": id,
        "size_bytes": size_bytes,
        "features": features,
        "depth": parents.len(),
        "parents": parents,
        "flattening": flattening.map(|of| json!({ "objects": of.objects, "left": of.left })),
        "clients": watchers,
        "snapshots": snapshots,
        "map": map,
        "qemu": qemu,
        "warning": warning,
    }))
}

/// A line for each thing.
fn words(found: &Value) -> String {
    let mut text = String::new();
    for (name, value) in found.as_object().into_iter().flatten() {
        let name = name.replace('_', " ");
        match value {
            Value::Null => {}
            Value::Array(entries) => {
                let shown = entries.iter().map(one_line).collect::<Vec<_>>();
                let lines = if entries.iter().any(Value::is_object) { "\n  " } else { " " };
                text += &format!("{name}:{lines}{}\n", shown.join(lines));
            }
            other => text += &format!("{name}: {}\n", one_line(other)),
        }
    }
    text
}

fn one_line(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(fields) => {
            let named = fields.iter().filter(|(_, value)| !value.is_null());
            let shown = named.map(|(name, value)| format!("{name} {}", one_line(value)));
            shown.collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thing_has_a_line_and_what_is_not_there_has_none() {
        let found = json!({
            "disk": "d-1",
            "attached_to": ["i-1", "i-2"],
            "flattening": null,
            "size_bytes": 5,
            "snapshots": [
                { "snapshot": "s-1", "image": "a@b" },
                { "snapshot": null, "image": "c" },
            ],
        });
        let lines: Vec<String> = words(&found).lines().map(str::to_owned).collect();
        for line in ["disk: d-1", "attached to: i-1 i-2", "size bytes: 5", "snapshots:"] {
            assert!(lines.iter().any(|found| found == line), "{line} is not in {lines:?}");
        }
        assert!(lines.iter().any(|line| line.starts_with("  ") && line.contains("snapshot s-1")));
        assert!(lines.contains(&"  image c".to_owned()), "{lines:?}");
        assert!(!lines.iter().any(|line| line.contains("flattening")));
    }
}
