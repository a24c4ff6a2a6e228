use torcon::onion::{OnionEndpoint, Publication};

use super::{LONG, SOON, controller, endpoint, key, listen, refusal, services};
use crate::support::exclusive::exclusive;
use crate::support::leaks::Holdings;
use crate::support::real_tor::RealTor;

/// Makes an attempt that fails, and requires that it leaves nothing.
#[track_caller]
fn leaves_nothing(
    before: &Holdings,
    tor: &RealTor,
    attempt: impl FnOnce(OnionEndpoint) -> OnionEndpoint,
    error: &str,
) {
    let outcome = attempt(endpoint(tor)).listen();
    assert_eq!(refusal(outcome), error);
    before.assert_restored(SOON);
    assert_eq!(services(tor), ["HiddenServiceOptions"]);
    let witness = controller(tor);
    assert!(witness.detached_onions().unwrap().is_empty());
    witness.close();
    assert!(tor.try_wait().is_none());
}

#[test]
fn a_failure_leaves_no_listener_no_service_no_directory_and_no_thread() {
    exclusive(|| {
        let tor = RealTor::start();
        let before = Holdings::now();
        let directory = tor.directory().join("service");
        let given = || directory.clone();
        leaves_nothing(
            &before,
            &tor,
            |endpoint| endpoint.temporary_dir().publication(Publication::First),
            "tor has DisableNetwork set and cannot publish the service",
        );
        leaves_nothing(
            &before,
            &tor,
            |endpoint| {
                endpoint.hidden_service_dir(given()).publication(Publication::All).key(key(1))
            },
            "tor has DisableNetwork set and cannot publish the service",
        );
        assert!(!directory.exists());
        leaves_nothing(
            &before,
            &tor,
            |endpoint| endpoint.ephemeral().detach().publication(Publication::First),
            "tor has DisableNetwork set and cannot publish the service",
        );
        leaves_nothing(
            &before,
            &tor,
            |endpoint| endpoint.temporary_dir().option("HiddenServiceNoSuchThing", "1"),
            "tor refused SETCONF: 552 \"Unrecognized option: Unknown option \
             'HiddenServiceNoSuchThing'.  Failing.\"",
        );
        leaves_nothing(
            &before,
            &tor,
            |endpoint| endpoint.hidden_service_dir(given().join("below")),
            &format!(
                "{:?} cannot be used: No such file or directory (os error 2)",
                directory.join("below")
            ),
        );
        leaves_nothing(
            &before,
            &tor,
            |endpoint| endpoint.local_unix("/nonexistent/no/socket"),
            "cannot listen on unix:/nonexistent/no/socket: No such file or directory (os error 2)",
        );
        let socket = tor.directory().join("socket");
        leaves_nothing(
            &before,
            &tor,
            |endpoint| endpoint.temporary_dir().local_unix(&socket).publication(Publication::First),
            "tor has DisableNetwork set and cannot publish the service",
        );
        assert!(!socket.exists());
    });
}

#[test]
fn a_service_leaves_nothing_when_it_ends() {
    exclusive(|| {
        let tor = RealTor::start();
        let before = Holdings::now();
        let (filed, ephemeral) = (listen(endpoint(&tor).temporary_dir()), listen(endpoint(&tor)));
        assert_ne!(Holdings::now(), before);
        filed.close().unwrap();
        ephemeral.close().unwrap();
        drop((filed, ephemeral));
        before.assert_restored(SOON);
        assert_eq!(services(&tor), ["HiddenServiceOptions"]);
    });
}

#[test]
fn a_tor_that_dies_while_listening_leaves_nothing() {
    exclusive(|| {
        let before = Holdings::now();
        let tor = RealTor::start();
        let listener = listen(endpoint(&tor).temporary_dir());
        tor.kill();
        assert!(listener.accept().unwrap_err().is_closed());
        assert!(listener.close().unwrap_err().is_closed());
        drop((listener, tor));
        before.assert_restored(SOON);
    });
}

#[test]
fn contradictions_and_bad_names_are_refused_without_a_tor() {
    let nowhere = || OnionEndpoint::system_tor("unix:/nonexistent/control", 80).timeout(LONG);
    for (endpoint, problem) in [
        (
            OnionEndpoint::system_tor("unix:/nonexistent/control", 0),
            "invalid argument \"port\": must not be 0",
        ),
        (nowhere().port(0, 80), "invalid argument \"port\": must not be 0"),
        (
            nowhere().port(81, 81).port(81, 81),
            "invalid argument \"port\": is given twice with the same target",
        ),
        (nowhere().port(81, 0), "invalid argument \"target\": must not have port 0"),
        (
            nowhere().temporary_dir().detach(),
            "invalid argument \"detach\": is for ephemeral services only",
        ),
        (
            nowhere().temporary_dir().discard_key(),
            "invalid argument \"discard_key\": is for ephemeral services only",
        ),
        (
            nowhere().ephemeral().hidden_service_dir("/srv/x"),
            "invalid argument \"hidden_service_dir\": is not for ephemeral services, which are the default on a \
             running tor",
        ),
        (
            nowhere().ephemeral().export_circuit_id(),
            "invalid argument \"export_circuit_id\": is not for ephemeral services, which are the default on a \
             running tor",
        ),
        (
            nowhere().ephemeral().option("HiddenServiceX", "1"),
            "invalid argument \"option\": is not for ephemeral services, which are the default on a \
             running tor",
        ),
        (
            nowhere().temporary_dir().option("HiddenServiceDir", "/srv/x"),
            "invalid argument \"option\": is not an additional option of an onion service",
        ),
        (
            nowhere().authorize_client("bob smith"),
            "invalid argument \"client name\": must be letters, digits, +, - or _",
        ),
        (
            nowhere().authorize_client("../../../etc/x"),
            "invalid argument \"client name\": must be letters, digits, +, - or _",
        ),
        (
            nowhere().ephemeral().authorize_client("seventeen_chars__"),
            "invalid argument \"client name\": must have 1 to 16 characters",
        ),
        (
            nowhere().authorize_client("bob").authorize_client("bob"),
            "invalid argument \"client name\": is given twice",
        ),
        (
            nowhere().launcher(torcon::Launcher::new()),
            "invalid argument \"launcher\": is given where no tor is launched",
        ),
    ] {
        assert_eq!(refusal(endpoint.listen()), problem);
    }
    let error = nowhere().listen().unwrap_err();
    assert!(matches!(error, torcon::Error::Connect(_)), "{error:?}");
    let error = OnionEndpoint::system_tor("no endpoint", 80).listen().unwrap_err();
    assert!(matches!(error, torcon::Error::InvalidInput(_)), "{error:?}");
}
