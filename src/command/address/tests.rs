use std::net::IpAddr;

use super::{MapAddress, MapOutcome, Resolve};
use crate::command::dialogue::{answered, error, misrouted, refusal, sent};

fn mapped(from: &str, to: &str) -> MapOutcome {
    MapOutcome::Mapped { from: from.to_owned(), to: to.to_owned() }
}

/// Shows an outcome in short.
fn shown(outcome: &MapOutcome) -> String {
    match outcome {
        MapOutcome::Mapped { from, to } => format!("{from} leads to {to}"),
        MapOutcome::Refused(line) => format!("{} {}", line.code(), line.text()),
    }
}

#[test]
fn pairs_are_sent_in_order_and_removals_last() {
    let command = MapAddress::new([
        ("a.com", "b.com"),
        (MapAddress::VIRTUAL_IPV4, "example.com"),
        (MapAddress::VIRTUAL_IPV6, "example.com"),
        (MapAddress::VIRTUAL_NAME, "example.com"),
        ("*.a.com", "*.b.com"),
    ])
    .remove("c.com");
    assert_eq!(
        sent(&command),
        "MAPADDRESS a.com=b.com 0.0.0.0=example.com ::=example.com .=example.com \
         *.a.com=*.b.com c.com=c.com\r\n"
    );
    let outcomes = answered(
        &command,
        b"250-a.com=b.com\r\n250-127.226.47.3=example.com\r\n\
          250-[feb5:49d:25f7:b4a:4c49:fa88:2d3b:70f0]=example.com\r\n\
          250-lbjz6b6rjn4iampb.virtual=example.com\r\n250-*.a.com=*.b.com\r\n\
          250 c.com=c.com\r\n",
    );
    assert_eq!(
        outcomes.unwrap(),
        [
            mapped("a.com", "b.com"),
            mapped("127.226.47.3", "example.com"),
            mapped("[feb5:49d:25f7:b4a:4c49:fa88:2d3b:70f0]", "example.com"),
            mapped("lbjz6b6rjn4iampb.virtual", "example.com"),
            mapped("*.a.com", "*.b.com"),
            mapped("c.com", "c.com"),
        ]
    );
}

#[test]
fn each_pair_has_its_own_outcome() {
    // Mixed codes made txtorcon wait forever (peers 6).
    let pairs = [("xxx", "@@@"), ("0.0.0.0", "bogus1.example")];
    let reply =
        b"512-syntax error: invalid address '@@@'\r\n250 127.251.215.122=bogus1.example\r\n";
    let outcomes = answered(&MapAddress::new(pairs), reply).unwrap();
    assert_eq!(
        outcomes.iter().map(shown).collect::<Vec<_>>(),
        ["512 syntax error: invalid address '@@@'", "127.251.215.122 leads to bogus1.example"]
    );
    let [first, second] = pairs;
    let reply =
        b"250-127.251.215.122=bogus1.example\r\n512 syntax error: invalid address '@@@'\r\n";
    let outcomes = answered(&MapAddress::new([second, first]), reply).unwrap();
    assert_eq!(shown(&outcomes[1]), "512 syntax error: invalid address '@@@'");
    let reply = b"451 resource exhausted: skipping '0.0.0.0=bogus1.example'\r\n";
    let outcomes = answered(&MapAddress::new([second]), reply).unwrap();
    assert_eq!(shown(&outcomes[0]), "451 resource exhausted: skipping '0.0.0.0=bogus1.example'");
    let reply = b"512 syntax error: invalid address mapping  'a.com=*.b.com': can only use \
                  wildcard (i.e. '*.') if 'from' address uses wildcard also\r\n";
    let outcomes = answered(&MapAddress::new([("a.com", "*.b.com")]), reply).unwrap();
    assert!(shown(&outcomes[0]).starts_with("512 syntax error: invalid address mapping"));
}

#[test]
fn a_refusal_of_the_whole_command_is_no_outcome() {
    let one = MapAddress::new([("a", "b")]);
    assert_eq!(
        error(&one, b"512 Bad arguments to MAPADDRESS: Cannot parse keyword argument(s)\r\n")
            .to_string(),
        "tor refused MAPADDRESS: 512 \"Bad arguments to MAPADDRESS: Cannot parse keyword \
         argument(s)\""
    );
    assert!(error(&one, b"510 Command filtered\r\n").is_filtered());
    let two = MapAddress::new([("a", "b"), ("c", "d")]);
    let short = error(&two, b"512 syntax error: invalid address 'b'\r\n");
    assert_eq!(short.status_code(), Some(512));
    assert_eq!(
        misrouted(&two, b"250 a=b\r\n"),
        "cannot read the reply to MAPADDRESS: expected a line for each pair, got \"a=\""
    );
    for reply in [&b"250 OK\r\n"[..], b"250 version=0.4.9.11\r\n"] {
        assert!(answered(&one, reply).is_err());
    }
    assert!(answered(&two, b"250+a=b\r\nx\r\n.\r\n250 c=d\r\n").is_err());
    assert_eq!(
        misrouted(&one, b"250 version=0.4.9.11\r\n"),
        "cannot read the reply to MAPADDRESS: expected the pair that was sent, got \"version=\""
    );
}

#[test]
fn an_invalid_address_is_refused() {
    for (address, problem) in [
        // tor takes `a=`, which leads nowhere.
        ("", "is empty"),
        ("a b", "contains a blank"),
        ("a\nQUIT", "contains a line feed"),
        ("a\r", "contains a carriage return"),
        ("a\0", "contains NUL"),
        ("a=b", "must not contain quotes or \"=\""),
        ("\"a\"", "must not contain quotes or \"=\""),
        ("it's", "must not contain quotes or \"=\""),
        ("\u{e9}", "must be ASCII: an international name is written with xn--"),
    ] {
        let message = |argument| format!("invalid argument \"{argument}\": {problem}");
        assert_eq!(refusal(&MapAddress::new([(address, "b")])), message("from"));
        assert_eq!(refusal(&MapAddress::new([("a", "b"), ("a", address)])), message("to"));
        assert_eq!(refusal(&MapAddress::new([("a", "b")]).remove(address)), message("from"));
        assert_eq!(refusal(&Resolve::new(["a", address])), message("name"));
    }
    let none: [(&str, &str); 0] = [];
    assert_eq!(refusal(&MapAddress::new(none)), "invalid argument \"addresses\": none is given");
    assert_eq!(refusal(&Resolve::new([""; 0])), "invalid argument \"names\": none is given");
    assert_eq!(
        refusal(&Resolve::reverse(Vec::<IpAddr>::new())),
        "invalid argument \"names\": none is given"
    );
}

#[test]
fn names_are_resolved_and_addresses_in_reverse() {
    let names = Resolve::new(["a.com", "b.com"]);
    assert_eq!(sent(&names), "RESOLVE a.com b.com\r\n");
    let addresses =
        Resolve::reverse(["1.2.3.4", "2001:db8::1"].map(|ip| ip.parse::<IpAddr>().unwrap()));
    assert_eq!(sent(&addresses), "RESOLVE mode=reverse 1.2.3.4 2001:db8::1\r\n");
    assert!(answered(&names, b"250 OK\r\n").is_ok());
    assert_eq!(error(&names, b"510 Command filtered\r\n").status_code(), Some(510));
}
