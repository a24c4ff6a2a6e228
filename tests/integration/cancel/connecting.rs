//! Canceling the opening of a control connection.

use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded};
use torcon::{CancelToken, ConnectOptions, Endpoint, Error, Password, Supervisor};

use super::{LONG, SOON, cancel_when};
use crate::support::exclusive::exclusive;
use crate::support::fake_tor::FakeTor;
use crate::support::greeting::Greeting as _;
use crate::support::leaks::Holdings;
use crate::support::script::Script;

fn options(token: &CancelToken) -> ConnectOptions {
    ConnectOptions::new().timeout(LONG).cancel_token(token)
}

/// Returns a tor that falls silent after some steps, and reports that.
fn silent_after(steps: impl FnOnce(&mut Script) + Send + 'static) -> (FakeTor, Receiver<()>) {
    let (sender, is_silent) = bounded(1);
    let tor = FakeTor::tcp(move |script| {
        script.timeout(LONG);
        steps(script);
        sender.send(()).unwrap();
        script.drain();
    });
    (tor, is_silent)
}

#[test]
fn it_ends_at_every_step_of_the_handshake_and_leaves_nothing() {
    exclusive(|| {
        let steps: [fn(&mut Script); 3] = [
            |_| {},
            |script| {
                script.expect_line("PROTOCOLINFO");
            },
            |script| {
                script.protocol_info("NULL", None).expect_line("AUTHENTICATE");
            },
        ];
        let before = Holdings::now();
        for step in steps {
            let (tor, is_silent) = silent_after(step);
            let moment = || is_silent.recv_timeout(LONG).unwrap();
            cancel_when(moment, |token| options(token).connect(tor.endpoint()));
            tor.finish();
            before.assert_restored(SOON);
        }
    });
}

#[test]
fn a_password_that_is_asked_for_meanwhile_is_not_sent() {
    let (asked, is_asked) = bounded(1);
    let (answer, answers) = bounded(1);
    let tor = FakeTor::tcp(|script| {
        script.protocol_info("HASHEDPASSWORD", None).expect_end();
    });
    let moment = || {
        is_asked.recv_timeout(LONG).unwrap();
    };
    cancel_when(moment, |token| {
        // The closure cannot be interrupted. It returns when the token is canceled.
        let at_cancel = move || {
            answer.send(Password::from("secret")).unwrap();
            // It delays the closures behind it, such as the one that ends the connection.
            thread::sleep(Duration::from_millis(200));
        };
        token.on_cancel(at_cancel).keep();
        let options = options(token).password_with(move || {
            asked.send(()).unwrap();
            answers.recv_timeout(LONG).ok()
        });
        options.connect(tor.endpoint())
    });
    tor.finish();
}

#[test]
fn a_connection_that_waits_for_the_password_closure_of_another_ends_without_asking() {
    let (asked, is_asked) = bounded(2);
    let (answer, answers) = bounded(2);
    let tor = || {
        let (sender, is_waiting) = bounded(1);
        let tor = FakeTor::tcp(move |script| {
            script.protocol_info("HASHEDPASSWORD", None);
            sender.send(()).unwrap();
            script.expect_end();
        });
        (tor, is_waiting)
    };
    let [(first, _is_asking), (second, is_waiting)] = [tor(), tor()];
    let token = CancelToken::new();
    let options = options(&token).password_with(move || {
        asked.send(()).unwrap();
        answers.recv_timeout(LONG).ok()
    });
    let connect = |tor: &FakeTor| options.connect(tor.endpoint()).unwrap_err();
    thread::scope(|scope| {
        let asking = scope.spawn(|| connect(&first));
        is_asked.recv_timeout(LONG).unwrap();
        let waiting = scope.spawn(|| connect(&second));
        is_waiting.recv_timeout(LONG).unwrap();
        let begun = Instant::now();
        token.cancel();
        assert!(waiting.join().unwrap().is_canceled());
        let took = begun.elapsed();
        assert!(took < SOON, "{took:?}");
        // The closure that runs is not interrupted.
        answer.send(Password::from("secret")).unwrap();
        assert!(asking.join().unwrap().is_canceled());
    });
    assert!(is_asked.is_empty(), "the closure is called once");
    first.finish();
    second.finish();
}

#[test]
fn it_ends_the_whole_list_of_endpoints() {
    let (first, is_silent) = silent_after(|_| {});
    let second = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoints: [Endpoint; 2] =
        [first.endpoint().parse().unwrap(), second.local_addr().unwrap().into()];
    let moment = || is_silent.recv_timeout(LONG).unwrap();
    cancel_when(moment, |token| options(token).connect_first(&endpoints));
    second.set_nonblocking(true).unwrap();
    assert!(second.accept().is_err(), "the second endpoint is not tried");
    first.finish();
}

#[test]
fn a_canceled_token_connects_to_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let token = CancelToken::new();
    token.cancel();
    for error in [
        options(&token).connect(listener.local_addr().unwrap()).unwrap_err(),
        options(&token).connect_first(&[listener.local_addr().unwrap().into()]).unwrap_err(),
        options(&token).connect_default().unwrap_err(),
    ] {
        assert!(error.is_canceled() && !error.is_timeout(), "{error:?}");
        let text = "canceled by this program while waiting for a control connection";
        assert_eq!(error.to_string(), text);
    }
    assert!(listener.accept().is_err());
}

#[test]
fn a_connection_that_is_open_stays_open() {
    let tor = FakeTor::tcp(|script| {
        script.greet();
        script.answer("GETINFO version", &["250-version=0.4.9.11", "250 OK"]);
        script.expect_end();
    });
    let token = CancelToken::new();
    let controller = options(&token).connect(tor.endpoint()).unwrap();
    token.cancel();
    assert_eq!(controller.get_info_one("version").unwrap(), "0.4.9.11");
    drop(controller);
    tor.finish();
}

// A token that was canceled at the last step of the handshake returned a connection that had ended.
#[test]
fn a_connection_that_a_late_cancellation_does_not_end_is_open() {
    for round in 0..400 {
        let token = CancelToken::new();
        let at_end = token.clone();
        let tor = FakeTor::tcp(move |script| {
            script.greet();
            (0..round * 10).for_each(|_| std::hint::spin_loop());
            at_end.cancel();
            script.drain();
        });
        match options(&token).connect(tor.endpoint()) {
            Ok(controller) => assert!(controller.is_alive(), "round {round}"),
            Err(error) => assert!(error.is_canceled(), "{error:?}"),
        }
        tor.finish();
    }
}

#[test]
fn the_token_of_its_options_stops_a_supervisor() {
    let (tor, is_silent) = silent_after(|_| {});
    let token = CancelToken::new();
    let endpoint = tor.endpoint();
    let supervisor = Supervisor::connect([endpoint], options(&token)).unwrap();
    is_silent.recv_timeout(LONG).unwrap();
    token.cancel();
    let error = supervisor.wait_tor(LONG).unwrap_err();
    assert!(matches!(error, Error::Supervisor(_)) && !error.is_timeout(), "{error:?}");
    tor.finish();
}
