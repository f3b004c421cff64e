//! Policies as the documentation describes them, evaluated the plainest way: all is text, patterns
//! are matched by recursion, days are counted one by one, addresses are strings of bits.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ebb_policy::Verdict;

/// A statement as it is written.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) deny: bool,
    pub(crate) not_action: bool,
    pub(crate) actions: Vec<String>,
    pub(crate) not_resource: bool,
    pub(crate) resources: Vec<String>,
    /// The values of each operator and key.
    pub(crate) conditions: BTreeMap<(String, String), Vec<String>>,
}

/// What is known of a request.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) action: String,
    pub(crate) resources: Vec<String>,
    pub(crate) ip: Option<IpAddr>,
    pub(crate) now_unix_millis: i64,
    pub(crate) secure: bool,
    pub(crate) mfa: Option<bool>,
    pub(crate) more: Vec<(String, String)>,
}

pub(crate) fn evaluate(rules: &[Rule], facts: &Facts) -> Verdict {
    let mut resources = facts.resources.clone();
    if resources.is_empty() {
        resources.push("*".into());
    }
    let applies = |rule: &Rule, resource: &String| {
        let action = rule.actions.iter().any(|pattern| {
            fits(&chars(&pattern.to_lowercase()), &chars(&facts.action.to_lowercase()))
        });
        let described =
            rule.resources.iter().any(|pattern| fits(&chars(pattern), &chars(resource)));
        let action = if rule.not_action { !action } else { action };
        let described = if rule.not_resource { !described } else { described };
        action && described && rule.conditions.iter().all(|of| condition(of.0, of.1, facts))
    };
    for resource in &resources {
        if rules.iter().any(|rule| rule.deny && applies(rule, resource)) {
            return Verdict::ExplicitDeny;
        }
    }
    for resource in &resources {
        if !rules.iter().any(|rule| !rule.deny && applies(rule, resource)) {
            return Verdict::ImplicitDeny;
        }
    }
    Verdict::Allow
}

fn chars(text: &str) -> Vec<char> {
    text.chars().collect()
}

pub(crate) fn fits(pattern: &[char], text: &[char]) -> bool {
    match pattern.first() {
        None => text.is_empty(),
        Some('*') => (0..=text.len()).any(|taken| fits(&pattern[1..], &text[taken..])),
        Some('?') => !text.is_empty() && fits(&pattern[1..], &text[1..]),
        Some(wanted) => text.first() == Some(wanted) && fits(&pattern[1..], &text[1..]),
    }
}

fn condition((operator, key): &(String, String), values: &[String], facts: &Facts) -> bool {
    // The operators have the negation before what is negated, or at the beginning.
    let plain = operator.replacen("Not", "", 1);
    let fact = match key.as_str() {
        "acs:SourceIp" => facts.ip.map(|ip| ip.to_string()),
        "acs:CurrentTime" => Some(facts.now_unix_millis.to_string()),
        "acs:SecureTransport" => Some(facts.secure.to_string()),
        "acs:MFAPresent" => facts.mfa.map(|mfa| mfa.to_string()),
        key => facts.more.iter().find(|(known, _)| known == key).map(|(_, value)| value.clone()),
    };
    let one = |fact: &String, value: &String| match plain.as_str() {
        "StringEquals" => fact == value,
        "StringEqualsIgnoreCase" => fact.to_lowercase() == value.to_lowercase(),
        "StringLike" => fits(&chars(value), &chars(fact)),
        "Bool" => fact == value,
        "IpAddress" => within(value, fact),
        name => {
            let (fact, value) = if name.starts_with("Date") {
                (fact.parse::<i64>().unwrap().div_euclid(1000), seconds(value))
            } else {
                (tenths(fact), tenths(value))
            };
            match name.trim_start_matches("Date").trim_start_matches("Numeric") {
                "Equals" => fact == value,
                "LessThan" => fact < value,
                "LessThanEquals" => fact <= value,
                "GreaterThan" => fact > value,
                "GreaterThanEquals" => fact >= value,
                _ => panic!("{operator} is not one of those that are generated"),
            }
        }
    };
    let any = fact.is_some_and(|fact| values.iter().any(|value| one(&fact, value)));
    if plain == *operator { any } else { !any }
}

/// Of a number with one digit after the point, or none.
fn tenths(text: &str) -> i64 {
    let text = if text.contains('.') { text.to_owned() } else { format!("{text}.0") };
    text.replace('.', "").parse().unwrap()
}

fn within(block: &str, address: &str) -> bool {
    let (network, prefix) = match block.split_once('/') {
        Some((network, prefix)) => (network, Some(prefix.parse::<usize>().unwrap())),
        None => (block, None),
    };
    let (network, address) = (bits(network), bits(address));
    let prefix = prefix.unwrap_or(network.len());
    network.len() == address.len() && network[..prefix] == address[..prefix]
}

fn bits(address: &str) -> String {
    match address.parse().unwrap() {
        IpAddr::V4(four) => four.octets().iter().map(|byte| format!("{byte:08b}")).collect(),
        IpAddr::V6(six) => six.octets().iter().map(|byte| format!("{byte:08b}")).collect(),
    }
}

/// Since 1970, of `1970-01-01T00:00:00Z` or with `+08:00` in place of `Z`.
pub(crate) fn seconds(text: &str) -> i64 {
    let part = |from: usize, to: usize| text[from..to].parse::<i64>().unwrap();
    let wanted = (part(0, 4), part(5, 7), part(8, 10));
    let (mut date, mut days) = ((1969, 1, 1), -365);
    while date != wanted {
        date = day_after(date);
        days += 1;
    }
    let clock = part(11, 13) * 3600 + part(14, 16) * 60 + part(17, 19);
    let offset = match &text[19..20] {
        "Z" => 0,
        sign => {
            let minutes = part(20, 22) * 60 + part(23, 25);
            if sign == "-" { -minutes * 60 } else { minutes * 60 }
        }
    };
    days * 86_400 + clock - offset
}

fn day_after((year, month, day): (i64, i64, i64)) -> (i64, i64, i64) {
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let lengths = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    if day < lengths[usize::try_from(month - 1).unwrap()] {
        (year, month, day + 1)
    } else if month < 12 {
        (year, month + 1, 1)
    } else {
        (year + 1, 1, 1)
    }
}
