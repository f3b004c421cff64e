//! What is written, and what a start makes of what is there.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::num::NonZeroU64;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use ebb_audit::{Broken, Entry, Error, Log, Options, verify};
use serde_json::Value;

use crate::{NOW, append, file, lines, open};

fn small(keep: Option<u64>) -> Options {
    Options { file_bytes: 2000, keep: keep.and_then(NonZeroU64::new) }
}

fn values(path: &Path) -> Vec<Value> {
    lines(path).iter().map(|line| serde_json::from_slice(line).unwrap()).collect()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn each_call_is_a_line_for_its_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("audit");
    let log = open(&dir, Options::default());
    append(&log, 2);
    let text = "a\"b\n".to_owned() + &"x".repeat(1000);
    let entry = Entry { user_agent: Some(&text), tls: true, code: "Gone", ..Entry::default() };
    log.append(NOW, &entry).unwrap();
    // As others see it, while the log is open and before any sync.
    let lines = values(&file(&dir, 1));
    assert_eq!(lines.len(), 4);
    assert_eq!((&lines[0]["event"], &lines[0]["file"]), (&"opened".into(), &1.into()));
    assert_eq!(lines[2]["time"], "2023-11-14T22:13:20.001Z");
    assert_eq!(lines[2]["resources"][0], "acs:ecs:cn-hangzhou:1:disk/d-1");
    assert_eq!(lines[2]["status"], 200);
    assert!(lines[2].get("user_agent").is_none());
    assert_eq!((&lines[3]["tls"], &lines[3]["code"]), (&true.into(), &"Gone".into()));
    assert_eq!(lines[3]["hash"], log.newest_hash());
    assert_eq!((mode(&dir), mode(&file(&dir, 1))), (0o700, 0o600));
    let verified = verify(&dir, Some(&log.newest_hash())).unwrap();
    assert_eq!((verified.lines, verified.files, verified.torn_bytes), (4, 1, 0));
    assert_eq!(verified.first_time, "2023-11-14T22:13:20.000Z");
}

#[test]
fn a_log_goes_on_where_it_ended() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        append(&open(folder.path(), Options::default()), 5);
    }
    // As kill -9 leaves it: nothing is synced or closed in order.
    let killed = open(folder.path(), Options::default());
    append(&killed, 5);
    let newest = killed.newest_hash();
    std::mem::forget(killed);
    assert_eq!(open(folder.path(), Options::default()).newest_hash(), newest);
    assert_eq!(verify(folder.path(), Some(&newest)).unwrap().lines, 21);
}

#[test]
fn a_torn_line_is_cut_off_and_a_line_says_so() {
    for whole in [0, 1, 3] {
        let folder = tempfile::tempdir().unwrap();
        append(&open(folder.path(), Options::default()), 4);
        let path = file(folder.path(), 1);
        let mut bytes = lines(&path)[..whole].concat();
        bytes.extend_from_slice(b"{\"seq\":17,\"pr");
        fs::write(&path, bytes).unwrap();
        if whole > 0 {
            assert_eq!(verify(folder.path(), None).unwrap().torn_bytes, 13);
        }
        append(&open(folder.path(), Options::default()), 1);
        let verified = verify(folder.path(), None).unwrap();
        assert_eq!((verified.lines, verified.torn_bytes), (whole.max(1) as u64 + 2, 0));
        let cut = &values(&path)[whole.max(1)];
        assert_eq!((&cut["event"], &cut["bytes"]), (&"cut".into(), &13.into()));
    }
}

#[test]
fn a_file_that_is_full_is_followed_by_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), small(None));
    append(&log, 30);
    drop(log);
    append(&open(folder.path(), small(None)), 30);
    let verified = verify(folder.path(), None).unwrap();
    assert!(verified.files > 10, "{verified:?}");
    assert_eq!(verified.lines, 60 + verified.files);
    assert_eq!((verified.first_file, verified.first_sequence), (1, 1));
    for number in 1..=verified.files {
        let path = file(folder.path(), number);
        assert!(fs::metadata(&path).unwrap().len() <= 2000);
        assert_eq!(mode(&path), 0o600);
    }
    // A line that no file has room for has one for itself.
    let tiny = Options { file_bytes: 1, keep: None };
    append(&open(folder.path(), tiny), 2);
    assert_eq!(verify(folder.path(), None).unwrap().files, verified.files + 2);
}

#[test]
fn a_crash_between_two_files_is_gone_over() {
    let folder = tempfile::tempdir().unwrap();
    append(&open(folder.path(), small(None)), 10);
    let before = verify(folder.path(), None).unwrap();
    fs::write(file(folder.path(), before.files + 1), "").unwrap();
    assert_eq!(verify(folder.path(), None).unwrap(), before);
    append(&open(folder.path(), small(None)), 1);
    let after = verify(folder.path(), Some(&before.newest_hash)).unwrap();
    assert_eq!((after.files, after.lines), (before.files + 1, before.lines + 2));
}

#[test]
fn only_so_many_files_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), small(Some(3)));
    append(&log, 2);
    let early = log.newest_hash();
    append(&log, 50);
    let verified = verify(folder.path(), Some(&log.newest_hash())).unwrap();
    assert_eq!(verified.files, 3);
    assert!(verified.first_file > 5 && verified.first_sequence > 10, "{verified:?}");
    // The log says which it deleted.
    assert_eq!(verified.deleted_until, verified.first_file - 1);
    assert_eq!(verified.taken_away(), None);
    // The last of what is gone is named by the first of what is left.
    let head = values(&file(folder.path(), verified.first_file)).remove(0);
    verify(folder.path(), head["prev"].as_str()).unwrap();
    assert!(matches!(verify(folder.path(), Some(&early)), Err(Broken::Missing { .. })));
}

#[test]
fn what_somebody_took_away_is_told_from_what_the_log_deleted() {
    let folder = tempfile::tempdir().unwrap();
    append(&open(folder.path(), small(None)), 30);
    let all = verify(folder.path(), None).unwrap();
    assert_eq!((all.first_file, all.deleted_until, all.taken_away()), (1, 0, None));
    for number in [1, 2] {
        fs::remove_file(file(folder.path(), number)).unwrap();
    }
    let rest = verify(folder.path(), None).unwrap();
    assert_eq!((rest.deleted_until, rest.taken_away()), (0, Some(1..=2)));
    // The log says up to where it deletes; what was gone before that can be told no more.
    append(&open(folder.path(), small(Some(3))), 10);
    let kept = verify(folder.path(), None).unwrap();
    assert_eq!((kept.files, kept.taken_away()), (3, None));
    fs::remove_file(file(folder.path(), kept.first_file)).unwrap();
    let less = verify(folder.path(), None).unwrap();
    assert_eq!(less.taken_away(), Some(kept.first_file..=kept.first_file));
}

#[test]
fn files_that_could_not_be_deleted_are_when_the_next_one_is_full() {
    let folder = tempfile::tempdir().unwrap();
    append(&open(folder.path(), small(None)), 30);
    // As a crash leaves them behind the line that says that they go.
    let stuck = file(folder.path(), 2);
    let kept = fs::read(&stuck).unwrap();
    append(&open(folder.path(), small(Some(3))), 10);
    fs::write(&stuck, kept).unwrap();
    append(&open(folder.path(), small(Some(3))), 10);
    assert!(!stuck.exists());
    assert_eq!(verify(folder.path(), None).unwrap().files, 3);
}

#[test]
fn nothing_is_written_behind_what_no_log_wrote() {
    let folder = tempfile::tempdir().unwrap();
    append(&open(folder.path(), Options::default()), 2);
    let path = file(folder.path(), 1);
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"{}\n").unwrap();
    let before = fs::read(&path).unwrap();
    let outcome = Log::open(folder.path(), Options::default(), NOW);
    assert!(matches!(outcome.err(), Some(Error::Damaged { .. })));
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn many_at_once_make_one_chain() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), Options { file_bytes: 20_000, keep: None });
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| append(&log, 250));
        }
    });
    let verified = verify(folder.path(), None).unwrap();
    assert_eq!(verified.lines, 1000 + verified.files);
}
