//! Circuits and streams: one short method per command.

use crate::command::{
    AttachStream, CloseCircuit, CloseStream, ExtendCircuit, RedirectStream, SetCircuitPurpose,
};
use crate::controller::Controller;
use crate::error::Result;
use crate::names::{CircuitId, CircuitPurpose, StreamId, StreamReason};

impl Controller {
    /// Begins a circuit, or begins to make one longer, and returns which one it is.
    ///
    /// [`CircEvent`](crate::event::CircEvent) tells when it is built:
    /// [`execute_and_wait`](Self::execute_and_wait) waits for that.
    ///
    /// Sends [`EXTENDCIRCUIT`](ExtendCircuit). Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) with code 552 if tor does not know a relay, the
    /// circuit or the purpose, 551 if it cannot begin, as without a network; otherwise those of
    /// [`execute`](Self::execute).
    pub fn extend_circuit(&self, circuit: &ExtendCircuit) -> Result<CircuitId> {
        self.execute(circuit)
    }

    /// Changes what tor uses a circuit for: [`CircuitPurpose::General`] or
    /// [`CircuitPurpose::Controller`].
    ///
    /// Sends `SETCIRCUITPURPOSE id purpose=..`. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) with code 552 if there is no such circuit, or tor
    /// does not take the purpose; otherwise those of [`execute`](Self::execute).
    #[doc(alias = "repurpose_circuit")]
    pub fn set_circuit_purpose(&self, circuit: CircuitId, purpose: CircuitPurpose) -> Result<()> {
        self.execute(&SetCircuitPurpose::new(circuit, purpose))
    }

    /// Closes a circuit, and with it its streams.
    ///
    /// Sends `CLOSECIRCUIT id`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) with code 552 if there is no such circuit;
    /// otherwise those of [`execute`](Self::execute).
    pub fn close_circuit(&self, circuit: CircuitId) -> Result<()> {
        self.execute(&CloseCircuit::new(circuit))
    }

    /// Closes a circuit unless there are streams on it. tor does not say which of both was the
    /// case.
    ///
    /// Sends `CLOSECIRCUIT id IfUnused`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`close_circuit`](Self::close_circuit).
    pub fn close_circuit_if_unused(&self, circuit: CircuitId) -> Result<()> {
        self.execute(&CloseCircuit::new(circuit).if_unused())
    }

    /// Chooses the circuit of a stream that waits for one, while the option
    /// `__LeaveStreamsUnattached` is 1; or leaves the choice to tor.
    ///
    /// Sends [`ATTACHSTREAM`](AttachStream). Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) with code 552 if there is no such stream or
    /// circuit, 551 if the circuit cannot take it, 555 if the stream does not wait for us; otherwise
    /// those of [`execute`](Self::execute).
    pub fn attach_stream(&self, stream: AttachStream) -> Result<()> {
        self.execute(&stream)
    }

    /// Changes where a stream goes, before it is attached to a circuit.
    ///
    /// Sends [`REDIRECTSTREAM`](RedirectStream). Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) with code 552 if there is no such stream;
    /// otherwise those of [`execute`](Self::execute).
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
    pub fn close_stream(&self, stream: StreamId, reason: StreamReason) -> Result<()> {
        self.execute(&CloseStream::new(stream, reason))
    }
}
