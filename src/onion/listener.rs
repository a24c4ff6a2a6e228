//! `OnionListener`: an onion service and the local listener that accepts its clients.

mod service;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::half_open::HalfOpen;
use super::local::LocalSocket;
use super::service::OnionService;
use super::stream::OnionStream;
use crate::clock::{self, deadline_after};
use crate::error::{Error, OnionError, OnionProblem, Result, Timeout, Wait};
use crate::link::readable_until;
use crate::names::PortTarget;
use crate::sync::Mutex;

/// How often a connection without its header is polled. tor sends the header at once; only another
/// program that connects to the local port makes `accept` poll.
const HEADER_PAUSE: Duration = Duration::from_millis(5);
/// How long `accept` pauses after it failed because no file descriptor was free.
const EXHAUSTION_PAUSE: Duration = Duration::from_millis(100);

/// An onion service and the local listener that accepts its clients' connections.
///
/// Returned by [`OnionEndpoint::listen`](super::OnionEndpoint::listen). It works like a
/// [`TcpListener`](std::net::TcpListener); many threads can share it in an [`Arc`].
///
/// Dropping it closes the local listener, removes the service from tor unless it is detached,
/// deletes a temporary directory, and ends a tor that was launched for this service alone. The drop
/// waits for tor's answers, but only a few seconds if tor does not answer.
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
#[derive(Debug)]
#[must_use = "the service ends when the listener is dropped"]
pub struct OnionListener {
    service: OnionService,
    local: LocalSocket,
    /// Readable when the service has ended.
    ended: UnixStream,
    local_addr: PortTarget,
    public_port: u16,
    nonblocking: AtomicBool,
    has_circuit_ids: bool,
    half_open: HalfOpen,
    /// When `accept` last failed because no file descriptor was free.
    exhausted: Mutex<Option<Instant>>,
}

impl OnionListener {
    pub(super) fn new(
        service: OnionService,
        local: LocalSocket,
        ended: UnixStream,
        public_port: u16,
        has_circuit_ids: bool,
    ) -> Self {
        let local_addr = local.address().clone();
        Self {
            service,
            local,
            ended,
            local_addr,
            public_port,
            nonblocking: AtomicBool::new(false),
            has_circuit_ids,
            half_open: HalfOpen::default(),
            exhausted: Mutex::default(),
        }
    }

    /// Returns the next connection of a client.
    ///
    /// Blocks the current thread until a client connects, without a limit, unless
    /// [`set_nonblocking`](Self::set_nonblocking) was called. Returns an error when the listener is
    /// closed, on any thread, and when tor has ended.
    ///
    /// # Errors
    ///
    /// - [`OnionProblem::Closed`] if the listener was closed.
    /// - [`Error::Canceled`] if the [token](super::OnionEndpoint::cancel_token) was canceled.
    /// - [`OnionProblem::Removed`] if tor lost the service and it could not be added again.
    /// - [`Error::Closed`] if the control connection ended, usually because tor has ended. A detached
    ///   service survives that, and so does a service whose tor has a supervisor: clients are
    ///   accepted until the listener is closed, or the supervisor is stopped or gives up.
    /// - [`OnionProblem::Accept`] if the local listener failed.
    /// - [`Error::Timeout`] if the listener is non-blocking and no client has connected.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::io::Write;
    /// use std::thread;
    ///
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let listener = tor.onion_endpoint(80).listen()?;
    /// loop {
    ///     let mut stream = listener.accept()?;
    ///     // A slow client must not delay others.
    ///     thread::spawn(move || writeln!(stream, "hello"));
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn accept(&self) -> Result<OnionStream> {
        match self.nonblocking.load(Ordering::Relaxed) {
            false => self.accept_until(None, Duration::MAX),
            true => self.accept_timeout(Duration::ZERO),
        }
    }

    /// Returns the next connection of a client.
    ///
    /// Blocks the current thread until a client connects, for at most `limit`. Returns an error when
    /// the listener is closed, on any thread, and when tor has ended.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] if no client connected in time; otherwise those of
    /// [`accept`](Self::accept).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use torcon::Error;
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let listener = tor.onion_endpoint(80).listen()?;
    /// match listener.accept_timeout(Duration::from_secs(10)) {
    ///     Err(Error::Timeout(_)) => println!("no client yet"),
    ///     outcome => println!("{:?}", outcome?),
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn accept_timeout(&self, limit: Duration) -> Result<OnionStream> {
        self.accept_until(Some(deadline_after(limit)), limit)
    }

    /// Returns the next connection of a client if one is waiting. Does not block.
    ///
    /// # Errors
    ///
    /// Those of [`accept`](Self::accept).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let listener = tor.onion_endpoint(80).listen()?;
    /// while let Some(stream) = listener.try_accept()? {
    ///     println!("{stream:?}");
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
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
            if let Some(ending) = self.service.status().ending() {
                return Err(ending);
            }
            let accepted = match self.local.accept() {
                Ok(stream) if !self.has_circuit_ids => return Ok(stream),
                Ok(stream) => {
                    self.half_open.push(stream);
                    true
                }
                Err(error) if is_nothing(&error) => false,
                Err(error) => {
                    // `close` shuts the listener down, which makes `accept` fail.
                    if let Some(ending) = self.service.status().ending() {
                        return Err(ending);
                    }
                    if is_exhaustion(&error) {
                        *self.exhausted.lock() = Some(clock::now());
                    }
                    return Err(failed(error));
                }
            };
            if let Some(stream) = self.half_open.ready() {
                return Ok(stream);
            }
            if deadline.is_some_and(clock::has_passed) {
                return Err(Timeout::new(Wait::Incoming, limit).into());
            }
            if !accepted {
                self.wait(deadline)?;
            }
        }
    }

    /// Pauses after a failure for lack of a file descriptor: the connection is still waiting, and a
    /// loop over [`incoming`](Self::incoming) would spin.
    fn pause(&self, deadline: Option<Instant>) -> Result<()> {
        let Some(since) = self.exhausted.lock().take() else { return Ok(()) };
        let until = since.checked_add(EXHAUSTION_PAUSE).unwrap_or(since);
        let until = deadline.map_or(until, |deadline| deadline.min(until));
        readable_until([self.ended.as_fd()], Some(until)).map(drop).map_err(failed)
    }

    /// Waits until a connection may be ready, or the service has ended.
    fn wait(&self, deadline: Option<Instant>) -> Result<()> {
        let look_again = || deadline_after(HEADER_PAUSE);
        let until = match (deadline, self.half_open.is_empty()) {
            (deadline, true) => deadline,
            (None, false) => Some(look_again()),
            (Some(deadline), false) => Some(deadline.min(look_again())),
        };
        readable_until([self.local.as_fd(), self.ended.as_fd()], until).map(drop).map_err(failed)
    }

    /// Returns an iterator over the connections of clients. It ends when this program closes the
    /// listener or cancels its [token](super::OnionEndpoint::cancel_token); when tor or the service has ended, its last item is that error. After an error for
    /// lack of a file descriptor, the next item takes a tenth of a second.
    ///
    /// Each item blocks the current thread as [`accept`](Self::accept) does, without a limit.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let listener = tor.onion_endpoint(80).listen()?;
    /// for stream in listener.incoming() {
    ///     println!("{:?}", stream?);
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn incoming(&self) -> impl Iterator<Item = Result<OnionStream>> {
        let mut over = false;
        std::iter::from_fn(move || {
            if over {
                return None;
            }
            let next = self.accept();
            let ending = self.service.status().ending();
            over = next.is_err() && ending.is_some();
            match (&next, ending) {
                (Err(_), Some(Error::Onion(error)))
                    if matches!(error.problem(), OnionProblem::Closed) =>
                {
                    None
                }
                (Err(_), Some(Error::Canceled(_))) => None,
                _ => Some(next),
            }
        })
    }

    /// Sets whether [`accept`](Self::accept) fails with [`Error::Timeout`] instead of waiting. The
    /// default is `false`.
    ///
    /// Unlike with a `TcpListener`, a call that is already waiting keeps waiting.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let listener = tor.onion_endpoint(80).listen()?;
    /// listener.set_nonblocking(true);
    /// assert!(listener.accept().is_err_and(|error| error.is_timeout()));
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn set_nonblocking(&self, nonblocking: bool) {
        self.nonblocking.store(nonblocking, Ordering::Relaxed);
    }
}

/// The file descriptor of the local listener, for [`try_accept`](OnionListener::try_accept) in an
/// event loop: it is readable when a client may have connected. After
/// [`close`](OnionListener::close) it no longer listens.
///
/// With [`export_circuit_id`](super::OnionEndpoint::export_circuit_id) a connection is accepted only
/// when tor's header has arrived, which this descriptor does not report: if `try_accept` returns
/// `None`, call it again a few milliseconds later.
impl AsFd for OnionListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.local.as_fd()
    }
}

/// Returns whether the process or the system is out of file descriptors or memory.
pub(super) fn is_exhaustion(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM))
}

/// Returns whether no connection is waiting, or the waiting one was aborted.
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
