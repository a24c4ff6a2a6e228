//! Numbers with units, as tor reads them in texts: `2 MB`, `15 minutes`, `500 msec`.

/// Reads a time in seconds.
pub(super) fn read_seconds(text: &str) -> Option<u64> {
    let (number, unit) = split(text);
    scaled(number, seconds(&unit)?, 1)
}

/// Reads a time in milliseconds; without a unit it is in milliseconds too.
pub(super) fn read_milliseconds(text: &str) -> Option<u64> {
    let (number, unit) = split(text);
    let factor = match &*unit {
        "" | "msec" | "millisecond" | "milliseconds" => 1,
        unit => seconds(unit)?.checked_mul(1000)?,
    };
    scaled(number, factor, 1)
}

/// Reads a number of bytes. Multiples are of 1024, and eight bits are a byte.
pub(super) fn read_bytes(text: &str) -> Option<u64> {
    let (number, unit) = split(text);
    let singular = if unit.len() > 2 { unit.strip_suffix('s').unwrap_or(&unit) } else { &*unit };
    let (power, divisor) = match singular {
        "" | "b" | "byte" => (0, 1),
        "kb" | "kbyte" | "kilobyte" => (1, 1),
        "m" | "mb" | "mbyte" | "megabyte" => (2, 1),
        "gb" | "gbyte" | "gigabyte" => (3, 1),
        "tb" | "tbyte" | "terabyte" => (4, 1),
        "bit" => (0, 8),
        "kbit" | "kilobit" => (1, 8),
        "mbit" | "megabit" => (2, 8),
        "gbit" | "gigabit" => (3, 8),
        "tbit" | "terabit" => (4, 8),
        _ => return None,
    };
    scaled(number, 1024_u64.pow(power), divisor)
}

fn seconds(unit: &str) -> Option<u64> {
    let singular = if unit.len() > 1 { unit.strip_suffix('s').unwrap_or(unit) } else { unit };
    match singular {
        "" | "second" => Some(1),
        "minute" => Some(60),
        "hour" => Some(60 * 60),
        "day" => Some(24 * 60 * 60),
        "week" => Some(7 * 24 * 60 * 60),
        // As tor has it.
        "month" => Some(30 * 24 * 60 * 60),
        _ => None,
    }
}

/// Divides a text into its number and its unit in lower case.
fn split(text: &str) -> (&str, String) {
    let text = text.trim();
    let is_digit = |letter: char| letter.is_ascii_digit() || letter == '.';
    let end = text.find(|letter| !is_digit(letter)).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end).unwrap_or((text, ""));
    (number, unit.trim().to_ascii_lowercase())
}

/// Multiplies a number, perhaps with a fraction, which is cut off after that.
fn scaled(number: &str, factor: u64, divisor: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || fraction.len() > 9 {
        return None;
    }
    let places = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let fraction: u128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let number = u128::from(whole.parse::<u64>().ok()?) * places + fraction;
    u64::try_from(number.checked_mul(factor.into())? / places / u128::from(divisor)).ok()
}

#[cfg(test)]
mod tests {
    use super::{read_bytes, read_milliseconds, read_seconds};

    #[test]
    fn times_have_the_units_of_tor() {
        for (text, seconds) in [
            ("0", Some(0)),
            ("600", Some(600)),
            ("15 minutes", Some(900)),
            ("1 Minute", Some(60)),
            ("2hours", Some(7200)),
            ("1.5 days", Some(129_600)),
            ("1 week", Some(604_800)),
            ("1 month", Some(2_592_000)),
            ("12 parsecs", None),
            ("", None),
            ("-1", None),
            ("1 s", None),
            ("99999999999999999999", None),
            ("18446744073709551615 weeks", None),
        ] {
            assert_eq!(read_seconds(text), seconds, "{text}");
        }
        assert_eq!(read_milliseconds("1500"), Some(1500));
        assert_eq!(read_milliseconds("500 msec"), Some(500));
        assert_eq!(read_milliseconds("2 seconds"), Some(2000));
        assert_eq!(read_seconds("500 msec"), None);
    }

    #[test]
    fn sizes_have_the_units_of_tor() {
        for (text, bytes) in [
            ("0", Some(0)),
            ("1 b", Some(1)),
            ("2 MB", Some(2 << 20)),
            ("2 m", Some(2 << 20)),
            ("1 KBytes", Some(1024)),
            ("1.5 gigabytes", Some(3 << 29)),
            ("1 TB", Some(1 << 40)),
            ("8 kbits", Some(1024)),
            ("1 furlong", None),
            ("1.2.3", None),
        ] {
            assert_eq!(read_bytes(text), bytes, "{text}");
        }
    }
}
