//! Circuits: `EXTENDCIRCUIT`, `SETCIRCUITPURPOSE`, `CLOSECIRCUIT`.

use super::{Command, acknowledged, out_of_step, reading};
use crate::error::{InvalidInput, ProtocolError, Result};
use crate::names::{CircuitId, CircuitPurpose, RelaySpec};
use crate::wire::{Reply, Request};

/// Builds a new circuit, or extends one.
///
/// `EXTENDCIRCUIT 0 [path] [purpose=..]` builds, `EXTENDCIRCUIT id path` extends. The path is the
/// relays joined by commas: each as `$` and its fingerprint if that is known, otherwise by its
/// nickname. The reply is the id of the circuit, which is not yet built: a
/// [`CircEvent`](crate::event::CircEvent) reports when it is built, and again when it was extended.
///
/// tor refuses a relay that it does not know (552). Several relays may have one nickname. An
/// impossible path, such as the same relay twice in a row, fails by an event.
///
/// # Examples
///
/// ```no_run
/// use torcon::command::ExtendCircuit;
/// use torcon::names::{CircuitPurpose, Fingerprint};
///
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// let guard: Fingerprint = "$e8f78d0cad2e4ab37af2dba543e53e84f7b206ac".parse()?;
/// let exit: Fingerprint = "$a65f314c8459ae7eea37a8bbdf50d7668516965d".parse()?;
/// let circuit = ExtendCircuit::along([guard, exit]).purpose(CircuitPurpose::Controller);
/// println!("circuit {} is being built", controller.extend_circuit(&circuit)?);
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a command does nothing until it is executed"]
pub struct ExtendCircuit {
    circuit: Option<CircuitId>,
    /// `None` leaves the path to tor.
    path: Option<Vec<RelaySpec>>,
    purpose: Option<CircuitPurpose>,
}

impl ExtendCircuit {
    /// Returns the command for a new circuit along a path that tor chooses.
    pub fn new() -> Self {
        Self { circuit: None, path: None, purpose: None }
    }

    /// Returns the command for a new circuit along the given relays, at least one.
    ///
    /// Give a circuit of one relay the purpose [`CircuitPurpose::Controller`]: tor may attach its own
    /// streams to one of [`CircuitPurpose::General`], which the relay then closes. `ATTACHSTREAM`
    /// refuses such a circuit.
    pub fn along<I>(path: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<RelaySpec>,
    {
        Self { circuit: None, path: Some(relays(path)), purpose: None }
    }

    /// Returns the command that extends a circuit by the given relays, at least one.
    pub fn of<I>(circuit: CircuitId, path: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<RelaySpec>,
    {
        Self { circuit: Some(circuit), path: Some(relays(path)), purpose: None }
    }

    /// Sets the purpose of a new circuit: [`CircuitPurpose::General`], or
    /// [`CircuitPurpose::Controller`], whose circuits tor does not use for its own streams. The
    /// default is `General`.
    pub fn purpose(mut self, purpose: CircuitPurpose) -> Self {
        self.purpose = Some(purpose);
        self
    }
}

impl Default for ExtendCircuit {
    fn default() -> Self {
        Self::new()
    }
}

fn relays<I>(path: I) -> Vec<RelaySpec>
where
    I: IntoIterator,
    I::Item: Into<RelaySpec>,
{
    path.into_iter().map(Into::into).collect()
}

/// Returns a relay as `$FP`, or by its nickname. tor ignores a nickname beside a fingerprint, and
/// refuses `$FP=nick`.
fn relay(relay: &RelaySpec) -> Result<String, InvalidInput> {
    match (relay.fingerprint(), relay.nickname()) {
        (Some(fingerprint), _) => Ok(format!("${fingerprint}")),
        (None, Some(nickname)) => Ok(nickname.to_string()),
        (None, None) => {
            let problem = "names a relay by neither fingerprint nor nickname";
            Err(InvalidInput::new("path", problem))
        }
    }
}

/// Adds the id of a circuit. 0 has a special meaning in every command.
pub(super) fn circuit(request: Request, circuit: CircuitId) -> Result<Request, InvalidInput> {
    if circuit == CircuitId::from(0) {
        return Err(InvalidInput::new("circuit", "must not be 0, which is not a circuit"));
    }
    request.token("circuit", circuit.as_str())
}

/// Adds `purpose=` in lower case, as in the specification.
fn purpose(request: Request, purpose: &CircuitPurpose) -> Result<Request, InvalidInput> {
    request.pair("purpose", purpose.as_str().to_ascii_lowercase())
}

impl Command for ExtendCircuit {
    type Reply = CircuitId;

    const KEYWORD: &'static str = "EXTENDCIRCUIT";

    fn request(&self) -> Result<Request, InvalidInput> {
        let request = Request::new(Self::KEYWORD);
        let mut request = match self.circuit {
            Some(id) => circuit(request, id)?,
            None => request.token("circuit", "0")?,
        };
        if let Some(path) = &self.path {
            if path.is_empty() {
                return Err(InvalidInput::new("path", "no relay is given"));
            }
            let path: Vec<_> = path.iter().map(relay).collect::<Result<_, _>>()?;
            request = request.token("path", path.join(","))?;
        }
        match &self.purpose {
            Some(_) if self.circuit.is_some() => {
                Err(InvalidInput::new("purpose", "is accepted for a new circuit only"))
            }
            Some(wanted) => purpose(request, wanted),
            None => Ok(request),
        }
    }

    fn reply(&self, reply: Reply) -> Result<CircuitId> {
        let reply = reply.into_result(Self::KEYWORD)?;
        let mut lines = reply.lines();
        let (line, more) = (lines.next(), lines.next());
        let found = line.map_or(&b""[..], |line| line.bytes());
        let (Some(id), None) = (found.strip_prefix(b"EXTENDED "), more) else {
            return Err(out_of_step(Self::KEYWORD, "EXTENDED and a circuit", found));
        };
        let malformed = || ProtocolError::new(&reading(Self::KEYWORD), "the id of a circuit", id);
        let id = CircuitId::from_bytes(id).ok_or_else(malformed)?;
        match self.circuit {
            Some(requested) if requested != id => {
                Err(out_of_step(Self::KEYWORD, "the circuit of the request", found))
            }
            _ => Ok(id),
        }
    }
}

/// Sets the purpose of a circuit.
///
/// `SETCIRCUITPURPOSE id purpose=..`. tor accepts [`CircuitPurpose::General`] and
/// [`CircuitPurpose::Controller`], and refuses every other (552).
///
/// # Examples
///
/// ```
/// use torcon::command::{Command, SetCircuitPurpose};
/// use torcon::names::CircuitPurpose;
///
/// let command = SetCircuitPurpose::new(7.into(), CircuitPurpose::Controller);
/// assert_eq!(command.request()?.encode()?, b"SETCIRCUITPURPOSE 7 purpose=controller\r\n");
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetCircuitPurpose {
    circuit: CircuitId,
    purpose: CircuitPurpose,
}

impl SetCircuitPurpose {
    /// Returns the command for a circuit and a purpose.
    #[must_use]
    pub fn new(circuit: CircuitId, purpose: CircuitPurpose) -> Self {
        Self { circuit, purpose }
    }
}

impl Command for SetCircuitPurpose {
    acknowledged!("SETCIRCUITPURPOSE");

    fn request(&self) -> Result<Request, InvalidInput> {
        purpose(circuit(Request::new(Self::KEYWORD), self.circuit)?, &self.purpose)
    }
}

/// Closes a circuit.
///
/// `CLOSECIRCUIT id [IfUnused]`.
///
/// # Examples
///
/// ```
/// use torcon::command::{CloseCircuit, Command};
///
/// let command = CloseCircuit::new(7.into()).if_unused();
/// assert_eq!(command.request()?.encode()?, b"CLOSECIRCUIT 7 IfUnused\r\n");
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a command does nothing until it is executed"]
pub struct CloseCircuit {
    circuit: CircuitId,
    if_unused: bool,
}

impl CloseCircuit {
    /// Returns the command that closes a circuit and the streams attached to it.
    pub fn new(circuit: CircuitId) -> Self {
        Self { circuit, if_unused: false }
    }

    /// Keeps the circuit open if streams are attached to it; tor's reply is the same in both cases.
    /// The default is that it is closed.
    pub fn if_unused(mut self) -> Self {
        self.if_unused = true;
        self
    }
}

impl Command for CloseCircuit {
    acknowledged!("CLOSECIRCUIT");

    fn request(&self) -> Result<Request, InvalidInput> {
        let request = circuit(Request::new(Self::KEYWORD), self.circuit)?;
        if self.if_unused { request.token("flag", "IfUnused") } else { Ok(request) }
    }
}

#[cfg(test)]
mod tests;
