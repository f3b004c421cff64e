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

/// An image's name.
///
/// # Errors
/// [`Denied::Malformed`] with [`Field::ImageName`].
pub fn image_name(text: &str) -> Result<(), Denied> {
    if text.starts_with("aliyun") || text.starts_with("acs:") {
        return Err(Denied::Malformed(Field::ImageName));
    }
    name(text, Field::ImageName)
}

/// The name of a VPC, a VSwitch or a security group.
///
/// # Errors
/// [`Denied::Malformed`] with [`Field::NetworkName`].
pub fn network_name(text: &str) -> Result<(), Denied> {
    name(text, Field::NetworkName)
}

/// What a machine calls itself: 2 to 64 letters, digits, dots and hyphens; the last two never at an
/// end or side by side. Empty means none.
///
/// # Errors
/// [`Denied::Malformed`] with [`Field::HostName`].
pub fn host_name(text: &str) -> Result<(), Denied> {
    let is_mark = |c: char| matches!(c, '.' | '-');
    let known = text.chars().all(|c| c.is_ascii_alphanumeric() || is_mark(c));
    let marks_are_inside =
        text.split(is_mark).all(|part| !part.is_empty()) && (2..=64).contains(&text.len());
    if text.is_empty() || (known && marks_are_inside) {
        Ok(())
    } else {
        Err(Denied::Malformed(Field::HostName))
    }
}

/// What a machine reads when it first starts: base64 of at most 32 KiB (api.md §3.7). Empty means
/// none.
///
/// # Errors
/// [`Denied::Malformed`] with [`Field::UserData`], [`Denied::UserDataTooLong`].
pub fn user_data(text: &str) -> Result<(), Denied> {
    const BYTES_MAX: usize = 32 << 10;
    let padding = text.bytes().rev().take_while(|byte| *byte == b'=').count();
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let digits = &text.as_bytes()[..text.len() - padding];
    if padding > 2 || !text.len().is_multiple_of(4) || !digits.iter().copied().all(known) {
        return Err(Denied::Malformed(Field::UserData));
    }
    if text.len() / 4 * 3 - padding > BYTES_MAX {
        return Err(Denied::UserDataTooLong);
    }
    Ok(())
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
    fn a_host_name_has_its_marks_inside() {
        for good in ["", "ab", "web-1.example", &"x".repeat(64)] {
            assert_eq!(host_name(good), Ok(()), "{good}");
        }
        for bad in ["a", "-a", "a-", "a..b", "a.-b", "a_b", "名字", &"x".repeat(65)] {
            assert_eq!(host_name(bad), Err(Denied::Malformed(Field::HostName)), "{bad}");
        }
    }

    #[test]
    fn user_data_is_base64_of_so_many_bytes() {
        for good in ["", "YQ==", "YWI=", "YWJj", "+/+/", &"YWJj".repeat(10_922)] {
            assert_eq!(user_data(good), Ok(()), "{good}");
        }
        for bad in ["a", "YQ=", "Y===", "====", "YQ==YQ==", "YW-j", "YW j", "é"] {
            assert_eq!(user_data(bad), Err(Denied::Malformed(Field::UserData)), "{bad}");
        }
        let most = format!("{}YWI=", "YWJj".repeat(10_922));
        assert_eq!(user_data(&most), Ok(()));
        assert_eq!(user_data(&"YWJj".repeat(10_923)), Err(Denied::UserDataTooLong));
    }

    #[test]
    fn a_description_is_no_link() {
        assert_eq!(description("anything at all, 1/2"), Ok(()));
        for bad in ["x", "http://x", "https://x", &"x".repeat(257)] {
            assert_eq!(description(bad), Err(Denied::Malformed(Field::Description)), "{bad}");
        }
    }
}
