//! Every key of a reply is one that the protocol documents, and its value of the documented kind.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;
mod plane;

use std::path::Path;

use plane::Plane;
use serde_json::Value;

/// The documented response: a leaf is the letter of its kind, a list has its one item's.
fn documented(operation: &str) -> Option<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/ecs/ops");
    let text = std::fs::read_to_string(folder.join(format!("{operation}.json"))).ok()?;
    let description: Value = serde_json::from_str(&text).unwrap();
    Some(description["response"].clone())
}

/// What Ebbtide answers beside what is documented.
const OURS: &str = "DescribeDisks.Disks.Disk[].ExportUrl";

/// Whatever in `reply` is not as documented; `leaves` counts what was compared.
fn differences(path: &str, reply: &Value, shape: &Value, leaves: &mut usize) -> Vec<String> {
    match (reply, shape) {
        (Value::Object(fields), Value::Object(known)) => fields
            .iter()
            .flat_map(|(key, value)| {
                let path = format!("{path}.{key}");
                match known.get(key) {
                    Some(shape) => differences(&path, value, shape, leaves),
                    None if path == OURS => differences(&path, value, &"s".into(), leaves),
                    None => vec![format!("{path} is not documented")],
                }
            })
            .collect(),
        (Value::Array(items), Value::Array(known)) => items
            .iter()
            .flat_map(|item| differences(&format!("{path}[]"), item, &known[0], leaves))
            .collect(),
        (Value::String(_), Value::String(kind)) if kind == "s" => {
            *leaves += 1;
            Vec::new()
        }
        (Value::Bool(_), Value::String(kind)) if kind == "b" => {
            *leaves += 1;
            Vec::new()
        }
        (Value::Number(_), Value::String(kind)) if kind.starts_with(['i', 'f']) => {
            *leaves += 1;
            Vec::new()
        }
        _ => vec![format!("{path} is {reply}, documented as {shape}")],
    }
}

/// One of everything that a list can show.
fn furnish(plane: &Plane) -> String {
    let instance = plane.run_instance(&[
        ("Tag.1.Key", "k"),
        ("Tag.1.Value", "v"),
        ("SecurityGroupId", "sg-1"),
        ("VSwitchId", "vsw-1"),
        ("PrivateIpAddress", "10.0.0.1"),
        ("KeyPairName", "pair"),
    ]);
    let shared = plane.create_disk(&[("MultiAttach", "Enabled"), ("Tag.1.Key", "k")]);
    let auto = plane.create_disk(&[("DiskCategory", "cloud_auto"), ("ProvisionedIops", "100")]);
    for disk in [&shared, &auto] {
        plane.call("AttachDisk", &[("DiskId", disk), ("InstanceId", &instance)]);
    }
    let params = [("DiskId", shared.as_str()), ("Tag.1.Key", "k"), ("RetentionDays", "3")];
    plane.call("CreateSnapshot", &params);
    let id = ebb_domain::InstanceId::new(&instance);
    plane.control.lock_instance(&id, true).unwrap();
    let arrears =
        ebb_control::AccountChange { arrears: Some(true), ..ebb_control::AccountChange::default() };
    plane.control.set_account(None, arrears).unwrap();
    shared
}

/// An operation, its parameters, and how many values its reply has at least.
type Asked<'a> = (&'a str, &'a [(&'a str, &'a str)], usize);

#[test]
fn lists_show_documented_keys_only() {
    if documented("DescribeDisks").is_none() {
        eprintln!("skipped: the descriptions of the operations are not beside this checkout");
        return;
    }
    let plane = Plane::start();
    let disk = furnish(&plane);
    let region = ("RegionId", "cn-hangzhou");
    let of_disk = [region, ("ResourceType", "disk"), ("ResourceId.1", disk.as_str())];
    let asked: [Asked<'_>; 8] = [
        ("DescribeDisks", &[region], 100),
        ("DescribeInstances", &[region], 30),
        ("DescribeInstanceStatus", &[region], 5),
        ("DescribeSnapshots", &[region], 15),
        ("DescribeRegions", &[], 8),
        ("DescribeZones", &[region], 50),
        ("DescribeImages", &[region], 20),
        ("ListTagResources", &of_disk, 5),
    ];
    for (operation, params, at_least) in asked {
        let reply = plane.call(operation, params);
        let mut leaves = 0;
        let shape = documented(operation).unwrap();
        let differences = differences(operation, &reply, &shape, &mut leaves);
        assert_eq!(differences, Vec::<String>::new(), "{operation}");
        assert!(leaves >= at_least, "{operation}: only {leaves} values were compared");
    }
}
