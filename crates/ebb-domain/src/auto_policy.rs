//! Automatic snapshot policies: at which hours of which days disks are frozen, and for how long
//! that is kept (api.md §3.5).
//!
//! Hours are of UTC+8, whatever the region, and days begin with Monday. Deliberately not here: what
//! was missed while the server was down for more than the rest of the hour.

use crate::{
    AccountId, AutoSnapshotPolicyId, Denied, Field, RegionId, Tag, Timestamp, snapshot_name,
};

/// Policies that an account can have in a region.
pub const AUTO_POLICIES_MAX: u64 = 100;

const HOUR_MILLIS: i64 = 60 * 60 * 1000;
const OFFSET_HOURS: i64 = 8;

/// A set of small numbers: the hours of a day, or the days of a week.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slots(u32);

impl Slots {
    /// From one bit a number.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// One bit a number.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The numbers, of which there must be one at least, all of them from `first` to `last`.
    ///
    /// # Errors
    /// [`Denied::Malformed`] with [`Field::PolicySlots`].
    pub fn parse(numbers: &[u32], first: u32, last: u32) -> Result<Self, Denied> {
        if numbers.is_empty() || numbers.iter().any(|n| !(first..=last).contains(n)) {
            return Err(Denied::Malformed(Field::PolicySlots));
        }
        Ok(Self(numbers.iter().fold(0, |bits, n| bits | 1 << n)))
    }

    /// Whether a number is among them.
    #[must_use]
    pub const fn contains(self, number: u32) -> bool {
        self.0 >> number & 1 == 1
    }

    /// The numbers in their order.
    pub fn iter(self) -> impl Iterator<Item = u32> {
        (0..u32::BITS).filter(move |number| self.contains(*number))
    }
}

/// A policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AutoSnapshotPolicy {
    /// `sp-…`
    pub id: AutoSnapshotPolicyId,
    /// Whose it is.
    pub account: AccountId,
    /// Where it is.
    pub region: RegionId,
    /// May be empty.
    pub name: String,
    /// From 0 to 23.
    pub hours: Slots,
    /// From 1, Monday, to 7.
    pub weekdays: Slots,
    /// `None`: its snapshots stay.
    pub retention_days: Option<u32>,
    /// Where its snapshots are copied to.
    pub copy_to: Vec<RegionId>,
    /// `None`: the copies stay.
    pub copy_retention_days: Option<u32>,
    /// Whether its copies are encrypted anew.
    pub copy_encryption: CopyEncryption,
    /// May be empty.
    pub resource_group: String,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// When it was made.
    pub created_at: Timestamp,
    /// The time up to which nothing is to be done any more.
    pub done_until: Timestamp,
}

/// CopyEncryptionConfiguration: how copies are encrypted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CopyEncryption {
    /// Whether they are; otherwise each is as what it is a copy of.
    pub encrypted: bool,
    /// By which key; the default one of where they go where it is `None`.
    pub key: Option<String>,
}

impl AutoSnapshotPolicy {
    /// The beginning of this hour, where snapshots are to be taken in it and were not yet.
    #[must_use]
    pub fn due(&self, now: Timestamp) -> Option<Timestamp> {
        let hour = now.unix_millis().div_euclid(HOUR_MILLIS);
        let began = Timestamp::from_unix_millis(hour * HOUR_MILLIS);
        let local = hour + OFFSET_HOURS;
        // 1970-01-01 was a Thursday.
        let weekday = (local.div_euclid(24) + 3).rem_euclid(7) + 1;
        let of_day = local.rem_euclid(24);
        let wanted = self.hours.contains(u32::try_from(of_day).unwrap_or(0))
            && self.weekdays.contains(u32::try_from(weekday).unwrap_or(0));
        (wanted && began > self.done_until).then_some(began)
    }
}

/// RetentionDays of a policy: 1 to 65,536, or -1 for ever.
///
/// # Errors
/// [`Denied::Malformed`] with that field.
pub fn policy_retention(days: i64, field: Field) -> Result<Option<u32>, Denied> {
    match days {
        -1 => Ok(None),
        1..=65_536 => Ok(u32::try_from(days).ok()),
        _ => Err(Denied::Malformed(field)),
    }
}

/// A policy's name.
///
/// # Errors
/// [`Denied::Malformed`] with [`Field::PolicyName`].
pub fn policy_name(name: &str) -> Result<(), Denied> {
    snapshot_name(name).map_err(|_| Denied::Malformed(Field::PolicyName))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(hours: &[u32], weekdays: &[u32]) -> AutoSnapshotPolicy {
        AutoSnapshotPolicy {
            id: AutoSnapshotPolicyId::new("sp-1"),
            account: AccountId::new("1"),
            region: RegionId::new("cn-hangzhou"),
            name: String::new(),
            hours: Slots::parse(hours, 0, 23).unwrap(),
            weekdays: Slots::parse(weekdays, 1, 7).unwrap(),
            retention_days: None,
            copy_to: Vec::new(),
            copy_retention_days: None,
            copy_encryption: CopyEncryption::default(),
            resource_group: String::new(),
            tags: Vec::new(),
            created_at: Timestamp::from_unix_millis(0),
            done_until: Timestamp::from_unix_millis(0),
        }
    }

    /// 2024-01-01T00:00:00Z, a Monday.
    const MONDAY: i64 = 1_704_067_200_000;

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_unix_millis(MONDAY + hours * HOUR_MILLIS)
    }

    #[test]
    fn hours_and_days_are_of_the_east() {
        // Monday 01:00 there is Sunday 17:00 in UTC.
        let monday = policy(&[1], &[1]);
        assert_eq!(monday.due(at(-7)), Some(at(-7)));
        assert_eq!(monday.due(at(-7).plus_seconds(3599)), Some(at(-7)));
        for other in [-8, -6, 1, -7 + 24, -7 + 6 * 24] {
            assert_eq!(monday.due(at(other)), None, "{other}");
        }
        assert_eq!(monday.due(at(-7 + 7 * 24)), Some(at(-7 + 7 * 24)));
        assert_eq!(policy(&[1], &[7]).due(at(-7 - 24)), Some(at(-7 - 24)));
    }

    #[test]
    fn what_is_done_is_not_due_again() {
        let mut every = policy(&[0, 1, 2], &[1]);
        every.done_until = at(-8);
        assert_eq!(every.due(at(-8)), None);
        assert_eq!(every.due(at(-7)), Some(at(-7)));
        // A policy that is made within an hour begins with the next.
        every.done_until = at(-7).plus_seconds(1);
        assert_eq!(every.due(at(-7).plus_seconds(2)), None);
    }

    #[test]
    fn a_set_has_what_was_put_in() {
        let slots = Slots::parse(&[23, 0, 7, 7], 0, 23).unwrap();
        assert_eq!(slots.iter().collect::<Vec<_>>(), [0, 7, 23]);
        assert_eq!(Slots::from_bits(slots.bits()), slots);
        for wrong in [&[][..], &[24], &[0, 24]] {
            assert!(Slots::parse(wrong, 0, 23).is_err(), "{wrong:?}");
        }
        assert!(Slots::parse(&[0], 1, 7).is_err());
    }

    #[test]
    fn retention_is_days_or_for_ever() {
        let field = Field::PolicySlots;
        assert_eq!(policy_retention(-1, field), Ok(None));
        assert_eq!(policy_retention(65_536, field), Ok(Some(65_536)));
        for wrong in [0, -2, 65_537] {
            assert!(policy_retention(wrong, field).is_err());
        }
    }
}
