//! Names and addresses: `MAPADDRESS`, `RESOLVE`.

use std::net::IpAddr;

use super::{Command, acknowledged, check_host, out_of_step};
use crate::error::{InvalidInput, RejectionLine, Result};
use crate::wire::{Reply, ReplyLine, Request};

/// Makes tor take one address for another: a stream to the first goes to the second.
///
/// Section 3.8 of the control specification: `MAPADDRESS from=to [from=to ...]`, in the given
/// order. tor does what it can: each pair has an [outcome](MapOutcome) of its own.
///
/// Where the first address is one of [`VIRTUAL_IPV4`](Self::VIRTUAL_IPV4),
/// [`VIRTUAL_IPV6`](Self::VIRTUAL_IPV6) and [`VIRTUAL_NAME`](Self::VIRTUAL_NAME), tor chooses an
/// address that nobody uses and tells it; for the same second address it is the same one. A first
/// address `*.a.example` stands for all names in that domain. An address that is mapped to itself
/// is mapped no longer.
///
/// # Examples
///
/// ```no_run
/// # fn main() -> Result<(), torcon::Error> {
/// use torcon::command::{MapAddress, MapOutcome};
///
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// let map = [("old.example", "new.example"), (MapAddress::VIRTUAL_NAME, "example.com")];
/// for outcome in controller.map_address(map)? {
///     match outcome {
///         MapOutcome::Mapped { from, to, .. } => println!("{from} leads to {to}"),
///         refused => eprintln!("{refused:?}"),
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a command does nothing until it is executed"]
pub struct MapAddress {
    pairs: Vec<(String, String)>,
}

/// What came of one pair of [`MapAddress`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MapOutcome {
    /// The first address leads to the second, or was set free if both are the same (250).
    #[non_exhaustive]
    Mapped {
        /// The first address; the one that tor chose, if a virtual one was asked for.
        from: String,
        /// The second address.
        to: String,
    },
    /// tor did not take this pair, and says why: 512 if an address is none, 451 if it has no
    /// virtual address left.
    Refused(RejectionLine),
}

impl MapAddress {
    /// Asks for a virtual IPv4 address, by default one of `127.192.0.0/10`.
    pub const VIRTUAL_IPV4: &'static str = "0.0.0.0";
    /// Asks for a virtual IPv6 address, by default one of `fe80::/10`. Only this spelling does.
    pub const VIRTUAL_IPV6: &'static str = "::";
    /// Asks for a virtual name, which ends in `.virtual`.
    pub const VIRTUAL_NAME: &'static str = ".";

    /// Returns the command that makes tor take the first address of each pair for the second.
    /// There must be one pair.
    pub fn new<I, F, T>(pairs: I) -> Self
    where
        I: IntoIterator<Item = (F, T)>,
        F: Into<String>,
        T: Into<String>,
    {
        let pairs = pairs.into_iter().map(|(from, to)| (from.into(), to.into()));
        Self { pairs: pairs.collect() }
    }

    /// Sets an address free that was mapped to another: the pair of the address and itself, which
    /// stands behind the others. The default is none.
    pub fn remove(mut self, from: impl Into<String>) -> Self {
        let from = from.into();
        self.pairs.push((from.clone(), from));
        self
    }

    /// Reads the line that answers one pair.
    fn outcome(line: ReplyLine<'_>, to: &str) -> Result<MapOutcome> {
        if !line.is_success() {
            return Ok(MapOutcome::Refused(RejectionLine::new(line.code(), line.bytes())));
        }
        let text = line.text();
        match text.split_once('=') {
            Some((from, echoed)) if line.data().is_none() && echoed.eq_ignore_ascii_case(to) => {
                Ok(MapOutcome::Mapped { from: from.to_owned(), to: echoed.to_owned() })
            }
            _ => Err(out_of_step(Self::KEYWORD, "the pair that was sent", line.bytes())),
        }
    }
}

/// Whether a line refuses one pair, and not the command as a whole.
fn is_of_a_pair(line: ReplyLine<'_>) -> bool {
    match line.code() {
        ..400 | 451 => true,
        512 => line.bytes().starts_with(b"syntax error: invalid address"),
        _ => false,
    }
}

impl Command for MapAddress {
    type Reply = Vec<MapOutcome>;

    const KEYWORD: &'static str = "MAPADDRESS";

    fn request(&self) -> Result<Request, InvalidInput> {
        if self.pairs.is_empty() {
            return Err(InvalidInput::new("addresses", "none is given"));
        }
        self.pairs.iter().try_fold(Request::new(Self::KEYWORD), |request, (from, to)| {
            // Each on its own first: a pair with nothing on one side is no empty word.
            for (argument, address) in [("from", from), ("to", to)] {
                Request::new(Self::KEYWORD).token(argument, address)?;
                check_host(argument, address)?;
            }
            request.token("addresses", format!("{from}={to}"))
        })
    }

    fn reply(&self, reply: Reply) -> Result<Vec<MapOutcome>> {
        if reply.lines().len() == self.pairs.len() && reply.lines().all(is_of_a_pair) {
            let lines = reply.lines().zip(&self.pairs);
            return lines.map(|(line, (_, to))| Self::outcome(line, to)).collect();
        }
        let reply = reply.into_result(Self::KEYWORD)?;
        let found = reply.lines().next().map_or(&b""[..], |line| line.bytes());
        Err(out_of_step(Self::KEYWORD, "a line for each pair", found))
    }
}

/// Resolves names to addresses, or addresses to names, through the network.
///
/// Section 3.20 of the control specification: `RESOLVE name [name ...]`, or `RESOLVE mode=reverse
/// address [address ...]`. tor answers that it has begun; what it finds, also that there is
/// nothing, comes as one `ADDRMAP` event for each name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolve {
    reverse: bool,
    names: Vec<String>,
}

impl Resolve {
    /// Returns the command that asks for the addresses of names, of which there must be one.
    #[must_use]
    pub fn new<I>(names: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        Self { reverse: false, names: names.into_iter().map(Into::into).collect() }
    }

    /// Returns the command that asks for the names of addresses, of which there must be one.
    #[must_use]
    pub fn reverse(addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        let names = addresses.into_iter().map(|address| address.to_string());
        Self { reverse: true, names: names.collect() }
    }
}

impl Command for Resolve {
    type Reply = ();

    const KEYWORD: &'static str = "RESOLVE";

    fn request(&self) -> Result<Request, InvalidInput> {
        if self.names.is_empty() {
            return Err(InvalidInput::new("names", "none is given"));
        }
        let mut request = Request::new(Self::KEYWORD);
        if self.reverse {
            request = request.pair("mode", "reverse")?;
        }
        self.names.iter().try_fold(request, |request, name| {
            let request = request.token("name", name)?;
            check_host("name", name)?;
            Ok(request)
        })
    }

    fn reply(&self, reply: Reply) -> Result<()> {
        acknowledged(Self::KEYWORD, reply)
    }
}

#[cfg(test)]
mod tests;
