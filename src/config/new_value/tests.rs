use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use super::NewValue;
use crate::config::schema::Schema;
use crate::config::value::{OptionValue, OrAuto};

/// Returns the lines of a value for an option, or the text of the error.
fn lines(name: &str, value: impl Into<NewValue>) -> Result<Vec<String>, String> {
    let option = Schema::known().option(name).unwrap();
    match value.into().into_lines(&option) {
        Ok(lines) => Ok(lines
            .unwrap_or_else(|| vec![b"(default)".to_vec()])
            .into_iter()
            .map(|line| String::from_utf8_lossy(&line).into_owned())
            .collect()),
        Err(error) => Err(error.to_string()),
    }
}

#[track_caller]
fn assert_lines(name: &str, value: impl Into<NewValue>, expected: &[&str]) {
    assert_eq!(lines(name, value).unwrap(), expected, "{name}");
}

#[track_caller]
fn assert_refused(name: &str, value: impl Into<NewValue>, problem: &str) {
    let expected = format!("invalid argument \"{name}\": {problem}");
    assert_eq!(lines(name, value).unwrap_err(), expected);
}

#[test]
fn each_type_accepts_its_values() {
    assert_lines("UseBridges", true, &["1"]);
    assert_lines("GeoIPExcludeUnknown", false, &["0"]);
    assert_lines("GeoIPExcludeUnknown", OrAuto::<bool>::Auto, &["auto"]);
    assert_lines("NumCPUs", 4_u8, &["4"]);
    assert_lines("NumCPUs", 4_usize, &["4"]);
    assert_lines("PathBiasScaleThreshold", -1, &["-1"]);
    assert_lines("BandwidthRate", 2_u64 << 40, &["2199023255552"]);
    assert_lines("MaxCircuitDirtiness", Duration::from_secs(300), &["300"]);
    assert_lines("KISTSchedRunInterval", Duration::from_millis(15), &["15"]);
    assert_lines("CircuitPriorityHalflife", -100.5, &["-100.5"]);
    assert_lines("CircuitPriorityHalflife", 3, &["3"]);
    assert_lines("ContactInfo", "caf\u{e9} \"x\"", &["caf\u{e9} \"x\""]);
    assert_lines("GeoIPFile", Path::new("/a b"), &["/a b"]);
    assert_lines("ExitNodes", ["{us}", "{de}"], &["{us},{de}"]);
    assert_lines("LongLivedPorts", vec!["22".to_owned()], &["22"]);
    assert_lines("Log", ["notice stdout", "warn file /x"], &["notice stdout", "warn file /x"]);
    assert_lines("SocksPort", 9050, &["9050"]);
    assert_lines("SocksPort", OrAuto::<u16>::Auto, &["auto"]);
    assert_lines("SocksPort", OrAuto::Value(9050_u16), &["9050"]);
    assert_lines("SocksPort", "unix:/x", &["unix:/x"]);
    // Only tor checks a text.
    assert_lines("MaxCircuitDirtiness", "15 minutes", &["15 minutes"]);
    assert_lines("UseBridges", "", &[""]);
    // An empty list is one empty line, which clears the option.
    assert_lines("ExitNodes", [""; 0], &[""]);
    assert_lines("Log", Vec::<String>::new(), &[""]);
    // An unrecognized type accepts everything.
    assert_lines("Novelty", true, &["1"]);
    assert_lines("Novelty", OrAuto::<bool>::Auto, &["auto"]);
    assert_lines("Novelty", 0.5, &["0.5"]);
    assert_lines("Novelty", Duration::from_secs(7), &["7"]);
    assert_lines("Novelty", ["a,b", "c"], &["a,b", "c"]);
    let bytes = NewValue::from(OsStr::from_bytes(b"\xff"));
    let option = Schema::known().option("Nickname").unwrap();
    assert_eq!(bytes.into_lines(&option).unwrap(), Some(vec![b"\xff".to_vec()]));
}

#[test]
fn a_value_of_another_type_is_refused_with_both_types() {
    assert_refused("UseBridges", 1, "is of the type Boolean and does not accept an integer");
    assert_refused(
        "UseBridges",
        OrAuto::<bool>::Auto,
        "is of the type Boolean and does not accept \"auto\"",
    );
    assert_refused("NumCPUs", true, "is of the type Integer and does not accept a boolean");
    assert_refused("NumCPUs", -1, "is of the type Integer and cannot be negative");
    assert_refused("NumCPUs", 0.5, "is of the type Integer and does not accept a float");
    assert_refused(
        "MaxCircuitDirtiness",
        300,
        "is of the type TimeInterval and does not accept an integer: give a Duration, or a text \
         with a unit such as \"10 minutes\"",
    );
    let (millisecond, nanosecond) = (Duration::from_millis(1), Duration::from_nanos(1));
    assert_refused("MaxCircuitDirtiness", millisecond, "must be in whole seconds");
    assert_refused("KISTSchedRunInterval", nanosecond, "must be in whole milliseconds");
    assert_refused("BandwidthRate", -1, "is of the type DataSize and cannot be negative");
    assert_refused("CircuitPriorityHalflife", f64::NAN, "must be a finite number");
    assert_refused("CircuitPriorityHalflife", f64::INFINITY, "must be a finite number");
    assert_refused("ContactInfo", 5, "is of the type String and does not accept an integer");
    assert_refused("ContactInfo", ["a", "b"], "is not a list");
    assert_refused("ExitNodes", ["a,b"], "cannot have a comma in an entry");
    assert_refused("ExitNodes", ["a", ""], "cannot have an empty entry");
    assert_refused("Log", [""], "cannot have an empty entry");
    assert_refused("Log", true, "is of the type LineList and does not accept a boolean");
    for (text, problem) in [
        ("a\nb", "contains a line feed"),
        ("a\rb", "contains a carriage return"),
        ("a\0b", "contains NUL"),
    ] {
        assert_refused("ContactInfo", text, problem);
        assert_refused("Log", ["x", text], problem);
        assert_refused("Novelty", text, problem);
    }
}

#[test]
fn an_option_value_is_accepted_by_options_of_its_type() {
    let value = OptionValue::new(
        &Schema::known().option("Log").unwrap(),
        Some(vec![b"a".to_vec(), b"b".to_vec()]),
    );
    assert_lines("Log", &value, &["a", "b"]);
    assert_lines("MapAddress", value.clone(), &["a", "b"]);
    assert_lines(
        "Log",
        OptionValue::new(&Schema::known().option("Log").unwrap(), None),
        &["(default)"],
    );
    let problem = "is of the type String and does not accept a value of another type";
    assert_refused("ContactInfo", value, problem);
}

#[test]
fn an_entry_is_exactly_one_entry() {
    let entry = |name: &str, value: NewValue| {
        let option = Schema::known().option(name).unwrap();
        let entry = value.into_entry(&option).map_err(|error| error.to_string());
        entry.map(|entry| String::from_utf8(entry).unwrap())
    };
    assert_eq!(entry("Log", "a, b".into()).unwrap(), "a, b");
    assert_eq!(entry("ExitNodes", "{us}".into()).unwrap(), "{us}");
    assert_eq!(entry("SocksPort", 9050.into()).unwrap(), "9050");
    let refused = |name, value, problem: &str| {
        let expected = format!("invalid argument \"{name}\": {problem}");
        assert_eq!(entry(name, value).unwrap_err(), expected);
    };
    refused("Log", ["a", "b"].into(), "needs exactly one entry");
    refused("Log", "".into(), "cannot have an empty entry");
    refused("ExitNodes", "{us},{de}".into(), "cannot have a comma in an entry");
}

#[test]
fn debug_shows_no_value() {
    let option = Schema::known().option("Log").unwrap();
    let value = OptionValue::new(&option, Some(vec![b"secret".to_vec()]));
    assert_eq!(format!("{:?}", NewValue::from(value)), "NewValue(a value of another type)");
    assert_eq!(format!("{:?}", NewValue::from("secret")), "NewValue(a text)");
    assert_eq!(format!("{:?}", NewValue::from(["secret"])), "NewValue(a list)");
}
