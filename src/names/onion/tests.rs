use curve25519_dalek::constants::{ED25519_BASEPOINT_COMPRESSED, EIGHT_TORSION};
use curve25519_dalek::edwards::CompressedEdwardsY;
use proptest::prelude::{ProptestConfig, any, proptest};

use super::{ClientAuthKey, ClientAuthPublicKey, ClientName, OnionAddress, OnionKey};

/// Addresses and keys of services that tor 0.4.9.11 has made itself; the last key was given to
/// it, and is not clamped.
const RECORDED: [(&str, &str); 5] = [
    (
        "jg6gama7cbz4asqrcb2ysxsb4wyje5reg7ow2btjiv6x63y7rmp426ad",
        "ED25519-V3:GBxEviRDvZQ+I3jc3mEkQL9HW1uiuQNXvJyPPSS5c2C0snOSYtMo06qE5Uo5GCBVsfHOKuPLDZUuEy7F/khttQ==",
    ),
    (
        "fqq6wqc4tg4uctq6bwft4rwpqazghr5j4xhxng46lzsrk6ahqpqzraad",
        "ED25519-V3:gOGVs1DfmYvyr8mpCdHQ+PzW3OgXNV35jTfUofZAY0n/yYOuu/LpUFDjG2gz9SP3Sb+SupXlTZH+of7IkG2N2Q==",
    ),
    (
        "e7scf67rcmjmphat2xqrb2mkvgjfgnmxjumbe43bzovc67evs2vtvlqd",
        "ED25519-V3:+EIzlDwqlkw4DZ7Eq51NC1lBraiB4xeno9bhtX1s6WWxDBGUNxZZTppjdc70mjl2ooVNAzC+X42reX+rsPXVKg==",
    ),
    (
        "igu24kqn5fyaybqu3d5xvdrk7iuh6ssixu5qtqrcfxcru65a7d2sp2ad",
        "ED25519-V3:2PfZS1j05SMEy6y143NhxL22kU2tnWsXo3+KDM8zNElg+pSqTLICermSRv2HdSq4/JTahR1YPUPYdBVAnqpn0w==",
    ),
    (
        "3mt74s32jpvyyg4mhcrb5fb2qurqjsn3ga22l43ge22rcyvgr6ogk2qd",
        "ED25519-V3://///////////////////////////////////////////////////////////////////////////////////w==",
    ),
];

fn recorded(number: usize) -> OnionKey {
    OnionKey::from_blob(RECORDED[number].1).unwrap()
}

#[test]
fn keys_of_tor_have_the_addresses_that_tor_gave_them() {
    for (id, blob) in RECORDED {
        let key = OnionKey::from_blob(blob).unwrap();
        assert_eq!(key.address().service_id(), id);
        assert_eq!(key.reveal_blob(), blob);
        assert_eq!(OnionKey::from_blob(blob.trim_end_matches('=')).unwrap().reveal_blob(), blob);
        let file = key.reveal_file_bytes();
        assert_eq!(OnionKey::from_file_bytes(&file).unwrap().reveal_blob(), blob);
    }
}

#[test]
fn a_public_key_file_of_tor_has_the_address_of_its_hostname_file() {
    let file = b"== ed25519v1-public: type0 ==\0\0\0g\x8fd\x85\xbc\xb5\xba&X\xe0\x97B+\x18\xda\
                 H\xd4\xe7\t\xacN\xb9fA1U\x84\xd40\x9fY\xf7";
    let key = file.last_chunk::<32>().unwrap();
    let address = OnionAddress::from_public_key(*key).unwrap();
    assert_eq!(
        address.to_string(),
        "m6hwjbn4ww5cmwhas5bcwgg2jdkoocnmj24wmqjrkwcnime7lh3sntyd.onion"
    );
    assert_eq!(address.public_key(), *key);
    let key = recorded(0);
    let public = key.public_file_bytes();
    assert_eq!(public.first_chunk::<32>(), file.first_chunk::<32>());
    assert_eq!(public.last_chunk::<32>(), Some(&key.address().public_key()));
}

#[test]
fn the_key_of_a_seed_is_that_of_rfc_8032() {
    // The first test of section 7.1.
    let seed = data_encoding::HEXLOWER
        .decode(b"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
        .unwrap();
    let key = OnionKey::from_seed(seed.try_into().unwrap());
    assert_eq!(
        data_encoding::HEXLOWER.encode(&key.address().public_key()),
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    );
}

#[test]
fn addresses_are_read_with_and_without_onion_and_in_any_case() {
    let id = "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad";
    let expected: OnionAddress = id.parse().unwrap();
    assert_eq!(expected.service_id(), id);
    assert_eq!(expected.to_string(), format!("{id}.onion"));
    assert_eq!(format!("{expected:?}"), format!("OnionAddress({id}.onion)"));
    assert_eq!(format!("{expected:>64}"), format!("  {id}.onion"));
    for text in [
        format!("{id}.onion"),
        id.to_uppercase(),
        format!("{}.Onion", id.to_uppercase()),
        expected.to_string(),
    ] {
        assert_eq!(text.parse(), Ok(expected), "{text}");
    }
}

#[test]
fn each_defect_of_an_address_has_its_own_text() {
    let id = "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad";
    let alphabet = "must be letters and digits from 2 to 7, with or without .onion";
    let length = "must have 56 characters before .onion";
    for (text, problem) in [
        (String::new(), length),
        (".onion".to_owned(), length),
        ("abc.onion".to_owned(), length),
        (id.split_at(1).1.to_owned(), length),
        (format!("{id}a"), length),
        (format!("{id}.onion.onion"), alphabet),
        (format!("www.{id}.onion"), alphabet),
        (id.replace('2', "1"), alphabet),
        (id.replace('2', " "), alphabet),
        (format!("{id}\r\n"), alphabet),
        (id.replace('2', "\u{e9}"), alphabet),
        ("\u{e9}onion".to_owned(), alphabet),
        ("expyuzz4wqqyqhjn.onion".to_owned(), "is of version 2, which tor no longer supports"),
        (id.replace("zczad", "zczae"), "must be of version 3"),
        (id.replace("duckduck", "duckduch"), "has a wrong checksum: a character is wrong"),
    ] {
        let error = text.parse::<OnionAddress>().unwrap_err();
        assert_eq!(error.to_string(), format!("invalid onion address: {problem}"), "{text:?}");
    }
}

#[test]
fn a_key_that_is_no_point_of_the_group_has_no_address() {
    // Not on the curve, the neutral element, and a point of order 8.
    let order_8 = "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a";
    let order_8 = data_encoding::HEXLOWER.decode(order_8.as_bytes()).unwrap();
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let mut off = [0; 32];
    off[0] = 2;
    // A valid key, plus the point of order 2.
    let mixed = CompressedEdwardsY(recorded(0).address().public_key()).decompress().unwrap();
    let mixed = (mixed + EIGHT_TORSION[4]).compress().to_bytes();
    for key in [off, neutral, order_8.try_into().unwrap(), mixed] {
        let error = OnionAddress::from_public_key(key).unwrap_err();
        assert_eq!(error.to_string(), "invalid onion address: contains no valid public key");
        // The same with a right checksum.
        let address = OnionAddress::of_key(key);
        let text = address.to_string();
        assert_eq!(text.parse::<OnionAddress>(), Err(error));
        // Of the services of tor only the key is not checked.
        assert_eq!(OnionAddress::of_running(address.service_id()), Ok(address));
        for wrong in [text.replace("d.onion", "e.onion"), format!("7{}", text.split_at(1).1)] {
            assert!(OnionAddress::of_running(&wrong).is_err(), "{wrong}");
        }
    }
}

#[test]
fn a_multiple_of_the_order_is_no_secret() {
    // The order of the group, little-endian, and any second half.
    let order = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";
    let mut secret = data_encoding::HEXLOWER.decode(order.as_bytes()).unwrap();
    secret.extend([7; 32]);
    let blob = |secret: &[u8]| format!("ED25519-V3:{}", data_encoding::BASE64.encode(secret));
    let error = OnionKey::from_blob(&blob(&secret)).unwrap_err();
    assert_eq!(error.to_string(), "invalid onion key: must not be zero");
    secret[0] += 1;
    // The scalar is 1, and the public key is the base point.
    let address = OnionKey::from_blob(&blob(&secret)).unwrap().address();
    assert_eq!(address.public_key(), ED25519_BASEPOINT_COMPRESSED.to_bytes());
}

#[test]
fn an_invalid_onion_key_is_refused() {
    let zero = format!("ED25519-V3:{}==", "A".repeat(86));
    for (blob, problem) in [
        ("", "must begin with ED25519-V3:"),
        ("NEW:BEST", "must begin with ED25519-V3:"),
        ("RSA1024:AAAA", "must begin with ED25519-V3:"),
        ("ED25519-V3:", "must be 64 bytes in base64"),
        ("ED25519-V3:AAAA", "must be 64 bytes in base64"),
        ("ED25519-V3:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=", "must be 64 bytes in base64"),
        (&RECORDED[0].1.replace('G', "\r"), "must be 64 bytes in base64"),
        (&RECORDED[0].1.replace("==", "AA=="), "must be 64 bytes in base64"),
        (&zero, "must not be zero"),
    ] {
        let error = OnionKey::from_blob(blob).unwrap_err();
        assert_eq!(error.to_string(), format!("invalid onion key: {problem}"), "{blob:?}");
    }
    let key = recorded(0);
    let secret = key.reveal_file_bytes();
    let mut wrong = secret;
    wrong[5] = b'!';
    for (file, problem) in [
        (&secret[..0], "must be a file of 96 bytes"),
        (&secret[..95], "must be a file of 96 bytes"),
        (&[&secret[..], b"\n"].concat(), "must be a file of 96 bytes"),
        (&wrong, "must be a file that begins with == ed25519v1-secret: type0 =="),
        (
            &key.public_file_bytes(),
            "must be the file of the secret key, not that of the public one",
        ),
    ] {
        let error = OnionKey::from_file_bytes(file).unwrap_err();
        assert_eq!(error.to_string(), format!("invalid onion key: {problem}"));
    }
}

#[test]
fn secrets_do_not_show_in_debug() {
    let client = ClientAuthKey::from_bytes([7; 32]).unwrap();
    assert_eq!(format!("{:?} {client:#?}", recorded(0)), "OnionKey(..) ClientAuthKey(..)");
}

#[test]
fn a_client_key_has_the_public_half_of_rfc_7748() {
    // Alice's keys of section 6.1.
    let hex = |text: &str| -> [u8; 32] {
        data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap().try_into().unwrap()
    };
    let secret = hex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
    let public = hex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
    assert_eq!(ClientAuthKey::from_bytes(secret).unwrap().public().to_bytes(), public);
}

#[test]
fn client_keys_have_the_forms_of_the_commands_and_of_the_files() {
    let blob = "x25519:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let base32 = "aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypq";
    let key = ClientAuthKey::from_blob(blob).unwrap();
    assert_eq!(key.reveal_blob(), blob);
    assert_eq!(key.reveal_base32(), base32.to_uppercase());
    for text in [base32, &base32.to_uppercase(), &format!("descriptor:x25519:{base32}")] {
        assert_eq!(ClientAuthKey::from_base32(text).unwrap().reveal_blob(), blob);
    }
    // tor's spelling of this key, apart from the case.
    let service = "vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd";
    assert_eq!(
        key.reveal_auth_private(service.parse().unwrap()),
        format!("{service}:descriptor:x25519:{}", base32.to_uppercase())
    );
    let public = key.public();
    assert_eq!(public.to_string().parse(), Ok(public));
    assert_eq!(public.to_string().to_lowercase().parse(), Ok(public));
    assert_eq!(public.descriptor_line(), format!("descriptor:x25519:{public}"));
    assert_eq!(public.descriptor_line().parse(), Ok(public));
}

#[test]
fn client_keys_are_read_from_every_form_and_printed_in_every_form() {
    let key =
        ClientAuthKey::from_bytes(std::array::from_fn(|byte| u8::try_from(byte).unwrap())).unwrap();
    let service: OnionAddress = RECORDED[0].0.parse().unwrap();
    let base64 = key.reveal_base64();
    assert_eq!(base64, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
    let line = key.reveal_auth_private(service);
    let base32 = key.reveal_base32();
    for text in [
        key.reveal_blob(),
        format!("X25519:{}", base64.trim_end_matches('=')),
        base64.clone(),
        base64.trim_end_matches('=').to_owned(),
        base32.clone(),
        base32.to_lowercase(),
        format!("descriptor:x25519:{base32}"),
        line.clone(),
        line.replacen(':', ".onion:", 1),
        format!(" {line}\r\n"),
    ] {
        let read: ClientAuthKey = text.parse().unwrap();
        assert_eq!(read.reveal_bytes(), key.reveal_bytes(), "{text}");
        assert_eq!(format!("{read:?}"), "ClientAuthKey(..)");
        let converted = ClientAuthKey::try_from(&text).unwrap();
        assert_eq!(converted.reveal_bytes(), key.reveal_bytes());
    }
    let (address, read) = ClientAuthKey::from_auth_private(&line).unwrap();
    assert_eq!((address, read.reveal_bytes()), (service, key.reveal_bytes()));
    let public = key.public();
    assert_eq!(ClientAuthPublicKey::from_bytes(public.to_bytes()), Ok(public));
    for text in [
        public.to_string(),
        public.to_base64(),
        format!("x25519:{}", public.to_base64().trim_end_matches('=')),
        format!("{}\n", public.descriptor_line()),
    ] {
        assert_eq!(text.parse(), Ok(public), "{text}");
    }
}

#[test]
fn each_defect_of_the_line_of_a_client_has_its_own_text() {
    let start = "must be an address and :descriptor:x25519: before the key";
    let id = RECORDED[0].0;
    for (text, problem) in [
        (String::new(), start),
        ("descriptor:x25519:AAAA".to_owned(), start),
        (format!("{id}:x25519:AAAA"), start),
        (format!("{id}:descriptor:x25519:AAAA"), "must be 52 letters and digits from 2 to 7"),
        (format!("{id}:descriptor:x25519:{}", "A".repeat(52)), "must not be zero"),
    ] {
        let error = ClientAuthKey::from_auth_private(&text).unwrap_err();
        let expected = format!("invalid client authorization key: {problem}");
        assert_eq!(error.to_string(), expected, "{text:?}");
    }
    let wrong = format!("{}:descriptor:x25519:AAAA", id.replace("jg", "jh"));
    for error in [
        ClientAuthKey::from_auth_private(&wrong).unwrap_err(),
        wrong.parse::<ClientAuthKey>().unwrap_err(),
    ] {
        assert!(error.to_string().starts_with("invalid onion address: "), "{error}");
    }
}

#[test]
fn an_invalid_client_key_is_refused() {
    let zero = format!("x25519:{}=", "A".repeat(43));
    for (blob, problem) in [
        ("", "must begin with x25519:"),
        ("ed25519:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "must begin with x25519:"),
        ("x25519:", "must be 32 bytes in base64"),
        ("x25519:AAAA", "must be 32 bytes in base64"),
        (&zero, "must not be zero"),
    ] {
        let error = ClientAuthKey::from_blob(blob).unwrap_err();
        let expected = format!("invalid client authorization key: {problem}");
        assert_eq!(error.to_string(), expected, "{blob:?}");
    }
    let error = ClientAuthKey::from_base32("abc").unwrap_err();
    assert_eq!(
        error.to_string(),
        "invalid client authorization key: must be 52 letters and digits from 2 to 7"
    );
    let digits = "must be 52 letters and digits from 2 to 7";
    let length = "must be 32 bytes in base32 (52 characters) or in base64 (43)";
    let private = format!("{}:descriptor:x25519:{}", RECORDED[0].0, "7".repeat(51) + "Q");
    let padded = "DWXU6GWQKULO46HGZLTQCB4G5CDFENHDRY6UCEY2DJXEVPCS6NXQ====";
    for (text, problem) in [
        ("", length),
        ("bad", length),
        (padded, length),
        ("descriptor:x25519:bad", digits),
        // The last four bits belong to no byte.
        (&padded.split_at(52).0.replace("NXQ", "NXR"), digits),
        (&format!("x25519:{}", padded.split_at(52).0), "must be 32 bytes in base64"),
        (
            &private,
            "must be a public key: this is the line of a file .auth_private, whose secret key \
                    stays with the client",
        ),
        (&"A".repeat(52), "must not be zero"),
    ] {
        let error = text.parse::<ClientAuthPublicKey>().unwrap_err();
        let expected = format!("invalid public key of client authorization: {problem}");
        assert_eq!(error.to_string(), expected, "{text:?}");
    }
}

#[test]
fn names_of_clients_have_the_characters_and_the_length_that_tor_accepts() {
    for text in ["a", "exactly_16_chars", "A-z+0_9"] {
        let name: ClientName = text.parse().unwrap();
        assert_eq!((name.as_str(), name.to_string()), (text, text.to_owned()));
        assert_eq!(format!("{name:?}"), format!("ClientName({text})"));
    }
    let letters = "must be letters, digits, +, - or _";
    for (text, problem) in [
        ("", "must have 1 to 16 characters"),
        ("seventeen_chars__", "must have 1 to 16 characters"),
        ("bob smith", letters),
        ("../bob", letters),
        ("bob\r\n", letters),
        ("b\0b", letters),
        ("caf\u{e9}", letters),
    ] {
        let error = text.parse::<ClientName>().unwrap_err();
        assert_eq!(error.to_string(), format!("invalid client name: {problem}"), "{text:?}");
    }
}

proptest! {
    // Curves are slow without optimization.
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn addresses_and_keys_of_any_seed_round_trip(seed: [u8; 32]) {
        let key = OnionKey::from_seed(seed);
        let address = key.address();
        assert_eq!(address.to_string().parse(), Ok(address));
        assert_eq!(OnionAddress::from_public_key(address.public_key()), Ok(address));
        assert_eq!(OnionKey::from_blob(&key.reveal_blob()).unwrap().address(), address);
    }
}

proptest! {
    #[test]
    fn a_changed_character_is_noticed(place in 0_usize..56, by in 1_usize..32) {
        let alphabet = b"abcdefghijklmnopqrstuvwxyz234567";
        let mut text = RECORDED[0].0.as_bytes().to_vec();
        let value = alphabet.iter().position(|letter| *letter == text[place]).unwrap();
        text[place] = alphabet[(value + by) % 32];
        assert!(std::str::from_utf8(&text).unwrap().parse::<OnionAddress>().is_err());
    }

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        assert!(text.parse::<OnionAddress>().is_err());
        assert!(OnionKey::from_blob(&text).is_err());
        assert!(OnionKey::from_file_bytes(text.as_bytes()).is_err());
    }
}
