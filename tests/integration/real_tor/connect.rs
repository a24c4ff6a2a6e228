//! Connecting: endpoints, the password closure, limits.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use torcon::error::{ConnectAttempt, ConnectProblem, Wait};
use torcon::names::AuthMethod;
use torcon::{ConnectOptions, Controller, Endpoint, Error, Password};

use super::{chain, controller, refusal};
use crate::support::leaks::Holdings;
use crate::support::real_tor::{RealTor, shared};
use crate::support::recording_proxy::RecordingProxy;
use crate::support::watchdog::within;

#[track_caller]
fn assert_is(controller: &Controller, pid: u32) {
    assert_eq!(controller.get_info_one("process/pid").unwrap(), pid.to_string());
}

// Row `endpoint`.
#[test]
fn every_form_of_endpoint_connects() {
    let tor = shared();
    let (pid, address) = (tor.pid(), tor.control_addr());
    let port = address.port();
    let path = tor.endpoint().strip_prefix("unix:").unwrap().to_owned();
    let spellings = [
        (format!("unix:{path}"), format!("unix:{path}")),
        (path.clone(), format!("unix:{path}")),
        (format!("127.0.0.1:{port}"), format!("127.0.0.1:{port}")),
        (format!("tcp:127.0.0.1:{port}"), format!("127.0.0.1:{port}")),
        (format!("localhost:{port}"), format!("localhost:{port}")),
        (format!("tcp:localhost:{port}"), format!("localhost:{port}")),
    ];
    for (spelling, shown) in spellings {
        let controller = torcon::connect(spelling.as_str()).unwrap();
        assert_is(&controller, pid);
        assert_eq!(controller.endpoint().to_string(), shown);
        assert_is(&torcon::connect(&spelling).unwrap(), pid);
        assert_is(&torcon::connect(spelling.parse::<Endpoint>().unwrap()).unwrap(), pid);
        assert_is(&torcon::connect(spelling).unwrap(), pid);
    }
    assert_is(&torcon::connect(address).unwrap(), pid);
    let by_name = Endpoint::tcp("localhost", port);
    assert_is(&torcon::connect(std::path::Path::new(&path)).unwrap(), pid);
    assert_is(&torcon::connect(std::path::PathBuf::from(&path)).unwrap(), pid);
    assert_is(&torcon::connect(Endpoint::unix(&path)).unwrap(), pid);
    assert_is(&torcon::connect(&by_name).unwrap(), pid);
    assert_is(&torcon::connect(Endpoint::tcp("127.0.0.1", port)).unwrap(), pid);
}

// Row `endpoint`: IPv6.
#[test]
fn a_control_port_on_ipv6_is_reached() {
    if TcpListener::bind("[::1]:0").is_err() {
        // Without IPv6 on the system, the test checks the refusal.
        assert!(refusal(torcon::connect("[::1]:9")).starts_with("cannot connect to [::1]:9: "));
        return;
    }
    let tor = RealTor::builder().line("ControlPort [::1]:auto").start();
    let listeners = controller(&tor).get_info_one("net/listeners/control").unwrap();
    let address = listeners.split('"').find(|part| part.starts_with("[::1]:")).unwrap();
    for spelling in [address.to_owned(), format!("tcp:{address}")] {
        let controller = torcon::connect(spelling).unwrap();
        assert_is(&controller, tor.pid());
        assert_eq!(controller.endpoint().to_string(), address);
    }
    let port = address.rsplit_once(':').unwrap().1.parse().unwrap();
    assert_is(&torcon::connect(Endpoint::tcp("::1", port)).unwrap(), tor.pid());
}

// Row `connect`: the reason; row "result": every reason why not.
#[test]
fn the_first_endpoint_that_answers_is_used_or_every_failure_is_reported() {
    let tor = shared();
    let directory = tempfile::tempdir().unwrap();
    let missing = Endpoint::unix(directory.path().join("missing"));
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Endpoint::from(listener.local_addr().unwrap())
    };
    let real = Endpoint::from(tor.control_addr());
    let options = ConnectOptions::new();

    let endpoints = [missing.clone(), closed.clone(), real.clone(), missing.clone()];
    let controller = options.connect_first(&endpoints).unwrap();
    assert_is(&controller, tor.pid());
    assert_eq!(controller.endpoint(), &real);

    let error = options.connect_first(&[missing.clone(), closed.clone()]).unwrap_err();
    assert_eq!(
        chain(&error),
        format!(
            "cannot connect to any of the addresses: \
             {missing} (No such file or directory (os error 2)); \
             {closed} (Connection refused (os error 111)); hint: start tor, or open its control \
             port with two lines in its torrc: ControlPort 9051, and CookieAuthentication 1"
        )
    );
    let Error::Connect(error) = error else { panic!("{error:?}") };
    let tried: Vec<_> = error.attempts().iter().map(ConnectAttempt::address).collect();
    assert_eq!(tried, [missing.to_string(), closed.to_string()]);

    assert_eq!(
        refusal(options.connect(missing.clone())),
        format!(
            "cannot connect to {missing}: No such file or directory (os error 2); hint: start tor, \
             or let it open this socket with two lines in its torrc: ControlSocket and the path, \
             and CookieAuthentication 1"
        )
    );
    assert!(matches!(options.connect_first(&[]), Err(Error::InvalidInput(_))));
}

// Row `endpoint`: the default candidates.
#[test]
fn the_default_endpoints_are_tried_in_order() {
    let options = ConnectOptions::new().timeout(Duration::from_secs(20));
    let usual: Vec<_> = options.default_endpoints().iter().map(Endpoint::to_string).collect();
    assert_eq!(usual[0], "unix:/run/tor/control");
    assert!(
        usual.ends_with(&["127.0.0.1:9051", "127.0.0.1:9151", "127.0.0.1:951"].map(str::to_owned))
    );
    // The machine may have a tor, which may accept or refuse the authentication.
    match options.connect_default() {
        Ok(controller) => assert!(usual.contains(&controller.endpoint().to_string())),
        Err(Error::Connect(error)) => {
            let tried: Vec<_> = error.attempts().iter().map(ConnectAttempt::address).collect();
            assert_eq!(tried, usual);
        }
        Err(other) => panic!("{other:?}"),
    }
}

// Row `connect`: the commands that are sent. Filtering proxies must allow them.
#[test]
fn connecting_sends_only_the_documented_commands() {
    let tap = RecordingProxy::before(shared().address());
    let controller = torcon::connect(tap.endpoint()).unwrap();
    let sent = tap.sent();
    assert_eq!(sent.len(), 3, "{sent:?}");
    assert_eq!(sent[0], "PROTOCOLINFO 1");
    let nonce = sent[1].strip_prefix("AUTHCHALLENGE SAFECOOKIE ").unwrap();
    let proof = sent[2].strip_prefix("AUTHENTICATE ").unwrap();
    for hex in [nonce, proof] {
        assert_eq!(hex.len(), 64, "{hex}");
        assert!(hex.bytes().all(|byte| byte.is_ascii_hexdigit()), "{hex}");
    }
    let cookie = std::fs::read(shared().cookie_path()).unwrap();
    assert_ne!(proof, data_encoding::HEXUPPER.encode(&cookie));
    controller.close();
    assert_eq!(tap.sent().len(), 3, "closing says nothing");
}

// Row `password_function`; row `builds protocol objects`: any number of times.
#[test]
fn the_password_closure_is_called_once_and_only_if_needed() {
    let password = Password::from("swordfish");
    let hashed = password.hashed().unwrap();
    let tor =
        RealTor::builder().without_cookie().line(format!("HashedControlPassword {hashed}")).start();
    let asked = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&asked);
    let caller = std::thread::current().id();
    let options = ConnectOptions::new().password_with(move || {
        assert_eq!(std::thread::current().id(), caller, "it is asked on the thread that connects");
        counting.fetch_add(1, Ordering::SeqCst);
        Some(Password::from("swordfish"))
    });
    for count in 1..=3 {
        assert_is(&options.clone().connect(tor.endpoint()).unwrap(), tor.pid());
        assert_eq!(asked.load(Ordering::SeqCst), count);
    }
    // The shared tor has a cookie.
    assert_is(&options.connect(shared().endpoint()).unwrap(), shared().pid());
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}

// Row `password_function`: may decline, may be slow.
#[test]
fn the_password_closure_may_decline_and_take_time() {
    let hashed = Password::from("swordfish").hashed().unwrap();
    let tor =
        RealTor::builder().without_cookie().line(format!("HashedControlPassword {hashed}")).start();
    let refused = "cannot authenticate by HASHEDPASSWORD (tor offers HASHEDPASSWORD): tor needs a \
                   password and none was given; hint: give one with ConnectOptions::password, or \
                   set CookieAuthentication 1 in the torrc";
    let declining = ConnectOptions::new().password_with(|| None);
    assert_eq!(refusal(declining.connect(tor.endpoint())), refused);
    assert_eq!(refusal(torcon::connect(tor.endpoint())), refused);

    // The password closure needs longer than the limit of the whole connection.
    let limit = Duration::from_secs(6);
    let slow = ConnectOptions::new().timeout(limit).password_with(move || {
        std::thread::sleep(limit + Duration::from_millis(200));
        Some(Password::from("swordfish"))
    });
    let begun = Instant::now();
    assert_is(&slow.connect(tor.endpoint()).unwrap(), tor.pid());
    assert!(begun.elapsed() > limit);

    // Nor does it take the time of the other endpoints.
    let wrong = ConnectOptions::new().timeout(limit).password_with(move || {
        std::thread::sleep(limit + Duration::from_millis(200));
        Some(Password::from("wrong"))
    });
    let endpoints = [tor.endpoint(), shared().endpoint()].map(|text| text.parse().unwrap());
    assert_is(&wrong.connect_first(&endpoints).unwrap(), shared().pid());
}

// Row "result": within a deadline.
#[test]
fn a_tor_that_does_not_answer_times_out() {
    let tor = RealTor::builder().control_port().start();
    tor.stop();
    for endpoint in [tor.endpoint(), tor.control_addr().to_string()] {
        let limit = Duration::from_millis(300);
        let begun = Instant::now();
        let options = ConnectOptions::new().timeout(limit);
        let error = within(Duration::from_secs(30), "connect", {
            let endpoint = endpoint.clone();
            move || options.connect(endpoint).unwrap_err()
        });
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
        assert!(error.is_timeout());
        let Error::Connect(error) = &error else { panic!("{error:?}") };
        let ConnectProblem::Silent(timeout) = error.attempts()[0].problem() else {
            panic!("{error:?}")
        };
        assert_eq!((timeout.wait(), timeout.limit()), (&Wait::Connect, limit));
    }
    tor.cont();
    assert_is(&controller(&tor), tor.pid());
}

// Row `connect`: never reconnects by itself. Row `line receiver`, `connection lost`.
#[test]
fn a_lost_connection_is_not_made_again() {
    let tor = RealTor::start();
    let controller = controller(&tor);
    tor.terminate();
    controller.wait_closed(Duration::from_secs(30)).unwrap();
    tor.wait(Duration::from_secs(30));
    // Something listens at the same place again. A tor that aborted while it exited has left its socket.
    let _ = std::fs::remove_file(tor.socket_path());
    let listener = std::os::unix::net::UnixListener::bind(tor.socket_path()).unwrap();
    listener.set_nonblocking(true).unwrap();
    for _ in 0..3 {
        assert_eq!(
            refusal(controller.get_info_one("version")),
            "the control connection is closed: tor closed the connection"
        );
    }
    assert!(!controller.is_alive());
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

// Peers 15: the most frequent question to supporters.
#[test]
fn other_ports_of_tor_are_not_control_ports() {
    // Its network is on, and leads to a closed port of this machine.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let tor = RealTor::builder()
        .line("DisableNetwork 0")
        .line("UseBridges 1")
        .line(format!("Bridge {closed}"))
        .line("SocksPort auto")
        .line("HTTPTunnelPort auto")
        .start();
    let controller = controller(&tor);
    let attempt = |kind: &str, limit| {
        let listeners = controller.get_info_one(&format!("net/listeners/{kind}")).unwrap();
        let address = listeners.trim_matches('"').to_owned();
        let options = ConnectOptions::new().timeout(limit);
        let begun = Instant::now();
        let text = refusal(options.connect(address.as_str()));
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
        text.replace(&address, "ADDRESS")
    };
    assert_eq!(
        attempt("socks", Duration::from_secs(60)),
        "cannot connect to ADDRESS: not a control port: it answered \"HTTP/1.0 501 Tor is not an \
         HTTP Proxy\"; hint: this is tor's SocksPort; its control port is another one, usually \
         9051 (9151 in Tor Browser)"
    );
    // It waits for the rest of an HTTP request.
    assert_eq!(
        attempt("httptunnel", Duration::from_secs(1)),
        "cannot connect to ADDRESS: no answer to the first command: not a control port, or a tor that is \
         stopped: \
         timed out after 1s waiting for a control connection"
    );
}

#[test]
fn the_endpoint_of_the_connection_is_returned() {
    crate::support::exclusive::exclusive(|| {
        let tor = RealTor::builder().control_port().start();
        let before = Holdings::now();
        for endpoint in [tor.endpoint(), tor.control_addr().to_string()] {
            for _ in 0..20 {
                assert_is(&torcon::connect(endpoint.as_str()).unwrap(), tor.pid());
            }
            let wrong = ConnectOptions::new().password("not needed").connect(endpoint.as_str());
            wrong.unwrap().close();
        }
        torcon::connect("127.0.0.1:1").unwrap_err();
        before.assert_restored(Duration::from_secs(30));
    });
}

// Row `protocolinfo()`; row `version`.
#[test]
fn a_new_controller_knows_the_version_and_its_authentication() {
    let controller = super::reader();
    let raw = shared().raw().ask("PROTOCOLINFO 1");
    let info = controller.protocol_info().unwrap();
    assert_eq!(raw[2], format!("250-VERSION Tor=\"{}\"", info.tor_version));
    assert_eq!(controller.version(), &info.tor_version);
    assert_eq!(controller.version().as_str(), shared().raw().get_info("version"));
    assert!(controller.version().is_recognized(), "{}", controller.version());
    assert_eq!(info.auth_methods, [AuthMethod::Cookie, AuthMethod::SafeCookie]);
    assert_eq!(info.cookie_file, Some(shared().cookie_path()));
    // tor answers PROTOCOLINFO only once before authentication, and any number of times after it.
    assert_eq!(controller.protocol_info().unwrap(), info);
}
