use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use torcon::command::OnionClientAuthAdd;
use torcon::error::{OnionProblem, SocksCode};
use torcon::names::ClientAuthKey;
use torcon::onion::{CheckStep, OnionListener, Publication};
use torcon::supervisor::{Supervisor, SupervisorOptions, SupervisorStatus};
use torcon::{ConnectOptions, Controller, Error};

use super::network::{LIMIT, served, tor};
use super::{LONG, key, listen};
use crate::support::proxy::Proxy;
use crate::support::real_tor::RealTor;
use crate::support::socket::{Lines, QUIET};
use crate::support::watchdog::eventually;

/// The command at which the proxy ends the connection.
const CUT: &str = "GETINFO config-file";

/// The failure of a proxy.
enum Fault {
    None,
    /// The reply that follows the one to `ONION_CLIENT_AUTH_VIEW` is lost.
    Reply,
    /// `ONION_CLIENT_AUTH_REMOVE` is lost, and every command behind it.
    Removal,
    /// The connection ends at the second `ONION_CLIENT_AUTH_ADD`.
    SecondKey,
    /// The `ONION_CLIENT_AUTH_VIEW` of this number is reported, and delivered with what follows it when
    /// the other channel is closed.
    Query(u32, Sender<()>, Receiver<()>),
}

/// A proxy that reports a `SocksPort` at this port, since the network of the tor is off.
fn proxy(tor: &RealTor, silent: &TcpListener, fault: Fault) -> Proxy {
    let socks = silent.local_addr().unwrap();
    let loses_reply = matches!(fault, Fault::Reply);
    Proxy::before(
        tor.address(),
        move |client, tor| {
            let (mut lines, mut is_stalled) = (Lines::default(), false);
            let (mut keys, mut queries) = (0, 0);
            while let Ok(line) = lines.next_text(client, QUIET) {
                keys += u32::from(line.starts_with("ONION_CLIENT_AUTH_ADD"));
                queries += u32::from(line.starts_with("ONION_CLIENT_AUTH_VIEW"));
                match &fault {
                    Fault::Removal => is_stalled |= line.starts_with("ONION_CLIENT_AUTH_REMOVE"),
                    Fault::SecondKey if keys == 2 => break,
                    Fault::Query(number, queried, released) if queries == *number => {
                        let _ = queried.try_send(());
                        let _ = released.recv();
                    }
                    _ => {}
                }
                if line == CUT || (!is_stalled && tor.write_lines(&[line]).is_err()) {
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
                    is_next = loses_reply;
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

/// Returns the key of the user, which no check may remove.
fn own_key() -> ClientAuthKey {
    ClientAuthKey::from_bytes([5; 32]).unwrap()
}

/// Returns a tor that stores permanent keys in a directory.
fn storing_tor(keys: &Path) -> RealTor {
    fs::set_permissions(keys, PermissionsExt::from_mode(0o700)).unwrap();
    RealTor::builder().line(format!("ClientOnionAuthDir {}", keys.display())).start()
}

/// A service whose check lasts until its limit, since its `SocksPort` answers nothing.
struct Service {
    listener: OnionListener,
    controller: Controller,
    _proxy: Proxy,
    _silent: TcpListener,
}

fn service(tor: &RealTor) -> Service {
    service_with(tor, Fault::None, &ConnectOptions::new())
}

fn service_with(tor: &RealTor, fault: Fault, options: &ConnectOptions) -> Service {
    let silent = silent_port();
    let proxy = proxy(tor, &silent, fault);
    let controller = options.connect(proxy.endpoint().as_str()).unwrap();
    let endpoint = controller.onion_endpoint(80).publication(Publication::None);
    let listener = listen(endpoint.authorize_client("alice"));
    Service { listener, controller, _proxy: proxy, _silent: silent }
}

/// Such a service of a supervisor.
struct Supervised {
    supervisor: Supervisor,
    listener: OnionListener,
    _proxy: Proxy,
    _silent: TcpListener,
}

/// The supervisor connects to `tor` through a proxy, and after the end of that connection to `next`.
fn supervised(tor: &RealTor, fault: Fault, next: &RealTor, options: ConnectOptions) -> Supervised {
    let silent = silent_port();
    let proxy = proxy(tor, &silent, fault);
    let (supervisor, listener) = supervise([proxy.endpoint(), next.endpoint()], options);
    Supervised { supervisor, listener, _proxy: proxy, _silent: silent }
}

fn supervise<const N: usize>(
    endpoints: [String; N],
    options: ConnectOptions,
) -> (Supervisor, OnionListener) {
    let supervisor = SupervisorOptions::new().connect(endpoints, options).unwrap();
    supervisor.wait_tor(LONG).unwrap();
    let endpoint = supervisor.onion_endpoint(80).publication(Publication::None);
    let listener = listen(endpoint.authorize_client("alice"));
    (supervisor, listener)
}

/// Makes the proxy end the present connection.
fn cut(supervisor: &Supervisor) {
    supervisor.tor().unwrap().controller().get_info_one("config-file").unwrap_err();
}

/// Adds the key of the user, which tor stores in a file.
fn add_own_key(controller: &Controller, listener: &OnionListener) {
    let add = OnionClientAuthAdd::new(listener.onion_address(), own_key());
    controller.execute(&add.permanent()).unwrap();
}

#[track_caller]
fn assert_has_own_key(tor: &RealTor, keys: &Path) {
    assert!(has_key(tor), "the key of the user was removed");
    assert_eq!(fs::read_dir(keys).unwrap().count(), 1);
}

/// Checks a service in another thread, and calls `work` while tor has the key for it.
fn while_checked(tor: &RealTor, listener: &OnionListener, limit: u64, work: impl FnOnce()) {
    std::thread::scope(|scope| {
        scope.spawn(|| listener.check(Duration::from_secs(limit)));
        eventually(LONG, "tor has the key", || has_key(tor));
        work();
    });
}

/// Returns a port that accepts connections and sends nothing.
fn silent_port() -> TcpListener {
    TcpListener::bind(("127.0.0.1", 0)).unwrap()
}

#[test]
fn a_key_whose_reply_was_late_does_not_stay_in_tor_after_a_check() {
    let tor = RealTor::start();
    let options = ConnectOptions::new().command_timeout(Duration::from_secs(1));
    let Service { listener, .. } = &service_with(&tor, Fault::Reply, &options);
    let check = listener.check(Duration::from_secs(3)).unwrap();
    assert!(format!("{:?}", check.connection).contains("ONION_CLIENT_AUTH_ADD"), "{check:?}");
    eventually(LONG, "tor does not have the key", || !has_key(&tor));
}

#[test]
fn a_key_does_not_stay_in_tor_when_the_program_closes_the_connection_during_a_check() {
    let (tor, silent) = (RealTor::start(), silent_port());
    let proxy = proxy(&tor, &silent, Fault::None);
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
    let tor = RealTor::start();
    let Supervised { supervisor, listener, .. } =
        &supervised(&tor, Fault::None, &tor, ConnectOptions::new());
    std::thread::scope(|scope| {
        let checking = scope.spawn(|| listener.check(Duration::from_secs(6)));
        eventually(LONG, "tor has the key", || has_key(&tor));
        cut(supervisor);
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

#[test]
fn a_key_that_the_user_adds_during_a_check_stays_with_its_file() {
    let keys = tempfile::tempdir().unwrap();
    let tor = storing_tor(keys.path());
    let Service { listener, controller, .. } = &service(&tor);
    while_checked(&tor, listener, 4, || {
        add_own_key(controller, listener);
    });
    assert_has_own_key(&tor, keys.path());
}

#[test]
fn a_key_of_the_user_stays_in_another_tor_to_which_a_supervisor_moves_during_a_check() {
    let keys = tempfile::tempdir().unwrap();
    let (tor, other) = (RealTor::start(), storing_tor(keys.path()));
    let Supervised { supervisor, listener, .. } =
        &supervised(&tor, Fault::None, &other, ConnectOptions::new());
    let direct = ConnectOptions::new().connect(other.endpoint().as_str()).unwrap();
    add_own_key(&direct, listener);
    while_checked(&tor, listener, 6, || {
        cut(supervisor);
        let is_moved = || listener.controller().endpoint().to_string() == other.endpoint();
        eventually(LONG, "the service has moved", is_moved);
    });
    supervisor.wait_status(LONG, SupervisorStatus::is_up).unwrap();
    assert_has_own_key(&other, keys.path());
}

#[test]
fn a_key_that_a_supervisor_adds_during_a_check_stays() {
    let tor = RealTor::start();
    let Supervised { supervisor, listener, .. } =
        &supervised(&tor, Fault::None, &tor, ConnectOptions::new());
    while_checked(&tor, listener, 4, || {
        supervisor.add_onion_client_auth(listener.onion_address(), own_key()).unwrap();
    });
    assert!(has_key(&tor), "the key of the supervisor was removed");
}

#[test]
fn a_key_whose_removal_is_not_answered_is_removed_over_the_next_connection() {
    let tor = RealTor::start();
    let options = ConnectOptions::new().command_timeout(Duration::from_secs(3));
    let Supervised { supervisor, listener, .. } = &supervised(&tor, Fault::Removal, &tor, options);
    let present = supervisor.tor().unwrap();
    listener.check(Duration::from_secs(2)).unwrap();
    assert!(has_key(&tor));
    present.controller().get_info_one("config-file").unwrap_err();
    eventually(LONG, "the key is removed", || !has_key(&tor));
}

#[test]
fn a_key_whose_removal_is_not_answered_is_removed_at_the_close_after_its_service() {
    let tor = RealTor::start();
    let options = ConnectOptions::new().command_timeout(Duration::from_secs(3));
    let Service { listener, controller, _proxy, _silent } =
        service_with(&tor, Fault::None, &options);
    while_checked(&tor, &listener, 3, || tor.stop());
    drop(listener);
    tor.cont();
    assert!(has_key(&tor));
    controller.close();
    assert!(!has_key(&tor), "the key of the client stays");
}

#[test]
fn a_key_whose_removal_is_not_answered_is_removed_by_a_check_that_needs_none() {
    let tor = RealTor::start();
    let options = ConnectOptions::new().command_timeout(Duration::from_secs(3));
    let Service { listener, .. } = &service_with(&tor, Fault::None, &options);
    while_checked(&tor, listener, 3, || tor.stop());
    tor.cont();
    assert!(has_key(&tor));
    listener.service().disable_client_auth().unwrap();
    listener.check(Duration::from_secs(1)).unwrap();
    assert!(!has_key(&tor), "the key of the client stays");
}

#[test]
fn a_key_whose_removal_is_not_answered_over_the_next_connection_is_removed_at_its_close() {
    let (tor, silent) = (RealTor::start(), silent_port());
    let ((queried, queries), (release, released)) = (bounded(1), bounded(0));
    let first = proxy(&tor, &silent, Fault::None);
    let second = proxy(&tor, &silent, Fault::Query(1, queried, released));
    let options = ConnectOptions::new().command_timeout(Duration::from_secs(3));
    let (supervisor, listener) = supervise([first.endpoint(), second.endpoint()], options);
    while_checked(&tor, &listener, 6, || {
        cut(&supervisor);
        queries.recv_timeout(LONG).unwrap();
        supervisor.wait_status(LONG, SupervisorStatus::is_up).unwrap();
        drop(release);
        assert!(has_key(&tor));
        supervisor.tor().unwrap().controller().close();
        assert!(!has_key(&tor), "the key of the client stays");
    });
}

#[test]
fn a_close_while_tor_answers_no_check_removes_no_key_of_the_user() {
    let keys = tempfile::tempdir().unwrap();
    let tor = storing_tor(keys.path());
    let ((queried, queries), (release, released)) = (bounded(1), bounded(0));
    let Service { listener, controller, .. } =
        &service_with(&tor, Fault::Query(2, queried, released), &ConnectOptions::new());
    while_checked(&tor, listener, 6, || {
        std::thread::scope(|scope| {
            scope.spawn(|| listener.check(Duration::from_secs(6)));
            queries.recv_timeout(LONG).unwrap();
            let direct = ConnectOptions::new().connect(tor.endpoint().as_str()).unwrap();
            add_own_key(&direct, listener);
            controller.close();
            drop(release);
        });
    });
    // The proxy has delivered every command.
    assert!(queries.recv_timeout(LONG).is_err());
    assert_has_own_key(&tor, keys.path());
}

#[test]
fn a_key_whose_replacement_does_not_reach_tor_is_removed_over_the_next_connection() {
    let tor = RealTor::start();
    let Supervised { listener, .. } =
        &supervised(&tor, Fault::SecondKey, &tor, ConnectOptions::new());
    while_checked(&tor, listener, 6, || {
        listener.authorize_client("bob").unwrap();
        assert!(listener.revoke_client("alice").unwrap());
        let _ = listener.check(Duration::from_secs(3));
        eventually(LONG, "the key is removed", || !has_key(&tor));
    });
}

#[test]
fn a_key_is_removed_when_a_supervisor_returns_from_another_tor() {
    let (tor, other, silent) = (RealTor::start(), RealTor::start(), silent_port());
    let first = proxy(&tor, &silent, Fault::None);
    let second = proxy(&other, &silent, Fault::None);
    let endpoints = [first.endpoint(), second.endpoint(), tor.endpoint()];
    let (supervisor, listener) = supervise(endpoints, ConnectOptions::new());
    while_checked(&tor, &listener, 8, || {
        cut(&supervisor);
        let is_moved = || listener.controller().endpoint().to_string() == second.endpoint();
        eventually(LONG, "the service has moved", is_moved);
        supervisor.wait_status(LONG, SupervisorStatus::is_up).unwrap();
        assert!(has_key(&tor));
        cut(&supervisor);
        eventually(LONG, "the key is removed", || !has_key(&tor));
    });
}

#[test]
fn a_second_check_adds_the_key_that_tor_has_forgotten() {
    let tor = RealTor::start();
    let Service { listener, .. } = &service(&tor);
    while_checked(&tor, listener, 6, || {
        // tor forgets keys that are not permanent.
        assert_eq!(tor.raw().ask("SETCONF ContactInfo=somebody"), ["250 OK"]);
        while_checked(&tor, listener, 3, || {});
    });
    assert!(!has_key(&tor));
}

#[test]
fn a_second_check_does_not_use_the_key_of_a_client_that_was_revoked() {
    let tor = RealTor::start();
    let Service { listener, .. } = &service(&tor);
    while_checked(&tor, listener, 8, || {
        listener.authorize_client("bob").unwrap();
        assert!(listener.revoke_client("alice").unwrap());
        let key = listener.clients()[0].key.clone().unwrap().reveal_blob();
        let has_it = || tor.raw().ask("ONION_CLIENT_AUTH_VIEW").concat().contains(&*key);
        std::thread::scope(|scope| {
            scope.spawn(|| listener.check(Duration::from_secs(3)));
            eventually(LONG, "tor has the key of the other client", has_it);
        });
    });
    assert!(!has_key(&tor));
}

#[test]
fn a_check_of_a_service_that_is_closed_meanwhile_reports_that() {
    let tor = RealTor::start();
    let Service { listener, .. } = &service(&tor);
    std::thread::scope(|scope| {
        let checking = scope.spawn(|| listener.check(Duration::from_secs(4)));
        eventually(LONG, "tor has the key", || has_key(&tor));
        listener.close().unwrap();
        let Err(Error::Onion(error)) = checking.join().unwrap() else { panic!("it is closed") };
        assert!(matches!(error.problem(), OnionProblem::Closed), "{error}");
    });
    assert!(!has_key(&tor));
}
