//! The onion services of a real tor: a change of one keeps all others.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use torcon::config::{Config, ConfiguredService};
use torcon::names::OnionPort;
use torcon::onion::Publication;

use super::config::{commands, config, tapped};
use super::{controller, refusal};
use crate::support::real_tor::RealTor;

/// Returns the lines of a service as text.
fn lines(service: &ConfiguredService) -> Vec<String> {
    let line = |(name, value): (&str, &[u8])| format!("{name} {}", String::from_utf8_lossy(value));
    service.lines().map(line).collect()
}

/// Returns the lines of all services in tor.
fn in_tor(tor: &RealTor) -> Vec<String> {
    let conf = controller(tor).get_conf(["HiddenServiceOptions"]).unwrap();
    let line = |(name, value): (&str, Option<&[u8]>)| {
        Some(format!("{name} {}", String::from_utf8_lossy(value?)))
    };
    conf.lines().filter_map(line).collect()
}

#[test]
fn services_are_added_edited_and_removed_and_others_keep_their_lines() {
    // Peers 30: a SETCONF of one service drops all others, and unrecognized lines.
    let tor = RealTor::start();
    let path = |name: &str| tor.directory().join(name);
    let (first, second, third) = (path("hs one \"q\""), path("hs2"), path("caf\u{e9}"));
    let text = |path: &PathBuf| path.to_str().unwrap().to_owned();
    controller(&tor)
        .set_conf([
            ("HiddenServiceDir", text(&first)),
            ("HiddenServicePort", "80 unix:\"/srv/a b\"".to_owned()),
            ("HiddenServiceMaxStreams", "5".to_owned()),
            ("HiddenServicePort", "81".to_owned()),
            ("HiddenServiceNumIntroductionPoints", "4".to_owned()),
            ("HiddenServiceDir", text(&second)),
            ("HiddenServicePort", "90 127.0.0.1:9090".to_owned()),
        ])
        .unwrap();
    let before = in_tor(&tor);
    let (tap, config) = tapped(&tor);
    let services = config.onion_services().unwrap();
    assert_eq!(services.len(), 2);
    assert_eq!(services.iter().flat_map(lines).collect::<Vec<_>>(), before);
    assert_eq!(services[0].directory(), first);
    let ports = [OnionPort::new(80, PathBuf::from("/srv/a b")), OnionPort::same(81)];
    assert_eq!(services[0].ports(), ports);
    assert_eq!(services[0].option("HiddenServiceMaxStreams"), ["5"]);

    // Adds one.
    let mut service = ConfiguredService::new(&third).port(70, 7070).port(71, 7171);
    service.set_option("HiddenServiceMaxStreams", ["9"]).unwrap();
    config.add_onion_service(service.clone()).unwrap();
    assert_eq!(in_tor(&tor), before, "not saved yet");
    config.set("ContactInfo", "me").unwrap();
    config.save().unwrap();
    assert_eq!(in_tor(&tor), [&before[..], &lines(&service)].concat());
    assert!(third.join("hostname").exists());

    // Edits one in its place.
    let was_there = config
        .edit_onion_service(&first, |service| {
            service.set_ports([OnionPort::new(80, 8080)]);
            service.set_option::<&str>("HiddenServiceMaxStreams", []).unwrap();
        })
        .unwrap();
    assert!(was_there);
    assert!(!config.edit_onion_service(path("none"), |_| {}).unwrap());
    config.save().unwrap();
    let edited = [
        format!("HiddenServiceDir {}", text(&first)),
        "HiddenServicePort 80 8080".to_owned(),
        "HiddenServiceNumIntroductionPoints 4".to_owned(),
    ];
    assert_eq!(in_tor(&tor), [&edited[..], &before[5..], &lines(&service)].concat());

    // Removes one.
    assert!(config.remove_onion_service(&second).unwrap());
    assert!(!config.remove_onion_service(&second).unwrap());
    config.save().unwrap();
    assert_eq!(in_tor(&tor), [&edited[..], &lines(&service)].concat());
    assert!(second.join("hostname").exists(), "the directory stays");

    // Removes all.
    assert!(config.remove_onion_service(&first).unwrap());
    assert!(config.remove_onion_service(&third).unwrap());
    config.save().unwrap();
    assert_eq!(in_tor(&tor), [""; 0]);
    let sent = commands(&tap);
    let changes: Vec<_> = sent.iter().filter(|line| line.starts_with("SETCONF")).collect();
    assert_eq!(changes.len(), 4);
    assert!(changes[0].ends_with(" ContactInfo=me"), "{}", changes[0]);
    assert_eq!(changes[3], "SETCONF HiddenServiceDir");
    let pid = sent.iter().filter(|line| line.starts_with("GETINFO process/pid"));
    assert_eq!(pid.count(), 1);
}

#[test]
fn services_that_other_controllers_add_are_kept() {
    let tor = RealTor::start();
    let (ours, theirs) = (config(&tor), config(&tor));
    let path = |name: &str| tor.directory().join(name);
    let service = |name: &str| ConfiguredService::new(path(name)).port(80, 80);
    assert_eq!(ours.onion_services().unwrap(), []);
    ours.add_onion_service(service("a")).unwrap();
    theirs.add_onion_service(service("b")).unwrap();
    theirs.save().unwrap();
    // A service of an endpoint, in addition to those of the configurations.
    let endpoint = controller(&tor).onion_endpoint(80);
    let endpoint = endpoint.hidden_service_dir(path("c")).publication(Publication::None);
    let _listener = endpoint.listen().unwrap();
    ours.save().unwrap();
    let directories = |config: &Config| -> Vec<_> {
        let services = config.onion_services().unwrap();
        services.iter().map(|service| service.directory().to_owned()).collect()
    };
    let expected = ["b", "c", "a"].map(path);
    assert_eq!(directories(&ours), expected);
    assert_eq!(directories(&config(&tor)), expected);
    // All threads at once.
    std::thread::scope(|scope| {
        for thread in 0..6 {
            let config = if thread % 2 == 0 { ours.clone() } else { config(&tor) };
            let name = format!("t{thread}");
            let service = service(&name);
            scope.spawn(move || {
                config.add_onion_service(service).unwrap();
                config.save().unwrap();
            });
        }
    });
    assert_eq!(directories(&config(&tor)).len(), expected.len() + 6);
}

/// Pseudo-random numbers that are the same in each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn one_of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[usize::try_from(self.below(u64::try_from(list.len()).unwrap())).unwrap()]
    }
}

/// Makes a random change, and returns the option if it is reset.
fn change(config: &Config, numbers: &mut Numbers, directory: &Path) -> Option<&'static str> {
    const LISTS: [&str; 4] = ["MapAddress", "ExitNodes", "LongLivedPorts", "SocksPort"];
    const VALUES: [&str; 4] = ["ContactInfo", "NumCPUs", "MaxCircuitDirtiness", "BandwidthBurst"];
    let entry = |numbers: &mut Numbers, list: &str| match list {
        "MapAddress" => format!("a{}.example b.example", numbers.below(4)),
        "ExitNodes" => numbers.one_of(&["{us}", "{de}", "{fr}"]).to_owned(),
        "LongLivedPorts" => numbers.one_of(&["1", "22", "333"]).to_owned(),
        _ => numbers.one_of(&["9997", "9998", "9999"]).to_owned(),
    };
    let path = directory.join(format!("hs{}", numbers.below(3)));
    match numbers.below(12) {
        0..3 => {
            let list = numbers.one_of(&LISTS);
            // tor refuses the same port twice.
            let entry = entry(numbers, list);
            config.remove(list, &entry).unwrap();
            config.push(list, entry).unwrap();
        }
        3 => {
            let list = numbers.one_of(&LISTS);
            let entry = entry(numbers, list);
            config.remove(list, entry).unwrap();
        }
        4 => config.clear(numbers.one_of(&["MapAddress", "ExitNodes", "LongLivedPorts"])).unwrap(),
        5 => {
            let option = numbers.one_of(&["NumCPUs", "MaxCircuitDirtiness", "LongLivedPorts"]);
            config.reset(option).unwrap();
            return Some(option);
        }
        6..9 => {
            let option = numbers.one_of(&VALUES);
            // In the range that tor does not adjust.
            let number = 1100 + numbers.below(900);
            match option {
                "MaxCircuitDirtiness" => config.set(option, Duration::from_secs(number)).unwrap(),
                "ContactInfo" => config.set(option, number.to_string()).unwrap(),
                "BandwidthBurst" => config.set(option, number << 20).unwrap(),
                _ => config.set(option, number).unwrap(),
            }
        }
        9 => drop(config.add_onion_service(ConfiguredService::new(path).port(80, 80))),
        10 => drop(config.remove_onion_service(path).unwrap()),
        _ => {
            let port = u16::try_from(1 + numbers.below(60000)).unwrap();
            let edit = |service: &mut ConfiguredService| {
                service.set_ports([OnionPort::new(port, port)]);
                service.set_option("HiddenServiceMaxStreams", [port.to_string()]).unwrap();
            };
            config.edit_onion_service(path, edit).unwrap();
        }
    }
    None
}

#[test]
fn the_configuration_shown_before_a_save_is_that_of_tor_after_it() {
    const OPTIONS: [&str; 9] = [
        "MapAddress",
        "ExitNodes",
        "LongLivedPorts",
        "SocksPort",
        "__SocksPort",
        "ContactInfo",
        "NumCPUs",
        "MaxCircuitDirtiness",
        "BandwidthBurst",
    ];
    let tor = RealTor::start();
    let (tap, config) = tapped(&tor);
    config.set("SocksPort", 9990).unwrap();
    config.set("__SocksPort", 9991).unwrap();
    config.save().unwrap();
    let mut numbers = Numbers(7);
    let mut resets = 0;
    for round in 0..80 {
        let mut reset = Vec::new();
        for _ in 0..=numbers.below(6) {
            reset.extend(change(&config, &mut numbers, tor.directory()));
        }
        let pending = config.pending();
        let shown = |config: &Config| {
            let values = OPTIONS.map(|name| config.get(name).unwrap());
            (values, config.onion_services().unwrap())
        };
        let (before, services) = shown(&config);
        let sent = commands(&tap).len();
        config.save().unwrap_or_else(|error| panic!("round {round}, {pending:?}: {error:?}"));
        let changes = commands(&tap).split_off(sent);
        let is_change = |line: &&String| line.contains("SETCONF ");
        assert!(changes.iter().filter(is_change).count() <= 1, "{changes:?}");
        resets += changes.iter().filter(|line| line.starts_with("RESETCONF")).count();
        let fresh = Config::new(&controller(&tor));
        for config in [&config, &fresh] {
            let (after, services_after) = shown(config);
            assert_eq!(services_after, services, "round {round}: {pending:?}");
            for (name, (after, before)) in OPTIONS.iter().zip(after.iter().zip(&before)) {
                if before.is_set() || !reset.contains(name) {
                    assert_eq!(after, before, "round {round}: {name} of {pending:?}");
                } else {
                    let default = fresh.default_value(name).unwrap();
                    match *name {
                        "MaxCircuitDirtiness" => {
                            let [after, default] =
                                [after, &default].map(|value| value.to_duration().unwrap());
                            assert_eq!(after, default);
                        }
                        _ => assert_eq!(*after, default, "round {round}: {name}"),
                    }
                }
            }
        }
    }
    assert!(resets > 5, "{resets}");
}

#[test]
fn an_invalid_service_is_refused_and_the_others_are_kept() {
    let tor = RealTor::start();
    let (tap, config) = tapped(&tor);
    let path = |name: &str| tor.directory().join(name);
    config.add_onion_service(ConfiguredService::new(path("a")).port(80, 80)).unwrap();
    config.save().unwrap();
    let before = in_tor(&tor);
    let add = |service| refusal(config.add_onion_service(service));
    let directory = path("a");
    assert_eq!(
        add(ConfiguredService::new(&directory).port(80, 80)),
        format!("{directory:?} is the directory of another onion service")
    );
    assert_eq!(
        add(ConfiguredService::new("relative").port(80, 80)),
        "invalid argument \"directory\": must be an absolute path"
    );
    assert_eq!(add(ConfiguredService::new(path("b"))), "invalid argument \"service\": has no port");
    assert_eq!(
        add(ConfiguredService::new("/a\nb").port(80, 80)),
        "invalid argument \"HiddenServiceDir\": contains a line feed"
    );
    assert_eq!(
        refusal(
            config.edit_onion_service(path("a"), |service| service
                .set_ports(Vec::<OnionPort>::new()))
        ),
        "invalid argument \"service\": has no port"
    );
    assert_eq!(
        refusal(config.edit_onion_service(path("a"), |service| {
            *service = ConfiguredService::new("/x").port(80, 80);
        })),
        "invalid argument \"edit\": has changed the directory"
    );
    assert!(config.pending().is_empty());

    // Peers 31: tor would exit. A connection through the recording proxy would not prove that tor
    // sees the same files.
    let direct = super::config::config(&tor);
    direct.add_onion_service(ConfiguredService::new("/nonexistent/a/b").port(80, 80)).unwrap();
    assert_eq!(
        refusal(direct.save()),
        "invalid argument \"HiddenServiceDir\": is in a directory that does not exist, \
         and tor would exit"
    );
    assert!(direct.remove_onion_service("/nonexistent/a/b").unwrap());

    // Refused by tor without a reason; corrected, and saved.
    let mut service = ConfiguredService::new(path("b")).port(80, 80);
    service.set_option("HiddenServiceVersion", ["2"]).unwrap();
    config.add_onion_service(service).unwrap();
    config.set("ContactInfo", "me").unwrap();
    assert_eq!(
        refusal(config.save()),
        "cannot save HiddenServiceOptions: tor refused SETCONF: 513 \"Unacceptable option value: \
         Failed to configure rendezvous options. See logs for details.\""
    );
    assert_eq!(in_tor(&tor), before);
    assert_eq!(config.onion_services().unwrap().len(), 2);
    config
        .edit_onion_service(path("b"), |service| {
            service.set_option("HiddenServiceVersion", ["3"]).unwrap();
        })
        .unwrap();
    config.save().unwrap();
    assert_eq!(config.onion_services().unwrap().len(), 2);
    assert_eq!(in_tor(&tor)[..before.len()], before);
    assert!(fs::exists(path("b").join("hostname")).unwrap());

    // Reverted.
    assert!(config.remove_onion_service(path("a")).unwrap());
    let sent = commands(&tap).len();
    config.revert_option("HiddenServiceOptions");
    config.save().unwrap();
    assert_eq!(commands(&tap).len(), sent);
}
