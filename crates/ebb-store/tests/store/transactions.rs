//! Wholly or not at all, over what was read, one at a time.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use ebb_domain::DiskId;
use ebb_store::{Durability, Store, StoreError};

use crate::sample::{at, disk, fresh, read, write};

#[derive(Debug)]
enum CallError {
    Refused,
    Store,
}

impl From<StoreError> for CallError {
    fn from(_: StoreError) -> Self {
        Self::Store
    }
}

fn count(store: &Store) -> usize {
    read(store, |tx| tx.all_volumes()).len()
}

#[test]
fn a_write_that_fails_has_done_nothing() {
    let (_folder, store) = fresh();
    for durability in [Durability::Durable, Durability::Recoverable] {
        let result: Result<(), CallError> = store.write(durability, |tx| {
            tx.insert_disk(&disk("d-1", 1))?;
            tx.put_meta("key", "value")?;
            Err(CallError::Refused)
        });
        assert!(matches!(result, Err(CallError::Refused)));
        assert_eq!(count(&store), 0);
        assert_eq!(read(&store, |tx| tx.meta("key")), None);
    }
}

#[test]
fn a_write_that_panics_has_done_nothing_and_the_next_one_works() {
    let (_folder, store) = fresh();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _: Result<(), StoreError> = store.write(Durability::Durable, |tx| {
            tx.insert_disk(&disk("d-1", 1))?;
            panic!("in the middle of a write");
        });
    }));
    assert!(panicked.is_err());
    assert_eq!(count(&store), 0);
    write(&store, |tx| tx.insert_disk(&disk("d-1", 1)));
    assert_eq!(count(&store), 1);
}

#[test]
fn a_read_that_panics_leaves_the_readers_well() {
    let (_folder, store) = fresh();
    for _ in 0..20 {
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _: Result<(), StoreError> = store.read(|tx| {
                tx.all_volumes()?;
                panic!("in the middle of a read");
            });
        }));
        assert!(panicked.is_err());
    }
    write(&store, |tx| tx.insert_disk(&disk("d-1", 1)));
    assert_eq!(count(&store), 1);
}

#[test]
fn a_read_cannot_write() {
    let (_folder, store) = fresh();
    let refused = store.read(|tx| tx.insert_disk(&disk("d-1", 1)));
    assert!(matches!(refused, Err(StoreError::Sql(_))), "{refused:?}");
    assert_eq!(count(&store), 0);
}

#[test]
fn what_was_not_read_in_the_transaction_is_not_saved() {
    let (_folder, store) = fresh();
    let mut known = disk("d-1", 1);
    write(&store, |tx| tx.insert_disk(&known));
    known.name = "renamed".into();
    let stale = |result: Result<(), StoreError>| {
        assert!(
            matches!(&result, Err(StoreError::Stale { table: "disks", id }) if id == "d-1"),
            "{result:?}"
        );
    };
    stale(store.write(Durability::Durable, |tx| tx.save_disk(&known)));
    // Gone since it was read.
    stale(store.write(Durability::Durable, |tx| {
        tx.disk(&known.id)?;
        tx.remove_disk(&known.id, at(0))?;
        tx.save_disk(&known)
    }));
    assert_eq!(read(&store, |tx| tx.disk(&known.id)).unwrap().name, "");
    write(&store, |tx| {
        tx.disk(&known.id)?;
        tx.save_disk(&known)?;
        // What this transaction saved it has also read.
        tx.save_disk(&known)
    });
    assert_eq!(read(&store, |tx| tx.disk(&known.id)).unwrap().name, "renamed");
    write(&store, |tx| {
        tx.insert_disk(&disk("d-2", 2))?;
        tx.save_disk(&disk("d-2", 3))
    });
}

#[test]
fn readers_see_whole_writes_and_one_state_each() {
    let (_folder, store) = fresh();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        // More than there are reading connections.
        for _ in 0..12 {
            scope.spawn(|| {
                let mut last = 0;
                while !done.load(Ordering::Relaxed) {
                    let (disks, snapshots, again) = read(&store, |tx| {
                        let disks = tx.all_volumes()?.len();
                        thread::yield_now();
                        Ok((disks, tx.all_versions()?.len(), tx.all_volumes()?.len()))
                    });
                    assert_eq!((disks, disks), (snapshots, again));
                    assert!(disks >= last);
                    last = disks;
                }
            });
        }
        for n in 0..200 {
            let durability = if n % 2 == 0 { Durability::Durable } else { Durability::Recoverable };
            store
                .write(durability, |tx| {
                    tx.insert_disk(&disk(&format!("d-{n}"), n))?;
                    let snapshot = crate::sample::snapshot(&format!("s-{n}"), "d-0", n);
                    tx.insert_snapshot(&snapshot)
                })
                .unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(count(&store), 200);
}

#[test]
fn writers_take_turns() {
    let (_folder, store) = fresh();
    write(&store, |tx| tx.insert_disk(&disk("d-1", 1)));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..25 {
                    write(&store, |tx| {
                        let mut disk = tx.disk(&DiskId::new("d-1"))?.unwrap();
                        disk.size_gib += 1;
                        tx.save_disk(&disk)
                    });
                }
            });
        }
    });
    assert_eq!(read(&store, |tx| tx.disk(&DiskId::new("d-1"))).unwrap().size_gib, 120);
}
