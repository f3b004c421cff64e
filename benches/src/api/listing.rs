//! What the Describe operations take with many records, one caller at a time.

use std::time::{Duration, Instant};

use ebb_bench::Failure;
use ebb_bench::server::Server;
use serde_json::Value;

use crate::fill::{self, Size};
use crate::wire::Connection;

/// Calls of each case.
const CALLS: u32 = 300;

/// Calls of each case in one round: the cases take turns.
const CALLS_A_ROUND: u32 = 30;

type Params = Vec<(&'static str, String)>;

/// A call that asks for something else each time.
struct Case {
    name: &'static str,
    action: &'static str,
    params: fn(u32, Size) -> Params,
    /// How many there are on the page.
    expected: u64,
}

const CASES: &[Case] = &[
    Case {
        name: "DescribeDisks: one by its id",
        action: "DescribeDisks",
        params: |n, size| vec![("DiskIds", format!("[\"{}\"]", fill::disk_id(pick(n, size))))],
        expected: 1,
    },
    Case {
        name: "DescribeDisks: 100 by their ids",
        action: "DescribeDisks",
        params: |n, size| {
            let ids: Vec<_> = (0..100).map(|k| fill::disk_id(pick(n * 100 + k, size))).collect();
            vec![("DiskIds", Value::from(ids).to_string()), ("PageSize", "100".into())]
        },
        expected: 100,
    },
    Case {
        name: "DescribeDisks: 100 of 100 by a tag",
        action: "DescribeDisks",
        params: |n, size| {
            let value = fill::tag_value(pick(n, size));
            vec![("Tag.1.Key", "app".into()), ("Tag.1.Value", value), ("PageSize", "100".into())]
        },
        expected: 100,
    },
    Case {
        name: "DescribeDisks: one by its name",
        action: "DescribeDisks",
        params: |n, size| vec![("DiskName", format!("disk-{}", pick(n, size)))],
        expected: 1,
    },
    Case {
        name: "DescribeDisks: the first 10 of all",
        action: "DescribeDisks",
        params: |_, _| Vec::new(),
        expected: 10,
    },
    Case {
        name: "DescribeDisks: a page of 100 in the middle, by its number",
        action: "DescribeDisks",
        params: |n, size| {
            let page = size.disks / 200 + n % 10;
            vec![("PageNumber", page.to_string()), ("PageSize", "100".into())]
        },
        expected: 100,
    },
    Case {
        name: "DescribeDisks: 100 from the start, by token",
        action: "DescribeDisks",
        params: |_, _| vec![("MaxResults", "100".into())],
        expected: 100,
    },
    Case {
        name: "DescribeSnapshots: one by its id",
        action: "DescribeSnapshots",
        params: |n, size| {
            vec![("SnapshotIds", format!("[\"{}\"]", fill::snapshot_id(pick(n, size), n % 10)))]
        },
        expected: 1,
    },
    Case {
        name: "DescribeSnapshots: 10 of one disk",
        action: "DescribeSnapshots",
        params: |n, size| vec![("DiskId", fill::disk_id(pick(n, size)))],
        expected: 10,
    },
    Case {
        name: "DescribeSnapshots: 100 of 1,000 by a tag",
        action: "DescribeSnapshots",
        params: |n, size| {
            let value = fill::tag_value(pick(n, size));
            vec![("Tag.1.Key", "app".into()), ("Tag.1.Value", value), ("PageSize", "100".into())]
        },
        expected: 100,
    },
    Case {
        name: "DescribeSnapshots: one by its name",
        action: "DescribeSnapshots",
        params: |n, size| vec![("SnapshotName", format!("snapshot-{}-{}", pick(n, size), n % 10))],
        expected: 1,
    },
    Case {
        name: "DescribeSnapshots: the first 10 of all",
        action: "DescribeSnapshots",
        params: |_, _| Vec::new(),
        expected: 10,
    },
    Case {
        name: "DescribeSnapshots: a page of 100 in the middle, by its number",
        action: "DescribeSnapshots",
        params: |n, size| {
            let page = size.disks * size.snapshots_a_disk / 200 + n % 10;
            vec![("PageNumber", page.to_string()), ("PageSize", "100".into())]
        },
        expected: 100,
    },
    Case {
        name: "DescribeSnapshots: 100 from the start, by token",
        action: "DescribeSnapshots",
        params: |_, _| vec![("MaxResults", "100".into())],
        expected: 100,
    },
];

/// Every disk is as likely as another, and the same in every run.
fn pick(n: u32, size: Size) -> u32 {
    n.wrapping_mul(2_654_435_761) % size.disks
}

pub(crate) fn measure(server: &Server, size: Size) -> Result<(), Failure> {
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); CASES.len()];
    let mut connection = Connection::new(server.api_address());
    for round in 0..CALLS / CALLS_A_ROUND {
        for (case, times) in CASES.iter().zip(&mut times) {
            for n in 0..CALLS_A_ROUND {
                let time = call(server, &mut connection, case, round * CALLS_A_ROUND + n, size)?;
                times.push(time);
            }
        }
    }
    println!("\n| one caller | median | p99 |\n|---|---|---|");
    for (case, mut times) in CASES.iter().zip(times) {
        times.sort();
        let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
        let millis = |time: Duration| time.as_secs_f64() * 1000.0;
        println!("| {} | {:.2} ms | {:.2} ms |", case.name, millis(at(0.5)), millis(at(0.99)));
    }
    Ok(())
}

fn call(
    server: &Server,
    connection: &mut Connection,
    case: &Case,
    n: u32,
    size: Size,
) -> Result<Duration, Failure> {
    let mut params = (case.params)(n, size);
    params.push(("RegionId", "cn-hangzhou".into()));
    let pairs: Vec<_> = params.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let request = server.wire_request(case.action, &pairs)?;
    let begun = Instant::now();
    let (status, body) = connection.exchange(&request)?;
    let time = begun.elapsed();
    let reply: Value = serde_json::from_slice(&body)?;
    let kind = case.action.trim_start_matches("Describe");
    let found = reply[kind][kind.trim_end_matches('s')].as_array().map_or(0, Vec::len);
    if status != 200 || found as u64 != case.expected {
        return Err(format!("{}: {status}, {found} found", case.name).into());
    }
    Ok(time)
}
