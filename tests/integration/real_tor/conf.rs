//! The options of a real tor, read and changed, and the round trip of values.

use std::path::Path;

use torcon::command::ConfValue;
use torcon::{Controller, Error};

use super::{controller, reader, refusal};
use crate::support::real_tor::{RealTor, shared};

pub(super) fn set(values: &[&str]) -> ConfValue {
    ConfValue::Set(values.iter().map(|value| (*value).to_owned()).collect())
}

#[track_caller]
pub(super) fn value(controller: &Controller, option: &str) -> ConfValue {
    controller.get_conf([option]).unwrap().get(option).unwrap().clone()
}

// Row `get_conf(*keys)`: a default differs from an empty value at every position (peers 23), and
// repeated keys keep all values.
#[test]
fn default_empty_and_several_values_differ_at_every_position() {
    let tor = RealTor::builder()
        .line("MyFamily")
        .line("ContactInfo me")
        .line("NodeFamily $AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA,$BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB")
        .line("NodeFamily $CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC,$DDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDD")
        .start();
    let controller = controller(&tor);
    let families = [
        "$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA,$BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB",
        "$CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC,$DDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDD",
    ];
    let expected = |option: &str| match option {
        "Nickname" | "Address" | "DNSPort" => ConfValue::Default,
        "ExitNodes" | "ExcludeNodes" => set(&[""]),
        "ContactInfo" => set(&["me"]),
        "SocksPort" => set(&["0"]),
        _ => set(&families),
    };
    let options =
        ["Nickname", "ExitNodes", "ContactInfo", "NodeFamily", "SocksPort", "Address", "DNSPort"];
    // Every option at every position.
    for shift in 0..options.len() {
        let mut asked = options;
        asked.rotate_left(shift);
        let conf = controller.get_conf(asked).unwrap();
        assert_eq!(conf.len(), options.len());
        for (name, value) in &conf {
            assert_eq!(value, &expected(name), "{name} in {asked:?}");
        }
        let order: Vec<_> = conf.iter().map(|(name, _)| name).collect();
        assert_eq!(order, asked, "in tor's order");
    }
    assert!(value(&controller, "Nickname").is_default());
    assert_eq!(value(&controller, "ExitNodes").first(), Some(""));
    assert_eq!(value(&controller, "NodeFamily").values(), families);
    // A tor without a SocksPort line listens on 9050 and shows the option as not set.
    assert_eq!(value(&reader(), "DNSPort"), ConfValue::Default);
}

// Row `get_conf(*keys)`: tor's spelling; errors propagate.
#[test]
fn option_names_ignore_case_and_unknown_ones_are_refused() {
    let controller = reader();
    let conf = controller.get_conf(["socksport", "CONTACTINFO", "socksPort"]).unwrap();
    let names: Vec<_> = conf.iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["SocksPort", "ContactInfo"]);
    assert_eq!(conf.get("sOcKsPoRt"), Some(&set(&["0"])));
    assert_eq!(conf.get("Nickname"), None);

    assert_eq!(
        refusal(controller.get_conf(["SocksPort", "Nope"])),
        "tor refused GETCONF: 552 \"Unrecognized configuration key \\\"Nope\\\"\""
    );
    let error = controller.get_conf(["No1", "SocksPort", "No2"]).unwrap_err();
    let Error::Rejected(rejection) = error else { panic!("{error:?}") };
    let lines: Vec<_> = rejection.lines().iter().map(|line| line.text()).collect();
    assert_eq!(
        lines,
        ["Unrecognized configuration key \"No1\"", "Unrecognized configuration key \"No2\""]
    );
    // tor accepts abbreviations and old names, and answers with another option: `SocksPolicy`,
    // `BandwidthRate`. A lookup by the queried name must not find nothing.
    for short in ["SocksP", "l", "BandwidthRateBytes"] {
        let text = refusal(controller.get_conf([short]));
        let start =
            "cannot read the reply to GETCONF: expected the options by their full current names";
        assert!(text.starts_with(start), "{text}");
    }
    assert!(controller.is_alive());
}

// Row `get_conf_raw`.
#[test]
fn a_raw_reply_is_not_decoded() {
    let tor = RealTor::builder().line("ContactInfo \"caf\\303\\251 # \\\"x\\\"\"").start();
    let controller = controller(&tor);
    let reply = controller.get_conf_raw(["ContactInfo", "Nickname", "SocksPort"]).unwrap();
    let lines: Vec<_> = reply.lines().map(|line| line.text().into_owned()).collect();
    assert_eq!(lines, ["ContactInfo=\"caf\\303\\251 # \\\"x\\\"\"", "Nickname", "SocksPort=0"]);
    assert_eq!(value(&controller, "ContactInfo"), set(&["caf\u{e9} # \"x\""]));
    assert_eq!(
        refusal(controller.get_conf_raw(["Nope"])),
        "tor refused GETCONF: 552 \"Unrecognized configuration key \\\"Nope\\\"\""
    );
}

/// Values that other libraries change on the way.
fn nasty() -> Vec<String> {
    let mut values: Vec<String> = [
        "plain",
        "with blanks in it",
        " leading",
        "trailing ",
        "  ",
        "\t",
        "tab\tinside",
        "say \"hi\"",
        "\"",
        "\"\"",
        "\"quoted whole\"",
        "\"only at the start",
        "only at the end\"",
        "\\",
        "\\\\",
        "back\\slash",
        "ends in backslash\\",
        "\\\"",
        "\\n is no line feed",
        "\\x41\\101",
        "'single'",
        "it's",
        "hash # sign",
        "#",
        "a=b=c",
        "=",
        "a 1",
        "\u{1}1",
        "a\u{1}1\u{7f}7\u{1b}[0m",
        "100% %s %41",
        "caf\u{e9}",
        "\u{e9}",
        "\u{1f9c5} onion \u{202e}",
        "\u{feff}bom",
        "OK",
        "250 OK",
        ".",
        "..",
        "650 BW 1 2",
        "x\" Nickname=\"evil",
        "a,b;c",
        "$HOME `id` $(id)",
        "<a@b.example>",
    ]
    .map(str::to_owned)
    .into();
    values.push("x".repeat(5000));
    values.push("\u{e9}\"\\ ".repeat(1500));
    values.push((1..=126_u8).filter(|b| !b"\r\n".contains(b)).map(char::from).collect());
    values
}

// Row `get_conf(*keys)`: C-quoted values decoded; row `set_conf`: quoted and escaped.
#[test]
fn values_are_read_as_they_were_set() {
    let tor = RealTor::start();
    let controller = controller(&tor);
    for text in nasty() {
        controller.set_conf([("ContactInfo", &text)]).unwrap();
        let conf = controller.get_conf(["Nickname", "ContactInfo", "SocksPort"]).unwrap();
        assert_eq!(conf.get("ContactInfo"), Some(&set(&[&text])), "{text:?}");
        assert_eq!(conf.get("Nickname"), Some(&ConfValue::Default), "{text:?}");
        // A value that was read can be set and is read again.
        controller.reset_conf([("ContactInfo", None::<&str>)]).unwrap();
        assert_eq!(value(&controller, "ContactInfo"), ConfValue::Default);
        controller.set_conf(conf.lines()).unwrap();
        let again = controller.get_conf(["Nickname", "ContactInfo", "SocksPort"]).unwrap();
        assert_eq!(again, conf, "{text:?}");
        // Also by RESETCONF.
        controller.reset_conf([("ContactInfo", "else")]).unwrap();
        controller.reset_conf([("ContactInfo", &text)]).unwrap();
        assert_eq!(value(&controller, "ContactInfo"), set(&[&text]), "{text:?}");
    }
    for (text, problem) in [
        ("a\nSIGNAL HALT", "contains a line feed"),
        ("a\rb", "contains a carriage return"),
        ("a\0b", "contains NUL"),
    ] {
        let expected = format!("invalid argument \"value\": {problem}");
        assert_eq!(refusal(controller.set_conf([("ContactInfo", text)])), expected);
        assert_eq!(refusal(controller.reset_conf([("ContactInfo", text)])), expected);
    }
    // tor requires UTF-8 here, and receives the bytes unchanged.
    let error = controller.set_conf([("ContactInfo", &b"\xff"[..])]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "tor refused SETCONF: 513 \"Unacceptable option value: ContactInfo config option must be \
         UTF-8.\""
    );
    assert_eq!(value(&controller, "Nickname"), ConfValue::Default);
}

// Row `set_conf(name, value, ..)`: all pairs in one command; `OK` or code and message.
#[test]
fn refused_settings_change_nothing_and_report_the_reason() {
    let tor = RealTor::start();
    let controller = controller(&tor);
    let before = controller.get_info_one("config-text").unwrap();
    let refused: [(&str, Option<&str>, u16, &str); 11] = [
        ("foo", Some("bar"), 552, "Unrecognized option: Unknown option 'foo'.  Failing."),
        ("foo", None, 552, "Unrecognized option: Unknown option 'foo'.  Failing."),
        (
            "MaxCircuitDirtiness",
            Some("abc"),
            513,
            "Unacceptable option value: Could not parse MaxCircuitDirtiness: Provided value is \
             malformed or out of bounds: Unable to parse abc as a number",
        ),
        (
            "UseBridges",
            Some("2"),
            513,
            "Unacceptable option value: Could not parse UseBridges: Unrecognized value 2. Allowed \
             values are 0 and 1.",
        ),
        (
            "SocksPort",
            Some("abc"),
            513,
            "Unacceptable option value: Invalid SocksPort configuration",
        ),
        (
            "HiddenServicePort",
            Some("80"),
            513,
            "Unacceptable option value: Failed to configure rendezvous options. See logs for \
             details.",
        ),
        (
            "HiddenServiceOptions",
            Some("x"),
            513,
            "Unacceptable option value: Cannot assign directly to virtual option.",
        ),
        (
            "Log",
            Some("nonsense"),
            513,
            "Unacceptable option value: Failed to validate Log options. See logs for details.",
        ),
        (
            "DataDirectory",
            Some("/tmp"),
            553,
            "Transition not allowed: While Tor is running, changing DataDirectory is not allowed",
        ),
        (
            "Sandbox",
            Some("1"),
            553,
            "Transition not allowed: While Tor is running, changing Sandbox is not allowed",
        ),
        (
            "Log",
            Some("notice file /nonexistent/torcon/log"),
            553,
            "Unable to set option: Failed to init Log options. See logs for details.",
        ),
    ];
    for (option, value, code, text) in refused {
        let error =
            controller.set_conf([("ContactInfo", Some("new")), (option, value)]).unwrap_err();
        let Error::Rejected(rejection) = &error else { panic!("{option}: {error:?}") };
        assert_eq!((rejection.code(), &*rejection.text()), (code, text), "{option}");
        assert_eq!(rejection.command(), "SETCONF");
        let error =
            controller.reset_conf([("ContactInfo", Some("new")), (option, value)]).unwrap_err();
        let Error::Rejected(rejection) = &error else { panic!("{option}: {error:?}") };
        assert_eq!((rejection.code(), &*rejection.text()), (code, text), "{option}");
        assert_eq!(rejection.command(), "RESETCONF");
    }
    assert_eq!(controller.get_info_one("config-text").unwrap(), before);
    assert_eq!(
        refusal(controller.set_conf([("a b", "x")])),
        "invalid argument \"option\": is not a name of letters, digits and underscores"
    );
    assert_eq!(
        refusal(controller.set_conf([("", ""); 0])),
        "invalid argument \"options\": none is given"
    );
}

// Row `set_conf`, row `reset_conf`.
#[test]
fn clearing_differs_from_resetting() {
    let tor = RealTor::start();
    let controller = controller(&tor);
    let dirtiness = "MaxCircuitDirtiness";
    controller.set_conf([(dirtiness, "15 minutes"), ("BandwidthRate", "2 MB")]).unwrap();
    assert_eq!(value(&controller, dirtiness), set(&["900"]), "in tor's units");
    assert_eq!(value(&controller, "BandwidthRate"), set(&["2097152"]));
    controller.set_conf([(dirtiness, None::<&str>)]).unwrap();
    assert_eq!(value(&controller, dirtiness), set(&["10"]), "the least that tor takes");
    controller.reset_conf([(dirtiness, None::<&str>)]).unwrap();
    assert_eq!(value(&controller, dirtiness), set(&["600"]));

    // Lists: exactly the given values in order, or none.
    let log = |path: &str| format!("notice file {}", tor.directory().join(path).display());
    let (a, b, c) = (log("log a"), log("log b"), log("log c"));
    controller.set_conf([("Log", &a), ("Log", &b)]).unwrap();
    assert_eq!(value(&controller, "Log"), set(&[&a, &b]));
    controller.set_conf([("Log", &c), ("Log", &a)]).unwrap();
    assert_eq!(value(&controller, "Log"), set(&[&c, &a]));
    controller.set_conf([("ExitNodes", "{us},{de}")]).unwrap();
    assert_eq!(value(&controller, "ExitNodes"), set(&["{us},{de}"]));
    controller.set_conf([("ExitNodes", "")]).unwrap();
    assert_eq!(value(&controller, "ExitNodes"), set(&[""]));
}

// Peers 30 and 34: all services, every line, in order.
#[test]
fn onion_services_survive_being_read_and_set() {
    let tor = RealTor::start();
    let controller = controller(&tor);
    let first = tor.directory().join("hs one \"q\"");
    let second = tor.directory().join("hs\\two caf\u{e9}");
    let (first, second) = (first.to_str().unwrap(), second.to_str().unwrap());
    assert_eq!(value(&controller, "HiddenServiceOptions"), ConfValue::Default);
    let settings = [
        ("HiddenServiceDir", first),
        ("HiddenServicePort", "80 127.0.0.1:8080"),
        ("HiddenServicePort", "81"),
        ("HiddenServiceDir", second),
        ("HiddenServicePort", "90 unix:/srv/x.sock"),
        ("HiddenServiceMaxStreams", "5"),
    ];
    controller.set_conf(settings).unwrap();
    let conf = controller.get_conf(["HiddenServiceOptions"]).unwrap();
    let lines: Vec<_> = conf
        .lines()
        .map(|(name, value)| (name, std::str::from_utf8(value.unwrap()).unwrap()))
        .collect();
    assert_eq!(lines, settings);
    assert_eq!(conf.get("HiddenServiceDir"), Some(&set(&[first, second])));
    assert!(Path::new(first).join("hostname").exists());
    assert!(Path::new(second).join("hostname").exists());

    // Read, add one, set.
    let third = tor.directory().join("hs three");
    let mut all: Vec<_> =
        conf.lines().map(|(name, value)| (name, value.map(<[u8]>::to_vec))).collect();
    all.push(("HiddenServiceDir", Some(third.to_str().unwrap().into())));
    all.push(("HiddenServicePort", Some(b"70".to_vec())));
    controller.set_conf(all.clone()).unwrap();
    let again = controller.get_conf(["HiddenServiceOptions"]).unwrap();
    let again: Vec<_> =
        again.lines().map(|(name, value)| (name.to_owned(), value.map(<[u8]>::to_vec))).collect();
    let expected: Vec<_> = all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    assert_eq!(again, expected);

    // Options of all services together belong to no single service, and are read separately.
    let conf = controller.get_conf(["HiddenServiceOptions", "HiddenServiceStatistics"]).unwrap();
    assert_eq!(conf.get("HiddenServiceStatistics"), Some(&set(&["1"])));
    assert_eq!(conf.lines().count(), 9);

    controller.set_conf([("HiddenServiceDir", None::<&str>)]).unwrap();
    assert_eq!(value(&controller, "HiddenServiceOptions"), ConfValue::Default);
}

// Round trip: every value of tor can be set after it was read.
#[test]
fn the_whole_configuration_can_be_read_and_set_again() {
    let tor = RealTor::builder()
        .control_port()
        .line("Nickname torcon1")
        .line("ContactInfo \"caf\\303\\251 <a at b> # \\\"q\\\"\"")
        .line("ExitNodes {us},{de}, $AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
        .line("ExcludeNodes 10.0.0.0/8,{??}")
        .line("NodeFamily $CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC,$DDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDD")
        .line("MapAddress a.example b.example")
        .line("MapAddress *.c.example *.d.example")
        .line("ReachableAddresses accept *:443, reject *:*")
        .line("BandwidthRate 20 MB")
        .line("BandwidthBurst 30 MB")
        .line("MaxCircuitDirtiness 15 minutes")
        .line("CircuitStreamTimeout 77")
        .line("LearnCircuitBuildTimeout 0")
        .line("SocksPolicy accept 127.0.0.1")
        .line("SocksPolicy reject *")
        .line("LongLivedPorts 22,80,443")
        .line("SafeLogging relay")
        .line("GeoIPExcludeUnknown auto")
        .line("PathBiasCircThreshold 20")
        .start();
    let controller = controller(&tor);
    let names = controller.config_names().unwrap();
    let (mut plain, mut virtual_ones) = (Vec::new(), Vec::new());
    for (name, kind) in &names {
        let list = if kind == "Virtual" { &mut virtual_ones } else { &mut plain };
        list.push(name.as_str());
    }
    assert!(plain.len() > 350 && virtual_ones.len() == 11, "{names:?}");
    // Each alone, and all in one command.
    let everything = controller.get_conf(plain.iter()).unwrap();
    assert_eq!(everything.len(), plain.len());
    for name in &plain {
        let alone = controller.get_conf([name]).unwrap();
        assert_eq!(alone.get(name), everything.get(name), "{name}");
        assert_eq!(alone.iter().count(), 1, "{name}");
    }
    for name in &virtual_ones {
        let lines = controller.get_conf([name]).unwrap();
        assert!(!lines.is_empty(), "{name}");
    }
    let set_options =
        everything.iter().filter(|(_, value)| matches!(value, ConfValue::Set(_))).count();
    assert!(set_options > 250, "{set_options}");

    // One SETCONF of all set options.
    let settings = || everything.lines().filter(|(_, value)| value.is_some());
    controller.set_conf(settings()).unwrap();
    assert_eq!(controller.get_conf(plain.iter()).unwrap(), everything);
    // One SETCONF of all options: clearing an unset option changes nothing.
    controller.set_conf(everything.lines()).unwrap();
    assert_eq!(controller.get_conf(plain.iter()).unwrap(), everything);
    // One command for each.
    for (name, _) in everything.iter().filter(|(_, value)| !value.is_default()) {
        let own = everything.lines().filter(|(other, _)| *other == name);
        controller.set_conf(own).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    assert_eq!(controller.get_conf(plain.iter()).unwrap(), everything);
}

// No test changes the shared tor.
#[test]
fn the_shared_tor_has_the_options_of_its_torrc() {
    let conf = reader().get_conf(["CookieAuthFile", "DisableNetwork"]).unwrap();
    let path = shared().cookie_path();
    assert_eq!(conf.get("CookieAuthFile"), Some(&set(&[path.to_str().unwrap()])));
    assert_eq!(conf.get("DisableNetwork"), Some(&set(&["1"])));
}
