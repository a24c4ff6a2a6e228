//! Circuits: `EXTENDCIRCUIT`, `SETCIRCUITPURPOSE`, `CLOSECIRCUIT`.

use super::{Command, acknowledged, out_of_step, reading};
use crate::error::{InvalidInput, ProtocolError, Result};
use crate::names::{CircuitId, CircuitPurpose, RelaySpec};
use crate::wire::{Reply, Request};

/// Builds a circuit, or makes one longer.
///
/// Section 3.10 of the control specification: `EXTENDCIRCUIT 0 [path] [purpose=..]` for a new
/// circuit, `EXTENDCIRCUIT id path` for one that is there. The path is the relays joined by
/// commas: each by `$` and its fingerprint if that is known, otherwise by its nickname. The answer
/// is the circuit, which is only begun: [`CircEvent`](crate::event::CircEvent) tells when it is
/// built, again after it was made longer.
///
/// tor refuses a relay that it does not know (552); a relay named by nickname may be another one
/// of that name. That a path cannot work, as with the same relay twice in a row, shows only in an
/// event.
///
/// # Examples
///
/// ```no_run
/// # fn main() -> Result<(), torcon::Error> {
/// use torcon::command::ExtendCircuit;
/// use torcon::names::{CircuitPurpose, Fingerprint};
///
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// let guard: Fingerprint = "$e8f78d0cad2e4ab37af2dba543e53e84f7b206ac".parse()?;
/// let exit: Fingerprint = "$a65f314c8459ae7eea37a8bbdf50d7668516965d".parse()?;
/// let circuit = ExtendCircuit::along([guard, exit]).purpose(CircuitPurpose::Controller);
/// println!("circuit {} is begun", controller.extend_circuit(&circuit)?);
/// # Ok(())
/// # }
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
    /// Returns the command that builds a new circuit along a path that tor chooses.
    pub fn new() -> Self {
        Self { circuit: None, path: None, purpose: None }
    }

    /// Returns the command that builds a new circuit along the given relays, of which there must
    /// be one.
    ///
    /// `ATTACHSTREAM` puts no stream on a circuit of a single relay. tor itself does if that is
    /// [`CircuitPurpose::General`] and there is no better one, and then the relay closes the
    /// circuit and the stream fails: make it [`CircuitPurpose::Controller`].
    pub fn along<I>(path: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<RelaySpec>,
    {
        Self { circuit: None, path: Some(relays(path)), purpose: None }
    }

    /// Returns the command that makes a circuit longer by the given relays, of which there must be
    /// one.
    pub fn of<I>(circuit: CircuitId, path: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<RelaySpec>,
    {
        Self { circuit: Some(circuit), path: Some(relays(path)), purpose: None }
    }

    /// Sets what tor uses the new circuit for: it takes [`CircuitPurpose::General`] and
    /// [`CircuitPurpose::Controller`], and uses circuits of the latter for nothing of its own. The
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

/// Names a relay as tor takes it everywhere: `$FP`, or a nickname. Nicknames beside a fingerprint
/// mean nothing to tor, and `$FP=nick` is not taken.
fn relay(relay: &RelaySpec) -> Result<String, InvalidInput> {
    match (relay.fingerprint(), relay.nickname()) {
        (Some(fingerprint), _) => Ok(format!("${fingerprint}")),
        (None, Some(nickname)) => Ok(nickname.to_string()),
        (None, None) => {
            let problem = "holds a relay without a fingerprint and without a nickname";
            Err(InvalidInput::new("path", problem))
        }
    }
}

/// Adds a circuit that is there. Number 0 means another thing in every command.
pub(super) fn circuit(request: Request, circuit: CircuitId) -> Result<Request, InvalidInput> {
    if circuit == CircuitId::from(0) {
        return Err(InvalidInput::new("circuit", "must not be 0, which is no circuit"));
    }
    request.token("circuit", circuit.as_str())
}

/// Adds `purpose=`, in the lower case in which the specification has it.
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
                Err(InvalidInput::new("purpose", "is taken for a new circuit only"))
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
        let unreadable = || ProtocolError::new(&reading(Self::KEYWORD), "the id of a circuit", id);
        let id = CircuitId::from_bytes(id).ok_or_else(unreadable)?;
        match self.circuit {
            Some(asked) if asked != id => {
                Err(out_of_step(Self::KEYWORD, "the circuit that was asked for", found))
            }
            _ => Ok(id),
        }
    }
}

/// Changes what tor uses a circuit for.
///
/// Section 3.11 of the control specification: `SETCIRCUITPURPOSE id purpose=..`. tor takes
/// [`CircuitPurpose::General`] and [`CircuitPurpose::Controller`], and refuses every other (552).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetCircuitPurpose {
    circuit: CircuitId,
    purpose: CircuitPurpose,
}

impl SetCircuitPurpose {
    /// Returns the command that gives the circuit the purpose.
    #[must_use]
    pub fn new(circuit: CircuitId, purpose: CircuitPurpose) -> Self {
        Self { circuit, purpose }
    }
}

impl Command for SetCircuitPurpose {
    type Reply = ();

    const KEYWORD: &'static str = "SETCIRCUITPURPOSE";

    fn request(&self) -> Result<Request, InvalidInput> {
        purpose(circuit(Request::new(Self::KEYWORD), self.circuit)?, &self.purpose)
    }

    fn reply(&self, reply: Reply) -> Result<()> {
        acknowledged(Self::KEYWORD, reply)
    }
}

/// Closes a circuit.
///
/// Section 3.17 of the control specification: `CLOSECIRCUIT id [IfUnused]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a command does nothing until it is executed"]
pub struct CloseCircuit {
    circuit: CircuitId,
    if_unused: bool,
}

impl CloseCircuit {
    /// Returns the command that closes the circuit, and with it its streams.
    pub fn new(circuit: CircuitId) -> Self {
        Self { circuit, if_unused: false }
    }

    /// Keeps the circuit open if there are streams on it; tor answers the same in both cases. The
    /// default is that it is closed.
    pub fn if_unused(mut self) -> Self {
        self.if_unused = true;
        self
    }
}

impl Command for CloseCircuit {
    type Reply = ();

    const KEYWORD: &'static str = "CLOSECIRCUIT";

    fn request(&self) -> Result<Request, InvalidInput> {
        let request = circuit(Request::new(Self::KEYWORD), self.circuit)?;
        if self.if_unused { request.token("flag", "IfUnused") } else { Ok(request) }
    }

    fn reply(&self, reply: Reply) -> Result<()> {
        acknowledged(Self::KEYWORD, reply)
    }
}

#[cfg(test)]
mod tests;
