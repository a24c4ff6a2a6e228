//! Address mappings, resolving, guards and descriptors, without a network.

use std::net::IpAddr;
use std::time::Duration;

use torcon::Error;
use torcon::command::{
    DropTimeouts, HsFetch, HsPost, MapAddress, MapOutcome, PostDescriptor, Resolve,
};
use torcon::names::{Fingerprint, OnionAddress, RouterPurpose};
use torcon::{Event, EventKind};

use super::{controller, reader, refusal};
use crate::support::capability::Capability;
use crate::support::real_tor::RealTor;

const LIMIT: Duration = Duration::from_secs(30);

fn service() -> OnionAddress {
    "vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd".parse().unwrap()
}

fn server() -> Fingerprint {
    Fingerprint::from([0xaa; 20])
}

fn shown(outcome: &MapOutcome) -> String {
    match outcome {
        MapOutcome::Mapped { from, to, .. } => format!("{from} leads to {to}"),
        MapOutcome::Refused(line) => format!("{} {}", line.code(), line.text()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn addresses_are_mapped_and_unmapped_and_each_pair_may_be_refused() {
    let tor = RealTor::start();
    let controller = controller(&tor);
    let map = |pairs: &[(&str, &str)]| -> Vec<String> {
        controller.map_address(pairs.iter().copied()).unwrap().iter().map(shown).collect()
    };
    assert_eq!(
        map(&[("a.example", "b.example"), ("x", "@@@"), ("*.c.example", "*.d.example")]),
        [
            "a.example leads to b.example",
            "512 syntax error: invalid address '@@@'",
            "*.c.example leads to *.d.example"
        ]
    );
    assert_eq!(map(&[("x", "@@@")]), ["512 syntax error: invalid address '@@@'"]);
    assert_eq!(
        map(&[("a.example", "*.b.example")]),
        ["512 syntax error: invalid address mapping  'a.example=*.b.example': can only use \
          wildcard (i.e. '*.') if 'from' address uses wildcard also"]
    );
    let mapped = controller.get_info_one("address-mappings/control").unwrap();
    assert!(mapped.lines().any(|line| line == "a.example b.example NEVER"), "{mapped}");
    let free = MapAddress::new([("e.example", "f.example")]).remove("a.example");
    let outcomes = controller.execute(&free).unwrap();
    assert_eq!(
        outcomes.iter().map(shown).collect::<Vec<_>>(),
        ["e.example leads to f.example", "a.example leads to a.example"]
    );
    let mapped = controller.get_info_one("address-mappings/control").unwrap();
    assert!(!mapped.contains("a.example b.example"), "{mapped}");
    // Commands that no method sends.
    for (command, message) in [
        ("MAPADDRESS", "512 \"syntax error: not enough arguments to mapaddress.\""),
        ("MAPADDRESS foo", "512 \"Bad arguments to MAPADDRESS: Cannot parse keyword argument(s)\""),
        (
            "MAPADDRESS a=\"b\"",
            "512 \"Bad arguments to MAPADDRESS: Cannot parse keyword argument(s)\"",
        ),
    ] {
        let message = format!("tor refused MAPADDRESS: {message}");
        assert_eq!(refusal(controller.command(command)), message);
    }
}

#[test]
fn virtual_addresses_are_chosen_by_tor_and_constant() {
    let tor = RealTor::start();
    let controller = controller(&tor);
    let kinds = [MapAddress::VIRTUAL_IPV4, MapAddress::VIRTUAL_IPV6, MapAddress::VIRTUAL_NAME];
    let chosen = || -> Vec<String> {
        let outcomes = controller.map_address(kinds.map(|kind| (kind, "example.com"))).unwrap();
        outcomes
            .iter()
            .map(|outcome| match outcome {
                MapOutcome::Mapped { from, to, .. } if to == "example.com" => from.clone(),
                other => panic!("{other:?}"),
            })
            .collect()
    };
    let first = chosen();
    assert!(first[0].starts_with("127."), "{first:?}");
    assert!(first[1].starts_with("[fe") && first[1].ends_with(']'), "{first:?}");
    assert!(first[2].ends_with(".virtual"), "{first:?}");
    assert_eq!(chosen()[0], first[0]);
    let range = controller.map_address([("::0", "example.com")]).unwrap();
    assert_eq!(shown(&range[0]), "::0 leads to example.com", "another spelling is an address");
}

#[test]
fn resolve_is_answered_at_once_and_its_result_is_an_event() {
    let tor = RealTor::start();
    let controller = controller(&tor);
    // tor detects itself that this is not a name; for other names it would wait for a network.
    let resolve = Resolve::new(["bad_host!name"]);
    let is_answer = |(): &(), event: &Event| event.to_string().starts_with("ADDRMAP bad_host!name");
    let ((), event) =
        controller.execute_and_wait(&resolve, EventKind::AddrMap, is_answer, LIMIT).unwrap();
    assert!(event.to_string().contains("<error>"), "{event}");

    let events = controller.events([EventKind::Stream]).unwrap();
    controller.execute(&Resolve::new(["a.example", "b.example"])).unwrap();
    controller.execute(&Resolve::reverse(["192.0.2.7".parse::<IpAddr>().unwrap()])).unwrap();
    let targets: Vec<_> = events
        .timeout_iter(LIMIT)
        .take(3)
        .map(|event| match event {
            Event::Stream(stream) => format!("{} {}", stream.status(), stream.target()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        targets,
        ["NEWRESOLVE a.example:0", "NEWRESOLVE b.example:0", "NEWRESOLVE 192.0.2.7:0"]
    );
    assert_eq!(
        refusal(controller.command("RESOLVE \"x.com\"")),
        "tor refused RESOLVE: 512 \"Bad arguments to RESOLVE: Cannot parse keyword argument(s)\""
    );
}

#[test]
fn resolving_and_fetching_without_a_network_end_with_an_error() {
    let tor = RealTor::start();
    let controller = controller(&tor);
    let error = controller.resolve("bad_host!name", LIMIT).unwrap_err();
    assert_eq!(error.to_string(), "cannot resolve bad_host!name: tor answered error=yes");
    let mapped = [("mapped.example", "192.0.2.9")];
    controller.map_address(mapped).unwrap();
    let address = controller.resolve("mapped.example", LIMIT).unwrap();
    assert_eq!(address.to_string(), "192.0.2.9");
    let error = controller.resolve("a.example", Duration::from_millis(50)).unwrap_err();
    assert!(error.is_timeout(), "{error}");
    // tor accepts the command and queries no directory, and no event reports that.
    let error = controller.fetch_onion_descriptor(service(), LIMIT).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("no directory delivered the descriptor of {}: none was tried", service())
    );
    let servers = [server()];
    let error = controller.fetch_onion_descriptor_from(service(), servers, LIMIT).unwrap_err();
    assert!(matches!(error, Error::InvalidInput(_) | Error::Rejected(_)), "{error:?}");
    assert!(controller.subscribed_events().is_empty());
}

#[test]
fn guards_and_circuit_build_times_are_dropped() {
    let tor = RealTor::start();
    let controller = controller(&tor);
    controller.drop_guards().unwrap();
    let (drop, kind) = (DropTimeouts::new(), EventKind::BuildTimeoutSet);
    let ((), event) = controller.execute_and_wait(&drop, kind, |(), _| true, LIMIT).unwrap();
    assert!(event.to_string().starts_with("BUILDTIMEOUT_SET RESET TOTAL_TIMES=0 "), "{event}");
    controller.drop_timeouts().unwrap();
    for keyword in ["DROPGUARDS", "DROPTIMEOUTS"] {
        let problem = "Cannot accept more than 0 argument(s)";
        assert_eq!(
            refusal(controller.command(&format!("{keyword} x"))),
            format!("tor refused {keyword}: 512 \"Bad arguments to {keyword}: {problem}\"")
        );
    }
}

#[test]
fn a_malformed_descriptor_is_refused() {
    let controller = reader();
    let post = |descriptor: PostDescriptor| refusal(controller.post_descriptor(&descriptor));
    let foo = || PostDescriptor::new("foo");
    for (command, message) in [
        (foo(), r#"554 "Couldn't parse router descriptor.""#),
        (PostDescriptor::new("\n"), r#"554 "Couldn't parse router descriptor.""#),
        (PostDescriptor::new(".\nQUIT\n"), r#"554 "Couldn't parse router descriptor.""#),
        (
            foo().purpose(RouterPurpose::Controller).cache(true),
            r#"554 "Couldn't parse router descriptor.""#,
        ),
        (foo().purpose(RouterPurpose::from("nope")), r#"552 "Unknown purpose \"nope\"""#),
    ] {
        assert_eq!(post(command), format!("tor refused POSTDESCRIPTOR: {message}"));
    }
    assert!(controller.is_alive());
}

#[test]
fn hsfetch_and_hspost_name_the_service_by_address() {
    let controller = reader();
    controller.hs_fetch(&HsFetch::new(service())).unwrap();
    let unknown = format!("552 \"Server \\\"${}\\\" not found\"", server());
    let unlisted = HsFetch::new(service()).server(server());
    let outcome = controller.hs_fetch(&unlisted);
    if Capability::HsFetchRefusesUnlisted.is_available() {
        assert_eq!(outcome.unwrap_err().status_code(), Some(552));
    } else {
        let refused = format!(
            "invalid argument \"server\": {} is not in the consensus, and this version of tor \
             would abort",
            server()
        );
        assert_eq!(refusal(outcome), refused);
        let raw = format!("HSFETCH {} server=${}~nick", service().service_id(), server());
        assert_eq!(refusal(controller.command(&raw)), refused);
    }
    for (command, message) in [
        (HsPost::new(service(), "foo"), r#"554 "Invalid descriptor""#),
        (HsPost::new(service(), "foo").server(server()), &*unknown),
    ] {
        let message = format!("tor refused HSPOST: {message}");
        assert_eq!(refusal(controller.hs_post(&command)), message);
    }
    // Commands that no method sends.
    let id = service().service_id().to_owned();
    for (arguments, message) in [
        (" v3-abc", r#"513 "Invalid argument \"v3-abc\"""#.to_owned()),
        ("", "512 \"Bad arguments to HSFETCH: Need at least 1 argument(s)\"".to_owned()),
        (" abc", r#"513 "Invalid argument \"abc\"""#.to_owned()),
        (&*format!(" {id}.onion"), format!(r#"513 "Invalid argument \"{id}.onion\"""#)),
        (&*format!(" {id} SERVER=nope"), r#"552 "Server \"nope\" not found""#.to_owned()),
        (
            &*format!(" {id} junk"),
            "512 \"Bad arguments to HSFETCH: Cannot parse keyword argument(s)\"".to_owned(),
        ),
    ] {
        let message = format!("tor refused HSFETCH: {message}");
        assert_eq!(refusal(controller.command(&format!("HSFETCH{arguments}"))), message);
    }
    assert!(controller.is_alive());
}
