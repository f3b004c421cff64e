//! Points in time as the API writes them: `2026-02-23T12:46:24Z`.

use ebb_domain::Timestamp;

const SHAPE: &[u8] = b"0000-00-00T00:00:00Z";

/// Reads exactly the API's form; the many others of ISO 8601 are not well formatted.
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    let fits = |(byte, shape): (u8, &u8)| match shape {
        b'0' => byte.is_ascii_digit(),
        _ => byte == *shape,
    };
    let shaped = text.len() == SHAPE.len() && text.bytes().zip(SHAPE).all(fits);
    let time: jiff::Timestamp = shaped.then(|| text.parse().ok())??;
    Some(Timestamp::from_unix_millis(time.as_millisecond()))
}

/// To the second. What lies outside the years that four digits can write is written as 1970.
pub(crate) fn seconds(time: Timestamp) -> String {
    let time = jiff::Timestamp::from_millisecond(time.unix_millis()).unwrap_or_default();
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// To the minute, as instances have it: `2026-02-23T12:46Z`.
pub(crate) fn minutes(time: Timestamp) -> String {
    let time = jiff::Timestamp::from_millisecond(time.unix_millis()).unwrap_or_default();
    time.strftime("%Y-%m-%dT%H:%MZ").to_string()
}

/// Reads a time to the second or to the minute.
pub(crate) fn parse_either(text: &str) -> Option<Timestamp> {
    parse(text).or_else(|| parse(&format!("{}:00Z", text.strip_suffix('Z')?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_one_form() {
        // 2016-02-23 is day 16,854 since 1970.
        let expected = Timestamp::from_unix_millis((16_854 * 86_400 + 45_984) * 1000);
        assert_eq!(parse("2016-02-23T12:46:24Z"), Some(expected));
        assert_eq!(seconds(expected), "2016-02-23T12:46:24Z");
        for bad in [
            "",
            "2016-02-23 12:46:24Z",
            "2016-02-23T12:46:24",
            "2016-02-23t12:46:24z",
            "2016-02-23T12:46Z",
            "2016-02-30T12:46:24Z",
            "2016-02-23T25:46:24Z",
            "2016-02-23T12:46:24.5Z",
            "2016-02-23T12:46:24+00:00",
            "é016-02-23T12:46:24",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
