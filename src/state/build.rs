//! Circuits that this program builds.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::circuit::Circuit;
use super::circuit_info::CircuitCell;
use super::path::Choice;
use super::store::Store;
use super::tracker::Tracker;
use super::{Path, State};
use crate::clock::deadline_after;
use crate::command::{CloseCircuit, ExtendCircuit, SetCircuitPurpose};
use crate::controller::Controller;
use crate::error::{Error, Result, Wait};
use crate::link::CancelToken;
use crate::names::{CircuitId, CircuitPurpose};

/// Makes the store keep ended circuits until this is dropped.
struct KeepEnded(Arc<Store>);

impl KeepEnded {
    fn new(store: &Arc<Store>) -> Self {
        store.keep_ended();
        Self(Arc::clone(store))
    }
}

impl Drop for KeepEnded {
    fn drop(&mut self) {
        self.0.forget_ended();
    }
}

impl State {
    /// Launches a circuit along the given relays, along relays that are chosen by rules
    /// ([`Path::to`], [`Path::builder`]), or along a path that tor chooses ([`Path::any`]).
    ///
    /// [`Circuit::wait_built`] waits until it is built.
    ///
    /// Sends `EXTENDCIRCUIT 0 path`; for rules, what [`choose_path`](Self::choose_path) does before.
    /// Blocks for at most the controller's [time limit](crate::Controller::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Path`] if no relay fits the rules; [`Error::Rejected`] with code 552 if tor does not know a relay, with 551 if it cannot launch
    /// the circuit, for example without a network; [`Error::InvalidInput`] if the path has no relay;
    /// otherwise those of [`Controller::execute`](crate::Controller::execute).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> Result<(), torcon::Error> {
    /// use std::time::Duration;
    ///
    /// use torcon::names::Fingerprint;
    /// use torcon::state::State;
    ///
    /// # let fingerprint = || "e8f78d0cad2e4ab37af2dba543e53e84f7b206ac".parse::<Fingerprint>();
    /// # let (guard, middle, exit) = (fingerprint()?, fingerprint()?, fingerprint()?);
    /// let state = State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// let circuit = state.build_circuit([guard, middle, exit])?;
    /// let stream = circuit.wait_built(Duration::from_secs(30))?.connect_stream("example.com:80")?;
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "new_circuit")]
    pub fn build_circuit<P>(&self, path: P) -> Result<Circuit>
    where
        P: TryInto<Path>,
        Error: From<P::Error>,
    {
        let limit = self.shared.present().controller.timeout();
        self.begin(path.try_into()?, None, deadline_after(limit), limit)
    }

    /// Launches a circuit for a purpose: [`CircuitPurpose::General`], or
    /// [`CircuitPurpose::Controller`] for a circuit that tor does not use on its own.
    ///
    /// Sends `EXTENDCIRCUIT 0 path purpose=..`. If tor chooses the path, sends `EXTENDCIRCUIT 0` and
    /// then, unless the purpose is general, `SETCIRCUITPURPOSE id purpose=..`: tor refuses both in
    /// one. Blocks for at most the controller's [time limit](crate::Controller::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`] with code 552 also if tor does not accept the purpose; otherwise those of
    /// [`build_circuit`](Self::build_circuit).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::names::CircuitPurpose;
    /// use torcon::state::Path;
    ///
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// let circuit = state.build_circuit_for(Path::any(), CircuitPurpose::Controller)?;
    /// println!("{}", circuit.id());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn build_circuit_for<P>(&self, path: P, purpose: CircuitPurpose) -> Result<Circuit>
    where
        P: TryInto<Path>,
        Error: From<P::Error>,
    {
        let limit = self.shared.present().controller.timeout();
        self.begin(path.try_into()?, Some(purpose), deadline_after(limit), limit)
    }

    /// Builds a circuit, and closes it if it is not built in time.
    ///
    /// Sends `EXTENDCIRCUIT 0 path`, and `CLOSECIRCUIT id` after a timeout. If tor has not answered the
    /// first in time, the ID is not known, and a circuit that tor launches later stays.
    ///
    /// Blocks the current thread until the circuit is built, for at most `limit`.
    ///
    /// # Errors
    ///
    /// Those of [`build_circuit`](Self::build_circuit) and of [`Circuit::wait_built`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use torcon::state::Path;
    ///
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// let path = Path::to("example.com:443");
    /// let circuit = state.build_circuit_timeout(path, Duration::from_secs(60))?;
    /// println!("{:?}", circuit.path());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn build_circuit_timeout<P>(&self, path: P, limit: Duration) -> Result<Circuit>
    where
        P: TryInto<Path>,
        Error: From<P::Error>,
    {
        let deadline = deadline_after(limit);
        let circuit = self.begin(path.try_into()?, None, deadline, limit)?;
        let built = circuit.wait_built_before(deadline, limit);
        built.inspect_err(|error| give_up_if_late(circuit.controller(), circuit.id(), error))?;
        Ok(circuit)
    }

    /// Builds a circuit as [`build_circuit_timeout`](Self::build_circuit_timeout) does, and closes it
    /// if the token is canceled meanwhile.
    ///
    /// Sends `EXTENDCIRCUIT 0 path`, and `CLOSECIRCUIT id` after a timeout or a cancellation.
    ///
    /// Blocks the current thread until the circuit is built or the token is canceled, for at most
    /// `limit`. A command that tor has not answered yet is not interrupted.
    ///
    /// # Errors
    ///
    /// [`Error::Canceled`] if the token is canceled before the circuit is built; otherwise those of
    /// [`build_circuit_timeout`](Self::build_circuit_timeout).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use torcon::state::Path;
    /// use torcon::{CancelToken, State};
    ///
    /// let state = State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// let token = CancelToken::new();
    /// let limit = Duration::from_secs(60);
    /// let circuit = state.build_circuit_cancelable(Path::any(), limit, &token)?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn build_circuit_cancelable<P>(
        &self,
        path: P,
        limit: Duration,
        token: &CancelToken,
    ) -> Result<Circuit>
    where
        P: TryInto<Path>,
        Error: From<P::Error>,
    {
        token.check(Wait::Circuit)?;
        let deadline = deadline_after(limit);
        let circuit = self.begin(path.try_into()?, None, deadline, limit)?;
        let outcome = circuit.wait_built_or_canceled(deadline, limit, token);
        if let Err(canceled) = token.check(Wait::Built(circuit.id())) {
            give_up(circuit.controller(), circuit.id());
            return Err(canceled.into());
        }
        outcome.inspect_err(|error| give_up_if_late(circuit.controller(), circuit.id(), error))?;
        Ok(circuit)
    }

    /// Launches a circuit. An error reports `limit` as the time limit.
    fn begin(
        &self,
        path: Path,
        purpose: Option<CircuitPurpose>,
        deadline: Instant,
        limit: Duration,
    ) -> Result<Circuit> {
        let owner = self.owner();
        let store = &owner.generation.store;
        let controller = &owner.generation.controller.with_timeout(limit);
        let relays = match path.into_choice() {
            Choice::Tor => None,
            Choice::Relays(relays) => Some(relays),
            Choice::Spec(spec) => {
                owner.generation.choose_path(controller, &spec, deadline)?.into_relays()
            }
        };
        let command = match &relays {
            Some(relays) => ExtendCircuit::along(relays.iter().cloned()),
            None => ExtendCircuit::new(),
        };
        // tor refuses (551) to choose a path for another purpose: it takes a pre-emptive circuit,
        // whose purpose does not match.
        let purpose = purpose.filter(|purpose| *purpose != CircuitPurpose::General);
        let (command, later) = match (relays.is_some(), purpose) {
            (true, Some(purpose)) => (command.purpose(purpose), None),
            (_, purpose) => (command, purpose),
        };
        // The circuit may end before this thread has read tor's reply.
        let keeping = KeepEnded::new(store);
        let (id, _) = controller.execute_before(&command, deadline)?;
        let find = |_: &Tracker, cell: &Arc<CircuitCell>| Some(Arc::clone(cell));
        let found = store.wait_circuit(id, None, deadline, find);
        drop(keeping);
        let found = found.map_err(|end| end.into_error(Wait::Event, limit));
        let cell = found.inspect_err(|error| give_up_if_late(controller, id, error))?;
        let circuit = Circuit::along(owner.clone(), cell, relays);
        let Some(purpose) = later else { return Ok(circuit) };
        match controller.execute_before(&SetCircuitPurpose::new(id, purpose.clone()), deadline) {
            // `Circuit::connect_stream` checks the purpose.
            Ok(_) => {
                let reported = circuit.wait_purpose(&purpose, deadline, limit);
                reported.inspect_err(|error| give_up_if_late(controller, id, error))?;
                Ok(circuit)
            }
            // The circuit has failed: its handle has the reason, which the rejection lacks.
            Err(Error::Rejected(_)) if circuit.info().is_over() => Ok(circuit),
            Err(error) => {
                give_up(controller, id);
                Err(error)
            }
        }
    }
}

/// Closes a circuit for which no caller waits, without waiting for the reply.
fn give_up(controller: &Controller, id: CircuitId) {
    match controller.send_unawaited(&CloseCircuit::new(id)) {
        Err(error) if !error.is_closed() => {
            log::warn!("circuit {id} could not be closed: {error}");
        }
        _ => {}
    }
}

fn give_up_if_late(controller: &Controller, id: CircuitId, error: &Error) {
    if error.is_timeout() {
        give_up(controller, id);
    }
}
