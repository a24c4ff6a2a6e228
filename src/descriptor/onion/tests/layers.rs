use std::time::{Duration, SystemTime};

use data_encoding::BASE64;

use super::{RECORDED, recorded};
use crate::descriptor::onion::encryption::{Credentials, Layer};
use crate::descriptor::{LinkSpecifier, OnionDescriptor, OnionFirstLayer, OnionSecondLayer};
use crate::error::{OnionDescriptorError, OnionDescriptorProblem as Problem};
use crate::names::{ClientAuthKey, OnionAddress, OnionKey};

const REVISION: u64 = 42;

/// A second layer with a relay of each kind of link specifier and each kind of key.
const SECOND: &str = include_str!("second_layer.txt");

fn address() -> OnionAddress {
    OnionKey::from_seed([69; 32]).address()
}

fn client(number: u8) -> ClientAuthKey {
    ClientAuthKey::from_bytes([number; 32]).unwrap()
}

fn message(bytes: &[u8]) -> String {
    let digits = BASE64.encode(bytes);
    let lines: Vec<_> = digits.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN MESSAGE-----\n{}\n-----END MESSAGE-----", lines.join("\n"))
}

/// Returns a descriptor of a service without clients, with these layers; `{}` in the first stands for
/// the second.
fn encrypted(first: &str, second: &[u8]) -> OnionDescriptor {
    let blinded_key = recorded().blinded_key().unwrap();
    let credentials = Credentials::new(&address(), blinded_key, REVISION);
    let inner = message(&credentials.encrypt(Layer::Second, None, [1; 16], second));
    let mut first = first.replace("{}", &inner).into_bytes();
    // tor fills up to a multiple of 10,000 bytes.
    first.resize(first.len().next_multiple_of(100), 0);
    let outer = message(&credentials.encrypt(Layer::First, None, [2; 16], &first));
    let head = RECORDED.split_once("revision-counter").unwrap().0;
    let text =
        format!("{head}revision-counter {REVISION}\nsuperencrypted\n{outer}\nsignature AA\n");
    OnionDescriptor::parse(text).unwrap()
}

const FIRST: &str = "desc-auth-type x25519\n\
    desc-auth-ephemeral-key WjZCU9sV1oxkxaPcd7/YozeZgq0lEs6DhWyrdYRNJR4=\n\
    auth-client JNil86N07AA epkaL79NtajmgME/egi8oA qosYH4rXisxda3X7p9b6fw\n\
    encrypted\n{}";

fn decrypt(descriptor: &OnionDescriptor) -> Result<OnionSecondLayer, OnionDescriptorError> {
    descriptor.decrypt(&address(), None)
}

/// Returns the layer with this text.
fn second_layer(text: &str) -> OnionSecondLayer {
    decrypt(&encrypted(FIRST, text.as_bytes())).unwrap()
}

/// Calls every method.
fn read(first: &OnionFirstLayer, second: Option<&OnionSecondLayer>) {
    let _ = (first.auth_type(), first.ephemeral_key(), first.auth_clients().count());
    let _ = (first.check(), first.unrecognized().count(), format!("{first:?}"));
    let Some(layer) = second else { return };
    let _ = (layer.create2_formats().count(), layer.intro_auth_required().count());
    let _ = (layer.pow_params().count(), layer.flow_control(), layer.is_single_onion_service());
    let _ = (layer.check(), layer.unrecognized().count(), format!("{layer:?}"));
    for point in layer.introduction_points() {
        let _ = (point.link_specifiers().count(), point.or_addresses().count());
        let _ = (point.fingerprint(), point.ed25519_identity(), point.onion_key());
        let _ = (point.auth_key(), point.enc_key(), point.enc_key_certificate());
        let _ = (point.legacy_key(), point.legacy_key_certificate(), format!("{point:?}"));
        let _ = point.unrecognized().count();
    }
}

#[test]
fn a_recorded_descriptor_is_decrypted_for_its_clients() {
    let descriptor = recorded();
    let signed =
        |descriptor: &OnionDescriptor| descriptor.is_signed_by(&descriptor.signing_key().unwrap());
    assert!(signed(&descriptor));
    // Annotations of a file are not signed.
    let text = format!("@type hidden-service-descriptor-3 1.0\n{RECORDED}\n");
    assert!(signed(&OnionDescriptor::parse(text).unwrap()));
    let first = descriptor.decrypt_first_layer(&address()).unwrap();
    assert_eq!((first.check(), first.unrecognized().count()), (Ok(()), 0));
    assert_eq!((first.auth_clients().count(), first.needs_client_auth()), (16, true));
    let layer = descriptor.decrypt(&address(), Some(&client(1))).unwrap();
    assert_eq!(layer, descriptor.decrypt(&address(), Some(&client(2))).unwrap());
    assert_eq!((layer.check(), layer.unrecognized().count()), (Ok(()), 0));
    assert_eq!((layer.first_layer(), layer.is_single_onion_service()), (&first, false));
    assert_eq!(layer.create2_formats().collect::<Vec<_>>(), [2]);
    assert_eq!(layer.intro_auth_required().count(), 0);
    let flow_control = layer.flow_control().unwrap();
    assert_eq!((flow_control.versions, flow_control.sendme_increment), (1..=2, 31));
    let pow: Vec<_> = layer.pow_params().collect();
    // 2026-11-26 16:26:35
    let expires = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_710_395);
    assert_eq!((&*pow[0].scheme, pow[0].suggested_effort, pow[0].expires), ("v1", 0, expires));
    assert_eq!((pow.len(), pow[0].seed[..2].to_owned()), (1, vec![0x55, 0x2e]));

    let points: Vec<_> = layer.introduction_points().collect();
    assert_eq!(points.len(), 3);
    let fingerprints: Vec<_> = points
        .iter()
        .map(|point| point.fingerprint().unwrap().to_string().split_at(4).0.to_owned())
        .collect();
    assert_eq!(fingerprints, ["E542", "4C78", "3084"]);
    let addresses: Vec<_> = points[0].or_addresses().collect();
    assert_eq!(addresses, ["127.0.0.1:39403".parse().unwrap()]);
    assert_eq!(points[0].ed25519_identity().unwrap()[..2], [0x17, 0x62]);
    assert_eq!(points[0].onion_key().unwrap()[..2], [0x47, 0x63]);
    assert_eq!(points[0].enc_key().unwrap()[..2], [0xe6, 0xc2]);
    assert_eq!(points[0].auth_key().unwrap()[..2], [0xe4, 0x82]);
    for point in &points {
        for certificate in [point.auth_key_certificate(), point.enc_key_certificate()] {
            assert_eq!(certificate.unwrap().signing_key(), descriptor.signing_key());
        }
    }
    let shown = format!("{layer:?} {:?}", points[0]);
    assert!(shown.contains("introduction_points: 3") && !shown.contains("ntor"), "{shown}");
}

#[test]
fn each_failure_has_its_own_error() {
    let descriptor = recorded();
    let problem = |outcome: Result<OnionSecondLayer, OnionDescriptorError>| {
        outcome.unwrap_err().problem().clone()
    };
    assert!(matches!(problem(decrypt(&descriptor)), Problem::ClientAuthNeeded));
    let other = problem(descriptor.decrypt(&address(), Some(&client(3))));
    assert!(matches!(other, Problem::ClientNotAuthorized));
    let elsewhere = OnionKey::from_seed([70; 32]).address();
    let error = descriptor.decrypt(&elsewhere, None).unwrap_err();
    assert!(matches!(error.problem(), Problem::WrongAddress), "{error:?}");
    assert_eq!(error.address(), elsewhere);

    // Each part of the descriptor, of the message, and of the signature.
    let digits = RECORDED.find("LXkuh5lepVbdj").unwrap();
    for at in [28, 140, 417, digits + 3, digits + 4000, RECORDED.len() - 200] {
        let mut text = RECORDED.as_bytes().to_vec();
        text[at] = if text[at] == b'1' { b'2' } else { b'1' };
        let Ok(changed) = OnionDescriptor::parse(text) else { continue };
        let key = changed.signing_key();
        assert!(!key.is_some_and(|key| changed.is_signed_by(&key)), "{at}");
        match descriptor
            .decrypt_first_layer(&address())
            .and(changed.decrypt_first_layer(&address()))
        {
            Err(error) => assert!(
                matches!(error.problem(), Problem::Damaged { .. } | Problem::Syntax(_)),
                "{at}: {error}"
            ),
            // The encryption does not depend on every part.
            Ok(_) => assert!(at < digits, "{at}"),
        }
    }

    for (first, second, expected) in [
        (
            "desc-auth-type x25519\n",
            "create2-formats 2\n",
            "expected encrypted and a message in base64",
        ),
        (FIRST, "create-formats 2\n", "expected the line create2-formats"),
        (
            &FIRST.replace("{}", "-----BEGIN MESSAGE-----\nA!"),
            "create2-formats 2\n",
            "line 4: expected encrypted",
        ),
    ] {
        let error = decrypt(&encrypted(first, second.as_bytes())).unwrap_err();
        let Problem::Syntax(syntax) = error.problem() else { panic!("{error}") };
        assert!(syntax.to_string().contains(expected), "{syntax}");
        assert!(error.to_string().ends_with("a line is missing or malformed"), "{error}");
    }
    for cut in ["descriptor-signing-key-cert", "revision-counter", "superencrypted"] {
        let cut = OnionDescriptor::parse(RECORDED.split_once(cut).unwrap().0).unwrap();
        assert!(matches!(problem(decrypt(&cut)), Problem::Syntax(_)));
    }
    // Without the ephemeral key, no client can be found.
    let first = FIRST.replace("desc-auth-ephemeral-key", "other");
    let descriptor = encrypted(&first, b"create2-formats 2\n");
    assert!(decrypt(&descriptor).is_ok());
    let error = descriptor.decrypt(&address(), Some(&client(1))).unwrap_err();
    assert!(matches!(error.problem(), Problem::Syntax(_)), "{error}");
    // A message shorter than salt and MAC.
    let first = FIRST.replace("{}", &message(&[0; 47]));
    let short = encrypted(&first, b"");
    assert!(matches!(problem(decrypt(&short)), Problem::ClientAuthNeeded));
}

#[test]
fn every_line_of_the_second_layer_is_read() {
    let layer = second_layer(SECOND);
    assert_eq!(layer.check(), Ok(()));
    assert_eq!(layer.create2_formats().collect::<Vec<_>>(), [2, 3]);
    assert_eq!(layer.intro_auth_required().collect::<Vec<_>>(), ["ed25519", "other"]);
    assert!(layer.is_single_onion_service());
    let flow_control = layer.flow_control().unwrap();
    assert_eq!((flow_control.versions, flow_control.sendme_increment), (2..=2, 100));
    let pow: Vec<_> = layer.pow_params().map(|it| (it.scheme, it.suggested_effort)).collect();
    assert_eq!(pow, [("v1".into(), 7), ("v2".into(), 4_294_967_295)]);
    let unknown: Vec<_> = layer.unrecognized().map(|item| item.to_string()).collect();
    assert_eq!(unknown, ["future 1"]);

    let points: Vec<_> = layer.introduction_points().collect();
    let [first, second, third] = &points[..] else { panic!("{points:?}") };
    let specifiers: Vec<_> = first.link_specifiers().collect();
    assert_eq!(
        specifiers,
        [
            LinkSpecifier::Ipv4("1.2.3.4:9001".parse().unwrap()),
            LinkSpecifier::Ipv6("[2600::1]:9002".parse().unwrap()),
            LinkSpecifier::LegacyId([0x43; 20].into()),
            LinkSpecifier::Ed25519Id([7; 32]),
            LinkSpecifier::Unrecognized { number: 9, bytes: Box::new(*b"abc") },
        ]
    );
    assert_eq!(first.or_addresses().count(), 2);
    assert_eq!(first.onion_key(), Some([0; 32]), "keys of other types are ignored");
    assert_eq!(first.enc_key(), Some([0; 32]));
    assert!(first.legacy_key().unwrap().starts_with("-----BEGIN RSA PUBLIC KEY-----"));
    assert!(first.legacy_key_certificate().unwrap().starts_with("-----BEGIN CROSSCERT-----"));
    assert_eq!(
        first.unrecognized().map(|item| item.keyword().into_owned()).last().unwrap(),
        "more"
    );
    assert_eq!((second.fingerprint(), second.link_specifiers().count()), (None, 1));
    assert_eq!((third.link_specifiers().count(), third.legacy_key()), (0, None));

    let none = second_layer("create2-formats 2");
    assert_eq!((none.introduction_points().count(), none.check()), (0, Ok(())));
    let future = "create2-formats 2\npow-params v9\npow-params v1 AAAA 1 2026-01-01T00:00:00";
    let future = second_layer(future);
    assert_eq!(future.pow_params().count(), 0);
    assert_eq!(future.check().unwrap_err().line(), Some(3));
}

#[test]
fn the_check_of_the_second_layer_names_the_line() {
    for (from, to) in [
        ("create2-formats 2 3", "create2-formats 2 x"),
        ("intro-auth-required ed25519 other", "intro-auth-required"),
        ("flow-control 2 100", "flow-control 2-1 100"),
        ("flow-control 2 100", "flow-control 2 256"),
        ("pow-params v1 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8= 7", "pow-params v1 AAEC 7"),
        ("introduction-point AA==", "introduction-point AQ=="),
        ("onion-key ntor AAAA", "onion-key ntor AAA"),
        ("enc-key ntor AAAA", "enc-key ntor"),
        ("auth-key\n-----BEGIN ED25519 CERT", "auth-key\n-----BEGIN CERT"),
        ("legacy-key \n-----BEGIN RSA", "legacy-key \n-----BEGIN DSA"),
        ("legacy-key-cert\n-----BEGIN CROSSCERT", "legacy-key-cert\n-----BEGIN CERT"),
    ] {
        let at = SECOND.rfind(from).unwrap_or_else(|| panic!("no {from}"));
        let (before, rest) = SECOND.split_at(at);
        let text = format!("{before}{to}{}", rest.split_at(from.len()).1);
        let error = second_layer(&text).check().unwrap_err();
        let line = before.matches('\n').count() + 1;
        assert_eq!(error.line(), Some(line), "{error}");
    }
    let twice = SECOND.replace("enc-key-cert\n", "auth-key\n");
    assert_eq!(second_layer(&twice).check().unwrap_err().expected(), "one line with this keyword");
    let missing = SECOND.replace("auth-key\n", "other-key\n");
    let error = second_layer(&missing).check().unwrap_err();
    assert_eq!(error.expected(), "auth-key and an Ed25519 certificate");
}

#[test]
fn layers_that_are_cut_or_changed_anywhere_are_read_without_a_panic() {
    let layer = second_layer(SECOND);
    let first = layer.first_layer();
    let read_second = |text: &[u8]| {
        let text = crate::descriptor::Text::new(text.to_vec());
        if let Ok(layer) = OnionSecondLayer::read(first.clone(), text) {
            read(layer.first_layer(), Some(&layer));
        }
    };
    for end in 0..SECOND.len() {
        read_second(&SECOND.as_bytes()[..end]);
    }
    let lines: Vec<&str> = SECOND.split_inclusive('\n').collect();
    for number in 1..lines.len() {
        for change in ["", "\n", "-----BEGIN X-----\n", "introduction-point\n", "\u{fffd} \t\n"] {
            let changed = [&lines[..number], &[change], &lines[number + 1..]].concat();
            read_second(changed.concat().as_bytes());
        }
        let (word, rest) = lines[number].split_once(' ').unwrap_or((lines[number], ""));
        for line in [format!("{word}\n"), format!("{word} {word} {rest}"), lines[number].repeat(2)]
        {
            let changed = [&lines[..number], &[&line], &lines[number + 1..]].concat();
            read_second(changed.concat().as_bytes());
        }
    }
    for end in 0..FIRST.len() {
        let descriptor = encrypted(FIRST.split_at(end).0, b"create2-formats 2");
        // An empty first layer is one of padding only.
        let first = descriptor.decrypt_first_layer(&address()).unwrap();
        read(&first, first.decrypt(Some(&client(1))).ok().as_ref());
    }
}

#[cfg(feature = "serde")]
#[test]
fn layers_are_serialized_with_keys_in_base64() {
    let layer = second_layer(SECOND);
    let value = serde_json::to_value(layer.first_layer()).unwrap();
    assert_eq!(value["auth_clients"][0]["id"], "JNil86N07AA");
    assert_eq!(
        (&value["auth_type"], &value["needs_client_auth"]),
        (&"x25519".into(), &false.into())
    );
    let value = serde_json::to_value(&layer).unwrap();
    assert_eq!(value["flow_control"]["versions"]["end"], 2);
    assert_eq!(value["pow_params"][0]["seed"], "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8");
    let point = &value["introduction_points"][0];
    assert_eq!(point["link_specifiers"][0]["Ipv4"], "1.2.3.4:9001");
    assert_eq!(point["fingerprint"], "43".repeat(20));
    let id = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc";
    assert_eq!(
        (&point["ed25519_identity"], &point["link_specifiers"][3]["Ed25519Id"]),
        (&id.into(), &id.into())
    );
    let value = serde_json::to_value(recorded()).unwrap();
    assert_eq!((&value["version"], &value["id"]), (&3.into(), &value["blinded_key"]));
}
