//! What holds of every key store, of each kind that there is.
//!
//! The transit engine is one of our own here (`server.rs`), and a real one too where
//! `EBB_TEST_VAULT_ADDR` and `EBB_TEST_VAULT_TOKEN` say where it is.

#![allow(clippy::unwrap_used, reason = "tests")]

mod answers;
mod bits;
mod embedded;
mod exchanges;
mod server;

use std::sync::OnceLock;

use ebb_kms::{
    EmbeddedKeys, KeyStore, KeyStoreError, MasterKey, Material, VaultConfig, VaultKeys, VaultToken,
};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::runtime::Runtime;

use crate::server::{TOKEN, Transit};

fn random(bytes: &mut [u8]) {
    SystemRandom::new().fill(bytes).unwrap();
}

/// A name that no key has.
fn new_name() -> String {
    let mut bytes = [0; 8];
    random(&mut bytes);
    format!("key-{:016x}", u64::from_be_bytes(bytes))
}

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().unwrap())
}

fn embedded() -> EmbeddedKeys {
    EmbeddedKeys::new(MasterKey::new([7; 32]), random)
}

fn config(server: &Transit) -> VaultConfig {
    let address = format!("http://{}", server.address());
    VaultConfig::new(address, VaultToken::Given(TOKEN.to_owned()))
}

fn vault(config: &VaultConfig) -> VaultKeys {
    VaultKeys::open(config, runtime().handle()).unwrap()
}

/// The store of a Vault that the environment names.
fn real_vault() -> Option<VaultKeys> {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let address = variable("EBB_TEST_VAULT_ADDR")?;
    let token = VaultToken::Given(variable("EBB_TEST_VAULT_TOKEN")?);
    let config = VaultConfig {
        prefix: "ebbtide-test-".to_owned(),
        allow_plaintext: true,
        ..VaultConfig::new(address, token)
    };
    Some(vault(&config))
}

/// Runs a check on a store of each kind.
fn on_each(check: fn(&dyn KeyStore)) {
    check(&embedded());
    check(&vault(&config(&Transit::start())));
    match real_vault() {
        Some(store) => check(&store),
        None => eprintln!("not run on a real Vault: EBB_TEST_VAULT_ADDR and _TOKEN are not set"),
    }
}

fn is_refused<T>(outcome: &Result<T, KeyStoreError>) -> bool {
    matches!(outcome, Err(KeyStoreError::Refused(_)))
}

fn is_not_found<T>(outcome: &Result<T, KeyStoreError>) -> bool {
    matches!(outcome, Err(KeyStoreError::NotFound(_)))
}

/// A new key with so many versions.
fn versions(store: &dyn KeyStore, key: &str, count: usize) -> Vec<Material> {
    let mut held = vec![store.create(key).unwrap()];
    while held.len() < count {
        held.push(store.rotate(key, &held).unwrap());
    }
    held
}

#[test]
fn it_can_be_used() {
    on_each(|store| assert_eq!(store.check(), Ok(())));
}

#[test]
fn what_is_encrypted_is_decrypted() {
    on_each(|store| {
        let key = new_name();
        let held = versions(store, &key, 1);
        assert_eq!(held[0].version, 1);
        for length in [1, 31, 32, 4096, 6 << 10, 40_000] {
            let mut plain = vec![0; length];
            random(&mut plain);
            let blob = store.encrypt(&key, &held[0], b"context", &plain).unwrap();
            let opened = store.decrypt(&key, &held, b"context", &blob).unwrap();
            assert_eq!((opened.version, opened.plain), (1, plain));
        }
        store.destroy(&key).unwrap();
    });
}

#[test]
fn the_same_is_encrypted_otherwise_each_time() {
    on_each(|store| {
        let key = new_name();
        let held = versions(store, &key, 1);
        let encrypt = || store.encrypt(&key, &held[0], b"", b"the same").unwrap();
        let (one, other) = (encrypt(), encrypt());
        assert_ne!(one, other);
        assert!(!one.windows(8).any(|part| part == b"the same"));
        store.destroy(&key).unwrap();
    });
}

#[test]
fn another_key_or_context_decrypts_nothing() {
    on_each(|store| {
        let (key, other) = (new_name(), new_name());
        let (held, of_other) = (versions(store, &key, 1), versions(store, &other, 1));
        let blob = store.encrypt(&key, &held[0], b"disk d-1", b"secret").unwrap();
        for context in [&b"disk d-2"[..], b"disk d-1 ", b"disk d-", b""] {
            assert!(is_refused(&store.decrypt(&key, &held, context, &blob)), "{context:?}");
        }
        assert!(is_refused(&store.decrypt(&other, &of_other, b"disk d-1", &blob)));
        assert!(store.decrypt(&key, &held, b"disk d-1", &blob).is_ok());
        store.destroy(&key).unwrap();
        store.destroy(&other).unwrap();
    });
}

#[test]
fn a_key_and_a_context_do_not_run_into_each_other() {
    on_each(|store| {
        let short = new_name();
        let long = format!("{short}s");
        let (held, of_long) = (versions(store, &short, 1), versions(store, &long, 1));
        let blob = store.encrypt(&short, &held[0], b"stuff", b"secret").unwrap();
        assert!(is_refused(&store.decrypt(&long, &of_long, b"tuff", &blob)));
        store.destroy(&short).unwrap();
        store.destroy(&long).unwrap();
    });
}

#[test]
fn old_versions_decrypt_after_a_rotation() {
    on_each(|store| {
        let key = new_name();
        let held = versions(store, &key, 4);
        let numbers: Vec<u32> = held.iter().map(|material| material.version).collect();
        assert_eq!(numbers, [1, 2, 3, 4]);
        for material in &held {
            let blob = store.encrypt(&key, material, b"c", b"secret").unwrap();
            let opened = store.decrypt(&key, &held, b"c", &blob).unwrap();
            assert_eq!((opened.version, &opened.plain[..]), (material.version, &b"secret"[..]));
            let others: Vec<Material> =
                held.iter().filter(|other| *other != material).cloned().collect();
            assert!(is_not_found(&store.decrypt(&key, &others, b"c", &blob)));
        }
        store.destroy(&key).unwrap();
    });
}

#[test]
fn what_was_not_written_down_may_be_done_again() {
    on_each(|store| {
        let key = new_name();
        store.create(&key).unwrap();
        let mut held = vec![store.create(&key).unwrap()];
        store.rotate(&key, &held).unwrap();
        held.push(store.rotate(&key, &held).unwrap());
        assert_eq!(held[1].version, 2);
        held.push(store.rotate(&key, &held).unwrap());
        assert_eq!(held[2].version, 3);
        for material in &held {
            let blob = store.encrypt(&key, material, b"c", b"secret").unwrap();
            assert_eq!(store.decrypt(&key, &held, b"c", &blob).unwrap().version, material.version);
        }
        store.destroy(&key).unwrap();
        store.destroy(&key).unwrap();
    });
}

#[test]
fn what_is_destroyed_is_gone() {
    on_each(|store| {
        let (key, other) = (new_name(), new_name());
        let (held, of_other) = (versions(store, &key, 2), versions(store, &other, 1));
        let blob = store.encrypt(&key, &held[0], b"c", b"secret").unwrap();
        let kept = store.encrypt(&other, &of_other[0], b"c", b"kept").unwrap();
        store.destroy(&key).unwrap();
        assert!(is_not_found(&store.decrypt(&key, &[], b"c", &blob)));
        assert!(is_not_found(&store.rotate(&key, &[])));
        // A key of the same name is another.
        let held = versions(store, &key, 1);
        assert!(is_refused(&store.decrypt(&key, &held, b"c", &blob)));
        assert_eq!(store.decrypt(&other, &of_other, b"c", &kept).unwrap().plain, b"kept");
        store.destroy(&key).unwrap();
        store.destroy(&other).unwrap();
    });
}

#[test]
fn what_was_never_there_is_destroyed_too() {
    on_each(|store| store.destroy(&new_name()).unwrap());
}

#[test]
fn no_name_leads_elsewhere() {
    on_each(|store| {
        for name in ["", "..", "../sys", "a/b", "a/config", "a?b", "a%2fb", "a b"] {
            assert!(is_refused(&store.create(name)), "{name:?}");
        }
    });
}

#[test]
fn material_and_blobs_of_another_store_are_told_as_such() {
    let server = Transit::start();
    let stores: [&dyn KeyStore; 2] = [&embedded(), &vault(&config(&server))];
    let key = new_name();
    let held = stores.map(|store| versions(store, &key, 1));
    let blobs = [0, 1].map(|n| stores[n].encrypt(&key, &held[n][0], b"c", b"secret").unwrap());
    for (one, other) in [(0, 1), (1, 0)] {
        let why = stores[one].encrypt(&key, &held[other][0], b"c", b"x").unwrap_err().to_string();
        assert!(why.contains("start the server with"), "{why}");
        let refused = stores[one].decrypt(&key, &held[one], b"c", &blobs[other]).unwrap_err();
        assert!(refused.to_string().contains("another key store"), "{refused}");
    }
}
