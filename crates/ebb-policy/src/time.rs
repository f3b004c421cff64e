//! Points in time as ISO 8601 has them: `2017-01-01T00:00:00+08:00`, `2012-11-11T23:59:59Z`.
//!
//! With an offset, always: without one a time would say nothing. A fraction has up to three digits.

/// Milliseconds since 1970 of a written time.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let (date, time) = text.split_once('T')?;
    let mut date = date.split('-');
    let (year, month, day) = (number(date.next()?, 4)?, number(date.next()?, 2)?, date.next()?);
    let day = number(day, 2)?;
    let offset_at = time.find(['Z', '+', '-'])?;
    let (time, offset) = time.split_at(offset_at);
    let (time, millis) = match time.split_once('.') {
        Some((time, fraction)) => (time, milliseconds(fraction)?),
        None => (time, 0),
    };
    let mut time = time.split(':');
    let (hour, minute) = (number(time.next()?, 2)?, number(time.next()?, 2)?);
    let second = number(time.next()?, 2)?;
    let real = year >= 1
        && (1..=12).contains(&month)
        && (1..=days_of(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !real || date.next().is_some() || time.next().is_some() {
        return None;
    }
    let seconds = ((days_before(year, month) + day - 1) * 24 + hour) * 3600 + minute * 60 + second;
    Some((seconds - offset_seconds(offset)?) * 1000 + millis)
}

/// Exactly so many digits.
fn number(text: &str, digits: usize) -> Option<i64> {
    let all = text.len() == digits && text.bytes().all(|digit| digit.is_ascii_digit());
    if all { text.parse().ok() } else { None }
}

fn milliseconds(fraction: &str) -> Option<i64> {
    let value = number(fraction, fraction.len())?;
    match fraction.len() {
        1 => Some(value * 100),
        2 => Some(value * 10),
        3 => Some(value),
        _ => None,
    }
}

fn offset_seconds(text: &str) -> Option<i64> {
    let (sign, rest) = match text.split_at_checked(1)? {
        ("Z", "") => return Some(0),
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let (hours, minutes) = (number(hours, 2)?, number(minutes, 2)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to the first of a month.
fn days_before(year: i64, month: i64) -> i64 {
    /// As many as the formula below has until 1970.
    const UNTIL_1970: i64 = 719_162;
    let years = year - 1;
    let whole = years * 365 + years / 4 - years / 100 + years / 400 - UNTIL_1970;
    whole + (1..month).map(|month| days_of(year, month)).sum::<i64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        assert_eq!(parse("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(parse("2012-11-11T23:59:59Z"), Some(1_352_678_399_000));
        assert_eq!(parse("2017-01-01T00:00:00+08:00"), Some(1_483_200_000_000));
        assert_eq!(parse("2017-01-01T00:00:00-00:30"), Some(1_483_230_600_000));
        assert_eq!(parse("2000-02-29T00:00:00.25Z"), Some(951_782_400_250));
        assert_eq!(parse("0001-01-01T00:00:00Z"), Some(-62_135_596_800_000));
    }

    #[test]
    fn what_is_no_time_is_not_read() {
        for text in [
            "",
            "2017-01-01",
            "2017-01-01T00:00:00",
            "2017-01-01T00:00Z",
            "2017-1-01T00:00:00Z",
            "2017-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2017-13-01T00:00:00Z",
            "2017-00-01T00:00:00Z",
            "2017-01-00T00:00:00Z",
            "0000-01-01T00:00:00Z",
            "2017-01-01T24:00:00Z",
            "2017-01-01T23:59:60Z",
            "2017-01-01T00:00:00+0800",
            "2017-01-01T00:00:00+24:00",
            "2017-01-01T00:00:00.1234Z",
            "2017-01-01T00:00:00.Z",
            "2017-01-01T00:00:00Zz",
            "2017-01-01-01T00:00:00Z",
            "2017-01-01T00:00:00:00Z",
            "+017-01-01T00:00:00Z",
            "２０１７-01-01T00:00:00Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
