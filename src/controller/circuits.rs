//! Circuits and streams, and tor's connections to relays.

use super::Controller;
use crate::command::{
    AttachStream, CloseCircuit, CloseStream, DropGuards, DropTimeouts, ExtendCircuit,
    RedirectStream, SetCircuitPurpose,
};
use crate::error::Result;
use crate::event::{CircEvent, OrConnEvent, StreamEvent};
use crate::info::EntryGuard;
use crate::names::{CircuitId, CircuitPurpose, StreamId, StreamReason};

/// # Circuits and streams
///
/// [`State`](crate::State) keeps circuits and streams current by events.
impl Controller {
    /// Returns tor's circuits, each in the form of a `CIRC` event.
    #[doc = sends!("GETINFO circuit-status")]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// for circuit in controller.circuit_status()? {
    ///     println!("{} {}", circuit.id(), circuit.status());
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "get_circuit")]
    pub fn circuit_status(&self) -> Result<Vec<CircEvent>> {
        self.read_info("circuit-status", CircEvent::read_status)
    }

    /// Builds or extends a circuit, and returns its id before it is built.
    ///
    /// A [`CircEvent`] reports when it is built:
    /// [`execute_and_wait`](Self::execute_and_wait) waits for it.
    ///
    /// Sends [`EXTENDCIRCUIT`](ExtendCircuit). Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) with code 552 if tor does not know a relay, the
    /// circuit or the purpose, 551 if tor cannot launch the circuit, as without a network;
    /// otherwise those of [`execute`](Self::execute).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// use torcon::command::ExtendCircuit;
    ///
    /// // tor chooses the relays.
    /// let id = controller.extend_circuit(&ExtendCircuit::new())?;
    /// println!("circuit {id} is being built");
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn extend_circuit(&self, circuit: &ExtendCircuit) -> Result<CircuitId> {
        self.execute(circuit)
    }

    /// Sets the purpose of a circuit: [`CircuitPurpose::General`] or
    /// [`CircuitPurpose::Controller`].
    ///
    /// Sends `SETCIRCUITPURPOSE id purpose=..`. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) with code 552 if there is no such circuit, or tor
    /// refuses the purpose; otherwise those of [`execute`](Self::execute).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// use torcon::names::{CircuitId, CircuitPurpose};
    ///
    /// let circuit: CircuitId = "42".parse()?;
    /// controller.set_circuit_purpose(circuit, CircuitPurpose::Controller)?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "repurpose_circuit")]
    pub fn set_circuit_purpose(&self, circuit: CircuitId, purpose: CircuitPurpose) -> Result<()> {
        self.execute(&SetCircuitPurpose::new(circuit, purpose))
    }

    /// Closes a circuit and the streams attached to it.
    ///
    /// Sends `CLOSECIRCUIT id`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) with code 552 if there is no such circuit;
    /// otherwise those of [`execute`](Self::execute).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// let circuits = controller.circuit_status()?;
    /// if let Some(oldest) = circuits.first() {
    ///     controller.close_circuit(oldest.id())?;
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn close_circuit(&self, circuit: CircuitId) -> Result<()> {
        self.execute(&CloseCircuit::new(circuit))
    }

    /// Closes a circuit unless streams are attached to it. tor's reply is the same in both cases.
    #[doc = sends!("CLOSECIRCUIT id IfUnused", close_circuit)]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// for circuit in controller.circuit_status()? {
    ///     controller.close_circuit_if_unused(circuit.id())?;
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn close_circuit_if_unused(&self, circuit: CircuitId) -> Result<()> {
        self.execute(&CloseCircuit::new(circuit).if_unused())
    }

    /// Returns tor's streams, each in the form of a `STREAM` event with its status, circuit and
    /// target. A stream that waits for a controller to attach it is reported as new.
    #[doc = sends!("GETINFO stream-status")]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// for stream in controller.stream_status()? {
    ///     println!("{} {} {}", stream.id(), stream.status(), stream.target());
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn stream_status(&self) -> Result<Vec<StreamEvent>> {
        self.read_info("stream-status", StreamEvent::read_status)
    }

    /// Attaches an unattached stream to a circuit, or leaves the choice to tor. Streams stay
    /// unattached while the option `__LeaveStreamsUnattached` is 1.
    ///
    /// Sends [`ATTACHSTREAM`](AttachStream). Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) with code 552 if there is no such stream or
    /// circuit, 551 if the stream cannot be attached to this circuit, 555 if it is not unattached;
    /// otherwise those of [`execute`](Self::execute).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// use torcon::command::AttachStream;
    ///
    /// for stream in controller.stream_status()? {
    ///     if stream.circuit().is_none() {
    ///         controller.attach_stream(AttachStream::left_to_tor(stream.id()))?;
    ///     }
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn attach_stream(&self, stream: AttachStream) -> Result<()> {
        self.execute(&stream)
    }

    /// Changes the target of a stream that is not yet attached.
    ///
    /// Sends [`REDIRECTSTREAM`](RedirectStream). Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) with code 552 if there is no such stream;
    /// otherwise those of [`execute`](Self::execute).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// use torcon::command::RedirectStream;
    ///
    /// for stream in controller.stream_status()? {
    ///     if stream.target().host() == "old.example" {
    ///         controller.redirect_stream(&RedirectStream::new(stream.id(), "new.example"))?;
    ///     }
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn redirect_stream(&self, stream: &RedirectStream) -> Result<()> {
        self.execute(stream)
    }

    /// Closes a stream for a reason that has a [number](StreamReason::number).
    ///
    /// Sends `CLOSESTREAM id number`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) with code 552 if there is no such stream,
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) if the reason has no number; otherwise
    /// those of [`execute`](Self::execute).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// use torcon::names::StreamReason;
    ///
    /// for stream in controller.stream_status()? {
    ///     controller.close_stream(stream.id(), StreamReason::Misc)?;
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn close_stream(&self, stream: StreamId, reason: StreamReason) -> Result<()> {
        self.execute(&CloseStream::new(stream, reason))
    }

    /// Returns tor's connections to relays, each in the form of an `ORCONN` event.
    #[doc = sends!("GETINFO orconn-status")]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// for connection in controller.orconn_status()? {
    ///     println!("{} {}", connection.peer(), connection.status());
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn orconn_status(&self) -> Result<Vec<OrConnEvent>> {
        self.read_info("orconn-status", OrConnEvent::read_status)
    }

    /// Returns tor's entry guards.
    #[doc = sends!("GETINFO entry-guards")]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// for guard in controller.entry_guards()? {
    ///     println!("{} {}", guard.relay, guard.status);
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn entry_guards(&self) -> Result<Vec<EntryGuard>> {
        self.read_info("entry-guards", EntryGuard::read_list)
    }

    /// Drops tor's entry guards, so that it chooses others. Each choice is another chance to
    /// choose a malicious guard.
    #[doc = sends!("DROPGUARDS", execute)]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// controller.drop_guards()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn drop_guards(&self) -> Result<()> {
        self.execute(&DropGuards::new())
    }

    /// Resets the circuit build times that tor has measured, and so its circuit build timeout.
    #[doc = sends!("DROPTIMEOUTS", execute)]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// controller.drop_timeouts()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn drop_timeouts(&self) -> Result<()> {
        self.execute(&DropTimeouts::new())
    }
}
