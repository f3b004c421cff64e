//! Pages by key: a token names the last item of a page, and the next page begins after it, whatever
//! has come or gone in between.
//!
//! A token is the list's name and the two parts of the item's key, in hexadecimal. It is no secret
//! and no proof: the list's own conditions hold on every page.

use crate::{PageRequest, StoreError};

/// The key of an item: what its list is ordered by.
pub(crate) struct Cursor(pub(crate) String, pub(crate) String);

/// No part but the last may have a NUL in it: a list's name, a time or an id.
pub(crate) fn encode(list: &str, first: &str, second: &str) -> String {
    use std::fmt::Write;

    let mut token = String::new();
    for byte in format!("{list}\0{first}\0{second}").bytes() {
        write!(token, "{byte:02x}").expect("a string takes whatever is written to it");
    }
    token
}

pub(crate) fn decode(list: &str, token: &str) -> Result<Cursor, StoreError> {
    let key = unhex(token).and_then(|bytes| String::from_utf8(bytes).ok());
    let mut parts = key.as_deref().unwrap_or_default().splitn(3, '\0');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(name), Some(first), Some(second)) if name == list => {
            Ok(Cursor(first.to_owned(), second.to_owned()))
        }
        _ => Err(StoreError::BadToken),
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?)).collect()
}

/// LIMIT and OFFSET: one more item than the page has, to see whether another follows.
pub(crate) fn range(request: &PageRequest) -> [i64; 2] {
    let size = i64::from(size(request));
    let before = match request {
        PageRequest::Number { number, .. } => i64::from(number.saturating_sub(1)),
        PageRequest::Token { .. } => 0,
    };
    [size + 1, before.saturating_mul(size)]
}

/// Takes away the item too many; the last of the page where there was one.
pub(crate) fn cut<'a, T>(items: &'a mut Vec<T>, request: &PageRequest) -> Option<&'a T> {
    let size = size(request) as usize;
    let more = items.len() > size;
    items.truncate(size);
    if more { items.last() } else { None }
}

fn size(request: &PageRequest) -> u32 {
    match request {
        PageRequest::Number { size, .. } | PageRequest::Token { size, .. } => *size,
    }
}
