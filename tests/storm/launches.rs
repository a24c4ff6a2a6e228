use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use torcon::process::Ready;
use torcon::{CancelToken, Error, Launcher, TorProcess};

use crate::LIMIT;
use crate::run::{Run, spawn};
use crate::support::named_thread::named;
use crate::support::random::Random;
use crate::support::real_tor::tor_binary;

/// A limit that no call reaches.
const LONG: Duration = Duration::from_secs(90);
/// The time in which a tor has started.
const START_MILLIS: u64 = 1200;

/// Tors that are launched, and end or are ended at any moment of their start.
pub(crate) fn storm(run: &Run) {
    thread::scope(|scope| {
        for number in 0..3 {
            let launch = move || {
                let mut random = run.random(number);
                while !run.is_over() {
                    launch(run, &mut random);
                    run.figures.count("launches");
                }
            };
            spawn(scope, format!("launches {number}"), launch);
        }
    });
}

/// A tor without network.
fn offline() -> Launcher {
    launcher().option("DisableNetwork", "1").wait_for(Ready::Controller)
}

/// A tor that never bootstraps, since its bridge does not exist.
fn bootstrapping() -> Launcher {
    launcher().option("UseBridges", "1").option("Bridge", "127.0.0.1:1")
}

fn launcher() -> Launcher {
    let launcher = Launcher::new().program(tor_binary()).option("SocksPort", "0");
    launcher.timeout(LONG).stall_timeout(LONG)
}

fn launch(run: &Run, random: &mut Random) {
    let (count, watch) = (|what: &str| run.figures.count(what), &run.watch);
    let launcher = if random.below(2) == 0 { offline() } else { bootstrapping() };
    let moment = random.millis(0..START_MILLIS);
    match random.below(6) {
        0 => {
            let token = CancelToken::new();
            let canceling = token.clone();
            let thread = named("cancel", move || {
                thread::sleep(moment);
                canceling.cancel();
            });
            let launcher = launcher.cancel_token(&token);
            let launched = watch.call("a launch that is canceled", moment, || launcher.launch());
            match launched {
                Ok(tor) => end(run, tor, random),
                Err(error) if error.is_canceled() => count("cancels"),
                Err(error) => panic!("{error:?}"),
            }
            thread.join().unwrap();
        }
        1 => {
            match watch.call("a launch with a limit", moment, || launcher.timeout(moment).launch())
            {
                Ok(tor) => end(run, tor, random),
                Err(Error::Launch(_) | Error::Timeout(_)) => count("timeouts"),
                Err(error) => panic!("{error:?}"),
            }
        }
        2 => end(run, watch.call("a launch", LONG, || offline().launch()).unwrap(), random),
        3 => {
            let tor = launcher.spawn().unwrap();
            thread::sleep(moment);
            count("ends while tor starts");
            end(run, tor, random);
        }
        4 => {
            let tor = launcher.spawn().unwrap();
            let pid = Pid::from_raw(i32::try_from(tor.pid()).unwrap());
            let thread = named("kill", move || {
                thread::sleep(moment);
                kill(pid, Signal::SIGKILL).unwrap();
            });
            let failed =
                watch.call("a launch whose tor is killed", moment, || tor.wait_bootstrapped(LONG));
            assert!(matches!(failed, Err(Error::Launch(_))), "{failed:?}");
            thread.join().unwrap();
            count("ends by SIGKILL");
            end(run, tor, random);
        }
        _ => {
            let tor = Arc::new(launcher.spawn().unwrap());
            let waits: [fn(&TorProcess) -> bool; 3] = [
                |tor| tor.wait_bootstrapped(LONG).is_ok(),
                |tor| tor.wait_controller(LONG).is_ok(),
                |tor| tor.wait().is_ok(),
            ];
            thread::scope(|scope| {
                for wait in waits {
                    let tor = Arc::clone(&tor);
                    scope.spawn(move || {
                        watch.call("a wait for a tor that is ended", moment + LIMIT, || wait(&tor));
                    });
                }
                thread::sleep(moment);
                watch.call("quit", LIMIT, || tor.quit()).unwrap();
                count("ends while threads wait for tor");
            });
            end(run, Arc::into_inner(tor).expect("no thread has it"), random);
        }
    }
}

/// Ends a tor in some way; then it has no process and no directory.
fn end(run: &Run, tor: TorProcess, random: &mut Random) {
    let (pid, directory): (u32, PathBuf) = (tor.pid(), tor.data_directory().to_owned());
    let watch = &run.watch;
    let way = random.below(6);
    match way {
        0 => drop(watch.call("quit", LIMIT, || tor.quit()).unwrap()),
        1 => {
            tor.kill().unwrap();
            watch.call("a wait for a killed tor", LIMIT, || tor.wait()).unwrap();
        }
        2 => {
            tor.terminate().unwrap();
            watch.call("a wait for the end", LIMIT, || tor.wait_timeout(LIMIT)).unwrap();
        }
        3 => {
            // tor ends with the connection that owns it.
            if let Ok(controller) = tor.controller() {
                watch.call("close", LIMIT, || controller.close());
                watch.call("a wait for the end", LIMIT, || tor.wait_timeout(LIMIT)).unwrap();
            }
        }
        _ => {}
    }
    let ends = ["quit", "kill", "terminate", "close of the connection", "drop", "drop"];
    run.figures.count(&format!("ends: {}", ends[way]));
    watch.call("drop of a tor", LIMIT, || drop(tor));
    assert!(!Path::new(&format!("/proc/{pid}")).exists(), "tor {pid} is left");
    assert!(!directory.exists(), "{directory:?} is left");
}
