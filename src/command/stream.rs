//! Streams: `ATTACHSTREAM`, `REDIRECTSTREAM`, `CLOSESTREAM`.

use super::circuit::circuit;
use super::{Command, acknowledged, check_host};
use crate::error::{InvalidInput, Result};
use crate::names::{CircuitId, StreamId, StreamReason};
use crate::wire::Request;

/// Attaches an unattached stream to a circuit.
///
/// `ATTACHSTREAM stream circuit [HOP=..]`. Streams stay unattached while the option
/// `__LeaveStreamsUnattached` is 1; tor refuses all others (555).
///
/// # Examples
///
/// ```
/// use torcon::command::{AttachStream, Command};
///
/// let at_second_hop = AttachStream::new(17.into(), 7.into()).hop(2);
/// assert_eq!(at_second_hop.request()?.encode()?, b"ATTACHSTREAM 17 7 HOP=2\r\n");
///
/// // Circuit 0: tor chooses.
/// let by_tor = AttachStream::left_to_tor(17.into());
/// assert_eq!(by_tor.request()?.encode()?, b"ATTACHSTREAM 17 0\r\n");
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a command does nothing until it is executed"]
pub struct AttachStream {
    stream: StreamId,
    /// `None` leaves the choice to tor.
    circuit: Option<CircuitId>,
    hop: Option<u8>,
}

impl AttachStream {
    /// Returns the command that attaches a stream to a circuit, which must be built.
    pub fn new(stream: StreamId, circuit: CircuitId) -> Self {
        Self { stream, circuit: Some(circuit), hop: None }
    }

    /// Returns the command that leaves the choice of the circuit to tor: circuit 0.
    pub fn left_to_tor(stream: StreamId) -> Self {
        Self { stream, circuit: None, hop: None }
    }

    /// Sets the hop of the circuit at which the stream exits, counted from 1, the guard, which tor
    /// refuses. The default is the last hop.
    pub fn hop(mut self, hop: u8) -> Self {
        self.hop = Some(hop);
        self
    }
}

impl Command for AttachStream {
    acknowledged!("ATTACHSTREAM");

    fn request(&self) -> Result<Request, InvalidInput> {
        let request = Request::new(Self::KEYWORD).token("stream", self.stream.as_str())?;
        let request = match self.circuit {
            Some(id) => circuit(request, id)?,
            None => request.token("circuit", "0")?,
        };
        match self.hop {
            // tor reads 0 as the default.
            Some(0) => Err(InvalidInput::new("hop", "must not be 0")),
            Some(_) if self.circuit.is_none() => Err(InvalidInput::new("hop", "needs a circuit")),
            Some(hop) => request.pair("HOP", hop.to_string()),
            None => Ok(request),
        }
    }
}

/// Changes the target of a stream.
///
/// `REDIRECTSTREAM stream address [port]`. It takes effect only before the stream is attached;
/// afterwards tor accepts it and changes only the target in events.
///
/// # Examples
///
/// ```
/// use torcon::command::{Command, RedirectStream};
///
/// let command = RedirectStream::new(17.into(), "mirror.example").port(8080);
/// assert_eq!(command.request()?.encode()?, b"REDIRECTSTREAM 17 mirror.example 8080\r\n");
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a command does nothing until it is executed"]
pub struct RedirectStream {
    stream: StreamId,
    address: String,
    port: Option<u16>,
}

impl RedirectStream {
    /// Returns the command for a stream and its new host name or address.
    pub fn new(stream: StreamId, address: impl Into<String>) -> Self {
        Self { stream, address: address.into(), port: None }
    }

    /// Sets the new port. The default is the port of the stream.
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }
}

impl Command for RedirectStream {
    acknowledged!("REDIRECTSTREAM");

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
}

/// Closes a stream.
///
/// `CLOSESTREAM stream reason`, with the [number](StreamReason::number) of the reason. For a stream
/// that is not yet connected, tor reports the reason to the application: `RESOLVEFAILED`, for
/// example, as the SOCKS reply "host unreachable".
///
/// tor closes only the application's side of a connected stream: the exit relay keeps its
/// connection to the target until the circuit is closed.
///
/// # Examples
///
/// ```
/// use torcon::command::{CloseStream, Command};
/// use torcon::names::StreamReason;
///
/// // The reason is sent as a number.
/// let command = CloseStream::new(17.into(), StreamReason::Timeout);
/// assert_eq!(command.request()?.encode()?, b"CLOSESTREAM 17 7\r\n");
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseStream {
    stream: StreamId,
    reason: StreamReason,
}

impl CloseStream {
    /// Returns the command for a stream and a reason that has a number, such as
    /// [`StreamReason::Misc`].
    #[must_use]
    pub fn new(stream: StreamId, reason: StreamReason) -> Self {
        Self { stream, reason }
    }
}

impl Command for CloseStream {
    acknowledged!("CLOSESTREAM");

    fn request(&self) -> Result<Request, InvalidInput> {
        let Some(number) = self.reason.number() else {
            let problem = "has no number, so CLOSESTREAM cannot send it";
            return Err(InvalidInput::new("reason", problem));
        };
        Request::new(Self::KEYWORD)
            .token("stream", self.stream.as_str())?
            .token("reason", number.to_string())
    }
}

#[cfg(test)]
mod tests;
