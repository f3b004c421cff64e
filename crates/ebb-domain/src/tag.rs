//! Tags (api.md §3.6).

use std::collections::HashSet;

use crate::{Denied, Field};

/// A key and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// 1 to 128 characters; not beginning with `aliyun` or `acs:`.
    pub key: String,
    /// Up to 128 characters.
    pub value: String,
}

/// Refuses a set of tags that a resource cannot be given.
///
/// # Errors
/// [`Denied::TooManyTags`], [`Denied::DuplicateTagKey`], or [`Denied::Malformed`] with
/// [`Field::TagKey`] or [`Field::TagValue`].
pub fn check_tags(tags: &[Tag]) -> Result<(), Denied> {
    if tags.len() > 20 {
        return Err(Denied::TooManyTags);
    }
    let mut seen = HashSet::new();
    for tag in tags {
        let length = tag.key.chars().count();
        if !(1..=128).contains(&length)
            || tag.key.starts_with("aliyun")
            || tag.key.starts_with("acs:")
            || is_link(&tag.key)
        {
            return Err(Denied::Malformed(Field::TagKey));
        }
        if tag.value.chars().count() > 128 || is_link(&tag.value) {
            return Err(Denied::Malformed(Field::TagValue));
        }
        if !seen.insert(tag.key.as_str()) {
            return Err(Denied::DuplicateTagKey);
        }
    }
    Ok(())
}

fn is_link(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(key: &str, value: &str) -> Tag {
        Tag { key: key.into(), value: value.into() }
    }

    #[test]
    fn keys_are_unique_and_not_the_clouds_own() {
        assert_eq!(check_tags(&[tag("a", "1"), tag("b", "")]), Ok(()));
        assert_eq!(check_tags(&[tag("a", "1"), tag("a", "2")]), Err(Denied::DuplicateTagKey));
        assert_eq!(check_tags(&[tag("acs:x", "")]), Err(Denied::Malformed(Field::TagKey)));
        assert_eq!(check_tags(&[tag("", "")]), Err(Denied::Malformed(Field::TagKey)));
        assert_eq!(
            check_tags(&[tag("a", &"v".repeat(129))]),
            Err(Denied::Malformed(Field::TagValue))
        );
        let many: Vec<Tag> = (0..21).map(|n| tag(&format!("k{n}"), "")).collect();
        assert_eq!(check_tags(&many), Err(Denied::TooManyTags));
    }
}
