//! Crashes at every step of every call, on a real cluster: the call has happened wholly or not at
//! all, its repetition is right, and no image is left that no row names.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, id};
use std::time::{Duration, Instant};

use ebb_volume::{Engine, EngineError, Io, OpId, SnapshotId, VolumeId, run};

use crate::engine::{Shared, lock};
use crate::records::{ImageRow, Reap, ReapRow, VolumeRow, reap_key, snapshot_key, volume_key};
use crate::{Options, RbdEngine, ResetMode};

const SIZE: u64 = 12 << 20;
const PLACES: [u64; 3] = [0, 5 << 20, 11 << 20];
const STEPS: [&str; 6] = ["named", "made", "taken", "decided", "committed", "rolled back"];

fn options(name: &str, reset: ResetMode) -> Options {
    let conf = env::var_os("EBB_TEST_CEPH_CONF")
        .expect("there is no Ceph cluster: these tests are run by `cargo xtask ceph`");
    let namespace = format!("crash-{}-{name}", id());
    let (pool, user) = ("rbd".into(), "admin".into());
    Options { conf: conf.into(), pool, namespace, user, reset, flatten_rate: 0 }
}

fn op(n: u8) -> OpId {
    OpId([n; 16])
}

fn fill(engine: &RbdEngine, volume: u64, byte: u8) {
    let handle = engine.open(VolumeId(volume), None).unwrap();
    for offset in PLACES {
        let data = vec![byte; 4096].into();
        run(&*handle, Io::Write { offset, data, fua: true }).unwrap();
    }
}

/// The byte that all places have.
fn content(engine: &RbdEngine, volume: u64) -> u8 {
    let handle = engine.open(VolumeId(volume), None).unwrap();
    let at = |offset| run(&*handle, Io::Read { offset, length: 4096 }).unwrap();
    let bytes: BTreeSet<u8> = PLACES.iter().flat_map(|place| at(*place)).collect();
    assert_eq!(bytes.len(), 1, "volume {volume} has parts of several: {bytes:?}");
    bytes.into_iter().next().unwrap()
}

/// Volume 1 with 1, which snapshot 10 has, then 2; volume 2 with 3.
fn set_up(options: &Options) {
    let engine = RbdEngine::open(options).unwrap();
    for volume in [1, 2] {
        engine.create_volume(op(100 + volume as u8), VolumeId(volume), SIZE, None).unwrap();
    }
    fill(&engine, 1, 1);
    engine.create_snapshots(op(110), &[(VolumeId(1), SnapshotId(10))]).unwrap();
    fill(&engine, 1, 2);
    fill(&engine, 2, 3);
}

/// Crashes `call` at a step. False: it does not come to that step.
fn crash(
    options: &Options,
    step: &'static str,
    call: &dyn Fn(&RbdEngine) -> Result<(), EngineError>,
) -> bool {
    let engine = RbdEngine::open(options).unwrap();
    *lock(&engine.shared.crash_at) = Some(step);
    let outcome = catch_unwind(AssertUnwindSafe(|| call(&engine)));
    *lock(&engine.shared.crash_at) = None;
    match outcome {
        Err(_) => true,
        Ok(outcome) => {
            outcome.unwrap();
            false
        }
    }
}

/// Every image has a row, and once the reaper is done, only those that are needed are there.
fn assert_nothing_is_lost(engine: &RbdEngine, options: &Options) {
    let records = engine.shared.records();
    let listed = Command::new("rbd")
        .args(["--conf", options.conf.to_str().unwrap(), "ls"])
        .arg(format!("{}/{}", options.pool, options.namespace))
        .output()
        .unwrap();
    assert!(listed.status.success(), "{listed:?}");
    let named = |rows: Vec<String>| -> BTreeSet<String> {
        rows.iter().map(|key| key[2..].to_owned()).collect()
    };
    let images = records.all::<ImageRow>("i/").unwrap().into_iter().map(|(key, _)| key);
    let reaped = records.all::<ReapRow>("d/").unwrap().into_iter().map(|(key, _)| key);
    let known = named(images.chain(reaped).collect());
    for image in String::from_utf8(listed.stdout).unwrap().lines() {
        assert!(known.contains(image), "no row names {image}: {known:?}");
    }
}

/// Crashes a call at each of its steps. `before` and `after` check what it is to do.
fn at_every_step(
    name: &str,
    reset: ResetMode,
    steps: usize,
    call: &dyn Fn(&RbdEngine) -> Result<(), EngineError>,
    before: &dyn Fn(&RbdEngine) -> bool,
    after: &dyn Fn(&RbdEngine) -> bool,
) {
    let mut crashed = 0;
    for step in STEPS {
        let options = options(&format!("{name}-{}", step.replace(' ', "-")), reset);
        set_up(&options);
        if !crash(&options, step, call) {
            continue;
        }
        crashed += 1;
        let engine = RbdEngine::open(&options).unwrap();
        let done = ["committed", "rolled back"].contains(&step);
        assert!(if done { after(&engine) } else { before(&engine) }, "{name}, {step}");
        call(&engine).unwrap();
        assert!(after(&engine), "{name}, {step}, repeated");
        let row: Option<VolumeRow> = engine.shared.records().row(&volume_key(VolumeId(1))).unwrap();
        assert!(row.is_none_or(|row| row.rollback.is_none()));
        assert_nothing_is_lost(&engine, &options);
    }
    assert_eq!(crashed, steps, "{name} has other steps");
}

#[test]
#[ignore = "needs a Ceph cluster: cargo xtask ceph"]
fn a_reset_in_place() {
    let call = |engine: &RbdEngine| engine.reset(op(1), VolumeId(1), SnapshotId(10));
    let is = |byte| move |engine: &RbdEngine| content(engine, 1) == byte;
    at_every_step("place", ResetMode::Auto, 3, &call, &is(2), &is(1));
}

#[test]
#[ignore = "needs a Ceph cluster: cargo xtask ceph"]
fn a_reset_by_a_clone() {
    let call = |engine: &RbdEngine| engine.reset(op(1), VolumeId(1), SnapshotId(10));
    let is = |byte| move |engine: &RbdEngine| content(engine, 1) == byte;
    at_every_step("clone", ResetMode::Clone, 4, &call, &is(2), &is(1));
}

#[test]
#[ignore = "needs a Ceph cluster: cargo xtask ceph"]
fn a_fork() {
    let call = |engine: &RbdEngine| engine.fork(op(1), SnapshotId(10), VolumeId(5), SIZE);
    let none = |engine: &RbdEngine| {
        engine.inventory().unwrap().volumes.iter().all(|info| info.id != VolumeId(5))
    };
    at_every_step("fork", ResetMode::Auto, 4, &call, &none, &|engine| content(engine, 5) == 1);
}

#[test]
#[ignore = "needs a Ceph cluster: cargo xtask ceph"]
fn a_group_of_snapshots() {
    let pairs = [(VolumeId(1), SnapshotId(20)), (VolumeId(2), SnapshotId(21))];
    let call = |engine: &RbdEngine| engine.create_snapshots(op(1), &pairs);
    let count = |engine: &RbdEngine| engine.inventory().unwrap().snapshots.len();
    let after = |engine: &RbdEngine| {
        engine.reset(op(2), VolumeId(2), SnapshotId(20)).unwrap();
        count(engine) == 3 && content(engine, 2) == 2
    };
    at_every_step("group", ResetMode::Auto, 3, &call, &|engine| count(engine) == 1, &after);
}

#[test]
#[ignore = "needs a Ceph cluster: cargo xtask ceph"]
fn a_deletion() {
    let call = |engine: &RbdEngine| engine.delete_volume(op(1), VolumeId(1));
    let there = |engine: &RbdEngine| {
        engine.inventory().unwrap().volumes.iter().any(|info| info.id == VolumeId(1))
    };
    at_every_step("delete", ResetMode::Auto, 2, &call, &there, &|engine| !there(engine));
}

/// When all volumes and snapshots are deleted, no image is left, whatever was a clone of what.
#[test]
#[ignore = "needs a Ceph cluster: cargo xtask ceph"]
fn what_is_deleted_goes() {
    let options = options("goes", ResetMode::Clone);
    set_up(&options);
    let engine = RbdEngine::open(&options).unwrap();
    engine.reset(op(1), VolumeId(1), SnapshotId(10)).unwrap();
    fill(&engine, 1, 4);
    engine.create_snapshots(op(2), &[(VolumeId(1), SnapshotId(11))]).unwrap();
    engine.fork(op(3), SnapshotId(11), VolumeId(3), 2 * SIZE).unwrap();
    engine.delete_snapshot(op(4), SnapshotId(10)).unwrap();
    engine.delete_snapshot(op(5), SnapshotId(11)).unwrap();
    assert_eq!((content(&engine, 1), content(&engine, 3)), (4, 4));
    for volume in [1, 2, 3] {
        engine.delete_volume(op(10 + volume as u8), VolumeId(volume)).unwrap();
    }
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let records = engine.shared.records();
        let left = records.all::<ImageRow>("i/").unwrap();
        if left.is_empty() && records.all::<ReapRow>("d/").unwrap().is_empty() {
            break;
        }
        assert!(Instant::now() < deadline, "left: {left:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_nothing_is_lost(&engine, &options);
}

/// What a crash has left is removed an hour later, and what was slow does not commit after that.
#[test]
#[ignore = "needs a Ceph cluster: cargo xtask ceph"]
fn what_is_unfinished_is_given_up() {
    let options = options("unfinished", ResetMode::Auto);
    set_up(&options);
    let fork = |engine: &RbdEngine| engine.fork(op(1), SnapshotId(10), VolumeId(5), SIZE);
    assert!(crash(&options, "decided", &fork));
    let engine = RbdEngine::open(&options).unwrap();
    let records = engine.shared.records();
    let rows = || records.all::<ReapRow>("d/").unwrap();
    let (key, row) = rows().pop().unwrap();
    let long_ago = ReapRow { since: row.since - 3601, ..row };
    engine.shared.settle(|change| change.set(key.clone(), &long_ago)).unwrap();
    engine.reap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while !rows().is_empty() {
        assert!(Instant::now() < deadline, "left: {:?}", rows());
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_nothing_is_lost(&engine, &options);
    fork(&engine).unwrap();
    assert_eq!(content(&engine, 5), 1);
    // Its row is gone, as that of a call that was given up is: it may not name its image again.
    let snapshot = records.row(&snapshot_key(SnapshotId(10))).unwrap();
    let made = engine.shared.make_image(op(2), VolumeId(6), snapshot.as_ref(), SIZE).unwrap();
    let key = reap_key(made.name(), None);
    engine.shared.settle(|change| change.set(key.clone(), &ReapRow::now(Reap::Remove))).unwrap();
    let mut change = records.change();
    let named = Shared::name_head(&mut change, VolumeId(6), &made, SIZE);
    assert!(matches!(named, Err(EngineError::Failed(_))), "{named:?}");
}
