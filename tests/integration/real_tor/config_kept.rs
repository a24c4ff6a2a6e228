//! Lines of other controllers are kept byte for byte, and so are the defaults of tor.

use std::path::Path;

use torcon::config::{Config, ConfiguredService};
use torcon::names::OnionPort;

use super::config::config;
use super::{controller, refusal};
use crate::support::real_tor::RealTor;

fn values(config: &Config, name: &str) -> Vec<String> {
    config.get(name).unwrap().entries().unwrap_or_default()
}

fn service(config: &Config, directory: &Path) -> ConfiguredService {
    let services = config.onion_services().unwrap();
    services.into_iter().find(|service| service.directory() == directory).unwrap()
}

/// Every form of a port that tor 0.4.9 accepts.
const PORTS: [&str; 15] = [
    "80 localhost:8080",
    "81",
    "82 127.0.0.1",
    "83 8083",
    "84 unix:/path",
    "85 unix:\"/pa th\"",
    "86 [::1]:80",
    "87 [::1]",
    "88 ::1",
    "89 127.0.0.1:8089",
    "+90",
    "091",
    " 92  +93",
    "94 unix:relative",
    "95 unix:\"/caf\\303\\251 \\\"q\\\"\"",
];

// `ports` left out what its type could not hold, so that `set_ports` deleted it.
#[test]
fn every_port_of_a_service_survives_an_edit_of_the_ports() {
    let (there, other_there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (directory, other) = (there.path().join("hs"), other_there.path().join("other"));
    let mut builder = RealTor::builder()
        .line(format!("HiddenServiceDir {}", other.display()))
        .line("HiddenServicePort 80 localhost:8080")
        .line(format!("HiddenServiceDir {} # the web", directory.display()))
        .line("HiddenServiceExportCircuitID haproxy # a comment")
        .line("hiddenservicemaxstreams 7");
    for port in PORTS {
        builder = builder.line(format!("HiddenServicePort {port}"));
    }
    let tor = builder.start();
    let (us, raw) = (config(&tor), controller(&tor));
    let in_tor = || {
        let conf = raw.get_conf(["HiddenServiceOptions"]).unwrap();
        let line = |(name, value): (&str, Option<&[u8]>)| {
            format!("{name} {}", String::from_utf8_lossy(value.unwrap_or_default()))
        };
        conf.lines().map(line).collect::<Vec<_>>()
    };
    let before = in_tor();
    let ports = service(&us, &directory).ports();
    assert_eq!(ports.len(), PORTS.len());
    assert_eq!(ports[0].to_string(), "80,localhost:8080");
    us.edit_onion_service(&directory, |service| {
        let mut ports = service.ports();
        ports.push(OnionPort::new(8443, 443));
        service.set_ports(ports);
    })
    .unwrap();
    us.save().unwrap();
    let after = in_tor();
    let added = "HiddenServicePort 8443 443";
    assert!(after.iter().any(|line| line == added), "{after:?}");
    let others: Vec<_> = after.into_iter().filter(|line| line != added).collect();
    assert_eq!(others, before);
    // Each port as it is written after it was parsed.
    for port in service(&us, &directory).ports() {
        let made = ConfiguredService::new(&other).port(1, 1);
        us.edit_onion_service(&other, |service| {
            service.clone_from(&made);
            service.set_ports([port.clone()]);
        })
        .unwrap();
        us.save().unwrap();
        assert_eq!(service(&us, &other).ports(), [port]);
    }
}

#[test]
fn an_edit_keeps_what_another_connection_has_changed_of_the_same_service() {
    let tor = RealTor::start();
    let (us, raw) = (config(&tor), controller(&tor));
    let directory = tor.directory().join("hs");
    let path = directory.to_str().unwrap();
    raw.set_conf([("HiddenServiceDir", path), ("HiddenServicePort", "80 localhost:8080")]).unwrap();
    us.edit_onion_service(&directory, |service| {
        service.set_option("HiddenServiceMaxStreams", ["5"]).unwrap();
    })
    .unwrap();
    raw.set_conf([
        ("HiddenServiceDir", path),
        ("HiddenServicePort", "80 localhost:8080"),
        ("HiddenServiceExportCircuitID", "haproxy"),
        ("HiddenServicePort", "81"),
    ])
    .unwrap();
    us.save().unwrap();
    let service = service(&us, &directory);
    assert_eq!(service.option("HiddenServicePort"), ["80 localhost:8080", "81"]);
    assert_eq!(service.option("HiddenServiceExportCircuitID"), ["haproxy"]);
    assert_eq!(service.option("HiddenServiceMaxStreams"), ["5"]);
}

#[test]
fn entries_of_other_controllers_are_kept_byte_for_byte() {
    let lists = [
        ("SocksPort", vec!["9990 IsolateDestAddr PreferIPv6", "unix:\"/x y\" WorldWritable"]),
        ("ExitPolicy", vec!["accept6 [::]/0:80", "reject  *:25 # mail"]),
        ("Bridge", vec!["obfs4 192.0.2.1:443 cert=a+b/c iat-mode=0", "192.0.2.2:1"]),
        ("MapAddress", vec!["*.a.example  *.b.example"]),
    ];
    let new = [
        ("SocksPort", "9991"),
        ("ExitPolicy", "accept *:443"),
        ("Bridge", "192.0.2.3:2"),
        ("MapAddress", "c.example d.example"),
    ];
    let builder = lists.iter().fold(RealTor::builder(), |builder, (name, entries)| {
        entries.iter().fold(builder, |builder, entry| builder.line(format!("{name} {entry}")))
    });
    let tor = builder.start();
    let (us, raw) = (config(&tor), controller(&tor));
    for ((name, _), (_, entry)) in lists.iter().zip(new) {
        let before = raw.get_conf([name]).unwrap().get(name).unwrap().values().to_vec();
        us.push(name, entry).unwrap();
        us.save().unwrap();
        let after = raw.get_conf([name]).unwrap().get(name).unwrap().values().to_vec();
        assert_eq!(after, [&before[..], &[entry.to_owned()]].concat());
        assert!(us.remove(name, entry).unwrap());
        us.save().unwrap();
        assert_eq!(raw.get_conf([name]).unwrap().get(name).unwrap().values(), before);
    }
}

// tor drops the listener of its default, 9050, with the first line.
#[test]
fn a_pushed_entry_keeps_the_default() {
    let tor = RealTor::start();
    let raw = controller(&tor);
    raw.reset_conf([("SocksPort", None::<&str>), ("Log", None)]).unwrap();
    let us = Config::new(&raw);
    us.push("SocksPort", "auto").unwrap();
    assert_eq!(values(&us, "SocksPort"), ["9050", "auto"]);
    us.push("Log", format!("err file {}/more", tor.directory().display())).unwrap();
    us.save().unwrap();
    assert_eq!(values(&us, "SocksPort"), ["9050", "auto"]);
    assert_eq!(values(&us, "Log")[0], "notice stdout");
    assert_eq!(values(&us, "Log").len(), 2);
    // Also with a line for `__SocksPort`, which is in the same group.
    raw.reset_conf([("SocksPort", None::<&str>)]).unwrap();
    us.push("__SocksPort", "auto").unwrap();
    us.save().unwrap();
    assert_eq!(values(&us, "SocksPort"), ["9050"]);
    assert_eq!(values(&us, "__SocksPort"), ["auto"]);
    // The built-in directory authorities.
    let built_in = us.default_value("DirAuthority").unwrap().entries().unwrap();
    assert!(built_in.len() > 5, "{built_in:?}");
    let new = "extra orport=9 192.0.2.1:80 AAAA AAAA AAAA AAAA AAAA AAAA AAAA AAAA AAAA AAAA";
    us.push("DirAuthority", new).unwrap();
    us.save().unwrap();
    assert_eq!(values(&us, "DirAuthority"), [&built_in[..], &[new.to_owned()]].concat());
}

#[test]
fn the_last_listener_can_be_removed_and_a_disabled_one_opened() {
    let tor = RealTor::start();
    let raw = controller(&tor);
    let us = Config::new(&raw);
    assert_eq!(values(&us, "SocksPort"), ["0"]);
    us.push("SocksPort", 9990).unwrap();
    us.save().unwrap();
    assert_eq!(values(&us, "SocksPort"), ["9990"]);
    assert!(us.remove("SocksPort", 9990).unwrap());
    us.save().unwrap();
    assert_eq!(values(&us, "SocksPort"), ["0"], "and not tor's default again");
    // The default can be removed although no line sets it.
    raw.reset_conf([("SocksPort", None::<&str>)]).unwrap();
    assert!(!us.remove("SocksPort", 9051).unwrap());
    assert!(us.remove("SocksPort", 9050).unwrap());
    us.save().unwrap();
    assert_eq!(values(&us, "SocksPort"), ["0"]);
    us.push("SocksPort", 9991).unwrap();
    us.push("SocksPort", 0).unwrap();
    us.save().unwrap();
    assert_eq!(values(&us, "SocksPort"), ["0"]);
}

// tor accepts abbreviations.
#[test]
fn an_abbreviation_is_not_an_option_of_a_service() {
    let tor = RealTor::start();
    let us = config(&tor);
    let mut service = ConfiguredService::new(tor.directory().join("hs")).port(80, 80);
    let error = service.set_option("HiddenServiceDi", ["/x"]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "invalid argument \"HiddenServiceDi\": is the beginning of HiddenServiceDir: write the \
         whole name"
    );
    // An option of a later tor.
    service.set_option("HiddenServiceNovelty", ["1"]).unwrap();
    assert_eq!(
        refusal(us.add_onion_service(service)),
        "invalid argument \"HiddenServiceNovelty\": is not an option of this tor"
    );
}

#[test]
fn units_are_those_of_tor() {
    let tor = RealTor::start();
    let raw = controller(&tor);
    let us = Config::new(&raw);
    let offline = Config::offline();
    // For each type an option without bounds.
    let sizes = "b byte bytes kb kbyte kbytes kilobyte kilobytes kbit kbits kilobit kilobits m mb mbyte \
         mbytes megabyte megabytes mbit mbits megabit megabits gb gbit bit bits kbs mbs gbs ms k g";
    let times = "second seconds minute minutes hour hours day days week weeks month months year s sec m \
         min h d w mo msec";
    let cases = [("MaxUnparseableDescSizeToLog", sizes), ("NewCircuitPeriod", times)];
    for (option, units) in cases {
        for unit in units.split(' ').chain([""]) {
            for number in ["4", "+4", "1.5", ".5", "4.", " 4", "4 x", "-4", "4e1"] {
                for text in [format!("{number} {unit}"), format!("{number}{unit}")] {
                    let is_taken = raw.set_conf([(option, &text)]).is_ok();
                    offline.set(option, &text).unwrap();
                    let ours = offline.get(option).unwrap();
                    if option == "NewCircuitPeriod" {
                        let in_tor = us.get(option).unwrap().to_duration().unwrap();
                        let ours = ours.to_duration().ok().flatten();
                        assert_eq!(ours, in_tor.filter(|_| is_taken), "{text:?}");
                    } else {
                        let in_tor = us.get(option).unwrap().to_bytes().unwrap();
                        let ours = ours.to_bytes().ok().flatten();
                        assert_eq!(ours, in_tor.filter(|_| is_taken), "{text:?}");
                    }
                }
            }
        }
    }
}
