//! Events of a tor without a network, each as its type.

use std::time::Duration;

use crossbeam_channel::{Receiver, unbounded};
use torcon::event::{
    AddrMapEvent, BuildTimeoutSetEvent, CircMinorEvent, EventText, GuardEvent, MappedAddress,
    StreamEvent, TypedEvent,
};
use torcon::names::{BuildTimeoutAction, StreamStatus};
use torcon::{Controller, EventKind};

use super::{controller, reader};
use crate::support::real_tor::RealTor;

const LIMIT: Duration = Duration::from_secs(30);

/// Sends every event of a type to the test.
fn listen<E: TypedEvent + Clone + Send>(controller: &Controller) -> Receiver<E> {
    let (send, receive) = unbounded();
    controller
        .on(move |event: &E| {
            send.send(event.clone()).ok();
        })
        .unwrap();
    receive
}

fn text(text: &str) -> EventText {
    EventText::new(text.as_bytes())
}

#[test]
fn every_kind_that_tor_offers_has_a_type_and_can_be_subscribed_to() {
    let controller = reader();
    let names = controller.get_info_one("events/names").unwrap();
    let kinds: Vec<_> = names.split(' ').map(EventKind::from).collect();
    assert_eq!(kinds.iter().filter(|kind| !kind.is_recognized()).count(), 0, "{names}");
    let queue = controller.events(kinds.clone()).unwrap();
    assert_eq!(controller.subscribed_events().len(), kinds.len());
    drop(queue);
    // The other kinds are subscribed to by their types too.
    listen::<GuardEvent>(&controller);
    listen::<CircMinorEvent>(&controller);
    assert_eq!(controller.subscribed_events(), [EventKind::CircMinor, EventKind::Guard]);
}

#[test]
fn addresses_that_are_mapped_and_unmapped_cause_addrmap() {
    let tor = RealTor::start();
    let controller = controller(&tor);
    let maps = listen::<AddrMapEvent>(&controller);
    controller.command("MAPADDRESS mapped.example=other.example").unwrap();
    let set = maps.recv_timeout(LIMIT).unwrap();
    assert_eq!(set.to_string(), "ADDRMAP mapped.example other.example NEVER CACHED=\"YES\"");
    assert_eq!(set.address(), text("mapped.example"));
    assert_eq!(set.new_address(), MappedAddress::Address(text("other.example")));
    assert_eq!((&set.local_expiry(), set.expires(), set.cached()), (&None, None, Some(true)));

    controller.command("MAPADDRESS mapped.example=").unwrap();
    let removed = maps.recv_timeout(LIMIT).unwrap();
    assert_eq!(removed.new_address(), MappedAddress::Removed);
    assert_eq!(removed.to_string(), "ADDRMAP mapped.example  NEVER CACHED=\"YES\"");
    assert_eq!((removed.stream(), removed.extra().count()), (None, 0));
}

#[test]
fn a_request_to_resolve_that_fails_causes_addrmap_with_its_stream() {
    let tor = RealTor::start();
    let controller = controller(&tor);
    let maps = listen::<AddrMapEvent>(&controller);
    let streams = listen::<StreamEvent>(&controller);
    controller.command("RESOLVE bad_host!name").unwrap();
    let failed = maps.recv_timeout(LIMIT).unwrap();
    assert_eq!(failed.address(), text("bad_host!name"));
    assert_eq!(
        (&failed.new_address(), &failed.error()),
        (&MappedAddress::Failed, &Some(text("yes")))
    );
    assert_eq!(failed.cached(), Some(false));
    assert!(failed.local_expiry().is_some() && failed.expires().is_some());
    let stream = streams.recv_timeout(LIMIT).unwrap();
    assert_eq!(stream.status(), StreamStatus::NewResolve);
    assert_eq!(failed.stream(), Some(stream.id()));
    assert_eq!(failed.extra().count(), 0);
}

#[test]
fn dropped_build_times_cause_buildtimeout_set() {
    let tor = RealTor::start();
    let controller = controller(&tor);
    let timeouts = listen::<BuildTimeoutSetEvent>(&controller);
    controller.command("DROPTIMEOUTS").unwrap();
    let reset = timeouts.recv_timeout(LIMIT).unwrap();
    assert_eq!((&reset.action(), reset.total_times()), (&BuildTimeoutAction::Reset, Some(0)));
    assert_eq!(reset.timeout(), Some(Duration::from_secs(60)));
    assert_eq!(reset.close(), Some(Duration::from_secs(60)));
    assert_eq!(reset.xm(), Some(Duration::ZERO));
    assert_eq!(reset.alpha().map(f64::from), Some(0.0));
    assert_eq!(reset.cutoff_quantile().map(f64::from), Some(1.0));
    assert_eq!(reset.timeout_rate().map(f64::from), Some(0.0));
    assert_eq!(reset.close_rate().map(f64::from), Some(0.0));
    assert_eq!(reset.extra().count(), 0);
}
