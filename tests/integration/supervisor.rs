//! The supervisor: a connection that is made again, with everything that the program set up on it.

/// The failures that end it.
mod attempts;
/// Services whose token is canceled.
mod canceled_services;
/// Client authorization keys, which tor forgets.
mod client_authorization;
/// Services that are closed, or cannot be restored, while the supervisor connects again.
mod closed_services;
/// The directories of a killed program.
mod leftovers;
/// The limits of failures and of queues.
mod limits;
/// Loggers that use or stop the supervisor.
mod loggers;
/// The end of a connection: the status, its reason, and repeated calls.
mod lost_connections;
/// Options that other controllers change or that tor refuses.
mod options;
/// A program with a status line, services and workers.
mod program;
/// The parts that are restored after a launched tor was killed.
mod restored;
/// Ends of tor and of its connection at random moments, on the private network.
mod rounds;
/// Onion services whose tor is killed.
mod services;
/// The state, with its listeners and attachers, from one tor to the next.
mod state;
/// The end of a supervisor, on every thread.
mod stopping;
/// Listeners and queues whose connection is made again, or that are slow.
mod subscriptions;
/// A tor that is busy, silent or behind a filter.
mod unusual_tors;

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, unbounded};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use torcon::process::{Launcher, Ready};
use torcon::supervisor::{SupervisorOptions, SupervisorStatus};
use torcon::{ConnectOptions, Supervisor, Tor};

use crate::support::fake_tor::FakeTor;
use crate::support::real_tor::{RealTor, tor_binary};
use crate::support::watchdog::eventually;

/// How long anything may take on a loaded machine.
const LIMIT: Duration = Duration::from_secs(60);
/// The delay between two attempts.
const SHORT: Duration = Duration::from_millis(20);

/// Returns the launcher of a tor without a network.
fn launcher() -> Launcher {
    Launcher::new()
        .program(tor_binary())
        .option("DisableNetwork", "1")
        .wait_for(Ready::Controller)
        .timeout(LIMIT)
        // A stopped tor has to be killed.
        .grace(Duration::from_millis(500))
}

/// Returns options with short delays and without a limit of ends.
fn options() -> SupervisorOptions {
    SupervisorOptions::new().crash_loop(100, LIMIT).backoff(SHORT, SHORT)
}

/// Returns a supervisor that launches a tor without a network.
fn supervised() -> Supervisor {
    options().launch(launcher()).unwrap()
}

/// Connects a supervisor to a fake tor.
#[track_caller]
fn connected(tor: &FakeTor) -> Supervisor {
    connected_with(tor, options(), ConnectOptions::new())
}

/// The same with options.
#[track_caller]
fn connected_with(
    tor: &FakeTor,
    options: SupervisorOptions,
    connect: ConnectOptions,
) -> Supervisor {
    let supervisor = options.connect([tor.endpoint().as_str()], connect).unwrap();
    supervisor.wait_tor(LIMIT).unwrap();
    supervisor
}

/// Connects a supervisor to a real tor.
#[track_caller]
fn connected_to(tor: &RealTor) -> Supervisor {
    let options = SupervisorOptions::new()
        .backoff(Duration::from_millis(10), Duration::from_millis(20))
        .check_interval(Duration::from_secs(1));
    let supervisor = options.connect([tor.endpoint().as_str()], ConnectOptions::new()).unwrap();
    supervisor.wait_tor(LIMIT).unwrap();
    supervisor
}

/// Ends the connection. The supervisor cannot make another one until the returned function is called.
fn cut(tor: &RealTor, supervisor: &Supervisor) -> impl FnOnce() + use<> {
    let path = tor.socket_path();
    let aside = path.with_extension("aside");
    fs::rename(&path, &aside).unwrap();
    let controller = supervisor.tor().unwrap().controller().clone();
    controller.close();
    eventually(LIMIT, "the connection has ended", || !controller.is_alive());
    move || fs::rename(aside, path).unwrap()
}

fn pid(tor: &Tor) -> Pid {
    Pid::from_raw(i32::try_from(tor.process().unwrap().pid()).unwrap())
}

/// Waits until a connection is up, and returns the status.
#[track_caller]
fn wait_up(supervisor: &Supervisor, wanted: u64) -> SupervisorStatus {
    let is_wanted = |status: &SupervisorStatus| match status {
        SupervisorStatus::Up { generation, .. } => *generation >= wanted,
        status => status.is_final(),
    };
    let status = supervisor.wait_status(LIMIT, is_wanted).unwrap();
    assert!(status.is_up(), "{status}");
    status
}

/// Waits until a connection is up, and returns how many parts could not be restored.
#[track_caller]
fn unrestored(supervisor: &Supervisor, wanted: u64) -> usize {
    match wait_up(supervisor, wanted) {
        SupervisorStatus::Up { unrestored, .. } => unrestored.len(),
        status => panic!("{status:?}"),
    }
}

/// Kills the present tor, and returns the next one.
#[track_caller]
fn next_tor(supervisor: &Supervisor) -> Arc<Tor> {
    let SupervisorStatus::Up { generation: former, .. } = supervisor.status() else {
        panic!("{:?}", supervisor.status())
    };
    kill(pid(&supervisor.tor().unwrap()), Signal::SIGKILL).unwrap();
    wait_up(supervisor, former + 1);
    supervisor.tor().unwrap()
}

#[track_caller]
fn value(tor: &Tor, option: &str) -> Vec<String> {
    tor.controller().get_conf([option]).unwrap().get(option).unwrap().values().to_vec()
}

/// Returns the statuses from now on. The channel ends with the supervisor.
fn statuses(supervisor: &Supervisor) -> Receiver<SupervisorStatus> {
    let (sender, received) = unbounded();
    supervisor.on_status(move |status| drop(sender.send(status.clone()))).unwrap();
    received
}

/// Requires that the last status is `Stopped`, and that its closure is dropped then.
#[track_caller]
fn assert_stopped_is_reported(statuses: &Receiver<SupervisorStatus>) {
    let mut last = None;
    loop {
        match statuses.recv_timeout(LIMIT) {
            Ok(status) => last = Some(status),
            Err(error) if error.is_timeout() => panic!("the closure is not dropped: {last:?}"),
            Err(_) => break,
        }
    }
    assert!(matches!(last, Some(SupervisorStatus::Stopped)), "{last:?}");
}
