//! Descriptors of relays and onion services: `POSTDESCRIPTOR`, `HSFETCH`, `HSPOST`.

use super::{Command, acknowledge, acknowledged};
use crate::error::{InvalidInput, Result};
use crate::names::{Fingerprint, OnionAddress, RouterPurpose};
use crate::wire::{Reply, Request};

/// Adds the server descriptor of a relay to tor.
///
/// `+POSTDESCRIPTOR [purpose=..] [cache=..]` and the descriptor, dot-stuffed.
///
/// # Examples
///
/// ```
/// use torcon::command::{Command, PostDescriptor};
/// use torcon::names::RouterPurpose;
///
/// let descriptor = "router test001 192.0.2.1 9001 0 0\n";
/// let command = PostDescriptor::new(descriptor).purpose(RouterPurpose::Controller).cache(false);
/// let sent = command.request()?.encode()?;
/// assert!(sent.starts_with(b"+POSTDESCRIPTOR purpose=controller cache=no\r\nrouter test001"));
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a command does nothing until it is executed"]
pub struct PostDescriptor {
    descriptor: Vec<u8>,
    purpose: Option<RouterPurpose>,
    cache: Option<bool>,
}

/// The reply to [`PostDescriptor`].
///
/// # Examples
///
/// ```no_run
/// use torcon::command::{DescriptorPosted, PostDescriptor};
///
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// let descriptor = std::fs::read("descriptor")?;
/// match controller.execute(&PostDescriptor::new(descriptor))? {
///     DescriptorPosted::NotAdded(reason) => eprintln!("tor does not need it: {reason}"),
///     _ => println!("tor has added it"),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DescriptorPosted {
    /// tor added the descriptor (250).
    Added,
    /// tor did not add the descriptor, for this reason (251): it has this or a newer one.
    NotAdded(String),
}

impl PostDescriptor {
    /// Returns the command for a server descriptor.
    pub fn new(descriptor: impl Into<Vec<u8>>) -> Self {
        Self { descriptor: descriptor.into(), purpose: None, cache: None }
    }

    /// Sets the purpose of the relay. The default is [`RouterPurpose::General`].
    pub fn purpose(mut self, purpose: RouterPurpose) -> Self {
        self.purpose = Some(purpose);
        self
    }

    /// Sets whether tor writes the descriptor to its cache on disk. The default is tor's, which is
    /// no.
    pub fn cache(mut self, cache: bool) -> Self {
        self.cache = Some(cache);
        self
    }
}

impl Command for PostDescriptor {
    type Reply = DescriptorPosted;

    const KEYWORD: &'static str = "POSTDESCRIPTOR";

    fn request(&self) -> Result<Request, InvalidInput> {
        let mut request = Request::new(Self::KEYWORD);
        if let Some(purpose) = &self.purpose {
            request = request.pair("purpose", purpose.as_str())?;
        }
        if let Some(cache) = self.cache {
            request = request.pair("cache", if cache { "yes" } else { "no" })?;
        }
        request.data("descriptor", &self.descriptor)
    }

    fn reply(&self, reply: Reply) -> Result<DescriptorPosted> {
        let reply = reply.into_result(Self::KEYWORD)?;
        if reply.code() == 251 && reply.lines().len() == 1 {
            return Ok(DescriptorPosted::NotAdded(reply.text().into_owned()));
        }
        acknowledge(Self::KEYWORD, reply)?;
        Ok(DescriptorPosted::Added)
    }
}

/// Starts to fetch the descriptor of an onion service.
///
/// `HSFETCH address [SERVER=$fingerprint ...]`. tor answers at once; events
/// [`HS_DESC`](crate::event::HsDescEvent) and `HS_DESC_CONTENT` report the result of each server. A
/// tor without network answers the same and sends no event.
/// [`Controller::fetch_onion_descriptor`](crate::Controller::fetch_onion_descriptor) waits for the
/// descriptor.
///
/// # Examples
///
/// ```
/// use torcon::command::{Command, HsFetch};
///
/// let service = "vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd.onion".parse()?;
/// let relay = "E194605ABC68F291ABC8E6732814854F41465325".parse()?;
/// let command = HsFetch::new(service).server(relay);
/// let sent = command.request()?.encode()?;
/// assert!(sent.ends_with(b" SERVER=$E194605ABC68F291ABC8E6732814854F41465325\r\n"));
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a command does nothing until it is executed"]
pub struct HsFetch {
    service: OnionAddress,
    servers: Vec<Fingerprint>,
}

impl HsFetch {
    /// Returns the command for the descriptor of a service.
    pub fn new(service: OnionAddress) -> Self {
        Self { service, servers: Vec::new() }
    }

    /// Adds a directory to query, which must be a relay in the consensus.
    ///
    /// tor up to 0.4.9.11 aborts on another one: for these versions, `GETINFO ns/id/` is sent before,
    /// and such a relay is refused with [`Error::InvalidInput`](crate::Error::InvalidInput). The
    /// default is the responsible directories.
    pub fn server(mut self, server: Fingerprint) -> Self {
        self.servers.push(server);
        self
    }
}

fn servers(request: Request, servers: &[Fingerprint]) -> Result<Request, InvalidInput> {
    servers.iter().try_fold(request, |request, server| request.pair("SERVER", format!("${server}")))
}

impl Command for HsFetch {
    acknowledged!("HSFETCH");

    fn request(&self) -> Result<Request, InvalidInput> {
        let request = Request::new(Self::KEYWORD).token("service", self.service.service_id())?;
        servers(request, &self.servers)
    }
}

/// Starts to upload the descriptor of an onion service to directories.
///
/// `+HSPOST [SERVER=$fingerprint ...] HSADDRESS=id` and the descriptor, dot-stuffed. The address is
/// always sent, since tor never answers without it. tor answers at once;
/// [`HS_DESC`](crate::event::HsDescEvent) events report the results.
///
/// # Examples
///
/// ```no_run
/// use torcon::command::HsPost;
///
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// let service = "vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd".parse()?;
/// // An `HS_DESC` event for each directory reports the upload.
/// controller.execute(&HsPost::new(service, std::fs::read("descriptor")?))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a command does nothing until it is executed"]
pub struct HsPost {
    service: OnionAddress,
    descriptor: Vec<u8>,
    servers: Vec<Fingerprint>,
}

impl HsPost {
    /// Returns the command for a service and its descriptor.
    pub fn new(service: OnionAddress, descriptor: impl Into<Vec<u8>>) -> Self {
        Self { service, descriptor: descriptor.into(), servers: Vec::new() }
    }

    /// Adds a directory, which must be a relay that tor knows. The default is the responsible
    /// directories.
    pub fn server(mut self, server: Fingerprint) -> Self {
        self.servers.push(server);
        self
    }
}

impl Command for HsPost {
    acknowledged!("HSPOST");

    fn request(&self) -> Result<Request, InvalidInput> {
        servers(Request::new(Self::KEYWORD), &self.servers)?
            .pair("HSADDRESS", self.service.service_id())?
            .data("descriptor", &self.descriptor)
    }
}

#[cfg(test)]
mod tests;
