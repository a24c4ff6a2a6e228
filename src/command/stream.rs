//! Streams: `ATTACHSTREAM`, `REDIRECTSTREAM`, `CLOSESTREAM`.

use super::circuit::circuit;
use super::{Command, acknowledged, check_host};
use crate::error::{InvalidInput, Result};
use crate::names::{CircuitId, StreamId, StreamReason};
use crate::wire::{Reply, Request};

/// Chooses the circuit of a stream that waits for one.
///
/// Section 3.13 of the control specification: `ATTACHSTREAM stream circuit [HOP=..]`. Streams wait
/// for it only while the option `__LeaveStreamsUnattached` is 1; tor refuses all others (555), and
/// so it does one that is attached already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a command does nothing until it is executed"]
pub struct AttachStream {
    stream: StreamId,
    /// `None` leaves the choice to tor.
    circuit: Option<CircuitId>,
    hop: Option<u8>,
}

impl AttachStream {
    /// Returns the command that attaches the stream to the circuit, which must be built.
    pub fn new(stream: StreamId, circuit: CircuitId) -> Self {
        Self { stream, circuit: Some(circuit), hop: None }
    }

    /// Returns the command that leaves the choice of the circuit to tor: circuit 0.
    pub fn left_to_tor(stream: StreamId) -> Self {
        Self { stream, circuit: None, hop: None }
    }

    /// Sets the relay of the circuit at which the stream leaves it, counted from 1, the guard,
    /// which tor never takes. The default is the last one.
    pub fn hop(mut self, hop: u8) -> Self {
        self.hop = Some(hop);
        self
    }
}

impl Command for AttachStream {
    type Reply = ();

    const KEYWORD: &'static str = "ATTACHSTREAM";

    fn request(&self) -> Result<Request, InvalidInput> {
        let request = Request::new(Self::KEYWORD).token("stream", self.stream.as_str())?;
        let request = match self.circuit {
            Some(id) => circuit(request, id)?,
            None => request.token("circuit", "0")?,
        };
        match self.hop {
            // To tor, 0 is none.
            Some(0) => Err(InvalidInput::new("hop", "must not be 0")),
            Some(_) if self.circuit.is_none() => {
                Err(InvalidInput::new("hop", "needs a circuit to be counted on"))
            }
            Some(hop) => request.pair("HOP", hop.to_string()),
            None => Ok(request),
        }
    }

    fn reply(&self, reply: Reply) -> Result<()> {
        acknowledged(Self::KEYWORD, reply)
    }
}

/// Changes where a stream goes.
///
/// Section 3.15 of the control specification: `REDIRECTSTREAM stream address [port]`. It has an
/// effect only before the stream is attached to a circuit; later tor accepts it, and changes
/// nothing but the name in events.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a command does nothing until it is executed"]
pub struct RedirectStream {
    stream: StreamId,
    address: String,
    port: Option<u16>,
}

impl RedirectStream {
    /// Returns the command that makes the stream go to the host name or address.
    pub fn new(stream: StreamId, address: impl Into<String>) -> Self {
        Self { stream, address: address.into(), port: None }
    }

    /// Sets the port too. The default is that of the stream.
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }
}

impl Command for RedirectStream {
    type Reply = ();

    const KEYWORD: &'static str = "REDIRECTSTREAM";

    fn request(&self) -> Result<Request, InvalidInput> {
        let request = Request::new(Self::KEYWORD)
            .token("stream", self.stream.as_str())?
            .token("address", &self.address)?;
        check_host("address", &self.address)?;
        match self.port {
            Some(0) => Err(InvalidInput::new("port", "must not be 0")),
            Some(port) => request.token("port", port.to_string()),
            None => Ok(request),
        }
    }

    fn reply(&self, reply: Reply) -> Result<()> {
        acknowledged(Self::KEYWORD, reply)
    }
}

/// Closes a stream.
///
/// Section 3.16 of the control specification: `CLOSESTREAM stream reason`, the reason by its
/// [number](StreamReason::number). An application whose stream was not connected yet learns of the
/// reason: `RESOLVEFAILED`, for one, becomes the SOCKS answer "host unreachable".
///
/// Of a stream that is connected, only the application's side is closed: the exit is not told, and
/// keeps its connection to the target until the circuit is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseStream {
    stream: StreamId,
    reason: StreamReason,
}

impl CloseStream {
    /// Returns the command that closes the stream for a reason that has a number;
    /// [`StreamReason::Misc`] is the one that says nothing.
    #[must_use]
    pub fn new(stream: StreamId, reason: StreamReason) -> Self {
        Self { stream, reason }
    }
}

impl Command for CloseStream {
    type Reply = ();

    const KEYWORD: &'static str = "CLOSESTREAM";

    fn request(&self) -> Result<Request, InvalidInput> {
        let Some(number) = self.reason.number() else {
            let problem = "has no number, so that no stream can be closed for it";
            return Err(InvalidInput::new("reason", problem));
        };
        Request::new(Self::KEYWORD)
            .token("stream", self.stream.as_str())?
            .token("reason", number.to_string())
    }

    fn reply(&self, reply: Reply) -> Result<()> {
        acknowledged(Self::KEYWORD, reply)
    }
}

#[cfg(test)]
mod tests;
