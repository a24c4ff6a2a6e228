//! A tor and a terminal for the tests.

mod session;

use std::path::Path;
use std::time::Duration;

use torcon::{Launcher, TorProcess};

pub(crate) use self::session::Session;

/// The program.
pub(crate) const MONITOR: &str = env!("CARGO_BIN_EXE_monitor");

/// The limit of each wait: a loaded machine is slow.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// A tor without network.
pub(crate) struct RealTor {
    process: TorProcess,
}

impl RealTor {
    /// Starts a tor, and waits until it accepts control connections.
    pub(crate) fn start() -> Self {
        let launcher = Launcher::new().option("DisableNetwork", "1").option("SocksPort", "auto");
        let process = launcher.spawn().unwrap();
        process.wait_controller(LIMIT).unwrap();
        Self { process }
    }

    /// Returns the endpoint as an argument.
    pub(crate) fn endpoint(&self) -> String {
        self.process.control_endpoint().unwrap().to_string()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }

    pub(crate) fn kill(&self) {
        self.process.kill().unwrap();
    }
}

/// Returns whether a process runs; a dead one whose parent has not waited for it does not.
pub(crate) fn is_running(pid: u32) -> bool {
    state_and_parent(pid).is_some_and(|(state, _)| state != "Z")
}

/// Returns the children of a process.
pub(crate) fn children(parent: u32) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| state_and_parent(*pid).is_some_and(|(_, of)| of == parent)).collect()
}

fn state_and_parent(pid: u32) -> Option<(String, u32)> {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat"));
    // The name before the parenthesis may have blanks.
    let stat = stat.ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    Some((fields.next()?.to_owned(), fields.next()?.parse().ok()?))
}
