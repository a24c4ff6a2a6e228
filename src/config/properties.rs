//! Properties of the values of options, for any text.
//!
//! The fuzz targets and the unit tests check them.
#![allow(clippy::panic, reason = "a property panics where it does not hold")]

use super::port_line::{parse_port, port_value};
use super::schema::{OptionType, TorOption};
use super::torrc::parse_config_text;
use super::units::{parse_bytes, parse_milliseconds, parse_seconds};
use super::value::OptionValue;

/// Checks that a port line is the same after writing it, and that the readings of a value agree.
pub(crate) fn values(text: &[u8]) {
    if let Some(port) = parse_port(text) {
        assert_eq!(parse_port(&port_value(&port)), Some(port), "{}", text.escape_ascii());
    }
    let lines = parse_config_text(text);
    assert!(lines.iter().all(|(name, _)| !name.is_empty() && !name.contains(' ')));
    let option = TorOption { name: "X".into(), kind: OptionType::from(""), group: "X".into() };
    let value = OptionValue::new(&option, Some(vec![text.to_vec()]));
    let _ = (value.to_bool(), value.to_auto_bool(), value.to_float(), value.to_port());
    let _ = (value.to_duration(), value.to_bytes(), value.entries(), value.to_string());
    let number = value.to_integer::<u64>();
    let Ok(text) = std::str::from_utf8(text) else { return };
    if let Ok(Some(number)) = number {
        assert_eq!(value.to_integer::<i128>().ok().flatten(), Some(number.into()), "{text:?}");
    }
    // A time without a unit has other factors; seconds are a thousand times as long.
    let has_unit = text.bytes().any(|byte| byte.is_ascii_alphabetic());
    if let (Some(time), Some(milliseconds), true) =
        (parse_seconds(text), parse_milliseconds(text), has_unit)
    {
        assert_eq!(milliseconds / 1000, time, "{text:?}");
    }
    let _ = parse_bytes(text);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    /// Parts of values.
    const PIECES: &[&str] = &[
        "0",
        "1",
        "80",
        "65536",
        "4294967296",
        ".",
        "5",
        "+",
        "-",
        " ",
        "\t",
        "\n",
        "\"",
        "\\",
        "auto",
        "unix:",
        "/a b",
        "127.0.0.1",
        "[::1]",
        ":",
        "localhost",
        " KB",
        " seconds",
        "msec",
        " minutes",
        " weeks",
        "months",
        "GBits",
        "#",
        ",",
        "\u{e9}",
        "ContactInfo ",
    ];

    proptest! {
        #[test]
        fn values_are_the_same_after_writing_them(
            pieces in prop::collection::vec(prop::sample::select(PIECES), 0..8),
        ) {
            super::values(pieces.concat().as_bytes());
        }
    }
}
