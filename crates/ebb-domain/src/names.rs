//! Names and descriptions (api.md §3.1): what may be given, each with its own refusal.

use crate::{Denied, Field};

/// A disk's name.
///
/// # Errors
/// [`Denied::Malformed`] with [`Field::DiskName`].
pub fn disk_name(text: &str) -> Result<(), Denied> {
    name(text, Field::DiskName)
}

/// A snapshot's name: one that starts with `auto` is the scheduler's.
///
/// # Errors
/// [`Denied::Malformed`] with [`Field::SnapshotName`].
pub fn snapshot_name(text: &str) -> Result<(), Denied> {
    if text.starts_with("auto") {
        return Err(Denied::Malformed(Field::SnapshotName));
    }
    name(text, Field::SnapshotName)
}

/// An instance's name.
///
/// # Errors
/// [`Denied::Malformed`] with [`Field::InstanceName`].
pub fn instance_name(text: &str) -> Result<(), Denied> {
    name(text, Field::InstanceName)
}

/// A description: 2 to 256 characters, and no link at its start. Empty means none.
///
/// # Errors
/// [`Denied::Malformed`] with [`Field::Description`].
pub fn description(text: &str) -> Result<(), Denied> {
    let length = text.chars().count();
    if text.is_empty() || ((2..=256).contains(&length) && !is_link(text)) {
        Ok(())
    } else {
        Err(Denied::Malformed(Field::Description))
    }
}

/// 2 to 128 characters; a letter first, then letters, digits and `: _ . -`. Empty means none.
fn name(text: &str, field: Field) -> Result<(), Denied> {
    let length = text.chars().count();
    let first_is_letter = text.chars().next().is_none_or(char::is_alphabetic);
    let rest_is_fine =
        text.chars().all(|c| c.is_alphanumeric() || matches!(c, ':' | '_' | '.' | '-'));
    let fine = (2..=128).contains(&length) && first_is_letter && rest_is_fine && !is_link(text);
    if text.is_empty() || fine { Ok(()) } else { Err(Denied::Malformed(field)) }
}

fn is_link(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_documented_alphabet_and_length() {
        for good in ["", "ab", "data-1", "数据盘_1", "a:b.c", &"x".repeat(128)] {
            assert_eq!(disk_name(good), Ok(()), "{good}");
        }
        for bad in ["a", "1a", "-a", "a b", "a/b", "http://ab", &"x".repeat(129)] {
            assert_eq!(disk_name(bad), Err(Denied::Malformed(Field::DiskName)), "{bad}");
        }
    }

    #[test]
    fn a_snapshot_name_may_not_look_automatic() {
        assert_eq!(snapshot_name("nightly"), Ok(()));
        assert_eq!(snapshot_name("auto-1"), Err(Denied::Malformed(Field::SnapshotName)));
    }

    #[test]
    fn a_description_is_no_link() {
        assert_eq!(description("anything at all, 1/2"), Ok(()));
        for bad in ["x", "http://x", "https://x", &"x".repeat(257)] {
            assert_eq!(description(bad), Err(Denied::Malformed(Field::Description)), "{bad}");
        }
    }
}
