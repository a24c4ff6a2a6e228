//! The commands of the control protocol: one type each, with its request and its reply.
//!
//! [`Controller::execute`](crate::Controller::execute) sends any of them; most have a method of
//! [`Controller`](crate::Controller) too. A program can keep commands as values, implement
//! [`Command`] for a command that torcon does not have, or use [`Request::encode`] and
//! [`Reply::parse`] with another connection.

mod address;
mod arguments;
mod authenticate;
mod circuit;
mod conf;
mod directory;
mod info;
mod onion;
mod session;
mod stream;

#[doc(alias = "ResolveAsync")]
pub use address::Resolve;
pub use address::{MapAddress, MapOutcome};
pub use arguments::{AddressPair, ConfOptions, ConfSettings, InfoKeys, Names};
pub use authenticate::{
    AuthChallenge, Authenticate, GetProtocolInfo, ProtocolInfo, ServerChallenge,
};
pub use circuit::{CloseCircuit, ExtendCircuit, SetCircuitPurpose};
#[doc(alias = "KeyVals")]
pub use conf::ConfMap;
#[doc(alias("KeyVal", "NewKeyVal"))]
pub use conf::ConfSetting;
#[doc(alias = "ValSet")]
pub use conf::ConfValue;
pub(crate) use conf::is_service_option;
pub use conf::{GetConf, LoadConf, ResetConf, SaveConf, SetConf};
pub use directory::{DescriptorPosted, HsFetch, HsPost, PostDescriptor};
pub(crate) use info::AnswerCheck;
pub use info::{GetInfo, InfoMap};
#[doc(alias = "AddOnionRequest")]
pub use onion::AddOnion;
#[doc(alias = "AddOnionResponse")]
pub use onion::AddedOnion;
#[doc(alias = "HiddenServiceCredential")]
pub use onion::OnionClientCredential;
pub use onion::{
    DelOnion, OnionClientAuthAdd, OnionClientAuthAdded, OnionClientAuthRemove,
    OnionClientAuthRemoved, OnionClientAuthView,
};
pub use session::{
    DropGuards, DropOwnership, DropTimeouts, Quit, SendSignal, SetEvents, TakeOwnership, UseFeature,
};
pub use stream::{AttachStream, CloseStream, RedirectStream};

use crate::error::{InvalidInput, ProtocolError, Result};
use crate::wire::{Reply, Request};

/// A command of the control protocol.
///
/// [`Controller::execute`](crate::Controller::execute) sends it.
///
/// # Examples
///
/// ```no_run
/// use torcon::command::Command;
/// use torcon::error::{InvalidInput, ProtocolError};
/// use torcon::{Reply, Request};
///
/// /// Queries how long tor has been running, in seconds.
/// struct GetUptime;
///
/// impl Command for GetUptime {
///     type Reply = u64;
///
///     const KEYWORD: &'static str = "GETINFO";
///
///     fn request(&self) -> Result<Request, InvalidInput> {
///         Request::from_line(Self::KEYWORD)?.token("key", "uptime")
///     }
///
///     fn reply(&self, reply: Reply) -> torcon::Result<u64> {
///         let reply = reply.into_result(Self::KEYWORD)?;
///         let line = reply.lines().next().map_or(&b""[..], |line| line.bytes());
///         let value = line.strip_prefix(b"uptime=").and_then(|it| std::str::from_utf8(it).ok());
///         let unreadable = || ProtocolError::new("uptime", "a number", line);
///         Ok(value.and_then(|it| it.parse().ok()).ok_or_else(unreadable)?)
///     }
/// }
///
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// println!("up for {} s", controller.execute(&GetUptime)?);
/// # Ok::<(), torcon::Error>(())
/// ```
pub trait Command {
    /// The parsed reply.
    type Reply;

    /// The keyword of the command, such as `GETINFO`.
    const KEYWORD: &'static str;

    /// Returns the request.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] if an argument is not valid in the control protocol.
    fn request(&self) -> Result<Request, InvalidInput>;

    /// Parses the reply.
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) if tor refuses the command,
    /// [`Error::Protocol`](crate::Error::Protocol) if the reply is not one to this command.
    fn reply(&self, reply: Reply) -> Result<Self::Reply>;
}

/// Implements the keyword and the reply of a command whose reply is `250 OK`.
macro_rules! acknowledged {
    ($keyword:expr) => {
        type Reply = ();

        const KEYWORD: &'static str = $keyword;

        fn reply(&self, reply: $crate::wire::Reply) -> $crate::error::Result<()> {
            $crate::command::acknowledge(Self::KEYWORD, reply)
        }
    };
}
use acknowledged;

/// Accepts a reply that is `250 OK` only. Any other would belong to another command.
fn acknowledge(keyword: &str, reply: Reply) -> Result<()> {
    let reply = reply.into_result(keyword)?;
    let mut lines = reply.lines();
    match (lines.next(), lines.next()) {
        (Some(line), None) if line.data().is_none() && line.bytes().eq_ignore_ascii_case(b"OK") => {
            Ok(())
        }
        (line, _) => {
            let found = line.map_or(&b""[..], |line| line.bytes());
            Err(out_of_step(keyword, "OK", found))
        }
    }
}

/// Refuses a word that is not a host name or an address, where tor accepts no quotes.
fn check_host(argument: &'static str, host: &str) -> Result<(), InvalidInput> {
    if !host.is_ascii() {
        let problem = "must be ASCII: an international name is written with xn--";
        return Err(InvalidInput::new(argument, problem));
    }
    if host.bytes().any(|byte| matches!(byte, b'"' | b'\'' | b'=')) {
        return Err(InvalidInput::new(argument, "must not contain quotes or \"=\""));
    }
    Ok(())
}

/// Returns the error for a reply that belongs to another command.
fn out_of_step(keyword: &str, expected: &'static str, found: &[u8]) -> crate::error::Error {
    ProtocolError::out_of_step(&reading(keyword), expected, found).into()
}

/// Returns the key in a line of a refusal such as `Unrecognized key "a"`.
fn refused_key<'a>(line: &'a [u8], beginning: &str) -> Option<&'a [u8]> {
    line.strip_prefix(beginning.as_bytes())?.strip_suffix(b"\"")
}

/// Returns how a [`ProtocolError`] names the reply to a command.
fn reading(keyword: &str) -> String {
    format!("the reply to {keyword}")
}

/// For the tests of commands: prints a request, parses a reply.
#[cfg(test)]
mod dialogue {
    use super::Command;
    use crate::error::{Error, Result};
    use crate::wire::Reply;

    pub(super) fn sent<C: Command>(command: &C) -> String {
        String::from_utf8(command.request().unwrap().encode().unwrap()).unwrap()
    }

    pub(super) fn refusal<C: Command>(command: &C) -> String {
        let request = command.request().map_err(Error::from);
        request.and_then(|request| Ok(request.encode()?)).unwrap_err().to_string()
    }

    pub(super) fn answered<C: Command>(command: &C, reply: &[u8]) -> Result<C::Reply> {
        command.reply(Reply::parse(reply.to_vec()).unwrap())
    }

    pub(super) fn error<C: Command>(command: &C, reply: &[u8]) -> Error
    where
        C::Reply: std::fmt::Debug,
    {
        answered(command, reply).unwrap_err()
    }

    /// Returns the error of a reply that must be found to belong to another command.
    pub(super) fn misrouted<C: Command>(command: &C, reply: &[u8]) -> String
    where
        C::Reply: std::fmt::Debug,
    {
        match error(command, reply) {
            Error::Protocol(error) if error.is_out_of_step() => error.to_string(),
            other => panic!("not out of step: {other:?}"),
        }
    }
}
