use super::{Location, locate, read_listeners, target_of};
use crate::link::Peer;
use crate::names::PortTarget;

const KEY: &str = "net/listeners/socks";

/// A control connection from `local` to `remote`, without their ports.
fn tcp(local: &str, remote: &str) -> Peer {
    let remote = format!("{remote}:9051").parse().unwrap();
    Peer::Host { local: local.parse().unwrap(), remote }
}

#[track_caller]
fn placed(list: &[u8], peer: &Peer) -> Vec<String> {
    let listeners = read_listeners(KEY, list).unwrap().into_iter();
    let show = |listener| match locate(listener, peer) {
        Location::Reachable(endpoint) => endpoint.to_string(),
        Location::Elsewhere(endpoint) => format!("elsewhere {endpoint}"),
    };
    listeners.map(show).collect()
}

#[test]
fn several_listeners_unix_ones_and_quoted_paths_are_read() {
    // bine, Stem, txtorcon: two listeners, unix listeners, paths with blanks (peers 24).
    let unix = Peer::Process(None);
    assert_eq!(placed(b"", &unix), [""; 0]);
    assert_eq!(placed(b"\"127.0.0.1:42375\"", &unix), ["127.0.0.1:42375"]);
    assert_eq!(
        placed(br#""127.0.0.1:42375" "[::1]:9050" "unix:/run/a \"b\" \\c/socks""#, &unix),
        ["127.0.0.1:42375", "[::1]:9050", r#"unix:/run/a "b" \c/socks"#]
    );
}

// The loopback of this machine was used, where another tor may listen.
#[test]
fn a_listener_on_every_address_is_where_the_control_port_is() {
    let list = b"\"0.0.0.0:9150\" \"[::]:9150\"";
    for (peer, expected) in [
        (Peer::Process(Some(7)), ["127.0.0.1:9150", "[::1]:9150"]),
        (tcp("127.0.0.1", "127.0.0.1"), ["127.0.0.1:9150", "[::1]:9150"]),
        (tcp("127.0.0.1", "127.0.0.2"), ["127.0.0.2:9150", "[::1]:9150"]),
        (tcp("192.0.2.5", "192.0.2.5"), ["192.0.2.5:9150", "[::1]:9150"]),
        (tcp("192.0.2.5", "192.0.2.9"), ["192.0.2.9:9150", "elsewhere [::]:9150"]),
        (tcp("2001:db8::5", "[2001:db8::9]"), ["elsewhere 0.0.0.0:9150", "[2001:db8::9]:9150"]),
        (tcp("fe80::5", "[fe80::9%2]"), ["elsewhere 0.0.0.0:9150", "[fe80::9%2]:9150"]),
    ] {
        assert_eq!(placed(list, &peer), expected, "{peer:?}");
    }
}

#[test]
fn the_loopback_of_another_machine_is_not_reached() {
    let list = br#""127.0.0.1:9050" "[::1]:9050" "unix:/run/tor/socks" "192.0.2.9:9050""#;
    let expected = [
        "elsewhere 127.0.0.1:9050",
        "elsewhere [::1]:9050",
        "elsewhere unix:/run/tor/socks",
        "192.0.2.9:9050",
    ];
    assert_eq!(placed(list, &tcp("192.0.2.5", "192.0.2.9")), expected);
    // The IPv6 form of an IPv4 address leads to the same place.
    let list = br#""[::ffff:127.0.0.1]:9050" "[::ffff:0.0.0.0]:9050" "[::ffff:192.0.2.7]:9050""#;
    let expected = ["elsewhere 127.0.0.1:9050", "192.0.2.9:9050", "192.0.2.7:9050"];
    assert_eq!(placed(list, &tcp("192.0.2.5", "192.0.2.9")), expected);
    let list = br#""127.0.0.1:9050" "[::1]:9050" "unix:/run/tor/socks" "192.0.2.9:9050""#;
    let here = ["127.0.0.1:9050", "[::1]:9050", "unix:/run/tor/socks", "192.0.2.9:9050"];
    for peer in [Peer::Process(None), tcp("127.0.0.1", "127.0.0.2"), tcp("::1", "[::1]")] {
        assert_eq!(placed(list, &peer), here, "{peer:?}");
    }
}

#[test]
fn an_invalid_list_is_an_error() {
    for list in [&b"127.0.0.1:9050"[..], b"\"127.0.0.1:9050", b"\"somewhere\""] {
        let error = read_listeners(KEY, list).unwrap_err().to_string();
        assert!(error.contains("expected a list of quoted addresses"), "{error}");
    }
}

// A tor on another machine got the target 127.0.0.1, and sent the streams to any listener there.
#[test]
fn the_target_is_an_address_at_which_tor_reaches_this_program() {
    let far = tcp("192.0.2.5", "192.0.2.9");
    let far6 = tcp("2001:db8::5", "[2001:db8::9]");
    let near = tcp("127.0.0.1", "127.0.0.1");
    for (listener, peer, expected) in [
        ("127.0.0.1:80", &near, Some("80")),
        ("0.0.0.0:80", &near, Some("80")),
        ("unix:/run/web", &Peer::Process(None), Some("unix:/run/web")),
        ("127.0.0.1:80", &far, None),
        ("[::1]:80", &far, None),
        ("[::ffff:127.0.0.1]:80", &far, None),
        ("[::ffff:0.0.0.0]:80", &far, Some("192.0.2.5:80")),
        ("unix:/run/web", &far, None),
        ("0.0.0.0:80", &far, Some("192.0.2.5:80")),
        ("[::]:80", &far, None),
        ("[::]:80", &far6, Some("[2001:db8::5]:80")),
        ("192.0.2.7:80", &far, Some("192.0.2.7:80")),
    ] {
        let target = target_of(&listener.parse().unwrap(), peer);
        let expected: Option<PortTarget> = expected.map(|text| text.parse().unwrap());
        assert_eq!(target, expected, "{listener} {peer:?}");
    }
}
