//! What something encrypted looks like, and what it is bound to.
//!
//! ```text
//!   blob  = layout │ version, 4 bytes │ body
//!             1                         nonce, 12 bytes │ ciphertext │ tag, 16 bytes
//!             2                         what Vault's transit engine made, without its base64
//!
//!   bound = layout │ version, 4 bytes │ length of key, 4 bytes │ key │ context
//! ```
//! Numbers are big-endian. The layout says which store made it, and two of them differ in two bits,
//! so that no single flipped bit makes one of the other. What it is bound to is authenticated and
//! not stored; as the length of the key is in it, no key and context read as another key and
//! context.

use crate::KeyStoreError;

/// Made by the embedded store.
pub(crate) const EMBEDDED: u8 = 1;

/// Made by Vault's transit engine.
pub(crate) const TRANSIT: u8 = 2;

const HEADER_BYTES: usize = 5;

/// Said of all that does not decrypt, whatever is wrong with it: who tries may learn no more.
pub(crate) const REFUSED: KeyStoreError = KeyStoreError::Refused(
    "it was not encrypted with this key and in this context, or it was changed since",
);

fn header(layout: u8, version: u32) -> [u8; HEADER_BYTES] {
    let [a, b, c, d] = version.to_be_bytes();
    [layout, a, b, c, d]
}

pub(crate) fn join(layout: u8, version: u32, body: &[u8]) -> Vec<u8> {
    [&header(layout, version)[..], body].concat()
}

/// The version and the body of a blob of the layout.
pub(crate) fn split(layout: u8, blob: &[u8]) -> Result<(u32, &[u8]), KeyStoreError> {
    let (header, body) = blob.split_first_chunk::<HEADER_BYTES>().ok_or(REFUSED)?;
    let [found, version @ ..] = header;
    match *found {
        found if found == layout => Ok((u32::from_be_bytes(*version), body)),
        EMBEDDED | TRANSIT => Err(KeyStoreError::Refused(
            "it was encrypted by another key store than the one that the server uses now",
        )),
        _ => Err(REFUSED),
    }
}

/// What a blob is bound to.
pub(crate) fn bound(layout: u8, version: u32, key: &str, context: &[u8]) -> Vec<u8> {
    let length = u32::try_from(key.len()).expect("a name of a key is short");
    let header = header(layout, version);
    [&header[..], &length.to_be_bytes(), key.as_bytes(), context].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_as_drawn() {
        assert_eq!(join(EMBEDDED, 0x0102_0304, b"body"), b"\x01\x01\x02\x03\x04body");
        assert_eq!(bound(TRANSIT, 7, "key", b"so"), b"\x02\0\0\0\x07\0\0\0\x03keyso");
        assert_eq!(split(TRANSIT, b"\x02\0\0\x01\0body"), Ok((256, &b"body"[..])));
    }

    #[test]
    fn what_is_no_blob_is_refused() {
        for blob in [&b""[..], b"\x01", b"\x01\0\0\0", b"\0\0\0\0\x01body", b"vault:v1:body"] {
            assert_eq!(split(EMBEDDED, blob), Err(REFUSED), "{blob:?}");
        }
        let other = join(TRANSIT, 1, b"body");
        let of_another = split(EMBEDDED, &other);
        assert!(matches!(of_another, Err(KeyStoreError::Refused(why)) if why.contains("another")));
    }

    #[test]
    fn a_key_and_a_context_are_not_another_key_and_context() {
        assert_ne!(bound(1, 1, "key", b"s"), bound(1, 1, "keys", b""));
    }
}
