//! The options of a connection.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::auth::{CookieSource, Password, PasswordSource};
use crate::error::{Error, Result};
use crate::link::{BufferLimits, CancelToken, Endpoint, LinkLimits};
use crate::wire::Limits;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);

const EVENT_LIMIT: usize = 64 << 20;

const REPLY_BUFFER: BufferLimits = BufferLimits { memory: 4 << 20, file: 1 << 30 };

/// The options of a connection: cookie, password, limits, endpoints.
///
/// Options are cheap to clone, and each [`connect`](Self::connect) makes a new connection.
///
/// # Examples
///
/// ```no_run
/// use std::time::Duration;
///
/// use torcon::ConnectOptions;
///
/// let options = ConnectOptions::new().password("correct horse").timeout(Duration::from_secs(5));
/// let controller = options.connect("localhost:9051")?;
/// println!("tor {}", controller.version());
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "options do nothing until they connect"]
pub struct ConnectOptions {
    /// The endpoint that the environment names.
    pub(super) endpoint: Option<Endpoint>,
    pub(super) timeout: Duration,
    pub(super) command_timeout: Duration,
    pub(super) cookie: CookieSource,
    pub(super) password: PasswordSource,
    pub(super) socks: Option<Result<Endpoint>>,
    pub(super) limits: LinkLimits,
    pub(super) cancel: Option<CancelToken>,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            endpoint: None,
            timeout: CONNECT_TIMEOUT,
            command_timeout: COMMAND_TIMEOUT,
            cookie: CookieSource::default(),
            password: PasswordSource::default(),
            socks: None,
            limits: LinkLimits {
                wire: Limits::default(),
                events: EVENT_LIMIT,
                replies: REPLY_BUFFER,
            },
            cancel: None,
        }
    }
}

impl ConnectOptions {
    /// Creates the default options.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::ConnectOptions;
    ///
    /// let options = ConnectOptions::new();
    /// # let _ = options;
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the time limit of [`connect`](Self::connect), authentication included. The default is
    /// 30 seconds.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use torcon::ConnectOptions;
    ///
    /// let options = ConnectOptions::new().timeout(Duration::from_secs(5));
    /// # let _ = options;
    /// ```
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// Sets the time limit of the commands of the new controller: see
    /// [`Controller::with_timeout`](crate::Controller::with_timeout). The default is 60 seconds.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use torcon::ConnectOptions;
    ///
    /// let options = ConnectOptions::new().command_timeout(Duration::from_secs(10));
    /// # let _ = options;
    /// ```
    #[doc(alias = "EVENTS_LISTENING_TIMEOUT")]
    pub fn command_timeout(mut self, limit: Duration) -> Self {
        self.command_timeout = limit;
        self
    }

    /// Sets the path of tor's cookie file in the file system of this program, for a tor in a
    /// container, in a changed root or on another machine.
    ///
    /// The cookie is used for SAFECOOKIE only, which does not send it and proves that the peer is
    /// the tor that wrote it. Replaces [`plain_cookie_file`](Self::plain_cookie_file) and
    /// [`without_cookie`](Self::without_cookie). The default is the path that tor names if the
    /// connection is local (a unix socket or within this machine), and no cookie otherwise.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::ConnectOptions;
    ///
    /// // The directory /var/lib/tor of a container, mounted elsewhere.
    /// let options = ConnectOptions::new().cookie_file("/srv/tor-data/control_auth_cookie");
    /// # let _ = options;
    /// ```
    #[doc(alias = "authenticate_safecookie")]
    pub fn cookie_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.cookie = CookieSource::File(path.into());
        self
    }

    /// Sets the path of tor's cookie file as [`cookie_file`](Self::cookie_file) does, and allows
    /// COOKIE if SAFECOOKIE is not offered, which **sends the contents of this file to any program
    /// that listens** at the endpoint.
    ///
    /// Every tor since 0.2.3 has SAFECOOKIE, so only peers other than tor need this. The default is
    /// that COOKIE is not used.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::ConnectOptions;
    ///
    /// let options = ConnectOptions::new().plain_cookie_file("/srv/old-tor/control_auth_cookie");
    /// # let _ = options;
    /// ```
    #[doc(alias = "authenticate_cookie")]
    pub fn plain_cookie_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.cookie = CookieSource::PlainFile(path.into());
        self
    }

    /// Disables the cookie methods, so that no cookie file is read.
    ///
    /// A [password](Self::password) is then sent also to a peer that does not know the cookie.
    /// Replaces [`cookie_file`](Self::cookie_file). The default is that a cookie is preferred.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::ConnectOptions;
    ///
    /// let options = ConnectOptions::new().without_cookie().password("correct horse");
    /// # let _ = options;
    /// ```
    pub fn without_cookie(mut self) -> Self {
        self.cookie = CookieSource::Never;
        self
    }

    /// Sets the password to use if tor offers no cookie, if the cookie cannot be used, or if tor
    /// refuses it.
    ///
    /// HASHEDPASSWORD sends the password itself to any program that listens at the endpoint and
    /// offers this method or refuses the cookie, but not to a peer whose SAFECOOKIE proof is wrong.
    /// The default is none.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::ConnectOptions;
    ///
    /// let options = ConnectOptions::new().password("correct horse");
    /// assert!(!format!("{options:?}").contains("horse"));
    /// ```
    #[doc(alias = "authenticate_password")]
    pub fn password(mut self, password: impl Into<Password>) -> Self {
        self.password = PasswordSource::known(password.into());
        self
    }

    /// Sets a closure that returns the password when [`password`](Self::password) would be used, or
    /// `None`.
    ///
    /// It is called at most once for each endpoint, on the thread that connects. The time limit is
    /// suspended meanwhile, so that it may ask a person. The default is none.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::stdin;
    ///
    /// use torcon::{ConnectOptions, Password};
    ///
    /// let options = ConnectOptions::new().password_with(|| {
    ///     eprintln!("password of the control port:");
    ///     let line = stdin().lines().next()?.ok()?;
    ///     Some(Password::from(line))
    /// });
    /// # let _ = options;
    /// ```
    #[doc(alias = "password_function")]
    pub fn password_with<F>(mut self, ask: F) -> Self
    where
        F: FnMut() -> Option<Password> + Send + 'static,
    {
        self.password = PasswordSource::closure(ask);
        self
    }

    /// Sets the endpoint at which this program reaches tor's `SocksPort`, such as `10.0.0.7:9050`,
    /// for a tor in a container or behind a forwarded port.
    ///
    /// Streams of [`Tor`](crate::Tor) and of circuits use it. The default is the first reachable
    /// listener that tor reports: `0.0.0.0` means the address of the control port, and the loopback
    /// of another machine is not used. SOCKS is not encrypted, so the network between this program
    /// and the port can read the targets.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::ConnectOptions;
    ///
    /// let options = ConnectOptions::new().socks_port("10.0.0.7:9050");
    /// # let _ = options;
    /// ```
    pub fn socks_port<E>(mut self, endpoint: E) -> Self
    where
        E: TryInto<Endpoint>,
        Error: From<E::Error>,
    {
        self.socks = Some(endpoint.try_into().map_err(Error::from));
        self
    }

    /// Sets the maximum length of a line, in bytes; a longer one ends the connection. The default
    /// is 16 MiB. Before authentication the limit is at most 64 KiB.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::ConnectOptions;
    ///
    /// let options = ConnectOptions::new().line_limit(1 << 20);
    /// # let _ = options;
    /// ```
    pub fn line_limit(mut self, bytes: usize) -> Self {
        self.limits.wire.line = bytes;
        self
    }

    /// Sets the maximum length of a reply or event, in bytes; a longer one ends the connection.
    ///
    /// Replies taken line by line, as by
    /// [`Controller::get_info_incremental`](crate::Controller::get_info_incremental), are not
    /// limited. The default is 256 MiB. Before authentication the limit is at most 64 KiB.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::ConnectOptions;
    ///
    /// let options = ConnectOptions::new().reply_limit(64 << 20);
    /// # let _ = options;
    /// ```
    pub fn reply_limit(mut self, bytes: usize) -> Self {
        self.limits.wire.reply = bytes;
        self
    }

    /// Sets how many bytes of a reply may wait on disk for a caller that is slower than tor.
    ///
    /// A reply taken line by line, as by
    /// [`Controller::get_info_incremental`](crate::Controller::get_info_incremental), is kept in
    /// memory up to 4 MiB (or one line, if that is longer), and beyond that in a temporary file, up
    /// to this limit. Replies that are held back after a
    /// [timeout](crate::Controller::with_timeout) share another file. If a reply exceeds the limit,
    /// or the file cannot be written, its command fails with [`Error::Buffer`]; the connection
    /// stays open.
    ///
    /// So replies may reach the disk, keys included. The file is in [`std::env::temp_dir`], readable
    /// by its owner only (mode 0600), and without a name, so that nothing is left of it however the
    /// program ends; on systems without nameless files, the name is removed at once. With 0 there
    /// is no file. The default is 1 GiB.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::ConnectOptions;
    ///
    /// // No reply reaches the disk.
    /// let options = ConnectOptions::new().reply_buffer_limit(0);
    /// # let _ = options;
    /// ```
    pub fn reply_buffer_limit(mut self, bytes: u64) -> Self {
        self.limits.replies.file = bytes;
        self
    }

    /// Sets the size of the queue of events for listeners, and of each
    /// [`EventQueue`](crate::EventQueue), in bytes of memory.
    ///
    /// An event takes its text and up to about a hundred bytes; a single event always fits. If the
    /// queue is full, events are dropped, and [`Event::Lagged`](crate::Event::Lagged) is delivered
    /// in their place. While no reply is pending, the connection is not read for up to a second
    /// instead, so that a listener that is not stuck loses nothing. The default is 64 MiB.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::ConnectOptions;
    ///
    /// let options = ConnectOptions::new().event_limit(8 << 20);
    /// # let _ = options;
    /// ```
    pub fn event_limit(mut self, bytes: usize) -> Self {
        self.limits.events = bytes;
        self
    }

    /// Sets a token by which another thread cancels the attempts. The default is none.
    ///
    /// The call fails with [`Error::Canceled`] as soon as it is canceled, while it resolves a name,
    /// opens the socket or authenticates. The resolver of the operating system cannot be interrupted:
    /// the thread `torcon-resolve` stays until it returns. A running
    /// [password closure](Self::password_with) is not interrupted either; its result is discarded. A
    /// connection that is open already is not closed.
    ///
    /// In the options of a [`Supervisor`](crate::Supervisor) the token stops it.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::thread;
    /// use std::time::Duration;
    ///
    /// use torcon::{CancelToken, ConnectOptions, Error};
    ///
    /// let token = CancelToken::new();
    /// let other = token.clone();
    /// thread::spawn(move || {
    ///     thread::sleep(Duration::from_secs(2));
    ///     other.cancel()
    /// });
    /// match ConnectOptions::new().cancel_token(&token).connect("tor.example:9051") {
    ///     Err(Error::Canceled(_)) => println!("no answer within two seconds"),
    ///     connected => println!("tor {}", connected?.version()),
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn cancel_token(mut self, token: &CancelToken) -> Self {
        self.cancel = Some(token.clone());
        self
    }

    /// Returns the token that cancels the attempts.
    pub(crate) fn canceled_by(&self) -> Option<&CancelToken> {
        self.cancel.as_ref()
    }

    /// Returns the limit of the queue of events, in bytes.
    pub(crate) fn events(&self) -> usize {
        self.limits.events
    }
}

impl fmt::Debug for ConnectOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectOptions")
            .field("endpoint", &self.endpoint)
            .field("timeout", &self.timeout)
            .field("command_timeout", &self.command_timeout)
            .field("cookie", &self.cookie)
            .field("socks", &self.socks)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
