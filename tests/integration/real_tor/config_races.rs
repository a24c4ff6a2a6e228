//! A cached value decides nothing: a saved value is in tor, and a handle reads its own writes.

use std::sync::mpsc;
use std::time::Duration;

use torcon::EventKind;
use torcon::config::{Config, ConfiguredService};

use super::config::config;
use super::controller;
use crate::support::real_tor::RealTor;

const ROUNDS: usize = 1000;
const LIMIT: Duration = Duration::from_secs(60);

fn text(config: &Config, name: &str) -> String {
    config.get(name).unwrap().to_string()
}

// `save` compared the value with a cached one and sent nothing, while the event of another
// connection's change was still on its way: 55 of 300 rounds lost.
#[test]
fn a_saved_value_overrides_that_of_another_connection() {
    let tor = RealTor::start();
    let (us, theirs) = (config(&tor), controller(&tor));
    let mut lost = 0;
    for round in 0..ROUNDS {
        us.set("ContactInfo", "ours").unwrap();
        us.save().unwrap();
        // Cached before the change.
        assert_eq!(text(&us, "ContactInfo"), "ours");
        theirs.set_conf([("ContactInfo", format!("theirs {round}"))]).unwrap();
        us.set("ContactInfo", "ours").unwrap();
        us.save().unwrap();
        let conf = theirs.get_conf(["ContactInfo"]).unwrap();
        lost += usize::from(conf.get("ContactInfo").unwrap().first() != Some("ours"));
    }
    assert_eq!(lost, 0, "of {ROUNDS}");
}

// The cache learned of the controller's own commands by `CONF_CHANGED`, which follows the reply:
// 35 of 1,000 reads were stale, and 9 of 1,000 saves were lost.
#[test]
fn a_value_that_was_just_set_is_read_and_overridden() {
    let tor = RealTor::start();
    let ours = controller(&tor);
    let (us, raw) = (Config::new(&ours), controller(&tor));
    us.set("ExitNodes", ["{aa}"]).unwrap();
    us.save().unwrap();
    let (mut stale, mut lost) = (0, 0);
    for round in 0..ROUNDS {
        assert_eq!(text(&us, "ExitNodes"), "{aa}");
        let nickname = format!("round{round}");
        ours.set_conf([("ExitNodes", "{bb}"), ("Nickname", &nickname)]).unwrap();
        stale += usize::from(text(&us, "ExitNodes") != "{bb}");
        stale += usize::from(text(&us, "Nickname") != nickname);
        // Cached before the change that `save` overrides.
        us.set("ExitNodes", ["{bb}"]).unwrap();
        us.save().unwrap();
        assert_eq!(text(&us, "ExitNodes"), "{bb}");
        ours.set_conf([("ExitNodes", "{cc}")]).unwrap();
        us.set("ExitNodes", ["{aa}"]).unwrap();
        us.save().unwrap();
        stale += usize::from(text(&us, "ExitNodes") != "{aa}");
        let conf = raw.get_conf(["ExitNodes"]).unwrap();
        lost += usize::from(conf.get("ExitNodes").unwrap().first() != Some("{aa}"));
    }
    assert_eq!((stale, lost), (0, 0), "of {ROUNDS}");
}

#[test]
fn every_command_that_changes_the_configuration_invalidates_the_cache() {
    let tor = RealTor::start();
    let ours = controller(&tor);
    let us = Config::new(&ours);
    let root = tor.directory().display();
    let essentials = format!(
        "DataDirectory {root}/data\nControlSocket {root}/control\nSocksPort 0\nDisableNetwork 1\n\
         CookieAuthentication 1\nCookieAuthFile {root}/cookie\n"
    );
    let mut expected = text(&us, "ContactInfo");
    let mut check = |round: usize, value: &str, change: &dyn Fn(&str)| {
        assert_eq!(text(&us, "ContactInfo"), expected);
        change(value);
        assert_eq!(text(&us, "ContactInfo"), value, "round {round}");
        expected = value.to_owned();
    };
    for round in 0..50 {
        check(round, &format!("set{round}"), &|value| {
            ours.set_conf([("ContactInfo", value)]).unwrap();
        });
        check(round, &format!("reset{round}"), &|value| {
            ours.reset_conf([("ContactInfo", value)]).unwrap();
        });
        check(round, &format!("load{round}"), &|value| {
            ours.load_conf(format!("{essentials}ContactInfo {value}\n")).unwrap();
        });
        check(round, &format!("text{round}"), &|value| {
            ours.command(&format!("setconf contactinfo={value}")).unwrap();
        });
        // tor reads a connection in order, so the test need not wait for the reply.
        let pending = std::cell::RefCell::new(None);
        check(round, &format!("queued{round}"), &|value| {
            let command = format!("SETCONF ContactInfo={value}");
            *pending.borrow_mut() = Some(ours.queue_command(&command).unwrap());
        });
        pending.into_inner().unwrap().wait().unwrap();
        check(round, &format!("lines{round}"), &|value| {
            let command = format!("SETCONF ContactInfo={value}");
            ours.command_lines(&command, |_| std::ops::ControlFlow::Continue(())).unwrap();
        });
    }
}

#[test]
fn a_change_that_another_connection_just_made_is_found() {
    let tor = RealTor::start();
    let (us, theirs) = (config(&tor), controller(&tor));
    let directory = tor.directory().join("hs");
    for round in 0..100 {
        let (a, b) = (format!("a{round}.example x.example"), format!("b{round}.example y.example"));
        us.load(["MapAddress", "HiddenServicePort"]).unwrap();
        theirs.set_conf([("MapAddress", &a), ("MapAddress", &b)]).unwrap();
        assert!(us.remove("MapAddress", &a).unwrap(), "round {round}");
        us.save().unwrap();
        theirs.set_conf([("MapAddress", &a)]).unwrap();
        assert!(us.replace("MapAddress", &a, &b).unwrap(), "round {round}");
        us.save().unwrap();
        let conf = theirs.get_conf(["MapAddress"]).unwrap();
        assert_eq!(conf.get("MapAddress").unwrap().values(), [b]);

        us.onion_services().unwrap();
        let path = directory.to_str().unwrap();
        theirs.set_conf([("HiddenServiceDir", path), ("HiddenServicePort", "80")]).unwrap();
        let service = ConfiguredService::new(&directory).port(80, 80);
        us.add_onion_service(service).expect_err("another service has the directory");
        assert!(us.remove_onion_service(&directory).unwrap(), "round {round}");
        us.save().unwrap();
    }
}

#[test]
fn setting_an_equal_value_reopens_no_listener_and_sends_no_event() {
    let tor = RealTor::builder().line("SocksPort auto").start();
    let (ours, theirs) = (controller(&tor), controller(&tor));
    let us = Config::new(&ours);
    theirs.set_conf([("DisableNetwork", "0")]).unwrap();
    let listeners = || ours.get_info_one("net/listeners/socks").unwrap();
    let before = listeners();
    assert!(before.contains("127.0.0.1:"), "{before}");
    let (sender, events) = mpsc::channel();
    let id = theirs
        .add_event_listener(EventKind::ConfChanged, move |event| {
            sender.send(event.to_string()).unwrap();
        })
        .unwrap();
    for _ in 0..3 {
        us.set("SocksPort", "auto").unwrap();
        us.save().unwrap();
    }
    assert_eq!(listeners(), before);
    us.set("ContactInfo", "last").unwrap();
    us.save().unwrap();
    let event = events.recv_timeout(LIMIT).unwrap();
    assert!(event.contains("ContactInfo=last") && !event.contains("SocksPort"), "{event}");
    theirs.remove_event_listener(id).unwrap();
}
