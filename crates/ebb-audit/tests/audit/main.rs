//! The log from outside: what it writes, what a crash leaves, and what is found of changes.

#![allow(clippy::unwrap_used, reason = "tests")]

mod changes;
mod writing;

use std::fs;
use std::path::{Path, PathBuf};

use ebb_audit::{Entry, Log, Options};

pub(crate) const NOW: i64 = 1_700_000_000_000;

pub(crate) fn open(dir: &Path, options: Options) -> Log {
    Log::open(dir, options, NOW).unwrap()
}

pub(crate) fn append(log: &Log, calls: usize) {
    for at in 0..calls {
        let resources = [format!("acs:ecs:cn-hangzhou:1:disk/d-{at}")];
        let entry = Entry {
            account: "1234567890123456",
            identity: "acs:ram::1234567890123456:root",
            access_key_id: "LTAI",
            source_ip: "127.0.0.1",
            product: "Ecs",
            action: "ResetDisk",
            resources: &resources,
            status: 200,
            request_id: "0A0A",
            ..Entry::default()
        };
        log.append(NOW + at as i64, &entry).unwrap();
    }
}

pub(crate) fn file(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:08}.jsonl"))
}

/// The lines of a file, with their ends.
pub(crate) fn lines(path: &Path) -> Vec<Vec<u8>> {
    let bytes = fs::read(path).unwrap();
    bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}
