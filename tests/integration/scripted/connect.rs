//! The commands of connecting, and peers that are not a tor.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use torcon::error::{ConnectProblem, Disconnect};
use torcon::{ConnectOptions, Controller, Endpoint, Error};

use super::{LIMIT, SOON, chain};
use crate::support::exclusive::exclusive;
use crate::support::fake_tor::FakeTor;
use crate::support::greeting::Cookie;
use crate::support::greeting::Greeting as _;
use crate::support::leaks::Holdings;
use crate::support::script::Script;
use crate::support::script::Steps as _;
use crate::support::socket::Address;
use crate::support::watchdog::within;

/// Connects to a peer that is not a tor, and returns the problem.
#[track_caller]
fn problem(
    options: ConnectOptions,
    play: impl FnOnce(&mut Script) + Send + 'static,
) -> ConnectProblem {
    let tor = FakeTor::tcp(play);
    let endpoint = tor.endpoint();
    let error = within(LIMIT, "connecting", move || options.connect(endpoint)).unwrap_err();
    let Error::Connect(error) = &error else { panic!("{error:?}") };
    let [attempt] = error.attempts() else { panic!("{error:?}") };
    assert_eq!(attempt.address(), tor.endpoint());
    tor.finish();
    attempt.problem().clone()
}

#[test]
fn only_the_documented_commands_are_sent_and_none_at_the_end() {
    // Rule 8, part 7 of peers (no hidden commands), and the documentation of `connect`.
    for by_close in [false, true] {
        let leave = |controller: Controller| {
            if by_close {
                controller.close();
            }
        };

        let tor = FakeTor::tcp(|script| {
            script.greet().expect_end();
        });
        leave(torcon::connect(tor.endpoint()).unwrap());
        assert_eq!(tor.lines(), ["PROTOCOLINFO 1", "AUTHENTICATE"]);
        tor.finish();

        let tor = FakeTor::unix(|script| {
            script.greet_password(b"pass").expect_end();
        });
        leave(ConnectOptions::new().password("pass").connect(tor.endpoint()).unwrap());
        assert_eq!(tor.lines(), ["PROTOCOLINFO 1", "AUTHENTICATE 70617373"]);
        tor.finish();

        let cookie = Cookie::new();
        let hex = cookie.hex();
        let options = ConnectOptions::new().plain_cookie_file(cookie.path());
        let tor = FakeTor::unix(move |script| {
            script.greet_cookie(&cookie).expect_end();
        });
        leave(options.connect(tor.endpoint()).unwrap());
        assert_eq!(tor.lines(), ["PROTOCOLINFO 1", &format!("AUTHENTICATE {hex}")]);
        tor.finish();

        let cookie = Cookie::new();
        let tor = FakeTor::unix(move |script| {
            script.greet_safecookie(&cookie).expect_end();
        });
        leave(torcon::connect(tor.endpoint()).unwrap());
        let lines = tor.lines();
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert_eq!(lines[0], "PROTOCOLINFO 1");
        assert!(lines[1].starts_with("AUTHCHALLENGE SAFECOOKIE "), "{lines:?}");
        // peers 19: the nonce of one client had two bytes.
        assert_eq!(lines[1].len(), "AUTHCHALLENGE SAFECOOKIE ".len() + 64);
        assert_eq!(lines[2].len(), "AUTHENTICATE ".len() + 64);
        tor.finish();
    }
}

#[test]
fn every_connection_has_a_new_nonce() {
    let nonces: Vec<_> = (0..3)
        .map(|_| {
            let cookie = Cookie::new();
            let tor = FakeTor::unix(move |script| {
                script.greet_safecookie(&cookie).expect_end();
            });
            drop(torcon::connect(tor.endpoint()).unwrap());
            tor.lines().remove(1)
        })
        .collect();
    assert!(nonces[0] != nonces[1] && nonces[1] != nonces[2] && nonces[0] != nonces[2]);
}

#[test]
fn the_protocol_info_of_the_peer_is_returned() {
    let (tor, controller) = super::connected(|script| {
        script.protocol_info("NULL,NEW_METHOD", None).drain();
    });
    assert_eq!(controller.version().to_string(), "0.4.9.11");
    assert_eq!(controller.endpoint().to_string(), tor.endpoint());
    assert_eq!(controller.owned_pid(), None);
    let info = controller.protocol_info().unwrap();
    assert_eq!(info.auth_methods.len(), 2);
    assert_eq!(info.cookie_file, None);
    let shown = format!("{controller:?}");
    assert!(shown.contains("alive: true") && shown.contains("0.4.9.11"), "{shown}");
    drop(controller);
    tor.finish();
}

#[test]
fn a_greeting_of_a_later_version_is_understood() {
    let tor = FakeTor::unix(|script| {
        script.expect("PROTOCOLINFO 1");
        script.send("650 BW 1 2\r\n250-PROTOCOLINFO 2 X=1\r\n250-NEW line\r\n");
        script
            .send("250-AUTH METHODS=NULL,NEW X=\"y z\"\r\n250-VERSION Tor=\"0.5.0.1-alpha\" Y\r\n");
        script.send("250+MORE\r\n250 OK\r\n.\r\n250 OK\r\n");
        script.answer("AUTHENTICATE", &["250 OK"]).expect_end();
    });
    let controller = torcon::connect(tor.endpoint()).unwrap();
    assert_eq!(controller.version().to_string(), "0.5.0.1-alpha");
    drop(controller);
    tor.finish();
}

#[test]
fn another_protocol_is_reported_with_its_first_bytes() {
    // peers 15: connecting to a SOCKS port hung or failed with an unclear error.
    let peers: [(&[u8], &str); 10] = [
        (b"\x05\xff", "\\x05\\xff"),
        (b"\x00\x5b\x00\x00\x00\x00\x00\x00", "\\x00["),
        (
            b"HTTP/1.0 501 Tor is not an HTTP Proxy\r\nContent-Type: text/html\r\n\r\n<html>",
            "HTTP/1.0",
        ),
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", "SSH-2.0-OpenSSH_9.2p1"),
        // A TLS alert: the record of a server that received plain text.
        (b"\x15\x03\x03\x00\x02\x02\x0a", "\\x15\\x03\\x03\\x00\\x02\\x02"),
        (b"220 mail.example ESMTP\r\n", "mail.example ESMTP"),
        (b"* OK IMAP4 ready\r\n", "* OK IMAP4 ready"),
        (b"\r\n", ""),
        (b"hello", "hello"),
        // ESC, and a character that reorders the text behind it.
        (b"\x1b]0;x\x07\xe2\x80\xae\r\n", "\\x1b]0;x\\x07\\xe2\\x80\\xae"),
    ];
    for (said, start) in peers {
        // Whether it sends first or after the command, and whether it closes.
        for (waits, closes) in [(false, true), (true, true), (true, false)] {
            let begin = Instant::now();
            let options = ConnectOptions::new().timeout(LIMIT);
            let problem = problem(options, move |script| {
                script.unchecked("another protocol");
                if waits {
                    script.expect("PROTOCOLINFO 1");
                }
                script.send(said);
                if closes {
                    script.close();
                } else {
                    script.drain();
                }
            });
            match &problem {
                ConnectProblem::NotAControlPort { excerpt } => {
                    assert!(excerpt.starts_with(start), "{excerpt}");
                }
                // A mail server greets as a tor would answer; it is out of step at once.
                ConnectProblem::Closed(Disconnect::OutOfStep { .. }) if !waits => {}
                other => panic!("{said:?} gave {other:?}"),
            }
            assert!(begin.elapsed() < SOON, "{said:?} took {:?}", begin.elapsed());
        }
    }
}

#[test]
fn a_peer_that_closes_without_a_word_is_no_control_port() {
    for waits in [false, true] {
        let problem = problem(ConnectOptions::new(), move |script| {
            if waits {
                script.expect("PROTOCOLINFO 1");
            }
            script.close();
        });
        let ConnectProblem::NotAControlPort { excerpt } = &problem else { panic!("{problem:?}") };
        assert_eq!(&**excerpt, "");
    }
}

#[test]
fn a_peer_that_is_silent_or_slow_ends_the_attempt_at_its_time() {
    // Rule 10: one limit for everything from the first address to the end of authentication.
    let limit = Duration::from_millis(200);
    type Peer = (&'static str, fn(&mut Script));
    let silent: [Peer; 4] = [
        ("silence", |script| {
            script.drain();
        }),
        ("half a reply", |script| {
            script.expect("PROTOCOLINFO 1").send("250-PROTOCOLINFO 1\r\n").drain();
        }),
        ("silence after PROTOCOLINFO", |script| {
            script.protocol_info("NULL", None).drain();
        }),
        ("drops", |script| {
            script.expect("PROTOCOLINFO 1");
            for _ in 0..12 {
                script.pause(Duration::from_millis(30));
                // One line; the client may be gone.
                script.flood_until_hang_up("250-PROTOCOLINFO 1\r\n", 20);
            }
        }),
    ];
    for (name, play) in silent {
        let begin = Instant::now();
        let tor = FakeTor::tcp(play);
        let error = ConnectOptions::new().timeout(limit).connect(tor.endpoint()).unwrap_err();
        let took = begin.elapsed();
        assert!(error.is_timeout(), "{name}: {error:?}");
        assert!(took >= limit && took < SOON, "{name}: {took:?}");
        assert!(
            chain(&error).ends_with("timed out after 200ms waiting for a control connection"),
            "{error}"
        );
        tor.finish();
    }
}

#[test]
fn a_listener_that_never_accepts_ends_the_attempt_at_its_time() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control");
    let _listener = UnixListener::bind(&path).unwrap();
    let options = ConnectOptions::new().timeout(Duration::from_millis(100));
    let begin = Instant::now();
    let mut held = Vec::new();
    // The system accepts some connections on its own; those are silent, and then there is no room.
    for _ in 0..3 {
        assert!(options.connect(path.clone()).unwrap_err().is_timeout());
    }
    while let Ok(socket) = {
        use std::os::fd::AsRawFd;
        let socket = nix::sys::socket::socket(
            nix::sys::socket::AddressFamily::Unix,
            nix::sys::socket::SockType::Stream,
            nix::sys::socket::SockFlag::SOCK_NONBLOCK,
            None,
        )
        .unwrap();
        let address = nix::sys::socket::UnixAddr::new(&path).unwrap();
        nix::sys::socket::connect(socket.as_raw_fd(), &address).map(|()| socket)
    } {
        held.push(socket);
        assert!(held.len() < 10_000, "the queue of the listener has no end");
    }
    assert!(options.connect(path).unwrap_err().is_timeout());
    assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
}

#[test]
fn a_refused_greeting_keeps_the_words_of_tor() {
    let problem = problem(ConnectOptions::new(), |script| {
        script.answer("PROTOCOLINFO 1", &["510 Command filtered"]).expect_end();
    });
    let ConnectProblem::Rejected(rejection) = &problem else { panic!("{problem:?}") };
    assert_eq!(rejection.to_string(), "tor refused PROTOCOLINFO: 510 \"Command filtered\"");
}

#[test]
fn an_end_during_the_handshake_is_reported() {
    let problem = problem(ConnectOptions::new(), |script| {
        script.protocol_info("NULL", None).expect("AUTHENTICATE").close();
    });
    assert!(matches!(problem, ConnectProblem::Closed(Disconnect::EndOfStream)), "{problem:?}");
}

#[test]
fn nothing_is_left_of_a_connection_that_was_not_made() {
    exclusive(|| {
        let holdings = Holdings::now();
        let peers: [fn(&mut Script); 5] = [
            |script| {
                script.close();
            },
            |script| {
                script.send("SSH-2.0\r\n").drain();
            },
            |script| {
                script.drain();
            },
            |script| {
                script.greet_password_and_refuse();
            },
            |script| {
                script.protocol_info("NEW", None).expect_end();
            },
        ];
        for play in peers {
            let tor = FakeTor::unix(play);
            let options = ConnectOptions::new().password("x").timeout(Duration::from_secs(6));
            options.connect(tor.endpoint()).unwrap_err();
            tor.finish();
            holdings.assert_restored(LIMIT);
        }
        let missing = std::env::temp_dir().join("missing");
        torcon::connect(missing).unwrap_err();
        torcon::connect("no-such-host.invalid:1").unwrap_err();
        holdings.assert_restored(LIMIT);
    });
}

#[test]
fn an_endpoint_can_be_given_in_every_form() {
    let tor = FakeTor::tcp(|script| {
        script.greet();
        let mut rest = Vec::new();
        for _ in 0..6 {
            let mut script = script.accept();
            script.greet();
            rest.push(script);
        }
    });
    let Address::Tcp(address) = *tor.address() else { panic!() };
    let text = address.to_string();
    let endpoint = Endpoint::tcp("127.0.0.1", address.port());
    let controllers = [
        torcon::connect(text.as_str()).unwrap(),
        torcon::connect(text.clone()).unwrap(),
        torcon::connect(format!("tcp:{text}")).unwrap(),
        torcon::connect(address).unwrap(),
        torcon::connect(&endpoint).unwrap(),
        torcon::connect(Endpoint::from(address)).unwrap(),
        torcon::connect(Endpoint::tcp("localhost", address.port())).unwrap(),
    ];
    tor.finish();
    drop(controllers);

    let tor = FakeTor::unix(|script| {
        script.greet();
        script.accept().greet();
    });
    let path: PathBuf = tor.socket_path().into();
    let controllers =
        [torcon::connect(path.clone()).unwrap(), torcon::connect(path.to_str().unwrap()).unwrap()];
    tor.finish();
    drop(controllers);
}

#[test]
fn the_first_of_several_that_accepts_is_used() {
    let refusing = FakeTor::unix(|script| {
        script.greet_password_and_refuse();
    });
    let good = FakeTor::unix(|script| {
        script.greet().expect_end();
    });
    let closed: SocketAddr = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let endpoints: Vec<Endpoint> = vec![
        closed.into(),
        refusing.endpoint().parse().unwrap(),
        good.endpoint().parse().unwrap(),
        "unix:/never/reached".parse().unwrap(),
    ];
    let options = ConnectOptions::new().password("x");
    let controller = options.connect_first(&endpoints).unwrap();
    assert_eq!(controller.endpoint(), &endpoints[2]);
    drop(controller);
    good.finish();
    refusing.finish();

    // The error lists every address if none accepts, and an empty list is an error too.
    let error = options.connect_first(&endpoints[..1]).unwrap_err();
    assert!(matches!(&error, Error::Connect(error) if error.attempts().len() == 1), "{error:?}");
    let error = options.connect_first(&[]).unwrap_err();
    assert!(matches!(&error, Error::InvalidInput(_)), "{error:?}");
}

#[test]
fn a_greeting_may_arrive_in_the_smallest_pieces() {
    let tor = FakeTor::tcp(|script| {
        script.expect("PROTOCOLINFO 1").send_in_bytes(
            "250-PROTOCOLINFO 1\r\n250-AUTH METHODS=NULL\r\n250-VERSION Tor=\"0.4.9.11\"\r\n250 OK\r\n",
        );
        script.expect("AUTHENTICATE").send_in_bytes("250 OK\r\n");
        script.expect_end();
    });
    let controller = torcon::connect(tor.endpoint()).unwrap();
    assert_eq!(controller.version().to_string(), "0.4.9.11");
    drop(controller);
    tor.finish();
}

#[test]
fn no_probe_is_sent_before_authentication() {
    // A probe before authentication would be an error: tor allows PROTOCOLINFO once and nothing
    // unknown.
    let tor = FakeTor::unix(|script| {
        script.protocol_info("NULL", None).expect("AUTHENTICATE").expect_end();
    });
    let options = ConnectOptions::new().timeout(Duration::from_secs(6));
    assert!(options.connect(tor.endpoint()).unwrap_err().is_timeout());
    tor.finish();
}

#[test]
fn one_address_that_hangs_does_not_keep_the_others_from_being_tried() {
    let silent = FakeTor::tcp(|script| {
        script.drain();
    });
    let tor = FakeTor::tcp(|script| {
        script.greet().drain();
    });
    let endpoints = [&silent, &tor].map(|tor| tor.endpoint().parse::<Endpoint>().unwrap());
    let options = ConnectOptions::new().timeout(Duration::from_secs(16));
    let controller = options.connect_first(&endpoints).unwrap();
    assert_eq!(controller.endpoint(), &endpoints[1]);
    drop(controller);
    silent.finish();
    tor.finish();
}
