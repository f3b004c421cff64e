//! All records go from a file to PostgreSQL, once, and are the same there.

use ebb_domain::{DiskId, Tag, Timestamp};
use ebb_store::{Store, StoreError};

use crate::home::{Home, fresh};
use crate::sample::{disk, disk_query, instance, read, snapshot, write};

/// A store in a file with more rows than go at once.
fn filled() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("metadata.db")).unwrap();
    write(&store, |tx| {
        for n in 1..=1100 {
            let mut disk = disk(&format!("d-{n}"), n);
            // A NUL, and what it is kept as.
            disk.name = "a\0b\u{1}".into();
            disk.tags = vec![Tag { key: "größe".into(), value: n.to_string() }];
            tx.insert_disk(&disk)?;
        }
        tx.insert_snapshot(&snapshot("s-1", "d-1", 1))?;
        tx.insert_instance(&instance("i-1"))?;
        tx.put_meta("a fact", "a value")?;
        // What is left of a list that has become empty.
        tx.insert_snapshot(&ebb_domain::Snapshot {
            region: ebb_domain::RegionId::new("cn-beijing"),
            ..snapshot("s-2", "d-1", 2)
        })?;
        tx.remove_snapshot(&ebb_domain::SnapshotId::new("s-2"))?;
        tx.remove_disk(&DiskId::new("d-7"), Timestamp::from_unix_millis(5))
    });
    (folder, store)
}

#[test]
fn everything_is_there_and_the_same() {
    let (_folder, from) = filled();
    let (_home, to) = fresh();
    let mut seen = Vec::new();
    let tables = from.copy_to(&to, &mut |done, all| seen.push((done, all))).unwrap();
    let (done, all) = *seen.last().unwrap();
    assert_eq!(done, all);
    assert!(seen.is_sorted());
    let rows = |name: &str| tables.iter().find(|table| table.name == name).unwrap().rows;
    assert_eq!([rows("disks"), rows("tags"), rows("deleted_disks")], [1099, 1099, 1]);
    for n in [1, 500, 501, 1100] {
        let id = DiskId::new(format!("d-{n}"));
        assert_eq!(read(&to, |tx| tx.disk(&id)), read(&from, |tx| tx.disk(&id)));
    }
    assert_eq!(read(&to, |tx| tx.meta("a fact")).as_deref(), Some("a value"));
    assert_eq!(read(&to, |tx| tx.disks(&disk_query())).total, 1099);
    write(&to, |tx| tx.insert_disk(&disk("d-new", 5000)));
    assert_eq!(read(&to, |tx| tx.disks(&disk_query())).total, 1100);
}

fn refused(from: &Store, to: &Store, why: &str) {
    let error = from.copy_to(to, &mut |_, _| ()).unwrap_err();
    assert!(matches!(&error, StoreError::Unsuitable(said) if said.contains(why)), "{error:?}");
}

#[test]
fn a_store_with_records_is_not_copied_over() {
    let (_folder, from) = filled();
    let (_home, to) = fresh();
    write(&to, |tx| tx.insert_disk(&disk("d-mine", 1)));
    refused(&from, &to, "disks has rows already");
    assert_eq!(read(&to, |tx| tx.all_volumes()), [1]);
    refused(&to, &to, "from a file to PostgreSQL");
}

/// What is not the same is found, and then nothing stays.
#[test]
fn a_difference_is_found() {
    let (_folder, from) = filled();
    let home = Home::new();
    let to = home.open();
    home.sql(
        "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF new.id = 'd-900' THEN new.size_gib = 21; END IF; RETURN new;
         END $$;
         CREATE TRIGGER spoilt BEFORE INSERT ON disks FOR EACH ROW EXECUTE FUNCTION spoil()",
    );
    refused(&from, &to, "disks is not the same");
    assert_eq!(read(&to, |tx| tx.all_volumes()), [0; 0]);
}
