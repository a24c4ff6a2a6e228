//! Which failures of an attempt end a supervisor, and which are tried again.

use std::io::{self, Write};
use std::iter;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use torcon::error::{AuthProblem, ConnectProblem, LaunchProblem, SupervisorProblem};
use torcon::process::Launcher;
use torcon::supervisor::{SupervisorOptions, SupervisorStatus};
use torcon::{ConnectOptions, Error, Supervisor};

use super::{LIMIT, SHORT, launcher, options, statuses};
use crate::process::fake_process::FakeProcess;
use crate::support::fake_tor::FakeTor;
use crate::support::greeting::Greeting as _;
use crate::support::greeting::{Cookie, Proof};
use crate::support::script::Script;

fn supervise(tor: &FakeTor, connect: ConnectOptions) -> Supervisor {
    options().connect([tor.endpoint().as_str()], connect).unwrap()
}

/// Waits until the supervisor has given up, and returns the reason.
#[track_caller]
fn given_up(supervisor: &Supervisor) -> SupervisorProblem {
    let status = supervisor.wait_status(LIMIT, SupervisorStatus::is_final).unwrap();
    let SupervisorStatus::GivenUp(Error::Supervisor(error)) = status else { panic!("{status:?}") };
    assert!(error.is_final());
    for later in [supervisor.tor().unwrap_err(), supervisor.wait_tor(LIMIT).unwrap_err()] {
        assert_eq!(later.to_string(), Error::from(error.clone()).to_string());
    }
    error.problem().clone()
}

/// Returns the statuses as they arrive.
fn arriving(received: &Receiver<SupervisorStatus>) -> impl Iterator<Item = SupervisorStatus> {
    iter::from_fn(|| received.recv_timeout(LIMIT).ok())
}

/// Returns the error that ended the supervisor, since another attempt would fail too.
#[track_caller]
fn permanent(supervisor: &Supervisor) -> Error {
    let problem = given_up(supervisor);
    let SupervisorProblem::Permanent(error) = problem else { panic!("{problem:?}") };
    error
}

/// Lets the supervisor reach a tor on this connection, and ends with it.
fn welcome(script: &mut Script) {
    script.greet().drain();
}

#[test]
fn a_wrong_password_ends_it() {
    let asked = Arc::new(AtomicU32::new(0));
    let tor = FakeTor::tcp(|script| {
        script.greet_password_and_refuse();
    });
    let count = Arc::clone(&asked);
    let options = ConnectOptions::new().password_with(move || {
        count.fetch_add(1, Ordering::Relaxed);
        Some("wrong".into())
    });
    let error = permanent(&supervise(&tor, options));
    assert_eq!(error.status_code(), Some(515), "{error:?}");
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    tor.finish();
}

#[test]
fn a_password_closure_that_panics_ends_it() {
    let tor = FakeTor::tcp(|script| {
        script.protocol_info("HASHEDPASSWORD", None).expect_end();
    });
    let options = ConnectOptions::new().password_with(|| panic!("no password today"));
    let problem = given_up(&supervise(&tor, options));
    assert!(
        matches!(&problem, SupervisorProblem::Panicked { message } if &**message == "no password today"),
        "{problem:?}"
    );
    tor.finish();
}

#[test]
fn a_missing_password_ends_it() {
    let tor = FakeTor::tcp(|script| {
        script.protocol_info("HASHEDPASSWORD", None).expect_end();
    });
    let error = permanent(&supervise(&tor, ConnectOptions::new()));
    let Error::Auth(error) = &error else { panic!("{error:?}") };
    assert!(matches!(error.problem(), AuthProblem::PasswordMissing), "{error:?}");
    tor.finish();
}

#[test]
fn the_fifth_wrong_proof_in_a_row_ends_it() {
    let tor = FakeTor::unix(|script| {
        let cookie = Cookie::new();
        script.greet_safecookie_up_to_the_proof(&cookie, Proof::Wrong).expect_end();
        for _ in 1..5 {
            let mut next = script.accept();
            next.greet_safecookie_up_to_the_proof(&cookie, Proof::Wrong).expect_end();
        }
    });
    let error = permanent(&supervise(&tor, ConnectOptions::new()));
    let Error::Auth(error) = &error else { panic!("{error:?}") };
    assert!(matches!(error.problem(), AuthProblem::WrongServerProof { .. }), "{error:?}");
    tor.finish();
}

#[test]
fn a_stale_cookie_is_tried_again_and_read_anew() {
    let tor = FakeTor::unix(|script| {
        let cookie = Cookie::new();
        // tor has another cookie than the file when it has not written it yet.
        for _ in 0..2 {
            script.greet_safecookie_up_to_the_proof(&cookie, Proof::OfAnotherCookie).expect_end();
            *script = script.accept();
        }
        let fresh = Cookie::with_bytes(vec![7; 32]);
        script.greet_safecookie(&fresh).drain();
    });
    let supervisor = supervise(&tor, ConnectOptions::new());
    supervisor.wait_tor(LIMIT).unwrap();
    drop(supervisor);
    tor.finish();
}

#[test]
fn a_refused_connection_a_missing_socket_and_another_program_are_tried_again() {
    let directory = tempfile::tempdir().unwrap();
    let missing = format!("unix:{}", directory.path().join("control").display());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = listener.local_addr().unwrap().to_string();
    drop(listener);
    for endpoint in [missing, closed] {
        let options = options().attempts(4);
        let supervisor = options.connect([endpoint.as_str()], ConnectOptions::new()).unwrap();
        let received = statuses(&supervisor);
        let problem = given_up(&supervisor);
        let SupervisorProblem::Exhausted { attempts: 4, last_error, .. } = &problem else {
            panic!("{problem:?}")
        };
        assert!(matches!(last_error, Error::Connect(_)), "{last_error:?}");
        let attempts: Vec<_> = arriving(&received)
            .take_while(|status| !status.is_final())
            .filter_map(|status| match status {
                SupervisorStatus::Connecting { attempt, .. } => Some(attempt),
                _ => None,
            })
            .collect();
        // Some may have begun before the closure was added.
        assert!([1, 2, 3, 4].ends_with(&attempts) && !attempts.is_empty(), "{attempts:?}");
    }
    // An SSH server, and a program that closes at once, before tor.
    let tor = FakeTor::tcp(|script| {
        script
            .unchecked("another program has the port")
            .send_lines(&["SSH-2.0-OpenSSH_9.2"])
            .drain();
        let mut silent = script.accept();
        silent.close();
        welcome(&mut script.accept());
    });
    let supervisor = supervise(&tor, ConnectOptions::new());
    supervisor.wait_tor(LIMIT).unwrap();
    drop(supervisor);
    tor.finish();
}

#[test]
fn a_silent_peer_is_tried_again_after_the_time_limit_of_one_attempt() {
    let tor = FakeTor::tcp(|script| {
        script.expect_matching("PROTOCOLINFO", |line| line.starts_with("PROTOCOLINFO"));
        script.expect_end();
        welcome(&mut script.accept());
    });
    let options = ConnectOptions::new().timeout(10 * SHORT);
    let supervisor = supervise(&tor, options);
    let received = statuses(&supervisor);
    supervisor.wait_tor(LIMIT).unwrap();
    let silent = arriving(&received).find_map(|status| match status {
        SupervisorStatus::Connecting { attempt: 2, last_error, .. } => last_error,
        _ => None,
    });
    let Some(Error::Connect(error)) = &silent else { panic!("{silent:?}") };
    assert!(matches!(error.attempts()[0].problem(), ConnectProblem::Silent(_)), "{error:?}");
    drop(supervisor);
    tor.finish();
}

#[test]
fn endpoints_and_launchers_that_never_succeed_are_refused_at_once() {
    let none: [&str; 0] = [];
    let errors = [
        Supervisor::connect(none, ConnectOptions::new()).unwrap_err(),
        Supervisor::connect(["nonsense:port"], ConnectOptions::new()).unwrap_err(),
        Supervisor::launch(Launcher::new().option("DisableNetwork", "1")).unwrap_err(),
        Supervisor::launch(Launcher::new().option("DataDirectory", "/tmp")).unwrap_err(),
        Supervisor::launch(Launcher::new().control(torcon::process::ControlVia::None)).unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, Error::InvalidInput(_)), "{error:?}");
    }
}

#[test]
fn a_missing_program_ends_it() {
    let launcher = Launcher::new().program("/nonexistent/tor");
    let error = permanent(&Supervisor::launch(launcher).unwrap());
    let Error::Launch(error) = &error else { panic!("{error:?}") };
    assert!(matches!(error.problem(), LaunchProblem::NotFound { .. }), "{error:?}");
}

#[test]
fn a_crash_loop_is_bounded_and_names_the_reason() {
    let launcher = launcher().option("NoSuchOption", "1");
    let supervisor = options().crash_loop(3, LIMIT).launch(launcher).unwrap();
    let problem = given_up(&supervisor);
    let SupervisorProblem::CrashLoop { deaths: 3, last_error, .. } = &problem else {
        panic!("{problem:?}")
    };
    assert!(last_error.to_string().contains("NoSuchOption"), "{last_error}");
}

#[test]
fn the_time_without_a_connection_is_bounded() {
    let options = options().time_limit(5 * SHORT);
    let supervisor = options.connect(["127.0.0.1:1"], ConnectOptions::new()).unwrap();
    let problem = given_up(&supervisor);
    assert!(
        matches!(&problem, SupervisorProblem::Exhausted { elapsed, .. } if *elapsed >= 5 * SHORT),
        "{problem:?}"
    );
}

#[test]
fn each_delay_is_reported_before_it_begins() {
    let options = SupervisorOptions::new().backoff(10 * SHORT, Duration::from_secs(1)).attempts(4);
    let supervisor = options.connect(["127.0.0.1:1"], ConnectOptions::new()).unwrap();
    let (sender, received) = unbounded();
    let told = move |status: &SupervisorStatus| {
        if let SupervisorStatus::Connecting { attempt, next, .. } = status {
            let _ = sender.send((*attempt, next.saturating_duration_since(Instant::now())));
        }
    };
    supervisor.on_status(told).unwrap();
    given_up(&supervisor);
    drop(supervisor);
    for (attempt, delay) in received {
        let longest = match attempt {
            1 => Duration::ZERO,
            attempt => 10 * SHORT * 2_u32.pow(attempt - 2),
        };
        assert!(delay <= longest, "attempt {attempt}: {delay:?}");
    }
}

#[test]
fn one_endpoint_of_several_is_enough() {
    let tor = FakeTor::tcp(welcome);
    let endpoints = ["127.0.0.1:1".to_owned(), tor.endpoint()];
    let supervisor =
        options().connect(endpoints.iter().map(String::as_str), ConnectOptions::new()).unwrap();
    supervisor.wait_tor(LIMIT).unwrap();
    drop(supervisor);
    tor.finish();
}

#[test]
fn a_stop_cancels_an_attempt_that_gets_no_answer() {
    let (asked, is_asked) = unbounded();
    let tor = FakeTor::tcp(move |script| {
        script.expect_matching("PROTOCOLINFO", |line| line.starts_with("PROTOCOLINFO"));
        asked.send(()).unwrap();
        script.expect_end();
    });
    let supervisor = supervise(&tor, ConnectOptions::new().timeout(LIMIT));
    is_asked.recv_timeout(LIMIT).unwrap();
    let begun = Instant::now();
    supervisor.stop();
    assert!(begun.elapsed() < LIMIT / 4, "{:?}", begun.elapsed());
    tor.finish();
    // A program that never becomes a tor.
    let program = FakeProcess::new("echo started\nexec sleep 1000");
    let (sink, printed) = bounded(1);
    let launcher = Launcher::new().program(program.path()).timeout(LIMIT).stdout(Printed(sink));
    let supervisor = Supervisor::launch(launcher).unwrap();
    printed.recv_timeout(LIMIT).unwrap();
    let begun = Instant::now();
    supervisor.stop();
    assert!(begun.elapsed() < LIMIT / 4, "{:?}", begun.elapsed());
}

/// Reports the first output.
struct Printed(Sender<()>);

impl Write for Printed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.try_send(());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
