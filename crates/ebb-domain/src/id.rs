//! Ids as ECS spells them: a prefix and 20 lower-case alphanumerics.
//!
//! An id that came from outside is only a string: a malformed one is an id that does not exist.

use std::fmt;

/// 36 symbols for 17 places, after three that stand for the region.
const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// Each kind of id is a type of its own, so that no two can be mixed up; those that are made here
/// have a prefix. A macro because they are alike to the letter.
macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident $($prefix:literal)?)*) => {$(
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

        $(impl $name {
            /// A new id from random bytes.
            #[must_use]
            pub fn mint(entropy: [u8; 17]) -> Self {
                Self(mint($prefix, entropy))
            }
        })?

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
    AutoSnapshotPolicyId "sp-"
    /// A disk: `d-…`.
    DiskId "d-"
    /// An image: `m-…`, or a public image's name.
    ImageId "m-"
    /// An instance: `i-…`.
    InstanceId "i-"
    /// A region: `cn-hangzhou`.
    RegionId
    /// A security group: `sg-…`.
    SecurityGroupId "sg-"
    /// A group of snapshots: `ssg-…`.
    SnapshotGroupId "ssg-"
    /// A snapshot: `s-…`.
    SnapshotId "s-"
    /// A task: `t-…`.
    TaskId "t-"
    /// Tasks that one call began: `tg-…`.
    TaskGroupId "tg-"
    /// A part of a VPC: `vsw-…`.
    VSwitchId "vsw-"
    /// A network: `vpc-…`.
    VpcId "vpc-"
    /// A zone of a region: `cn-hangzhou-a`.
    ZoneId
}

impl DiskId {
    /// What the disk reports as its serial number: the id without its prefix.
    #[must_use]
    pub fn serial_number(&self) -> &str {
        self.0.strip_prefix("d-").unwrap_or(&self.0)
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
