use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use parking_lot::Mutex;
use torcon::error::{LaunchError, LaunchProblem};
use torcon::process::{ControlVia, Launcher, Progress, Ready, TorProcess};
use torcon::{Error, Tor};

use super::fake_process::{LONG, SOON};
use crate::support::exclusive::exclusive;
use crate::support::leaks::Holdings;
use crate::support::log_capture::LogCapture;
use crate::support::raw_control::RawControl;
use crate::support::real_tor::{assert_exited, tor_binary};
use crate::support::socket::Address;

/// Returns a launcher of the real tor, without network.
pub(super) fn offline() -> Launcher {
    Launcher::new()
        .program(tor_binary())
        .option("DisableNetwork", "1")
        .option("SocksPort", "0")
        .wait_for(Ready::Controller)
        .timeout(LONG)
        .stall_timeout(LONG)
}

fn conf(tor: &TorProcess, option: &str) -> Vec<String> {
    let conf = tor.controller().unwrap().get_conf_raw([option]).unwrap();
    conf.lines().map(|line| line.text().into_owned()).collect()
}

fn failed(launcher: Launcher) -> LaunchError {
    let before = Holdings::now();
    let launched = launcher.launch();
    let after = Holdings::now();
    assert_eq!((&after.children, &after.files), (&before.children, &before.files));
    before.assert_restored(SOON);
    match launched {
        Err(Error::Launch(error)) => error,
        other => panic!("no launch error: {other:?}"),
    }
}

#[test]
fn a_launched_tor_is_ready_to_use_and_leaves_nothing() {
    exclusive(|| {
        let before = Holdings::now();
        let tor = offline().launch().unwrap();
        let controller = tor.controller().unwrap();
        assert_eq!(controller.get_info_one("process/pid").unwrap(), tor.pid().to_string());
        // The connection owns tor, and tor no longer polls for this process.
        assert_eq!(controller.owned_pid(), Some(tor.pid()));
        assert_eq!(conf(&tor, "__OwningControllerProcess"), ["__OwningControllerProcess"]);
        // The socket is in the private directory of tor.
        let endpoint = tor.control_endpoint().unwrap();
        let socket = tor.data_directory().join("control");
        assert_eq!(endpoint.path(), Some(&*socket));
        assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(tor.wait_controller(LONG).is_ok());
        assert_exited(0, tor.quit().unwrap());
        assert!(!controller.is_alive());
        drop(tor);
        before.assert_restored(SOON);
    });
}

#[test]
fn dropping_the_handle_ends_a_real_tor() {
    exclusive(|| {
        let before = Holdings::now();
        let tor = offline().launch().unwrap();
        let controller = tor.controller().unwrap().clone();
        drop(tor);
        assert_eq!(Holdings::now().children, before.children);
        // Other handles are closed, since tor has ended.
        assert!(!controller.is_alive());
        drop(controller);
        before.assert_restored(SOON);
    });
}

#[test]
fn a_control_port_over_tcp_is_used() {
    let tor = offline().control(ControlVia::Tcp).launch().unwrap();
    let endpoint = tor.control_endpoint().unwrap().to_string();
    assert!(endpoint.starts_with("127.0.0.1:"), "{endpoint}");
    let listeners = tor.controller().unwrap().get_info_one("net/listeners/control").unwrap();
    assert_eq!(listeners, format!("\"{endpoint}\""));
    assert_exited(0, tor.quit().unwrap());
}

#[test]
fn a_control_connection_can_be_opened_by_a_function() {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o700)).unwrap();
    let socket = directory.path().join("own control");
    let calls = Arc::new(Mutex::new(0));
    let count = Arc::clone(&calls);
    let address = socket.clone();
    let via = ControlVia::custom(move || {
        *count.lock() += 1;
        torcon::connect(address.clone())
    });
    let option = format!("unix:\"{}\"", socket.display());
    let tor = offline().option("ControlSocket", option).control(via).launch().unwrap();
    assert!(*calls.lock() >= 1);
    assert_eq!(tor.controller().unwrap().owned_pid(), Some(tor.pid()));
    assert!(tor.control_endpoint().is_none());
    assert_exited(0, tor.quit().unwrap());
}

#[test]
fn further_control_ports_can_be_configured() {
    let tor = offline().option("ControlPort", "auto").launch().unwrap();
    let listeners = tor.controller().unwrap().get_info_one("net/listeners/control").unwrap();
    let port = listeners.split(' ').next().unwrap().trim_matches('"').to_owned();
    let mut other = RawControl::connect(&Address::Tcp(port.parse().unwrap()));
    other.authenticate_by_cookie(&tor.data_directory().join("control_auth_cookie"));
    assert_eq!(other.get_info("process/pid"), tor.pid().to_string());
    assert_exited(0, tor.quit().unwrap());
}

#[test]
fn progress_is_reported_and_the_subscription_ends() {
    let reported = Arc::new(Mutex::new(Vec::new()));
    let report = Arc::clone(&reported);
    let listener = move |progress: &Progress| report.lock().push(progress.clone());
    let tor = offline().on_progress(listener).launch().unwrap();
    assert_eq!(reported.lock().len(), 1);
    assert_eq!(reported.lock()[0].to_string(), "0% (starting): Starting");
    assert_eq!(tor.progress(), reported.lock()[0]);
    // Without network tor does not bootstrap further.
    let error = tor.wait_bootstrapped(Duration::from_millis(20)).unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    assert_exited(0, tor.quit().unwrap());
}

#[test]
fn closing_the_control_connection_ends_tor() {
    let tor = offline().launch().unwrap();
    tor.controller().unwrap().close();
    assert_eq!(tor.wait_timeout(LONG).unwrap().code(), Some(0));
}

#[test]
fn the_end_of_tor_wakes_every_waiting_thread() {
    let tor = offline().launch().unwrap();
    let (sender, reason) = crossbeam_channel::bounded(1);
    tor.controller().unwrap().on_disconnect(move |reason| {
        sender.send(reason.to_string()).ok();
    });
    let killed = Instant::now();
    tor.kill().unwrap();
    assert_eq!(tor.wait_timeout(LONG).unwrap().signal(), Some(9));
    assert_eq!(reason.recv_timeout(LONG).unwrap(), "tor closed the connection");
    assert!(killed.elapsed() < SOON);
    let error = tor.controller().unwrap().get_info_one("version").unwrap_err();
    assert!(error.is_closed(), "{error:?}");
}

#[test]
fn a_stopped_tor_is_killed() {
    let tor = offline().grace(Duration::from_millis(200)).launch().unwrap();
    let pid = nix::unistd::Pid::from_raw(i32::try_from(tor.pid()).unwrap());
    nix::sys::signal::kill(pid, Signal::SIGSTOP).unwrap();
    assert_eq!(tor.quit().unwrap().signal(), Some(9));
}

#[test]
fn saveconf_writes_only_the_private_file() {
    // Peers 42.
    let tor = offline().option("Nickname", "before").launch().unwrap();
    let controller = tor.controller().unwrap();
    let file = controller.get_info_one("config-file").unwrap();
    let defaults = controller.get_info_one("config-defaults-file").unwrap();
    let private = Path::new(&file).parent().unwrap().to_owned();
    assert!(tor.data_directory().starts_with(&private), "{file}");
    assert_eq!(Path::new(&defaults).parent(), Some(&*private));
    controller.set_conf([("ContactInfo", "somebody")]).unwrap();
    controller.save_conf().unwrap();
    assert!(fs::read_to_string(&file).unwrap().contains("ContactInfo somebody"));
    assert_eq!(fs::read(&defaults).unwrap(), b"");
    assert_exited(0, tor.quit().unwrap());
    assert!(!private.exists());
}

#[test]
fn a_given_data_directory_is_used_again_and_kept() {
    exclusive(|| {
        let given = tempfile::tempdir().unwrap();
        let data = given.path().join("tor data \"x\" #1 \u{e9}");
        let mut fingerprints = Vec::new();
        for _ in 0..2 {
            let before = Holdings::now();
            let tor = offline().data_directory(&data).launch().unwrap();
            assert_eq!(tor.data_directory(), data);
            fingerprints.push(fs::read(data.join("state")).is_ok());
            assert_exited(0, tor.quit().unwrap());
            drop(tor);
            before.assert_restored(SOON);
        }
        assert_eq!(fingerprints.len(), 2);
        assert!(data.join("state").exists());
    });
}

#[test]
fn options_are_not_changed_on_the_way_to_tor() {
    let odd = "a \"b\" \\ #c '\u{e9}\t";
    let tor = offline().option("ContactInfo", odd).option("Nickname", "odd").launch().unwrap();
    let conf = tor.controller().unwrap().get_conf(["ContactInfo", "Nickname"]).unwrap();
    assert_eq!(conf.get("ContactInfo").unwrap().first(), Some(odd));
    assert_eq!(conf.get("Nickname").unwrap().first(), Some("odd"));
    assert_exited(0, tor.quit().unwrap());
}

#[test]
fn a_bad_option_is_reported_with_the_text_of_tor() {
    exclusive(|| {
        let error = failed(offline().option("Bogus", "1"));
        assert!(matches!(error.problem(), LaunchProblem::Exited), "{error:?}");
        assert_eq!(error.exit_status().unwrap().code(), Some(1));
        assert_eq!(
            error.to_string(),
            "cannot launch tor (exit status: 1): tor says \"Failed to parse/validate config: \
             Unknown option 'Bogus'.  Failing.\""
        );
        assert_eq!(error.advice(), Some("correct the option"));
    });
}

#[test]
fn a_port_in_use_is_reported_with_the_text_of_tor() {
    exclusive(|| {
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = other.local_addr().unwrap().to_string();
        let error = failed(offline().option("ControlPort", &address));
        assert_eq!(error.exit_status().unwrap().code(), Some(1));
        assert_eq!(
            error.to_string(),
            format!(
                "cannot launch tor (exit status: 1): tor says \"Could not bind to {address}: \
                 Address already in use. Is Tor already running?\", \"Failed to parse/validate \
                 config: Failed to bind one of the listener ports.\""
            )
        );
        let advice = "another program has this address: choose another, or auto";
        assert_eq!(error.advice(), Some(advice));
    });
}

#[test]
fn a_locked_data_directory_is_reported_and_its_tor_is_left_unchanged() {
    exclusive(|| {
        let given = tempfile::tempdir().unwrap();
        let first = offline().data_directory(given.path()).launch().unwrap();
        let error = failed(offline().data_directory(given.path()));
        assert_eq!(error.exit_status().unwrap().code(), Some(1));
        let text = error.to_string();
        assert!(text.contains("another Tor process is running with the same data"), "{text}");
        // A new connection shows that its socket still exists.
        let again = torcon::connect(first.control_endpoint().unwrap()).unwrap();
        assert_eq!(again.get_info_one("process/pid").unwrap(), first.pid().to_string());
        drop(again);
        assert_exited(0, first.quit().unwrap());
    });
}

#[test]
fn a_data_directory_that_tor_refuses_is_reported_and_kept() {
    exclusive(|| {
        let given = tempfile::tempdir().unwrap();
        let data = given.path().join("data");
        fs::create_dir(&data).unwrap();
        // Only root can change the owner of a directory, and root can access everything.
        let stranger = nix::unistd::Uid::from_raw(65534);
        if nix::unistd::geteuid().is_root() {
            nix::unistd::chown(&data, Some(stranger), None).unwrap();
        } else {
            fs::set_permissions(&data, Permissions::from_mode(0o000)).unwrap();
        }
        let error = failed(offline().data_directory(&data));
        assert_eq!(error.exit_status().unwrap().code(), Some(1));
        assert!(error.to_string().contains("tor says"), "{error}");
        assert!(error.last_lines().len() > 1, "{error:?}");
        fs::set_permissions(&data, Permissions::from_mode(0o700)).unwrap();
        assert!(data.is_dir());
    });
}

#[test]
fn a_tor_that_does_not_bootstrap_is_ended_at_the_limit() {
    let launcher = offline().wait_for(Ready::Bootstrapped).timeout(Duration::from_secs(3));
    let tor = launcher.spawn().unwrap();
    let Err(Error::Launch(error)) = tor.wait_bootstrapped(LONG) else { panic!("{tor:?}") };
    assert_eq!(
        error.problem().to_string(),
        "timed out after 3s waiting for tor to finish bootstrapping"
    );
    let advice = error.advice().unwrap();
    assert!(advice.starts_with("the network is disabled by the option DisableNetwork"), "{advice}");
    assert!(tor.try_wait().unwrap().is_some());
}

#[test]
fn a_failed_control_connection_is_reported_at_the_limit() {
    // The function connects to another program.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    // On a slow machine, the shorter limit may end before the first attempt.
    let launches = [3, 10, 30].map(|seconds| {
        let options = torcon::ConnectOptions::new().timeout(Duration::from_millis(100));
        let via = ControlVia::custom(move || options.connect(address));
        offline().control(via).timeout(Duration::from_secs(seconds))
    });
    let errors = launches.into_iter().map(|launcher| match launcher.launch() {
        Err(Error::Launch(error)) => error,
        other => panic!("{other:?}"),
    });
    let mut late = errors.skip_while(|error| matches!(error.problem(), LaunchProblem::Timeout(_)));
    let error = late.next().expect("an attempt was made");
    let LaunchProblem::Control(source) = error.problem() else { panic!("{error:?}") };
    let begin = format!("cannot connect to {address}: no answer");
    assert!(source.to_string().starts_with(&begin), "{source}");
    assert!(source.is_timeout(), "{source:?}");
}

#[test]
fn no_secret_of_a_launch_is_logged() {
    let capture = LogCapture::start();
    let tor = offline().option("ContactInfo", "hush-4711").launch().unwrap();
    let cookie = fs::read(tor.data_directory().join("control_auth_cookie")).unwrap();
    let cookie: String = cookie.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_exited(0, tor.quit().unwrap());
    capture.assert_holds_none_of(&[&cookie, "hush-4711"]);
}

#[test]
fn a_launched_tor_is_ended_and_a_connected_tor_is_left() {
    let launched = Tor::launch(offline()).unwrap();
    let process = launched.process().unwrap();
    assert_eq!(launched.controller().owned_pid(), Some(process.pid()));
    let connected = Tor::connect(process.control_endpoint().unwrap()).unwrap();
    assert!(connected.process().is_none());
    connected.close().unwrap();
    assert!(!connected.controller().is_alive());
    // Closing a connection does not end a tor that was connected to.
    assert_eq!(process.try_wait().unwrap(), None);
    launched.close().unwrap();
    assert_exited(0, process.try_wait().unwrap().unwrap());

    let error = Tor::launch(offline().control(ControlVia::None)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "invalid argument \"launcher\": has no control connection, which a Tor needs"
    );
}
