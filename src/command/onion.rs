//! Ephemeral onion services: `ADD_ONION`, `DEL_ONION`; client authorization.

mod client_auth;

use std::borrow::Borrow;
use std::os::unix::ffi::OsStrExt;

use zeroize::Zeroizing;

pub use self::client_auth::OnionClientCredential;
pub use self::client_auth::{
    OnionClientAuthAdd, OnionClientAuthAdded, OnionClientAuthRemove, OnionClientAuthRemoved,
    OnionClientAuthView,
};
use super::{Command, acknowledged, out_of_step, reading};
use crate::error::{InvalidInput, ProtocolError, Result};
use crate::names::{ClientAuthPublicKey, OnionAddress, OnionKey, OnionPort, PortTarget};
use crate::wire::{Reply, Request};

/// Adds an ephemeral onion service, which lives as long as the control connection, or as tor if it
/// is [detached](Self::detach).
///
/// `ADD_ONION key [Flags=..] [MaxStreams=..] [PoWDefensesEnabled=..] [PoWQueueRate=..]
/// [PoWQueueBurst=..] Port=.. [Port=..] [ClientAuthV3=..]`, always in this order; the flags in the
/// order `DiscardPK`, `Detach`, `V3Auth`, `NonAnonymous`, `MaxStreamsCloseCircuit`; ports and
/// clients in the given order. Options that are not set are not sent: by default there are no flags,
/// and the command is `ADD_ONION NEW:ED25519-V3 Port=80,8080`. Ports are sent as they were given: see
/// [`PortTarget`].
///
/// # Examples
///
/// ```no_run
/// use torcon::command::AddOnion;
/// use torcon::names::OnionPort;
///
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// let added = controller.add_onion(&AddOnion::new([OnionPort::new(80, 8080)]).max_streams(100))?;
/// println!("http://{}", added.address);
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a command does nothing until it is executed"]
pub struct AddOnion {
    key: Option<OnionKey>,
    ports: Vec<OnionPort>,
    clients: Vec<ClientAuthPublicKey>,
    discard_key: bool,
    detach: bool,
    non_anonymous: bool,
    close_circuit: bool,
    max_streams: Option<u16>,
    pow_defenses: Option<bool>,
    pow_queue_rate: Option<u32>,
    pow_queue_burst: Option<u32>,
}

/// The reply to [`AddOnion`]: the service that tor has added.
///
/// # Examples
///
/// ```no_run
/// use torcon::command::AddOnion;
/// use torcon::names::OnionPort;
///
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// let service = AddOnion::new([OnionPort::new(80, 8080)]);
/// let added = controller.add_onion(&service)?;
/// println!("http://{}", added.address);
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AddedOnion {
    /// The address of the service.
    pub address: OnionAddress,
    /// The key of the service, given or made by tor; `None` if tor made and discarded it.
    pub key: Option<OnionKey>,
    /// The authorized clients; empty without client authorization.
    pub clients: Vec<ClientAuthPublicKey>,
}

impl AddOnion {
    /// Returns the command for a service with a new key and the given ports, at least one. If several
    /// have the same virtual port, tor chooses one of their targets at random for each connection.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::command::AddOnion;
    /// use torcon::names::OnionPort;
    ///
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let service = AddOnion::new([OnionPort::new(80, 8080)]);
    /// let added = controller.add_onion(&service)?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn new(ports: impl IntoIterator<Item: Borrow<OnionPort>>) -> Self {
        Self {
            key: None,
            ports: ports.into_iter().map(|port| port.borrow().clone()).collect(),
            clients: Vec::new(),
            discard_key: false,
            detach: false,
            non_anonymous: false,
            close_circuit: false,
            max_streams: None,
            pow_defenses: None,
            pow_queue_rate: None,
            pow_queue_burst: None,
        }
    }

    /// Sets the key, and with it the address. The default is a new one, made by tor.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::command::AddOnion;
    /// use torcon::names::{OnionKey, OnionPort};
    ///
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let key = OnionKey::read_or_create_file("web.key")?;
    /// let service = AddOnion::new([OnionPort::new(80, 8080)]).key(key);
    /// let added = controller.add_onion(&service)?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn key(mut self, key: OnionKey) -> Self {
        self.key = Some(key);
        self
    }

    /// Makes tor discard the new key, so that the service can never be added again. tor never returns
    /// a given key. The default is that it returns a new one.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::command::AddOnion;
    /// use torcon::names::OnionPort;
    ///
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let service = AddOnion::new([OnionPort::new(80, 8080)]).discard_key();
    /// let added = controller.add_onion(&service)?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn discard_key(mut self) -> Self {
        self.discard_key = true;
        self
    }

    /// Keeps the service when the control connection ends, until tor exits or `DEL_ONION`. The
    /// default is that it ends with the connection.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::command::AddOnion;
    /// use torcon::names::OnionPort;
    ///
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let service = AddOnion::new([OnionPort::new(80, 8080)]).detach();
    /// let added = controller.add_onion(&service)?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn detach(mut self) -> Self {
        self.detach = true;
        self
    }

    /// Requires client authorization, and authorizes this client. The default is that none is
    /// required.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::command::AddOnion;
    /// use torcon::names::OnionPort;
    ///
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let alice = "DWXU6GWQKULO46HGZLTQCB4G5CDFENHDRY6UCEY2DJXEVPCS6NXQ".parse()?;
    /// let service = AddOnion::new([OnionPort::new(80, 8080)]).client(alice);
    /// let added = controller.add_onion(&service)?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn client(mut self, key: ClientAuthPublicKey) -> Self {
        self.clients.push(key);
        self
    }

    /// Replaces the authorized clients.
    pub(crate) fn set_clients(&mut self, keys: impl IntoIterator<Item = ClientAuthPublicKey>) {
        self.clients = keys.into_iter().collect();
    }

    /// Makes the service non-anonymous, with shorter circuits. tor accepts it only if it was started
    /// with `HiddenServiceNonAnonymousMode`, and then no other. The default is an anonymous service.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::command::AddOnion;
    /// use torcon::names::OnionPort;
    ///
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let service = AddOnion::new([OnionPort::new(80, 8080)]).non_anonymous();
    /// let added = controller.add_onion(&service)?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn non_anonymous(mut self) -> Self {
        self.non_anonymous = true;
        self
    }

    /// Sets the maximum number of simultaneous streams of a rendezvous circuit. The default is 0,
    /// which is no limit.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::command::AddOnion;
    /// use torcon::names::OnionPort;
    ///
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let service = AddOnion::new([OnionPort::new(80, 8080)]).max_streams(100);
    /// let added = controller.add_onion(&service)?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn max_streams(mut self, limit: u16) -> Self {
        self.max_streams = Some(limit);
        self
    }

    /// Closes a circuit that exceeds [`max_streams`](Self::max_streams). The default is that only
    /// the stream is refused.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::command::AddOnion;
    /// use torcon::names::OnionPort;
    ///
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let service = AddOnion::new([OnionPort::new(80, 8080)]).max_streams(100).max_streams_close_circuit();
    /// let added = controller.add_onion(&service)?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn max_streams_close_circuit(mut self) -> Self {
        self.close_circuit = true;
        self
    }

    /// Enables proof-of-work defenses when the service is under load. Needs tor 0.4.9.2. The default
    /// is tor's, which is off.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::command::AddOnion;
    /// use torcon::names::OnionPort;
    ///
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let service = AddOnion::new([OnionPort::new(80, 8080)]).pow_defenses(true);
    /// let added = controller.add_onion(&service)?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn pow_defenses(mut self, enabled: bool) -> Self {
        self.pow_defenses = Some(enabled);
        self
    }

    /// Sets how many rendezvous requests per second the proof-of-work queue releases. Needs tor
    /// 0.4.9.2. The default is tor's, 250.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::command::AddOnion;
    /// use torcon::names::OnionPort;
    ///
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let service = AddOnion::new([OnionPort::new(80, 8080)]).pow_defenses(true).pow_queue_rate(100);
    /// let added = controller.add_onion(&service)?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn pow_queue_rate(mut self, per_second: u32) -> Self {
        self.pow_queue_rate = Some(per_second);
        self
    }

    /// Sets how many rendezvous requests the proof-of-work queue releases at once. Needs tor 0.4.9.2.
    /// The default is tor's, 2500.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::command::AddOnion;
    /// use torcon::names::OnionPort;
    ///
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let service = AddOnion::new([OnionPort::new(80, 8080)]).pow_defenses(true).pow_queue_burst(500);
    /// let added = controller.add_onion(&service)?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn pow_queue_burst(mut self, requests: u32) -> Self {
        self.pow_queue_burst = Some(requests);
        self
    }

    /// Returns whether the key of the service is given.
    pub(crate) fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// Returns the address of the service if its key is given.
    pub(crate) fn own_address(&self) -> Option<OnionAddress> {
        self.key.as_ref().map(OnionKey::address)
    }

    /// Returns the first proof-of-work argument.
    pub(crate) fn pow_argument(&self) -> Option<&'static str> {
        let is_given = [
            ("pow_defenses", self.pow_defenses.is_some()),
            ("pow_queue_rate", self.pow_queue_rate.is_some()),
            ("pow_queue_burst", self.pow_queue_burst.is_some()),
        ];
        is_given.into_iter().find_map(|(argument, is_given)| is_given.then_some(argument))
    }

    /// Returns whether tor discards the new key.
    pub(crate) fn discards_key(&self) -> bool {
        self.discard_key
    }

    fn flags(&self) -> Vec<&'static str> {
        [
            (self.discard_key, "DiscardPK"),
            (self.detach, "Detach"),
            (!self.clients.is_empty(), "V3Auth"),
            (self.non_anonymous, "NonAnonymous"),
            (self.close_circuit, "MaxStreamsCloseCircuit"),
        ]
        .into_iter()
        .filter_map(|(wanted, flag)| wanted.then_some(flag))
        .collect()
    }
}

/// Adds a port. tor accepts no quotes here.
fn port(request: Request, port: &OnionPort) -> Result<Request, InvalidInput> {
    if port.virtual_port() == 0 {
        return Err(InvalidInput::new("port", "must not be 0"));
    }
    let Some(target) = port.target() else {
        return request.pair("Port", port.to_string());
    };
    if target.port() == Some(0) {
        return Err(InvalidInput::new("target", "must not have port 0"));
    }
    let PortTarget::Unix(path) = target else {
        return request.pair("Port", port.to_string());
    };
    let bytes = path.as_os_str().as_bytes();
    if !path.is_absolute() {
        return Err(InvalidInput::new("target", "must be an absolute path"));
    }
    if bytes.iter().any(|byte| matches!(byte, b' ' | b'\t' | b'"')) {
        let problem = "has a blank or a quote in its path, which ADD_ONION does not support";
        return Err(InvalidInput::new("target", problem));
    }
    let mut value = format!("{},unix:", port.virtual_port()).into_bytes();
    value.extend_from_slice(bytes);
    request.pair("Port", value)
}

impl Command for AddOnion {
    type Reply = AddedOnion;

    const KEYWORD: &'static str = "ADD_ONION";

    fn request(&self) -> Result<Request, InvalidInput> {
        if self.ports.is_empty() {
            return Err(InvalidInput::new("ports", "none is given"));
        }
        let blob = self.key.as_ref().map(|key| Zeroizing::new(key.reveal_blob()));
        let blob = blob.as_ref().map_or("NEW:ED25519-V3", |blob| blob.as_str());
        let mut request = Request::new(Self::KEYWORD).token("key", blob)?;
        let flags = self.flags();
        if !flags.is_empty() {
            request = request.pair("Flags", flags.join(","))?;
        }
        let numbers = [
            ("MaxStreams", self.max_streams.map(u32::from)),
            ("PoWDefensesEnabled", self.pow_defenses.map(u32::from)),
            ("PoWQueueRate", self.pow_queue_rate),
            ("PoWQueueBurst", self.pow_queue_burst),
        ];
        for (keyword, number) in numbers {
            if let Some(number) = number {
                request = request.pair(keyword, number.to_string())?;
            }
        }
        let request = self.ports.iter().try_fold(request, port)?;
        self.clients
            .iter()
            .try_fold(request, |request, client| request.pair("ClientAuthV3", client.to_string()))
    }

    fn reply(&self, reply: Reply) -> Result<AddedOnion> {
        let reply = reply.into_result(Self::KEYWORD)?;
        // The reply contains the key, so no error shows it.
        let malformed = |expected| ProtocolError::new(&reading(Self::KEYWORD), expected, b"");
        let (mut address, mut key, mut clients) = (None, self.key.clone(), Vec::new());
        for (index, line) in reply.lines().enumerate() {
            let text = std::str::from_utf8(line.bytes()).unwrap_or_default();
            match text.split_once('=') {
                _ if line.data().is_some() => return Err(malformed("single lines").into()),
                Some(("ServiceID", id)) => {
                    let id = OnionAddress::of_running(id);
                    address = Some(id.map_err(|_| malformed("the address of a service"))?);
                }
                Some(("PrivateKey", blob)) => {
                    let made = OnionKey::from_blob(blob);
                    key = Some(made.map_err(|_| malformed("the key of a service"))?);
                }
                Some(("ClientAuthV3", client)) => {
                    let client = client.parse();
                    clients.push(client.map_err(|_| malformed("the key of a client"))?);
                }
                // A later version of tor may add lines.
                Some(_) if index > 0 => {}
                None if address.is_some() && text.eq_ignore_ascii_case("OK") => {}
                _ => return Err(out_of_step(Self::KEYWORD, "the address of a service", b"")),
            }
        }
        let address = address.ok_or_else(|| malformed("the address of a service"))?;
        if key.as_ref().is_some_and(|key| key.address() != address) {
            return Err(malformed("the address that belongs to the key").into());
        }
        Ok(AddedOnion { address, key, clients })
    }
}

/// Removes an ephemeral onion service: one of this connection, or a detached one.
///
/// `DEL_ONION id`, with the address in lower case and without `.onion`.
///
/// # Examples
///
/// ```no_run
/// use torcon::command::DelOnion;
///
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// for address in controller.detached_onions()? {
///     controller.execute(&DelOnion::new(address))?;
/// }
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DelOnion {
    address: OnionAddress,
}

impl DelOnion {
    /// Returns the command for the service of an address.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::command::DelOnion;
    ///
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// for address in controller.detached_onions()? {
    ///     controller.execute(&DelOnion::new(address))?;
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn new(address: OnionAddress) -> Self {
        Self { address }
    }
}

impl Command for DelOnion {
    acknowledged!("DEL_ONION");

    fn request(&self) -> Result<Request, InvalidInput> {
        Request::new(Self::KEYWORD).token("address", self.address.service_id())
    }
}

#[cfg(test)]
mod tests;
