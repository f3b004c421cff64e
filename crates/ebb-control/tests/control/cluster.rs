//! Several servers on one store and one engine.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use ebb_control::{ControlError, NewKey, Place, Step};
use ebb_domain::{DiskId, DiskStatus, InstanceStatus};
use ebb_store::StoreError;
use ebb_volume::{Engine, Io, MemoryEngine, run};
use tempfile::TempDir;

use crate::engine::{Sharing, TestEngine};
use crate::records;
use crate::universe::Universe;
use crate::world::{A, B, Base, DATABASE, World, place, until};

/// No server that lives is silent for so long.
const LONG: Duration = Duration::from_secs(10);

/// How soon one that is gone is missed.
const SHORT: Duration = Duration::from_millis(400);

/// What servers share.
struct Region {
    folder: TempDir,
    inner: MemoryEngine,
    sharing: Arc<Sharing>,
    universe: Universe,
    /// Engines opened so far.
    opened: AtomicUsize,
}

impl Region {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        records::keep_in_postgres(folder.path());
        Self {
            folder,
            inner: MemoryEngine::new(),
            sharing: Arc::default(),
            universe: Universe::default(),
            opened: AtomicUsize::new(0),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(DATABASE)
    }

    fn engine(&self, client: &str) -> Arc<TestEngine> {
        TestEngine::sharing(self.inner.share(), &self.sharing, client)
    }

    /// A server; others miss it, and it misses others, after `lease`.
    fn server(&self, home: &str, lease: Duration) -> World {
        self.server_that_notes(home, lease, &Arc::default())
    }

    fn server_that_notes(&self, home: &str, lease: Duration, gone: &Arc<AtomicBool>) -> World {
        let gone = Arc::clone(gone);
        let shut_out = Arc::new(move || gone.store(true, Ordering::SeqCst));
        let place = Place { home: home.into(), is_alone: false, lease, shut_out, ..place() };
        let count = self.opened.fetch_add(1, Ordering::SeqCst);
        let client = format!("{home}, engine {count}");
        World::among(&self.path(), self.engine(&client), &self.universe, place).unwrap()
    }
}

/// Volumes and versions.
fn held(world: &World) -> usize {
    let held = world.engine.inventory().unwrap();
    held.volumes.len() + held.snapshots.len()
}

fn has(world: &World, disk: &DiskId) -> bool {
    world.exports.get(disk).is_some()
}

/// A running instance whose disk answers at the first of two servers.
fn two() -> (Region, World, World, Base) {
    let region = Region::new();
    let (first, second) = (region.server("1", LONG), region.server("2", LONG));
    let base = first.base();
    (region, first, second, base)
}

#[test]
fn a_disk_answers_at_one_server_and_any_can_be_asked() {
    let (_region, first, second, base) = two();
    assert!(has(&first, &base.disk) && !has(&second, &base.disk));
    second.stop(&base.instance);
    assert!(!has(&first, &base.disk), "it is off when the other says Stopped");
    second.reset(&base.disk, &base.snapshot).unwrap();
    second.start(&base.instance);
    assert!(has(&second, &base.disk) && !has(&first, &base.disk));
    second.assert_content(&base.disk, A);

    first.detach(&base.disk, &base.instance).unwrap();
    first.until_disk(&base.disk, &DiskStatus::Available);
    assert!(!has(&second, &base.disk), "it is off when the other says Available");
    first.attach(&base.disk, &base.instance);
    assert!(has(&first, &base.disk));
    second.resize(&base.disk, 40).unwrap();
    let snapshot = second.snapshot(&base.disk);
    assert!(first.find_snapshot(&snapshot).is_some());
    second.delete_instance(&base.instance).unwrap();
    assert!(!has(&first, &base.disk));
    first.assert_at_rest();
}

#[test]
fn each_server_that_is_stopped_leaves_its_disks_to_the_others() {
    let (_region, first, second, base) = two();
    first.control.stop().unwrap();
    until("the other has the disk", || has(&second, &base.disk));
    second.assert_content(&base.disk, B);
    second.assert_at_rest();
}

#[test]
fn what_a_server_had_that_died_goes_on_at_another() {
    let region = Region::new();
    let (first, second) = (region.server("1", LONG), region.server("2", SHORT));
    let base = first.base();
    first.probe.set(|step| assert_ne!(step, Step::ResetIntended, "it dies here"));
    first.stop(&base.instance);
    let died = catch_unwind(AssertUnwindSafe(|| first.reset(&base.disk, &base.snapshot)));
    assert!(died.is_err());
    assert!(matches!(second.disk(&base.disk).status, DiskStatus::Resetting(_)));
    drop(first);
    second.until_disk(&base.disk, &DiskStatus::InUse);
    second.start(&base.instance);
    second.assert_content(&base.disk, B);
    second.reset(&base.disk, &base.snapshot).unwrap_err();
    second.assert_at_rest();
}

/// The worst that can happen: a server stands still between its intent and the engine's part, is
/// taken for gone, and goes on when others have long had the disk.
#[test]
fn a_server_that_wakes_up_can_do_no_harm() {
    let region = Region::new();
    let gone = Arc::new(AtomicBool::new(false));
    let first = region.server_that_notes("1", LONG, &gone);
    let base = first.base();
    first.stop(&base.instance);
    let (asleep, wake) = asleep_at(&first, Step::ResetIntended);
    thread::scope(|scope| {
        let reset = scope.spawn(|| first.reset(&base.disk, &base.snapshot));
        asleep.recv().unwrap();
        let second = region.server("2", SHORT);
        second.until_disk(&base.disk, &DiskStatus::InUse);
        second.start(&base.instance);
        second.assert_content(&base.disk, B);
        wake.send(()).unwrap();
        let outcome = reset.join().unwrap();
        assert!(outcome.is_err(), "{outcome:?}");
        second.assert_content(&base.disk, B);
        let refused = first.control.create_disk(&first.root(), &crate::world::new_disk(20));
        assert!(
            matches!(refused, Err(ControlError::Unavailable(StoreError::ShutOut))),
            "{refused:?}"
        );
        until("it is told", || gone.load(Ordering::SeqCst));
        assert!(first.control.health().is_err());
        second.assert_at_rest();
    });
}

/// Its disks' clients, too.
#[test]
fn what_a_server_still_has_open_writes_nothing_once_another_has_it() {
    let region = Region::new();
    let first = region.server("1", LONG);
    let base = first.base();
    let old = first.handle(&base.disk);
    let second = region.server("2", SHORT);
    until("the other has the disk", || has(&second, &base.disk));
    let data = bytes::Bytes::from(vec![7; 4096]);
    assert!(run(old.as_ref(), Io::Write { offset: 0, data, fua: true }).is_err());
    second.assert_content(&base.disk, B);
}

/// Holds whoever comes to a step until it is told to go on.
fn asleep_at(world: &World, at: Step) -> (mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (is_asleep, asleep) = mpsc::channel();
    let (wake, woken) = mpsc::channel();
    let woken = Mutex::new(woken);
    world.probe.set(move |step| {
        if step == at {
            is_asleep.send(()).unwrap();
            woken.lock().unwrap().recv().unwrap();
        }
    });
    (asleep, wake)
}

#[test]
fn a_server_that_starts_again_takes_its_own_up_at_once() {
    let (region, first, second, base) = two();
    first.probe.set(|step| assert_ne!(step, Step::SnapshotIntended, "it dies here"));
    let died = catch_unwind(AssertUnwindSafe(|| first.snapshot(&base.disk)));
    assert!(died.is_err());
    drop(first);
    let started = Instant::now();
    let first = region.server("1", LONG);
    until("one of them has the disk", || has(&first, &base.disk) || has(&second, &base.disk));
    assert!(started.elapsed() < LONG, "nobody waits for a lease");
    let holder = if has(&first, &base.disk) { &first } else { &second };
    holder.assert_content(&base.disk, B);
    until("the snapshot is undone", || holder.read(|tx| tx.snapshots_in_transition()).is_empty());
}

/// What has no row yet is not for another server's start to remove.
#[test]
fn a_start_leaves_alone_what_others_are_making() {
    let (region, first, second, base) = two();
    let (asleep, wake) = asleep_at(&first, Step::VersionMade);
    thread::scope(|scope| {
        let copy = scope.spawn(|| first.copy_snapshot(&base.snapshot));
        asleep.recv().unwrap();
        let before = held(&first);
        let third = region.server("3", LONG);
        assert_eq!(held(&first), before);
        wake.send(()).unwrap();
        let copy = copy.join().unwrap().unwrap();
        third.assert_version(&third.find_snapshot(&copy).unwrap(), A);
    });
    first.assert_at_rest();
    second.control.health().unwrap();
}

#[test]
fn one_server_at_a_time_does_what_is_done_for_all() {
    let (_region, first, second, _) = two();
    let has = |world: &World| world.control.has_duty("minutes").unwrap();
    assert!(has(&first) && !has(&second) && has(&first));
    first.control.stop().unwrap();
    assert!(has(&second));
}

#[test]
fn servers_with_other_volumes_are_refused_while_one_lives() {
    let region = Region::new();
    let first = region.server("1", Duration::from_secs(1));
    let alone = TestEngine::over(MemoryEngine::new());
    let place = || Place {
        home: "2".into(),
        is_alone: false,
        lease: Duration::from_secs(2),
        shut_out: Arc::new(|| ()),
        ..place()
    };
    let start = |engine| World::among(&region.path(), engine, &region.universe, place());
    let Err(ControlError::Mismatch(why)) = start(alone) else { panic!("it was let in") };
    assert!(why.contains("127.0.0.1:8080"), "{why}");
    first.assert_at_rest();
}

/// Without a restart, and without another server.
#[test]
fn a_call_that_fails_in_its_middle_is_settled_by_its_own_server() {
    let world = World::new();
    let base = world.base();
    world.stop(&base.instance);
    world.probe.set(|step| assert_ne!(step, Step::ResetIntended, "a bug"));
    let call = || {
        let _entry = world.control.enter();
        world.reset(&base.disk, &base.snapshot)
    };
    assert!(catch_unwind(AssertUnwindSafe(call)).is_err());
    assert!(matches!(world.disk(&base.disk).status, DiskStatus::Resetting(_)));
    world.probe.clear();
    world.until_disk(&base.disk, &DiskStatus::InUse);
    world.reset(&base.disk, &base.snapshot).unwrap();
    world.assert_content(&base.disk, A);
    world.assert_at_rest();
}

/// One that is under way still is not anybody's to settle, however long it takes.
#[test]
fn a_slow_call_is_not_taken_for_one_that_failed() {
    let world = World::new();
    let base = world.base();
    world.stop(&base.instance);
    let (asleep, wake) = asleep_at(&world, Step::ResetIntended);
    thread::scope(|scope| {
        let slow = scope.spawn(|| {
            let _entry = world.control.enter();
            world.reset(&base.disk, &base.snapshot)
        });
        asleep.recv().unwrap();
        world.control.enter().failed();
        thread::sleep(Duration::from_secs(2));
        assert!(matches!(world.disk(&base.disk).status, DiskStatus::Resetting(_)));
        wake.send(()).unwrap();
        slow.join().unwrap().unwrap();
    });
    world.assert_content(&base.disk, A);
    world.assert_at_rest();
}

/// Both begin at the same time, and each may find that the other has what it was about to open.
#[test]
fn servers_that_start_together_share_out_what_is_left() {
    let region = Region::new();
    let first = region.server("1", LONG);
    let base = first.base();
    let more: Vec<DiskId> = (0..6)
        .map(|_| {
            let disk = first.create_disk();
            first.attach(&disk, &base.instance);
            disk
        })
        .collect();
    first.control.stop().unwrap();
    drop(first);
    let (second, third) = thread::scope(|scope| {
        let start = |home| {
            scope.spawn({
                let region = &region;
                move || region.server(home, LONG)
            })
        };
        let (second, third) = (start("2"), start("3"));
        (second.join().unwrap(), third.join().unwrap())
    });
    for disk in more.iter().chain([&base.disk]) {
        until("it answers", || has(&second, disk) || has(&third, disk));
        assert!(has(&second, disk) != has(&third, disk), "{disk} answers once");
    }
    second.until_instance(&base.instance, InstanceStatus::Running);
}

#[test]
fn two_servers_make_versions_of_a_key_at_once() {
    const EACH: usize = 20;
    let (_region, first, second, _base) = two();
    let owner = first.control.root().clone();
    let region = first.control.regions()[0].id.clone();
    let key = first.control.kms(&owner).create(&NewKey::default(), &region).unwrap().key.id;
    thread::scope(|scope| {
        for world in [&first, &second] {
            let (owner, key) = (&owner, &key);
            scope.spawn(move || {
                for _ in 0..EACH {
                    world.control.kms(owner).rotate(key).unwrap();
                }
            });
        }
    });
    let versions = second.control.kms(&owner).versions(&key).unwrap();
    let numbers: Vec<_> = versions.iter().map(|one| one.number as usize).collect();
    assert_eq!(numbers, (1..=2 * EACH + 1).collect::<Vec<_>>());
}
