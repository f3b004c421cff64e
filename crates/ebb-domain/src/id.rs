//! Ids as ECS spells them: a prefix and 20 lower-case alphanumerics.
//!
//! An id that came from outside is only a string: a malformed one is an id that does not exist.

use std::fmt;

/// 36 symbols for 17 places, after three that stand for the region.
const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// Each kind of id is a type of its own, so that no two can be mixed up. A macro because there are
/// ten of them, alike to the letter.
macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Takes the text as it is.
            #[must_use]
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

ids! {
    /// An account: 16 digits.
    AccountId
    /// An automatic snapshot policy: `sp-…`.
    AutoSnapshotPolicyId
    /// A disk: `d-…`.
    DiskId
    /// An image: `m-…`, or a public image's name.
    ImageId
    /// An instance: `i-…`.
    InstanceId
    /// A region: `cn-hangzhou`.
    RegionId
    /// A security group: `sg-…`.
    SecurityGroupId
    /// A group of snapshots: `ssg-…`.
    SnapshotGroupId
    /// A snapshot: `s-…`.
    SnapshotId
    /// A task: `t-…`.
    TaskId
    /// A part of a VPC: `vsw-…`.
    VSwitchId
    /// A network: `vpc-…`.
    VpcId
    /// A zone of a region: `cn-hangzhou-a`.
    ZoneId
}

impl DiskId {
    /// A new id from random bytes.
    #[must_use]
    pub fn mint(entropy: [u8; 17]) -> Self {
        Self(mint("d-", entropy))
    }

    /// What the disk reports as its serial number: the id without its prefix.
    #[must_use]
    pub fn serial_number(&self) -> &str {
        self.0.strip_prefix("d-").unwrap_or(&self.0)
    }
}

impl SnapshotId {
    /// A new id from random bytes.
    #[must_use]
    pub fn mint(entropy: [u8; 17]) -> Self {
        Self(mint("s-", entropy))
    }
}

impl AutoSnapshotPolicyId {
    /// A new id from random bytes.
    #[must_use]
    pub fn mint(entropy: [u8; 17]) -> Self {
        Self(mint("sp-", entropy))
    }
}

impl SnapshotGroupId {
    /// A new id from random bytes.
    #[must_use]
    pub fn mint(entropy: [u8; 17]) -> Self {
        Self(mint("ssg-", entropy))
    }
}

impl ImageId {
    /// A new id from random bytes.
    #[must_use]
    pub fn mint(entropy: [u8; 17]) -> Self {
        Self(mint("m-", entropy))
    }
}

impl VpcId {
    /// A new id from random bytes.
    #[must_use]
    pub fn mint(entropy: [u8; 17]) -> Self {
        Self(mint("vpc-", entropy))
    }
}

impl VSwitchId {
    /// A new id from random bytes.
    #[must_use]
    pub fn mint(entropy: [u8; 17]) -> Self {
        Self(mint("vsw-", entropy))
    }
}

impl SecurityGroupId {
    /// A new id from random bytes.
    #[must_use]
    pub fn mint(entropy: [u8; 17]) -> Self {
        Self(mint("sg-", entropy))
    }
}

impl TaskId {
    /// A new id from random bytes.
    #[must_use]
    pub fn mint(entropy: [u8; 17]) -> Self {
        Self(mint("t-", entropy))
    }
}

impl InstanceId {
    /// A new id from random bytes.
    #[must_use]
    pub fn mint(entropy: [u8; 17]) -> Self {
        Self(mint("i-", entropy))
    }
}

/// `ebb` stands where ECS has a region's code, so that an id of ours is known at sight.
fn mint(prefix: &str, entropy: [u8; 17]) -> String {
    let mut text = String::with_capacity(22);
    text.push_str(prefix);
    text.push_str("ebb");
    text.extend(entropy.iter().map(|byte| char::from(ALPHABET[usize::from(*byte) % 36])));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minted_id_has_the_length_and_alphabet_of_ecs() {
        let id = DiskId::mint(std::array::from_fn(|n| (n * 16) as u8));
        assert_eq!(id.as_str().len(), 22);
        assert_eq!(id.serial_number().len(), 20);
        assert!(id.serial_number().bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));
    }
}
