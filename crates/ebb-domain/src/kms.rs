//! Keys of the key service: what state they are in, and what that allows.
//!
//! ```text
//!            disable                schedule
//!   Enabled ◄───────► Disabled   ────────────► PendingDeletion ──time──► gone
//!            enable      ▲ └──────────────────────┘   cancel: Enabled
//! ```
//! Of a key's material only the versions' numbers are known here.

use crate::{AccountId, Timestamp};

/// Keys that an account may have (the quota of the service's first tier).
pub const KEYS_MAX: u64 = 200;
/// Aliases and tags that a key may have.
pub const PER_KEY_MAX: usize = 50;
/// The most bytes that Encrypt takes (KMS documentation).
pub const PLAINTEXT_MAX: usize = 6144;
/// The most bytes of a data key.
pub const DATA_KEY_MAX: u32 = 1024;
/// Days that a key may wait for its deletion.
pub const PENDING_DAYS: std::ops::RangeInclusive<u32> = 7..=366;
/// Days between two rotations.
pub const ROTATION_DAYS: std::ops::RangeInclusive<u32> = 7..=730;
/// The tag that lets disks be encrypted with a key.
pub const DISK_TAG: (&str, &str) = ("acs:ecs:disk-encryption", "true");

const DAY_SECONDS: i64 = 24 * 3600;

/// What a key may be used for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// For everything.
    Enabled,
    /// For nothing, until it is enabled.
    Disabled,
    /// For nothing; it goes when its time has come.
    PendingDeletion,
}

impl KeyState {
    /// As the API names it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "Enabled",
            Self::Disabled => "Disabled",
            Self::PendingDeletion => "PendingDeletion",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Enabled, Self::Disabled, Self::PendingDeletion]
            .into_iter()
            .find(|state| state.as_str() == text)
    }
}

/// A key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// A UUID, never given again.
    pub id: String,
    /// Whose it is.
    pub account: AccountId,
    /// Where it was made.
    pub region: String,
    /// Who made it: an account, or the service.
    pub creator: String,
    /// What for.
    pub description: String,
    /// What it may be used for.
    pub state: KeyState,
    /// When it goes, if it is to.
    pub delete_at: Option<Timestamp>,
    /// Days between two versions, if they are made by themselves.
    pub rotation_days: Option<u32>,
    /// The number of the version that encrypts.
    pub primary: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its newest version was made.
    pub rotated_at: Timestamp,
}

/// A version of a key. Its material is the store's of keys, or sealed here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyVersion {
    /// A UUID, as the API names it.
    pub id: String,
    /// Its number, from 1.
    pub number: u32,
    /// The material, where the records keep it.
    pub sealed: Option<Vec<u8>>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Why the key service refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KmsDenied {
    /// No such key, or another account's.
    KeyNotFound,
    /// No such alias.
    AliasNotFound,
    /// There is an alias of that name.
    AliasExists,
    /// The key is disabled.
    Disabled,
    /// The key waits for its deletion.
    PendingDeletion,
    /// The key's material cannot be had now.
    Unavailable,
    /// There are as many as there may be.
    Limit,
    /// A parameter is not what it may be: its name, and what it has to be.
    Invalid(&'static str, &'static str),
    /// What was encrypted is not, or not in this context.
    Ciphertext,
    /// Something that keys here do not do.
    Unsupported,
}

impl Key {
    /// Refuses a key that may not be used now.
    ///
    /// # Errors
    /// [`KmsDenied::Disabled`], [`KmsDenied::PendingDeletion`].
    pub fn check_usable(&self) -> Result<(), KmsDenied> {
        match self.state {
            KeyState::Enabled => Ok(()),
            KeyState::Disabled => Err(KmsDenied::Disabled),
            KeyState::PendingDeletion => Err(KmsDenied::PendingDeletion),
        }
    }

    /// The key enabled or disabled.
    ///
    /// # Errors
    /// [`KmsDenied::PendingDeletion`].
    pub fn switched(self, on: bool) -> Result<Self, KmsDenied> {
        match self.state {
            KeyState::PendingDeletion => Err(KmsDenied::PendingDeletion),
            _ if on => Ok(Self { state: KeyState::Enabled, ..self }),
            _ => Ok(Self { state: KeyState::Disabled, ..self }),
        }
    }

    /// The key waiting for its deletion. It may be said again, with another time.
    ///
    /// # Errors
    /// [`KmsDenied::Invalid`].
    pub fn deleted_in(self, days: u32, now: Timestamp) -> Result<Self, KmsDenied> {
        if !PENDING_DAYS.contains(&days) {
            return Err(KmsDenied::Invalid("PendingWindowInDays", "7 to 366"));
        }
        let at = now.plus_seconds(i64::from(days) * DAY_SECONDS);
        Ok(Self { state: KeyState::PendingDeletion, delete_at: Some(at), ..self })
    }

    /// The key enabled again.
    ///
    /// # Errors
    /// [`KmsDenied::Invalid`] where it does not wait for its deletion.
    pub fn kept(self) -> Result<Self, KmsDenied> {
        if self.state != KeyState::PendingDeletion {
            return Err(KmsDenied::Invalid("KeyId", "a key that waits for its deletion"));
        }
        Ok(Self { state: KeyState::Enabled, delete_at: None, ..self })
    }

    /// When the next version is made, if one is by itself.
    #[must_use]
    pub fn next_rotation(&self) -> Option<Timestamp> {
        let days = self.rotation_days?;
        Some(self.rotated_at.plus_seconds(i64::from(days) * DAY_SECONDS))
    }
}

/// The days in `30d`.
///
/// # Errors
/// [`KmsDenied::Invalid`]: 7 to 730 days, in days, hours, minutes or seconds.
pub fn rotation_days(text: &str) -> Result<u32, KmsDenied> {
    let invalid = KmsDenied::Invalid("RotationInterval", "7d to 730d");
    let (number, unit) = match text.char_indices().next_back() {
        Some((at, unit)) => (&text[..at], unit),
        None => return Err(invalid),
    };
    let unit_seconds = match unit {
        'd' => 86400,
        'h' => 3600,
        'm' => 60,
        's' => 1,
        _ => return Err(invalid),
    };
    let seconds = number.parse::<u32>().ok().and_then(|number| number.checked_mul(unit_seconds));
    let days = seconds.filter(|seconds| seconds % 86400 == 0).map(|seconds| seconds / 86400);
    days.filter(|days| ROTATION_DAYS.contains(days)).ok_or(invalid)
}

/// Whether an alias may have this name: `alias/` and 1 to 249 letters, digits and some signs, and
/// not one of the service's own.
///
/// # Errors
/// [`KmsDenied::Invalid`].
pub fn check_alias(name: &str) -> Result<(), KmsDenied> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_-/".contains(c);
    let holds = name.strip_prefix("alias/").is_some_and(|rest| {
        (1..=249).contains(&rest.len()) && rest.chars().all(allowed) && !rest.starts_with("acs/")
    });
    let expected = "alias/ and 1 to 249 letters, digits, hyphens, underscores and slashes, not \
                    alias/acs/";
    if holds { Ok(()) } else { Err(KmsDenied::Invalid("AliasName", expected)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_whole_days() {
        assert_eq!(rotation_days("7d"), Ok(7));
        assert_eq!(rotation_days("168h"), Ok(7));
        assert_eq!(rotation_days("604800s"), Ok(7));
        for wrong in ["", "d", "6d", "731d", "25h", "7", "7w", "-7d", "99999999d", "七d"] {
            assert!(rotation_days(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn aliases_are_not_those_of_the_service() {
        assert_eq!(check_alias("alias/disks_1-a/b"), Ok(()));
        for wrong in ["alias/", "disks", "alias/a b", "alias/acs/ecs", "alias/é"] {
            assert!(check_alias(wrong).is_err(), "{wrong}");
        }
    }
}
