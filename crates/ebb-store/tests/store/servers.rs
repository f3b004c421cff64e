//! Servers that share a store: who carries what, and whose writes are taken.

use ebb_domain::{DiskId, DiskStatus, InstanceId, InstanceStatus, SnapshotStatus};
use ebb_store::{Claimed, Durability, Member, Server, ServerId, Store, StoreError, Whose};

use crate::sample::{disk, fresh, instance, read, snapshot, write};

fn server(bits: u64) -> Server {
    Server {
        id: ServerId::new(bits),
        home: format!("home {bits}"),
        volumes: Some("rbd:disks".into()),
        client: "10.0.0.1:0/17".into(),
        nbd: "nbd://10.0.0.1:10809".into(),
        api: "10.0.0.1:8080".into(),
        scratch: u64::MAX >> bits,
        beat: 0,
        is_dead: false,
    }
}

fn member(bits: u64, epoch: u64) -> Member {
    Member { server: ServerId::new(bits), epoch }
}

/// Servers 1 and 2.
fn joined(store: &Store) {
    write(store, |tx| {
        tx.insert_server(&server(1))?;
        tx.insert_server(&server(2))
    });
}

fn claimed(store: &Store, by: u64, whose: Whose<'_>) -> Claimed {
    write(store, |tx| tx.claim(&member(by, 9), whose))
}

#[test]
fn a_server_is_what_it_said_and_counts() {
    let (_home, store) = fresh();
    joined(&store);
    store.beat(&ServerId::new(2)).unwrap();
    write(&store, |tx| tx.mark_dead(&ServerId::new(1)));
    assert!(matches!(store.beat(&ServerId::new(1)), Err(StoreError::ShutOut)));
    let first = Server { is_dead: true, ..server(1) };
    let second = Server { beat: 1, ..server(2) };
    assert_eq!(read(&store, |tx| tx.servers()), [first, second.clone()]);
    write(&store, |tx| tx.remove_server(&ServerId::new(1)));
    assert_eq!(read(&store, |tx| tx.servers()), [second]);
}

#[test]
fn nothing_is_taken_of_a_server_that_is_dead_or_gone() {
    let (_home, store) = fresh();
    joined(&store);
    store.write_as(member(1, 0));
    let put =
        || store.write::<_, StoreError>(Durability::Durable, |tx| tx.put_meta("key", "value"));
    put().unwrap();
    write(&store, |tx| tx.mark_dead(&ServerId::new(1)));
    assert!(matches!(put(), Err(StoreError::ShutOut)));
    store.write_as(member(2, 0));
    put().unwrap();
    write(&store, |tx| tx.remove_server(&ServerId::new(2)));
    assert!(matches!(put(), Err(StoreError::ShutOut)));
    assert_eq!(read(&store, |tx| tx.meta("key")).as_deref(), Some("value"));
}

#[test]
fn what_is_under_way_is_its_carriers_until_that_is_gone() {
    let (_home, store) = fresh();
    joined(&store);
    store.write_as(member(1, 3));
    let mut attaching = disk("d-1", 1);
    attaching.status = DiskStatus::Attaching;
    let mut frozen = snapshot("s-1", "d-1", 1);
    frozen.status = SnapshotStatus::Progressing;
    let mut starting = instance("i-1");
    starting.status = InstanceStatus::Starting;
    write(&store, |tx| {
        tx.insert_disk(&attaching)?;
        tx.insert_disk(&disk("d-2", 2))?;
        tx.insert_snapshot(&frozen)?;
        tx.insert_instance(&starting)
    });
    assert!(claimed(&store, 2, Whose::Orphans).is_empty(), "it is there");
    assert!(claimed(&store, 2, Whose::All).is_empty());
    assert!(claimed(&store, 1, Whose::Past(&member(1, 2))).is_empty(), "of another epoch");

    // Another server changes something else of it, and has not taken it over by that.
    store.write_as(member(2, 0));
    write(&store, |tx| {
        let mut found = tx.disk(&DiskId::new("d-1"))?.unwrap();
        found.name = "changed".into();
        tx.save_disk(&found)
    });
    write(&store, |tx| tx.remove_server(&ServerId::new(1)));
    let orphans = claimed(&store, 2, Whose::Orphans);
    assert_eq!(orphans.disks, [DiskId::new("d-1")]);
    assert_eq!(orphans.snapshots, [frozen.id]);
    assert_eq!(orphans.instances, [InstanceId::new("i-1")]);
    assert!(claimed(&store, 2, Whose::Orphans).is_empty(), "they have a carrier now");

    // From one status to the next it is whoever's that moved it; at rest it is nobody's.
    write(&store, |tx| {
        let mut found = tx.disk(&DiskId::new("d-1"))?.unwrap();
        found.status = DiskStatus::Detaching;
        tx.save_disk(&found)?;
        let mut found = tx.instance(&InstanceId::new("i-1"))?.unwrap();
        found.status = InstanceStatus::Running;
        tx.save_instance(&found)
    });
    write(&store, |tx| {
        tx.insert_server(&server(3))?;
        tx.remove_server(&ServerId::new(2))
    });
    store.write_as(member(3, 0));
    let left = claimed(&store, 3, Whose::Orphans);
    assert_eq!((left.disks.len(), left.instances.len()), (1, 0));
}

#[test]
fn what_an_older_ebbtide_left_is_claimed_by_a_start() {
    let (_home, store) = fresh();
    let mut deleting = disk("d-1", 1);
    deleting.status = DiskStatus::Deleting;
    write(&store, |tx| {
        tx.insert_disk(&deleting)?;
        tx.insert_disk(&disk("d-2", 2))
    });
    joined(&store);
    assert!(claimed(&store, 1, Whose::Orphans).is_empty());
    assert_eq!(claimed(&store, 1, Whose::All).disks, [deleting.id]);
}

#[test]
fn an_export_is_one_servers_and_others_ask_it() {
    let (_home, store) = fresh();
    joined(&store);
    let (disk, first, second) = (DiskId::new("d-1"), ServerId::new(1), ServerId::new(2));
    assert_eq!(read(&store, |tx| tx.export(&disk)), None);
    write(&store, |tx| tx.put_export(&disk, &first));
    assert!(read(&store, |tx| tx.asked_exports(&first)).is_empty());
    write(&store, |tx| tx.ask_export(&disk));
    write(&store, |tx| tx.ask_export(&disk));
    assert_eq!(read(&store, |tx| tx.asked_exports(&first)), [(disk.clone(), 2)]);
    assert!(read(&store, |tx| tx.asked_exports(&second)).is_empty());
    write(&store, |tx| tx.answer_export(&disk, &second, 2));
    assert_eq!(read(&store, |tx| tx.export(&disk)).unwrap().done, 0, "it has not got it");
    write(&store, |tx| tx.answer_export(&disk, &first, 2));
    write(&store, |tx| tx.answer_export(&disk, &first, 1));
    assert_eq!(read(&store, |tx| tx.export(&disk)).unwrap().done, 2);
    let (off, at) = (DiskId::new("d-2"), (disk.clone(), "nbd://10.0.0.1:10809".to_owned()));
    assert_eq!(read(&store, |tx| tx.export_servers(&[&disk, &off])), [at]);

    assert!(read(&store, |tx| tx.orphan_exports()).is_empty());
    write(&store, |tx| tx.remove_server(&first));
    assert_eq!(read(&store, |tx| tx.orphan_exports()), std::slice::from_ref(&disk));
    assert!(read(&store, |tx| tx.held_exports()).is_empty());
    write(&store, |tx| tx.put_export(&disk, &second));
    assert_eq!(read(&store, |tx| tx.held_exports()), std::slice::from_ref(&disk));
    write(&store, |tx| tx.remove_export(&disk, &first));
    assert!(read(&store, |tx| tx.export(&disk)).is_some(), "it is not its to remove");
    write(&store, |tx| tx.remove_export(&disk, &second));
    assert_eq!(read(&store, |tx| tx.export(&disk)), None);
}

#[test]
fn a_duty_is_one_servers_until_that_is_gone() {
    let (_home, store) = fresh();
    joined(&store);
    let (first, second) = (ServerId::new(1), ServerId::new(2));
    assert!(write(&store, |tx| tx.take_duty("minutes", &first)));
    assert!(!write(&store, |tx| tx.take_duty("minutes", &second)));
    assert!(write(&store, |tx| tx.take_duty("minutes", &first)));
    write(&store, |tx| tx.remove_server(&first));
    assert!(write(&store, |tx| tx.take_duty("minutes", &second)));
    assert!(!read(&store, |tx| tx.has_duty("minutes", &first)));
}
