//! The keys by which this tor, as a client, may use onion services.

use zeroize::Zeroizing;

use super::pair;
use crate::command::{Command, out_of_step, reading};
use crate::error::{InvalidInput, ProtocolError, Result};
use crate::names::{ClientAuthKey, ClientName, OnionAddress};
use crate::wire::fields::Fields;
use crate::wire::{Reply, Request};

/// Gives tor the key by which it, as a client, may use an onion service.
///
/// `ONION_CLIENT_AUTH_ADD id x25519:.. [ClientName=..] [Flags=Permanent]`.
#[derive(Clone, Debug)]
#[must_use = "a command does nothing until it is executed"]
pub struct OnionClientAuthAdd {
    service: OnionAddress,
    key: ClientAuthKey,
    name: Option<ClientName>,
    permanent: bool,
}

/// What came of [`OnionClientAuthAdd`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnionClientAuthAdded {
    /// tor has the key (250).
    Added,
    /// tor has the key, in place of another that it had for this service (251).
    Replaced,
    /// tor has the key, and with it could read a descriptor that it had already fetched: the
    /// service can be used at once (252).
    Decrypted,
}

impl OnionClientAuthAdd {
    /// Returns the command that gives tor the key for a service.
    pub fn new(service: OnionAddress, key: ClientAuthKey) -> Self {
        Self { service, key, name: None, permanent: false }
    }

    /// Sets a name for the key, which only this tor ever sees. The default is none.
    pub fn name(mut self, name: ClientName) -> Self {
        self.name = Some(name);
        self
    }

    /// Lets tor write the key into its `ClientOnionAuthDir`, which must be configured. The default
    /// is that it is forgotten when tor ends.
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
            request = pair(request, "ClientName", name.as_str())?;
        }
        if self.permanent {
            request = pair(request, "Flags", "Permanent")?;
        }
        Ok(request)
    }

    fn reply(&self, reply: Reply) -> Result<OnionClientAuthAdded> {
        match only_line(Self::KEYWORD, reply)? {
            250 => Ok(OnionClientAuthAdded::Added),
            251 => Ok(OnionClientAuthAdded::Replaced),
            252 => Ok(OnionClientAuthAdded::Decrypted),
            _ => Err(unreadable(Self::KEYWORD, "one of the codes 250, 251 and 252")),
        }
    }
}

/// Takes back a key that tor has for an onion service.
///
/// `ONION_CLIENT_AUTH_REMOVE id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnionClientAuthRemove {
    service: OnionAddress,
}

/// What came of [`OnionClientAuthRemove`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnionClientAuthRemoved {
    /// tor has forgotten the key, and deleted its file if it had one (250).
    Removed,
    /// tor had no key for this service (251).
    NotThere,
}

impl OnionClientAuthRemove {
    /// Returns the command that takes back the key for a service.
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
            _ => Err(unreadable(Self::KEYWORD, "one of the codes 250 and 251")),
        }
    }
}

/// Asks for the keys that tor has for onion services: all, or that for one.
///
/// `ONION_CLIENT_AUTH_VIEW [id]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OnionClientAuthView {
    service: Option<OnionAddress>,
}

/// A key that tor has for an onion service.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OnionClientCredential {
    /// The service.
    pub service: OnionAddress,
    /// The key.
    pub key: ClientAuthKey,
    /// The name that was given with the key; tor forgets it when it reads its configuration again.
    pub name: Option<ClientName>,
    /// Whether tor has a file of it.
    pub permanent: bool,
}

impl OnionClientAuthView {
    /// Returns the command that asks for the keys for all services.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the command that asks for the key for one service.
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
                credential.ok_or_else(|| unreadable(Self::KEYWORD, "a client and its key"))
            })
            .collect()
    }
}

/// Reads `CLIENT id x25519:.. [Flags=Permanent] [ClientName=..]`.
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
            // A name that is none of ours is one that another program gave.
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

/// Returns the code of a reply that must be one line, which tells nothing else.
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

/// The error for a reply that cannot be read. Nothing of it is shown: it may hold a key.
fn unreadable(keyword: &str, expected: &'static str) -> crate::error::Error {
    ProtocolError::new(&reading(keyword), expected, b"").into()
}
