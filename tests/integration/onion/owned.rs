use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::bounded;
use torcon::error::Wait;
use torcon::event::SignalEvent;
use torcon::onion::{OnionEndpoint, Publication};
use torcon::process::Ready;
use torcon::{CancelToken, Error, Launcher, Tor};

use super::{LONG, SOON, refusal};
use crate::support::exclusive::exclusive;
use crate::support::leaks::{Holdings, children};
use crate::support::real_tor::tor_binary;

/// A launcher of the real tor, without network.
fn offline() -> Launcher {
    Launcher::new()
        .program(tor_binary())
        .option("DisableNetwork", "1")
        .option("SocksPort", "0")
        .wait_for(Ready::Controller)
}

fn global() -> OnionEndpoint {
    OnionEndpoint::global_tor(80).publication(Publication::None)
}

#[test]
fn a_private_tor_ends_with_its_listener() {
    exclusive(|| {
        let before = Holdings::now();
        let endpoint =
            || OnionEndpoint::private_tor(80).launcher(offline()).publication(Publication::None);
        let [one, other] = [endpoint().listen().unwrap(), endpoint().listen().unwrap()];
        assert_eq!(children().len(), 2);
        assert_ne!(one.onion_address(), other.onion_address());
        drop(one);
        other.close().unwrap();
        assert!(other.accept().is_err());
        drop(other);
        before.assert_restored(SOON);
    });
}

#[test]
fn a_private_tor_that_cannot_publish_has_ended_when_listen_fails() {
    exclusive(|| {
        let before = Holdings::now();
        let outcome = OnionEndpoint::private_tor(80).launcher(offline()).listen();
        assert_eq!(refusal(outcome), "tor has DisableNetwork set and cannot publish the service");
        before.assert_restored(SOON);
        let missing =
            OnionEndpoint::private_tor(80).launcher(offline().program("/nonexistent/tor"));
        let refusal = refusal(missing.listen());
        let begin =
            "cannot launch tor: the program \"/nonexistent/tor\" does not exist; hint: install tor";
        assert!(refusal.starts_with(begin), "{refusal}");
        before.assert_restored(SOON);
    });
}

#[test]
fn a_service_on_a_tor_leaves_the_tor_running() {
    exclusive(|| {
        let tor = Tor::launch(offline()).unwrap();
        let listener = tor.onion_endpoint(80).publication(Publication::None).listen().unwrap();
        let again = tor.onion_endpoint(80).ephemeral().publication(Publication::None);
        let again = again.listen().unwrap();
        listener.close().unwrap();
        again.close().unwrap();
        assert!(tor.controller().is_alive());
        assert!(!tor.is_ready().unwrap());
        tor.close().unwrap();
    });
}

#[test]
fn all_handles_share_the_global_tor_and_the_last_ends_it() {
    exclusive(|| {
        let before = Holdings::now();
        let threads: Vec<_> = (0..3)
            .map(|number| {
                let thread = thread::Builder::new().name(format!("part {number}"));
                thread.spawn(|| global().launcher(offline()).listen().unwrap()).unwrap()
            })
            .collect();
        let listeners: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert_eq!(children().len(), 1);
        let tor = Tor::global().unwrap();
        let pids: Vec<_> = listeners.iter().map(|l| l.controller().owned_pid()).collect();
        assert_eq!(pids, [tor.process().map(torcon::TorProcess::pid); 3]);
        drop(listeners);
        assert!(tor.controller().is_alive());
        drop(tor);
        before.assert_restored(SOON);
        // The next one is another process.
        let tor = Tor::global_with(offline()).unwrap();
        assert!(tor.controller().is_alive());
        drop(tor);
        before.assert_restored(SOON);
    });
}

#[test]
fn the_options_of_the_global_tor_must_match() {
    exclusive(|| {
        let before = Holdings::now();
        let tor = Tor::global_with(offline()).unwrap();
        let same = Tor::global_with(offline()).unwrap();
        assert!(Arc::ptr_eq(&tor, &same));
        assert!(Arc::ptr_eq(&tor, &Tor::global().unwrap()));
        let other = Launcher::new().option("SocksPort", "auto");
        let error = "the shared tor runs with SocksPort 0, but auto was requested";
        assert_eq!(refusal(global().launcher(other).listen()), error);
        let other = Launcher::new().option("socksport", "9050");
        assert_eq!(
            refusal(Tor::global_with(other)),
            "the shared tor runs with socksport 0, but 9050 was requested"
        );
        drop((tor, same));
        before.assert_restored(SOON);
    });
}

// Only the thread that launched the tor was canceled.
#[test]
fn a_token_ends_the_wait_for_the_global_tor_that_another_thread_launches() {
    exclusive(|| {
        let before = Holdings::now();
        // Its only bridge does not exist, so that it never bootstraps.
        let stuck = || {
            Launcher::new()
                .program(tor_binary())
                .option("SocksPort", "0")
                .option("UseBridges", "1")
                .option("Bridge", "127.0.0.1:1")
                .timeout(LONG)
        };
        let (launching, waiting) = (CancelToken::new(), CancelToken::new());
        let (sender, begins) = bounded(1);
        thread::scope(|scope| {
            let report = move |_: &_| sender.try_send(()).unwrap_or_default();
            let launcher = stuck().on_progress(report).cancel_token(&launching);
            let first = scope.spawn(|| Tor::global_with(launcher));
            begins.recv_timeout(LONG).unwrap();
            let second = scope.spawn(|| Tor::global_with(stuck().cancel_token(&waiting)));
            let third = scope.spawn(|| global().launcher(stuck()).cancel_token(&waiting).listen());
            thread::sleep(Duration::from_millis(50));
            waiting.cancel();
            assert!(matches!(second.join().unwrap(), Err(Error::Canceled(_))));
            assert!(matches!(third.join().unwrap(), Err(Error::Canceled(_))));
            assert!(!first.is_finished());
            launching.cancel();
            assert!(matches!(first.join().unwrap(), Err(Error::Canceled(_))));
        });
        // A canceled token gets no tor, though one runs.
        let tor = Tor::global_with(offline()).unwrap();
        let refused = Tor::global_with(offline().cancel_token(&waiting));
        assert!(matches!(refused, Err(Error::Canceled(_))));
        drop(tor);
        before.assert_restored(SOON);
    });
}

#[test]
fn the_launch_of_the_global_tor_can_be_repeated_after_a_failure() {
    exclusive(|| {
        let broken = offline().option("NoSuchOption", "1");
        assert!(matches!(Tor::global_with(broken), Err(Error::Launch(_))));
        let tor = Tor::global_with(offline()).unwrap();
        // A dead tor is replaced, though another handle still holds it.
        tor.process().unwrap().kill().unwrap();
        tor.controller().wait_closed(LONG).unwrap();
        let another = Tor::global_with(offline()).unwrap();
        assert!(another.controller().is_alive());
        assert!(!Arc::ptr_eq(&tor, &another));
    });
}

#[test]
fn wait_ready_ends_with_a_timeout_or_with_tor() {
    exclusive(|| {
        let tor = Tor::launch(offline()).unwrap();
        assert!(!tor.is_ready().unwrap());
        let subscribed = tor.controller().subscribed_events();
        let Err(Error::Timeout(timeout)) = tor.wait_ready(Duration::from_millis(50)) else {
            panic!("a tor without a network is ready");
        };
        assert_eq!(*timeout.wait(), Wait::Bootstrap);
        assert_eq!(tor.controller().subscribed_events(), subscribed);
        thread::scope(|scope| {
            let waiting = scope.spawn(|| tor.wait_ready(LONG));
            tor.process().unwrap().kill().unwrap();
            assert!(waiting.join().unwrap().unwrap_err().is_closed());
        });
    });
}

#[test]
fn a_new_identity_can_be_waited_for_even_in_a_listener() {
    exclusive(|| {
        let launcher = Launcher::new()
            .program(tor_binary())
            .option("DisableNetwork", "1")
            .option("SocksPort", "auto")
            .wait_for(Ready::Controller);
        let tor = Arc::new(Tor::launch(launcher).unwrap());
        tor.controller().wait_new_identity(LONG).unwrap();
        // tor delays the second one.
        tor.controller().new_identity().unwrap();
        let (done, outcome) = bounded(1);
        let weak = Arc::downgrade(&tor);
        let listener = tor.controller().on(move |_: &SignalEvent| {
            let waited = weak.upgrade().unwrap().wait_new_identity(Duration::from_millis(50));
            done.try_send(waited.unwrap_err().is_timeout()).ok();
        });
        assert!(outcome.recv_timeout(LONG).unwrap(), "the next one has to wait again");
        tor.controller().remove_event_listener(listener.unwrap()).unwrap();
    });
}
