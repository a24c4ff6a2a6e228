//! Text for the terminal: characters that do not print, numbers of bytes, times.

use std::fmt::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The longest text that is kept of one line of tor.
const MAX_CHARS: usize = 1000;

/// Returns the text with every character escaped that does not print.
///
/// Names, targets and messages can be chosen by relays and servers, and a control character, or one
/// that changes the direction of writing, would act on the terminal. Long texts are cut.
pub(crate) fn printable(text: impl AsRef<str>) -> String {
    let mut result = String::new();
    for (index, letter) in text.as_ref().chars().enumerate() {
        if index == MAX_CHARS {
            result.push('…');
            break;
        }
        if is_harmless(letter) {
            result.push(letter);
        } else {
            result.extend(letter.escape_default());
        }
    }
    result
}

/// Returns whether a character prints and does not change how others are shown.
fn is_harmless(letter: char) -> bool {
    let is_format = matches!(letter,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e000}'..='\u{f8ff}'
        | '\u{e0000}'..='\u{e0fff}');
    !letter.is_control() && !is_format
}

/// Returns a number of bytes with three digits, such as `1.25 MB`.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if count < 1000 {
        return format!("{count} B");
    }
    // The count in thousandths of the unit.
    let mut thousandths = u128::from(count);
    for unit in UNITS {
        if thousandths < 999_500 || unit == "EB" {
            return match thousandths {
                0..9_995 => format!(
                    "{}.{:02} {unit}",
                    whole(thousandths, 10) / 100,
                    whole(thousandths, 10) % 100
                ),
                9_995..99_950 => format!(
                    "{}.{} {unit}",
                    whole(thousandths, 100) / 10,
                    whole(thousandths, 100) % 10
                ),
                _ => format!("{} {unit}", whole(thousandths, 1000)),
            };
        }
        thousandths /= 1000;
    }
    format!("{count} B")
}

/// Divides and rounds to the nearest.
fn whole(number: u128, by: u128) -> u128 {
    (number + by / 2) / by
}

/// Returns a duration as `3:07`, `1:03:07` or `2d 01:03:07`.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
    let (minutes, seconds) = (seconds / 60 % 60, seconds % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes}:{seconds:02}"),
        (0, _) => format!("{hours}:{minutes:02}:{seconds:02}"),
        _ => format!("{days}d {hours:02}:{minutes:02}:{seconds:02}"),
    }
}

/// Returns the time of day in UTC, as `12:03:07`.
pub(crate) fn clock(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() % 86_400;
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write!(text, "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    text
}

/// Returns a count with its noun, such as `1 circuit` or `2 circuits`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::{bytes, clock, duration, printable};

    #[test]
    fn characters_that_do_not_print_are_escaped() {
        assert_eq!(printable("relay1 über 日本"), "relay1 über 日本");
        assert_eq!(printable("a\x1b[2J\r\n\0\u{9b}1m"), r"a\u{1b}[2J\r\n\u{0}\u{9b}1m");
        assert_eq!(printable("\u{202e}evil\u{200b}"), r"\u{202e}evil\u{200b}");
        assert_eq!(printable("x".repeat(2000)).chars().count(), 1001);
    }

    #[test]
    fn bytes_have_three_digits() {
        let cases = [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.00 kB"),
            (9_994, "9.99 kB"),
            (9_995, "10.0 kB"),
            (99_949, "99.9 kB"),
            (99_950, "100 kB"),
            (999_499, "999 kB"),
            (999_500, "1.00 MB"),
            (12_345_678, "12.3 MB"),
            (u64::MAX, "18.4 EB"),
        ];
        for (count, text) in cases {
            assert_eq!(bytes(count), text, "{count}");
        }
    }

    #[test]
    fn times_are_short() {
        let at = Duration::from_secs;
        assert_eq!(duration(at(7)), "0:07");
        assert_eq!(duration(at(3_787)), "1:03:07");
        assert_eq!(duration(at(176_587)), "2d 01:03:07");
        assert_eq!(clock(UNIX_EPOCH + at(86_400 + 43_387)), "12:03:07");
    }
}
