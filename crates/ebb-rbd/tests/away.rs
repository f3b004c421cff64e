//! A cluster that does not answer for a while: requests wait and go on by themselves, calls are
//! answered within a bounded time, and what was not answered is found out by asking again.
#![allow(clippy::unwrap_used, reason = "tests")]

mod cluster;

use std::fs;
use std::path::Path;
use std::process::{Command, id};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use cluster::Namespace;
use ebb_rbd::{Options, RbdEngine};
use ebb_volume::{Engine, EngineError, Io, OpId, VolumeId, run};

const SIZE: u64 = 16 << 20;
const V: VolumeId = VolumeId(1);

fn op(n: u8) -> OpId {
    OpId([n; 16])
}

/// They are hard on the cluster, one after the other.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A daemon that does not run until this is dropped.
struct Paused(String);

impl Paused {
    fn new(conf: &Path, daemon: &str) -> Self {
        let file = conf.with_file_name(format!("{daemon}.pid"));
        let this = Self(fs::read_to_string(file).unwrap().trim().to_owned());
        this.signal("-STOP");
        this
    }

    fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.0]).status().unwrap().success());
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        self.signal("-CONT");
    }
}

/// What the engine says of its health, which takes two seconds at most.
fn health(engine: &RbdEngine) -> Result<(), EngineError> {
    let began = Instant::now();
    let health = engine.health();
    assert!(began.elapsed() < Duration::from_millis(2500), "{:?}", began.elapsed());
    health
}

fn until_health(engine: &RbdEngine, within: Duration, is: impl Fn(&str) -> bool) {
    let until = Instant::now() + within;
    loop {
        let health = health(engine).map_or_else(|error| error.to_string(), |()| "well".to_owned());
        if is(&health) {
            return;
        }
        assert!(Instant::now() < until, "it says {health:?}");
        thread::sleep(Duration::from_millis(50));
    }
}

fn failed(outcome: Result<(), EngineError>, says: &str) {
    match outcome {
        Err(EngineError::Failed(why)) => assert!(why.contains(says), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[test]
#[ignore = "needs a Ceph cluster: cargo xtask ceph"]
fn osds_that_are_silent() {
    let _alone = alone();
    let options = Namespace::new().options;
    let engine = RbdEngine::open(&options).unwrap();
    engine.create_volume(op(1), V, SIZE, None).unwrap();
    let handle = engine.open(V, None).unwrap();
    let written = AtomicU64::new(0);
    let write = || {
        let number = written.load(SeqCst) + 1;
        let data = number.to_le_bytes().repeat(512).into();
        run(&*handle, Io::Write { offset: 0, data, fua: true }).unwrap();
        written.store(number, SeqCst);
    };
    write();
    let (create, began) =
        (|n: u8| engine.create_volume(op(n), VolumeId(u64::from(n)), SIZE, None), Instant::now());
    thread::scope(|scope| {
        let paused = Paused::new(&options.conf, "osd.0");
        // These have begun when the silence is noticed.
        let given_up = scope.spawn(|| (create(2), began.elapsed()));
        let opened = scope.spawn(|| RbdEngine::open(&options).map(drop));
        let waits = scope.spawn(|| (1..=20).for_each(|_| write()));
        until_health(&engine, Duration::from_secs(6), |says| says.contains("OSDs are silent"));
        let before = Instant::now();
        failed(create(3), "does not answer");
        failed(engine.inventory().map(drop), "does not answer");
        assert!(before.elapsed() < Duration::from_secs(1), "{:?}", before.elapsed());
        let (outcome, took) = given_up.join().unwrap();
        failed(outcome, "does not answer");
        assert!(took < Duration::from_secs(12), "{took:?}");
        failed(opened.join().unwrap(), "the OSDs of the Ceph pool rbd do not answer");
        assert_eq!(written.load(SeqCst), 1);
        assert!(!waits.is_finished());
        drop(paused);
        until_health(&engine, Duration::from_secs(10), |says| says == "well");
        waits.join().unwrap();
    });
    assert_eq!(written.load(SeqCst), 21);
    // What was given up has not been done, and may be asked for again.
    create(2).unwrap();
    create(2).unwrap();
    create(3).unwrap();
    let volumes = engine.inventory().unwrap().volumes.len();
    assert_eq!(volumes, 3);
    engine.close().unwrap();
}

#[test]
#[ignore = "needs a Ceph cluster: cargo xtask ceph"]
fn monitors_that_are_silent() {
    let _alone = alone();
    let options = Namespace::new().options;
    let engine = RbdEngine::open(&options).unwrap();
    engine.create_volume(op(1), V, SIZE, None).unwrap();
    let handle = engine.open(V, None).unwrap();
    let paused = Paused::new(&options.conf, "mon.a");
    until_health(&engine, Duration::from_secs(6), |says| says.contains("monitors are silent"));
    // They are not in the way of data, nor of what is only read.
    run(&*handle, Io::Write { offset: 0, data: vec![1; 4096].into(), fua: true }).unwrap();
    assert_eq!(engine.inventory().unwrap().volumes.len(), 1);
    drop(paused);
    until_health(&engine, Duration::from_secs(10), |says| says == "well");
    run(&*handle, Io::Write { offset: 0, data: vec![2; 4096].into(), fua: true }).unwrap();
}

#[test]
#[ignore = "needs a Ceph cluster: cargo xtask ceph"]
fn monitors_that_are_not_there() {
    let conf = std::env::temp_dir().join(format!("ebb-no-monitors-{}.conf", id()));
    let text = "[global]\nmon host = [v2:127.0.0.1:1]\nauth client required = none\n";
    fs::write(&conf, text).unwrap();
    let options = Options { conf: conf.clone(), ..Namespace::new().options };
    let began = Instant::now();
    let outcome = RbdEngine::open(&options).map(drop);
    fs::remove_file(&conf).unwrap();
    failed(outcome, "the monitors of the Ceph cluster that");
    assert!(began.elapsed() < Duration::from_secs(14), "{:?}", began.elapsed());
}

#[test]
#[ignore = "needs a Ceph cluster: cargo xtask ceph"]
fn a_cluster_for_clients_that_are_too_old() {
    let _alone = alone();
    let options = Namespace::new().options;
    let admit = |release: &str| {
        let mut command = Command::new("ceph");
        command.arg("--conf").arg(&options.conf);
        command.args(["osd", "set-require-min-compat-client", release]);
        command.args(["--yes-i-really-mean-it"]);
        assert!(command.output().unwrap().status.success());
    };
    admit("luminous");
    let outcome = RbdEngine::open(&options).map(drop);
    admit("mimic");
    failed(outcome, "run `ceph osd set-require-min-compat-client mimic`");
    RbdEngine::open(&options).unwrap();
}
