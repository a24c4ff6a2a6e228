//! Addresses: `MAPADDRESS`, `RESOLVE`.

use std::borrow::Borrow;
use std::net::IpAddr;

use super::arguments::sealed::AddressPair as IntoPair;
use super::{AddressPair, Command, acknowledged, check_host, out_of_step};
use crate::error::{InvalidInput, RejectionLine, Result};
use crate::wire::{Reply, ReplyLine, Request};

/// Maps addresses: tor sends a stream for the first address of a pair to the second.
///
/// `MAPADDRESS from=to [from=to ...]`, in the given order. Each pair has its own
/// [outcome](MapOutcome).
///
/// If the first address is [`VIRTUAL_IPV4`](Self::VIRTUAL_IPV4),
/// [`VIRTUAL_IPV6`](Self::VIRTUAL_IPV6) or [`VIRTUAL_NAME`](Self::VIRTUAL_NAME), tor chooses an
/// unused address and returns it, always the same for one second address. A first address
/// `*.a.example` matches all names in that domain. An address that is mapped to itself is unmapped.
///
/// # Examples
///
/// ```no_run
/// use torcon::command::{MapAddress, MapOutcome};
///
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// let map = [("old.example", "new.example"), (MapAddress::VIRTUAL_NAME, "example.com")];
/// for outcome in controller.map_address(map)? {
///     match outcome {
///         MapOutcome::Mapped { from, to, .. } => println!("{from} is mapped to {to}"),
///         refused => eprintln!("{refused:?}"),
///     }
/// }
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a command does nothing until it is executed"]
pub struct MapAddress {
    pairs: Vec<(String, String)>,
}

/// The outcome of one pair of [`MapAddress`].
///
/// # Examples
///
/// ```
/// use torcon::Reply;
/// use torcon::command::{Command, MapAddress, MapOutcome};
///
/// let command = MapAddress::new([("old.example", "new.example"), ("192.0.2.1", "b ad")]);
/// let reply = b"250-old.example=new.example\r\n512 syntax error: invalid address 'b ad'\r\n";
/// let outcomes = command.reply(Reply::parse(reply.to_vec())?)?;
/// assert!(matches!(&outcomes[0], MapOutcome::Mapped { to, .. } if to == "new.example"));
/// assert!(matches!(&outcomes[1], MapOutcome::Refused(line) if line.code() == 512));
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MapOutcome {
    /// The first address is mapped to the second, or is unmapped if both are the same (250).
    #[non_exhaustive]
    Mapped {
        /// The first address; if a virtual one was requested, the one that tor chose.
        from: String,
        /// The second address.
        to: String,
    },
    /// tor refused this pair: 512 if an address is malformed, 451 if no virtual address is left.
    Refused(RejectionLine),
}

impl MapAddress {
    /// Requests a virtual IPv4 address, by default one of `127.192.0.0/10`.
    pub const VIRTUAL_IPV4: &'static str = "0.0.0.0";
    /// Requests a virtual IPv6 address, by default one of `fe80::/10`. tor accepts no other spelling.
    pub const VIRTUAL_IPV6: &'static str = "::";
    /// Requests a virtual name, which ends in `.virtual`.
    pub const VIRTUAL_NAME: &'static str = ".";

    /// Returns the command that maps the first address of each pair to the second; at least one
    /// pair.
    pub fn new<I>(pairs: I) -> Self
    where
        I: IntoIterator,
        I::Item: AddressPair,
    {
        Self { pairs: pairs.into_iter().map(IntoPair::into_pair).collect() }
    }

    /// Unmaps an address, by adding the pair of the address and itself behind the others. The
    /// default is none.
    pub fn remove(mut self, from: impl Into<String>) -> Self {
        let from = from.into();
        self.pairs.push((from.clone(), from));
        self
    }

    /// Parses the line that answers one pair.
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

/// Returns whether a line answers one pair, and does not refuse the whole command.
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
            // Checked apart: a pair with an empty side is not an empty word.
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

/// Starts to resolve names to addresses, or addresses to names, through the Tor network.
///
/// `RESOLVE name [name ...]`, or `RESOLVE mode=reverse address [address ...]`. tor answers at once;
/// an `ADDRMAP` event for each name reports the result, a failure too.
/// [`Controller::resolve`](crate::Controller::resolve) waits for it.
///
/// # Examples
///
/// ```
/// use torcon::command::{Command, Resolve};
///
/// let forward = Resolve::new(["example.com", "example.org"]);
/// assert_eq!(forward.request()?.encode()?, b"RESOLVE example.com example.org\r\n");
///
/// let reverse = Resolve::reverse(["192.0.2.1".parse::<std::net::IpAddr>().unwrap()]);
/// assert_eq!(reverse.request()?.encode()?, b"RESOLVE mode=reverse 192.0.2.1\r\n");
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolve {
    reverse: bool,
    names: Vec<String>,
}

impl Resolve {
    /// Returns the command for the addresses of names, at least one.
    #[must_use]
    pub fn new<I>(names: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        Self { reverse: false, names: names.into_iter().map(Into::into).collect() }
    }

    /// Returns the command for the names of addresses, at least one.
    #[must_use]
    pub fn reverse(addresses: impl IntoIterator<Item: Borrow<IpAddr>>) -> Self {
        let names = addresses.into_iter().map(|address| address.borrow().to_string());
        Self { reverse: true, names: names.collect() }
    }
}

impl Command for Resolve {
    acknowledged!("RESOLVE");

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
}

#[cfg(test)]
mod tests;
