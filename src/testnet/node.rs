use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use super::options::{self, AuthorityPorts, Setting};
use super::stage::Stage;
use crate::controller::Controller;
use crate::error::{Error, InvalidInput, Result, TestnetProblem};
use crate::link::CancelToken;
use crate::names::{Fingerprint, Nickname, Signal, TorVersion};
use crate::process::{Launcher, Ready, TorProcess};
use crate::sync::Mutex;

/// How long after its control connection a process may end.
const EXIT_AFTER_LOSS: Duration = Duration::from_secs(1);
/// How long a killed process may take to end.
const KILL_LIMIT: Duration = Duration::from_secs(10);

/// The role of a tor in the network.
#[derive(Clone, Debug)]
pub(super) enum Role {
    Authority { ports: AuthorityPorts },
    Relay { is_exit: bool, resolv_conf: PathBuf },
}

/// One tor of the network, with its process while it runs.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) nickname: Nickname,
    pub(super) role: Role,
    program: PathBuf,
    directory: PathBuf,
    /// The options in addition to those of its role.
    settings: Vec<Setting>,
    /// 0 until tor has chosen it.
    or_port: AtomicU16,
    fingerprint: Mutex<Option<Fingerprint>>,
    version: Mutex<Option<TorVersion>>,
    // A leaf lock.
    process: Mutex<Option<Arc<TorProcess>>>,
    /// Locked while the tor is killed or restarted.
    changing: Mutex<()>,
}

impl Node {
    pub(super) fn new(
        nickname: Nickname,
        role: Role,
        program: PathBuf,
        directory: PathBuf,
        settings: Vec<Setting>,
    ) -> Self {
        let or_port = match &role {
            Role::Authority { ports } => ports.or,
            Role::Relay { .. } => 0,
        };
        Self {
            nickname,
            role,
            program,
            directory,
            settings,
            or_port: AtomicU16::new(or_port),
            fingerprint: Mutex::new(None),
            version: Mutex::new(None),
            process: Mutex::new(None),
            changing: Mutex::new(()),
        }
    }

    pub(super) fn is_authority(&self) -> bool {
        matches!(self.role, Role::Authority { .. })
    }

    pub(super) fn is_exit(&self) -> bool {
        matches!(self.role, Role::Relay { is_exit: true, .. })
    }

    pub(super) fn or_port(&self) -> u16 {
        self.or_port.load(Ordering::Relaxed)
    }

    pub(super) fn fingerprint(&self) -> Option<Fingerprint> {
        *self.fingerprint.lock()
    }

    pub(super) fn version(&self) -> Option<TorVersion> {
        self.version.lock().clone()
    }

    /// Returns its process, or an error if it was killed.
    pub(super) fn running(&self) -> Result<Arc<TorProcess>> {
        let down = InvalidInput::new("nickname", "this relay was killed and not restarted");
        self.process().ok_or_else(|| down.into())
    }

    pub(super) fn process(&self) -> Option<Arc<TorProcess>> {
        self.process.lock().clone()
    }

    /// Starts its tor. [`connect`](Self::connect) must follow.
    pub(super) fn spawn(&self, stage: Stage, cancel: Option<&CancelToken>) -> Result<()> {
        let nickname = self.nickname.as_str();
        let role = match &self.role {
            Role::Authority { ports } => options::authority(nickname, *ports),
            Role::Relay { is_exit, resolv_conf } => {
                let or_port = Some(self.or_port()).filter(|port| *port != 0);
                options::relay(nickname, or_port, *is_exit, resolv_conf)
            }
        };
        let launcher = Launcher::new()
            .program(&self.program)
            .data_directory(&self.directory)
            .wait_for(Ready::Controller)
            .timeout(stage.time_left())
            .stall_timeout(Duration::MAX)
            // A warning of a library should not end the network.
            .kill_on_stderr(false);
        let launcher = match cancel {
            Some(token) => launcher.cancel_token(token),
            None => launcher,
        };
        let all = role.iter().chain(&self.settings);
        let launcher = all.fold(launcher, |launcher, (name, value)| launcher.option(name, value));
        let process = launcher.spawn().map_err(|error| match error {
            // An invalid option of the user.
            Error::InvalidInput(_) => error,
            error => self.failed(stage, error),
        })?;
        *self.process.lock() = Some(Arc::new(process));
        Ok(())
    }

    /// Waits for the control connection, which owns the tor, and reads the fingerprint and port.
    pub(super) fn connect(&self, stage: Stage) -> Result<()> {
        let process = self.running()?;
        process.wait_controller(stage.time_left()).map_err(|error| self.failed(stage, error))?;
        let fingerprint = self.get_info(stage, "fingerprint")?;
        let listeners = self.get_info(stage, "net/listeners/or")?;
        let unreadable = |what: &str| {
            let problem = TestnetProblem::Unreadable { what: what.into() };
            stage.node_error(self.nickname.as_str(), problem, process.last_lines())
        };
        let fingerprint = fingerprint.parse().map_err(|_| unreadable("the fingerprint"))?;
        let or_port = first_port(&listeners).ok_or_else(|| unreadable("the OR port"))?;
        *self.fingerprint.lock() = Some(fingerprint);
        *self.version.lock() = Some(self.controller(stage)?.version().clone());
        self.or_port.store(or_port, Ordering::Relaxed);
        Ok(())
    }

    /// Returns a controller whose commands time out at the deadline.
    pub(super) fn controller(&self, stage: Stage) -> Result<Controller> {
        let process = self.running()?;
        let controller = process.controller().map_err(|error| self.failed(stage, error))?;
        Ok(controller.with_timeout(stage.time_left()))
    }

    pub(super) fn get_info(&self, stage: Stage, key: &str) -> Result<String> {
        let reply = self.controller(stage)?.get_info_one(key);
        reply.map_err(|error| self.failed(stage, error))
    }

    pub(super) fn set_conf(&self, stage: Stage, settings: &[Setting]) -> Result<()> {
        let settings = settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let result = self.controller(stage)?.set_conf(settings);
        result.map_err(|error| self.failed(stage, error))
    }

    /// Sends `SIGNAL RELOAD`, after which tor fetches missing directory documents at once.
    pub(super) fn reload(&self, stage: Stage) -> Result<()> {
        let result = self.controller(stage)?.signal(Signal::Reload);
        result.map_err(|error| self.failed(stage, error))
    }

    /// Fails if its tor has ended.
    pub(super) fn check_alive(&self, stage: Stage) -> Result<()> {
        let process = self.running()?;
        match process.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => {
                let problem = TestnetProblem::Exited { status };
                let lines = process.last_lines();
                let nickname = self.nickname.as_str();
                Err(stage.node_error(nickname, problem, lines))
            }
            Err(error) => Err(self.failed(stage, error)),
        }
    }

    /// Kills its tor and waits for its end.
    pub(super) fn kill(&self) -> Result<()> {
        let _changing = self.changing.lock();
        self.take_down()
    }

    /// Kills its tor if it runs, and starts it again with the same keys and the same port. `wait`
    /// waits until it can be used.
    pub(super) fn restart(&self, stage: Stage, wait: impl FnOnce() -> Result<()>) -> Result<()> {
        let _changing = self.changing.lock();
        self.take_down()?;
        let restarted = self.spawn(stage, None).and_then(|()| self.connect(stage));
        restarted.and_then(|()| wait()).inspect_err(|_| {
            let _ = self.take_down();
        })
    }

    /// Sends SIGKILL to its tor, and does not wait.
    ///
    /// SIGTERM is not reliable: relays of tor 0.4.9 sometimes hang while they end their worker
    /// threads. Nothing that tor would write at its end is needed.
    pub(super) fn send_kill(&self) -> Result<()> {
        self.process().map_or(Ok(()), |process| process.kill())
    }

    /// Kills its tor if it runs, and waits for its end.
    pub(super) fn take_down(&self) -> Result<()> {
        let Some(process) = self.process() else { return Ok(()) };
        process.kill()?;
        process.wait_timeout(KILL_LIMIT)?;
        *self.process.lock() = None;
        Ok(())
    }

    fn failed(&self, stage: Stage, error: Error) -> Error {
        let process = self.process();
        let lines = match (&error, &process) {
            (Error::Launch(error), _) => error.last_lines().to_vec(),
            (_, Some(process)) => {
                if error.is_closed() {
                    // Its last lines are read at its end.
                    let _ = process.wait_timeout(EXIT_AFTER_LOSS);
                }
                process.last_lines()
            }
            (_, None) => Vec::new(),
        };
        let problem = TestnetProblem::Tor(Box::new(error));
        stage.node_error(self.nickname.as_str(), problem, lines)
    }
}

/// Returns the port in `"127.0.0.1:34567" "unix:..."`.
fn first_port(listeners: &str) -> Option<u16> {
    listeners.split('"').find_map(|address| address.rsplit_once(':')?.1.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::first_port;

    #[test]
    fn the_port_of_a_listener_is_parsed() {
        assert_eq!(first_port("\"127.0.0.1:34567\""), Some(34567));
        assert_eq!(first_port("\"127.0.0.1:1\" \"127.0.0.1:2\""), Some(1));
        assert_eq!(first_port(""), None);
    }
}
