use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use torcon::error::Wait;
use torcon::onion::{OnionEndpoint, OnionListener, Publication};
use torcon::{ConnectOptions, Error};

use super::{LONG, entries, listen, refusal};
use crate::support::real_tor::RealTor;
use crate::support::watchdog::eventually;

fn names(listener: &OnionListener) -> Vec<String> {
    listener.clients().iter().map(|client| client.name.to_string()).collect()
}

/// Returns an endpoint whose commands time out soon.
fn endpoint(tor: &RealTor) -> OnionEndpoint {
    let limit = Duration::from_secs(1);
    let controller = ConnectOptions::new().command_timeout(limit).connect(tor.endpoint().as_str());
    controller
        .unwrap()
        .onion_endpoint(80)
        .publication(Publication::None)
        .check_interval(Duration::from_millis(50))
}

/// Authorizes a client while tor does not reply. Returns whether the change was recorded.
#[track_caller]
fn is_recorded(listener: &OnionListener, name: &str) -> bool {
    let Err(Error::Timeout(error)) = listener.authorize_client(name) else {
        panic!("tor does not reply");
    };
    match error.wait() {
        Wait::Reply(_) => true,
        Wait::OnionService => false,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_change_that_timed_out_is_made_when_tor_replies_unless_it_waited_for_another() {
    let tor = RealTor::start();
    let directory = tor.directory().join("service");
    for endpoint in [endpoint(&tor).hidden_service_dir(&directory), endpoint(&tor)] {
        let listener = listen(endpoint);
        tor.stop();
        let mut recorded = Vec::new();
        for number in 0..4 {
            let name = format!("client{number}");
            if is_recorded(&listener, &name) {
                recorded.push(name);
            }
            assert_eq!(names(&listener), recorded);
        }
        tor.cont();
        eventually(LONG, "the next change is made", || {
            // The thread that repeats the changes may still have the service.
            listener.authorize_client("last").is_ok() || names(&listener).contains(&"last".into())
        });
        recorded.push("last".to_owned());
        assert_eq!(names(&listener), recorded);
        if listener.service().hidden_service_dir().is_some() {
            let files = recorded.iter().map(|name| format!("{name}.auth")).collect::<Vec<_>>();
            assert_eq!(entries(&directory.join("authorized_clients")), files);
        }
    }
}

#[test]
fn a_change_that_waited_for_another_one_says_so_and_changes_nothing() {
    let tor = RealTor::start();
    let listener = listen(endpoint(&tor).hidden_service_dir(tor.directory().join("service")));
    tor.stop();
    let begin = Barrier::new(4);
    let change = |number: usize| {
        begin.wait();
        is_recorded(&listener, &format!("client{number}"))
    };
    let recorded = thread::scope(|scope| {
        let calls: Vec<_> = (0..4).map(|number| scope.spawn(move || change(number))).collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect::<Vec<_>>()
    });
    let count = recorded.iter().filter(|is_recorded| **is_recorded).count();
    assert!(count < 4 && names(&listener).len() == count, "{recorded:?}");
    let other = recorded.iter().position(|is_recorded| !is_recorded).unwrap();
    let refused = refusal(listener.authorize_client(format!("client{other}")));
    assert!(!refused.contains("already"), "{refused}");
    tor.cont();
}
