//! The subscription of a service, behind a filter that refuses events.

use std::time::Duration;

use super::{EventNeeds, Publication, Publisher};
use crate::error::Error;
use crate::link::logged_by;
use crate::onion::status::{AtDisconnection, UploadLimits};
use crate::testkit::{Answer, FakeTor};

const SERVICE: &str = "po2sa4cmis5sqnnb72pmp2drtgylu4phsihs3h3htlzyioorwcbh2myd";
const OTHER: &str = "vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd";
const HSDIR: &str = "$C7A616F79092E7AD491E9EEE7223A2BB640CA918~test009r";
/// A limit that is never reached in a successful run.
const LIMIT: Duration = Duration::from_secs(60);

/// Returns whether a command subscribes to one of these events.
fn subscribes(command: &str, kinds: &[&str]) -> bool {
    let mut words = command.split(' ');
    words.next() == Some("SETEVENTS") && words.any(|kind| kinds.contains(&kind))
}

/// Returns a tor behind a filter that refuses these events.
fn tor(refused: &'static [&'static str]) -> FakeTor {
    let tor = FakeTor::start();
    tor.answer_with(move |_, command| {
        subscribes(command, refused).then(|| Answer::refused(510, "Command filtered"))
    });
    tor
}

fn needs(uploads: bool, changes: bool) -> EventNeeds {
    EventNeeds { uploads, changes, at_disconnection: AtDisconnection::End }
}

#[test]
fn a_service_does_without_the_events_that_it_does_not_need() {
    for (uploads, changes, refused, subscribed) in [
        (false, false, &[][..], Some("HS_DESC")),
        (true, false, &["CONF_CHANGED", "SIGNAL"], Some("HS_DESC")),
        (true, true, &[], Some("CONF_CHANGED HS_DESC SIGNAL")),
        (false, true, &["SIGNAL"], Some("CONF_CHANGED HS_DESC")),
        (false, true, &["HS_DESC"], Some("CONF_CHANGED SIGNAL")),
        (false, true, &["HS_DESC", "CONF_CHANGED"], Some("")),
        (true, true, &["HS_DESC"], None),
    ] {
        let tor = tor(refused);
        let publisher = Publisher::start(&tor.controller(), needs(uploads, changes), None);
        let (Some(subscribed), Ok(publisher)) = (subscribed, &publisher) else {
            assert!(subscribed.is_none() && matches!(publisher, Err(Error::Rejected(_))));
            continue;
        };
        let commands = tor.commands();
        let accepted = commands.iter().rfind(|command| !subscribes(command, refused));
        let accepted = accepted.map_or("", |command| command.trim_start_matches("SETEVENTS "));
        assert_eq!(accepted, subscribed, "without {refused:?}");
        assert_eq!(publisher.has_uploads(), subscribed.contains("HS_DESC"));
    }
}

#[test]
fn only_the_first_subscription_logs_that_events_were_refused() {
    // Under the lock of a later one no logger may run.
    let tor = tor(&["HS_DESC", "SIGNAL"]);
    let controller = tor.controller();
    let mut publisher = None;
    let start = || publisher = Publisher::start(&controller, needs(false, true), None).ok();
    let logged = logged_by(start);
    assert_eq!(logged.len(), 2, "{logged:?}");
    let publisher = publisher.unwrap();
    let mut again = Ok(0);
    assert_eq!(logged_by(|| again = publisher.subscribe(&controller)), [""; 0]);
    assert_eq!(again.unwrap(), 2);
}

#[test]
fn the_uploads_of_the_service_alone_count_from_its_subscription_to_its_end() {
    let tor = FakeTor::start();
    let controller = tor.controller();
    let publisher = Publisher::start(&controller, needs(true, false), None).unwrap();
    let uploaded = |service| {
        tor.send_event(&format!("HS_DESC UPLOADED {service} UNKNOWN {HSDIR}"));
        // The reply is behind the event.
        controller.get_info_one("version").unwrap();
        publisher.uploads().len()
    };
    assert_eq!(uploaded(SERVICE), 0, "the address is not known");
    publisher.set_address(SERVICE.parse().unwrap(), UploadLimits { answer: LIMIT, grace: LIMIT });
    assert_eq!(publisher.uploads().len(), 1);
    assert_eq!(uploaded(OTHER), 1);
    publisher.status().wait(Publication::First, LIMIT, None, None).unwrap();
    publisher.close();
    controller.get_info_one("version").unwrap();
    assert_eq!(tor.commands().iter().rfind(|it| it.starts_with("SETEVENTS")).unwrap(), "SETEVENTS");
    assert!(publisher.status().ending().is_some());
}
