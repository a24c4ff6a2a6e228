//! Proxies that are silent, broken, or not SOCKS proxies.

use std::net::{Shutdown, TcpListener};
use std::time::{Duration, Instant};

use torcon::error::{SocksProblem, SocksStep, Wait};
use torcon::socks::{Isolation, SocksProxy};

use super::GRANTED;
use super::fake_proxy::{FakeProxy, KINDS, Kind, Peer};
use crate::error_text::{chain, check_text};
use crate::support::exclusive::exclusive;
use crate::support::leaks::Holdings;
use crate::support::watchdog::within;

const HINT: &str = "); hint: make sure that tor is running and that this is its SocksPort, usually \
                    9050 (9150 in Tor Browser)";

/// Connects with a limit that must not pass, and returns the chain of the error without its first
/// part, which names the proxy.
#[track_caller]
fn failure(kind: Kind, play: impl FnOnce(&mut Peer) + Send + 'static) -> String {
    let fake = FakeProxy::start(kind, play);
    let proxy = fake.proxy().timeout(Duration::from_secs(60));
    let begin = Instant::now();
    let error = proxy.connect("a.example:80").unwrap_err();
    assert!(begin.elapsed() < Duration::from_secs(20), "it took {:?}", begin.elapsed());
    check_text(&error);
    // The reasons; the hint is tested below.
    let text = chain(&error);
    let text = text.split("; hint: ").next().unwrap().to_owned();
    let start =
        format!("cannot connect to a.example:80 through the SOCKS proxy {}: ", fake.endpoint());
    fake.finish();
    text.strip_prefix(&start).unwrap_or_else(|| panic!("{text}")).to_owned()
}

#[test]
fn a_peer_that_is_not_a_socks_proxy_is_quoted() {
    for kind in KINDS {
        for (said, excerpt) in [
            (
                &b"HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n"[..],
                "HTTP/1.1 400 Bad Request\\r\\nServer: x\\r\\n\\r\\n",
            ),
            (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH-2.0-OpenSSH_9.2\\r\\n"),
            (b"514 Authentication required.\r\n", "514 Authentication required.\\r\\n"),
            (b"\x00\x5b\x00\x50", "\\x00[\\x00P"),
            (b"\x15\x03\x01\x00\x02\x02\x46", "\\x15\\x03\\x01\\x00\\x02\\x02F"),
        ] {
            let text = failure(kind, move |peer| {
                peer.send(said);
                peer.expect(b"\x05\x01\x00");
                peer.shutdown(Shutdown::Write);
                peer.expect_end();
            });
            assert_eq!(text, format!("not a SOCKS5 proxy: it answered \"{excerpt}\""));
        }
        // The excerpt is bounded.
        let text = failure(kind, |peer| peer.send(&[b'x'; 1000]));
        assert!(text.len() < 150, "{text}");
        assert!(text.starts_with("not a SOCKS5 proxy: it answered \"xxx"), "{text}");
    }
}

#[test]
fn a_proxy_that_closes_is_reported_with_the_step() {
    for kind in KINDS {
        let closed = |step| {
            format!("the proxy closed the connection before its answer to {step} was complete")
        };
        let text = failure(kind, |peer| peer.expect(b"\x05\x01\x00"));
        assert_eq!(text, closed("the greeting"));
        let text = failure(kind, |peer| {
            peer.expect(b"\x05\x01\x00");
            peer.send(b"\x05");
        });
        assert_eq!(text, closed("the greeting"));
        // The proxy does not read, so the connection is reset.
        assert_eq!(failure(kind, |peer| peer.shutdown(Shutdown::Both)), closed("the greeting"));
        for answer in [&b""[..], b"\x05", b"\x05\x00\x00", &GRANTED[..9], b"\x05\x00\x00\x03\xff"] {
            let text = failure(kind, move |peer| {
                peer.greet();
                peer.expect_connect("a.example", 80);
                peer.send(answer);
            });
            assert_eq!(text, closed("the request"));
        }
    }
}

#[test]
fn a_proxy_without_password_support_gets_no_isolated_stream() {
    for (answer, expected) in [
        (
            b"\x05\x00",
            "cannot read the proxy's answer to the greeting: expected the method that was \
             offered, got \"\\x05\\x00\"",
        ),
        (b"\x05\xff", "the proxy does not accept user name and password"),
    ] {
        let fake = FakeProxy::start(Kind::Tcp, move |peer| {
            peer.expect(b"\x05\x01\x02");
            peer.send(answer);
            peer.expect_end();
        });
        let proxy = fake.proxy().isolation(Isolation::token("token").unwrap());
        let error = proxy.connect("a.example:80").unwrap_err();
        assert!(chain(&error).ends_with(expected), "{}", chain(&error));
        fake.finish();
    }
}

#[test]
fn a_silent_proxy_is_a_timeout() {
    for kind in KINDS {
        let short = Duration::from_secs(1);
        let fake = FakeProxy::several(kind, |listener| {
            let mut peer = listener.accept();
            peer.expect(b"\x05\x01\x00");
            peer.expect_end();
            let mut peer = listener.accept();
            peer.greet();
            peer.expect_connect("a.example", 80);
            // All but the last byte.
            peer.send(&GRANTED[..9]);
            peer.expect_end();
            let mut peer = listener.accept();
            peer.greet();
            peer.read(16);
            peer.expect_end();
        });
        let endpoint = fake.endpoint();
        let outcome = within(Duration::from_secs(30), "a silent proxy", move || {
            let proxy = SocksProxy::new(endpoint).unwrap();
            let hasty = proxy.clone().greeting_timeout(short);
            [
                hasty.connect("a.example:80").unwrap_err(),
                proxy.clone().timeout(short).connect("a.example:80").unwrap_err(),
                proxy.timeout(short).resolve("a.example").unwrap_err(),
            ]
        });
        for error in &outcome {
            check_text(error);
            assert!(error.is_timeout(), "{error:?}");
        }
        let [greeting, reply, resolve] = outcome;
        assert!(
            chain(&greeting).contains(
                "timed out after 1s waiting for the SOCKS proxy to answer the greeting; hint"
            ),
            "{}",
            chain(&greeting)
        );
        assert!(
            chain(&resolve)
                .ends_with("timed out after 1s waiting for the SOCKS proxy to answer the request"),
            "{}",
            chain(&resolve)
        );
        let torcon::Error::Socks(reply) = reply else { panic!("{reply:?}") };
        match reply.problem() {
            SocksProblem::Timeout(timeout) => assert_eq!(*timeout.wait(), Wait::SocksReply),
            other => panic!("{other:?}"),
        }
        fake.finish();
    }
}

#[test]
fn a_limit_of_zero_is_a_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = SocksProxy::new(listener.local_addr().unwrap()).unwrap().timeout(Duration::ZERO);
    assert!(proxy.connect("a.example:80").unwrap_err().is_timeout());
    assert!(proxy.resolve("a.example").unwrap_err().is_timeout());
    assert!(proxy.resolve_ptr([1, 2, 3, 4].into()).unwrap_err().is_timeout());
}

#[test]
fn a_proxy_that_does_not_listen_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socks");
    for (proxy, text) in [
        (SocksProxy::new(address).unwrap(), address.to_string()),
        (SocksProxy::new(path.clone()).unwrap(), format!("unix:{}", path.display())),
    ] {
        let error = proxy.connect("a.example:80").unwrap_err();
        check_text(&error);
        let start = format!(
            "cannot connect to a.example:80 through the SOCKS proxy {text}: cannot connect to the \
             proxy: "
        );
        assert!(chain(&error).starts_with(&start), "{}", chain(&error));
        assert!(chain(&error).ends_with(HINT), "{}", chain(&error));
        assert!(!error.is_timeout());
    }
    let error = SocksProxy::new("nonsense").unwrap_err();
    assert_eq!(
        error.to_string(),
        "invalid argument \"endpoint\": is not host:port, tcp:host:port or unix:/path"
    );
    // Reserved by RFC 2606: the name does not exist.
    let error = SocksProxy::new("proxy.invalid:9050").unwrap().connect("a.example:80").unwrap_err();
    let torcon::Error::Socks(error) = error else { panic!("{error:?}") };
    assert!(
        matches!(error.problem(), SocksProblem::Resolve(_) | SocksProblem::Timeout(_)),
        "{error:?}"
    );
}

#[test]
fn the_error_of_a_broken_handshake_has_the_step() {
    let fake = FakeProxy::start(Kind::Unix, |peer| {
        peer.expect(b"\x05\x01\x02");
        peer.send(b"\x05\x02");
        peer.expect(b"\x01\x06torcon\x05token");
    });
    let proxy = fake.proxy().isolation(Isolation::token("token").unwrap());
    match proxy.connect("a.example:80") {
        Err(torcon::Error::Socks(error)) => match error.problem() {
            SocksProblem::Closed(step) => assert_eq!(*step, SocksStep::Credentials),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
    fake.finish();
}

#[test]
fn failures_leave_nothing_behind() {
    exclusive(|| {
        let before = Holdings::now();
        for kind in KINDS {
            failure(kind, |peer| peer.send(b"HTTP/1.0 400\r\n"));
            failure(kind, |peer| {
                peer.greet();
                peer.expect_connect("a.example", 80);
                peer.send(b"\x05\x05\x00\x01\0\0\0\0\0\0");
            });
            let fake = FakeProxy::start(kind, Peer::expect_end_after_greeting);
            let error = fake.proxy().timeout(Duration::from_millis(500)).connect("a.example:80");
            assert!(error.unwrap_err().is_timeout());
            fake.finish();
        }
        before.assert_restored(Duration::from_secs(20));
    });
}
