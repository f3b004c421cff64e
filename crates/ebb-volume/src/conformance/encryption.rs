//! Encrypted volumes: which key opens what, and the whole suite once more on an engine whose
//! volumes are encrypted without the checks knowing.

use std::num::NonZeroUsize;
use std::sync::Arc;

use super::{Bench, KIB, Store, assert_same, new_op, pattern, read, write};
use crate::{
    BLOCK_BYTES, DataKey, Engine, EngineError, Inventory, OpId, SnapshotId, Volume, VolumeId,
    VolumeInfo,
};

const SIZE: u64 = 64 * KIB;

fn key(byte: u8) -> DataKey {
    DataKey::new([byte; 32])
}

/// A store whose engines encrypt volumes of those who know of no keys: by a volume's number with
/// one key, with another, or not at all.
pub struct Encrypted<S>(pub S);

impl<S: Store> Store for Encrypted<S> {
    fn open(&self) -> Result<Box<dyn Engine>, EngineError> {
        Ok(Box::new(Encrypting { engine: self.0.open()? }))
    }
}

struct Encrypting {
    engine: Box<dyn Engine>,
}

fn key_of(volume: VolumeId) -> Option<DataKey> {
    match volume.0 % 3 {
        0 => None,
        remainder => Some(key(remainder as u8)),
    }
}

impl Engine for Encrypting {
    fn create_volume(
        &self,
        op: OpId,
        volume: VolumeId,
        size_bytes: u64,
        _: Option<&DataKey>,
    ) -> Result<(), EngineError> {
        self.engine.create_volume(op, volume, size_bytes, key_of(volume).as_ref())
    }

    fn fork(
        &self,
        op: OpId,
        source: SnapshotId,
        volume: VolumeId,
        size_bytes: u64,
    ) -> Result<(), EngineError> {
        self.engine.fork(op, source, volume, size_bytes)
    }

    fn create_snapshots(
        &self,
        op: OpId,
        pairs: &[(VolumeId, SnapshotId)],
    ) -> Result<(), EngineError> {
        self.engine.create_snapshots(op, pairs)
    }

    fn reset(&self, op: OpId, volume: VolumeId, target: SnapshotId) -> Result<(), EngineError> {
        self.engine.reset(op, volume, target)
    }

    fn grow(&self, op: OpId, volume: VolumeId, size_bytes: u64) -> Result<(), EngineError> {
        self.engine.grow(op, volume, size_bytes)
    }

    fn delete_volume(&self, op: OpId, volume: VolumeId) -> Result<(), EngineError> {
        self.engine.delete_volume(op, volume)
    }

    fn delete_snapshot(&self, op: OpId, snapshot: SnapshotId) -> Result<(), EngineError> {
        self.engine.delete_snapshot(op, snapshot)
    }

    /// With whatever key it takes: the volume may have been forked or reset.
    fn open(&self, volume: VolumeId, _: Option<&DataKey>) -> Result<Arc<dyn Volume>, EngineError> {
        let keys = [Some(key(1)), Some(key(2)), None];
        let mut outcome = Err(EngineError::WrongKey(volume));
        for key in keys {
            if outcome.as_ref().err() == Some(&EngineError::WrongKey(volume)) {
                outcome = self.engine.open(volume, key.as_ref());
            }
        }
        outcome
    }

    fn revoke(&self, volume: VolumeId) -> Result<(), EngineError> {
        self.engine.revoke(volume)
    }

    fn stored_bytes(&self, snapshots: &[SnapshotId]) -> Result<u64, EngineError> {
        self.engine.stored_bytes(snapshots)
    }

    /// As if nothing was encrypted.
    fn inventory(&self) -> Result<Inventory, EngineError> {
        let mut inventory = self.engine.inventory()?;
        let volumes = inventory.volumes.iter_mut().map(|info| &mut info.encrypted);
        let snapshots = inventory.snapshots.iter_mut().map(|info| &mut info.encrypted);
        for encrypted in volumes.chain(snapshots) {
            *encrypted = false;
        }
        Ok(inventory)
    }

    fn health(&self) -> Result<(), EngineError> {
        self.engine.health()
    }

    fn close(&self) -> Result<(), EngineError> {
        self.engine.close()
    }
}

impl Bench {
    fn create_with(&self, volume: u64, key: Option<&DataKey>) -> Arc<dyn Volume> {
        let id = VolumeId(volume);
        self.engine.create_volume(new_op(), id, SIZE, key).expect("a volume is made");
        self.engine.open(id, key).expect("a volume opens")
    }

    /// Opens a volume that a key opens, and no other does.
    fn open_only_with(&self, volume: u64, right: Option<u8>) -> Arc<dyn Volume> {
        let id = VolumeId(volume);
        for wrong in [None, Some(1), Some(2), Some(3)].into_iter().filter(|k| *k != right) {
            let outcome = self.engine.open(id, wrong.map(key).as_ref()).map(|_| ());
            assert_eq!(outcome, Err(EngineError::WrongKey(id)), "with {wrong:?}");
        }
        self.engine.open(id, right.map(key).as_ref()).expect("it opens with its key")
    }

    fn encrypted(&self, volume: u64) -> bool {
        let volumes = self.engine.inventory().expect("an inventory").volumes;
        let mut found = volumes.iter().filter(|info: &&VolumeInfo| info.id == VolumeId(volume));
        found.next().expect("it is listed").encrypted
    }
}

/// An engine without encryption makes no volume with a key, and opens none with one: bytes that
/// should be encrypted never come to it.
pub fn keys_are_refused(store: &dyn Store) {
    let bench = Bench::new(store);
    let create =
        |key: Option<&DataKey>| bench.engine.create_volume(new_op(), VolumeId(1), SIZE, key);
    assert!(!bench.engine.encrypts());
    let refused = create(Some(&key(1)));
    assert!(matches!(refused, Err(EngineError::NotSupported(_))), "{refused:?}");
    assert!(bench.engine.inventory().expect("an inventory").volumes.is_empty());
    create(None).expect("a volume without a key");
    let opened = bench.engine.open(VolumeId(1), Some(&key(1))).map(|_| ());
    assert_eq!(opened, Err(EngineError::WrongKey(VolumeId(1))));
    let missing = bench.engine.open(VolumeId(9), Some(&key(1))).map(|_| ());
    assert_eq!(missing, Err(EngineError::NoSuchVolume(VolumeId(9))));
    assert!(!bench.encrypted(1));
}

#[expect(missing_docs, reason = "checks are named for what they check")]
pub fn a_volume_opens_with_its_key_only(store: &dyn Store) {
    let mut bench = Bench::new(store);
    write(&*bench.create_with(1, Some(&key(1))), 0, &pattern(1, SIZE));
    write(&*bench.create_with(2, Some(&key(2))), 0, &pattern(2, SIZE));
    write(&*bench.create_with(3, None), 0, &pattern(3, SIZE));
    for reopened in [false, true] {
        if reopened {
            bench.engine.close().expect("it closes");
            bench = Bench { engine: Box::new(crate::MemoryEngine::new()) };
            bench = Bench {
                engine: {
                    drop(bench);
                    store.open().expect("it opens")
                },
            };
        }
        for (volume, right) in [(1, Some(1)), (2, Some(2)), (3, None)] {
            let found = read(&*bench.open_only_with(volume, right), 0, SIZE);
            assert_same(&found, &pattern(volume, SIZE), "it");
            assert_eq!(bench.encrypted(volume), right.is_some(), "volume {volume}");
        }
    }
    let missing = bench.engine.open(VolumeId(9), Some(&key(1))).map(|_| ());
    assert_eq!(missing, Err(EngineError::NoSuchVolume(VolumeId(9))));
}

#[expect(missing_docs, reason = "checks are named for what they check")]
pub fn a_repeated_creation_has_the_same_key(store: &dyn Store) {
    let bench = Bench::new(store);
    let op = new_op();
    let create = |key: Option<&DataKey>| bench.engine.create_volume(op, VolumeId(1), SIZE, key);
    assert_eq!(create(Some(&key(1))), Ok(()));
    assert_eq!(create(Some(&key(1))), Ok(()));
    assert_eq!(create(Some(&key(2))), Err(EngineError::IdTaken));
    assert_eq!(create(None), Err(EngineError::IdTaken));
    bench.open_only_with(1, Some(1));
}

#[expect(missing_docs, reason = "checks are named for what they check")]
pub fn forks_and_resets_take_the_key_along(store: &dyn Store) {
    let mut bench = Bench::new(store);
    // Volumes 1 to 3 and their snapshots 11 to 13: with two keys, and without one.
    let keys = [(1, Some(1)), (2, Some(2)), (3, None)];
    for (volume, with) in keys {
        let handle = bench.create_with(volume, with.map(key).as_ref());
        write(&*handle, 0, &pattern(volume, SIZE));
        bench.snapshot(volume, 10 + volume);
        bench
            .engine
            .fork(new_op(), SnapshotId(10 + volume), VolumeId(20 + volume), SIZE)
            .expect("it");
    }
    for (target, right) in keys {
        for (volume, _) in keys {
            bench.reset(volume, 10 + target);
            let handle = bench.open_only_with(volume, right);
            assert_same(&read(&*handle, 0, SIZE), &pattern(target, SIZE), "a reset volume");
            write(&*handle, 5, &pattern(9, 2 * 4096));
            assert_eq!(bench.encrypted(volume), right.is_some());
        }
        bench.engine.close().expect("it closes");
        bench = Bench { engine: Box::new(crate::MemoryEngine::new()) };
        bench = Bench {
            engine: {
                drop(bench);
                store.open().expect("it opens")
            },
        };
        for (volume, _) in keys {
            let found = read(&*bench.open_only_with(volume, right), 5, 2 * 4096);
            assert_same(&found, &pattern(9, 2 * 4096), "what was written after the reset");
        }
    }
    for (fork, right) in keys {
        let found = read(&*bench.open_only_with(20 + fork, right), 0, SIZE);
        assert_same(&found, &pattern(fork, SIZE), "a fork");
    }
    let snapshots = bench.engine.inventory().expect("an inventory").snapshots;
    for info in snapshots {
        assert_eq!(info.encrypted, info.id.0 != 13, "{:?}", info.id);
    }
}

#[expect(missing_docs, reason = "checks are named for what they check")]
pub fn nothing_is_as_in_a_snapshot_of_another_kind(store: &dyn Store) {
    const BLOCKS: u64 = 600;
    let bench = Bench::new(store);
    let written = [&[0, 1, 127, 128, 129, 255, 256, 400][..], &[1, 2, 128, 255, 257, 383, 599]];
    let key = key(1);
    for (volume, (key, blocks)) in [Some(&key), None].into_iter().zip(written).enumerate() {
        let id = VolumeId(volume as u64);
        let size_bytes = BLOCKS * BLOCK_BYTES;
        bench.engine.create_volume(new_op(), id, size_bytes, key).expect("a volume is made");
        let handle = bench.engine.open(id, key).expect("a volume opens");
        for block in blocks {
            write(&*handle, block * BLOCK_BYTES, &pattern(*block, BLOCK_BYTES));
        }
        bench.snapshot(id.0, 10 + id.0);
    }
    let either = |block: &u64| written.iter().any(|blocks| blocks.contains(block));
    let expected: Vec<bool> = (0..BLOCKS).map(|block| either(&block)).collect();
    for (volume, key, since) in [(0, Some(&key), 11), (1, None, 10)] {
        let handle = bench.engine.open(VolumeId(volume), key).expect("a volume opens");
        for most in [1, 2, 5, 1000] {
            let most = NonZeroUsize::new(most).expect("it is not 0");
            let (mut at, end, mut found) = (0, BLOCKS * BLOCK_BYTES, Vec::new());
            while at < end {
                let told = handle.changed(SnapshotId(since), at, end - at, most).expect("changes");
                assert!((1..=most.get()).contains(&told.len()), "{} are told", told.len());
                for difference in told {
                    let blocks = difference.length / BLOCK_BYTES;
                    found.extend((0..blocks).map(|_| difference.changed));
                    at += difference.length;
                }
            }
            assert_eq!(found, expected, "since {since}, {most} at a time");
        }
        let own = SnapshotId(10 + volume);
        let most = NonZeroUsize::MAX;
        let told = handle.changed(own, 0, BLOCKS * BLOCK_BYTES, most).expect("changes");
        assert!(told.iter().all(|difference| !difference.changed), "since its own");
    }
    let both = [SnapshotId(10), SnapshotId(11)];
    let stored = bench.engine.stored_bytes(&both).expect("stored bytes");
    assert_eq!(stored, (written[0].len() + written[1].len()) as u64 * BLOCK_BYTES);
}
