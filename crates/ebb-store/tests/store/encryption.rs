//! Data keys: kept as long as something is encrypted with them.

use ebb_domain::{Disk, Snapshot, Timestamp};

use crate::sample::{self, data_key, encryption, fresh, read, write};

#[test]
fn a_data_key_goes_with_the_last_that_has_it() {
    let (_folder, store) = fresh();
    let with = Some(encryption());
    let disk = Disk { encryption: with.clone(), ..sample::disk("d-1", 1) };
    let snapshot = Snapshot { encryption: with, ..sample::snapshot("s-1", "d-1", 2) };
    write(&store, |tx| {
        data_key(tx)?;
        tx.insert_disk(&disk)?;
        tx.insert_snapshot(&snapshot)
    });
    let wrapped = || read(&store, |tx| tx.data_key("dk-1"));
    assert_eq!(wrapped().as_deref(), Some(&b"wrapped"[..]));
    let now = Timestamp::from_unix_millis(0);
    write(&store, |tx| tx.remove_disk(&disk.id, now));
    assert_eq!(wrapped().as_deref(), Some(&b"wrapped"[..]), "the snapshot has it");
    write(&store, |tx| tx.remove_snapshot(&snapshot.id));
    assert_eq!(wrapped(), None);
    assert_eq!(read(&store, |tx| tx.count_data_keys()), 0);
}
