use super::{Progress, ProgressReporter};
use crate::link::Listener;
use crate::sync::channel::bounded;
use std::time::Duration;

fn progress(percent: u8, tag: &str, summary: &str) -> Progress {
    Progress { percent, tag: tag.to_owned(), summary: summary.to_owned(), warning: None }
}

#[test]
fn a_bootstrap_line_is_parsed() {
    for (line, expected) in [
        (
            "Nov 23 09:23:59.000 [notice] Bootstrapped 0% (starting): Starting",
            progress(0, "starting", "Starting"),
        ),
        (
            "Nov 23 09:26:15.000 [notice] Bootstrapped 45% (requesting_descriptors): \
             Asking for relay descriptors",
            progress(45, "requesting_descriptors", "Asking for relay descriptors"),
        ),
        // LogMessageDomains 1
        (
            "Nov 23 09:24:58.000 [notice] {CONTROL} Bootstrapped 100% (done): Done",
            progress(100, "done", "Done"),
        ),
        // tor before 0.4.0
        (
            "Nov 23 09:24:58.000 [notice] Bootstrapped 80%: Connecting to the Tor network",
            progress(80, "", "Connecting to the Tor network"),
        ),
        ("Bootstrapped 7% (a): b: c (d)", progress(7, "a", "b: c (d)")),
    ] {
        assert_eq!(Progress::from_log_line(line), Some(expected), "{line}");
    }
}

#[test]
fn a_problem_line_has_the_phase_and_the_cause() {
    let line = "Nov 23 09:24:58.000 [warn] Problem bootstrapping. Stuck at 5% (conn): Connecting \
                to a relay. (Connection refused; CONNECTREFUSED; count 10; recommendation warn; \
                host 088A568DA6A493187FA94B71CB198E06F73D70F1 at 127.0.0.1:5000)";
    let expected = Progress {
        warning: Some("Connection refused".to_owned()),
        ..progress(5, "conn", "Connecting to a relay")
    };
    assert_eq!(Progress::from_log_line(line), Some(expected));
}

#[test]
fn other_lines_are_not_progress() {
    for line in [
        "",
        "Nov 23 09:23:59.000 [notice] Starting with guard context \"default\"",
        "Nov 23 09:23:59.000 [notice] Bootstrapped",
        "Nov 23 09:23:59.000 [notice] Bootstrapped %",
        "Nov 23 09:23:59.000 [notice] Bootstrapped 101% (done): Done",
        "Nov 23 09:23:59.000 [notice] Bootstrapped -1% (done): Done",
        "Nov 23 09:23:59.000 [notice] Bootstrapped 100% (done",
        "Nov 23 09:23:59.000 [notice] Bootstrapped 100 percent",
        // The text of another program, quoted in a line of tor's log.
        "Nov 23 09:23:59.000 [warn] peer says \"[notice] Bootstrapped 100% (done): Done\"",
        "Nov 23 09:24:58.000 [warn] Problem bootstrapping. Stuck at",
    ] {
        assert_eq!(Progress::from_log_line(line), None, "{line}");
    }
}

#[test]
fn progress_is_printed_with_the_text_of_tor() {
    let mut shown = progress(5, "conn", "Connecting to a relay");
    assert_eq!(shown.to_string(), "5% (conn): Connecting to a relay");
    shown.warning = Some("Connection refused".to_owned());
    assert_eq!(shown.to_string(), "5% (conn): Connecting to a relay (Connection refused)");
    let hostile = || "a\n\u{1b}[31m\u{202e}".to_owned();
    let (tag, summary, warning) = (hostile(), hostile(), Some(hostile()));
    let escaped = r"a\n\u{1b}[31m\u{202e}";
    assert_eq!(
        Progress { percent: 5, tag, summary, warning }.to_string(),
        format!("5% ({escaped}): {escaped} ({escaped})")
    );
    assert_eq!(Progress::default().to_string(), "0%");
    assert!(!shown.is_done());
    assert!(progress(100, "done", "Done").is_done());
}

#[test]
fn a_slow_closure_does_not_delay_the_reporter() {
    let (send, received) = bounded(0);
    let (go_on, wait) = bounded::<()>(0);
    let listener = move |progress: &Progress| {
        wait.recv().ok();
        send.send(progress.percent).ok();
    };
    let reporter = ProgressReporter::start(Listener::new(Box::new(listener))).unwrap();
    for percent in [1, 2, 3] {
        reporter.report(&progress(percent, "", ""));
    }
    reporter.flush(Duration::from_millis(1));
    for percent in [1, 2, 3] {
        go_on.send(()).unwrap();
        assert_eq!(received.recv(), Ok(percent));
    }
    reporter.flush(Duration::from_secs(30));
    reporter.finish(Duration::from_secs(30));
}

#[test]
fn a_closure_that_panics_is_not_called_again() {
    let (send, received) = bounded(9);
    let listener = move |progress: &Progress| {
        send.send(progress.percent).unwrap();
        assert!(progress.percent < 2, "as planned");
    };
    let reporter = ProgressReporter::start(Listener::new(Box::new(listener))).unwrap();
    for percent in [1, 2, 3] {
        reporter.report(&progress(percent, "", ""));
    }
    reporter.flush(Duration::from_secs(30));
    reporter.finish(Duration::from_secs(30));
    assert_eq!(received.iter().collect::<Vec<_>>(), [1, 2]);
}
