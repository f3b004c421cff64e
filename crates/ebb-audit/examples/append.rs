//! What a line costs: `cargo run --release -p ebb-audit --example append -- FOLDER`.

#![allow(clippy::unwrap_used, reason = "a measurement")]

use std::path::Path;
use std::time::{Duration, Instant};

use ebb_audit::{Entry, Log, Options, verify};

const LINES: usize = 400_000;

fn main() {
    let folder = std::env::args().nth(1).expect("give a folder that is not there yet");
    let dir = Path::new(&folder);
    let log = Log::open(dir, Options::default(), 1_700_000_000_000).unwrap();
    for threads in [1, 4] {
        let started = Instant::now();
        let mut took = std::thread::scope(|scope| {
            let run = || scope.spawn(|| append(&log, LINES / threads));
            let threads: Vec<_> = (0..threads).map(|_| run()).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        let all = started.elapsed();
        took.sort_unstable();
        let at = |part: f64| took[((took.len() - 1) as f64 * part) as usize];
        println!(
            "{threads} threads: {:.0} lines/s, median {:?}, mean {:?}, p99 {:?}, p99.9 {:?}, \
             longest {:?}",
            took.len() as f64 / all.as_secs_f64(),
            at(0.5),
            took.iter().sum::<Duration>() / took.len() as u32,
            at(0.99),
            at(0.999),
            at(1.0)
        );
    }
    drop(log);
    let started = Instant::now();
    let verified = verify(dir, None).unwrap();
    println!("verified {} lines in {:?}", verified.lines, started.elapsed());
}

fn append(log: &Log, lines: usize) -> Vec<Duration> {
    let resources = ["acs:ecs:cn-hangzhou:1234567890123456:disk/d-bp67acfmxazb4p****".to_owned()];
    let entry = Entry {
        account: "1234567890123456",
        identity: "acs:ram::1234567890123456:user/operator",
        access_key_id: "LTAI5t8xxxxxxxxxxxxxxxxx",
        source_ip: "192.0.2.17",
        user_agent: Some("AlibabaCloud (Linux; x86_64) Python/3.12 Core/0.4.1 TeaDSL/1"),
        product: "Ecs",
        action: "ResetDisk",
        resources: &resources,
        status: 200,
        request_id: "473469C7-AA6F-4DC5-B3DB-A3DC0DE3C83E",
        milliseconds: 3,
        ..Entry::default()
    };
    let time = |at: usize| {
        let started = Instant::now();
        log.append(1_700_000_000_000 + at as i64, &entry).unwrap();
        started.elapsed()
    };
    (0..lines).map(time).collect()
}
