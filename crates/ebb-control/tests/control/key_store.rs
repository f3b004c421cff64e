//! A key store that can be away, and what becomes of encrypted disks meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};

use ebb_kms::{EmbeddedKeys, KeyStore, KeyStoreError, MasterKey, Material, Opened};
use ebb_volume::EngineError;

use crate::sealed::create_sealed_disk;
use crate::world::World;

/// The embedded one, as long as it is there.
pub(crate) struct TestKeys {
    inner: EmbeddedKeys,
    away: AtomicBool,
}

impl Default for TestKeys {
    fn default() -> Self {
        let inner = EmbeddedKeys::new(MasterKey::new([7; 32]), |bytes| bytes.fill(1));
        Self { inner, away: AtomicBool::new(false) }
    }
}

impl TestKeys {
    fn be_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    fn inner(&self) -> Result<&EmbeddedKeys, KeyStoreError> {
        match self.away.load(Ordering::SeqCst) {
            true => Err(KeyStoreError::Unavailable("it is away".into())),
            false => Ok(&self.inner),
        }
    }
}

impl KeyStore for TestKeys {
    fn create(&self, key: &str) -> Result<Material, KeyStoreError> {
        self.inner()?.create(key)
    }

    fn rotate(&self, key: &str, held: &[Material]) -> Result<Material, KeyStoreError> {
        self.inner()?.rotate(key, held)
    }

    fn encrypt(
        &self,
        key: &str,
        material: &Material,
        context: &[u8],
        plain: &[u8],
    ) -> Result<Vec<u8>, KeyStoreError> {
        self.inner()?.encrypt(key, material, context, plain)
    }

    fn decrypt(
        &self,
        key: &str,
        held: &[Material],
        context: &[u8],
        blob: &[u8],
    ) -> Result<Opened, KeyStoreError> {
        self.inner()?.decrypt(key, held, context, blob)
    }

    fn destroy(&self, key: &str) -> Result<(), KeyStoreError> {
        self.inner()?.destroy(key)
    }

    fn check(&self) -> Result<(), KeyStoreError> {
        self.inner()?.check()
    }
}

#[test]
fn disks_whose_key_store_was_away_at_a_start_answer_once_it_is_back() {
    let world = World::new();
    let base = world.base();
    let disk = create_sealed_disk(&world);
    world.attach(&disk, &base.instance);

    world.universe.keys.be_away(true);
    let world = world.restart();
    assert!(world.exports.get(&base.disk).is_some(), "a plain disk needs no key");
    assert!(world.exports.get(&disk).is_none());
    world.control.open_waiting_exports().unwrap();
    assert!(world.exports.get(&disk).is_none(), "it is still away");

    world.universe.keys.be_away(false);
    world.control.open_waiting_exports().unwrap();
    assert!(world.exports.get(&disk).is_some());
}

#[test]
fn disks_go_on_waiting_after_a_failure() {
    let world = World::new();
    let base = world.base();
    let disk = create_sealed_disk(&world);
    world.attach(&disk, &base.instance);
    world.universe.keys.be_away(true);
    let world = world.restart();
    world.universe.keys.be_away(false);

    world.engine.look(|_| Err(EngineError::Stopped("for a test".into())));
    assert!(world.control.open_waiting_exports().is_err());
    world.engine.look_away();
    world.control.open_waiting_exports().unwrap();
    assert!(world.exports.get(&disk).is_some());
}

#[test]
fn a_disk_that_was_detached_meanwhile_stays_off() {
    let world = World::new();
    let base = world.base();
    let disk = create_sealed_disk(&world);
    world.attach(&disk, &base.instance);

    world.universe.keys.be_away(true);
    let world = world.restart();
    world.detach(&disk, &base.instance).unwrap();
    world.universe.keys.be_away(false);
    world.control.open_waiting_exports().unwrap();
    assert!(world.exports.get(&disk).is_none());
}
