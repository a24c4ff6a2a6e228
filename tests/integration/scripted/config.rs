//! The configuration when replies, events and changes overlap, and at the end of the connection.

use std::time::Duration;

use torcon::config::{Config, ConfiguredService, OptionType, OrAuto};
use torcon::{Error, EventKind};

use super::{LIMIT, chain, connected, join, start};
use crate::support::script::Script;
use crate::support::script::Steps as _;
use crate::support::signal::signal;

/// Answers the first commands of a configuration, with the names of a few options.
fn begin(script: &mut Script) -> &mut Script {
    script.answer("SETEVENTS CONF_CHANGED", &["250 OK"]);
    script.answer(
        "GETINFO config/names",
        &[
            "250+config/names=",
            "ContactInfo String",
            "ExitNodes RouterList",
            "Future Quantum",
            "HiddenServiceDir Dependent",
            "HiddenServiceNovelty Dependent",
            "HiddenServiceOptions Virtual",
            "HiddenServicePort Dependent",
            "LongLivedPorts CommaList",
            "MapAddress LineList",
            "NumCPUs Integer",
            "SocksPort Dependent",
            "SocksPortLines Virtual",
            "__SocksPort Dependent",
            ".",
            "250 OK",
        ],
    )
}

/// Returns a `CONF_CHANGED` event.
fn changed(line: &str) -> String {
    format!("650-CONF_CHANGED\r\n650-{line}\r\n650 OK\r\n")
}

#[track_caller]
fn contact(config: &Config) -> String {
    config.get("ContactInfo").unwrap().text().unwrap_or_default().into_owned()
}

#[test]
fn an_event_before_the_reply_keeps_the_reply_cached() {
    let (tor, controller) = connected(|script| {
        begin(script);
        script.expect("GETCONF ContactInfo");
        script.send(changed("ContactInfo=b") + "250 ContactInfo=b\r\n");
        script.expect_end();
    });
    let config = Config::new(&controller);
    assert_eq!(contact(&config), "b");
    assert_eq!(contact(&config), "b", "without another command");
    controller.close();
    drop((config, controller));
    tor.finish();
}

#[test]
fn an_event_after_the_reply_invalidates_it() {
    // Also in the same packet, and an event older than the reply: tor delays events.
    for (event, later) in [("ContactInfo=c", "c"), ("ContactInfo=old", "b"), ("ContactInfo", "")] {
        let answer = if later.is_empty() { "250 ContactInfo" } else { "250 ContactInfo=" };
        let answer = format!("{answer}{later}\r\n");
        let (tor, controller) = connected(move |script| {
            begin(script).expect("GETCONF ContactInfo");
            script.send("250 ContactInfo=b\r\n".to_owned() + &changed(event));
            script.expect("GETCONF ContactInfo").send(answer).expect_end();
        });
        let config = Config::new(&controller);
        let events = controller.events([EventKind::ConfChanged]).unwrap();
        assert_eq!(contact(&config), "b");
        // The configuration processes an event before an older queue receives it.
        events.recv_timeout(LIMIT).unwrap();
        assert_eq!(contact(&config), later);
        assert_eq!(contact(&config), later, "without another command");
        controller.close();
        drop((events, config, controller));
        tor.finish();
    }
}

#[test]
fn an_event_of_another_option_invalidates_nothing() {
    let (tor, controller) = connected(|script| {
        script.unchecked("events that cannot be read");
        begin(script).answer("GETCONF ContactInfo", &["250 ContactInfo=b"]);
        script.send(
            changed("NumCPUs=3") + &changed("Unheard") + &changed("\u{e9}\0=") + "650 BW\r\n",
        );
        script.send("650-CONF_CHANGED\r\n650 OK\r\n").send(changed("MapAddress=x y")).expect_end();
    });
    let config = Config::new(&controller);
    let events = controller.events([EventKind::ConfChanged]).unwrap();
    assert_eq!(contact(&config), "b");
    while !events.recv_timeout(LIMIT).unwrap().to_string().contains("MapAddress") {}
    assert_eq!(contact(&config), "b");
    controller.close();
    drop((events, config, controller));
    tor.finish();
}

#[test]
fn a_reply_that_a_save_has_overtaken_is_not_cached() {
    let (asked, asks) = signal();
    let (tor, controller) = connected(move |script| {
        begin(script).expect("GETCONF ContactInfo");
        asked.fire();
        // Both commands are sent; tor answered the first before it executed the second.
        script.expect("SETCONF ContactInfo=new");
        script.send("250 ContactInfo=old\r\n250 OK\r\n");
        script.answer("GETCONF ContactInfo", &["250 ContactInfo=new"]);
        // The event of the save is late, and invalidates the new value once more.
        script.send(changed("ContactInfo=new"));
        script.answer("GETCONF ContactInfo", &["250 ContactInfo=new"]).expect_end();
    });
    let config = Config::new(&controller);
    let events = controller.events([EventKind::ConfChanged]).unwrap();
    config.options().unwrap();
    let reading = {
        let config = config.clone();
        start(move || config.in_force("ContactInfo").unwrap().to_string())
    };
    asks.wait();
    config.set("ContactInfo", "new").unwrap();
    config.save().unwrap();
    assert_eq!(join(reading), "old", "the value at the time of the command");
    assert_eq!(contact(&config), "new");
    events.recv_timeout(LIMIT).unwrap();
    assert_eq!(contact(&config), "new");
    controller.close();
    drop((events, config, controller));
    tor.finish();
}

#[test]
fn a_change_of_another_thread_during_a_save_is_left_to_the_next() {
    let (sent, is_sent) = signal();
    let (go_on, test_says) = signal();
    let (tor, controller) = connected(move |script| {
        begin(script)
            .answer("GETINFO process/pid process/uid", &["552 Unrecognized key \"process/pid\""]);
        script.answer("GETCONF MapAddress", &["250 MapAddress"]);
        script.expect("SETCONF MapAddress=a ContactInfo=x");
        sent.fire();
        script.wait_for(&test_says).send("250 OK\r\n");
        script.answer("GETCONF MapAddress", &["250 MapAddress=a"]);
        script.answer("SETCONF MapAddress=a MapAddress=b ContactInfo=y", &["250 OK"]);
        script.expect_end();
    });
    let config = Config::new(&controller);
    config.push("MapAddress", "a").unwrap();
    config.set("ContactInfo", "x").unwrap();
    let saving = {
        let config = config.clone();
        start(move || config.save().unwrap())
    };
    is_sent.wait();
    config.push("MapAddress", "b").unwrap();
    config.set("ContactInfo", "y").unwrap();
    go_on.fire();
    join(saving);
    assert_eq!(config.pending().len(), 2);
    config.save().unwrap();
    controller.close();
    drop((config, controller));
    tor.finish();
}

#[test]
fn each_save_reads_the_services_and_sends_all_their_lines() {
    // Peers 30.
    let (tor, controller) = connected(|script| {
        begin(script);
        script.answer("GETCONF HiddenServiceOptions", &["250 HiddenServiceOptions"]);
        script.answer(
            "GETINFO process/pid process/uid",
            &["250-process/pid=1", "250-process/uid=0", "250 OK"],
        );
        // Another controller added a service, and the event is not received yet.
        let lines = [
            "250-HiddenServiceDir=/tmp",
            "250-HiddenServiceNovelty=\"x \\\"y\\\"\"",
            "250-HiddenServicePort=80",
            "250 HiddenServiceNovelty=2",
        ];
        script.answer("GETCONF HiddenServiceOptions", &lines);
        script.answer(
            "SETCONF HiddenServiceDir=/tmp HiddenServiceNovelty=\"x \\\"y\\\"\" \
             HiddenServicePort=80 HiddenServiceNovelty=2 HiddenServiceDir=/tmp/new \
             HiddenServicePort=\"81 8181\" HiddenServiceNovelty=3",
            &["510 Command filtered"],
        );
        // For the read of the test, and for the second save.
        script.answer("GETCONF HiddenServiceOptions", &lines);
        script.answer("GETCONF HiddenServiceOptions", &lines);
        script.expect_line("the same");
        script.send("250 OK\r\n").expect_end();
    });
    let config = Config::new(&controller);
    let mut service = ConfiguredService::new("/tmp/new").port(81, 8181);
    service.set_option("HiddenServiceNovelty", ["3"]).unwrap();
    config.add_onion_service(service).unwrap();
    let error = config.save().unwrap_err();
    assert!(error.is_filtered());
    assert_eq!(
        chain(&error),
        "cannot save HiddenServiceOptions: tor refused SETCONF: 510 \"Command filtered\""
    );
    assert_eq!(config.onion_services().unwrap().len(), 2);
    config.save().unwrap();
    controller.close();
    drop((config, controller));
    tor.finish();
}

#[test]
fn options_of_unrecognized_types_are_accepted() {
    let (tor, controller) = connected(|script| {
        begin(script).answer("GETCONF Future", &["250-Future=a,b", "250 Future=c"]);
        script.answer("SETCONF Future=1", &["250 OK"]);
        script.answer("SETCONF Future=d Future=e", &["250 OK"]);
        script.expect_end();
    });
    let config = Config::new(&controller);
    assert_eq!(config.option_type("future").unwrap(), OptionType::from("Quantum"));
    assert_eq!(config.get("Future").unwrap().entries().unwrap(), ["a,b", "c"]);
    config.set("Future", true).unwrap();
    config.save().unwrap();
    config.set("Future", ["d", "e"]).unwrap();
    config.save().unwrap();
    controller.close();
    drop((config, controller));
    tor.finish();
}

#[test]
fn a_text_that_does_not_parse_as_its_type_is_a_protocol_error() {
    let (tor, controller) = connected(|script| {
        begin(script).answer("GETCONF NumCPUs", &["250 NumCPUs=many"]);
        script.answer("GETCONF SocksPortLines", &["250-SocksPort=unix:/x", "250 __SocksPort=1"]);
        script.expect_end();
    });
    let config = Config::new(&controller);
    let error = config.get("NumCPUs").unwrap().to_integer::<u8>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot read the option NumCPUs: expected an integer in range, got \"many\""
    );
    assert_eq!(config.get("NumCPUs").unwrap().to_string(), "many");
    config.set("NumCPUs", "a few").unwrap();
    let error = config.get("NumCPUs").unwrap().to_integer::<u8>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot read the option NumCPUs: expected an integer in range, got \"a few\""
    );
    assert!(matches!(config.get("SocksPort").unwrap().to_port(), Err(Error::Protocol(_))));
    assert_eq!(config.get("__SocksPort").unwrap().to_port().unwrap(), Some(OrAuto::Value(1)));
    controller.close();
    drop((config, controller));
    tor.finish();
}

#[test]
fn a_failed_first_read_is_repeated() {
    let (tor, controller) = connected(|script| {
        script.answer("SETEVENTS CONF_CHANGED", &["250 OK"]);
        script.answer("GETINFO config/names", &["250-config/names=ContactInfo String", "250 OK"]);
        script.answer("GETCONF ContactInfo", &["510 Command filtered"]);
        script.answer("GETCONF ContactInfo", &["250 ContactInfo=me"]).expect_end();
    });
    let config = Config::new(&controller);
    assert!(config.get("ContactInfo").unwrap_err().is_filtered());
    assert_eq!(contact(&config), "me");
    controller.close();
    drop((config, controller));
    tor.finish();
}

#[test]
fn a_save_that_times_out_keeps_the_changes_and_invalidates_the_cache() {
    let (tor, controller) = connected(|script| {
        begin(script).answer("GETCONF ContactInfo", &["250 ContactInfo=old"]);
        script.expect("SETCONF ContactInfo=new");
        let probe = script.expect_matching("a probe", |line| line.contains("torcon/sync/"));
        let key = probe.trim_start_matches("GETINFO ").to_owned();
        script.send(format!("250 OK\r\n552 Unrecognized key \"{key}\"\r\n"));
        script.answer("GETCONF ContactInfo", &["250 ContactInfo=new"]).expect_end();
    });
    let short = controller.with_timeout(Duration::from_secs(5));
    let config = Config::new(&short);
    assert_eq!(contact(&config), "old");
    config.set("ContactInfo", "new").unwrap();
    assert!(config.save().unwrap_err().is_timeout());
    assert_eq!(config.pending().len(), 1);
    // tor had accepted it.
    config.revert();
    assert_eq!(contact(&config), "new");
    controller.close();
    drop((config, short, controller));
    tor.finish();
}

#[test]
fn a_closed_connection_fails_reads_and_saves_and_keeps_the_changes() {
    let (tor, controller) = connected(|script| {
        begin(script).answer("GETCONF ContactInfo", &["250 ContactInfo=old"]);
        script.expect("SETCONF ContactInfo=new").close();
    });
    let config = Config::new(&controller);
    assert_eq!(contact(&config), "old");
    config.set("ContactInfo", "new").unwrap();
    for _ in 0..2 {
        let error = config.save().unwrap_err();
        assert_eq!(chain(&error), "the control connection is closed: tor closed the connection");
    }
    // No event would report a change now.
    assert!(config.get("NumCPUs").unwrap_err().is_closed());
    assert!(config.in_force("ContactInfo").unwrap_err().is_closed());
    assert_eq!(contact(&config), "new", "a pending value needs no tor");
    assert_eq!(config.pending(), ["ContactInfo"]);
    assert!(Config::new(&controller).options().unwrap_err().is_closed());
    drop((config, controller));
    tor.finish();
}

#[test]
fn the_subscription_ends_with_the_last_clone() {
    let (tor, controller) = connected(|script| {
        begin(script).answer("GETCONF ContactInfo", &["250 ContactInfo=a"]);
        script.answer("SETEVENTS", &["250 OK"]).answer("GETINFO a", &["250-a=b", "250 OK"]);
        script.expect_end();
    });
    let config = Config::new(&controller);
    let (clone, weak) = (config.clone(), config.downgrade());
    assert_eq!(contact(&config), "a");
    drop(config);
    assert_eq!(contact(&weak.upgrade().unwrap()), "a");
    assert_eq!(controller.subscribed_events(), [EventKind::ConfChanged]);
    drop(clone);
    assert!(weak.upgrade().is_none());
    assert_eq!(controller.subscribed_events(), []);
    // The reply to SETEVENTS precedes the next one.
    controller.get_info_one("a").unwrap();
    controller.close();
    drop(controller);
    tor.finish();
}
