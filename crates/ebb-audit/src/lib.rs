//! The audit log: a line for every API call, in a chain of hashes.
//!
//! ```text
//! DIR/                   0700
//!   00000001.jsonl       0600
//!     {"seq":1,"prev":"00…","time":"…","event":"opened","file":1,"hash":"a1…"}
//!     {"seq":2,"prev":"a1…","time":"…","account":"…",…,"hash":"b2…"}
//!   00000002.jsonl
//!     {"seq":3,"prev":"b2…","time":"…","event":"opened","file":2,"hash":"c3…"}
//! ```
//!
//! - `hash` is the SHA-256 of the line up to it: `tail -n 1 FILE | head -c -76 | sha256sum`.
//! - `prev` is the `hash` of the line before, across files; of the very first line it is zeros.
//! - `seq` grows by one a line. Lines stand in the order of their sequence numbers; of calls that
//!   end at the same time the later may have the earlier `time`.
//! - Each file opens with a line that names the file's own number, so that no first line can be
//!   taken away unseen.
//! - Before the log deletes its oldest files, as it was told to keep no more, a line says so:
//!   `"event":"deleted","until":7`. Files that are gone without such a line somebody else took.
//! - No line has a secret or a signature, and what a client chose is cut and escaped.
//!
//! A line is in the page cache before its call is answered: `kill -9` takes nothing that was
//! answered. Each second, and when a file ends, it is synced: a power loss takes a second of lines
//! at most. Who can write here can also write a whole new chain: that is noticed by who noted down
//! a hash elsewhere ([`verify`]).
//!
//! Deliberately not here: a clock, a lock of the folder against a second writer (the data
//! directory has one), searching, sending lines elsewhere, and going on after a failed write.

mod entry;
mod error;
mod files;
mod line;
mod log;
mod tail;
mod verify;

pub use entry::{Entry, MAX_CHARS, MAX_RESOURCES};
pub use error::Error;
pub use log::{Log, Options};
pub use verify::{Broken, Verified, verify};
