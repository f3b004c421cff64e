//! Names of buckets and of objects.

use crate::ObjectError;

/// Whether it can be the name of a bucket: 3 to 63 lower-case letters, digits and hyphens, none of
/// these at either end (OSS, bucket naming conventions).
#[must_use]
pub fn is_bucket_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (3..=63).contains(&name.len())
        && name.bytes().all(allowed)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// Whether it can be the name of an object: parts with a slash between them, up to 1,023 bytes
/// together (OSS, object naming conventions). None may be empty, `.` or `..`, longer than a file's
/// name can be, or begin as what is being written does.
#[must_use]
pub fn is_object_name(name: &str) -> bool {
    let is_part = |part: &str| {
        (1..=240).contains(&part.len())
            && part != "."
            && part != ".."
            && !part.starts_with(UNFINISHED)
    };
    name.len() <= 1023 && !name.contains('\0') && name.split('/').all(is_part)
}

pub(crate) fn check(name: &str) -> Result<(), ObjectError> {
    if is_object_name(name) { Ok(()) } else { Err(ObjectError::BadName(name.to_owned())) }
}

/// The folder part of a name, and the last part.
pub(crate) fn parts(name: &str) -> (&str, &str) {
    name.rsplit_once('/').unwrap_or((".", name))
}

/// What the name of a file that is being written begins with.
pub(crate) const UNFINISHED: &str = ".ebb-part-";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_called_as_in_oss() {
        for good in ["abc", "my-bucket-2", &"a".repeat(63)] {
            assert!(is_bucket_name(good), "{good}");
        }
        for bad in ["", "ab", "Abc", "a_b", "a.b", "-ab", "ab-", "../x", "a/b", &"a".repeat(64)] {
            assert!(!is_bucket_name(bad), "{bad}");
        }
    }

    #[test]
    fn no_object_is_called_so_that_it_leaves_its_bucket() {
        for good in ["a", "a/b.raw", "…/磁盘.qcow2", "a b", "...", "..a"] {
            assert!(is_object_name(good), "{good}");
        }
        let long = "a".repeat(241);
        for bad in ["", "/a", "a/", "a//b", "..", "../a", "a/../b", "a/..", ".", "a\0b", &long] {
            assert!(!is_object_name(bad), "{bad:?}");
        }
        assert!(!is_object_name(".ebb-part-x"));
    }
}
