//! Timestamps, which tor writes in UTC.

use std::time::{Duration, SystemTime};

/// Parses `2026-11-23 09:27:58` (`ISOTime`), `2026-11-23T09:27:58` (`ISOTime2`) or
/// `2026-11-23T09:27:58.289782` (`ISOTime2Frac`).
///
/// `None` if the syntax is wrong, or the time is before 1970.
pub(crate) fn read_time(text: &[u8]) -> Option<SystemTime> {
    let (whole, fraction) = text.split_at_checked(19)?;
    let [
        y1,
        y2,
        y3,
        y4,
        b'-',
        mo1,
        mo2,
        b'-',
        d1,
        d2,
        b' ' | b'T',
        h1,
        h2,
        b':',
        mi1,
        mi2,
        b':',
        s1,
        s2,
    ] = *whole
    else {
        return None;
    };
    let year = two_digits(y1, y2)? * 100 + two_digits(y3, y4)?;
    let (month, day) = (two_digits(mo1, mo2)?, two_digits(d1, d2)?);
    let (hour, minute, second) = (two_digits(h1, h2)?, two_digits(mi1, mi2)?, two_digits(s1, s2)?);
    // A leap second counts as the first second of the next minute.
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let seconds = (days_since_1970(year, month, day)? * 24 + hour) * 3600 + minute * 60 + second;
    SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, read_fraction(fraction)?))
}

#[inline]
fn two_digits(tens: u8, ones: u8) -> Option<u64> {
    let digit = |byte: u8| byte.is_ascii_digit().then(|| u64::from(byte - b'0'));
    Some(digit(tens)? * 10 + digit(ones)?)
}

/// Parses `.289782` as nanoseconds. Further digits are dropped.
fn read_fraction(text: &[u8]) -> Option<u32> {
    let digits = match text.split_first() {
        None => return Some(0),
        Some((b'.', digits)) if !digits.is_empty() => digits,
        Some(_) => return None,
    };
    let mut nanoseconds = 0;
    let mut unit = 100_000_000;
    for byte in digits {
        if !byte.is_ascii_digit() {
            return None;
        }
        nanoseconds += u32::from(byte - b'0') * unit;
        unit /= 10;
    }
    Some(nanoseconds)
}

/// Counts days in the Gregorian calendar. `None` for a day that does not exist.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let (before, length) = match month {
        1 => (0, 31),
        2 => (31, if leap { 29 } else { 28 }),
        3 => (59, 31),
        4 => (90, 30),
        5 => (120, 31),
        6 => (151, 30),
        7 => (181, 31),
        8 => (212, 31),
        9 => (243, 30),
        10 => (273, 31),
        11 => (304, 30),
        12 => (334, 31),
        _ => return None,
    };
    if day == 0 || day > length {
        return None;
    }
    let past = year.checked_sub(1970)?;
    // Leap days up to the end of the year before: 477 of them up to the end of 1969.
    let last = year - 1;
    let leap_days = last / 4 - last / 100 + last / 400 - 477;
    Some(past * 365 + leap_days + before + u64::from(leap && month > 2) + day - 1)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use proptest::prelude::proptest;

    use super::read_time;

    fn seconds(text: &str) -> Option<f64> {
        let time = read_time(text.as_bytes())?;
        Some(time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64())
    }

    #[test]
    fn the_three_forms_of_tor_are_read() {
        assert_eq!(seconds("2026-11-23 09:27:58"), Some(1_795_426_078.0));
        assert_eq!(seconds("2026-11-23T09:27:58"), Some(1_795_426_078.0));
        let exact = read_time(b"2026-11-23T09:27:52.289782").unwrap();
        assert_eq!(
            exact.duration_since(SystemTime::UNIX_EPOCH).unwrap(),
            Duration::new(1_795_426_072, 289_782_000)
        );
    }

    #[test]
    fn the_calendar_is_right_at_its_corners() {
        assert_eq!(seconds("1970-01-01 00:00:00"), Some(0.0));
        assert_eq!(seconds("2000-02-29 23:59:59"), Some(951_868_799.0));
        assert_eq!(seconds("2000-03-01 00:00:00"), Some(951_868_800.0));
        assert_eq!(seconds("2038-01-01 00:00:00"), Some(2_145_916_800.0));
        assert_eq!(seconds("2100-03-01 00:00:00"), Some(4_107_542_400.0));
        assert_eq!(seconds("2016-12-31 23:59:60"), seconds("2017-01-01 00:00:00"));
        assert_eq!(seconds("9999-12-31 23:59:59"), Some(253_402_300_799.0));
    }

    #[test]
    fn each_month_has_its_days() {
        let lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        for (month, length) in (1..).zip(lengths) {
            let noon = |day| seconds(&format!("2027-{month:02}-{day:02} 12:00:00"));
            let last = noon(length).unwrap();
            let next = match month {
                12 => "2028-01-01 12:00:00".to_owned(),
                _ => format!("2027-{:02}-01 12:00:00", month + 1),
            };
            assert_eq!(seconds(&next), Some(last + 86_400.0), "after month {month}");
            assert_eq!(noon(length + 1), None, "in month {month}");
        }
    }

    #[test]
    fn an_invalid_time_is_none() {
        for text in [
            "",
            "NEVER",
            "2026-11-23",
            "2026-11-23 09:27",
            "2026-11-23x09:27:58",
            "2026-11-23T09:27:58.",
            "2026-11-23T09:27:58.1x",
            "2026-11-23T09:27:58Z",
            "2026-00-23 09:27:58",
            "2026-13-23 09:27:58",
            "2026-02-29 09:27:58",
            "2100-02-29 09:27:58",
            "2026-11-00 09:27:58",
            "2026-11-23 24:00:00",
            "2026-11-23 09:60:00",
            "2026-11-23 09:00:61",
            "1969-12-31 23:59:59",
            "0000-01-01 00:00:00",
            "+026-11-23 09:27:58",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused_without_a_panic(text: Vec<u8>, tail in "[-0-9:T .]{0,40}") {
            let mut near = b"2026-11-23T09:27:58"[..10].to_vec();
            near.extend(tail.bytes());
            for text in [&text, &near] {
                let read = read_time(text);
                assert!(read.is_none_or(|time| time >= SystemTime::UNIX_EPOCH));
            }
        }
    }
}
