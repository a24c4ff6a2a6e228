//! The first layer of encryption of a descriptor.

use std::borrow::Cow;
use std::fmt;

use super::encryption::{Cookie, Credentials, Layer, decrypt_cookie};
use super::second_layer::OnionSecondLayer;
use super::{EXPECTED_CERTIFICATE, OnionDescriptor, message};
use crate::descriptor::item::{DescriptorItem, Items, base64, has_lines};
use crate::descriptor::rule::{self, Rule, missing};
use crate::descriptor::text::Text;
use crate::error::{OnionDescriptorError, OnionDescriptorProblem as Problem, ProtocolError};
#[cfg(feature = "serde")]
use crate::names::serialize::base64_bytes as serialize_base64;
use crate::names::{ClientAuthKey, OnionAddress};

/// The first layer of an [`OnionDescriptor`]: all that a client needs for it is the address.
/// Needs the Cargo feature `onion-descriptor`.
///
/// It contains the second layer, which is encrypted again, and the keys of the authorized clients. The
/// latter are random numbers if the service has none, so they do not show whether it has; see
/// [`needs_client_auth`](Self::needs_client_auth).
///
/// # Examples
///
/// ```no_run
/// use std::time::Duration;
/// use torcon::names::OnionAddress;
///
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// let service: OnionAddress =
///     "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad".parse()?;
/// let descriptor = controller.fetch_onion_descriptor(service, Duration::from_secs(60))?;
/// println!("for some only: {}", descriptor.decrypt_first_layer(&service)?.needs_client_auth());
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct OnionFirstLayer {
    text: Text,
    address: OnionAddress,
    credentials: Credentials,
}

/// An entry for an authorized client in an [`OnionFirstLayer`], or one of random numbers.
/// Needs the Cargo feature `onion-descriptor`.
///
/// # Examples
///
/// ```no_run
/// use torcon::descriptor::OnionFirstLayer;
///
/// fn ids(layer: &OnionFirstLayer) -> Vec<[u8; 8]> {
///     layer.auth_clients().map(|client| client.id).collect()
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct OnionAuthClient {
    /// The ID, which the client computes from its key and the
    /// [ephemeral key](OnionFirstLayer::ephemeral_key).
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialize_base64"))]
    pub id: [u8; 8],
    /// The initialization vector of the cookie.
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialize_base64"))]
    pub iv: [u8; 16],
    /// The cookie that decrypts the second layer, encrypted for this client.
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialize_base64"))]
    pub encrypted_cookie: [u8; 16],
}

impl OnionAuthClient {
    fn read(item: &DescriptorItem<'_>) -> Option<Self> {
        let mut words = item.words();
        Some(Self {
            id: base64(words.next()?)?,
            iv: base64(words.next()?)?,
            encrypted_cookie: base64(words.next()?)?,
        })
    }
}

const READING: &str = "the first layer of the descriptor of an onion service";

const EXPECTED_ENCRYPTED: &str = "encrypted and a message in base64";

/// The lines that have methods.
const RULES: &[Rule] = &[
    Rule::once(b"desc-auth-type", "desc-auth-type TYPE", |item| item.words().next().is_some()),
    Rule::once(b"desc-auth-ephemeral-key", "desc-auth-ephemeral-key KEY in base64", |item| {
        ephemeral_key(item).is_some()
    }),
    Rule::repeated(b"auth-client", "auth-client ID IV COOKIE in base64", |item| {
        OnionAuthClient::read(item).is_some()
    }),
    Rule::once(b"encrypted", EXPECTED_ENCRYPTED, |item| message(item).is_some()),
];

fn ephemeral_key(item: &DescriptorItem<'_>) -> Option<[u8; 32]> {
    item.words().next().and_then(base64)
}

has_lines!(OnionFirstLayer);

impl OnionFirstLayer {
    /// Returns the type of client authorization: `x25519`, also if the service has no authorized
    /// clients.
    #[must_use]
    pub fn auth_type(&self) -> Option<Cow<'_, str>> {
        self.find(b"desc-auth-type")?.words().next().map(String::from_utf8_lossy)
    }

    /// Returns the public x25519 key of this descriptor, for which the service has encrypted the
    /// cookies of the authorized clients.
    #[must_use]
    pub fn ephemeral_key(&self) -> Option<[u8; 32]> {
        ephemeral_key(&self.find(b"desc-auth-ephemeral-key")?)
    }

    /// Returns the entries for authorized clients. tor adds random ones until their number is a
    /// multiple of 16.
    #[doc(alias = "clients")]
    pub fn auth_clients(&self) -> impl Iterator<Item = OnionAuthClient> {
        let items = self.items().filter(|item| item.is(b"auth-client"));
        items.filter_map(|item| OnionAuthClient::read(&item))
    }

    /// Returns whether the second layer is for authorized clients only: whether it cannot be decrypted
    /// without a key.
    #[must_use]
    pub fn needs_client_auth(&self) -> bool {
        let message = self.find(b"encrypted").and_then(|item| message(&item));
        message.is_some_and(|message| self.open(None, &message).is_none())
    }

    /// Returns the items whose keyword this version of torcon does not know.
    pub fn unrecognized(&self) -> impl Iterator<Item = DescriptorItem<'_>> {
        self.items().filter(|item| !rule::is_known(RULES, item))
    }

    /// Checks every line: each that this version of torcon knows has the syntax of the specification
    /// and occurs as often as it may, and no line is missing that every such document has. The methods
    /// read a line with a syntax error as an absent one.
    ///
    /// # Errors
    ///
    /// [`ProtocolError`] with the [number](ProtocolError::line) of the first wrong line.
    pub fn check(&self) -> Result<(), ProtocolError> {
        rule::check(READING, RULES, self.text.as_bytes())
    }

    /// Returns a layer that was not encrypted.
    #[cfg(fuzzing)]
    pub(super) fn not_encrypted(address: OnionAddress, text: Text) -> Self {
        Self { text, address, credentials: Credentials::new(&address, [0; 32], 0) }
    }

    pub(super) fn address(&self) -> OnionAddress {
        self.address
    }

    /// Decrypts the second layer. A service without authorized clients ignores the key.
    ///
    /// # Errors
    ///
    /// [`OnionDescriptorError`] with [`ClientAuthNeeded`](Problem::ClientAuthNeeded),
    /// [`ClientNotAuthorized`](Problem::ClientNotAuthorized), [`Damaged`](Problem::Damaged) or
    /// [`Syntax`](Problem::Syntax).
    pub fn decrypt(
        &self,
        key: Option<&ClientAuthKey>,
    ) -> Result<OnionSecondLayer, OnionDescriptorError> {
        let failed = |problem| OnionDescriptorError::new(self.address, problem);
        let text = self.decrypt_text(key).map_err(failed)?;
        OnionSecondLayer::read(self.clone(), Text::new(text))
            .map_err(|error| failed(Problem::Syntax(error)))
    }

    fn decrypt_text(&self, key: Option<&ClientAuthKey>) -> Result<Vec<u8>, Problem> {
        let message = self.find(b"encrypted").as_ref().and_then(message);
        let message =
            message.ok_or_else(|| Problem::Syntax(self.wrong(b"encrypted", EXPECTED_ENCRYPTED)))?;
        let Some(key) = key else {
            return self.open(None, &message).ok_or(Problem::ClientAuthNeeded);
        };
        match self.cookie(key)? {
            Some(cookie) => {
                let damaged = Problem::Damaged { layer: "second layer" };
                self.open(Some(&cookie), &message).ok_or(damaged)
            }
            // The service may have no authorized clients.
            None => self.open(None, &message).ok_or(Problem::ClientNotAuthorized),
        }
    }

    fn open(&self, cookie: Option<&Cookie>, message: &[u8]) -> Option<Vec<u8>> {
        self.credentials.decrypt(Layer::Second, cookie, message)
    }

    /// Decrypts the cookie of a client. `None` if the list does not contain the client.
    fn cookie(&self, key: &ClientAuthKey) -> Result<Option<Cookie>, Problem> {
        let expected = "desc-auth-ephemeral-key KEY in base64";
        let syntax = || Problem::Syntax(self.wrong(b"desc-auth-ephemeral-key", expected));
        let shared = key.shared_secret(self.ephemeral_key().ok_or_else(syntax)?);
        let (id, key) = self.credentials.client_keys(&shared);
        let client = self.auth_clients().find(|client| client.id == id);
        Ok(client.and_then(|client| decrypt_cookie(&key, &client.iv, client.encrypted_cookie)))
    }

    /// Makes the error of a line that is missing or malformed.
    fn wrong(&self, keyword: &[u8], expected: &'static str) -> ProtocolError {
        missing(READING, keyword, expected, self.text.as_bytes())
    }
}

impl fmt::Debug for OnionFirstLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnionFirstLayer")
            .field("address", &self.address)
            .field("bytes", &self.as_bytes().len())
            .finish()
    }
}

/// # Decryption
///
/// These methods need the Cargo feature `onion-descriptor`.
impl OnionDescriptor {
    /// Decrypts both layers: what clients of the service know.
    ///
    /// The key is that of an authorized client; a service without authorized clients ignores it.
    ///
    /// It does not verify the signature. Every client that knows the address can encrypt a descriptor that
    /// this method decrypts: call `verify` (Cargo feature `verify`) before, unless a tor returned the
    /// descriptor.
    ///
    /// # Errors
    ///
    /// [`OnionDescriptorError`] with
    ///
    /// - [`WrongAddress`](Problem::WrongAddress) if it is the descriptor of another service,
    /// - [`ClientAuthNeeded`](Problem::ClientAuthNeeded) if the service has authorized clients and no
    ///   key is given,
    /// - [`ClientNotAuthorized`](Problem::ClientNotAuthorized) if the key is not that of one of them,
    /// - [`Damaged`](Problem::Damaged) if bytes were changed,
    /// - [`Syntax`](Problem::Syntax) if a line that decryption needs is missing or malformed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use torcon::names::{ClientAuthKey, OnionAddress};
    ///
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let service: OnionAddress =
    ///     "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad".parse()?;
    /// let key: ClientAuthKey = "A4DQOBYHA4DQOBYHA4DQOBYHA4DQOBYHA4DQOBYHA4DQOBYHA4DQ".parse()?;
    /// let descriptor = controller.fetch_onion_descriptor(service, Duration::from_secs(60))?;
    /// let layer = descriptor.decrypt(&service, Some(&key))?;
    /// for params in layer.pow_params() {
    ///     println!("proof of work {}, effort {}", params.scheme, params.suggested_effort);
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn decrypt(
        &self,
        service: &OnionAddress,
        key: Option<&ClientAuthKey>,
    ) -> Result<OnionSecondLayer, OnionDescriptorError> {
        self.decrypt_first_layer(service)?.decrypt(key)
    }

    /// Decrypts the first layer only, for which no key of a client is needed.
    ///
    /// # Errors
    ///
    /// [`OnionDescriptorError`] with [`WrongAddress`](Problem::WrongAddress),
    /// [`Damaged`](Problem::Damaged) or [`Syntax`](Problem::Syntax).
    pub fn decrypt_first_layer(
        &self,
        service: &OnionAddress,
    ) -> Result<OnionFirstLayer, OnionDescriptorError> {
        let failed = |problem| OnionDescriptorError::new(*service, problem);
        let syntax = |keyword, expected| {
            let reading = "the descriptor of an onion service";
            failed(Problem::Syntax(missing(reading, keyword, expected, self.text.as_bytes())))
        };
        let certificate = || syntax(b"descriptor-signing-key-cert", EXPECTED_CERTIFICATE);
        let blinded_key = self.blinded_key().ok_or_else(certificate)?;
        let revision = self.revision();
        let revision =
            revision.ok_or_else(|| syntax(b"revision-counter", "revision-counter NUMBER"))?;
        let message =
            self.find(b"superencrypted").as_ref().and_then(message).ok_or_else(|| {
                syntax(b"superencrypted", "superencrypted and a message in base64")
            })?;
        let credentials = Credentials::new(service, blinded_key, revision);
        match credentials.decrypt(Layer::First, None, &message) {
            Some(text) => {
                Ok(OnionFirstLayer { text: Text::new(text), address: *service, credentials })
            }
            // The signature tells a damaged descriptor from that of another service.
            None if self.signing_key().is_some_and(|key| self.is_signed_by(&key)) => {
                Err(failed(Problem::WrongAddress))
            }
            None => Err(failed(Problem::Damaged { layer: "descriptor" })),
        }
    }
}
