//! The configuration of a real tor: every option is read, set and saved by its type.

use std::path::{Path, PathBuf};
use std::time::Duration;

use torcon::config::{Config, NewValue, OptionType, OrAuto};
use torcon::process::Ready;
use torcon::{Launcher, Tor};

use super::{controller, refusal};
use crate::support::real_tor::{RealTor, shared};
use crate::support::recording_proxy::RecordingProxy;

/// Returns the configuration of a tor, over a new connection.
#[track_caller]
pub(super) fn config(tor: &RealTor) -> Config {
    Config::new(&controller(tor))
}

/// Returns a configuration and the recording proxy on its connection.
#[track_caller]
pub(super) fn tapped(tor: &RealTor) -> (RecordingProxy, Config) {
    let tap = RecordingProxy::before(tor.address());
    let config = Config::new(&torcon::connect(tap.endpoint()).unwrap());
    (tap, config)
}

/// Returns the commands that were sent on the connection.
pub(super) fn commands(tap: &RecordingProxy) -> Vec<String> {
    let sent = tap.sent().into_iter();
    sent.skip_while(|line| !line.starts_with("AUTHENTICATE")).skip(1).collect()
}

#[test]
fn nothing_is_sent_before_it_is_needed_and_each_option_is_read_once() {
    // txtorcon sends 355 GETCONFs.
    let tor = RealTor::start();
    let (tap, config) = tapped(&tor);
    assert_eq!(commands(&tap), [""; 0]);
    for _ in 0..3 {
        assert_eq!(config.get("NumCPUs").unwrap().to_integer().unwrap(), Some(0));
        assert_eq!(config.get("usebridges").unwrap().to_bool().unwrap(), Some(false));
    }
    config.load(["NumCPUs", "Nickname", "SocksPort", "__SocksPort"]).unwrap();
    assert_eq!(config.get("Nickname").unwrap().text(), None);
    assert_eq!(config.get("SocksPort").unwrap().to_port().unwrap(), Some(OrAuto::Value(0)));
    assert_eq!(config.onion_services().unwrap(), []);
    assert_eq!(
        commands(&tap),
        [
            "SETEVENTS CONF_CHANGED",
            "GETINFO config/names",
            "GETCONF NumCPUs",
            "GETCONF UseBridges",
            "GETCONF Nickname SocksPortLines",
            "GETCONF HiddenServiceOptions",
        ]
    );
    config.default_value("NumCPUs").unwrap();
    config.default_value("Nickname").unwrap();
    assert_eq!(commands(&tap)[6..], ["GETINFO config/defaults"]);
    config.load_all().unwrap();
    for (name, kind) in config.options().unwrap() {
        if kind != OptionType::Virtual {
            config.get(&name).unwrap();
        }
    }
    let sent = commands(&tap);
    assert_eq!(sent.len(), 8);
    assert!(sent[7].starts_with("GETCONF ") && !sent[7].contains(" NumCPUs "), "{}", sent[7]);
    // The subscription ends with the configuration.
    let all = config.clone();
    drop(config);
    assert_eq!(commands(&tap).len(), 8);
    drop(all);
}

#[test]
fn every_option_has_a_recognized_type() {
    let live = Config::new(&torcon::connect(shared().endpoint()).unwrap());
    let options = live.options().unwrap();
    assert!(options.len() > 350, "{}", options.len());
    let offline = Config::offline();
    for (name, kind) in &options {
        assert!(kind.is_recognized(), "{name} is of the type {kind}");
        // Options of both have the same type; another version of tor may have others.
        let known = offline.option_type(name).unwrap();
        assert!(!known.is_recognized() || known == *kind, "{name} is {kind} and not {known}");
    }
    let missing = offline.options().unwrap().into_iter().filter(|known| !options.contains(known));
    assert!(missing.count() < 50);
    for kind in ["Boolean", "Boolean+Auto", "CommaList", "DataSize", "Dependent", "Filename"] {
        let kind = OptionType::from(kind);
        assert!(options.iter().any(|(_, other)| *other == kind), "{kind}");
    }
}

/// Values of every type, and the values that tor returns.
fn settings(directory: &Path) -> Vec<(&'static str, NewValue, Vec<String>)> {
    let path = directory.join("geo ip \"q\"");
    let path_text = path.to_str().unwrap().to_owned();
    let one = |text: &str| vec![text.to_owned()];
    vec![
        ("ConnectionPadding", true.into(), one("1")),
        ("ConnectionPadding", OrAuto::<bool>::Auto.into(), one("auto")),
        ("ClientOnly", true.into(), one("1")),
        ("ClientOnly", false.into(), one("0")),
        ("NumCPUs", 3_u32.into(), one("3")),
        ("PathBiasScaleThreshold", 250.into(), one("250")),
        ("PathBiasCircThreshold", (-1).into(), one("-1")),
        ("BandwidthRate", (3_u64 << 20).into(), one("3145728")),
        ("BandwidthRate", "2 MB".into(), one("2097152")),
        ("MaxCircuitDirtiness", Duration::from_secs(900).into(), one("900")),
        ("MaxCircuitDirtiness", "20 minutes".into(), one("1200")),
        ("KISTSchedRunInterval", Duration::from_millis(15).into(), one("15")),
        ("PathsNeededToBuildCircuits", 0.75.into(), one("0.750000")),
        ("CircuitPriorityHalflife", (-100.5).into(), one("-100.500000")),
        ("ContactInfo", "caf\u{e9} # \"q\" \\".into(), one("caf\u{e9} # \"q\" \\")),
        ("GeoIPFile", path.into(), vec![path_text]),
        ("LongLivedPorts", ["22", "80"].into(), one("22,80")),
        (
            "ExitNodes",
            ["{us}", "$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"].into(),
            one("{us},$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        ),
        (
            "MapAddress",
            ["a.example b.example", "c.example d.example"].into(),
            vec!["a.example b.example".into(), "c.example d.example".into()],
        ),
        ("SocksPort", OrAuto::<u16>::Auto.into(), one("auto")),
        ("SocksPort", 9999.into(), one("9999")),
        (
            "SocksPort",
            ["9998 IsolateDestAddr", "unix:/x"].into(),
            vec!["9998 IsolateDestAddr".into(), "unix:/x".into()],
        ),
    ]
}

#[test]
fn each_type_is_set_saved_and_read_back() {
    let tor = RealTor::start();
    let (config, other) = (config(&tor), config(&tor));
    for (name, value, expected) in settings(tor.directory()) {
        let before = config.get(name).unwrap();
        config.set(name, value.clone()).unwrap();
        assert_eq!(config.in_force(name).unwrap(), before, "{name} is not saved yet");
        config.save().unwrap_or_else(|error| panic!("{name} {value:?}: {error:?}"));
        assert!(config.pending().is_empty());
        // On this connection, and on a new one.
        let fresh = Config::new(&controller(&tor));
        for config in [&config, &fresh] {
            let value = config.get(name).unwrap();
            let lines: Vec<_> = value.lines().map(String::from_utf8_lossy).collect();
            assert_eq!(lines, expected, "{name}");
            assert_eq!(config.in_force(name).unwrap(), value);
        }
    }
    assert_eq!(other.get("ConnectionPadding").unwrap().to_auto_bool().unwrap(), Some(OrAuto::Auto));
    assert_eq!(other.get("ClientOnly").unwrap().to_bool().unwrap(), Some(false));
    assert_eq!(other.get("PathBiasCircThreshold").unwrap().to_integer().unwrap(), Some(-1_i8));
    assert_eq!(other.get("BandwidthRate").unwrap().to_bytes().unwrap(), Some(2 << 20));
    let dirtiness = Some(Duration::from_secs(1200));
    assert_eq!(other.get("MaxCircuitDirtiness").unwrap().to_duration().unwrap(), dirtiness);
    let interval = Some(Duration::from_millis(15));
    assert_eq!(other.get("KISTSchedRunInterval").unwrap().to_duration().unwrap(), interval);
    assert_eq!(other.get("CircuitPriorityHalflife").unwrap().to_float().unwrap(), Some(-100.5));
    assert_eq!(
        other.get("ContactInfo").unwrap().text().unwrap().into_owned(),
        "caf\u{e9} # \"q\" \\"
    );
    assert_eq!(other.get("LongLivedPorts").unwrap().entries().unwrap(), ["22", "80"]);
    assert_eq!(other.get("MapAddress").unwrap().entries().unwrap().len(), 2);
    assert_eq!(other.get("SocksPort").unwrap().to_port().unwrap(), Some(OrAuto::Value(9998)));
    // Resets all of them in one save.
    for (name, _, _) in settings(tor.directory()) {
        config.reset(name).unwrap();
    }
    config.save().unwrap();
    for (name, _, _) in settings(tor.directory()) {
        let default = config.default_value(name).unwrap();
        let value = config.get(name).unwrap();
        match value.option_type() {
            OptionType::DataSize => {
                assert_eq!(value.to_bytes().unwrap(), default.to_bytes().unwrap(), "{name}");
            }
            OptionType::TimeInterval | OptionType::TimeMsecInterval => {
                assert_eq!(value.to_duration().unwrap(), default.to_duration().unwrap(), "{name}");
            }
            OptionType::Float => {
                assert_eq!(value.to_float().unwrap(), default.to_float().unwrap(), "{name}");
            }
            _ => assert_eq!(value, default, "{name}"),
        }
    }
}

#[test]
fn units_are_parsed_as_tor_parses_them() {
    let tor = RealTor::start();
    let config = config(&tor);
    for text in [
        "600",
        "90 seconds",
        "11 second",
        "15 minutes",
        "2 hours",
        "1 day",
        "1 week",
        "1.5 days",
        "1.5 hours",
        "3 MINUTES",
        "10hours",
    ] {
        config.set("MaxCircuitDirtiness", text).unwrap();
        let pending = config.get("MaxCircuitDirtiness").unwrap().to_duration().unwrap();
        config.save().unwrap_or_else(|error| panic!("{text}: {error:?}"));
        assert_eq!(
            config.get("MaxCircuitDirtiness").unwrap().to_duration().unwrap(),
            pending,
            "{text}"
        );
    }
    for text in ["20", "20 msec", "30 milliseconds", "0.05 seconds"] {
        config.set("KISTSchedRunInterval", text).unwrap();
        let pending = config.get("KISTSchedRunInterval").unwrap().to_duration().unwrap();
        config.save().unwrap_or_else(|error| panic!("{text}: {error:?}"));
        assert_eq!(
            config.get("KISTSchedRunInterval").unwrap().to_duration().unwrap(),
            pending,
            "{text}"
        );
    }
    for text in [
        "100000",
        "100000 b",
        "100000 bytes",
        "100 KB",
        "100 kbytes",
        "1 m",
        "1 MB",
        "2 mbyte",
        "1.5 megabytes",
        "800 kbits",
        "8 mbit",
        "8 megabits",
        "1 GB",
        "1 gbits",
        "1 gigabyte",
    ] {
        config.set("PerConnBWRate", text).unwrap();
        let pending = config.get("PerConnBWRate").unwrap().to_bytes().unwrap();
        config.save().unwrap_or_else(|error| panic!("{text}: {error:?}"));
        assert_eq!(config.get("PerConnBWRate").unwrap().to_bytes().unwrap(), pending, "{text}");
    }
}

/// Returns a tor with options of every type in its configuration.
fn rich_tor() -> RealTor {
    RealTor::builder()
        .control_port()
        .line("Nickname torcon1")
        .line("ContactInfo \"caf\\303\\251 <a at b> # \\\"q\\\"\"")
        .line("ExitNodes {us},{de}, $AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
        .line("MapAddress a.example b.example")
        .line("MapAddress *.c.example *.d.example")
        .line("BandwidthRate 20 MB")
        .line("BandwidthBurst 30 MB")
        .line("MaxCircuitDirtiness 15 minutes")
        .line("LearnCircuitBuildTimeout 0")
        .line("SocksPolicy accept 127.0.0.1")
        .line("SocksPolicy reject *")
        .line("LongLivedPorts 22,80,443")
        .line("PathBiasCircThreshold 20")
        .line("DNSPort auto")
        .start()
}

/// Returns the names of the options that can be set alone.
fn settable(config: &Config) -> Vec<String> {
    let options = config.options().unwrap().into_iter();
    let is_settable = |name: &str, kind: &OptionType| {
        *kind != OptionType::Virtual
            && !(*kind == OptionType::Dependent && name.starts_with("HiddenService"))
    };
    options.filter(|(name, kind)| is_settable(name, kind)).map(|(name, _)| name).collect()
}

#[test]
fn the_value_of_every_option_can_be_set_again() {
    let tor = rich_tor();
    let before = config(&tor);
    before.load_all().unwrap();
    let names = settable(&before);
    assert!(names.len() > 340, "{}", names.len());
    let value = |name: &String| before.get(name).unwrap();
    let text = before.to_torrc().unwrap();

    // All set options in one save.
    let (tap, all) = tapped(&tor);
    for name in names.iter().filter(|name| value(name).is_set()) {
        all.set(name, value(name)).unwrap();
    }
    all.save().unwrap();
    let sent = commands(&tap);
    let setconf: Vec<_> = sent.iter().filter(|line| line.starts_with("SETCONF ")).collect();
    assert_eq!(setconf.len(), 1);
    for name in &names {
        let line = setconf[0].contains(&format!(" {name}="));
        let is_set = value(name).is_set() && !value(name).is_empty();
        assert!(line || !is_set || name.ends_with("Port"), "{name} was not sent");
    }

    // Each option alone, set or not.
    let fresh = controller(&tor);
    for name in &names {
        let one = Config::new(&fresh);
        one.set(name, value(name)).unwrap();
        one.save().unwrap_or_else(|error| panic!("{name}: {error:?}"));
    }

    let after = config(&tor);
    after.load_all().unwrap();
    for name in &names {
        assert_eq!(after.get(name).unwrap(), value(name), "{name}");
    }
    assert_eq!(after.to_torrc().unwrap(), text);
}

#[test]
fn every_option_can_be_read_as_its_type() {
    let tor = rich_tor();
    let config = config(&tor);
    config.load_all().unwrap();
    for (name, kind) in config.options().unwrap() {
        let is_set = match kind {
            OptionType::Boolean => config.get(&name).unwrap().to_bool().unwrap().is_some(),
            OptionType::AutoBoolean => config.get(&name).unwrap().to_auto_bool().unwrap().is_some(),
            OptionType::Integer | OptionType::SignedInteger => {
                config.get(&name).unwrap().to_integer::<i128>().unwrap().is_some()
            }
            OptionType::DataSize => config.get(&name).unwrap().to_bytes().unwrap().is_some(),
            OptionType::TimeInterval | OptionType::TimeMsecInterval => {
                config.get(&name).unwrap().to_duration().unwrap().is_some()
            }
            OptionType::Float => config.get(&name).unwrap().to_float().unwrap().is_some(),
            OptionType::CommaList | OptionType::RouterList => {
                config.get(&name).unwrap().entries().is_some()
            }
            OptionType::LineList | OptionType::Dependent => {
                config.get(&name).unwrap();
                true
            }
            OptionType::String | OptionType::Filename => {
                config.get(&name).unwrap();
                true
            }
            OptionType::Virtual => {
                assert_eq!(
                    refusal(config.get(&name)),
                    format!("invalid argument \"{name}\": is a group of options and has no value")
                );
                true
            }
            other => panic!("{name} is of the type {other}"),
        };
        // tor always shows these types as set.
        assert!(is_set, "{name} of the type {kind} is not set");
    }
    assert_eq!(
        refusal(config.get("MaxCircuitDirtiness").unwrap().to_bool()),
        "invalid argument \"MaxCircuitDirtiness\": is of the type TimeInterval and not a boolean"
    );
    assert_eq!(
        refusal(config.get("__OwningControllerFD").unwrap().to_integer::<u8>()),
        "cannot read the option __OwningControllerFD: expected an integer in range, got \
         \"18446744073709551615\""
    );
    assert_eq!(
        refusal(config.get("Nope")),
        "invalid argument \"Nope\": is not an option of this tor"
    );
    // tor would read LearnCircuitBuildTimeout.
    assert_eq!(refusal(config.get("l")), "invalid argument \"l\": is not an option of this tor");
}

/// Returns the lines of a torrc without those that two tors cannot share.
fn shared_lines(config: &Config) -> Vec<String> {
    const OWN: [&str; 9] = [
        "ControlPortWriteToFile",
        "DataDirectory",
        "ControlSocket",
        "ControlPort",
        "CookieAuthFile",
        "CookieAuthentication",
        "Log",
        "DisableNetwork",
        "SocksPort",
    ];
    let text = config.to_torrc().unwrap();
    let is_shared = |line: &&str| !OWN.contains(&line.split(' ').next().unwrap());
    text.lines().filter(is_shared).map(str::to_owned).collect()
}

#[test]
fn a_torrc_and_a_launch_copy_the_configuration_to_another_tor() {
    let tor = rich_tor();
    let first = config(&tor);
    first.set("MaxCircuitDirtiness", Duration::from_secs(1234)).unwrap();
    first.set("DNSPort", 5).unwrap();
    first.revert_option("dnsport");
    first.clear("LongLivedPorts").unwrap();
    first.reset("Nickname").unwrap();
    first.set("__LeaveStreamsUnattached", true).unwrap();
    first.set("SocksPort", OrAuto::<u16>::Auto).unwrap();
    let expected = shared_lines(&first);
    for line in [
        "ContactInfo \"caf\\303\\251 <a at b> # \\\"q\\\"\"",
        "ExitNodes {us},{de},$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "LongLivedPorts \"\"",
        "MaxCircuitDirtiness 1234",
        "__LeaveStreamsUnattached 1",
        "DNSPort auto",
    ] {
        assert!(expected.iter().any(|found| found == line), "{line}: {expected:#?}");
    }
    assert!(!expected.iter().any(|line| line.starts_with("Nickname")));

    // The same tor after a save.
    first.save().unwrap();
    let mut saved = shared_lines(&first);
    // tor leaves these options out of its torrc.
    saved.push("__LeaveStreamsUnattached 1".to_owned());
    assert_eq!(sorted(saved), sorted(expected.clone()));

    // Another tor, launched.
    let launcher = Launcher::new().wait_for(Ready::Controller).config(&first).unwrap();
    let second = Tor::launch(launcher).unwrap();
    let mut launched = shared_lines(second.config());
    launched.retain(|line| !line.starts_with("__OwningControllerProcess"));
    launched.push("__LeaveStreamsUnattached 1".to_owned());
    assert_eq!(sorted(launched), sorted(expected));
    assert_eq!(second.config().get("LongLivedPorts").unwrap().entries().unwrap(), [""; 0]);
    assert_ne!(
        second.config().get("DataDirectory").unwrap().text(),
        first.get("DataDirectory").unwrap().text()
    );
    second.close().unwrap();
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

#[test]
fn an_offline_configuration_launches_a_tor() {
    let config = Config::offline();
    let service = torcon::config::ConfiguredService::new("/nonexistent/x").port(80, 80);
    config.add_onion_service(service).unwrap();
    config.remove_onion_service("/nonexistent/x").unwrap();
    config.set("DisableNetwork", true).unwrap();
    config.set("SocksPort", [OrAuto::<u16>::Auto.to_string()]).unwrap();
    config.push("SocksPort", "9050 IsolateDestAddr").unwrap();
    config.set("ExitNodes", ["{us}", "{de}"]).unwrap();
    config.set("GeoIPFile", PathBuf::from("/a b")).unwrap();
    config.set("ContactInfo", "caf\u{e9}").unwrap();
    assert_eq!(refusal(config.save()), "invalid argument \"config\": belongs to no tor");
    assert_eq!(
        refusal(config.default_value("NumCPUs")),
        "invalid argument \"config\": belongs to no tor"
    );
    let launcher = Launcher::new().wait_for(Ready::Controller).config(&config).unwrap();
    let tor = Tor::launch(launcher).unwrap();
    let live = tor.config();
    for name in ["SocksPort", "ExitNodes", "GeoIPFile", "ContactInfo"] {
        assert_eq!(live.get(name).unwrap(), config.get(name).unwrap(), "{name}");
    }
    // The same configuration each time.
    live.set("NumCPUs", 2).unwrap();
    assert_eq!(tor.config().pending().len(), 1);
    // An option that the launcher sets is refused, as by `option`.
    config.set("DataDirectory", "/x").unwrap();
    let launcher = Launcher::new().wait_for(Ready::Controller).config(&config).unwrap();
    assert_eq!(
        refusal(launcher.launch()),
        "invalid argument \"option name\": torcon sets DataDirectory; use \
         Launcher::data_directory"
    );
}
