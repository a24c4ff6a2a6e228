//! Requests to the proxy and its replies.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::thread;

use torcon::error::SocksCode;
use torcon::names::OnionAddress;
use torcon::socks::{Isolation, SocksProxy};

use super::fake_proxy::{FakeProxy, KINDS, Kind, ProxyListener};
use super::{GRANTED, ONION};
use crate::error_text::{chain, check_text};

/// A library with a read buffer takes the first bytes of the target out of the socket, and a program
/// that polls the socket then waits forever.
#[test]
fn bytes_of_the_target_behind_the_reply_stay_in_the_socket() {
    for kind in KINDS {
        let fake = FakeProxy::start(kind, |peer| {
            peer.greet();
            peer.expect_connect("a.example", 22);
            peer.send(&[GRANTED, b"SSH-2.0-test\r\n"].concat());
            peer.expect_end();
        });
        let stream = fake.proxy().connect("a.example:22").unwrap();
        // Without waiting, since the bytes arrived with the reply.
        stream.set_nonblocking(true).unwrap();
        let mut text = [0; 100];
        let count = (&stream).read(&mut text).unwrap();
        assert_eq!(&text[..count], b"SSH-2.0-test\r\n", "{kind:?}");
        assert_eq!((&stream).read(&mut text).unwrap_err().kind(), ErrorKind::WouldBlock);
        drop(stream);
        fake.finish();
    }
}

#[test]
fn answers_may_be_split_at_every_byte() {
    let name = b"\x05\x00\x00\x03\x09a.example\x00\x16".to_vec();
    let ipv6 = [&b"\x05\x00\x00\x04"[..], &[7; 18]].concat();
    for kind in KINDS {
        for answer in [GRANTED.to_vec(), name.clone(), ipv6.clone()] {
            let whole = [&answer[..], b"hello"].concat();
            let cuts = whole.len();
            let fake = FakeProxy::several(kind, move |listener| {
                for cut in 1..cuts {
                    let mut peer = listener.accept();
                    peer.expect(b"\x05\x01\x00");
                    peer.send(b"\x05");
                    peer.send(b"\x00");
                    peer.expect_connect("a.example", 22);
                    for part in [&whole[..cut], &whole[cut..]] {
                        peer.send(part);
                    }
                    peer.expect_end();
                }
            });
            for _ in 1..cuts {
                let mut stream = fake.proxy().connect("a.example:22").unwrap();
                let mut text = [0; 5];
                stream.read_exact(&mut text).unwrap();
                assert_eq!(&text, b"hello");
            }
            fake.finish();
        }
    }
}

#[test]
fn targets_of_every_kind_are_encoded() {
    let onion: OnionAddress = ONION.parse().unwrap();
    let ipv6 = b"\x05\x01\x00\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x01\xbb";
    let onion_request = [b"\x05\x01\x00\x03\x3e", ONION.as_bytes(), b"\0\x50"].concat();
    type Connect = fn(&SocksProxy, OnionAddress) -> torcon::Result<torcon::socks::TorStream>;
    let cases: [(Connect, &[u8]); 9] = [
        (|proxy, _| proxy.connect("a.example:80"), b"\x05\x01\x00\x03\x09a.example\0\x50"),
        (|proxy, _| proxy.connect(("a.example", 80)), b"\x05\x01\x00\x03\x09a.example\0\x50"),
        (|proxy, _| proxy.connect("10.1.2.3:80"), b"\x05\x01\x00\x01\x0a\x01\x02\x03\0\x50"),
        (|proxy, _| proxy.connect("[2001:db8::1]:443"), ipv6),
        (|proxy, _| proxy.connect(("2001:db8::1", 443)), ipv6),
        (|proxy, _| proxy.connect("[2001:db8::1]:443".parse::<SocketAddr>().unwrap()), ipv6),
        (|proxy, _| proxy.connect(format!("{ONION}:80")), &onion_request),
        (|proxy, onion| proxy.connect((onion, 80)), &onion_request),
        (
            |proxy, _| proxy.clone().timeout(std::time::Duration::from_secs(30)).connect("a:1"),
            b"\x05\x01\x00\x03\x01a\0\x01",
        ),
    ];
    for kind in KINDS {
        for (connect, request) in &cases {
            let request = request.to_vec();
            let fake = FakeProxy::start(kind, move |peer| {
                peer.greet();
                peer.expect(&request);
                peer.send(GRANTED);
                peer.expect_end();
            });
            drop(connect(&fake.proxy(), onion).unwrap());
            fake.finish();
        }
    }
}

#[test]
fn names_and_addresses_of_both_families_are_resolved() {
    for kind in KINDS {
        let fake = FakeProxy::several(kind, |listener| {
            for (request, answer) in [
                (
                    &b"\x05\xf0\x00\x03\x09a.example\0\0"[..],
                    &b"\x05\x00\x00\x01\x0a\x01\x02\x03\0\0"[..],
                ),
                (
                    b"\x05\xf0\x00\x03\x09a.example\0\0",
                    b"\x05\x00\x00\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\0\0",
                ),
                (b"\x05\xf1\x00\x01\x0a\x01\x02\x03\0\0", b"\x05\x00\x00\x03\x09a.example\0\0"),
                (
                    b"\x05\xf1\x00\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\0\0",
                    b"\x05\x00\x00\x03\x09b.example\0\0",
                ),
            ] {
                let mut peer = listener.accept();
                peer.greet();
                peer.expect(request);
                peer.send(answer);
                peer.expect_end();
            }
        });
        let proxy = fake.proxy();
        assert_eq!(proxy.resolve("a.example").unwrap().to_string(), "10.1.2.3");
        assert_eq!(proxy.resolve("a.example").unwrap().to_string(), "2001:db8::1");
        assert_eq!(proxy.resolve_ptr([10, 1, 2, 3].into()).unwrap(), "a.example");
        assert_eq!(proxy.resolve_ptr("2001:db8::1".parse().unwrap()).unwrap(), "b.example");
        fake.finish();
    }
}

#[test]
fn replies_of_the_wrong_type_are_refused() {
    let ask_name = |answer: &'static [u8]| {
        let fake = FakeProxy::start(Kind::Tcp, move |peer| {
            peer.greet();
            peer.read(10);
            peer.send(answer);
            peer.expect_end();
        });
        let error = fake.proxy().resolve_ptr([10, 1, 2, 3].into()).unwrap_err();
        let endpoint = fake.endpoint();
        fake.finish();
        check_text(&error);
        let text = chain(&error);
        let start = format!(
            "cannot find the name of 10.1.2.3 through the SOCKS proxy {endpoint}: cannot read the \
             proxy's answer to the request: expected a host name, got "
        );
        text.strip_prefix(&start).unwrap_or_else(|| panic!("{text}")).to_owned()
    };
    // The owner of the address chooses the name, which must not control a log or a terminal.
    for (answer, got) in [
        (&b"\x05\x00\x00\x01\x0a\x01\x02\x03\0\0"[..], "\"10.1.2.3\""),
        (b"\x05\x00\x00\x03\x00\0\0", "\"\""),
        (b"\x05\x00\x00\x03\x05a\r\nQT\0\0", "\"a\\r\\nQT\""),
        (b"\x05\x00\x00\x03\x05\x1b[31m\0\0", "\"\\x1b[31m\""),
        (b"\x05\x00\x00\x03\x02\xff\xfe\0\0", "\"\\xff\\xfe\""),
        (b"\x05\x00\x00\x03\x03::1\0\0", "\"::1\""),
    ] {
        assert_eq!(ask_name(answer), got);
    }
    let fake = FakeProxy::start(Kind::Tcp, move |peer| {
        peer.greet();
        peer.read(16);
        peer.send(b"\x05\x00\x00\x03\x09b.example\0\0");
        peer.expect_end();
    });
    let error = fake.proxy().resolve("a.example").unwrap_err();
    assert_eq!(
        chain(&error),
        format!(
            "cannot resolve a.example through the SOCKS proxy {}: cannot read the proxy's answer \
             to the request: expected an address, got \"b.example\"",
            fake.endpoint()
        )
    );
    fake.finish();
}

#[test]
fn tokens_are_sent_as_user_name_and_password_and_fresh_tokens_differ() {
    for kind in KINDS {
        let (sender, seen) = crossbeam_channel::unbounded();
        let fake = FakeProxy::several(kind, move |listener| {
            for _ in 0..6 {
                let mut peer = listener.accept();
                sender.send(peer.greet_with_password()).unwrap();
                peer.expect_connect("a.example", 80);
                peer.send(GRANTED);
                peer.expect_end();
            }
        });
        let longest = "x".repeat(255);
        let proxies = [
            fake.proxy().isolation(Isolation::token("account 7").unwrap()),
            fake.proxy().isolation(Isolation::credentials(&longest, &longest).unwrap()),
        ];
        let fresh = fake.proxy().isolation(Isolation::fresh());
        for proxy in [&proxies[0], &proxies[0], &proxies[1], &fresh, &fresh, &fresh.clone()] {
            drop(proxy.connect("a.example:80").unwrap());
        }
        fake.finish();
        let seen: Vec<_> = seen.try_iter().collect();
        assert_eq!(seen[0], ("torcon".to_owned(), "account 7".to_owned()));
        assert_eq!(seen[0], seen[1]);
        assert_eq!(seen[2], (longest.clone(), longest));
        assert_eq!(seen[3..].iter().collect::<BTreeSet<_>>().len(), 3);
    }
}

#[test]
fn every_failure_code_has_a_variant_and_a_text() {
    let meanings = [
        (0x01, "general failure"),
        (0x02, "the target is not allowed"),
        (0x03, "the network is unreachable"),
        (0x04, "the host is unreachable"),
        (0x05, "the host refused the connection"),
        (0x06, "no circuit reached the target in time"),
        (0x07, "the command is not supported"),
        (0x08, "the address type is not supported"),
        (0x09, "unknown code"),
        (0xf0, "the onion service's descriptor was not found"),
        (0xf1, "the onion service's descriptor is invalid"),
        (0xf2, "the introduction to the onion service failed"),
        (0xf3, "the rendezvous with the onion service failed"),
        (0xf4, "the onion service requires client authorization, and tor has no key for it"),
        (0xf5, "the onion service does not accept the key of client authorization"),
        (0xf6, "the onion address is invalid"),
        (0xf7, "the introduction to the onion service timed out"),
    ];
    let fake = FakeProxy::several(Kind::Unix, move |listener| {
        for (code, _) in meanings {
            let mut peer = listener.accept();
            peer.greet();
            peer.expect_connect(ONION, 80);
            peer.send(&[b"\x05", &[code][..], b"\x00\x01\0\0\0\0\0\0"].concat());
            peer.expect_end();
        }
    });
    for (code, meaning) in meanings {
        let error = fake.proxy().connect((ONION, 80)).unwrap_err();
        check_text(&error);
        assert_eq!(
            chain(&error),
            format!(
                "cannot connect to {ONION}:80 through the SOCKS proxy {}: the proxy refused: \
                 {meaning} (0x{code:02X})",
                fake.endpoint()
            )
        );
        let torcon::Error::Socks(error) = error else { panic!("{error:?}") };
        assert_eq!(error.code(), Some(SocksCode::from(code)));
        assert_eq!(error.proxy(), fake.endpoint());
    }
    fake.finish();
}

#[test]
fn a_target_that_socks_cannot_encode_is_not_sent() {
    for kind in KINDS {
        let (address, listener, _directory) = ProxyListener::open(kind);
        let proxy = SocksProxy::new(address.to_string()).unwrap();
        let long = "a".repeat(256);
        let target = "invalid argument \"target\": ";
        let mistyped = ONION.replace("duckduck", "duckduch");
        for (host, problem) in [
            (&*long, "must have 1 to 255 bytes"),
            ("a\0b", "must not contain blanks or control characters"),
            ("a\r\nb", "must not contain blanks or control characters"),
            ("caf\u{e9}", "must be ASCII: an international name is written with xn--"),
            ("", "must have a host before the port"),
            (&mistyped, "the onion address has a wrong checksum: a character is wrong"),
        ] {
            let error = proxy.connect((host, 80)).unwrap_err();
            check_text(&error);
            assert_eq!(error.to_string(), format!("{target}{problem}"));
        }
        let error = proxy.connect("a.example:0").unwrap_err();
        assert_eq!(error.to_string(), format!("{target}must not have port 0"));
        let error = proxy.connect("a.example").unwrap_err();
        assert_eq!(error.to_string(), format!("{target}must be host:port"));
        let name = "invalid argument \"name\": ";
        for (host, problem) in [
            (&*long, "must have 1 to 255 bytes"),
            ("", "must have 1 to 255 bytes"),
            ("a\nb", "must not contain NUL, line breaks or other control characters"),
            ("a.example:80", "must be a host name or an address"),
        ] {
            let error = proxy.resolve(host).unwrap_err();
            assert_eq!(error.to_string(), format!("{name}{problem}"));
        }
        assert!(listener.has_no_client());
    }
}

#[test]
fn many_threads_share_one_proxy() {
    const STREAMS: usize = 20;
    for kind in KINDS {
        let fake = FakeProxy::several(kind, |listener| {
            let threads: Vec<_> = (0..STREAMS)
                .map(|_| {
                    let mut peer = listener.accept();
                    thread::Builder::new()
                        .spawn(move || {
                            peer.greet_with_password();
                            peer.expect_connect("a.example", 80);
                            peer.send(GRANTED);
                            peer.echo();
                        })
                        .unwrap()
                })
                .collect();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        });
        let proxy = fake.proxy().isolation(Isolation::fresh());
        thread::scope(|scope| {
            for number in 0..STREAMS {
                let proxy = &proxy;
                scope.spawn(move || {
                    let mut stream = proxy.connect("a.example:80").unwrap();
                    let sent = vec![u8::try_from(number).unwrap(); 100_000];
                    let mut reader = stream.try_clone().unwrap();
                    thread::scope(|scope| {
                        scope.spawn(|| stream.write_all(&sent).unwrap());
                        let mut received = vec![0; sent.len()];
                        reader.read_exact(&mut received).unwrap();
                        assert_eq!(received, sent);
                    });
                });
            }
        });
        fake.finish();
    }
}
