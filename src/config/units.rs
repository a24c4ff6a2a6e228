//! Numbers with units, as tor parses them: `2 MB`, `15 minutes`, `500 msec`.
//!
//! The tables are those of tor's `src/lib/confmgt/unitparse.c`, 0.4.9: other spellings, such as
//! `bit` and `KBs`, are refused by tor, and so they are here.

/// The names of a unit, separated by blanks, and its factor.
type Table = [(&'static str, u64)];

const TIMES: [(&str, u64); 5] = [
    ("second seconds", 1),
    ("minute minutes", 60),
    ("hour hours", 60 * 60),
    ("day days", 24 * 60 * 60),
    ("week weeks", 7 * 24 * 60 * 60),
];

/// A twelfth of 365.24 days. tor has no such unit for times in milliseconds.
const MONTH: [(&str, u64); 1] = [("month months", 2_629_728)];

const MILLISECONDS: [(&str, u64); 1] = [("msec millisecond milliseconds", 1)];

const SIZES: [(&str, u64); 9] = [
    ("b byte bytes", 1),
    ("kb kbyte kbytes kilobyte kilobytes", 1 << 10),
    ("kbit kbits kilobit kilobits", 1 << 7),
    ("m mb mbyte mbytes megabyte megabytes", 1 << 20),
    ("mbit mbits megabit megabits", 1 << 17),
    ("gb gbyte gbytes gigabyte gigabytes", 1 << 30),
    ("gbit gbits gigabit gigabits", 1 << 27),
    ("tb tbyte tbytes terabyte terabytes", 1 << 40),
    ("tbit tbits terabit terabits", 1 << 37),
];

/// Parses a time in seconds.
pub(super) fn parse_seconds(text: &str) -> Option<u64> {
    let (number, unit) = split(text);
    let factor = factor(&TIMES, &unit).or_else(|| factor(&MONTH, &unit))?;
    scaled(number, factor).filter(|time| is_in_range(*time))
}

/// Parses a time in milliseconds, which are also the unit if the text has none.
pub(super) fn parse_milliseconds(text: &str) -> Option<u64> {
    let (number, unit) = split(text);
    let factor =
        factor(&MILLISECONDS, &unit).or_else(|| factor(&TIMES, &unit)?.checked_mul(1000))?;
    scaled(number, factor).filter(|time| is_in_range(*time))
}

/// Parses a number of bytes. Multiples are of 1024, and eight bits are a byte.
pub(super) fn parse_bytes(text: &str) -> Option<u64> {
    let (number, unit) = split(text);
    scaled(number, factor(&SIZES, &unit)?)
}

/// Whether tor can store a time, which it does in a C `int`.
fn is_in_range(time: u64) -> bool {
    i32::try_from(time).is_ok()
}

/// Returns the factor of a unit; 1 if there is no unit.
fn factor(table: &Table, unit: &str) -> Option<u64> {
    if unit.is_empty() {
        return Some(1);
    }
    let is_unit = |(names, _): &&(&str, u64)| names.split(' ').any(|name| name == unit);
    table.iter().find(is_unit).map(|(_, factor)| *factor)
}

/// Splits a text into its number and its unit in lower case. tor skips blanks before both, and
/// accepts none at the end.
fn split(text: &str) -> (&str, String) {
    let text = text.trim_ascii_start();
    let text = text.strip_prefix('+').unwrap_or(text);
    let is_digit = |letter: char| letter.is_ascii_digit() || letter == '.';
    let end = text.find(|letter| !is_digit(letter)).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end).unwrap_or((text, ""));
    (number, unit.trim_ascii_start().to_ascii_lowercase())
}

/// Multiplies a decimal number, and truncates the product.
fn scaled(number: &str, factor: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.len() > 9 {
        return None;
    }
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let parse = |digits: &str| if digits.is_empty() { Some(0) } else { digits.parse::<u64>().ok() };
    let number = u128::from(parse(whole)?) * scale + u128::from(parse(fraction)?);
    let value = u64::try_from(number.checked_mul(factor.into())? / scale).ok()?;
    // tor stores nothing larger.
    i64::try_from(value).is_ok().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::{parse_bytes, parse_milliseconds, parse_seconds};

    #[test]
    fn times_are_parsed_with_the_units_of_tor() {
        for (text, seconds) in [
            ("0", Some(0)),
            ("600", Some(600)),
            ("15 minutes", Some(900)),
            ("1 Minute", Some(60)),
            ("2hours", Some(7200)),
            ("1.5 days", Some(129_600)),
            ("1 week", Some(604_800)),
            ("1 month", Some(2_629_728)),
            ("1.5 months", Some(3_944_592)),
            (".5 day", Some(43_200)),
            ("+5 minutes", Some(300)),
            (" 1. hour", Some(3600)),
            ("1 hour ", None),
            ("3000000000", None),
            (".", None),
            ("1e3", None),
            ("1 mo", None),
            ("12 parsecs", None),
            ("", None),
            ("-1", None),
            ("1 s", None),
            ("99999999999999999999", None),
            ("18446744073709551615 weeks", None),
        ] {
            assert_eq!(parse_seconds(text), seconds, "{text}");
        }
        assert_eq!(parse_milliseconds("1500"), Some(1500));
        assert_eq!(parse_milliseconds("500 msec"), Some(500));
        assert_eq!(parse_milliseconds("2 seconds"), Some(2000));
        assert_eq!(parse_seconds("500 msec"), None);
        for unit in ["month", "months", "msecs", "ms"] {
            assert_eq!(parse_milliseconds(&format!("1 {unit}")), None, "{unit}");
        }
    }

    #[test]
    fn sizes_are_parsed_with_the_units_of_tor() {
        for (text, bytes) in [
            ("0", Some(0)),
            ("1 b", Some(1)),
            ("2 MB", Some(2 << 20)),
            ("2 m", Some(2 << 20)),
            ("1 KBytes", Some(1024)),
            ("1.5 gigabytes", Some(3 << 29)),
            ("1 TB", Some(1 << 40)),
            ("8 kbits", Some(1024)),
            ("1 megabits", Some(1 << 17)),
            ("1 bit", None),
            ("8 bits", None),
            ("1 kbs", None),
            ("1 mbs", None),
            ("1 ms", None),
            ("1 furlong", None),
            ("1.2.3", None),
        ] {
            assert_eq!(parse_bytes(text), bytes, "{text}");
        }
    }
}
