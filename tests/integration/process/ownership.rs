use torcon::Error;
use torcon::error::LaunchProblem;
use torcon::process::{ControlVia, Ready, TorProcess};

use super::fake_process::{FakeProcess, LONG};
use super::real::offline;
use crate::support::fake_tor::FakeTor;
use crate::support::real_tor::{RealTor, tor_binary};

/// Reports 0 % and runs until it is ended.
const STARTING: &str = "say 'Bootstrapped 0% (starting): Starting'\nexec sleep 60";

fn problem(launched: Result<TorProcess, Error>) -> LaunchProblem {
    match launched {
        Err(Error::Launch(error)) => error.problem().clone(),
        other => panic!("no launch error: {other:?}"),
    }
}

#[test]
fn another_tor_fails_the_launch_and_is_left_unchanged() {
    // The launch owned the other tor, so that the drop ended it, and reset its option.
    let other = RealTor::start();
    let owner = other.raw().get_conf("__OwningControllerProcess");
    let endpoint = other.endpoint();
    let via = ControlVia::custom(move || torcon::connect(&*endpoint));
    let error = offline().control(via).launch().unwrap_err();
    let Error::Launch(error) = error else { panic!("{error:?}") };
    let LaunchProblem::OtherTor { launched, found } = error.problem() else { panic!("{error:?}") };
    assert_eq!(**found, *other.pid().to_string());
    assert_ne!(*launched, other.pid());
    let text = error.problem().to_string();
    assert!(text.contains(&format!("a tor with PID \"{found}\"")), "{text}");
    assert!(text.contains(&format!("the launched program has PID {launched}")), "{text}");
    assert_eq!(other.try_wait(), None);
    assert_eq!(other.raw().get_conf("__OwningControllerProcess"), owner);
}

#[test]
fn only_getinfo_process_pid_is_sent_to_another_tor() {
    let control = FakeTor::unix(|script| {
        script.greet();
        script.answer("GETINFO process/pid", &["250-process/pid=1", "250 OK"]);
        script.expect_end();
    });
    let endpoint = control.endpoint();
    let via = ControlVia::custom(move || torcon::connect(&*endpoint));
    let problem = problem(FakeProcess::new(STARTING).launcher().control(via).launch());
    assert!(matches!(problem, LaunchProblem::OtherTor { .. }), "{problem:?}");
    control.finish();
}

#[test]
fn a_tor_that_does_not_report_its_pid_fails_the_launch() {
    let control = FakeTor::unix(|script| {
        script.greet();
        script.answer("GETINFO process/pid", &["510 Command filtered"]);
        script.expect_end();
    });
    let endpoint = control.endpoint();
    let via = ControlVia::custom(move || torcon::connect(&*endpoint));
    let problem = problem(FakeProcess::new(STARTING).launcher().control(via).launch());
    let LaunchProblem::Control(error) = problem else { panic!("{problem:?}") };
    assert!(error.is_filtered(), "{error:?}");
    control.finish();
}

/// A script that runs the real tor as its child.
fn wrapper() -> FakeProcess {
    let tor = tor_binary();
    FakeProcess::new(&format!("trap 'kill $!' TERM\n'{}' \"$@\" &\nwait $!; wait", tor.display()))
}

#[test]
fn a_script_that_runs_tor_as_its_child_fails_over_tcp_with_an_explanation() {
    let fake = wrapper();
    let problem = problem(offline().program(fake.path()).control(ControlVia::Tcp).launch());
    assert!(matches!(problem, LaunchProblem::OtherTor { .. }), "{problem:?}");
    assert!(problem.to_string().contains("a script must start it with exec"), "{problem}");
}

#[test]
fn a_script_that_runs_tor_as_its_child_works_over_the_private_socket() {
    let fake = wrapper();
    let launcher = offline().program(fake.path()).wait_for(Ready::Controller);
    let tor = launcher.launch().unwrap();
    let pid = tor.controller().unwrap().get_info_one("process/pid").unwrap();
    assert_ne!(pid, tor.pid().to_string());
    tor.quit().unwrap();
}

#[test]
fn a_script_that_executes_tor_works() {
    let fake = FakeProcess::new(&format!("exec '{}' \"$@\"", tor_binary().display()));
    let tor = offline().program(fake.path()).control(ControlVia::Tcp).launch().unwrap();
    let controller = tor.wait_controller(LONG).unwrap();
    assert_eq!(controller.owned_pid(), Some(tor.pid()));
    tor.quit().unwrap();
}
