//! Encrypted disks: what they are encrypted with, and whether it may be used now.
//!
//! ```text
//!   key of the account ──wraps──► data key ──encrypts──► the blocks of a disk, of its snapshots,
//!   (KMS)                        (32 bytes)              and of the disks made from them
//! ```
//! A snapshot has the data key of its disk, and so has a disk that is made from it: they share
//! blocks.

use crate::{Denied, KeyState};

/// What a disk or a snapshot is encrypted with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encryption {
    /// The id of the account's key.
    pub key: String,
    /// The id of the data key, which that key wraps.
    pub data_key: String,
}

/// What is known of the key of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskKey {
    /// The disk is not encrypted.
    None,
    /// The key is gone.
    Gone,
    /// It is there.
    There {
        /// What it may be used for now.
        state: KeyState,
        /// Whether it has the tag that lets disks be encrypted with it.
        tagged: bool,
        /// Whether the block store may use the account's keys.
        granted: bool,
    },
}

impl DiskKey {
    /// Refuses a key that disks may not be encrypted with now, in the order of ResetDisk's table.
    ///
    /// # Errors
    /// [`Denied::KeyNotFound`], [`Denied::KeyNotEnabled`], [`Denied::KeyNotTagged`],
    /// [`Denied::KeyNotGranted`].
    pub fn check(self) -> Result<(), Denied> {
        match self {
            Self::None => Ok(()),
            Self::Gone => Err(Denied::KeyNotFound),
            Self::There { state, .. } if state != KeyState::Enabled => Err(Denied::KeyNotEnabled),
            Self::There { tagged: false, .. } => Err(Denied::KeyNotTagged),
            Self::There { granted: false, .. } => Err(Denied::KeyNotGranted),
            Self::There { .. } => Ok(()),
        }
    }
}

/// Whether a disk that asks for this may be made from a snapshot. What it does not ask for is as
/// the snapshot has it; another key is what CopySnapshot is for.
///
/// # Errors
/// [`Denied::SnapshotEncryption`].
pub fn check_encryption_of_source(
    encrypted: Option<bool>,
    key: Option<&str>,
    source: Option<&Encryption>,
) -> Result<(), Denied> {
    let same = encrypted.is_none_or(|wanted| wanted == source.is_some());
    let same_key = key.is_none_or(|key| source.is_some_and(|source| source.key == key));
    if same && same_key { Ok(()) } else { Err(Denied::SnapshotEncryption) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_thing_that_is_wrong_with_a_key_is_told() {
        let key = |state, tagged, granted| DiskKey::There { state, tagged, granted }.check();
        assert_eq!(DiskKey::None.check(), Ok(()));
        assert_eq!(DiskKey::Gone.check(), Err(Denied::KeyNotFound));
        assert_eq!(key(KeyState::Enabled, true, true), Ok(()));
        for state in [KeyState::Disabled, KeyState::PendingDeletion] {
            assert_eq!(key(state, false, false), Err(Denied::KeyNotEnabled));
        }
        assert_eq!(key(KeyState::Enabled, false, false), Err(Denied::KeyNotTagged));
        assert_eq!(key(KeyState::Enabled, true, false), Err(Denied::KeyNotGranted));
    }

    #[test]
    fn a_disk_is_encrypted_as_its_snapshot_is() {
        let with = Encryption { key: "k".into(), data_key: "d".into() };
        let check = check_encryption_of_source;
        assert_eq!(check(None, None, None), Ok(()));
        assert_eq!(check(None, None, Some(&with)), Ok(()));
        assert_eq!(check(Some(true), Some("k"), Some(&with)), Ok(()));
        for (encrypted, key, source) in [
            (Some(true), None, None),
            (Some(false), None, Some(&with)),
            (Some(true), Some("other"), Some(&with)),
        ] {
            assert_eq!(check(encrypted, key, source), Err(Denied::SnapshotEncryption));
        }
    }
}
