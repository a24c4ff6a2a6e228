use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::os::unix::net::UnixListener;
use std::time::Duration;

use super::core::{Check, Core};
use super::door::{Door, Listener};
use super::fake_tor::{FakeTor, Place};
use super::playbook::Playbook;
use super::script::Script;
use crate::link::Endpoint;

/// The default limit of each step.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The version that a fake tor reports by default.
const VERSION: &str = "0.4.9.11";

/// Configures a [`FakeTor`].
///
/// Returned by [`FakeTor::builder`].
///
/// # Examples
///
/// ```
/// use torcon::ConnectOptions;
/// use torcon::testkit::FakeTor;
///
/// let tor = FakeTor::builder().tcp().password("swordfish").version("0.4.8.14").start();
/// let controller = ConnectOptions::new().password("swordfish").connect(tor.endpoint())?;
/// assert_eq!(controller.version().as_str(), "0.4.8.14");
/// # drop(controller);
/// # Ok::<(), torcon::Error>(())
/// ```
#[must_use = "nothing happens until start() or script() is called"]
pub struct FakeTorBuilder {
    address: Option<IpAddr>,
    password: Option<String>,
    version: String,
    timeout: Duration,
    in_any_order: bool,
    check: Option<Check>,
}

impl FakeTorBuilder {
    pub(super) fn new() -> Self {
        Self {
            address: None,
            password: None,
            version: VERSION.to_owned(),
            timeout: TIMEOUT,
            in_any_order: false,
            check: None,
        }
    }

    /// Listens on a free port of 127.0.0.1. The default is a unix socket in a temporary directory.
    ///
    /// # Examples
    ///
    /// ```
    /// # use torcon::testkit::FakeTor;
    /// let tor = FakeTor::builder().tcp().start();
    /// assert!(tor.endpoint().to_string().starts_with("127.0.0.1:"));
    /// ```
    pub fn tcp(self) -> Self {
        self.tcp_at(Ipv4Addr::LOCALHOST.into())
    }

    /// Listens on a free port of another address of this machine.
    ///
    /// # Examples
    ///
    /// ```
    /// # use torcon::testkit::FakeTor;
    /// let tor = FakeTor::builder().tcp_at([127, 0, 0, 2].into()).start();
    /// assert!(tor.endpoint().to_string().starts_with("127.0.0.2:"));
    /// ```
    pub fn tcp_at(mut self, address: IpAddr) -> Self {
        self.address = Some(address);
        self
    }

    /// Requires a password. The default is that no authentication is required.
    ///
    /// # Examples
    ///
    /// ```
    /// # use torcon::testkit::FakeTor;
    /// let tor = FakeTor::builder().password("swordfish").start();
    /// let options = torcon::ConnectOptions::new().password("wrong");
    /// let error = options.connect(tor.endpoint()).unwrap_err();
    /// assert_eq!(error.status_code(), Some(515));
    /// ```
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// Sets the version that it reports. The default is 0.4.9.11.
    ///
    /// # Examples
    ///
    /// ```
    /// # use torcon::testkit::FakeTor;
    /// let tor = FakeTor::builder().version("0.4.8.14").start();
    /// assert_eq!(tor.controller().version().as_str(), "0.4.8.14");
    /// ```
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into();
        self
    }

    /// Sets the time limit of each step of a script, of the connections of
    /// [`FakeTor::controller`], and of [`FakeTor::finish`]. The default is 10 seconds.
    ///
    /// # Examples
    ///
    /// ```
    /// # use torcon::testkit::FakeTor;
    /// use std::time::Duration;
    ///
    /// let tor = FakeTor::builder().timeout(Duration::from_secs(60)).start();
    /// assert!(tor.controller().is_alive());
    /// ```
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// Allows expected commands to arrive in any order, for programs of several threads. The default
    /// is the order of the calls of [`FakeTor::expect`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use torcon::testkit::FakeTor;
    /// let tor = FakeTor::builder().in_any_order().start();
    /// tor.expect("SAVECONF", "250 OK");
    /// tor.expect("DROPGUARDS", "250 OK");
    /// let controller = tor.controller();
    /// controller.drop_guards()?;
    /// controller.save_conf()?;
    /// tor.finish();
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn in_any_order(mut self) -> Self {
        self.in_any_order = true;
        self
    }

    /// Sets a check of everything that the fake tor sends, such as a comparison with a recording. It
    /// gets the number of the connection and the bytes; an error fails the test. The default is none.
    ///
    /// # Examples
    ///
    /// ```
    /// # use torcon::testkit::FakeTor;
    /// let tor = FakeTor::builder()
    ///     .check_sent(|_, bytes| {
    ///         let text = String::from_utf8_lossy(bytes);
    ///         if text.contains("OR_CONN") { Err("tor has no OR_CONN".to_owned()) } else { Ok(()) }
    ///     })
    ///     .start();
    /// assert!(tor.controller().is_alive());
    /// ```
    pub fn check_sent(
        mut self,
        check: impl Fn(usize, &[u8]) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        self.check = Some(Box::new(check));
        self
    }

    /// Starts a fake tor as [`FakeTor::start`] does.
    ///
    /// # Panics
    ///
    /// Panics if this machine has no free port, directory or thread.
    ///
    /// # Examples
    ///
    /// ```
    /// # use torcon::testkit::FakeTor;
    /// let tor = FakeTor::builder().tcp().start();
    /// assert!(tor.controller().is_alive());
    /// ```
    #[must_use = "a fake tor ends when it is dropped"]
    #[track_caller]
    pub fn start(self) -> FakeTor {
        let (core, place) = self.listen();
        FakeTor::serve(core, place)
    }

    /// Starts a fake tor as [`FakeTor::script`] does.
    ///
    /// # Panics
    ///
    /// Panics if this machine has no free port, directory or thread.
    ///
    /// # Examples
    ///
    /// ```
    /// # use torcon::testkit::FakeTor;
    /// let tor = FakeTor::builder().tcp().script(|script| {
    ///     script.greet().expect_end();
    /// });
    /// drop(tor.controller());
    /// tor.finish();
    /// ```
    #[must_use = "a fake tor ends when it is dropped"]
    #[track_caller]
    pub fn script(self, play: impl FnOnce(&mut Script) + Send + 'static) -> FakeTor {
        let (core, place) = self.listen();
        FakeTor::play(core, place, play)
    }

    #[track_caller]
    fn listen(self) -> (Core, Place) {
        let listened = self.address.map_or_else(unix, tcp);
        let listened = listened.and_then(|(listener, place)| Ok((Door::new(listener)?, place)));
        let (door, mut place) = match listened {
            Ok(listened) => listened,
            Err(error) => panic!("the fake tor cannot listen: {error}"),
        };
        place.password.clone_from(&self.password);
        let playbook = Playbook::new(self.version, self.password, self.in_any_order);
        (Core::new(door, playbook, self.timeout, self.check), place)
    }
}

fn unix() -> io::Result<(Listener, Place)> {
    let directory = tempfile::Builder::new().prefix("fake-tor-").tempdir()?;
    let path = directory.path().join("control");
    let listener = UnixListener::bind(&path)?;
    let endpoint = Endpoint::from(path);
    Ok((Listener::Unix(listener), Place { endpoint, password: None, _directory: Some(directory) }))
}

fn tcp(address: IpAddr) -> io::Result<(Listener, Place)> {
    let listener = TcpListener::bind((address, 0))?;
    let endpoint = Endpoint::from(listener.local_addr()?);
    Ok((Listener::Tcp(listener), Place { endpoint, password: None, _directory: None }))
}

impl fmt::Debug for FakeTorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeTorBuilder")
            .field("address", &self.address)
            .field("version", &self.version)
            .field("timeout", &self.timeout)
            .field("in_any_order", &self.in_any_order)
            .finish_non_exhaustive()
    }
}
