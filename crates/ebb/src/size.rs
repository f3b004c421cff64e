//! Amounts of bytes as people write them: `256MiB`, `512k`, `4096`.
//!
//! Units are powers of 1024, in one or three letters. `MB` and its like are refused: half of those
//! who write it mean 1000.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

const HOW: &str = "write a whole number of bytes, or one with KiB, MiB, GiB or TiB behind it, such \
                   as 256MiB";

const UNITS: [(&str, u32); 4] = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)];

/// An amount of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "Written")]
pub(crate) struct Size(pub(crate) u64);

/// Bytes in a second; none may be written `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub(crate) struct Rate(pub(crate) u64);

/// Both as they may stand in a TOML file.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a number of bytes or a text such as \"256MiB\"")]
enum Written {
    Bytes(u64),
    Text(String),
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bytes = bytes(text.trim());
        Ok(Self(bytes.ok_or_else(|| format!("{text:?} is not a size: {HOW}"))?))
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim().eq_ignore_ascii_case("off") {
            return Ok(Self(0));
        }
        let bytes = bytes(text.trim());
        Ok(Self(bytes.ok_or_else(|| format!("{text:?} is not a rate: {HOW}, or off"))?))
    }
}

/// None: it is not written as it should be, or too large.
fn bytes(text: &str) -> Option<u64> {
    let letters = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(letters);
    let number: u64 = number.parse().ok()?;
    number.checked_mul(1 << shift(unit.trim_start())?)
}

fn shift(unit: &str) -> Option<u32> {
    if unit.is_empty() {
        return Some(0);
    }
    let is = |name: &str| unit.eq_ignore_ascii_case(name) || unit.eq_ignore_ascii_case(&name[..1]);
    UNITS.iter().find(|(name, _)| is(name)).map(|(_, shift)| *shift)
}

/// In the largest unit of which it is a whole number.
impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |shift: u32| self.0 > 0 && self.0.trailing_zeros() >= shift;
        match UNITS.iter().rev().find(|(_, shift)| whole(*shift)) {
            Some((name, shift)) => write!(f, "{}{name}", self.0 >> shift),
            None => write!(f, "{}", self.0),
        }
    }
}

impl TryFrom<Written> for Size {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        match written {
            Written::Bytes(bytes) => Ok(Self(bytes)),
            Written::Text(text) => text.parse(),
        }
    }
}

impl TryFrom<Written> for Rate {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        match written {
            Written::Bytes(bytes) => Ok(Self(bytes)),
            Written::Text(text) => text.parse(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_numbers_with_a_unit_or_without() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("512k", 512 << 10),
            ("512KiB", 512 << 10),
            ("256MiB", 256 << 20),
            ("256 MiB", 256 << 20),
            ("256m", 256 << 20),
            ("10GiB", 10 << 30),
            ("10gib", 10 << 30),
            ("1TiB", 1 << 40),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
            assert_eq!(text.parse(), Ok(Rate(bytes)), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused_with_how_to_write_one() {
        let none = ["", "MiB", "x", "1MB", "1.5GiB", "-1", "+1", "1KiBx", "1é", "1PiB", "0x10"];
        for text in none.into_iter().chain(["18446744073709551616", "16777216TiB"]) {
            let said = text.parse::<Size>().unwrap_err();
            assert!(said.contains(&format!("{text:?}")) && said.contains("256MiB"), "{said}");
            assert!(text.parse::<Rate>().unwrap_err().ends_with("or off"));
        }
        assert!("off".parse::<Size>().is_err());
    }

    #[test]
    fn a_rate_may_be_off() {
        for text in ["off", "Off", " off ", "0"] {
            assert_eq!(text.parse(), Ok(Rate(0)), "{text}");
        }
    }

    #[test]
    fn a_size_is_shown_as_it_would_be_written() {
        let shown = ["0", "1", "4097", "4KiB", "193MiB", "10GiB", "1TiB", "1025GiB"];
        for text in shown {
            assert_eq!(text.parse::<Size>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_file_may_hold_a_number_or_a_text() {
        #[derive(Deserialize)]
        struct File {
            size: Size,
            rate: Rate,
        }
        let read = |text: &str| toml::from_str::<File>(text);
        let file = read("size = 4096\nrate = \"off\"").unwrap();
        assert_eq!((file.size, file.rate), (Size(4096), Rate(0)));
        assert_eq!(read("size = \"1MiB\"\nrate = 0").unwrap().size, Size(1 << 20));
        for bad in ["size = \"1MB\"\nrate = 0", "size = 1.5\nrate = 0", "size = -1\nrate = 0"] {
            let said = read(bad).err().unwrap().to_string();
            assert!(said.contains("256MiB"), "{said}");
        }
    }
}
