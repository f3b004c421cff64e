//! Whatever is encrypted: what decrypts it, and that nothing else does.

use ebb_kms::{KeyStore, KeyStoreError};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::server::Transit;
use crate::{config, embedded, vault, versions};

/// Names that are short, so that many begin alike.
const NAME: &str = "key-[ab]{1,3}";

fn only_this_decrypts(
    store: &dyn KeyStore,
    (key, context): (&str, &[u8]),
    (other_key, other_context): (&str, &[u8]),
    plain: &[u8],
    (count, chosen): (usize, usize),
) -> Result<(), TestCaseError> {
    let held = versions(store, key, count);
    let material = &held[chosen % count];
    let blob = store.encrypt(key, material, context, plain).unwrap();
    let opened = store.decrypt(key, &held, context, &blob).unwrap();
    prop_assert_eq!((opened.version, &opened.plain[..]), (material.version, plain));
    if other_context != context {
        prop_assert!(store.decrypt(key, &held, other_context, &blob).is_err());
    }
    if other_key != key {
        // With its own material, and with that of the key.
        prop_assert!(store.decrypt(other_key, &held, context, &blob).is_err());
        let of_other = versions(store, other_key, count);
        prop_assert!(store.decrypt(other_key, &of_other, context, &blob).is_err());
    }
    store.destroy(key).unwrap();
    store.destroy(other_key).unwrap();
    Ok(())
}

fn no_flipped_bit_is_taken(
    store: &dyn KeyStore,
    plain: &[u8],
    flips: impl Fn(usize) -> Vec<usize>,
) -> Result<(), TestCaseError> {
    let held = versions(store, "key-a", 3);
    let blob = store.encrypt("key-a", &held[1], b"context", plain).unwrap();
    for bit in flips(blob.len() * 8) {
        let mut other = blob.clone();
        other[bit / 8] ^= 1 << (bit % 8);
        let outcome = store.decrypt("key-a", &held, b"context", &other);
        let refused =
            matches!(outcome, Err(KeyStoreError::Refused(_) | KeyStoreError::NotFound(_)));
        prop_assert!(refused, "bit {bit}: {outcome:?}");
    }
    store.destroy("key-a").unwrap();
    Ok(())
}

proptest! {
    #[test]
    fn embedded_only_the_key_and_the_context_decrypt(
        key in NAME,
        other_key in NAME,
        context in vec(any::<u8>(), 0..40),
        other_context in vec(any::<u8>(), 0..40),
        plain in vec(any::<u8>(), 1..7000),
        count in 1..5_usize,
        chosen in 0..5_usize,
    ) {
        let (this, other) = ((&key[..], &context[..]), (&other_key[..], &other_context[..]));
        only_this_decrypts(&embedded(), this, other, &plain, (count, chosen))?;
    }

    #[test]
    fn embedded_no_flipped_bit_is_taken(plain in vec(any::<u8>(), 1..200)) {
        no_flipped_bit_is_taken(&embedded(), &plain, |bits| (0..bits).collect())?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn vault_only_the_key_and_the_context_decrypt(
        key in NAME,
        other_key in NAME,
        context in vec(any::<u8>(), 0..40),
        other_context in vec(any::<u8>(), 0..40),
        plain in vec(any::<u8>(), 1..7000),
        count in 1..4_usize,
        chosen in 0..4_usize,
    ) {
        let store = vault(&config(&Transit::start()));
        let (this, other) = ((&key[..], &context[..]), (&other_key[..], &other_context[..]));
        only_this_decrypts(&store, this, other, &plain, (count, chosen))?;
    }

    /// All bits of what names the version, and of the end, where base64 has bits to spare.
    #[test]
    fn vault_no_flipped_bit_is_taken(plain in vec(any::<u8>(), 1..200), some in any::<usize>()) {
        let store = vault(&config(&Transit::start()));
        let flips = |bits| (0..48).chain([some % bits]).chain(bits - 16..bits).collect();
        no_flipped_bit_is_taken(&store, &plain, flips)?;
    }
}
