//! Whatever is done to a log is found, but for what is cut off at its end.

use std::fs;
use std::path::Path;

use ebb_audit::{Broken, Options, verify};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::{append, file, lines, open};

/// Several files of several lines each.
fn log(dir: &Path) -> u64 {
    append(&open(dir, Options { file_bytes: 2500, keep: None }), 24);
    let verified = verify(dir, None).unwrap();
    assert!(verified.files >= 4);
    verified.files
}

/// Whether it is found that the log is not as it was written. A last line without its end might be
/// the work of a crash: that is told as well, but by another word.
fn found(dir: &Path) -> bool {
    verify(dir, None).map_or(true, |verified| verified.torn_bytes > 0)
}

#[derive(Debug, Clone)]
enum Change {
    Byte { at: Index, xor: u8 },
    InsertByte { at: Index, byte: u8 },
    DeleteByte { at: Index },
    DeleteLine { line: Index },
    Swap { one: Index, other: Index },
    Copy { from: Index, to: Index },
    Insert { to: Index, text: String },
    Replace { line: Index, by: Index },
}

fn change() -> impl Strategy<Value = Change> {
    use Change::*;
    let index = any::<Index>;
    prop_oneof![
        4 => (index(), 1_u8..).prop_map(|(at, xor)| Byte { at, xor }),
        1 => (index(), any::<u8>()).prop_map(|(at, byte)| InsertByte { at, byte }),
        1 => index().prop_map(|at| DeleteByte { at }),
        1 => index().prop_map(|line| DeleteLine { line }),
        1 => (index(), index()).prop_map(|(one, other)| Swap { one, other }),
        1 => (index(), index()).prop_map(|(from, to)| Copy { from, to }),
        1 => (index(), ".*").prop_map(|(to, text)| Insert { to, text }),
        1 => (index(), index()).prop_map(|(line, by)| Replace { line, by }),
    ]
}

/// The file as it is after the change.
fn changed(path: &Path, change: &Change) -> Vec<u8> {
    let (mut bytes, mut lines) = (fs::read(path).unwrap(), lines(path));
    let count = lines.len();
    match change {
        Change::Byte { at, xor } => {
            let at = at.index(bytes.len());
            bytes[at] ^= xor;
            return bytes;
        }
        Change::InsertByte { at, byte } => {
            bytes.insert(at.index(bytes.len()), *byte);
            return bytes;
        }
        Change::DeleteByte { at } => {
            bytes.remove(at.index(bytes.len()));
            return bytes;
        }
        Change::DeleteLine { line } => drop(lines.remove(line.index(count))),
        Change::Swap { one, other } => lines.swap(one.index(count), other.index(count)),
        Change::Copy { from, to } => {
            lines.insert(to.index(count + 1), lines[from.index(count)].clone())
        }
        Change::Insert { to, text } => {
            lines.insert(to.index(count + 1), format!("{text}\n").into_bytes());
        }
        Change::Replace { line, by } => lines[line.index(count)] = lines[by.index(count)].clone(),
    }
    lines.concat()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 400 } else { 4000 }))]
    #[test]
    fn every_change_is_found(number in any::<Index>(), change in change()) {
        let folder = tempfile::tempdir().unwrap();
        let files = log(folder.path());
        let number = 1 + number.index(files as usize) as u64;
        let path = file(folder.path(), number);
        let before = fs::read(&path).unwrap();
        let after = changed(&path, &change);
        let only_cut = number == files && before.starts_with(&after);
        prop_assume!(after != before && !only_cut);
        fs::write(&path, after).unwrap();
        prop_assert!(found(folder.path()));
    }
}

#[test]
fn every_bit_of_the_newest_line_counts() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), log(folder.path()));
    let bytes = fs::read(&path).unwrap();
    let start = bytes.len() - lines(&path).last().unwrap().len();
    for at in start..bytes.len() {
        for bit in 0..8 {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1 << bit;
            fs::write(&path, bytes).unwrap();
            assert!(found(folder.path()), "bit {bit} of byte {at}");
        }
    }
}

#[test]
fn files_do_not_change_places() {
    let folder = tempfile::tempdir().unwrap();
    let files = log(folder.path());
    let name = |number| file(folder.path(), number);
    let aside = folder.path().join("aside");
    for (one, other) in [(1, 2), (2, 3), (1, files), (files - 1, files)] {
        // The second time undoes the first.
        for whole in [false, true] {
            fs::rename(name(one), &aside).unwrap();
            fs::rename(name(other), name(one)).unwrap();
            fs::rename(&aside, name(other)).unwrap();
            assert_eq!(verify(folder.path(), None).is_ok(), whole);
        }
    }
    // One in the middle is taken away.
    let gone = fs::read(name(2)).unwrap();
    fs::remove_file(name(2)).unwrap();
    let Err(Broken::At { file: at, line: 1, what }) = verify(folder.path(), None) else {
        panic!("a file is missing");
    };
    assert_eq!((at, what.as_str()), (name(3), "file 1 is followed by file 3"));
    fs::write(name(2), "").unwrap();
    assert!(matches!(verify(folder.path(), None), Err(Broken::At { line: 1, .. })));
    fs::write(name(2), gone).unwrap();
    // One is put behind the newest.
    fs::copy(name(2), name(files + 1)).unwrap();
    assert!(matches!(verify(folder.path(), None), Err(Broken::At { line: 1, .. })));
}

#[test]
fn what_is_cut_off_at_the_end_is_found_by_what_was_noted_down() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), log(folder.path()));
    let noted = verify(folder.path(), None).unwrap();
    let all = lines(&path);
    fs::write(&path, all[..all.len() - 1].concat()).unwrap();
    let cut = verify(folder.path(), None).unwrap();
    assert_eq!(cut.lines, noted.lines - 1);
    let missing = verify(folder.path(), Some(&noted.newest_hash)).unwrap_err();
    assert!(matches!(&missing, Broken::Missing { hash } if *hash == noted.newest_hash));
    verify(folder.path(), Some(&cut.newest_hash)).unwrap();
    // Every line can be noted down, not just the newest.
    let hash = |line: &[u8]| String::from_utf8(line[line.len() - 67..line.len() - 3].to_vec());
    verify(folder.path(), Some(&hash(&all[0]).unwrap())).unwrap();
}

#[test]
fn the_first_place_is_told() {
    let folder = tempfile::tempdir().unwrap();
    log(folder.path());
    let path = file(folder.path(), 2);
    let mut all = lines(&path);
    all[3][100] ^= 1;
    all[4][100] ^= 1;
    fs::write(&path, all.concat()).unwrap();
    let said = verify(folder.path(), None).unwrap_err().to_string();
    assert!(said.ends_with("00000002.jsonl line 4: its text does not match its hash"), "{said}");
}

#[test]
fn where_no_log_is_there_is_none_to_verify() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(verify(folder.path(), None), Err(Broken::Unreadable { .. })));
    let nowhere = folder.path().join("audit");
    assert!(matches!(verify(&nowhere, None), Err(Broken::Unreadable { .. })));
}
