//! Canceling the onion services of a supervisor.

use std::io;
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use torcon::error::Error;
use torcon::onion::{OnionEndpoint, OnionProgress, Publication};
use torcon::{CancelToken, ConnectOptions, Supervisor};

use super::{LIMIT, connected_to, cut, unrestored};
use crate::support::real_tor::RealTor;

/// A limit for an immediate reaction, on a loaded machine, below that of a wait for a connection.
const SOON: Duration = Duration::from_secs(30);

fn service(supervisor: &Supervisor, token: &CancelToken) -> OnionEndpoint {
    let endpoint = supervisor.onion_endpoint(80).publication(Publication::None);
    endpoint.ephemeral().cancel_token(token)
}

/// Returns the services of the present connection.
fn services(supervisor: &Supervisor) -> String {
    supervisor.wait_tor(LIMIT).unwrap().controller().get_info_one("onions/current").unwrap()
}

#[test]
fn a_token_ends_the_wait_for_a_connection() {
    let nowhere = tempfile::tempdir().unwrap();
    let socket = format!("unix:{}/control", nowhere.path().display());
    let supervisor = Supervisor::connect([socket.as_str()], ConnectOptions::new()).unwrap();
    let token = CancelToken::new();
    let begun = Instant::now();
    thread::scope(|scope| {
        let listening = scope.spawn(|| service(&supervisor, &token).listen());
        thread::sleep(Duration::from_millis(50));
        token.cancel();
        assert!(matches!(listening.join().unwrap(), Err(Error::Canceled(_))));
    });
    assert!(begun.elapsed() < SOON);
    // A canceled token opens no listener.
    let bind = || -> io::Result<TcpListener> { panic!("the listener is opened") };
    let endpoint = service(&supervisor, &token).bind_with(bind);
    assert!(matches!(endpoint.listen(), Err(Error::Canceled(_))));
}

#[test]
fn a_canceled_service_is_not_restored() {
    let tor = RealTor::start();
    let supervisor = connected_to(&tor);

    // Canceled during its start.
    let token = CancelToken::new();
    let at_progress = token.clone();
    let endpoint = service(&supervisor, &token).on_progress(move |progress| {
        if matches!(progress, OnionProgress::Added(_)) {
            at_progress.cancel();
        }
    });
    assert!(matches!(endpoint.listen(), Err(Error::Canceled(_))));
    assert_eq!(services(&supervisor), "");

    // Canceled while it runs, and dropped after that.
    let token = CancelToken::new();
    let listener = service(&supervisor, &token).listen().unwrap();
    assert!(services(&supervisor).contains(listener.onion_address().service_id()));
    token.cancel();
    assert!(matches!(listener.accept(), Err(Error::Canceled(_))));
    drop(listener);
    assert_eq!(services(&supervisor), "");

    cut(&tor, &supervisor)();
    assert_eq!(unrestored(&supervisor, 2), 0);
    assert_eq!(services(&supervisor), "");

    // Canceled while it runs, and dropped while there is no connection.
    let token = CancelToken::new();
    let listener = service(&supervisor, &token).listen().unwrap();
    token.cancel();
    let mend = cut(&tor, &supervisor);
    drop(listener);
    mend();
    assert_eq!(unrestored(&supervisor, 3), 0);
    assert_eq!(services(&supervisor), "");
    // A new token serves the next one.
    let listener = service(&supervisor, &CancelToken::new()).listen().unwrap();
    assert!(listener.accept_timeout(Duration::ZERO).unwrap_err().is_timeout());
    assert!(!services(&supervisor).is_empty());
}
