use std::time::Duration;

use super::Supervisor;
use super::source::Source;
use crate::controller::ConnectOptions;
use crate::error::{Error, InvalidInput, Result};
use crate::link::Endpoint;
use crate::process::Launcher;

/// The reaction when another controller or a reload changes an option that a supervisor sets.
///
/// # Examples
///
/// ```no_run
/// use torcon::supervisor::{IfChanged, SupervisorOptions};
/// use torcon::{ConnectOptions, Supervisor};
///
/// // The operator of this tor may change what the program sets.
/// let options = SupervisorOptions::new().if_option_changed(IfChanged::Report);
/// let supervisor = options.connect(["unix:/run/tor/control"], ConnectOptions::new())?;
/// supervisor.set_conf(("MaxCircuitDirtiness", "300"))?;
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum IfChanged {
    /// The supervisor sets the option again.
    #[default]
    SetAgain,
    /// The option stays as it is, and the [status](super::SupervisorStatus::Up) reports it. The next
    /// connection sets it again.
    Report,
}

/// The shortest interval between two checks.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

/// The delays, limits and reactions of a supervisor.
///
/// # Examples
///
/// ```no_run
/// use std::time::Duration;
///
/// use torcon::supervisor::SupervisorOptions;
/// use torcon::{ConnectOptions, Launcher};
///
/// # fn main() -> torcon::Result<()> {
/// let options = SupervisorOptions::new()
///     .backoff(Duration::from_millis(50), Duration::from_secs(5))
///     .time_limit(Duration::from_secs(600));
/// let system_tor = options.connect(["unix:/run/tor/control"], ConnectOptions::new())?;
/// let own_tor = options.launch(Launcher::new())?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "options do nothing until a supervisor is made with them"]
pub struct SupervisorOptions {
    pub(super) shortest_delay: Duration,
    pub(super) longest_delay: Duration,
    pub(super) attempts: Option<u32>,
    pub(super) time_limit: Option<Duration>,
    pub(super) deaths: u32,
    pub(super) death_window: Duration,
    pub(super) if_changed: IfChanged,
    pub(super) check_interval: Duration,
    /// The time limit of each part of a restore and of a check. Only unit tests change it.
    pub(super) restore_limit: Duration,
}

impl Default for SupervisorOptions {
    fn default() -> Self {
        Self {
            shortest_delay: Duration::from_millis(100),
            longest_delay: Duration::from_secs(30),
            attempts: None,
            time_limit: None,
            deaths: 5,
            death_window: Duration::from_secs(60),
            if_changed: IfChanged::default(),
            check_interval: Duration::from_secs(30),
            restore_limit: Duration::from_secs(30),
        }
    }
}

impl SupervisorOptions {
    /// Returns the default options.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the delay before the second attempt, which doubles for each further one, and the longest
    /// delay. The first attempt is made at once. Each delay is shortened by a random part of up to
    /// a half. The defaults are 0.1 and 30 seconds.
    pub fn backoff(mut self, shortest: Duration, longest: Duration) -> Self {
        self.shortest_delay = shortest.min(longest);
        self.longest_delay = longest;
        self
    }

    /// Sets how many attempts in a row may fail before the supervisor gives up, at least 1. A
    /// connection that lasts less than a second counts as a failed attempt. The default is no limit.
    pub fn attempts(mut self, limit: u32) -> Self {
        self.attempts = Some(limit.max(1));
        self
    }

    /// Sets how long the supervisor may be without a connection that lasts at least a second before
    /// it gives up, at the next failed attempt. The default is no limit.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = Some(limit);
        self
    }

    /// Sets how often a tor that the supervisor launches may end, or fail to start, within a period.
    /// At that number the supervisor gives up. A tor that ends because this program closes its
    /// connection does not count. The default is 5 times in 60 seconds.
    pub fn crash_loop(mut self, deaths: u32, window: Duration) -> Self {
        self.deaths = deaths;
        self.death_window = window;
        self
    }

    /// Sets the reaction when another controller or a reload changes an option that was set with
    /// [`Supervisor::set_conf`]. The default is [`IfChanged::SetAgain`].
    pub fn if_option_changed(mut self, reaction: IfChanged) -> Self {
        self.if_changed = reaction;
        self
    }

    /// Sets the interval at which options and client authorization keys are compared with tor's,
    /// besides after each `CONF_CHANGED` and `SIGNAL` event, and at which parts that could not be
    /// restored are tried again. The default is 30 seconds, the minimum 100 milliseconds. Without
    /// options, keys and failed parts, nothing is sent.
    ///
    /// If tor does not answer a check within 30 seconds, the supervisor connects again, or ends the
    /// tor that it has launched and launches it again.
    pub fn check_interval(mut self, interval: Duration) -> Self {
        self.check_interval = interval.max(SHORTEST_INTERVAL);
        self
    }

    /// Returns a supervisor of a running tor, as [`Supervisor::connect`] does, with these options.
    ///
    /// # Errors
    ///
    /// Those of [`Supervisor::connect`].
    pub fn connect<I>(self, endpoints: I, options: ConnectOptions) -> Result<Supervisor>
    where
        I: IntoIterator,
        I::Item: TryInto<Endpoint>,
        Error: From<<I::Item as TryInto<Endpoint>>::Error>,
    {
        let endpoints: Vec<Endpoint> =
            endpoints.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?;
        if endpoints.is_empty() {
            let problem = "is an empty list: give at least one endpoint to connect to";
            return Err(InvalidInput::new("endpoints", problem).into());
        }
        Supervisor::start(self, Source::Connect { endpoints, options: Box::new(options) })
    }

    /// Returns a supervisor of a tor that it launches, as [`Supervisor::launch`] does, with these
    /// options.
    ///
    /// # Errors
    ///
    /// Those of [`Supervisor::launch`].
    pub fn launch(self, launcher: Launcher) -> Result<Supervisor> {
        if !launcher.has_control() {
            let problem = "has no control connection, which a supervisor needs";
            return Err(InvalidInput::new("launcher", problem).into());
        }
        Supervisor::start(self, Source::Launch(Box::new(launcher.repeatable()?)))
    }
}
