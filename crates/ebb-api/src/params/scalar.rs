//! Single values.

use std::ops::RangeInclusive;
use std::str::FromStr;

use ebb_domain::{
    AutoSnapshotPolicyId, DiskId, ImageId, InstanceId, RegionId, SecurityGroupId, SnapshotGroupId,
    SnapshotId, TaskGroupId, TaskId, VSwitchId, VpcId, ZoneId,
};
use serde_json::Value;

use super::{Kind, MAX_LIST};
use crate::ApiError;

/// A value that one parameter holds. A newtype implements only this, with its own error code.
pub trait Scalar: Sized {
    /// For the reference.
    const KIND: Kind = Kind::String;
    /// Whether `Name=` is a value: true for a text that a client may clear. Otherwise an empty
    /// value counts as not given.
    const TAKES_EMPTY: bool = false;

    /// Reads `raw`, the value of the parameter with the full name `key`.
    ///
    /// # Errors
    /// Where the type does not take it.
    fn parse(raw: &str, key: &str) -> Result<Self, ApiError>;
}

impl Scalar for String {
    fn parse(raw: &str, _key: &str) -> Result<Self, ApiError> {
        Ok(raw.to_owned())
    }
}

/// The Python SDK with the newer signature sends `True`, others `true`.
impl Scalar for bool {
    const KIND: Kind = Kind::Boolean;

    fn parse(raw: &str, key: &str) -> Result<Self, ApiError> {
        if raw.eq_ignore_ascii_case("true") {
            Ok(true)
        } else if raw.eq_ignore_ascii_case("false") {
            Ok(false)
        } else {
            Err(ApiError::invalid(key, "true or false"))
        }
    }
}

macro_rules! integers {
    ($($type:ty)*) => {$(
        impl Scalar for $type {
            const KIND: Kind = Kind::Integer;

            fn parse(raw: &str, key: &str) -> Result<Self, ApiError> {
                integer_in(raw, key, <$type>::MIN..=<$type>::MAX)
            }
        }
    )*};
}
integers!(i32 i64 u32 u64);

/// Reads a decimal number: digits, with a minus sign where the type has one. For the `parse` of a
/// newtype with a range.
///
/// # Errors
/// 400 `InvalidParameter` for anything else and outside the range.
pub fn integer_in<T>(raw: &str, key: &str, range: RangeInclusive<T>) -> Result<T, ApiError>
where
    T: FromStr + PartialOrd + std::fmt::Display,
{
    // FromStr takes a plus sign, which no other part of the protocol writes.
    let digits = !raw.starts_with('+');
    raw.parse().ok().filter(|value| digits && range.contains(value)).ok_or_else(|| {
        ApiError::invalid(
            key,
            &format!("a decimal integer from {} to {}", range.start(), range.end()),
        )
    })
}

macro_rules! ids {
    ($($type:ty)*) => {$(
        /// Any text: a malformed id is an id that does not exist.
        impl Scalar for $type {
            fn parse(raw: &str, _key: &str) -> Result<Self, ApiError> {
                Ok(Self::new(raw))
            }
        }
    )*};
}
ids!(
    AutoSnapshotPolicyId
    DiskId
    ImageId
    InstanceId
    RegionId
    SecurityGroupId
    SnapshotGroupId
    SnapshotId
    TaskGroupId
    TaskId
    VSwitchId
    VpcId
    ZoneId
);

/// A JSON array in one parameter: `DiskIds=["d-1","d-2"]`. Numbers are taken like strings, for
/// `[1,7]` as well as `["1","7"]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JsonList<T>(pub Vec<T>);

impl<T: Scalar> Scalar for JsonList<T> {
    const KIND: Kind = Kind::JsonList(&T::KIND);

    fn parse(raw: &str, key: &str) -> Result<Self, ApiError> {
        let malformed =
            || ApiError::invalid(key, "a JSON array of at most 1000 values, such as [\"a\",\"b\"]");
        let entries: Vec<Value> = serde_json::from_str(raw).map_err(|_| malformed())?;
        if entries.len() > MAX_LIST {
            return Err(malformed());
        }
        let parse = |entry: &Value| match entry {
            Value::String(text) => T::parse(text, key),
            Value::Number(number) => T::parse(&number.to_string(), key),
            _ => Err(malformed()),
        };
        entries.iter().map(parse).collect::<Result<_, _>>().map(Self)
    }
}
