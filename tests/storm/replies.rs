use std::sync::atomic::Ordering;
use std::thread;

use torcon::{ConnectOptions, Controller};

use crate::LIMIT;
use crate::callers::{Caller, PATIENT, Shared, Task};
use crate::relay::Relay;
use crate::run::{Run, spawn};
use crate::support::real_tor::RealTor;
use crate::support::watchdog::eventually;

/// Each task, and those whose callers give up more than once.
const TASKS: [Task; 14] = [
    Task::Ask,
    Task::Ask,
    Task::Hurry,
    Task::Hurry,
    Task::Many,
    Task::Stream,
    Task::Stream,
    Task::Stream,
    Task::Queue,
    Task::Set,
    Task::Map,
    Task::Wait,
    Task::Listen,
    Task::Build,
];

/// A tor that is stopped, and a relay that forwards nothing, again and again; on each connection
/// every reply reaches its caller, and no patient caller times out.
pub(crate) fn storm(run: &Run) {
    let tor = RealTor::start();
    let mut random = run.random(0);
    let mut round = 0;
    while !run.is_over() {
        round += 1;
        let relay = Relay::before(tor.socket_path(), run.random(round).next());
        let endpoints = [tor.endpoint(), relay.endpoint()];
        let connect = |endpoint: &String| ConnectOptions::new().connect(endpoint.as_str()).unwrap();
        let controllers: Vec<Controller> = endpoints.iter().map(connect).collect();
        let shared = Shared::new(&controllers[0]);
        thread::scope(|scope| {
            for (index, controller) in controllers.iter().enumerate() {
                for task in TASKS {
                    let caller = Caller::new(run, &shared, controller.clone(), index);
                    spawn(scope, format!("{task:?}"), move || caller.work(task));
                }
            }
            for _ in 0..10 {
                run.pause(random.millis(0..400));
                let stalled = random.millis(1..200);
                match random.below(2) {
                    0 => {
                        tor.stop();
                        run.pause(stalled);
                        tor.cont();
                    }
                    _ => {
                        relay.stall(true);
                        run.pause(stalled);
                        relay.stall(false);
                    }
                }
                run.figures.count("times that tor was stopped or the relay stalled");
                if run.is_over() {
                    break;
                }
            }
            shared.is_over.store(true, Ordering::SeqCst);
        });
        for controller in controllers {
            assert!(controller.is_alive(), "{:?}", controller.closed_reason());
            let last = run
                .watch
                .call("the last command", PATIENT, || controller.get_info_one("process/pid"));
            assert_eq!(last.unwrap(), tor.pid().to_string());
        }
        eventually(LIMIT, "the threads of the connections have ended", || {
            crate::support::leaks::threads("torcon-").is_empty()
        });
        run.end_round();
    }
}
