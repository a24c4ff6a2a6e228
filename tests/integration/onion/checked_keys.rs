use std::net::TcpListener;
use std::time::Duration;

use torcon::error::SocksCode;
use torcon::onion::{CheckStep, Publication};
use torcon::supervisor::SupervisorOptions;
use torcon::{ConnectOptions, Error};

use super::network::{LIMIT, served, tor};
use super::{LONG, key, listen};
use crate::support::proxy::Proxy;
use crate::support::real_tor::RealTor;
use crate::support::socket::{Lines, QUIET};
use crate::support::watchdog::eventually;

/// The command at which the proxy ends the connection.
const CUT: &str = "GETINFO config-file";

/// A proxy that reports a `SocksPort` at this address, since the network of the tor is off. It drops
/// the reply that follows the one to `ONION_CLIENT_AUTH_VIEW` if `is_lossy`.
fn proxy(tor: &RealTor, socks: String, is_lossy: bool) -> Proxy {
    Proxy::before(
        tor.address(),
        |client, tor| {
            let mut lines = Lines::default();
            while let Ok(line) = lines.next_text(client, QUIET) {
                if line == CUT || tor.write_lines(&[line]).is_err() {
                    break;
                }
            }
        },
        move |tor, client| {
            let (mut lines, mut is_next) = (Lines::default(), false);
            while let Ok(mut message) = lines.next_message(tor, QUIET) {
                if message[0].starts_with("250-net/listeners/socks=") {
                    message[0] = format!("250-net/listeners/socks=\"{socks}\"");
                }
                if message[0].starts_with("250-ONION_CLIENT_AUTH_VIEW") {
                    is_next = is_lossy;
                } else if is_next && !message[0].starts_with("650") {
                    is_next = false;
                    continue;
                }
                if client.write_lines(&message).is_err() {
                    break;
                }
            }
        },
    )
}

fn has_key(tor: &RealTor) -> bool {
    tor.raw().ask("ONION_CLIENT_AUTH_VIEW").concat().contains("x25519:")
}

/// Returns a port that accepts connections and sends nothing.
fn silent_port() -> TcpListener {
    TcpListener::bind(("127.0.0.1", 0)).unwrap()
}

#[test]
fn a_key_whose_reply_was_late_does_not_stay_in_tor_after_a_check() {
    let tor = RealTor::start();
    let proxy = proxy(&tor, "127.0.0.1:9".to_owned(), true);
    let controller = ConnectOptions::new()
        .command_timeout(Duration::from_secs(1))
        .connect(proxy.endpoint().as_str())
        .unwrap();
    let endpoint = controller.onion_endpoint(80).publication(Publication::None);
    let listener = listen(endpoint.authorize_client("alice"));
    let check = listener.check(Duration::from_secs(3)).unwrap();
    assert!(format!("{:?}", check.connection).contains("ONION_CLIENT_AUTH_ADD"), "{check:?}");
    eventually(LONG, "tor does not have the key", || !has_key(&tor));
}

#[test]
fn a_key_does_not_stay_in_tor_when_the_program_closes_the_connection_during_a_check() {
    let (tor, silent) = (RealTor::start(), silent_port());
    let proxy = proxy(&tor, silent.local_addr().unwrap().to_string(), false);
    let controller = ConnectOptions::new().connect(proxy.endpoint().as_str()).unwrap();
    let endpoint = controller.onion_endpoint(80).publication(Publication::None);
    let listener = listen(endpoint.detach().key(key(9)).authorize_client("alice"));
    std::thread::scope(|scope| {
        scope.spawn(|| listener.check(Duration::from_secs(6)));
        eventually(LONG, "tor has the key", || has_key(&tor));
        controller.close();
        assert!(!has_key(&tor), "the key of the client stays");
    });
    assert!(!has_key(&tor));
}

#[test]
fn a_key_does_not_stay_in_tor_when_a_supervisor_connects_again_during_a_check() {
    let (tor, silent) = (RealTor::start(), silent_port());
    let proxy = proxy(&tor, silent.local_addr().unwrap().to_string(), false);
    let supervisor = SupervisorOptions::new()
        .connect([proxy.endpoint().as_str(), tor.endpoint().as_str()], ConnectOptions::new())
        .unwrap();
    supervisor.wait_tor(LONG).unwrap();
    let endpoint = supervisor.onion_endpoint(80).publication(Publication::None);
    let listener = listen(endpoint.authorize_client("alice"));
    std::thread::scope(|scope| {
        let checking = scope.spawn(|| listener.check(Duration::from_secs(6)));
        eventually(LONG, "tor has the key", || has_key(&tor));
        let present = supervisor.tor().unwrap();
        present.controller().get_info_one("config-file").unwrap_err();
        eventually(LONG, "the key is removed", || !has_key(&tor));
        let _ = checking.join().unwrap();
    });
    assert!(!has_key(&tor));
}

#[test]
fn two_checks_at_once_do_not_take_each_others_key() {
    let service = tor();
    let endpoint = service.onion_endpoint(80).ephemeral().authorize_client("alice");
    let listeners = [endpoint.publication(Publication::All).timeout(LIMIT).listen().unwrap()];
    let is_of_key = |step: &CheckStep| {
        let codes = [SocksCode::OnionMissingClientAuth, SocksCode::OnionWrongClientAuth];
        matches!(step, CheckStep::Failed { error: Error::Socks(error), .. }
            if error.code().is_some_and(|code| codes.contains(&code)))
    };
    served(&listeners, || {
        for round in 0..4 {
            std::thread::scope(|scope| {
                for number in 0..5 {
                    let listener = &listeners[0];
                    scope.spawn(move || {
                        std::thread::sleep(Duration::from_millis(60 * number + 20 * round));
                        let check = listener.check(LIMIT / 3).unwrap();
                        assert!(!is_of_key(&check.connection), "{check:?}");
                    });
                }
            });
        }
        assert!(service.controller().onion_client_auths().unwrap().is_empty());
    });
}
