//! Every feature by every profile: it works, or is refused by an error that names the command.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use torcon::config::Config;
use torcon::names::{OnionKey, PortTarget, Signal};
use torcon::onion::{OnionEndpoint, Publication};
use torcon::state::{Attach, State};
use torcon::{Controller, Error, Event, EventKind, Tor};

use super::profiles::ALL;
use super::{Filtered, LIMIT, outcome};
use crate::support::filter::Profile;

/// The outcome of each feature, in the order of [`ALL`].
const EXPECTED: &[(&str, [&str; 8])] = &[
    ("ephemeral service", ["ok", "ok", "ok", "ok", "ok", "ok", "ok", "no ADD_ONION"]),
    ("its removal", ["ok", "no DEL_ONION", "ok", "ok", "ok", "ok", "ok", "none"]),
    ("filesystem service", ["use an ephemeral service"; 8]),
    ("ephemeral, another form", ["no ADD_ONION"; 8]),
    (
        "Config, read",
        ["no GETCONF", "no GETCONF", "no GETCONF", "ok", "ok", "no GETCONF", "no GETCONF", "ok"],
    ),
    (
        "Config, saved",
        [
            "no SETCONF",
            "no SETCONF",
            "ok",
            "no SETCONF",
            "no SETCONF",
            "no SETCONF",
            "no SETCONF",
            "no SETCONF",
        ],
    ),
    ("to_torrc", ["no GETINFO"; 8]),
    (
        "set_conf",
        [
            "no SETCONF",
            "no SETCONF",
            "ok",
            "no SETCONF",
            "no SETCONF",
            "no SETCONF",
            "no SETCONF",
            "no SETCONF",
        ],
    ),
    (
        "State",
        [
            "ok but 14",
            "no SETEVENTS",
            "ok but 13",
            "ok but 13",
            "ok but 16",
            "ok but 16",
            "no SETEVENTS",
            "ok but 12",
        ],
    ),
    (
        "State, relays",
        [
            "no GETINFO",
            "none",
            "no GETINFO",
            "no GETINFO",
            "no GETINFO",
            "no GETINFO",
            "none",
            "ok",
        ],
    ),
    (
        "attacher",
        [
            "no GETCONF",
            "none",
            "no GETCONF",
            "no GETCONF",
            "no GETCONF",
            "no GETCONF",
            "none",
            "no GETCONF",
        ],
    ),
    (
        "SocksPort",
        [
            "no GETINFO",
            "no GETINFO",
            "no GETINFO",
            "no GETINFO",
            "no GETINFO",
            "no GETINFO",
            "no GETINFO",
            "NoListener",
        ],
    ),
    (
        "is_ready",
        ["true", "no GETINFO", "true", "true", "no GETINFO", "no GETINFO", "no GETINFO", "false"],
    ),
    (
        "wait_ready",
        ["ok", "no GETINFO", "ok", "ok", "no GETINFO", "no GETINFO", "no GETINFO", "timeout"],
    ),
    (
        "new identity",
        [
            "no SIGNAL",
            "no SIGNAL",
            "no SIGNAL",
            "no SIGNAL",
            "no SIGNAL",
            "no SIGNAL",
            "no SIGNAL",
            "ok",
        ],
    ),
    (
        "bootstrap",
        ["100 %", "no GETINFO", "100 %", "100 %", "no GETINFO", "no GETINFO", "no GETINFO", "0 %"],
    ),
    (
        "queue of HS_DESC",
        [
            "ok",
            "no SETEVENTS",
            "ok",
            "ok",
            "no SETEVENTS",
            "no SETEVENTS",
            "no SETEVENTS",
            "no SETEVENTS",
        ],
    ),
    (
        "version of tor",
        [
            "ok",
            "no GETINFO",
            "no GETINFO",
            "no GETINFO",
            "no GETINFO",
            "ok",
            "no GETINFO",
            "no GETINFO",
        ],
    ),
];

/// Uses a feature, and returns the outcome.
type Feature = fn(&Filtered, &Controller) -> String;

const FEATURES: &[(&str, Feature)] = &[
    ("ephemeral service", ephemeral),
    ("its removal", removal),
    ("filesystem service", filesystem),
    ("ephemeral, another form", other_form),
    ("Config, read", config_read),
    ("Config, saved", config_saved),
    ("to_torrc", to_torrc),
    ("set_conf", set_conf),
    ("State", state),
    ("State, relays", relays),
    ("attacher", attacher),
    ("SocksPort", socks_port),
    ("is_ready", is_ready),
    ("wait_ready", wait_ready),
    ("new identity", new_identity),
    ("bootstrap", bootstrap),
    ("queue of HS_DESC", hs_desc),
    ("version of tor", version),
];

#[test]
fn every_feature_works_by_every_profile_or_names_the_command_that_it_lacks() {
    let mut table: Vec<(&str, Vec<String>)> =
        FEATURES.iter().map(|(name, _)| (*name, Vec::new())).collect();
    for profile in ALL {
        let filtered = Filtered::start(profile);
        for ((_, feature), (_, row)) in FEATURES.iter().zip(&mut table) {
            let begin = Instant::now();
            let controller = filtered.connect();
            row.push(feature(&filtered, &controller));
            assert!(begin.elapsed() < LIMIT, "{} {row:?}", profile.name);
            // The connection can still be used, and each reply is that of its command.
            assert!(controller.is_alive(), "{} {row:?}", profile.name);
            assert_eq!(controller.protocol_info().unwrap().tor_version, *controller.version());
            let error = controller.get_info_one("no/such/key").unwrap_err();
            assert!(error.is_filtered(), "{error:?}");
        }
        assert!(filtered.tor.try_wait().is_none(), "{}", profile.name);
        assert!(!filtered.tor.raw().get_info("version").is_empty());
    }
    let expected: Vec<_> =
        EXPECTED.iter().map(|(name, row)| (*name, row.map(str::to_owned).to_vec())).collect();
    assert!(table == expected, "{}", shown(&table));
}

fn shown(table: &[(&str, Vec<String>)]) -> String {
    let mut text = format!("{:?}\n", ALL.map(|profile| profile.name));
    for (name, row) in table {
        text += &format!("    ({name:?}, {row:?}),\n");
    }
    text
}

fn on_loopback(port: u16) -> PortTarget {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into()
}

/// The service of the application, as it makes it itself.
fn service(profile: &Profile, controller: &Controller, key: u8) -> (OnionEndpoint, PortTarget) {
    let on = |port| controller.onion_endpoint(port);
    match profile.name {
        "onionshare" => (on(80), 17600.into()),
        "bitcoind" => (on(8333), on_loopback(8334)),
        "bisq" => (on(9999), 12345.into()),
        "cwtch" => {
            let endpoint = on(9878).key(OnionKey::from_seed([key; 32])).discard_key().detach();
            (endpoint, SocketAddr::from((Ipv6Addr::UNSPECIFIED, 15123)).into())
        }
        "ricochet" => (on(9878), on_loopback(12345)),
        "wahay" => (on(8181).port(64738, on_loopback(12346)), on_loopback(12345)),
        "zeronet" => (on(15441), 15441.into()),
        _ => (on(80), 8080.into()),
    }
}

fn ephemeral(filtered: &Filtered, controller: &Controller) -> String {
    let (endpoint, target) = service(filtered.profile, controller, 1);
    let service = endpoint.publication(Publication::None).start(target);
    let text = outcome(service);
    if text == "ok" {
        let passed = filtered.filter.passed();
        assert!(passed.iter().any(|line| line.starts_with("ADD_ONION ")), "{passed:?}");
    }
    text
}

fn removal(filtered: &Filtered, controller: &Controller) -> String {
    let (endpoint, target) = service(filtered.profile, controller, 2);
    match endpoint.publication(Publication::None).start(target) {
        Ok(service) => {
            service.close().err().map_or_else(|| "ok".to_owned(), |error| outcome::<()>(Err(error)))
        }
        Err(_) => "none".to_owned(),
    }
}

fn other_form(_: &Filtered, controller: &Controller) -> String {
    let endpoint = controller.onion_endpoint(4444).ephemeral();
    outcome(endpoint.publication(Publication::None).listen())
}

fn filesystem(filtered: &Filtered, controller: &Controller) -> String {
    let directory = filtered.tor.directory().join("service");
    let endpoint = controller.onion_endpoint(80).hidden_service_dir(&directory);
    let text = outcome(endpoint.publication(Publication::None).listen());
    assert!(!directory.exists(), "nothing is left");
    text.split_once("; ").map_or_else(|| text.clone(), |(_, advice)| advice.to_owned())
}

fn config_read(_: &Filtered, controller: &Controller) -> String {
    outcome(Config::new(controller).get("DisableNetwork"))
}

fn config_saved(_: &Filtered, controller: &Controller) -> String {
    let config = Config::new(controller);
    outcome(config.set("DisableNetwork", true).and_then(|()| config.save()))
}

fn to_torrc(_: &Filtered, controller: &Controller) -> String {
    outcome(Config::new(controller).to_torrc())
}

fn set_conf(_: &Filtered, controller: &Controller) -> String {
    outcome(controller.set_conf([("DisableNetwork", "1")]))
}

fn state(_: &Filtered, controller: &Controller) -> String {
    match State::new(controller) {
        Ok(state) => {
            assert!(state.circuits().is_empty() && state.streams().is_empty());
            for part in state.missing() {
                assert!(part.error.is_filtered(), "{part:?}");
            }
            format!("ok but {}", state.missing().len())
        }
        Err(error) => outcome::<()>(Err(error)),
    }
}

fn relays(_: &Filtered, controller: &Controller) -> String {
    match State::new(controller) {
        Ok(state) => outcome(state.relays()),
        Err(_) => "none".to_owned(),
    }
}

fn attacher(_: &Filtered, controller: &Controller) -> String {
    match State::new(controller) {
        Ok(state) => outcome(state.set_attacher(|_, _| Attach::Tor)),
        Err(_) => "none".to_owned(),
    }
}

fn socks_port(_: &Filtered, controller: &Controller) -> String {
    let tor = Tor::from(controller.clone());
    match tor.connect_stream("a.example:80") {
        Err(Error::Socks(error)) => format!("{:?}", error.problem()),
        other => outcome(other),
    }
}

fn is_ready(_: &Filtered, controller: &Controller) -> String {
    match Tor::from(controller.clone()).is_ready() {
        Ok(is_ready) => is_ready.to_string(),
        Err(error) => outcome::<()>(Err(error)),
    }
}

fn wait_ready(_: &Filtered, controller: &Controller) -> String {
    // One tor never becomes ready. A command that is not answered in this time would end a connection
    // whose filter refuses the probe for a lost reply.
    match Tor::from(controller.clone()).wait_ready(Duration::from_secs(5)) {
        Err(error) if error.is_timeout() => "timeout".to_owned(),
        other => outcome(other),
    }
}

fn new_identity(_: &Filtered, controller: &Controller) -> String {
    outcome(controller.signal(Signal::Newnym))
}

fn bootstrap(_: &Filtered, controller: &Controller) -> String {
    match controller.bootstrap_phase() {
        Ok(phase) => format!("{} %", phase.progress),
        Err(error) => outcome::<()>(Err(error)),
    }
}

fn hs_desc(_: &Filtered, controller: &Controller) -> String {
    outcome(controller.events([EventKind::HsDesc]))
}

fn version(_: &Filtered, controller: &Controller) -> String {
    outcome(controller.get_info_one("version"))
}

#[test]
fn events_that_lost_their_status_codes_end_nothing_while_commands_are_under_way() {
    // The monitor's profile replaces each BW event, which tor sends once a second.
    let filtered = Filtered::start(&super::profiles::MONITOR);
    let controller = filtered.connect();
    let queue = controller.events([EventKind::Bw]).unwrap();
    for _ in 0..2 {
        let event = queue.recv_timeout(LIMIT).unwrap();
        assert!(matches!(event, Event::Malformed { .. }), "{event:?}");
        assert_eq!(event.to_string(), "XXXredactedXXX");
        let pending: Vec<_> = ["GETCONF DisableNetwork", "GETCONF SocksPort"]
            .map(|command| controller.queue_command(command).unwrap())
            .into();
        let texts: Vec<_> =
            pending.into_iter().map(|reply| reply.wait().unwrap().text().into_owned()).collect();
        assert_eq!(texts, ["DisableNetwork=1", "SocksPort=0"]);
    }
    assert!(!filtered.filter.replaced_events().is_empty());
}
