use super::OnionDescriptor;
use crate::names::{OnionKey, RelaySpec, TimePeriod};

/// Layers that are encrypted here, and their faults.
#[cfg(feature = "onion-descriptor")]
mod layers;

/// The descriptor of a service of the private network, with the key of seed 69, clients with the keys
/// of bytes 1 and 2, and proof of work, by tor 0.4.9.11.
const RECORDED: &str = include_str!("tests/recorded.txt");

fn recorded() -> OnionDescriptor {
    OnionDescriptor::parse(RECORDED).unwrap()
}

/// Calls every method.
fn read(descriptor: &OnionDescriptor) {
    let _ = (descriptor.lifetime_minutes(), descriptor.revision(), descriptor.id());
    let _ = (descriptor.signing_key(), descriptor.signature(), descriptor.hsdir());
    let _ = (descriptor.unrecognized().count(), format!("{descriptor:?}"), descriptor.check());
}

#[test]
fn a_recorded_descriptor_is_parsed() {
    let descriptor = recorded();
    assert_eq!(descriptor.check(), Ok(()));
    assert_eq!(descriptor.unrecognized().count(), 0);
    assert_eq!((descriptor.version(), descriptor.lifetime_minutes()), (3, Some(180)));
    assert_eq!(descriptor.revision(), Some(1_712_729_980));
    assert_eq!(descriptor.id().unwrap(), "ASy3CVwQNrHyB54lRMRRkoFTVvnif7+ZeLbBc4cyq+k");
    let certificate = descriptor.signing_key_certificate().unwrap();
    assert_eq!(certificate.certificate_type().number(), 8);
    assert_eq!(descriptor.blinded_key(), certificate.signing_key());
    assert_eq!(descriptor.signing_key(), Some(certificate.key()));
    assert_eq!(descriptor.signature().unwrap()[..2], [0xe0, 0x80]);
    assert_eq!((descriptor.hsdir(), descriptor.to_string()), (None, RECORDED.to_owned()));
    let shown = format!("{descriptor:?}");
    assert!(shown.contains("bytes: 14110") && !shown.contains("LXkuh"), "{shown}");

    // Annotations of a file are not signed.
    let text = format!("@type hidden-service-descriptor-3 1.0\n{RECORDED}\n");
    let annotated = OnionDescriptor::parse(text).unwrap();
    assert_eq!((annotated.annotations().count(), annotated.check()), (1, Ok(())));

    let hsdir = RelaySpec::from_bytes(b"$C7A616F79092E7AD491E9EEE7223A2BB640CA918~test009r");
    let downloaded = OnionDescriptor::downloaded(RECORDED, hsdir.clone()).unwrap();
    assert_eq!(downloaded.hsdir(), Some(&hsdir));
    assert_eq!(downloaded.detached(), downloaded);
}

#[test]
fn a_recorded_descriptor_belongs_to_its_service_in_one_time_period() {
    let address = OnionKey::from_seed([69; 32]).address();
    let is_of = |number| recorded().belongs_to(&address, TimePeriod::new(number, 720));
    let numbers: Vec<u64> = (41_560..41_570).filter(|number| is_of(*number)).collect();
    assert_eq!(numbers, [41_566]);
    let other = OnionKey::from_seed([70; 32]).address();
    assert!(!recorded().belongs_to(&other, TimePeriod::new(numbers[0], 720)));
}

#[test]
fn a_malformed_line_is_absent_and_named_by_check() {
    let error = OnionDescriptor::parse("rendezvous-service-descriptor a\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot read the descriptor of an onion service: expected a line hs-descriptor with a \
         version, got \"rendezvous-service-descriptor a\\n\""
    );
    for text in ["", "hs-descriptor\n", "hs-descriptor x\n", "\nhs-descriptors 3\n"] {
        assert!(OnionDescriptor::parse(text).is_err(), "{text}");
    }
    for (line, from, to) in [
        (2, "lifetime 180", "lifetime -1"),
        (3, "ED25519 CERT-----\nAQgA", "ED25519 CERT-----\nAQg!"),
        (9, "counter 1712729980", "counter 18446744073709551616"),
        (10, "BEGIN MESSAGE", "BEGIN MESSAGES"),
        (223, "signature 4IC/", "signature 4IC"),
    ] {
        let descriptor = OnionDescriptor::parse(RECORDED.replacen(from, to, 1)).unwrap();
        let error = descriptor.check().unwrap_err();
        assert_eq!(error.line(), Some(line), "{error}");
        read(&descriptor);
    }
    let cut = OnionDescriptor::parse(RECORDED.split_once("signature").unwrap().0).unwrap();
    assert_eq!(cut.check().unwrap_err().expected(), "signature SIGNATURE in base64");
    assert_eq!(cut.signature(), None);
}

#[test]
fn a_descriptor_that_is_cut_or_changed_anywhere_is_parsed_without_a_panic() {
    let length = RECORDED.len();
    // The middle is one message.
    for end in (0..900).chain((900..length - 300).step_by(97)).chain(length - 300..length) {
        let cut = &RECORDED.as_bytes()[..end];
        if let Ok(descriptor) = OnionDescriptor::parse(cut) {
            read(&descriptor);
        }
    }
    let lines: Vec<&str> = RECORDED.split_inclusive('\n').collect();
    for number in (0..12).chain(lines.len() - 3..lines.len()) {
        let (word, rest) = lines[number].split_once(' ').unwrap_or((lines[number], ""));
        let changes = [
            String::new(),
            "-----BEGIN X-----\n".to_owned(),
            format!("{word}\n"),
            format!("{word} {word} {rest}"),
            lines[number].repeat(2),
            lines[number].replace('A', "\u{fffd}"),
        ];
        for change in &changes {
            let changed = [&lines[..number], &[change], &lines[number + 1..]].concat().concat();
            if let Ok(descriptor) = OnionDescriptor::parse(changed) {
                read(&descriptor);
            }
        }
    }
}
