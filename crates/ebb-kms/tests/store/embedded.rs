//! Material in the caller's records.

use ebb_kms::{EmbeddedKeys, KeyStore, KeyStoreError, MasterKey, Material};

use crate::{embedded, is_refused, random};

#[test]
fn material_is_sealed_for_its_key_and_version() {
    let store = embedded();
    let first = store.create("key-a").unwrap();
    let second = store.rotate("key-a", std::slice::from_ref(&first)).unwrap();
    let encrypt = |key: &str, material: &Material| store.encrypt(key, material, b"c", b"x");
    assert!(encrypt("key-a", &first).is_ok());
    let unavailable = |outcome| matches!(outcome, Err(KeyStoreError::Unavailable(_)));
    assert!(unavailable(encrypt("key-b", &first)));
    assert!(unavailable(encrypt("key-a", &Material { version: 1, ..second.clone() })));
    assert!(unavailable(encrypt("key-a", &Material { version: 2, ..first.clone() })));
    let mut damaged = first.clone();
    damaged.sealed.as_mut().unwrap()[20] ^= 1;
    assert!(unavailable(encrypt("key-a", &damaged)));
    assert!(unavailable(encrypt("key-a", &Material { sealed: None, ..first })));
}

#[test]
fn another_master_key_opens_nothing() {
    let held = [embedded().create("key-a").unwrap()];
    let blob = embedded().encrypt("key-a", &held[0], b"c", b"x").unwrap();
    assert!(embedded().decrypt("key-a", &held, b"c", &blob).is_ok());
    let other = EmbeddedKeys::new(MasterKey::new([8; 32]), random);
    let refused = other.decrypt("key-a", &held, b"c", &blob).unwrap_err();
    assert!(refused.to_string().contains("from your backup"), "{refused}");
}

/// What is in databases is read by every later version of the program.
#[test]
fn what_was_encrypted_once_is_decrypted_for_ever() {
    let counted = |bytes: &mut [u8]| {
        for (n, byte) in bytes.iter_mut().enumerate() {
            *byte = n as u8;
        }
    };
    let store = EmbeddedKeys::new(MasterKey::new([7; 32]), counted);
    let held = [store.create("key-a").unwrap()];
    let blob = store.encrypt("key-a", &held[0], b"context", b"secret").unwrap();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(hex(held[0].sealed.as_ref().unwrap()), SEALED);
    assert_eq!(hex(&blob), BLOB);
}

/// Both as OpenSSL makes them.
const SEALED: &str = concat!(
    "01000102030405060708090a0b",
    "1880eb73190cdf4e7fbbef97ee5562f5f12da49d0c7761260ed779a192ca731a",
    "a273169bd311bc1eccf93cb2a3361eee",
);

const BLOB: &str = "0100000001000102030405060708090a0b3467b569a091397fcab0aaf516a082f8d3f62c5f4ab2";

#[test]
fn parts_of_a_blob_are_refused() {
    let held = [embedded().create("key-a").unwrap()];
    let blob = embedded().encrypt("key-a", &held[0], b"c", b"x").unwrap();
    for length in 0..blob.len() {
        let part = embedded().decrypt("key-a", &held, b"c", &blob[..length]);
        assert!(is_refused(&part), "{length} bytes");
    }
}
