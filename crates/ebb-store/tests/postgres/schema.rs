//! The schema in PostgreSQL.

use std::thread;

use ebb_store::{Store, StoreError};

use crate::home::{Home, fresh};
use crate::sample::{disk, read, write};

#[test]
fn what_was_committed_is_there_after_opening_again() {
    let (home, store) = fresh();
    let known = disk("d-1", 1);
    write(&store, |tx| tx.insert_disk(&known));
    store.close().unwrap();
    drop(store);
    assert_eq!(read(&home.open(), |tx| tx.disk(&known.id)), Some(known));
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let (home, store) = fresh();
    drop(store);
    home.sql("UPDATE meta SET value = '999' WHERE key = 'schema_version'");
    let error = Store::connect(&home.url()).err().unwrap();
    assert!(matches!(error, StoreError::Newer { found: 999, .. }), "{error:?}");
    let kept = home.sql("SELECT value FROM meta WHERE key = 'schema_version'");
    assert_eq!(kept, ["999"]);
}

#[test]
fn servers_that_start_at_once_make_one_schema() {
    let home = Home::new();
    thread::scope(|scope| {
        for n in 0..4_u64 {
            let home = &home;
            scope.spawn(move || {
                let store = home.open();
                write(&store, |tx| tx.insert_disk(&disk(&format!("d-{n}"), n)));
            });
        }
    });
    assert_eq!(read(&home.open(), |tx| tx.all_volumes()), [0, 1, 2, 3]);
}

/// A start that fails in the middle leaves nothing of the new schema.
#[test]
fn migrations_are_one_transaction() {
    let home = Home::new();
    // In the way of a table of the last migrations.
    home.sql("CREATE TABLE kms_revoked (account TEXT)");
    assert!(matches!(Store::connect(&home.url()), Err(StoreError::Sql(_))));
    assert_eq!(
        home.sql("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"),
        ["kms_revoked"]
    );
    home.sql("DROP TABLE kms_revoked");
    read(&home.open(), |tx| tx.all_volumes());
}

/// Lists are in the order of bytes, whatever language the database was made in.
#[test]
fn every_text_is_compared_by_its_bytes() {
    let (home, _store) = fresh();
    let others = home.sql(
        "SELECT table_name || '.' || column_name FROM information_schema.columns
         WHERE table_schema = current_schema() AND data_type = 'text' AND
         collation_name IS DISTINCT FROM 'C'",
    );
    assert_eq!(others, [""; 0]);
    let types = home.sql(
        "SELECT DISTINCT data_type FROM information_schema.columns
         WHERE table_schema = current_schema() ORDER BY data_type",
    );
    assert_eq!(types, ["bigint", "bytea", "text"]);
}

/// The lists of a large store must not look at every row.
#[test]
fn what_is_looked_up_has_an_index() {
    let (home, _store) = fresh();
    let lookups = [
        "SELECT * FROM disks WHERE account = '' AND region = '' ORDER BY created_at DESC, id",
        "SELECT * FROM snapshots WHERE account = '' AND region = '' AND status <> 'deleting'
         ORDER BY created_at DESC, id",
        "SELECT * FROM instances WHERE account = '' AND region = '' ORDER BY created_at DESC, id",
        "SELECT 1 FROM disks WHERE resetting_to = 's'",
        "SELECT count(*) FROM disks WHERE source_snapshot = 's'",
        "SELECT 1 FROM snapshots WHERE source_disk = 'd' AND status = 'progressing'",
        "SELECT disk FROM attachments WHERE instance = 'i'",
        "SELECT * FROM tags WHERE kind = 'disk' AND resource = 'd' ORDER BY key",
        "DELETE FROM client_tokens WHERE used_at < 1",
    ];
    for sql in lookups {
        // An empty table is read whole whatever indexes it has, unless that is said to be dear.
        let plan = home.sql(&format!("SET enable_seqscan = off; EXPLAIN {sql}")).join("; ");
        assert!(plan.contains("Index") && !plan.contains("Seq Scan"), "{sql}: {plan}");
    }
}
