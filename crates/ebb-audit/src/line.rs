//! One line: how it is written, and how it is told from one that was changed.
//!
//! ```text
//! {"seq":7,"prev":"<64 hex>","time":"…",<members>,"hash":"<64 hex>"}\n
//! └──────────────── hashed ────────────────────┘└──── SEAL bytes ───┘
//! ```

use serde::Deserialize;
use sha2::{Digest, Sha256};

const BEFORE_HASH: &[u8] = b",\"hash\":\"";
const AFTER_HASH: &[u8] = b"\"}\n";

/// What a line ends with.
const SEAL: usize = BEFORE_HASH.len() + 64 + AFTER_HASH.len();

/// The hash of a line, in lower-case hex.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hash([u8; 64]);

impl Hash {
    /// What the very first line names as its predecessor.
    pub(crate) const NONE: Self = Self([b'0'; 64]);

    fn of(bytes: &[u8]) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut hex = [0; 64];
        let digest: [u8; 32] = Sha256::digest(bytes).into();
        for (pair, byte) in hex.chunks_exact_mut(2).zip(digest) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        Self(hex)
    }

    pub(crate) fn as_str(&self) -> &str {
        str::from_utf8(&self.0).expect("hex digits are ASCII")
    }
}

/// Where the chain ends: what the next line goes on from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) sequence: u64,
    pub(crate) hash: Hash,
}

impl Link {
    /// Before the very first line.
    pub(crate) const START: Self = Self { sequence: 0, hash: Hash::NONE };
}

/// Puts the line after `last` in `line`, and tells where the chain ends with it.
pub(crate) fn write(line: &mut Vec<u8>, last: Link, unix_millis: i64, members: &str) -> Link {
    let sequence = last.sequence + 1;
    line.clear();
    line.extend_from_slice(b"{\"seq\":");
    line.extend_from_slice(sequence.to_string().as_bytes());
    line.extend_from_slice(b",\"prev\":\"");
    line.extend_from_slice(&last.hash.0);
    line.extend_from_slice(b"\",\"time\":\"");
    line.extend_from_slice(time(unix_millis).as_bytes());
    line.extend_from_slice(b"\",");
    line.extend_from_slice(members.as_bytes());
    let hash = Hash::of(line);
    line.extend_from_slice(BEFORE_HASH);
    line.extend_from_slice(&hash.0);
    line.extend_from_slice(AFTER_HASH);
    Link { sequence, hash }
}

/// RFC 3339 with milliseconds. A time that no calendar has is the start of 1970.
fn time(unix_millis: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(unix_millis).unwrap_or_default();
    format!("{time:.3}")
}

/// The members that the log writes of itself.
pub(crate) mod event {
    /// The first line of each file.
    pub(crate) const OPENED: &str = "opened";

    pub(crate) fn opened(file: u64) -> String {
        format!(r#""event":"{OPENED}","file":{file}"#)
    }

    /// Says which files the log is about to delete, as it was told to keep no more.
    pub(crate) const DELETED: &str = "deleted";

    pub(crate) fn deleted(until: u64) -> String {
        format!(r#""event":"{DELETED}","until":{until}"#)
    }

    /// A write that a crash cut short left so many bytes, which were cut off.
    pub(crate) fn cut(bytes: u64) -> String {
        format!(r#""event":"cut","bytes":{bytes}"#)
    }
}

/// A line that is as it was written.
#[derive(Debug)]
pub(crate) struct Line<'a> {
    pub(crate) link: Link,
    pub(crate) head: Head<'a>,
}

/// What is read of a line. All the others of its members are covered by its hash.
#[derive(Debug, Deserialize)]
pub(crate) struct Head<'a> {
    seq: u64,
    pub(crate) prev: &'a str,
    pub(crate) time: &'a str,
    event: Option<&'a str>,
    file: Option<u64>,
    until: Option<u64>,
}

impl<'a> Line<'a> {
    /// Reads a line with its end.
    pub(crate) fn read(line: &'a [u8]) -> Result<Self, String> {
        let wrong = || "it is not a line of an audit log".to_owned();
        let (text, seal) =
            line.split_at_checked(line.len().wrapping_sub(SEAL)).ok_or_else(wrong)?;
        let named = seal
            .strip_prefix(BEFORE_HASH)
            .and_then(|rest| rest.strip_suffix(AFTER_HASH))
            .ok_or_else(wrong)?;
        let hash = Hash::of(text);
        if named != hash.0 {
            return Err("its text does not match its hash".to_owned());
        }
        let object = line.strip_suffix(b"\n").ok_or_else(wrong)?;
        let head: Head = serde_json::from_slice(object).map_err(|_| wrong())?;
        Ok(Self { link: Link { sequence: head.seq, hash }, head })
    }

    /// The number of the file, in the first line of one.
    pub(crate) fn opens(&self) -> Option<u64> {
        self.head.file.filter(|_| self.head.event == Some(event::OPENED))
    }

    /// Up to which file the log was about to delete, where the line says so.
    pub(crate) fn deletes(&self) -> Option<u64> {
        self.head.until.filter(|_| self.head.event == Some(event::DELETED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_a_known_form() {
        let mut line = Vec::new();
        let first = write(&mut line, Link::START, 1_700_000_000_001, &event::opened(1));
        let text = str::from_utf8(&line).unwrap();
        let zeros = "0".repeat(64);
        let head = format!(r#"{{"seq":1,"prev":"{zeros}","time":"2023-11-14T22:13:20.001Z","#);
        let text_hashed = head + r#""event":"opened","file":1"#;
        assert_eq!(text.split_at(text_hashed.len()).0, text_hashed);
        assert_eq!(text.len() - text_hashed.len(), SEAL);
        assert_eq!(SEAL, 76, "as the documentation says");
        assert_eq!(first.hash, Hash::of(text_hashed.as_bytes()));
        let read = Line::read(&line).unwrap();
        assert_eq!((read.link, read.opens()), (first, Some(1)));
        assert_eq!(read.head.prev, zeros);
        let mut next = Vec::new();
        write(&mut next, first, 0, &event::cut(12));
        let read = Line::read(&next).unwrap();
        assert_eq!((read.link.sequence, read.opens()), (2, None));
        assert_eq!(read.head.prev, first.hash.as_str());
        assert_eq!(read.head.time, "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn a_hash_is_sha_256_in_hex() {
        let of_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Hash::of(b"abc").as_str(), of_abc);
    }

    #[test]
    fn what_is_no_line_is_refused() {
        for bytes in [&b""[..], b"\n", b"{}\n", &[0; 500], &[b'\n'; 76]] {
            assert!(Line::read(bytes).is_err());
        }
    }
}
