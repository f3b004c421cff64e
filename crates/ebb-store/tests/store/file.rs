//! The file that the store lies in: SQLite's part of the suite.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use ebb_domain::{DiskId, InstanceId, SnapshotId};
use ebb_store::{Durability, Store, StoreError};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::sample::{disk, disk_query, fresh, instance, read, snapshot, write};

fn file(folder: &TempDir) -> PathBuf {
    folder.path().join("metadata.db")
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn what_was_committed_is_there_after_opening_again() {
    for close in [true, false] {
        let (folder, store) = fresh();
        let known = disk("d-1", 1);
        store.write(Durability::Recoverable, |tx| tx.insert_disk(&known)).unwrap();
        if close {
            store.close().unwrap();
        }
        drop(store);
        let store = Store::open(&file(&folder)).unwrap();
        assert_eq!(read(&store, |tx| tx.disk(&known.id)), Some(known));
    }
}

#[test]
fn a_copy_of_the_files_of_a_running_store_has_what_was_committed() {
    let (folder, store) = fresh();
    let known = disk("d-1", 1);
    write(&store, |tx| tx.insert_disk(&known));
    // The state of the files now is what the end of the process would leave.
    let copy = tempfile::tempdir().unwrap();
    for name in ["metadata.db", "metadata.db-wal"] {
        fs::copy(folder.path().join(name), copy.path().join(name)).unwrap();
    }
    let recovered = Store::open(&file(&copy)).unwrap();
    assert_eq!(read(&recovered, |tx| tx.disk(&known.id)), Some(known));
}

#[test]
fn closing_empties_the_log_and_the_store_goes_on() {
    let (folder, store) = fresh();
    write(&store, |tx| tx.insert_disk(&disk("d-1", 1)));
    read(&store, |tx| tx.all_volumes());
    let log = folder.path().join("metadata.db-wal");
    assert!(fs::metadata(&log).unwrap().len() > 0);
    store.close().unwrap();
    assert_eq!(fs::metadata(&log).unwrap().len(), 0);
    write(&store, |tx| tx.insert_disk(&disk("d-2", 2)));
    assert_eq!(read(&store, |tx| tx.all_volumes()), [1, 2]);
}

#[test]
fn the_log_does_not_grow_for_ever() {
    let (folder, store) = fresh();
    let mut longest = 0;
    for n in 0..3000 {
        store
            .write(Durability::Recoverable, |tx| {
                tx.put_meta(&format!("key {n}"), &"x".repeat(4000))
            })
            .unwrap();
        longest = longest.max(fs::metadata(folder.path().join("metadata.db-wal")).unwrap().len());
    }
    // 12 MB were written; a checkpoint comes every 4 MiB.
    assert!(longest < 6 << 20, "{longest}");
}

#[test]
fn the_files_are_the_owners_alone() {
    let (folder, store) = fresh();
    write(&store, |tx| tx.put_meta("key", "value"));
    read(&store, |tx| tx.meta("key"));
    for name in ["metadata.db", "metadata.db-wal", "metadata.db-shm"] {
        assert_eq!(mode(&folder.path().join(name)), 0o600, "{name}");
    }
    drop(store);
    fs::set_permissions(file(&folder), fs::Permissions::from_mode(0o644)).unwrap();
    let _store = Store::open(&file(&folder)).unwrap();
    assert_eq!(mode(&file(&folder)), 0o600);
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let (folder, store) = fresh();
    drop(store);
    let raw = Connection::open(file(&folder)).unwrap();
    raw.execute("UPDATE meta SET value = '999' WHERE key = 'schema_version'", []).unwrap();
    drop(raw);
    let error = Store::open(&file(&folder)).err().unwrap();
    assert!(matches!(error, StoreError::Newer { found: 999, .. }), "{error:?}");
    assert!(error.to_string().contains("schema version 999"), "{error}");
    let raw = Connection::open(file(&folder)).unwrap();
    let version: String = raw
        .query_row("SELECT value FROM meta WHERE key = 'schema_version'", [], |row| row.get(0))
        .unwrap();
    assert_eq!(version, "999");
}

#[test]
fn what_is_no_store_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metadata.db");
    fs::write(&path, "not a database, but long enough to be looked at ".repeat(40)).unwrap();
    assert!(matches!(Store::open(&path), Err(StoreError::Sql(_))));
    let nowhere = folder.path().join("none").join("metadata.db");
    let error = Store::open(&nowhere).err().unwrap();
    assert!(error.to_string().contains("none/metadata.db"), "{error}");
}

#[test]
fn a_damaged_row_is_named() {
    let (folder, store) = fresh();
    write(&store, |tx| {
        tx.insert_disk(&disk("d-1", 1))?;
        tx.insert_snapshot(&snapshot("s-1", "d-1", 1))?;
        tx.insert_instance(&instance("i-1"))
    });
    let raw = Connection::open(file(&folder)).unwrap();
    let damages = [
        ("disks", "d-1", "category", "'floppy'"),
        ("disks", "d-1", "kind", "''"),
        ("disks", "d-1", "status", "'Lost'"),
        ("disks", "d-1", "performance_level", "'PL9'"),
        ("disks", "d-1", "size_gib", "-1"),
        ("disks", "d-1", "name", "CAST(x'ff' AS TEXT)"),
        ("snapshots", "s-1", "status", "'Accomplished'"),
        ("snapshots", "s-1", "origin", "'x'"),
        ("snapshots", "s-1", "category", "'x'"),
        ("snapshots", "s-1", "source_disk_kind", "'x'"),
        ("snapshots", "s-1", "retention_days", "1 << 40"),
        ("instances", "i-1", "status", "'x'"),
    ];
    for (table, id, column, value) in damages {
        raw.execute_batch(&format!(
            "CREATE TEMP TABLE kept AS SELECT {column} AS was FROM main.{table};
             UPDATE {table} SET {column} = {value};"
        ))
        .unwrap();
        let result = store.read(|tx| match table {
            "disks" => tx.disk(&DiskId::new(id)).map(|_| ()),
            "snapshots" => tx.snapshot(&SnapshotId::new(id)).map(|_| ()),
            _ => tx.instance(&InstanceId::new(id)).map(|_| ()),
        });
        let Err(StoreError::Corrupt { table: t, id: i, column: c }) = result else {
            panic!("{table} {column}: {result:?}");
        };
        assert_eq!((t, i.as_str(), c), (table, id, column));
        raw.execute_batch(&format!(
            "UPDATE {table} SET {column} = (SELECT was FROM kept); DROP TABLE kept;"
        ))
        .unwrap();
    }
    assert_eq!(read(&store, |tx| tx.disks(&disk_query())).total, 1);
}

/// The lists of a large store must not look at every row.
#[test]
fn what_is_looked_up_has_an_index() {
    let (folder, store) = fresh();
    drop(store);
    let raw = Connection::open(file(&folder)).unwrap();
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
        let plan = plan(&raw, sql);
        assert!(plan.starts_with("SEARCH"), "{sql}: {plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{sql}: {plan}");
    }
}

/// What few rows have comes first, though an account's region has an index too.
#[test]
fn lists_begin_with_the_narrowest_condition() {
    let (folder, store) = fresh();
    drop(store);
    let raw = Connection::open(file(&folder)).unwrap();
    let tagged = "id IN (SELECT wanted.resource FROM tags wanted
                  WHERE wanted.kind = ? AND wanted.key = ? AND wanted.value = ?)";
    let begins = [
        ("disks", "id IN (?, ?)", "sqlite_autoindex_disks_1"),
        ("disks", "name = ?", "disks_by_name"),
        ("disks", tagged, "sqlite_autoindex_disks_1"),
        ("snapshots", "id IN (?, ?)", "sqlite_autoindex_snapshots_1"),
        ("snapshots", "name = ?", "snapshots_by_name"),
        ("snapshots", "source_disk = ?", "snapshots_by_disk"),
        ("snapshots", tagged, "sqlite_autoindex_snapshots_1"),
        ("instances", "name = ?", "instances_by_name"),
        ("instances", tagged, "sqlite_autoindex_instances_1"),
    ];
    for (table, condition, index) in begins {
        for what in ["count(*)", "*"] {
            let sql = format!(
                "SELECT {what} FROM {table} WHERE (account = ? AND region = ?) AND ({condition})
                 ORDER BY created_at DESC, id LIMIT ? OFFSET ?"
            );
            let plan = plan(&raw, &sql);
            assert!(plan.starts_with(&format!("SEARCH {table} USING INDEX {index}")), "{plan}");
        }
    }
}

fn plan(connection: &Connection, sql: &str) -> String {
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let mut rows = statement.raw_query();
    let mut steps: Vec<String> = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        steps.push(row.get("detail").unwrap());
    }
    steps.join("; ")
}
