//! A thousand controllers in one program.

use std::time::Duration;

use crate::support::exclusive::{exclusive_after, exclusive_beside};
use crate::support::leaks::{resident_memory, threads};
use crate::support::real_tor::RealTor;
use crate::support::watchdog::eventually;

const LIMIT: Duration = Duration::from_secs(60);

/// Starts a tor in another process, and returns it with the endpoint of its unix socket.
fn other_process() -> (RealTor, String) {
    let tor = RealTor::start();
    let endpoint = tor.endpoint();
    (tor, endpoint)
}

#[test]
fn a_thousand_controllers_answer_with_at_most_1024_descriptors() {
    let tor = exclusive_after("ulimit -n 1024", other_process, |endpoint| {
        let controllers: Vec<_> = (0..1000).map(|_| torcon::connect(endpoint).unwrap()).collect();
        // A new thread gives itself its name.
        eventually(LIMIT, "each has a thread", || threads("torcon-").len() == controllers.len());
        let pending: Vec<_> = controllers
            .iter()
            .map(|controller| controller.queue_command("GETINFO version").unwrap())
            .collect();
        for reply in pending {
            assert!(reply.wait().unwrap().is_success());
        }
        for controller in &controllers {
            assert!(controller.get_info_one("version").unwrap().starts_with("0."));
            controller.close();
        }
        assert_eq!(threads("torcon-"), Vec::<String>::new());
    });
    drop(tor);
}

#[test]
fn an_idle_controller_takes_little_memory() {
    let tor = exclusive_beside(other_process, |endpoint| {
        const COUNT: u64 = 100;
        let mut controllers = Vec::with_capacity(usize::try_from(COUNT).unwrap() + 1);
        // The memory of the first one is that of the code too.
        controllers.push(torcon::connect(endpoint).unwrap());
        controllers[0].get_info_one("version").unwrap();
        let before = resident_memory();
        for _ in 0..COUNT {
            controllers.push(torcon::connect(endpoint).unwrap());
        }
        let each = (resident_memory() - before) / COUNT;
        // Half of that is the stack of the thread, and less in a release build.
        assert!(each < 48 << 10, "a controller takes {each} bytes");
    });
    drop(tor);
}
