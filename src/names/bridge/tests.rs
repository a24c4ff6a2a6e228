use proptest::prelude::{any, prop, proptest};

use super::BridgeLine;

const FINGERPRINT: &str = "E8F78D0CAD2E4AB37AF2DBA543E53E84F7B206AC";

#[test]
fn the_parts_of_every_form_are_read_and_printed() {
    for (text, printed, transport, has_fingerprint, arguments) in [
        ("192.0.2.7:9001", "192.0.2.7:9001", None, false, 0),
        (" Bridge\t192.0.2.7 \n", "192.0.2.7:443", None, false, 0),
        ("bridge [2001:DB8::7]", "[2001:db8::7]:443", None, false, 0),
        ("192.0.2.7:1 F", "192.0.2.7:1 F", None, true, 0),
        ("192.0.2.7:1 e8f78 d0cad2e4ab37af2dba543e5 3e84f7b206ac", "192.0.2.7:1 F", None, true, 0),
        ("obfs3 [::1]:1 F", "obfs3 [::1]:1 F", Some("obfs3"), true, 0),
        ("_x9 192.0.2.7:1 a=", "_x9 192.0.2.7:1 a=", Some("_x9"), false, 1),
        (
            "obfs4 192.0.2.7:1 F cert=a/b+c== iat-mode=0",
            "obfs4 192.0.2.7:1 F cert=a/b+c== iat-mode=0",
            Some("obfs4"),
            true,
            2,
        ),
    ] {
        let long = |text: &str| text.replace('F', FINGERPRINT);
        let bridge: BridgeLine = long(text).parse().unwrap();
        assert_eq!(bridge.to_string(), long(printed));
        assert_eq!(bridge.transport(), transport);
        assert_eq!(bridge.fingerprint().is_some(), has_fingerprint);
        assert_eq!(bridge.arguments().count(), arguments);
        assert_eq!(bridge.to_string().parse(), Ok(bridge));
    }
    let bridge: BridgeLine = "obfs4 192.0.2.7:1 cert=a=b;c cert=2".parse().unwrap();
    assert_eq!(bridge.argument("cert"), Some("a=b;c"));
    assert_eq!(bridge.argument("Cert"), None);
}

#[test]
fn a_text_that_tor_refuses_is_refused_with_the_reason() {
    let arguments = format!("obfs4 192.0.2.7:1 a={}", ";".repeat(255));
    for (line, problem) in [
        ("", "must have an address"),
        ("Bridge", "must have an address"),
        ("obfs4", "must have an address"),
        ("obfs4 F", ADDRESS),
        ("obfs-4 192.0.2.7:1", ADDRESS),
        ("a.example:443", ADDRESS),
        ("obfs4 a.example:443", ADDRESS),
        ("192.0.2.7:65536", ADDRESS),
        ("192.0.2.7:+1", ADDRESS),
        ("192.0.2.7:", ADDRESS),
        ("[192.0.2.7]:1", ADDRESS),
        ("[fe80::1%1]:443", ADDRESS),
        ("2001:db8::7:443", ADDRESS),
        ("192.0.2.7:0", "the port must not be 0"),
        ("192.0.2.7:1 $E8F78D0CAD2E4AB37AF2DBA543E53E84F7B206AC", HEX),
        ("192.0.2.7:1 E8F7", HEX),
        ("obfs4 192.0.2.7:1 E8F78D0CAD2E4AB37AF2 DBA543E53E84F7B206AC", HEX),
        ("192.0.2.7:1 a=b", "arguments need a transport before the address"),
        ("obfs4 192.0.2.7:1 a=b c", "an argument must be key=value"),
        ("obfs4 192.0.2.7:1 =b", "an argument must be key=value"),
        ("obfs4 192.0.2.7:1 a=\u{e9}", "an argument must be printable ASCII without blanks"),
        ("obfs4 192.0.2.7:1 a=\x1b", "an argument must be printable ASCII without blanks"),
        ("192.0.2.7:1\nSocksPort 9050", "must not contain a line break or NUL"),
        ("bridge bridge 192.0.2.7:1", "the transport must not have the name Bridge"),
        (&arguments, "the arguments must not have more than 510 bytes together"),
    ] {
        let error = line.parse::<BridgeLine>().unwrap_err();
        assert_eq!(error.to_string(), format!("invalid bridge line: {problem}"), "{line:?}");
    }
}

const ADDRESS: &str =
    "the address must be an IP address and a port from 1 to 65535, IPv6 in brackets";
const HEX: &str = "the fingerprint must be 40 hexadecimal digits";

#[test]
fn a_line_is_built_from_its_parts() {
    let bridge = || BridgeLine::new(([192, 0, 2, 7], 9001).into()).unwrap();
    let whole = bridge().with_transport("obfs4").unwrap().with_argument("a", "1=2").unwrap();
    let whole = whole.with_argument("b", "").unwrap();
    let whole = whole.with_fingerprint(FINGERPRINT.parse().unwrap());
    assert_eq!(whole.as_str(), format!("obfs4 192.0.2.7:9001 {FINGERPRINT} a=1=2 b="));
    assert_eq!(whole.as_str().parse(), Ok(whole.clone()));
    assert_eq!(whole.with_transport("obfs5").unwrap().transport(), Some("obfs5"));
    for (refused, problem) in [
        (BridgeLine::new(([192, 0, 2, 7], 0).into()), "the port must not be 0"),
        (
            bridge().with_transport("a b"),
            "the transport must be a name of letters, digits and underscores",
        ),
        (bridge().with_argument("a", "b"), "arguments need a transport before the address"),
        (bridge().with_argument("a=", "b"), "the key of an argument must not contain ="),
    ] {
        assert_eq!(refused.unwrap_err().problem(), problem);
    }
    let long = bridge().with_transport("x").unwrap().with_argument("a", &"b".repeat(508));
    long.clone().unwrap();
    assert!(long.unwrap().with_argument("b", "").is_err());
}

#[test]
fn debug_shows_no_address_and_no_argument() {
    let line = format!("obfs4 192.0.2.7:443 {FINGERPRINT} cert=hush");
    let bridge: BridgeLine = line.parse().unwrap();
    assert_eq!(format!("{bridge:?} {bridge:#?}"), "BridgeLine(obfs4 ..) BridgeLine(obfs4 ..)");
    let bridge: BridgeLine = "192.0.2.7:443".parse().unwrap();
    assert_eq!(format!("{bridge:?}"), "BridgeLine(..)");
}

proptest! {
    #[test]
    fn every_accepted_line_is_one_line_and_round_trips(text in any::<String>()) {
        if let Ok(bridge) = text.parse::<BridgeLine>() {
            assert!(bridge.as_str().bytes().all(|byte| matches!(byte, b' '..=b'~')));
            assert_eq!(bridge.to_string().parse(), Ok(bridge));
        }
    }

    #[test]
    fn lines_of_many_forms_round_trip(
        transport in "([a-z_][a-z0-9_]{0,9} )?",
        address: std::net::SocketAddr,
        arguments in prop::collection::vec("[!-<>-~]{1,9}=[!-~]{0,20}", 0..9),
    ) {
        let address = super::plain(address);
        let line = format!("{transport}{address} {}", arguments.join(" "));
        if let Ok(bridge) = line.parse::<BridgeLine>() {
            assert_eq!(bridge.as_str(), line.trim());
            assert_eq!(bridge.address(), address);
            assert_eq!(bridge.arguments().count(), arguments.len());
        } else {
            let is_plain = transport.is_empty() && !arguments.is_empty();
            assert!(is_plain || address.port() == 0, "{line}");
        }
    }
}
