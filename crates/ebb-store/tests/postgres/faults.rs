//! A database that is away, that comes back, that does not answer, that is lost in a commit.

use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant};

use ebb_domain::DiskId;
use ebb_store::{Durability, PostgresUrl, Store, StoreError};

use crate::home::Home;
use crate::sample::{disk, read, write};
use crate::wire::{Way, Wire};

/// No call may take longer, whatever happens: the 10 s to begin and the 10 s of an answer.
const LONGEST: Duration = Duration::from_secs(22);

/// A store with a disk in it, by a wire.
fn store() -> (Home, Wire, Store) {
    let (home, wire) = (Home::new(), Wire::new());
    let store = Store::connect(&PostgresUrl::from_str(&wire.to(&home)).unwrap()).unwrap();
    write(&store, |tx| tx.insert_disk(&disk("d-1", 1)));
    (home, wire, store)
}

fn insert(store: &Store, id: &str, volume: u64) -> Result<(), StoreError> {
    store.write(Durability::Durable, |tx| tx.insert_disk(&disk(id, volume)))
}

fn volumes(store: &Store) -> Result<Vec<u64>, StoreError> {
    store.read(|tx| tx.all_volumes())
}

#[track_caller]
fn unavailable<T: std::fmt::Debug>(result: Result<T, StoreError>) {
    assert!(matches!(result, Err(StoreError::Unavailable(_))), "{result:?}");
}

#[test]
fn while_it_is_away_calls_are_told_so_and_then_go_on() {
    let (_home, wire, store) = store();
    store.check().unwrap();
    for n in 2..4 {
        wire.set(Way::Cut);
        let started = Instant::now();
        unavailable(store.check());
        assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
        unavailable(insert(&store, "d-away", 9));
        assert!(started.elapsed() < Duration::from_secs(7), "{:?}", started.elapsed());
        // It has been waited for.
        let started = Instant::now();
        unavailable(insert(&store, "d-away", 9));
        unavailable(volumes(&store));
        assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
        wire.set(Way::Open);
        // At once: no connection from before is tried, or it is and another is made.
        insert(&store, &format!("d-{n}"), n).unwrap();
        assert_eq!(volumes(&store).unwrap().len() as u64, n);
        store.check().unwrap();
    }
}

/// A restart takes a few seconds, and nobody is told of it who had not begun.
#[test]
fn one_that_is_soon_back_is_waited_for() {
    let (_home, wire, store) = store();
    wire.set(Way::Cut);
    thread::scope(|scope| {
        for n in 2..8 {
            let store = &store;
            scope.spawn(move || insert(store, &format!("d-{n}"), n).unwrap());
            scope.spawn(move || assert!(!volumes(store).unwrap().is_empty()));
        }
        thread::sleep(Duration::from_secs(2));
        wire.set(Way::Open);
    });
    assert_eq!(volumes(&store).unwrap().len(), 7);
}

/// As by a restart of the server: the connections end, and new ones can be made.
#[test]
fn connections_that_ended_while_idle_are_not_noticed() {
    let (home, _wire, store) = store();
    for n in 2..5 {
        volumes(&store).unwrap();
        home.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE application_name = 'ebbtide' AND query LIKE '%ROLLBACK%'",
        );
        insert(&store, &format!("d-{n}"), n).unwrap();
        assert_eq!(volumes(&store).unwrap().len() as u64, n);
    }
}

#[test]
fn what_was_lost_before_the_commit_has_not_happened() {
    let (_home, wire, store) = store();
    let result: Result<(), StoreError> = store.write(Durability::Durable, |tx| {
        tx.insert_disk(&disk("d-2", 2))?;
        wire.set(Way::Cut);
        tx.insert_disk(&disk("d-3", 3))
    });
    unavailable(result);
    // Nor where the closure does not look at the errors it gets.
    wire.set(Way::Open);
    let result: Result<(), StoreError> = store.write(Durability::Durable, |tx| {
        tx.insert_disk(&disk("d-2", 2))?;
        wire.set(Way::Cut);
        let _ = tx.insert_disk(&disk("d-3", 3));
        Ok(())
    });
    unavailable(result);
    wire.set(Way::Open);
    assert_eq!(volumes(&store).unwrap(), [1]);
}

#[test]
fn lost_in_a_commit_it_is_not_known_whether_it_happened() {
    let (_home, wire, store) = store();
    for (way, happened) in [(Way::CutBeforeCommit, false), (Way::CutAfterCommit, true)] {
        wire.set(way);
        let result = insert(&store, "d-2", 2);
        assert!(matches!(result, Err(StoreError::OutcomeUnknown(_))), "{result:?}");
        wire.set(Way::Open);
        // A write comes after whatever the lost one did, so from here on the records say.
        write(&store, |tx| tx.put_meta("key", "value"));
        assert_eq!(read(&store, |tx| tx.disk(&DiskId::new("d-2"))).is_some(), happened);
    }
}

#[test]
fn one_that_does_not_answer_is_given_up() {
    let (_home, wire, store) = store();
    wire.set(Way::Held);
    thread::scope(|scope| {
        // More than there are connections.
        for n in 0..12 {
            let store = &store;
            scope.spawn(move || {
                let started = Instant::now();
                unavailable(insert(store, &format!("d-held-{n}"), 10 + n));
                assert!(started.elapsed() < LONGEST, "{:?}", started.elapsed());
            });
            scope.spawn(move || {
                let started = Instant::now();
                unavailable(volumes(store));
                assert!(started.elapsed() < LONGEST, "{:?}", started.elapsed());
            });
        }
        let started = Instant::now();
        unavailable(store.check());
        assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    });
    // What comes right after is not made to wait once more.
    let started = Instant::now();
    unavailable(store.check());
    unavailable(volumes(&store));
    assert!(started.elapsed() < Duration::from_millis(500), "{:?}", started.elapsed());
    wire.set(Way::Open);
    thread::sleep(Duration::from_secs(1));
    insert(&store, "d-2", 2).unwrap();
    assert_eq!(volumes(&store).unwrap(), [1, 2]);
}

/// A server that stands still in a write must not keep the others from theirs for ever.
#[test]
fn a_writer_that_stands_still_is_ended() {
    let (home, wire, store) = store();
    let other = home.open();
    let result: Result<(), StoreError> = store.write(Durability::Durable, |tx| {
        tx.insert_disk(&disk("d-2", 2))?;
        wire.set(Way::Held);
        let started = Instant::now();
        while let Err(error) = insert(&other, "d-3", 3) {
            assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
            assert!(started.elapsed() < Duration::from_secs(30));
        }
        wire.set(Way::Open);
        tx.insert_disk(&disk("d-4", 4))
    });
    unavailable(result);
    assert_eq!(volumes(&store).unwrap(), [1, 3]);
}

/// COMMIT after a statement that failed would be answered as if it had been done.
#[test]
fn a_failure_that_is_passed_over_undoes_the_write() {
    let (_home, _wire, store) = store();
    let result: Result<(), StoreError> = store.write(Durability::Durable, |tx| {
        tx.insert_disk(&disk("d-2", 2))?;
        let twice = tx.insert_disk(&disk("d-2", 3));
        assert!(matches!(twice, Err(StoreError::Sql(_))), "{twice:?}");
        Ok(())
    });
    assert!(matches!(result, Err(StoreError::Sql(_))), "{result:?}");
    assert_eq!(volumes(&store).unwrap(), [1]);
    insert(&store, "d-2", 2).unwrap();
}

/// Two servers, each adding to the number that it read: none of it is lost.
#[test]
fn writes_of_several_servers_come_one_after_the_other() {
    let home = Home::new();
    let add = |store: &Store| {
        write(store, |tx| {
            let number: u32 = tx.meta("number")?.map_or(0, |text| text.parse().unwrap());
            tx.put_meta("number", &(number + 1).to_string())
        });
    };
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let store = home.open();
                (0..50).for_each(|_| add(&store));
            });
        }
    });
    assert_eq!(read(&home.open(), |tx| tx.meta("number")).as_deref(), Some("150"));
}
