//! A tor with its configuration, state, onion services and streams.

mod config;
mod global;
mod onion;
mod readiness;
mod state;
mod streams;

use std::fmt;
use std::sync::OnceLock;

use crate::config::Config;
use crate::controller::{Controller, connect, connect_default};
use crate::error::{Error, InvalidInput, Result};
use crate::link::{CommandLock, Endpoint};
use crate::process::{Launcher, TorProcess};
use crate::state::State;

/// A tor that was running, or one that this program has launched.
///
/// Made by [`Tor::connect`], [`Tor::launch`], or from a [`Controller`]. Dropping it ends a launched
/// tor. The connection to a running tor is closed unless there is another clone of its controller.
///
/// # Examples
///
/// ```no_run
/// # fn main() -> Result<(), torcon::Error> {
/// use torcon::Tor;
/// use torcon::process::Launcher;
///
/// let tor = match Tor::connect("127.0.0.1:9051") {
///     Ok(tor) => tor,
///     Err(_) => Tor::launch(Launcher::new())?,
/// };
/// println!("tor {}", tor.controller().version());
/// # Ok(())
/// # }
/// ```
#[must_use = "a launched tor is ended when this is dropped"]
pub struct Tor {
    controller: Controller,
    process: Option<TorProcess>,
    /// `None` until it is first requested.
    state: CommandLock<Option<State>>,
    config: OnceLock<Config>,
}

impl Tor {
    /// Connects to a running tor, as [`torcon::connect`](crate::connect) does.
    ///
    /// Blocks the current thread until tor accepts the authentication, for at most 30 seconds. For
    /// a password, another limit or another address of the `SocksPort` use
    /// [`ConnectOptions`](crate::ConnectOptions) and `Tor::from`.
    ///
    /// # Errors
    ///
    /// Those of [`ConnectOptions::connect`](crate::ConnectOptions::connect).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("unix:/run/tor/control")?;
    /// println!("tor {}", tor.controller().version());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn connect<E>(endpoint: E) -> Result<Self>
    where
        E: TryInto<Endpoint>,
        Error: From<E::Error>,
    {
        connect(endpoint).map(Self::from)
    }

    /// Connects to the first running tor at the usual endpoints, as
    /// [`torcon::connect_default`](crate::connect_default) does.
    ///
    /// Blocks the current thread until a tor accepts the authentication, for at most 30 seconds.
    ///
    /// # Errors
    ///
    /// Those of [`ConnectOptions::connect_default`](crate::ConnectOptions::connect_default).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect_default()?;
    /// println!("{}", tor.resolve("example.com")?);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn connect_default() -> Result<Self> {
        connect_default().map(Self::from)
    }

    /// Launches a tor, as [`Launcher::launch`] does.
    ///
    /// Blocks the current thread until tor is ready, for at most the limits of the launcher.
    ///
    /// # Errors
    ///
    /// Those of [`Launcher::launch`]; [`Error::InvalidInput`] with
    /// [`ControlVia::None`](crate::process::ControlVia::None).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::{Launcher, Tor};
    ///
    /// let launcher = Launcher::new()
    ///     .option("SocksPort", "auto")
    ///     .on_progress(|progress| eprintln!("{progress}"));
    /// let tor = Tor::launch(launcher)?;
    /// let stream = tor.connect_stream("example.com:80")?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn launch(launcher: Launcher) -> Result<Self> {
        if !launcher.has_control() {
            let problem = "has no control connection, which a Tor needs";
            return Err(InvalidInput::new("launcher", problem).into());
        }
        Self::of_process(launcher.launch()?)
    }

    /// Returns the tor of a process whose control connection is ready.
    pub(crate) fn of_process(process: TorProcess) -> Result<Self> {
        let controller = process.controller()?.clone();
        Ok(Self {
            controller,
            process: Some(process),
            config: OnceLock::new(),
            state: CommandLock::default(),
        })
    }

    /// Returns the controller.
    #[doc(alias = "protocol")]
    pub fn controller(&self) -> &Controller {
        &self.controller
    }

    /// Returns the process of a tor that was launched by [`Tor::launch`].
    #[must_use]
    pub fn process(&self) -> Option<&TorProcess> {
        self.process.as_ref()
    }

    /// Ends a launched tor, or closes the connection to a running one.
    ///
    /// Blocks the current thread until a launched tor has exited, as [`TorProcess::quit`] does, or
    /// until the connection is closed, as [`Controller::close`] does.
    ///
    /// # Errors
    ///
    /// Those of [`TorProcess::quit`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::{Launcher, Tor};
    ///
    /// let tor = Tor::launch(Launcher::new())?;
    /// // Unlike the drop, reports how it ended.
    /// tor.close()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn close(&self) -> Result<()> {
        match &self.process {
            Some(process) => process.quit().map(drop),
            None => {
                self.controller.close();
                Ok(())
            }
        }
    }
}

impl From<Controller> for Tor {
    fn from(controller: Controller) -> Self {
        Self { controller, process: None, config: OnceLock::new(), state: CommandLock::default() }
    }
}

impl fmt::Debug for Tor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tor")
            .field("controller", &self.controller)
            .field("process", &self.process)
            .finish()
    }
}
