//! Which signed requests have been answered: each is good for one call.
//!
//! A request is known by its access key and nonce and remembered for [`WINDOW_MILLIS`], longer than
//! its timestamp stays good. Only requests with a good signature are remembered, so nobody without
//! a secret can fill the memory. It is bounded: when full, new requests are refused, because to
//! forget an old one would let it be sent again.
//!
//! The memory is also written to a file, so that it survives the end of the process, `kill -9`
//! included. Not synced: after a power loss the last requests before it may be missing. See
//! docs/decisions/0040. Servers that share a store have their memory there, in place of both
//! (docs/decisions/0104).
//!
//! ```text
//! file: (first 16 bytes of the hash, milliseconds as little-endian i64)…   oldest first
//! ```

use std::collections::{HashSet, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ebb_control::{ControlError, Ledger, NonceUse};
use ebb_domain::Timestamp;
use sha2::{Digest, Sha256};

use crate::ApiError;
use crate::auth::SKEW_MILLIS;
use crate::refusals::failed;

/// A timestamp may be 15 minutes ahead when it is first seen, and is then good for 30.
const WINDOW_MILLIS: i64 = 2 * SKEW_MILLIS;

/// About 100 MB when full: more than 500 calls a second for half an hour.
const CAPACITY: usize = 1_000_000;

/// Records that are taken over in one transaction.
const RECORDS_AT_ONCE: usize = 1000;

const KEY: usize = 16;
const RECORD: usize = KEY + 8;

/// 16 bytes of the SHA-256: collisions are out of reach, and a nonce may have any length.
type Key = [u8; KEY];

/// The memory of answered requests.
pub struct Nonces(Memory);

enum Memory {
    Own(Mutex<State>),
    Shared(Ledger),
}

struct State {
    seen: HashSet<Key>,
    /// In the order of arrival, which is the order of forgetting.
    order: VecDeque<(Key, i64)>,
    capacity: usize,
    journal: Option<Journal>,
}

impl Nonces {
    /// A memory that ends with the process.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::with_capacity(CAPACITY)
    }

    fn with_capacity(capacity: usize) -> Self {
        let (seen, order) = Default::default();
        Self(Memory::Own(Mutex::new(State { seen, order, capacity, journal: None })))
    }

    /// A memory kept in the file at `path`, made with mode 0600 if it is not there.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn kept_in(path: impl Into<PathBuf>, now: Timestamp) -> io::Result<Self> {
        let path = path.into();
        let (seen, order) = Default::default();
        let mut state = State { seen, order, capacity: CAPACITY, journal: None };
        for (key, at) in read_records(&path)? {
            // An entry from the future would never be forgotten.
            if at <= now.unix_millis() && state.seen.insert(key) {
                state.order.push_back((key, at));
            }
        }
        state.forget_before(now);
        state.journal = Some(Journal::create(path, &state.order)?);
        Ok(Self(Memory::Own(Mutex::new(state))))
    }

    /// A memory that servers share. What this one has kept in the file at `path`, before it shared
    /// any, goes there.
    ///
    /// # Errors
    /// The file cannot be read, or what is shared cannot be reached.
    pub fn shared(ledger: Ledger, path: &Path, now: Timestamp) -> Result<Self, ControlError> {
        let failed = |error: io::Error| {
            ControlError::Mismatch(format!("cannot take over {}: {error}", path.display()))
        };
        let mut records = read_records(path).map_err(failed)?;
        let still = |at: i64| (0..=WINDOW_MILLIS).contains(&now.unix_millis().saturating_sub(at));
        records.retain(|(_, at)| still(*at));
        for some in records.chunks(RECORDS_AT_ONCE) {
            ledger.take_over(some)?;
        }
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
            _ => Ok(Self(Memory::Shared(ledger))),
        }
    }

    /// Whether this nonce of this key was used already.
    ///
    /// # Errors
    /// 503 `ServiceUnavailable`, where what is shared cannot be reached.
    pub(crate) fn is_used(
        &self,
        access_key_id: &str,
        nonce: &str,
        now: Timestamp,
    ) -> Result<bool, ApiError> {
        let key = key(access_key_id, nonce);
        match &self.0 {
            Memory::Own(state) => {
                let mut state = lock(state);
                state.forget_before(now);
                Ok(state.seen.contains(&key))
            }
            Memory::Shared(ledger) => {
                ledger.nonce_is_used(&key, now, WINDOW_MILLIS).map_err(failed)
            }
        }
    }

    /// Uses it. Of two callers with the same nonce one succeeds.
    ///
    /// # Errors
    /// 400 `SignatureNonceUsed`; 400 `Throttling` when the memory is full; 503
    /// `ServiceUnavailable`.
    pub(crate) fn use_once(
        &self,
        access_key_id: &str,
        nonce: &str,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        let key = key(access_key_id, nonce);
        let outcome = match &self.0 {
            Memory::Own(state) => lock(state).use_once(key, now),
            Memory::Shared(ledger) => ledger.use_nonce(&key, now, WINDOW_MILLIS).map_err(failed)?,
        };
        match outcome {
            NonceUse::New => Ok(()),
            NonceUse::Used => Err(used()),
            NonceUse::Full => {
                let message = "Request was denied due to user flow control.";
                Err(ApiError::new(400, "Throttling", message))
            }
        }
    }
}

/// Every change is whole before the lock is let go, so a panic elsewhere does not spoil it.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// 400 `SignatureNonceUsed`.
pub(crate) fn used() -> ApiError {
    ApiError::new(400, "SignatureNonceUsed", "Specified signature nonce was used already.")
}

impl State {
    fn use_once(&mut self, key: Key, now: Timestamp) -> NonceUse {
        self.forget_before(now);
        if self.seen.contains(&key) {
            return NonceUse::Used;
        }
        if self.seen.len() >= self.capacity {
            return NonceUse::Full;
        }
        self.seen.insert(key);
        self.order.push_back((key, now.unix_millis()));
        self.write(key, now.unix_millis());
        NonceUse::New
    }

    fn forget_before(&mut self, now: Timestamp) {
        while let Some((key, at)) = self.order.front() {
            if now.unix_millis().saturating_sub(*at) <= WINDOW_MILLIS {
                break;
            }
            self.seen.remove(key);
            self.order.pop_front();
        }
    }

    /// A few microseconds into the page cache, so it is done right here. A full disk does not stop
    /// reads of the API: the memory still holds, and what needs the disk will fail by itself.
    fn write(&mut self, key: Key, at: i64) {
        let Some(journal) = &mut self.journal else { return };
        let outcome = if journal.records > 2 * self.order.len() + 1024 {
            Journal::create(journal.path.clone(), &self.order).map(|fresh| *journal = fresh)
        } else {
            journal.append(key, at)
        };
        if let Err(error) = outcome {
            tracing::warn!(%error, "used nonces are not written down; a restart would forget them");
        }
    }
}

fn key(access_key_id: &str, nonce: &str) -> Key {
    let mut hash = Sha256::new();
    hash.update((access_key_id.len() as u64).to_be_bytes());
    hash.update(access_key_id);
    hash.update(nonce);
    let hash: [u8; 32] = hash.finalize().into();
    *hash.first_chunk().expect("a hash is longer than a key")
}

/// The file, open at its end.
struct Journal {
    path: PathBuf,
    file: File,
    records: usize,
}

impl Journal {
    /// Writes `order` and takes the place of the file that was there, which leaves out what is
    /// forgotten.
    fn create(path: PathBuf, order: &VecDeque<(Key, i64)>) -> io::Result<Self> {
        let fresh = path.with_extension("new");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&fresh)?;
        let bytes: Vec<u8> = order.iter().flat_map(|&(key, at)| record(key, at)).collect();
        file.write_all(&bytes)?;
        fs::rename(&fresh, &path)?;
        Ok(Self { path, file, records: order.len() })
    }

    /// After a failure, which may have left half a record, the next record writes the file anew.
    fn append(&mut self, key: Key, at: i64) -> io::Result<()> {
        self.records += 1;
        self.file.write_all(&record(key, at)).inspect_err(|_| self.records = usize::MAX)
    }
}

fn record(key: Key, at: i64) -> [u8; RECORD] {
    let mut bytes = [0; RECORD];
    bytes[..KEY].copy_from_slice(&key);
    bytes[KEY..].copy_from_slice(&at.to_le_bytes());
    bytes
}

/// A last record that was cut short is of a request that was not answered yet.
fn read_records(path: &Path) -> io::Result<Vec<(Key, i64)>> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    let (records, _) = bytes.as_chunks::<RECORD>();
    let parse = |record: &[u8; RECORD]| {
        let (key, at) = record.split_first_chunk().expect("a record is longer than a key");
        (*key, i64::from_le_bytes(at.try_into().expect("the rest of a record is eight bytes")))
    };
    Ok(records.iter().map(parse).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_unix_millis(1_700_000_000_000);

    fn code(outcome: Result<(), ApiError>) -> String {
        outcome.map_or_else(|error| error.code.into_owned(), |()| "ok".to_owned())
    }

    fn is_used(nonces: &Nonces, nonce: &str, now: Timestamp) -> bool {
        nonces.is_used("a", nonce, now).unwrap()
    }

    #[test]
    fn a_nonce_is_good_once_per_key_and_window() {
        let nonces = Nonces::in_memory();
        let later = START.plus_seconds(30 * 60);
        assert!(!is_used(&nonces, "1", START));
        assert_eq!(code(nonces.use_once("a", "1", START)), "ok");
        assert!(is_used(&nonces, "1", later));
        assert_eq!(code(nonces.use_once("a", "1", later)), "SignatureNonceUsed");
        assert_eq!(code(nonces.use_once("b", "1", START)), "ok");
        assert_eq!(code(nonces.use_once("", "a1", START)), "ok");
        assert_eq!(code(nonces.use_once("a", "1", later.plus_seconds(1))), "ok");
    }

    #[test]
    fn of_many_at_once_one_wins() {
        let nonces = Nonces::in_memory();
        let race = || (0..100).filter(|n| nonces.use_once("a", &n.to_string(), START).is_ok());
        let wins = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| race().count())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
        });
        assert_eq!(wins, 100);
    }

    #[test]
    fn a_full_memory_refuses_until_the_oldest_are_past() {
        let nonces = Nonces::with_capacity(2);
        assert_eq!(code(nonces.use_once("a", "1", START)), "ok");
        assert_eq!(code(nonces.use_once("a", "2", START.plus_seconds(60))), "ok");
        assert_eq!(code(nonces.use_once("a", "3", START.plus_seconds(61))), "Throttling");
        assert_eq!(code(nonces.use_once("a", "1", START.plus_seconds(61))), "SignatureNonceUsed");
        assert_eq!(code(nonces.use_once("a", "3", START.plus_seconds(1801))), "ok");
        assert_eq!(code(nonces.use_once("a", "2", START.plus_seconds(1801))), "SignatureNonceUsed");
    }

    #[test]
    fn a_restart_does_not_forget() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nonces");
        let first = Nonces::kept_in(&path, START).unwrap();
        first.use_once("a", "1", START).unwrap();
        first.use_once("a", "2", START.plus_seconds(600)).unwrap();
        // As kill -9 leaves it: nothing is flushed or closed in order.
        std::mem::forget(first);
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"cut short").unwrap();
        let now = START.plus_seconds(1801);
        let second = Nonces::kept_in(&path, now).unwrap();
        assert!(!is_used(&second, "1", now), "past its window");
        assert_eq!(code(second.use_once("a", "2", now)), "SignatureNonceUsed");
        second.use_once("a", "3", now).unwrap();
        drop(second);
        let third = Nonces::kept_in(&path, now).unwrap();
        assert!(is_used(&third, "2", now) && is_used(&third, "3", now));
        assert_eq!(fs::read(&path).unwrap().len(), 2 * RECORD);
    }

    #[test]
    fn a_write_that_failed_is_made_up_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nonces");
        let nonces = Nonces::in_memory();
        let file = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let Memory::Own(state) = &nonces.0 else { panic!("it is its own") };
        lock(state).journal = Some(Journal { path: path.clone(), file, records: 0 });
        assert_eq!(code(nonces.use_once("a", "1", START)), "ok");
        assert_eq!(code(nonces.use_once("a", "1", START)), "SignatureNonceUsed");
        assert!(!path.exists());
        assert_eq!(code(nonces.use_once("a", "2", START)), "ok");
        drop(nonces);
        let again = Nonces::kept_in(&path, START).unwrap();
        assert!(is_used(&again, "1", START) && is_used(&again, "2", START));
    }

    #[test]
    fn the_file_does_not_grow_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nonces");
        let nonces = Nonces::kept_in(&path, START).unwrap();
        for n in 0..5000 {
            // One in ten minutes: four are remembered at any time.
            nonces.use_once("a", &n.to_string(), START.plus_seconds(600 * n)).unwrap();
        }
        assert!(fs::metadata(&path).unwrap().len() < 2000 * RECORD as u64);
        drop(nonces);
        let now = START.plus_seconds(600 * 4999);
        let again = Nonces::kept_in(&path, now).unwrap();
        assert!(is_used(&again, "4999", now) && is_used(&again, "4997", now));
        assert!(!is_used(&again, "4990", now));
    }
}
