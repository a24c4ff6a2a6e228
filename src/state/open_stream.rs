//! Opens streams and resolves names through a chosen circuit.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;

use super::attacher::{
    AttachGuard, Message, StreamOrigin, StreamReservation, check_purpose, is_onion,
};
use super::circuit::Circuit;
use super::circuit_info::{CircuitCell, CircuitInfo};
use super::store::Store;
use super::stream_info::{StreamCell, StreamInfo};
use super::tracker::Tracker;
use crate::clock::{self, deadline_after};
use crate::error::{CircuitError, CircuitProblem, Error, InvalidInput, Result};
use crate::link::WaitEnd;
use crate::names::{CircuitId, StreamStatus, Target};
use crate::socks::{Isolation, SocksProxy, TorStream};
use crate::sync::channel::Receiver;

/// The default time limit: a little longer than the attempts of tor.
const LIMIT: Duration = Duration::from_secs(130);

/// The longest wait for the event of a stream that the proxy has granted or refused.
const EVENT_LIMIT: Duration = Duration::from_secs(10);

/// The SOCKS user name of streams over unix sockets, which are identified by their credentials.
const USER: &str = "torcon-circuit";

/// A reservation in the store and the attach loop, which is removed when this is dropped.
struct ReservedStream {
    store: Arc<Store>,
    attaching: AttachGuard,
    reservation: Arc<StreamReservation>,
    /// Receives the stream when tor reports it.
    found: Receiver<Arc<StreamCell>>,
}

impl ReservedStream {
    fn new(circuit: &Circuit, attaching: AttachGuard) -> Self {
        let store = Arc::clone(&circuit.owner.generation.store);
        let reservation = Arc::new(StreamReservation::new(circuit.id()));
        let found = store.expect_stream(&reservation);
        attaching.send(Message::Reserve(Arc::clone(&reservation)));
        Self { store, attaching, reservation, found }
    }

    /// Makes the stream that the proxy opens recognizable in the events of tor.
    fn recognize(&self, proxy: SocksProxy) -> Result<SocksProxy> {
        let reservation = Arc::clone(&self.reservation);
        if proxy.endpoint().is_unix() {
            let password = random()?;
            let isolation = Isolation::credentials(USER, &password)?;
            let name = USER.to_owned();
            reservation.set_origin(StreamOrigin::Credentials { name, password });
            return Ok(proxy.isolation(isolation));
        }
        let set_origin = move |address| reservation.set_origin(StreamOrigin::Address(address));
        Ok(proxy.on_open(set_origin))
    }
}

impl Drop for ReservedStream {
    fn drop(&mut self) {
        self.store.forget_expected(&self.reservation);
        self.attaching.send(Message::Release(Arc::clone(&self.reservation)));
    }
}

impl Circuit {
    /// Connects to a target through this circuit: `host:port`, a pair of host and port, or a socket
    /// address.
    ///
    /// The stream stays on the circuit, and ends with it. It is requested at tor's first
    /// `SocksPort`. Meanwhile tor leaves all new streams to this program (see
    /// [`State::set_attacher`](super::State::set_attacher)), which leaves those of other programs
    /// to its attachers, or to tor. If the `SocksPort` is a unix socket, the stream has SOCKS
    /// credentials, with which tor keeps other streams off the circuit.
    ///
    /// Sends `GETINFO net/listeners/socks`, `SETEVENTS` with `CONF_CHANGED`, `GETCONF
    /// __LeaveStreamsUnattached`, and `SETCONF` of that option before and after the `ATTACHSTREAM`
    /// for each new stream.
    ///
    /// Blocks the current thread until the stream is open, for at most 130 seconds, and up to two
    /// seconds more to restore the option.
    ///
    /// # Errors
    ///
    /// [`Error::Circuit`] if the circuit is not built or ends, or if its exit does not connect to
    /// the target, with the [`CircuitProblem`]. [`Error::InvalidInput`] if the target is not valid;
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
    #[doc(alias = "TorCircuitEndpoint")]
    #[doc(alias = "stream_via")]
    pub fn connect_stream<T>(&self, target: T) -> Result<TorStream>
    where
        T: TryInto<Target>,
        Error: From<T::Error>,
    {
        self.connect_stream_timeout(target, LIMIT)
    }

    /// Connects to a target through this circuit, with another time limit; see
    /// [`connect_stream`](Self::connect_stream).
    ///
    /// Blocks the current thread until the stream is open, for at most `limit`, and up to two
    /// seconds more to restore the option. Each command takes at most the controller's
    /// [time limit](crate::Controller::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`connect_stream`](Self::connect_stream).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// for circuit in state.circuits() {
    ///     let stream = circuit.connect_stream_timeout("example.com:80", Duration::from_secs(20))?;
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn connect_stream_timeout<T>(&self, target: T, limit: Duration) -> Result<TorStream>
    where
        T: TryInto<Target>,
        Error: From<T::Error>,
    {
        let target: Target = target.try_into()?;
        let action = format!("connect to {target}");
        if is_onion(&target) {
            return Err(self.failed(&action, CircuitProblem::Onion));
        }
        let connect = |proxy: SocksProxy| proxy.connect::<&Target>(&target);
        self.through(&action, limit, true, connect)
    }

    /// Resolves a host name through this circuit. Its purpose must not be
    /// [`CircuitPurpose::Controller`](crate::names::CircuitPurpose::Controller): tor does not
    /// resolve names through such circuits.
    ///
    /// tor replies without using the circuit if it has the address, for example of a
    /// [mapped](crate::Controller::map_address) name.
    ///
    /// Sends what [`connect_stream`](Self::connect_stream) does.
    ///
    /// Blocks the current thread until tor has answered, for at most 130 seconds, and up to two
    /// seconds more to restore the option.
    ///
    /// # Errors
    ///
    /// Those of [`connect_stream`](Self::connect_stream) and of [`SocksProxy::resolve`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// for circuit in state.circuits() {
    ///     println!("{}", circuit.resolve("example.com")?);
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn resolve(&self, name: &str) -> Result<IpAddr> {
        self.resolve_timeout(name, LIMIT)
    }

    /// Resolves a host name through this circuit, with another time limit; see
    /// [`resolve`](Self::resolve).
    ///
    /// Blocks the current thread until tor has answered, for at most `limit`, and up to two seconds
    /// more to restore the option.
    ///
    /// # Errors
    ///
    /// Those of [`resolve`](Self::resolve).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// for circuit in state.circuits() {
    ///     println!("{}", circuit.resolve_timeout("example.com", Duration::from_secs(20))?);
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn resolve_timeout(&self, name: &str, limit: Duration) -> Result<IpAddr> {
        let action = format!("resolve {name}");
        self.through(&action, limit, false, |proxy| proxy.resolve(name))
    }

    /// Requests a stream or an address from the proxy of tor through this circuit.
    ///
    /// Errors name `action`.
    fn through<T>(
        &self,
        action: &str,
        limit: Duration,
        needs_circuit: bool,
        request: impl FnOnce(SocksProxy) -> Result<T>,
    ) -> Result<T> {
        let deadline = deadline_after(limit);
        let info = self.info();
        if info.is_over() {
            return Err(self.failed(action, self.problem()));
        }
        if !info.is_built() {
            let status = info.status();
            return Err(self.failed(action, CircuitProblem::NotBuilt { status }));
        }
        if let Err(problem) = check_purpose(info.purpose().as_ref(), !needs_circuit) {
            return Err(self.failed(action, problem));
        }
        let controller = self.controller();
        let command_limit = limit.min(controller.timeout());
        let command_deadline = deadline_after(command_limit);
        let endpoint = controller.with_timeout(command_limit).socks_endpoint(action)?;
        let attaching = AttachGuard::new(&self.owner.generation, command_deadline, command_limit)?;
        let reserved = ReservedStream::new(self, attaching);
        let proxy = reserved.recognize(SocksProxy::new(endpoint)?)?;
        let outcome = request(proxy.deadline(deadline, limit));
        match outcome {
            outcome if !reserved.reservation.has_origin() => outcome,
            Ok(value) => {
                self.check(action, &reserved, needs_circuit, deadline)?;
                Ok(value)
            }
            Err(error) => Err(self.refused(action, &reserved, error, deadline)),
        }
    }

    /// Checks that the granted stream is on this circuit.
    fn check(
        &self,
        action: &str,
        reserved: &ReservedStream,
        needs_circuit: bool,
        deadline: Instant,
    ) -> Result<()> {
        let deadline = deadline.min(deadline_after(EVENT_LIMIT));
        let store = &self.owner.generation.store;
        let Ok(stream) = clock::recv_until(&reserved.found, deadline) else {
            return Err(match store.end_reason() {
                Some(reason) => Error::Closed(reason),
                None => self.failed(action, CircuitProblem::NotSeen),
            });
        };
        let circuit = Arc::clone(&self.cell);
        let reservation = Arc::clone(&reserved.reservation);
        // The events of the stream reach this state; the reservation has only reasons that they
        // lack.
        let checked = store.wait_stream(&stream, deadline, move |tracker, cell| {
            let info = cell.info();
            match info.circuit() {
                Some(id) if is_on(&circuit, tracker, id) => is_answered(&info).then_some(Ok(())),
                Some(id) => Some(Err(CircuitProblem::OtherCircuit { circuit: Some(id) })),
                None if is_answered(&info) && !needs_circuit => Some(Ok(())),
                None if info.is_over() => {
                    Some(Err(reservation.problem().unwrap_or(CircuitProblem::NotSeen)))
                }
                None => None,
            }
        });
        match checked {
            Ok(Ok(())) => Ok(()),
            Ok(Err(problem)) => Err(self.failed(action, problem)),
            Err(WaitEnd::Timeout) => Err(self.failed(action, CircuitProblem::NotSeen)),
            Err(WaitEnd::Closed(reason)) => Err(Error::Closed(reason)),
        }
    }

    /// Returns the error for a refusal of the proxy, with the reason that tor reported.
    fn refused(
        &self,
        action: &str,
        reserved: &ReservedStream,
        error: Error,
        deadline: Instant,
    ) -> Error {
        if error.is_timeout() || !matches!(error, Error::Socks(_)) {
            return error;
        }
        // tor may answer the SOCKS request before it reports the end of the stream.
        let deadline = deadline.min(deadline_after(EVENT_LIMIT));
        let ended = reserved.found.try_recv().ok().and_then(|stream| {
            let find = |_: &Tracker, cell: &Arc<StreamCell>| {
                let info = cell.info();
                info.is_over().then_some(info)
            };
            self.owner.generation.store.wait_stream(&stream, deadline, find).ok()
        });
        let problem = match (reserved.reservation.problem(), ended) {
            (Some(problem), _) => problem,
            (None, Some(info)) if info.reason().is_some() => match self.info().is_over() {
                true => self.problem(),
                false => CircuitProblem::Stream {
                    reason: info.reason(),
                    remote_reason: info.remote_reason(),
                },
            },
            _ => return error,
        };
        self.failed(action, problem)
    }

    fn failed(&self, action: &str, problem: CircuitProblem) -> Error {
        let action = format!("{action} through circuit {}", self.id());
        CircuitError::new(self.id(), &action, problem).into()
    }
}

/// Returns whether a circuit has this identifier, or is the other leg of its conflux pair.
fn is_on(circuit: &CircuitCell, tracker: &Tracker, id: CircuitId) -> bool {
    let pair = |info: &CircuitInfo| info.conflux_id();
    id == circuit.id()
        || pair(&circuit.info()).is_some_and(|own| {
            tracker.circuit(&id).is_some_and(|cell| pair(&cell.info()) == Some(own))
        })
}

/// Returns whether tor has answered the request of a stream.
fn is_answered(info: &StreamInfo) -> bool {
    info.status() == StreamStatus::Succeeded || info.is_over()
}

fn random() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        InvalidInput::new("target", format!("there are no random numbers for it: {error}"))
    })?;
    Ok(HEXLOWER.encode(&bytes))
}
