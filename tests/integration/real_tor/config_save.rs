//! Saving a configuration to a real tor: refusals, lists, and changes by other controllers.

use std::net::TcpListener;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use torcon::config::{Config, OrAuto};
use torcon::error::ConfigError;
use torcon::{Error, EventKind};

use super::config::{commands, config, tapped};
use super::{controller, refusal};
use crate::error_text::check_text;
use crate::support::real_tor::RealTor;

/// A limit for an event, which only a failed test reaches.
const LIMIT: Duration = Duration::from_secs(60);

#[track_caller]
fn refused(config: &Config) -> ConfigError {
    match config.save() {
        Err(Error::Config(error)) => error,
        other => panic!("not refused: {other:?}"),
    }
}

#[track_caller]
fn list(config: &Config, name: &str) -> Vec<String> {
    config.get(name).unwrap().entries().unwrap_or_default()
}

/// Returns the commands that change the configuration.
fn changes(sent: &[String]) -> Vec<&str> {
    let is_change = |line: &&str| line.starts_with("SETCONF") || line.starts_with("RESETCONF");
    sent.iter().map(String::as_str).filter(is_change).collect()
}

#[test]
fn a_save_is_one_command_or_none() {
    let tor = RealTor::start();
    let (tap, config) = tapped(&tor);
    config.save().unwrap();
    assert_eq!(commands(&tap), [""; 0]);
    // Options and lists, in the order of their first changes.
    config.set("MaxCircuitDirtiness", Duration::from_secs(300)).unwrap();
    config.set("ContactInfo", "a \"b\"").unwrap();
    config.set("MapAddress", ["a.example b.example", "c.example d.example"]).unwrap();
    config.set("ExitNodes", ["{us}", "{de}"]).unwrap();
    config.set("MaxCircuitDirtiness", Duration::from_secs(400)).unwrap();
    config.save().unwrap();
    config.save().unwrap();
    let first = "SETCONF ContactInfo=\"a \\\"b\\\"\" MapAddress=\"a.example b.example\" \
                 MapAddress=\"c.example d.example\" ExitNodes={us},{de} \
                 MaxCircuitDirtiness=400";
    assert_eq!(changes(&commands(&tap)), [first]);
    // A value that tor has is sent again; a reverted change is not.
    assert_eq!(
        config.get("MaxCircuitDirtiness").unwrap().to_duration().unwrap(),
        Some(Duration::from_secs(400))
    );
    config.set("MaxCircuitDirtiness", Duration::from_secs(400)).unwrap();
    config.push("ExitNodes", "{fr}").unwrap();
    assert!(config.remove("ExitNodes", "{fr}").unwrap());
    config.save().unwrap();
    assert!(config.pending().is_empty());
    config.set("ContactInfo", "c").unwrap();
    config.revert();
    config.save().unwrap();
    let again = "SETCONF MaxCircuitDirtiness=400 ExitNodes={us},{de}";
    assert_eq!(changes(&commands(&tap)), [first, again]);
    // A reset with a new value of another option.
    config.reset("MaxCircuitDirtiness").unwrap();
    assert!(!config.get("MaxCircuitDirtiness").unwrap().is_set());
    config.set("ContactInfo", "c").unwrap();
    config.save().unwrap();
    let second = "RESETCONF MaxCircuitDirtiness ContactInfo=c";
    assert_eq!(changes(&commands(&tap)), [first, again, second]);
    assert_eq!(
        config.get("MaxCircuitDirtiness").unwrap().to_duration().unwrap(),
        Some(Duration::from_secs(600))
    );
    // A reset, and a clear of an option with a default, which neither command expresses alone.
    config.set("LongLivedPorts", ["1"]).unwrap();
    config.set("BandwidthRate", 1_000_000).unwrap();
    config.save().unwrap();
    config.clear("LongLivedPorts").unwrap();
    config.reset("BandwidthRate").unwrap();
    config.reset("ContactInfo").unwrap();
    config.save().unwrap();
    assert_eq!(
        changes(&commands(&tap))[4..],
        ["SETCONF LongLivedPorts BandwidthRate=\"1 GB\" ContactInfo"]
    );
    assert_eq!(config.get("BandwidthRate").unwrap().to_bytes().unwrap(), Some(1 << 30));
    assert!(!config.get("ContactInfo").unwrap().is_set());
    assert!(config.get("LongLivedPorts").unwrap().is_empty());
}

#[test]
fn each_kind_of_refusal_names_the_option_and_changes_nothing() {
    let tor = RealTor::start();
    let config = config(&tor);
    let in_use = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = in_use.local_addr().unwrap().port();
    let before = config.to_torrc().unwrap();
    let cases = [
        ("MaxCircuitDirtiness", "abc", 513, "Unable to parse abc as a number"),
        ("MaxCircuitDirtiness", "12 parsecs", 513, "Unknown unit in 12 parsecs"),
        ("KISTSchedRunInterval", "5 furlongs", 513, "Unknown unit in 5 furlongs"),
        ("UseBridges", "2", 513, "Unrecognized value 2. Allowed values are 0 and 1."),
        ("ConnectionPadding", "maybe", 513, "Unrecognized value maybe."),
        ("NumCPUs", "x", 513, "Integer x is malformed or out of bounds."),
        ("PathBiasScaleThreshold", "x", 513, "Integer x is malformed or out of bounds."),
        ("BandwidthRate", "5 stone", 513, "Unknown unit in 5 stone"),
        ("CircuitPriorityHalflife", "many", 513, "Could not convert"),
        ("ExitNodes", "{us", 513, ""),
        ("SocksPort", "abc", 513, "Invalid SocksPort configuration"),
        ("Log", "nonsense", 513, "Failed to validate Log options"),
        ("Nickname", "not a nickname", 513, "Nickname"),
        ("VirtualAddrNetworkIPv4", "x", 513, "Error parsing VirtualAddressNetwork x"),
        ("DataDirectory", "/tmp", 553, "While Tor is running, changing DataDirectory is not"),
        ("Sandbox", "1", 553, "While Tor is running, changing Sandbox is not allowed"),
        ("Log", "notice file /nonexistent/torcon/log", 553, "Failed to init Log options"),
        ("ControlPort", &format!("127.0.0.1:{port}"), 553, "Failed to bind one of the listener"),
    ];
    for (option, value, code, reason) in cases {
        config.set("ContactInfo", "new").unwrap();
        config.set(option, value).unwrap();
        let error = refused(&config);
        let text = error.rejection().text().into_owned();
        assert_eq!(error.rejection().code(), code, "{option} {value}: {text}");
        assert!(text.contains(reason), "{option} {value}: {text}");
        assert!(error.options().any(|name| name == "ContactInfo"));
        // tor does not name the option of a port in use, and names this one differently.
        let is_named = !text.contains("listener") && !text.contains("VirtualAddressNetwork");
        assert_eq!(error.option(), is_named.then_some(option), "{text}");
        let error = Error::from(error);
        assert_eq!(error.status_code(), Some(code));
        check_text(&error);

        // tor and the configuration are unchanged, and the changes stay pending.
        assert!(!config.in_force("ContactInfo").unwrap().is_set());
        assert_eq!(config.get("ContactInfo").unwrap().text().unwrap().into_owned(), "new");
        assert_eq!(config.pending().len(), 2);
        config.revert();
        assert_eq!(config.to_torrc().unwrap(), before, "{option} {value}");
        assert_eq!(config.get(option).unwrap(), config.in_force(option).unwrap());
        // A single option is always named.
        config.set(option, value).unwrap();
        assert_eq!(refused(&config).option(), Some(option));
        config.revert_option(option);
        config.save().unwrap();
    }
    config.set("ContactInfo", "new").unwrap();
    config.set("ContactInfo", "bad\u{e9}").unwrap();
    config.save().unwrap();
}

#[test]
fn a_refused_save_can_be_corrected_and_repeated() {
    // Peers 34: one rejected option poisoned all later saves (txtorcon).
    let tor = RealTor::start();
    let config = config(&tor);
    config.set("ContactInfo", "me").unwrap();
    config.set("MaxCircuitDirtiness", "12 parsecs").unwrap();
    config.push("Log", "notice file /nonexistent/torcon/log").unwrap();
    assert_eq!(
        refusal(config.save()),
        "cannot save MaxCircuitDirtiness: tor refused SETCONF: 513 \"Unacceptable option value: \
         Could not parse MaxCircuitDirtiness: Provided value is malformed or out of bounds: \
         Unknown unit in 12 parsecs\""
    );
    config.set("MaxCircuitDirtiness", "12 minutes").unwrap();
    assert_eq!(refused(&config).option(), Some("Log"));
    config.revert_option("Log");
    config.save().unwrap();
    assert_eq!(config.get("ContactInfo").unwrap().text().unwrap().into_owned(), "me");
    assert_eq!(
        config.get("MaxCircuitDirtiness").unwrap().to_duration().unwrap(),
        Some(Duration::from_secs(720))
    );
    assert!(config.pending().is_empty());
}

#[test]
fn an_invalid_change_is_refused_before_a_command_is_sent() {
    let tor = RealTor::start();
    let (tap, config) = tapped(&tor);
    config.options().unwrap();
    let sent = commands(&tap).len();
    let cases = [
        (config.set("Nope", "x"), "\"Nope\": is not an option of this tor"),
        (config.set("a b", "x"), "\"option\": is not a name of letters, digits and underscores"),
        (
            config.set("SocksPortLines", "9050"),
            "\"SocksPortLines\": is a group of options and has no value",
        ),
        (
            config.set("HiddenServicePort", "80"),
            "\"HiddenServicePort\": belongs to an onion service: use the methods for onion \
             services",
        ),
        (
            config.set("UseBridges", 0.5),
            "\"UseBridges\": is of the type Boolean and does not accept a float",
        ),
        (config.set("ContactInfo", "a\nSIGNAL HALT"), "\"ContactInfo\": contains a line feed"),
        (config.set("MapAddress", ["a\rb"]), "\"MapAddress\": contains a carriage return"),
        (config.push("Log", "a\0b"), "\"Log\": contains NUL"),
        (config.push("ContactInfo", "x"), "\"ContactInfo\": is not a list"),
        (config.push("ExitNodes", "a,b"), "\"ExitNodes\": cannot have a comma in an entry"),
        (
            config.clear("MaxCircuitDirtiness"),
            "\"MaxCircuitDirtiness\": is of the type TimeInterval and cannot be empty",
        ),
        (
            config.set("UseBridges", ""),
            "\"UseBridges\": is of the type Boolean and cannot be empty",
        ),
    ];
    for (outcome, text) in cases {
        assert_eq!(refusal(outcome), format!("invalid argument {text}"));
    }
    assert!(config.pending().is_empty());
    config.save().unwrap();
    assert_eq!(commands(&tap).len(), sent);
    assert_eq!(changes(&commands(&tap)), [""; 0]);
    // A value that would end tor is refused too, and stays pending. A connection through the
    // recording proxy would not prove that tor sees the same files.
    let direct = self::config(&tor);
    direct.set("CookieAuthFile", "/nonexistent/a/b").unwrap();
    assert_eq!(
        refusal(direct.save()),
        "invalid argument \"CookieAuthFile\": is in a directory that does not exist, \
         and tor would exit"
    );
    assert_eq!(direct.pending().len(), 1);
}

#[test]
fn lists_are_set_edited_and_cleared() {
    // Peers 34: repeated list options, clearing a list.
    let tor = RealTor::start();
    let (config, other) = (config(&tor), config(&tor));
    let (a, b, c) = ("a.example x.example", "b.example y.example", "c.example z.example");
    let saved = |expected: &[&str]| {
        config.save().unwrap();
        assert_eq!(list(&config, "MapAddress"), expected);
        let fresh = Config::new(&controller(&tor));
        assert_eq!(list(&fresh, "MapAddress"), expected);
    };
    config.push("MapAddress", a).unwrap();
    config.push("MapAddress", b).unwrap();
    assert_eq!(list(&config, "MapAddress"), [a, b]);
    assert_eq!(list(&other, "MapAddress"), [""; 0]);
    saved(&[a, b]);
    config.push("MapAddress", c).unwrap();
    assert!(config.remove("MapAddress", a).unwrap());
    assert!(!config.remove("MapAddress", a).unwrap());
    saved(&[b, c]);
    assert!(config.replace("MapAddress", b, a).unwrap());
    assert!(!config.replace("MapAddress", b, a).unwrap());
    saved(&[a, c]);
    config.clear("MapAddress").unwrap();
    saved(&[]);
    // Empty and not set differ if tor shows the difference.
    let ports = "LongLivedPorts";
    config.set(ports, ["1", "2"]).unwrap();
    config.save().unwrap();
    assert!(config.remove(ports, "1").unwrap() && config.remove(ports, "2").unwrap());
    assert!(config.get(ports).unwrap().is_empty());
    config.save().unwrap();
    assert_eq!(config.get(ports).unwrap().entries(), Some(Vec::new()));
    // The default is edited.
    config.reset(ports).unwrap();
    config.push(ports, "4").unwrap();
    config.save().unwrap();
    let default = config.default_value(ports).unwrap().entries().unwrap();
    assert_eq!(list(&config, ports), [&default[..], &["4".to_owned()]].concat());
    config.reset(ports).unwrap();
    config.save().unwrap();
    assert_eq!(list(&config, ports), default);
}

#[test]
fn setting_a_port_keeps_the_other_options_of_its_group() {
    // `SETCONF SocksPort` alone drops the lines of `__SocksPort`, and the reverse.
    let tor = RealTor::start();
    let (tap, config) = tapped(&tor);
    config.set("SocksPort", 9990).unwrap();
    config.set("__SocksPort", 9999).unwrap();
    config.save().unwrap();
    config.set("SocksPort", ["9997", "9998"]).unwrap();
    config.save().unwrap();
    assert_eq!(list(&config, "__SocksPort"), ["9999"]);
    assert_eq!(list(&config, "SocksPort"), ["9997", "9998"]);
    config.set("__SocksPort", OrAuto::<u16>::Auto).unwrap();
    assert!(config.remove("SocksPort", "9997").unwrap());
    config.save().unwrap();
    assert_eq!(list(&config, "__SocksPort"), ["auto"]);
    assert_eq!(list(&config, "SocksPort"), ["9998"]);
    config.reset("SocksPort").unwrap();
    config.save().unwrap();
    assert_eq!(list(&config, "__SocksPort"), ["auto"]);
    config.clear("__SocksPort").unwrap();
    config.save().unwrap();
    assert!(!config.get("__SocksPort").unwrap().is_set());
    assert_eq!(changes(&commands(&tap)).len(), 5);
}

/// Returns the `CONF_CHANGED` events that the configuration receives too.
struct ConfEvents(torcon::EventQueue);

impl ConfEvents {
    fn of(controller: &torcon::Controller) -> Self {
        Self(controller.events([EventKind::ConfChanged]).unwrap())
    }

    /// Waits for the event of an option.
    #[track_caller]
    fn wait(&self, option: &str) {
        let deadline = Instant::now() + LIMIT;
        loop {
            let event = self.0.recv_deadline(deadline).expect("tor reports the change");
            if event.to_string().contains(option) {
                return;
            }
        }
    }
}

#[test]
fn two_controllers_read_each_others_changes() {
    let tor = RealTor::start();
    let (ours, theirs) = (controller(&tor), controller(&tor));
    let (us, them) = (Config::new(&ours), Config::new(&theirs));
    us.load_all().unwrap();
    them.load_all().unwrap();
    let (our_events, their_events) = (ConfEvents::of(&ours), ConfEvents::of(&theirs));
    for round in 1..=5_u32 {
        let text = format!("round {round}");
        us.set("ContactInfo", &text).unwrap();
        us.push("MapAddress", format!("a{round}.example b.example")).unwrap();
        us.save().unwrap();
        their_events.wait(&text);
        assert_eq!(them.get("ContactInfo").unwrap().text().unwrap().into_owned(), text);
        assert_eq!(list(&them, "MapAddress").len(), usize::try_from(2 * round - 1).unwrap());
        them.push("MapAddress", format!("c{round}.example d.example")).unwrap();
        them.set("NumCPUs", round).unwrap();
        them.save().unwrap();
        our_events.wait(&format!("c{round}.example"));
        assert_eq!(us.get("NumCPUs").unwrap().to_integer().unwrap(), Some(round));
        assert_eq!(list(&us, "MapAddress"), list(&them, "MapAddress"));
        assert_eq!(list(&us, "MapAddress").len(), usize::try_from(2 * round).unwrap());
    }
    // By SETCONF and RESETCONF, by a reload, and by LOADCONF.
    theirs.reset_conf([("MapAddress", None::<&str>), ("NumCPUs", None)]).unwrap();
    our_events.wait("MapAddress");
    assert_eq!(list(&us, "MapAddress"), [""; 0]);
    assert_eq!(us.get("NumCPUs").unwrap().to_integer().unwrap(), Some(0));
    theirs.signal(torcon::Signal::Reload).unwrap();
    our_events.wait("ContactInfo");
    assert!(!us.get("ContactInfo").unwrap().is_set());
    assert!(!them.get("ContactInfo").unwrap().is_set());
}

#[test]
fn a_pending_change_stays_when_another_controller_changes_the_option() {
    let tor = RealTor::start();
    let (ours, theirs) = (controller(&tor), controller(&tor));
    let us = Config::new(&ours);
    let events = ConfEvents::of(&ours);
    us.set("ContactInfo", "ours").unwrap();
    us.push("MapAddress", "a.example b.example").unwrap();
    us.set("ExitNodes", ["{us}"]).unwrap();
    us.push("ExitNodes", "{de}").unwrap();
    theirs
        .set_conf([
            ("MapAddress", "c.example d.example"),
            ("ExitNodes", "{fr}"),
            ("ContactInfo", "theirs"),
        ])
        .unwrap();
    events.wait("ContactInfo");
    // The value in tor, and the pending one.
    let text = |value: torcon::config::OptionValue| value.to_string();
    assert_eq!(text(us.in_force("ContactInfo").unwrap()), "theirs");
    assert_eq!(text(us.get("ContactInfo").unwrap()), "ours");
    assert_eq!(text(us.in_force("ExitNodes").unwrap()), "{fr}");
    assert_eq!(text(us.get("ExitNodes").unwrap()), "{us},{de}");
    assert_eq!(list(&us, "MapAddress"), ["c.example d.example", "a.example b.example"]);
    assert_eq!(us.pending(), ["ContactInfo", "MapAddress", "ExitNodes"]);
    us.save().unwrap();
    let them = Config::new(&theirs);
    assert_eq!(text(them.get("ContactInfo").unwrap()), "ours");
    assert_eq!(text(them.get("ExitNodes").unwrap()), "{us},{de}");
    assert_eq!(list(&them, "MapAddress"), ["c.example d.example", "a.example b.example"]);
}

#[test]
fn every_method_works_in_a_listener() {
    let tor = RealTor::start();
    let controller = controller(&tor);
    let config = Config::new(&controller);
    let (sender, receiver) = mpsc::channel();
    let inside = config.downgrade();
    let listener = controller
        .on(move |event: &torcon::event::ConfChangedEvent| {
            let name = event.changes().next().unwrap().name.to_string();
            if name != "ContactInfo" {
                return;
            }
            let inside = inside.upgrade().unwrap();
            // The configuration has processed this event before the listener is called.
            let text = inside.get("ContactInfo").unwrap().text().unwrap().into_owned();
            inside.set("Nickname", format!("{text}1")).unwrap();
            inside.save().unwrap();
            sender.send(inside.get("Nickname").unwrap().text().unwrap().into_owned()).unwrap();
        })
        .unwrap();
    config.get("ContactInfo").unwrap();
    config.set("ContactInfo", "me").unwrap();
    config.save().unwrap();
    assert_eq!(receiver.recv_timeout(LIMIT).unwrap(), "me1");
    assert_eq!(config.get("Nickname").unwrap().text().unwrap().into_owned(), "me1");
    controller.remove_event_listener(listener).unwrap();
}

#[test]
fn many_threads_share_one_configuration() {
    let tor = RealTor::start();
    let (tap, config) = tapped(&tor);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let config = &config;
            scope.spawn(move || {
                for round in 0..5 {
                    let entry = format!("t{thread}r{round}.example x.example");
                    config.push("MapAddress", &entry).unwrap();
                    config.save().unwrap();
                    assert!(list(config, "MapAddress").contains(&entry));
                }
            });
        }
    });
    let entries = list(&config, "MapAddress");
    assert_eq!(entries.len(), 40);
    let fresh = Config::new(&controller(&tor));
    assert_eq!(list(&fresh, "MapAddress"), entries);
    // Changes that were pending together were saved together.
    let count = changes(&commands(&tap)).len();
    assert!((5..=40).contains(&count), "{count}");
}

#[test]
fn configurations_that_push_to_one_list_at_once_lose_no_entry() {
    let tor = RealTor::start();
    std::thread::scope(|scope| {
        for thread in 0..6 {
            let config = config(&tor);
            scope.spawn(move || {
                for round in 0..5 {
                    let entry = format!("t{thread}r{round}.example x.example");
                    config.push("MapAddress", &entry).unwrap();
                    config.save().unwrap();
                }
            });
        }
    });
    assert_eq!(list(&config(&tor), "MapAddress").len(), 30);
}

#[test]
fn after_many_changes_the_configuration_agrees_with_tor() {
    const OPTIONS: [&str; 5] =
        ["ContactInfo", "MapAddress", "NumCPUs", "ExitNodes", "MaxCircuitDirtiness"];
    let tor = RealTor::start();
    let ours = controller(&tor);
    let us = Config::new(&ours);
    let events = ConfEvents::of(&ours);
    us.load(OPTIONS).unwrap();
    for storm in 0..3 {
        std::thread::scope(|scope| {
            for thread in 0..3 {
                let theirs = controller(&tor);
                scope.spawn(move || {
                    for round in 0..25 {
                        let number = format!("{}", 100 * thread + round);
                        let map = format!("a{number}.example b.example");
                        let all = [
                            ("ContactInfo", number.as_str()),
                            ("MapAddress", &map),
                            ("NumCPUs", &number),
                            ("ExitNodes", "{us}"),
                            ("MaxCircuitDirtiness", &number),
                        ];
                        let (one, other) = (round % 5, (round + thread) % 5);
                        let settings = [all[one], all[other]];
                        theirs
                            .set_conf(settings.into_iter().take(1 + usize::from(one != other)))
                            .unwrap();
                    }
                });
            }
            let us = us.clone();
            scope.spawn(move || {
                for round in 0..200 {
                    us.get(OPTIONS[round % 5]).unwrap();
                }
            });
        });
        let last = format!("storm {storm}");
        controller(&tor)
            .set_conf([("Nickname", format!("storm{storm}")), ("ContactInfo", last.clone())])
            .unwrap();
        events.wait(&last);
        let conf = ours.get_conf(OPTIONS).unwrap();
        for option in OPTIONS {
            let values = us.get(option).unwrap();
            let values: Vec<_> = values.lines().map(String::from_utf8_lossy).collect();
            assert_eq!(values, conf.get(option).unwrap().values(), "{option} after {last}");
        }
    }
}

#[test]
fn after_the_end_of_tor_commands_fail_and_changes_stay_pending() {
    let tor = RealTor::start();
    let config = config(&tor);
    config.set("ContactInfo", "me").unwrap();
    config.get("NumCPUs").unwrap();
    tor.kill();
    tor.wait(LIMIT);
    let error = config.save().unwrap_err();
    assert!(error.is_closed(), "{error:?}");
    // A cached value may be stale.
    assert!(config.get("NumCPUs").unwrap_err().is_closed());
    assert_eq!(config.pending().len(), 1);
    config.revert();
    assert!(config.pending().is_empty());
}
