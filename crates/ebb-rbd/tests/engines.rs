//! Several engines on one pool and namespace, on a real cluster: one of them has a volume, and the
//! others reach it there or shut it out.
#![allow(clippy::unwrap_used, reason = "tests")]

mod cluster;

use std::env;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use cluster::Namespace;
use ebb_rbd::{Options, RbdEngine};
use ebb_volume::{Engine, EngineError, Io, IoError, OpId, SnapshotId, Volume, VolumeId, run};

const SIZE: u64 = 16 << 20;
const V: VolumeId = VolumeId(1);
const W: VolumeId = VolumeId(2);

fn op(n: u8) -> OpId {
    OpId([n; 16])
}

fn two() -> (Options, RbdEngine, RbdEngine) {
    let options = Namespace::new().options;
    let (a, b) = (RbdEngine::open(&options).unwrap(), RbdEngine::open(&options).unwrap());
    a.create_volume(op(200), V, SIZE, None).unwrap();
    a.create_volume(op(201), W, SIZE, None).unwrap();
    (options, a, b)
}

fn write(handle: &dyn Volume, offset: u64, number: u64) -> Result<(), IoError> {
    let data = number.to_le_bytes().repeat(512).into();
    run(handle, Io::Write { offset, data, fua: true }).map(drop)
}

/// The number that a block has everywhere.
fn read(handle: &dyn Volume, offset: u64) -> u64 {
    let bytes = run(handle, Io::Read { offset, length: 4096 }).unwrap();
    let mut numbers = bytes.chunks(8).map(|chunk| u64::from_le_bytes(chunk.try_into().unwrap()));
    let first = numbers.next().unwrap();
    assert!(numbers.all(|number| number == first), "a block has parts of several writes");
    first
}

#[test]
#[ignore = "needs a Ceph cluster: cargo xtask ceph"]
fn they_are_called_by_their_clients() {
    let (options, a, b) = two();
    let shared_as = a.shared_as().unwrap();
    assert_eq!(Some(&shared_as), b.shared_as().as_ref());
    assert!(shared_as.starts_with("rbd:e0bb71de-0000-"), "{shared_as}");
    assert!(shared_as.ends_with(&format!("/rbd/{}", options.namespace)), "{shared_as}");
    let names = [a.client(), b.client(), RbdEngine::open(&options).unwrap().client()];
    assert!(names[0] != names[1] && names[1] != names[2] && names[0] != names[2], "{names:?}");
}

#[test]
#[ignore = "needs a Ceph cluster: cargo xtask ceph"]
fn a_volume_is_open_at_one() {
    let (_, a, b) = two();
    let handle = a.open(V, None).unwrap();
    write(&*handle, 0, 1).unwrap();
    let refused = b.open(V, None).map(drop);
    assert_eq!(refused, Err(EngineError::InUse(V)));
    b.create_snapshots(op(1), &[(V, SnapshotId(10))]).unwrap();
    assert_eq!(b.reset(op(2), V, SnapshotId(10)), Err(EngineError::InUse(V)));
    assert_eq!(b.delete_volume(op(3), V), Err(EngineError::InUse(V)));
    write(&*handle, 0, 2).unwrap();
    assert_eq!(read(&*handle, 0), 2);
    // As soon as it is closed there, others have it: also where it is kept ready.
    drop(handle);
    for (n, engine) in [&b, &a, &b].into_iter().enumerate() {
        let handle = engine.open(V, None).unwrap();
        assert_eq!(read(&*handle, 0), 2 + n as u64);
        write(&*handle, 0, 3 + n as u64).unwrap();
    }
    a.reset(op(4), V, SnapshotId(10)).unwrap();
    assert_eq!(read(&*b.open(V, None).unwrap(), 0), 1);
    a.delete_volume(op(5), V).unwrap();
    assert_eq!(b.open(V, None).map(drop), Err(EngineError::NoSuchVolume(V)));
}

/// Two open it at once, many times: never both have it.
#[test]
#[ignore = "needs a Ceph cluster: cargo xtask ceph"]
fn of_two_that_open_it_one_has_it() {
    let (_, a, b) = two();
    let open = AtomicU64::new(0);
    let opened = AtomicU64::new(0);
    thread::scope(|scope| {
        for engine in [&a, &b] {
            scope.spawn(|| {
                let until = Instant::now() + Duration::from_secs(3);
                while Instant::now() < until {
                    match engine.open(V, None) {
                        Ok(handle) => {
                            assert_eq!(open.fetch_add(1, SeqCst), 0, "both have it");
                            write(&*handle, 0, 1).unwrap();
                            open.fetch_sub(1, SeqCst);
                            opened.fetch_add(1, SeqCst);
                        }
                        Err(error) => assert_eq!(error, EngineError::InUse(V)),
                    }
                    thread::sleep(Duration::from_millis(5));
                }
            });
        }
    });
    assert!(opened.load(SeqCst) > 10);
}

/// Writes ever higher numbers until a write fails: the last that was answered, and why it ended.
fn count_up(handle: &dyn Volume, reached: &AtomicU64) -> IoError {
    for number in 1.. {
        if let Err(error) = write(handle, 0, number) {
            return error;
        }
        reached.store(number, SeqCst);
    }
    unreachable!("it counts for ever")
}

fn wait_for(reached: &AtomicU64, number: u64) {
    while reached.load(SeqCst) < number {
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
#[ignore = "needs a Ceph cluster: cargo xtask ceph"]
fn nothing_lands_after_a_fence() {
    let (_, a, b) = two();
    let handle = a.open(V, None).unwrap();
    let reached = AtomicU64::new(0);
    thread::scope(|scope| {
        let writer = scope.spawn(|| count_up(&*handle, &reached));
        wait_for(&reached, 50);
        b.fence(&a.client()).unwrap();
        let began = Instant::now();
        let taken = b.open(V, None).unwrap();
        let first = read(&*taken, 0);
        write(&*taken, 4096, 7).unwrap();
        let took = began.elapsed();
        // At once, and not when Ceph has noticed that somebody is gone.
        assert!(took < Duration::from_secs(2), "{took:?}");
        assert_eq!(writer.join().unwrap(), IoError::Stale);
        let answered = reached.load(SeqCst);
        assert!(first >= answered, "{answered} was answered, but there is {first}");
        thread::sleep(Duration::from_millis(500));
        assert_eq!(read(&*taken, 0), first, "a write landed after the fence");
    });
    let shut_out = |outcome: Result<(), EngineError>| match outcome {
        Err(EngineError::Stopped(why)) => assert!(why.starts_with("shut out"), "{why}"),
        other => panic!("{other:?}"),
    };
    let until = Instant::now() + Duration::from_secs(5);
    while a.health().is_ok() && Instant::now() < until {
        thread::sleep(Duration::from_millis(50));
    }
    shut_out(a.health());
    shut_out(a.create_volume(op(1), VolumeId(9), SIZE, None));
    shut_out(a.inventory().map(drop));
    // Twice is no error, nor is one that is gone; itself is.
    let gone = a.client();
    drop((handle, a));
    b.fence(&gone).unwrap();
    assert!(matches!(b.fence(&b.client()), Err(EngineError::Failed(_))));
    assert!(matches!(b.fence("no address"), Err(EngineError::Failed(_))));
    b.health().unwrap();
}

#[test]
#[ignore = "needs a Ceph cluster: cargo xtask ceph"]
fn a_handle_is_revoked_from_elsewhere() {
    let (_, a, b) = two();
    let handle = a.open(V, None).unwrap();
    let reached = AtomicU64::new(0);
    thread::scope(|scope| {
        let writer = scope.spawn(|| count_up(&*handle, &reached));
        wait_for(&reached, 50);
        b.revoke(V).unwrap();
        let taken = b.open(V, None).unwrap();
        let first = read(&*taken, 0);
        assert_eq!(writer.join().unwrap(), IoError::Stale);
        assert_eq!(read(&*taken, 0), first);
        assert!(first >= reached.load(SeqCst));
    });
    // That one is none the worse for it.
    a.health().unwrap();
    b.revoke(V).unwrap();
    let again = a.open(V, None).unwrap();
    write(&*again, 0, 1).unwrap();
    b.revoke(W).unwrap();
    assert_eq!(b.revoke(VolumeId(77)), Err(EngineError::NoSuchVolume(VolumeId(77))));
}

/// A client that is no engine has the image's lock: `rbd bench`, as QEMU would.
#[test]
#[ignore = "needs a Ceph cluster: cargo xtask ceph"]
fn a_stranger_is_shut_out() {
    let (options, a, _b) = two();
    let list = ["ls".to_owned(), format!("rbd/{}", options.namespace)];
    let rbd = |words: &[String]| {
        let mut command = Command::new("rbd");
        command.arg("--conf").arg(&options.conf).args(words);
        command
    };
    let images = String::from_utf8(rbd(&list).output().unwrap().stdout).unwrap();
    let image = images.lines().find(|name| name.starts_with("ebb-0000000000000001")).unwrap();
    let bench = ["bench", "--io-type", "write", "--io-size", "4096", "--io-total", "1T"];
    let mut words: Vec<String> = bench.map(str::to_owned).to_vec();
    words.push(format!("rbd/{}/{image}", options.namespace));
    let mut stranger = rbd(&words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let status = ["status".to_owned(), words.pop().unwrap()];
    let until = Instant::now() + Duration::from_secs(10);
    // The engine that made the image has it open too.
    while String::from_utf8(rbd(&status).output().unwrap().stdout)
        .unwrap()
        .matches("watcher=")
        .count()
        < 2
    {
        assert!(Instant::now() < until, "the stranger has not opened it");
        thread::sleep(Duration::from_millis(50));
    }
    thread::sleep(Duration::from_millis(500));
    assert_eq!(a.open(V, None).map(drop), Err(EngineError::InUse(V)));
    a.revoke(V).unwrap();
    let handle = a.open(V, None).unwrap();
    write(&*handle, 0, 5).unwrap();
    thread::sleep(Duration::from_millis(300));
    assert_eq!(read(&*handle, 0), 5);
    // It may wait for ever for a lock that it does not get.
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[test]
#[ignore = "needs a Ceph cluster: cargo xtask ceph"]
fn a_volume_grows_where_it_is_open() {
    let (_, a, b) = two();
    let handle = a.open(V, None).unwrap();
    b.grow(op(1), V, 2 * SIZE).unwrap();
    assert_eq!(handle.size_bytes(), 2 * SIZE);
    write(&*handle, 2 * SIZE - 4096, 3).unwrap();
    b.grow(op(1), V, 2 * SIZE).unwrap();
    assert_eq!(b.grow(op(2), V, SIZE), Err(EngineError::BadSize(SIZE)));
    assert_eq!(b.grow(op(1), V, 3 * SIZE), Err(EngineError::IdTaken));
    drop(handle);
    let there = b.open(V, None).unwrap();
    assert_eq!((there.size_bytes(), read(&*there, 2 * SIZE - 4096)), (2 * SIZE, 3));
    let size = |engine: &RbdEngine| {
        let volumes = engine.inventory().unwrap().volumes;
        volumes.iter().find(|info| info.id == V).unwrap().size_bytes
    };
    assert_eq!((size(&a), size(&b)), (2 * SIZE, 2 * SIZE));
}

/// One writer writes a number to one volume, then to the other: at every instant the second has the
/// first's number or the one before.
#[test]
#[ignore = "needs a Ceph cluster: cargo xtask ceph"]
fn snapshots_of_volumes_at_two_engines_are_of_one_instant() {
    let (options, a, b) = two();
    let c = RbdEngine::open(&options).unwrap();
    let (v, w) = (a.open(V, None).unwrap(), b.open(W, None).unwrap());
    let stop = AtomicBool::new(false);
    let taken = thread::scope(|scope| {
        scope.spawn(|| {
            for number in 1.. {
                if stop.load(SeqCst) {
                    break;
                }
                write(&*v, 0, number).unwrap();
                write(&*w, 0, number).unwrap();
            }
        });
        thread::sleep(Duration::from_millis(100));
        let mut taken = Vec::new();
        for (n, engine) in [&a, &b, &c, &a, &b, &c].into_iter().enumerate() {
            let ids = (SnapshotId(100 + n as u64), SnapshotId(200 + n as u64));
            engine.create_snapshots(op(n as u8), &[(V, ids.0), (W, ids.1)]).unwrap();
            taken.push(ids);
            thread::sleep(Duration::from_millis(20));
        }
        stop.store(true, SeqCst);
        taken
    });
    let mut last = 0;
    for (n, (first, second)) in taken.into_iter().enumerate() {
        let number = |snapshot, n: usize| {
            let volume = VolumeId(50 + n as u64);
            c.fork(op(50 + n as u8), snapshot, volume, SIZE).unwrap();
            read(&*c.open(volume, None).unwrap(), 0)
        };
        let (first, second) = (number(first, 2 * n), number(second, 2 * n + 1));
        assert!(first == second || first == second + 1, "snapshot {n}: {first}, {second}");
        assert!(second > last, "nothing was written between the snapshots: {second}, {last}");
        last = first;
    }
}

/// An engine that dies while others' requests are held back for it does not hold them up for long.
#[test]
#[ignore = "needs a Ceph cluster: cargo xtask ceph"]
fn what_is_left_by_one_who_is_killed_is_taken_at_once() {
    let (options, a, _b) = two();
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "the_one_who_is_killed", "--include-ignored", "--nocapture"])
        .env("EBB_TEST_KILLED", &options.namespace)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let told = std::io::BufReader::new(child.stdout.take().unwrap());
    let client = std::io::BufRead::lines(told)
        .map(|line| line.unwrap())
        .find_map(|line| line.strip_prefix("client ").map(str::to_owned))
        .unwrap();
    assert_eq!(a.open(V, None).map(drop), Err(EngineError::InUse(V)));
    child.kill().unwrap();
    child.wait().unwrap();
    let began = Instant::now();
    a.fence(&client).unwrap();
    let handle = a.open(V, None).unwrap();
    let first = read(&*handle, 0);
    write(&*handle, 0, first + 1).unwrap();
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert!(first > 0);
}

/// Not a test of its own: what the one above kills.
#[test]
#[ignore = "needs a Ceph cluster: cargo xtask ceph"]
fn the_one_who_is_killed() {
    let Ok(namespace) = env::var("EBB_TEST_KILLED") else { return };
    let options = Options { namespace, ..Namespace::new().options };
    let engine = RbdEngine::open(&options).unwrap();
    let handle: Arc<dyn Volume> = engine.open(V, None).unwrap();
    write(&*handle, 0, 1).unwrap();
    println!("client {}", engine.client());
    count_up(&*handle, &AtomicU64::new(0));
}
