//! Circuits of our own: their paths, and how they are begun.

use std::sync::Arc;
use std::time::Duration;

use super::circuit::Circuit;
use super::circuit_info::CircuitCell;
use super::store::Store;
use super::tracker::Tracker;
use super::{Inner, State};
use crate::command::ExtendCircuit;
use crate::descriptor::RouterStatus;
use crate::error::{Error, Result, Wait};
use crate::link::deadline_after;
use crate::names::{CircuitPurpose, RelaySpec};

/// The relays along which a circuit is built.
///
/// Made from relays in an array, a slice or a `Vec`: by their fingerprints, or by what the
/// consensus says about them; by [`Path::of`] from any others; or left to tor by [`Path::any`].
///
/// # Examples
///
/// ```
/// use torcon::names::Fingerprint;
/// use torcon::state::Path;
///
/// let guard: Fingerprint = "$e8f78d0cad2e4ab37af2dba543e53e84f7b206ac".parse()?;
/// let exit: Fingerprint = "$a65f314c8459ae7eea37a8bbdf50d7668516965d".parse()?;
/// let path = Path::from([guard, exit]);
/// assert_eq!(path.relays().map(<[_]>::len), Some(2));
/// assert_eq!(Path::any().relays(), None);
/// # Ok::<(), torcon::names::InvalidName>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// `None` leaves them to tor.
    relays: Option<Arc<[RelaySpec]>>,
}

impl Path {
    /// A path that tor chooses.
    #[must_use]
    pub fn any() -> Self {
        Self { relays: None }
    }

    /// The given relays, first the guard.
    #[must_use]
    pub fn of<I>(relays: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<RelaySpec>,
    {
        Self { relays: Some(relays.into_iter().map(Into::into).collect()) }
    }

    /// Returns the relays; `None` if they are left to tor.
    #[must_use]
    pub fn relays(&self) -> Option<&[RelaySpec]> {
        self.relays.as_deref()
    }

    pub(super) fn into_relays(self) -> Option<Arc<[RelaySpec]>> {
        self.relays
    }
}

/// Paths are made of anything by which a relay is named.
macro_rules! path_of {
    ($relay:ty) => {
        impl<const N: usize> From<[$relay; N]> for Path {
            fn from(relays: [$relay; N]) -> Self {
                Self::from(relays.as_slice())
            }
        }

        impl<const N: usize> From<&[$relay; N]> for Path {
            fn from(relays: &[$relay; N]) -> Self {
                Self::from(relays.as_slice())
            }
        }

        impl From<Vec<$relay>> for Path {
            fn from(relays: Vec<$relay>) -> Self {
                Self::from(relays.as_slice())
            }
        }

        impl From<&Vec<$relay>> for Path {
            fn from(relays: &Vec<$relay>) -> Self {
                Self::from(relays.as_slice())
            }
        }
    };
}

path_of!(crate::names::Fingerprint);
path_of!(RelaySpec);
path_of!(RouterStatus);

impl From<&[crate::names::Fingerprint]> for Path {
    fn from(relays: &[crate::names::Fingerprint]) -> Self {
        Self::of(relays.iter().copied())
    }
}

impl From<&[RelaySpec]> for Path {
    fn from(relays: &[RelaySpec]) -> Self {
        Self::of(relays.iter().cloned())
    }
}

impl From<&[RouterStatus]> for Path {
    fn from(relays: &[RouterStatus]) -> Self {
        Self::of(relays.iter().map(RouterStatus::identity))
    }
}

/// As long as it is there, circuits that end can still be found.
struct BuildGuard(Arc<Store>);

impl BuildGuard {
    fn new(store: &Arc<Store>) -> Self {
        store.keep_ended();
        Self(Arc::clone(store))
    }
}

impl Drop for BuildGuard {
    fn drop(&mut self) {
        self.0.forget_ended();
    }
}

impl State {
    /// Begins a circuit along the given relays, or along a path that tor chooses.
    ///
    /// [`Circuit::wait_built`] waits until it is built.
    ///
    /// Sends `EXTENDCIRCUIT 0 path`.
    ///
    /// Blocks the current thread until tor has begun the circuit, for at most the
    /// [time limit](crate::Controller::with_timeout) of the controller.
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`] with code 552 if tor does not know a relay, 551 if it cannot begin, as
    /// without a network; [`Error::InvalidInput`] if the path has no relay; otherwise those of
    /// [`Controller::execute`](crate::Controller::execute).
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
    pub fn build_circuit<P: Into<Path>>(&self, path: P) -> Result<Circuit> {
        self.begin(path.into(), None)
    }

    /// Begins a circuit for a purpose: [`CircuitPurpose::General`], or
    /// [`CircuitPurpose::Controller`] for one that tor uses for nothing of its own.
    ///
    /// Sends `EXTENDCIRCUIT 0 path purpose=..`; if the path is left to tor `EXTENDCIRCUIT 0`, and
    /// `SETCIRCUITPURPOSE id purpose=..` unless the purpose is general: tor refuses both in one.
    ///
    /// Blocks the current thread until tor has begun the circuit, for at most the
    /// [time limit](crate::Controller::with_timeout) of the controller for each command.
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`] with code 552 also if tor does not take the purpose; otherwise those of
    /// [`build_circuit`](Self::build_circuit).
    pub fn build_circuit_for<P>(&self, path: P, purpose: CircuitPurpose) -> Result<Circuit>
    where
        P: Into<Path>,
    {
        self.begin(path.into(), Some(purpose))
    }

    /// Builds a circuit, and closes it if it is not built in time.
    ///
    /// Sends `EXTENDCIRCUIT 0 path`, and `CLOSECIRCUIT id` if the time is over.
    ///
    /// Blocks the current thread until the circuit is built, for at most `limit` after tor has
    /// begun it; before and after that, for at most the
    /// [time limit](crate::Controller::with_timeout) of the controller.
    ///
    /// # Errors
    ///
    /// Those of [`build_circuit`](Self::build_circuit) and of [`Circuit::wait_built`].
    pub fn build_circuit_timeout<P: Into<Path>>(
        &self,
        path: P,
        limit: Duration,
    ) -> Result<Circuit> {
        let circuit = self.build_circuit(path)?;
        circuit.wait_built(limit).inspect_err(|error| {
            if error.is_timeout() {
                circuit.give_up();
            }
        })
    }

    fn begin(&self, path: Path, purpose: Option<CircuitPurpose>) -> Result<Circuit> {
        let Inner { controller, store, .. } = &*self.inner;
        let command = match path.relays() {
            Some(relays) => ExtendCircuit::along(relays.iter().cloned()),
            None => ExtendCircuit::new(),
        };
        // A path of tor's own and another purpose do not go together: tor takes a circuit that it
        // has in stock, finds that it cannot use it for that, and refuses (551).
        let purpose = purpose.filter(|purpose| *purpose != CircuitPurpose::General);
        let (command, later) = match (path.relays().is_some(), purpose) {
            (true, Some(purpose)) => (command.purpose(purpose), None),
            (_, purpose) => (command, purpose),
        };
        // It may have ended before we see tor's answer.
        let beginning = BuildGuard::new(store);
        let id = controller.extend_circuit(&command)?;
        let limit = controller.timeout();
        let look = |_: &Tracker, cell: &Arc<CircuitCell>| Some(Arc::clone(cell));
        let found = store.wait_circuit(id, None, deadline_after(limit), look);
        drop(beginning);
        let cell = found.map_err(|end| end.into_error(Wait::Event, limit))?;
        let circuit = Circuit::along(Arc::clone(&self.inner), cell, path.into_relays());
        let Some(purpose) = later else { return Ok(circuit) };
        match controller.set_circuit_purpose(id, purpose.clone()) {
            // What follows depends on it.
            Ok(()) => circuit.wait_purpose(&purpose, limit).map(|()| circuit),
            // It failed already, which its handle tells better.
            Err(Error::Rejected(_)) if circuit.info().is_over() => Ok(circuit),
            Err(error) => {
                circuit.give_up();
                Err(error)
            }
        }
    }
}
