//! A real process on a real file, killed with SIGKILL at random, again and again.
//!
//! The child is this test binary, started anew. What it does at each step follows from the step's
//! number, so the parent knows what the pool must hold: every step that was answered, and of the
//! one under way all or nothing. (A kill loses no page of the cache; that syncs are in the right
//! places is shown by the simulator.)
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use ebb_local::{LocalEngine, Options};
use ebb_volume::{DataKey, Engine, Io, OpId, SnapshotId, VolumeId, run};

const KILLS: u64 = 30;
const BLOCKS: u64 = 64;
const BLOCK: usize = 4096;
const VOLUME: VolumeId = VolumeId(1);
const DIRECTORY: &str = "EBB_KILL9_DIRECTORY";
const FIRST_STEP: &str = "EBB_KILL9_FIRST_STEP";
const IS_ENCRYPTED: &str = "EBB_KILL9_IS_ENCRYPTED";

/// The stamp of each block.
type Image = Vec<u64>;

#[derive(Clone, PartialEq)]
struct Expected {
    volume: Image,
    snapshots: BTreeMap<u64, Image>,
}

enum Step {
    Create,
    Write { lba: u64, blocks: u64 },
    Snapshot,
    Reset { target: u64 },
    Delete { snapshot: u64 },
}

/// Numbers without order that follow from a step's number.
fn mixed(step: u64) -> u64 {
    let z = step.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (z ^ (z >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 20
}

fn step_at(step: u64, expected: &Expected) -> Step {
    let snapshots: Vec<u64> = expected.snapshots.keys().copied().collect();
    let any = |n: u64| snapshots[(mixed(step + n) % snapshots.len() as u64) as usize];
    match mixed(step) % 10 {
        _ if step == 0 => Step::Create,
        0 if snapshots.len() < 6 => Step::Snapshot,
        1 if !snapshots.is_empty() => Step::Reset { target: any(1) },
        2 if snapshots.len() > 3 => Step::Delete { snapshot: any(2) },
        _ => Step::Write { lba: mixed(step) % (BLOCKS - 4), blocks: 1 + mixed(step + 3) % 4 },
    }
}

fn apply(step: u64, expected: &mut Expected) {
    match step_at(step, expected) {
        Step::Create => {}
        Step::Write { lba, blocks } => {
            expected.volume[lba as usize..(lba + blocks) as usize].fill(step);
        }
        Step::Snapshot => {
            let image = expected.volume.clone();
            expected.snapshots.insert(step, image);
        }
        Step::Reset { target } => expected.volume = expected.snapshots[&target].clone(),
        Step::Delete { snapshot } => {
            expected.snapshots.remove(&snapshot);
        }
    }
}

/// A block's bytes: its stamp all over, with its own place. Stamp 0 is a block never written.
fn block(lba: u64, stamp: u64) -> Vec<u8> {
    match stamp {
        0 => vec![0; BLOCK],
        _ => [stamp.to_le_bytes(), lba.to_le_bytes()].concat().repeat(BLOCK / 16),
    }
}

/// Does a step. It is durable when this returns.
fn perform(engine: &LocalEngine, step: u64, expected: &Expected, key: Option<&DataKey>) {
    let mut op = [0; 16];
    op[..8].copy_from_slice(&step.to_le_bytes());
    let op = OpId(op);
    match step_at(step, expected) {
        Step::Create => engine.create_volume(op, VOLUME, BLOCKS * BLOCK as u64, key),
        Step::Snapshot => engine.create_snapshots(op, &[(VOLUME, SnapshotId(step))]),
        Step::Reset { target } => engine.reset(op, VOLUME, SnapshotId(target)),
        Step::Delete { snapshot } => engine.delete_snapshot(op, SnapshotId(snapshot)),
        Step::Write { lba, blocks } => {
            let data: Vec<u8> = (lba..lba + blocks).flat_map(|b| block(b, step)).collect();
            let volume = engine.open(VOLUME, key).unwrap();
            let (offset, fua) = (lba * BLOCK as u64, step.is_multiple_of(2));
            let data = data.into();
            run(&*volume, Io::Write { offset, data, fua }).unwrap();
            if !fua {
                run(&*volume, Io::Flush).unwrap();
            }
            Ok(())
        }
    }
    .unwrap();
}

fn key(is_encrypted: bool) -> Option<DataKey> {
    is_encrypted.then(|| DataKey::new([9; 32]))
}

fn open(directory: &Path) -> LocalEngine {
    // Checkpoints all the time, so that kills meet them.
    let options = Options {
        warm_segments: 1,
        checkpoint_log_bytes: 64 << 10,
        checkpoint_interval: Duration::from_millis(5),
        ..Options::default()
    };
    LocalEngine::open(directory, options).unwrap()
}

fn expected_after(steps: u64) -> Expected {
    let mut expected = Expected { volume: vec![0; BLOCKS as usize], snapshots: BTreeMap::new() };
    (0..steps).for_each(|step| apply(step, &mut expected));
    expected
}

/// The child: steps without end. Only a start by the parent makes this more than nothing.
#[test]
fn child() {
    let (Ok(directory), Ok(first)) = (std::env::var(DIRECTORY), std::env::var(FIRST_STEP)) else {
        return;
    };
    let engine = open(Path::new(&directory));
    let key = key(std::env::var(IS_ENCRYPTED).unwrap() == "true");
    let first: u64 = first.parse().unwrap();
    let mut expected = expected_after(first);
    for step in first.. {
        perform(&engine, step, &expected, key.as_ref());
        apply(step, &mut expected);
        println!("\ndone {step}");
    }
}

/// Runs a child from `first` on and kills it. The number of steps that were answered.
fn run_child(directory: &Path, is_encrypted: bool, first: u64, patience: Duration) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(DIRECTORY, directory)
        .env(FIRST_STEP, first.to_string())
        .env(IS_ENCRYPTED, is_encrypted.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let step = |line: String| line.strip_prefix("done ").map(|n| n.parse::<u64>().unwrap());
    // The first answer shows that it has opened the pool; from there on any moment will do.
    let started = lines.by_ref().find_map(|line| step(line.unwrap()));
    assert_eq!(started, Some(first), "the child began");
    std::thread::sleep(patience);
    child.kill().unwrap();
    child.wait().unwrap();
    let last = lines.filter_map(|line| step(line.unwrap())).last();
    last.unwrap_or(first) + 1
}

fn image(engine: &LocalEngine, volume: VolumeId, key: Option<&DataKey>) -> Vec<u8> {
    let (offset, length) = (0, (BLOCKS as usize * BLOCK) as u32);
    let volume = engine.open(volume, key).unwrap();
    run(&*volume, Io::Read { offset, length }).unwrap().to_vec()
}

fn bytes(image: &Image) -> Vec<u8> {
    let blocks = image.iter().zip(0..);
    blocks.flat_map(|(stamp, lba)| block(lba, *stamp)).collect()
}

/// Whether the pool holds exactly this.
fn holds(engine: &LocalEngine, expected: &Expected, key: Option<&DataKey>, fork: &mut u64) -> bool {
    let inventory = engine.inventory().unwrap();
    let mut found: Vec<u64> = inventory.snapshots.iter().map(|s| s.id.0).collect();
    found.sort_unstable();
    if !found.iter().eq(expected.snapshots.keys()) {
        return false;
    }
    let mut op = [0xff; 16];
    let snapshots = expected.snapshots.iter().all(|(id, stamps)| {
        *fork += 1;
        let volume = VolumeId(*fork);
        op[..8].copy_from_slice(&fork.to_le_bytes());
        let size = BLOCKS * BLOCK as u64;
        engine.fork(OpId(op), SnapshotId(*id), volume, size).unwrap();
        let same = image(engine, volume, key) == bytes(stamps);
        op[8] = 0;
        engine.delete_volume(OpId(op), volume).unwrap();
        op[8] = 0xff;
        same
    });
    snapshots && image(engine, VOLUME, key) == bytes(&expected.volume)
}

#[test]
fn every_answered_step_survives_sigkill() {
    survive(false);
}

#[test]
fn every_answered_step_on_an_encrypted_volume_survives_sigkill() {
    survive(true);
}

fn survive(is_encrypted: bool) {
    let key = key(is_encrypted);
    let directory = tempfile::tempdir().unwrap();
    let (mut steps, mut fork) = (0, 1000);
    for kill in 0..KILLS {
        let patience = Duration::from_micros(mixed(kill) % 40_000);
        let answered = run_child(directory.path(), is_encrypted, steps, patience);
        let engine = open(directory.path());
        let found = [answered, answered + 1]
            .into_iter()
            .find(|&n| holds(&engine, &expected_after(n), key.as_ref(), &mut fork));
        steps = found.unwrap_or_else(|| {
            panic!("kill {kill}: neither the state after {answered} steps nor after one more")
        });
        if kill % 2 == 0 {
            engine.close().unwrap();
        }
    }
    println!("{steps} steps, {KILLS} kills");
    assert!(steps > KILLS, "the children did work");
}
