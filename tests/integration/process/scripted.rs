use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use torcon::Error;
use torcon::error::LaunchProblem;
use torcon::process::{ControlVia, Ready};

use super::fake_process::{FakeProcess, LONG};
use crate::support::fake_tor::FakeTor;
use crate::support::script::Script;

/// Writes its PID, reports 0 % and runs until it is ended.
const STARTING: &str =
    "echo $$ >\"$0.pid\"\nsay 'Bootstrapped 0% (starting): Starting'\nexec sleep 60";

/// The limit of a launch that fails after its fake tor has answered.
const GRACE: Duration = Duration::from_secs(1);

fn via(endpoint: String) -> ControlVia {
    ControlVia::custom(move || torcon::connect(&*endpoint))
}

/// Returns the fake tor of a fake process.
fn greet(script: &mut Script, pid_file: &Path) {
    script.greet();
    let pid = format!("250-process/pid={}", fs::read_to_string(pid_file).unwrap().trim());
    script.answer("GETINFO process/pid", &[&pid, "250 OK"]);
}

/// Answers the commands of a launch up to `TAKEOWNERSHIP`.
fn own(script: &mut Script, pid_file: &Path, phase: &str) {
    greet(script, pid_file);
    // The subscription precedes GETINFO.
    script.answer("SETEVENTS STATUS_CLIENT", &["250 OK"]);
    let phase = format!("250-status/bootstrap-phase={phase}");
    script.answer("GETINFO status/bootstrap-phase", &[&phase, "250 OK"]);
    script.answer("TAKEOWNERSHIP", &["250 OK"]);
    script.answer("RESETCONF __OwningControllerProcess", &["250 OK"]);
}

/// Answers the commands at the end of a launch that succeeded.
fn end(script: &mut Script) {
    script.answer("SETEVENTS", &["250 OK"]);
    script.answer("SIGNAL SHUTDOWN", &["250 OK"]);
    script.close();
}

#[test]
fn a_tor_that_bootstrapped_before_the_subscription_is_ready() {
    // Peers 41.
    let fake = FakeProcess::new(STARTING);
    let pid_file = fake.pid_file();
    let control = FakeTor::unix(move |script| {
        own(script, &pid_file, "NOTICE BOOTSTRAP PROGRESS=100 TAG=done SUMMARY=\"Done\"");
        end(script);
    });
    let launcher = fake.launcher().control(via(control.endpoint()));
    let tor = launcher.grace(GRACE).launch().unwrap();
    assert_eq!(tor.progress().to_string(), "100% (done): Done");
    assert!(tor.controller().unwrap().subscribed_events().is_empty());
    tor.quit().unwrap();
    control.finish();
}

#[test]
fn events_report_progress_and_warnings_that_tor_does_not_recommend_to_ignore() {
    let fake = FakeProcess::new(STARTING);
    let pid_file = fake.pid_file();
    let control = FakeTor::unix(move |script| {
        own(script, &pid_file, "NOTICE BOOTSTRAP PROGRESS=0 TAG=starting SUMMARY=\"Starting\"");
        let trouble = |recommendation| {
            format!(
                "650 STATUS_CLIENT WARN BOOTSTRAP PROGRESS=5 TAG=conn SUMMARY=\"Connecting to a relay\" \
                 WARNING=\"Connection refused\" REASON=CONNECTREFUSED COUNT=1 \
                 RECOMMENDATION={recommendation}"
            )
        };
        script.send_lines(&[
            "650 STATUS_CLIENT NOTICE BOOTSTRAP PROGRESS=5 TAG=conn SUMMARY=\"Connecting to a relay\"",
            &trouble("ignore"),
            &trouble("warn"),
            &trouble("warn"),
            "650 STATUS_CLIENT NOTICE BOOTSTRAP PROGRESS=4 TAG=odd SUMMARY=\"Backward\"",
            "650 STATUS_CLIENT NOTICE CIRCUIT_ESTABLISHED",
            "650 STATUS_CLIENT NOTICE BOOTSTRAP PROGRESS=100 TAG=done SUMMARY=\"Done\"",
        ]);
        end(script);
    });
    let reported = Arc::new(Mutex::new(Vec::new()));
    let report = Arc::clone(&reported);
    let launcher = fake.launcher().control(via(control.endpoint()));
    let launcher = launcher.on_progress(move |progress| report.lock().push(progress.to_string()));
    let tor = launcher.grace(GRACE).launch().unwrap();
    assert_eq!(
        *reported.lock(),
        [
            "0% (starting): Starting",
            "5% (conn): Connecting to a relay",
            "5% (conn): Connecting to a relay (Connection refused)",
            "100% (done): Done",
        ]
    );
    tor.quit().unwrap();
    control.finish();
}

#[test]
fn a_failed_control_connection_is_retried() {
    // Peers 40: also without another line of tor's log.
    let fake = FakeProcess::new(STARTING);
    let pid_file = fake.pid_file();
    let control = FakeTor::unix(move |script| {
        // The first connection is silent and times out.
        script.close();
        let mut second = script.accept();
        own(
            &mut second,
            &pid_file,
            "NOTICE BOOTSTRAP PROGRESS=0 TAG=starting SUMMARY=\"Starting\"",
        );
        second.drain();
    });
    let launcher = fake.launcher().control(via(control.endpoint()));
    let tor = launcher.wait_for(Ready::Controller).launch().unwrap();
    assert_eq!(tor.controller().unwrap().owned_pid(), Some(tor.pid()));
    drop(tor);
    control.finish();
}

#[test]
fn a_closed_control_connection_ends_the_launch() {
    let fake = FakeProcess::new(STARTING);
    let pid_file = fake.pid_file();
    let control = FakeTor::unix(move |script| {
        own(
            script,
            &pid_file,
            "NOTICE BOOTSTRAP PROGRESS=5 TAG=conn SUMMARY=\"Connecting to a relay\"",
        );
        script.close();
    });
    let error = fake.launcher().control(via(control.endpoint())).launch().unwrap_err();
    let Error::Launch(error) = error else { panic!("{error:?}") };
    let LaunchProblem::Control(source) = error.problem() else { panic!("{error:?}") };
    assert!(source.is_closed(), "{source:?}");
    control.finish();
}

#[test]
fn a_permanent_refusal_ends_the_launch_at_once() {
    let fake = FakeProcess::new(STARTING);
    let pid_file = fake.pid_file();
    let control = FakeTor::unix(move |script| {
        greet(script, &pid_file);
        script.answer("SETEVENTS STATUS_CLIENT", &["510 Command filtered"]);
        script.expect_end();
    });
    let error = fake.launcher().control(via(control.endpoint())).launch().unwrap_err();
    let Error::Launch(error) = error else { panic!("{error:?}") };
    let LaunchProblem::Control(source) = error.problem() else { panic!("{error:?}") };
    assert!(source.is_filtered(), "{source:?}");
    control.finish();
}

#[test]
fn the_end_of_tor_is_reported_while_its_control_connection_is_silent() {
    let control = FakeTor::unix(|script| {
        // Reads the command and does not answer.
        script.drain();
    });
    let limit = Duration::from_secs(6);
    let options = torcon::ConnectOptions::new().timeout(limit);
    let endpoint = control.endpoint();
    let via = ControlVia::custom(move || options.connect(&*endpoint));
    let fake = FakeProcess::new("say 'Bootstrapped 0% (starting): Starting'\nsleep 0.2\nexit 5");
    let started = Instant::now();
    let error = fake.launcher().control(via).launch().unwrap_err();
    assert!(started.elapsed() < limit);
    let Error::Launch(error) = error else { panic!("{error:?}") };
    assert_eq!(error.exit_status().unwrap().code(), Some(5));
    control.finish();
}

#[test]
fn a_spawned_tor_returns_its_controller_before_it_has_bootstrapped() {
    let fake = FakeProcess::new(STARTING);
    let pid_file = fake.pid_file();
    let control = FakeTor::unix(move |script| {
        own(
            script,
            &pid_file,
            "NOTICE BOOTSTRAP PROGRESS=5 TAG=conn SUMMARY=\"Connecting to a relay\"",
        );
        script.answer("GETINFO version", &["250-version=0.4.9.11", "250 OK"]);
        script.send_lines(&[
            "650 STATUS_CLIENT NOTICE BOOTSTRAP PROGRESS=100 TAG=done SUMMARY=\"Done\"",
        ]);
        end(script);
    });
    let launcher = fake.launcher().control(via(control.endpoint()));
    let tor = launcher.grace(GRACE).spawn().unwrap();
    let controller = tor.wait_controller(LONG).unwrap();
    assert_eq!(tor.progress().percent, 5);
    assert_eq!(controller.get_info_one("version").unwrap(), "0.4.9.11");
    tor.wait_bootstrapped(LONG).unwrap();
    tor.quit().unwrap();
    control.finish();
}
