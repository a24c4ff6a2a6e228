//! A real tor with the network disabled.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use tempfile::TempDir;
use torcon::error::{SocksCode, SocksProblem, Wait};
use torcon::socks::{Isolation, SocksProxy};

use super::ONION;
use crate::support::real_tor::RealTor;

/// A tor whose only directory authority is a closed port of loopback. The `SocksPort` is open only while
/// the network is enabled.
struct Isolated {
    tor: RealTor,
    socket: SocksProxy,
    port: SocksProxy,
    _directory: TempDir,
}

fn isolated() -> Isolated {
    let directory = tempfile::Builder::new()
        .prefix("torcon-test-")
        .permissions(Permissions::from_mode(0o700))
        .tempdir()
        .unwrap();
    let path = directory.path().join("socks");
    let zeros = "A".repeat(40);
    let tor = RealTor::builder()
        .line("DisableNetwork 0")
        .line(format!("DirAuthority none orport=1 v3ident={zeros} 127.0.0.1:1 {zeros}"))
        .line("UseDefaultFallbackDirs 0")
        .line("SocksPort 127.0.0.1:auto ExtendedErrors")
        .line(format!("SocksPort unix:{} NoPreferIPv6Automap", path.display()))
        .line("MapAddress mapped.example 10.1.2.3")
        .line("AutomapHostsOnResolve 1")
        .line("SocksTimeout 1")
        .start();
    let listeners = tor.raw().get_info("net/listeners/socks");
    let port = listeners.split(' ').find(|word| !word.contains("unix:")).unwrap();
    let port = SocksProxy::new(port.trim_matches('"')).unwrap();
    Isolated { tor, socket: SocksProxy::new(path).unwrap(), port, _directory: directory }
}

fn code<T: std::fmt::Debug>(outcome: torcon::Result<T>) -> SocksCode {
    match outcome {
        Err(torcon::Error::Socks(error)) => match error.problem() {
            SocksProblem::Refused { code } => *code,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn tor_resolves_mapped_names_to_addresses_of_both_families() {
    let lonely = isolated();
    for proxy in [&lonely.socket, &lonely.port] {
        for isolation in [Isolation::none(), Isolation::token("t").unwrap(), Isolation::fresh()] {
            let proxy = proxy.clone().isolation(isolation);
            assert_eq!(proxy.resolve("mapped.example").unwrap().to_string(), "10.1.2.3");
            assert_eq!(proxy.resolve("192.0.2.7").unwrap().to_string(), "192.0.2.7");
            assert_eq!(proxy.resolve("[2001:db8::7]").unwrap().to_string(), "2001:db8::7");
        }
    }
    // Virtual addresses of both families for the service, which tor does not resolve back.
    for (proxy, is_ipv4) in [(&lonely.socket, true), (&lonely.port, false)] {
        let address = proxy.resolve(ONION).unwrap();
        assert_eq!(address.is_ipv4(), is_ipv4, "{address}");
        assert_eq!(code(proxy.resolve_ptr(address)), SocksCode::HostUnreachable);
    }
}

#[test]
fn tor_refuses_with_the_codes_that_are_documented() {
    let lonely = isolated();
    for proxy in [&lonely.socket, &lonely.port] {
        // An exit cannot connect to addresses of this machine.
        assert_eq!(code(proxy.connect("127.0.0.1:80")), SocksCode::GeneralFailure);
        assert_eq!(code(proxy.connect("[::1]:80")), SocksCode::GeneralFailure);
        assert_eq!(code(proxy.connect("bad!host:80")), SocksCode::GeneralFailure);
        assert_eq!(code(proxy.resolve("bad!host")), SocksCode::GeneralFailure);
        // There is no special code for the missing circuit; the address has type 0.
        let private = "10.9.9.9".parse().unwrap();
        assert_eq!(code(proxy.resolve_ptr(private)), SocksCode::HostUnreachable);
        // After SocksTimeout; the other code if tor tries to attach the stream at that moment.
        let isolated = proxy.clone().isolation(Isolation::fresh());
        for refused in [proxy.connect("a.example:80"), isolated.connect((ONION, 80))] {
            let code = code(refused);
            assert!(matches!(code, SocksCode::TtlExpired | SocksCode::GeneralFailure), "{code:?}");
        }
    }
}

#[test]
fn tokens_reach_tor_as_user_name_and_password() {
    let lonely = isolated();
    let mut control = lonely.tor.raw();
    assert_eq!(control.ask("SETEVENTS STREAM"), ["250 OK"]);
    let token = lonely.socket.clone().isolation(Isolation::token("account \"7\"").unwrap());
    assert_eq!(token.resolve("mapped.example").unwrap().to_string(), "10.1.2.3");
    let pair = Isolation::credentials("user", "password").unwrap();
    let pair = lonely.port.clone().isolation(pair);
    assert_eq!(pair.resolve("mapped.example").unwrap().to_string(), "10.1.2.3");
    let mut expect = |credentials: &str| loop {
        let event = control.next_event().concat();
        if event.contains(" NEWRESOLVE ") {
            assert!(event.contains(credentials), "{event}");
            return;
        }
    };
    expect(r#" SOCKS_USERNAME="torcon" SOCKS_PASSWORD="account \"7\"" "#);
    expect(r#" SOCKS_USERNAME="user" SOCKS_PASSWORD="password" "#);
}

#[test]
fn connecting_to_a_control_port_fails_within_the_greeting_timeout() {
    let tor = RealTor::start();
    let proxy = SocksProxy::new(tor.socket_path()).unwrap();
    let proxy = proxy.greeting_timeout(Duration::from_millis(200));
    match proxy.connect("a.example:80") {
        Err(torcon::Error::Socks(error)) => match error.problem() {
            // The control port waits for the end of a line.
            SocksProblem::Timeout(timeout) => assert_eq!(*timeout.wait(), Wait::SocksGreeting),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}
