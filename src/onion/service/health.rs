//! The health of a running service: what a client finds, and a forced publication.

use std::time::{Duration, Instant};

use super::super::listener::OnionListener;
use super::super::publish::Publication;
use super::OnionService;
use super::lent_key::Lent;
use crate::clock::{self, deadline_after};
use crate::controller::Controller;
use crate::error::{Error, Result, SocksProblem, Timeout, Wait};
use crate::names::RelaySpec;
use crate::socks::{Isolation, SocksProxy};

/// How long directories keep a descriptor (`HS_DESC_MAX_LIFETIME`).
const DESCRIPTOR_LIFETIME: Duration = Duration::from_secs(3 * 60 * 60);
/// tor uploads two descriptors to eight directories each.
const DIRECTORIES: usize = 16;

/// The result of [`OnionService::check`].
///
/// # Examples
///
/// ```no_run
/// use std::time::Duration;
///
/// use torcon::Tor;
///
/// let tor = Tor::connect("127.0.0.1:9051")?;
/// let service = tor.onion_endpoint(80).start(8080)?;
/// let check = service.check(Duration::from_secs(60))?;
/// println!("{:?} {:?}", check.descriptor, check.connection);
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OnionCheck {
    /// The fetch of the descriptor from a directory.
    pub descriptor: CheckStep,
    /// The connection to the first virtual port of the service.
    pub connection: CheckStep,
    /// The last successful upload to each directory, newest first. Directories keep a descriptor for
    /// three hours.
    pub uploads: Vec<LastUpload>,
}

/// The outcome of one step of [`OnionService::check`].
///
/// # Examples
///
/// ```no_run
/// use std::time::Duration;
///
/// use torcon::Tor;
/// use torcon::onion::CheckStep;
///
/// let tor = Tor::connect("127.0.0.1:9051")?;
/// let service = tor.onion_endpoint(80).start(8080)?;
/// match service.check(Duration::from_secs(60))?.connection {
///     CheckStep::Passed(time) => println!("a client connects in {time:?}"),
///     CheckStep::Failed { error, .. } => println!("no client connects: {error}"),
///     other => println!("{other:?}"),
/// }
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum CheckStep {
    /// The step succeeded in this time.
    Passed(Duration),
    /// The step failed.
    Failed {
        /// The time until the failure.
        after: Duration,
        /// The reason.
        error: Error,
    },
    /// The step is not possible.
    Skipped(CheckObstacle),
}

/// Why a step of [`OnionService::check`] is not possible.
///
/// # Examples
///
/// ```no_run
/// use std::time::Duration;
///
/// use torcon::Tor;
/// use torcon::onion::{CheckObstacle, CheckStep};
///
/// let tor = Tor::connect("127.0.0.1:9051")?;
/// let service = tor.onion_endpoint(80).start(8080)?;
/// let check = service.check(Duration::from_secs(60))?;
/// if let CheckStep::Skipped(CheckObstacle::NoSocksPort) = check.connection {
///     println!("set SocksPort in the torrc, so that the connection can be checked");
/// }
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CheckObstacle {
    /// tor has no `SocksPort` that this program can reach.
    NoSocksPort,
    /// The service has client authorization, and this program has the secret key of no client.
    NoClientKey,
}

/// The last successful upload of a descriptor to a directory.
///
/// # Examples
///
/// ```no_run
/// use torcon::Tor;
///
/// let tor = Tor::connect("127.0.0.1:9051")?;
/// let service = tor.onion_endpoint(80).start(8080)?;
/// let newest = service.last_uploads().into_iter().next();
/// println!("last published {:?} ago", newest.map(|upload| upload.at.elapsed()));
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LastUpload {
    /// The directory.
    pub hsdir: RelaySpec,
    /// When the directory accepted it.
    pub at: Instant,
}

impl OnionCheck {
    /// Returns whether no step failed, and at least the descriptor was fetched.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let service = tor.onion_endpoint(80).start(8080)?;
    /// assert!(service.check(Duration::from_secs(60))?.is_healthy());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        let is_failure = matches!(self.connection, CheckStep::Failed { .. });
        matches!(self.descriptor, CheckStep::Passed(_)) && !is_failure
    }
}

impl CheckStep {
    fn of<T>(begin: Instant, outcome: Result<T>) -> Self {
        match outcome {
            Ok(_) => Self::Passed(clock::elapsed_since(begin)),
            Err(error) => Self::Failed { after: clock::elapsed_since(begin), error },
        }
    }
}

/// # Health of a running service
impl OnionService {
    /// Checks whether a client reaches the service: fetches its descriptor through its own tor, and
    /// connects to its first virtual port through the `SocksPort` of that tor.
    ///
    /// The connection reaches the local listener, or the server of the port, and is closed at once.
    /// If the service has client authorization, tor receives the secret key of one of
    /// [`clients`](Self::clients) for the time of the check, unless it has one. If another program
    /// gives tor another key meanwhile, that one stays, unless it does so between a query of the key
    /// and the command that follows. A key that is equal to the client's counts as that of the check.
    /// A removal that tor does not answer is tried again at the next check and at
    /// [`Controller::close`]. If the connection breaks meanwhile, tor keeps the key; with a supervisor
    /// it is removed over the next connection to that tor, unless the service was closed before.
    ///
    /// The network sees a visit of a client: some directories, an introduction point and a
    /// rendezvous point learn neither its address nor that it is the service.
    ///
    /// Sends `HSFETCH address SERVER=..` with the directories that accepted the descriptor in the
    /// last three hours, or without any if there is none, and what
    /// [`Controller::fetch_onion_descriptor_from`] sends; `GETINFO net/listeners/socks`, if need be;
    /// with client authorization `ONION_CLIENT_AUTH_VIEW` and `ONION_CLIENT_AUTH_ADD`, and after the
    /// check `ONION_CLIENT_AUTH_VIEW` and `ONION_CLIENT_AUTH_REMOVE`.
    ///
    /// Blocks the current thread until both steps are done, even if the service ends meanwhile: for at
    /// most `limit`, of which the fetch has half, and the time limit of the endpoint's controller for
    /// each command and, twice, for the commands by which another check adds or removes the key.
    ///
    /// # Errors
    ///
    /// [`OnionProblem::Closed`] or [`OnionProblem::Removed`] if the service has ended,
    /// [`Error::Closed`] if there is no control connection. Other failures are in the result.
    ///
    /// [`OnionProblem::Closed`]: crate::error::OnionProblem::Closed
    /// [`OnionProblem::Removed`]: crate::error::OnionProblem::Removed
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let service = tor.onion_endpoint(80).start(8080)?;
    /// let check = service.check(Duration::from_secs(60))?;
    /// if !check.is_healthy() {
    ///     eprintln!("{check:?}");
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn check(&self, limit: Duration) -> Result<OnionCheck> {
        if let Some(ending) = self.status().ending() {
            return Err(ending);
        }
        let controller = self.controller();
        let deadline = deadline_after(limit);
        let begin = clock::now();
        let descriptor = CheckStep::of(begin, self.fetch_own_descriptor(&controller, limit / 2));
        let connection = self.check_connection(&controller, deadline, limit)?;
        if let Some(ending) = self.status().ending() {
            return Err(ending);
        }
        for step in [&descriptor, &connection] {
            if let CheckStep::Failed { error, .. } = step {
                if error.is_closed() {
                    return Err(error.clone());
                }
                // The end of the connection may have removed the key of the check.
                if let Some(reason) = controller.closed_reason() {
                    return Err(reason.into());
                }
            }
        }
        Ok(OnionCheck { descriptor, connection, uploads: self.last_uploads() })
    }

    /// Returns the last successful upload to each directory, newest first.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let service = tor.onion_endpoint(80).start(8080)?;
    /// for upload in service.last_uploads() {
    ///     println!("{} has it since {:?}", upload.hsdir, upload.at.elapsed());
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn last_uploads(&self) -> Vec<LastUpload> {
        self.status().last_uploads()
    }

    fn fetch_own_descriptor(&self, controller: &Controller, limit: Duration) -> Result<()> {
        let is_kept = |upload: &LastUpload| clock::elapsed_since(upload.at) < DESCRIPTOR_LIFETIME;
        let uploads = self.last_uploads().into_iter().filter(is_kept).take(DIRECTORIES);
        let servers: Vec<_> = uploads.filter_map(|upload| upload.hsdir.fingerprint()).collect();
        let address = self.onion_address();
        // tor does not ask a directory again within 15 minutes, unless it is named.
        if !servers.is_empty() {
            match controller.fetch_onion_descriptor_from(address, servers, limit) {
                // A directory is no longer in the consensus.
                Err(Error::InvalidInput(_) | Error::Rejected(_)) => {}
                outcome => return outcome.map(drop),
            }
        }
        controller.fetch_onion_descriptor(address, limit).map(drop)
    }

    fn check_connection(
        &self,
        controller: &Controller,
        deadline: Instant,
        limit: Duration,
    ) -> Result<CheckStep> {
        // One that was not answered after an earlier check.
        self.inner.check_key.take_back(controller);
        let begin = clock::now();
        let endpoint = match controller.socks_endpoint("check an onion service") {
            Err(Error::Socks(error)) if is_without_port(error.problem()) => {
                return Ok(CheckStep::Skipped(CheckObstacle::NoSocksPort));
            }
            Err(error) => return Ok(CheckStep::of::<()>(begin, Err(error))),
            Ok(endpoint) => endpoint,
        };
        let clients = self.clients();
        let key = clients.iter().find_map(|client| client.key.clone());
        let lent = match clients.is_empty() {
            true => Ok(Lent::NotNeeded),
            false => self.inner.check_key.lend(controller, key),
        };
        let lent = match lent {
            Ok(Lent::NoKey) => return Ok(CheckStep::Skipped(CheckObstacle::NoClientKey)),
            Ok(Lent::NotNeeded) => None,
            Ok(Lent::Key(key)) => Some(key),
            Err(error) => return Ok(CheckStep::of::<()>(begin, Err(error))),
        };
        let outcome = match clock::has_passed(deadline) {
            true => Err(Timeout::new(Wait::SocksReply, limit).into()),
            false => self.visit(SocksProxy::new(endpoint)?.deadline(deadline, limit)),
        };
        let step = CheckStep::of(begin, outcome);
        drop(lent);
        Ok(step)
    }

    fn visit(&self, proxy: SocksProxy) -> Result<()> {
        let Some(port) = self.ports().first() else { return Ok(()) };
        let target = (self.onion_address(), port.virtual_port());
        proxy.isolation(Isolation::fresh()).connect(target).map(drop)
    }

    /// Makes tor publish the service again, and waits for its publication.
    ///
    /// tor has no command for this. The service is removed and added again, so that it gets other
    /// introduction points: until it is published, which takes some seconds, new connections fail;
    /// open ones stay. (`HSPOST` of the service's descriptor does not help: directories reject a
    /// descriptor that they have.)
    ///
    /// Sends `DEL_ONION` and `ADD_ONION`; for a filesystem service `GETCONF HiddenServiceOptions`
    /// and `SETCONF` with the lines of all services, twice, first without those of this one. Blocks
    /// the current thread until the service is published, for at most `limit` and six times the time
    /// limit of the endpoint's controller.
    ///
    /// # Errors
    ///
    /// [`OnionProblem::KeyDiscarded`] if the key of an ephemeral service was discarded;
    /// [`Error::Rejected`] if a filter refused to add the service with a key. Otherwise those of [`wait_published`](Self::wait_published),
    /// [`Controller::add_onion`] and [`Controller::set_conf`].
    ///
    /// [`OnionProblem::KeyDiscarded`]: crate::error::OnionProblem::KeyDiscarded
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use torcon::Tor;
    /// use torcon::onion::Publication;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let service = tor.onion_endpoint(80).start(8080)?;
    /// service.upload_again(Publication::Reachable, Duration::from_secs(120))?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn upload_again(&self, wanted: Publication, limit: Duration) -> Result<()> {
        self.inner.publish_again()?;
        self.wait_published(wanted, limit)
    }
}

fn is_without_port(problem: &SocksProblem) -> bool {
    matches!(problem, SocksProblem::NoListener | SocksProblem::ListenerElsewhere { .. })
}

impl OnionListener {
    /// Checks whether a client reaches the service, as [`OnionService::check`] does.
    ///
    /// The connection of the check is one that [`accept`](Self::accept) returns. It is closed at
    /// once.
    ///
    /// # Errors
    ///
    /// Those of [`OnionService::check`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let listener = tor.onion_endpoint(80).listen()?;
    /// let check = listener.check(Duration::from_secs(60))?;
    /// if !check.is_healthy() {
    ///     eprintln!("{check:?}");
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn check(&self, limit: Duration) -> Result<OnionCheck> {
        self.service().check(limit)
    }

    /// Makes tor publish the service again, as [`OnionService::upload_again`] does.
    ///
    /// # Errors
    ///
    /// Those of [`OnionService::upload_again`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use torcon::Tor;
    /// use torcon::onion::Publication;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let listener = tor.onion_endpoint(80).listen()?;
    /// listener.upload_again(Publication::Reachable, Duration::from_secs(120))?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn upload_again(&self, wanted: Publication, limit: Duration) -> Result<()> {
        self.service().upload_again(wanted, limit)
    }
}
