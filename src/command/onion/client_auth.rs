//! Client authorization keys of tor as a client: `ONION_CLIENT_AUTH_ADD` and its siblings.

use zeroize::Zeroizing;

use crate::command::{Command, out_of_step, reading};
use crate::error::{InvalidInput, ProtocolError, Result};
use crate::names::{ClientAuthKey, ClientName, OnionAddress};
use crate::wire::fields::Fields;
use crate::wire::{Reply, Request};

/// Adds the client authorization key for an onion service that tor uses as a client.
///
/// `ONION_CLIENT_AUTH_ADD id x25519:.. [ClientName=..] [Flags=Permanent]`.
///
/// # Examples
///
/// ```no_run
/// use torcon::command::OnionClientAuthAdd;
///
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// let service = "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad".parse()?;
/// let key = "x25519:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".parse()?;
/// let add = OnionClientAuthAdd::new(service, key).permanent();
/// controller.execute(&add)?;
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a command does nothing until it is executed"]
pub struct OnionClientAuthAdd {
    service: OnionAddress,
    key: ClientAuthKey,
    name: Option<ClientName>,
    permanent: bool,
}

/// The reply to [`OnionClientAuthAdd`].
///
/// # Examples
///
/// ```no_run
/// use torcon::command::{OnionClientAuthAdd, OnionClientAuthAdded};
///
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// let service = "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad".parse()?;
/// let key = "x25519:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".parse()?;
/// let add = OnionClientAuthAdd::new(service, key);
/// if controller.execute(&add)? == OnionClientAuthAdded::Decrypted {
///     println!("the service can be used at once");
/// }
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnionClientAuthAdded {
    /// tor added the key (250).
    Added,
    /// tor replaced its key for this service (251).
    Replaced,
    /// tor added the key, and decrypted a descriptor in its cache with it, so that the service can
    /// be used at once (252).
    Decrypted,
}

impl OnionClientAuthAdd {
    /// Returns the command for a service and a key.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::command::OnionClientAuthAdd;
    ///
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let service = "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad".parse()?;
    /// let key = "x25519:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".parse()?;
    /// let add = OnionClientAuthAdd::new(service, key);
    /// controller.execute(&add)?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn new(service: OnionAddress, key: ClientAuthKey) -> Self {
        Self { service, key, name: None, permanent: false }
    }

    /// Returns the address of the service.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::command::OnionClientAuthAdd;
    ///
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let service = "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad".parse()?;
    /// let key = "x25519:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".parse()?;
    /// let add = OnionClientAuthAdd::new(service, key);
    /// println!("for {}", add.service());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn service(&self) -> OnionAddress {
        self.service
    }

    /// Returns whether tor has this key for this service.
    pub(crate) fn is(&self, found: &OnionClientCredential) -> bool {
        found.service == self.service && found.key.public() == self.key.public()
    }

    /// Sets a name for the key, which tor does not send anywhere. The default is none.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::command::OnionClientAuthAdd;
    ///
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let service = "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad".parse()?;
    /// let key = "x25519:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".parse()?;
    /// let add = OnionClientAuthAdd::new(service, key).name("alice".parse()?);
    /// controller.execute(&add)?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn name(mut self, name: ClientName) -> Self {
        self.name = Some(name);
        self
    }

    /// Makes tor write the key to its `ClientOnionAuthDir`, which must be configured. The default is
    /// that the key is lost when tor exits.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::command::OnionClientAuthAdd;
    ///
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let service = "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad".parse()?;
    /// let key = "x25519:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".parse()?;
    /// let add = OnionClientAuthAdd::new(service, key).permanent();
    /// controller.execute(&add)?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn permanent(mut self) -> Self {
        self.permanent = true;
        self
    }
}

impl Command for OnionClientAuthAdd {
    type Reply = OnionClientAuthAdded;

    const KEYWORD: &'static str = "ONION_CLIENT_AUTH_ADD";

    fn request(&self) -> Result<Request, InvalidInput> {
        let blob = Zeroizing::new(self.key.reveal_blob());
        let mut request = Request::new(Self::KEYWORD)
            .token("service", self.service.service_id())?
            .token("key", blob.as_bytes())?;
        if let Some(name) = self.name {
            request = request.pair("ClientName", name.as_str())?;
        }
        if self.permanent {
            request = request.pair("Flags", "Permanent")?;
        }
        Ok(request)
    }

    fn reply(&self, reply: Reply) -> Result<OnionClientAuthAdded> {
        match only_line(Self::KEYWORD, reply)? {
            250 => Ok(OnionClientAuthAdded::Added),
            251 => Ok(OnionClientAuthAdded::Replaced),
            252 => Ok(OnionClientAuthAdded::Decrypted),
            _ => Err(malformed(Self::KEYWORD, "one of the codes 250, 251 and 252")),
        }
    }
}

/// Removes the client authorization key for an onion service.
///
/// `ONION_CLIENT_AUTH_REMOVE id`.
///
/// # Examples
///
/// ```no_run
/// use torcon::command::OnionClientAuthRemove;
///
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// let service = "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad".parse()?;
/// controller.execute(&OnionClientAuthRemove::new(service))?;
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnionClientAuthRemove {
    service: OnionAddress,
}

/// The reply to [`OnionClientAuthRemove`].
///
/// # Examples
///
/// ```no_run
/// use torcon::command::OnionClientAuthRemoved;
///
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// let service = "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad";
/// if controller.remove_onion_client_auth(service)? == OnionClientAuthRemoved::NotThere {
///     println!("tor had no key");
/// }
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnionClientAuthRemoved {
    /// tor removed the key and its file (250).
    Removed,
    /// tor had no key for this service (251).
    NotThere,
}

impl OnionClientAuthRemove {
    /// Returns the command for a service.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::command::OnionClientAuthRemove;
    ///
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let service = "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad".parse()?;
    /// controller.execute(&OnionClientAuthRemove::new(service))?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn new(service: OnionAddress) -> Self {
        Self { service }
    }
}

impl Command for OnionClientAuthRemove {
    type Reply = OnionClientAuthRemoved;

    const KEYWORD: &'static str = "ONION_CLIENT_AUTH_REMOVE";

    fn request(&self) -> Result<Request, InvalidInput> {
        Request::new(Self::KEYWORD).token("service", self.service.service_id())
    }

    fn reply(&self, reply: Reply) -> Result<OnionClientAuthRemoved> {
        match only_line(Self::KEYWORD, reply)? {
            250 => Ok(OnionClientAuthRemoved::Removed),
            251 => Ok(OnionClientAuthRemoved::NotThere),
            _ => Err(malformed(Self::KEYWORD, "one of the codes 250 and 251")),
        }
    }
}

/// Queries tor's client authorization keys: all, or that for one service.
///
/// `ONION_CLIENT_AUTH_VIEW [id]`.
///
/// # Examples
///
/// ```no_run
/// use torcon::command::OnionClientAuthView;
///
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// for known in controller.execute(&OnionClientAuthView::new())? {
///     println!("{}", known.service);
/// }
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OnionClientAuthView {
    service: Option<OnionAddress>,
}

/// A client authorization key of tor.
///
/// # Examples
///
/// ```no_run
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// for known in controller.onion_client_auths()? {
///     println!("{} {:?} {}", known.service, known.name, known.permanent);
/// }
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OnionClientCredential {
    /// The service.
    pub service: OnionAddress,
    /// The key.
    pub key: ClientAuthKey,
    /// The name of the key; tor forgets it when it reloads its configuration.
    pub name: Option<ClientName>,
    /// Whether the key is stored in a file.
    pub permanent: bool,
}

impl OnionClientAuthView {
    /// Returns the command for the keys of all services.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::command::OnionClientAuthView;
    ///
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// for known in controller.execute(&OnionClientAuthView::new())? {
    ///     println!("{}", known.service);
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the command for the key of one service.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::command::OnionClientAuthView;
    ///
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let service = "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad".parse()?;
    /// let known = controller.execute(&OnionClientAuthView::of(service))?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn of(service: OnionAddress) -> Self {
        Self { service: Some(service) }
    }
}

impl Command for OnionClientAuthView {
    type Reply = Vec<OnionClientCredential>;

    const KEYWORD: &'static str = "ONION_CLIENT_AUTH_VIEW";

    fn request(&self) -> Result<Request, InvalidInput> {
        let request = Request::new(Self::KEYWORD);
        match &self.service {
            Some(service) => request.token("service", service.service_id()),
            None => Ok(request),
        }
    }

    fn reply(&self, reply: Reply) -> Result<Vec<OnionClientCredential>> {
        let reply = reply.into_result(Self::KEYWORD)?;
        let mut lines = reply.lines();
        let header = lines.next();
        if !header.is_some_and(|line| line.bytes().starts_with(Self::KEYWORD.as_bytes())) {
            return Err(out_of_step(Self::KEYWORD, "its own keyword", b""));
        }
        lines
            .filter(|line| !line.bytes().eq_ignore_ascii_case(b"OK"))
            .map(|line| {
                let credential = read_credential(line.bytes());
                credential.ok_or_else(|| malformed(Self::KEYWORD, "a client and its key"))
            })
            .collect()
    }
}

/// Parses `CLIENT id x25519:.. [Flags=Permanent] [ClientName=..]`.
fn read_credential(line: &[u8]) -> Option<OnionClientCredential> {
    let mut fields = Fields::new(line);
    if fields.word() != Some(b"CLIENT") {
        return None;
    }
    let service = text(fields.word()?)?.parse().ok()?;
    let key = ClientAuthKey::from_blob(text(fields.word()?)?).ok()?;
    let mut credential = OnionClientCredential { service, key, name: None, permanent: false };
    for field in fields {
        match field.key {
            b"Flags" => {
                credential.permanent = field.value.list().any(|flag| flag == b"Permanent");
            }
            // Another program may have set a name that is not a `ClientName`.
            b"ClientName" => {
                credential.name = text(&field.value.bytes()).and_then(|name| name.parse().ok());
            }
            _ => {}
        }
    }
    Some(credential)
}

fn text(word: &[u8]) -> Option<&str> {
    std::str::from_utf8(word).ok()
}

/// Returns the code of a reply that must be one line without a value.
fn only_line(keyword: &str, reply: Reply) -> Result<u16> {
    let reply = reply.into_result(keyword)?;
    let mut lines = reply.lines();
    match (lines.next(), lines.next()) {
        (Some(line), None) if line.data().is_none() && !line.bytes().contains(&b'=') => {
            Ok(line.code())
        }
        _ => Err(out_of_step(keyword, "a single line", b"")),
    }
}

/// Returns the error for a malformed reply, without showing it: it may contain a key.
fn malformed(keyword: &str, expected: &'static str) -> crate::error::Error {
    ProtocolError::new(&reading(keyword), expected, b"").into()
}
