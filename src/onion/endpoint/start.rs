//! The calls that start a service, and the checks before.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use super::{OnionEndpoint, TorSource};
use crate::error::{Error, InvalidInput, OnionError, OnionProblem, Result, Wait};
use crate::names::{OnionPort, PortTarget};
use crate::onion::listener::OnionListener;
use crate::onion::local::{BindTarget, LocalSocket, check_socket_path};
use crate::onion::service::OnionService;

/// # Starting the service
impl OnionEndpoint {
    /// Opens the local listener and adds the service, and returns the listener when the service is
    /// published.
    ///
    /// Blocks the current thread until tor is launched or connected, has added the service, and has
    /// published it as set by [`publication`](Self::publication), for at most
    /// [`timeout`](Self::timeout) after the addition. If that time passes while at least one
    /// directory has the descriptor, the listener is returned; [`uploads`](OnionListener::uploads)
    /// shows which directories are missing.
    ///
    /// Sends, after the commands of launching or connecting:
    ///
    /// - `SETEVENTS` with `HS_DESC`, and `GETCONF DisableNetwork` before the wait for publication.
    /// - For an ephemeral service `ADD_ONION ED25519-V3:key`, or `ADD_ONION NEW:ED25519-V3` if no key
    ///   was given and a filter refuses the first form; `DEL_ONION` if the reply is late or
    ///   unreadable.
    /// - For a filesystem service `SETEVENTS` with `CONF_CHANGED` and `SIGNAL`, `GETINFO process/pid
    ///   process/uid`, if the address is known `GETINFO onions/current` and `GETINFO
    ///   onions/detached`, `GETCONF HiddenServiceOptions`, and `SETCONF` with the lines of all
    ///   services and of the new one. If the directory has a service already, `GETINFO config-file`
    ///   and `GETINFO config-defaults-file`; if tor refuses `SETCONF`, `GETCONF Sandbox`; if its
    ///   reply is late, `SETCONF` with the former lines.
    ///
    /// Later the thread `torcon-onion` sends the queries of
    /// [`check_interval`](Self::check_interval), and adds a removed service again.
    ///
    /// # Errors
    ///
    /// - [`Error::InvalidInput`] if options contradict each other or are not valid in the protocol.
    /// - [`Error::Onion`], whose [`problem`](crate::error::OnionError::problem) names the defect of
    ///   the local listener, the directory, the key or the publication.
    /// - [`Error::Timeout`] if no directory accepted a descriptor in time.
    /// - [`Error::Canceled`] if the [token](Self::cancel_token) was canceled.
    /// - Those of [`Launcher::launch`](crate::Launcher::launch),
    ///   [`ConnectOptions::connect`](crate::ConnectOptions::connect) and
    ///   [`Controller::execute`](crate::Controller::execute).
    ///
    /// After an error, no listener, no service and no new directory is left.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let listener = tor.onion_endpoint(80).listen()?;
    /// println!("http://{}", listener.onion_address());
    /// for stream in listener.incoming() {
    ///     println!("{:?}", stream?);
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "startListening")]
    pub fn listen(mut self) -> Result<OnionListener> {
        self.resolve();
        let bind_target = self.bind_target.lock().take();
        let bind_target = bind_target.unwrap_or(BindTarget::Tcp((Ipv4Addr::LOCALHOST, 0).into()));
        if let BindTarget::Unix(path) = &bind_target {
            check_socket_path("local_unix", path)?;
        }
        self.check()?;
        let (port, has_circuit_ids) = (self.port, self.service.export_circuit_id);
        let local = LocalSocket::bind(bind_target)?;
        let target = self.target_of(&local)?;
        let pair = UnixStream::pair();
        let (ended, end) =
            pair.map_err(|error| OnionError::new(OnionProblem::Accept(Arc::new(error))))?;
        let service = self.add(target, Some(&local), Some(end))?;
        Ok(OnionListener::new(service, local, ended, port, has_circuit_ids))
    }

    /// Adds the service without a local listener, in front of a server: connections to its port are
    /// forwarded to `target`, which may be text such as `127.0.0.1:8080`, a port of 127.0.0.1, an
    /// address, the path of a unix socket, or a listener of this program.
    ///
    /// Blocks the current thread and sends commands as [`listen`](Self::listen) does. The service
    /// ends when the result is dropped.
    ///
    /// # Errors
    ///
    /// Those of [`listen`](Self::listen); [`Error::InvalidInput`] also if a local listener was set.
    ///
    /// # Examples
    ///
    /// An HTTP server that has the same onion address in every run:
    ///
    /// ```no_run
    /// use torcon::Tor;
    /// use torcon::names::OnionKey;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let server = tiny_http::Server::http("127.0.0.1:8080")?;
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let key = OnionKey::read_or_create_file("web.key")?;
    /// let service = tor.onion_endpoint(80).key(key).start("127.0.0.1:8080")?;
    /// println!("http://{}", service.onion_address());
    /// for request in server.incoming_requests() {
    ///     request.respond(tiny_http::Response::from_string("hello"))?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// A listener of this program, whatever its port is:
    ///
    /// ```no_run
    /// use std::net::TcpListener;
    ///
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let service = tor.onion_endpoint(80).start(&listener)?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias("add_to_tor", "Forward"))]
    #[doc(alias = "create_onion_service")]
    #[doc(alias = "forward")]
    #[doc(alias = "in_front_of")]
    pub fn start<T>(mut self, target: T) -> Result<OnionService>
    where
        T: TryInto<PortTarget>,
        Error: From<T::Error>,
    {
        let target = target.try_into()?;
        self.resolve();
        if self.bind_target.lock().is_some() {
            let problem = "conflicts with the target of start(): use listen()";
            return Err(InvalidInput::new("local address", problem).into());
        }
        if self.reached_at.is_some() {
            let problem = "needs a local listener, which start() does not open: use listen()";
            return Err(InvalidInput::new("reached_at", problem).into());
        }
        self.check()?;
        check_target("target", &target)?;
        self.add(target, None, None)
    }

    fn resolve(&mut self) {
        self.service.resolve(match &self.source {
            TorSource::Given(_, launched) | TorSource::Supervised(_, launched) => *launched,
            TorSource::Connect(_) => false,
            TorSource::Private | TorSource::Shared(_) => true,
        });
    }

    /// Checks everything that can be checked without a tor.
    fn check(&mut self) -> Result<()> {
        if let Some(invalid) = self.invalid.take() {
            return Err(invalid);
        }
        let more = self.more_ports.iter().map(OnionPort::virtual_port);
        if [self.port].into_iter().chain(more).any(|port| port == 0) {
            return Err(InvalidInput::new("port", "must not be 0").into());
        }
        for target in self.more_ports.iter().filter_map(OnionPort::target) {
            check_target("target", target)?;
        }
        if let Some(target) = &self.reached_at {
            check_reached_at(target)?;
        }
        if self.service.discard_key && matches!(self.source, TorSource::Supervised(..)) {
            let problem = "is not for a tor with a supervisor, which adds the service again";
            return Err(InvalidInput::new("discard_key", problem).into());
        }
        self.service.check()?;
        Ok(self.cancel.as_ref().map_or(Ok(()), |token| token.check(Wait::Publication))?)
    }

    /// Returns the target at which tor on this machine reaches the local listener.
    fn target_of(&self, local: &LocalSocket) -> Result<PortTarget, InvalidInput> {
        match (&self.reached_at, local.address()) {
            (None, _) => Ok(local.target()),
            (Some(PortTarget::Ip(ip)), PortTarget::Tcp(listener)) => {
                Ok(SocketAddr::new(*ip, listener.port()).into())
            }
            (Some(PortTarget::Ip(_)), _) => {
                let problem = "must have a port: the local listener is a unix socket, without one";
                Err(InvalidInput::new("reached_at", problem))
            }
            (Some(target), _) => Ok(target.clone()),
        }
    }
}

fn check_reached_at(target: &PortTarget) -> Result<(), InvalidInput> {
    if matches!(target, PortTarget::Host { .. }) {
        let problem = "must be an address and not a host name, which tor would resolve once and \
                       outside of the Tor network";
        return Err(InvalidInput::new("reached_at", problem));
    }
    check_target("reached_at", target)
}

fn check_target(argument: &'static str, target: &PortTarget) -> Result<(), InvalidInput> {
    if target.port() == Some(0) {
        return Err(InvalidInput::new(argument, "must not have port 0"));
    }
    if let Some(path) = target.unix_path() {
        if !path.is_absolute() {
            return Err(InvalidInput::new(argument, "must be an absolute path"));
        }
        check_socket_path(argument, path)?;
    }
    Ok(())
}
