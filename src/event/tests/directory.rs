//! Descriptors and router status entries.

use proptest::prelude::proptest;

use super::{from_wire, parse, recorded, text};
use crate::event::Event;

#[test]
fn newdesc_has_its_relays() {
    // Recorded.
    let relay = "$21C5E47F768885721CD317CFDFF71DC4AFE22CBC~relay2";
    let new = parse_as!(NewDesc, &format!("NEWDESC {relay}"));
    assert_eq!(new.relays(), [relay.parse().unwrap()]);
    assert_eq!(new.extra().count(), 0);
    // Several relays are of the specification.
    let one = "$E8F78D0CAD2E4AB37AF2DBA543E53E84F7B206AC~test004r";
    let other = "$2752B817FDB074AB4FDB688E1DF45AE59E96A138=old";
    let new = parse_as!(NewDesc, &format!("NEWDESC {one} {other} NEW=1 z"));
    let relays: Vec<_> = new.relays().iter().map(ToString::to_string).collect();
    assert_eq!(relays, [one, other]);
    assert_eq!(new.extra().map(|field| field.key).collect::<Vec<_>>(), ["NEW", ""]);
}

#[test]
fn descchanged_is_its_name() {
    // Recorded from a relay.
    let changed = parse_as!(DescChanged, "DESCCHANGED");
    assert_eq!((changed.text(), changed.extra().count()), (&text("DESCCHANGED"), 0));
    assert_eq!(parse_as!(DescChanged, "DESCCHANGED NEW=1").extra().count(), 1);
    let hostile = parse_as!(DescChanged, "DESCCHANGED NEW=a\x1b[31m\u{202e}");
    let fields: Vec<_> = hostile.extra().map(|field| format!("{field:?}")).collect();
    assert_eq!(fields, [r#"NEW="a\u{1b}[31m\u{202e}""#]);
}

#[test]
fn router_status_entries_are_returned_one_by_one() {
    // Recorded.
    let wire = b"650+NS\r\n\
        r test000a CIpWjaakkxh/qUtxyxmOBvc9cPE bu7j9hxCSVJpp7gWJ3IGb1tyHy0 2038-01-01 00:00:00 \
        127.0.0.1 5000 7000\r\n\
        s Authority Exit Fast Guard HSDir Running Stable V2Dir Valid\r\n\
        w Bandwidth=114\r\n\
        r test010r Czdk/iRCrCxdEuoKRSmjcViFmOg g7FtTFIir2K1JBA4s/tyXhOdq6w 2038-01-01 00:00:00 \
        127.0.0.1 5010 0\r\n\
        s Exit Fast Guard HSDir Running Stable V2Dir Valid\r\n\
        w Bandwidth=57\r\n.\r\n650 OK\r\n";
    let Event::Ns(ns) = from_wire(wire) else { panic!() };
    let first = "r test000a CIpWjaakkxh/qUtxyxmOBvc9cPE bu7j9hxCSVJpp7gWJ3IGb1tyHy0 2038-01-01 \
                 00:00:00 127.0.0.1 5000 7000\n\
                 s Authority Exit Fast Guard HSDir Running Stable V2Dir Valid\n\
                 w Bandwidth=114";
    let second = "r test010r Czdk/iRCrCxdEuoKRSmjcViFmOg g7FtTFIir2K1JBA4s/tyXhOdq6w 2038-01-01 \
                  00:00:00 127.0.0.1 5010 0\n\
                  s Exit Fast Guard HSDir Running Stable V2Dir Valid\n\
                  w Bandwidth=57";
    assert_eq!(ns.entries().collect::<Vec<_>>(), [first, second]);
    assert_eq!(ns.body(), text(&format!("{first}\n{second}")));
    assert_eq!((ns.to_string(), ns.extra().count()), (format!("NS\n{first}\n{second}"), 0));
}

#[test]
fn a_recorded_consensus_has_every_relay() {
    let mut found = 0;
    for event in recorded().iter().map(|wire| from_wire(wire)) {
        let entries: Vec<_> = match &event {
            Event::NewConsensus(consensus) => consensus.entries().collect(),
            Event::Ns(ns) => ns.entries().collect(),
            _ => continue,
        };
        found += 1;
        assert_eq!(entries.len(), 12);
        for entry in &entries {
            let starts: Vec<_> = entry.as_bytes().split(|byte| *byte == b'\n').collect();
            assert_eq!(starts.len(), 3);
            for (line, start) in starts.iter().zip([b"r ", b"s ", b"w "]) {
                assert!(line.starts_with(start), "{entry}");
            }
        }
    }
    assert_eq!(found, 2);
}

#[test]
fn entries_may_be_missing_or_stand_after_other_lines() {
    for (event, expected) in [
        ("NS", vec![]),
        ("NS\n", vec![]),
        ("NS\nodd", vec![]),
        ("NS NEW=1\nodd\nr a\nr b\n\nr ", vec!["r a", "r b\n", "r "]),
    ] {
        let entries: Vec<_> = parse_as!(Ns, event).entries().collect();
        assert_eq!(entries, expected, "{event}");
        let event = event.replacen("NS", "NEWCONSENSUS", 1);
        assert_eq!(parse_as!(NewConsensus, &event).entries().collect::<Vec<_>>(), expected);
    }
    assert_eq!(parse_as!(Ns, "NS NEW=1\nr a").extra().count(), 1);
}

#[test]
fn hs_desc_content_has_its_descriptor() {
    let events = recorded();
    let mut contents = events.iter().filter_map(|wire| match from_wire(wire) {
        Event::HsDescContent(content) => Some(content),
        _ => None,
    });
    let failed = contents.next().unwrap();
    let onion = "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad";
    assert_eq!((&failed.address(), &failed.descriptor()), (&Some(text(onion)), &None));
    assert_eq!(failed.descriptor_id(), text("OAWZFf43sRj8SbI8+4DhjykVrrZTpVDhL6tUx7xL3Qk"));
    let relay = "$E194605ABC68F291ABC8E6732814854F41465325~test006r";
    assert_eq!(failed.hsdir().unwrap().to_string(), relay);
    assert_eq!(failed.extra().count(), 0);

    let content = contents.next().unwrap();
    let onion = "po2sa4cmis5sqnnb72pmp2drtgylu4phsihs3h3htlzyioorwcbh2myd";
    assert_eq!(content.address(), Some(text(onion)));
    assert_eq!(content.descriptor_id(), text("a8VgALy2dEcrQ5b1VsTR6dxCfRGWShC9OZ9CN/ZKiPg"));
    let relay = "$C7A616F79092E7AD491E9EEE7223A2BB640CA918~test009r";
    assert_eq!(content.hsdir().unwrap().to_string(), relay);
    let descriptor = content.descriptor().unwrap().to_string();
    assert!(descriptor.starts_with("hs-descriptor 3\ndescriptor-lifetime 180\n"));
    assert!(descriptor.lines().last().unwrap().starts_with("signature "));
    assert_eq!(descriptor.lines().count(), 223);
    assert!(content.text().to_string().ends_with(&descriptor));
    assert!(contents.next().is_none());
}

#[test]
fn hs_desc_content_may_name_neither_service_nor_directory() {
    // Of the specification.
    let unknown = parse_as!(HsDescContent, "HS_DESC_CONTENT UNKNOWN id UNKNOWN NEW=1\n");
    assert_eq!((unknown.address(), unknown.hsdir()), (None, None));
    assert_eq!((unknown.descriptor(), unknown.extra().count()), (None, 1));
}

proptest! {
    #[test]
    fn entries_and_what_stands_before_them_are_the_whole_body(body in "[rs \n]{0,40}") {
        let ns = parse_as!(Ns, &format!("NS\n{body}"));
        let entries: Vec<_> = ns.entries().map(|entry| entry.to_string()).collect();
        assert!(entries.iter().all(|entry| entry.starts_with("r ")));
        let before = body.strip_suffix(&entries.join("\n")).unwrap();
        assert!(!format!("\n{before}").contains("\nr "));
    }
}
