//! An export answers exactly while its disk is attached to an instance that is Running, and who had
//! it before has lost it for ever.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, ThreadId};
use std::time::Duration;

use ebb_control::Step;
use ebb_domain::{DiskStatus, InstanceStatus};
use ebb_volume::IoError;

use crate::world::{A, B, Base, World, denied, until, write};

fn client_after(act: impl Fn(&World, &Base)) {
    let world = World::new();
    let base = world.base();
    let client = world.exports.get(&base.disk).unwrap();
    act(&world, &base);
    assert!(world.exports.get(&base.disk).is_none());
    assert_eq!(write(client.as_ref(), A), Err(IoError::Stale));
    let log = world.exports.log.lock().unwrap().clone();
    let of_disk: Vec<_> = log.iter().filter(|line| line.contains(base.disk.as_str())).collect();
    assert_eq!(*of_disk.last().unwrap(), &format!("withdraw {}", base.disk));
    world.assert_at_rest();
}

#[test]
fn stopping_ends_it() {
    client_after(|world, base| world.stop(&base.instance));
}

#[test]
fn detaching_ends_it() {
    client_after(|world, base| {
        world.detach(&base.disk, &base.instance).unwrap();
        world.until_disk(&base.disk, &DiskStatus::Available);
    });
}

#[test]
fn deleting_the_instance_ends_it() {
    client_after(|world, base| world.delete_instance(&base.instance).unwrap());
}

#[test]
fn a_client_of_before_never_writes_after_a_reset() {
    let world = World::new();
    let base = world.base();
    let client = world.exports.get(&base.disk).unwrap();
    world.stop(&base.instance);
    world.reset(&base.disk, &base.snapshot).unwrap();
    world.start(&base.instance);
    assert_eq!(write(client.as_ref(), B), Err(IoError::Stale));
    world.assert_content(&base.disk, A);
    // The newcomer can.
    write(world.exports.get(&base.disk).unwrap().as_ref(), B).unwrap();
    world.assert_content(&base.disk, B);
}

#[test]
fn an_instance_is_not_stopped_before_its_clients_have_gone() {
    let world = World::new();
    let base = world.base();
    let client = world.exports.get(&base.disk).unwrap();
    world.exports.stuck.store(true, Ordering::SeqCst);
    let ids = std::slice::from_ref(&base.instance);
    let stop = ebb_control::Stop::default();
    world.control.stop_instances(&world.scope(), ids, &stop, true, false).unwrap();
    // A client that does not let go may write, and nobody is told that it cannot.
    write(client.as_ref(), A).unwrap();
    let status = world.find_instance(&base.instance).unwrap().status;
    assert_eq!(status, InstanceStatus::Stopping);
    let refused = denied(world.reset(&base.disk, &base.snapshot));
    assert_eq!(refused, ebb_domain::Denied::InstanceStatus);
    world.exports.stuck.store(false, Ordering::SeqCst);
    world.until_instance(&base.instance, InstanceStatus::Stopped);
    assert_eq!(write(client.as_ref(), B), Err(IoError::Stale));
    world.assert_content(&base.disk, A);
}

#[test]
fn a_disk_of_a_stopped_instance_answers_once_it_starts() {
    let world = World::new();
    let base = world.base();
    world.stop(&base.instance);
    let disk = world.create_disk();
    assert!(world.exports.get(&disk).is_none());
    world.attach(&disk, &base.instance);
    assert!(world.exports.get(&disk).is_none());
    assert_eq!(world.disk(&disk).status, DiskStatus::InUse);
    world.start(&base.instance);
    assert!(world.exports.get(&disk).is_some());
    world.assert_at_rest();
}

/// Two threads carry one stop. The slower one comes back when the instance has been started and is
/// being stopped again: it must not say Stopped of a stop that it has not carried.
#[test]
fn a_late_thread_does_not_end_another_stop() {
    let world = World::new();
    let base = world.base();
    world.stop(&base.instance);
    let late = Arc::new(Late::default());
    // The thread that says Running is the late one. It is held before it looks again.
    world.probe.set({
        let late = Arc::clone(&late);
        move |_| {
            if late.is_me() {
                late.passes.fetch_add(1, Ordering::SeqCst);
                until("the late thread may look", || late.may_look.load(Ordering::SeqCst));
            }
        }
    });
    world.start(&base.instance);
    until("the late thread is held", || late.passes.load(Ordering::SeqCst) == 1);
    // It finds the instance Stopping, as another thread does, which waits for it here; then it is
    // held before it says Stopped.
    world.universe.clock.look({
        let late = Arc::clone(&late);
        move || {
            if late.is_me() {
                late.looked.store(true, Ordering::SeqCst);
                until("the late thread may go on", || late.may_go_on.load(Ordering::SeqCst));
            } else if thread::current().name().is_some_and(|name| name.starts_with("work-")) {
                until("the late thread has looked", || late.looked.load(Ordering::SeqCst));
            }
        }
    });
    let stop = || {
        let (ids, stop) = (std::slice::from_ref(&base.instance), ebb_control::Stop::default());
        world.control.stop_instances(&world.scope(), ids, &stop, true, false).unwrap();
    };
    stop();
    late.may_look.store(true, Ordering::SeqCst);
    world.until_instance(&base.instance, InstanceStatus::Stopped);
    world.start(&base.instance);
    world.exports.stuck.store(true, Ordering::SeqCst);
    stop();
    late.may_go_on.store(true, Ordering::SeqCst);
    until("the late thread has passed", || late.passes.load(Ordering::SeqCst) >= 2);
    let status = world.find_instance(&base.instance).unwrap().status;
    assert_eq!(status, InstanceStatus::Stopping, "while a client still has the disk");
    world.exports.stuck.store(false, Ordering::SeqCst);
    world.until_instance(&base.instance, InstanceStatus::Stopped);
    world.assert_at_rest();
}

/// The same of a detachment: a worker and DeleteInstance carry one, and it comes back during the
/// next.
#[test]
fn a_late_thread_does_not_end_another_detachment() {
    let world = World::new();
    let base = world.base();
    let other = world.run_instance();
    let late = Arc::new(Late::default());
    world.probe.set({
        let late = Arc::clone(&late);
        move |step| {
            if step == Step::DetachWithdrawn && late.is_me() {
                late.passes.fetch_add(1, Ordering::SeqCst);
                until("the late thread may go on", || late.may_go_on.load(Ordering::SeqCst));
            }
        }
    });
    world.detach(&base.disk, &base.instance).unwrap();
    until("the late thread is held", || late.passes.load(Ordering::SeqCst) == 1);
    world.delete_instance(&base.instance).unwrap();
    assert_eq!(world.disk(&base.disk).status, DiskStatus::Available);
    world.attach(&base.disk, &other);
    world.exports.stuck.store(true, Ordering::SeqCst);
    world.detach(&base.disk, &other).unwrap();
    until("the next one withdraws", || world.exports.withdrawing.load(Ordering::SeqCst) == 1);
    late.may_go_on.store(true, Ordering::SeqCst);
    // Whatever the late thread does, it may not make the disk Available.
    thread::sleep(Duration::from_millis(200));
    assert_eq!(world.disk(&base.disk).status, DiskStatus::Detaching, "a client still has it");
    world.exports.stuck.store(false, Ordering::SeqCst);
    world.until_disk(&base.disk, &DiskStatus::Available);
    world.assert_at_rest();
}

#[derive(Default)]
struct Late {
    thread: OnceLock<ThreadId>,
    passes: AtomicUsize,
    may_look: AtomicBool,
    looked: AtomicBool,
    may_go_on: AtomicBool,
}

impl Late {
    /// The first that asks is the one.
    fn is_me(&self) -> bool {
        let me = thread::current().id();
        *self.thread.get_or_init(|| me) == me
    }
}
