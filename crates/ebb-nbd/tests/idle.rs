//! A thousand idle connections, in a process of their own so that its memory is theirs.

#![allow(clippy::unwrap_used, reason = "tests")]

#[allow(dead_code, reason = "shared with the other tests, which use all of it")]
#[path = "nbd/fixture.rs"]
mod fixture;
#[allow(dead_code, reason = "shared with the other tests, which use all of it")]
#[path = "nbd/volume.rs"]
mod volume;

use std::time::{Duration, Instant};

use ebb_nbd::wire::Command;
use ebb_nbd::{Exports, Limits};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::fixture::Fixture;

/// Resident memory of this process in bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// Raises the number of files that this process may open, where its hard limit lets it.
fn may_open(files: u64) -> bool {
    let limit = getrlimit(Resource::Nofile);
    let enough = |limit: Option<u64>| limit.is_none_or(|limit| limit >= files);
    if enough(limit.current) {
        return true;
    }
    let raised = Rlimit { current: limit.maximum, ..limit };
    enough(limit.maximum) && setrlimit(Resource::Nofile, raised).is_ok()
}

#[test]
fn a_thousand_idle_connections_cost_little_and_hinder_nobody() {
    let limits = Limits { connections: 1_001, connections_per_export: 1_001, ..Limits::default() };
    let fixture = Fixture::with(Exports::new(), limits);
    if !may_open(2_500) {
        println!("skipped: this process may not open 2,500 files");
        return;
    }
    let before = resident();
    let idle: Vec<_> = (0..1_000)
        .map(|_| {
            let mut raw = fixture.transmission(true);
            raw.request(Command::Read, 0, 1, 0, 4096);
            raw.chunk();
            raw
        })
        .collect();
    let each = resident().saturating_sub(before) / idle.len();
    println!("{each} bytes of resident memory for each idle connection");
    assert!(each < 128 << 10, "{each} bytes a connection");
    fixture.client().write_durably(0, b"still served").unwrap();
    let began = Instant::now();
    fixture.server.shutdown(Duration::from_secs(5));
    assert!(began.elapsed() < Duration::from_secs(4), "idle connections delay the end");
}
