#[path = "../integration/supervisor/rounds/observers.rs"]
mod observers;
#[path = "../integration/supervisor/rounds/supervised.rs"]
#[allow(dead_code, reason = "the addresses are for clients")]
mod supervised;
#[path = "../integration/supervisor/rounds/workers.rs"]
mod workers;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use torcon::onion::Publication;
use torcon::process::Ready;
use torcon::supervisor::{SupervisorOptions, SupervisorStatus};
use torcon::{ConnectOptions, Launcher, Supervisor, Tor};

use self::supervised::{StopOnDrop, Supervised};
use self::workers::Tally;
use crate::LIMIT;
use crate::relay::{Cut, Relay};
use crate::run::Run;
use crate::support::leaks;
use crate::support::random::Random;
use crate::support::real_tor::{RealTor, tor_binary};
use crate::support::watchdog::eventually;

/// The supervised option.
const OPTION: &str = "MaxCircuitDirtiness";
const VALUE: &str = "1234";
/// The most ends of one supervisor.
const ENDS: usize = 40;

/// An end or a disturbance of the tor or the connection of a supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Kill,
    Terminate,
    Stop,
    Reload,
    /// The program closes the connection.
    Close,
    Quit,
    Cut(Cut),
    CutAfterBytes,
    Stall,
}

/// Both kinds of supervisor.
const ENDINGS: [Ending; 6] =
    [Ending::Kill, Ending::Terminate, Ending::Stop, Ending::Reload, Ending::Close, Ending::Quit];
/// Only through a relay.
const CUTS: [Ending; 5] = [
    Ending::Cut(Cut::Both),
    Ending::Cut(Cut::TowardsClient),
    Ending::Cut(Cut::TowardsTor),
    Ending::CutAfterBytes,
    Ending::Stall,
];

/// A supervisor whose tor and whose connection end again and again, also while it restores: it
/// restores everything, calls return, and no event is received twice.
pub(crate) fn storm(run: &Run) {
    let mut random = run.random(0);
    while !run.is_over() {
        play(run, true, &mut random);
        settle(run);
        if !run.is_over() {
            play(run, false, &mut random);
            settle(run);
        }
    }
}

fn settle(run: &Run) {
    eventually(LIMIT, "the threads of the supervisor have ended", || {
        leaks::threads("torcon-").is_empty()
    });
    run.end_round();
}

/// Plays with one supervisor: of a tor behind a relay, or of one that it launches.
fn play(run: &Run, is_relayed: bool, random: &mut Random) {
    let own = is_relayed.then(RealTor::start);
    let relay = own.as_ref().map(|tor| Relay::before(tor.socket_path(), random.next()));
    let supervisor = supervise(relay.as_ref());
    let supervised = Supervised::set_up(&supervisor, Publication::None);
    let (stop, tally) = (AtomicBool::new(false), Tally::default());
    thread::scope(|scope| {
        let _stop = StopOnDrop(&stop, &supervised.listeners);
        for listener in &supervised.listeners {
            scope.spawn(move || listener.incoming().for_each(drop));
        }
        for number in 0..4 {
            let (supervisor, tally, stop) = (&supervisor, &tally, &stop);
            scope.spawn(move || tally.work(supervisor, number, stop));
        }
        scope.spawn(|| supervised.observers.emit_until(&supervisor, &stop));
        for _ in 0..ENDS {
            // Often a second end while the supervisor restores.
            for _ in 0..1 + random.below(3) {
                run.pause(random.millis(0..200));
                let ending = match &relay {
                    Some(_) if random.below(2) == 0 => CUTS[random.below(CUTS.len())],
                    _ => ENDINGS[random.below(ENDINGS.len())],
                };
                carry_out(run, ending, own.as_ref(), relay.as_ref(), &supervisor, random);
                run.figures.count(&format!("ends: {ending:?}"));
            }
            // On a connection that ends meanwhile, an event may be lost after its cause has succeeded.
            relay.iter().for_each(Relay::wait_cut);
            supervised.wait_restored();
            run.figures.count("restorations that were checked");
            if run.is_over() {
                break;
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    let connections = observers::generation(&supervisor).unwrap_or_default();
    supervised.observers.check_order(connections);
    run.figures.add("connections", usize::try_from(connections).unwrap());
    println!("    {tally:?}");
    drop(supervised);
    run.watch.call("stop", LIMIT, || supervisor.stop());
    assert!(matches!(supervisor.status(), SupervisorStatus::Stopped));
}

fn supervise(relay: Option<&Relay>) -> Supervisor {
    let options = SupervisorOptions::new()
        .backoff(Duration::from_millis(10), Duration::from_millis(500))
        .check_interval(Duration::from_secs(2))
        .crash_loop(10_000, Duration::from_secs(60));
    let Some(relay) = relay else {
        let launcher = Launcher::new().program(tor_binary()).option("SocksPort", "0");
        let launcher = launcher.option("DisableNetwork", "1").wait_for(Ready::Controller);
        return options.launch(launcher.timeout(LIMIT).stall_timeout(LIMIT)).unwrap();
    };
    let connect = ConnectOptions::new().timeout(Duration::from_secs(5));
    options.connect([relay.endpoint().as_str()], connect).unwrap()
}

fn carry_out(
    run: &Run,
    ending: Ending,
    own: Option<&RealTor>,
    relay: Option<&Relay>,
    supervisor: &Supervisor,
    random: &mut Random,
) {
    let relay = || relay.expect("there is a relay");
    match ending {
        Ending::Kill => signal(own, supervisor, Signal::SIGKILL),
        Ending::Terminate => signal(own, supervisor, Signal::SIGTERM),
        Ending::Reload => signal(own, supervisor, Signal::SIGHUP),
        Ending::Stop => {
            signal(own, supervisor, Signal::SIGSTOP);
            run.pause(random.millis(1..300));
            signal(own, supervisor, Signal::SIGCONT);
        }
        Ending::Close => with_tor(supervisor, |tor| tor.controller().close()),
        Ending::Quit => {
            with_tor(supervisor, |tor| drop(tor.controller().with_timeout(LIMIT).quit()));
        }
        Ending::Cut(cut) => relay().cut(cut),
        Ending::CutAfterBytes => relay().cut_once_after(random.next() % 5000),
        Ending::Stall => {
            relay().stall(true);
            run.pause(random.millis(1..300));
            relay().stall(false);
        }
    }
    if let (Some(own), Ending::Kill | Ending::Terminate) = (own, ending) {
        own.wait(LIMIT);
        run.pause(random.millis(0..200));
        own.start_again();
        run.figures.count("restarts of tor");
    }
}

/// Calls `work` with the present tor, if any.
fn with_tor(supervisor: &Supervisor, work: impl FnOnce(&Tor)) {
    if let Ok(tor) = supervisor.tor() {
        work(&tor);
    }
}

fn signal(own: Option<&RealTor>, supervisor: &Supervisor, signal: Signal) {
    match (own, signal) {
        (Some(tor), Signal::SIGKILL) => tor.kill(),
        (Some(tor), Signal::SIGTERM) => tor.terminate(),
        (Some(tor), Signal::SIGHUP) => tor.hang_up(),
        (Some(tor), Signal::SIGSTOP) => tor.stop(),
        (Some(tor), _) => tor.cont(),
        (None, signal) => {
            let work = |tor: &Tor| {
                let pid = tor.process().expect("the supervisor has launched it").pid();
                // It may have ended since.
                let _ = kill(Pid::from_raw(i32::try_from(pid).unwrap()), signal);
            };
            with_tor(supervisor, work);
        }
    }
}
