//! Patterns of actions and resources, and what such a pattern may look like.
//!
//! `*` stands for any number of characters, none too, and `?` for one ("Policy structure and
//! syntax"). That also goes for the colons of a resource: `acs:*:*cn-beijing*:*:*` is in RAM's own
//! examples. The case of actions does not count ("in most cases", says "Permission policy
//! elements"; of the services here there is none where it would), that of resources does.

use std::str::Chars;

use crate::error::PolicyError;
use crate::json::Node;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    Counts,
    Ignored,
}

impl Case {
    fn same(self, one: char, other: char) -> bool {
        match self {
            Self::Counts => one == other,
            Self::Ignored => one.eq_ignore_ascii_case(&other),
        }
    }
}

/// Whether a pattern describes a text. Where something does not fit, only the last `*` takes one
/// character more and what follows it is tried again, for what an earlier one took would not
/// help: at most as many steps as the product of the lengths, and no memory.
pub(crate) fn matches(pattern: &str, text: &str, case: Case) -> bool {
    let mut pattern = pattern.chars();
    let mut text = text.chars();
    let mut retry: Option<(Chars<'_>, Chars<'_>)> = None;
    loop {
        let rest = text.clone();
        match (pattern.next(), text.next()) {
            (Some('*'), _) => {
                text = rest;
                retry = Some((pattern.clone(), text.clone()));
                continue;
            }
            (None, None) => return true,
            (Some('?'), Some(_)) => continue,
            (Some(wanted), Some(there)) if case.same(wanted, there) => continue,
            _ => {}
        }
        let Some((after, from)) = &mut retry else { return false };
        if from.next().is_none() {
            return false;
        }
        pattern = after.clone();
        text = from.clone();
    }
}

/// `*`, or `service:Name` with wildcards.
pub(crate) fn action(node: &Node<'_>) -> Result<String, PolicyError> {
    let text = printable(node)?;
    let parts: Vec<&str> = text.split(':').collect();
    if text != "*" && (parts.len() != 2 || parts.contains(&"")) {
        return Err(node.refuse("must be `*` or like `ecs:ResetDisk`"));
    }
    Ok(text.to_owned())
}

/// `*`, or `acs:service:region:account:relative-id` with wildcards.
pub(crate) fn resource(node: &Node<'_>) -> Result<String, PolicyError> {
    let text = printable(node)?;
    let parts: Vec<&str> = text.splitn(5, ':').collect();
    let arn = parts.len() == 5 && parts[0] == "acs" && !parts[1].is_empty() && !parts[4].is_empty();
    if text != "*" && !arn {
        return Err(node.refuse("must be `*` or like `acs:ecs:*:*:disk/*`"));
    }
    Ok(text.to_owned())
}

/// Text without what nobody sees.
pub(crate) fn printable<'a>(node: &Node<'a>) -> Result<&'a str, PolicyError> {
    let text = node.text()?;
    if text.is_empty() {
        return Err(node.refuse("must not be empty"));
    }
    if text.contains(is_unseen) {
        return Err(node.refuse("must have no white space"));
    }
    Ok(text)
}

fn is_unseen(c: char) -> bool {
    c.is_whitespace() || c.is_control()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_number_and_a_question_mark_one() {
        let fits = |pattern, text| matches(pattern, text, Case::Counts);
        assert!(fits("*", "") && fits("*", "anything") && fits("**", "") && fits("", ""));
        assert!(fits("disk/*", "disk/") && fits("disk/*", "disk/d-1") && !fits("disk/*", "disk"));
        assert!(fits("d?", "d1") && !fits("d?", "d") && !fits("d?", "d12") && fits("?", "é"));
        assert!(fits("*a*b", "xaxxaxb") && !fits("*a*b", "xaxxaxbx"));
        assert!(fits("*-1", "d-1-1") && !fits("", "x") && !fits("x", ""));
    }

    #[test]
    fn case_counts_or_not() {
        assert!(matches("ECS:reset*", "ecs:ResetDisk", Case::Ignored));
        assert!(!matches("ECS:reset*", "ecs:ResetDisk", Case::Counts));
        assert!(matches("*D?sk", "resetDISK", Case::Ignored));
    }

    #[test]
    fn a_hostile_pattern_takes_no_longer_than_the_product() {
        let text = "a".repeat(4000);
        for pattern in ["*a".repeat(2000) + "b", "*".to_owned() + &"a".repeat(2000) + "b"] {
            assert!(!matches(&pattern, &text, Case::Counts));
        }
    }
}
