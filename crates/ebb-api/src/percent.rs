//! Percent coding as RFC 3986 and HTML forms have it.
//!
//! Decoding is strict: a malformed escape that one reader drops and another keeps is a way to sign
//! one thing and ask for another.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::ApiError;

/// All but RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The one spelling that signatures are made over.
pub(crate) fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// Splits `a=1&b=2`, a query or a form, and decodes both sides. A plus is a space, a name without
/// an equals sign has the empty value, empty pieces are nothing.
///
/// # Errors
/// 400 `InvalidParameter` for a malformed escape and for what is not UTF-8.
pub(crate) fn decode_pairs(raw: &[u8]) -> Result<Vec<(String, String)>, ApiError> {
    pieces(raw).map(|(name, value)| Ok((decode(name)?, decode(value)?))).collect()
}

/// The value of `name` as far as it can be made out, for a request that may be malformed elsewhere.
pub(crate) fn peek(raw: &[u8], name: &str) -> Option<String> {
    let matches = |piece: &[u8]| decode(piece).is_ok_and(|found| found.eq_ignore_ascii_case(name));
    let (_, value) = pieces(raw).find(|(found, _)| matches(found))?;
    decode(value).ok()
}

fn pieces(raw: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    raw.split(|&b| b == b'&').filter(|piece| !piece.is_empty()).map(|piece| {
        match piece.iter().position(|&b| b == b'=') {
            Some(equals) => (&piece[..equals], &piece[equals + 1..]),
            None => (piece, &[][..]),
        }
    })
}

fn decode(raw: &[u8]) -> Result<String, ApiError> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let [first, tail @ ..] = rest {
        rest = match (first, tail) {
            (b'%', [high, low, tail @ ..]) => {
                let byte = hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low);
                bytes.push(byte.ok_or_else(|| malformed(raw, "a malformed percent escape"))?);
                tail
            }
            (b'%', _) => return Err(malformed(raw, "a malformed percent escape")),
            (b'+', _) => {
                bytes.push(b' ');
                tail
            }
            (byte, _) => {
                bytes.push(*byte);
                tail
            }
        };
    }
    String::from_utf8(bytes).map_err(|_| malformed(raw, "bytes that are not UTF-8"))
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

fn malformed(raw: &[u8], what: &str) -> ApiError {
    let shown = String::from_utf8_lossy(&raw[..raw.len().min(64)]).into_owned();
    let message = format!("The request has {what} in a parameter: {shown}");
    ApiError::new(400, "InvalidParameter", message)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_unreserved_characters_stay() {
        assert_eq!(encode("AZaz09-_.~"), "AZaz09-_.~");
        assert_eq!(encode(" *+/=&%?:\"é"), "%20%2A%2B%2F%3D%26%25%3F%3A%22%C3%A9");
    }

    #[test]
    fn both_spellings_of_a_space_are_read() {
        let pairs = decode_pairs(b"a+b=c%20d&e&=f&&g=h=i%3d%3D").unwrap();
        let pairs: Vec<_> = pairs.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert_eq!(pairs, [("a b", "c d"), ("e", ""), ("", "f"), ("g", "h=i==")]);
    }

    #[test]
    fn malformed_escapes_are_refused() {
        for bad in ["a=%", "a=%4", "a=%zz", "%G1=b", "a=%+1", "a=%-1", "a=%ff", "a=%c3"] {
            let error = decode_pairs(bad.as_bytes()).unwrap_err();
            assert_eq!((error.status, &*error.code), (400, "InvalidParameter"), "{bad}");
        }
    }

    #[test]
    fn a_peek_gets_past_what_is_malformed() {
        assert_eq!(peek(b"a=%zz&Format=JSON", "Format").as_deref(), Some("JSON"));
        assert_eq!(peek(b"%zz=a&format=x", "Format").as_deref(), Some("x"));
        assert_eq!(peek(b"Format=%zz", "Format"), None);
        assert_eq!(peek(b"FormatX=JSON", "Format"), None);
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_itself(name in any::<String>(), value in any::<String>()) {
            prop_assume!(!name.is_empty() || !value.is_empty());
            let wire = format!("{}={}", encode(&name), encode(&value));
            prop_assert_eq!(decode_pairs(wire.as_bytes()).unwrap(), vec![(name, value)]);
        }

        #[test]
        fn any_bytes_are_read_or_refused(raw in any::<Vec<u8>>()) {
            let _ = decode_pairs(&raw);
            let _ = peek(&raw, "Format");
        }
    }
}
