use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use torcon::Error;
use torcon::error::{LaunchError, LaunchProblem};
use torcon::process::Launcher;

use super::fake_process::{FakeProcess, LONG, SOON};
use crate::support::exclusive::exclusive;
use crate::support::leaks::Holdings;

/// Launches a tor that fails, and checks that nothing remains.
fn failed(launcher: Launcher) -> LaunchError {
    let before = Holdings::now();
    let launched = launcher.launch();
    // Children and directories are gone when the error is returned; the kernel may list a thread for
    // a moment after its end.
    let after = Holdings::now();
    assert_eq!((&after.children, &after.files), (&before.children, &before.files));
    before.assert_restored(SOON);
    match launched {
        Err(Error::Launch(error)) => error,
        other => panic!("no launch error: {other:?}"),
    }
}

#[test]
fn the_end_of_tor_during_the_launch_is_reported_with_its_last_lines() {
    // Peers 40: the end is noticed, and the reason that tor printed is reported.
    exclusive(|| {
        let tor = FakeProcess::new(
            "say 'Bootstrapped 10% (conn_done): Connected to a relay'\n\
             echo 'Nov 23 09:00:00.000 [warn] Failed to parse/validate config: no luck'\n\
             echo 'Nov 23 09:00:00.000 [err] Reading config failed--see warnings above.'\n\
             exit 3",
        );
        let started = Instant::now();
        let error = failed(tor.launcher());
        assert!(started.elapsed() < SOON);
        assert!(matches!(error.problem(), LaunchProblem::Exited));
        assert_eq!(error.exit_status().unwrap().code(), Some(3));
        assert_eq!(error.last_lines().len(), 3);
        assert_eq!(
            error.to_string(),
            "cannot launch tor (exit status: 3, 10% bootstrapped): tor says \"Failed to \
             parse/validate config: no luck\""
        );
        assert_eq!(error.advice(), Some("correct the option"));
    });
}

#[test]
fn a_signal_that_ends_tor_during_the_launch_is_reported() {
    exclusive(|| {
        let error = failed(FakeProcess::new("kill -SEGV $$").launcher());
        assert!(matches!(error.problem(), LaunchProblem::Exited));
        assert_eq!(error.exit_status().unwrap().signal(), Some(11));
    });
}

#[test]
fn a_child_of_tor_that_holds_its_pipes_does_not_hide_its_end() {
    exclusive(|| {
        let tor = FakeProcess::new("sleep 61 & echo $!; exit 4");
        let started = Instant::now();
        let error = failed(tor.launcher());
        assert!(started.elapsed() < SOON);
        assert_eq!(error.exit_status().unwrap().code(), Some(4));
        let sleeper = error.last_lines()[0].parse().unwrap();
        let sleeper = nix::unistd::Pid::from_raw(sleeper);
        nix::sys::signal::kill(sleeper, nix::sys::signal::Signal::SIGKILL).unwrap();
    });
}

#[test]
fn anything_on_standard_error_ends_tor_and_the_launch() {
    exclusive(|| {
        let tor = FakeProcess::new(
            "say 'Bootstrapped 5% (conn): Connecting to a relay'\nprintf 'out of luck' >&2\nexec sleep 60",
        );
        let error = failed(tor.launcher());
        let LaunchProblem::Stderr { text } = error.problem() else { panic!("{error:?}") };
        assert_eq!(&**text, "out of luck");
        assert_eq!(error.problem().to_string(), "tor wrote to standard error: \"out of luck\"");
        assert_eq!(error.exit_status().unwrap().signal(), Some(15));
        assert!(error.last_lines().iter().any(|line| line == "out of luck"), "{error:?}");
    });
}

#[test]
fn a_tor_that_is_not_ready_at_the_limit_is_ended() {
    exclusive(|| {
        let tor =
            FakeProcess::new("say 'Bootstrapped 5% (conn): Connecting to a relay'\nexec sleep 60");
        let error = failed(tor.launcher().timeout(Duration::from_millis(300)));
        assert_eq!(
            error.problem().to_string(),
            "timed out after 300ms waiting for tor to finish bootstrapping"
        );
        assert!(Error::from(error).is_timeout());
    });
}

#[test]
fn a_tor_that_stalls_is_ended_and_its_warning_is_reported() {
    exclusive(|| {
        let tor = FakeProcess::new(
            "say 'Bootstrapped 5% (conn): Connecting to a relay'\n\
             echo 'Nov 23 09:00:00.000 [warn] Problem bootstrapping. Stuck at 5% (conn): \
             Connecting to a relay. (Connection refused; CONNECTREFUSED; count 10; \
             recommendation warn; host A at B)'\n\
             exec sleep 60",
        );
        let error = failed(tor.launcher().stall_timeout(Duration::from_secs(2)));
        assert_eq!(
            error.problem().to_string(),
            "timed out after 2s waiting for progress of tor's bootstrapping"
        );
        let text = error.to_string();
        let expected = "cannot launch tor (5% bootstrapped): tor says \
                        \"Problem bootstrapping. Stuck at 5% (conn)";
        assert!(text.starts_with(expected), "{text}");
        assert!(Error::from(error).is_timeout());
    });
}

/// Returns the processor time of this process, in hundredths of a second.
fn processor_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    fields.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum()
}

#[test]
fn a_tor_that_closes_its_outputs_is_ended_and_uses_no_processor_time() {
    // Peers 38: the end of the output does not cause a busy loop.
    exclusive(|| {
        let tor = FakeProcess::new("exec >&- 2>&-\nexec sleep 60");
        let before = processor_ticks();
        let error = failed(tor.launcher().timeout(Duration::from_millis(500)));
        assert!(matches!(error.problem(), LaunchProblem::Timeout(_)), "{error:?}");
        let used = processor_ticks() - before;
        assert!(used < 25, "{used}");
    });
}

#[test]
fn a_tor_that_ignores_sigterm_is_killed() {
    exclusive(|| {
        let tor = FakeProcess::new("trap '' TERM\necho deaf\nwhile :; do sleep 0.05; done");
        // Time to install the signal handler.
        let launcher = tor.launcher().timeout(Duration::from_secs(2));
        let error = failed(launcher.grace(Duration::from_millis(200)));
        assert_eq!(error.exit_status().unwrap().signal(), Some(9));
        assert_eq!(error.last_lines(), ["deaf"]);
    });
}

#[test]
fn a_program_that_cannot_be_started_leaves_nothing() {
    exclusive(|| {
        let error = failed(Launcher::new().program("/nonexistent/tor"));
        assert!(matches!(error.problem(), LaunchProblem::NotFound { .. }), "{error:?}");
        assert_eq!(error.exit_status(), None);
        assert_eq!(error.to_string(), "cannot launch tor");
        let error = failed(Launcher::new().program("/"));
        assert!(matches!(error.problem(), LaunchProblem::Spawn { .. }), "{error:?}");
    });
}

#[test]
fn a_data_directory_without_parent_leaves_nothing() {
    exclusive(|| {
        let error = failed(Launcher::new().data_directory("/nonexistent/data"));
        assert_eq!(error.problem().to_string(), "cannot create \"/nonexistent/data\"");
    });
}

#[test]
fn dropping_it_during_the_launch_leaves_nothing() {
    exclusive(|| {
        let tor =
            FakeProcess::new("say 'Bootstrapped 5% (conn): Connecting to a relay'\nexec sleep 60");
        let before = Holdings::now();
        drop(tor.launcher().spawn().unwrap());
        before.assert_restored(SOON);
    });
}

#[test]
fn every_thread_that_waits_for_a_failed_launch_gets_the_reason() {
    let fake = FakeProcess::new("read -r line <\"$0.go\"; exit 7");
    let fifo = fake.path().with_extension("go");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let tor = fake.launcher().spawn().unwrap();
    std::thread::scope(|scope| {
        let waiting: Vec<_> = (0..8)
            .map(|_| {
                std::thread::Builder::new()
                    .spawn_scoped(scope, || tor.wait_bootstrapped(LONG).unwrap_err())
                    .unwrap()
            })
            .collect();
        std::fs::write(&fifo, "go\n").unwrap();
        for thread in waiting {
            let Error::Launch(error) = thread.join().unwrap() else { panic!("no launch error") };
            assert_eq!(error.exit_status().unwrap().code(), Some(7));
        }
    });
    let Err(Error::Launch(error)) = tor.controller() else { panic!("there is no controller") };
    assert!(matches!(error.problem(), LaunchProblem::Exited));
}
