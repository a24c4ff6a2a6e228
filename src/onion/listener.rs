//! A service with a local listener behind it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use parking_lot::Mutex;

use super::client_auth::AuthorizedClient;
use super::half_open::HalfOpen;
use super::local::LocalSocket;
use super::publish::Publication;
use super::service::OnionService;
use super::stream::OnionStream;
use crate::controller::Controller;
use crate::error::{Error, HsDirUpload, OnionError, OnionProblem, Result, Timeout, Wait};
use crate::link::{deadline_after, poll_until};
use crate::names::{OnionAddress, OnionKey, PortTarget};

/// How often a connection is looked at whose header has not come. tor sends it at once; only a
/// program of this machine that connects to the port itself is waited for.
const HEADER_PAUSE: Duration = Duration::from_millis(5);
/// How long a program without a free descriptor is kept from trying again.
const EXHAUSTION_PAUSE: Duration = Duration::from_millis(100);

/// An onion service and the local listener that takes its clients' connections.
///
/// Returned by [`OnionEndpoint::listen`](super::OnionEndpoint::listen). It is used like a
/// [`TcpListener`](std::net::TcpListener), by many threads at once if it is shared in an [`Arc`].
///
/// Dropping it closes the local listener, removes the service from tor, unless it is detached, and
/// deletes what was temporary; it ends a tor that was launched for it alone. It waits for tor's
/// answers, but not longer than a few seconds if tor does not answer.
///
/// # Examples
///
/// ```no_run
/// # fn main() -> Result<(), torcon::Error> {
/// use std::io::Write;
///
/// use torcon::onion::OnionEndpoint;
///
/// let listener = OnionEndpoint::system_tor("127.0.0.1:9051", 80).listen()?;
/// println!("http://{}", listener.onion_address());
/// for stream in listener.incoming() {
///     let _ = stream?.write_all(b"HTTP/1.0 200 OK\r\n\r\nhello\n");
/// }
/// # Ok(())
/// # }
/// ```
#[doc(alias = "TorOnionListeningPort")]
#[derive(Debug)]
pub struct OnionListener {
    service: OnionService,
    local: LocalSocket,
    local_addr: PortTarget,
    public_port: u16,
    nonblocking: AtomicBool,
    tells_circuits: bool,
    half_open: HalfOpen,
    /// When this program last had no descriptor left for a connection.
    exhausted: Mutex<Option<Instant>>,
}

impl OnionListener {
    pub(super) fn new(
        service: OnionService,
        local: LocalSocket,
        public_port: u16,
        tells_circuits: bool,
    ) -> Self {
        let local_addr = local.address().clone();
        Self {
            service,
            local,
            local_addr,
            public_port,
            nonblocking: AtomicBool::new(false),
            tells_circuits,
            half_open: HalfOpen::default(),
            exhausted: Mutex::default(),
        }
    }

    /// Returns the next connection of a client.
    ///
    /// Blocks the current thread until there is one, without a limit, unless
    /// [`set_nonblocking`](Self::set_nonblocking) says otherwise. It ends when the listener is
    /// closed, on whatever thread, and when tor is gone.
    ///
    /// # Errors
    ///
    /// [`OnionProblem::Closed`] if the listener was closed; [`OnionProblem::Removed`] if tor has lost
    /// the service and it could not be added again; [`Error::Closed`] if the control connection has
    /// ended, mostly since tor is gone, unless the service is detached: it may go on in tor, and is
    /// accepted for until the listener is closed; [`OnionProblem::Accept`] if the local
    /// listener fails; [`Error::Timeout`] if it must not block and there is no connection.
    pub fn accept(&self) -> Result<OnionStream> {
        match self.nonblocking.load(Ordering::Relaxed) {
            false => self.accept_until(None, Duration::MAX),
            true => self.accept_timeout(Duration::ZERO),
        }
    }

    /// Returns the next connection of a client.
    ///
    /// Blocks the current thread until there is one, for at most the given time. It ends when the
    /// listener is closed, on whatever thread, and when tor is gone.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] if none came in time; otherwise those of [`accept`](Self::accept).
    pub fn accept_timeout(&self, limit: Duration) -> Result<OnionStream> {
        self.accept_until(Some(deadline_after(limit)), limit)
    }

    /// Returns the next connection of a client, if there is one. Never blocks for a client.
    ///
    /// # Errors
    ///
    /// Those of [`accept`](Self::accept).
    pub fn try_accept(&self) -> Result<Option<OnionStream>> {
        match self.accept_timeout(Duration::ZERO) {
            Ok(stream) => Ok(Some(stream)),
            Err(Error::Timeout(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn accept_until(&self, deadline: Option<Instant>, limit: Duration) -> Result<OnionStream> {
        self.pause(deadline)?;
        loop {
            if let Some(ending) = self.service.board().ending() {
                return Err(ending);
            }
            let accepted = match self.local.accept() {
                Ok(stream) if !self.tells_circuits => return Ok(stream),
                Ok(stream) => {
                    self.half_open.push(stream);
                    true
                }
                Err(error) if is_nothing(&error) => false,
                Err(error) => {
                    // Closing ends listening.
                    if let Some(ending) = self.service.board().ending() {
                        return Err(ending);
                    }
                    if is_exhaustion(&error) {
                        *self.exhausted.lock() = Some(Instant::now());
                    }
                    return Err(failed(error));
                }
            };
            if let Some(stream) = self.half_open.ready() {
                return Ok(stream);
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Err(Timeout::new(Wait::Incoming, limit).into());
            }
            if !accepted {
                self.wait(deadline)?;
            }
        }
    }

    /// Waits for a moment after this program had no descriptor left: the connection is still
    /// there, and whoever loops over [`incoming`](Self::incoming) would use up a processor.
    fn pause(&self, deadline: Option<Instant>) -> Result<()> {
        let Some(since) = self.exhausted.lock().take() else { return Ok(()) };
        let until = since.checked_add(EXHAUSTION_PAUSE).unwrap_or(since);
        let until = deadline.map_or(until, |deadline| deadline.min(until));
        let mut polled = [PollFd::new(self.service.board().ended().as_fd(), PollFlags::POLLIN)];
        poll_until(&mut polled, Some(until)).map(drop).map_err(failed)
    }

    /// Waits until there may be a connection, or the service has ended.
    fn wait(&self, deadline: Option<Instant>) -> Result<()> {
        let mut polled = [
            PollFd::new(self.local.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.service.board().ended().as_fd(), PollFlags::POLLIN),
        ];
        let look_again = || deadline_after(HEADER_PAUSE);
        let until = match (deadline, self.half_open.is_empty()) {
            (deadline, true) => deadline,
            (None, false) => Some(look_again()),
            (Some(deadline), false) => Some(deadline.min(look_again())),
        };
        poll_until(&mut polled, until).map(drop).map_err(failed)
    }

    /// Returns the connections of clients, one after the other, and ends when the listener is
    /// closed by this program. When tor or the service is gone the last item is that error. After an
    /// error since this program has no free descriptor, the next item takes a tenth of a second.
    ///
    /// Blocks the current thread until there is a connection, each time without a limit, as
    /// [`accept`](Self::accept) does.
    pub fn incoming(&self) -> impl Iterator<Item = Result<OnionStream>> {
        let mut over = false;
        std::iter::from_fn(move || {
            if over {
                return None;
            }
            let next = self.accept();
            let ending = self.service.board().ending();
            over = next.is_err() && ending.is_some();
            match (&next, ending) {
                (Err(_), Some(Error::Onion(error)))
                    if matches!(error.problem(), OnionProblem::Closed) =>
                {
                    None
                }
                _ => Some(next),
            }
        })
    }

    /// Sets whether [`accept`](Self::accept) fails with [`Error::Timeout`] instead of waiting. The
    /// default is `false`.
    ///
    /// Unlike with a `TcpListener`, a call that is waiting already goes on.
    pub fn set_nonblocking(&self, nonblocking: bool) {
        self.nonblocking.store(nonblocking, Ordering::Relaxed);
    }

    /// Returns where the local listener listens: an address, or the path of a unix socket.
    #[doc(alias = "local_address")]
    #[must_use]
    pub fn local_addr(&self) -> &PortTarget {
        &self.local_addr
    }

    /// Returns the port of the onion address that clients connect to.
    #[doc(alias = "onion_port")]
    #[must_use]
    pub fn public_port(&self) -> u16 {
        self.public_port
    }

    /// Returns the address of the service.
    #[doc(alias = "onion_uri")]
    #[doc(alias = "getHost")]
    #[must_use]
    pub fn onion_address(&self) -> OnionAddress {
        self.service.onion_address()
    }

    /// Returns the key of the service; `None` if tor made it and was told to discard it, or if
    /// this program may not read it.
    #[doc(alias = "onion_private_key")]
    #[must_use]
    pub fn private_key(&self) -> Option<&OnionKey> {
        self.service.private_key()
    }

    /// Returns the directory of the service; `None` if it is ephemeral.
    #[must_use]
    pub fn hidden_service_dir(&self) -> Option<&Path> {
        self.service.hidden_service_dir()
    }

    /// Returns the clients that the service lets in; if there is none, everybody may come.
    #[must_use]
    pub fn clients(&self) -> &[AuthorizedClient] {
        self.service.clients()
    }

    /// Returns the controller of the tor that has the service.
    #[must_use]
    pub fn controller(&self) -> &Controller {
        self.service.controller()
    }

    /// Returns the service that the listener is behind.
    #[must_use]
    pub fn service(&self) -> &OnionService {
        &self.service
    }

    /// Returns what has become of each upload of the service's descriptors, oldest first.
    #[must_use]
    pub fn uploads(&self) -> Vec<HsDirUpload> {
        self.service.uploads()
    }

    /// Waits until the service is published, as [`OnionService::wait_published`] does.
    ///
    /// Blocks the current thread until then, for at most the given time. The listener stays as it
    /// is if the service is not published in time.
    ///
    /// # Errors
    ///
    /// Those of [`OnionService::wait_published`].
    pub fn wait_published(&self, wanted: Publication, limit: Duration) -> Result<()> {
        self.service.wait_published(wanted, limit)
    }

    /// Closes the local listener, and ends the service, unless it is detached, and whatever was
    /// temporary, as [`OnionService::close`] does. Those who wait for a connection, on whatever
    /// thread, are told.
    ///
    /// Blocks the current thread until tor has answered.
    ///
    /// # Errors
    ///
    /// Those of [`OnionService::close`].
    pub fn close(&self) -> Result<()> {
        self.service.announce_end();
        self.local.close();
        self.service.close()
    }
}

/// Readable when a client may have connected, for [`try_accept`](OnionListener::try_accept) in an
/// event loop of another kind. After [`close`](OnionListener::close) it is a socket that no longer
/// listens.
///
/// With [`export_circuit_id`](super::OnionEndpoint::export_circuit_id) a connection is accepted when
/// tor's header has arrived, of which the descriptor reports nothing: if `try_accept` returns `None`,
/// call it again a few milliseconds later.
impl AsFd for OnionListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.local.as_fd()
    }
}

/// Whether this program or the machine has no descriptor or memory left for a connection.
pub(super) fn is_exhaustion(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM))
}

/// Whether there is just no connection, or none any more.
fn is_nothing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock
            | io::ErrorKind::Interrupted
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}

fn failed(error: io::Error) -> Error {
    OnionError::new(OnionProblem::Accept(Arc::new(error))).into()
}
