//! Streams of our own through a chosen circuit, and names resolved through it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Receiver;
use data_encoding::HEXLOWER;
use parking_lot::Mutex;

use super::attacher::{AttachGuard, StreamOrigin, StreamReservation, check_purpose, is_onion};
use super::circuit::Circuit;
use super::circuit_info::{CircuitCell, CircuitInfo};
use super::store::{Store, WaitEnd};
use super::stream_info::{StreamCell, StreamInfo};
use super::tracker::Tracker;
use crate::error::{CircuitError, CircuitProblem, Error, InvalidInput, Result};
use crate::link::deadline_after;
use crate::names::{CircuitId, StreamStatus, Target};
use crate::socks::{Isolation, SocksProxy, TorStream};

/// How long a stream may take, if nothing else is said: a little longer than tor itself tries.
const LIMIT: Duration = Duration::from_secs(130);

/// How long it is waited that tor tells of a stream that the proxy has told of.
const TOLD_LIMIT: Duration = Duration::from_secs(10);

/// The user name of streams by unix sockets, which tor can tell apart by nothing else.
const USER: &str = "torcon-circuit";

/// A claim that is known to those who attach streams; taken back when this is dropped.
struct ReservationGuard {
    store: Arc<Store>,
    engagement: AttachGuard,
    /// There before the proxy is asked. A leaf lock.
    place: Arc<Mutex<Option<Expected>>>,
}

/// A claim, and the channel that tells which stream it is.
#[derive(Clone)]
struct Expected {
    claim: Arc<StreamReservation>,
    stream: Receiver<Arc<StreamCell>>,
}

impl Drop for ReservationGuard {
    fn drop(&mut self) {
        let expected = self.place.lock().take();
        if let Some(Expected { claim, .. }) = expected {
            self.store.forget_expected(&claim);
            self.engagement.claimant().release(&claim);
        }
    }
}

impl Circuit {
    /// Connects to a target through this circuit: `host:port`, a pair of host and port, or a socket
    /// address.
    ///
    /// The stream is one like any other then; it stays on the circuit, and ends with it. tor is
    /// asked for it by its first `SocksPort`, and leaves new streams to this program meanwhile (see
    /// [`State::set_attacher`](super::State::set_attacher)); those of others are given back to it
    /// at once, or to attachers. By a `SocksPort` that is a unix socket the stream says a user name
    /// of its own, by which tor keeps others off the circuit.
    ///
    /// Sends `GETINFO net/listeners/socks`, `SETEVENTS` with `CONF_CHANGED`, `GETCONF
    /// __LeaveStreamsUnattached`, and `SETCONF` of that option before and after the `ATTACHSTREAM`
    /// for each stream that begins meanwhile.
    ///
    /// Blocks the current thread until the stream is open, for at most 130 seconds and for the
    /// [time limit](crate::Controller::with_timeout) of the controller for each command before
    /// that.
    ///
    /// # Errors
    ///
    /// [`Error::Circuit`] if the circuit is not built or ends, or if its exit does not connect to
    /// the target: [`CircuitProblem`] tells. [`Error::InvalidInput`] if the target is not one;
    /// otherwise those of [`SocksProxy::connect`] and of
    /// [`State::set_attacher`](super::State::set_attacher).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> Result<(), torcon::Error> {
    /// use std::time::Duration;
    ///
    /// use torcon::state::{Path, State};
    ///
    /// let state = State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// let circuit = state.build_circuit_timeout(Path::any(), Duration::from_secs(30))?;
    /// let stream = circuit.connect_stream("example.com:80")?;
    /// assert_eq!(circuit.streams().len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "stream_via")]
    pub fn connect_stream<T>(&self, target: T) -> Result<TorStream>
    where
        T: TryInto<Target>,
        Error: From<T::Error>,
    {
        self.connect_stream_timeout(target, LIMIT)
    }

    /// Connects to a target through this circuit, within `limit`; see
    /// [`connect_stream`](Self::connect_stream).
    ///
    /// Blocks the current thread until the stream is open, for at most `limit` and for the
    /// [time limit](crate::Controller::with_timeout) of the controller for each command before
    /// that.
    ///
    /// # Errors
    ///
    /// Those of [`connect_stream`](Self::connect_stream).
    pub fn connect_stream_timeout<T>(&self, target: T, limit: Duration) -> Result<TorStream>
    where
        T: TryInto<Target>,
        Error: From<T::Error>,
    {
        let target: Target = target.try_into()?;
        let wish = format!("connect to {target}");
        if is_onion(&target) {
            return Err(self.failed(&wish, CircuitProblem::Onion));
        }
        let connect = |proxy: SocksProxy| proxy.connect::<&Target>(&target);
        self.through(&wish, limit, true, connect)
    }

    /// Resolves a host name through this circuit, which must not be for
    /// [`CircuitPurpose::Controller`](crate::names::CircuitPurpose::Controller): tor does not
    /// resolve names through those.
    ///
    /// tor may know the address by itself, as of a name that is
    /// [mapped](crate::Controller::map_address), and then answers without the circuit.
    ///
    /// Sends what [`connect_stream`](Self::connect_stream) does.
    ///
    /// Blocks the current thread until tor has answered, for at most 130 seconds and for the
    /// [time limit](crate::Controller::with_timeout) of the controller for each command before
    /// that.
    ///
    /// # Errors
    ///
    /// Those of [`connect_stream`](Self::connect_stream) and of [`SocksProxy::resolve`].
    pub fn resolve(&self, name: &str) -> Result<IpAddr> {
        self.resolve_timeout(name, LIMIT)
    }

    /// Resolves a host name through this circuit, within `limit`; see [`resolve`](Self::resolve).
    ///
    /// Blocks the current thread until tor has answered, for at most `limit` and for the
    /// [time limit](crate::Controller::with_timeout) of the controller for each command before
    /// that.
    ///
    /// # Errors
    ///
    /// Those of [`resolve`](Self::resolve).
    pub fn resolve_timeout(&self, name: &str, limit: Duration) -> Result<IpAddr> {
        let wish = format!("resolve {name}");
        self.through(&wish, limit, false, |proxy| proxy.resolve(name))
    }

    /// Asks the proxy for something that is to go through this circuit.
    fn through<T>(
        &self,
        wish: &str,
        limit: Duration,
        needs_circuit: bool,
        ask: impl FnOnce(SocksProxy) -> Result<T>,
    ) -> Result<T> {
        let info = self.info();
        if info.is_over() {
            return Err(self.failed(wish, self.problem()));
        }
        if !info.is_built() {
            let status = info.status.clone();
            return Err(self.failed(wish, CircuitProblem::NotBuilt { status }));
        }
        if let Err(problem) = check_purpose(info.purpose.as_ref(), !needs_circuit) {
            return Err(self.failed(wish, problem));
        }
        let proxy = self.proxy(wish)?;
        let engagement = AttachGuard::new(&self.inner)?;
        let store = Arc::clone(&self.inner.store);
        let claimed = ReservationGuard { store, engagement, place: Arc::default() };
        let proxy = self.claim(proxy.timeout(limit), &claimed)?;
        let outcome = ask(proxy);
        let expected = claimed.place.lock().clone();
        match (outcome, expected) {
            (Ok(value), Some(expected)) => {
                self.check(wish, expected, needs_circuit)?;
                Ok(value)
            }
            (Err(error), Some(expected)) => Err(self.why(wish, &expected, error)),
            // The proxy was not even reached.
            (outcome, None) => outcome,
        }
    }

    fn proxy(&self, wish: &str) -> Result<SocksProxy> {
        SocksProxy::new(self.inner.controller.socks_endpoint(wish)?)
    }

    /// Has the stream known before the proxy is asked for it.
    fn claim(&self, proxy: SocksProxy, claimed: &ReservationGuard) -> Result<SocksProxy> {
        let place = Arc::clone(&claimed.place);
        let store = Arc::clone(&claimed.store);
        let claimant = claimed.engagement.claimant();
        let circuit = self.id();
        let note = move |origin| {
            let claim = Arc::new(StreamReservation::new(origin, circuit));
            let stream = store.expect_stream(&claim);
            claimant.claim(Arc::clone(&claim));
            *place.lock() = Some(Expected { claim, stream });
        };
        if proxy.endpoint().is_unix() {
            let password = random()?;
            let isolation = Isolation::credentials(USER, &password)?;
            note(StreamOrigin::User { name: USER.to_owned(), password });
            return Ok(proxy.isolation(isolation));
        }
        Ok(proxy.when_open(move |address| note(StreamOrigin::Address(address))))
    }

    /// Makes sure that a stream goes through this circuit.
    fn check(&self, wish: &str, expected: Expected, needs_circuit: bool) -> Result<()> {
        let deadline = deadline_after(TOLD_LIMIT);
        let store = &self.inner.store;
        let Expected { claim, stream } = expected;
        let Ok(stream) = stream.recv_deadline(deadline) else {
            return Err(match store.end_reason() {
                Some(reason) => Error::Closed(reason),
                None => self.failed(wish, CircuitProblem::NotSeen),
            });
        };
        let circuit = Arc::clone(&self.cell);
        // The events of the stream come to this state; only what they do not tell is in the claim.
        let checked = store.wait_stream(&stream, deadline, move |tracker, cell| {
            let info = cell.info();
            match info.circuit {
                Some(id) if is_on(&circuit, tracker, id) => is_open(&info).then_some(Ok(())),
                Some(id) => Some(Err(CircuitProblem::OtherCircuit { circuit: Some(id) })),
                None if is_open(&info) && !needs_circuit => Some(Ok(())),
                None if info.is_over() => {
                    Some(Err(claim.problem().unwrap_or(CircuitProblem::NotSeen)))
                }
                None => None,
            }
        });
        match checked {
            Ok(Ok(())) => Ok(()),
            Ok(Err(problem)) => Err(self.failed(wish, problem)),
            Err(WaitEnd::Timeout) => Err(self.failed(wish, CircuitProblem::NotSeen)),
            Err(WaitEnd::Closed(reason)) => Err(Error::Closed(reason)),
        }
    }

    /// Finds out why the proxy refused.
    fn why(&self, wish: &str, expected: &Expected, error: Error) -> Error {
        if error.is_timeout() || !matches!(error, Error::Socks(_)) {
            return error;
        }
        let Expected { claim, stream } = expected;
        // tor may tell the proxy's client first.
        let deadline = deadline_after(TOLD_LIMIT);
        let ended = stream.try_recv().ok().and_then(|stream| {
            let look = |_: &Tracker, cell: &Arc<StreamCell>| {
                let info = cell.info();
                info.is_over().then_some(info)
            };
            self.inner.store.wait_stream(&stream, deadline, look).ok()
        });
        let problem = match (claim.problem(), ended) {
            (Some(problem), _) => problem,
            (None, Some(info)) if info.reason.is_some() => match self.info().is_over() {
                true => self.problem(),
                false => CircuitProblem::Stream {
                    reason: info.reason.clone(),
                    remote_reason: info.remote_reason.clone(),
                },
            },
            _ => return error,
        };
        self.failed(wish, problem)
    }

    fn failed(&self, wish: &str, problem: CircuitProblem) -> Error {
        let wish = format!("{wish} through circuit {}", self.id());
        CircuitError::new(self.id(), &wish, problem).into()
    }
}

/// Whether a circuit has this number, or is the other leg of its conflux pair.
fn is_on(circuit: &CircuitCell, tracker: &Tracker, id: CircuitId) -> bool {
    let pair = |info: &CircuitInfo| info.conflux_id.clone();
    id == circuit.id()
        || pair(&circuit.info()).is_some_and(|own| {
            tracker.circuit(&id).is_some_and(|cell| pair(&cell.info()) == Some(own))
        })
}

/// Whether the request of a stream has been answered.
fn is_open(info: &StreamInfo) -> bool {
    info.status == StreamStatus::Succeeded || info.is_over()
}

fn random() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        InvalidInput::new("target", format!("there are no random numbers for it: {error}"))
    })?;
    Ok(HEXLOWER.encode(&bytes))
}
