//! Values on their way to PostgreSQL and back.
//!
//! The store's values are SQLite's: an integer, a text, bytes, or nothing. A column of PostgreSQL
//! is BIGINT, TEXT or BYTEA, and a comparison may be BOOLEAN, which SQLite has as 0 and 1.
//!
//! A text of PostgreSQL cannot have a NUL in it, and a client may send one in a name. So U+0000 is
//! kept as U+0001 U+0001, and U+0001 as U+0001 U+0002. Texts without them, which is to say all, are
//! kept as they are; and the order of any two is what it was.

use std::borrow::Cow;
use std::error::Error;

use bytes::BytesMut;
use rusqlite::types::{FromSql, ValueRef};
use tokio_postgres::Row;
use tokio_postgres::types::{IsNull, ToSql, Type, accepts, to_sql_checked};

use crate::tx::Value;

type Failure = Box<dyn Error + Sync + Send>;

/// A value in the place of a `?`.
#[derive(Debug)]
pub(super) struct Bound<'a>(pub(super) &'a Value);

impl ToSql for Bound<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Failure> {
        match (self.0, ty) {
            (Value::Null, _) => Ok(IsNull::Yes),
            (Value::Integer(number), &Type::BOOL) => (*number != 0).to_sql(ty, out),
            (Value::Integer(number), &Type::INT4) => i32::try_from(*number)?.to_sql(ty, out),
            (Value::Integer(number), &Type::INT8) => number.to_sql(ty, out),
            (Value::Text(text), &Type::TEXT) => escaped(text).as_ref().to_sql(ty, out),
            (Value::Blob(bytes), &Type::BYTEA) => bytes.as_slice().to_sql(ty, out),
            (value, ty) => Err(format!("{value:?} in the place of a {ty}").into()),
        }
    }

    accepts!(BOOL, INT4, INT8, TEXT, BYTEA);

    to_sql_checked!();
}

/// The value in a column, as `T` reads it from SQLite; `None` where it is none.
pub(crate) fn column<T: FromSql>(row: &Row, index: usize) -> Option<T> {
    let raw: Raw<'_> = row.try_get(index).ok()?;
    let value = match &raw {
        Raw::Null => ValueRef::Null,
        Raw::Integer(number) => ValueRef::Integer(*number),
        Raw::Text(text) => ValueRef::Text(text.as_bytes()),
        Raw::Blob(bytes) => ValueRef::Blob(bytes),
    };
    T::column_result(value).ok()
}

enum Raw<'a> {
    Null,
    Integer(i64),
    Text(Cow<'a, str>),
    Blob(&'a [u8]),
}

impl<'a> tokio_postgres::types::FromSql<'a> for Raw<'a> {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Failure> {
        match *ty {
            Type::BOOL => Ok(Self::Integer(bool::from_sql(ty, raw)?.into())),
            Type::INT4 => Ok(Self::Integer(i32::from_sql(ty, raw)?.into())),
            Type::INT8 => Ok(Self::Integer(i64::from_sql(ty, raw)?)),
            Type::TEXT => Ok(Self::Text(unescaped(<&str>::from_sql(ty, raw)?))),
            _ => Ok(Self::Blob(<&[u8]>::from_sql(ty, raw)?)),
        }
    }

    fn from_sql_null(_: &Type) -> Result<Self, Failure> {
        Ok(Self::Null)
    }

    accepts!(BOOL, INT4, INT8, TEXT, BYTEA);
}

fn escaped(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|byte| byte <= 1) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace('\u{1}', "\u{1}\u{2}").replace('\0', "\u{1}\u{1}"))
}

fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('\u{1}') {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace("\u{1}\u{1}", "\0").replace("\u{1}\u{2}", "\u{1}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{escaped, unescaped};

    /// Mostly of those characters that matter.
    fn texts() -> impl Strategy<Value = String> {
        let one = prop_oneof![Just('\0'), Just('\u{1}'), Just('\u{2}'), Just('a'), any::<char>()];
        proptest::collection::vec(one, 0..8).prop_map(|all| all.into_iter().collect())
    }

    proptest! {
        #[test]
        fn a_text_comes_back_and_its_order_stays(one in texts(), other in texts()) {
            prop_assert!(!escaped(&one).contains('\0'));
            let (here, there) = (escaped(&one), escaped(&other));
            prop_assert_eq!(unescaped(&here), one.as_str());
            prop_assert_eq!(here.as_bytes().cmp(there.as_bytes()), one.cmp(&other));
        }
    }
}
