//! The operators of conditions, and what each is given ("Conditional operators").
//!
//! There are those of that topic and no others: RAM has no `...IfExists` and no `Null`, and says so
//! when it refuses them. A value is checked for its operator when a document is read; a number
//! has at most 15 digits, which a double has exactly, so that no two are equal by rounding.

use std::net::IpAddr;

use crate::address::Block;
use crate::context::Found;
use crate::pattern::{self, Case};
use crate::time;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Operator {
    kind: Kind,
    /// It holds where none of its values fits.
    negated: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text(Case),
    Like,
    Number(Order),
    Time(Order),
    Flag,
    Address,
}

/// How what a request has must be to what the document has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Less,
    AtMost,
    Equal,
    AtLeast,
    Greater,
}

/// One of the values that an operator is given.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Operand {
    Text(String),
    Number(f64),
    Time(i64),
    Flag(bool),
    Address(Block),
}

const OPERATORS: &[(&str, Kind, bool)] = &[
    ("StringEquals", Kind::Text(Case::Counts), false),
    ("StringNotEquals", Kind::Text(Case::Counts), true),
    ("StringEqualsIgnoreCase", Kind::Text(Case::Ignored), false),
    ("StringNotEqualsIgnoreCase", Kind::Text(Case::Ignored), true),
    ("StringLike", Kind::Like, false),
    ("StringNotLike", Kind::Like, true),
    ("NumericEquals", Kind::Number(Order::Equal), false),
    ("NumericNotEquals", Kind::Number(Order::Equal), true),
    ("NumericLessThan", Kind::Number(Order::Less), false),
    ("NumericLessThanEquals", Kind::Number(Order::AtMost), false),
    ("NumericGreaterThan", Kind::Number(Order::Greater), false),
    ("NumericGreaterThanEquals", Kind::Number(Order::AtLeast), false),
    ("DateEquals", Kind::Time(Order::Equal), false),
    ("DateNotEquals", Kind::Time(Order::Equal), true),
    ("DateLessThan", Kind::Time(Order::Less), false),
    ("DateLessThanEquals", Kind::Time(Order::AtMost), false),
    ("DateGreaterThan", Kind::Time(Order::Greater), false),
    ("DateGreaterThanEquals", Kind::Time(Order::AtLeast), false),
    ("Bool", Kind::Flag, false),
    ("IpAddress", Kind::Address, false),
    ("NotIpAddress", Kind::Address, true),
];

impl Operator {
    pub(crate) fn named(name: &str) -> Option<Self> {
        let (_, kind, negated) = OPERATORS.iter().find(|(known, ..)| *known == name)?;
        Some(Self { kind: *kind, negated: *negated })
    }

    /// Reads a value for it, or says how one looks.
    pub(crate) fn operand(self, text: &str) -> Result<Operand, &'static str> {
        match self.kind {
            Kind::Text(_) | Kind::Like => Ok(Operand::Text(text.to_owned())),
            Kind::Number(_) => number(text)
                .map(Operand::Number)
                .ok_or("must be a number like `10` or `-0.5`, of at most 15 digits"),
            Kind::Time(_) => time::parse(text)
                .map(Operand::Time)
                .ok_or("must be a time like `2017-01-01T00:00:00+08:00`"),
            Kind::Flag => flag(text).map(Operand::Flag).ok_or("must be `true` or `false`"),
            Kind::Address => Block::parse(text)
                .map(Operand::Address)
                .ok_or("must be an address or a block like `192.0.2.0/24`"),
        }
    }

    /// Whether it holds for what a request has. Several values are alternatives; where it is a
    /// negation none may fit, as RAM's example of `NotIpAddress` with two addresses has it.
    pub(crate) fn holds(self, operands: &[Operand], found: Option<&Found<'_>>) -> bool {
        let fits = found.is_some_and(|found| operands.iter().any(|of| self.kind.fits(of, found)));
        fits != self.negated
    }
}

impl Kind {
    fn fits(self, operand: &Operand, found: &Found<'_>) -> bool {
        match (self, operand) {
            (Self::Text(case), Operand::Text(wanted)) => {
                found.text().is_some_and(|text| match case {
                    Case::Counts => *wanted == text,
                    Case::Ignored => wanted.eq_ignore_ascii_case(&text),
                })
            }
            (Self::Like, Operand::Text(pattern)) => {
                found.text().is_some_and(|text| pattern::matches(pattern, &text, Case::Counts))
            }
            (Self::Number(order), Operand::Number(wanted)) => {
                found.number().is_some_and(|number| order.is_between(number, *wanted))
            }
            (Self::Time(order), Operand::Time(wanted)) => {
                found.time().is_some_and(|time| order.is_between(time, *wanted))
            }
            (Self::Flag, Operand::Flag(wanted)) => found.flag() == Some(*wanted),
            (Self::Address, Operand::Address(block)) => {
                found.address().is_some_and(|address| block.contains(address))
            }
            // An operator reads its own values, so this does not come.
            _ => false,
        }
    }
}

impl Order {
    fn is_between<T: PartialOrd>(self, one: T, other: T) -> bool {
        match self {
            Self::Less => one < other,
            Self::AtMost => one <= other,
            Self::Equal => one == other,
            Self::AtLeast => one >= other,
            Self::Greater => one > other,
        }
    }
}

impl Found<'_> {
    fn number(&self) -> Option<f64> {
        if let Self::Text(text) = self { number(text) } else { None }
    }

    fn time(&self) -> Option<i64> {
        match self {
            Self::Time(time) => Some(*time),
            Self::Text(text) => time::parse(text),
            Self::Flag(_) | Self::Address(_) => None,
        }
    }

    fn flag(&self) -> Option<bool> {
        match self {
            Self::Flag(flag) => Some(*flag),
            Self::Text(text) => flag(text),
            Self::Time(_) | Self::Address(_) => None,
        }
    }

    fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Address(address) => Some(*address),
            Self::Text(text) => text.parse().ok(),
            Self::Time(_) | Self::Flag(_) => None,
        }
    }
}

fn flag(text: &str) -> Option<bool> {
    match text {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

fn number(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = match unsigned.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (unsigned, None),
    };
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|digit| digit.is_ascii_digit());
    let written = digits(whole) && fraction.is_none_or(digits);
    let count = whole.len() + fraction.map_or(0, str::len);
    if written && count <= 15 { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    fn holds(operator: &str, values: &[&str], found: &Found<'_>) -> bool {
        let operator = Operator::named(operator).unwrap();
        let operands: Vec<_> = values.iter().map(|text| operator.operand(text).unwrap()).collect();
        operator.holds(&operands, Some(found))
    }

    fn text(text: &str) -> Found<'_> {
        Found::Text(Cow::Borrowed(text))
    }

    #[test]
    fn strings() {
        assert!(holds("StringEquals", &["a", "b"], &text("b")));
        assert!(!holds("StringEquals", &["a*"], &text("ab")), "it knows no wildcards");
        assert!(!holds("StringEquals", &["B"], &text("b")));
        assert!(holds("StringEqualsIgnoreCase", &["B"], &text("b")));
        assert!(!holds("StringNotEqualsIgnoreCase", &["B"], &text("b")));
        assert!(holds("StringLike", &["x", "hangzhou/*"], &text("hangzhou/2015")));
        assert!(!holds("StringLike", &["Hang*"], &text("hangzhou")));
        assert!(!holds("StringNotLike", &["x", "hangzhou/*"], &text("hangzhou/2015")));
        assert!(holds("StringNotEquals", &["a", "b"], &text("c")));
        assert!(!holds("StringNotEquals", &["a", "b"], &text("b")), "none may fit");
    }

    #[test]
    fn numbers() {
        assert!(holds("NumericEquals", &["10"], &text("10.0")));
        assert!(holds("NumericNotEquals", &["10"], &text("11")));
        assert!(holds("NumericLessThan", &["10"], &text("9.99")));
        assert!(!holds("NumericLessThan", &["10"], &text("10")));
        assert!(holds("NumericLessThanEquals", &["10"], &text("10")));
        assert!(holds("NumericGreaterThan", &["-1"], &text("-0.5")));
        assert!(holds("NumericGreaterThanEquals", &["0"], &text("-0")));
        assert!(!holds("NumericLessThan", &["10"], &text("nine")), "it is no number");
    }

    #[test]
    fn times_flags_and_addresses() {
        let at = Found::Time(1_483_200_000_000);
        assert!(holds("DateEquals", &["2017-01-01T00:00:00+08:00"], &at));
        assert!(!holds("DateLessThan", &["2017-01-01T00:00:00+08:00"], &at));
        assert!(holds("DateLessThanEquals", &["2016-12-31T16:00:00Z"], &at));
        assert!(holds("DateGreaterThan", &["2016-12-31T15:59:59Z"], &at));
        assert!(holds("DateGreaterThanEquals", &["2016-12-31T16:00:00Z"], &at));
        assert!(!holds("DateNotEquals", &["2016-12-31T16:00:00Z"], &at));
        assert!(holds("DateLessThan", &["2017-01-01T00:00:00Z"], &text("2016-01-01T00:00:00Z")));
        assert!(holds("Bool", &["true"], &Found::Flag(true)));
        assert!(!holds("Bool", &["false"], &Found::Flag(true)));
        assert!(holds("StringEquals", &["true"], &Found::Flag(true)));
        let from = Found::Address("203.0.113.2".parse().unwrap());
        assert!(holds("IpAddress", &["192.0.2.0/24", "203.0.113.2"], &from));
        assert!(!holds("NotIpAddress", &["192.0.2.0/24", "203.0.113.2"], &from));
        assert!(holds("StringLike", &["203.0.*"], &from));
    }

    #[test]
    fn what_a_request_lacks_or_cannot_be_compared_fits_nothing() {
        for (name, ..) in OPERATORS {
            let operator = Operator::named(name).unwrap();
            assert_eq!(operator.holds(&[], None), operator.negated, "{name}");
        }
        assert!(!holds("Bool", &["true"], &Found::Time(0)));
        assert!(holds("NotIpAddress", &["10.0.0.0/8"], &text("no address")));
    }

    #[test]
    fn values_are_checked_for_their_operator() {
        let bad = [
            ("NumericEquals", "ten"),
            ("NumericEquals", "+1"),
            ("NumericEquals", "1."),
            ("NumericEquals", ".5"),
            ("NumericEquals", "1e3"),
            ("NumericEquals", "1234567890123456"),
            ("DateEquals", "2017-01-01"),
            ("Bool", "yes"),
            ("IpAddress", "10.*"),
        ];
        for (operator, value) in bad {
            assert!(Operator::named(operator).unwrap().operand(value).is_err(), "{value}");
        }
        for name in ["StringEqualsIfExists", "Null", "stringequals", "ForAnyValue:StringEquals"] {
            assert_eq!(Operator::named(name), None);
        }
    }
}
