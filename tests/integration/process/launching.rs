use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use torcon::Error;
use torcon::error::LaunchProblem;
use torcon::process::{Progress, TorProcess};

use super::fake_process::{FakeProcess, LONG, SOON};
use crate::support::exclusive::exclusive;
use crate::support::leaks::Holdings;
use crate::support::watchdog::eventually;

/// Reports 100 % and runs until it is ended.
const READY: &str = "say 'Bootstrapped 100% (done): Done'\nexec sleep 60";

/// A list that a closure fills on another thread.
type Shared<T> = Arc<Mutex<Vec<T>>>;

struct Copy(Shared<u8>);

impl Write for Copy {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn lines(bytes: &Shared<u8>) -> Vec<String> {
    String::from_utf8_lossy(&bytes.lock()).lines().map(str::to_owned).collect()
}

#[test]
fn without_a_control_connection_the_log_line_of_100_percent_ends_the_launch() {
    exclusive(|| {
        let fake = FakeProcess::new(READY);
        let before = Holdings::now();
        let tor = fake.launcher().launch().unwrap();
        assert_eq!(tor.progress().to_string(), "100% (done): Done");
        assert_eq!(tor.wait_bootstrapped(LONG).map_err(|error| error.to_string()), Ok(()));
        let not_connected = |error| match error {
            Error::Launch(error) => matches!(error.problem(), LaunchProblem::NotConnected),
            _ => false,
        };
        assert!(not_connected(tor.controller().unwrap_err()));
        assert!(not_connected(tor.wait_controller(LONG).unwrap_err()));
        assert!(tor.control_endpoint().is_none());
        assert_eq!(tor.try_wait().unwrap(), None);
        // The threads that read its output and wait for its end.
        let needed = ["torcon-child", "torcon-stderr", "torcon-stdout"];
        eventually(SOON, "only these are left", || Holdings::now().threads == needed);
        tor.quit().unwrap();
        before.assert_restored(SOON);
    });
}

#[test]
fn each_percentage_is_reported_once_and_never_a_lower_one() {
    let fake = FakeProcess::new(
        "say 'Bootstrapped 0% (starting): Starting'\n\
         say 'Bootstrapped 10% (conn_done): Connected to a relay'\n\
         say 'Bootstrapped 10% (conn_done): Connected to a relay'\n\
         say 'Bootstrapped 5% (conn): Connecting to a relay'\n\
         echo 'Nov 23 09:00:00.000 [warn] Problem bootstrapping. Stuck at 10% (conn_done): \
         Connected to a relay. (Timed out; TIMEOUT; count 1; recommendation warn; host A at B)'\n\
         say 'Bootstrapped 100% (done): Done'\n\
         exec sleep 60",
    );
    let reported = Shared::default();
    let report = Arc::clone(&reported);
    let listener = move |progress: &Progress| report.lock().push(progress.to_string());
    let tor = fake.launcher().on_progress(listener).launch().unwrap();
    // The closure was called for everything before the launch returned.
    assert_eq!(
        *reported.lock(),
        [
            "0% (starting): Starting",
            "10% (conn_done): Connected to a relay",
            "10% (conn_done): Connected to a relay (Timed out)",
            "100% (done): Done",
        ]
    );
    tor.quit().unwrap();
}

#[test]
fn a_progress_closure_that_panics_does_not_end_the_launch() {
    let tor = FakeProcess::new(READY).launcher().on_progress(|_| panic!("as planned")).launch();
    tor.unwrap().quit().unwrap();
}

#[test]
fn a_progress_closure_that_blocks_does_not_hide_the_end_of_tor() {
    let fake = FakeProcess::new("say 'Bootstrapped 5% (conn): Connecting to a relay'\nexit 3");
    let (release, blocked) = crossbeam_channel::bounded::<()>(0);
    let listener = move |_: &Progress| {
        blocked.recv().ok();
    };
    let error = fake.launcher().on_progress(listener).launch().unwrap_err();
    let Error::Launch(error) = error else { panic!("{error:?}") };
    assert_eq!(error.exit_status().unwrap().code(), Some(3));
    drop(release);
}

#[test]
fn slow_progress_is_not_a_stall() {
    // Peers 45: the limit runs from the last progress.
    let fake = FakeProcess::new(
        "for percent in 5 10 15 20 25 30 35 40; do\n\
         say \"Bootstrapped $percent% (loading_descriptors): Loading relay descriptors\"; sleep 1\n\
         done\n\
         say 'Bootstrapped 100% (done): Done'\n\
         exec sleep 60",
    );
    let tor = fake.launcher().stall_timeout(Duration::from_millis(6500)).launch().unwrap();
    tor.quit().unwrap();
}

#[test]
fn a_spawned_tor_can_be_waited_for() {
    let fake = FakeProcess::new(
        "read -r line <\"$0.go\"\nsay 'Bootstrapped 100% (done): Done'\nexec sleep 60",
    );
    let fifo = fake.path().with_extension("go");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let tor = fake.launcher().spawn().unwrap();
    assert_eq!(tor.progress(), Progress::default());
    let error = tor.wait_bootstrapped(Duration::from_millis(20)).unwrap_err();
    assert_eq!(error.to_string(), "timed out after 20ms waiting for tor to finish bootstrapping");
    // Only the limit of that call was reached.
    std::fs::write(&fifo, "go\n").unwrap();
    tor.wait_bootstrapped(LONG).unwrap();
    tor.quit().unwrap();
}

#[test]
fn tor_can_write_on_standard_error_if_that_does_not_end_it() {
    let fake = FakeProcess::new(&format!("echo trouble >&2\n{READY}"));
    let tor = fake.launcher().kill_on_stderr(false).launch().unwrap();
    tor.quit().unwrap();
    assert!(tor.last_lines().iter().any(|line| line == "trouble"), "{:?}", tor.last_lines());
}

#[test]
fn sinks_receive_the_output_of_tor() {
    let fake = FakeProcess::new(&format!("echo trouble >&2\necho first\n{READY}"));
    let (out, err) = (Shared::default(), Shared::default());
    let launcher = fake.launcher().kill_on_stderr(false);
    let launcher = launcher.stdout(Copy(Arc::clone(&out))).stderr(Copy(Arc::clone(&err)));
    let tor = launcher.launch().unwrap();
    tor.quit().unwrap();
    assert_eq!(
        lines(&out),
        ["first", "Nov 23 09:00:00.000 [notice] Bootstrapped 100% (done): Done"]
    );
    assert_eq!(lines(&err), ["trouble"]);
}

#[test]
fn output_is_read_until_the_end_so_that_tor_never_blocks() {
    // Peers 39.
    let flood = "say 'Bootstrapped 100% (done): Done'\n\
                 head -c 20000000 /dev/zero | tr '\\0' 'x'\necho\necho 'last line'\nexit 0";
    let tor = FakeProcess::new(flood).launcher().launch().unwrap();
    assert!(tor.wait_timeout(LONG).unwrap().success());
    assert_eq!(tor.last_lines().last().unwrap(), "last line");
}

/// Runs a script and returns its output before the line `ready`.
fn printed(script: &str) -> (TorProcess, Vec<String>) {
    let fake = FakeProcess::new(&format!("{script}\necho ready\n{READY}"));
    let tor = fake.launcher().env("ADDED", "by hand").launch().unwrap();
    let lines = tor.last_lines();
    let lines = lines.into_iter().take_while(|line| line != "ready").collect();
    (tor, lines)
}

#[test]
fn tor_has_a_private_torrc_and_an_empty_defaults_torrc() {
    // Peers 42: with a missing file SAVECONF would overwrite the torrc of the system.
    let (tor, lines) = printed("echo \"$#\"; printf '%s\\n' \"$@\"; cat \"$2\"; cat \"$4\"");
    let [count, file, torrc, defaults, defaults_torrc, text @ ..] = &*lines else {
        panic!("{lines:?}")
    };
    assert_eq!((&**count, &**file, &**defaults), ("4", "-f", "--defaults-torrc"));
    assert!(Path::new(torrc).is_absolute());
    assert_ne!(torrc, defaults_torrc);
    assert_eq!(
        text,
        [
            format!("DataDirectory {}", tor.data_directory().display()),
            "Log notice stdout".to_owned(),
            "CookieAuthentication 1".to_owned(),
            format!("__OwningControllerProcess {}", std::process::id()),
            "SocksPort auto ExtendedErrors".to_owned(),
        ]
    );
    let private = Path::new(torrc).parent().unwrap().to_owned();
    assert!(private.exists());
    tor.quit().unwrap();
    assert!(!private.exists());
}

#[test]
fn tor_inherits_only_listed_environment_variables() {
    let (tor, lines) = printed("env");
    let names: Vec<_> = lines.iter().filter_map(|line| line.split_once('=')).collect();
    assert!(names.contains(&("ADDED", "by hand")), "{names:?}");
    assert!(names.iter().any(|(name, _)| *name == "PATH"), "{names:?}");
    // cargo sets these for its tests.
    assert!(!names.iter().any(|(name, _)| name.starts_with("CARGO")), "{names:?}");
    tor.quit().unwrap();
}

#[test]
fn tor_has_an_empty_standard_input_and_its_own_process_group() {
    // A Ctrl-C on the terminal signals a whole process group.
    let (tor, lines) = printed("cut -d ' ' -f 5 /proc/$$/stat; cat; echo end of input");
    let group = lines[0].parse::<u32>().unwrap();
    assert_eq!(group, tor.pid());
    assert_eq!(lines[1], "end of input");
    tor.quit().unwrap();
}

#[test]
fn a_tor_can_be_used_from_many_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<TorProcess>();
}
